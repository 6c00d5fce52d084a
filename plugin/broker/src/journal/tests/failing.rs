//! A disk, a lock, a state or an entry that fails: nothing counts as recorded that is not.

use super::*;

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
