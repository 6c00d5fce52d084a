//! A delegation: an approver lends their right to approve for a while.
//!
//! The right stays the lender's: the policy is asked whether the *lender* may approve, told who acts, and it must let this
//! pair delegate at all. The delegate's own rights are not touched.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Commitment;
use crate::principal::UserId;
use crate::request::{NotARequestId, RequestId};
use crate::window::Moment;

/// The longest a right is lent at once, in seconds: 31 days, a long holiday. Whoever is away longer needs a successor.
pub const DELEGATION_MAX_S: u32 = 31 * 86_400;

/// A delegation's name: made and written as a request's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DelegationId(RequestId);

impl DelegationId {
    /// The id made at `now` with 80 random bits from the shell.
    pub fn new(now: Moment, random: [u8; 10]) -> DelegationId {
        DelegationId(RequestId::new(now, random))
    }

    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for DelegationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for DelegationId {
    type Err = NotARequestId;

    fn from_str(text: &str) -> Result<DelegationId, NotARequestId> {
        text.parse().map(DelegationId)
    }
}

/// Who lends the right to approve to whom, from when to when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The broker's name for it.
    pub id: DelegationId,
    /// Whose right it is.
    pub lender: UserId,
    /// Who may use it.
    pub delegate: UserId,
    /// From when.
    pub opens_at: Moment,
    /// The first moment at which it is no longer lent.
    pub closes_at: Moment,
    /// Why.
    pub reason: Commitment,
}

impl Delegation {
    /// Whether the right is lent at `now`, as long as the lender has not taken it back.
    pub fn contains(&self, now: Moment) -> bool {
        self.opens_at <= now && now < self.closes_at
    }
}
