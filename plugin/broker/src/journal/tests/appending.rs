//! Appending: concurrent appends share a commit, and each has a deadline.

use super::*;

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
