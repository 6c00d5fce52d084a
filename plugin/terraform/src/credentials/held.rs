//! One request while this process needs it: made, followed until it is decided, and said to be needed again and again.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use goplugin::{Masked, mask};
use tokio::sync::{Mutex, watch};
use writ_api::v1;
use writ_api::v1::request::State;

use super::wish::Wish;
use super::{Pace, TRIES_MAX};
use crate::clock::left_s;
use crate::connection::Broker;
use crate::duration::Length;
use crate::failure::{Failure, Kind};
use crate::run::Run;
use crate::words;

/// A request, and what is known of it.
pub(crate) struct Held {
    /// The broker it is made at.
    pub(super) broker: Arc<Broker>,
    /// What is asked for.
    pub(super) wish: Wish,
    pace: Pace,
    seen: watch::Sender<Seen>,
    /// The session that all users share; whoever issues one holds the lock, so that the others wait for it.
    session: Mutex<Option<Session>>,
}

/// Session credentials, kept out of the log for as long as they are held.
struct Session {
    issued: Arc<v1::IssueCredentialsResponse>,
    _masked: Vec<Masked>,
}

impl Session {
    fn new(issued: v1::IssueCredentialsResponse) -> Session {
        let secrets = issued
            .credentials
            .iter()
            .flat_map(|credentials| [&credentials.secret_access_key, &credentials.session_token]);
        Session {
            _masked: secrets.map(|secret| mask(secret)).collect(),
            issued: Arc::new(issued),
        }
    }
}

/// What is known of a request.
#[derive(Default)]
struct Seen {
    /// The request, once it is made.
    request: Option<v1::Request>,
    /// Why nothing can come of it.
    failure: Option<Failure>,
    /// Whether it has been ended, one way or another, and this process is done with it.
    gone: bool,
}

impl Held {
    /// A request that is not made yet.
    pub(super) fn new(broker: Arc<Broker>, wish: Wish, pace: Pace) -> Held {
        Held {
            broker,
            wish,
            pace,
            seen: watch::Sender::default(),
            session: Mutex::new(None),
        }
    }

    /// The request as it was last seen.
    pub(crate) fn request(&self) -> Option<v1::Request> {
        self.seen.borrow().request.clone()
    }

    /// Whether it is the request of this id.
    pub(super) fn is(&self, id: &str) -> bool {
        let seen = self.seen.borrow();
        seen.request.as_ref().is_some_and(|it| it.id == id)
    }

    /// Makes the request, or finds the one that the plan of the same run made.
    pub(super) async fn ask(&self, run: &Run) -> Option<String> {
        let wish = self.wish.on_the_wire(run, self.pace.keep_for);
        match self.again(|| self.broker.create(&wish)).await {
            Ok(request) => {
                let id = request.id.clone();
                tracing::info!(
                    request = %id,
                    scope = %self.wish.scope,
                    run = run.as_str(),
                    "asked"
                );
                self.see(request);
                Some(id)
            }
            Err(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    /// Keeps the request and follows it, for as long as it is polled.
    pub(super) async fn live(&self, id: &str) -> Infallible {
        tokio::join!(self.beat(id), self.follow(id));
        pending().await
    }

    /// Tells the broker again and again that somebody is there, until the request has ended.
    async fn beat(&self, id: &str) {
        let mut silent = false;
        while !self.has_ended() {
            let pause = match self.broker.keep(id, self.pace.keep_for).await {
                Ok(request) => {
                    if std::mem::take(&mut silent) {
                        tracing::info!(request = id, "the broker keeps the request again");
                    }
                    self.see(request);
                    self.pace.heartbeat
                }
                Err(failure) => {
                    if failure.kind == Kind::WrongState {
                        self.look(id).await;
                    } else if !std::mem::replace(&mut silent, true) {
                        tracing::warn!(
                            request = id,
                            keep_for_s = self.pace.keep_for.as_s(),
                            "the broker cannot be told that the request is still needed, and will take it back by itself: {}",
                            failure.diagnostic.line()
                        );
                    }
                    self.pace.heartbeat.min(self.pace.pause_max)
                }
            };
            if !self.has_ended() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Follows the request until it is decided. The connection may break as often as it likes: the broker's word, not the
    /// stream's end, ends the wait.
    async fn follow(&self, id: &str) {
        let mut pause = self.pace.pause_min;
        let mut refused_once = false;
        while self.is_pending() {
            match self.changes(id, &mut refused_once).await {
                Ok(()) => pause = self.pace.pause_min,
                Err(failure) if failure.kind == Kind::Unreachable => {
                    if pause == self.pace.pause_min {
                        tracing::warn!(
                            request = id,
                            "the broker went away while it was waited for, trying again: {}",
                            failure.diagnostic.line()
                        );
                    }
                }
                // A token may end during a long wait; connecting again reads a fresh one. Twice is once too often.
                Err(failure) if failure.kind == Kind::NotAuthenticated && !refused_once => {
                    refused_once = true;
                }
                Err(failure) => return self.fail(failure),
            }
            if self.is_pending() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(self.pace.pause_max);
            }
        }
    }

    /// One stream of its changes, until it is decided or the stream ends.
    async fn changes(&self, id: &str, refused_once: &mut bool) -> Result<(), Failure> {
        let mut changes = self.broker.watch(id).await?;
        while let Some(request) = changes.next().await? {
            *refused_once = false;
            self.see(request);
            if !self.is_pending() {
                break;
            }
        }
        Ok(())
    }

    /// Looks where it stands.
    pub(super) async fn look(&self, id: &str) {
        if let Ok(request) = self.broker.get(id).await {
            self.see(request);
        }
    }

    /// Remembers what was seen, unless something later was.
    pub(super) fn see(&self, request: v1::Request) {
        let told = words::waiting(&request);
        let news = self.seen.send_if_modified(|seen| {
            let before = seen.request.as_ref();
            if before.is_some_and(|before| step(before) > step(&request)) {
                return false;
            }
            let differs = before.is_none_or(|before| before.state != request.state);
            seen.request = Some(request.clone());
            differs
        });
        let id = words::short(&request.id);
        let scope = words::escape(&request.scope);
        match (news, told, words::ended(&request)) {
            (false, ..) => {}
            // The one line to look for while nothing seems to happen: Terraform itself says only "Still opening".
            (true, Some(waiting), _) => tracing::warn!("`{id}` for `{scope}`: {waiting}"),
            (true, None, Some(ended)) => tracing::info!("`{id}` for `{scope}` has ended: {ended}"),
            (true, None, None) => tracing::info!("`{id}` for `{scope}` may be used"),
        }
    }

    fn fail(&self, failure: Failure) {
        self.seen.send_modify(|seen| seen.failure = Some(failure));
    }

    /// This process is done with it.
    pub(super) fn is_gone_now(&self) {
        self.seen.send_modify(|seen| seen.gone = true);
    }

    /// Waits until this process is done with it.
    pub(super) async fn gone(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.seen.subscribe().wait_for(|seen| seen.gone).await;
    }

    fn is_pending(&self) -> bool {
        let seen = self.seen.borrow();
        let state = seen.request.as_ref().and_then(|it| it.state.as_ref());
        seen.failure.is_none() && matches!(state, Some(State::Pending(_)))
    }

    fn has_ended(&self) -> bool {
        let seen = self.seen.borrow();
        seen.request
            .as_ref()
            .is_some_and(|it| step(it) == Step::Ended)
    }

    /// Waits until the request is no longer pending.
    pub(super) async fn decided(&self) -> Result<v1::Request, Failure> {
        let mut seen = self.seen.subscribe();
        let outcome = seen
            .wait_for(|seen| {
                let step = seen.request.as_ref().map(step);
                seen.failure.is_some() || step.is_some_and(|step| step > Step::Pending)
            })
            .await
            .map(|seen| (seen.failure.clone(), seen.request.clone()));
        match outcome {
            Ok((Some(failure), _)) => Err(failure),
            Ok((None, Some(request))) => Ok(request),
            // One of the two is there, and the sender lives in `self`.
            Ok((None, None)) | Err(_) => pending().await,
        }
    }

    /// Session credentials that work for at least `least` longer if any can: those that the others use, or new ones.
    pub(super) async fn session(
        &self,
        id: &str,
        least: Length,
    ) -> Result<Arc<v1::IssueCredentialsResponse>, Failure> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot
            && lasts_s(&session.issued) >= i64::from(least.as_s())
        {
            return Ok(Arc::clone(&session.issued));
        }
        let session = Session::new(self.again(|| self.broker.issue(id)).await?);
        let issued = Arc::clone(&session.issued);
        *slot = Some(session);
        if let Some(request) = &issued.request {
            self.see(request.clone());
        }
        Ok(issued)
    }

    /// The session that is shared, if there is one and nobody is making another.
    pub(super) fn current_session(&self) -> Option<Arc<v1::IssueCredentialsResponse>> {
        let slot = self.session.try_lock().ok()?;
        slot.as_ref().map(|session| Arc::clone(&session.issued))
    }

    /// A call that is made again where nobody answered.
    async fn again<T, F>(&self, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pause = self.pace.pause_min;
        for _ in 1..TRIES_MAX {
            match call().await {
                Err(failure) if failure.kind == Kind::Unreachable => {
                    tracing::info!("trying again: {}", failure.diagnostic.line());
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.pace.pause_max);
                }
                settled => return settled,
            }
        }
        call().await
    }
}

/// How many seconds credentials still work.
pub(super) fn lasts_s(session: &v1::IssueCredentialsResponse) -> i64 {
    let credentials = session.credentials.as_ref();
    left_s(credentials.and_then(|it| it.expires_at.as_ref()))
}

/// How far a request has come. It never goes back, but what is heard of it may arrive out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Pending,
    Approved,
    Active,
    Ended,
}

fn step(request: &v1::Request) -> Step {
    match &request.state {
        Some(State::Pending(_)) => Step::Pending,
        Some(State::Approved(_)) => Step::Approved,
        Some(State::Active(_)) => Step::Active,
        Some(
            State::Expired(_)
            | State::Denied(_)
            | State::Withdrawn(_)
            | State::Lapsed(_)
            | State::Released(_)
            | State::Revoked(_),
        )
        // A state that this provider does not know gives nothing.
        | None => Step::Ended,
    }
}
