//! What the README shows really runs: the demo, and each example as its own README says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so and stops"
)]

use std::process::{Command, Stdio};

use writ_tests::{root, skipped, writ};

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
    let mut rest = said.as_ref();
    for line in story {
        let Some(place) = rest.find(line) else {
            panic!("`{line}` is missing, or out of order, in:\n{said}")
        };
        rest = rest.get(place + line.len()..).unwrap_or_default();
    }
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
