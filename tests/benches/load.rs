//! Clients that ask for grants in a closed loop, of a broker or of the floor.

use std::time::Instant;

use tokio::task::JoinSet;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use writ_api::v1;
use writ_api::v1::request_service_client::RequestServiceClient;
use writ_api::v1::scope_service_client::ScopeServiceClient;

use writ_tests::rounds::median;

/// Grants a user asks for before giving them back: as many requests as one may have open.
pub(crate) const GRANTS_A_USER: usize = 20;

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The issue of a request that was made before.
    Issue,
    /// The request and its issue.
    Both,
}

/// What a load took.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// The median of one grant, in seconds.
    pub(crate) latency: f64,
    /// Grants in a second, of all clients.
    pub(crate) throughput: f64,
}

/// Whom a client asks.
#[derive(Clone)]
pub(crate) enum Asker {
    /// The broker, in turn for each of its users.
    Broker {
        client: RequestServiceClient<Channel>,
        users: Vec<AsciiMetadataValue>,
        ids: Vec<String>,
    },
    /// The floor.
    Floor(ScopeServiceClient<Channel>),
}

impl Asker {
    /// A client of the broker at `url`, for users with these tokens.
    pub(crate) async fn of_broker(url: &str, tokens: &[String]) -> Asker {
        let bearer = |token: &String| format!("Bearer {token}").parse().expect("a header");
        Asker::Broker {
            client: RequestServiceClient::new(connect(url).await),
            users: tokens.iter().map(bearer).collect(),
            ids: Vec::new(),
        }
    }

    /// A client of the floor at `url`.
    pub(crate) async fn of_floor(url: &str) -> Asker {
        Asker::Floor(ScopeServiceClient::new(connect(url).await))
    }

    /// What a grant needs to exist first, when only the issue is timed.
    async fn prepare(&mut self, what: What, grants: usize) {
        for number in 0..grants {
            if what == What::Issue {
                self.ask(number).await;
            }
        }
    }

    async fn grant(&mut self, what: What, number: usize) {
        if what == What::Both {
            self.ask(number).await;
        }
        self.issue(number).await;
    }

    async fn ask(&mut self, number: usize) {
        match self {
            Asker::Broker { client, users, ids } => {
                let wish = v1::CreateRequestRequest {
                    scope: "prod-db-read".to_owned(),
                    duration: Some(prost_types::Duration {
                        seconds: 2_700,
                        nanos: 0,
                    }),
                    reason: "INC-1234: the payments service answers slowly".to_owned(),
                    ticket: Some("INC-1234".to_owned()),
                    ..Default::default()
                };
                let answer = client.create_request(by(users, number, wish)).await;
                let made = answer.expect("a request").into_inner().request;
                ids.push(made.expect("a request").id);
            }
            Asker::Floor(_) => {}
        }
    }

    async fn issue(&mut self, number: usize) {
        match self {
            Asker::Broker { client, users, ids } => {
                let id = ids[number].clone();
                let issue = by(users, number, v1::IssueCredentialsRequest { id });
                let answer = client.issue_credentials(issue).await;
                let given = answer.expect("a grant").into_inner().credentials;
                assert!(given.is_some());
            }
            Asker::Floor(client) => {
                let call = v1::CheckAccessRequest::default();
                client.check_access(call).await.expect("appends");
            }
        }
    }

    /// Leaves room for the next load.
    async fn give_back(&mut self) {
        if let Asker::Broker { client, users, ids } = self {
            for (number, id) in ids.drain(..).enumerate() {
                let release = by(users, number, v1::ReleaseRequestRequest { id });
                client.release_request(release).await.expect("a release");
            }
        }
    }
}

fn by<M>(users: &[AsciiMetadataValue], number: usize, message: M) -> Request<M> {
    let mut request = Request::new(message);
    let token = users[number / GRANTS_A_USER].clone();
    request.metadata_mut().insert("authorization", token);
    request
}

async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address");
    endpoint
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("a server")
}

/// Has each client ask for `grants` grants, one after another, all clients at the same time. The last answer is how much
/// `count` grew in the timed part.
pub(crate) async fn run(
    askers: &[Asker],
    what: What,
    grants: usize,
    count: impl Fn() -> u64,
) -> (Took, u64) {
    let prepare = |mut asker: Asker| async move {
        asker.prepare(what, grants).await;
        asker
    };
    let prepared = together(askers.to_vec(), prepare).await;
    let before = count();
    let start = Instant::now();
    let timed = together(prepared, move |asker| timed(asker, what, grants)).await;
    let all_s = start.elapsed().as_secs_f64();
    let grown = count() - before;
    let (askers, times): (Vec<Asker>, Vec<Vec<f64>>) = timed.into_iter().unzip();
    together(askers, |mut asker| async move { asker.give_back().await }).await;
    let times = times.concat();
    let took = Took {
        throughput: times.len() as f64 / all_s,
        latency: median(times),
    };
    (took, grown)
}

async fn timed(mut asker: Asker, what: What, grants: usize) -> (Asker, Vec<f64>) {
    let mut times = Vec::with_capacity(grants);
    for number in 0..grants {
        let start = Instant::now();
        asker.grant(what, number).await;
        times.push(start.elapsed().as_secs_f64());
    }
    (asker, times)
}

async fn together<F, R>(askers: Vec<Asker>, step: impl Fn(Asker) -> F) -> Vec<R>
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let tasks: JoinSet<R> = askers.into_iter().map(step).collect();
    tasks.join_all().await
}
