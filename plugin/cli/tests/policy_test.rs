//! `writ policy test` as people and pipelines run it: the real binary, its outputs and its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

/// A copy of the shipped bundle, tests included, to change.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    for part in [".", "tests"] {
        for entry in fs::read_dir(shipped().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap();
                fs::copy(&path, folder.path().join(part).join(name)).unwrap();
            }
        }
    }
    folder
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "`{file}` has no `{from}`");
    fs::write(path, text.replace(from, to)).unwrap();
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn test(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["policy", "test"])
        .arg(folder)
        .args(arguments)
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

#[test]
fn the_shipped_bundle_passes_offline() {
    let ran = test(&shipped(), &["--min-coverage", "100"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains(" passed, 0 failed\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("\ncoverage: 100% of "),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_test_that_fails_is_a_finding_and_says_why() {
    let bundle = copy();
    edit(
        bundle.path(),
        "access.cedar",
        "duration(\"20m\")",
        "duration(\"25m\")",
    );
    let ran = test(bundle.path(), &["--run", "payments*"]);
    assert_eq!(ran.code, 2);
    for words in [
        "FAIL  payments is deployed from its main branch (1 of 5)",
        "expected  granted for up to 20m and not a second more",
        "came      granted for up to 25m",
    ] {
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
    }
    // Nothing to learn from changes that failing tests would all notice.
    let ran = test(bundle.path(), &["--run", "payments*", "--mutate"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the tests have to pass first"));
}

#[test]
fn too_little_coverage_is_a_finding() {
    let some = ["--run", "payments*", "--min-coverage", "90"];
    let ran = test(&shipped(), &some);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("and 90% are asked for"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains(": prod.admin never decided anything"));
    let ran = test(&shipped(), &["--run", "payments*", "--coverage"]);
    assert_eq!(ran.code, 0, "coverage alone only tells");
}

#[test]
fn a_change_that_no_test_notices_is_a_finding() {
    let ran = test(
        &shipped(),
        &["--run", "the job reaches nothing else", "--mutate"],
    );
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let words = "guard.contractors.short: no test notices that the whole policy is left out";
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_read_is_invalid() {
    type Row = (&'static str, &'static str, &'static str);
    let rows: [Row; 5] = [
        ("access.cedar", "permit (", "access.cedar:1"),
        ("tests/more.test.hcl", "at = 1", "tests/more.test.hcl:1"),
        ("tests/more.json", "[", "tests/more.json:1"),
        ("tests/more.hcl", "", "nothing reads `tests/more.hcl`"),
        (
            "tests/more.txt",
            "",
            "its folder holds `.hcl` and `.json` files",
        ),
    ];
    for (file, text, words) in rows {
        let bundle = copy();
        fs::write(bundle.path().join(file), text).unwrap();
        let ran = test(bundle.path(), &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{file}");
        assert!(ran.stderr.contains(words), "{file}: {}", ran.stderr);
    }
    let bundle = copy();
    fs::write(bundle.path().join("tests/more.test.hcl"), b"at = \"\xff\"").unwrap();
    let ran = test(bundle.path(), &[]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("not UTF-8"), "{}", ran.stderr);
}

#[test]
fn a_link_out_of_the_bundle_is_not_followed() {
    let bundle = copy();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.test.hcl");
    fs::write(&secret, "at = \"hidden\"").unwrap();
    let link = bundle.path().join("tests/more.test.hcl");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let ran = test(bundle.path(), &[]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("a link to a place outside"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("hidden"));
    // Nor is a whole folder of tests that lies elsewhere.
    fs::remove_dir_all(bundle.path().join("tests")).unwrap();
    std::os::unix::fs::symlink(outside.path(), bundle.path().join("tests")).unwrap();
    let ran = test(bundle.path(), &[]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let words = "`tests` leads to a place outside the bundle";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
}

#[test]
fn nothing_to_run_is_a_failure_not_a_pass() {
    let ran = test(&shipped().join("no-such-folder"), &[]);
    assert_eq!(ran.code, 1);
    let ran = test(&shipped(), &["--run", "prodution*"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("no test fits `prodution*`"),
        "{}",
        ran.stderr
    );
    let bundle = copy();
    fs::remove_dir_all(bundle.path().join("tests")).unwrap();
    let ran = test(bundle.path(), &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("has no tests"), "{}", ran.stderr);
    let ran = test(&shipped(), &["--min-coverage", "101"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn scripts_get_a_document_and_ci_systems_junit() {
    let arguments = ["--run", "*staging*", "--coverage"];
    let as_json = test(
        &shipped(),
        &[&arguments[..], &["--format", "json"]].concat(),
    );
    let document: Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["test"]["failed"], 0);
    assert_eq!(
        document["test"]["checks"][0]["file"],
        "tests/freeze.test.hcl"
    );
    assert!(document["test"]["coverage"]["percent"].as_u64().unwrap() < 100);
    assert!(document["test"]["mutation"].is_null());
    let global = test(&shipped(), &[&arguments[..], &["--json"]].concat());
    assert_eq!(global.stdout, as_json.stdout);
    let junit = test(
        &shipped(),
        &[&arguments[..], &["--format", "junit"]].concat(),
    );
    assert_eq!(junit.code, 0);
    assert!(
        junit
            .stdout
            .starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites ")
    );
    assert!(junit.stderr.starts_with("coverage: "), "{}", junit.stderr);
}
