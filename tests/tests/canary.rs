//! A canary in every secret and every text of other people's, then a search of all that the broker leaves behind: the log at
//! trace, the journal's files, the errors, every `--json` output.
//!
//! Secrets are nowhere. Claims that no policy reads are nowhere. What people wrote is in the record and in the answers to
//! those who may see it, and in no log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use writ_api::v1;
use writ_sandbox::{Caller, Credentials, Fault, Sandbox, SandboxConfig};
use writ_tests::{AUDIENCE, World, ask, ci_job, issue, wish};

const BROKER_ARN: &str = "arn:aws:iam::123456789012:user/writ-issuer";
const BROKER_SECRET: &str = "CanaryBrokerSecret/K7MDENGbPxRfiCYEXAMPLE";

/// What people write: where it may be found is part of what it is.
const REASON: &str = "canary-reason-4711";
const REFUSED_REASON: &str = "canary-refused-reason-4711";
const DENY_REASON: &str = "canary-deny-reason-4711";
const TICKET: &str = "CANARY-4711";
const KEY: &str = "canary-idempotency-key-4711";
/// A dry run is not recorded at all.
const DRY_REASON: &str = "canary-dry-reason-4711";
const NO_SCOPE: &str = "canary-no-such-scope";
/// In claims that nothing reads, of tokens that are accepted and of one that is not.
const CLAIM: &str = "canary-claim-4711";

/// Something to search for, by a name to show instead of it.
struct Canary {
    name: String,
    text: String,
}

fn canary(name: &str, text: &str) -> Canary {
    assert!(text.len() >= 8, "{name} is too short to search for");
    Canary {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

/// A place that was searched, by name.
struct Place {
    name: String,
    bytes: Vec<u8>,
}

impl Place {
    fn holds(&self, canary: &Canary) -> bool {
        let needle = canary.text.as_bytes();
        self.bytes
            .windows(needle.len())
            .any(|window| window == needle)
    }
}

fn nowhere(canaries: &[Canary], places: &[Place]) {
    let found: Vec<String> = canaries
        .iter()
        .flat_map(|canary| {
            let places = places.iter().filter(|place| place.holds(canary));
            places.map(|place| format!("{} is in {}", canary.name, place.name))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Every file of the world but those whose purpose is to hold a secret.
fn files(folder: &Path, places: &mut Vec<Place>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files(&path, places);
        } else if path.is_file()
            && name != "credentials"
            && name != "writ.key"
            && !name.starts_with("token-")
        {
            places.push(Place {
                name: format!("the file {name}"),
                bytes: std::fs::read(&path).unwrap(),
            });
        }
    }
}

/// The outputs of the command line, as places.
struct Cli<'a> {
    world: &'a World,
    places: Vec<Place>,
}

impl Cli<'_> {
    /// Runs a command and keeps what it printed to be searched.
    async fn run(&mut self, token: &str, arguments: &[&str]) -> Output {
        let output = self.world.writ(token, arguments).await;
        let verb = arguments
            .iter()
            .take(2)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            self.places.push(Place {
                name: format!("{stream} of `writ {verb}`"),
                bytes: bytes.clone(),
            });
        }
        output
    }

    async fn json(&mut self, token: &str, arguments: &[&str]) -> Value {
        let output = self.run(token, arguments).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{arguments:?}: {error}: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

fn secrets_of(name: &str, given: &v1::Credentials) -> [Canary; 2] {
    [
        canary(&format!("the secret key {name}"), &given.secret_access_key),
        canary(&format!("the session token {name}"), &given.session_token),
    ]
}

/// A token's parts, each of which would be enough for someone.
fn parts_of(name: &str, token: &str) -> Vec<Canary> {
    let part =
        |(place, text): (usize, &str)| canary(&format!("part {place} of the token {name}"), text);
    // The header is the same for all and says nothing.
    token.split('.').enumerate().skip(1).map(part).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere_and_what_people_wrote_is_in_no_log() {
    let keys = Credentials::new("AKIAIOSFODNN7CANARY0", BROKER_SECRET, None);
    let sandbox = Sandbox::start(SandboxConfig {
        roles: writ_tests::roles(BROKER_ARN),
        callers: vec![Caller::new(BROKER_ARN, keys.clone())],
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let endpoint = sandbox.endpoint_url();
    let mut world = World::around(
        sandbox,
        &endpoint,
        &keys.access_key_id,
        BROKER_SECRET,
        |_| {},
    )
    .await;
    let person = |subject: &str| {
        let claims = json!({
            "sub": subject, "aud": AUDIENCE, "email": format!("{CLAIM}@example.com"), "name": CLAIM, "nonce": CLAIM,
            "groups": [CLAIM], "nested": { "deep": CLAIM },
        });
        world.people.mint(claims, 3_600).unwrap()
    };
    let (mia, pat, audrey) = (person("00u1mia"), person("00u2pat"), person("00u8audrey"));
    let mut job = ci_job("main");
    job.actor = CLAIM.to_owned();
    job.sha = CLAIM.to_owned();
    job.runner_environment = CLAIM.to_owned();
    let ci = world.ci.github_token(&job, AUDIENCE).unwrap();
    let mut forged = person("00u1mia");
    forged.truncate(forged.len() - 6);
    forged.push_str("canary");

    let mut secrets = vec![canary("the broker's own secret key", BROKER_SECRET)];
    for (name, token) in [
        ("of mia", &mia),
        ("of pat", &pat),
        ("of audrey", &audrey),
        ("of ci", &ci),
        ("that is forged", &forged),
    ] {
        secrets.extend(parts_of(name, token));
    }

    // --- every verb, and every way it fails
    let mut cli = Cli {
        world: &world,
        places: Vec::new(),
    };
    cli.json(&mia, &["scopes", "--json"]).await;
    cli.json(
        &mia,
        &[
            "can",
            "prod-db-read",
            "--for",
            "45m",
            "--reason",
            DRY_REASON,
            "--json",
        ],
    )
    .await;
    let mut wanted = vec![
        "request",
        "prod-db-read",
        "--for",
        "45m",
        "--reason",
        REASON,
        "--ticket",
        TICKET,
    ];
    wanted.extend(["--idempotency-key", KEY, "--no-wait", "--json"]);
    let asked = cli.json(&mia, &wanted).await;
    let id = asked["request"]["id"].as_str().unwrap().to_owned();
    // The same key for another wish, a wish the policy refuses, a scope there is not, a token that proves nobody.
    wanted[5] = "another reason";
    for (token, arguments) in [
        (&mia, wanted),
        (
            &mia,
            vec![
                "request",
                "prod-db-read",
                "--for",
                "11h",
                "--reason",
                REFUSED_REASON,
                "--no-wait",
                "--json",
            ],
        ),
        (
            &mia,
            vec![
                "request",
                NO_SCOPE,
                "--for",
                "1h",
                "--reason",
                DRY_REASON,
                "--no-wait",
                "--json",
            ],
        ),
        (&mia, vec!["credentials", &id, "--json"]),
        (&mia, vec!["approve", &id, "--json"]),
        (&forged, vec!["requests", "--json"]),
    ] {
        let output = cli.run(token, &arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
    }
    cli.json(&pat, &["approve", &id, "--json"]).await;
    let denied = cli
        .json(
            &mia,
            &[
                "request",
                "prod-db-read",
                "--for",
                "1h",
                "--reason",
                REASON,
                "--no-wait",
                "--json",
            ],
        )
        .await;
    let denied = denied["request"]["id"].as_str().unwrap().to_owned();
    cli.json(&pat, &["deny", &denied, "--reason", DENY_REASON, "--json"])
        .await;

    // --- the credentials: given once each, to whoever asked
    let outputs = cli.places.len();
    let given = cli.json(&mia, &["credentials", &id, "--json"]).await;
    let process = cli
        .json(&mia, &["credentials", &id, "--format", "process"])
        .await;
    // These two are meant to hold them.
    cli.places.truncate(outputs);
    let given = &given["credentials"];
    for (name, secret) in [
        ("of the first session", &given["secret_access_key"]),
        ("of the first session (token)", &given["session_token"]),
        ("of the second session", &process["SecretAccessKey"]),
        ("of the second session (token)", &process["SessionToken"]),
    ] {
        secrets.push(canary(name, secret.as_str().unwrap()));
    }
    let mut ran = vec![
        "exec",
        "payments-deploy",
        "--for",
        "15m",
        "--reason",
        REASON,
        "--",
        "sh",
        "-c",
    ];
    ran.push("test -n \"$AWS_SESSION_TOKEN\"");
    let output = cli.run(&ci, &ran).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // And with an STS that fails in every way it can: the SDK's errors hold raw bodies.
    let main = world.client(&ci).await;
    for fault in [Fault::Throttle, Fault::ServerError, Fault::LostReply] {
        let request = ask(&main, wish("payments-deploy", 900, REASON))
            .await
            .unwrap();
        world.sandbox.set_fault(fault, 3);
        let problem = issue(&main, &request.id).await.unwrap_err();
        world.sandbox.clear_faults();
        cli.places.push(Place {
            name: format!("the error after {fault:?}"),
            bytes: format!("{problem:?}").into_bytes(),
        });
        let given = issue(&main, &request.id).await.expect("it works again");
        cli.places.push(Place {
            name: "the reply as a program would print it".to_owned(),
            bytes: format!("{given:?}").into_bytes(),
        });
        secrets.extend(secrets_of(
            "issued to ci",
            given.credentials.as_ref().unwrap(),
        ));
    }
    cli.json(&mia, &["show", &id, "--json"]).await;
    let mine = cli.json(&mia, &["requests", "--json"]).await;
    let last = cli
        .json(
            &mia,
            &[
                "request",
                "prod-db-read",
                "--for",
                "1h",
                "--reason",
                REASON,
                "--no-wait",
                "--json",
            ],
        )
        .await;
    cli.json(
        &mia,
        &[
            "withdraw",
            last["request"]["id"].as_str().unwrap(),
            "--json",
        ],
    )
    .await;
    cli.json(&audrey, &["journal", "checkpoint", "--json"])
        .await;
    let record = cli.json(&audrey, &["journal", "list", "--json"]).await;
    let mut outputs = cli.places;

    // --- the files while the broker runs (the journal's log beside its file), and after it has stopped
    let mut places = Vec::new();
    files(world.dir.path(), &mut places);
    assert!(
        places
            .iter()
            .any(|place| place.name.ends_with("writ.db-wal")),
        "the journal's log is searched too"
    );
    world.checkpoint().await;
    world.stop();
    let verified = world.verify(None);
    assert!(verified.status.success());
    outputs.push(Place {
        name: "`writ journal verify`".to_owned(),
        bytes: [verified.stdout, verified.stderr].concat(),
    });
    files(world.dir.path(), &mut places);
    let log = Place {
        name: "the log".to_owned(),
        bytes: world.log().into_bytes(),
    };
    assert!(log.bytes.len() > 10_000, "the log at trace is searched");

    // The search finds what is there: the keys' ids, which are no secrets, are on record.
    let id_of_key = canary(
        "the id of a session's key",
        given["access_key_id"].as_str().unwrap(),
    );
    assert!(
        places
            .iter()
            .any(|place| place.name.ends_with("writ.db") && place.holds(&id_of_key))
    );

    nowhere(&secrets, &places);
    nowhere(&secrets, &outputs);
    let unread = [
        canary("a claim that nothing reads", CLAIM),
        canary("the reason of a dry run", DRY_REASON),
    ];
    nowhere(&unread, &places);
    nowhere(&unread[..1], &outputs);

    // --- what people wrote
    let written = [
        canary("a reason", REASON),
        canary("the reason of a refused request", REFUSED_REASON),
        canary("the reason of a denial", DENY_REASON),
        canary("a ticket", TICKET),
        canary("an idempotency key", KEY),
        canary("a name that is none", NO_SCOPE),
    ];
    nowhere(&written, &[log]);
    let mine = mine.to_string();
    assert!(
        mine.contains(REASON) && mine.contains(DENY_REASON) && mine.contains(TICKET),
        "to whoever asked"
    );
    let record = record.to_string();
    assert!(
        record.contains(REASON) && record.contains(REFUSED_REASON) && record.contains(DENY_REASON),
        "to auditors"
    );

    // In the journal's file a reason stands in one table only, from which it can be erased.
    let journal = rusqlite::Connection::open(world.journal()).unwrap();
    let count = |sql: &str, text: &str| -> i64 {
        journal
            .query_row(sql, [text.as_bytes()], |row| row.get(0))
            .unwrap()
    };
    for text in [REASON, REFUSED_REASON, DENY_REASON] {
        assert_eq!(
            count(
                "SELECT count(*) FROM events WHERE instr(body, ?1) > 0",
                text
            ),
            0,
            "{text}"
        );
        assert!(
            count(
                "SELECT count(*) FROM texts WHERE instr(CAST(text AS BLOB), ?1) > 0",
                text
            ) > 0,
            "{text}"
        );
    }
}
