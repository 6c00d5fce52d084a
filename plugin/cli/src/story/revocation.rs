//! How far the early end of a grant has come at AWS, in words: requested, written, verified, and nothing before it is.

use writ_api::v1;
use writ_api::v1::revocation::State;

use crate::clock::to_the_second;
use crate::screen::escape;

/// The whole of it, in one line.
pub(crate) fn progress(it: &v1::Revocation) -> String {
    let ends = to_the_second(it.sessions_end_at.as_ref());
    let answer = match it.detail.is_empty() {
        true => String::new(),
        false => format!(" (its last answer: `{}`)", escape(&it.detail)),
    };
    match it.state() {
        State::Requested => format!(
            "requested {}, and IAM has not taken it yet{answer}; the sessions go on until it has, or until {ends}",
            to_the_second(it.requested_at.as_ref())
        ),
        State::Written => format!(
            "written {}: IAM took the policy that denies the sessions, and was not yet seen to deny{answer}; they end by themselves {ends}",
            to_the_second(it.written_at.as_ref())
        ),
        State::Verified => format!(
            "verified {}: IAM was asked again and denies the sessions; AWS takes seconds to minutes to carry that to all its places, and they end by themselves {ends}",
            to_the_second(it.verified_at.as_ref())
        ),
        State::Ended => format!("the sessions have ended by themselves, {ends}"),
        State::NotPossible => {
            format!("the broker has no identity to revoke with: the sessions go on until {ends}")
        }
        State::Unspecified => "a step this client does not know; a newer `writ` may".to_owned(),
    }
}

/// The same in a list's cell.
pub(super) fn in_short(it: &v1::Revocation) -> &'static str {
    match it.state() {
        State::Requested => "at AWS: requested",
        State::Written => "at AWS: written",
        State::Verified => "at AWS: verified",
        State::Ended => "at AWS: ended",
        State::NotPossible => "at AWS: not possible",
        State::Unspecified => "at AWS: ?",
    }
}
