//! Verification against everything that can be done to a file.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::super::audit::Damage;
use super::super::checkpoint::Checkpoint;
use super::super::tests::{ORIGIN, World, a_case, key, request_id, verifying, withdrawn};
use super::super::{Entry, OpenError};
use super::*;

/// A closed journal of `cases` cases, two events each.
async fn journal_of(cases: u8) -> World {
    let world = World::new();
    let journal = world.open();
    for n in 0..cases {
        journal.append(a_case(n)).await.unwrap();
    }
    journal.close().await;
    world
}

/// Does what `sql` says to the file, past its triggers, and leaves the schema as it was.
fn tamper(world: &World, sql: &str) {
    let connection = Connection::open(world.path()).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
        .unwrap();
    for (name, _) in &triggers {
        connection
            .execute_batch(&format!("DROP TRIGGER {name}"))
            .unwrap();
    }
    connection.execute_batch(sql).unwrap();
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
    // As a careful forger would leave it: one file, no log.
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

/// Sets an event's body and the leaf that goes with it.
fn replace(seq: u64, entry: Entry) -> String {
    let body = writ_engine::event::canonical(&entry.event);
    let leaf = hex::encode(merkle::leaf(&body));
    let body = hex::encode(body);
    format!("UPDATE events SET body = x'{body}', leaf = x'{leaf}' WHERE seq = {seq};")
}

fn opened(world: &World, kept: Option<&str>) -> Result<(), Damage> {
    match world.try_open(kept) {
        Ok(_) => Ok(()),
        Err(OpenError::Damaged(_, damage)) => Err(damage),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_done_to_the_file_is_found_and_named_when_verifying_and_when_opening() {
    let replaced = Damage::Replaced { from: 0, to: 6 };
    let cut = Damage::Cut {
        signed: 6,
        events: 5,
    };
    let swap = "UPDATE events SET seq = -9 WHERE seq = 1;
                UPDATE events SET seq = 1 WHERE seq = 3;
                UPDATE events SET seq = 3 WHERE seq = -9;";
    let close_the_gap = "DELETE FROM texts; DELETE FROM events WHERE seq = 3;
                UPDATE events SET seq = 3 WHERE seq = 4; UPDATE events SET seq = 4 WHERE seq = 5;";
    let make_room = "DELETE FROM texts; UPDATE events SET seq = 6 WHERE seq = 5;
                UPDATE events SET seq = 5 WHERE seq = 4;
                INSERT INTO events SELECT 4, leaf, seal, body FROM events WHERE seq = 1;";
    let edited_note = "UPDATE checkpoints SET note = replace(note, char(10) || '6', char(10) || '5') WHERE size = 6";
    let table: Vec<(&str, String, Damage)> = vec![
        (
            "an edited body",
            "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'mia', 'max') AS BLOB) WHERE seq = 2".to_owned(),
            Damage::Edited(2),
        ),
        ("an edited leaf", "UPDATE events SET leaf = randomblob(32) WHERE seq = 4".to_owned(), Damage::Edited(4)),
        ("a short leaf", "UPDATE events SET leaf = x'00' WHERE seq = 4".to_owned(), Damage::Edited(4)),
        ("an event replaced with its leaf", replace(1, withdrawn(2)), replaced.clone()),
        ("two events swapped", swap.to_owned(), replaced.clone()),
        ("the first event deleted", "DELETE FROM events WHERE seq = 0; DELETE FROM texts WHERE seq = 0".to_owned(), Damage::Missing(0)),
        ("an event deleted", "DELETE FROM events WHERE seq = 3".to_owned(), Damage::Missing(3)),
        ("an event deleted and the gap closed", close_the_gap.to_owned(), cut.clone()),
        ("the last event deleted", "DELETE FROM events WHERE seq = 5".to_owned(), cut),
        ("an event inserted", make_room.to_owned(), replaced),
        ("an event before the first", "INSERT INTO events SELECT -1, leaf, seal, body FROM events WHERE seq = 1".to_owned(), Damage::Stray),
        ("a changed text", "UPDATE texts SET text = 'because of INC-7' WHERE seq = 2".to_owned(), Damage::Text(2)),
        ("a changed salt", "UPDATE texts SET salt = randomblob(16) WHERE seq = 2".to_owned(), Damage::Text(2)),
        ("a text of another event", "UPDATE texts SET seq = 3 WHERE seq = 2".to_owned(), Damage::Text(3)),
        ("a text of no event", "UPDATE texts SET seq = 99 WHERE seq = 2".to_owned(), Damage::Stray),
        ("no checkpoint", "DELETE FROM checkpoints".to_owned(), Damage::NoCheckpoint),
        (
            "an edited checkpoint",
            edited_note.to_owned(),
            Damage::Checkpoint(6, super::super::CheckpointError::BadSignature),
        ),
        (
            "a checkpoint under another size",
            "UPDATE checkpoints SET size = 4 WHERE size = 6".to_owned(),
            Damage::Checkpoint(4, super::super::CheckpointError::Malformed("it states another size")),
        ),
        ("a table more", "CREATE TABLE more (x)".to_owned(), Damage::Schema),
        (
            "a trigger that helps itself",
            "CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM texts; END".to_owned(),
            Damage::Schema,
        ),
        ("another epoch", "PRAGMA user_version = 2".to_owned(), Damage::UnknownEpoch(2)),
        ("another application", "PRAGMA application_id = 7".to_owned(), Damage::NotAJournal),
    ];
    for (what, sql, damage) in table {
        let world = journal_of(3).await;
        assert!(world.verify().is_ok(), "{what}");
        tamper(&world, &sql);
        let found = verify(&world.path(), &verifying(), None, Depth::Bytes);
        assert_eq!(found, Err(damage.clone()), "{what}");
        assert!(world.verify().is_err(), "{what}");
        assert_eq!(opened(&world, None), Err(damage), "{what}");
    }
}

#[tokio::test]
async fn a_missing_trigger_is_found() {
    let world = journal_of(1).await;
    world
        .outside()
        .execute_batch("DROP TRIGGER events_are_not_edited")
        .unwrap();
    assert_eq!(world.verify(), Err(Damage::Schema));
    assert_eq!(opened(&world, None), Err(Damage::Schema));
}

#[tokio::test]
async fn the_file_itself_refuses_edits_deletions_and_gaps() {
    let world = journal_of(1).await;
    let outside = world.outside();
    for sql in [
        "UPDATE events SET body = x'00'",
        "DELETE FROM events",
        "INSERT INTO events SELECT 7, leaf, seal, body FROM events WHERE seq = 0",
        "INSERT OR REPLACE INTO events SELECT 0, leaf, seal, body FROM events WHERE seq = 1",
    ] {
        assert!(outside.execute_batch(sql).is_err(), "{sql}");
    }
    drop(outside);
    assert!(world.verify().is_ok());
}

#[tokio::test]
async fn an_event_added_while_the_broker_is_down_is_unsigned_and_keeps_it_from_opening() {
    let world = journal_of(2).await;
    let forged = "INSERT INTO events SELECT 4, leaf, seal, body FROM events WHERE seq = 3;";
    tamper(&world, forged);
    let verified = verify(&world.path(), &verifying(), None, Depth::Bytes).unwrap();
    assert_eq!((verified.signed, verified.unsigned), (4, 1));
    assert_eq!(opened(&world, None), Err(Damage::Unsealed(4)));
}

#[tokio::test]
async fn an_event_that_does_not_follow_is_found_by_its_meaning_only() {
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    journal.append(vec![withdrawn(1)]).await.unwrap();
    journal.close().await;
    assert!(verify(&world.path(), &verifying(), None, Depth::Bytes).is_ok());
    assert!(matches!(world.verify(), Err(Damage::NoStory(2, _))));

    let world = World::new();
    let journal = world.open();
    journal.append(vec![withdrawn(1)]).await.unwrap();
    journal.close().await;
    assert!(matches!(world.verify(), Err(Damage::NoStory(0, _))));
}

/// A journal whose bytes are signed rightly but are no canonical event.
#[tokio::test]
async fn an_event_that_is_not_canonical_refuses_the_opening() {
    let world = World::new();
    world.open().close().await;
    let id = request_id(1);
    let spaced = format!("{{\"at\": 0,\"fact\":{{\"withdrawn\":{{\"request\":\"{id}\"}}}}}}");
    let leaf = merkle::leaf(spaced.as_bytes());
    let mut frontier = merkle::Frontier::default();
    frontier.push(leaf);
    let (size, root) = (1, frontier.root());
    let origin = ORIGIN.to_owned();
    let note = Checkpoint { origin, size, root }.sign(&key(), &verifying());
    let seal = key().sealing_key().unwrap().seal(size, &root);
    let outside = world.outside();
    outside
        .execute(
            "INSERT INTO events (seq, leaf, seal, body) VALUES (0, ?1, ?2, ?3)",
            rusqlite::params![leaf, seal, spaced.as_bytes()],
        )
        .unwrap();
    outside
        .execute("INSERT INTO checkpoints VALUES (1, ?1)", [note])
        .unwrap();
    drop(outside);
    assert!(verify(&world.path(), &verifying(), None, Depth::Bytes).is_ok());
    assert!(matches!(world.verify(), Err(Damage::NotCanonical(0, _))));
    assert!(matches!(
        opened(&world, None),
        Err(Damage::NotCanonical(0, _))
    ));
}

#[tokio::test]
async fn a_kept_checkpoint_finds_what_the_file_alone_cannot() {
    // Cut back, checkpoints and all, to an older state that was whole.
    let world = World::new();
    let journal = world.open();
    journal.append(a_case(1)).await.unwrap();
    journal.close().await;
    let old = fs::read(world.path()).unwrap();
    let journal = world.open();
    journal.append(a_case(2)).await.unwrap();
    let kept = journal.checkpoint().await.unwrap();
    journal.close().await;
    let with = |kept: &str| verify(&world.path(), &verifying(), Some(kept), Depth::Bytes);
    assert!(with(&kept).is_ok());
    assert_eq!(opened(&world, Some(&kept)), Ok(()));

    fs::write(world.path(), old).unwrap();
    let cut = Damage::Cut {
        signed: 4,
        events: 2,
    };
    assert!(world.verify().is_ok());
    assert_eq!(with(&kept), Err(cut.clone()));
    assert_eq!(opened(&world, Some(&kept)), Err(cut));

    // Forked: from there on another story, by the same key.
    let journal = world.open();
    journal.append(a_case(3)).await.unwrap();
    journal.append(a_case(4)).await.unwrap();
    journal.close().await;
    assert!(world.verify().is_ok());
    assert_eq!(with(&kept), Err(Damage::Forked(4)));
    assert_eq!(opened(&world, Some(&kept)), Err(Damage::Forked(4)));

    assert!(matches!(with("no note"), Err(Damage::Kept(_))));
}

/// Copies the file, flips one byte at a time, and looks.
fn flip_each(
    world: &World,
    places: impl Iterator<Item = usize>,
    found: impl Fn(usize, Result<Verified, Damage>),
) {
    let whole = fs::read(world.path()).unwrap();
    let copy = world.folder.path().join("copy.db");
    for place in places.filter(|place| *place < whole.len()) {
        let mut bent = whole.clone();
        bent[place] ^= 1 << (place % 8);
        fs::write(&copy, &bent).unwrap();
        found(place, verify(&copy, &verifying(), None, Depth::Bytes));
    }
}

fn find_all(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    (0..hay.len().saturating_sub(needle.len()))
        .filter(|from| hay[*from..].starts_with(needle))
        .collect()
}

#[tokio::test]
async fn every_flipped_byte_of_an_events_body_in_the_file_is_found() {
    let world = journal_of(2).await;
    let file = fs::read(world.path()).unwrap();
    let bodies: Vec<Vec<u8>> = world
        .outside()
        .prepare("SELECT body FROM events")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut places = Vec::new();
    for body in &bodies {
        let from = find_all(&file, body);
        assert_eq!(
            from.len(),
            1,
            "the body lies in the file once, in one piece"
        );
        places.extend(from[0]..from[0] + body.len());
    }
    assert!(places.len() > 500);
    flip_each(&world, places.into_iter(), |place, found| {
        assert!(
            matches!(found, Err(Damage::Edited(_))),
            "{place}: {found:?}"
        );
    });
}

#[tokio::test]
async fn no_flipped_byte_anywhere_passes_for_another_journal() {
    let world = journal_of(2).await;
    let whole = world.verify().unwrap();
    // All of the header, and a sample of the rest: free space is most of it, and says nothing.
    let places = (0..100).chain((100..64 * 1_024).step_by(23));
    flip_each(&world, places, |place, found| {
        if let Ok(found) = found {
            assert_eq!(
                (found.events, found.root),
                (whole.events, whole.root),
                "{place}"
            );
        }
    });
}

#[tokio::test]
async fn a_file_cut_short_anywhere_is_found_without_a_panic() {
    let world = journal_of(2).await;
    let whole = fs::read(world.path()).unwrap();
    let copy = world.folder.path().join("copy.db");
    for length in (0..whole.len()).step_by(257) {
        fs::write(&copy, &whole[..length]).unwrap();
        let found = verify(&copy, &verifying(), None, Depth::Bytes);
        assert!(found.is_err(), "{length}");
    }
}

#[test]
fn what_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let look = |path: &Path| verify(path, &verifying(), None, Depth::Bytes);
    let path = folder.path().join("file");
    assert!(matches!(look(&path), Err(Damage::Unreadable(_))));
    assert!(!path.exists(), "looking makes no file");
    fs::write(&path, "").unwrap();
    assert_eq!(look(&path), Err(Damage::NotAJournal));
    fs::write(&path, "not SQLite, but longer than its header".repeat(200)).unwrap();
    assert_eq!(look(&path), Err(Damage::NotAJournal));
    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE events (seq INTEGER PRIMARY KEY, leaf BLOB, body BLOB)")
        .unwrap();
    assert_eq!(look(&path), Err(Damage::NotAJournal));
    assert!(look(folder.path()).is_err());
}

#[tokio::test]
async fn a_running_journal_is_verified_from_outside() {
    let world = World::new();
    let journal = world.open();
    for n in 0..4 {
        journal.append(a_case(n)).await.unwrap();
        assert_eq!(world.verify().unwrap().events, u64::from(n + 1) * 2);
    }
    journal.append(a_case(9)).await.unwrap();
}

#[tokio::test]
async fn a_copy_under_an_odd_name_in_a_read_only_folder_is_verified() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = journal_of(2).await;
    let folder = world.folder.path().join("50% of #1?");
    fs::create_dir(&folder).unwrap();
    let copy = folder.join("a copy?mode=rw#x");
    fs::copy(world.path(), &copy).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let found = verify(&copy, &verifying(), None, Depth::Meaning);
    let files = fs::read_dir(&folder).unwrap().count();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(found.unwrap().events, 4);
    assert_eq!(files, 1, "looking makes no side files");
}

#[tokio::test]
async fn damage_is_bounded_by_the_checkpoints_around_it() {
    let world = World::new();
    let journal = world.open();
    for n in 0..22 {
        let many = (0..100).map(|_| withdrawn(n)).collect();
        journal.append(many).await.unwrap();
        journal.checkpoint().await.unwrap();
    }
    journal.close().await;
    tamper(&world, &replace(1_500, withdrawn(99)));
    let found = verify(&world.path(), &verifying(), None, Depth::Bytes);
    let expected = Damage::Replaced {
        from: 1_000,
        to: 2_000,
    };
    assert_eq!(found, Err(expected));
}
