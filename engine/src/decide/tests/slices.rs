//! A slice of the policies answers as all of them do.

use proptest::prelude::*;

use super::*;
use crate::bundle::policies::Policies;
use crate::decide::ask::Counts;
use crate::decide::evaluate::{Answer, evaluate};
use crate::decide::index::{Line, Slice};

const PRINCIPALS: [&str; 7] = [
    "principal",
    "principal",
    "principal == User::\"mia\"",
    "principal in Group::\"engineering\"",
    "principal in Group::\"oncall\"",
    "principal is User in Group::\"contractors\"",
    "principal is Workload",
];

const RESOURCES: [&str; 6] = [
    "resource",
    "resource",
    "resource == Scope::\"prod-db-read\"",
    "resource in System::\"payments\"",
    "resource is Scope in System::\"platform\"",
    "resource in Scope::\"prod-admin\"",
];

const ACTIONS: [&str; 4] = [
    "action == Action::\"activate\"",
    "action == Action::\"activate\"",
    "action in Action::\"approve\"",
    "action in [Action::\"approveOwner\", Action::\"approveManager\"]",
];

/// Conditions for `activate`; the last one overflows for whoever has a level of two.
const OF_ACTIVATE: [&str; 6] = [
    "",
    "",
    "context.approvals.owner >= 1",
    "context.window.duration <= duration(\"1h\")",
    "context has ticket",
    "principal is User && principal.level * 9223372036854775807 <= 9223372036854775807",
];

const OF_APPROVE: [&str; 4] = [
    "",
    "context.requester == principal",
    "principal in resource.owners",
    "principal.level * 9223372036854775807 <= 9223372036854775807",
];

/// Whether it forbids, and a pick of each list.
type Choice = (bool, usize, usize, usize, usize);

fn pick<'a>(list: &[&'a str], choice: usize) -> &'a str {
    list[choice % list.len()]
}

fn policy(number: usize, choice: &Choice) -> String {
    let (forbids, principal, action, resource, condition) = *choice;
    let action = pick(&ACTIONS, action);
    let activates = action.contains("activate");
    let mut principal = pick(&PRINCIPALS, principal);
    let mut condition = pick(
        if activates { &OF_ACTIVATE } else { &OF_APPROVE },
        condition,
    );
    if principal == "principal is Workload" {
        // What no workload can be or do is not valid.
        if activates && condition.contains("is User") {
            condition = "";
        }
        if !activates {
            principal = "principal == User::\"zoe\"";
        }
    }
    let resource = pick(&RESOURCES, resource);
    // A forbid takes away `unless` what a permit would ask for: the bundle check refuses the contrary.
    let (effect, when) = if forbids {
        ("forbid", "unless")
    } else {
        ("permit", "when")
    };
    let condition = match condition {
        "" => String::new(),
        condition => format!(" {when} {{ {condition} }}"),
    };
    format!("@id(\"p{number}\")\n{effect} ({principal}, {action}, {resource}){condition};\n")
}

/// The shipped directory and catalog, everyone with a level.
fn random_bundle(choices: &[Choice]) -> Bundle {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    let schema = files.0.get_mut("schema.cedarschema").unwrap();
    *schema = schema.replacen("manager?: User,", "manager?: User,\n  level: Long,", 1);
    let directory = files.0.get_mut("directory.hcl").unwrap();
    let mut level = 0;
    *directory = directory
        .lines()
        .map(|line| {
            if line.starts_with("user ") {
                level += 1;
                format!("{line}\n  attributes {{ level = {} }}\n", level % 3)
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let numbered = choices.iter().enumerate();
    let policies = numbered
        .map(|(number, choice)| policy(number, choice))
        .collect();
    files.0.insert("access.cedar".to_owned(), policies);
    load(&files)
}

fn sorted(mut answer: Answer) -> (bool, [Vec<cedar_policy::PolicyId>; 4]) {
    for ids in [
        &mut answer.permits,
        &mut answer.forbids,
        &mut answer.errored_forbids,
        &mut answer.errored,
    ] {
        ids.sort();
    }
    (
        answer.allowed,
        [
            answer.permits,
            answer.forbids,
            answer.errored_forbids,
            answer.errored,
        ],
    )
}

#[derive(Default)]
struct Seen {
    allowed: usize,
    forbidden: usize,
    errored: usize,
    smaller: usize,
}

fn compare(
    seen: &mut Seen,
    policies: &Policies,
    entities: &cedar_policy::Entities,
    slice: &Slice<'_>,
    question: &cedar_policy::Request,
) {
    let whole = evaluate(&policies.facts, [&policies.set], entities, question);
    let part = evaluate(
        &policies.facts,
        slice.0.iter().map(|part| &part.set),
        entities,
        question,
    );
    seen.allowed += usize::from(whole.allowed);
    seen.forbidden += usize::from(!whole.forbids.is_empty());
    seen.errored += usize::from(!whole.errored.is_empty());
    seen.smaller += usize::from(slice.heads().count() < policies.set.policies().count());
    assert_eq!(sorted(part), sorted(whole), "{question}");
}

fn compare_all(bundle: &Bundle, seen: &mut Seen) {
    let policies = bundle.policies();
    let askers = [
        human("mia"),
        human("pat"),
        human("sam"),
        human("dana"),
        ci("main"),
    ];
    for principal in &askers {
        let asker = Asker::of(bundle, principal).unwrap();
        for scope in bundle.scopes() {
            let ask = asker.wants(&scope.id, now(), "INC-42").unwrap();
            let slice = ask.slice();
            for (duration, ticket) in [("30m", None), ("2h", Some("INC-42"))] {
                let window = Window::opening(now(), self::duration(duration)).unwrap();
                let wish = Wish { window, ticket };
                for counts in [Counts::from([0, 0, 0]), Counts::from([1, 1, 1])] {
                    compare(
                        seen,
                        policies,
                        &ask.entities,
                        &slice,
                        &ask.activation(wish, &counts).unwrap(),
                    );
                }
                let index = bundle.index();
                for (_, action) in index.kinds() {
                    let for_anyone: Vec<_> = index
                        .heads_for_anyone(action, &ask.line)
                        .map(|head| &head.id)
                        .collect();
                    for person in ["mia", "lee", "zoe"] {
                        let entities = asker.entities(&scope.id, [&user(person)]).unwrap();
                        let uid = policies.types.user(&user(person));
                        let line = Line::of(&policies.entities, &uid);
                        let exact = index.slice(action, &line, &ask.line);
                        let context = ask.consent_context(wish, None).unwrap();
                        let question = ask.request(uid, action.clone(), context).unwrap();
                        compare(seen, policies, &entities, &exact, &question);
                        assert!(exact.heads().all(|head| for_anyone.contains(&&head.id)));
                    }
                }
            }
        }
    }
}

/// How often more bundles are made up where those there were did not say enough.
const ROUNDS_MAX: usize = 10;

#[test]
fn a_slice_answers_as_the_whole_set_does() {
    let mut seen = Seen::default();
    let choice = (
        prop::bool::weighted(0.2),
        0..7usize,
        0..4usize,
        0..6usize,
        0..6usize,
    );
    let choices = prop::collection::vec(choice, 3..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // Agreement on nothing but denials would prove little: some bundles have to err, forbid and allow.
    for _ in 0..ROUNDS_MAX {
        let seen_by_all = std::cell::RefCell::new(&mut seen);
        runner
            .run(&choices, |choices| {
                compare_all(&random_bundle(&choices), &mut seen_by_all.borrow_mut());
                Ok(())
            })
            .unwrap();
        if seen.allowed > 100 && seen.forbidden > 100 && seen.errored > 50 && seen.smaller > 100 {
            break;
        }
    }
    assert!(seen.allowed > 100, "only {} allowed", seen.allowed);
    assert!(seen.forbidden > 100, "only {} forbidden", seen.forbidden);
    assert!(seen.errored > 50, "only {} errored", seen.errored);
    assert!(
        seen.smaller > 100,
        "only {} slices were smaller",
        seen.smaller
    );
}
