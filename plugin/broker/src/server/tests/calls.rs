//! Calls through the whole broker, as clients make them.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_made_watched_seen_approved_and_taken_back() {
    let world = world().await;
    let (mia, pat) = (world.client("mia").await, world.client("pat").await);
    let made = create(&mia, "slow queries in the ledger").await;
    assert!(matches!(made.state, Some(State::Pending(_))), "{made:?}");
    assert_eq!(made.principal.as_ref().unwrap().person, "mia");

    let watched = v1::WatchRequestRequest {
        id: made.id[22..].to_owned(),
    };
    let mut watching = mia
        .requests()
        .watch_request(watched)
        .await
        .unwrap()
        .into_inner();
    let first = watching.message().await.unwrap().unwrap().request.unwrap();
    assert_eq!(first.id, made.id);

    let approval = v1::ApproveRequestRequest {
        id: made.id.clone(),
        kinds: vec![],
        digest: Some(made.digest.clone()),
        ..Default::default()
    };
    let own = mia.requests().approve_request(approval.clone()).await;
    assert_eq!(reason(&own.unwrap_err()), Some(Reason::SelfApproval));
    let other_digest = v1::ApproveRequestRequest {
        digest: Some("0".repeat(64)),
        ..approval.clone()
    };
    let other = pat.requests().approve_request(other_digest).await;
    assert_eq!(reason(&other.unwrap_err()), Some(Reason::DigestMismatch));
    let approved = pat
        .requests()
        .approve_request(approval.clone())
        .await
        .unwrap();
    let approved = approved.into_inner().request.unwrap();
    assert!(
        matches!(approved.state, Some(State::Approved(_))),
        "{approved:?}"
    );
    let seen = watching.message().await.unwrap().unwrap().request.unwrap();
    assert!(matches!(seen.state, Some(State::Approved(_))));

    let back = v1::WithdrawRequestRequest {
        id: made.id.clone(),
    };
    mia.requests().withdraw_request(back).await.unwrap();
    let seen = watching.message().await.unwrap().unwrap().request.unwrap();
    assert!(matches!(seen.state, Some(State::Withdrawn(_))));
    assert!(
        watching.message().await.unwrap().is_none(),
        "the stream ends with the request"
    );

    let late = pat.requests().approve_request(approval).await.unwrap_err();
    assert_eq!(reason(&late), Some(Reason::WrongState));
    world.broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_watcher_sees_a_request_lapse_though_nothing_happens_to_it() {
    let world = world().await;
    let mia = world.client("mia").await;
    let made = create(&mia, "nobody will look").await;
    let id = made.id.clone();
    let lapses_at = match made.state {
        Some(State::Pending(pending)) => pending.decide_by.unwrap(),
        other => panic!("{other:?}"),
    };
    let desk = Arc::clone(world.broker.desk());
    let verifier = crate::identity::Verifier::new(vec![world.corp.config()]).unwrap();
    let token = world
        .corp
        .draft("ES256")
        .claim("sub", "00u1mia".into())
        .sign();
    let who = verifier
        .verify(&token, desk.bundle().directory(), desk.now())
        .await
        .unwrap();
    let (id, changes) = desk.watch(&who, &id).unwrap();
    let (_stop, stopping) = watch::channel(false);
    let place = places::Places::new(1, 1).take(None).unwrap();
    let look = Duration::from_millis(1);
    let run = |out| requests::watch(desk, who, id.to_string(), changes, look, out);
    let mut stream = stream::start(run, Duration::from_secs(3_600), stopping, place);
    let first = stream.next().await.unwrap().unwrap().request.unwrap();
    assert!(matches!(first.state, Some(State::Pending(_))));
    let lapses_at_ms = lapses_at.seconds * 1_000 + i64::from(lapses_at.nanos) / 1_000_000;
    world
        .hand
        .wait_until(Moment::from_ms(lapses_at_ms).unwrap());
    let last = stream.next().await.unwrap().unwrap().request.unwrap();
    assert!(matches!(last.state, Some(State::Lapsed(_))), "{last:?}");
    assert!(stream.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_has_an_id_of_ours_in_its_answer_and_in_its_refusal() {
    let world = world().await;
    let mia = world.client("mia").await;
    let mut ask = Request::new(v1::ListScopesRequest {});
    ask.metadata_mut()
        .insert(REQUEST_ID, "forged".parse().unwrap());
    let answer = mia.scopes().list_scopes(ask).await.unwrap();
    let id = answer.metadata().get(REQUEST_ID).unwrap().to_str().unwrap();
    assert!(
        id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    let names: Vec<&str> = answer
        .get_ref()
        .scopes
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert!(names.contains(&"prod-db-read"), "{names:?}");

    let asked = v1::GetRequestRequest {
        id: "7F3K".to_owned(),
    };
    let refused = mia.requests().get_request(asked).await.unwrap_err();
    assert_eq!(reason(&refused), Some(Reason::NotFound));
    let other = refused
        .metadata()
        .get(REQUEST_ID)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(other.len() == 16 && other != id);
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_explains_itself_across_the_wire() {
    let world = world().await;
    let mia = world.client("mia").await;
    let mut long = wish("a very long look");
    long.duration = Some(prost_types::Duration {
        seconds: 43_200,
        nanos: 0,
    });
    let refused = mia.requests().create_request(long).await.unwrap_err();
    let problem = Problem::from_status(&refused);
    assert_eq!(problem.reason, Some(Reason::RefusedByPolicy), "{problem:?}");
    let denial = problem.denial.unwrap();
    assert!(!denial.findings.is_empty());
    assert!(denial.nearest.is_some());

    let check = v1::CheckAccessRequest {
        scope: "prod-db-read".to_owned(),
        duration: wish("").duration,
        ..v1::CheckAccessRequest::default()
    };
    let decision = mia
        .scopes()
        .check_access(check)
        .await
        .unwrap()
        .into_inner()
        .decision;
    use v1::decision::Outcome;
    assert!(matches!(
        decision.unwrap().outcome,
        Some(Outcome::NeedsApproval(_) | Outcome::Allowed(_))
    ));
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_listed_followed_and_signed() {
    let world = world().await;
    let mia = world.client("mia").await;
    let follow = v1::FollowEventsRequest { from_sequence: 0 };
    let mut following = mia
        .journal()
        .follow_events(follow)
        .await
        .unwrap()
        .into_inner();
    let first = following.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(first.kind, "bundle_loaded");
    let made = create(&mia, "to be seen in the record").await;
    let seen = following.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(
        (seen.kind.as_str(), &seen.request_id),
        ("requested", &made.id)
    );
    assert_eq!(seen.texts[0].text, "to be seen in the record");
    let event = writ_engine::Event::from_canonical(&seen.canonical).unwrap();
    assert_eq!(event.fact.name(), "requested");

    let list = v1::ListEventsRequest {
        request_id: made.id.clone(),
        ..v1::ListEventsRequest::default()
    };
    let listed = mia.journal().list_events(list).await.unwrap().into_inner();
    assert_eq!(listed.events, [seen]);
    let signed = mia
        .journal()
        .get_checkpoint(v1::GetCheckpointRequest {})
        .await
        .unwrap();
    assert!(
        signed
            .get_ref()
            .note
            .starts_with("writ.example.com/journal\n")
    );
    world.broker.stop().await.unwrap();
}
