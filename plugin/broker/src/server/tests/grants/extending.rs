//! A longer window, while it is open: by the policy's own word, by people's, and not at all.

use writ_engine::case::EXTENSIONS_MAX;

use super::*;

/// A window of the person's, open now; `approver` consents where the policy asks for it.
async fn open(
    world: &Grants,
    who: &str,
    wish: v1::CreateRequestRequest,
    approver: &str,
) -> v1::Request {
    let person = world.person(who).await;
    let asked = person.ask(wish).await.unwrap();
    if state(&asked) == "PENDING" {
        world
            .person(approver)
            .await
            .approve(&asked.id)
            .await
            .unwrap();
    }
    person.issue(&asked.id).await.unwrap()
}

fn end_s(moment: Moment) -> i64 {
    moment.as_ms() / 1_000
}

#[tokio::test]
async fn what_the_policy_lets_be_longer_at_once_is_and_the_next_credentials_end_later() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let opened = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    world.pass(50 * MINUTE);
    let longer = sam.extend(&opened.id, 2 * HOUR).await.unwrap();
    assert_eq!(longer.extension, None);
    assert_eq!(
        window(&longer),
        (window(&opened).0, window(&opened).0 + 2 * HOUR)
    );
    assert_eq!(longer.digest, opened.digest, "the request is what it was");
    // Past the first end, without a gap.
    world.pass(11 * MINUTE);
    let renewed = sam.issue(&opened.id).await.unwrap();
    assert_eq!(window(&renewed), window(&longer));
    let ends: Vec<i64> = world
        .sts
        .calls()
        .iter()
        .map(|call| end_s(call.closes_at))
        .collect();
    assert_eq!(ends, [window(&opened).1, window(&longer).1]);
    world.pass(59 * MINUTE);
    assert_eq!(state(&sam.show(&opened.id).await.unwrap()), "EXPIRED");
    assert_eq!(refused(sam.issue(&opened.id).await), Reason::WrongState);
    assert_eq!(
        sam.chapters(&opened.id).await,
        [
            "requested",
            "issue_intended",
            "issued",
            "extension_requested",
            "issue_intended",
            "issued"
        ]
    );
}

#[tokio::test]
async fn where_people_have_to_consent_the_wish_waits_and_the_window_there_is_goes_on() {
    let world = grants().await;
    let (mia, pat, lee) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("lee").await,
    );
    let opened = open(&world, "mia", want("ledger-read", 2 * HOUR), "pat").await;
    let asked = mia.extend(&opened.id, 6 * HOUR).await.unwrap();
    assert_eq!(window(&asked), window(&opened));
    let waits = asked.extension.unwrap();
    assert_eq!(
        (waits.duration, waits.reason.as_str()),
        (span(6 * HOUR), "not done yet")
    );
    assert!(
        waits.approvals.is_empty(),
        "consent to the request is none to this"
    );
    use v1::decision::Outcome;
    assert!(matches!(
        waits.decision.unwrap().outcome,
        Some(Outcome::NeedsApproval(_))
    ));
    assert_eq!(length_s(&mia.issue(&opened.id).await.unwrap()), 2 * HOUR);
    assert!(
        pat.list(v1::RequestFilter::ToApprove)
            .await
            .contains(&opened.id)
    );

    // Not by who asked, not of something else, not less, not by who is no manager alone.
    assert_eq!(refused(mia.approve(&opened.id).await), Reason::SelfApproval);
    let other = pat.approve_this(&opened.id, &opened.digest).await;
    assert_eq!(refused(other), Reason::DigestMismatch);
    let less = pat.approve_less(&opened.id, 3 * HOUR).await;
    assert_eq!(refused(less), Reason::InvalidArgument);
    let by_owner = lee.approve(&opened.id).await.unwrap();
    assert_eq!(window(&by_owner), window(&opened));
    assert_eq!(by_owner.extension.unwrap().approvals[0].approver, "lee");

    let longer = pat.approve_this(&opened.id, &waits.digest).await.unwrap();
    assert_eq!((length_s(&longer), longer.extension), (6 * HOUR, None));
    assert!(
        !pat.list(v1::RequestFilter::ToApprove)
            .await
            .contains(&opened.id)
    );
    assert_eq!(length_s(&mia.issue(&opened.id).await.unwrap()), 6 * HOUR);
    let settled = pat.approve(&opened.id).await;
    assert_eq!(
        refused(settled),
        Reason::WrongState,
        "nothing waits any more"
    );

    let world = world.restarted().await;
    let again = world.person("mia").await.show(&opened.id).await.unwrap();
    assert_eq!(length_s(&again), 6 * HOUR);
}

#[tokio::test]
async fn a_no_to_a_longer_window_leaves_the_window_there_is() {
    let world = grants().await;
    let (mia, pat) = (world.person("mia").await, world.person("pat").await);
    let opened = open(&world, "mia", want("ledger-read", 2 * HOUR), "pat").await;
    assert_eq!(
        refused(pat.deny(&opened.id).await),
        Reason::WrongState,
        "nothing waits"
    );
    mia.extend(&opened.id, 6 * HOUR).await.unwrap();
    let (sam, dana) = (world.person("sam").await, world.person("dana").await);
    for stranger in [&sam, &dana] {
        assert_eq!(refused(stranger.deny(&opened.id).await), Reason::NotFound);
    }
    let denied = pat.deny(&opened.id).await.unwrap();
    assert_eq!((window(&denied), denied.extension), (window(&opened), None));
    assert_eq!(length_s(&mia.issue(&opened.id).await.unwrap()), 2 * HOUR);
    assert_eq!(refused(pat.approve(&opened.id).await), Reason::WrongState);
    // And another wish may be told another thing.
    mia.extend(&opened.id, 3 * HOUR).await.unwrap();
    assert_eq!(length_s(&pat.approve(&opened.id).await.unwrap()), 3 * HOUR);
}

#[tokio::test]
async fn a_new_wish_takes_the_place_of_the_one_that_waits_with_the_consent_it_had() {
    let world = grants().await;
    let (mia, pat, lee, sam) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("lee").await,
        world.person("sam").await,
    );
    let opened = open(&world, "mia", want("ledger-read", 2 * HOUR), "pat").await;
    let first = mia
        .extend(&opened.id, 8 * HOUR)
        .await
        .unwrap()
        .extension
        .unwrap();
    lee.approve(&opened.id).await.unwrap();
    // The same once more is another wish.
    let second = mia
        .extend(&opened.id, 8 * HOUR)
        .await
        .unwrap()
        .extension
        .unwrap();
    assert_ne!(first.digest, second.digest);
    assert!(second.approvals.is_empty());
    let old = pat.approve_this(&opened.id, &first.digest).await;
    assert_eq!(refused(old), Reason::DigestMismatch);
    let longer = pat.approve_this(&opened.id, &second.digest).await.unwrap();
    assert_eq!(length_s(&longer), 8 * HOUR);

    // One that needs nobody takes the place of one that waits for people, too.
    let oncall = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    let waits = sam
        .extend(&oncall.id, 5 * HOUR)
        .await
        .unwrap()
        .extension
        .unwrap();
    let at_once = sam.extend(&oncall.id, 2 * HOUR).await.unwrap();
    assert_eq!((length_s(&at_once), at_once.extension), (2 * HOUR, None));
    let old = pat.approve_this(&oncall.id, &waits.digest).await;
    assert_eq!(refused(old), Reason::WrongState);
}

#[tokio::test]
async fn how_often_and_how_long_is_for_the_policy_to_say() {
    let world = grants().await;
    let (sam, pat) = (world.person("sam").await, world.person("pat").await);
    let opened = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    for minutes in [70, 80] {
        let longer = sam.extend(&opened.id, minutes * MINUTE).await.unwrap();
        assert_eq!(length_s(&longer), minutes * MINUTE, "at once");
    }
    let third = sam.extend(&opened.id, 90 * MINUTE).await.unwrap();
    assert!(
        third.extension.is_some(),
        "the third time people have to consent"
    );
    assert_eq!(
        length_s(&pat.approve(&opened.id).await.unwrap()),
        90 * MINUTE
    );
    let fourth = sam.extend(&opened.id, 100 * MINUTE).await;
    assert_eq!(
        refused(fourth),
        Reason::RefusedByPolicy,
        "and there is no fourth"
    );

    let other = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    let too_long = sam.extend(&other.id, 8 * HOUR + 1).await;
    assert_eq!(refused(too_long), Reason::RefusedByPolicy);
    assert!(
        sam.extend(&other.id, 8 * HOUR)
            .await
            .unwrap()
            .extension
            .is_some()
    );
}

#[tokio::test]
async fn twelve_hours_is_the_end_and_so_is_the_sixteenth_wish_whatever_the_policy_says() {
    let world = grants().await;
    let zoe = world.person("zoe").await;
    let opened = open(&world, "zoe", want("ledger-read", 11 * HOUR), "pat").await;
    let beyond = zoe.extend(&opened.id, 12 * HOUR + 1).await;
    assert_eq!(refused(beyond), Reason::InvalidArgument);
    assert_eq!(
        length_s(&zoe.extend(&opened.id, 12 * HOUR).await.unwrap()),
        12 * HOUR
    );

    let often = open(&world, "zoe", want("ledger-read", HOUR), "pat").await;
    for time in 1..=i64::try_from(EXTENSIONS_MAX).unwrap() {
        let longer = zoe.extend(&often.id, HOUR + time * MINUTE).await.unwrap();
        assert_eq!(length_s(&longer), HOUR + time * MINUTE);
    }
    let once_more = zoe.extend(&often.id, 3 * HOUR).await;
    assert_eq!(refused(once_more), Reason::TooManyExtensions);
    assert_eq!(
        length_s(&zoe.issue(&often.id).await.unwrap()),
        HOUR + 16 * MINUTE
    );
    world.restarted().await;
}

#[tokio::test]
async fn longer_is_longer_and_neither_equal_nor_shorter() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let opened = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    for wrong in [HOUR, HOUR - 1, 1] {
        let answer = sam.extend(&opened.id, wrong).await;
        assert_eq!(refused(answer), Reason::InvalidArgument, "{wrong}");
    }
    assert_eq!(
        length_s(&sam.extend(&opened.id, HOUR + 1).await.unwrap()),
        HOUR + 1
    );
    let wordless = sam.extend_saying(&opened.id, 2 * HOUR, "").await;
    assert_eq!(
        refused(wordless),
        Reason::InvalidArgument,
        "nobody extends without a word"
    );
}

#[tokio::test]
async fn nobody_makes_the_window_of_another_longer_nor_another_run_its_jobs() {
    let world = grants().await;
    let opened = open(&world, "mia", want("ledger-read", 2 * HOUR), "pat").await;
    for other in ["pat", "lee", "zoe", "audrey"] {
        let answer = world.person(other).await.extend(&opened.id, 3 * HOUR).await;
        assert_eq!(refused(answer), Reason::NotPermitted, "{other}");
    }
    let stranger = world
        .person("dana")
        .await
        .extend(&opened.id, 3 * HOUR)
        .await;
    assert_eq!(refused(stranger), Reason::NotFound);

    let deploy = open(&world, "ci", want("payments-deploy", 20 * MINUTE), "pat").await;
    let (same, other) = (world.person("ci").await, world.person("ci/2").await);
    let answer = other.extend(&deploy.id, 30 * MINUTE).await;
    assert_eq!(refused(answer), Reason::NotPermitted);
    // Whoever answers for the job is not the job.
    let owner = world
        .person("lee")
        .await
        .extend(&deploy.id, 30 * MINUTE)
        .await;
    assert_eq!(refused(owner), Reason::NotPermitted);
    assert_eq!(
        length_s(&same.extend(&deploy.id, 30 * MINUTE).await.unwrap()),
        30 * MINUTE
    );
}

#[tokio::test]
async fn a_window_that_is_not_open_is_not_made_longer() {
    let world = grants().await;
    let (mia, pat, zoe) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("zoe").await,
    );
    let request = mia.ask(want("ledger-read", 2 * HOUR)).await.unwrap();
    assert_eq!(
        refused(mia.extend(&request.id, 3 * HOUR).await),
        Reason::WrongState,
        "PENDING"
    );
    pat.approve(&request.id).await.unwrap();
    assert_eq!(
        refused(mia.extend(&request.id, 3 * HOUR).await),
        Reason::WrongState,
        "APPROVED"
    );
    mia.issue(&request.id).await.unwrap();
    mia.extend(&request.id, 3 * HOUR).await.unwrap();
    world.pass(2 * HOUR);
    // It waited for too long.
    assert_eq!(
        refused(pat.approve(&request.id).await),
        Reason::WrongState,
        "EXPIRED"
    );
    assert_eq!(
        refused(pat.deny(&request.id).await),
        Reason::WrongState,
        "EXPIRED"
    );
    assert_eq!(
        refused(mia.extend(&request.id, 3 * HOUR).await),
        Reason::WrongState,
        "EXPIRED"
    );
    assert_eq!(mia.show(&request.id).await.unwrap().extension, None);

    for end in ["released", "revoked"] {
        let opened = open(&world, "mia", want("ledger-read", 2 * HOUR), "pat").await;
        mia.extend(&opened.id, 3 * HOUR).await.unwrap();
        match end {
            "released" => mia.release(&opened.id).await.unwrap(),
            _ => zoe.revoke(&opened.id).await.unwrap(),
        };
        assert_eq!(
            refused(mia.extend(&opened.id, 3 * HOUR).await),
            Reason::WrongState,
            "{end}"
        );
        assert_eq!(
            refused(pat.approve(&opened.id).await),
            Reason::WrongState,
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_longer_window_is_decided_anew_at_each_issue_like_everything_else() {
    let world = grants().await;
    let (sam, mia, pat) = (
        world.person("sam").await,
        world.person("mia").await,
        world.person("pat").await,
    );
    let by_policy = open(&world, "sam", want("ledger-read", HOUR), "pat").await;
    sam.extend(&by_policy.id, 2 * HOUR).await.unwrap();
    let by_consent = open(&world, "mia", want("ledger-read", HOUR), "lee").await;
    mia.extend(&by_consent.id, 5 * HOUR).await.unwrap();
    pat.approve(&by_consent.id).await.unwrap();
    let calls = world.sts.calls().len();

    let cut = world.without_policy("access.cedar", "longer.oncall").await;
    let answer = sam.issue(&by_policy.id).await;
    assert_eq!(
        refused(answer),
        Reason::NeedsApproval,
        "only as an engineer by now, with consent"
    );
    let all = world
        .without_policy("access.cedar", "longer.engineer")
        .await;
    assert_eq!(
        refused(sam.issue(&by_policy.id).await),
        Reason::RefusedByPolicy
    );
    assert_eq!(
        refused(mia.issue(&by_consent.id).await),
        Reason::RefusedByPolicy
    );
    world.add("access.cedar", &format!("{cut}{all}")).await;
    sam.issue(&by_policy.id).await.unwrap();
    mia.issue(&by_consent.id).await.unwrap();

    // Who consented to the longer window is no manager of hers any more; who consented to the first is an owner as before.
    world
        .replace(
            "directory.hcl",
            "\"Mia Ahmed\"\n  manager = \"pat\"",
            "\"Mia Ahmed\"\n  manager = \"zoe\"",
        )
        .await;
    assert_eq!(
        refused(mia.issue(&by_consent.id).await),
        Reason::NeedsApproval
    );
    assert_eq!(world.sts.calls().len(), calls + 2);
}
