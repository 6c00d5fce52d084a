//! Standing in: a right to approve that is lent, and every way to make one consent look like two, or one's own like another's.

use writ_api::v1::RequestFilter::ToApprove;

use super::*;
use crate::desk::LENT_MAX;

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

impl Grants {
    fn in_s(&self, seconds: i64) -> i64 {
        self.now().as_ms() / 1_000 + seconds
    }

    /// A right from now on.
    fn loan(&self, delegate: &str, seconds: i64) -> v1::CreateDelegationRequest {
        v1::CreateDelegationRequest {
            delegate: delegate.to_owned(),
            opens_at: None,
            closes_at: at(self.in_s(seconds)),
            reason: "a week off".to_owned(),
        }
    }

    async fn lends(&self, lender: &str, delegate: &str) -> String {
        let lender = self.person(lender).await;
        lender
            .lend(self.loan(delegate, 12 * HOUR))
            .await
            .unwrap()
            .id
    }
}

#[tokio::test]
async fn a_right_that_is_lent_shows_the_request_consents_to_it_and_names_whose_it_is() {
    let world = grants().await;
    let (mia, dana) = (world.person("mia").await, world.person("dana").await);
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(refused(dana.show(&asked.id).await), Reason::NotFound);
    assert_eq!(
        refused(dana.approve_for("pat", &asked.id).await),
        Reason::NotFound
    );
    world.lends("pat", "dana").await;
    assert_eq!(dana.list(ToApprove).await, std::slice::from_ref(&asked.id));
    // She has no right of her own, and uses none that she does not name.
    assert_eq!(refused(dana.approve(&asked.id).await), Reason::NotPermitted);
    assert_eq!(
        refused(dana.approve_for("lee", &asked.id).await),
        Reason::NotPermitted
    );
    let approved = dana.approve_for("pat", &asked.id).await.unwrap();
    assert_eq!(
        (state(&approved), approvers(&approved)),
        ("APPROVED", vec!["dana"])
    );
    let approval = &approved.approvals[0];
    assert_eq!(approval.on_behalf_of.as_deref(), Some("pat"));
    assert_eq!(approval.kinds, ["manager", "owner"], "what pat could give");
    mia.issue(&asked.id).await.unwrap();
    assert_eq!(
        refused(dana.show(&asked.id).await),
        Reason::NotFound,
        "nothing waits for her any more"
    );
}

#[tokio::test]
async fn nobody_consents_to_their_own_request_by_a_right_they_lent_or_were_lent() {
    let world = grants().await;
    for (lender, delegate) in [
        ("lee", "dana"),
        ("pat", "dana"),
        ("pat", "lee"),
        ("pat", "mia"),
        ("lee", "mia"),
    ] {
        world.lends(lender, delegate).await;
    }
    let (mia, lee, dana) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("dana").await,
    );
    // The requester is the lender.
    let of_lee = lee.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(
        refused(dana.approve_for("lee", &of_lee.id).await),
        Reason::SelfApproval
    );
    assert_eq!(
        refused(mia.approve_for("lee", &of_lee.id).await),
        Reason::SelfApproval
    );
    // The requester is the delegate.
    assert_eq!(
        refused(lee.approve_for("pat", &of_lee.id).await),
        Reason::SelfApproval
    );
    assert_eq!(refused(lee.deny(&of_lee.id).await), Reason::SelfApproval);
    // The requester is both, and neither helps.
    assert_eq!(
        refused(lee.approve_for("lee", &of_lee.id).await),
        Reason::SelfApproval
    );
    let of_mia = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(
        refused(mia.approve_for("pat", &of_mia.id).await),
        Reason::SelfApproval
    );
    assert!(mia.list(ToApprove).await.iter().all(|id| *id != of_mia.id));
    // The requester is a job that the lender, or the delegate, answers for.
    let ci = world.person("ci").await;
    let of_ci = ci.ask(want("payments-deploy", HOUR)).await.unwrap();
    assert_eq!(
        refused(lee.approve_for("pat", &of_ci.id).await),
        Reason::SelfApproval
    );
    assert_eq!(
        refused(dana.approve_for("lee", &of_ci.id).await),
        Reason::SelfApproval
    );

    // Beside all of it, pat's own right is lent to somebody who is none of them.
    for (id, requester) in [(&of_lee.id, &lee), (&of_mia.id, &mia), (&of_ci.id, &ci)] {
        assert_eq!(
            state(&dana.approve_for("pat", id).await.unwrap()),
            "APPROVED"
        );
        requester.issue(id).await.unwrap();
    }
}

#[tokio::test]
async fn who_lends_and_who_is_lent_to_are_one_consent_in_either_order() {
    let world = grants().await;
    for (lender, delegate) in [
        ("lee", "dana"),
        ("pat", "lee"),
        ("pat", "dana"),
        ("kim", "lee"),
    ] {
        world.lends(lender, delegate).await;
    }
    let mia = world.person("mia").await;
    // Who consents, by whose right; then who is refused, by whose; then who completes the two owners.
    type Word = (&'static str, Option<&'static str>);
    let rows: [(Word, &[Word], Word); 6] = [
        (
            ("lee", None),
            &[
                ("dana", Some("lee")),
                ("lee", Some("pat")),
                ("lee", Some("kim")),
            ],
            ("pat", None),
        ),
        (
            ("dana", Some("lee")),
            &[("lee", None), ("dana", Some("pat")), ("lee", Some("pat"))],
            ("kim", None),
        ),
        // Her own right and pat's: lee is one person.
        (
            ("lee", Some("pat")),
            &[
                ("lee", None),
                ("pat", None),
                ("dana", Some("pat")),
                ("dana", Some("lee")),
            ],
            ("kim", None),
        ),
        (
            ("pat", None),
            &[("dana", Some("pat")), ("lee", Some("pat"))],
            ("lee", None),
        ),
        (
            ("lee", Some("kim")),
            &[("kim", None), ("lee", None), ("lee", Some("pat"))],
            ("dana", Some("pat")),
        ),
        (
            ("dana", Some("pat")),
            &[("pat", None), ("lee", Some("pat")), ("dana", Some("lee"))],
            ("lee", None),
        ),
    ];
    for (first, again, last) in rows {
        let asked = mia.ask(want("ledger-close", HOUR)).await.unwrap();
        let say = async |(who, lender): Word| {
            let who = world.person(who).await;
            match lender {
                None => who.approve(&asked.id).await,
                Some(lender) => who.approve_for(lender, &asked.id).await,
            }
        };
        assert_eq!(state(&say(first).await.unwrap()), "PENDING", "{first:?}");
        for word in again {
            assert_eq!(
                refused(say(*word).await),
                Reason::AlreadyApproved,
                "{first:?}, then {word:?}"
            );
            assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
        }
        assert_eq!(
            state(&say(last).await.unwrap()),
            "APPROVED",
            "{first:?}, then {last:?}"
        );
        mia.issue(&asked.id).await.unwrap();
        mia.release(&asked.id).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_lent_is_not_lent_on_and_only_the_pairs_of_the_policy_lend() {
    let world = grants().await;
    let (mia, pat, lee, zoe, dana) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("lee").await,
        world.person("zoe").await,
        world.person("dana").await,
    );
    for (lender, delegate) in [
        (&pat, "pat"),
        (&pat, "sam"),
        (&pat, "audrey"),
        (&pat, "nobody"),
        (&zoe, "dana"),
        (&dana, "mia"),
    ] {
        assert_eq!(
            refused(lender.lend(world.loan(delegate, HOUR)).await),
            Reason::NotPermitted,
            "{delegate}"
        );
    }
    assert_eq!(
        refused(
            world
                .person("ci")
                .await
                .lend(world.loan("dana", HOUR))
                .await
        ),
        Reason::NotPermitted
    );
    world.lends("pat", "lee").await;
    world.lends("lee", "dana").await;
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(
        refused(dana.approve_for("pat", &asked.id).await),
        Reason::NotPermitted
    );
    // By lee's right she is an owner; the manager's is pat's, and lee has only borrowed it.
    let approved = dana.approve_for("lee", &asked.id).await.unwrap();
    assert_eq!(approved.approvals[0].kinds, ["owner"]);
    // A name that is somebody's own is no lender.
    assert_eq!(
        refused(lee.approve_for("lee", &asked.id).await),
        Reason::NotPermitted
    );
    assert_eq!(
        refused(zoe.approve_for("zoe", &asked.id).await),
        Reason::NotPermitted
    );
}

#[tokio::test]
async fn the_policy_is_told_that_a_right_is_lent_and_may_keep_it_from_that() {
    let world = grants().await;
    let (mia, dana, zoe) = (
        world.person("mia").await,
        world.person("dana").await,
        world.person("zoe").await,
    );
    // Kim is an owner and of security; what security consents to is not lent here.
    world.lends("kim", "dana").await;
    let asked = mia.ask(want("ledger-admin", HOUR)).await.unwrap();
    let lent = dana.approve_for("kim", &asked.id).await.unwrap();
    assert_eq!(
        (state(&lent), lent.approvals[0].kinds.as_slice()),
        ("PENDING", ["owner".to_owned()].as_slice())
    );
    assert_eq!(state(&zoe.approve(&asked.id).await.unwrap()), "APPROVED");
}

#[tokio::test]
async fn a_right_is_lent_from_its_beginning_to_its_end_and_not_after_it_was_taken_back() {
    let world = grants().await;
    let (mia, pat) = (world.person("mia").await, world.person("pat").await);
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    let mut later = world.loan("dana", 2 * HOUR);
    later.opens_at = at(world.in_s(HOUR));
    let lent = pat.lend(later).await.unwrap();
    assert_eq!(
        (lent.opens_at, lent.closes_at),
        (at(world.in_s(HOUR)), at(world.in_s(2 * HOUR)))
    );
    let dana = world.person("dana").await;
    assert_eq!(
        dana.lent().await,
        std::slice::from_ref(&lent),
        "she knows of it"
    );
    let lead = async || refused(dana.approve_for("pat", &asked.id).await);
    assert_eq!(lead().await, Reason::NotFound, "it has not begun");
    world.pass_ms(HOUR * 1_000 - 1);
    assert_eq!(lead().await, Reason::NotFound, "it has not begun");
    world.pass_ms(1);
    assert_eq!(dana.list(ToApprove).await, std::slice::from_ref(&asked.id));
    world.pass(HOUR);
    assert_eq!(lead().await, Reason::NotFound, "it is over");
    assert!(dana.lent().await.is_empty());
    assert_eq!(refused(pat.take_back(&lent.id).await), Reason::WrongState);

    let again = world.lends("pat", "dana").await;
    pat.take_back(&again).await.unwrap();
    assert_eq!(lead().await, Reason::NotFound, "it was taken back");
    // And beside all these, one that is lent now.
    world.lends("pat", "dana").await;
    let world = world.restarted().await;
    let dana = world.person("dana").await;
    assert_eq!(
        state(&dana.approve_for("pat", &asked.id).await.unwrap()),
        "APPROVED"
    );
}

#[tokio::test]
async fn consent_by_a_lent_right_counts_only_while_lender_and_pair_have_what_it_takes() {
    let world = grants().await;
    let (mia, dana) = (world.person("mia").await, world.person("dana").await);
    let lent = world.lends("pat", "dana").await;
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    dana.approve_for("pat", &asked.id).await.unwrap();
    mia.issue(&asked.id).await.unwrap();

    // The lender is neither manager nor owner any more.
    let directory = std::fs::read_to_string(world.policies.join("directory.hcl")).unwrap();
    world
        .change("directory.hcl", |text| {
            let text = text.replace(
                "\"Mia Ahmed\"\n  manager = \"pat\"",
                "\"Mia Ahmed\"\n  manager = \"zoe\"",
            );
            text.replace(
                "[\"payments-leads\", \"platform-leads\"]",
                "[\"platform-leads\"]",
            )
        })
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    world.change("directory.hcl", |_| directory.clone()).await;
    mia.issue(&asked.id).await.unwrap();

    // The policy lets this pair no more: at the next issue, for a new consent, and for a new loan.
    let pair = world
        .without_policy("approvals.cedar", "delegate.leads")
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    let other = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(
        refused(dana.approve_for("pat", &other.id).await),
        Reason::NotFound
    );
    let pat = world.person("pat").await;
    assert_eq!(
        refused(pat.lend(world.loan("dana", HOUR)).await),
        Reason::NotPermitted
    );
    world.add("approvals.cedar", &pair).await;
    mia.issue(&asked.id).await.unwrap();

    // The delegate has left.
    world
        .without_block("directory.hcl", "user \"dana\" {")
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::NeedsApproval);
    world.change("directory.hcl", |_| directory).await;
    // What was consented to while it was lent stays so when it is lent no more.
    pat.take_back(&lent).await.unwrap();
    mia.issue(&asked.id).await.unwrap();
}

#[tokio::test]
async fn a_lent_right_says_no_as_well() {
    let world = grants().await;
    let (mia, dana) = (world.person("mia").await, world.person("dana").await);
    let asked = mia.ask(want("ledger-read", 4 * HOUR)).await.unwrap();
    assert_eq!(refused(dana.deny(&asked.id).await), Reason::NotFound);
    world.lends("pat", "dana").await;
    let denied = dana.deny(&asked.id).await.unwrap();
    let Some(State::Denied(how)) = &denied.state else {
        panic!("{denied:?}");
    };
    assert_eq!(
        (how.approver.as_str(), how.reason.as_str()),
        ("dana", "not now")
    );
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::WrongState);
}

#[tokio::test]
async fn a_loan_is_known_to_its_two_people_and_ended_by_the_lender_alone() {
    let world = grants().await;
    let lent = world.lends("pat", "dana").await;
    let (pat, dana) = (world.person("pat").await, world.person("dana").await);
    for one in [&pat, &dana] {
        let known = one.lent().await;
        assert_eq!((known.len(), known[0].id.as_str()), (1, lent.as_str()));
        assert_eq!(
            (known[0].lender.as_str(), known[0].delegate.as_str()),
            ("pat", "dana")
        );
        assert_eq!(known[0].reason, "a week off");
    }
    for other in ["dana", "lee", "mia", "zoe", "audrey", "ci"] {
        let other_one = world.person(other).await;
        assert_eq!(
            refused(other_one.take_back(&lent).await),
            Reason::NotFound,
            "{other}"
        );
        assert_eq!(
            other_one.lent().await.is_empty(),
            other != "dana",
            "{other}"
        );
    }
    let none = pat.take_back("01K00000000000000000000000").await;
    assert_eq!(refused(none), Reason::NotFound);
    pat.take_back(&lent).await.unwrap();
    assert_eq!(refused(pat.take_back(&lent).await), Reason::WrongState);
    assert!(pat.lent().await.is_empty() && dana.lent().await.is_empty());
}

#[tokio::test]
async fn a_loan_has_an_end_within_a_month_and_nobody_lends_without_limit() {
    let world = grants().await;
    let pat = world.person("pat").await;
    for wrong in [0, -HOUR, 31 * DAY + 1] {
        let answer = pat.lend(world.loan("dana", wrong)).await;
        assert_eq!(refused(answer), Reason::InvalidArgument, "{wrong}");
    }
    let mut backwards = world.loan("dana", HOUR);
    backwards.opens_at = at(world.in_s(2 * HOUR));
    assert_eq!(refused(pat.lend(backwards).await), Reason::InvalidArgument);
    let mut wordless = world.loan("dana", HOUR);
    wordless.reason = String::new();
    assert_eq!(refused(pat.lend(wordless).await), Reason::InvalidArgument);
    // One that would have begun in the past begins now.
    let mut early = world.loan("dana", 31 * DAY);
    early.opens_at = at(world.in_s(-DAY));
    assert_eq!(pat.lend(early).await.unwrap().opens_at, at(world.in_s(0)));
    for _ in 1..LENT_MAX {
        pat.lend(world.loan("dana", HOUR)).await.unwrap();
    }
    let one_more = pat.lend(world.loan("dana", HOUR)).await;
    assert_eq!(refused(one_more), Reason::TooManyDelegations);
    assert!(
        world
            .person("lee")
            .await
            .lend(world.loan("dana", HOUR))
            .await
            .is_ok()
    );
    world.pass(HOUR);
    assert!(
        pat.lend(world.loan("dana", HOUR)).await.is_ok(),
        "those that are over do not count"
    );
}

#[tokio::test]
async fn a_lent_right_consents_to_a_longer_window_and_to_an_emergency_too() {
    let world = grants().await;
    let (mia, pat, dana) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("dana").await,
    );
    world.lends("pat", "dana").await;
    let asked = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    pat.approve(&asked.id).await.unwrap();
    mia.issue(&asked.id).await.unwrap();
    mia.extend(&asked.id, 2 * HOUR).await.unwrap();
    assert_eq!(dana.list(ToApprove).await, std::slice::from_ref(&asked.id));
    assert_eq!(
        length_s(&dana.approve_for("pat", &asked.id).await.unwrap()),
        2 * HOUR
    );
    assert_eq!(length_s(&mia.issue(&asked.id).await.unwrap()), 2 * HOUR);

    let emergency = mia.ask(glass("ledger-read", HOUR)).await.unwrap();
    assert_eq!(
        state(&dana.approve_for("pat", &emergency.id).await.unwrap()),
        "APPROVED"
    );
}
