//! Policy, STS, journal and broker broken in turn: each time nobody gets in, the caller is told why, the record says what
//! happened, and mending what was broken is enough to go on. (The clock is broken beside it, in the broker's own tests.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use writ_api::client::Client;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_sandbox::{Caller, Credentials, Fault, Outcome, Sandbox, SandboxConfig};
use writ_tests::{World, approve, ask, edit, free_port, issue, root, session, wish, writ};

// --- the bundle -----------------------------------------------------------------------------------------------------------

/// The least number of broken bundles this must be tried with.
const BROKEN_MIN: usize = 30;

/// The text of the log line that says it loudly.
const LOUD: &str = "the bundle is broken; the last good one stays in force";

type Files = BTreeMap<String, String>;

fn files_in(folder: &Path) -> Files {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The engine's broken bundles, by name: `.cedar` files and schemas here, catalogs and directories there.
fn broken_bundles() -> Vec<(String, Files)> {
    let shipped = files_in(&root().join("policies"));
    let mut bundles = Vec::new();
    for folder in folders(&root().join("engine/tests/broken_cedar")) {
        let mut files: Files = shipped
            .iter()
            .filter(|(name, _)| !name.ends_with(".cedar"))
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect();
        for (name, text) in files_in(&folder.join("bad")) {
            match name.strip_suffix(".edit") {
                Some(edited) if text.trim() == "remove" => {
                    files.remove(edited);
                }
                Some(edited) => {
                    let shipped = files.get_mut(edited).unwrap();
                    for line in text.lines() {
                        let (old, new) = line.split_once(" ==> ").unwrap();
                        *shipped = shipped.replace(old, &new.replace("\\n", "\n"));
                    }
                }
                None => {
                    files.insert(name, text);
                }
            }
        }
        bundles.push((name_of(&folder), files));
    }
    for folder in folders(&root().join("engine/tests/broken_hcl")) {
        if name_of(&folder) == "sound" {
            continue;
        }
        let mut files = shipped.clone();
        files.extend(files_in(&folder));
        files.retain(|name, _| {
            name.ends_with(".cedar") || name.ends_with(".cedarschema") || name.ends_with(".hcl")
        });
        bundles.push((name_of(&folder), files));
    }
    bundles
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

fn put(folder: &Path, files: &Files) {
    for name in files_in(folder)
        .keys()
        .filter(|name| !files.contains_key(*name))
    {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

async fn check(client: &Client) -> Result<v1::decision::Outcome, Problem> {
    let call = v1::CheckAccessRequest {
        scope: "payments-deploy".to_owned(),
        duration: Some(prost_types::Duration {
            seconds: 900,
            nanos: 0,
        }),
        reason: String::new(),
        ticket: None,
        break_glass: false,
    };
    let reply = client
        .scopes()
        .check_access(call)
        .await
        .map_err(|status| Problem::from_status(&status))?;
    Ok(reply.into_inner().decision.unwrap().outcome.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_bundle_is_refused_loudly_and_the_last_good_one_still_decides() {
    let world = World::start().await;
    let (main, branch) = (world.as_ci("main").await, world.as_ci("feature/x").await);
    let folder = world.dir.path().join("policies");
    let good = files_in(&folder);
    let bundles = broken_bundles();
    assert!(
        bundles.len() >= BROKEN_MIN,
        "only {} were found",
        bundles.len()
    );
    for (name, files) in &bundles {
        let lines = world.log().lines().count();
        put(&folder, files);
        world.reload_until(LOUD).await;
        // What is wrong is told after that something is.
        let told = || {
            let log = world.log();
            let mut since = log.lines().skip(lines);
            since.any(|line| line.contains(r#""file":""#))
        };
        world.wait_for(told, "a finding").await;
        let log = world.log();
        let said: Vec<&str> = log.lines().skip(lines).collect();
        assert!(
            said.iter()
                .any(|line| line.contains(LOUD) && line.contains(r#""level":"ERROR""#)),
            "{name}: {said:?}"
        );
        assert!(
            said.iter()
                .any(|line| line.contains(r#""file":""#) && line.contains(r#""level":"ERROR""#)),
            "{name}: no finding has its file: {said:?}"
        );
        // Both ways: what it gave it gives, what it refused it refuses.
        let given = check(&main).await;
        assert!(
            matches!(given, Ok(v1::decision::Outcome::Allowed(_))),
            "{name}: {given:?}"
        );
        let refused = check(&branch).await;
        assert!(
            matches!(refused, Ok(v1::decision::Outcome::Denial(_))),
            "{name}: {refused:?}"
        );
    }
    assert_eq!(
        world
            .events()
            .await
            .iter()
            .filter(|it| it["fact"].get("bundle_loaded").is_some())
            .count(),
        1,
        "none of {} broken bundles came into force",
        bundles.len()
    );

    // And a good one that is different takes over at once.
    let mut mended = good;
    let access = mended.get_mut("access.cedar").unwrap();
    *access = access.replace("refs/heads/main", "refs/heads/feature/x");
    put(&folder, &mended);
    world.reload_until("a new bundle is in force").await;
    assert!(matches!(
        check(&main).await,
        Ok(v1::decision::Outcome::Denial(_))
    ));
    assert!(matches!(
        check(&branch).await,
        Ok(v1::decision::Outcome::Allowed(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_bundle_is_found_without_being_told_to_look_and_keeps_a_broker_from_starting() {
    let mut world = World::start().await;
    edit(&world.policy("access.cedar"), "permit (", "permitt (");
    world
        .wait_for(
            || world.logged(LOUD) == 1,
            "the folder is looked at by itself",
        )
        .await;
    assert!(check(&world.as_ci("main").await).await.is_ok());
    world.stop();

    // Without a last good one there is nothing to go by.
    let output = serve(&world, "writ.hcl").await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("access.cedar:"), "with file and line: {said}");
}

/// Runs `writ serve` where it is expected to end by itself.
async fn serve(world: &World, config: &str) -> std::process::Output {
    let mut command = tokio::process::Command::new(writ());
    command
        .args(["serve", "--config"])
        .arg(world.dir.path().join(config))
        .env("NO_COLOR", "1")
        .kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .expect("a broker that cannot serve ends")
        .unwrap()
}

// --- the STS --------------------------------------------------------------------------------------------------------------

async fn approved(ci: &Client) -> String {
    ask(ci, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap()
        .id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sts_that_throttles_or_fails_is_asked_again_and_each_attempt_is_on_record() {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    for (fault, code) in [
        (Fault::Throttle, "ThrottlingException"),
        (Fault::ServerError, "InternalFailure"),
    ] {
        // Twice: the third attempt is given.
        let id = approved(&main).await;
        world.sandbox.set_fault(fault, 2);
        let given = issue(&main, &id).await.expect("the third attempt");
        assert_eq!(given.credentials.as_ref().unwrap().session, 3);
        assert_eq!(
            world.chapters(&id).await,
            [
                "requested",
                "issue_intended",
                "issue_failed",
                "issue_intended",
                "issue_failed",
                "issue_intended",
                "issued",
            ]
        );

        // Three times: that was the last one, and the caller is told what AWS said.
        let id = approved(&main).await;
        world.sandbox.set_fault(fault, 3);
        let problem = issue(&main, &id).await.unwrap_err();
        assert_eq!(
            (problem.reason, problem.aws_code.as_deref()),
            (Some(Reason::AwsUnavailable), Some(code))
        );
        let story = world.story(&id).await;
        let failures: Vec<_> = story
            .iter()
            .filter(|(name, _)| name == "issue_failed")
            .map(|(_, fact)| fact["code"].as_str().unwrap())
            .collect();
        assert_eq!(failures, [code; 3]);
        // Later it works, for the rest of the same window.
        assert!(issue(&main, &id).await.is_ok());
    }
    assert_eq!(
        world.sandbox.live_sessions().len(),
        4,
        "no session without its record"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_or_too_late_leaves_a_session_on_record_as_unknown_and_is_not_asked_for_again()
 {
    let world = World::start().await;
    let main = world.as_ci("main").await;
    // Longer than the broker waits for STS.
    let too_late = Duration::from_secs(30);
    for fault in [Fault::LostReply, Fault::Slow(too_late)] {
        let id = approved(&main).await;
        let before = world.sandbox.calls().len();
        world.sandbox.set_fault(fault, 1);
        let problem = issue(&main, &id).await.unwrap_err();
        assert_eq!(problem.reason, Some(Reason::AwsUnavailable), "{fault:?}");
        assert_eq!(
            world.chapters(&id).await,
            ["requested", "issue_intended", "issue_unknown"],
            "{fault:?}"
        );
        let calls = world.sandbox.calls();
        assert_eq!(
            calls.len(),
            before + 1,
            "{fault:?}: a second call could make a second session"
        );
        assert!(matches!(calls[before].outcome, Outcome::Issued { .. }));

        // The next issue is a session of its own, which the record tells apart from the unknown one.
        let given = issue(&main, &id).await.expect("AWS answers again");
        assert_eq!(given.credentials.as_ref().unwrap().session, 2);
        let endpoint = world.sandbox.endpoint_url();
        let service = "arn:aws:ecs:eu-west-1:123456789012:service/payments/api";
        let used = session(&given)
            .call_on(&endpoint, "ecs", "UpdateService", service)
            .await
            .unwrap();
        assert!(used.allowed());
    }
    // Slow, but in time.
    let id = approved(&main).await;
    world
        .sandbox
        .set_fault(Fault::Slow(Duration::from_millis(500)), 1);
    assert!(issue(&main, &id).await.is_ok());
    assert_eq!(
        world.chapters(&id).await,
        ["requested", "issue_intended", "issued"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_trust_the_broker_is_refused_once_and_for_good() {
    // The roles want the external id; this broker says another.
    let world = World::start_with(|dir| {
        let said = format!("= \"{}\"\n", writ_tests::EXTERNAL_ID);
        edit(&dir.join("writ.hcl"), &said, "= \"another\"\n");
    })
    .await;
    let main = world.as_ci("main").await;
    let id = approved(&main).await;
    let problem = issue(&main, &id).await.unwrap_err();
    assert_eq!(
        (problem.reason, problem.aws_code.as_deref()),
        (Some(Reason::AwsRefused), Some("AccessDenied"))
    );
    assert_eq!(
        world.sandbox.calls().len(),
        1,
        "asking again would not help"
    );
    assert_eq!(
        world.chapters(&id).await,
        ["requested", "issue_intended", "issue_failed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_sts_nothing_is_issued_and_with_one_the_same_request_is() {
    let port = free_port();
    let keys = Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        None,
    );
    let unused = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let world = World::around(
        unused,
        &format!("http://127.0.0.1:{port}"),
        &keys.access_key_id,
        &keys.secret_access_key,
        |_| {},
    )
    .await;
    let main = world.as_ci("main").await;
    let id = approved(&main).await;
    let problem = issue(&main, &id).await.unwrap_err();
    assert_eq!(
        (problem.reason, problem.aws_code.as_deref()),
        (Some(Reason::AwsUnavailable), Some("NoConnection"))
    );
    // A call that found no connection was never sent, so no session is unknown, and it is tried again.
    let failed = ["issue_intended", "issue_failed"];
    assert_eq!(
        world.chapters(&id).await,
        [&["requested"], &failed[..], &failed, &failed].concat()
    );

    let broker_arn = "arn:aws:iam::123456789012:user/writ-issuer";
    let sts = Sandbox::start(SandboxConfig {
        bind: std::net::SocketAddr::from(([127, 0, 0, 1], port)),
        roles: writ_tests::roles(broker_arn),
        callers: vec![Caller::new(broker_arn, keys)],
        ..SandboxConfig::default()
    })
    .await
    .expect("the port is still free");
    assert!(issue(&main, &id).await.is_ok());
    assert_eq!(sts.calls().len(), 1);
}

// --- the journal ----------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_gives_no_credentials_and_a_restart_on_a_mended_disk_goes_on()
 {
    let mut world = World::start().await;
    let (main, mia, pat) = (
        world.as_ci("main").await,
        world.as_person("mia").await,
        world.as_person("pat").await,
    );
    let early = ask(&mia, wish("prod-db-read", 600, "INC-1")).await.unwrap();
    world.stop();
    // No file of the broker's may grow past this (in units of 512 bytes); a write beyond it fails as on a bad disk.
    world.up_after("trap '' XFSZ; ulimit -f 256").await;

    let open = approved(&main).await;
    let mut acknowledged = vec![early.id.clone(), open.clone()];
    let problem = loop {
        assert!(acknowledged.len() < 2_000, "the limit does not bite");
        match fill(&main).await {
            Ok(id) => acknowledged.push(id),
            Err(problem) => break problem,
        }
    };
    assert_eq!(
        problem.reason,
        Some(Reason::JournalUnavailable),
        "{problem:?}"
    );
    // Nothing is issued, consented or asked for any more, and no STS hears of it.
    let calls = world.sandbox.calls().len();
    for refused in [
        issue(&main, &open).await.map(|_| ()),
        approve(&pat, &early.id).await.map(|_| ()),
        ask(&mia, wish("prod-db-read", 600, "INC-2"))
            .await
            .map(|_| ()),
    ] {
        assert_eq!(
            refused.unwrap_err().reason,
            Some(Reason::JournalUnavailable)
        );
    }
    assert_eq!(
        world.sandbox.calls().len(),
        calls,
        "no intent on record, no call"
    );
    // What is on record can still be read.
    let get = v1::GetRequestRequest {
        id: early.id.clone(),
    };
    assert!(mia.requests().get_request(get).await.is_ok());
    assert!(!world.events().await.is_empty());

    world.kill();
    world.up().await;
    let events = world.events().await;
    for id in &acknowledged {
        assert!(
            events
                .iter()
                .any(|event| writ_tests::about(event) == Some(id)),
            "{id} was acknowledged and is gone"
        );
    }
    let (pat, mia) = (world.as_person("pat").await, world.as_person("mia").await);
    approve(&pat, &early.id).await.expect("the disk is mended");
    assert!(issue(&mia, &early.id).await.is_ok());
    world.checkpoint().await;
    world.stop();
    let verified = world.verify(None);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

/// Makes a request and takes it back, with a long reason: two events and a text.
async fn fill(client: &Client) -> Result<String, Problem> {
    let request = match ask(client, wish("payments-deploy", 900, &"x".repeat(1_000))).await {
        // The disk is what is to be exhausted, not the patience with one caller.
        Err(problem) if problem.reason == Some(Reason::RateLimited) => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ask(client, wish("payments-deploy", 900, &"x".repeat(1_000))).await?
        }
        answer => answer?,
    };
    let withdraw = v1::WithdrawRequestRequest {
        id: request.id.clone(),
    };
    client
        .requests()
        .withdraw_request(withdraw)
        .await
        .map_err(|status| Problem::from_status(&status))?;
    Ok(request.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_broker_on_one_journal_is_refused_and_the_first_one_goes_on() {
    let world = World::start().await;
    let second = fs::read_to_string(world.dir.path().join("writ.hcl"))
        .unwrap()
        .replace("run/writ.sock", "run2/writ.sock");
    fs::write(world.dir.path().join("second.hcl"), second).unwrap();
    let output = serve(&world, "second.hcl").await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(said.contains("journal"), "{said}");

    // Nor one on the same socket.
    let output = serve(&world, "writ.hcl").await;
    assert!(!output.status.success());

    let main = world.as_ci("main").await;
    let id = approved(&main).await;
    assert!(issue(&main, &id).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_without_its_key_or_with_open_permissions_is_not_opened() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::start().await;
    world.stop();
    let key = world.dir.path().join("writ.key");
    let kept = world.dir.path().join("kept.key");
    fs::rename(&key, &kept).unwrap();
    let output = serve(&world, "writ.hcl").await;
    assert!(!output.status.success());
    assert!(!key.exists(), "no new key is made for an old journal");
    fs::rename(&kept, &key).unwrap();

    for file in [&key, &world.journal()] {
        let sound = fs::metadata(file).unwrap().permissions();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        let output = serve(&world, "writ.hcl").await;
        assert!(!output.status.success(), "{}", file.display());
        fs::set_permissions(file, sound).unwrap();
    }
    world.up().await;
    assert!(check(&world.as_ci("main").await).await.is_ok());
}

// --- identity -------------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn without_its_issuer_nobody_is_let_in_and_with_it_everyone_is_again() {
    let mut world = World::start().await;
    world.people.set_out_of_order(true);
    let mia = world.as_person("mia").await;
    let problem = ask(&mia, wish("prod-db-read", 600, "INC-1"))
        .await
        .unwrap_err();
    assert_eq!(
        problem.reason,
        Some(Reason::NotAuthenticated),
        "{problem:?}"
    );
    // The other issuer's people are not concerned.
    assert!(check(&world.as_ci("main").await).await.is_ok());
    world.people.set_out_of_order(false);
    // A new broker does not wait until it may fetch keys again.
    world.stop();
    world.up().await;
    let mia = world.as_person("mia").await;
    assert!(ask(&mia, wish("prod-db-read", 600, "INC-1")).await.is_ok());
}
