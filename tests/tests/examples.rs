//! What the README shows really runs: the demo, and each example as its own README says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use writ_tests::{World, edit, fact, in_order, root, skipped, writ};

#[test]
fn the_demo_tells_its_whole_story_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(writ())
        .arg("demo")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&demo.stdout);
    assert!(
        demo.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    let story = [
        "the job of acme/payments on `main` asks for `payments-deploy`",
        "ecs:UpdateService → let through",
        "payments.deploy.ci (access.cedar:",
        r#"principal.ref == "refs/heads/main""#,
        "needs approval: 1 manager: pat",
        "the window opens",
        "rds:DescribeDBInstances → let through",
        "rds:DescribeDBInstances → AccessDenied",
        "events verified",
        "was edited",
    ];
    in_order(&said, &story);
    let left: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "the demo left something behind: {left:?}");
}

#[test]
fn the_quickstart_runs_as_its_readme_says() {
    if Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return skipped("curl", "it is not installed");
    }
    let run = Command::new(root().join("examples/quickstart/run"))
        .env("WRIT", writ())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    for line in [
        "rds:DescribeDBInstances: allowed",
        "rds:DeleteDBInstance: refused",
        "no more credentials: released",
    ] {
        assert!(said.contains(line), "`{line}` is missing in:\n{said}");
    }
}

/// The shell block after a heading of a README.
fn snippet(readme: &Path, heading: &str) -> String {
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, section) = text.split_once(&format!("## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    block.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commit_that_was_in_force_is_found_by_the_bundles_digest() {
    if Command::new("git").arg("--version").output().is_err() {
        return skipped("git", "it is not installed");
    }
    let world = World::start().await;
    let events = world.events().await;
    let (name, loaded) = fact(&events[0]);
    assert_eq!(name, "bundle_loaded");
    let digest = &loaded["bundle"].as_str().unwrap()[..12];

    let folder = tempfile::tempdir().unwrap();
    let sh = |script: &str| {
        let path = std::env::var("PATH").unwrap();
        let writ = writ();
        let ran = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .env(
                "PATH",
                format!("{}:{path}", writ.parent().unwrap().display()),
            )
            // Nobody's own settings of git.
            .env("HOME", folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            ran.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap()
    };
    let commit = |subject: &str| {
        sh(&format!(
            "git add . && git -c user.name=zoe -c user.email=zoe@example.com commit -qm '{subject}'"
        ));
    };
    sh("git init -q -b main . && mkdir policies");
    let policies = folder.path().join("policies");
    for entry in std::fs::read_dir(world.dir.path().join("policies")).unwrap() {
        let file = entry.unwrap().path();
        std::fs::copy(&file, policies.join(file.file_name().unwrap())).unwrap();
    }
    let access = policies.join("access.cedar");
    edit(&access, "duration(\"4h\")", "duration(\"3h\")");
    commit("three hours");
    edit(&access, "duration(\"3h\")", "duration(\"4h\")");
    commit("four hours");
    edit(&access, "permit", "permti");
    commit("a slip");
    edit(&access, "permti", "permit");
    edit(&access, "duration(\"4h\")", "duration(\"5h\")");
    commit("five hours");

    let snippet = snippet(
        &root().join("policies/README.md"),
        "Find the commit that was in force",
    );
    let (first, rest) = snippet.split_once('\n').unwrap();
    assert!(first.starts_with("digest="), "{first}");
    let found = sh(&format!("digest={digest}\n{rest}"));
    assert!(found.ends_with(" four hours\n"), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
}
