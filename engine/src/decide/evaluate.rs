//! One question to Cedar, with its errors never ignored.

use std::collections::BTreeMap;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, PolicyId, PolicySet, Request,
};

use crate::bundle::policies::PolicyFacts;

/// What the policies say to one question. The default is a no.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// A permit matched, no forbid did, and every forbid could be evaluated.
    pub(super) allowed: bool,
    /// The permits that matched, where it is allowed.
    pub(super) permits: Vec<PolicyId>,
    /// The forbids that matched.
    pub(super) forbids: Vec<PolicyId>,
    /// The forbids that could not be evaluated.
    pub(super) errored_forbids: Vec<PolicyId>,
    /// Every policy that could not be evaluated.
    pub(super) errored: Vec<PolicyId>,
}

/// Asks Cedar. It skips a policy that errs, a forbid included; here an erring forbid is a denial.
pub(super) fn evaluate(
    facts: &BTreeMap<PolicyId, PolicyFacts>,
    set: &PolicySet,
    entities: &Entities,
    request: &Request,
) -> Answer {
    let response = Authorizer::new().is_authorized(request, set, entities);
    let diagnostics = response.diagnostics();
    let errored: Vec<PolicyId> = diagnostics
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().clone())
        .collect();
    // A policy nothing is known of counts as a forbid.
    let forbids = |id: &PolicyId| facts.get(id).is_none_or(|facts| facts.forbids);
    let errored_forbids: Vec<PolicyId> = errored.iter().filter(|id| forbids(id)).cloned().collect();
    let reasons: Vec<PolicyId> = diagnostics.reason().cloned().collect();
    let (permits, forbids) = match response.decision() {
        Decision::Allow => (reasons, Vec::new()),
        Decision::Deny => (Vec::new(), reasons),
    };
    Answer {
        allowed: response.decision() == Decision::Allow && errored_forbids.is_empty(),
        permits,
        forbids,
        errored_forbids,
        errored,
    }
}
