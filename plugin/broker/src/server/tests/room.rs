//! A disk that fills: nothing more is taken on, and everything can still be ended.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::limits::RESERVE_BYTES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_reserve_touched_only_ends_are_recorded_and_with_room_again_everything_is() {
    let free = Arc::new(AtomicU64::new(RESERVE_BYTES));
    let told = Arc::clone(&free);
    let room = Room::said_by(move || Ok(told.load(Ordering::Relaxed)));
    let world = world_with(|_| loopback(), room).await;
    let (mia, pat) = (world.client("mia").await, world.client("pat").await);
    let mut made = Vec::new();
    for text in [
        "to be approved",
        "to be denied",
        "to be taken back",
        "to be issued",
    ] {
        made.push(create(&mia, text).await.id);
    }
    let [approved, denied, withdrawn, issued] = made.try_into().unwrap();
    let approve = async |id: &str| {
        let approval = v1::ApproveRequestRequest {
            id: id.to_owned(),
            kinds: vec![],
            digest: None,
            ..Default::default()
        };
        pat.requests().approve_request(approval).await.map(|_| ())
    };
    approve(&issued).await.unwrap();
    let mut keyed = wish("once more");
    keyed.idempotency_key = Some("a key".to_owned());
    let first = mia.requests().create_request(keyed.clone()).await.unwrap();

    free.store(RESERVE_BYTES - 1, Ordering::Relaxed);
    let issue = v1::IssueCredentialsRequest { id: issued };
    for refused in [
        mia.requests()
            .create_request(wish("more"))
            .await
            .map(|_| ()),
        mia.requests()
            .issue_credentials(issue.clone())
            .await
            .map(|_| ()),
        approve(&approved).await,
    ] {
        let status = refused.unwrap_err();
        assert_eq!(reason(&status), Some(Reason::StorageLow), "{status:?}");
        assert_eq!(status.code(), Code::Unavailable);
    }
    // What was answered before is answered again, and everything can be read and ended.
    let again = mia.requests().create_request(keyed).await.unwrap();
    assert_eq!(again.into_inner().request, first.into_inner().request);
    let no = v1::DenyRequestRequest {
        id: denied,
        reason: "not now".to_owned(),
    };
    pat.requests().deny_request(no).await.unwrap();
    let back = v1::WithdrawRequestRequest { id: withdrawn };
    mia.requests().withdraw_request(back).await.unwrap();
    let asked = v1::GetRequestRequest {
        id: approved.clone(),
    };
    let seen = mia.requests().get_request(asked).await.unwrap();
    assert!(matches!(
        seen.into_inner().request.unwrap().state,
        Some(State::Pending(_))
    ));

    free.store(RESERVE_BYTES, Ordering::Relaxed);
    approve(&approved).await.unwrap();
    create(&mia, "there is room again").await;
    // There is no STS in this world: it was asked, which is what counts here.
    let answer = mia.requests().issue_credentials(issue).await.unwrap_err();
    assert_eq!(reason(&answer), Some(Reason::AwsUnavailable));
    world.broker.stop().await.unwrap();
}
