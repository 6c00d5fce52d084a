//! Events: what happened, one fact each, in canonical bytes.
//!
//! The bytes are JSON with the fields in the order below, no white space and no floats. They are what the journal's leaves
//! hash, so the order of fields and the names of variants are a format: add, never rename or reorder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::approval::{Approval, Kind};
use crate::delegation::{Delegation, DelegationId};
use crate::digest::{CommitId, Commitment, Digest};
use crate::notice::Notice;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::request::{Extension, Request, RequestId};
use crate::scope::{RoleArn, ScopeId};
use crate::window::{Duration, Moment, Window};

/// The canonical bytes of a fact.
///
/// Serialising our plain types to memory cannot fail; were it ever to, the empty answer matches no stored bytes and the
/// fact is refused on reading.
pub fn canonical<T: Serialize>(fact: &T) -> Vec<u8> {
    serde_json::to_vec(fact).unwrap_or_default()
}

/// One event of the journal: when, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, by the broker's clock.
    pub at: Moment,
    /// What.
    pub fact: Fact,
}

impl Event {
    /// Reads canonical bytes; refuses any others, so that one fact has one encoding.
    pub fn from_canonical(bytes: &[u8]) -> Result<Event, NotCanonical> {
        let event: Event =
            serde_json::from_slice(bytes).map_err(|error| NotCanonical(error.to_string()))?;
        if canonical(&event) == bytes {
            Ok(event)
        } else {
            Err(NotCanonical(
                "the bytes are not in canonical form".to_owned(),
            ))
        }
    }
}

/// Bytes that are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event: {0}")]
pub struct NotCanonical(String);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// A bundle came into force.
    ///
    /// Of one from a branch of a git repository, the commit is the one that its files were read from, out of git's objects;
    /// the newest of these is what the branch must descend from. One from a folder names none: files in a work tree need not
    /// be those of its `HEAD`, and a commit is found by the digest (`policies/README.md`).
    BundleLoaded {
        /// Its digest.
        bundle: Digest,
        /// The commit that it was read from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<CommitId>,
    },
    /// Someone asked, and the policy did not say no.
    Requested {
        /// What for.
        request: Request,
        /// The requester's own key against doubles, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idempotency_key: Option<String>,
        /// The run it belongs to, if one was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// How long it outlives its requester's last word, in seconds; `None` for always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep_for_s: Option<u32>,
        /// What the policy said then.
        verdict: Verdict,
    },
    /// Someone asked for what the policy gives them in no way.
    Refused {
        /// Who.
        principal: Principal,
        /// What for.
        scope: ScopeId,
        /// For how long.
        duration: Duration,
        /// Why they asked.
        reason: Commitment,
        /// The ticket they named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
        /// Whether they asked for it as an emergency.
        #[serde(default, skip_serializing_if = "is_false")]
        break_glass: bool,
        /// What the policy said.
        verdict: Verdict,
    },
    /// A person consented.
    Approved {
        /// To which request.
        request: RequestId,
        /// Who, as what, to which digest.
        approval: Approval,
        /// The shorter window they consented to, where they gave less than was asked: from now the request is for this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        narrowed_to: Option<Duration>,
        /// What the policy said with this approval counted.
        verdict: Verdict,
    },
    /// The requester asked for a longer window, and the policy did not say no.
    ExtensionRequested {
        /// Of which request.
        request: RequestId,
        /// What for.
        extension: Extension,
        /// What the policy said then.
        verdict: Verdict,
    },
    /// A person said no to a longer window; the window there is goes on.
    ExtensionDenied {
        /// Of which request.
        request: RequestId,
        /// The extension's digest.
        extension: Digest,
        /// Who.
        approver: UserId,
        /// As what.
        kinds: Vec<Kind>,
        /// Why.
        reason: Commitment,
    },
    /// A person said no.
    Denied {
        /// To which request.
        request: RequestId,
        /// Who.
        approver: UserId,
        /// As what.
        kinds: Vec<Kind>,
        /// Why.
        reason: Commitment,
    },
    /// From now the request outlives its requester's last word by another time than before.
    Kept {
        /// Which.
        request: RequestId,
        /// By how long, in seconds.
        keep_for_s: u32,
    },
    /// The requester took the request back before it was active.
    Withdrawn {
        /// Which.
        request: RequestId,
        /// Whether by having said nothing for too long.
        #[serde(default, skip_serializing_if = "is_false")]
        unheard: bool,
    },
    /// A session is about to be asked of STS. The first one of a request opens its window.
    IssueIntended {
        /// For which request; also the grant's id.
        request: RequestId,
        /// The session's number within the grant, from 1.
        session: u32,
        /// The digest of the request that was decided.
        request_digest: Digest,
        /// The grant's window.
        window: Window,
        /// The role to be assumed.
        role_arn: RoleArn,
        /// The length asked of STS, in seconds.
        duration_s: u32,
        /// The digest of the session policy sent.
        session_policy: Digest,
        /// Whether the session may assume further roles, whose sessions outlive it.
        #[serde(default, skip_serializing_if = "is_false")]
        chains: bool,
        /// What the policy said.
        verdict: Verdict,
    },
    /// STS gave a session.
    Issued {
        /// For which request.
        request: RequestId,
        /// Which session.
        session: u32,
        /// The session's access key id: a name, not a secret; CloudTrail shows the same.
        access_key_id: String,
        /// When the session expires, as AWS states it.
        expires_at: Moment,
    },
    /// STS certainly gave no session.
    IssueFailed {
        /// For which request.
        request: RequestId,
        /// Which session.
        session: u32,
        /// AWS's error code, or ours.
        code: String,
    },
    /// Nobody knows whether STS gave a session: a lost reply, or a crash in between. It counts as given.
    IssueUnknown {
        /// For which request.
        request: RequestId,
        /// Which session.
        session: u32,
    },
    /// The requester gave the rest of the window back.
    Released {
        /// Which request.
        request: RequestId,
        /// Whether by having said nothing for too long.
        #[serde(default, skip_serializing_if = "is_false")]
        unheard: bool,
    },
    /// Someone other than the requester ended the request.
    Revoked {
        /// Which.
        request: RequestId,
        /// Who.
        by: PrincipalId,
        /// Why.
        reason: Commitment,
    },
    /// A person closed the post-review of an emergency.
    Reviewed {
        /// Of which request.
        request: RequestId,
        /// Who.
        reviewer: UserId,
        /// What they found.
        finding: Commitment,
    },
    /// The receiver of notices took one: from now these people count as told.
    Notified {
        /// Of which request.
        request: RequestId,
        /// Of what.
        notice: Notice,
        /// Whom it named.
        people: Vec<UserId>,
    },
    /// IAM took the policy that denies a role's ended grants, or its removal.
    RevocationWritten {
        /// On which role.
        role_arn: RoleArn,
        /// The digest of the whole policy; `None` when it was removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Digest>,
        /// The grants that it denies and that the one before it did not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grants: Vec<RequestId>,
        /// Where there was no room to name each grant: every session of the role made before this moment is denied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        all_before: Option<Moment>,
    },
    /// AWS answered that the policy written is the one in force, and that it denies.
    RevocationVerified {
        /// On which role.
        role_arn: RoleArn,
        /// The digest of the policy found.
        policy: Digest,
    },
    /// A person lent another their right to approve.
    Delegated {
        /// Who, to whom, from when to when.
        delegation: Delegation,
    },
    /// The lender took the right back before its time.
    DelegationEnded {
        /// Which.
        delegation: DelegationId,
    },
}

impl Fact {
    /// The request a fact is about, if it is about one.
    pub fn request(&self) -> Option<&RequestId> {
        match self {
            Fact::BundleLoaded { .. }
            | Fact::Refused { .. }
            | Fact::RevocationWritten { .. }
            | Fact::RevocationVerified { .. }
            | Fact::Delegated { .. }
            | Fact::DelegationEnded { .. } => None,
            Fact::Requested { request, .. } => Some(&request.id),
            Fact::Approved { request, .. }
            | Fact::ExtensionRequested { request, .. }
            | Fact::ExtensionDenied { request, .. }
            | Fact::Denied { request, .. }
            | Fact::Kept { request, .. }
            | Fact::Withdrawn { request, .. }
            | Fact::IssueIntended { request, .. }
            | Fact::Issued { request, .. }
            | Fact::IssueFailed { request, .. }
            | Fact::IssueUnknown { request, .. }
            | Fact::Released { request, .. }
            | Fact::Revoked { request, .. }
            | Fact::Reviewed { request, .. }
            | Fact::Notified { request, .. } => Some(request),
        }
    }

    /// The fact's name, as the journal and the CLI show it.
    pub fn name(&self) -> &'static str {
        match self {
            Fact::BundleLoaded { .. } => "bundle_loaded",
            Fact::Requested { .. } => "requested",
            Fact::Refused { .. } => "refused",
            Fact::Approved { .. } => "approved",
            Fact::ExtensionRequested { .. } => "extension_requested",
            Fact::ExtensionDenied { .. } => "extension_denied",
            Fact::Denied { .. } => "denied",
            Fact::Kept { .. } => "kept",
            Fact::Withdrawn { .. } => "withdrawn",
            Fact::IssueIntended { .. } => "issue_intended",
            Fact::Issued { .. } => "issued",
            Fact::IssueFailed { .. } => "issue_failed",
            Fact::IssueUnknown { .. } => "issue_unknown",
            Fact::Released { .. } => "released",
            Fact::Revoked { .. } => "revoked",
            Fact::Reviewed { .. } => "reviewed",
            Fact::Notified { .. } => "notified",
            Fact::RevocationWritten { .. } => "revocation_written",
            Fact::RevocationVerified { .. } => "revocation_verified",
            Fact::Delegated { .. } => "delegated",
            Fact::DelegationEnded { .. } => "delegation_ended",
        }
    }
}

// The shape serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What the policy said at one moment: for the record only, never asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Under which bundle.
    pub bundle: Digest,
    /// The answer.
    pub outcome: Outcome,
    /// The `@id`s of the policies that determined it.
    pub policies: Vec<String>,
    /// How many distinct people's approvals were counted, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<Kind, u32>,
}

/// The three answers of [`crate::decide()`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Allowed as it stands.
    Granted,
    /// Allowed once people consent.
    NeedsApproval,
    /// Not allowed in any way.
    Denied,
}
