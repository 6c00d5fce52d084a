//! Ending what is somebody else's: who may, what it comes to, and that nothing stands in its way.

use super::*;

/// A request of mia's at one of the steps that have an end before them.
async fn at_step(world: &Grants, step: &str) -> String {
    let (mia, pat) = (world.person("mia").await, world.person("pat").await);
    let asked = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    if step != "PENDING" {
        pat.approve(&asked.id).await.unwrap();
    }
    if step == "ACTIVE" {
        mia.issue(&asked.id).await.unwrap();
    }
    let asked = mia.show(&asked.id).await.unwrap();
    assert_eq!(state(&asked), step);
    asked.id
}

const STEPS: [&str; 3] = ["PENDING", "APPROVED", "ACTIVE"];

#[tokio::test]
async fn a_request_is_revoked_at_whatever_step_it_is_and_nothing_comes_after() {
    let world = grants().await;
    let (mia, pat, zoe) = (
        world.person("mia").await,
        world.person("pat").await,
        world.person("zoe").await,
    );
    for step in STEPS {
        let id = at_step(&world, step).await;
        if step == "ACTIVE" {
            mia.extend(&id, 2 * HOUR).await.unwrap();
        }
        let calls = world.sts.calls().len();
        let revoked = zoe.revoke(&id).await.unwrap();
        let Some(State::Revoked(how)) = &revoked.state else {
            panic!("{revoked:?}");
        };
        assert_eq!(
            (how.by.as_str(), how.reason.as_str()),
            ("zoe", "a stolen laptop")
        );
        // Only an open window had sessions, and there is no identity here to deny them with.
        let at_aws = revoked.revocation.map(|revocation| revocation.state());
        let expected = (step == "ACTIVE").then_some(v1::revocation::State::NotPossible);
        assert_eq!(at_aws, expected, "{step}");

        for (word, answer) in [
            ("issue", mia.issue(&id).await),
            ("extend", mia.extend(&id, 3 * HOUR).await),
            ("withdraw", mia.withdraw(&id).await),
            ("release", mia.release(&id).await),
            ("approve", pat.approve(&id).await),
            ("approve less", pat.approve_less(&id, MINUTE).await),
            ("deny", pat.deny(&id).await),
            ("revoke", zoe.revoke(&id).await),
        ] {
            assert_eq!(refused(answer), Reason::WrongState, "{word} after {step}");
        }
        assert_eq!(state(&mia.show(&id).await.unwrap()), "REVOKED");
        assert_eq!(world.sts.calls().len(), calls);
    }
}

#[tokio::test]
async fn it_is_said_that_sessions_go_on_where_nothing_can_deny_them_and_when_they_end() {
    let world = grants().await;
    let id = at_step(&world, "ACTIVE").await;
    let zoe = world.person("zoe").await;
    world.pass(MINUTE);
    let revoked = zoe.revoke(&id).await.unwrap();
    let at_aws = revoked.revocation.as_ref().unwrap();
    let session = &world.sts.calls_of(&id)[0];
    let ends_s = session.at.as_ms() / 1_000 + session.duration_s;
    assert_eq!(at_aws.sessions_end_at.as_ref().unwrap().seconds, ends_s);
    assert_eq!(
        at_aws.requested_at.as_ref().unwrap().seconds,
        world.now().as_ms() / 1_000
    );
    assert_eq!((at_aws.written_at, at_aws.verified_at), (None, None));
    world.pass(session.duration_s);
    let over = zoe.show(&id).await.unwrap().revocation.unwrap();
    assert_eq!(over.state(), v1::revocation::State::Ended);
}

#[tokio::test]
async fn who_the_policy_lets_end_it_ends_it_and_nobody_else() {
    let world = grants().await;
    for step in STEPS {
        // Security, and the owners of the scope.
        for may in ["zoe", "kim", "lee", "pat"] {
            let id = at_step(&world, step).await;
            assert!(
                world.person(may).await.revoke(&id).await.is_ok(),
                "{may} at {step}"
            );
        }
        let id = at_step(&world, step).await;
        // The requester has words of their own for it; rob and audrey see it and have no say; the others do not even see it.
        let rows = [
            ("mia", Reason::NotPermitted),
            ("rob", Reason::NotPermitted),
            ("audrey", Reason::NotPermitted),
            ("sam", Reason::NotFound),
            ("dana", Reason::NotFound),
            ("ci", Reason::NotFound),
        ];
        for (other, why) in rows {
            let answer = world.person(other).await.revoke(&id).await;
            assert_eq!(refused(answer), why, "{other} at {step}");
        }
        assert_eq!(
            state(&world.person("mia").await.show(&id).await.unwrap()),
            step
        );
    }
    let none = world
        .person("zoe")
        .await
        .revoke("01K00000000000000000000000")
        .await;
    assert_eq!(refused(none), Reason::NotFound);
}

#[tokio::test]
async fn ending_a_person_ends_all_they_hold_also_by_the_jobs_they_answer_for() {
    let world = grants().await;
    let (lee, ci, zoe, pat) = (
        world.person("lee").await,
        world.person("ci").await,
        world.person("zoe").await,
        world.person("pat").await,
    );
    let pending = lee.ask(want("ledger-read", HOUR)).await.unwrap().id;
    let active = lee.ask(want("ledger-read", 2 * HOUR)).await.unwrap().id;
    pat.approve(&active).await.unwrap();
    lee.issue(&active).await.unwrap();
    let ended_before = lee.ask(want("ledger-read", 3 * HOUR)).await.unwrap().id;
    lee.withdraw(&ended_before).await.unwrap();
    let by_job = ci
        .ask(want("payments-deploy", 20 * MINUTE))
        .await
        .unwrap()
        .id;
    ci.issue(&by_job).await.unwrap();
    let of_another = at_step(&world, "ACTIVE").await;

    let ended = zoe.revoke_person("lee").await.unwrap();
    let mut ids: Vec<String> = ended
        .requests
        .iter()
        .map(|request| request.id.clone())
        .collect();
    let mut expected = [pending, active, by_job];
    ids.sort();
    expected.sort();
    assert_eq!(
        (ids.as_slice(), ended.not_permitted),
        (expected.as_slice(), 0)
    );
    assert!(
        ended
            .requests
            .iter()
            .all(|request| state(request) == "REVOKED")
    );
    assert_eq!(state(&zoe.show(&of_another).await.unwrap()), "ACTIVE");
    assert_eq!(state(&lee.show(&ended_before).await.unwrap()), "WITHDRAWN");

    let again = zoe.revoke_person("lee").await.unwrap();
    assert_eq!((again.requests.len(), again.not_permitted), (0, 0));
    let nobody = zoe.revoke_person("nobody").await.unwrap();
    assert_eq!((nobody.requests.len(), nobody.not_permitted), (0, 0));
    assert_eq!(
        refused(zoe.revoke_person("no body").await),
        Reason::InvalidArgument
    );
}

#[tokio::test]
async fn ending_a_person_counts_what_the_policy_lets_the_caller_not_end() {
    let world = grants().await;
    let (mia, lee, audrey) = (
        world.person("mia").await,
        world.person("lee").await,
        world.person("audrey").await,
    );
    let ledger = mia.ask(want("ledger-read", HOUR)).await.unwrap().id;
    let deploy = mia.ask(want("payments-deploy", HOUR)).await.unwrap().id;
    let none = audrey.revoke_person("mia").await.unwrap();
    assert_eq!((none.requests.len(), none.not_permitted), (0, 2));
    // Lee answers for the ledger alone.
    let some = lee.revoke_person("mia").await.unwrap();
    let ids: Vec<&str> = some
        .requests
        .iter()
        .map(|request| request.id.as_str())
        .collect();
    // What he may not see does not exist for him.
    assert_eq!((ids, some.not_permitted), (vec![ledger.as_str()], 0));
    assert_eq!(state(&mia.show(&deploy).await.unwrap()), "PENDING");
}

#[tokio::test]
async fn what_somebody_left_behind_is_ended_though_the_directory_has_forgotten_them() {
    let world = grants().await;
    let zoe = world.person("zoe").await;
    let (by_id, by_person) = (
        at_step(&world, "ACTIVE").await,
        at_step(&world, "APPROVED").await,
    );
    world.without_block("directory.hcl", "user \"mia\" {").await;
    assert_eq!(state(&zoe.revoke(&by_id).await.unwrap()), "REVOKED");
    let rest = zoe.revoke_person("mia").await.unwrap();
    assert_eq!(rest.requests[0].id, by_person);
    assert_eq!(rest.not_permitted, 0);
}

#[tokio::test]
async fn what_was_given_for_a_scope_is_ended_though_the_catalog_has_forgotten_the_scope() {
    let world = grants().await;
    let (mia, zoe) = (world.person("mia").await, world.person("zoe").await);
    let asked = mia.ask(want("ledger-close", HOUR)).await.unwrap();
    let open = at_step(&world, "ACTIVE").await;
    world
        .change("access.cedar", |text| {
            let (start, end) = (
                text.find("@id(\"close\")").unwrap(),
                text.find("@id(\"deploy.main\")").unwrap(),
            );
            format!("{}{}", &text[..start], &text[end..])
        })
        .await;
    world
        .without_block("scopes.hcl", "scope \"ledger-close\" {")
        .await;
    assert_eq!(refused(mia.issue(&asked.id).await), Reason::RefusedByPolicy);
    assert_eq!(state(&zoe.revoke(&asked.id).await.unwrap()), "REVOKED");
    assert_eq!(state(&zoe.revoke(&open).await.unwrap()), "REVOKED");
}

/// One request for each way to end or to settle something, and what makes more of one.
struct Endings {
    denied: String,
    withdrawn: String,
    released: String,
    revoked: String,
    reviewed: String,
    extension_denied: String,
    lent: String,
    pending: String,
    approved: String,
    active: String,
}

async fn endings(world: &Grants) -> Endings {
    let (sam, zoe, pat) = (
        world.person("sam").await,
        world.person("zoe").await,
        world.person("pat").await,
    );
    let emergency = sam.ask(glass("ledger-read", HOUR)).await.unwrap().id;
    sam.issue(&emergency).await.unwrap();
    sam.release(&emergency).await.unwrap();
    let extended = at_step(world, "ACTIVE").await;
    world
        .person("mia")
        .await
        .extend(&extended, 2 * HOUR)
        .await
        .unwrap();
    let closes_at = world.now().as_ms() / 1_000 + DAY;
    let loan = v1::CreateDelegationRequest {
        delegate: "dana".to_owned(),
        opens_at: None,
        closes_at: Some(prost_types::Timestamp {
            seconds: closes_at,
            nanos: 0,
        }),
        reason: "a day off".to_owned(),
    };
    assert!(
        zoe.list(v1::RequestFilter::ToReview)
            .await
            .contains(&emergency)
    );
    Endings {
        denied: at_step(world, "PENDING").await,
        withdrawn: at_step(world, "APPROVED").await,
        released: at_step(world, "ACTIVE").await,
        revoked: at_step(world, "ACTIVE").await,
        reviewed: emergency,
        extension_denied: extended,
        lent: pat.lend(loan).await.unwrap().id,
        pending: at_step(world, "PENDING").await,
        approved: at_step(world, "APPROVED").await,
        active: at_step(world, "ACTIVE").await,
    }
}

impl Endings {
    /// Everything that takes more on is refused for one reason.
    async fn no_more(&self, world: &Grants, why: Reason) {
        let (mia, pat, sam) = (
            world.person("mia").await,
            world.person("pat").await,
            world.person("sam").await,
        );
        let loan = v1::CreateDelegationRequest {
            delegate: "dana".to_owned(),
            opens_at: None,
            closes_at: Some(prost_types::Timestamp {
                seconds: noon().as_ms() / 1_000 + 9 * DAY,
                nanos: 0,
            }),
            reason: "a day off".to_owned(),
        };
        let calls = world.sts.calls().len();
        assert_eq!(refused(pat.lend(loan).await), why);
        for (word, answer) in [
            ("ask", sam.ask(want("ledger-read", HOUR)).await),
            ("an emergency", sam.ask(glass("ledger-read", HOUR)).await),
            ("approve", pat.approve(&self.pending).await),
            (
                "approve less",
                pat.approve_less(&self.pending, MINUTE).await,
            ),
            (
                "approve a longer window",
                pat.approve(&self.extension_denied).await,
            ),
            ("issue", mia.issue(&self.approved).await),
            ("renew", mia.issue(&self.active).await),
            ("extend", mia.extend(&self.active, 2 * HOUR).await),
        ] {
            assert_eq!(refused(answer), why, "{word}");
        }
        assert_eq!(world.sts.calls().len(), calls);
    }

    /// Everything that ends or settles something is done.
    async fn all_end(&self, world: &Grants) {
        let (mia, pat, zoe) = (
            world.person("mia").await,
            world.person("pat").await,
            world.person("zoe").await,
        );
        assert_eq!(state(&pat.deny(&self.denied).await.unwrap()), "DENIED");
        assert_eq!(
            state(&mia.withdraw(&self.withdrawn).await.unwrap()),
            "WITHDRAWN"
        );
        assert_eq!(
            state(&mia.release(&self.released).await.unwrap()),
            "RELEASED"
        );
        assert_eq!(state(&zoe.revoke(&self.revoked).await.unwrap()), "REVOKED");
        assert_eq!(
            pat.deny(&self.extension_denied).await.unwrap().extension,
            None
        );
        let reviewed = zoe.review(&self.reviewed).await.unwrap();
        assert!(reviewed.break_glass.unwrap().reviewer.is_some());
        pat.take_back(&self.lent).await.unwrap();
        let rest = zoe.revoke_person("mia").await.unwrap();
        assert_eq!(
            (rest.requests.len(), rest.not_permitted),
            (4, 0),
            "pending, approved, active, and the extended one"
        );
    }
}

#[tokio::test]
async fn while_the_clock_is_behind_everything_ends_and_nothing_is_taken_on() {
    let world = grants().await;
    let endings = endings(&world).await;
    world.set_wall_by(-HOUR);
    endings.no_more(&world, Reason::ClockBehind).await;
    endings.all_end(&world).await;
    world.set_wall_by(HOUR);
    world
        .person("sam")
        .await
        .ask(want("ledger-read", HOUR))
        .await
        .unwrap();
    world.restarted().await;
}

#[tokio::test]
async fn while_the_disk_is_nearly_full_everything_ends_and_nothing_is_taken_on() {
    let world = grants().await;
    let endings = endings(&world).await;
    world.disk_is_full(true);
    endings.no_more(&world, Reason::StorageLow).await;
    endings.all_end(&world).await;
    world.disk_is_full(false);
    world
        .person("sam")
        .await
        .ask(want("ledger-read", HOUR))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_job_left_behind_is_ended_though_the_directory_has_forgotten_it() {
    let world = grants().await;
    let (ci, zoe) = (world.person("ci").await, world.person("zoe").await);
    let asked = ci.ask(want("payments-deploy", 20 * MINUTE)).await.unwrap();
    ci.issue(&asked.id).await.unwrap();
    world
        .without_block("directory.hcl", "workload \"payments-ci\" {")
        .await;
    let audrey = world.person("audrey").await;
    assert!(audrey.revoke(&asked.id).await.is_err());
    let revoked = zoe.revoke(&asked.id).await.unwrap();
    assert_eq!(state(&revoked), "REVOKED");
    assert_eq!(
        revoked.principal.unwrap().person,
        "",
        "nobody answers for it any more"
    );
}
