//! Bundles from folders, and from branches of real git repositories.

mod branch;
mod folder;
mod git;
mod signatures;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

/// The texts of the bundle we ship, by name.
fn shipped_texts() -> BundleFiles {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")).unwrap()
}

/// The bundle we ship, in a folder of its own.
fn shipped() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in shipped_texts().0 {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A repository whose branch `main` has the bundle we ship in `policies`.
struct Author {
    folder: tempfile::TempDir,
}

impl Author {
    fn new() -> Author {
        let author = Author {
            folder: tempfile::tempdir().unwrap(),
        };
        author.git(&["init", "--quiet", "--initial-branch=main", "work"]);
        fs::create_dir(author.work().join("policies")).unwrap();
        for (name, text) in shipped_texts().0 {
            author.write(&name, &text);
        }
        author.commit("the policies");
        author
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Writes a file of the bundle.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.work().join("policies").join(name), text).unwrap();
    }

    fn git<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        self.git_with("", arguments)
    }

    /// Runs git, gives it `input`, and returns what it printed.
    fn git_with<A: AsRef<OsStr>>(&self, input: &str, arguments: &[A]) -> String {
        let work = self.work();
        let mut child = Command::new("git")
            .args(["-c", "user.name=mia", "-c", "user.email=mia@corp.example"])
            .args(["-c", "gpg.format=ssh"])
            .args(arguments)
            .current_dir(if work.exists() {
                &work
            } else {
                self.folder.path()
            })
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Commits everything, even nothing.
    fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// A comment more in the bundle, committed.
    fn edit(&self, comment: &str) -> CommitId {
        self.write("more.cedar", &format!("// {comment}\n"));
        self.commit(comment)
    }

    fn settings(&self) -> BranchSettings {
        BranchSettings {
            repository: self.work(),
            branch: "main".to_owned(),
            folder: "policies".to_owned(),
            signed: None,
            accept_rewrite: None,
        }
    }

    fn open(&self) -> BundleSlot {
        BundleSlot::open(&Source::Branch(self.settings())).unwrap()
    }

    fn refusal(&self) -> String {
        refusal(&self.settings())
    }
}

/// Why the branch's bundle is not one to start with.
fn refusal(settings: &BranchSettings) -> String {
    match BundleSlot::open(&Source::Branch(settings.clone())) {
        Err(refusal) => said(&refusal),
        Ok(slot) => panic!("{:?} is taken", slot.in_force().commit),
    }
}

/// All that a refusal says, its help included, on one line.
fn said(refusal: &Refusal) -> String {
    let mut said = String::new();
    for finding in refusal.report.findings() {
        said.push_str(&format!("{finding} "));
        said.push_str(finding.help.as_deref().unwrap_or_default());
    }
    said
}

#[track_caller]
fn replaced(reload: Reload) -> CommitId {
    match reload {
        Reload::Replaced(new) => new.commit.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(reload: Reload) -> String {
    match reload {
        Reload::Refused(refusal) => said(&refusal),
        other => panic!("{other:?}"),
    }
}
