//! Reading: pages, followers, and what a stored event shows.

use super::*;

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

#[test]
fn a_stored_event_shows_no_text_in_its_debug_form() {
    let prepared = Prepared::new(requested(1, &salted(1, "canary-7c1f"))).unwrap();
    let stored = prepared.stored(0);
    assert_eq!(stored.text(), Some("canary-7c1f"));
    assert!(!format!("{stored:?}").contains("canary-7c1f"));
}
