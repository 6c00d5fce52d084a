//! Decisions in words, for whoever reads why a test failed.

use std::collections::BTreeMap;

use crate::approval::Kind;
use crate::decide::{Allowed, Decision, Denied, NeedsApproval, PolicyRef, Unmet, Way, Why};

/// The answer in two words.
pub(super) fn answer<G>(decision: &Decision<G>) -> &'static str {
    match decision {
        Decision::Granted(_) => "granted",
        Decision::NeedsApproval(_) => "needs approval",
        Decision::Denied(_) => "denied",
    }
}

/// Why, a line each.
pub(super) fn why<G: AsRef<Allowed>>(decision: &Decision<G>) -> Vec<String> {
    let mut lines = match decision {
        Decision::Granted(grant) => granted(grant.as_ref()),
        Decision::NeedsApproval(needs) => needs_approval(needs),
        Decision::Denied(denied) => self::denied(denied),
    };
    lines.extend(
        decision
            .alarms()
            .iter()
            .map(|policy| format!("{} could not be evaluated", place(policy))),
    );
    lines
}

/// `proddb.read.oncall (access.cedar:40)`
pub(super) fn place(policy: &PolicyRef) -> String {
    format!("{} ({}:{})", policy.id, policy.file, policy.line)
}

fn granted(allowed: &Allowed) -> Vec<String> {
    let mut lines: Vec<String> = allowed
        .because
        .iter()
        .map(|policy| format!("{} permits it", place(policy)))
        .collect();
    if !allowed.counted.is_empty() {
        lines.push(format!("counted: {}", counts(&allowed.counted)));
    }
    lines
}

fn needs_approval(needs: &NeedsApproval) -> Vec<String> {
    let mut lines: Vec<String> = needs.ways.iter().map(way).collect();
    if !needs.counted.is_empty() {
        lines.push(format!("counted already: {}", counts(&needs.counted)));
    }
    lines
}

/// `1 manager: pat; by proddb.read.engineer (access.cedar:62)`
fn way(way: &Way) -> String {
    let needs: Vec<String> = way
        .needs
        .iter()
        .map(|(kind, count)| {
            let who = way.who.get(kind).map(|eligible| {
                let mut people: Vec<&str> = eligible
                    .people
                    .iter()
                    .map(|person| person.as_str())
                    .collect();
                if eligible.more {
                    people.push("…");
                }
                match people.is_empty() {
                    true => ": nobody".to_owned(),
                    false => format!(": {}", people.join(", ")),
                }
            });
            format!("{count} {kind}{}", who.unwrap_or_default())
        })
        .collect();
    let because: Vec<String> = way.because.iter().map(place).collect();
    let nobody = match way.feasible {
        true => "",
        false => " (nobody can give this)",
    };
    format!(
        "needs {}{nobody}; by {}",
        needs.join(" and "),
        because.join(", ")
    )
}

fn counts(counts: &BTreeMap<Kind, u32>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    counts.join(", ")
}

fn denied(denied: &Denied) -> Vec<String> {
    let mut lines = match &denied.why {
        Why::Ended(state) => vec![format!("the request is {state}")],
        Why::Unknown => {
            vec!["the bundle knows no such principal or scope, or the token lacks a claim that the directory pins".to_owned()]
        }
        Why::Forbidden(forbids) => unmet("forbids it", forbids),
        Why::Errored(policies) => policies
            .iter()
            .map(|policy| format!("{} could not be evaluated", place(policy)))
            .collect(),
        Why::Unmet(permits) => unmet("is not met", permits),
        Why::NoPolicy => vec!["no permit names this principal and scope".to_owned()],
    };
    if let Some(nearest) = &denied.nearest {
        let ticket = match nearest.add_ticket {
            true => " with a ticket",
            false => "",
        };
        let ways: Vec<String> = nearest
            .ways
            .iter()
            .map(|way| {
                let needs = counts(&way.needs);
                format!(" and {needs}")
            })
            .collect();
        lines.push(format!(
            "nearest that would work: {}{ticket}{}",
            nearest.duration,
            ways.join(" or")
        ));
    }
    lines
}

fn unmet(verb: &str, policies: &[Unmet]) -> Vec<String> {
    let mut lines = Vec::new();
    for unmet in policies {
        lines.push(format!("{} {verb}", place(&unmet.policy)));
        for condition in &unmet.conditions {
            let values: Vec<String> = condition
                .values
                .iter()
                .map(|(path, value)| format!("{path} is {value}"))
                .collect();
            let values = match values.is_empty() {
                true => String::new(),
                false => format!("; {}", values.join(", ")),
            };
            lines.push(format!("  {}{values}", condition.text));
        }
    }
    lines
}
