//! A person's consent, bound to one request's digest.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::principal::UserId;
use crate::window::Moment;

/// Whose consent: `owner`, `manager`, `security`, or whatever the schema's `approve…` actions name.
///
/// `manager` belongs to the action `approveManager` and to `context.approvals.manager`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(String);

impl Kind {
    /// The kind of the action `approve<Kind>`, or `None` for any other action name.
    pub fn of_action(action: &str) -> Option<Kind> {
        let rest = action.strip_prefix("approve")?;
        let mut letters = rest.chars();
        let first = letters.next().filter(char::is_ascii_uppercase)?;
        Some(Kind(
            first.to_ascii_lowercase().to_string() + letters.as_str(),
        ))
    }

    /// The action that gives this kind of approval: `approveManager`.
    pub fn action(&self) -> String {
        let mut letters = self.0.chars();
        let first = letters
            .next()
            .map(|c| c.to_ascii_uppercase().to_string())
            .unwrap_or_default();
        format!("approve{first}{}", letters.as_str())
    }

    /// The kind's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One person's consent as the record holds it.
///
/// A fact, not a proof: whether it still counts is asked of the policy at each decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who consents.
    pub approver: UserId,
    /// Whose right they use, where somebody lent them theirs; `None` for their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<UserId>,
    /// The kinds the approver consented as; at each decision those the policy still permits count, one for a person.
    pub kinds: BTreeSet<Kind>,
    /// The digest of the request consented to, or of the extension of one.
    pub request_digest: Digest,
    /// When.
    pub approved_at: Moment,
}

impl Approval {
    /// The consent of `approver` to exactly what has this `digest`; refused to the `person` behind the request, also as
    /// the lender of the right that is used.
    ///
    /// `person` is who answers for the requesting principal: the user, or the owner of the workload.
    pub fn new(
        digest: Digest,
        person: &UserId,
        approver: UserId,
        on_behalf_of: Option<UserId>,
        kinds: BTreeSet<Kind>,
        now: Moment,
    ) -> Result<Approval, ApprovalError> {
        if approver == *person || on_behalf_of.as_ref() == Some(person) {
            return Err(ApprovalError::SelfApproval);
        }
        if kinds.is_empty() || on_behalf_of.as_ref() == Some(&approver) {
            return Err(ApprovalError::NotPermitted);
        }
        Ok(Approval {
            approver,
            on_behalf_of,
            kinds,
            request_digest: digest,
            approved_at: now,
        })
    }

    /// Whose consent this is: the approver, and who lent them the right. Each of them consents once.
    pub fn people(&self) -> impl Iterator<Item = &UserId> {
        std::iter::once(&self.approver).chain(&self.on_behalf_of)
    }
}

/// Why a consent was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// The approver is the requester, or the owner of the requesting workload.
    #[error("nobody approves their own request, whichever identity they use")]
    SelfApproval,
    /// The policy lets this person give no kind of approval to this request.
    #[error("the policy does not let you approve this request")]
    NotPermitted,
}
