//! Opening and closing: what is there after a crash, who may open, and what keeps a journal shut.

use super::*;

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
