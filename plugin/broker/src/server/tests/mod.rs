//! A real broker, a real client, real tokens; only AWS is missing.

mod calls;
mod door;
mod grants;
mod keeping;
mod life;
mod limits;
mod quiet;
mod room;

use std::path::{Path, PathBuf};
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
use crate::aws::{AwsSettings, CredentialSource};
use crate::bundle::Source;
use crate::clock::ManualHand;
use crate::config::{Log, Store, TlsFiles};
use crate::identity::tests::{TestIssuer, noon};

struct World {
    broker: Broker,
    corp: TestIssuer,
    hand: ManualHand,
    folder: tempfile::TempDir,
    // Kept: the directory names it.
    _github: TestIssuer,
}

/// The folder of the bundle we ship.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
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
        bundle: Source::Folder(shipped()),
        issuers: vec![corp.config(), github.github_config()],
        aws: AwsSettings {
            credentials: CredentialSource::Environment,
            role_session: true,
            endpoint_url: Some("http://127.0.0.1:1".to_owned()),
            external_id: None,
            revoker: None,
        },
        notices: None,
        log: Log::default(),
    }
}

fn loopback() -> Listener {
    Listener::Tcp {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
    }
}

/// A disk that is never full.
fn plenty() -> Room {
    Room::said_by(|| Ok(u64::MAX))
}

async fn world_on(listener: impl FnOnce(&Path) -> Listener) -> World {
    world_with(listener, plenty()).await
}

async fn world_with(listener: impl FnOnce(&Path) -> Listener, room: Room) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (corp, github) = (TestIssuer::start().await, TestIssuer::start().await);
    let config = config(folder.path(), listener(folder.path()), [&corp, &github]);
    let (clock, hand) = Clock::manual(noon());
    let broker = Broker::start_at(config, clock, room).await.unwrap();
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
        ..Default::default()
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
