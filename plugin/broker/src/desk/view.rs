//! What the desk takes and answers.

use std::collections::BTreeSet;

use writ_engine::bundle::directory::Directory;
use writ_engine::decide::{Allowed, Denied, NeedsApproval};
use writ_engine::digest::Digest;
use writ_engine::notice::AskedNext;
use writ_engine::{Case, Decision, Duration, Moment, PrincipalId, RequestId, UserId};
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
    /// Whether as an emergency.
    pub break_glass: bool,
}

/// A consent, checked field by field.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// As which kinds; none means every one that the policy permits.
    pub kinds: Vec<String>,
    /// What the approver looked at, if they say so.
    pub digest: Option<Digest>,
    /// To a shorter window than was asked for.
    pub shorter: Option<Duration>,
    /// By whose right, where it is lent.
    pub on_behalf_of: Option<String>,
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
    /// What the policy in force says of what waits to be decided: the request, or a longer window of it.
    pub decision: Option<Decision<Allowed>>,
    /// Who ended it for somebody else, and why (the text is `None` once erased).
    pub revoked: Option<(PrincipalId, Option<String>)>,
    /// What the post-review found, unless it was erased.
    pub finding: Option<String>,
    /// Who is told of an emergency, by name.
    pub announced_to: BTreeSet<UserId>,
    /// Whether they were; `None` for what is no emergency.
    pub announced: Option<Announced>,
    /// When people are next told of something by the clock alone: that it escalates, or that a review is late.
    pub notice_at: Option<Moment>,
    /// What becomes of the sessions at AWS after an early end.
    pub revocation: Option<RevocationView>,
    /// Whom the scope asks next, once nobody has decided for a while.
    pub escalation: Option<AskedNext>,
}

/// How far an early end has come at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationView {
    /// How far.
    pub step: RevocationStep,
    /// When it was put on record.
    pub requested_at: Moment,
    /// When IAM had taken it on every role.
    pub written_at: Option<Moment>,
    /// When IAM was seen to deny on every role.
    pub verified_at: Option<Moment>,
    /// When the sessions end by themselves in any case.
    pub sessions_end_at: Moment,
    /// AWS's last answer, where it was no yes.
    pub answer: Option<String>,
}

/// The steps of an early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationStep {
    /// On record, and not yet with IAM.
    Requested,
    /// IAM took it.
    Written,
    /// IAM was asked again, and denies.
    Verified,
    /// The sessions have ended by themselves.
    Ended,
    /// The broker has no identity to revoke with.
    NotPossible,
}

/// Whether the people whom an emergency is announced to were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// The receiver of notices took it.
    At(Moment),
    /// Not yet.
    Waiting,
    /// The broker has no receiver of notices: they learn of it when they look.
    NotPossible,
}

/// Which of the visible cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Made by the caller.
    Mine,
    /// Undecided, and the caller may approve them.
    ToApprove,
    /// Emergencies that owe a post-review which the caller may close.
    ToReview,
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
    /// The policy does not let the caller do this.
    NotPermitted(Act),
    /// The caller is the person behind the request, and wants to consent to it.
    SelfApproval,
    /// The caller is the person behind the emergency, and wants to close its post-review.
    SelfReview,
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
    /// The window was asked to be longer as often as it may be.
    TooManyExtensions,
    /// The caller has lent their right as often as they may.
    TooManyDelegations,
    /// No post-review is owed.
    NothingToReview,
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

/// What a caller is not permitted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// To consent to a request, or to say no.
    Approve,
    /// To go on with somebody else's request, or to give it back.
    GoOn,
    /// To lend the right to approve.
    Lend,
    /// To close a post-review.
    Review,
    /// To end what somebody has.
    Revoke,
}

/// The person behind a case's request, under a directory.
pub fn person_behind(directory: &Directory, case: &Case) -> Option<UserId> {
    directory
        .person_behind(&case.request().principal.id)
        .cloned()
}
