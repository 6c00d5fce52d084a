//! Reading a file without its broker: what is whole is seen in order, and what is not is refused at its place.

use std::fs;

use rusqlite::Connection;

use super::super::tests::{World, a_case};
use super::*;

/// An event's place, its fact's name and its text.
type Seen = (u64, &'static str, Option<String>);

fn seen(path: &Path) -> Result<Vec<Seen>, Damage> {
    let mut seen = Vec::new();
    read(path, |stored| {
        let text = stored.text().map(str::to_owned);
        seen.push((stored.seq, stored.event.fact.name(), text));
        Ok(())
    })?;
    Ok(seen)
}

#[tokio::test]
async fn a_journal_is_read_whole_while_it_is_open_and_after_and_stays_as_it_is() {
    let world = World::new();
    let journal = world.open();
    for n in 0..2 {
        journal.append(a_case(n)).await.unwrap();
    }
    let live = seen(&world.path()).unwrap();
    journal.close().await;
    let before = fs::read(world.path()).unwrap();
    let closed = seen(&world.path()).unwrap();
    assert_eq!(live, closed);
    let facts: Vec<(u64, &str)> = closed.iter().map(|(seq, name, _)| (*seq, *name)).collect();
    assert_eq!(
        facts,
        [
            (0, "requested"),
            (1, "withdrawn"),
            (2, "requested"),
            (3, "withdrawn")
        ]
    );
    assert!(closed[0].2.is_some() && closed[1].2.is_none());
    assert_eq!(fs::read(world.path()).unwrap(), before);
}

#[tokio::test]
async fn what_is_not_whole_is_refused_at_its_place() {
    let rows = [
        (
            "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'mia', 'max') AS BLOB) WHERE seq = 2",
            Damage::Edited(2),
        ),
        (
            "DELETE FROM texts; DELETE FROM events WHERE seq = 1",
            Damage::Missing(1),
        ),
        (
            "UPDATE texts SET text = 'because of INC-7' WHERE seq = 2",
            Damage::Text(2),
        ),
        (
            "INSERT INTO events SELECT -1, leaf, seal, body FROM events WHERE seq = 1",
            Damage::Stray,
        ),
        ("CREATE TABLE more (x)", Damage::Schema),
    ];
    for (sql, expected) in rows {
        let world = World::new();
        let journal = world.open();
        for n in 0..2 {
            journal.append(a_case(n)).await.unwrap();
        }
        journal.close().await;
        let connection = Connection::open(world.path()).unwrap();
        let triggers: Vec<(String, String)> = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut script =
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;".to_owned();
        for (name, _) in &triggers {
            script.push_str(&format!("DROP TRIGGER {name};"));
        }
        script.push_str(&format!("{sql};"));
        for (_, sql) in &triggers {
            script.push_str(&format!("{sql};"));
        }
        connection.execute_batch(&script).unwrap();
        drop(connection);
        assert_eq!(seen(&world.path()), Err(expected), "{sql}");
    }
}

#[tokio::test]
async fn what_is_no_journal_and_what_makes_no_story_is_refused() {
    let world = World::new();
    assert!(matches!(seen(&world.path()), Err(Damage::Unreadable(_))));
    fs::write(world.path(), "").unwrap();
    assert_eq!(seen(&world.path()), Err(Damage::NotAJournal));
    fs::write(
        world.path(),
        "no database, though it is long enough to be one".repeat(100),
    )
    .unwrap();
    assert_eq!(seen(&world.path()), Err(Damage::NotAJournal));

    let world = World::new();
    let journal = world.open();
    journal.append(a_case(0)).await.unwrap();
    journal.close().await;
    let refused = read(&world.path(), |stored| match stored.seq {
        0 => Ok(()),
        _ => Err(NoStory("it does not follow")),
    });
    assert_eq!(
        refused,
        Err(Damage::NoStory(1, "it does not follow".to_owned()))
    );
}
