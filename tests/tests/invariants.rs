//! The invariants of the design, one test for each, on the real broker from outside.
//!
//! The eighth (an accepted revocation is carried out or has expired) has no subject yet: nothing can be revoked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use writ_api::client::Client;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_engine::case::LIVE_SESSIONS_MAX;
use writ_sandbox::{Fault, Outcome};
use writ_tests::{World, about, approve, ask, edit, fact, issue, session, wish};

fn state(request: &v1::Request) -> &v1::request::State {
    request.state.as_ref().expect("a state")
}

fn window(given: &v1::IssueCredentialsResponse) -> (i64, i64) {
    match state(given.request.as_ref().unwrap()) {
        v1::request::State::Active(active) => {
            let window = active.window.as_ref().unwrap();
            (
                window.opens_at.unwrap().seconds,
                window.closes_at.unwrap().seconds,
            )
        }
        other => panic!("{other:?}"),
    }
}

/// The facts on disk now, read as another program would, without the broker.
fn on_disk(journal: &Path) -> Vec<(String, Value)> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = rusqlite::Connection::open_with_flags(journal, flags).unwrap();
    let mut rows = journal
        .prepare("SELECT body FROM events ORDER BY seq")
        .unwrap();
    let bodies = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    bodies
        .map(|body| fact(&serde_json::from_slice(&body.unwrap()).unwrap()))
        .collect()
}

fn names(facts: &[(String, Value)]) -> Vec<&str> {
    facts.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_1_the_record_is_durable_before_the_effect() {
    let mut world = World::start().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    // While STS has made the session and has not answered, the intent is on the disk and no outcome is.
    world
        .sandbox
        .set_fault(Fault::Slow(Duration::from_secs(3)), 1);
    let asking = {
        let (main, id) = (world.as_ci("main").await, request.id.clone());
        tokio::spawn(async move { issue(&main, &id).await })
    };
    world
        .wait_for(|| !world.sandbox.calls().is_empty(), "the call to STS")
        .await;
    assert_eq!(
        names(&on_disk(&world.journal())).last(),
        Some(&"issue_intended")
    );
    // Once the caller has credentials, their outcome is on the disk.
    let given = asking.await.unwrap().expect("slow, but in time");
    let facts = on_disk(&world.journal());
    let (name, issued) = facts.last().unwrap();
    assert_eq!(name, "issued");
    assert_eq!(
        issued["access_key_id"],
        given.credentials.as_ref().unwrap().access_key_id.as_str()
    );

    // And a broker that dies in between finds the intent, and says that a session may exist.
    world
        .sandbox
        .set_fault(Fault::Slow(Duration::from_secs(3)), 1);
    let asking = {
        let (main, id) = (world.as_ci("main").await, request.id.clone());
        tokio::spawn(async move { issue(&main, &id).await })
    };
    world
        .wait_for(
            || world.sandbox.calls().len() == 2,
            "the second call to STS",
        )
        .await;
    world.kill();
    assert!(
        asking.await.unwrap().is_err(),
        "nobody has those credentials"
    );
    world.up().await;
    assert_eq!(
        world.chapters(&request.id).await[3..],
        ["issue_intended", "issue_unknown"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_2_one_grant_for_a_request_and_one_outcome_for_a_key() {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    let mut keyed = wish("payments-deploy", 900, "deploy");
    keyed.idempotency_key = Some("run-1".to_owned());
    let mut asking = Vec::new();
    for _ in 0..16 {
        let (client, wish) = (world.as_ci("main").await, keyed.clone());
        asking.push(tokio::spawn(async move { ask(&client, wish).await }));
    }
    let mut ids = BTreeSet::new();
    for answer in asking {
        ids.insert(answer.await.unwrap().unwrap().id);
    }
    assert_eq!(ids.len(), 1, "sixteen calls at once, one request");
    let id = ids.first().unwrap().clone();

    let mut issuing = Vec::new();
    for _ in 0..16 {
        let (client, id) = (world.as_ci("main").await, id.clone());
        issuing.push(tokio::spawn(async move { issue(&client, &id).await }));
    }
    let (mut windows, mut numbers, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0);
    for answer in issuing {
        match answer.await.unwrap() {
            Ok(given) => {
                windows.insert(window(&given));
                numbers.insert(given.credentials.as_ref().unwrap().session);
            }
            Err(problem) => {
                assert_eq!(problem.reason, Some(Reason::TooManySessions), "{problem:?}");
                refused += 1;
            }
        }
    }
    assert_eq!(windows.len(), 1, "one grant, one window");
    assert_eq!(numbers.len(), LIVE_SESSIONS_MAX);
    assert_eq!(refused, 16 - LIVE_SESSIONS_MAX);
    let story = world.story(&id).await;
    let first = names(&story)
        .iter()
        .filter(|name| **name == "requested")
        .count();
    assert_eq!(first, 1);
    let intended: BTreeSet<String> = story
        .iter()
        .filter(|(name, _)| name == "issue_intended")
        .map(|(_, fact)| fact["window"].to_string())
        .collect();
    assert_eq!(intended.len(), 1);
    drop(main);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_3_the_digest_of_grant_request_and_approvals_is_one() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let request = ask(&mia, wish("prod-db-read", 600, "INC-42"))
        .await
        .unwrap();
    let other = ask(&mia, wish("prod-db-read", 660, "INC-42"))
        .await
        .unwrap();
    assert_ne!(
        request.digest, other.digest,
        "a minute more is another request"
    );
    // An approval of something else than what the approver looked at is refused.
    let approval = |id: &str, digest: &str| v1::ApproveRequestRequest {
        id: id.to_owned(),
        kinds: vec![],
        digest: Some(digest.to_owned()),
        ..Default::default()
    };
    let mismatch = pat
        .requests()
        .approve_request(approval(&request.id, &other.digest))
        .await
        .unwrap_err();
    assert_eq!(
        Problem::from_status(&mismatch).reason,
        Some(Reason::DigestMismatch)
    );
    pat.requests()
        .approve_request(approval(&request.id, &request.digest))
        .await
        .expect("what they looked at");
    issue(&mia, &request.id).await.unwrap();

    let story = world.story(&request.id).await;
    let approved = &story[1].1["approval"]["request_digest"];
    let granted = &story[2].1["request_digest"];
    assert_eq!(
        names(&story),
        ["requested", "approved", "issue_intended", "issued"]
    );
    assert_eq!(
        (approved.as_str(), granted.as_str()),
        (Some(request.digest.as_str()), Some(request.digest.as_str()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_4_at_each_issue_the_policy_in_force_decides_afresh() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let request = ask(&mia, wish("prod-db-read", 600, "INC-42"))
        .await
        .unwrap();
    approve(&pat, &request.id).await.unwrap();
    issue(&mia, &request.id).await.expect("approved");
    let calls = world.sandbox.calls().len();
    let new_bundle = "a new bundle is in force";

    // Who consented may no longer: the consent counts no more.
    let directory = world.policy("directory.hcl");
    let sound = std::fs::read_to_string(&directory).unwrap();
    edit(
        &directory,
        "name    = \"Mia Ahmed\"\n  manager = \"pat\"",
        "name    = \"Mia Ahmed\"\n  manager = \"zoe\"",
    );
    world.reload_until(new_bundle).await;
    let problem = issue(&mia, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::NeedsApproval), "{problem:?}");
    std::fs::write(&directory, &sound).unwrap();
    world.reload_until(new_bundle).await;

    // A guardrail came into force after the approval.
    let guardrails = world.policy("guardrails.cedar");
    let kept = std::fs::read_to_string(&guardrails).unwrap();
    let stop =
        "\n@id(\"guard.stop\")\nforbid (principal, action == Action::\"activate\", resource);\n";
    std::fs::write(&guardrails, format!("{kept}{stop}")).unwrap();
    world.reload_until(new_bundle).await;
    let problem = issue(&mia, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::RefusedByPolicy), "{problem:?}");

    // One that cannot be evaluated is a denial and an alarm.
    let errs = "\n@id(\"guard.errs\")\nforbid (principal is User, action == Action::\"activate\", resource)\nwhen { principal.level * 9223372036854775807 < 0 };\n";
    edit(
        &world.policy("schema.cedarschema"),
        "manager?: User,",
        "manager?: User,\n  level: Long,",
    );
    let levelled: String = sound
        .split_inclusive('\n')
        .map(|line| match line.starts_with("user \"") {
            true => format!("{line}  attributes {{ level = 2 }}\n"),
            false => line.to_owned(),
        })
        .collect();
    std::fs::write(&directory, levelled).unwrap();
    std::fs::write(&guardrails, format!("{kept}{errs}")).unwrap();
    world.reload_until(new_bundle).await;
    let problem = issue(&mia, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::RefusedByPolicy), "{problem:?}");
    let denial = problem.denial.expect("an explanation");
    assert_eq!(denial.why(), v1::denial::Why::Errored);
    assert!(world.logged("guard.errs") > 0, "and an alarm");

    assert_eq!(
        world.sandbox.calls().len(),
        calls,
        "none of these reached STS"
    );
    edit(
        &world.policy("schema.cedarschema"),
        "manager?: User,\n  level: Long,",
        "manager?: User,",
    );
    std::fs::write(&directory, &sound).unwrap();
    std::fs::write(&guardrails, &kept).unwrap();
    world.reload_until(new_bundle).await;
    issue(&mia, &request.id)
        .await
        .expect("the policy allows it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_issued_is_within_granted_approved_requested_and_the_policys_maximum() {
    let world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    // The policy's maximum: an engineer has four hours with a manager's consent, eight with a ticket and an owner's.
    let beyond = ask(&mia, wish("prod-db-read", 8 * 3_600 + 1, "INC-42"))
        .await
        .unwrap_err();
    assert_eq!(beyond.reason, Some(Reason::RefusedByPolicy));
    let nearest = beyond.denial.unwrap().nearest.expect("what would work");
    assert!(nearest.duration.unwrap().seconds <= 8 * 3_600);

    // Longer than one session of the role may be: several sessions, none beyond the window.
    let asked_s = 2 * 3_600;
    let request = ask(&mia, wish("prod-db-read", asked_s, "INC-42"))
        .await
        .unwrap();
    let approved = approve(&pat, &request.id).await.unwrap();
    assert_eq!(
        (approved.digest, approved.duration.unwrap().seconds),
        (request.digest.clone(), asked_s)
    );
    let (first, second) = (
        issue(&mia, &request.id).await.unwrap(),
        issue(&mia, &request.id).await.unwrap(),
    );
    let (opens_at, closes_at) = window(&first);
    assert_eq!(
        window(&second),
        (opens_at, closes_at),
        "a renewal is within the same window"
    );
    assert!(closes_at - opens_at <= asked_s);
    for given in [&first, &second] {
        let expires_at = given.credentials.as_ref().unwrap().expires_at.unwrap();
        assert!(expires_at.seconds <= closes_at);
    }
    let end = Timestamp::from_second(closes_at).unwrap().to_string();
    for call in world.sandbox.calls() {
        assert!(
            call.role_arn.ends_with(":role/jit-prod-db-read"),
            "the scope's role"
        );
        assert_eq!(
            call.duration_s.as_deref(),
            Some("3600"),
            "the scope's longest session"
        );
        // In scope: what the catalog says and no more, until the window's end and no longer.
        let policy: Value = serde_json::from_str(&call.session_policy.unwrap()).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let mut allowed: Vec<&str> = Vec::new();
        for statement in statements.iter().filter(|it| it["Effect"] == "Allow") {
            assert_eq!(
                statement["Condition"]["DateLessThan"]["aws:CurrentTime"],
                end.as_str()
            );
            match &statement["Action"] {
                Value::String(action) => allowed.push(action),
                actions => allowed.extend(
                    actions
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|it| it.as_str().unwrap()),
                ),
            }
        }
        assert_eq!(allowed, ["rds-db:connect", "rds:DescribeDBInstances"]);
        let closing = statements.last().unwrap();
        assert_eq!(
            (&closing["Effect"], &closing["Action"], &closing["Resource"]),
            (&"Deny".into(), &"*".into(), &"*".into())
        );
        assert_eq!(
            closing["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"],
            end.as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_terminal_is_terminal() {
    let world = World::start().await;
    let (mia, pat, main) = (
        world.as_person("mia").await,
        world.as_person("pat").await,
        world.as_ci("main").await,
    );
    // Each end, and then everything that could bring a request back.
    let withdrawn = ask(&mia, wish("prod-db-read", 600, "INC-1")).await.unwrap();
    withdraw(&mia, &withdrawn.id).await.unwrap();
    let denied = ask(&mia, wish("prod-db-read", 600, "INC-2")).await.unwrap();
    let deny = v1::DenyRequestRequest {
        id: denied.id.clone(),
        reason: "no".to_owned(),
    };
    pat.requests().deny_request(deny).await.unwrap();
    let released = ask(&mia, wish("prod-db-read", 600, "INC-3")).await.unwrap();
    approve(&pat, &released.id).await.unwrap();
    issue(&mia, &released.id).await.unwrap();
    release(&mia, &released.id).await.unwrap();
    let calls = world.sandbox.calls().len();
    for id in [&withdrawn.id, &denied.id, &released.id] {
        for outcome in [
            issue(&mia, id).await.map(|_| ()),
            approve(&pat, id).await.map(|_| ()),
            withdraw(&mia, id).await,
            release(&mia, id).await,
        ] {
            assert_eq!(outcome.unwrap_err().reason, Some(Reason::WrongState));
        }
    }
    assert_eq!(world.sandbox.calls().len(), calls);

    // Ends and issues at the same moment: whichever is first, nothing is intended after the end.
    for round in 0..20 {
        let request = ask(&main, wish("payments-deploy", 900, "deploy"))
            .await
            .unwrap();
        let (ending, id) = (world.as_ci("main").await, request.id.clone());
        let first = round % 2 == 0;
        if first {
            issue(&main, &id).await.unwrap();
        }
        let end = async {
            match first {
                true => release(&ending, &id).await,
                false => withdraw(&ending, &id).await,
            }
        };
        let (_, _, ended) = tokio::join!(issue(&main, &id), issue(&main, &id), end);
        if ended.is_err() {
            // The window was open already, so there was nothing to withdraw.
            release(&ending, &id).await.unwrap();
        }
    }
    let mut ended = BTreeSet::new();
    for event in world.events().await {
        let (name, _) = fact(&event);
        let Some(id) = about(&event) else { continue };
        assert!(!ended.contains(id), "{name} after the end of {id}");
        if ["withdrawn", "released", "denied"].contains(&name.as_str()) {
            ended.insert(id.to_owned());
        }
    }
    assert_eq!(ended.len(), 23);
}

async fn withdraw(client: &Client, id: &str) -> Result<(), Problem> {
    let withdraw = v1::WithdrawRequestRequest { id: id.to_owned() };
    let reply = client.requests().withdraw_request(withdraw).await;
    reply
        .map(|_| ())
        .map_err(|status| Problem::from_status(&status))
}

async fn release(client: &Client, id: &str) -> Result<(), Problem> {
    let release = v1::ReleaseRequestRequest { id: id.to_owned() };
    let reply = client.requests().release_request(release).await;
    reply
        .map(|_| ())
        .map_err(|status| Problem::from_status(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_no_credential_is_usable_after_the_window_closes() {
    let world = World::start().await;
    let sam = world.as_person("sam").await;
    // By the real clock, on both sides.
    let request = ask(&sam, wish("prod-db-read", 3, "INC-7")).await.unwrap();
    let first = issue(&sam, &request.id).await.unwrap();
    let renewed = issue(&sam, &request.id).await.unwrap();
    let (_, closes_at) = window(&first);
    let closes_at = Timestamp::from_second(closes_at).unwrap();
    let endpoint = world.sandbox.endpoint_url();
    let sessions = [session(&first), session(&renewed)];
    let mut used = 0;
    loop {
        let began = Timestamp::now();
        for session in &sessions {
            let call = session
                .call(&endpoint, "rds", "DescribeDBInstances")
                .await
                .unwrap();
            assert!(
                !call.allowed() || began < closes_at,
                "used at {began}, after {closes_at}"
            );
            used += usize::from(call.allowed());
        }
        if began >= closes_at {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(used > 0, "they worked until then");
    assert_eq!(
        world.sandbox.live_sessions().len(),
        2,
        "though AWS's own end is later"
    );
    // Nor does the broker give new ones.
    let problem = issue(&sam, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::WrongState));
    assert_eq!(world.sandbox.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_broken_bundle_leaves_the_last_good_one_in_force_and_says_so() {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    let before = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    // The fiftyfold of this is in `fail_closed`.
    edit(
        &world.policy("guardrails.cedar"),
        "@id(\"guard.self-approval\")",
        "",
    );
    world
        .reload_until("the bundle is broken; the last good one stays in force")
        .await;
    issue(&main, &before.id)
        .await
        .expect("as under the last good one");
    assert!(
        ask(&main, wish("payments-deploy", 900, "deploy"))
            .await
            .is_ok()
    );
    let (pat, own) = (world.as_person("pat").await, "INC-9");
    let own = ask(&pat, wish("prod-db-read", 600, own)).await.unwrap();
    assert_eq!(
        approve(&pat, &own.id).await.unwrap_err().reason,
        Some(Reason::SelfApproval),
        "the guardrail that was cut still guards"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_10_the_journal_is_append_only_and_the_state_is_rebuilt_from_it() {
    let mut world = World::start().await;
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    for reason in ["INC-1", "INC-2", "INC-3"] {
        ask(&mia, wish("prod-db-read", 600, reason)).await.unwrap();
    }
    let newest = list(&mia).await;
    approve(&pat, &newest[0].id).await.unwrap();
    issue(&mia, &newest[0].id).await.unwrap();
    withdraw(&mia, &newest[1].id).await.unwrap();
    let (before, events) = (list(&mia).await, world.events().await);
    let kept = world.dir.path().join("kept.note");
    std::fs::write(&kept, world.checkpoint().await).unwrap();

    // Killed, so that nothing but the journal can have told the next one.
    world.kill();
    world.up().await;
    let mia = world.as_person("mia").await;
    let after = list(&mia).await;
    assert_eq!(before, after);
    ask(&mia, wish("prod-db-read", 600, "INC-4")).await.unwrap();
    let more = world.events().await;
    assert!(more.len() > events.len());
    assert_eq!(
        more[..events.len()],
        events,
        "what stood there stands there"
    );
    world.stop();

    // The file itself refuses edits and deletions, and whoever lifts that is found out.
    let journal = rusqlite::Connection::open(world.journal()).unwrap();
    for edit in [
        "UPDATE events SET body = x'00' WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "INSERT INTO events (seq, leaf, body) VALUES (1000, zeroblob(32), x'00')",
    ] {
        assert!(journal.execute(edit, []).is_err(), "{edit}");
    }
    assert!(world.verify(Some(&kept)).status.success());
    journal
        .execute_batch(
            "DROP TRIGGER events_are_not_deleted;
             DELETE FROM texts WHERE seq = (SELECT max(seq) FROM events);
             DELETE FROM events WHERE seq = (SELECT max(seq) FROM events);",
        )
        .unwrap();
    drop(journal);
    assert!(!world.verify(Some(&kept)).status.success());
}

async fn list(client: &Client) -> Vec<v1::Request> {
    let all = v1::ListRequestsRequest {
        filter: v1::RequestFilter::Mine as i32,
        page_size: 50,
        page_token: String::new(),
    };
    let reply = client.requests().list_requests(all).await.unwrap();
    reply.into_inner().requests
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_11_no_secret_is_at_rest_in_a_log_or_in_an_error() {
    // The long form, with a canary in every field, is `canary`.
    let mut world = World::start().await;
    let main = world.as_ci("main").await;
    let token = world.ci_token("main");
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    let given = issue(&main, &request.id).await.unwrap();
    let given = given.credentials.as_ref().unwrap();
    let problem = issue(&world.client(&format!("{token}x")).await, &request.id)
        .await
        .unwrap_err();
    let mut left = vec![
        world.log().into_bytes(),
        format!("{problem:?}").into_bytes(),
    ];
    for file in ["writ.db", "writ.db-wal"] {
        left.push(std::fs::read(world.dir.path().join(file)).unwrap());
    }
    world.stop();
    left.push(std::fs::read(world.journal()).unwrap());
    let holds = |text: &str| {
        left.iter()
            .any(|bytes| bytes.windows(text.len()).any(|it| it == text.as_bytes()))
    };
    assert!(
        holds(&given.access_key_id),
        "the search finds what is there"
    );
    let signature = token.rsplit('.').next().unwrap();
    for secret in [&given.secret_access_key, &given.session_token, signature] {
        assert!(!holds(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_what_is_unknown_fails_closed_and_the_record_can_still_be_read() {
    let mut world = World::start().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    // An identity nobody knows, a scope nobody has, a request nobody made, a lost answer of STS.
    let stranger = world
        .people
        .person_token("00u9nobody", writ_tests::AUDIENCE)
        .unwrap();
    let stranger = world.client(&stranger).await;
    let get = || v1::GetRequestRequest {
        id: request.id.clone(),
    };
    let unknown = stranger.requests().get_request(get()).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::Unauthenticated);
    let none = ask(&main, wish("no-such-scope", 900, "x")).await;
    assert_eq!(none.unwrap_err().reason, Some(Reason::NotFound));
    let none = issue(&main, "01K00000000000000000000000").await;
    assert_eq!(none.unwrap_err().reason, Some(Reason::NotFound));
    world.sandbox.set_fault(Fault::LostReply, 1);
    let lost = issue(&main, &request.id).await.unwrap_err();
    assert_eq!(lost.reason, Some(Reason::AwsUnavailable));
    world.stop();

    // A disk of which nobody knows what it holds: nothing more is issued, and reading goes on.
    world.up_after("trap '' XFSZ; ulimit -f 128").await;
    let problem = loop {
        match ask(&main, wish("payments-deploy", 900, &"x".repeat(1_000))).await {
            Ok(more) => {
                if let Err(problem) = withdraw(&main, &more.id).await {
                    break problem;
                }
            }
            Err(problem) if problem.reason == Some(Reason::RateLimited) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(problem) => break problem,
        }
    };
    assert_eq!(problem.reason, Some(Reason::JournalUnavailable));
    let made = made(&world);
    let problem = issue(&main, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::JournalUnavailable));
    assert_eq!(made, self::made(&world));
    assert!(main.requests().get_request(get()).await.is_ok());
    assert_eq!(
        world.chapters(&request.id).await,
        ["requested", "issue_intended", "issue_unknown"]
    );
}

/// How many sessions the STS made.
fn made(world: &World) -> usize {
    let calls = world.sandbox.calls();
    calls
        .iter()
        .filter(|call| matches!(call.outcome, Outcome::Issued { .. }))
        .count()
}
