//! The real `terraform` with the real provider, in a folder of its own: one configuration, run as a person or a pipeline
//! would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::Child;

use crate::{World, built, root, skipped, write_private};

/// How long one command of Terraform may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(150);

/// The head of every configuration.
const HEAD: &str = r#"terraform {
  required_providers {
    writ = { source = "writ.internal/writ/writ" }
  }
}
"#;

/// A configuration in a folder, and what Terraform is started with.
pub struct Terraform {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// What one command of Terraform did and said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Fails the test with all that was said unless the exit code is 0.
    #[track_caller]
    pub fn ok(self) -> Said {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless it failed and said `text`, wherever the lines broke.
    #[track_caller]
    pub fn failed_with(&self, text: &str) {
        assert_ne!(self.code, 0, "{}", self.out);
        let said = on_one_line(&self.err);
        assert!(said.contains(text), "no `{text}` in:\n{}", self.err);
    }
}

/// What stands in Terraform's boxes, without their edges and line breaks.
pub fn on_one_line(said: &str) -> String {
    let words: Vec<&str> = said
        .split_whitespace()
        .filter(|word| !["│", "╷", "╵"].contains(word))
        .collect();
    words.join(" ")
}

/// Whether `terraform` is there. Says loudly when it is not.
pub fn terraform_is_there() -> bool {
    let there = Command::new("terraform")
        .arg("version")
        .env("CHECKPOINT_DISABLE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        skipped(
            "terraform",
            "it is not on the PATH; 1.10 or newer is needed",
        );
    }
    there
}

/// The provider in a filesystem mirror, put there by the script that people use; the CLI configuration that names it.
fn cli_configuration() -> &'static Path {
    static MIRROR: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = MIRROR.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let installed = Command::new(root().join("plugin/terraform/install"))
            .arg(dir.path().join("mirror"))
            .arg(built("terraform-provider-writ"))
            .output()
            .expect("the script runs");
        assert!(
            installed.status.success(),
            "{}",
            String::from_utf8_lossy(&installed.stderr)
        );
        let file = dir.path().join("terraformrc");
        std::fs::write(&file, installed.stdout).expect("the configuration is written");
        (dir, file)
    });
    file
}

impl Terraform {
    /// The configuration `text`, for a caller with `token` at the world's broker, initialised.
    pub async fn new(world: &World, token: &str, text: &str) -> Terraform {
        Terraform::at(world.address_text(), token, text).await
    }

    /// The same for the broker at `address`.
    pub async fn at(address: &str, token: &str, text: &str) -> Terraform {
        let dir = tempfile::Builder::new()
            .prefix("writ-terraform-")
            .tempdir()
            .expect("a temporary folder");
        for folder in ["code", "home", "tmp"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        write_private(&dir.path().join("token"), token);
        let token_file = dir.path().join("token").display().to_string();
        let mut terraform = Terraform {
            dir,
            variables: Vec::new(),
        };
        terraform.set("WRIT_ADDR", address);
        terraform.set("WRIT_TOKEN_FILE", &token_file);
        terraform.write(text);
        terraform.run(&["init", "-no-color"]).await.ok();
        terraform
    }

    /// Puts `text` in place of the configuration.
    pub fn write(&self, text: &str) {
        std::fs::write(self.code().join("main.tf"), format!("{HEAD}{text}"))
            .expect("the configuration is written");
    }

    /// Sets a variable of every further command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The folder with the configuration, plan and state.
    pub fn code(&self) -> PathBuf {
        self.dir.path().join("code")
    }

    /// The folder with everything that Terraform was given or wrote.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.code())
            // Nothing of the machine's: a CI job's own variables would say which run this is.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"))
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("TF_CLI_CONFIG_FILE", cli_configuration())
            .env("CHECKPOINT_DISABLE", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).end().await
    }

    /// `terraform plan`, kept in the file `tfplan`.
    pub async fn plan(&self) -> Said {
        self.run(&["plan", "-no-color", "-input=false", "-out=tfplan"])
            .await
    }

    /// `terraform apply` of what was planned.
    pub async fn apply(&self) -> Said {
        self.run(&["apply", "-no-color", "-input=false", "tfplan"])
            .await
    }

    /// Starts a command, the leader of a process group as a shell would make it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .expect("terraform starts");
        let id = child.id().expect("it was not waited for");
        Running { child, id }
    }
}

/// A command of Terraform that has not ended.
pub struct Running {
    child: Child,
    id: u32,
}

impl Running {
    /// Sends Terraform a signal by name.
    pub fn signal(&self, name: &str) {
        kill(name, &self.id.to_string());
    }

    /// Sends Terraform and all it started a signal, as Ctrl-C in a terminal does.
    pub fn signal_all(&self, name: &str) {
        kill(name, &format!("-{}", self.id));
    }

    /// The ids of the provider's processes that this command started.
    pub fn providers(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|id| self.is_provider(*id).unwrap_or(false))
            .collect()
    }

    /// Whether a process is a provider in this command's group; `None` once it is gone.
    fn is_provider(&self, id: u32) -> Option<bool> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // `id (name) state parent group …`; the name is cut to 15 characters.
        let (head, rest) = stat.rsplit_once(')')?;
        let group: u32 = rest.split_whitespace().nth(2)?.parse().ok()?;
        Some(group == self.id && head.contains("terraform-provi"))
    }

    /// Waits for its end.
    pub async fn end(self) -> Said {
        let output = tokio::time::timeout(PATIENCE, self.child.wait_with_output())
            .await
            .expect("terraform ends")
            .expect("terraform was started");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Sends a signal by name to a process, or with `-` to a group.
pub fn kill(name: &str, whom: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), "--", whom])
        .status()
        .expect("kill runs");
    assert!(sent.success(), "no {name} for {whom}");
}

/// Waits until `ready` gives something, with a loaded machine's patience.
pub async fn until<T, F>(what: &str, mut ready: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ready().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
