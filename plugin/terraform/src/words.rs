//! What the broker says, in words: who is missing, why not, where a request stands.

use std::collections::{BTreeMap, BTreeSet};

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::denial::Why;
use writ_api::v1::request::State;
pub(crate) use writ_api::words::{escape, escape_lines};
use writ_api::words::{way, why};

use crate::duration::Length;

/// Characters of an id that people say to each other.
const SHORT_ID: usize = 4;

/// The end of an id, as `writ` takes it.
pub(crate) fn short(id: &str) -> String {
    let skip = id.chars().count().saturating_sub(SHORT_ID);
    escape(&id.chars().skip(skip).collect::<String>())
}

/// RFC 3339 in UTC, to the second; `?` for what is no moment.
pub(crate) fn moment(timestamp: Option<&prost_types::Timestamp>) -> String {
    timestamp.map_or_else(
        || "?".to_owned(),
        |timestamp| {
            prost_types::Timestamp {
                seconds: timestamp.seconds,
                nanos: 0,
            }
            .to_string()
        },
    )
}

/// A window's length from the wire.
pub(crate) fn length(duration: Option<&prost_types::Duration>) -> String {
    Length::of_wire(duration).map_or_else(|| "?".to_owned(), |length| length.to_string())
}

/// The ways that somebody can give, or, where nobody can, all of them.
pub(crate) fn ways(ways: &[v1::Way]) -> Vec<String> {
    let feasible: Vec<_> = ways.iter().filter(|it| it.feasible).map(way).collect();
    match feasible.is_empty() {
        true => ways.iter().map(way).collect(),
        false => feasible,
    }
}

/// Everyone who could give one of them, by name.
pub(crate) fn people(ways: &[v1::Way]) -> BTreeSet<&str> {
    ways.iter()
        .filter(|way| way.feasible)
        .flat_map(|way| &way.needs)
        .flat_map(|need| &need.people)
        .map(String::as_str)
        .collect()
}

/// A policy and its place: `access.cedar:17 payments.deploy.ci`.
pub(crate) fn policy(policy: &v1::PolicyRef) -> String {
    format!(
        "{}:{} {}",
        escape(&policy.file),
        policy.line,
        escape(&policy.id)
    )
}

/// The conditions that decided against it, each in one line with the values it read.
pub(crate) fn conditions(denial: &v1::Denial) -> Vec<String> {
    denial
        .findings
        .iter()
        .flat_map(|finding| &finding.conditions)
        .map(|condition| {
            let values: BTreeMap<_, _> = condition.values.iter().collect();
            let values: Vec<_> = values
                .into_iter()
                .map(|(path, value)| format!("{} = {}", escape(path), escape(value)))
                .collect();
            let text = escape(condition.text.trim());
            match values.is_empty() {
                true => text,
                false => format!("{text} ({})", values.join(", ")),
            }
        })
        .collect()
}

/// Why not: each policy with its place, each condition with its values, what its authors advise, and what would work.
pub(crate) fn denial(denial: &v1::Denial) -> String {
    let mut lines = vec![format!("Why: {}.", why(denial.why()))];
    for finding in &denial.findings {
        if let Some(policy) = &finding.policy {
            lines.push(format!("  {}", self::policy(policy)));
        }
        for condition in &finding.conditions {
            let word = match denial.why() {
                Why::Forbidden => "met",
                Why::Errored => "error",
                Why::Unspecified | Why::Ended | Why::Unknown | Why::Unmet | Why::NoPolicy => {
                    "unmet"
                }
            };
            lines.push(format!("    {word}: {}", escape(condition.text.trim())));
            let values: BTreeMap<_, _> = condition.values.iter().collect();
            for (path, value) in values {
                lines.push(format!("      {} = {}", escape(path), escape(value)));
            }
        }
        if !finding.advice.is_empty() {
            lines.push(format!("    advice: {}", escape(&finding.advice)));
        }
    }
    if let Some(nearest) = &denial.nearest {
        lines.push(format!("\nWould work: {}.", self::nearest(nearest)));
    }
    lines.join("\n")
}

fn nearest(nearest: &v1::Nearest) -> String {
    let mut text = format!("`duration = \"{}\"`", length(nearest.duration.as_ref()));
    if nearest.add_ticket {
        text.push_str(" and a `ticket`");
    }
    match nearest.ways.is_empty() {
        true => text,
        false => format!("{text}, with {}", ways(&nearest.ways).join("; or ")),
    }
}

/// What a pending request waits for.
pub(crate) fn waits_for(request: &v1::Request) -> Option<String> {
    let Some(State::Pending(pending)) = &request.state else {
        return None;
    };
    let outcome = pending.decision.as_ref().and_then(|it| it.outcome.as_ref());
    Some(match outcome {
        Some(Outcome::NeedsApproval(needs)) => {
            format!("waiting for {}", ways(&needs.ways).join("; or "))
        }
        Some(Outcome::Denial(denial)) => format!(
            "waiting for what cannot come under the bundle in force ({})",
            why(denial.why())
        ),
        Some(Outcome::Allowed(_)) | None => "being decided".to_owned(),
    })
}

/// The same, with until when it may wait, and what ends the wait.
pub(crate) fn waiting(request: &v1::Request) -> Option<String> {
    let Some(State::Pending(pending)) = &request.state else {
        return None;
    };
    Some(format!(
        "{}; lapses {}; approve with `writ approve {}`",
        waits_for(request)?,
        moment(pending.decide_by.as_ref()),
        short(&request.id)
    ))
}

/// When an open window closes; `None` where no window is open.
pub(crate) fn closes_at(request: &v1::Request) -> Option<&prost_types::Timestamp> {
    match &request.state {
        Some(State::Active(active)) => active.window.as_ref()?.closes_at.as_ref(),
        Some(
            State::Pending(_)
            | State::Approved(_)
            | State::Expired(_)
            | State::Denied(_)
            | State::Withdrawn(_)
            | State::Lapsed(_)
            | State::Released(_)
            | State::Revoked(_),
        )
        | None => None,
    }
}

/// How a request ended; `None` while it is open.
pub(crate) fn ended(request: &v1::Request) -> Option<String> {
    match request.state.as_ref() {
        Some(State::Pending(_) | State::Approved(_) | State::Active(_)) => None,
        Some(State::Expired(it)) => {
            let closes_at = it.window.as_ref().and_then(|it| it.closes_at.as_ref());
            Some(format!("its window closed {}", moment(closes_at)))
        }
        Some(State::Denied(it)) => Some(format!(
            "{} said no: {}",
            escape(&it.approver),
            match it.reason.is_empty() {
                true => "(erased)".to_owned(),
                false => escape(&it.reason),
            }
        )),
        Some(State::Withdrawn(it)) => Some(format!(
            "it was taken back {}",
            moment(it.withdrawn_at.as_ref())
        )),
        Some(State::Lapsed(it)) => Some(format!(
            "it was not decided or not activated in time, {}",
            moment(it.lapsed_at.as_ref())
        )),
        Some(State::Released(it)) => Some(format!(
            "it was given back {}",
            moment(it.released_at.as_ref())
        )),
        Some(State::Revoked(it)) => Some(format!(
            "{} revoked it: {}",
            escape(&it.by),
            match it.reason.is_empty() {
                true => "(erased)".to_owned(),
                false => escape(&it.reason),
            }
        )),
        None => Some("it is in a state this provider does not know; a newer one may".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(count: u32, kind: &str, people: &[&str], more: bool) -> v1::Need {
        v1::Need {
            kind: kind.to_owned(),
            count,
            people: people.iter().map(|&name| name.to_owned()).collect(),
            more,
        }
    }

    fn of(needs: Vec<v1::Need>, feasible: bool) -> v1::Way {
        v1::Way {
            needs,
            feasible,
            because: Vec::new(),
        }
    }

    #[test]
    fn a_way_names_who_could_give_it() {
        for (given, expected) in [
            (of(vec![], true), "nothing"),
            (
                of(vec![need(1, "manager", &["pat"], false)], true),
                "1 manager: pat",
            ),
            (
                of(
                    vec![
                        need(1, "manager", &["pat", "sue"], false),
                        need(2, "security", &["ann"], true),
                    ],
                    true,
                ),
                "1 manager: pat, sue and 2 security: ann, …",
            ),
            (
                of(vec![need(1, "owner", &[], false)], false),
                "1 owner (nobody can give this)",
            ),
            (
                of(vec![need(1, "manager", &["p\u{1b}[2Jat"], false)], true),
                "1 manager: p\\u{1b}[2Jat",
            ),
        ] {
            assert_eq!(way(&given), expected);
        }
    }

    #[test]
    fn ways_that_nobody_can_give_are_named_only_where_there_is_no_other() {
        let impossible = of(vec![need(1, "owner", &[], false)], false);
        let possible = of(vec![need(1, "manager", &["pat"], false)], true);
        let both = [impossible.clone(), possible.clone()];
        assert_eq!(ways(&both), ["1 manager: pat"]);
        assert_eq!(people(&both).into_iter().collect::<Vec<_>>(), ["pat"]);
        assert_eq!(
            ways(std::slice::from_ref(&impossible)),
            ["1 owner (nobody can give this)"]
        );
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(
            moment(Some(&at(1_795_251_600, 5_000_000))),
            "2026-11-21T09:00:00Z"
        );
        assert_eq!(moment(None), "?");
    }
}
