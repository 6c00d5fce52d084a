//! Emergencies: in so many words, told at once, and owed for afterwards.

use writ_api::v1::RequestFilter::{All, Mine, ToReview};

use super::*;

fn owed_by(request: &v1::Request) -> Option<i64> {
    let glass = request.break_glass.as_ref().unwrap();
    Some(glass.review_by.as_ref()?.seconds)
}

#[tokio::test]
async fn an_emergency_is_one_only_in_so_many_words_and_only_where_scope_and_policy_have_it() {
    let world = grants().await;
    let (sam, zoe) = (world.person("sam").await, world.person("zoe").await);
    // What an emergency would give at once is not given to whoever does not say that it is one.
    world.without_policy("access.cedar", "ledger.oncall").await;
    let plain = sam.ask(want("ledger-read", HOUR)).await.unwrap();
    assert_eq!((state(&plain), &plain.break_glass), ("PENDING", &None));
    assert_eq!(refused(sam.issue(&plain.id).await), Reason::NeedsApproval);
    let emergency = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    assert_eq!(state(&emergency), "APPROVED");
    assert!(emergency.break_glass.is_some());

    // The policy names every scope; this one has no terms for it.
    for scope in ["ledger-admin", "ledger-close"] {
        assert_eq!(
            refused(sam.ask(glass(scope, HOUR)).await),
            Reason::RefusedByPolicy,
            "{scope}"
        );
        assert!(sam.ask(want(scope, HOUR)).await.is_ok(), "{scope}");
    }
    // The scope has terms; no policy lets her.
    assert_eq!(
        refused(zoe.ask(glass("ledger-read", HOUR)).await),
        Reason::RefusedByPolicy
    );
    assert!(zoe.ask(want("ledger-read", HOUR)).await.is_ok());
    // The policy says for how long.
    let long = sam.ask(glass("ledger-read", 2 * HOUR + 1)).await;
    assert_eq!(refused(long), Reason::RefusedByPolicy);
    // And nobody breaks glass without a word.
    let mut wordless = glass("ledger-read", HOUR);
    wordless.reason = String::new();
    assert_eq!(refused(sam.ask(wordless).await), Reason::InvalidArgument);
}

#[tokio::test]
async fn one_key_and_one_run_never_turn_a_request_into_an_emergency_or_back() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let keyed = |wish| v1::CreateRequestRequest {
        idempotency_key: Some("once".to_owned()),
        ..wish
    };
    let in_run = |wish| v1::CreateRequestRequest {
        run: Some("run-1".to_owned()),
        ..wish
    };
    let first = sam.ask(keyed(want("ledger-read", HOUR))).await.unwrap();
    let again = sam.ask(keyed(glass("ledger-read", HOUR))).await;
    assert_eq!(refused(again), Reason::IdempotencyKeyReused);
    assert_eq!(
        sam.ask(keyed(want("ledger-read", HOUR))).await.unwrap().id,
        first.id
    );
    let plain = sam.ask(in_run(want("ledger-read", HOUR))).await.unwrap();
    let emergency = sam.ask(in_run(glass("ledger-read", HOUR))).await.unwrap();
    assert_ne!(plain.id, emergency.id);
    let again = sam.ask(in_run(want("ledger-read", HOUR))).await.unwrap();
    assert_eq!((again.id, again.break_glass), (plain.id, None));
}

#[tokio::test]
async fn an_emergency_is_told_at_once_to_those_the_scope_names_and_unknown_to_others() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    let told = asked.break_glass.as_ref().unwrap();
    assert_eq!(told.announced_to, ["kim", "lee", "pat", "zoe"]);
    for name in ["kim", "lee", "pat", "zoe"] {
        let person = world.person(name).await;
        let seen = person.show(&asked.id).await.unwrap();
        assert!(seen.break_glass.is_some(), "{name}");
        assert!(person.list(All).await.contains(&asked.id), "{name}");
        let chapters = person.chapters(&asked.id).await;
        assert_eq!(chapters, ["requested"], "{name}");
    }
    for name in ["dana", "mia", "ci"] {
        let person = world.person(name).await;
        assert_eq!(
            refused(person.show(&asked.id).await),
            Reason::NotFound,
            "{name}"
        );
        assert!(!person.list(All).await.contains(&asked.id), "{name}");
        assert!(person.chapters(&asked.id).await.is_empty(), "{name}");
        assert_eq!(
            refused(person.review(&asked.id).await),
            Reason::NotFound,
            "{name}"
        );
    }
    assert!(sam.list(Mine).await.contains(&asked.id));
    // Zoe has no other say in it: she is told, and that alone shows it to her.
    world
        .without_policy("approvals.cedar", "review.security")
        .await;
    world
        .without_policy("approvals.cedar", "revoke.security")
        .await;
    world
        .without_policy("approvals.cedar", "approve.security")
        .await;
    let zoe = world.person("zoe").await;
    assert!(zoe.show(&asked.id).await.is_ok());
    world
        .replace(
            "scopes.hcl",
            "[\"security\", \"payments-leads\"]",
            "[\"payments-leads\"]",
        )
        .await;
    assert_eq!(refused(zoe.show(&asked.id).await), Reason::NotFound);
}

#[tokio::test]
async fn the_debt_begins_with_the_first_use_and_is_closed_once_afterwards_by_another_person() {
    let world = grants().await;
    let (sam, zoe, audrey, rob) = (
        world.person("sam").await,
        world.person("zoe").await,
        world.person("audrey").await,
        world.person("rob").await,
    );
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    assert_eq!(owed_by(&asked), None);
    assert_eq!(
        refused(zoe.review(&asked.id).await),
        Reason::WrongState,
        "nothing is owed"
    );
    assert!(zoe.list(ToReview).await.is_empty());
    world.pass(10 * MINUTE);
    let open = sam.issue(&asked.id).await.unwrap();
    assert_eq!(
        owed_by(&open),
        Some(window(&open).0 + DAY),
        "from the first use"
    );
    assert_eq!(zoe.list(ToReview).await, std::slice::from_ref(&asked.id));
    assert!(sam.list(ToReview).await.is_empty());
    assert!(audrey.list(ToReview).await.is_empty());

    assert_eq!(
        refused(zoe.review(&asked.id).await),
        Reason::WrongState,
        "it is not over"
    );
    sam.release(&asked.id).await.unwrap();
    assert_eq!(refused(sam.review(&asked.id).await), Reason::SelfApproval);
    // These two see it, and have no say in it.
    for other in [&audrey, &rob] {
        assert_eq!(refused(other.review(&asked.id).await), Reason::NotPermitted);
    }
    let closed = zoe.review(&asked.id).await.unwrap();
    let glass = closed.break_glass.as_ref().unwrap();
    assert_eq!(glass.reviewer.as_deref(), Some("zoe"));
    assert_eq!(glass.finding, "read one table, as it said");
    assert!(glass.reviewed_at.is_some() && glass.review_by.is_none());
    assert_eq!(state(&closed), "RELEASED", "it ended as it ended");
    let kim = world.person("kim").await;
    for again in [&zoe, &kim] {
        assert_eq!(refused(again.review(&asked.id).await), Reason::WrongState);
        assert!(again.list(ToReview).await.is_empty());
    }
    let world = world.restarted().await;
    let seen = world.person("sam").await.show(&asked.id).await.unwrap();
    assert_eq!(seen.break_glass.unwrap().reviewer.as_deref(), Some("zoe"));
}

#[tokio::test]
async fn a_debt_that_is_late_is_owed_all_the_same() {
    let world = grants().await;
    let asked = world
        .person("sam")
        .await
        .ask(glass("ledger-read", HOUR))
        .await
        .unwrap();
    let open = world.person("sam").await.issue(&asked.id).await.unwrap();
    world.pass(30 * DAY);
    let (sam, zoe) = (world.person("sam").await, world.person("zoe").await);
    let late = zoe.show(&asked.id).await.unwrap();
    assert_eq!((state(&late), owed_by(&late)), ("EXPIRED", owed_by(&open)));
    assert_eq!(zoe.list(ToReview).await, std::slice::from_ref(&asked.id));
    assert_eq!(
        refused(sam.ask(glass("ledger-read", HOUR)).await),
        Reason::RefusedByPolicy
    );
    zoe.review(&asked.id).await.unwrap();
    assert!(sam.ask(glass("ledger-read", HOUR)).await.is_ok());
}

#[tokio::test]
async fn an_emergency_in_which_aws_gave_nothing_owes_nothing() {
    let world = grants().await;
    let (sam, zoe) = (world.person("sam").await, world.person("zoe").await);
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    world.sts.fail(Fault::Refuses);
    assert_eq!(refused(sam.issue(&asked.id).await), Reason::AwsRefused);
    assert!(zoe.list(ToReview).await.is_empty());
    // Of a session of which nobody knows whether it was given, something is owed.
    world.sts.fail(Fault::Vanishes);
    assert_eq!(refused(sam.issue(&asked.id).await), Reason::AwsUnavailable);
    assert_eq!(zoe.list(ToReview).await, [asked.id]);
}

#[tokio::test]
async fn who_answers_for_a_job_does_not_close_what_the_job_owes() {
    let world = grants().await;
    let ci = world.person("ci").await;
    let asked = ci.ask(glass("payments-deploy", 30 * MINUTE)).await.unwrap();
    ci.issue(&asked.id).await.unwrap();
    ci.release(&asked.id).await.unwrap();
    world
        .replace("scopes.hcl", "\"platform-leads\"\n", "\"payments-leads\"\n")
        .await;
    let lee = world.person("lee").await;
    assert_eq!(refused(lee.review(&asked.id).await), Reason::SelfApproval);
    assert!(lee.list(ToReview).await.is_empty());
    assert!(world.person("kim").await.review(&asked.id).await.is_ok());
}

#[tokio::test]
async fn a_debt_stops_the_next_emergency_of_the_same_person_and_nothing_else() {
    let world = grants().await;
    let (sam, lee, pat, zoe, ci) = (
        world.person("sam").await,
        world.person("lee").await,
        world.person("pat").await,
        world.person("zoe").await,
        world.person("ci").await,
    );
    let first = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    sam.issue(&first.id).await.unwrap();
    assert_eq!(
        refused(sam.ask(glass("ledger-read", HOUR)).await),
        Reason::RefusedByPolicy
    );
    let check = v1::CheckAccessRequest {
        scope: "ledger-read".to_owned(),
        duration: span(HOUR),
        break_glass: true,
        ..Default::default()
    };
    let checked = sam
        .client
        .scopes()
        .check_access(check)
        .await
        .unwrap()
        .into_inner();
    use v1::decision::Outcome;
    assert!(matches!(
        checked.decision.unwrap().outcome,
        Some(Outcome::Denial(_))
    ));
    // The emergency that owes it goes on, and so does everything that is none.
    sam.issue(&first.id).await.unwrap();
    assert_eq!(
        state(&sam.ask(want("ledger-read", HOUR)).await.unwrap()),
        "APPROVED"
    );
    sam.release(&first.id).await.unwrap();
    assert_eq!(
        refused(sam.ask(glass("ledger-read", HOUR)).await),
        Reason::RefusedByPolicy
    );
    zoe.review(&first.id).await.unwrap();
    assert_eq!(
        state(&sam.ask(glass("ledger-read", HOUR)).await.unwrap()),
        "APPROVED"
    );

    // The debt is the person's, whichever identity makes it: lee's own stops the job that lee answers for, and back.
    let own = lee.ask(glass("ledger-read", HOUR)).await.unwrap();
    pat.approve(&own.id).await.unwrap();
    let asked_before = ci.ask(glass("payments-deploy", 30 * MINUTE)).await.unwrap();
    lee.issue(&own.id).await.unwrap();
    let job = ci.ask(glass("payments-deploy", 30 * MINUTE)).await;
    assert_eq!(refused(job), Reason::RefusedByPolicy);
    assert_eq!(
        refused(ci.issue(&asked_before.id).await),
        Reason::RefusedByPolicy
    );
    lee.release(&own.id).await.unwrap();
    zoe.review(&own.id).await.unwrap();
    ci.issue(&asked_before.id).await.unwrap();
    assert_eq!(
        refused(lee.ask(glass("ledger-read", HOUR)).await),
        Reason::RefusedByPolicy
    );
}

#[tokio::test]
async fn of_two_emergencies_asked_for_at_once_the_second_waits_for_the_review_of_the_first() {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
    );
    let mut asked = Vec::new();
    for _ in 0..2 {
        let one = mia.ask(glass("ledger-read", HOUR)).await.unwrap();
        assert_eq!(state(&lee.approve(&one.id).await.unwrap()), "APPROVED");
        asked.push(one.id);
    }
    let [first, second] = asked.try_into().unwrap();
    mia.issue(&first).await.unwrap();
    assert_eq!(refused(mia.issue(&second).await), Reason::RefusedByPolicy);
    mia.issue(&first).await.unwrap();
    mia.release(&first).await.unwrap();
    assert_eq!(refused(mia.issue(&second).await), Reason::RefusedByPolicy);
    zoe.review(&first).await.unwrap();
    mia.issue(&second).await.unwrap();
    assert_eq!(world.sts.calls_of(&second).len(), 1);
}

#[tokio::test]
async fn an_emergency_that_was_approved_while_something_was_owed_opens_once_it_is_not() {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("zoe").await,
    );
    let first = mia.ask(glass("ledger-read", HOUR)).await.unwrap().id;
    let second = mia.ask(glass("ledger-read", HOUR)).await.unwrap().id;
    lee.approve(&first).await.unwrap();
    mia.issue(&first).await.unwrap();
    // He consents; the policy does not yet.
    assert_eq!(state(&lee.approve(&second).await.unwrap()), "PENDING");
    assert_eq!(refused(mia.issue(&second).await), Reason::RefusedByPolicy);
    mia.release(&first).await.unwrap();
    zoe.review(&first).await.unwrap();
    assert_eq!(state(&mia.issue(&second).await.unwrap()), "ACTIVE");
    // The record is sound: it goes on, and it is read again.
    mia.ask(want("ledger-read", HOUR)).await.unwrap();
    let world = world.restarted().await;
    let again = world.person("mia").await.show(&second).await.unwrap();
    assert_eq!(state(&again), "ACTIVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_emergencies_used_in_the_same_moment_are_used_one_after_the_other() {
    let world = grants().await;
    let (mia, lee, zoe) = (
        world.identity("mia").await,
        world.identity("lee").await,
        world.identity("zoe").await,
    );
    let desk = world.desk();
    for round in 0..25 {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let ask = crate::wire::fields::ask(glass("ledger-read", HOUR)).unwrap();
            let view = desk.create(&mia, ask).await.unwrap();
            let id = view.case.request().id.to_string();
            desk.approve(&lee, &id, crate::desk::Consent::default())
                .await
                .unwrap();
            ids.push(id);
        }
        let (one, other) = tokio::join!(desk.issue(&mia, &ids[0]), desk.issue(&mia, &ids[1]));
        let given = [one.is_ok(), other.is_ok()];
        assert_eq!(
            given.iter().filter(|given| **given).count(),
            1,
            "round {round}: {given:?}"
        );
        let used = &ids[usize::from(given[1])];
        desk.release(&mia, used).await.unwrap();
        desk.review(&zoe, used, "two at once").await.unwrap();
        desk.withdraw(&mia, &ids[usize::from(given[0])])
            .await
            .unwrap();
    }
}
