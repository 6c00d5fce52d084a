//! Every limit of the broker's that a stranger can reach: up to it all is served, one more is refused in clear words, others
//! are served all the while, and what is given back can be had again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tonic::Streaming;
use writ_api::client::Client;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_broker::desk::OPEN_REQUESTS_MAX;
use writ_broker::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, STREAMS_PER_PRINCIPAL_MAX,
};
use writ_engine::case::LIVE_SESSIONS_MAX;
use writ_tests::{World, ask, issue, wish};

/// What one caller can have so many of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Thing {
    OpenRequest,
    LiveSession,
    Watcher,
    Follower,
}

/// One of them, held.
enum Held {
    Request(String),
    Session,
    Watcher(Streaming<v1::WatchRequestResponse>),
    Follower(Streaming<v1::FollowEventsResponse>),
}

/// A caller, what they may ask for at once, and one request of theirs that is approved.
struct Caller {
    client: Client,
    scope: &'static str,
    request: String,
}

impl Caller {
    async fn of(client: Client, scope: &'static str) -> Caller {
        let request = ask(&client, wish(scope, 600, "the first"))
            .await
            .unwrap()
            .id;
        Caller {
            client,
            scope,
            request,
        }
    }

    async fn take(&self, thing: Thing) -> Result<Held, Problem> {
        let problem = |status| Problem::from_status(&status);
        let id = self.request.clone();
        Ok(match thing {
            Thing::OpenRequest => {
                let made = ask(&self.client, wish(self.scope, 600, "one more")).await?;
                Held::Request(made.id)
            }
            Thing::LiveSession => {
                issue(&self.client, &id).await?;
                Held::Session
            }
            Thing::Watcher => {
                let watch = v1::WatchRequestRequest { id };
                let opened = self.client.requests().watch_request(watch).await;
                Held::Watcher(opened.map_err(problem)?.into_inner())
            }
            Thing::Follower => {
                let follow = v1::FollowEventsRequest { from_sequence: 0 };
                let opened = self.client.journal().follow_events(follow).await;
                Held::Follower(opened.map_err(problem)?.into_inner())
            }
        })
    }

    /// Gives one back, where that can be done.
    async fn give_back(&self, held: Held) -> bool {
        match held {
            Held::Request(id) => {
                let back = v1::WithdrawRequestRequest { id };
                self.client.requests().withdraw_request(back).await.unwrap();
                true
            }
            Held::Watcher(stream) => {
                drop(stream);
                true
            }
            Held::Follower(stream) => {
                drop(stream);
                true
            }
            // STS takes none back.
            Held::Session => false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_so_many_of_a_thing_and_no_more_and_others_have_theirs() {
    // What a caller has of it already, how many there may be, and how one more is refused.
    let table = [
        (
            Thing::OpenRequest,
            1,
            OPEN_REQUESTS_MAX,
            Reason::TooManyOpenRequests,
            "as many open requests as one principal may have",
            "`writ withdraw ID` takes one back",
        ),
        (
            Thing::LiveSession,
            0,
            LIVE_SESSIONS_MAX,
            Reason::TooManySessions,
            "as many sessions as one grant may have",
            "use the credentials given last",
        ),
        (
            Thing::Watcher,
            0,
            STREAMS_PER_PRINCIPAL_MAX,
            Reason::RateLimited,
            "as many streams open as one may have",
            "close one",
        ),
        (
            Thing::Follower,
            0,
            STREAMS_PER_PRINCIPAL_MAX,
            Reason::RateLimited,
            "as many streams open as one may have",
            "close one",
        ),
    ];
    for (thing, had, most, reason, message, hint) in table {
        let world = World::start().await;
        let sam = Caller::of(world.as_person("sam").await, "prod-db-read").await;
        let other = Caller::of(world.as_ci("main").await, "payments-deploy").await;
        let mut held = Vec::new();
        for number in had..most {
            let taken = sam.take(thing).await;
            held.push(taken.unwrap_or_else(|problem| panic!("{thing:?} {number}: {problem:?}")));
        }
        for _ in 0..2 {
            let problem = sam.take(thing).await.err().expect("one too many");
            assert_eq!(problem.reason, Some(reason), "{thing:?}: {problem:?}");
            assert!(problem.message.contains(message), "{thing:?}: {problem:?}");
            assert!(problem.hint.unwrap().contains(hint), "{thing:?}");
        }
        // Nobody else feels it, and neither do their own other calls.
        assert!(other.take(thing).await.is_ok(), "{thing:?}");
        let get = v1::GetRequestRequest {
            id: sam.request.clone(),
        };
        sam.client.requests().get_request(get).await.unwrap();

        if sam.give_back(held.pop().unwrap()).await {
            // A stream's place is free once the broker has noticed that its reader is gone.
            let mut again = sam.take(thing).await;
            for _ in 0..100 {
                if again.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                again = sam.take(thing).await;
            }
            assert!(again.is_ok(), "{thing:?}: {:?}", again.err());
        }
    }
}

/// A connection from one of this machine's own addresses.
async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether the broker has kept a connection: it closes one that is too many at once, and a kept one says nothing before its
/// client does, or greets it.
async fn is_kept(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match tokio::time::timeout(Duration::from_millis(500), stream.read(&mut byte)).await {
        Ok(Ok(0) | Err(_)) => false,
        Ok(Ok(_)) | Err(_) => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_for_each_address_and_in_all_and_those_inside_are_served() {
    let mut world = World::start().await;
    world.stop();
    let to = world.listen_on_tcp();
    world.up().await;
    // From 127.0.0.1, as every client of this test but the crowd.
    let mia = world.as_person("mia").await;
    let served = async || {
        let list = v1::ListScopesRequest {};
        mia.scopes().list_scopes(list).await.is_ok()
    };
    assert!(served().await);

    let crowd = |last: u8| Ipv4Addr::new(127, 0, 0, last);
    let mut inside = Vec::new();
    let addresses = u8::try_from(CONNECTIONS_MAX / CONNECTIONS_PER_ADDRESS_MAX).unwrap();
    let mut left = CONNECTIONS_MAX - 1;
    for last in 2..2 + addresses {
        let fits = left.min(CONNECTIONS_PER_ADDRESS_MAX);
        for _ in 0..fits {
            inside.push(connect(crowd(last), to).await);
        }
        left -= fits;
        if fits == CONNECTIONS_PER_ADDRESS_MAX {
            assert!(
                is_kept(inside.last_mut().unwrap()).await,
                "the last of {last}"
            );
            let mut one_more = connect(crowd(last), to).await;
            assert!(!is_kept(&mut one_more).await, "one too many of {last}");
        }
        assert!(served().await, "beside the crowd of {last}");
    }
    assert_eq!(left, 0);
    assert!(is_kept(inside.last_mut().unwrap()).await);
    let mut stranger = connect(crowd(200), to).await;
    assert!(!is_kept(&mut stranger).await, "the broker is full");
    assert!(served().await, "in a full broker");
    assert!(world.logged("too many connections") > 0);

    inside.truncate(inside.len() - 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut stranger = connect(crowd(200), to).await;
    assert!(is_kept(&mut stranger).await, "there is a place again");
}
