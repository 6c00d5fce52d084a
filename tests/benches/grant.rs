//! From request to grant over gRPC, against the same kind of server doing two bare durable appends, at 1 and 32 clients;
//! and the idle memory of a broker.
//!
//! The broker is the whole one: it verifies the token of every call, decides, records, signs and sends the call to STS, and
//! writes its log (to nowhere). STS is a stub in this process that answers at once. Broker and floor share one runtime, the
//! clients and the stubs another, all of them the same machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

mod floor;
mod load;
mod record;
mod sts;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use writ_broker::config::Config;
use writ_broker::server::Broker;
use writ_engine::Moment;
use writ_sandbox::{Issuer, IssuerConfig};
use writ_tests::{AUDIENCE, World};

use load::{Asker, GRANTS_A_USER, Took, What};
use writ_tests::rounds::median;

const ROUNDS: usize = 5;

/// Clients, and the grants each asks for in a round.
const LOADS: [(usize, usize); 2] = [(1, 600), (32, 60)];

fn main() {
    log_to_nowhere();
    let (inside, outside) = (runtime(), runtime());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let setting = outside.block_on(Setting::new(folder.path()));
    let broker = inside
        .block_on(Broker::start(setting.config(folder.path())))
        .expect("the broker starts");
    let floor = inside.block_on(floor::start(&folder.path().join("floor.db")));
    let (broker_url, floor_url) = (broker.at().to_string(), format!("http://{floor}"));

    println!(
        "request to grant over gRPC, with a stub STS in this process; medians of {ROUNDS} interleaved rounds; the floor appends two durable events to a journal of the same kind, and does nothing else\n"
    );
    println!(
        "clients  what               latency (p50) / floor   throughput / floor   commits a grant"
    );
    for (clients, grants) in LOADS {
        let line = outside.block_on(async {
            let ours = setting.askers(&broker_url, clients, grants).await;
            let mut floors = Vec::new();
            for _ in 0..clients {
                floors.push(Asker::of_floor(&floor_url).await);
            }
            compare(&ours, &floors, grants, &folder.path().join("writ.db")).await
        });
        print!("{line}");
    }
    println!(
        "\ngoals: latency <= 1.4 and throughput >= 0.65 of the floor; a commit is one fdatasync of the journal's log"
    );
    inside.block_on(broker.stop()).expect("the broker stops");
    outside.block_on(idle_memory());
}

/// One line for the issue alone, one for the request and the issue.
async fn compare(ours: &[Asker], floors: &[Asker], grants: usize, journal: &Path) -> String {
    let commits = || commits(journal);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (floor, _) = load::run(floors, What::Issue, grants, || 0).await;
        let (issue, issue_commits) = load::run(ours, What::Issue, grants, commits).await;
        let (both, both_commits) = load::run(ours, What::Both, grants, commits).await;
        rounds.push((floor, [(issue, issue_commits), (both, both_commits)]));
        // Lets the users' rates recover.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let all = (grants * ours.len()) as f64;
    let mut lines = String::new();
    for (place, what) in ["issue", "request and issue"].into_iter().enumerate() {
        let of = |figure: &dyn Fn(Took) -> f64| {
            let ours = rounds.iter().map(|(_, ours)| figure(ours[place].0));
            let floor = rounds.iter().map(|(floor, _)| figure(*floor));
            median(ours.collect()) / median(floor.collect())
        };
        let commits = rounds.iter().map(|(_, ours)| ours[place].1 as f64 / all);
        let _ = writeln!(
            lines,
            "{:>7}  {what:<17} {:>22.2} {:>20.2} {:>17.2}",
            ours.len(),
            of(&|took| took.latency),
            of(&|took| took.throughput),
            median(commits.collect()),
        );
    }
    lines
}

/// Commits of events so far: the last event of each bears the seal.
fn commits(journal: &Path) -> u64 {
    let file = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("the journal");
    let sql = "SELECT count(*) FROM events WHERE seal IS NOT NULL";
    let count: i64 = file.query_row(sql, [], |row| row.get(0)).expect("a count");
    count.unsigned_abs()
}

/// Everything around the broker.
struct Setting {
    sts: std::net::SocketAddr,
    issuer: Issuer,
    tokens: Vec<String>,
}

impl Setting {
    /// Writes the bundle and the rest of the broker's folder; starts the stubs.
    async fn new(folder: &Path) -> Setting {
        let now = jiff::Timestamp::now().as_millisecond();
        let now = Moment::from_ms(now).expect("in range");
        let issuer = Issuer::start(IssuerConfig::default())
            .await
            .expect("an issuer");
        let users = LOADS
            .map(|(clients, grants)| clients * grants.div_ceil(GRANTS_A_USER))
            .into_iter()
            .max()
            .unwrap_or_default();
        write_bundle(&folder.join("policies"), users);
        let mut options = File::options();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(folder.join("credentials"))
            .expect("a file");
        let keys =
            "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = bench\n";
        std::io::Write::write_all(&mut file, keys.as_bytes()).expect("it is written");
        let token = |user| issuer.person_token(&format!("u{user}"), AUDIENCE);
        let tokens = (0..users).map(|user| token(user).expect("a token"));
        Setting {
            tokens: tokens.collect(),
            sts: sts::start(now.plus_s(3_600).floor_s()).await,
            issuer,
        }
    }

    fn config(&self, folder: &Path) -> Config {
        let (issuer, sts) = (self.issuer.url(), self.sts);
        let text = format!(
            r#"listener "tcp" {{ address = "127.0.0.1:0" }}
store {{
  path             = "writ.db"
  signing_key_file = "writ.key"
  origin           = "writ.bench/grant"
}}
bundle {{ path = "policies" }}
issuer "corp" {{
  kind       = "oidc"
  url        = "{issuer}"
  audience   = "{AUDIENCE}"
  algorithms = ["ES256"]
}}
issuer "github" {{
  kind     = "github-actions"
  url      = "https://token.actions.githubusercontent.com"
  audience = "{AUDIENCE}"
}}
aws {{
  credentials      = "profile"
  credentials_file = "credentials"
  role_session     = false
  endpoint_url     = "http://{sts}"
}}
"#
        );
        Config::parse("writ.hcl", &text, folder).unwrap_or_else(|report| panic!("{report}"))
    }

    /// Clients of the broker, each with users of its own.
    async fn askers(&self, url: &str, clients: usize, grants: usize) -> Vec<Asker> {
        let mut askers = Vec::new();
        for tokens in self
            .tokens
            .chunks(grants.div_ceil(GRANTS_A_USER))
            .take(clients)
        {
            askers.push(Asker::of_broker(url, tokens).await);
        }
        askers
    }
}

/// The shipped bundle, with a directory of many on call, who get `prod-db-read` at once.
fn write_bundle(to: &Path, users: usize) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(writ_tests::root().join("policies")).expect("the shipped bundle") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let directory = to.join("directory.hcl");
    let mut people = fs::read_to_string(&directory).expect("the shipped directory");
    for user in 0..users {
        let _ = writeln!(
            people,
            "user \"user-{user}\" {{\n name = \"x\"\n manager = \"pat\"\n groups = [\"oncall\"]\n identity {{\n issuer = \"corp\"\n id = \"u{user}\"\n }}\n}}"
        );
    }
    fs::write(&directory, people).expect("it is written");
}

/// The log of a broker costs what it costs; it is made, and thrown away.
fn log_to_nowhere() {
    let nowhere = File::options()
        .write(true)
        .open("/dev/null")
        .expect("nowhere");
    let ours = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("writ_broker", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(Arc::new(nowhere));
    tracing_subscriber::registry().with(ours).with(lines).init();
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Of the real binary, in the shipped configuration's shape, after it has answered once.
async fn idle_memory() {
    let here = std::env::current_exe().expect("a path");
    let release = here.ancestors().nth(2).expect("target/release");
    if !release.join("writ").exists() {
        println!("idle memory: skipped; build the binary first: `cargo build --release`");
        return;
    }
    let quiet = |folder: &Path| {
        let path = folder.join("writ.hcl");
        let text = fs::read_to_string(&path).expect("the configuration");
        fs::write(&path, text.replace("trace", "info")).expect("it is written");
    };
    let world = World::start_with(quiet).await;
    let status = fs::read_to_string(format!("/proc/{}/status", world.pid())).expect("a process");
    let megabytes = |name: &str| {
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.trim().parse::<f64>().ok())
            .expect("a size");
        kib * 1_024.0 / 1e6
    };
    println!(
        "idle memory of `writ serve` on the shipped bundle: {:.1} MB (goal <= 20), of which {:.1} MB are its own (heap and stacks) and the rest pages of its program file",
        megabytes("VmRSS:"),
        megabytes("RssAnon:"),
    );
}
