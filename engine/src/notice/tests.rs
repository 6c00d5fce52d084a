use std::collections::BTreeMap;

use super::*;
use crate::bundle::BundleFiles;
use crate::digest::{Digest, SaltedText};
use crate::event::{Event, Fact, Outcome, Verdict};
use crate::principal::Principal;
use crate::request::{BreakGlass, Request, RequestId};
use crate::scope::{RoleArn, ScopeId};
use crate::window::{Duration, Window};

/// Ada and Ben are told of emergencies, Ada and Cleo are asked next, and only Ada and Dan lead somebody.
const DIRECTORY: &str = r#"
group "told" {}
group "next" {}
group "security" {}
group "payments-leads" {}
user "mia" {
  name    = "Mia"
  manager = "dan"
}
user "ada" {
  name   = "Ada"
  groups = ["told", "next"]
}
user "ben" {
  name   = "Ben"
  groups = ["told"]
}
user "cleo" {
  name   = "Cleo"
  groups = ["next"]
}
user "dan" { name = "Dan" }
user "zoe" {
  name   = "Zoe"
  groups = ["security"]
}
"#;

const SCOPES: &str = r#"
scope "db" {
  description = "The database"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads"
  break_glass {
    announce   = ["told"]
    review_ttl = "1h"
  }
  escalation {
    after = "10m"
    to    = "next"
  }
  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
"#;

const POLICIES: &str = r#"
@id("one") permit (principal, action == Action::"activate", resource) when { context.approvals.manager >= 1 };
@id("glass") permit (principal, action == Action::"breakGlass", resource) when { context.approvals.manager >= 1 };
@id("manager") permit (principal, action == Action::"approveManager", resource)
when { context.requester has manager && context.requester.manager == principal };
@id("ada") permit (principal == User::"ada", action == Action::"approveManager", resource);
@id("review") permit (principal in Group::"security", action == Action::"review", resource);
"#;

fn bundle(scopes: &str) -> Bundle {
    let schema = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policies/schema.cedarschema"
    );
    let files = [
        (
            "schema.cedarschema",
            std::fs::read_to_string(schema).unwrap(),
        ),
        ("access.cedar", POLICIES.to_owned()),
        ("directory.hcl", DIRECTORY.to_owned()),
        ("scopes.hcl", scopes.to_owned()),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text));
    Bundle::load(&BundleFiles(files.into())).unwrap_or_else(|report| panic!("{report}"))
}

fn at(s: u32) -> Moment {
    Moment::from_ms(1_800_000_000_000).unwrap().plus_s(s)
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        bundle: Digest::of("bundle", b""),
        outcome,
        policies: Vec::new(),
        approvals: BTreeMap::new(),
    }
}

fn asked(emergency: bool, outcome: Outcome) -> Case {
    let request = Request {
        id: RequestId::new(at(0), [7; 10]),
        principal: Principal::user(user("mia")),
        scope: ScopeId::new("db").unwrap(),
        duration: Duration::from_s(1_800).unwrap(),
        reason: salted().commitment(),
        ticket: None,
        requested_at: at(0),
        decide_by: at(7_200),
        activation_ttl_s: 7_200,
        bundle: Digest::of("bundle", b""),
        break_glass: emergency.then_some(BreakGlass {
            review_ttl_s: 3_600,
        }),
    };
    let fact = Fact::Requested {
        request,
        idempotency_key: None,
        run: None,
        keep_for_s: None,
        verdict: verdict(outcome),
    };
    Case::begin(&Event { at: at(0), fact }, Some("why".to_owned())).unwrap()
}

fn salted() -> SaltedText {
    SaltedText {
        salt: [0; 16],
        text: "why".to_owned(),
    }
}

/// The case as `fact` leaves it.
fn then(mut case: Case, s: u32, fact: impl FnOnce(&Case) -> Fact) -> Case {
    let fact = fact(&case);
    case.apply(&Event { at: at(s), fact }).unwrap();
    case
}

fn used(case: Case, s: u32) -> Case {
    then(case, s, |case| Fact::IssueIntended {
        request: case.request().id.clone(),
        session: 1,
        request_digest: case.request_digest(),
        window: Window::opening(at(s), case.request().duration).unwrap(),
        role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit-db").unwrap(),
        duration_s: 1_800,
        session_policy: Digest::of("policy", b""),
        chains: false,
        verdict: verdict(Outcome::Granted),
    })
}

fn told_of(case: Case, s: u32, notice: Notice) -> Case {
    then(case, s, |case| Fact::Notified {
        request: case.request().id.clone(),
        notice,
        people: vec![user("ada")],
    })
}

fn denied(case: Case, s: u32) -> Case {
    then(case, s, |case| Fact::Denied {
        request: case.request().id.clone(),
        approver: user("dan"),
        kinds: Vec::new(),
        reason: salted().commitment(),
    })
}

fn reviewed(case: Case, s: u32) -> Case {
    then(case, s, |case| Fact::Reviewed {
        request: case.request().id.clone(),
        reviewer: user("zoe"),
        finding: salted().commitment(),
    })
}

#[test]
fn each_notice_is_due_from_its_moment_on_while_it_is_of_use_and_until_it_was_given() {
    use Notice::{ConsentWanted, Emergency, Escalated, ReviewOverdue};
    let bundle = bundle(SCOPES);
    let pending = || asked(false, Outcome::NeedsApproval);
    let glass = || asked(true, Outcome::Granted);
    let both = || asked(true, Outcome::NeedsApproval);
    // Of which case, how many seconds after it was asked for, what is due, and since when.
    type Row = (&'static str, Case, u32, Vec<(Notice, u32)>);
    let table: Vec<Row> = vec![
        ("asked", pending(), 0, vec![(ConsentWanted, 0)]),
        ("just before", pending(), 599, vec![(ConsentWanted, 0)]),
        (
            "asked next",
            pending(),
            600,
            vec![(Escalated, 600), (ConsentWanted, 0)],
        ),
        ("lapsed", pending(), 7_200, vec![]),
        ("denied", denied(pending(), 5), 700, vec![]),
        (
            "told",
            told_of(pending(), 5, ConsentWanted),
            700,
            vec![(Escalated, 600)],
        ),
        (
            "told both",
            told_of(told_of(pending(), 5, ConsentWanted), 601, Escalated),
            700,
            vec![],
        ),
        ("granted", asked(false, Outcome::Granted), 700, vec![]),
        (
            "used",
            used(asked(false, Outcome::Granted), 5),
            9_000,
            vec![],
        ),
        ("an emergency", glass(), 0, vec![(Emergency, 0)]),
        (
            "that nobody was told of and that lapsed",
            glass(),
            90_000,
            vec![(Emergency, 0)],
        ),
        (
            "that was denied",
            denied(both(), 5),
            90_000,
            vec![(Emergency, 0)],
        ),
        (
            "that was told of",
            told_of(glass(), 1, Emergency),
            700,
            vec![],
        ),
        (
            "that waits",
            both(),
            600,
            vec![(Emergency, 0), (Escalated, 600), (ConsentWanted, 0)],
        ),
        (
            "in use",
            told_of(used(glass(), 5), 6, Emergency),
            3_604,
            vec![],
        ),
        (
            "not reviewed",
            told_of(used(glass(), 5), 6, Emergency),
            3_605,
            vec![(ReviewOverdue, 3_605)],
        ),
        (
            "reviewed late",
            reviewed(told_of(used(glass(), 5), 6, Emergency), 4_000),
            4_000,
            vec![],
        ),
        (
            "told that it is late",
            told_of(used(glass(), 5), 4_000, ReviewOverdue),
            9_000,
            vec![(Emergency, 0)],
        ),
    ];
    for (name, case, s, expected) in table {
        let found: Vec<(Notice, Moment)> = due(&bundle, &case, at(s))
            .map(|due| (due.notice, due.since))
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|(it, s)| (it, at(s))).collect();
        assert_eq!(found, expected, "{name}");
        if !found.is_empty() {
            assert!(!settled(&case, at(s)), "{name}");
        }
    }
}

#[test]
fn nothing_more_is_to_be_told_once_it_is_decided_and_everybody_knows() {
    use Notice::{Emergency, ReviewOverdue};
    let glass = || asked(true, Outcome::Granted);
    let table = [
        ("asked", asked(false, Outcome::NeedsApproval), 0, false),
        ("lapsed", asked(false, Outcome::NeedsApproval), 7_200, true),
        ("granted", asked(false, Outcome::Granted), 0, true),
        ("not used yet", told_of(glass(), 1, Emergency), 1, true),
        ("untold", glass(), 7_200, false),
        ("unused", told_of(glass(), 1, Emergency), 7_200, true),
        (
            "owed",
            told_of(used(glass(), 5), 6, Emergency),
            3_000,
            false,
        ),
        (
            "reviewed",
            reviewed(told_of(used(glass(), 5), 6, Emergency), 3_000),
            3_000,
            true,
        ),
        (
            "late, and told so",
            told_of(
                told_of(used(glass(), 5), 6, Emergency),
                4_000,
                ReviewOverdue,
            ),
            4_000,
            true,
        ),
    ];
    for (name, case, s, expected) in table {
        assert_eq!(settled(&case, at(s)), expected, "{name}");
    }
}

#[test]
fn the_clock_alone_brings_an_escalation_and_a_late_review() {
    let bundle = bundle(SCOPES);
    let waits = asked(false, Outcome::NeedsApproval);
    assert_eq!(next(&bundle, &waits, at(0)), Some(at(600)));
    assert_eq!(next(&bundle, &waits, at(599)), Some(at(600)));
    assert_eq!(next(&bundle, &waits, at(600)), None);
    let glass = used(asked(true, Outcome::Granted), 5);
    assert_eq!(next(&bundle, &glass, at(6)), Some(at(3_605)));
    assert_eq!(next(&bundle, &glass, at(3_605)), None);
    let closed = reviewed(glass, 3_000);
    assert_eq!(next(&bundle, &closed, at(3_000)), None);
}

#[test]
fn each_notice_names_those_whom_it_is_for() {
    let all = bundle(SCOPES);
    let glass = asked(true, Outcome::NeedsApproval);
    let standing = Standing { open_reviews: 0 };
    let names = |bundle: &Bundle, notice, s| -> Vec<String> {
        let people = told(bundle, &glass, standing, notice, at(s));
        people.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(&all, Notice::Emergency, 0), ["ada", "ben"]);
    assert_eq!(names(&all, Notice::ConsentWanted, 0), ["ada", "dan"]);
    // Cleo is asked next as well, and the policy lets her give no consent.
    assert_eq!(names(&all, Notice::Escalated, 600), ["ada"]);
    assert!(names(&all, Notice::Escalated, 599).is_empty());
    assert_eq!(names(&all, Notice::ReviewOverdue, 0), ["ada", "ben", "zoe"]);
    // Once it is decided, nobody's consent is wanted.
    let over = denied(glass.clone(), 5);
    for notice in [Notice::ConsentWanted, Notice::Escalated] {
        assert!(told(&all, &over, standing, notice, at(700)).is_empty());
    }
    // A scope that asks nobody next.
    let (before, rest) = SCOPES.split_once("  escalation {").unwrap();
    let (_, after) = rest.split_once("  }\n").unwrap();
    let alone = bundle(&format!("{before}{after}"));
    assert!(names(&alone, Notice::Escalated, 700).is_empty());
    assert!(due(&alone, &glass, at(700)).all(|due| due.notice != Notice::Escalated));
}

#[test]
fn a_notice_of_an_emergency_is_recorded_of_none_else_and_one_given_twice_counts_once() {
    let mut plain = asked(false, Outcome::NeedsApproval);
    let fact = Fact::Notified {
        request: plain.request().id.clone(),
        notice: Notice::Emergency,
        people: Vec::new(),
    };
    assert!(plain.apply(&Event { at: at(1), fact }).is_err());
    let twice = told_of(
        told_of(asked(true, Outcome::Granted), 3, Notice::Emergency),
        9,
        Notice::Emergency,
    );
    assert_eq!(twice.notified(Notice::Emergency), Some(at(3)));
    assert_eq!(twice.notified(Notice::ReviewOverdue), None);
}
