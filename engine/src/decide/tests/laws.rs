//! What holds of every answer, whatever is asked.

use proptest::prelude::*;

use super::*;

const PEOPLE: [&str; 7] = ["mia", "pat", "lee", "sam", "zoe", "kim", "dana"];
const SCOPES: [&str; 4] = [
    "payments-deploy",
    "prod-db-read",
    "staging-admin",
    "prod-admin",
];
const MOMENTS: [&str; 4] = [
    NOW,
    "2026-12-23T20:30:00Z",
    "2026-12-23T23:59:30Z",
    "2026-12-28T12:00:00Z",
];

/// A kind of consent from someone, as a record might hold it.
const CONSENTS: [&str; 3] = ["manager", "owner", "security"];

#[derive(Debug, Clone)]
struct Story {
    who: usize,
    scope: usize,
    duration_s: u32,
    ticket: bool,
    at: usize,
    consents: Vec<(usize, Vec<usize>)>,
}

fn stories() -> impl Strategy<Value = Story> {
    let duration = prop_oneof![
        1..=43_200u32,
        Just(1_200),
        Just(1_800),
        Just(3_600),
        Just(14_400)
    ];
    let consents = prop::collection::vec(
        (
            0..PEOPLE.len(),
            prop::collection::vec(0..CONSENTS.len(), 1..5),
        ),
        0..6,
    );
    (
        0..=PEOPLE.len(),
        0..SCOPES.len(),
        duration,
        any::<bool>(),
        0..MOMENTS.len(),
        consents,
    )
        .prop_map(|(who, scope, duration_s, ticket, at, consents)| Story {
            who,
            scope,
            duration_s,
            ticket,
            at,
            consents,
        })
}

impl Story {
    fn now(&self) -> Moment {
        moment(MOMENTS[self.at])
    }

    fn wanted(&self, duration: &str, ticket: bool) -> Case {
        let who = PEOPLE
            .get(self.who)
            .map_or_else(|| ci("main"), |name| human(name));
        let wanted = wanted(who, SCOPES[self.scope], duration);
        let wanted = if ticket {
            wanted.ticket("INC-42")
        } else {
            wanted
        };
        wanted.case(self.now())
    }

    fn case(&self, duration_s: u32) -> Case {
        let duration = Duration::from_s(duration_s).unwrap().to_string();
        let case = self.wanted(&duration, self.ticket);
        let mut given = BTreeSet::new();
        let once = self.consents.iter().filter(|(who, _)| given.insert(*who));
        once.fold(case, |case, (who, kinds)| {
            let kinds: Vec<&str> = kinds.iter().map(|kind| CONSENTS[*kind]).collect();
            approved(case, PEOPLE[*who], &kinds)
        })
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Lets the people a way names consent as it says, if distinct people can.
fn give(case: &Case, way: &Way) -> Option<Case> {
    let mut seats = Vec::new();
    for (kind, who) in &way.who {
        let had = case
            .approvals()
            .iter()
            .filter(|approval| approval.kinds.contains(kind))
            .count();
        let missing = (way.needs[kind] as usize).saturating_sub(had).max(1);
        seats.extend(std::iter::repeat_n(
            (kind.clone(), who.people.clone()),
            missing,
        ));
    }
    // The scarcest kind first: in the shipped bundle that is enough to seat everyone.
    seats.sort_by_key(|(_, people)| people.len());
    let mut case = case.clone();
    for (kind, people) in seats {
        let taken: BTreeSet<UserId> = case
            .approvals()
            .iter()
            .map(|approval| approval.approver.clone())
            .collect();
        let person = people.difference(&taken).next()?.clone();
        case = approved(case, person.as_str(), &[kind.as_str()]);
    }
    Some(case)
}

#[test]
fn each_feasible_way_grants_when_it_is_given() {
    let bundle = shipped();
    let given = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(config());
    runner
        .run(&stories(), |story| {
            let case = story.case(story.duration_s);
            if let Decision::NeedsApproval(needs) = decide(&bundle, &case, story.now()) {
                prop_assert!(!needs.ways.is_empty());
                for way in needs.ways.iter().filter(|way| way.feasible) {
                    let full = give(&case, way);
                    prop_assert!(full.is_some(), "{way:?}");
                    let answer = decide(&bundle, &full.unwrap(), story.now());
                    prop_assert!(
                        matches!(answer, Decision::Granted(_)),
                        "{way:?}: {}",
                        line(&answer)
                    );
                    given.set(given.get() + 1);
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(given.get() > 10, "only {} ways were given", given.get());
}

#[test]
fn a_granted_request_stays_granted_when_it_is_shorter_or_has_more_consent() {
    let bundle = shipped();
    let granted = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(config());
    runner
        .run(
            &(stories(), 1..=43_200u32, 0..PEOPLE.len()),
            |(story, shorter, who)| {
                let case = story.case(story.duration_s);
                if decide(&bundle, &case, story.now()).granted().is_some() {
                    granted.set(granted.get() + 1);
                    let short = story.case(shorter.min(story.duration_s));
                    prop_assert!(decide(&bundle, &short, story.now()).granted().is_some());
                    if case
                        .approvals()
                        .iter()
                        .all(|approval| approval.approver != user(PEOPLE[who]))
                    {
                        let more = approved(case, PEOPLE[who], &CONSENTS);
                        prop_assert!(decide(&bundle, &more, story.now()).granted().is_some());
                    }
                }
                Ok(())
            },
        )
        .unwrap();
    assert!(granted.get() > 5, "only {} were granted", granted.get());
}

#[test]
fn the_nearest_request_is_one_that_would_be_allowed() {
    let bundle = shipped();
    let near = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(config());
    runner
        .run(&stories(), |story| {
            let answer = decide(&bundle, &story.case(story.duration_s), story.now());
            if let Decision::Denied(Denied {
                nearest: Some(nearest),
                ..
            }) = answer
            {
                near.set(near.get() + 1);
                let ticket = story.ticket || nearest.add_ticket;
                let case = story.wanted(&nearest.duration.to_string(), ticket);
                match decide(&bundle, &case, story.now()) {
                    Decision::Granted(_) => prop_assert!(nearest.ways.is_empty()),
                    Decision::NeedsApproval(needs) => prop_assert_eq!(needs.ways, nearest.ways),
                    Decision::Denied(denied) => prop_assert!(false, "{denied:?}"),
                }
                // And none that is longer but still shorter than what was asked for.
                if nearest.duration.as_s() < story.duration_s {
                    let longer = Duration::from_s(nearest.duration.as_s() + 1)
                        .unwrap()
                        .to_string();
                    let case = story.wanted(&longer, ticket);
                    let denied = matches!(decide(&bundle, &case, story.now()), Decision::Denied(_));
                    prop_assert!(
                        denied || longer.parse::<Duration>().unwrap().as_s() >= story.duration_s
                    );
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(near.get() > 10, "only {} had a nearest", near.get());
}
