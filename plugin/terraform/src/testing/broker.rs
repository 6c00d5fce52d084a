//! A broker that does as it is told: the real protocol over a real socket, and no policy.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::request::State;

use crate::clock::{in_s, now_s};

/// The token that proves somebody.
pub(crate) const TOKEN: &str = "the-right-token";

/// A moment so many seconds from now.
pub(crate) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(in_s(seconds))
}

/// One manager: pat or sue.
pub(crate) fn way() -> v1::Way {
    v1::Way {
        needs: vec![v1::Need {
            kind: "manager".to_owned(),
            count: 1,
            people: vec!["pat".to_owned(), "sue".to_owned()],
            more: false,
        }],
        feasible: true,
        because: vec![v1::PolicyRef {
            id: "proddb.engineer".to_owned(),
            file: "access.cedar".to_owned(),
            line: 9,
        }],
    }
}

/// What the broker knows, and how it is told to behave.
pub(crate) struct World {
    /// Every request, in order.
    pub(crate) requests: Vec<v1::Request>,
    runs: Vec<String>,
    /// Every call, in order: `create`, `keep 90`, `issue` …
    pub(crate) calls: Vec<String>,
    /// The tokens that prove somebody.
    pub(crate) tokens: Vec<&'static str>,
    /// Whether requests are approved as they are made.
    pub(crate) grants: bool,
    /// What every call with this name is refused with.
    pub(crate) refuses: Option<(&'static str, Problem)>,
    /// How long a window is, in seconds, whatever was asked for; 0: as asked for.
    pub(crate) window_s: i64,
    /// How long a session works, in seconds.
    pub(crate) session_s: i64,
    /// Sessions given.
    pub(crate) sessions: u32,
    /// What a dry run answers.
    pub(crate) decision: Option<v1::Decision>,
    /// What there is to ask for.
    pub(crate) scopes: Vec<v1::Scope>,
    /// Streams open now.
    pub(crate) watching: usize,
    /// Whether credentials come only when the test says so.
    pub(crate) issue_hangs: bool,
}

#[derive(Clone)]
struct Desk {
    world: Arc<Mutex<World>>,
    changes: watch::Sender<u64>,
}

/// A broker on this machine; gone with everything it has open when dropped.
pub(crate) struct FakeBroker {
    desk: Desk,
    address: SocketAddr,
    tls: Option<Identity>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl FakeBroker {
    /// A broker that grants everything.
    pub(crate) fn granting() -> FakeBroker {
        FakeBroker::new(true, None)
    }

    /// A broker where everything waits for the test's approval.
    pub(crate) fn asking() -> FakeBroker {
        FakeBroker::new(false, None)
    }

    /// A broker that shows this certificate.
    pub(crate) fn with_tls(identity: Identity) -> FakeBroker {
        FakeBroker::new(true, Some(identity))
    }

    fn new(grants: bool, tls: Option<Identity>) -> FakeBroker {
        let desk = Desk {
            world: Arc::new(Mutex::new(World {
                requests: Vec::new(),
                runs: Vec::new(),
                calls: Vec::new(),
                tokens: vec![TOKEN],
                grants,
                refuses: None,
                window_s: 0,
                session_s: 3_600,
                sessions: 0,
                decision: None,
                scopes: Vec::new(),
                watching: 0,
                issue_hangs: false,
            })),
            changes: watch::Sender::new(0),
        };
        let mut broker = FakeBroker {
            desk,
            address: "127.0.0.1:0".parse().unwrap(),
            tls,
            running: None,
        };
        broker.start();
        broker
    }

    pub(crate) fn address(&self) -> String {
        match self.tls {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.desk.world.lock().unwrap()
    }

    /// Everything it has open breaks, as when it is killed.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            running.thread.join().unwrap();
        }
    }

    /// Starts again, at the same address.
    pub(crate) fn start(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let desk = self.desk.clone();
        let tls = self.tls.clone();
        let (stop, stopped) = oneshot::channel();
        // A runtime of its own: when it goes, so do all its connections.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let mut server = tonic::transport::Server::builder();
                if let Some(identity) = tls {
                    let config = ServerTlsConfig::new().identity(identity);
                    server = server.tls_config(config).unwrap();
                }
                let server = server
                    .add_service(v1::request_service_server::RequestServiceServer::new(
                        desk.clone(),
                    ))
                    .add_service(v1::scope_service_server::ScopeServiceServer::new(desk))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    served = server => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        self.running = Some(Running { stop, thread });
    }

    /// Changes the last request.
    pub(crate) fn change(&self, change: impl FnOnce(&mut v1::Request)) {
        self.world()
            .requests
            .last_mut()
            .map(change)
            .expect("there is no request");
        self.desk.changed();
    }

    /// pat approves the last request.
    pub(crate) fn approve(&self) {
        self.change(|request| {
            request.approvals.push(v1::Approval {
                approver: "pat".to_owned(),
                kinds: vec!["manager".to_owned()],
                approved_at: at(0),
                on_behalf_of: None,
            });
            request.state = Some(approved());
        });
    }

    /// pat denies the last request.
    pub(crate) fn deny(&self, reason: &str) {
        self.change(|request| {
            request.state = Some(State::Denied(v1::DeniedState {
                approver: "pat".to_owned(),
                reason: reason.to_owned(),
                denied_at: at(0),
            }));
        });
    }

    /// Someone else ends the last request.
    pub(crate) fn release(&self) {
        self.change(|request| request.state = Some(released()));
    }

    /// How many calls there were with this name.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.world()
            .calls
            .iter()
            .filter(|it| it.as_str() == call)
            .count()
    }

    /// The last request's state, by name.
    pub(crate) fn state(&self) -> &'static str {
        match self.world().requests.last().map(|it| &it.state) {
            None => "none",
            Some(Some(State::Pending(_))) => "pending",
            Some(Some(State::Approved(_))) => "approved",
            Some(Some(State::Active(_))) => "active",
            Some(Some(State::Withdrawn(_))) => "withdrawn",
            Some(Some(State::Released(_))) => "released",
            Some(_) => "other",
        }
    }

    /// For how long the last request was last kept, in seconds.
    pub(crate) fn kept_for(&self) -> i64 {
        let world = self.world();
        let kept_until = world.requests.last().and_then(|it| it.kept_until);
        kept_until.map_or(0, |until| until.seconds - now_s())
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
        }
    }
}

fn approved() -> State {
    State::Approved(v1::ApprovedState {
        approved_at: at(0),
        activate_by: at(3_600),
    })
}

fn released() -> State {
    State::Released(v1::ReleasedState { released_at: at(0) })
}

fn pending() -> State {
    State::Pending(v1::PendingState {
        decide_by: Some(prost_types::Timestamp {
            seconds: 1_795_251_600,
            nanos: 0,
        }),
        decision: Some(v1::Decision {
            outcome: Some(v1::decision::Outcome::NeedsApproval(v1::NeedsApproval {
                counted: Default::default(),
                ways: vec![way()],
            })),
        }),
    })
}

fn is_open(request: &v1::Request) -> bool {
    matches!(
        request.state,
        Some(State::Pending(_) | State::Approved(_) | State::Active(_))
    )
}

fn wrong_state(request: &v1::Request) -> Status {
    Problem::new(
        Reason::WrongState,
        format!("request `{}` is at another step", request.id),
    )
    .into_status()
}

impl Desk {
    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Notes the call, and lets it through.
    fn enter<T>(
        &self,
        request: &Request<T>,
        name: &'static str,
        told: String,
    ) -> Result<MutexGuard<'_, World>, Status> {
        let mut world = self.world.lock().unwrap();
        world.calls.push(told);
        let bearer = request.metadata().get("authorization");
        let bearer = bearer.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let known = world
            .tokens
            .iter()
            .any(|token| bearer == format!("Bearer {token}"));
        if !known {
            return Err(
                Problem::new(Reason::NotAuthenticated, "this token proves nobody").into_status(),
            );
        }
        if let Some((refused, problem)) = &world.refuses
            && *refused == name
        {
            return Err(problem.clone().into_status());
        }
        Ok(world)
    }

    fn one<'w>(world: &'w mut World, id: &str) -> Result<&'w mut v1::Request, Status> {
        world
            .requests
            .iter_mut()
            .find(|request| request.id == id)
            .ok_or_else(|| Problem::new(Reason::NotFound, "there is no such request").into_status())
    }
}

type Changes = Pin<Box<dyn Stream<Item = Result<v1::WatchRequestResponse, Status>> + Send>>;

/// Counts a stream for as long as somebody reads it.
struct Watching(Arc<Mutex<World>>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.lock().unwrap().watching -= 1;
    }
}

#[tonic::async_trait]
impl v1::request_service_server::RequestService for Desk {
    async fn create_request(
        &self,
        request: Request<v1::CreateRequestRequest>,
    ) -> Result<Response<v1::CreateRequestResponse>, Status> {
        let mut world = self.enter(&request, "create", "create".to_owned())?;
        let wish = request.into_inner();
        let run = wish.run.clone().unwrap();
        let found = world
            .requests
            .iter()
            .zip(&world.runs)
            .find(|(request, its_run)| {
                **its_run == run
                    && is_open(request)
                    && request.scope == wish.scope
                    && request.duration == wish.duration
                    && request.reason == wish.reason
                    && request.ticket == wish.ticket
            })
            .map(|(request, _)| request.clone());
        let request = found.unwrap_or_else(|| {
            let request = v1::Request {
                id: format!("01JZZZZZZZZZZZZZZZZZZZ{:04}", world.requests.len() + 1),
                scope: wish.scope,
                duration: wish.duration,
                reason: wish.reason,
                ticket: wish.ticket,
                kept_until: wish.keep_for.and_then(|it| at(it.seconds)),
                state: Some(if world.grants { approved() } else { pending() }),
                ..v1::Request::default()
            };
            world.requests.push(request.clone());
            world.runs.push(run);
            request
        });
        Ok(Response::new(v1::CreateRequestResponse {
            request: Some(request),
        }))
    }

    async fn get_request(
        &self,
        request: Request<v1::GetRequestRequest>,
    ) -> Result<Response<v1::GetRequestResponse>, Status> {
        let mut world = self.enter(&request, "get", "get".to_owned())?;
        let request = Desk::one(&mut world, &request.get_ref().id)?.clone();
        Ok(Response::new(v1::GetRequestResponse {
            request: Some(request),
        }))
    }

    async fn list_requests(
        &self,
        _: Request<v1::ListRequestsRequest>,
    ) -> Result<Response<v1::ListRequestsResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    type WatchRequestStream = Changes;

    async fn watch_request(
        &self,
        request: Request<v1::WatchRequestRequest>,
    ) -> Result<Response<Changes>, Status> {
        let id = request.get_ref().id.clone();
        {
            let mut world = self.enter(&request, "watch", "watch".to_owned())?;
            Desk::one(&mut world, &id)?;
            world.watching += 1;
        }
        let desk = self.clone();
        let watching = Watching(Arc::clone(&self.world));
        let changes = WatchStream::new(self.changes.subscribe()).map(move |_| {
            let _ = &watching;
            let mut world = desk.world.lock().unwrap();
            let request = Desk::one(&mut world, &id)?.clone();
            Ok(v1::WatchRequestResponse {
                request: Some(request),
            })
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn approve_request(
        &self,
        _: Request<v1::ApproveRequestRequest>,
    ) -> Result<Response<v1::ApproveRequestResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn deny_request(
        &self,
        _: Request<v1::DenyRequestRequest>,
    ) -> Result<Response<v1::DenyRequestResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn withdraw_request(
        &self,
        request: Request<v1::WithdrawRequestRequest>,
    ) -> Result<Response<v1::WithdrawRequestResponse>, Status> {
        let mut world = self.enter(&request, "withdraw", "withdraw".to_owned())?;
        let found = Desk::one(&mut world, &request.get_ref().id)?;
        if !matches!(found.state, Some(State::Pending(_) | State::Approved(_))) {
            return Err(wrong_state(found));
        }
        found.state = Some(State::Withdrawn(v1::WithdrawnState {
            withdrawn_at: at(0),
        }));
        let request = Some(found.clone());
        drop(world);
        self.changed();
        Ok(Response::new(v1::WithdrawRequestResponse { request }))
    }

    async fn issue_credentials(
        &self,
        request: Request<v1::IssueCredentialsRequest>,
    ) -> Result<Response<v1::IssueCredentialsResponse>, Status> {
        let id = request.get_ref().id.clone();
        let (found, session, session_s, hangs) = {
            let mut world = self.enter(&request, "issue", "issue".to_owned())?;
            let (window_s, session_s) = (world.window_s, world.session_s);
            let found = Desk::one(&mut world, &id)?;
            let length_s = match window_s {
                0 => found.duration.map_or(0, |it| it.seconds),
                window_s => window_s,
            };
            match &found.state {
                Some(State::Approved(_)) => {
                    found.state = Some(State::Active(v1::ActiveState {
                        window: Some(v1::Window {
                            opens_at: at(0),
                            closes_at: at(length_s),
                        }),
                        live_sessions: 1,
                    }));
                }
                Some(State::Active(_)) => {}
                _ => return Err(wrong_state(found)),
            }
            let found = found.clone();
            world.sessions += 1;
            (found, world.sessions, session_s, world.issue_hangs)
        };
        if hangs {
            return std::future::pending().await;
        }
        self.changed();
        let closes_s = crate::words::closes_at(&found).map_or(0, |it| it.seconds);
        Ok(Response::new(v1::IssueCredentialsResponse {
            credentials: Some(v1::Credentials {
                access_key_id: format!("ASIACANARY{session}"),
                secret_access_key: format!("canary-secret-{session}"),
                session_token: format!("canary-session-{session}"),
                expires_at: Some(prost_types::Timestamp {
                    seconds: closes_s.min(now_s() + session_s),
                    nanos: 0,
                }),
                session,
            }),
            request: Some(found),
            role_arn: "arn:aws:iam::123456789012:role/jit".to_owned(),
            region: "eu-west-1".to_owned(),
        }))
    }

    async fn keep_request(
        &self,
        request: Request<v1::KeepRequestRequest>,
    ) -> Result<Response<v1::KeepRequestResponse>, Status> {
        let keep_for = request.get_ref().keep_for.map_or(0, |it| it.seconds);
        let mut world = self.enter(&request, "keep", format!("keep {keep_for}"))?;
        let found = Desk::one(&mut world, &request.get_ref().id)?;
        if !is_open(found) {
            return Err(wrong_state(found));
        }
        found.kept_until = at(keep_for);
        Ok(Response::new(v1::KeepRequestResponse {
            request: Some(found.clone()),
        }))
    }

    async fn release_request(
        &self,
        request: Request<v1::ReleaseRequestRequest>,
    ) -> Result<Response<v1::ReleaseRequestResponse>, Status> {
        let mut world = self.enter(&request, "release", "release".to_owned())?;
        let found = Desk::one(&mut world, &request.get_ref().id)?;
        if !matches!(found.state, Some(State::Active(_))) {
            return Err(wrong_state(found));
        }
        found.state = Some(released());
        let request = Some(found.clone());
        drop(world);
        self.changed();
        Ok(Response::new(v1::ReleaseRequestResponse { request }))
    }

    // What a provider never does.

    async fn extend_request(
        &self,
        _: Request<v1::ExtendRequestRequest>,
    ) -> Result<Response<v1::ExtendRequestResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn revoke_request(
        &self,
        _: Request<v1::RevokeRequestRequest>,
    ) -> Result<Response<v1::RevokeRequestResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn revoke_person(
        &self,
        _: Request<v1::RevokePersonRequest>,
    ) -> Result<Response<v1::RevokePersonResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn review_request(
        &self,
        _: Request<v1::ReviewRequestRequest>,
    ) -> Result<Response<v1::ReviewRequestResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn create_delegation(
        &self,
        _: Request<v1::CreateDelegationRequest>,
    ) -> Result<Response<v1::CreateDelegationResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn list_delegations(
        &self,
        _: Request<v1::ListDelegationsRequest>,
    ) -> Result<Response<v1::ListDelegationsResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }

    async fn end_delegation(
        &self,
        _: Request<v1::EndDelegationRequest>,
    ) -> Result<Response<v1::EndDelegationResponse>, Status> {
        Err(Status::unimplemented("a provider never asks this"))
    }
}

#[tonic::async_trait]
impl v1::scope_service_server::ScopeService for Desk {
    async fn list_scopes(
        &self,
        request: Request<v1::ListScopesRequest>,
    ) -> Result<Response<v1::ListScopesResponse>, Status> {
        let world = self.enter(&request, "scopes", "scopes".to_owned())?;
        Ok(Response::new(v1::ListScopesResponse {
            scopes: world.scopes.clone(),
        }))
    }

    async fn check_access(
        &self,
        request: Request<v1::CheckAccessRequest>,
    ) -> Result<Response<v1::CheckAccessResponse>, Status> {
        let world = self.enter(&request, "check", "check".to_owned())?;
        Ok(Response::new(v1::CheckAccessResponse {
            decision: world.decision.clone(),
        }))
    }
}
