//! The early end of grants, told and followed until AWS was seen to deny their sessions, or they have ended by themselves.

use std::collections::HashMap;
use std::time::Duration;

use writ_api::v1;
use writ_api::v1::revocation::State;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::story::{self, revocation};
use crate::verbs::show;

/// Between two looks at how far the ends have come, in seconds: IAM takes a few itself.
const LOOK_EVERY_S: u64 = 2;

/// How long to wait for AWS.
#[derive(Debug, clap::Args)]
pub(crate) struct Waiting {
    /// Wait until AWS was seen to deny the sessions, or until they have ended by themselves
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this; exit code 10
    #[arg(long, value_name = "DURATION", requires = "wait")]
    timeout: Option<writ_engine::Duration>,
}

/// Requests that were ended, as they are after the wait.
pub(crate) struct Followed {
    /// Each as it was seen last.
    pub(crate) requests: Vec<v1::Request>,
    /// Why nobody knows yet that AWS denies them all; their documents are worth printing all the same.
    pub(crate) failure: Option<Failure>,
}

/// Tells how far the end of each request has come at AWS, and where that is wanted waits for it.
pub(crate) async fn follow(
    context: &Context,
    requests: Vec<v1::Request>,
    waiting: &Waiting,
) -> Followed {
    let mut said = Said::default();
    if !context.json() || waiting.wait {
        requests.iter().for_each(|it| said.tell(context, it));
    }
    if !waiting.wait {
        return Followed {
            requests,
            failure: None,
        };
    }
    let mut requests = requests;
    let failure = tokio::select! {
        // An end that is already seen wins over a deadline that passed at the same time.
        biased;
        looked = look(context, &mut requests, &mut said) => looked.err(),
        pressed = tokio::signal::ctrl_c() => Some(match pressed {
            Ok(()) => unseen(Exit::Interrupted, "interrupted", "no longer waiting"),
            Err(error) => Failure::error(format!("cannot listen for signals: {error}")),
        }),
        () = timeout(waiting) => Some(unseen(
            Exit::NotSeenDenied,
            "timed_out",
            "the time to wait is over",
        )),
    };
    let failure = failure.or_else(|| not_possible(&requests));
    Followed { requests, failure }
}

async fn timeout(waiting: &Waiting) {
    match waiting.timeout {
        Some(timeout) => tokio::time::sleep(Duration::from_secs(timeout.as_s().into())).await,
        None => std::future::pending().await,
    }
}

fn unseen(exit: Exit, reason: &str, why: &str) -> Failure {
    Failure::new(
        exit,
        reason,
        format!("{why}: the end is on record and nothing more is issued, but AWS was not yet seen to deny every session"),
    )
    .hint("the broker tries on by itself; `writ show ID` says how far it has come")
}

/// Looks again and again until nothing more is to be waited for.
async fn look(
    context: &Context,
    requests: &mut [v1::Request],
    said: &mut Said,
) -> Result<(), Failure> {
    let mut patience = Patience::new();
    loop {
        let mut ended = Ok(());
        for request in requests.iter_mut().filter(|it| !is_over(it)) {
            match show::get(context, &request.id).await {
                Ok(now) => {
                    patience.heard(context);
                    said.tell(context, &now);
                    *request = now;
                }
                Err(failure) => {
                    ended = Err(failure);
                    break;
                }
            }
        }
        if requests.iter().all(is_over) {
            return Ok(());
        }
        match ended {
            Ok(()) => tokio::time::sleep(Duration::from_secs(LOOK_EVERY_S)).await,
            Err(failure) => patience.pause(context, Err(failure)).await?,
        }
    }
}

/// Whether nothing more is to be waited for.
fn is_over(request: &v1::Request) -> bool {
    request
        .revocation
        .as_ref()
        .is_none_or(|it| match it.state() {
            State::Verified | State::Ended | State::NotPossible => true,
            State::Requested | State::Written | State::Unspecified => false,
        })
}

/// Said plainly, for whoever waited believes otherwise.
fn not_possible(requests: &[v1::Request]) -> Option<Failure> {
    let never = |it: &v1::Request| {
        let revocation = it.revocation.as_ref();
        revocation.is_some_and(|it| it.state() == State::NotPossible)
    };
    requests.iter().any(never).then(|| {
        Failure::new(
            Exit::NotSeenDenied,
            "not_possible",
            "the broker has no identity to revoke with: sessions that AWS gave go on until they end by themselves",
        )
        .hint("nothing more is issued; whoever runs the broker can give it one with `revoker` in its `aws` block")
    })
}

/// What was said of each request, so that nothing is said twice.
#[derive(Default)]
struct Said(HashMap<String, String>);

impl Said {
    fn tell(&mut self, context: &Context, request: &v1::Request) {
        let line = match &request.revocation {
            Some(it) => format!("at AWS: {}", revocation::progress(it)),
            None => "at AWS: there are no sessions of it".to_owned(),
        };
        if self.0.get(&request.id) != Some(&line) {
            context.say(&format!("{} {line}", story::short(&request.id)));
            self.0.insert(request.id.clone(), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: Option<State>) -> v1::Request {
        v1::Request {
            revocation: state.map(|state| v1::Revocation {
                state: state.into(),
                ..v1::Revocation::default()
            }),
            ..v1::Request::default()
        }
    }

    #[test]
    fn a_wait_is_over_when_aws_was_seen_to_deny_and_never_before() {
        for (state, over) in [
            (None, true),
            (Some(State::Requested), false),
            (Some(State::Written), false),
            (Some(State::Verified), true),
            (Some(State::Ended), true),
            (Some(State::NotPossible), true),
            // A newer broker's step proves nothing to this client.
            (Some(State::Unspecified), false),
        ] {
            assert_eq!(is_over(&ended(state)), over, "{state:?}");
        }
    }

    #[test]
    fn an_end_that_cannot_reach_aws_is_no_success() {
        let possible = [ended(None), ended(Some(State::Verified))];
        assert!(not_possible(&possible).is_none());
        let one = [
            ended(Some(State::Verified)),
            ended(Some(State::NotPossible)),
        ];
        let failure = not_possible(&one).unwrap();
        assert_eq!(failure.exit.code(), 10);
    }
}
