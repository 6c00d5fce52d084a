//! The end of a request: what the table of endings says is carried out, also when the request moves on meanwhile.

use std::time::Duration;

use tokio::sync::oneshot;
use writ_api::v1;

use super::held::{Held, lasts_s};
use crate::diagnostic::Diagnostic;
use crate::duration::Length;
use crate::ending::{Ending, Happened, ending, standing};
use crate::failure::{Failure, Kind};
use crate::words;

/// How often an end is tried: each try that finds the request at another step goes by that step.
const TRIES_MAX: u32 = 4;

/// The pause between two tries to reach a broker, short because Terraform waits.
const PAUSE: Duration = Duration::from_millis(500);

/// The last word of those who used a request.
pub(super) struct Leaving {
    /// What happened.
    pub(super) happened: Happened,
    /// Whether any of them said that this is the apply.
    pub(super) applying: bool,
    /// The longest that any of them wants it left.
    pub(super) linger: Length,
    /// Hears what the user should know.
    pub(super) told: oneshot::Sender<Option<Diagnostic>>,
}

/// Ends a request, within `time_max`.
pub(super) async fn end(held: &Held, id: &str, leaving: Leaving, time_max: Duration) {
    let outcome = match tokio::time::timeout(time_max, carry_out(held, id, &leaving)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("the broker did not answer in time".to_owned()),
    };
    let warning = match outcome {
        Ok(Outcome::Done) => None,
        // Whoever could not use it knows that already.
        Ok(Outcome::HadEnded) => match leaving.happened {
            Happened::Closed => trouble(held),
            Happened::Failed | Happened::BrokenOff | Happened::Useless => None,
        },
        Err(why) => Some(not_given_back(held, id, &why)),
    };
    if let Some(warning) = &warning {
        tracing::warn!("{}", warning.line());
    }
    // Whoever closed may be gone; then the line above is all there is to say.
    let _ = leaving.told.send(warning);
}

/// How an end went.
enum Outcome {
    /// As the table says.
    Done,
    /// There was nothing to do.
    HadEnded,
}

/// Does what the table says; an error says why it could not be done.
async fn carry_out(held: &Held, id: &str, leaving: &Leaving) -> Result<Outcome, String> {
    let mut failed = String::new();
    for _ in 0..TRIES_MAX {
        let Some(standing) = held.request().as_ref().and_then(standing) else {
            return Ok(Outcome::HadEnded);
        };
        let ending = ending(leaving.happened, standing, leaving.applying);
        match call(held, id, ending, leaving.linger).await {
            Ok(request) => {
                told(&request, ending, leaving.linger);
                held.see(request);
                return Ok(Outcome::Done);
            }
            Err(failure) => {
                failed = failure.diagnostic.line();
                match failure.kind {
                    // It was approved, activated or ended meanwhile.
                    Kind::WrongState => held.look(id).await,
                    Kind::Unreachable => tokio::time::sleep(PAUSE).await,
                    Kind::NotAuthenticated | Kind::Final => return Err(failed),
                }
            }
        }
    }
    Err(failed)
}

async fn call(
    held: &Held,
    id: &str,
    ending: Ending,
    linger: Length,
) -> Result<v1::Request, Failure> {
    match ending {
        Ending::Withdraw => held.broker.withdraw(id).await,
        Ending::Release => held.broker.release(id).await,
        Ending::Linger => held.broker.keep(id, linger).await,
    }
}

fn told(request: &v1::Request, ending: Ending, linger: Length) {
    let id = words::short(&request.id);
    let scope = words::escape(&request.scope);
    match ending {
        Ending::Withdraw => tracing::info!("`{id}` for `{scope}` was taken back"),
        Ending::Release => tracing::info!("the window of `{id}` for `{scope}` was given back"),
        Ending::Linger => {
            tracing::info!("`{id}` for `{scope}` is kept {linger} for the apply of this run");
        }
    }
}

fn not_given_back(held: &Held, id: &str, why: &str) -> Diagnostic {
    let short = words::short(id);
    let scope = words::escape(&held.wish.scope);
    let request = held.request();
    let at_most = match request.as_ref().and_then(words::closes_at) {
        Some(closes_at) => {
            format!(
                ", and its window closes {} at the latest",
                words::moment(Some(closes_at))
            )
        }
        None => String::new(),
    };
    Diagnostic::warning(
        format!("`{short}` for `{scope}` was not given back"),
        format!(
            "{why}. The broker takes it back by itself when it hears nothing more of this run{at_most}. To be sure, run `writ release {short}`."
        ),
    )
}

/// What went wrong with a request that Terraform believed it could use.
pub(super) fn trouble(held: &Held) -> Option<Diagnostic> {
    let request = held.request()?;
    let short = words::short(&request.id);
    let scope = words::escape(&request.scope);
    if let Some(ended) = words::ended(&request) {
        return Some(Diagnostic::warning(
            format!("`{short}` for `{scope}` ended before Terraform was done with it"),
            format!(
                "{ended}. What needed the credentials after that may have failed for lack of access; run again to ask anew, with a longer `duration` if time ran out."
            ),
        ));
    }
    let session = held.current_session()?;
    (lasts_s(&session) == 0).then(|| {
        Diagnostic::warning(
            format!("the credentials for `{scope}` ended before Terraform was done with them"),
            "Terraform cannot take new credentials in the middle of a run, and AWS gives these no longer. Split the run, or ask the scope's owners for a role with longer sessions.",
        )
    })
}
