//! `writ policy fmt` as people and pipelines run it: the real binary, the files it leaves, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

/// Every file of a folder and of its tests.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for part in ["", "tests/"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                texts.insert(format!("{part}{name}"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    texts
}

/// A copy of the shipped bundle, tests included, each text changed by `change`.
fn copy(change: impl Fn(&str, &str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    for (name, text) in texts(&shipped()) {
        fs::write(folder.path().join(&name), change(&name, &text)).unwrap();
    }
    folder
}

/// Without indentation, and with spaces where there need be none.
fn ragged(name: &str, text: &str) -> String {
    let is_laid_out = name.ends_with(".cedar") || name.ends_with(".hcl");
    let line = |line: &str| match line.trim_start() {
        line if line.starts_with("//") || line.starts_with('#') => format!("{line}\n"),
        line => format!(
            "   {}  \n",
            line.replace(" = ", "=").replace(" == ", "  ==  ")
        ),
    };
    match is_laid_out {
        true => text.lines().map(line).collect(),
        false => text.to_owned(),
    }
}

/// The exit code, stdout and stderr.
fn fmt(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["policy", "fmt"])
        .arg(folder)
        .args(arguments)
        .env_remove("WRIT_ADDR")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn nothing() -> (i32, String, String) {
    (0, String::new(), String::new())
}

#[test]
fn the_shipped_bundle_is_in_the_layout_already() {
    assert_eq!(fmt(&shipped(), &["--check"]), nothing());
}

#[test]
fn what_is_out_of_line_is_told_by_check_and_put_back_without() {
    let folder = copy(ragged);
    let before = texts(folder.path());
    let is_laid_out = |name: &&String| name.ends_with(".cedar") || name.ends_with(".hcl");
    let expected: String = before
        .keys()
        .filter(is_laid_out)
        .map(|it| format!("{it}\n"))
        .collect();

    assert_eq!(
        fmt(folder.path(), &["--check"]),
        (2, expected.clone(), String::new())
    );
    assert_eq!(texts(folder.path()), before, "`--check` writes nothing");
    let (code, stdout, _) = fmt(folder.path(), &["--check", "--json"]);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let names: Vec<&str> = expected.lines().collect();
    assert_eq!(
        (code, &document["fmt"]),
        (2, &json!({ "changed": names, "written": false }))
    );

    assert_eq!(fmt(folder.path(), &[]), (0, expected, String::new()));
    assert_eq!(texts(folder.path()), texts(&shipped()));
    assert_eq!(fmt(folder.path(), &[]), nothing(), "twice changes nothing");
}

#[test]
fn one_file_that_does_not_parse_keeps_all_as_they_are() {
    for (file, from, to) in [
        ("access.cedar", "permit (", "permitt ("),
        ("scopes.hcl", "= \"payments\"", "= payments()"),
        ("tests/staging.test.hcl", "test \"", "test "),
    ] {
        let folder = copy(|name, text| match name == file {
            true => text.replace(from, to),
            false => ragged(name, text),
        });
        let before = texts(folder.path());
        let (code, stdout, stderr) = fmt(folder.path(), &[]);
        assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
        assert!(stderr.contains(&format!("{file}:")), "{stderr}");
        assert_eq!(texts(folder.path()), before);
    }
    let (code, _, stderr) = fmt(Path::new("no/such/folder"), &[]);
    assert_eq!(code, 1, "{stderr}");
}

#[test]
fn a_file_keeps_its_permissions_and_a_link_stays_one() {
    let folder = copy(|_, text| text.to_owned());
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("..data")).unwrap();
    fs::rename(path("access.cedar"), path("..data/access.cedar")).unwrap();
    symlink("..data/access.cedar", path("access.cedar")).unwrap();
    let target = path("..data/access.cedar");
    let text = fs::read_to_string(&target).unwrap();
    fs::write(&target, text.replace("permit (", "permit  (")).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();

    assert_eq!(
        fmt(folder.path(), &[]),
        (0, "access.cedar\n".to_owned(), String::new())
    );
    assert!(path("access.cedar").is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), text);
    assert_eq!(
        fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let left: Vec<_> = fs::read_dir(path("..data")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left beside it");
}
