//! What is given, in the words of a report.

use std::collections::BTreeSet;

use crate::approval::Kind;
use crate::decide::{Allowed, Decision, Step, Way};
use crate::principal::UserId;

/// How many ways one side of a finding names.
const WAYS_MAX: usize = 4;

/// How many people one side of a finding names for one kind of consent.
const PEOPLE_MAX: usize = 12;

/// What stands there where nothing is given.
pub(super) const NOTHING: &str = "not at all";

/// Several ways with the people who could consent, or nothing: `with 1 manager (pat), up to 4h`.
pub(super) fn steps(all: &[Step]) -> String {
    joined(all, |step, kind| {
        format!(" ({})", people(step.who.get(kind)))
    })
}

/// The same without people, which is what those have in common who differ only in them.
pub(super) fn shape(all: &[Step]) -> String {
    joined(all, |_, _| String::new())
}

fn joined(all: &[Step], who: impl Fn(&Step, &Kind) -> String) -> String {
    let words = |step: &Step| {
        let longest = step.longest;
        if step.needs.is_empty() {
            return format!("at once, up to {longest}");
        }
        let needs = step.needs.iter();
        let needs: Vec<String> = needs
            .map(|(kind, count)| format!("{count} {kind}{}", who(step, kind)))
            .collect();
        let cannot = if step.feasible {
            ""
        } else {
            ", which nobody can give"
        };
        format!("with {}{cannot}, up to {longest}", needs.join(" and "))
    };
    let shown: Vec<String> = all.iter().take(WAYS_MAX).map(words).collect();
    match all.len().saturating_sub(WAYS_MAX) {
        _ if all.is_empty() => NOTHING.to_owned(),
        0 => shown.join("; or "),
        more => format!("{}; or in {more} more ways", shown.join("; or ")),
    }
}

fn people(who: Option<&BTreeSet<UserId>>) -> String {
    let Some(who) = who.filter(|who| !who.is_empty()) else {
        return "nobody".to_owned();
    };
    let shown: Vec<&str> = who.iter().take(PEOPLE_MAX).map(UserId::as_str).collect();
    match who.len().saturating_sub(PEOPLE_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A decision, as the example of a finding tells it: `needs 1 manager: pat`.
pub(super) fn decision(decision: &Decision<Allowed>) -> String {
    match decision {
        Decision::Granted(_) => "granted".to_owned(),
        Decision::NeedsApproval(needs) => {
            let ways: Vec<String> = needs.ways.iter().map(way).collect();
            format!("needs {}", ways.join(", or "))
        }
        Decision::Denied(_) => "denied".to_owned(),
    }
}

fn way(way: &Way) -> String {
    let needs: Vec<String> = way
        .needs
        .iter()
        .map(|(kind, count)| {
            let who = way.who.get(kind);
            let more = if who.is_some_and(|who| who.more) {
                " and more"
            } else {
                ""
            };
            let named = people(who.map(|who| &who.people));
            format!("{count} {kind} ({named}{more})")
        })
        .collect();
    let cannot = if way.feasible {
        ""
    } else {
        ", which nobody can give"
    };
    format!("{}{cannot}", needs.join(" and "))
}
