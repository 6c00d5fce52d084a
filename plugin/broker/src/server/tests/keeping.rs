//! Requests that outlive their requester's last word by a while, and no longer.

use super::*;

const KEEP_FOR_S: i64 = 90;

fn span(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn kept(run: &str) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        run: Some(run.to_owned()),
        keep_for: span(KEEP_FOR_S),
        ..wish("a run of the pipeline")
    }
}

async fn ask(client: &Client, message: v1::CreateRequestRequest) -> v1::Request {
    let made = client.requests().create_request(message).await.unwrap();
    made.into_inner().request.unwrap()
}

async fn keep(client: &Client, id: &str, seconds: i64) -> Result<v1::Request, Status> {
    let message = v1::KeepRequestRequest {
        id: id.to_owned(),
        keep_for: span(seconds),
    };
    let answer = client.requests().keep_request(message).await?;
    Ok(answer.into_inner().request.unwrap())
}

async fn state(client: &Client, id: &str) -> State {
    let message = v1::GetRequestRequest { id: id.to_owned() };
    let answer = client.requests().get_request(message).await.unwrap();
    answer.into_inner().request.unwrap().state.unwrap()
}

fn seconds(moment: Option<prost_types::Timestamp>) -> i64 {
    moment.unwrap().seconds
}

#[tokio::test]
async fn a_request_whose_requester_is_gone_is_withdrawn_and_one_that_is_heard_of_is_not() {
    let world = world().await;
    let pat = world.client("pat").await;
    let gone = ask(&pat, kept("run-1")).await;
    let there = ask(&pat, kept("run-2")).await;
    let always = ask(&pat, wish("by hand")).await;
    assert_eq!(
        seconds(gone.kept_until) - seconds(gone.requested_at),
        KEEP_FOR_S
    );
    assert_eq!(always.kept_until, None);

    world.hand.advance_ms(60_000);
    let heard = keep(&pat, &there.id, KEEP_FOR_S).await.unwrap();
    assert_eq!(
        seconds(heard.kept_until) - seconds(there.requested_at),
        60 + KEEP_FOR_S
    );
    world.hand.advance_ms(30_000);
    world.broker.desk().end_the_unheard().await;

    assert!(matches!(state(&pat, &gone.id).await, State::Withdrawn(_)));
    assert!(matches!(state(&pat, &there.id).await, State::Pending(_)));
    world.hand.advance_ms(600_000);
    world.broker.desk().end_the_unheard().await;
    assert!(matches!(state(&pat, &there.id).await, State::Withdrawn(_)));
    assert!(matches!(state(&pat, &always.id).await, State::Pending(_)));
}

#[tokio::test]
async fn a_word_that_comes_too_late_revives_nothing() {
    let world = world().await;
    let pat = world.client("pat").await;
    let request = ask(&pat, kept("run-1")).await;
    world.hand.advance_ms(90_000);
    // Before the broker has looked, and after.
    let refused = keep(&pat, &request.id, KEEP_FOR_S).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::WrongState));
    let again = ask(&pat, kept("run-1")).await;
    assert_ne!(again.id, request.id);
    world.broker.desk().end_the_unheard().await;
    let refused = keep(&pat, &request.id, KEEP_FOR_S).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::WrongState));
    assert!(refused.message().contains("WITHDRAWN"), "{refused:?}");
}

#[tokio::test]
async fn the_open_request_of_a_run_stands_for_the_same_wish_and_for_no_other() {
    let world = world().await;
    let pat = world.client("pat").await;
    let plan = ask(&pat, kept("run-1")).await;
    world.hand.advance_ms(60_000);
    let apply = ask(&pat, kept("run-1")).await;
    assert_eq!(apply.id, plan.id);
    assert_eq!(
        seconds(apply.kept_until) - seconds(plan.requested_at),
        60 + KEEP_FOR_S,
        "asking again is a word of the requester"
    );
    let other_run = ask(&pat, kept("run-2")).await;
    assert_ne!(other_run.id, plan.id);
    let shorter = v1::CreateRequestRequest {
        duration: span(600),
        ..kept("run-1")
    };
    assert_ne!(ask(&pat, shorter).await.id, plan.id);
    let mia = world.client("mia").await;
    assert_ne!(ask(&mia, kept("run-1")).await.id, plan.id);

    let withdraw = v1::WithdrawRequestRequest {
        id: plan.id.clone(),
    };
    pat.requests().withdraw_request(withdraw).await.unwrap();
    assert_ne!(ask(&pat, kept("run-1")).await.id, plan.id);
}

#[tokio::test]
async fn a_longer_while_is_on_record_and_stands_after_a_restart() {
    let mut world = world().await;
    let pat = world.client("pat").await;
    let request = ask(&pat, kept("run-1")).await;
    keep(&pat, &request.id, 600).await.unwrap();
    keep(&pat, &request.id, 600).await.unwrap();

    let config = config(
        world.folder.path(),
        loopback(),
        [&world.corp, &world._github],
    );
    world.broker.stop().await.unwrap();
    let (clock, hand) = Clock::manual(noon());
    hand.advance_ms(599_000);
    world.broker = Broker::start_at(config, clock, plenty()).await.unwrap();
    world.hand = hand;
    let pat = world.client("pat").await;
    // The broker was away and could hear nobody: the while begins again.
    world.hand.advance_ms(599_000);
    world.broker.desk().end_the_unheard().await;
    assert!(matches!(state(&pat, &request.id).await, State::Pending(_)));
    world.hand.advance_ms(1_000);
    world.broker.desk().end_the_unheard().await;
    assert!(matches!(
        state(&pat, &request.id).await,
        State::Withdrawn(_)
    ));

    let message = v1::ListEventsRequest {
        request_id: request.id.clone(),
        ..Default::default()
    };
    let events = pat.journal().list_events(message).await.unwrap();
    let kinds: Vec<_> = events
        .into_inner()
        .events
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["requested", "kept", "withdrawn"]);
}

#[tokio::test]
async fn nobody_keeps_the_request_of_another() {
    let world = world().await;
    let mia = world.client("mia").await;
    let request = ask(&mia, kept("run-1")).await;
    // Her manager sees it, and may approve it.
    let pat = world.client("pat").await;
    let refused = keep(&pat, &request.id, KEEP_FOR_S).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    for bad in [29, 3_601] {
        let refused = keep(&mia, &request.id, bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
    }
}
