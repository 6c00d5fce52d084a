//! Erasing a text: gone from the disk, and every proof still holds.

use super::*;

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
