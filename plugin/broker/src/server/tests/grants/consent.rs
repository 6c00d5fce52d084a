//! Approval tricks: one person as two, consent too late, to another thing, by who may no more, and in the same moment as a no.

use super::*;
use crate::desk::{Consent, Refused};
use crate::wire::fields;

#[tokio::test]
async fn a_second_identity_is_the_same_person() {
    let world = grants().await;
    let (mia, pat) = (world.person("mia").await, world.person("pat").await);
    let (mia_at_home, pat_at_home) = (
        world.person("mia-home").await,
        world.person("pat-home").await,
    );
    let asked = mia.ask(want("ledger-close", HOUR)).await.unwrap();
    assert_eq!(
        refused(mia_at_home.approve(&asked.id).await),
        Reason::SelfApproval
    );
    pat.approve(&asked.id).await.unwrap();
    assert_eq!(
        refused(pat_at_home.approve(&asked.id).await),
        Reason::AlreadyApproved
    );
    assert_eq!(state(&mia.show(&asked.id).await.unwrap()), "PENDING");
    let lee = world.person("lee").await;
    assert_eq!(state(&lee.approve(&asked.id).await.unwrap()), "APPROVED");
    // It is hers by either.
    mia_at_home.issue(&asked.id).await.unwrap();
    mia.release(&asked.id).await.unwrap();
}

#[tokio::test]
async fn who_is_in_two_groups_counts_once() {
    let world = grants().await;
    let (mia, kim) = (world.person("mia").await, world.person("kim").await);
    for other in ["lee", "zoe"] {
        let asked = mia.ask(want("ledger-admin", HOUR)).await.unwrap();
        let by_kim = kim.approve(&asked.id).await.unwrap();
        assert_eq!(by_kim.approvals[0].kinds, ["owner", "security"]);
        assert_eq!(
            state(&by_kim),
            "PENDING",
            "two kinds of one person are one person"
        );
        assert_eq!(
            refused(kim.approve(&asked.id).await),
            Reason::AlreadyApproved
        );
        assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
        // With somebody of either kind kim is taken for the other.
        let both = world.person(other).await.approve(&asked.id).await.unwrap();
        assert_eq!(state(&both), "APPROVED", "{other}");
        mia.issue(&asked.id).await.unwrap();
    }
    // In as few kinds as she likes; then she is not taken for the other.
    let asked = mia.ask(want("ledger-admin", HOUR)).await.unwrap();
    let as_owner = v1::ApproveRequestRequest {
        kinds: vec!["owner".to_owned()],
        ..consent(&asked.id)
    };
    kim.consent(as_owner).await.unwrap();
    let lee = world.person("lee").await;
    assert_eq!(state(&lee.approve(&asked.id).await.unwrap()), "PENDING");
    let not_hers = v1::ApproveRequestRequest {
        kinds: vec!["manager".to_owned()],
        ..consent(&asked.id)
    };
    let zoe = world.person("zoe").await;
    assert_eq!(refused(zoe.consent(not_hers).await), Reason::NotPermitted);
}

#[tokio::test]
async fn consent_counts_until_the_last_moment_of_the_wait_and_not_in_the_next() {
    let world = grants().await;
    let mia = world.person("mia").await;
    let in_time = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    let too_late = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    world.pass_ms(DAY * 1_000 - 1);
    let (mia, pat) = (world.person("mia").await, world.person("pat").await);
    assert_eq!(state(&pat.approve(&in_time.id).await.unwrap()), "APPROVED");
    world.pass_ms(1);
    assert_eq!(state(&mia.show(&too_late.id).await.unwrap()), "LAPSED");
    assert_eq!(refused(pat.approve(&too_late.id).await), Reason::WrongState);
    assert_eq!(
        refused(pat.approve_less(&too_late.id, MINUTE).await),
        Reason::WrongState
    );
    assert_eq!(refused(pat.deny(&too_late.id).await), Reason::WrongState);
    assert_eq!(refused(mia.issue(&too_late.id).await), Reason::WrongState);
    // And what was approved is used until the last moment of its own wait.
    world.pass_ms(8 * HOUR * 1_000 - 2);
    mia.issue(&in_time.id).await.unwrap();

    let unused = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    pat.approve(&unused.id).await.unwrap();
    world.pass(8 * HOUR);
    let mia = world.person("mia").await;
    assert_eq!(refused(mia.issue(&unused.id).await), Reason::WrongState);
    assert_eq!(state(&mia.show(&unused.id).await.unwrap()), "LAPSED");
}

#[tokio::test]
async fn consent_is_to_one_request_as_it_is_and_to_no_other() {
    let world = grants().await;
    let (mia, pat, lee) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("lee").await,
    );
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    let twin = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_ne!(
        asked.digest, twin.digest,
        "the same wish twice is two requests"
    );
    assert_eq!(
        refused(pat.approve_this(&asked.id, &twin.digest).await),
        Reason::DigestMismatch
    );
    pat.approve_this(&twin.id, &twin.digest).await.unwrap();
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    // While pat looks at four hours, lee makes them one: pat's word comes for what is no more.
    lee.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!(
        refused(pat.approve_this(&asked.id, &asked.digest).await),
        Reason::DigestMismatch
    );
    assert_eq!(approvers(&mia.show(&asked.id).await.unwrap()), ["lee"]);
}

#[tokio::test]
async fn consent_of_who_may_no_more_counts_no_more_and_counts_again_when_they_may() {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
    );
    let asked = mia.ask(want("ledger-admin", HOUR)).await.unwrap();
    lee.approve(&asked.id).await.unwrap();
    assert_eq!(state(&zoe.approve(&asked.id).await.unwrap()), "APPROVED");
    let directory = std::fs::read_to_string(world.policies.join("directory.hcl")).unwrap();
    let changes: [(&str, &str); 2] = [
        ("[\"payments-leads\", \"deputies\"]", "[\"deputies\"]"),
        (
            "name   = \"Zoe Lindqvist\"\n  groups = [\"security\"]",
            "name   = \"Zoe Lindqvist\"\n  groups = [\"auditors\"]",
        ),
    ];
    for (old, new) in changes {
        world.replace("directory.hcl", old, new).await;
        assert_eq!(
            refused(mia.issue(&asked.id).await),
            Reason::NeedsApproval,
            "{new}"
        );
        world.change("directory.hcl", |_| directory.clone()).await;
    }
    world
        .without_policy("approvals.cedar", "approve.owner")
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    // A guardrail against it comes into force after the consent.
    let guard = "@id(\"guard.zoe\")\nforbid (principal == User::\"zoe\", action in Action::\"approve\", resource);\n";
    let owner = "@id(\"approve.owner\")\npermit (principal, action == Action::\"approveOwner\", resource)\nwhen { principal in resource.owners };\n";
    world
        .add("approvals.cedar", &format!("{owner}{guard}"))
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    world.without_policy("approvals.cedar", "guard.zoe").await;
    assert!(world.sts.calls().is_empty());
    mia.issue(&asked.id).await.unwrap();
}

#[tokio::test]
async fn who_comes_to_answer_for_the_job_has_not_consented_to_it() {
    let world = grants().await;
    let (ci, pat) = (world.person("ci").await, world.person("pat").await);
    let asked = ci.ask(want("payments-deploy", HOUR)).await.unwrap();
    pat.approve(&asked.id).await.unwrap();
    world
        .replace("directory.hcl", "owner  = \"lee\"", "owner  = \"pat\"")
        .await;
    assert_eq!(refused(ci.issue(&asked.id).await), Reason::NeedsApproval);
    assert_eq!(refused(pat.approve(&asked.id).await), Reason::SelfApproval);
    world
        .replace("directory.hcl", "owner  = \"pat\"", "owner  = \"lee\"")
        .await;
    ci.issue(&asked.id).await.unwrap();
}

#[tokio::test]
async fn a_job_consents_to_nothing() {
    let world = grants().await;
    let asked = world
        .person("mia")
        .await
        .ask(want("payments-deploy", HOUR))
        .await
        .unwrap();
    let ci = world.person("ci").await;
    assert_eq!(refused(ci.approve(&asked.id).await), Reason::NotFound);
    world.add("approvals.cedar", "@id(\"view.jobs\")\npermit (principal in Group::\"pipelines\", action == Action::\"view\", resource);\n").await;
    assert_eq!(refused(ci.approve(&asked.id).await), Reason::NotPermitted);
    assert_eq!(
        refused(ci.approve_for("pat", &asked.id).await),
        Reason::NotPermitted
    );
    assert_eq!(refused(ci.deny(&asked.id).await), Reason::NotPermitted);
    assert_eq!(
        state(&world.person("pat").await.approve(&asked.id).await.unwrap()),
        "APPROVED"
    );
}

/// Requests made, raced over and settled at once: as many as one principal may have open.
const AT_ONCE: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_pairs_of_yes_and_no_in_one_moment_no_yes_outlives_the_no() {
    let world = grants().await;
    let (mia, pat, lee) = (
        world.identity("mia").await,
        world.identity("pat").await,
        world.identity("lee").await,
    );
    let desk = world.desk();
    let (mut yes_first, mut no_first) = (0, 0);
    for round in 0..1_000 / AT_ONCE {
        let mut ids = Vec::new();
        for _ in 0..AT_ONCE {
            let ask = fields::ask(want("ledger-read", HOUR)).unwrap();
            let view = desk.create(&mia, ask).await.unwrap();
            ids.push(view.case.request().id.to_string());
        }
        // Which is polled first takes turns.
        let pairs = ids.iter().enumerate().map(async |(place, id)| {
            let yes = desk.approve(&pat, id, Consent::default());
            let no = desk.deny(&lee, id, "no");
            match (round + place) % 2 {
                0 => tokio::join!(yes, no),
                _ => {
                    let (no, yes) = tokio::join!(no, yes);
                    (yes, no)
                }
            }
        });
        let mut settled = Vec::new();
        for pair in pairs {
            settled.push(pair);
        }
        let answers = all(settled).await;
        for (id, (yes, no)) in ids.iter().zip(answers) {
            no.expect("a no is heard before and after a yes");
            match yes {
                Ok(_) => yes_first += 1,
                Err(Refused::WrongState("DENIED")) => no_first += 1,
                Err(other) => panic!("{other:?}"),
            }
            let ended = desk.get(&mia, id).unwrap();
            assert_eq!(ended.case.state(ended.now), writ_engine::State::Denied);
            assert!(matches!(
                desk.issue(&mia, id).await,
                Err(Refused::WrongState("DENIED"))
            ));
        }
    }
    println!("1000 pairs: yes came first in {yes_first}, no in {no_first}");
    assert_eq!(yes_first + no_first, 1_000);
    assert!(yes_first > 0 && no_first > 0, "both orders were seen");
    assert!(world.sts.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_recorded_end_nothing_is_issued_however_close_they_are() {
    let world = grants().await;
    let (sam, zoe) = (world.identity("sam").await, world.identity("zoe").await);
    let desk = world.desk();
    let (mut before, mut after) = (0, 0);
    for round in 0..200 {
        let ask = fields::ask(want("ledger-read", HOUR)).unwrap();
        let view = desk.create(&sam, ask).await.unwrap();
        let id = view.case.request().id.to_string();
        if round % 2 == 0 {
            // An open window, which a renewal races for.
            desk.issue(&sam, &id).await.unwrap();
        }
        let (given, revoked) = match round % 4 < 2 {
            true => tokio::join!(desk.issue(&sam, &id), desk.revoke(&zoe, &id, "now")),
            false => {
                let (revoked, given) =
                    tokio::join!(desk.revoke(&zoe, &id, "now"), desk.issue(&sam, &id));
                (given, revoked)
            }
        };
        revoked.expect("an end is always heard");
        match given {
            Ok(_) => before += 1,
            Err(Refused::WrongState("REVOKED")) => after += 1,
            Err(other) => panic!("{other:?}"),
        }
        let calls = world.sts.calls_of(&id).len();
        assert!(matches!(
            desk.issue(&sam, &id).await,
            Err(Refused::WrongState("REVOKED"))
        ));
        assert_eq!(world.sts.calls_of(&id).len(), calls);
    }
    // The record tells the same: no intent of a session stands behind an end.
    let mut from = 0;
    let mut ended = std::collections::BTreeSet::new();
    loop {
        let (events, next) = desk.events(&zoe, from, 500, None).await.unwrap();
        for stored in events {
            let Some(request) = stored.event.fact.request() else {
                continue;
            };
            match stored.event.fact.name() {
                "revoked" => assert!(ended.insert(request.clone())),
                _ => assert!(!ended.contains(request), "{:?}", stored.event),
            }
        }
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(ended.len(), 200);
    println!("200 races: issued before the end in {before}, refused after it in {after}");
    assert!(before > 0 && after > 0, "both orders were seen");
}

/// All of them at once, in order.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|one| (Box::pin(one), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut waits = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        match waits {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        }
    })
    .await;
    futures
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

#[tokio::test]
async fn what_waits_for_consent_that_the_policy_asks_for_no_more_is_issued() {
    let world = grants().await;
    let mia = world.person("mia").await;
    let asked = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    // She takes over the pager while her request waits.
    world.replace("directory.hcl", "[\"engineering\", \"deputies\"]\n\n  identity {\n    issuer = \"corp\"\n    id     = \"00u1mia\"", "[\"oncall\", \"deputies\"]\n\n  identity {\n    issuer = \"corp\"\n    id     = \"00u1mia\"").await;
    world.sts.fail(Fault::Refuses);
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::AwsRefused);
    assert_eq!(state(&mia.show(&asked.id).await.unwrap()), "APPROVED");
    assert_eq!(state(&mia.issue(&asked.id).await.unwrap()), "ACTIVE");
    // The record is sound: others go on, and it is read again.
    let other = world
        .person("sam")
        .await
        .ask(want("ledger-read", HOUR))
        .await
        .unwrap();
    let world = world.restarted().await;
    assert_eq!(
        state(&world.person("mia").await.show(&asked.id).await.unwrap()),
        "ACTIVE"
    );
    world.person("sam").await.issue(&other.id).await.unwrap();
}
