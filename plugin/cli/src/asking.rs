//! From a wish to an approved request: made once however often the network fails, and waited for.

use std::pin::pin;
use std::time::Duration;

use tokio_stream::StreamExt as _;
use writ_api::v1;
use writ_api::v1::request::State;

use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::{self, Exit};
use crate::explain::Asked;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::story::{self, emergency};
use crate::verbs::show;

/// Attempts to make one request: each carries the same idempotency key, so at most one request comes of them.
pub(crate) const CREATE_TRIES_MAX: u32 = 3;

/// A key nobody else has: 128 random bits.
pub(crate) fn random_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::error("the system gave no random numbers"))?;
    Ok(format!("writ-cli-{}", hex::encode(bytes)))
}

/// Makes the request.
pub(crate) async fn create(
    context: &Context,
    asked: &Asked,
    idempotency_key: Option<String>,
) -> Result<v1::Request, Failure> {
    let wish = v1::CreateRequestRequest {
        scope: asked.what.clone(),
        duration: Some(clock::on_the_wire(asked.duration)),
        reason: asked.reason.clone().unwrap_or_default(),
        ticket: asked.ticket.clone(),
        idempotency_key: Some(match idempotency_key {
            Some(key) => key,
            None => random_key()?,
        }),
        break_glass: asked.break_glass,
        run: None,
        keep_for: None,
    };
    let mut tries = 1;
    loop {
        let outcome = match context.connect().await {
            Ok(client) => answer(client.requests().create_request(wish.clone())).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(response) => {
                let request = promised(response.request, "request")?;
                announce(context, &request);
                return Ok(request);
            }
            Err(failure) if failure.exit == Exit::Unreachable && tries < CREATE_TRIES_MAX => {
                tokio::time::sleep(Duration::from_secs(u64::from(tries))).await;
                tries += 1;
            }
            Err(failure) => return Err(failure.asked(asked)),
        }
    }
}

/// Nobody uses an emergency without having read who was told and what it owes.
fn announce(context: &Context, request: &v1::Request) {
    if let Some(announcement) = emergency::announcement(request) {
        context.say(&announcement);
    }
}

/// Waits until a request is no longer pending, telling each change once; `timeout` bounds the wait. A request that did not
/// end up approved or active is a failure with the code of its state.
pub(crate) async fn wait(
    context: &Context,
    request: v1::Request,
    timeout: Option<writ_engine::Duration>,
) -> Result<v1::Request, Failure> {
    let left = left_pending(&request.id);
    let is_decided = |request: &v1::Request| !matches!(request.state, Some(State::Pending(_)));
    usable(wait_for(context, request, timeout, &left, is_decided).await?)
}

/// Waits until a request is as `is_over` says, telling each change once; `left` is what can be done once nobody waits any
/// more.
pub(crate) async fn wait_for(
    context: &Context,
    request: v1::Request,
    timeout: Option<writ_engine::Duration>,
    left: &str,
    is_over: impl Fn(&v1::Request) -> bool,
) -> Result<v1::Request, Failure> {
    let id = request.id.clone();
    let timeout_s = timeout.map_or(u64::MAX / 4, |timeout| u64::from(timeout.as_s()));
    tokio::select! {
        // A change that is already here wins over a deadline that passed at the same time.
        biased;
        decided = follow(context, request, is_over) => decided,
        pressed = tokio::signal::ctrl_c() => {
            pressed.map_err(|error| Failure::error(format!("cannot listen for signals: {error}")))?;
            Err(Failure::new(
                Exit::Interrupted,
                "interrupted",
                format!("no longer waiting; `{}` stays as it is", story::short(&id)),
            )
            .hint(left))
        }
        () = tokio::time::sleep(Duration::from_secs(timeout_s)) => Err(Failure::new(
            Exit::TimedOut,
            "timed_out",
            format!("`{}` was not decided within {timeout_s}s", story::short(&id)),
        )
        .hint(left)),
    }
}

/// What can be done with a request that nobody waits for any more.
pub(crate) fn left_pending(id: &str) -> String {
    let id = story::short(id);
    format!("see it with `writ show {id}`, take it back with `writ withdraw {id}`")
}

/// The request if credentials can be had of it, or the failure its state is.
pub(crate) fn usable(request: v1::Request) -> Result<v1::Request, Failure> {
    let exit = exit::of_state(request.state.as_ref());
    if exit == Exit::Done {
        return Ok(request);
    }
    let reason = match &request.state {
        Some(State::Pending(_)) => "pending",
        Some(State::Denied(_)) => "denied",
        Some(State::Expired(_)) => "expired",
        Some(State::Withdrawn(_)) => "withdrawn",
        Some(State::Lapsed(_)) => "lapsed",
        Some(State::Released(_)) => "released",
        Some(State::Revoked(_)) => "revoked",
        Some(State::Approved(_) | State::Active(_)) | None => "unknown_state",
    };
    let failure = Failure::new(
        exit,
        reason,
        story::status(crate::screen::Paint::Plain, &request),
    );
    Err(match exit {
        Exit::Pending => failure.hint(left_pending(&request.id)),
        _ => failure,
    })
}

/// Follows a request until it is as `is_over` says. The connection may break as often as it likes: the broker's word, not
/// the stream's end, ends the wait.
async fn follow(
    context: &Context,
    request: v1::Request,
    is_over: impl Fn(&v1::Request) -> bool,
) -> Result<v1::Request, Failure> {
    let mut told = String::new();
    let mut tell = |request: &v1::Request| {
        let line = story::status(context.err, request);
        if line != told {
            context.say(&line);
            told = line;
        }
        is_over(request)
    };
    if tell(&request) {
        return Ok(request);
    }
    let mut patience = Patience::new();
    loop {
        let ended = match watch(context, &request.id, &mut patience, &mut tell).await {
            Ok(Some(request)) => return Ok(request),
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        patience.pause(context, ended).await?;
    }
}

/// One stream of a request's changes: the request once `tell` says that it is over, or nothing when the stream ended before.
async fn watch(
    context: &Context,
    id: &str,
    patience: &mut Patience,
    tell: &mut impl FnMut(&v1::Request) -> bool,
) -> Result<Option<v1::Request>, Failure> {
    let client = context.connect().await?;
    let call = v1::WatchRequestRequest { id: id.to_owned() };
    let changes = answer(client.requests().watch_request(call)).await?;
    patience.heard(context);
    let mut changes = pin!(changes);
    while let Some(change) = changes.next().await {
        let request = promised(change.map_err(Failure::from)?.request, "request")?;
        if tell(&request) {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// Issues session credentials of a request, named by its id.
pub(crate) async fn issue(
    context: &Context,
    id: &str,
) -> Result<v1::IssueCredentialsResponse, Failure> {
    let client = context.connect().await?;
    let call = v1::IssueCredentialsRequest { id: id.to_owned() };
    let failure = match answer(client.requests().issue_credentials(call)).await {
        Ok(issued) => {
            if let Some(request) = &issued.request {
                announce(context, request);
            }
            return Ok(issued);
        }
        Err(failure) => failure,
    };
    if failure.exit == Exit::Ended {
        // Its state says more than "not now": a person's no has its own exit code.
        let call = v1::GetRequestRequest { id: id.to_owned() };
        if let Ok(v1::GetRequestResponse {
            request: Some(request),
        }) = answer(client.requests().get_request(call)).await
        {
            usable(request)?;
        }
    }
    Err(failure)
}

/// With `--json`, the request stands on stdout also when the wait failed. The failure itself matters more than whether
/// this works.
pub(crate) async fn print_as_it_is(context: &Context, id: &str) {
    if !context.json() {
        return;
    }
    if let Ok(request) = show::get(context, id).await {
        let _ = context.print_json(&document("request", document::request(&request)));
    }
}
