//! A disk that keeps half of what it was given, or something else: what is opened then is the beginning of what was written,
//! with everything that was acknowledged, or it is not opened.
//!
//! Each run of the tests flips one byte in some hundred; `WRIT_FAULTS=all` flips each.

use std::io::Write as _;

use super::*;

/// What a disk writes at once, or not at all.
const SECTOR: usize = 512;

/// One byte in so many is flipped where not each is; a prime, so that no field of the file is left out by its place.
const ONE_IN: usize = 101;

/// Cases written and acknowledged before the disk fails.
const CASES: u8 = 12;

/// What the files of a journal hold: the file itself, and its log.
#[derive(Clone)]
struct Files {
    file: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn of(world: &World) -> Files {
        Files {
            file: fs::read(world.path()).unwrap(),
            log: fs::read(log_of(world)).unwrap_or_default(),
        }
    }

    /// In place of whatever is there.
    fn put(&self, world: &World) {
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(world.folder.path().join(format!("journal.db{side}")));
        }
        put(&world.path(), &self.file);
        if !self.log.is_empty() {
            put(&log_of(world), &self.log);
        }
    }
}

fn log_of(world: &World) -> PathBuf {
    world.folder.path().join("journal.db-wal")
}

fn put(path: &std::path::Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder for copies, in memory where there is one: nothing in it is to outlive a power cut.
fn quick() -> World {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    World {
        folder: folder.unwrap(),
    }
}

/// What opening came to.
#[derive(Debug, PartialEq, Eq)]
enum Opened {
    /// The first so many events, each as it was written.
    Prefix(usize),
    /// All of it, and no event more can be written: the broker, whose first deed is to write one, does not start.
    Shut,
    /// Nothing: it says what is wrong with the journal.
    Refused,
}

/// Opens what is there, as a broker does, and compares it with what was written.
async fn opened(world: &World, kept: Option<&str>, written: &[Stored], what: &str) -> Opened {
    let mut seen = Vec::new();
    let replay = |stored: &Stored| {
        seen.push(stored.clone());
        Ok(())
    };
    let done = Journal::open(&world.path(), key(), ORIGIN, kept, replay, Box::new(|_| ()));
    match done {
        Ok((journal, _)) => {
            assert!(written.starts_with(&seen), "{what}: another story");
            let goes_on = journal.append(a_case(99)).await;
            journal.close().await;
            if goes_on.is_err() {
                assert_eq!(seen, written, "{what}");
                return Opened::Shut;
            }
            // It goes on from there, and anybody can verify it.
            let verified = verify(&world.path(), &verifying(), None, Depth::Bytes).unwrap();
            assert_eq!(verified.events, seen.len() as u64 + 2, "{what}");
            Opened::Prefix(seen.len())
        }
        Err(OpenError::Damaged(_, _)) => Opened::Refused,
        Err(other) => panic!("{what}: {other}"),
    }
}

/// A journal whose broker runs: all that was written, its files before the last commit and after it, and the checkpoint of
/// all that was acknowledged before it.
struct Running {
    journal: Journal,
    written: Vec<Stored>,
    before: Files,
    after: Files,
    kept: String,
}

async fn running(world: &World) -> Running {
    // So that the file itself, and not its log alone, holds a part.
    let journal = world.open();
    let mut written = journal.append(a_case(0)).await.unwrap();
    journal.close().await;
    let journal = world.open();
    for n in 1..CASES {
        written.extend(journal.append(a_case(n)).await.unwrap());
    }
    let kept = journal.checkpoint().await.unwrap();
    let before = Files::of(world);
    written.extend(journal.append(a_case(CASES)).await.unwrap());
    let after = Files::of(world);
    Running {
        journal,
        written,
        before,
        after,
        kept,
    }
}

#[tokio::test]
async fn a_torn_last_write_leaves_all_that_was_acknowledged_before_it() {
    let world = World::new();
    let Running {
        journal,
        written,
        before,
        after,
        kept,
    } = running(&world).await;
    let acknowledged = written.len() - 2;
    assert_eq!(before.file, after.file, "a commit goes to the log");
    assert!(after.log.starts_with(&before.log) && after.log.len() > before.log.len());
    let last = before.log.len()..after.log.len();

    let mut torn = Vec::new();
    for end in last.clone().step_by(SECTOR) {
        // The end is not there; it is there and empty; one sector of it was forgotten.
        torn.push((format!("cut at {end}"), after.log[..end].to_vec()));
        let mut empty = after.log.clone();
        empty[end..].fill(0);
        torn.push((format!("empty from {end}"), empty));
        let mut hole = after.log.clone();
        let until = (end + SECTOR).min(hole.len());
        hole[end..until].fill(0);
        torn.push((format!("a hole at {end}"), hole));
    }
    let (mut kept_whole, mut without) = (0, 0);
    let copy = quick();
    for (what, log) in &torn {
        let file = after.file.clone();
        let log = log.clone();
        Files { file, log }.put(&copy);
        match opened(&copy, Some(&kept), &written, what).await {
            Opened::Prefix(events) if events == written.len() => kept_whole += 1,
            Opened::Prefix(events) => {
                assert_eq!(events, acknowledged, "{what}");
                without += 1;
            }
            Opened::Shut | Opened::Refused => panic!("{what}: a torn write is no damage"),
        }
    }

    // The log is written into the file at the end, and is there until all of it is.
    journal.close().await;
    let closed = Files::of(&world);
    assert!(closed.log.is_empty());
    let mut settling = 0;
    for end in (0..closed.file.len()).step_by(SECTOR) {
        let mut file = closed.file[..end].to_vec();
        file.extend(after.file.get(end..).unwrap_or_default());
        let log = after.log.clone();
        Files { file, log }.put(&copy);
        let what = format!("written into the file up to {end}");
        let whole = Opened::Prefix(written.len());
        assert_eq!(
            opened(&copy, Some(&kept), &written, &what).await,
            whole,
            "{what}"
        );
        settling += 1;
    }
    let _ = writeln!(
        std::io::stderr(),
        "FIGURES torn writes: {} of the last commit, {without} opened without it and {kept_whole} with it; {settling} of the log into \
         the file, all opened whole; 0 acknowledged events lost",
        torn.len()
    );
    assert!(
        torn.len() >= 24 && settling >= 40 && without > 0,
        "{without} {settling}"
    );
}

#[tokio::test]
async fn a_flipped_byte_is_refused_or_changes_nothing_and_a_kept_checkpoint_finds_a_log_that_lost_its_last_commit()
 {
    let every = match std::env::var("WRIT_FAULTS").is_ok_and(|which| which == "all") {
        true => 1,
        false => ONE_IN,
    };
    let world = World::new();
    let Running {
        journal,
        written,
        after,
        ..
    } = running(&world).await;
    let kept = journal.checkpoint().await.unwrap();
    journal.close().await;
    let closed = Files::of(&world);

    let copy = quick();
    let (mut tried, mut refused, mut shut, mut whole, mut shorter) = (0, 0, 0, 0, 0);
    // The file of a broker that was stopped.
    for place in (0..100).chain((100..closed.file.len()).step_by(every)) {
        let mut bent = closed.clone();
        bent.file[place] ^= 1 << (place % 8);
        bent.put(&copy);
        let what = format!("byte {place} of the file");
        tried += 1;
        match opened(&copy, None, &written, &what).await {
            Opened::Refused => refused += 1,
            Opened::Shut => shut += 1,
            Opened::Prefix(events) => {
                assert_eq!(events, written.len(), "{what}: nothing is lost silently");
                whole += 1;
            }
        }
    }
    // The log of one that was killed.
    for place in (0..100).chain((100..after.log.len()).step_by(every)) {
        let mut bent = after.clone();
        bent.log[place] ^= 1 << (place % 8);
        bent.put(&copy);
        let what = format!("byte {place} of the log");
        tried += 1;
        match opened(&copy, None, &written, &what).await {
            Opened::Refused => refused += 1,
            Opened::Shut => shut += 1,
            Opened::Prefix(events) if events == written.len() => whole += 1,
            Opened::Prefix(events) => {
                assert!(
                    events + 2 >= written.len(),
                    "{what}: more than the last commit is lost"
                );
                // The files alone cannot tell it from a write that was torn; whoever kept a checkpoint can.
                bent.put(&copy);
                let found = opened(&copy, Some(&kept), &written, &what).await;
                assert_eq!(found, Opened::Refused, "{what}");
                shorter += 1;
            }
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "FIGURES flipped bytes: {tried}, {refused} refused, {shut} kept every event out, {whole} changed nothing, {shorter} \
         lost the last commit and were found by a \
         kept checkpoint; 0 told another story"
    );
    assert!(tried >= 800 && refused >= 100 && whole > 0 && shorter > 0);
}
