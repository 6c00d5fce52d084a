//! What a refused call says: a stable reason, a message, a hint, and where the policy refused, its whole explanation.
//!
//! On the wire it is a `google.rpc.Status` whose details hold an `ErrorInfo` (domain [`DOMAIN`]) and, where there is one, a
//! [`v1::Denial`] or a [`v1::NeedsApproval`].

use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::v1;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "writ.v1";

const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const DENIAL_URL: &str = "type.googleapis.com/writ.v1.Denial";
const NEEDS_APPROVAL_URL: &str = "type.googleapis.com/writ.v1.NeedsApproval";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident;)*) => {
        /// Why a call was refused. The texts are stable: scripts match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The stable text in `ErrorInfo.reason`.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }

            /// The gRPC code it travels with.
            pub fn code(self) -> Code {
                match self { $(Reason::$name => Code::$code,)* }
            }

            fn parse(text: &str) -> Option<Reason> {
                match text { $($text => Some(Reason::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    /// No token, or one that proves nobody. Which of the two is only in the broker's log.
    NotAuthenticated = "NOT_AUTHENTICATED", Unauthenticated;
    /// There is no such thing, or the caller may not see it; the two answer alike.
    NotFound = "NOT_FOUND", NotFound;
    /// A field is missing or malformed; the message names it.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument;
    /// The policy gives it in no way; a `Denial` says why.
    RefusedByPolicy = "REFUSED_BY_POLICY", PermissionDenied;
    /// The request is not approved; a `NeedsApproval` says what is missing.
    NeedsApproval = "NEEDS_APPROVAL", FailedPrecondition;
    /// The policy does not let the caller do this to this request.
    NotPermitted = "NOT_PERMITTED", PermissionDenied;
    /// Nobody approves their own request, whichever identity they use.
    SelfApproval = "SELF_APPROVAL", PermissionDenied;
    /// The caller has approved already.
    AlreadyApproved = "ALREADY_APPROVED", FailedPrecondition;
    /// The request has ended, or is at a step where this cannot be done; the message names its state.
    WrongState = "WRONG_STATE", FailedPrecondition;
    /// The digest given is not the request's: it is not what the approver looked at.
    DigestMismatch = "DIGEST_MISMATCH", FailedPrecondition;
    /// The idempotency key was used for another wish.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", AlreadyExists;
    /// The caller has as many open requests as one principal may have.
    TooManyOpenRequests = "TOO_MANY_OPEN_REQUESTS", ResourceExhausted;
    /// The caller sends more calls than one principal may.
    RateLimited = "RATE_LIMITED", ResourceExhausted;
    /// The grant has as many live sessions as one grant may have.
    TooManySessions = "TOO_MANY_SESSIONS", ResourceExhausted;
    /// The window was asked to be longer as often as it may be.
    TooManyExtensions = "TOO_MANY_EXTENSIONS", ResourceExhausted;
    /// The caller has lent their right to approve as often as they may.
    TooManyDelegations = "TOO_MANY_DELEGATIONS", ResourceExhausted;
    /// The journal cannot record now, and what is not recorded does not happen.
    JournalUnavailable = "JOURNAL_UNAVAILABLE", Unavailable;
    /// The journal's disk is nearly full: what ends something is still recorded, and nothing else.
    StorageLow = "STORAGE_LOW", Unavailable;
    /// The broker's clock cannot be trusted, so nothing is issued.
    ClockBehind = "CLOCK_BEHIND", Unavailable;
    /// AWS refused for good; `aws_code` in the metadata says how.
    AwsRefused = "AWS_REFUSED", FailedPrecondition;
    /// AWS did not answer, or asked to come back later.
    AwsUnavailable = "AWS_UNAVAILABLE", Unavailable;
    /// The broker is going down; try again.
    ShuttingDown = "SHUTTING_DOWN", Unavailable;
    /// A fault of the broker's own.
    Internal = "INTERNAL", Internal;
}

/// A refused call, on either side of the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The stable reason; `None` for an error that was not the broker's word (a proxy, a broken connection).
    pub reason: Option<Reason>,
    /// The gRPC code.
    pub code: Code,
    /// What happened, for a person.
    pub message: String,
    /// What would work, where something would.
    pub hint: Option<String>,
    /// AWS's error code, where AWS refused.
    pub aws_code: Option<String>,
    /// The policy's whole explanation of a denial. Boxed, because most problems have none.
    pub denial: Option<Box<v1::Denial>>,
    /// What is missing, where approvals are.
    pub needs_approval: Option<Box<v1::NeedsApproval>>,
}

impl Problem {
    /// A problem with a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Problem {
        Problem {
            reason: Some(reason),
            code: reason.code(),
            message: message.into(),
            hint: None,
            aws_code: None,
            denial: None,
            needs_approval: None,
        }
    }

    /// With what would work.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// With AWS's error code.
    #[must_use]
    pub fn aws_code(mut self, code: impl Into<String>) -> Problem {
        self.aws_code = Some(code.into());
        self
    }

    /// With the policy's explanation.
    #[must_use]
    pub fn denial(mut self, denial: v1::Denial) -> Problem {
        self.denial = Some(Box::new(denial));
        self
    }

    /// With what is missing.
    #[must_use]
    pub fn needs_approval(mut self, needs: v1::NeedsApproval) -> Problem {
        self.needs_approval = Some(Box::new(needs));
        self
    }

    /// Whether this is no answer of a broker's but the lack of one, so that another try may help: a connection that breaks in
    /// the middle of an answer is told as an internal error, a proxy's 500 as an unknown one.
    pub fn is_absence(&self) -> bool {
        if self.reason.is_some() {
            return false;
        }
        match self.code {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown => true,
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => false,
        }
    }

    /// As it travels.
    pub fn into_status(self) -> Status {
        let mut metadata = std::collections::HashMap::new();
        if let Some(hint) = self.hint {
            metadata.insert("hint".to_owned(), hint);
        }
        if let Some(code) = self.aws_code {
            metadata.insert("aws_code".to_owned(), code);
        }
        let info = pb::ErrorInfo {
            reason: self
                .reason
                .map(Reason::as_str)
                .unwrap_or_default()
                .to_owned(),
            domain: DOMAIN.to_owned(),
            metadata,
        };
        let mut details = vec![any(ERROR_INFO_URL, &info)];
        if let Some(denial) = self.denial {
            details.push(any(DENIAL_URL, denial.as_ref()));
        }
        if let Some(needs) = self.needs_approval {
            details.push(any(NEEDS_APPROVAL_URL, needs.as_ref()));
        }
        let status = pb::Status {
            code: i32::from(self.code),
            message: self.message.clone(),
            details,
        };
        Status::with_details(self.code, self.message, status.encode_to_vec().into())
    }

    /// What a status says. Details that are not ours are left out, never trusted.
    pub fn from_status(status: &Status) -> Problem {
        let mut problem = Problem {
            reason: None,
            code: status.code(),
            message: status.message().to_owned(),
            hint: None,
            aws_code: None,
            denial: None,
            needs_approval: None,
        };
        let details = pb::Status::decode(status.details())
            .map(|status| status.details)
            .unwrap_or_default();
        for detail in details {
            if detail.type_url == ERROR_INFO_URL {
                let Ok(mut info) = pb::ErrorInfo::decode(detail.value.as_slice()) else {
                    continue;
                };
                if info.domain == DOMAIN {
                    problem.reason = Reason::parse(&info.reason);
                    problem.hint = info.metadata.remove("hint");
                    problem.aws_code = info.metadata.remove("aws_code");
                }
            } else if detail.type_url == DENIAL_URL {
                problem.denial = v1::Denial::decode(detail.value.as_slice())
                    .ok()
                    .map(Box::new);
            } else if detail.type_url == NEEDS_APPROVAL_URL {
                problem.needs_approval = v1::NeedsApproval::decode(detail.value.as_slice())
                    .ok()
                    .map(Box::new);
            }
        }
        problem
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Status {
        problem.into_status()
    }
}

fn any<M: Message>(type_url: &str, message: &M) -> prost_types::Any {
    prost_types::Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_wire_whole() {
        for reason in Reason::ALL {
            let sent = Problem::new(*reason, "`prod-db-read` is refused")
                .hint("ask for 30m")
                .aws_code("AccessDenied")
                .denial(v1::Denial {
                    why: v1::denial::Why::Unmet as i32,
                    ..v1::Denial::default()
                })
                .needs_approval(v1::NeedsApproval::default());
            let status = sent.clone().into_status();
            assert_eq!(status.code(), reason.code());
            assert_eq!(Problem::from_status(&status), sent);
        }
    }

    #[test]
    fn a_status_that_is_not_ours_is_read_without_a_reason() {
        let problem = Problem::from_status(&Status::unavailable("connection refused"));
        assert_eq!((problem.reason, problem.code), (None, Code::Unavailable));
        let garbage = Status::with_details(Code::Internal, "x", b"\xff\xff\xff".to_vec().into());
        assert_eq!(Problem::from_status(&garbage).reason, None);
    }
}
