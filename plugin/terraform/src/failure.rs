//! A call that did not work out: whether to try again, and what to tell the user.

use writ_api::problem::{Problem, Reason};

use crate::diagnostic::Diagnostic;
use crate::words::{self, escape, escape_lines};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What that means for the caller.
    pub(crate) kind: Kind,
    /// What to tell.
    pub(crate) diagnostic: Diagnostic,
}

/// What a failure means for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody answered, or the broker asked to come back: worth another try.
    Unreachable,
    /// The token proves nobody: a fresh one may.
    NotAuthenticated,
    /// The request is at another step, or has ended.
    WrongState,
    /// No use trying again.
    Final,
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(kind: Kind, diagnostic: Diagnostic) -> Failure {
        Failure { kind, diagnostic }
    }

    /// What the broker at `address` said no with.
    pub(crate) fn of_problem(problem: &Problem, address: &str) -> Failure {
        let Some(reason) = problem.reason else {
            return not_the_brokers_word(problem, address);
        };
        let kind = match reason {
            Reason::JournalUnavailable
            | Reason::StorageLow
            | Reason::ClockBehind
            | Reason::ShuttingDown
            | Reason::RateLimited
            | Reason::AwsUnavailable => Kind::Unreachable,
            Reason::NotAuthenticated => Kind::NotAuthenticated,
            Reason::WrongState => Kind::WrongState,
            Reason::NotFound
            | Reason::InvalidArgument
            | Reason::RefusedByPolicy
            | Reason::NeedsApproval
            | Reason::NotPermitted
            | Reason::SelfApproval
            | Reason::AlreadyApproved
            | Reason::DigestMismatch
            | Reason::IdempotencyKeyReused
            | Reason::TooManyOpenRequests
            | Reason::TooManySessions
            | Reason::TooManyExtensions
            | Reason::TooManyDelegations
            | Reason::AwsRefused
            | Reason::Internal => Kind::Final,
        };
        let mut detail = String::new();
        if let Some(denial) = &problem.denial {
            detail.push_str(&words::denial(denial));
        } else if let Some(needs) = &problem.needs_approval {
            let ways = words::ways(&needs.ways).join("; or ");
            detail.push_str(&format!("It needs {ways}."));
        }
        // A denial tells everything itself; the hint would say the same in other words.
        if let (Some(hint), None) = (&problem.hint, &problem.denial) {
            if !detail.is_empty() {
                detail.push_str("\n\n");
            }
            detail.push_str(&as_sentence(hint));
        }
        let diagnostic = Diagnostic::error(escape(&problem.message), detail);
        let diagnostic = match attribute(reason, problem) {
            Some(attribute) => diagnostic.on(attribute),
            None => diagnostic,
        };
        Failure::new(kind, diagnostic)
    }
}

/// The attribute a refusal is about.
fn attribute(reason: Reason, problem: &Problem) -> Option<&'static str> {
    match reason {
        Reason::InvalidArgument => {
            ["scope", "duration", "reason", "ticket"]
                .into_iter()
                .find(|field| {
                    let rest = problem.message.strip_prefix(field);
                    rest.is_some_and(|rest| rest.starts_with(':'))
                })
        }
        Reason::RefusedByPolicy
        | Reason::NotFound
        | Reason::NeedsApproval
        | Reason::NotPermitted
        | Reason::AwsRefused => Some("scope"),
        Reason::NotAuthenticated
        | Reason::SelfApproval
        | Reason::AlreadyApproved
        | Reason::WrongState
        | Reason::DigestMismatch
        | Reason::IdempotencyKeyReused
        | Reason::TooManyOpenRequests
        | Reason::RateLimited
        | Reason::TooManySessions
        | Reason::TooManyExtensions
        | Reason::TooManyDelegations
        | Reason::JournalUnavailable
        | Reason::StorageLow
        | Reason::ClockBehind
        | Reason::AwsUnavailable
        | Reason::ShuttingDown
        | Reason::Internal => None,
    }
}

/// An answer that is a proxy's or a library's, or none at all.
fn not_the_brokers_word(problem: &Problem, address: &str) -> Failure {
    let kind = match problem.code {
        tonic::Code::Unauthenticated => Kind::NotAuthenticated,
        _ if problem.is_absence() => Kind::Unreachable,
        _ => Kind::Final,
    };
    if problem.code == tonic::Code::Unimplemented {
        return Failure::new(
            kind,
            Diagnostic::error(
                format!(
                    "the server at `{}` does not know this call",
                    escape(address)
                ),
                "It is no Writ broker, or one of another version than this provider. Check `address` in the provider block, or WRIT_ADDR.",
            ),
        );
    }
    Failure::new(
        kind,
        Diagnostic::error(
            format!("no answer from the broker at `{}`", escape(address)),
            format!(
                "The call failed before the broker had a word: {}.\n\nCheck that `address` in the provider block (or WRIT_ADDR) names a Writ broker, and what stands between it and here.",
                escape_lines(problem.message.trim_end_matches('.'))
            ),
        ),
    )
}

/// A hint of the broker's, as a sentence.
fn as_sentence(hint: &str) -> String {
    let mut chars = hint.chars();
    let capital: String = chars
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    let rest = escape_lines(chars.as_str());
    let stop = match rest.ends_with(['.', '?', '!']) {
        true => "",
        false => ".",
    };
    format!("{capital}{rest}{stop}")
}
