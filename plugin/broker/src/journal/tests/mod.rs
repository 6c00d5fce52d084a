//! The open journal: durable, in order, shared commits, honest about failures.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tempfile::TempDir;
use writ_engine::digest::{Commitment, SaltedText};
use writ_engine::request::RequestId;

use super::verify::{Depth, Verified, verify};
use super::*;

pub(super) const ORIGIN: &str = "writ.example/journal";

/// A folder with a journal in it, and the key.
pub(super) struct World {
    pub(super) folder: TempDir,
}

impl World {
    pub(super) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        World { folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub(super) fn try_open(&self, kept: Option<&str>) -> Result<(Journal, Replayed), OpenError> {
        Journal::open(
            &self.path(),
            key(),
            ORIGIN,
            kept,
            |_| Ok(()),
            Box::new(|_| ()),
        )
    }

    pub(super) fn open(&self) -> Journal {
        self.try_open(None).unwrap().0
    }

    pub(super) fn open_telling(&self, on_commit: OnCommit) -> Journal {
        let (journal, _) =
            Journal::open(&self.path(), key(), ORIGIN, None, |_| Ok(()), on_commit).unwrap();
        journal
    }

    pub(super) fn verify(&self) -> Result<Verified, Damage> {
        verify(&self.path(), &verifying(), None, Depth::Meaning)
    }

    /// What another process might do to the file.
    pub(super) fn outside(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

pub(super) fn verifying() -> VerifyingKey {
    key().verifying_key(ORIGIN).unwrap()
}

pub(super) fn at(s: u32) -> Moment {
    Moment::from_ms(1_790_000_000_000 + i64::from(s) * 1_000).unwrap()
}

pub(super) fn request_id(n: u8) -> RequestId {
    RequestId::new(at(0), [n; 10])
}

pub(super) fn salted(n: u8, text: &str) -> SaltedText {
    SaltedText {
        salt: [n; 16],
        text: text.to_owned(),
    }
}

/// Someone asks, and says why.
pub(super) fn requested(n: u8, reason: &SaltedText) -> Entry {
    let digest = "00".repeat(32);
    let event = json!({
        "at": at(0),
        "fact": { "requested": {
            "request": {
                "id": request_id(n),
                "principal": { "id": { "user": "mia" } },
                "scope": "prod-db-read",
                "duration": 2_700,
                "reason": reason.commitment(),
                "requested_at": at(0),
                "decide_by": at(3_600),
                "activation_ttl_s": 3_600,
                "bundle": digest,
            },
            "verdict": { "bundle": digest, "outcome": "needs_approval", "policies": [] },
        }},
    });
    Entry {
        event: serde_json::from_value(event).unwrap(),
        texts: vec![reason.clone()],
    }
}

pub(super) fn withdrawn(n: u8) -> Entry {
    let request = request_id(n);
    Entry::from(Event {
        at: at(1),
        fact: writ_engine::event::Fact::Withdrawn {
            request,
            unheard: false,
        },
    })
}

/// Two events, one with a text.
pub(super) fn a_case(n: u8) -> Vec<Entry> {
    let reason = salted(n, &format!("because of INC-{n}"));
    vec![requested(n, &reason), withdrawn(n)]
}

fn seqs(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(|stored| stored.seq).collect()
}

/// An `OnCommit` that says when it is called, and does not return before it is let go.
fn gate() -> (OnCommit, mpsc::Receiver<usize>, mpsc::Sender<()>) {
    let (called, calls) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let on_commit = Box::new(move |stored: &[Stored]| {
        let _ = called.send(stored.len());
        let _ = wait.recv();
    });
    (on_commit, calls, go)
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_without_a_close() {
    let world = World::new();
    let journal = world.open();
    let stored = journal.append(a_case(1)).await.unwrap();
    assert_eq!(seqs(&stored), [0, 1]);

    // A crash leaves what the disk has: the file and its log, copied while the broker runs.
    let after = World::new();
    for side in ["", "-wal"] {
        let name = format!("journal.db{side}");
        fs::copy(
            world.folder.path().join(&name),
            after.folder.path().join(&name),
        )
        .unwrap();
    }
    let mut seen = Vec::new();
    let replay = |stored: &Stored| {
        seen.push(stored.clone());
        Ok(())
    };
    let (_, replayed) =
        Journal::open(&after.path(), key(), ORIGIN, None, replay, Box::new(|_| ())).unwrap();
    assert_eq!(seen, stored);
    assert_eq!(seen[0].text(), Some("because of INC-1"));
    assert_eq!((replayed.events, replayed.latest_at), (2, Some(at(1))));
}

#[tokio::test]
async fn a_closed_journal_is_one_file_signed_to_its_end() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    journal.close().await;
    assert!(!world.folder.path().join("journal.db-wal").exists());
    let verified = world.verify().unwrap();
    assert_eq!((verified.events, verified.unsigned), (2, 0));
    assert_eq!(verified.texts, 1);
    let (_, replayed) = world.try_open(Some(&verified.checkpoint)).unwrap();
    assert_eq!(replayed.unsigned, 0);
}

#[tokio::test]
async fn nothing_is_appended_or_read_after_a_close() {
    let world = World::new();
    let journal = world.open();
    journal.close().await;
    assert_eq!(
        journal.append(a_case(1)).await.err(),
        Some(AppendError::Broken)
    );
    assert_eq!(journal.events(0, 1).await.err(), Some(ReadError::Closed));
    journal.close().await;
}

#[tokio::test]
async fn the_file_is_its_owners_only_and_one_open_to_others_is_refused() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    for entry in fs::read_dir(world.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    journal.close().await;
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(world.try_open(None), Err(OpenError::TooOpen(_))));
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(world.try_open(None).is_ok());
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_closed() {
    let world = World::new();
    let journal = world.open();
    assert!(matches!(world.try_open(None), Err(OpenError::Locked(_))));
    journal.close().await;
    assert!(world.try_open(None).is_ok());
}

#[tokio::test]
async fn another_key_or_another_name_does_not_open_it() {
    let world = World::new();
    world.open().close().await;
    let open = |key, origin| {
        let opened = Journal::open(
            &world.path(),
            key,
            origin,
            None,
            |_| Ok(()),
            Box::new(|_| ()),
        );
        opened.map(|_| ())
    };
    assert!(open(SigningKey::generate().unwrap(), ORIGIN).is_err());
    assert!(open(key(), "another.example").is_err());
    assert!(open(key(), "not a name").is_err());
    assert!(open(key(), ORIGIN).is_ok());
}

#[tokio::test]
async fn concurrent_appends_share_commits() {
    let world = World::new();
    let (on_commit, calls, go) = gate();
    let journal = Arc::new(world.open_telling(on_commit));
    let append = |n| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.append(a_case(n)).await })
    };
    let first = append(0);
    tokio::task::yield_now().await;
    assert_eq!(calls.recv().unwrap(), 2);

    // The writer is busy with the first; these can only queue.
    let rest: Vec<_> = (1..=40).map(append).collect();
    tokio::task::yield_now().await;
    let before = journal.stats().commits;
    drop(go);
    first.await.unwrap().unwrap();
    let mut all = BTreeSet::new();
    for append in rest {
        let stored = append.await.unwrap().unwrap();
        assert_eq!(stored[1].seq, stored[0].seq + 1, "a batch stays together");
        all.extend(seqs(&stored));
    }
    assert_eq!(all, (2..82).collect());
    assert_eq!(journal.stats().commits - before, 1);
    assert_eq!(calls.recv().unwrap(), 80);
}

#[tokio::test]
async fn one_commit_holds_no_more_than_its_limit() {
    let world = World::new();
    let (on_commit, calls, go) = gate();
    let journal = Arc::new(world.open_telling(on_commit));
    let append = |events: usize| {
        let journal = Arc::clone(&journal);
        let entries = (0..events).map(|_| withdrawn(1)).collect();
        tokio::spawn(async move { journal.append(entries).await })
    };
    let first = append(1);
    tokio::task::yield_now().await;
    calls.recv().unwrap();
    let rest = [append(200), append(100)];
    tokio::task::yield_now().await;
    drop(go);
    first.await.unwrap().unwrap();
    for append in rest {
        append.await.unwrap().unwrap();
    }
    assert_eq!(calls.iter().take(2).collect::<Vec<_>>(), [200, 100]);
    let too_many = journal
        .append((0..=COMMIT_EVENTS_MAX).map(|_| withdrawn(1)).collect())
        .await;
    assert!(matches!(too_many, Err(AppendError::Refused(_))));
}

#[tokio::test]
async fn the_state_is_never_behind_an_acknowledged_append() {
    let world = World::new();
    let state = Arc::new(Mutex::new(Vec::new()));
    let fold = Arc::clone(&state);
    let journal = world.open_telling(Box::new(move |new| fold.lock().unwrap().extend(seqs(new))));
    for n in 0..20 {
        let stored = journal.append(a_case(n)).await.unwrap();
        let seen = state.lock().unwrap().clone();
        assert_eq!(seen, (0..=stored[1].seq).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_append_that_hangs_fails_by_its_deadline_and_its_hold_outlasts_it() {
    let world = World::new();
    let (on_commit, calls, go) = gate();
    let journal = world.open_telling(on_commit);
    let (hold, held) = mpsc::channel::<()>();
    let slow = journal.append_holding(a_case(1), hold).await;
    assert_eq!(slow.err(), Some(AppendError::TooSlow));
    assert_eq!(calls.recv(), Ok(2));
    // Still undecided, so the hold is still held.
    assert_eq!(held.try_recv(), Err(mpsc::TryRecvError::Empty));

    // Another gives up while it waits in the queue: it never lands.
    let abandoned = journal.append(a_case(2));
    assert_eq!(abandoned.await.err(), Some(AppendError::TooSlow));

    drop(go);
    assert_eq!(held.recv(), Err(mpsc::RecvError));
    let stored = journal.append(a_case(3)).await.unwrap();
    assert_eq!(seqs(&stored), [2, 3]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let world = World::new();
    let (on_commit, calls, go) = gate();
    let journal = Arc::new(world.open_telling(on_commit));
    let append = || {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { journal.append(vec![withdrawn(1)]).await })
    };
    let first = append();
    tokio::task::yield_now().await;
    calls.recv().unwrap();
    let queued: Vec<_> = (0..QUEUE_MAX).map(|_| append()).collect();
    tokio::task::yield_now().await;
    assert_eq!(append().await.unwrap().err(), Some(AppendError::Overloaded));
    drop(go);
    for append in [first].into_iter().chain(queued) {
        assert!(append.await.unwrap().is_ok());
    }
    assert_eq!(journal.stats().events, QUEUE_MAX as u64 + 1);
}

#[tokio::test]
async fn after_a_failed_commit_nothing_is_written_until_a_restart_and_reading_works() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    let note = journal.checkpoint().await.unwrap();
    // A trap outside the journal's own checks: the insert works, and the commit fails.
    world
        .outside()
        .execute_batch(
            "CREATE TABLE trap (x INTEGER REFERENCES events (seq) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER spring AFTER INSERT ON events BEGIN INSERT INTO trap VALUES (-5); END;",
        )
        .unwrap();
    let failed = journal.append(a_case(2)).await;
    assert_eq!(failed.err(), Some(AppendError::Broken));
    world
        .outside()
        .execute_batch("DROP TRIGGER spring; DROP TABLE trap;")
        .unwrap();

    assert!(journal.is_broken());
    assert_eq!(
        journal.append(a_case(3)).await.err(),
        Some(AppendError::Broken)
    );
    assert_eq!(journal.events(0, 10).await.unwrap().len(), 2);
    assert_eq!(journal.checkpoint().await, Ok(note));
    assert!(journal.inclusion(0).await.unwrap().is_some());
    journal.close().await;

    let (journal, replayed) = world.try_open(None).unwrap();
    assert_eq!(replayed.events, 2);
    assert!(journal.append(a_case(3)).await.is_ok());
}

#[tokio::test]
async fn nothing_counts_as_recorded_unless_its_record_is_durable() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    let recorded = journal
        .record_first("a plan", withdrawn(1).event, ())
        .await
        .unwrap();
    assert_eq!((recorded.seq(), recorded.into_inner()), (2, "a plan"));
    let durable: i64 = world
        .outside()
        .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))
        .unwrap();
    assert_eq!(durable, 2);

    journal.close().await;
    let refused = journal.record_first("a plan", withdrawn(1).event, ()).await;
    assert_eq!(refused.err(), Some(AppendError::Broken));
}

#[tokio::test]
async fn a_state_that_panics_breaks_the_journal_and_not_silently() {
    let world = World::new();
    let journal = world.open_telling(Box::new(|_| panic!("the state is at odds with itself")));
    let failed = journal.append(a_case(1)).await;
    assert_eq!(failed.err(), Some(AppendError::Broken));
    assert!(journal.is_broken());
    assert_eq!(
        journal.append(a_case(2)).await.err(),
        Some(AppendError::Broken)
    );
    // It was durable before the state was told, so it is there after the restart.
    journal.close().await;
    assert_eq!(world.try_open(None).unwrap().1.events, 2);
}

#[tokio::test]
async fn a_full_disk_refuses_cleanly_and_works_again_when_there_is_room() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    let pages = |limit: u32| {
        let hurt = move |store: &Store| {
            let set = format!("PRAGMA max_page_count = {limit}");
            store.raw().query_row(&set, [], |_| Ok(())).unwrap();
        };
        journal.queue.send(Job::Hurt(Box::new(hurt))).unwrap();
    };
    pages(1);
    let mut stored = 2;
    let refused = loop {
        // Big events reach the end of the last page soon.
        let text = salted(9, &"x".repeat(4_000));
        match journal.append(vec![requested(9, &text)]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(!journal.is_broken());
    assert_eq!(journal.events(0, 10).await.unwrap().len(), stored);
    pages(1_000_000);
    let after = journal.append(a_case(3)).await.unwrap();
    assert_eq!(after[0].seq, stored as u64);
    journal.close().await;
    let bytes = verify(&world.path(), &verifying(), None, Depth::Bytes).unwrap();
    assert_eq!(bytes.events, stored as u64 + 2);
}

#[tokio::test]
async fn a_file_locked_by_another_process_refuses_cleanly() {
    let world = World::new();
    let journal = world.open();
    let outside = world.outside();
    let hurt = |store: &Store| store.raw().busy_timeout(Duration::ZERO).unwrap();
    journal.queue.send(Job::Hurt(Box::new(hurt))).unwrap();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        journal.append(a_case(1)).await.err(),
        Some(AppendError::Overloaded)
    );
    outside.execute_batch("ROLLBACK").unwrap();
    assert!(journal.append(a_case(1)).await.is_ok());
}

#[tokio::test]
async fn what_could_not_be_read_again_or_is_not_the_events_own_is_not_written() {
    let world = World::new();
    let journal = world.open();
    let reason = salted(1, "a reason");
    let other = salted(2, "a reason");
    let long = salted(3, &"x".repeat(TEXT_MAX + 1));
    let with = |mut entry: Entry, texts: &[&SaltedText]| {
        entry.texts = texts.iter().map(|text| (*text).clone()).collect();
        vec![entry]
    };
    let mut huge = requested(1, &reason);
    if let writ_engine::event::Fact::Requested {
        idempotency_key, ..
    } = &mut huge.event.fact
    {
        *idempotency_key = Some("x".repeat(EVENT_MAX));
    }
    for entries in [
        with(requested(1, &reason), &[&other]),
        with(requested(1, &reason), &[&reason, &reason]),
        with(withdrawn(1), &[&reason]),
        with(requested(1, &long), &[&long]),
        vec![huge],
        vec![withdrawn(1), with(withdrawn(1), &[&reason]).remove(0)],
        vec![],
    ] {
        let refused = journal.append(entries).await;
        assert!(matches!(refused, Err(AppendError::Refused(_))));
    }
    assert_eq!(journal.stats().events, 0);
    let stored = journal.append(with(requested(1, &reason), &[])).await;
    assert_eq!(stored.unwrap()[0].text(), None);
}

#[tokio::test]
async fn a_state_that_refuses_an_event_keeps_the_journal_shut() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    journal.close().await;
    let refuse = |stored: &Stored| match stored.seq {
        1 => Err(NoStory("it does not follow")),
        _ => Ok(()),
    };
    let opened = Journal::open(&world.path(), key(), ORIGIN, None, refuse, Box::new(|_| ()));
    assert!(matches!(
        opened,
        Err(OpenError::Damaged(_, Damage::NoStory(1, _)))
    ));
}

#[tokio::test]
async fn a_checkpoint_covers_everything_acknowledged_before_it() {
    let world = World::new();
    let journal = world.open();
    for n in 0..5 {
        journal.append(a_case(n)).await.unwrap();
        let note = journal.checkpoint().await.unwrap();
        let checkpoint = Checkpoint::open(&note, &verifying()).unwrap();
        assert_eq!(checkpoint.size, u64::from(n + 1) * 2);
        assert_eq!(journal.checkpoint().await.unwrap(), note);
    }
}

#[tokio::test]
async fn events_left_unsigned_are_signed_without_anyone_asking() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    // The idle writer signs within an interval; until then this goes round.
    while !journal.shared.is_signed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let note = journal.shared.latest().1;
    assert_eq!(Checkpoint::open(&note, &verifying()).unwrap().size, 2);
}

#[tokio::test]
async fn a_follower_sees_every_event_once_and_in_order_however_slow_it_is() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    let mut early = journal.follow(0);
    let mut late = journal.follow(3);
    assert_eq!(early.next().await.unwrap().unwrap().seq, 0);
    // More than a follower may be behind.
    for _ in 0..(FOLLOW_MAX / 200 + 2) {
        let many = (0..200).map(|_| withdrawn(1)).collect();
        journal.append(many).await.unwrap();
    }
    let events = journal.stats().events;
    for seq in 1..events {
        assert_eq!(early.next().await.unwrap().unwrap().seq, seq);
    }
    for seq in 3..events {
        assert_eq!(late.next().await.unwrap().unwrap().seq, seq);
    }
    let (next, _) = tokio::join!(early.next(), journal.append(vec![withdrawn(2)]));
    assert_eq!(next.unwrap().unwrap().seq, events);
    journal.close().await;
    assert_eq!(early.next().await, Ok(None));
}

#[tokio::test]
async fn a_page_has_what_was_asked_for_and_never_more_than_the_limit() {
    let world = World::new();
    let journal = world.open();
    for _ in 0..6 {
        let many = (0..200).map(|_| withdrawn(1)).collect();
        journal.append(many).await.unwrap();
    }
    let page = |from, limit| {
        let read = journal.events(from, limit);
        async move { seqs(&read.await.unwrap()) }
    };
    assert_eq!(page(5, 3).await, [5, 6, 7]);
    assert_eq!(page(1_198, 10).await, [1_198, 1_199]);
    assert!(page(1_200, 10).await.is_empty());
    assert!(page(u64::MAX, 10).await.is_empty());
    assert_eq!(page(0, usize::MAX).await.len(), PAGE_MAX);
}

#[tokio::test]
async fn every_event_can_be_proved_and_every_checkpoint_continues_the_ones_before() {
    let world = World::new();
    let journal = world.open();
    let mut leaves = Vec::new();
    let mut heads = Vec::new();
    // Past two kept subtrees, so that proofs use both what is kept and what is read again.
    for n in 0..7 {
        let many = (0..90).map(|_| withdrawn(n)).collect();
        let stored = journal.append(many).await.unwrap();
        leaves.extend(stored.into_iter().map(|stored| stored.leaf));
        let note = journal.checkpoint().await.unwrap();
        heads.push(Checkpoint::open(&note, &verifying()).unwrap());
    }
    for seq in (0..630).step_by(7).chain([255, 256, 511, 512, 629]) {
        let proof = journal.inclusion(seq).await.unwrap().unwrap();
        let head = Checkpoint::open(&proof.checkpoint, &verifying()).unwrap();
        assert_eq!(head.size, proof.size);
        let leaf = leaves[seq as usize];
        assert!(merkle::is_included(
            &leaf,
            seq,
            head.size,
            &head.root,
            &proof.path
        ));
        assert!(proof.path.len() * 32 < 1_024);
    }
    assert_eq!(journal.inclusion(630).await, Ok(None));
    for old in &heads {
        let proof = journal.consistency(old.size).await.unwrap().unwrap();
        let new = Checkpoint::open(&proof.checkpoint, &verifying()).unwrap();
        assert!(merkle::is_consistent(
            old.size,
            &old.root,
            new.size,
            &new.root,
            &proof.path
        ));
    }
    assert_eq!(journal.consistency(631).await, Ok(None));
}

#[tokio::test]
async fn checkpoints_are_thinned_out_but_one_a_stretch_stays() {
    let world = World::new();
    let journal = world.open();
    for _ in 0..22 {
        let many = (0..100).map(|_| withdrawn(1)).collect();
        journal.append(many).await.unwrap();
        journal.checkpoint().await.unwrap();
    }
    journal.close().await;
    let sizes: Vec<i64> = world
        .outside()
        .prepare("SELECT size FROM checkpoints ORDER BY size")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(sizes, [0, 1_000, 2_000, 2_200]);
    assert!(verify(&world.path(), &verifying(), None, Depth::Bytes).is_ok());
}

/// Whether any file in the folder holds these bytes.
fn holds(world: &World, text: &str) -> bool {
    fs::read_dir(world.folder.path()).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    })
}

#[tokio::test]
async fn an_erased_text_is_gone_from_the_disk_and_every_proof_still_holds() {
    let world = World::new();
    let journal = world.open();
    for n in 1..=3 {
        journal.append(a_case(n)).await.unwrap();
    }
    let kept = journal.checkpoint().await.unwrap();
    let before = journal.inclusion(2).await.unwrap();
    assert!(holds(&world, "because of INC-2"));

    let erased = journal.erase(Erasure::OfRequest(request_id(2))).await;
    let one = Erased {
        texts: 1,
        settled: true,
    };
    assert_eq!(erased, Ok(one));
    assert!(!holds(&world, "because of INC-2"));
    assert!(holds(&world, "because of INC-1"));

    let third = salted(3, "because of INC-3").commitment();
    let erased = journal.erase(Erasure::OfCommitment(third)).await;
    assert_eq!(erased, Ok(one));
    assert!(!holds(&world, "because of INC-3"));

    let stored = journal.events(0, 10).await.unwrap();
    let texts: Vec<_> = stored.iter().filter_map(Stored::text).collect();
    assert_eq!(texts, ["because of INC-1"]);
    assert_eq!(journal.inclusion(2).await.unwrap(), before);
    journal.close().await;
    let verified = verify(&world.path(), &verifying(), Some(&kept), Depth::Meaning).unwrap();
    assert_eq!((verified.events, verified.texts), (6, 1));
    assert!(world.try_open(Some(&kept)).is_ok());
}

#[tokio::test]
async fn erasing_what_is_not_there_erases_nothing() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    let none = |erasure| async { journal.erase(erasure).await.unwrap().texts };
    assert_eq!(none(Erasure::OfRequest(request_id(9))).await, 0);
    let stranger: Commitment = salted(9, "because of INC-1").commitment();
    assert_eq!(none(Erasure::OfCommitment(stranger)).await, 0);
    assert_eq!(world.verify().unwrap().texts, 1);
}

#[test]
fn a_stored_event_shows_no_text_in_its_debug_form() {
    let prepared = Prepared::new(requested(1, &salted(1, "canary-7c1f"))).unwrap();
    let stored = prepared.stored(0);
    assert_eq!(stored.text(), Some("canary-7c1f"));
    assert!(!format!("{stored:?}").contains("canary-7c1f"));
}
