//! Consent to less: a shorter window is another request, and never a longer one.

use super::*;

#[tokio::test]
async fn consent_to_less_is_to_another_request_that_its_requester_sees_and_earlier_consent_was_not_to()
 {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
    );
    let asked = mia.ask(want("ledger-admin", 4 * HOUR)).await.unwrap();
    assert_eq!(asked.asked_for, None);
    let first = lee.approve(&asked.id).await.unwrap();
    assert_eq!((state(&first), approvers(&first)), ("PENDING", vec!["lee"]));

    // With her the two kinds would be complete, but what lee consented to was four hours.
    let less = zoe.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!((state(&less), approvers(&less)), ("PENDING", vec!["zoe"]));
    assert_ne!(less.digest, asked.digest);
    let seen = mia.show(&asked.id).await.unwrap();
    assert_eq!(seen.digest, less.digest);
    assert_eq!(duration_s(&seen), HOUR);
    assert_eq!(seen.asked_for.unwrap().seconds, 4 * HOUR);
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);

    // An approval of what lee looked at then is one of something else by now.
    let old = lee.approve_this(&asked.id, &asked.digest).await;
    assert_eq!(refused(old), Reason::DigestMismatch);
    let approved = lee.approve_this(&asked.id, &less.digest).await.unwrap();
    assert_eq!(
        (state(&approved), approvers(&approved)),
        ("APPROVED", vec!["zoe", "lee"])
    );
    let open = mia.issue(&asked.id).await.unwrap();
    assert_eq!(length_s(&open), HOUR);
    let given = &world.sts.calls_of(&asked.id)[0];
    assert_eq!(given.closes_at.as_ms() / 1_000, window(&open).1);
    let chapters = mia.chapters(&asked.id).await;
    assert_eq!(
        chapters,
        [
            "requested",
            "approved",
            "approved",
            "approved",
            "issue_intended",
            "issued"
        ]
    );
}

#[tokio::test]
async fn who_may_consent_to_an_hour_gives_an_hour_of_four_and_not_a_second_more() {
    let world = grants().await;
    let (mia, rob) = (world.person("mia").await, world.person("rob").await);
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(refused(rob.approve(&asked.id).await), Reason::NotPermitted);
    let more = rob.approve_less(&asked.id, HOUR + 1).await;
    assert_eq!(refused(more), Reason::NotPermitted);
    // Nor by saying no to what he could not say yes to.
    assert_eq!(refused(rob.deny(&asked.id).await), Reason::NotPermitted);
    assert_eq!(mia.show(&asked.id).await.unwrap().digest, asked.digest);

    let approved = rob.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!(
        (state(&approved), duration_s(&approved)),
        ("APPROVED", HOUR)
    );
    assert_eq!(length_s(&mia.issue(&asked.id).await.unwrap()), HOUR);
}

#[tokio::test]
async fn less_is_less_and_neither_equal_nor_more_at_first_and_ever_after() {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
    );
    let asked = mia.ask(want("ledger-admin", 2 * HOUR)).await.unwrap();
    for wrong in [2 * HOUR, 2 * HOUR + 1, 4 * HOUR] {
        let answer = zoe.approve_less(&asked.id, wrong).await;
        assert_eq!(refused(answer), Reason::InvalidArgument, "{wrong}");
    }
    zoe.approve_less(&asked.id, 2 * HOUR - 1).await.unwrap();
    // What was asked for at first is no measure any more.
    for wrong in [2 * HOUR - 1, 2 * HOUR] {
        let answer = lee.approve_less(&asked.id, wrong).await;
        assert_eq!(refused(answer), Reason::InvalidArgument, "{wrong}");
    }
    // The requester gives themselves nothing, not even less.
    let own = mia.approve_less(&asked.id, HOUR).await;
    assert_eq!(refused(own), Reason::SelfApproval);
    let twice = lee.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!((state(&twice), approvers(&twice)), ("PENDING", vec!["lee"]));
    // Zoe consented to two hours less a second, and may to one hour too.
    let approved = zoe.approve(&asked.id).await.unwrap();
    assert_eq!(
        (state(&approved), duration_s(&approved)),
        ("APPROVED", HOUR)
    );
    mia.issue(&asked.id).await.unwrap();
    let late = lee.approve_less(&asked.id, MINUTE).await;
    assert_eq!(refused(late), Reason::WrongState, "it is open");
}

#[tokio::test]
async fn the_same_key_and_the_same_run_answer_with_the_request_that_was_made_shorter() {
    let world = grants().await;
    let (mia, lee) = (world.person("mia").await, world.person("lee").await);
    let keyed = |seconds| v1::CreateRequestRequest {
        idempotency_key: Some("once".to_owned()),
        ..want("ledger-read", seconds)
    };
    let in_run = |seconds| v1::CreateRequestRequest {
        run: Some("run-1".to_owned()),
        ..want("ledger-read", seconds)
    };
    let (by_key, by_run) = (
        mia.ask(keyed(4 * HOUR)).await.unwrap(),
        mia.ask(in_run(4 * HOUR)).await.unwrap(),
    );
    assert_ne!(by_key.id, by_run.id);
    for id in [&by_key.id, &by_run.id] {
        lee.approve_less(id, HOUR).await.unwrap();
    }
    let again = mia.ask(keyed(4 * HOUR)).await.unwrap();
    assert_eq!((&again.id, duration_s(&again)), (&by_key.id, HOUR));
    let again = mia.ask(in_run(4 * HOUR)).await.unwrap();
    assert_eq!((&again.id, duration_s(&again)), (&by_run.id, HOUR));
    // What came of it is not what was wished for.
    let other = mia.ask(keyed(HOUR)).await;
    assert_eq!(refused(other), Reason::IdempotencyKeyReused);
    assert_ne!(mia.ask(in_run(HOUR)).await.unwrap().id, by_run.id);

    let world = world.restarted().await;
    let mia = world.person("mia").await;
    let again = mia.ask(keyed(4 * HOUR)).await.unwrap();
    assert_eq!((&again.id, duration_s(&again)), (&by_key.id, HOUR));
}

#[tokio::test]
async fn an_approved_request_that_someone_makes_shorter_waits_for_the_others_again() {
    let world = grants().await;
    let (mia, lee, zoe, kim) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
        world.person("kim").await,
    );
    let asked = mia.ask(want("ledger-admin", 4 * HOUR)).await.unwrap();
    lee.approve(&asked.id).await.unwrap();
    assert_eq!(state(&zoe.approve(&asked.id).await.unwrap()), "APPROVED");
    // Kim is of both kinds, and one person.
    let shorter = kim.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!(
        (state(&shorter), approvers(&shorter)),
        ("PENDING", vec!["kim"])
    );
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    assert_eq!(state(&lee.approve(&asked.id).await.unwrap()), "APPROVED");
    assert_eq!(length_s(&mia.issue(&asked.id).await.unwrap()), HOUR);

    // Where the one who shortens it is enough by the policy, nobody has to be asked again.
    let simple = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(state(&lee.approve(&simple.id).await.unwrap()), "APPROVED");
    let shorter = kim.approve_less(&simple.id, HOUR).await.unwrap();
    assert_eq!((state(&shorter), duration_s(&shorter)), ("APPROVED", HOUR));
}

#[tokio::test]
async fn consent_to_less_of_an_emergency_leaves_it_one() {
    let world = grants().await;
    let (mia, lee) = (world.person("mia").await, world.person("lee").await);
    let asked = mia.ask(glass("ledger-read", 2 * HOUR)).await.unwrap();
    let less = lee.approve_less(&asked.id, HOUR).await.unwrap();
    assert_eq!(state(&less), "APPROVED");
    assert!(less.break_glass.is_some());
    let open = mia.issue(&asked.id).await.unwrap();
    assert_eq!(length_s(&open), HOUR);
    assert!(open.break_glass.unwrap().review_by.is_some());
}
