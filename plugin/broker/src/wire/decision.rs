//! Decisions, their explanations, and offers, as they travel.

use std::collections::BTreeMap;

use writ_api::v1;
use writ_engine::decide::{
    Allowed, Denied, Longest, Nearest, NeedsApproval, Offer, PolicyRef, Unmet, Way, Why,
};
use writ_engine::{Decision, Kind, Scope};

use super::span;

/// What the policy says of a request.
pub fn decision(decision: &Decision<Allowed>) -> v1::Decision {
    use v1::decision::Outcome;
    let outcome = match decision {
        Decision::Granted(given) => Outcome::Allowed(allowed(given)),
        Decision::NeedsApproval(needs) => Outcome::NeedsApproval(needs_approval(needs)),
        Decision::Denied(denied) => Outcome::Denial(denial(denied)),
    };
    v1::Decision {
        outcome: Some(outcome),
    }
}

fn allowed(given: &Allowed) -> v1::Allowed {
    v1::Allowed {
        because: policies(&given.because),
        counted: counts(&given.counted),
    }
}

/// What is missing, and who could give it.
pub(super) fn needs_approval(needs: &NeedsApproval) -> v1::NeedsApproval {
    v1::NeedsApproval {
        counted: counts(&needs.counted),
        ways: ways(&needs.ways),
    }
}

/// Why not, and what would be allowed instead.
pub(super) fn denial(denied: &Denied) -> v1::Denial {
    use v1::denial::Why as Wire;
    let (why, findings) = match &denied.why {
        Why::Ended(_) => (Wire::Ended, Vec::new()),
        Why::Unknown => (Wire::Unknown, Vec::new()),
        Why::Forbidden(unmet) => (Wire::Forbidden, unmet.iter().map(finding).collect()),
        Why::Errored(policies) => (
            Wire::Errored,
            policies
                .iter()
                .map(|place| v1::PolicyFinding {
                    policy: Some(policy(place)),
                    ..v1::PolicyFinding::default()
                })
                .collect(),
        ),
        Why::Unmet(unmet) => (Wire::Unmet, unmet.iter().map(finding).collect()),
        Why::NoPolicy => (Wire::NoPolicy, Vec::new()),
    };
    v1::Denial {
        why: i32::from(why),
        findings,
        nearest: denied.nearest.as_ref().map(nearest),
    }
}

fn finding(unmet: &Unmet) -> v1::PolicyFinding {
    v1::PolicyFinding {
        policy: Some(policy(&unmet.policy)),
        advice: unmet.advice.clone().unwrap_or_default(),
        conditions: unmet
            .conditions
            .iter()
            .map(|condition| v1::Condition {
                text: condition.text.clone(),
                values: condition.values.clone().into_iter().collect(),
            })
            .collect(),
    }
}

fn nearest(nearest: &Nearest) -> v1::Nearest {
    v1::Nearest {
        duration: Some(span(nearest.duration)),
        add_ticket: nearest.add_ticket,
        ways: ways(&nearest.ways),
    }
}

fn ways(ways: &[Way]) -> Vec<v1::Way> {
    ways.iter()
        .map(|way| v1::Way {
            needs: way
                .needs
                .iter()
                .map(|(kind, count)| need(kind, *count, way))
                .collect(),
            feasible: way.feasible,
            because: policies(&way.because),
        })
        .collect()
}

fn need(kind: &Kind, count: u32, way: &Way) -> v1::Need {
    let who = way.who.get(kind);
    v1::Need {
        kind: kind.to_string(),
        count,
        people: who
            .map(|who| who.people.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        more: who.is_some_and(|who| who.more),
    }
}

fn counts(counts: &BTreeMap<Kind, u32>) -> std::collections::HashMap<String, u32> {
    counts
        .iter()
        .map(|(kind, count)| (kind.to_string(), *count))
        .collect()
}

fn policies(places: &[PolicyRef]) -> Vec<v1::PolicyRef> {
    places.iter().map(policy).collect()
}

fn policy(place: &PolicyRef) -> v1::PolicyRef {
    v1::PolicyRef {
        id: place.id.clone(),
        file: place.file.clone(),
        line: u32::try_from(place.line).unwrap_or(u32::MAX),
    }
}

/// A scope, and what the caller may have of it.
pub(crate) fn offer(scope: &Scope, offer: &Offer) -> v1::Scope {
    let longest = |longest: &Longest| v1::Longest {
        duration: Some(span(longest.duration)),
        ways: ways(&longest.ways),
    };
    v1::Scope {
        name: scope.id.to_string(),
        description: scope.description.clone(),
        system: scope.system.clone(),
        environment: scope.environment.clone(),
        owners: scope.owners.clone(),
        without_ticket: offer.without_ticket.as_ref().map(longest),
        with_ticket: offer.with_ticket.as_ref().map(longest),
        break_glass: offer.break_glass.as_ref().map(longest),
    }
}
