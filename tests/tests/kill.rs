//! `kill -9` of the real broker at random moments during request, approve and issue, some hundreds of times.
//!
//! Afterwards: no credential was seen by a client without its durable record, no request has two grants, every acknowledged
//! event is still there, and the journal verifies. `WRIT_KILLS` sets the number of kills.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use writ_api::client::Client;
use writ_api::v1;
use writ_sandbox::Outcome;
use writ_tests::{World, approve, ask, figures, issue, wish};

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Idempotency key → the request's id.
    requests: BTreeMap<String, BTreeSet<String>>,
    approvals: BTreeSet<String>,
    /// Access key id → the request's id.
    credentials: BTreeMap<String, String>,
}

type Log = Arc<Mutex<Told>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_at_any_moment_loses_nothing_it_acknowledged() {
    let kills: u64 = std::env::var("WRIT_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(200);
    let mut world = World::start().await;
    let told = Log::default();
    for kill in 0..kills {
        let (mia, pat, ci) = (
            world.as_person("mia").await,
            world.as_person("pat").await,
            world.as_ci("main").await,
        );
        let people = tokio::spawn(with_approval(mia, pat, kill, Arc::clone(&told)));
        let machine = tokio::spawn(at_once(ci, kill, Arc::clone(&told)));
        // Spread over what a few requests take, so that each step is cut somewhere.
        tokio::time::sleep(Duration::from_millis(kill * 37 % 151)).await;
        world.kill();
        people.abort();
        machine.abort();
        let _ = (people.await, machine.await);
        world.up().await;
    }
    world.checkpoint().await;
    let events = world.events().await;
    world.stop();
    let verified = world.verify(None);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    judge(&world, &told.lock().unwrap(), &events, kills);
}

async fn with_approval(mia: Client, pat: Client, kill: u64, told: Log) -> Option<()> {
    clear(&mia).await;
    for round in 0.. {
        let key = format!("mia-{kill}-{round}");
        let mut wish = wish("prod-db-read", 60, "INC-42");
        wish.idempotency_key = Some(key.clone());
        let request = ask(&mia, wish).await.ok()?;
        told.lock()
            .unwrap()
            .requests
            .entry(key)
            .or_default()
            .insert(request.id.clone());
        approve(&pat, &request.id).await.ok()?;
        told.lock().unwrap().approvals.insert(request.id.clone());
        use_it(&mia, &request.id, &told).await?;
    }
    None
}

async fn at_once(ci: Client, kill: u64, told: Log) -> Option<()> {
    clear(&ci).await;
    for round in 0.. {
        // Each key twice: the second answer must be the first one's request.
        let key = format!("ci-{kill}-{}", round / 2);
        let mut wish = wish("payments-deploy", 60, "deploy");
        wish.idempotency_key = Some(key.clone());
        let request = ask(&ci, wish).await.ok()?;
        told.lock()
            .unwrap()
            .requests
            .entry(key)
            .or_default()
            .insert(request.id.clone());
        if round % 2 == 1 {
            use_it(&ci, &request.id, &told).await?;
        }
    }
    None
}

async fn use_it(client: &Client, id: &str, told: &Log) -> Option<()> {
    for _ in 0..2 {
        let given = issue(client, id).await.ok()?;
        let key = given.credentials.as_ref()?.access_key_id.clone();
        told.lock().unwrap().credentials.insert(key, id.to_owned());
    }
    let release = v1::ReleaseRequestRequest { id: id.to_owned() };
    client
        .requests()
        .release_request(release)
        .await
        .ok()
        .map(|_| ())
}

/// Ends what earlier rounds left open, so that the limit on open requests is not what ends the test.
async fn clear(client: &Client) {
    let mine = v1::ListRequestsRequest {
        filter: v1::RequestFilter::Mine as i32,
        page_size: 50,
        page_token: String::new(),
    };
    let Ok(reply) = client.requests().list_requests(mine).await else {
        return;
    };
    for request in reply.into_inner().requests {
        let id = request.id.clone();
        match request.state {
            Some(v1::request::State::Pending(_) | v1::request::State::Approved(_)) => {
                let _ = client
                    .requests()
                    .withdraw_request(v1::WithdrawRequestRequest { id })
                    .await;
            }
            Some(v1::request::State::Active(_)) => {
                let _ = client
                    .requests()
                    .release_request(v1::ReleaseRequestRequest { id })
                    .await;
            }
            _ => {}
        }
    }
}

fn judge(world: &World, told: &Told, events: &[Value], kills: u64) {
    let facts = |kind: &str| -> Vec<Value> {
        events
            .iter()
            .filter_map(|event| event["fact"].get(kind).cloned())
            .collect()
    };
    let text = |fact: &Value, key: &str| fact[key].as_str().unwrap_or_default().to_owned();

    let mut by_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fact in facts("requested") {
        by_key
            .entry(text(&fact, "idempotency_key"))
            .or_default()
            .insert(text(&fact["request"], "id"));
    }
    for (key, ids) in &by_key {
        assert_eq!(ids.len(), 1, "the key {key} made more than one request");
    }
    for (key, ids) in &told.requests {
        assert_eq!(
            by_key.get(key),
            Some(ids),
            "an acknowledged request of the key {key} is gone"
        );
    }
    let approved: BTreeSet<String> = facts("approved")
        .iter()
        .map(|fact| text(fact, "request"))
        .collect();
    assert!(
        told.approvals.is_subset(&approved),
        "an acknowledged approval is gone"
    );

    let issued: BTreeMap<String, String> = facts("issued")
        .iter()
        .map(|fact| (text(fact, "access_key_id"), text(fact, "request")))
        .collect();
    for (key, request) in &told.credentials {
        assert_eq!(
            issued.get(key),
            Some(request),
            "a client has credentials that are not on record"
        );
    }
    // A crash over-reports sessions, never under-reports them: each session the STS made was intended first.
    let mut intended: BTreeMap<String, usize> = BTreeMap::new();
    let mut windows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fact in facts("issue_intended") {
        *intended.entry(text(&fact, "request")).or_default() += 1;
        windows
            .entry(text(&fact, "request"))
            .or_default()
            .insert(fact["window"].to_string());
    }
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.sandbox.calls() {
        if matches!(call.outcome, Outcome::Issued { .. }) {
            *made
                .entry(call.session_name.trim_start_matches("writ-").to_owned())
                .or_default() += 1;
        }
    }
    for (request, sessions) in &made {
        assert!(
            intended.get(request) >= Some(sessions),
            "the STS made {sessions} sessions of {request}, fewer are on record"
        );
    }
    for (request, windows) in &windows {
        assert_eq!(windows.len(), 1, "{request} was granted two windows");
    }
    let unknown = facts("issue_unknown").len();
    figures(&format!(
        "{kills} kills: {} events, {} requests and {} approvals acknowledged, {} sessions delivered of {} made, {unknown} unknown",
        events.len(),
        told.requests.len(),
        told.approvals.len(),
        told.credentials.len(),
        made.values().sum::<usize>(),
    ));
    assert!(
        told.credentials.len() as u64 > kills / 10,
        "the test did its work"
    );
}
