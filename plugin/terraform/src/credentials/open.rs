//! Open: waits until the request is approved, and hands over session credentials.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use writ_api::v1;
use writ_api::v1::request::State;

use super::held::{Held, lasts_s};
use super::table::Table;
use super::wish::Wanted;
use crate::clock::left_s;
use crate::connection::Broker;
use crate::diagnostic::Diagnostic;
use crate::duration::Length;
use crate::ending::Happened;
use crate::words::{self, escape};

/// What an Open answers with.
pub(crate) struct Opened {
    /// The credentials, and the request as it was when they were issued.
    pub(crate) session: Arc<v1::IssueCredentialsResponse>,
}

impl Opened {
    /// The request.
    pub(crate) fn request(&self) -> Option<&v1::Request> {
        self.session.request.as_ref()
    }

    /// When the window closes.
    pub(crate) fn closes_at(&self) -> Option<&prost_types::Timestamp> {
        words::closes_at(self.request()?)
    }

    /// Who approved it, once each.
    pub(crate) fn approved_by(&self) -> BTreeSet<&str> {
        self.request()
            .into_iter()
            .flat_map(|request| &request.approvals)
            .map(|approval| approval.approver.as_str())
            .collect()
    }
}

/// Credentials for `wanted`. Dropping the future gives up; so does a `true` in `stopping`.
pub(crate) async fn open(
    table: &Arc<Table>,
    broker: &Arc<Broker>,
    wanted: &Wanted,
    mut stopping: watch::Receiver<bool>,
) -> Result<Opened, Diagnostic> {
    let using = table.enter(broker, wanted).await;
    let outcome = tokio::select! {
        biased;
        outcome = credentials(&using.held, wanted) => outcome,
        _ = stopping.wait_for(|stopping| *stopping) => Err(stopped(wanted)),
    };
    match outcome {
        Ok(session) => {
            using.keep();
            Ok(Opened { session })
        }
        Err((happened, diagnostic)) => {
            using.give_up(happened);
            Err(diagnostic)
        }
    }
}

/// Why there are no credentials, and what that means for the request.
type Refused = (Happened, Diagnostic);

async fn credentials(
    held: &Held,
    wanted: &Wanted,
) -> Result<Arc<v1::IssueCredentialsResponse>, Refused> {
    let failed = |diagnostic| (Happened::Failed, diagnostic);
    let wait = tokio::time::timeout(wanted.wait_timeout.into(), held.decided());
    let request = match wait.await {
        Ok(Ok(request)) => request,
        Ok(Err(failure)) => return Err(failed(failure.diagnostic)),
        Err(_) => return Err((Happened::Useless, too_late(held, wanted))),
    };
    if let Some(ended) = words::ended(&request) {
        return Err(failed(refused(&request, &ended)));
    }
    // A window that is not open yet has its whole length before it.
    let left = words::closes_at(&request).map(|closes_at| left_s(Some(closes_at)));
    enough(wanted, &request, left)?;
    let session = held
        .session(&request.id, wanted.minimum_remaining)
        .await
        .map_err(|failure| failed(failure.diagnostic))?;
    enough(wanted, &request, Some(lasts_s(&session)))?;
    Ok(session)
}

/// Whether enough time is left, where it is known how much is.
fn enough(wanted: &Wanted, request: &v1::Request, left_s: Option<i64>) -> Result<(), Refused> {
    let least = wanted.minimum_remaining;
    match left_s {
        Some(left_s) if left_s < i64::from(least.as_s()) => {
            let left = match u32::try_from(left_s) {
                Ok(0) | Err(_) => "nothing".to_owned(),
                Ok(left_s) => format!("only {}", Length::of_s(left_s)),
            };
            let scope = escape(&request.scope);
            let short = words::short(&request.id);
            Err((
                Happened::Useless,
                Diagnostic::error(
                    format!("{left} is left of the window for `{scope}`"),
                    format!(
                        "`minimum_remaining` asks for {least}. The rest of `{short}` is given back: run again to ask anew, and for longer with `duration` if the time between plan and apply is long."
                    ),
                )
                .on("minimum_remaining"),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Nobody decided in time.
fn too_late(held: &Held, wanted: &Wanted) -> Diagnostic {
    let scope = escape(&wanted.wish.scope);
    let wait = wanted.wait_timeout;
    let detail = match held.request() {
        Some(request) => format!(
            "`{}` was still {}. It is taken back.\n\nTell them before the next run, so that they can `writ approve` it while Terraform waits, or wait longer with `wait_timeout`.",
            words::short(&request.id),
            words::waits_for(&request).unwrap_or_else(|| "being decided".to_owned()),
        ),
        None => {
            "The broker has not even answered. Check that it is well, then run again.".to_owned()
        }
    };
    Diagnostic::error(format!("`{scope}` was not approved within {wait}"), detail)
        .on("wait_timeout")
}

/// It ended while it was waited for.
fn refused(request: &v1::Request, ended: &str) -> Diagnostic {
    let scope = escape(&request.scope);
    let short = words::short(&request.id);
    let (summary, advice) = match &request.state {
        Some(State::Denied(_)) => (
            format!("`{scope}` was denied"),
            "Talk to them before you run again; `writ show` tells the whole story.",
        ),
        Some(State::Lapsed(_)) => (
            format!("`{scope}` was not approved in time"),
            "Run again to ask anew.",
        ),
        Some(State::Revoked(_)) => (
            format!("`{scope}` was revoked"),
            "Talk to them before you run again; `writ show` tells the whole story.",
        ),
        Some(
            State::Withdrawn(_)
            | State::Released(_)
            | State::Expired(_)
            | State::Pending(_)
            | State::Approved(_)
            | State::Active(_),
        )
        | None => (
            format!("the request for `{scope}` ended before it was of use"),
            "Run again to ask anew.",
        ),
    };
    Diagnostic::error(summary, format!("`{short}`: {ended}.\n\n{advice}")).on("scope")
}

/// Somebody pressed Ctrl-C.
fn stopped(wanted: &Wanted) -> Refused {
    (
        Happened::BrokenOff,
        Diagnostic::error(
            format!(
                "stopped while `{}` was waited for",
                escape(&wanted.wish.scope)
            ),
            "The request is taken back; run again to ask anew.",
        ),
    )
}
