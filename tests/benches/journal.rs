//! Verification and recovery of a journal of 1,000,000 events, against hashing the same bytes in memory and against only
//! reading its file, in one run.
//!
//! The events are those of real cases: asked, intended, issued, released. `WRIT_BENCH_EVENTS` sets how many.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

mod record;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use writ_broker::journal::verify::{Depth, verify};
use writ_broker::journal::{COMMIT_EVENTS_MAX, Entry, Journal, SigningKey, Stored, VerifyingKey};
use writ_engine::case::NoStory;
use writ_engine::event::canonical;
use writ_engine::{Case, RequestId};

use record::case;
use writ_tests::rounds::medians;

const EVENTS: usize = 1_000_000;
const ROUNDS: usize = 5;
const ORIGIN: &str = "writ.bench/journal";

fn main() {
    let events = std::env::var("WRIT_BENCH_EVENTS")
        .ok()
        .and_then(|events| events.parse().ok())
        .unwrap_or(EVENTS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("writ.db");
    let key_file = folder.path().join("writ.key");
    let (bodies, key) = write(&path, &key_file, events);
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    println!(
        "journal of {events} events, {} bytes each; medians of {ROUNDS} interleaved rounds; the floor hashes the same bytes as leaves in memory, on one thread",
        bytes / bodies.len()
    );

    let [floor, verified, meaning, read, opened] = medians(
        ROUNDS,
        [
            &|| time(|| hash(&bodies)),
            &|| time(|| look(&path, &key, Depth::Bytes, events)),
            &|| time(|| look(&path, &key, Depth::Meaning, events)),
            &|| time(|| read_file(&path)),
            &|| open(&path, &key_file, events),
        ],
    );
    println!(
        "verify, the bytes / floor: {:.2} (goal <= 2)",
        verified / floor
    );
    println!("verify, also the meaning / floor: {:.2}", meaning / floor);
    println!(
        "open, with every case rebuilt / reading the file: {:.0} ({opened:.1} s / {read:.2} s)",
        opened / read
    );
    println!("open / floor: {:.2}", opened / floor);
}

/// Writes the journal, and returns the canonical bytes of its events and the key that verifies them.
fn write(path: &Path, key_file: &Path, events: usize) -> (Vec<Vec<u8>>, VerifyingKey) {
    let key = SigningKey::create(key_file).expect("a key");
    let (journal, _) = Journal::open(path, key, ORIGIN, None, |_| Ok(()), Box::new(|_| {}))
        .expect("a new journal");
    let mut bodies = Vec::with_capacity(events);
    runtime().block_on(async {
        let mut entries = (0..).flat_map(case).take(events).peekable();
        while entries.peek().is_some() {
            let batch: Vec<Entry> = entries.by_ref().take(COMMIT_EVENTS_MAX).collect();
            bodies.extend(batch.iter().map(|entry| canonical(&entry.event)));
            journal.append(batch).await.expect("an append");
        }
        journal.close().await;
    });
    (bodies, journal.verifying_key().clone())
}

fn hash(bodies: &[Vec<u8>]) {
    for body in bodies {
        let mut hasher = Sha256::new();
        // RFC 6962: a leaf begins with a zero.
        hasher.update([0]);
        hasher.update(body);
        std::hint::black_box(hasher.finalize());
    }
}

fn look(path: &Path, key: &VerifyingKey, depth: Depth, events: usize) {
    let verified = verify(path, key, None, depth).expect("nothing is wrong with it");
    assert_eq!(verified.events, events as u64);
}

fn read_file(path: &Path) {
    let mut file = File::open(path).expect("the journal's file");
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer).expect("it reads") > 0 {}
}

/// What a broker does at start: everything checked, every case rebuilt. Seconds; closing it again is not timed.
fn open(path: &Path, key_file: &Path, events: usize) -> f64 {
    let key = SigningKey::load(key_file).expect("the key");
    let mut cases = HashMap::new();
    let start = Instant::now();
    let (journal, replayed) = Journal::open(
        path,
        key,
        ORIGIN,
        None,
        |stored| follow(&mut cases, stored),
        Box::new(|_| {}),
    )
    .expect("it opens");
    let opened_s = start.elapsed().as_secs_f64();
    assert_eq!(replayed.events, events as u64);
    // One process at a time has the file open, so the next round waits for this one to let go.
    runtime().block_on(journal.close());
    opened_s
}

fn follow(cases: &mut HashMap<RequestId, Case>, stored: &Stored) -> Result<(), NoStory> {
    let id = stored
        .event
        .fact
        .request()
        .ok_or(NoStory("an event of no case"))?;
    match cases.get_mut(id) {
        Some(case) => case.apply(&stored.event),
        None => {
            let case = Case::begin(&stored.event, stored.text().map(str::to_owned))?;
            cases.insert(id.clone(), case);
            Ok(())
        }
    }
}

/// Seconds.
fn time(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}
