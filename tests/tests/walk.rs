//! The one story, from outside: a policy, a request, an approval, a session that ends on the second, a record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::time::Duration;

use writ_api::problem::Reason;
use writ_api::v1;
use writ_tests::{World, approve, ask, ci_job, issue, session, wish};

fn state(request: &v1::Request) -> &v1::request::State {
    request.state.as_ref().expect("a state")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ci_job_on_main_gets_its_scope_at_once_and_from_another_branch_never() {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy 1.2.3"))
        .await
        .expect("allowed at once");
    assert!(
        matches!(state(&request), v1::request::State::Approved(_)),
        "{request:?}"
    );
    let given = issue(&main, &request.id).await.expect("credentials");
    let service = "arn:aws:ecs:eu-west-1:123456789012:service/payments/api";
    let used = session(&given)
        .call_on(
            &world.sandbox.endpoint_url(),
            "ecs",
            "UpdateService",
            service,
        )
        .await
        .unwrap();
    assert!(used.allowed(), "{used:?}");
    let beyond = session(&given)
        .call(&world.sandbox.endpoint_url(), "rds", "DeleteDBInstance")
        .await
        .unwrap();
    assert_eq!(beyond.code.as_deref(), Some("AccessDenied"));

    let branch = world.as_ci("feature/x").await;
    let problem = ask(&branch, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap_err();
    assert_eq!(problem.reason, Some(Reason::RefusedByPolicy));
    let denial = problem.denial.expect("the policy's explanation");
    let finding = &denial.findings[0];
    let policy = finding.policy.as_ref().expect("a place");
    assert_eq!(
        (policy.id.as_str(), policy.file.as_str()),
        ("payments.deploy.ci", "access.cedar")
    );
    assert!(policy.line > 0);
    let condition = &finding.conditions[0];
    assert_eq!(condition.text, r#"principal.ref == "refs/heads/main""#);
    assert_eq!(
        condition.values.get("principal.ref").map(String::as_str),
        Some(r#""refs/heads/feature/x""#)
    );
    // What was issued to the job on `main` is out of reach of the other branch's job, though both are one workload.
    let problem = issue(&branch, &request.id).await.unwrap_err();
    assert!(
        matches!(problem.reason, Some(Reason::NotPermitted)),
        "{problem:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_asks_a_manager_approves_and_the_window_opens_at_the_first_issue() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let request = ask(&mia, wish("prod-db-read", 2_700, "INC-42"))
        .await
        .expect("pending");
    let v1::request::State::Pending(pending) = state(&request) else {
        panic!("{request:?}")
    };
    let decision = pending
        .decision
        .as_ref()
        .and_then(|decision| decision.outcome.as_ref());
    let Some(v1::decision::Outcome::NeedsApproval(needs)) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(needs.ways[0].needs[0].kind, "manager");
    assert_eq!(needs.ways[0].needs[0].people, ["pat"]);

    let problem = issue(&mia, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::NeedsApproval));
    assert!(world.sandbox.calls().is_empty(), "nothing reached the STS");

    let approved = approve(&pat, &request.id).await.expect("the manager may");
    assert!(matches!(state(&approved), v1::request::State::Approved(_)));
    let before = jiff_now();
    let given = issue(&mia, &request.id).await.expect("credentials");
    let v1::request::State::Active(active) = state(given.request.as_ref().unwrap()) else {
        panic!("not active")
    };
    let window = active.window.as_ref().unwrap();
    let (opens, closes) = (
        window.opens_at.unwrap().seconds,
        window.closes_at.unwrap().seconds,
    );
    assert!(
        opens >= before - 1,
        "the window opened at the issue, not at the request"
    );
    assert_eq!(closes - opens, 2_700);

    let call = &world.sandbox.calls()[0];
    assert_eq!(call.session_name, format!("writ-{}", request.id));
    assert_eq!(call.source_identity.as_deref(), Some("mia"));
    assert_eq!(call.tags[0], ("writ:grant".to_owned(), request.id.clone()));
    assert_eq!(call.transitive_tag_keys, ["writ:grant"]);

    let endpoint = world.sandbox.endpoint_url();
    assert!(
        session(&given)
            .call(&endpoint, "rds", "DescribeDBInstances")
            .await
            .unwrap()
            .allowed()
    );
    // A renewal is another session inside the same window.
    let renewed = issue(&mia, &request.id).await.expect("a renewal");
    assert_eq!(renewed.credentials.as_ref().unwrap().session, 2);
    let v1::request::State::Active(again) = state(renewed.request.as_ref().unwrap()) else {
        panic!("not active")
    };
    assert_eq!(again.window, active.window);
}

fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_shorter_than_aws_allows_still_ends_on_the_second_at_aws() {
    let world = World::start().await;
    let sam = world.as_person("sam").await;
    let request = ask(&sam, wish("prod-db-read", 20, "INC-7"))
        .await
        .expect("on call: at once");
    let given = issue(&sam, &request.id).await.expect("credentials");
    let call = &world.sandbox.calls()[0];
    assert_eq!(
        call.duration_s.as_deref(),
        Some("900"),
        "AWS gives no shorter session"
    );
    let v1::request::State::Active(active) = state(given.request.as_ref().unwrap()) else {
        panic!("not active")
    };
    let closes = active.window.as_ref().unwrap().closes_at.unwrap().seconds;
    assert_eq!(
        given
            .credentials
            .as_ref()
            .unwrap()
            .expires_at
            .unwrap()
            .seconds,
        closes
    );

    let endpoint = world.sandbox.endpoint_url();
    let clock = world.sandbox.clock();
    let used = session(&given);
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    clock.freeze(Some(at(closes - 1)));
    assert!(
        used.call(&endpoint, "rds", "DescribeDBInstances")
            .await
            .unwrap()
            .allowed(),
        "the last second"
    );
    clock.freeze(Some(at(closes)));
    let refused = used
        .call(&endpoint, "rds", "DescribeDBInstances")
        .await
        .unwrap();
    assert_eq!(
        refused.code.as_deref(),
        Some("AccessDenied"),
        "the first second after"
    );
    assert_eq!(
        world.sandbox.live_sessions().len(),
        1,
        "the session itself lives on at AWS, and can do nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_not_see_does_not_exist() {
    let world = World::start().await;
    let (mia, sam, audrey) = (
        world.as_person("mia").await,
        world.as_person("sam").await,
        world.as_person("audrey").await,
    );
    let request = ask(&mia, wish("prod-db-read", 600, "INC-42"))
        .await
        .unwrap();
    let get = |id: &str| v1::GetRequestRequest { id: id.to_owned() };
    let hidden = sam
        .requests()
        .get_request(get(&request.id))
        .await
        .unwrap_err();
    let absent = sam
        .requests()
        .get_request(get("01K00000000000000000000000"))
        .await
        .unwrap_err();
    // Each answer repeats the id that was asked for, and is otherwise the same to the letter.
    let apart_from = |said: &str, asked: &str| said.replace(asked, "…");
    assert_eq!(
        (hidden.code(), apart_from(hidden.message(), &request.id)),
        (
            absent.code(),
            apart_from(absent.message(), "01K00000000000000000000000")
        )
    );
    assert_eq!(hidden.code(), tonic::Code::NotFound);
    assert!(
        audrey
            .requests()
            .get_request(get(&request.id))
            .await
            .is_ok(),
        "an auditor sees it"
    );
    let short = &request.id[22..];
    assert!(
        mia.requests().get_request(get(short)).await.is_ok(),
        "its last four characters are enough"
    );

    let no_such = ask(&sam, wish("no-such-scope", 600, "x"))
        .await
        .unwrap_err();
    let not_mine = ask(&audrey, wish("prod-admin", 600, "x"))
        .await
        .unwrap_err();
    assert_eq!(
        (
            no_such.reason,
            apart_from(&no_such.message, "no-such-scope")
        ),
        (not_mine.reason, apart_from(&not_mine.message, "prod-admin"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_for_themselves_and_a_denial_ends_the_request() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let own = ask(&pat, wish("prod-db-read", 600, "INC-1"))
        .await
        .expect("pending");
    let problem = approve(&pat, &own.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::SelfApproval));

    let request = ask(&mia, wish("prod-db-read", 600, "INC-2")).await.unwrap();
    let deny = v1::DenyRequestRequest {
        id: request.id.clone(),
        reason: "not today".to_owned(),
    };
    let denied = pat
        .requests()
        .deny_request(deny)
        .await
        .unwrap()
        .into_inner()
        .request
        .unwrap();
    let v1::request::State::Denied(denial) = state(&denied) else {
        panic!("{denied:?}")
    };
    assert_eq!(
        (denial.approver.as_str(), denial.reason.as_str()),
        ("pat", "not today")
    );
    assert_eq!(
        approve(&pat, &request.id).await.unwrap_err().reason,
        Some(Reason::WrongState)
    );
    assert_eq!(
        issue(&mia, &request.id).await.unwrap_err().reason,
        Some(Reason::WrongState)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_one_request_also_over_a_restart() {
    let mut world = World::start().await;
    let mut keyed = wish("prod-db-read", 600, "INC-42");
    keyed.idempotency_key = Some("run-1".to_owned());
    let first = ask(&world.as_person("mia").await, keyed.clone())
        .await
        .unwrap();
    world.stop();
    world.up().await;
    let mia = world.as_person("mia").await;
    let second = ask(&mia, keyed.clone()).await.unwrap();
    assert_eq!(first.id, second.id);
    keyed.reason = "another".to_owned();
    assert_eq!(
        ask(&mia, keyed).await.unwrap_err().reason,
        Some(Reason::IdempotencyKeyReused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_each_state_until_the_end() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let request = ask(&mia, wish("prod-db-read", 1, "INC-42")).await.unwrap();
    let watch = v1::WatchRequestRequest {
        id: request.id.clone(),
    };
    let mut seen = mia
        .requests()
        .watch_request(watch)
        .await
        .unwrap()
        .into_inner();
    let mut names = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(30), seen.message())
            .await
            .expect("the stream goes on");
        let Some(update) = next.expect("no error") else {
            break;
        };
        let name = match state(update.request.as_ref().unwrap()) {
            v1::request::State::Pending(_) => {
                approve(&pat, &request.id).await.unwrap();
                "pending"
            }
            v1::request::State::Approved(_) => {
                issue(&mia, &request.id).await.unwrap();
                "approved"
            }
            v1::request::State::Active(_) => "active",
            v1::request::State::Expired(_) => "expired",
            other => panic!("{other:?}"),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    assert_eq!(names, ["pending", "approved", "active", "expired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_verifies_offline_and_a_flipped_byte_is_found() {
    let mut world = World::start().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    issue(&main, &request.id).await.unwrap();
    let note = world.checkpoint().await;
    let kept = world.dir.path().join("kept.note");
    std::fs::write(&kept, note).unwrap();
    world.stop();

    let sound = world.verify(Some(&kept));
    assert!(
        sound.status.success(),
        "{}",
        String::from_utf8_lossy(&sound.stderr)
    );
    let journal = world.journal();
    let mut bytes = std::fs::read(&journal).unwrap();
    let needle = b"payments-deploy";
    let place = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("the event is in the file");
    bytes[place] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let damaged = world.verify(Some(&kept));
    assert!(!damaged.status.success());
    // And the broker does not open such a journal.
    world.launch();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !world.log().contains("journal") && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        writ_api::client::Client::connect(&world.address(), None, None)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_of_the_same_workload_does_not_take_over_a_request() {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    let mut job = ci_job("main");
    job.run_id = "16000000001".to_owned();
    let other = world
        .client(&world.ci.github_token(&job, writ_tests::AUDIENCE).unwrap())
        .await;
    let problem = issue(&other, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::NotPermitted), "{problem:?}");
    assert!(issue(&main, &request.id).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_told_to_stop_while_it_starts_stops_cleanly() {
    let mut world = World::start().await;
    world.stop();
    let socket = world.dir.path().join("run/writ.sock");
    // It listens before it has read its journal, and serves after.
    assert!(!socket.exists(), "a broker takes its socket with it");
    world.launch();
    world
        .wait_for(|| socket.exists(), "the broker listens")
        .await;
    world.stop();
}
