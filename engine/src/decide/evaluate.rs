//! One question to Cedar, with its errors never ignored.

use std::collections::BTreeMap;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, PolicyId, PolicySet, Request,
};

use crate::bundle::policies::{ConditionFacts, PolicyFacts};

/// What the policies say to one question. The default is a no.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// A permit matched, no forbid did, and every forbid could be evaluated.
    pub(super) allowed: bool,
    /// The permits that matched, unless a forbid did.
    pub(super) permits: Vec<PolicyId>,
    /// The forbids that matched.
    pub(super) forbids: Vec<PolicyId>,
    /// The forbids that could not be evaluated.
    pub(super) errored_forbids: Vec<PolicyId>,
    /// Every policy that could not be evaluated.
    pub(super) errored: Vec<PolicyId>,
}

/// Asks Cedar about `sets` as if they were one. It skips a policy that errs, a forbid included; here an erring forbid is a
/// denial.
pub(super) fn evaluate<'s>(
    facts: &BTreeMap<PolicyId, PolicyFacts>,
    sets: impl IntoIterator<Item = &'s PolicySet>,
    entities: &Entities,
    request: &Request,
) -> Answer {
    let authorizer = Authorizer::new();
    let mut all = Answer::default();
    for set in sets {
        let response = authorizer.is_authorized(request, set, entities);
        let reasons = response.diagnostics().reason().cloned();
        match response.decision() {
            Decision::Allow => all.permits.extend(reasons),
            // The reasons of a denial are its forbids; where none matched there is no reason.
            Decision::Deny => all.forbids.extend(reasons),
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            let id = error.policy_id();
            // A policy nothing is known of counts as a forbid.
            if facts.get(id).is_none_or(|facts| facts.forbids) {
                all.errored_forbids.push(id.clone());
            }
            all.errored.push(id.clone());
        }
    }
    if !all.forbids.is_empty() {
        all.permits.clear();
    }
    all.allowed =
        !all.permits.is_empty() && all.forbids.is_empty() && all.errored_forbids.is_empty();
    all
}

/// Whether a condition is met, by itself. `None` for one that makes no sense so: `context.ticket like "…"` where there is no
/// ticket.
pub(super) fn holds(
    condition: &ConditionFacts,
    entities: &Entities,
    request: &Request,
) -> Option<bool> {
    let alone = condition.alone()?;
    let answer = evaluate(&BTreeMap::new(), [&alone], entities, request);
    answer.errored.is_empty().then_some(answer.allowed)
}
