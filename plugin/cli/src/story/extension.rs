//! A window that was made longer, and the wish for a longer one, in words.

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::request::State;
use writ_engine::Duration;

use super::{consent, outcome, text_or_erased, waiting};
use crate::clock::{length, moment, plus, to_the_second};
use crate::screen::escape;

/// A request's window, once it was opened and while the broker tells of it.
pub(crate) fn window(request: &v1::Request) -> Option<&v1::Window> {
    match request.state.as_ref()? {
        State::Active(active) => active.window.as_ref(),
        State::Expired(expired) => expired.window.as_ref(),
        State::Pending(_)
        | State::Approved(_)
        | State::Denied(_)
        | State::Withdrawn(_)
        | State::Lapsed(_)
        | State::Released(_)
        | State::Revoked(_) => None,
    }
}

/// How long a window is as a whole.
pub(crate) fn whole(window: &v1::Window) -> Option<Duration> {
    let opens_at = moment(window.opens_at.as_ref())?;
    let closes_at = moment(window.closes_at.as_ref())?;
    let seconds = u32::try_from(closes_at.since_ms(opens_at) / 1_000).ok()?;
    Duration::from_s(seconds).ok()
}

/// What somebody made of a wish by consenting to less: ` (asked for 4h, pat gave 1h)`; empty where nobody did.
pub(super) fn narrowed(request: &v1::Request) -> String {
    let given = length(request.duration.as_ref());
    match (&request.asked_for, request.approvals.first()) {
        (None, _) => String::new(),
        // The first to consent to the request as it is now is who made it shorter.
        (Some(asked), Some(approval)) => format!(
            " (asked for {}, {} gave {given})",
            length(Some(asked)),
            escape(&approval.approver)
        ),
        (Some(asked), None) => format!(" (asked for {})", length(Some(asked))),
    }
}

/// How long the window is, or is to be: what was asked for and less was given of, and what it was extended to.
pub(super) fn lengths(request: &v1::Request) -> String {
    let given = length(request.duration.as_ref());
    let of = narrowed(request);
    let extended = match extended_to(request) {
        Some(whole) => format!(", extended to {whole}"),
        None => String::new(),
    };
    format!("{given}{of}{extended}")
}

/// The same in a list's cell.
pub(super) fn in_short(request: &v1::Request) -> String {
    let given = match extended_to(request) {
        Some(whole) => whole.to_string(),
        None => length(request.duration.as_ref()),
    };
    match &request.asked_for {
        Some(asked) => format!("{given} of {}", length(Some(asked))),
        None => given,
    }
}

/// The whole window, where it is longer than what was asked for at first.
fn extended_to(request: &v1::Request) -> Option<Duration> {
    let whole = whole(window(request)?)?;
    let asked = request.duration.as_ref()?.seconds;
    (i64::from(whole.as_s()) > asked).then_some(whole)
}

/// The wish that waits, to stand behind a request's state; empty where none does.
pub(super) fn in_status(request: &v1::Request, id: &str) -> String {
    let Some(it) = &request.extension else {
        return String::new();
    };
    let agree = match outcome(it.decision.as_ref()) {
        Some(Outcome::Denial(_)) => String::new(),
        Some(Outcome::Allowed(_) | Outcome::NeedsApproval(_)) | None => {
            format!("; `writ approve {id}` agrees to that")
        }
    };
    format!(
        "; a longer one, {} in all: {}{agree}",
        length(it.duration.as_ref()),
        waiting(it.decision.as_ref())
    )
}

/// From when to when the window is to move: `2026-11-21T09:46:00Z → 2026-11-21T11:01:00Z`.
pub(crate) fn from_to(request: &v1::Request, it: &v1::Extension) -> String {
    let window = window(request);
    let opens_at = window.and_then(|window| window.opens_at.as_ref());
    let closes_at = window.and_then(|window| window.closes_at.as_ref());
    format!(
        "{} → {}",
        to_the_second(closes_at),
        plus(opens_at, it.duration.as_ref())
    )
}

/// The fields of the whole view.
pub(super) fn fields(request: &v1::Request, it: &v1::Extension) -> Vec<(&'static str, String)> {
    let now = window(request).and_then(whole);
    let now = now.map_or_else(|| "?".to_owned(), |now| now.to_string());
    let mut fields = vec![
        (
            "for",
            format!("{now} → {} in all", length(it.duration.as_ref())),
        ),
        ("closes", from_to(request, it)),
        ("reason", text_or_erased(&it.reason)),
        ("asked", to_the_second(it.requested_at.as_ref())),
    ];
    fields.extend(it.approvals.iter().map(|it| ("consent", consent(it))));
    fields.push(("stands", waiting(it.decision.as_ref())));
    fields.push(("digest", escape(&it.digest)));
    fields
}
