//! A real broker, a real client, real tokens; only AWS is missing.

use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use writ_api::client::{Address, Client, Token};
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::request::State;

use writ_engine::Moment;

use super::*;
use crate::clock::ManualHand;
use crate::config::{Log, Store, TlsFiles};
use crate::identity::tests::{TestIssuer, noon};
use crate::issuer::{AwsSettings, CredentialSource};

struct World {
    broker: Broker,
    corp: TestIssuer,
    hand: ManualHand,
    folder: tempfile::TempDir,
    // Kept: the directory names it.
    _github: TestIssuer,
}

fn config(folder: &Path, listener: Listener, issuers: [&TestIssuer; 2]) -> Config {
    let [corp, github] = issuers;
    Config {
        listener,
        store: Store {
            path: folder.join("writ.db"),
            signing_key_file: folder.join("writ.key"),
            origin: "writ.example.com/journal".to_owned(),
        },
        bundle: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies"),
        issuers: vec![corp.config(), github.github_config()],
        aws: AwsSettings {
            credentials: CredentialSource::Environment,
            role_session: true,
            endpoint_url: Some("http://127.0.0.1:1".to_owned()),
            external_id: None,
        },
        log: Log::default(),
    }
}

fn loopback() -> Listener {
    Listener::Tcp {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
    }
}

async fn world_on(listener: impl FnOnce(&Path) -> Listener) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (corp, github) = (TestIssuer::start().await, TestIssuer::start().await);
    let config = config(folder.path(), listener(folder.path()), [&corp, &github]);
    let (clock, hand) = Clock::manual(noon());
    let broker = Broker::start_at(config, clock).await.unwrap();
    World {
        broker,
        corp,
        hand,
        folder,
        _github: github,
    }
}

async fn world() -> World {
    world_on(|_| loopback()).await
}

impl World {
    fn address(&self) -> Address {
        self.broker.at().to_string().parse().unwrap()
    }

    fn token(&self, person: &str) -> Token {
        // As `policies/directory.hcl` knows them.
        let subject = match person {
            "mia" => "00u1mia",
            "pat" => "00u2pat",
            other => panic!("{other} is not in these tests"),
        };
        let draft = self.corp.draft("ES256");
        let token = draft.claim("sub", subject.into()).sign();
        Token::new(&token).unwrap()
    }

    async fn client(&self, person: &str) -> Client {
        let token = self.token(person);
        Client::connect(&self.address(), Some(&token), None)
            .await
            .unwrap()
    }

    async fn channel(&self) -> Channel {
        let uri = self.broker.at().to_string();
        Endpoint::try_from(uri).unwrap().connect().await.unwrap()
    }
}

fn wish(reason: &str) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        scope: "prod-db-read".to_owned(),
        duration: Some(prost_types::Duration {
            seconds: 2_700,
            nanos: 0,
        }),
        reason: reason.to_owned(),
        ticket: Some("INC-42".to_owned()),
        idempotency_key: None,
    }
}

async fn create(client: &Client, reason: &str) -> v1::Request {
    let made = client
        .requests()
        .create_request(wish(reason))
        .await
        .unwrap();
    made.into_inner().request.unwrap()
}

fn reason(status: &Status) -> Option<Reason> {
    Problem::from_status(status).reason
}

/// Calls any method by its path with an empty message.
async fn raw(channel: &Channel, path: &str, headers: &[(&str, &str)]) -> Result<(), Status> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_ends_its_streams_with_a_reason_and_keeps_what_it_acknowledged() {
    let world = world().await;
    let mia = world.client("mia").await;
    let made = create(&mia, "kept over a restart").await;
    let watched = v1::WatchRequestRequest {
        id: made.id.clone(),
    };
    let mut watching = mia
        .requests()
        .watch_request(watched)
        .await
        .unwrap()
        .into_inner();
    watching.message().await.unwrap();
    let stopping = tokio::spawn(world.broker.stop());
    let said = watching.message().await.unwrap_err();
    assert_eq!(reason(&said), Some(Reason::ShuttingDown));
    stopping.await.unwrap().unwrap();

    let config = config(
        world.folder.path(),
        loopback(),
        [&world.corp, &world._github],
    );
    let (clock, hand) = Clock::manual(noon());
    let broker = Broker::start_at(config, clock).await.unwrap();
    let world = World {
        broker,
        hand,
        ..world
    };
    let mia = world.client("mia").await;
    let asked = v1::GetRequestRequest { id: made.id };
    let found = mia
        .requests()
        .get_request(asked)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.request.unwrap().reason, "kept over a restart");
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_serves_and_is_gone_afterwards() {
    let world = world_on(|folder| Listener::Unix {
        path: folder.join("run/writ.sock"),
    })
    .await;
    let path = world.folder.path().join("run/writ.sock");
    let mia = world.client("mia").await;
    create(&mia, "over a socket").await;
    assert!(path.exists());
    drop(mia);
    world.broker.stop().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_serves_those_who_trust_its_certificate_and_nobody_in_the_clear() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let world = world_on(|folder| {
        use std::os::unix::fs::PermissionsExt as _;
        let files = TlsFiles {
            cert_file: folder.join("cert.pem"),
            key_file: folder.join("key.pem"),
        };
        std::fs::write(&files.cert_file, &pem).unwrap();
        std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&files.key_file, mode).unwrap();
        Listener::Tcp {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: Some(files),
        }
    })
    .await;
    let At::Tcp { address, tls: true } = *world.broker.at() else {
        panic!("{:?}", world.broker.at());
    };
    let named: Address = format!("https://localhost:{}", address.port())
        .parse()
        .unwrap();
    let token = world.token("mia");
    let mia = Client::connect(&named, Some(&token), Some(pem.as_bytes()))
        .await
        .unwrap();
    create(&mia, "over TLS").await;
    assert!(Client::connect(&named, Some(&token), None).await.is_err());
    let plain: Address = format!("http://localhost:{}", address.port())
        .parse()
        .unwrap();
    // The connection may come up; no call on it does.
    if let Ok(plain) = Client::connect(&plain, Some(&token), None).await {
        assert!(
            plain
                .scopes()
                .list_scopes(v1::ListScopesRequest {})
                .await
                .is_err()
        );
    }
    drop(mia);
    world.broker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_what_serve_would_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (corp, github) = (TestIssuer::start().await, TestIssuer::start().await);
    let good = config(folder.path(), loopback(), [&corp, &github]);
    check(&good).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(corp.asked_in_all(), 0);

    let mut unnamed = good.clone();
    unnamed.issuers.pop();
    let said = check(&unnamed).unwrap_err().to_string();
    assert!(said.contains("names the issuer `github`"), "{said}");

    let mut nowhere = good.clone();
    nowhere.bundle = folder.path().join("none");
    assert!(matches!(check(&nowhere), Err(ServeError::Bundle(_))));

    std::fs::write(&good.store.path, "").unwrap();
    assert!(matches!(check(&good), Err(ServeError::KeyMissing { .. })));
    let started = Broker::start(good).await;
    assert!(matches!(started, Err(ServeError::KeyMissing { .. })));
}
