//! The door: no identity, no answer; too much, no answer either.

use super::*;

/// Calls any method by its path with an empty message.
pub(super) async fn raw(
    channel: &Channel,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(), Status> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let name: tonic::metadata::AsciiMetadataKey = name.parse().unwrap();
        request.metadata_mut().append(name, value.parse().unwrap());
    }
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|e| Status::unknown(e.to_string()))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::try_from(path).unwrap();
    let mut answers = grpc
        .server_streaming(request, path, codec)
        .await?
        .into_inner();
    answers.message().await.map(|_| ())
}

/// Every method of the protocol, from its descriptors: one that is added tomorrow is tested tomorrow.
fn every_method() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(writ_api::DESCRIPTORS).unwrap();
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                paths.push(format!(
                    "/{}.{}/{}",
                    file.package(),
                    service.name(),
                    method.name()
                ));
            }
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_answers_without_an_identity() {
    let world = world().await;
    let good = world.corp.draft("ES256").claim("sub", "00u1mia".into());
    let bearer = |token: String| format!("Bearer {token}");
    let fine = bearer(good.sign());
    let (expired, stranger) = (
        bearer(good.clone().claim("exp", 1.into()).sign()),
        bearer(good.clone().claim("sub", "00u1nobody".into()).sign()),
    );
    let elsewhere = bearer(
        good.clone()
            .claim("iss", "https://evil.example.com".into())
            .sign(),
    );
    let basic = fine.replace("Bearer", "Basic");
    let tampered = format!("{}x", &fine[..fine.len() - 1]);
    let knocks: [&[(&str, &str)]; 10] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer garbage")],
        &[("authorization", &basic)],
        &[("authorization", &expired)],
        &[("authorization", &stranger)],
        &[("authorization", &elsewhere)],
        &[("authorization", &tampered)],
        &[("authorization", &fine), ("authorization", &fine)],
    ];
    let methods = every_method();
    assert!(methods.len() >= 14, "{methods:?}");
    for path in &methods {
        // A connection for each: one that fails too often is cut.
        let channel = world.channel().await;
        for headers in knocks {
            let refused = raw(&channel, path, headers).await.unwrap_err();
            assert_eq!(
                reason(&refused),
                Some(Reason::NotAuthenticated),
                "{path} {headers:?}"
            );
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
        // The same call with a good token gets past the gate: it is the token that was missing.
        let mine = [("authorization", fine.as_str())];
        let passed = raw(&channel, path, &mine);
        match tokio::time::timeout(Duration::from_secs(10), passed).await {
            Ok(Err(status)) => assert_ne!(status.code(), Code::Unauthenticated, "{path}"),
            Ok(Ok(())) => {}
            Err(_) => panic!("{path} did not answer"),
        }
    }
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_are_no_method_and_reflection_answer_unimplemented() {
    let world = world().await;
    let channel = world.channel().await;
    for path in [
        "/writ.v1.RequestService/getrequest",
        "/writ.v1.RequestService/GetRequest/",
        "/writ.v1.RequestService//GetRequest",
        "/writ.v1.RequestService/../ScopeService/ListScopes",
        "/writ.v1.AdminService/Anything",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        let refused = raw(&channel, path, &[]).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{path}");
    }
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_needs_no_token_and_says_nothing_else() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let world = world().await;
    let mut health = HealthClient::new(world.channel().await);
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let said = health.check(ask("")).await.unwrap().into_inner();
    assert_eq!(said.status, ServingStatus::Serving as i32);
    for service in ["writ.v1.RequestService", "journal", "corp"] {
        let refused = health.check(ask(service)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{service}");
    }
    let mut watching = health.watch(ask("")).await.unwrap().into_inner();
    watching.message().await.unwrap();
    let stopping = tokio::spawn(world.broker.stop());
    let said = watching.message().await.unwrap().unwrap();
    assert_eq!(said.status, ServingStatus::NotServing as i32);
    drop((watching, health));
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_and_headers_are_refused_and_others_go_on() {
    let world = world().await;
    let mia = world.client("mia").await;
    let refused = mia
        .requests()
        .create_request(wish(&"x".repeat(MESSAGE_MAX)))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::OutOfRange);
    let refused = mia
        .requests()
        .create_request(wish(&"x".repeat(2_000)))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), Some(Reason::InvalidArgument));

    let channel = world.channel().await;
    let large = "x".repeat(HEADERS_MAX as usize);
    let path = "/writ.v1.ScopeService/ListScopes";
    let refused = raw(&channel, path, &[("authorization", &large)])
        .await
        .unwrap_err();
    assert_ne!(refused.code(), Code::Ok);
    assert_ne!(
        reason(&refused),
        Some(Reason::NotAuthenticated),
        "it was not even read"
    );
    assert!(
        mia.scopes()
            .list_scopes(v1::ListScopesRequest {})
            .await
            .is_ok()
    );
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_proves_nobody_too_often_is_cut() {
    let world = world().await;
    let channel = world.channel().await;
    let path = "/writ.v1.ScopeService/ListScopes";
    let mut refused = 0;
    for _ in 0..crate::limits::FAILED_PROOFS_PER_CONNECTION_MAX * 2 {
        match raw(&channel, path, &[("authorization", "Bearer x.y.z")]).await {
            Err(status) if reason(&status) == Some(Reason::NotAuthenticated) => refused += 1,
            Err(_) => break,
            Ok(()) => panic!("it got in"),
        }
    }
    let most = crate::limits::FAILED_PROOFS_PER_CONNECTION_MAX + 1;
    assert!(refused <= most, "{refused}");
    let mia = world.client("mia").await;
    assert!(
        mia.scopes()
            .list_scopes(v1::ListScopesRequest {})
            .await
            .is_ok()
    );
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_who_asks_too_often_is_held_back_and_the_others_are_not() {
    let world = world().await;
    let (mia, pat) = (world.client("mia").await, world.client("pat").await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..crate::limits::CALLS_BURST + 400 {
        let mia = mia.clone();
        calls.spawn(async move {
            mia.journal()
                .get_checkpoint(v1::GetCheckpointRequest {})
                .await
        });
    }
    let mut held_back = 0;
    while let Some(done) = calls.join_next().await {
        match done.unwrap() {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(reason(&status), Some(Reason::RateLimited), "{status:?}");
                held_back += 1;
            }
        }
    }
    assert!(held_back > 0);
    assert!(
        pat.scopes()
            .list_scopes(v1::ListScopesRequest {})
            .await
            .is_ok()
    );
    world.broker.stop().await.unwrap();
}
