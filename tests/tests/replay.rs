//! `writ policy replay` on the journal of a real broker, with bundles that give more and give less.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use writ_tests::{World, approve, ask, edit, issue, root, wish, writ};

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(dir: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(writ())
        .args(arguments)
        .current_dir(dir)
        .env_remove("WRIT_ADDR")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The bundle of that name beside the journal's: the shipped one with some texts replaced.
fn bundle(world: &World, name: &str, edits: &[(&str, &str, &str)]) -> PathBuf {
    let folder = world.dir.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(root().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    for (file, from, to) in edits {
        edit(&folder.join(file), from, to);
    }
    folder
}

/// A text without what differs from run to run: moments, and the ends of ids.
fn masked(text: &str, ids: &[&str]) -> String {
    let mut text = text.to_owned();
    for id in ids {
        text = text.replace(&format!("({})", &id[22..]), "(ID)");
    }
    let line = |line: &str| match line.split_once(" at ").zip(line.split_once(", event ")) {
        Some(((step, _), (_, seq))) if line.starts_with("  ") => {
            format!("{step} at MOMENT, event {seq}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// One request approved by a person, two jobs at once, one job refused. Their ids.
async fn a_day(world: &World) -> Vec<String> {
    let (mia, pat) = (world.as_person("mia").await, world.as_person("pat").await);
    let asked = ask(&mia, wish("prod-db-read", 2_700, "INC-42"))
        .await
        .unwrap();
    approve(&pat, &asked.id).await.unwrap();
    issue(&mia, &asked.id).await.unwrap();
    let main = world.as_ci("main").await;
    let long = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    issue(&main, &long.id).await.unwrap();
    issue(&main, &long.id)
        .await
        .expect("a renewal, which is not replayed");
    let branch = world.as_ci("feature/x").await;
    ask(&branch, wish("payments-deploy", 300, "deploy"))
        .await
        .unwrap_err();
    vec![asked.id, long.id]
}

const NOBODY: (&str, &str, &str) = (
    "access.cedar",
    "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"4h\") };",
    "when { context.window.duration <= duration(\"4h\") };",
);

const TWO_OWNERS: (&str, &str, &str) = (
    "access.cedar",
    "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"4h\") };",
    "when { context.approvals.owner >= 2 && context.window.duration <= duration(\"4h\") };",
);

const ANY_BRANCH_SHORTLY: (&str, &str, &str) = (
    "access.cedar",
    "principal.ref == \"refs/heads/main\" &&\n  principal.event_name == \"push\" &&\n  context.window.duration <= duration(\"20m\")",
    "principal.event_name == \"push\" &&\n  context.window.duration <= duration(\"10m\")",
);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bundle_would_have_decided_otherwise_is_told_the_worst_first() {
    let mut world = World::start().await;
    let ids = a_day(&world).await;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.checkpoint().await;
    let dir = world.dir.path().to_owned();
    let same = bundle(&world, "same", &[]);
    let other = bundle(&world, "other", &[NOBODY, ANY_BRANCH_SHORTLY]);
    let (same, other) = (same.to_str().unwrap(), other.to_str().unwrap());

    // The broker runs, and its journal is three files.
    let live = run(&dir, &["policy", "replay", "--journal", "writ.db", other]);
    assert_eq!(live.code, 2, "{}", live.stderr);
    world.stop();
    let copy = dir.join("copy.db");
    std::fs::copy(world.journal(), &copy).unwrap();
    let before = std::fs::read(&copy).unwrap();

    let key = ["--journal", "copy.db", "--key", "journal.vkey"];
    let unchanged = run(&dir, &[&["policy", "replay", same], &key[..]].concat());
    assert_eq!(
        (
            unchanged.code,
            unchanged.stdout.as_str(),
            unchanged.stderr.as_str()
        ),
        (
            0,
            "3 requests replayed at 6 moments: 0 would get more, 0 less, 0 cannot be replayed, 3 unchanged\n",
            ""
        )
    );

    let changed = run(&dir, &[&["policy", "replay", other], &key[..]].concat());
    assert_eq!((changed.code, changed.stderr.as_str()), (2, ""));
    assert_eq!(changed.stdout, live.stdout, "running or not");
    let expected = std::fs::read_to_string(root().join("tests/tests/replay.txt"));
    let stricter = bundle(&world, "stricter", &[TWO_OWNERS]);
    let stricter = stricter.to_str().unwrap();
    let more = run(&dir, &[&["policy", "replay", stricter], &key[..]].concat());
    assert_eq!((more.code, more.stderr.as_str()), (2, ""));
    let both = format!("{}\n{}", changed.stdout, more.stdout);
    let shown = masked(&both, &ids);
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(root().join("tests/tests/replay.txt"), &shown).unwrap();
    } else {
        assert_eq!(shown, expected.unwrap(), "WRIT_BLESS=1 takes it as it is");
    }
    assert_eq!(std::fs::read(&copy).unwrap(), before, "it is only read");

    let json = run(
        &dir,
        &["--json", "policy", "replay", "--journal", "copy.db", other],
    );
    assert_eq!(json.code, 2);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let replay = &document["replay"];
    assert_eq!(replay["verified"], false);
    assert_eq!(
        [
            &replay["requests"],
            &replay["moments"],
            &replay["widened"],
            &replay["narrowed"],
            &replay["not_replayable"]
        ]
        .map(Value::as_u64),
        [3, 6, 2, 1, 0].map(Some)
    );
    let changes: Vec<&str> = replay["changed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["change"].as_str().unwrap())
        .collect();
    assert_eq!(
        changes,
        [
            "refused-now-granted",
            "approval-removed",
            "issued-now-refused"
        ]
    );
    let first = &replay["changed"][0];
    assert_eq!(first["request_id"], Value::Null);
    assert_eq!(first["differences"][0]["then"]["outcome"], "denied");
    assert_eq!(first["differences"][0]["now"]["outcome"], "allowed");
    assert_eq!(
        first["differences"][0]["now"]["because"][0]["file"],
        "access.cedar"
    );
    assert_eq!(replay["changed"][1]["request_id"], ids[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_reason_is_told_where_a_policy_reads_it_and_a_stranger_as_such() {
    let mut world = World::start().await;
    let ids = a_day(&world).await;
    world.stop();
    let dir = world.dir.path().to_owned();
    let reads = (
        "access.cedar",
        "when { context.approvals.manager >= 1 && context.window",
        "when { context.reason like \"INC-*\" && context.approvals.manager >= 1 && context.window",
    );
    let reading = bundle(&world, "reading", &[reads]);
    let replay = [
        "policy",
        "replay",
        "--journal",
        "writ.db",
        reading.to_str().unwrap(),
    ];
    assert_eq!(run(&dir, &replay).code, 0, "the reason is there and fits");
    let erased = run(&dir, &["journal", "erase", &ids[0]]);
    assert_eq!(erased.code, 0, "{}", erased.stderr);
    let ran = run(&dir, &replay);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("now   cannot be replayed: the reason was erased, and proddb.read.engineer (access.cedar:"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .ends_with("0 would get more, 0 less, 1 cannot be replayed, 2 unchanged\n"),
        "{}",
        ran.stdout
    );

    let gone = bundle(
        &world,
        "gone",
        &[
            (
                "scopes.hcl",
                "scope \"payments-deploy\"",
                "scope \"payments-release\"",
            ),
            (
                "access.cedar",
                "Scope::\"payments-deploy\"",
                "Scope::\"payments-release\"",
            ),
        ],
    );
    let ran = run(
        &dir,
        &[
            "policy",
            "replay",
            "--journal",
            "writ.db",
            gone.to_str().unwrap(),
        ],
    );
    assert_eq!(ran.code, 2);
    assert!(
        ran.stdout
            .contains("now   refused: the bundle has no such scope\n"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_journal_and_what_is_no_bundle_is_not_replayed() {
    let mut world = World::start().await;
    a_day(&world).await;
    world.checkpoint().await;
    world.stop();
    let dir = world.dir.path().to_owned();
    let same = bundle(&world, "same", &[]);
    let same = same.to_str().unwrap();

    let mut bytes = std::fs::read(world.journal()).unwrap();
    let needle = b"payments-deploy";
    let place = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("the event is in the file");
    bytes[place] ^= 1;
    std::fs::write(dir.join("edited.db"), bytes).unwrap();
    let other_key = dir.join("other.vkey");
    let key = std::fs::read_to_string(dir.join("journal.vkey")).unwrap();
    std::fs::write(&other_key, "no key").unwrap();
    for (arguments, words) in [
        (
            &["--journal", "edited.db"][..],
            "`edited.db` does not verify: event ",
        ),
        (
            &["--journal", "none.db"],
            "`none.db` does not verify: the journal cannot be read",
        ),
        (
            &["--journal", "writ.hcl"],
            "`writ.hcl` does not verify: this file is no journal",
        ),
        (
            &["--journal", "edited.db", "--key", key.trim()],
            "does not verify",
        ),
        (
            &["--journal", "writ.db", "--key", "other.vkey"],
            "holds no verifying key",
        ),
        (&[], "--journal"),
    ] {
        let ran = run(&dir, &[&["policy", "replay", same], arguments].concat());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (1, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    edit(
        &Path::new(same).join("access.cedar"),
        "permit (",
        "permitt (",
    );
    let ran = run(&dir, &["policy", "replay", "--journal", "writ.db", same]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
}
