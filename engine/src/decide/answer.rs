//! The answers: granted, needs approval, or denied, each with what a person needs to act on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::case::State;
use crate::digest::Digest;
use crate::event::{Outcome, Verdict};
use crate::principal::UserId;
use crate::scope::ScopeId;
use crate::window::Duration;

use super::Grant;

/// The answer to a request. `G` is the proof a real case gets ([`Grant`]); a dry run gets only [`Allowed`].
#[derive(Debug)]
#[must_use]
pub enum Decision<G = Grant> {
    /// Allowed as it stands.
    Granted(G),
    /// Allowed once people consent.
    NeedsApproval(NeedsApproval),
    /// Not allowed in any way.
    Denied(Denied),
}

impl<G> Decision<G> {
    /// The proof, or nothing.
    pub fn granted(self) -> Option<G> {
        match self {
            Decision::Granted(grant) => Some(grant),
            Decision::NeedsApproval(_) | Decision::Denied(_) => None,
        }
    }
}

impl Decision {
    /// The same without the proof, for whoever only explains it.
    pub fn explained(self) -> Decision<Allowed> {
        match self {
            Decision::Granted(grant) => Decision::Granted(grant.allowed().clone()),
            Decision::NeedsApproval(needs) => Decision::NeedsApproval(needs),
            Decision::Denied(denied) => Decision::Denied(denied),
        }
    }
}

impl<G: AsRef<Allowed>> Decision<G> {
    /// What the record says of this decision, made under `bundle`.
    pub fn verdict(&self, bundle: &Bundle) -> Verdict {
        let (outcome, policies, approvals) = match self {
            Decision::Granted(grant) => return grant.as_ref().verdict(bundle.digest()),
            Decision::NeedsApproval(needs) => {
                let because = needs.ways.iter().flat_map(|way| &way.because);
                (Outcome::NeedsApproval, ids(because), needs.counted.clone())
            }
            Decision::Denied(denied) => {
                (Outcome::Denied, ids(denied.why.policies()), BTreeMap::new())
            }
        };
        Verdict {
            bundle: bundle.digest(),
            outcome,
            policies,
            approvals,
        }
    }

    /// Policies that could not be evaluated on the way to this answer. They gave nobody anything, and their owners want
    /// to know.
    pub fn alarms(&self) -> &[PolicyRef] {
        match self {
            Decision::Granted(grant) => &grant.as_ref().alarms,
            Decision::NeedsApproval(needs) => &needs.alarms,
            Decision::Denied(denied) => &denied.alarms,
        }
    }
}

fn ids<'a>(policies: impl IntoIterator<Item = &'a PolicyRef>) -> Vec<String> {
    let distinct: BTreeSet<&PolicyRef> = policies.into_iter().collect();
    distinct
        .into_iter()
        .map(|policy| policy.id.clone())
        .collect()
}

/// Where a policy stands: `policies/access.cedar:12`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Its `@id`.
    pub id: String,
    /// The file within the bundle.
    pub file: String,
    /// The line it starts on, from 1.
    pub line: usize,
}

/// What allowed a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The permits that determined it.
    pub because: Vec<PolicyRef>,
    /// The approvals counted, by kind.
    pub counted: BTreeMap<Kind, u32>,
    /// Permits that could not be evaluated and counted for nothing.
    pub alarms: Vec<PolicyRef>,
}

impl Allowed {
    /// Both this and `other` were asked for, and allowed.
    pub(super) fn and(&mut self, other: Allowed) {
        self.because.extend(other.because);
        self.alarms.extend(other.alarms);
    }

    pub(super) fn verdict(&self, bundle: Digest) -> Verdict {
        Verdict {
            bundle,
            outcome: Outcome::Granted,
            policies: ids(&self.because),
            approvals: self.counted.clone(),
        }
    }
}

impl AsRef<Allowed> for Allowed {
    fn as_ref(&self) -> &Allowed {
        self
    }
}

/// What is missing, and who could give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsApproval {
    /// The approvals that count already, by kind.
    pub counted: BTreeMap<Kind, u32>,
    /// Every minimal way to satisfy the policy, the cheapest first; never empty.
    pub ways: Vec<Way>,
    /// Policies that could not be evaluated.
    pub alarms: Vec<PolicyRef>,
}

/// One minimal set of approvals that would be enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// How many distinct people of each kind are needed in all, the ones counted already included.
    pub needs: BTreeMap<Kind, u32>,
    /// For each kind still short: who could give it, besides those who have approved.
    pub who: BTreeMap<Kind, Eligible>,
    /// Whether enough distinct people exist; `false` is shown as "nobody can".
    pub feasible: bool,
    /// The permits that would then allow it.
    pub because: Vec<PolicyRef>,
}

/// Who could give one kind of approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// The first [`PEOPLE_MAX`] of them, by name.
    pub people: BTreeSet<UserId>,
    /// Whether there are more.
    pub more: bool,
}

/// How many people an answer names for one kind; a longer list helps nobody choose.
pub const PEOPLE_MAX: usize = 50;

/// Why not, and what would be allowed instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The reason.
    pub why: Why,
    /// The nearest request that would be allowed.
    pub nearest: Option<Nearest>,
    /// Policies that could not be evaluated, those of [`Why::Errored`] included.
    pub alarms: Vec<PolicyRef>,
}

impl Denied {
    pub(super) fn because(why: Why) -> Denied {
        Denied {
            why,
            nearest: None,
            alarms: Vec::new(),
        }
    }
}

/// The reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The case has ended, or its claims are not those it was made with.
    Ended(State),
    /// The bundle in force has no such scope, or no such principal.
    Unknown,
    /// Guardrails forbid it, with what each said.
    Forbidden(Vec<Unmet>),
    /// A forbid could not be evaluated. Nobody gets in; an alarm for the bundle's owners.
    Errored(Vec<PolicyRef>),
    /// Permits name this principal and scope, but conditions were not met; the permit that came closest first.
    Unmet(Vec<Unmet>),
    /// No permit names this principal and scope.
    NoPolicy,
}

impl Why {
    fn policies(&self) -> Vec<&PolicyRef> {
        match self {
            Why::Ended(_) | Why::Unknown | Why::NoPolicy => Vec::new(),
            Why::Forbidden(policies) | Why::Unmet(policies) => {
                policies.iter().map(|unmet| &unmet.policy).collect()
            }
            Why::Errored(policies) => policies.iter().collect(),
        }
    }
}

/// A policy, and the conditions of it that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Which policy.
    pub policy: PolicyRef,
    /// Its `@advice` annotation: what the bundle's authors tell a person who is stopped here.
    pub advice: Option<String>,
    /// For a permit, the conditions that were not met; for a forbid, those that were.
    pub conditions: Vec<Condition>,
}

/// One condition as the policy writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// In Cedar: `principal.ref == "refs/heads/main"`.
    pub text: String,
    /// The values of the paths it reads, where they have one: `principal.ref` → `"refs/heads/x"`.
    pub values: BTreeMap<String, String>,
}

/// The nearest request that would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// For how long.
    pub duration: Duration,
    /// Whether a ticket must be added to it.
    pub add_ticket: bool,
    /// What approvals it would then need; empty when none.
    pub ways: Vec<Way>,
}

/// What a principal may ask for in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which scope.
    pub scope: ScopeId,
    /// The longest window with no ticket, and what it needs; `None` when a ticket is a must or nothing is possible now.
    pub without_ticket: Option<Longest>,
    /// The longest window with a ticket, where a ticket makes a difference.
    pub with_ticket: Option<Longest>,
    /// The longest window in an emergency, for whoever owes no post-review; `None` where there is no such way in.
    pub break_glass: Option<Longest>,
}

/// The longest window of an offer, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Longest {
    /// The longest window.
    pub duration: Duration,
    /// The approvals it needs; empty when none.
    pub ways: Vec<Way>,
}
