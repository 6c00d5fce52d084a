//! The world of `writ dev` for tests: the real binary in a folder of its own, and people who use it.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test stops where it cannot go on, and each file of tests uses its part"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A running `writ dev`, stopped when it is dropped.
pub(crate) struct Dev {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: String,
    /// The stand-in for AWS.
    pub(crate) aws: String,
    pub(crate) child: Child,
}

impl Dev {
    /// Starts one in a fresh folder, with the shipped bundle or another, and returns once it has printed everything, so that
    /// it is known to listen.
    pub(crate) fn start(bundle: Option<&Path>) -> Dev {
        let folder = tempfile::tempdir().unwrap();
        if let Some(bundle) = bundle {
            let policies = folder.path().join("world/policies");
            std::fs::create_dir_all(&policies).unwrap();
            for file in std::fs::read_dir(bundle).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), policies.join(file.file_name())).unwrap();
            }
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["dev", "--folder"])
            .arg(folder.path().join("world"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| line.strip_prefix("export WRIT_ADDR=").map(str::to_owned))
            .unwrap();
        let aws = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| {
                Some(
                    line.split_once("-d 'Action=")?
                        .1
                        .split_once("' ")?
                        .1
                        .to_owned(),
                )
            })
            .unwrap();
        assert!(lines.any(|line| line.unwrap().contains("journal follow")));
        Dev {
            folder,
            address,
            aws: aws.trim_end_matches('/').to_owned(),
            child,
        }
    }

    pub(crate) fn world(&self) -> std::path::PathBuf {
        self.folder.path().join("world")
    }

    /// `writ` as one of the world's people or jobs would type it.
    pub(crate) fn writ(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command
            .args(arguments)
            .env("WRIT_ADDR", &self.address)
            .env("WRIT_TOKEN_FILE", self.world().join("tokens").join(who))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("WRIT_TOKEN")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, who: &str, arguments: &[&str]) -> Ran {
        Ran::of(&self.writ(who, arguments).output().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Ended with this code.
    pub(crate) fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.stdout.lines().next().unwrap().to_owned()
    }
}
