use std::collections::{BTreeMap, BTreeSet};

use tonic::Status;
use writ_engine::decide::{Condition, Eligible, PolicyRef};
use writ_engine::{Duration, Kind, State, UserId};

use super::*;

fn kind(name: &str) -> Kind {
    Kind::of_action(&format!("approve{name}")).unwrap()
}

fn way(people: &[String], count: u32, feasible: bool) -> Way {
    Way {
        needs: BTreeMap::from([(kind("Manager"), count)]),
        who: BTreeMap::from([(
            kind("Manager"),
            Eligible {
                people: people.iter().map(|p| UserId::new(p).unwrap()).collect(),
                more: false,
            },
        )]),
        feasible,
        because: vec![place("proddb.read.engineer", 12)],
    }
}

fn place(id: &str, line: usize) -> PolicyRef {
    PolicyRef {
        id: id.to_owned(),
        file: "access.cedar".to_owned(),
        line,
    }
}

fn unmet(text: &str) -> Unmet {
    Unmet {
        policy: place("deploy.main", 7),
        advice: Some("deploys come from main".to_owned()),
        conditions: vec![Condition {
            text: text.to_owned(),
            values: BTreeMap::from([("principal.ref".to_owned(), "\"refs/heads/x\"".to_owned())]),
        }],
    }
}

fn about() -> About {
    About::Request("7F3K".to_owned())
}

#[test]
fn a_missing_approval_names_who_could_give_it_and_what_to_do_next() {
    let needs = NeedsApproval {
        alarms: Vec::new(),
        counted: BTreeMap::new(),
        ways: vec![way(&["pat".to_owned()], 1, true)],
    };
    let problem = problem(Refused::NeedsApproval(Box::new(needs)), &about());
    assert_eq!(problem.reason, Some(Reason::NeedsApproval));
    assert_eq!(problem.message, "request `7F3K` needs 1 manager (pat)");
    assert_eq!(
        problem.hint.as_deref(),
        Some("ask one of those who can approve, then run `writ show 7F3K`")
    );
    assert_eq!(problem.needs_approval.unwrap().ways.len(), 1);
}

#[test]
fn a_refusal_names_the_policy_its_place_the_condition_and_what_was_found() {
    let denied = Denied {
        alarms: Vec::new(),
        why: Why::Unmet(vec![unmet("principal.ref == \"refs/heads/main\"")]),
        nearest: Some(Nearest {
            duration: Duration::from_s(1_800).unwrap(),
            add_ticket: true,
            ways: vec![],
        }),
    };
    let about = About::Scope("payments-deploy".to_owned());
    let problem = problem(Refused::Policy(Box::new(denied)), &about);
    assert_eq!(problem.reason, Some(Reason::RefusedByPolicy));
    assert_eq!(
        problem.message,
        "`payments-deploy` is refused: `deploy.main` (access.cedar:7) asks for \
         `principal.ref == \"refs/heads/main\"`, but principal.ref is \"refs/heads/x\""
    );
    assert_eq!(
        problem.hint.as_deref(),
        Some("deploys come from main; ask for 30m with a ticket")
    );
}

#[test]
fn every_refusal_has_a_reason_words_in_house_style_and_a_way_on() {
    for refused in all_refusals() {
        for about in [about(), About::Nothing, About::Scope("db".to_owned())] {
            let shown = format!("{refused:?}");
            let problem = problem(again(&refused), &about);
            let first = problem.message.chars().next().unwrap();
            assert!(!first.is_uppercase(), "{}", problem.message);
            assert!(!problem.message.ends_with('.'), "{}", problem.message);
            assert!(problem.reason.is_some(), "{shown}");
            let invalid = problem.reason == Some(Reason::InvalidArgument);
            let nothing = about == About::Nothing && problem.reason == Some(Reason::NotFound);
            assert!(problem.hint.is_some() || invalid || nothing, "{shown}");
        }
    }
}

#[test]
fn what_does_not_exist_and_what_may_not_be_seen_answer_alike() {
    // The desk has one word for both, and nothing of the two could differ after it.
    let one = problem(Refused::NotFound, &about());
    assert!(one.message.contains("or you may not see it"));
    assert!(one.denial.is_none() && one.needs_approval.is_none());
}

#[test]
fn an_explanation_of_any_size_fits_into_the_trailers_of_a_common_client() {
    let many: Vec<String> = (0..50)
        .map(|i| format!("someone.with.a.long.name.{i:02}@example.com"))
        .collect();
    let ways: Vec<Way> = (1..40).map(|count| way(&many, count, true)).collect();
    let denied = Denied {
        alarms: Vec::new(),
        why: Why::Unmet(
            (0..500)
                .map(|_| unmet(&"principal.x == 1 && ".repeat(20)))
                .collect(),
        ),
        nearest: Some(Nearest {
            duration: Duration::from_s(1_800).unwrap(),
            add_ticket: false,
            ways: ways.clone(),
        }),
    };
    let needs = NeedsApproval {
        alarms: Vec::new(),
        counted: BTreeMap::new(),
        ways,
    };
    for refused in [
        Refused::Policy(Box::new(denied)),
        Refused::NeedsApproval(Box::new(needs)),
    ] {
        let sent = problem(refused, &about());
        let kept = sent.denial.as_ref().map(|d| d.findings.len());
        assert!(
            kept.is_none_or(|kept| kept > 0),
            "something is left to read"
        );
        let kept = sent.needs_approval.as_ref().map(|n| n.ways.len());
        assert!(
            kept.is_none_or(|kept| kept > 0),
            "something is left to read"
        );
        let headers = Status::from(sent).into_http::<()>().into_parts().0.headers;
        // RFC 9113 counts 32 bytes for each field besides its name and value.
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        assert!(size < 15 * 1024, "{size}");
    }
}

fn all_refusals() -> Vec<Refused> {
    let denied = |why| {
        Refused::Policy(Box::new(Denied {
            why,
            nearest: None,
            alarms: Vec::new(),
        }))
    };
    vec![
        Refused::NotFound,
        Refused::Field("scope", "no such scope".to_owned()),
        denied(Why::Ended(State::Denied)),
        denied(Why::Unknown),
        denied(Why::Forbidden(vec![unmet("true")])),
        denied(Why::Forbidden(vec![])),
        denied(Why::Errored(vec![place("no.self", 3)])),
        denied(Why::Unmet(vec![unmet("a"), unmet("b"), unmet("c")])),
        denied(Why::NoPolicy),
        Refused::NeedsApproval(Box::new(NeedsApproval {
            alarms: Vec::new(),
            counted: BTreeMap::new(),
            ways: vec![way(&[], 2, false)],
        })),
        Refused::NotPermitted(Act::Approve),
        Refused::NotPermitted(Act::GoOn),
        Refused::NotPermitted(Act::Lend),
        Refused::NotPermitted(Act::Review),
        Refused::NotPermitted(Act::Revoke),
        Refused::SelfApproval,
        Refused::SelfReview,
        Refused::OtherRun,
        Refused::AlreadyApproved,
        Refused::WrongState("ACTIVE"),
        Refused::DigestMismatch,
        Refused::IdempotencyKeyReused,
        Refused::TooManyOpenRequests,
        Refused::TooManySessions,
        Refused::Journal,
        Refused::StorageLow,
        Refused::ClockBehind,
        Refused::AwsRefused("AccessDenied".to_owned()),
        Refused::AwsUnavailable("Throttling".to_owned()),
        Refused::ShuttingDown,
    ]
}

fn again(refused: &Refused) -> Refused {
    let name = format!("{refused:?}");
    all_refusals()
        .into_iter()
        .find(|other| format!("{other:?}") == name)
        .unwrap()
}

#[test]
fn a_way_that_nobody_can_go_says_so() {
    let words = way_words(&way(&[], 2, false));
    assert_eq!(words, "2 manager (nobody can), more people than there are");
    let many: BTreeSet<String> = (0..9).map(|i| format!("person-{i}")).collect();
    let words = way_words(&way(&many.into_iter().collect::<Vec<_>>(), 1, true));
    assert_eq!(
        words,
        "1 manager (person-0, person-1, person-2, person-3, person-4, others)"
    );
}
