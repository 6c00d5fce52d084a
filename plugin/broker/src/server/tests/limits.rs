//! What one message and one connection may hold: to the last byte and place, and one over.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use writ_engine::request::{REASON_MAX, TICKET_MAX};

use super::*;
use crate::limits::{IDEMPOTENCY_KEY_MAX, RUN_MAX};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_text_of_a_wish_has_a_longest_form_and_one_more_is_refused_by_its_name() {
    type Write = fn(&mut v1::CreateRequestRequest, String);
    let table: [(&str, usize, Write); 4] = [
        ("reason", REASON_MAX, |wish, text| wish.reason = text),
        ("ticket", TICKET_MAX, |wish, text| wish.ticket = Some(text)),
        ("idempotency_key", IDEMPOTENCY_KEY_MAX, |wish, text| {
            wish.idempotency_key = Some(text);
        }),
        ("run", RUN_MAX, |wish, text| wish.run = Some(text)),
    ];
    let world = world().await;
    let mia = world.client("mia").await;
    for (field, most, write) in table {
        let of_length = |length: usize| {
            let mut wish = wish("as long as can be");
            write(&mut wish, "x".repeat(length));
            wish
        };
        let taken = mia.requests().create_request(of_length(most)).await;
        assert!(taken.is_ok(), "{field}: {taken:?}");
        let refused = mia.requests().create_request(of_length(most + 1)).await;
        let status = refused.unwrap_err();
        assert_eq!(reason(&status), Some(Reason::InvalidArgument), "{field}");
        let named = status.message().starts_with(&format!("{field}: "));
        assert!(named, "{}", status.message());
    }
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_read_to_its_last_byte_and_one_that_is_longer_is_not_read() {
    let world = world().await;
    let mia = world.client("mia").await;
    let of_size = |size: usize| {
        let mut message = wish("");
        let mut length = size;
        while message.encoded_len() != size {
            message.reason = "x".repeat(length);
            length -= 1;
        }
        message
    };
    // Read, and refused for what it says.
    let read = mia.requests().create_request(of_size(MESSAGE_MAX)).await;
    assert_eq!(reason(&read.unwrap_err()), Some(Reason::InvalidArgument));
    let unread = mia
        .requests()
        .create_request(of_size(MESSAGE_MAX + 1))
        .await;
    let status = unread.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(
        status.message().contains(&MESSAGE_MAX.to_string()),
        "{status:?}"
    );
    create(&mia, "the connection goes on").await;
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_carries_so_many_calls_and_the_next_waits_for_a_place() {
    let world = world().await;
    let mut crowded = HealthClient::new(world.channel().await);
    let ask = || HealthCheckRequest {
        service: String::new(),
    };
    let mut open = Vec::new();
    for _ in 0..STREAMS_PER_CONNECTION_MAX {
        open.push(crowded.watch(ask()).await.unwrap().into_inner());
    }
    let mut next = tokio::spawn(async move { crowded.check(ask()).await.map(|_| ()) });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut next).await;
    assert!(early.is_err(), "there was room for one more: {early:?}");
    // Another connection is another's.
    let mut other = HealthClient::new(world.channel().await);
    other.check(ask()).await.unwrap();
    open.pop();
    let served = tokio::time::timeout(Duration::from_secs(10), next).await;
    served.expect("there is a place again").unwrap().unwrap();
    drop((open, other));
    world.broker.stop().await.unwrap();
}
