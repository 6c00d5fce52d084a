//! What the desk takes and answers.

use writ_engine::bundle::directory::Directory;
use writ_engine::decide::{Allowed, Denied, NeedsApproval};
use writ_engine::{Case, Decision, Duration, Moment, RequestId, UserId};
use zeroize::Zeroizing;

/// What someone asks for, checked field by field by `wire` (lengths, durations), not yet against the policy.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The scope's name as it was typed.
    pub scope: String,
    /// For how long.
    pub duration: Duration,
    /// Why; may be empty only in a dry run.
    pub reason: String,
    /// With which ticket.
    pub ticket: Option<String>,
}

/// A wish, and how it is to be treated.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What for.
    pub wish: Wish,
    /// The requester's own key against doubles.
    pub idempotency_key: Option<String>,
    /// The run it belongs to: an open request of the same run and wish stands for it.
    pub run: Option<String>,
    /// How long the request outlives its requester's last word, in seconds; `None` for always.
    pub keep_for_s: Option<u32>,
}

/// A case as one caller sees it at one moment.
#[derive(Debug)]
pub struct CaseView {
    /// The case.
    pub case: Case,
    /// The moment of the view.
    pub now: Moment,
    /// The person behind the request under the bundle in force; `None` once they left the directory.
    pub person: Option<UserId>,
    /// Who said no and why (the text is `None` once erased).
    pub denied: Option<(UserId, Option<String>)>,
    /// When it ends unless its requester is heard of before; `None` when it is kept in any case, or has ended.
    pub kept_until: Option<Moment>,
    /// What the policy in force says, while the case is pending.
    pub decision: Option<Decision<Allowed>>,
}

/// Which of the visible cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Made by the caller.
    Mine,
    /// Undecided, and the caller may approve them.
    ToApprove,
    /// Every visible one.
    All,
}

/// One page of cases, newest first.
#[derive(Debug)]
pub struct Page {
    /// The cases.
    pub views: Vec<CaseView>,
    /// Where the next page starts: the id of its first case.
    pub next: Option<RequestId>,
}

/// Issued session credentials on their way out. No `Debug`, no `Clone`; wiped when dropped.
pub struct IssuedSession {
    /// AWS's name for the key.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Zeroizing<String>,
    /// The token.
    pub session_token: Zeroizing<String>,
    /// The earlier of AWS's expiry and the window's end.
    pub expires_at: Moment,
    /// The session's number within the grant, from 1.
    pub session: u32,
    /// The role that was assumed.
    pub role_arn: String,
    /// The region whose STS gave it.
    pub region: String,
    /// The case afterwards.
    pub view: CaseView,
}

/// Why the desk refused a call; `wire` gives each its reason code and words.
#[derive(Debug)]
pub enum Refused {
    /// No such thing, or not for this caller to see.
    NotFound,
    /// A field that only the bundle can judge: its name, and what is wrong with it.
    Field(&'static str, String),
    /// The policy gives it in no way.
    Policy(Box<Denied>),
    /// Approvals are missing.
    NeedsApproval(Box<NeedsApproval>),
    /// The policy does not let the caller do this to this request.
    NotPermitted,
    /// The caller is the person behind the request.
    SelfApproval,
    /// The request was made by another run of the caller's workload.
    OtherRun,
    /// The caller has approved already.
    AlreadyApproved,
    /// The case is at a step where this cannot be done: its state's name.
    WrongState(&'static str),
    /// The digest is not the request's.
    DigestMismatch,
    /// The key was used for another wish.
    IdempotencyKeyReused,
    /// Too many open requests.
    TooManyOpenRequests,
    /// Too many live sessions, or sessions in all.
    TooManySessions,
    /// The journal cannot record now.
    Journal,
    /// The journal has room for ends only.
    StorageLow,
    /// The clock cannot be trusted.
    ClockBehind,
    /// AWS refused for good, with its code.
    AwsRefused(String),
    /// AWS did not answer, or asked to come back later, with its code.
    AwsUnavailable(String),
    /// The broker is going down.
    ShuttingDown,
}

/// The person behind a case's request, under a directory.
pub fn person_behind(directory: &Directory, case: &Case) -> Option<UserId> {
    directory
        .person_behind(&case.request().principal.id)
        .cloned()
}
