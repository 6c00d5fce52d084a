//! Checkpoints and proofs, as the open journal makes and keeps them.

use super::*;

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
