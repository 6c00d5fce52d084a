//! The one question: may this be issued now, and if not, what would be enough?

use std::collections::{BTreeMap, BTreeSet};

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::case::{Case, State};
use crate::digest::Digest;
use crate::event::Verdict;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::request::{Request, RequestId};
use crate::scope::{AwsTarget, ScopeId};
use crate::window::{Duration, Moment, Window};

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
}

/// Proof that a request is allowed now. Made only by [`decide`]; neither stored nor sent.
#[derive(Debug)]
pub struct Grant {
    request: RequestId,
    request_digest: Digest,
    principal: PrincipalId,
    scope: ScopeId,
    aws: AwsTarget,
    window: Window,
    allowed: Allowed,
    bundle: Digest,
}

impl Grant {
    /// The request granted; also the grant's own id.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// The digest of the request granted.
    pub fn request_digest(&self) -> Digest {
        self.request_digest
    }

    /// To whom.
    pub fn principal(&self) -> &PrincipalId {
        &self.principal
    }

    /// For what.
    pub fn scope(&self) -> &ScopeId {
        &self.scope
    }

    /// What that is at AWS.
    pub fn aws(&self) -> &AwsTarget {
        &self.aws
    }

    /// When: the window already open, or the one that opens now.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Why.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// What the record says of this decision.
    pub fn into_verdict(self) -> Verdict {
        todo_verdict(&self)
    }
}

fn todo_verdict(grant: &Grant) -> Verdict {
    Verdict {
        bundle: grant.bundle,
        outcome: crate::event::Outcome::Granted,
        policies: grant
            .allowed
            .because
            .iter()
            .map(|policy| policy.id.clone())
            .collect(),
        approvals: grant.allowed.counted.clone(),
    }
}

/// What is missing, and who could give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsApproval {
    /// The approvals that count already, by kind.
    pub counted: BTreeMap<Kind, u32>,
    /// Every minimal way to satisfy the policy, the cheapest first; never empty.
    pub ways: Vec<Way>,
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
    /// Permits name this principal and scope, but conditions were not met.
    Unmet(Vec<Unmet>),
    /// No permit names this principal and scope.
    NoPolicy,
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

/// What someone could ask for: everything of a request but its place in the record.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Who would ask.
    pub principal: &'a Principal,
    /// What for.
    pub scope: &'a ScopeId,
    /// For how long.
    pub duration: Duration,
    /// Why.
    pub reason: &'a str,
    /// With which ticket.
    pub ticket: Option<&'a str>,
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
}

/// The longest window of an offer, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Longest {
    /// The longest window.
    pub duration: Duration,
    /// The approvals it needs; empty when none.
    pub ways: Vec<Way>,
}

/// May this case be issued now? The only maker of a [`Grant`].
pub fn decide(_bundle: &Bundle, case: &Case, now: Moment) -> Decision {
    Decision::Denied(Denied {
        why: Why::Ended(case.state(now)),
        nearest: None,
    })
}

/// The same question of a request nobody has made: a dry run, with no approvals given.
pub fn check(_bundle: &Bundle, _draft: &Draft<'_>, _now: Moment) -> Decision<Allowed> {
    Decision::Denied(Denied {
        why: Why::NoPolicy,
        nearest: None,
    })
}

/// As which kinds the policy lets `approver` consent to this request now; empty for the person behind the request.
pub fn kinds_permitted(
    _bundle: &Bundle,
    _case: &Case,
    _approver: &UserId,
    _now: Moment,
) -> BTreeSet<Kind> {
    BTreeSet::new()
}

/// Whether `viewer` may see this request: its requester and the person behind it, whoever the policy lets approve it, and
/// whoever the policy's `view` action names.
pub fn may_view(
    _bundle: &Bundle,
    _viewer: &Principal,
    _request: &Request,
    _reason: &str,
    _now: Moment,
) -> bool {
    false
}

/// What `principal` may ask for now: every scope that some permit's head gives them, by name. What is not listed does not
/// exist for them.
pub fn offers(_bundle: &Bundle, _principal: &Principal, _now: Moment) -> Vec<Offer> {
    Vec::new()
}

/// Whether a scope exists for `principal`: whether it would be in [`offers`].
pub fn may_see_scope(_bundle: &Bundle, _principal: &Principal, _scope: &ScopeId) -> bool {
    false
}
