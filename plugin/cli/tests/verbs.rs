//! The verbs as people and scripts use them: the real binary against the world of `writ dev`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

mod dev;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use dev::{Dev, Ran};

const ASK: [&str; 6] = [
    "request",
    "prod-db-read",
    "--for",
    "45m",
    "--reason",
    "INC-42",
];

#[test]
fn a_request_goes_from_pending_to_credentials_to_released() {
    let dev = Dev::start(None);
    let asked = dev.run("mia", &[&ASK[..], &["--no-wait"]].concat()).ends(7);
    assert!(asked.stderr.contains("waiting for 1 manager: pat"));
    let id = asked.id();
    dev.run("mia", &["credentials", &id]).ends(7);
    dev.run("mia", &["approve", &id]).ends(3);
    dev.run("dana", &["show", &id]).ends(1);
    let approved = dev.run("pat", &["approve", &id, "--json"]).ends(0).json();
    assert_eq!(approved["request"]["state"]["name"], "APPROVED");

    let env = dev.run("mia", &["credentials", "prod-db-read"]).ends(0);
    assert!(env.stdout.contains("export AWS_SESSION_TOKEN="));
    assert!(!env.stderr.contains("AWS_"));
    dev.run("mia", &["release", &id]).ends(0);
    let late = dev
        .run("mia", &["credentials", &id, "--format", "process"])
        .ends(8);
    assert_eq!((late.stdout.as_str(), late.stderr.lines().count()), ("", 1));
}

#[test]
fn a_no_and_a_deadline_and_a_withdrawal_have_their_own_codes() {
    let dev = Dev::start(None);
    let late = dev
        .run("mia", &[&ASK[..], &["--timeout", "1s"]].concat())
        .ends(6);
    dev.run("mia", &["withdraw", &late.id()]).ends(0);
    dev.run("mia", &["credentials", &late.id()]).ends(8);

    let asked = dev.run("mia", &[&ASK[..], &["--no-wait"]].concat()).ends(7);
    let mut waiting = dev
        .writ(
            "mia",
            &["credentials", &asked.id(), "--wait", "--timeout", "1m"],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    dev.run("pat", &["deny", &asked.id(), "--reason", "not today"])
        .ends(0);
    assert_eq!(waiting.wait().unwrap().code(), Some(5));
    let mut told = String::new();
    let mut stderr = waiting.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert!(told.contains("pat said no: not today"), "{told}");
}

#[test]
fn a_refusal_names_the_policy_the_condition_and_what_would_work() {
    let dev = Dev::start(None);
    let refused = dev
        .run("ci-branch", &["can", "payments-deploy", "--for", "10m"])
        .ends(3);
    for part in [
        "payments.deploy.ci (access.cedar:",
        "principal.ref == \"refs/heads/main\"",
        "principal.ref = \"refs/heads/try\"",
    ] {
        assert!(refused.stdout.contains(part), "{}", refused.stdout);
    }
    let long = dev
        .run("mia", &["can", "prod-db-read", "--for", "9h"])
        .ends(3);
    let command = long
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("writ "))
        .unwrap();
    let words: Vec<_> = command.split(' ').collect();
    dev.run("mia", &words).ends(7);
}

#[test]
fn exec_passes_the_code_and_the_signal_on_and_gives_the_window_back() {
    let dev = Dev::start(None);
    let exec = |script: &str| {
        let mut command = dev.writ(
            "sam",
            &[
                "exec",
                "prod-db-read",
                "--for",
                "5m",
                "--reason",
                "paged",
                "--",
                "sh",
                "-c",
                script,
            ],
        );
        command
            .env("AWS_PROFILE", "another")
            .env_remove("AWS_REGION");
        command
    };
    let ran = Ran::of(
        &exec("echo \"$AWS_REGION [$AWS_PROFILE] ${AWS_SESSION_TOKEN:+token}\"; exit 42")
            .output()
            .unwrap(),
    )
    .ends(42);
    assert_eq!(ran.stdout, "eu-west-1 [] token\n");
    let mine = dev
        .run("sam", &["requests", "--mine", "--json"])
        .ends(0)
        .json();
    assert_eq!(mine["requests"][0]["state"]["name"], "RELEASED");

    // The child says when it listens, so that the signal is not sent too early.
    let mut running = exec("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let kill = Command::new("kill")
        .args(["-TERM", &running.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(9));
}

#[test]
fn credential_process_can_be_asked_more_often_than_a_grant_has_sessions() {
    let dev = Dev::start(None);
    let ask = [
        "credentials",
        "prod-db-read",
        "--for",
        "10m",
        "--reason",
        "paged",
        "--format",
        "process",
    ];
    let first = dev.run("sam", &ask).ends(0).json();
    assert_eq!(first["Version"], 1);
    for _ in 0..6 {
        assert_eq!(dev.run("sam", &ask).ends(0).json(), first);
    }
}

#[test]
fn the_journal_verifies_offline_and_a_text_can_be_erased_from_it() {
    let mut dev = Dev::start(None);
    let asked = dev.run("mia", &[&ASK[..], &["--no-wait"]].concat()).ends(7);
    let id = asked.id();
    let head = dev.run("audrey", &["journal", "checkpoint", "--json"]);
    let head = head.ends(0).json();
    let note = dev.folder.path().join("note");
    std::fs::write(&note, head["checkpoint"]["note"].as_str().unwrap()).unwrap();
    let key = head["checkpoint"]["verifying_key"].as_str().unwrap();
    let journal = dev.world().join("writ.db");
    let verify = |dev: &Dev, file: &Path| {
        let arguments = ["journal", "verify", "--json", "--key", key, "--checkpoint"];
        let mut command = dev.writ("audrey", &arguments);
        Ran::of(&command.arg(&note).arg(file).output().unwrap())
    };
    let before = verify(&dev, &journal).ends(0).json();

    // Erasing is for a stopped broker only.
    let config = dev.world().join("writ.hcl");
    let erase = ["journal", "erase", "--config", config.to_str().unwrap()];
    let erase = [&erase[..], &[id.as_str()]].concat();
    dev.run("audrey", &erase).ends(1);
    let kill = Command::new("kill")
        .args(["-INT", &dev.child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    dev.run("audrey", &erase).ends(0);
    let after = verify(&dev, &journal).ends(0).json();
    let texts = |it: &Value| it["verified"]["texts"].as_u64().unwrap();
    assert_eq!(texts(&after), texts(&before) - 1);

    let copy = dev.folder.path().join("copy.db");
    let mut bytes = std::fs::read(&journal).unwrap();
    let mark = b"\"scope\":\"prod-db-read\"";
    let place = bytes.windows(mark.len()).position(|it| it == mark);
    bytes[place.unwrap() + 10] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let found = verify(&dev, &copy).ends(1);
    assert!(found.stderr.contains("journal_damaged"), "{}", found.stderr);
}

#[test]
fn errors_are_told_apart_before_any_broker_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let writ = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.args(arguments).env_clear().current_dir(&folder);
        Ran::of(&command.env("WRIT_TOKEN", "abc").output().unwrap())
    };
    writ(&["scopes"]).ends(2);
    writ(&["scopes", "--address", "http://writ.example.com"]).ends(2);
    writ(&["scopes", "--address", "unix:///nonexistent/writ.sock"]).ends(9);
    writ(&["request", "db", "--for", "1d", "--reason", "x"]).ends(2);
    writ(&["request", "db", "--token", "secret"]).ends(2);
    writ(&["policy", "check", "nowhere"]).ends(1);
    writ(&["serve", "--check"]).ends(1);
    // There 2 is a finding.
    writ(&["doctor", "--nonsense"]).ends(1);
    writ(&["doctor", "--config", "nowhere.hcl"]).ends(1);
    let failed = writ(&["scopes", "--json"]).ends(2);
    let error: Value = serde_json::from_str(&failed.stderr).unwrap();
    assert_eq!(error["schema_version"], 1);
    assert_eq!(error["error"]["reason"], "usage");
    assert_eq!(error["error"]["exit_code"], 2);
}

#[test]
fn what_dev_tells_to_type_works_with_the_shipped_bundle() {
    let dev = Dev::start(None);
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    let paged = dev.run(
        "sam",
        &words("request prod-db-read --for 1h --reason paged"),
    );
    let id = paged.ends(0).id();
    dev.run("sam", &["credentials", "prod-db-read"]).ends(0);
    let longer = ["extend", &id, "--by", "1h", "--reason", "not done yet"];
    dev.run("sam", &longer).ends(0);
    // The shipped bundle lets that once.
    let again = [
        "extend",
        &id,
        "--for",
        "3h",
        "--no-wait",
        "--reason",
        "not done yet",
    ];
    dev.run("sam", &again).ends(7);

    let glass = "request prod-admin --for 30m --reason down";
    dev.run("sam", &words(glass)).ends(3);
    let glass = "request prod-admin --for 30m --reason down --break-glass";
    dev.run("dana", &words(glass)).ends(3);
    let broken = dev.run("sam", &words(glass)).ends(0);
    assert!(
        broken.stderr.contains("told at once: kim, pat, zoe"),
        "{}",
        broken.stderr
    );
    let emergency = words("credentials prod-admin --break-glass");
    dev.run("sam", &emergency).ends(0);

    let leaves = words("revoke --person sam --reason leaves");
    let ended = dev.run("zoe", &leaves).ends(0);
    assert_eq!(
        ended.stdout.matches("REVOKED").count(),
        2,
        "{}",
        ended.stdout
    );
    dev.run("sam", &emergency).ends(2);
    let review = ["review", &broken.id(), "--finding", "all well"];
    dev.run("sam", &review).ends(3);
    dev.run("zoe", &review).ends(0);
}
