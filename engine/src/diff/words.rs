//! What is given, in the words of a report.

use std::collections::{BTreeMap, BTreeSet};

use crate::approval::Kind;
use crate::decide::{Allowed, Decision, Step, Way};
use crate::principal::UserId;

/// How many ways one side of a finding names.
const WAYS_MAX: usize = 4;

/// How many people one side of a finding names for one kind of consent.
const PEOPLE_MAX: usize = 12;

/// What stands there where nothing is given.
pub(super) const NOTHING: &str = "not at all";

/// `with 1 manager (pat), up to 4h`.
pub(super) fn step(step: &Step, who: &BTreeMap<Kind, BTreeSet<UserId>>) -> String {
    let longest = step.longest;
    if step.needs.is_empty() {
        return format!("at once, up to {longest}");
    }
    let needs: Vec<String> = step
        .needs
        .iter()
        .map(|(kind, count)| format!("{count} {kind} ({})", people(who.get(kind))))
        .collect();
    let cannot = if step.feasible {
        ""
    } else {
        ", which nobody can give"
    };
    format!("with {}{cannot}, up to {longest}", needs.join(" and "))
}

/// Several ways, or nothing.
pub(super) fn steps<'s>(
    all: impl IntoIterator<Item = &'s Step>,
    who: impl Fn(&Step) -> BTreeMap<Kind, BTreeSet<UserId>>,
) -> String {
    let words: Vec<String> = all.into_iter().map(|it| step(it, &who(it))).collect();
    match words.len() {
        0 => NOTHING.to_owned(),
        count if count <= WAYS_MAX => words.join("; or "),
        count => {
            let shown: Vec<&str> = words.iter().take(WAYS_MAX).map(String::as_str).collect();
            format!(
                "{}; or in {} more ways",
                shown.join("; or "),
                count - WAYS_MAX
            )
        }
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
