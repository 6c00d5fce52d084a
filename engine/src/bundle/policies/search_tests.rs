//! What the lint accepts is what the search may rely on: shown by evaluating random policies at every point of a small world.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, PolicyId, PolicySet, Request, RestrictedExpression,
};
use proptest::prelude::*;

use super::Policies;
use super::tests::load;
use crate::window::Moment;

/// When every window of this small world opens; the world's durations are 1 to `LONGEST_S` seconds, its counts 0 to 3.
const OPENS_AT: &str = "2026-11-21T09:00:00Z";
const LONGEST_S: u32 = 24;

/// A comparison whose truth gives (or takes) access as it should, or now and then one that does not.
fn comparison(gives: bool) -> BoxedStrategy<String> {
    let ops = |grows: bool| {
        let (right, wrong) = if grows {
            ([">", ">="], "<=")
        } else {
            (["<", "<="], ">")
        };
        prop_oneof![
            24 => prop::sample::select(right.to_vec()),
            1 => prop::sample::select(vec![wrong, "=="]),
        ]
    };
    prop_oneof![
        4 => (ops(!gives), 1..20_u32, prop::sample::select(vec!["", "500ms"])).prop_map(
            |(op, s, ms)| format!("context.window.duration {op} duration(\"{s}s{ms}\")")
        ),
        1 => (ops(gives), 1..20_u32)
            .prop_map(|(op, s)| format!("duration(\"{s}s\") {op} context.window.duration")),
        4 => (ops(gives), -1..4_i32)
            .prop_map(|(op, n)| format!("context.approvals.manager {op} {n}")),
        2 => (ops(!gives), 0..30_u32).prop_map(|(op, s)| format!(
            "context.window.closes_at {op} datetime(\"2026-11-21T09:00:{s:02}Z\")"
        )),
        1 => Just("context has ticket".to_owned()),
    ]
    .boxed()
}

/// A condition over all the evidence there is, most often a monotone one.
fn condition(gives: bool, depth: u32) -> BoxedStrategy<String> {
    if depth == 0 {
        return comparison(gives);
    }
    let inner = || condition(gives, depth - 1);
    prop_oneof![
        8 => comparison(gives),
        12 => (inner(), inner()).prop_map(|(a, b)| format!("({a} && {b})")),
        12 => (inner(), inner()).prop_map(|(a, b)| format!("({a} || {b})")),
        6 => condition(!gives, depth - 1).prop_map(|a| format!("!({a})")),
        6 => (inner(), inner())
            .prop_map(|(a, b)| format!("(if context has ticket then {a} else {b})")),
        1 => (comparison(gives), inner(), inner())
            .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
    ]
    .boxed()
}

/// Whether the policies allow a window of this length, with this many managers, with or without a ticket.
fn allowed(policies: &PolicySet, seconds: u32, managers: u32, ticket: bool) -> bool {
    let opens_at: Moment = OPENS_AT.parse().unwrap();
    let record = |pairs: Vec<(&str, RestrictedExpression)>| {
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Vec<_>>()
    };
    let window = record(vec![
        (
            "duration",
            RestrictedExpression::new_duration(format!("{seconds}s")),
        ),
        ("opens_at", RestrictedExpression::new_datetime(OPENS_AT)),
        (
            "closes_at",
            RestrictedExpression::new_datetime(opens_at.plus_s(seconds).to_string()),
        ),
    ]);
    let approvals = record(vec![(
        "manager",
        RestrictedExpression::new_long(managers.into()),
    )]);
    let mut pairs = record(vec![
        ("window", RestrictedExpression::new_record(window).unwrap()),
        (
            "approvals",
            RestrictedExpression::new_record(approvals).unwrap(),
        ),
    ]);
    if ticket {
        pairs.extend(record(vec![(
            "ticket",
            RestrictedExpression::new_string("INC-1".into()),
        )]));
    }
    let request = Request::new(
        "User::\"mia\"".parse().unwrap(),
        "Action::\"activate\"".parse().unwrap(),
        "Scope::\"prod-db-read\"".parse().unwrap(),
        Context::from_pairs(pairs).unwrap(),
        None,
    )
    .unwrap();
    let response = Authorizer::new().is_authorized(&request, policies, &Entities::empty());
    assert_eq!(response.diagnostics().errors().count(), 0);
    response.decision() == Decision::Allow
}

/// Every answer of the small world, by ticket, count and duration.
fn answers(policies: &Policies) -> BTreeMap<(bool, u32, u32), bool> {
    let mut answers = BTreeMap::new();
    for ticket in [false, true] {
        for managers in 0..=3 {
            for seconds in 1..=LONGEST_S {
                let answer = allowed(&policies.set, seconds, managers, ticket);
                answers.insert((ticket, managers, seconds), answer);
            }
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_lint_accepts_is_monotone_and_changes_only_at_its_literals(
        permit in condition(true, 3),
        (unless, forbid) in any::<bool>().prop_flat_map(|unless| (Just(unless), condition(unless, 2))),
    ) {
        let head = "(principal, action == Action::\"activate\", resource)";
        let word = if unless { "unless" } else { "when" };
        let text = format!(
            "@id(\"p\") permit {head} when {{ {permit} }}; @id(\"f\") forbid {head} {word} {{ {forbid} }};"
        );
        // What can never hold is refused by Cedar, what is not monotone by the lint: both are of no interest here.
        let Ok(policies) = load(&[("a.cedar", &text)]) else {
            return Ok(());
        };
        let answers = answers(&policies);
        let facts = ["p", "f"].map(|id| &policies.facts[&PolicyId::new(id)]);
        let opens_at: Moment = OPENS_AT.parse().unwrap();
        let mut critical = BTreeSet::from([LONGEST_S]);
        let mut enough = 0;
        for facts in facts {
            critical.extend(&facts.durations_s);
            for closes_at in &facts.closes_at {
                let at = u32::try_from(closes_at.since_ms(opens_at) / 1_000).unwrap();
                critical.extend([at.saturating_sub(1), at]);
            }
            enough = facts.counts.values().copied().fold(enough, u32::max);
        }
        for ((ticket, managers, seconds), answer) in &answers {
            let at = |managers: u32, seconds: u32| answers.get(&(*ticket, managers, seconds)).copied();
            if *answer {
                // More consent and a shorter window never take away.
                prop_assert_ne!(at(managers + 1, *seconds), Some(false), "{}", text);
                prop_assert_ne!(at(*managers, seconds - 1), Some(false), "{}", text);
                // The longest window is one of those that the search asks about.
                if at(*managers, seconds + 1) != Some(true) {
                    prop_assert!(critical.contains(seconds), "{} s: {}", seconds, text);
                }
            } else {
                // More consent than the literals name changes nothing.
                let most = at(3, *seconds);
                prop_assert!(at((*managers).max(enough.min(3)), *seconds) == most, "{}", text);
            }
        }
    }
}
