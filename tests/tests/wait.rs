//! A command line that waits while its broker is killed: the wait goes on, says so, and ends with the broker's word or at
//! its own deadline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use writ_tests::{World, approve, writ};

/// A `writ` that waits, and what it has said so far.
struct Waiting {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Waiting {
    fn start(world: &World, arguments: &[&str]) -> Waiting {
        let mut child = Command::new(writ())
            .args(arguments)
            .env("WRIT_ADDR", world.address_text())
            .env("WRIT_TOKEN", world.token_of("mia"))
            .env_remove("WRIT_TOKEN_FILE")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Waiting { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The id it printed before it waited.
    async fn id(&mut self) -> String {
        let mut stdout = BufReader::new(self.child.stdout.as_mut().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).await.unwrap();
        line.trim().to_owned()
    }

    async fn code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        ended.expect("it ends").unwrap().code()
    }
}

const ASK: [&str; 6] = [
    "request",
    "prod-db-read",
    "--for",
    "45m",
    "--reason",
    "INC-42",
];

/// Waits until the broker has opened a stream for whoever waits.
async fn watched(world: &World) {
    let opened = |line: &str| line.contains("WatchRequest") && line.contains("answered");
    let ready = || world.log().lines().any(opened);
    world.wait_for(ready, "somebody watches").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_outlives_its_broker_and_gets_the_answer() {
    for tcp in [false, true] {
        let mut world = World::start().await;
        if tcp {
            world.stop();
            world.listen_on_tcp();
            world.up().await;
        }
        let mut waiting = Waiting::start(&world, &ASK);
        let id = waiting.id().await;
        watched(&world).await;
        world.kill();
        let gone = || waiting.said().contains("the broker went away");
        world.wait_for(gone, "the loss is told").await;
        world.up().await;
        approve(&world.as_person("pat").await, &id).await.unwrap();
        assert_eq!(waiting.code().await, Some(0), "{}", waiting.said());
        let said = waiting.said();
        let place = |text: &str| {
            said.find(text)
                .unwrap_or_else(|| panic!("no `{text}`: {said}"))
        };
        let order = [
            "waiting for 1 manager: pat",
            "the broker went away",
            "the broker is back",
            "APPROVED",
        ];
        assert!(order.map(place).is_sorted(), "{said}");
        assert_eq!(said.matches("went away").count(), 1, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_broker_that_does_not_come_back_ends_at_its_own_deadline() {
    let mut world = World::start().await;
    let mut waiting = Waiting::start(&world, &[&ASK[..], &["--timeout", "4s"]].concat());
    watched(&world).await;
    world.kill();
    assert_eq!(waiting.code().await, Some(6), "{}", waiting.said());
    let said = waiting.said();
    for part in ["the broker went away", "was not decided within 4s"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_while_the_connection_was_away_is_the_waits_answer() {
    let mut world = World::start().await;
    let mut waiting = Waiting::start(&world, &ASK);
    let id = waiting.id().await;
    watched(&world).await;
    world.kill();
    let gone = || waiting.said().contains("the broker went away");
    world.wait_for(gone, "the loss is told").await;
    world.up().await;
    let no = writ_api::v1::DenyRequestRequest {
        id,
        reason: "not today".to_owned(),
    };
    let pat = world.as_person("pat").await;
    pat.requests().deny_request(no).await.unwrap();
    assert_eq!(waiting.code().await, Some(5), "{}", waiting.said());
}
