//! A world for tests from outside: the real `writ serve` as a process of its own, the sandbox's STS and two OIDC issuers on
//! loopback, the shipped bundle, and everything in a folder that goes when the test does.
//!
//! The STS and the issuers live in the test's process, so a test can move their clocks and break them; the broker does not,
//! so a test can kill it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use writ_api::client::{Address, Client, Token};
use writ_api::v1;
use writ_broker::clock::Clock;
use writ_broker::config::Config;
use writ_broker::room::Room;
use writ_broker::server::Broker;
use writ_sandbox::{
    Caller, Credentials, GithubJob, Issuer, IssuerConfig, Role, Sandbox, SandboxConfig,
};

use crate::{about, edit, fact, free_port, root, verify, writ, write_private};

/// The audience of every token.
pub const AUDIENCE: &str = "https://writ.test";

/// The external id the roles' trust policies ask for.
pub const EXTERNAL_ID: &str = "writ-test";

/// The people of the shipped directory, and their stable ids at the issuer `corp`.
pub const PEOPLE: [(&str, &str); 8] = [
    ("mia", "00u1mia"),
    ("pat", "00u2pat"),
    ("lee", "00u3lee"),
    ("sam", "00u4sam"),
    ("zoe", "00u5zoe"),
    ("kim", "00u6kim"),
    ("dana", "00u7dana"),
    ("audrey", "00u8audrey"),
];

const ACCOUNT: &str = "123456789012";
const ROLES: [&str; 4] = [
    "jit-payments-deploy",
    "jit-prod-db-read",
    "jit-staging-admin",
    "jit-prod-admin",
];

/// How long a broker may take to come up or go down before a test gives up on it: a loaded machine's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running world.
pub struct World {
    /// Everything on disk.
    pub dir: TempDir,
    /// The STS.
    pub sandbox: Sandbox,
    /// The issuer `corp`.
    pub people: Issuer,
    /// The issuer `github`.
    pub ci: Issuer,
    address: String,
    /// The CA of the broker's certificate, where it serves with TLS.
    ca: Option<PathBuf>,
    broker: Option<Child>,
}

impl World {
    /// Starts everything.
    pub async fn start() -> World {
        World::start_with(|_| {}).await
    }

    /// Starts everything, after `prepare` has had its way with the folder: the bundle is in `policies`, the configuration
    /// in `writ.hcl`.
    pub async fn start_with(prepare: impl FnOnce(&Path)) -> World {
        let mut world = World::furnish(prepare).await;
        world.up().await;
        world
    }

    /// Starts everything, with a broker that serves with TLS on a port of loopback, as `localhost`.
    pub async fn start_with_tls() -> World {
        let mut world = World::furnish(|_| {}).await;
        let dir = world.dir.path();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let ca = dir.join("cert.pem");
        std::fs::write(&ca, own.cert.pem()).expect("the certificate is written");
        write_private(&dir.join("key.pem"), &own.signing_key.serialize_pem());
        let port = free_port();
        let unix = format!(
            r#"listener "unix" {{ path = "{}/run/writ.sock" }}"#,
            dir.display()
        );
        let tcp = format!(
            r#"listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls {{
    cert_file = "cert.pem"
    key_file  = "key.pem"
  }}
}}"#
        );
        edit(&dir.join("writ.hcl"), &unix, &tcp);
        world.address = format!("https://localhost:{port}");
        world.ca = Some(ca);
        world.up().await;
        world
    }

    /// Everything but the broker, after `prepare` has had its way with the folder.
    pub async fn furnish(prepare: impl FnOnce(&Path)) -> World {
        let broker_arn = format!("arn:aws:iam::{ACCOUNT}:user/writ-issuer");
        let caller = Caller::user(&broker_arn).expect("random keys");
        let keys = caller.credentials().clone();
        let revoker = format!("arn:aws:iam::{ACCOUNT}:user/writ-revoker");
        let revoker = Caller::revoker(&revoker).expect("random keys");
        let revoker_keys = revoker.credentials().clone();
        let sandbox = Sandbox::start(SandboxConfig {
            roles: roles(&broker_arn),
            callers: vec![caller, revoker],
            ..SandboxConfig::default()
        })
        .await
        .expect("the sandbox starts");
        let endpoint = sandbox.endpoint_url();
        let world = World::built(
            sandbox,
            &endpoint,
            &keys.access_key_id,
            &keys.secret_access_key,
            prepare,
        )
        .await;
        world.revokes_as(&revoker_keys);
        world
    }

    /// Gives the broker, from its next start on, an identity to revoke with.
    pub fn revokes_as(&self, keys: &Credentials) {
        let dir = self.dir.path();
        write_private(
            &dir.join("revoker"),
            &format!(
                "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                keys.access_key_id, keys.secret_access_key
            ),
        );
        edit(
            &dir.join("writ.hcl"),
            "}\nlog {",
            "  revoker {\n    credentials      = \"profile\"\n    credentials_file = \"revoker\"\n  }\n}\nlog {",
        );
    }

    /// The keys the broker revokes with.
    pub fn revoker_keys(&self) -> Credentials {
        let file = std::fs::read_to_string(self.dir.path().join("revoker")).expect("keys");
        let value = |key: &str| {
            let line = file.lines().find_map(|line| line.strip_prefix(key));
            line.expect("a key").trim_start_matches(" = ").to_owned()
        };
        Credentials::new(
            &value("aws_access_key_id"),
            &value("aws_secret_access_key"),
            None,
        )
    }

    /// A broker of this world within this process, by a clock that the test moves. Stop it before another is started.
    pub async fn inside(&self, clock: Clock) -> Broker {
        let config = Config::load(&self.dir.path().join("writ.hcl")).expect("a configuration");
        let room = Room::around(&config.store.path);
        let started = Broker::start_at(config, clock, room).await;
        started.expect("the broker starts")
    }

    /// Starts a world whose broker calls the STS at `endpoint` with these keys; `sandbox` may stand by unused.
    pub async fn around(
        sandbox: Sandbox,
        endpoint: &str,
        access_key_id: &str,
        secret_access_key: &str,
        prepare: impl FnOnce(&Path),
    ) -> World {
        let mut world =
            World::built(sandbox, endpoint, access_key_id, secret_access_key, prepare).await;
        world.up().await;
        world
    }

    /// Everything but the broker, which is to call the STS at `endpoint` with these keys.
    pub async fn built(
        sandbox: Sandbox,
        endpoint: &str,
        access_key_id: &str,
        secret_access_key: &str,
        prepare: impl FnOnce(&Path),
    ) -> World {
        let dir = tempfile::Builder::new()
            .prefix("writ-test-")
            .tempdir()
            .expect("a temporary folder");
        let people = Issuer::start(IssuerConfig::default())
            .await
            .expect("an issuer");
        let ci = Issuer::start(IssuerConfig::default())
            .await
            .expect("an issuer");
        copy_bundle(&dir.path().join("policies"));
        let credentials = format!(
            "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n"
        );
        write_private(&dir.path().join("credentials"), &credentials);
        let config = config(dir.path(), people.url(), ci.url(), endpoint);
        std::fs::write(dir.path().join("writ.hcl"), config).expect("the configuration is written");
        prepare(dir.path());
        World {
            address: format!("unix://{}", dir.path().join("run/writ.sock").display()),
            ca: None,
            dir,
            sandbox,
            people,
            ci,
            broker: None,
        }
    }

    /// Has the broker listen on a port of loopback instead of its socket, from its next start on.
    pub fn listen_on_tcp(&mut self) -> SocketAddr {
        let port = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let socket = self.dir.path().join("run/writ.sock");
        edit(
            &self.dir.path().join("writ.hcl"),
            &format!("\"unix\" {{ path = \"{}\" }}", socket.display()),
            &format!("\"tcp\" {{ address = \"{port}\" }}"),
        );
        self.address = format!("http://{port}");
        port
    }

    /// Starts the broker and waits until it serves.
    pub async fn up(&mut self) {
        self.launch();
        self.serving().await;
    }

    /// Starts the broker from a shell that first runs `prelude` (`ulimit`, `trap`), and waits until it serves.
    pub async fn up_after(&mut self, prelude: &str) {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{prelude}; exec \"$0\" \"$@\""))
            .arg(writ());
        self.spawn(shell);
        self.serving().await;
    }

    /// Waits until the broker serves.
    async fn serving(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !answers(&self.address(), self.ca_pem().as_deref()).await {
            if let Some(status) = self
                .broker
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten())
            {
                panic!("the broker ended with {status}:\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "the broker does not come up:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the broker's process and waits for nothing.
    pub fn launch(&mut self) {
        self.spawn(Command::new(writ()));
    }

    fn spawn(&mut self, mut command: Command) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log opens");
        let child = command
            .arg("serve")
            .arg("--config")
            .arg(self.dir.path().join("writ.hcl"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the broker's process starts");
        self.broker = Some(child);
    }

    /// The id of the broker's process.
    pub fn pid(&self) -> u32 {
        self.broker.as_ref().expect("a broker").id()
    }

    /// `kill -9`, and waits for the process to be gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.broker.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for a clean end.
    pub fn stop(&mut self) {
        let Some(mut child) = self.broker.take() else {
            return;
        };
        let killed = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(killed.success());
        let status = child.wait().expect("the broker ends");
        assert!(
            status.success(),
            "the broker ended with {status}:\n{}",
            self.log()
        );
    }

    /// Sends the broker a signal by name.
    pub fn signal(&self, name: &str) {
        let child = self.broker.as_ref().expect("a broker");
        let sent = Command::new("kill")
            .args([format!("-{name}"), child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// The broker's address.
    pub fn address(&self) -> Address {
        self.address.parse().expect("an address")
    }

    /// The broker's address as one types it.
    pub fn address_text(&self) -> &str {
        &self.address
    }

    /// The file with the CA of the broker's certificate, where it serves with TLS.
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    fn ca_pem(&self) -> Option<Vec<u8>> {
        let ca = self.ca.as_deref()?;
        Some(std::fs::read(ca).expect("the certificate is there"))
    }

    /// What the broker logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("writ.db")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("broker.log")
    }

    /// A token of one of [`PEOPLE`].
    pub fn token_of(&self, person: &str) -> String {
        let (_, subject) = PEOPLE
            .iter()
            .find(|(name, _)| *name == person)
            .expect("someone of the directory");
        self.people
            .person_token(subject, AUDIENCE)
            .expect("a token")
    }

    /// A token of the payments repository's CI on a branch.
    pub fn ci_token(&self, branch: &str) -> String {
        self.ci
            .github_token(&ci_job(branch), AUDIENCE)
            .expect("a token")
    }

    /// A client for a token.
    pub async fn client(&self, token: &str) -> Client {
        let token = Token::new(token).expect("a token");
        Client::connect(&self.address(), Some(&token), self.ca_pem().as_deref())
            .await
            .expect("the broker listens")
    }

    /// A client for one of [`PEOPLE`].
    pub async fn as_person(&self, person: &str) -> Client {
        self.client(&self.token_of(person)).await
    }

    /// A client for the payments repository's CI on a branch.
    pub async fn as_ci(&self, branch: &str) -> Client {
        self.client(&self.ci_token(branch)).await
    }

    /// Runs the `writ` command line with a token, and returns what it printed.
    pub async fn writ(&self, token: &str, arguments: &[&str]) -> Output {
        let token_file = self
            .dir
            .path()
            .join(format!("token-{}", self.next_number()));
        write_private(&token_file, token);
        let mut command = tokio::process::Command::new(writ());
        command
            .args(arguments)
            .env("WRIT_ADDR", self.address_text())
            .env("WRIT_TOKEN_FILE", &token_file)
            .env_remove("WRIT_TOKEN")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        tokio::time::timeout(PATIENCE, command.output())
            .await
            .unwrap_or_else(|_| panic!("`writ {}` does not end", arguments.join(" ")))
            .expect("writ runs")
    }

    fn next_number(&self) -> usize {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// `writ journal verify` on the journal of this world, offline, optionally against a kept checkpoint.
    pub fn verify(&self, kept: Option<&Path>) -> Output {
        let key = std::fs::read_to_string(self.dir.path().join("journal.vkey"))
            .expect("the key was kept");
        verify(&self.journal(), key.trim(), kept)
    }

    /// Every event of the journal as an auditor reads it: the parsed canonical bytes, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let mut journal = self.as_person("audrey").await.journal();
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = v1::ListEventsRequest {
                page_size: 500,
                page_token,
                request_id: String::new(),
            };
            let reply = journal
                .list_events(page)
                .await
                .expect("an auditor reads")
                .into_inner();
            let parsed =
                |event: &v1::Event| serde_json::from_slice(&event.canonical).expect("JSON");
            events.extend(reply.events.iter().map(parsed));
            page_token = reply.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }

    /// The facts of one request in the journal, oldest first: each one's name and what it holds.
    pub async fn story(&self, id: &str) -> Vec<(String, Value)> {
        let events = self.events().await;
        events
            .iter()
            .filter(|event| about(event) == Some(id))
            .map(fact)
            .collect()
    }

    /// The names of the facts of one request in the journal, oldest first.
    pub async fn chapters(&self, id: &str) -> Vec<String> {
        let story = self.story(id).await;
        story.into_iter().map(|(name, _)| name).collect()
    }

    /// How many lines of the broker's log hold `text`.
    pub fn logged(&self, text: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    /// Has the broker read its bundle's folder again, and waits until its log holds `text` once more than before.
    pub async fn reload_until(&self, text: &str) {
        let before = self.logged(text);
        self.signal("HUP");
        self.wait_for(|| self.logged(text) > before, text).await;
    }

    /// Waits for something to become true, with a loaded machine's patience.
    pub async fn wait_for(&self, ready: impl Fn() -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            assert!(
                Instant::now() < deadline,
                "waited in vain for: {what}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A file of the bundle.
    pub fn policy(&self, file: &str) -> PathBuf {
        self.dir.path().join("policies").join(file)
    }

    /// Asks the broker for a checkpoint, and keeps its verifying key for [`World::verify`].
    pub async fn checkpoint(&self) -> String {
        let mut journal = self.as_person("audrey").await.journal();
        let reply = journal
            .get_checkpoint(v1::GetCheckpointRequest {})
            .await
            .expect("a checkpoint")
            .into_inner();
        std::fs::write(self.dir.path().join("journal.vkey"), &reply.verifying_key)
            .expect("the key is kept");
        reply.note
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let mut stderr = std::io::stderr();
            // A test has failed already; what the broker said may explain it.
            let _ = writeln!(stderr, "--- the broker's log ---\n{}", self.log());
        }
    }
}

/// Whether a broker answers there. A connection is not enough: it waits while the journal is read.
async fn answers(address: &Address, ca_pem: Option<&[u8]>) -> bool {
    let Ok(client) = Client::connect(address, None, ca_pem).await else {
        return false;
    };
    let reply = client.scopes().list_scopes(v1::ListScopesRequest {}).await;
    reply.is_err_and(|status| status.code() == tonic::Code::Unauthenticated)
}

/// The roles of the shipped catalog, trusting a broker that says [`EXTERNAL_ID`].
pub fn roles(broker_arn: &str) -> Vec<Role> {
    let role = |name: &&str| {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        Role::for_broker(&arn, broker_arn, Some(EXTERNAL_ID)).with_max_session_s(43_200)
    };
    ROLES.iter().map(role).collect()
}

/// A job of the payments repository on a branch.
pub fn ci_job(branch: &str) -> GithubJob {
    GithubJob {
        repository_id: "4201".to_owned(),
        repository_owner_id: "77".to_owned(),
        ..GithubJob::on_branch("acme/payments", branch)
    }
}

fn copy_bundle(to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(root().join("policies")).expect("the shipped bundle") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
}

fn config(dir: &Path, people: &str, ci: &str, endpoint: &str) -> String {
    let dir = dir.display();
    format!(
        r#"listener "unix" {{ path = "{dir}/run/writ.sock" }}
store {{
  path             = "writ.db"
  signing_key_file = "writ.key"
  origin           = "writ.test/journal"
}}
bundle {{ path = "policies" }}
issuer "corp" {{
  kind       = "oidc"
  url        = "{people}"
  audience   = "{AUDIENCE}"
  algorithms = ["ES256"]
}}
issuer "github" {{
  kind       = "github-actions"
  url        = "{ci}"
  audience   = "{AUDIENCE}"
  algorithms = ["ES256"]
}}
aws {{
  credentials      = "profile"
  credentials_file = "credentials"
  role_session     = false
  endpoint_url     = "{endpoint}"
  external_id      = "{EXTERNAL_ID}"
}}
log {{
  format = "json"
  level  = "trace"
}}
"#
    )
}
