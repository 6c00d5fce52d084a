//! The exit codes, in one table that the help prints.

use std::process::ExitCode;

use writ_api::problem::{Problem, Reason};
use writ_api::v1::request::State;

/// Added to a signal's number, as shells do: the code of a command that a signal ended.
pub(crate) const SIGNAL_BASE: u8 = 128;

/// `writ policy` and `writ doctor` have codes of their own, which CI systems match on: they ask no broker, so what 2 and 3
/// mean elsewhere cannot happen there.
const OF_POLICY_FINDINGS: u8 = 2;

/// See [`OF_POLICY_FINDINGS`].
const OF_POLICY_INVALID: u8 = 3;

macro_rules! exits {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// How a command ended. The numbers are stable: scripts match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Exit {
            $($(#[$doc])* $name,)*
            /// `writ policy`: a change is at or over `--fail-on`, a lock is stale, a test failed, or the tests test too little.
            /// `writ doctor`: something is wrong at AWS.
            Findings,
            /// `writ policy`: the bundle is not one that a broker would take, or a test file cannot be read.
            InvalidBundle,
            /// The child of `writ exec` ended with this code, or with 128 and the number of its signal.
            Child(u8),
        }

        impl Exit {
            /// Every one with a fixed code, and what it means.
            pub(crate) const ALL: &[(Exit, &str)] = &[$((Exit::$name, $text),)*];

            /// The number.
            pub(crate) fn code(self) -> u8 {
                match self {
                    $(Exit::$name => $code,)*
                    Exit::Findings => OF_POLICY_FINDINGS,
                    Exit::InvalidBundle => OF_POLICY_INVALID,
                    Exit::Child(code) => code,
                }
            }
        }
    };
}

exits! {
    /// It worked.
    Done = 0, "it worked";
    /// Something failed that has no code of its own.
    Error = 1, "error";
    /// The command line or a field was wrong.
    Usage = 2, "the command line, or a value on it, is wrong";
    /// The policy says no.
    Refused = 3, "refused by policy";
    /// The token proves nobody.
    NotAuthenticated = 4, "not authenticated";
    /// A person said no.
    Denied = 5, "denied by a person";
    /// `--timeout` passed.
    TimedOut = 6, "timed out waiting";
    /// Approvals are missing.
    Pending = 7, "approvals are missing (`--no-wait`, `can`, `credentials`)";
    /// The request has ended.
    Ended = 8, "the request has ended (expired, released, revoked, lapsed, withdrawn), or is at another step";
    /// The broker cannot be reached, or cannot work now.
    Unreachable = 9, "the broker cannot be reached, or cannot work now";
    /// The end is on record, and AWS was not seen to carry it out.
    NotSeenDenied = 10, "it has ended, but AWS was not yet seen to deny its sessions (`revoke --wait`, `release --wait`)";
    /// Ctrl-C while waiting.
    Interrupted = 130, "interrupted while waiting; the request stays";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The part of `writ --help` that lists the codes.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in Exit::ALL {
        text.push_str(&format!("  {:>3}  {meaning}\n", exit.code()));
    }
    text.push_str(
        "  `writ policy` ends with 0 (clean), 1 (it failed, or the command line is wrong), 2 (findings:\n  \
         a change at or over `--fail-on`, a stale lock, a file that `fmt` would change, a failed\n  \
         test, too little coverage, a mutant that no test noticed) or 3 (the bundle, or a\n  \
         file of tests, is invalid).\n",
    );
    text.push_str(
        "  `writ doctor` ends with 0 (nothing worse than warnings), 1 (something could not be checked, or\n  \
         the command line is wrong) or 2 (something is wrong).\n",
    );
    text.push_str("  `writ exec` ends with its command's code, or 128 and the number of the signal that ended it.");
    text
}

/// The code of a refused call.
pub(crate) fn of_problem(problem: &Problem) -> Exit {
    let Some(reason) = problem.reason else {
        return match problem.code {
            tonic::Code::Unauthenticated => Exit::NotAuthenticated,
            _ if problem.is_absence() => Exit::Unreachable,
            _ => Exit::Error,
        };
    };
    match reason {
        Reason::NotAuthenticated => Exit::NotAuthenticated,
        Reason::InvalidArgument => Exit::Usage,
        Reason::RefusedByPolicy | Reason::NotPermitted | Reason::SelfApproval => Exit::Refused,
        Reason::NeedsApproval => Exit::Pending,
        Reason::WrongState => Exit::Ended,
        Reason::JournalUnavailable
        | Reason::StorageLow
        | Reason::ClockBehind
        | Reason::ShuttingDown => Exit::Unreachable,
        Reason::NotFound
        | Reason::AlreadyApproved
        | Reason::DigestMismatch
        | Reason::IdempotencyKeyReused
        | Reason::TooManyOpenRequests
        | Reason::RateLimited
        | Reason::TooManySessions
        | Reason::TooManyExtensions
        | Reason::TooManyDelegations
        | Reason::AwsRefused
        | Reason::AwsUnavailable
        | Reason::Internal => Exit::Error,
    }
}

/// The code of a request in this state, for whoever wants its credentials.
pub(crate) fn of_state(state: Option<&State>) -> Exit {
    match state {
        Some(State::Approved(_) | State::Active(_)) => Exit::Done,
        Some(State::Pending(_)) => Exit::Pending,
        Some(State::Denied(_)) => Exit::Denied,
        Some(
            State::Expired(_)
            | State::Withdrawn(_)
            | State::Lapsed(_)
            | State::Released(_)
            | State::Revoked(_),
        ) => Exit::Ended,
        // A state that this client does not know gives nothing.
        None => Exit::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]);
        assert_eq!(Exit::Child(143).code(), 143);
        assert_eq!((Exit::Findings.code(), Exit::InvalidBundle.code()), (2, 3));
    }

    #[test]
    fn each_reason_has_its_code() {
        let table = [
            (Reason::NotAuthenticated, 4),
            (Reason::NotFound, 1),
            (Reason::InvalidArgument, 2),
            (Reason::RefusedByPolicy, 3),
            (Reason::NeedsApproval, 7),
            (Reason::NotPermitted, 3),
            (Reason::SelfApproval, 3),
            (Reason::AlreadyApproved, 1),
            (Reason::WrongState, 8),
            (Reason::DigestMismatch, 1),
            (Reason::IdempotencyKeyReused, 1),
            (Reason::TooManyOpenRequests, 1),
            (Reason::RateLimited, 1),
            (Reason::TooManySessions, 1),
            (Reason::TooManyExtensions, 1),
            (Reason::TooManyDelegations, 1),
            (Reason::JournalUnavailable, 9),
            (Reason::StorageLow, 9),
            (Reason::ClockBehind, 9),
            (Reason::AwsRefused, 1),
            (Reason::AwsUnavailable, 1),
            (Reason::ShuttingDown, 9),
            (Reason::Internal, 1),
        ];
        assert_eq!(table.len(), Reason::ALL.len());
        for (reason, code) in table {
            assert_eq!(
                of_problem(&Problem::new(reason, "")).code(),
                code,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn each_state_has_the_code_of_whoever_wants_its_credentials() {
        let table = [
            (State::Pending(Default::default()), 7),
            (State::Approved(Default::default()), 0),
            (State::Active(Default::default()), 0),
            (State::Expired(Default::default()), 8),
            (State::Denied(Default::default()), 5),
            (State::Withdrawn(Default::default()), 8),
            (State::Lapsed(Default::default()), 8),
            (State::Released(Default::default()), 8),
            (State::Revoked(Default::default()), 8),
        ];
        for (state, code) in table {
            assert_eq!(of_state(Some(&state)).code(), code, "{state:?}");
        }
        assert_eq!(of_state(None).code(), 1);
    }

    #[test]
    fn an_error_that_is_not_the_brokers_word_has_the_code_of_its_kind() {
        for (status, code) in [
            (tonic::Status::unavailable("refused"), 9),
            (tonic::Status::deadline_exceeded("slow"), 9),
            (tonic::Status::internal("h2 protocol error"), 9),
            (tonic::Status::unknown("a proxy's 500"), 9),
            (tonic::Status::unimplemented("another server"), 1),
            (tonic::Status::unauthenticated("proxy"), 4),
            (tonic::Status::permission_denied("proxy"), 1),
        ] {
            assert_eq!(of_problem(&Problem::from_status(&status)).code(), code);
        }
    }
}
