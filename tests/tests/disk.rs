//! A disk that really fills: a small file system of its own for the journal, the real broker, and somebody else's file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use writ_api::problem::Reason;
use writ_api::v1;
use writ_tests::{World, approve, ask, edit, issue, wish};

/// The file system's size: the broker's reserve, and some room to work in.
const DISK: &str = "size=72m";

/// What others write to it: afterwards less than the reserve is left, and far more than a few ends take.
const OTHERS_BYTES: usize = 24 * 1024 * 1024;

/// A shell prelude that gives the process a namespace of its own, with a small file system at `disk`; it goes with the
/// process, whatever becomes of the test.
fn prelude(disk: &str) -> String {
    format!(
        "exec unshare --mount --map-root-user sh -c 'mount -t tmpfs -o {DISK} tmpfs \"{disk}\" && exec \"$0\" \"$@\"' \"$0\" \"$@\""
    )
}

/// Whether this machine lets us.
fn mountable() -> bool {
    let folder = tempfile::tempdir().unwrap();
    Command::new("sh")
        .args(["-c", &prelude(&folder.path().display().to_string()), "true"])
        .output()
        .is_ok_and(|ran| ran.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_others_filled_every_end_is_recorded_and_nothing_begins() {
    if !mountable() {
        // Not a peer that could be installed: a right that not every machine gives.
        let mut stderr = std::io::stderr();
        let _ = writeln!(
            stderr,
            "SKIPPED a_full_disk: no file system can be mounted here"
        );
        return;
    }
    let mut world = World::start().await;
    world.stop();
    let disk = world.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let config = world.dir.path().join("writ.hcl");
    edit(&config, "\"writ.db\"", "\"disk/writ.db\"");
    edit(&config, "\"writ.key\"", "\"disk/writ.key\"");
    world.up_after(&prelude(&disk.display().to_string())).await;

    let (mia, pat, ci) = (
        world.as_person("mia").await,
        world.as_person("pat").await,
        world.as_ci("main").await,
    );
    let pending = ask(&mia, wish("prod-db-read", 600, "INC-1")).await.unwrap();
    let denied = ask(&mia, wish("prod-db-read", 600, "INC-2")).await.unwrap();
    let active = ask(&ci, wish("payments-deploy", 600, "deploy"))
        .await
        .unwrap();
    issue(&ci, &active.id).await.unwrap();

    // The mount is seen through the process whose namespace it is in.
    let inside = PathBuf::from(format!("/proc/{}/root{}", world.pid(), disk.display()));
    let others = inside.join("others");
    std::fs::write(&others, vec![0; OTHERS_BYTES]).unwrap();
    let calls = world.sandbox.calls().len();
    for refused in [
        ask(&mia, wish("prod-db-read", 600, "INC-3"))
            .await
            .map(|_| ()),
        approve(&pat, &pending.id).await.map(|_| ()),
        issue(&ci, &active.id).await.map(|_| ()),
    ] {
        let problem = refused.unwrap_err();
        assert_eq!(problem.reason, Some(Reason::StorageLow), "{problem:?}");
    }
    assert_eq!(world.sandbox.calls().len(), calls, "no STS heard of it");
    assert_eq!(world.logged("file system is nearly full"), 1);

    let release = v1::ReleaseRequestRequest { id: active.id };
    ci.requests().release_request(release).await.unwrap();
    let no = v1::DenyRequestRequest {
        id: denied.id,
        reason: "not now".to_owned(),
    };
    pat.requests().deny_request(no).await.unwrap();
    assert!(!world.events().await.is_empty());

    std::fs::remove_file(&others).unwrap();
    approve(&pat, &pending.id)
        .await
        .expect("there is room again");
    issue(&mia, &pending.id).await.expect("there is room again");
}

/// How many syncs of the journal's writer work before none does any more: some to ask and to issue with.
const SYNCS: u32 = 9;

/// A shell prelude by which the kernel refuses every further sync of each thread with EIO, as of a disk that dies. The one
/// who refuses is the process's grandchild, so that signals and the process's end reach the broker itself.
fn dying_disk() -> String {
    let from = SYNCS + 1;
    format!(
        "exec strace -D -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:error=EIO:when={from}+ \"$0\" \"$@\""
    )
}

/// Whether this machine can refuse a sync.
fn refuses_syncs() -> bool {
    Command::new("sh")
        .args(["-c", &dying_disk(), "true"])
        .output()
        .is_ok_and(|ran| ran.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sync_that_failed_nothing_is_acknowledged_any_more_and_nothing_acknowledged_is_gone()
 {
    if !refuses_syncs() {
        let mut stderr = std::io::stderr();
        let _ = writeln!(
            stderr,
            "SKIPPED PEER strace: it cannot refuse a system call here"
        );
        return;
    }
    let mut world = World::start().await;
    world.stop();
    world.up_after(&dying_disk()).await;
    let (mia, ci) = (world.as_person("mia").await, world.as_ci("main").await);

    let active = ask(&ci, wish("payments-deploy", 600, "deploy"))
        .await
        .unwrap();
    issue(&ci, &active.id).await.unwrap();
    let mut acknowledged = vec![active.id.clone()];
    let refused = loop {
        assert!(acknowledged.len() < 20, "the disk did not die");
        let asked = ask(&mia, wish("prod-db-read", 600, "INC-1")).await;
        match asked {
            Ok(request) => acknowledged.push(request.id),
            Err(problem) => break problem,
        }
    };
    assert_eq!(
        refused.reason,
        Some(Reason::JournalUnavailable),
        "{refused:?}"
    );
    let calls = world.sandbox.calls().len();
    let release = v1::ReleaseRequestRequest {
        id: active.id.clone(),
    };
    let released = ci.requests().release_request(release).await.map(|_| ());
    for refused in [
        ask(&mia, wish("prod-db-read", 600, "INC-2"))
            .await
            .map(|_| ()),
        issue(&ci, &active.id).await.map(|_| ()),
        released.map_err(|status| writ_api::problem::Problem::from_status(&status)),
    ] {
        let problem = refused.unwrap_err();
        assert_eq!(
            problem.reason,
            Some(Reason::JournalUnavailable),
            "{problem:?}"
        );
    }
    assert_eq!(world.sandbox.calls().len(), calls, "no STS heard of it");
    assert_eq!(world.logged("the journal is broken"), 1);
    let of_events = |events: Vec<serde_json::Value>| {
        let ids = events.iter().filter_map(writ_tests::about);
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let readable = of_events(world.events().await);
    assert!(acknowledged.iter().all(|id| readable.contains(id)));

    // Another disk, or this one when it is well again: everything that was acknowledged is there.
    world.kill();
    world.up().await;
    let there = of_events(world.events().await);
    assert!(acknowledged.iter().all(|id| there.contains(id)));
    world.checkpoint().await;
    let ran = world.verify(None);
    assert!(ran.status.success(), "{ran:?}");
    issue(&ci, &active.id).await.expect("it goes on");
}
