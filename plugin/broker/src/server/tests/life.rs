//! Starting, serving on each kind of place, and stopping.

use super::*;

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
    let broker = Broker::start_at(config, clock, plenty()).await.unwrap();
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
    nowhere.bundle = Source::Folder(folder.path().join("none"));
    assert!(matches!(check(&nowhere), Err(ServeError::Bundle(_))));

    std::fs::write(&good.store.path, "").unwrap();
    assert!(matches!(check(&good), Err(ServeError::KeyMissing { .. })));
    let started = Broker::start(good).await;
    assert!(matches!(started, Err(ServeError::KeyMissing { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_bundle_comes_into_force_on_record_and_a_broken_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (corp, github) = (TestIssuer::start().await, TestIssuer::start().await);
    let mut config = config(folder.path(), loopback(), [&corp, &github]);
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    for (name, text) in crate::bundle::read(&shipped()).unwrap().0 {
        std::fs::write(policies.join(name), text).unwrap();
    }
    config.bundle = Source::Folder(policies.clone());
    let (clock, hand) = Clock::manual(noon());
    let broker = Broker::start_at(config, clock, plenty()).await.unwrap();
    let world = World {
        broker,
        corp,
        hand,
        folder,
        _github: github,
    };
    let mia = world.client("mia").await;
    let follow = v1::FollowEventsRequest { from_sequence: 0 };
    let mut following = mia
        .journal()
        .follow_events(follow)
        .await
        .unwrap()
        .into_inner();
    following.message().await.unwrap();
    let good = world.broker.desk().bundle().digest();

    std::fs::write(policies.join("broken.cedar"), "permit (").unwrap();
    world.broker.reload();
    create(&mia, "decided by the last good one").await;
    let seen = following.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(seen.kind, "requested", "a broken bundle leaves no trace");
    assert_eq!(world.broker.desk().bundle().digest(), good);

    std::fs::remove_file(policies.join("broken.cedar")).unwrap();
    std::fs::write(policies.join("more.cedar"), "// nothing yet\n").unwrap();
    world.broker.reload();
    let seen = following.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(seen.kind, "bundle_loaded");
    assert_ne!(world.broker.desk().bundle().digest(), good);
    world.broker.stop().await.unwrap();
}
