//! The server: a broker assembled from its configuration, started, and stopped without losing what it has promised.

mod assemble;
mod gate;
mod health;
mod listen;
mod peer;
mod places;
mod rates;
mod record;
mod requests;
mod scopes;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic_health::pb::health_server::HealthServer;
use writ_api::v1::journal_service_server::JournalServiceServer;
use writ_api::v1::request_service_server::RequestServiceServer;
use writ_api::v1::scope_service_server::ScopeServiceServer;
use writ_engine::Scope;
use writ_engine::bundle::Report;
use writ_engine::digest::CommitId;

use crate::bundle::{BundleSlot, InForce, Refusal, Reload};
use crate::clock::Clock;
use crate::config::{Config, Listener};
use crate::desk::{Desk, DeskError};
use crate::identity::IssuerError;
use crate::journal::KeyError;
use crate::limits::{
    BUNDLE_POLL_MS, BUNDLE_REMINDER_S, CALL_TIMEOUT_S, DRAIN_S, HEADERS_MAX, KEEPALIVE_INTERVAL_S,
    KEEPALIVE_TIMEOUT_S, MESSAGE_MAX, PENDING_RESETS_MAX, STREAMS_PER_CONNECTION_MAX,
    UNHEARD_LOOK_MS,
};
use crate::notices::NoticesError;
use crate::room::Room;
use gate::Gate;

pub use assemble::check;
pub use gate::REQUEST_ID;
pub use listen::{At, ListenError};

/// How much longer than a call the transport waits for the call's message to arrive and be answered, in seconds.
const TRANSPORT_SLACK_S: u64 = 5;

/// Why a broker does not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The bundle is not valid, or does not fit the configuration.
    #[error("{0}")]
    Bundle(Report),
    /// An issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The key that signs checkpoints cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is a journal, but not the key that signed it.
    #[error(
        "there is a journal at `{journal}` but no signing key at `{key}`; put the key back, or its signatures cannot go on"
    )]
    KeyMissing {
        /// The journal's file.
        journal: String,
        /// The key's file.
        key: String,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// Notices could not be given.
    #[error(transparent)]
    Notices(#[from] NoticesError),
    /// The place to listen cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The server failed while it ran.
    #[error("the server failed: {0}")]
    Transport(String),
    /// Calls were still running when the time to finish was over; what they did is on record.
    #[error(
        "calls were still running after {DRAIN_S} s and were cut off; what they did is on record"
    )]
    NotDrained,
}

/// A running broker.
pub struct Broker {
    at: At,
    desk: Arc<Desk>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
    reloads: mpsc::Sender<()>,
    /// Ends when no call runs any more.
    running: mpsc::Receiver<()>,
}

/// Runs a broker until `shutdown`, then lets running calls finish and closes the journal. SIGHUP reads the bundle again.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    // Before the start: one sent while the broker starts would end the process without a word.
    let hangups = signal(SignalKind::hangup());
    let broker = Broker::start(config).await?;
    tokio::select! {
        () = shutdown => {}
        () = broker.reload_on(hangups) => {}
        // A server does not end by itself: `stop` says why it did.
        () = ended(&broker.served) => {}
    }
    broker.stop().await
}

async fn ended<T>(task: &JoinHandle<T>) {
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Resolves when the process is told to stop: SIGTERM or SIGINT, from this call on, not from the first poll.
pub fn terminated() -> impl Future<Output = ()> {
    let told = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [terminate, interrupt] = told.map(received);
        tokio::select! {
            () = terminate => {}
            () = interrupt => {}
        }
    }
}

async fn received(signal: std::io::Result<Signal>) {
    match signal {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without this signal the other one still stops the broker.
        Err(_) => std::future::pending().await,
    }
}

impl Broker {
    /// Starts a broker by the machine's clock.
    pub async fn start(config: Config) -> Result<Broker, ServeError> {
        let clock = Clock::starting_at(writ_engine::Moment::EPOCH);
        let room = Room::around(&config.store.path);
        Broker::start_at(config, clock, room).await
    }

    /// Starts a broker by `clock`, with `room` for its journal.
    pub async fn start_at(config: Config, clock: Clock, room: Room) -> Result<Broker, ServeError> {
        // Everything that can be wrong is found before the journal is touched.
        let tls = match &config.listener {
            Listener::Tcp { tls, .. } => tls.as_ref().map(listen::tls_config).transpose()?,
            Listener::Unix { .. } => None,
        };
        let parts = assemble::load(&config).await?;
        let bound = listen::Bound::bind(&config.listener).await?;
        let desk = assemble::open(&config, parts.receiver, &parts.bundle, clock, room).await?;

        let at = bound.at().clone();
        let (stop, stopping) = watch::channel(false);
        let (call_runs, running) = mpsc::channel(1);
        let gate = Gate::new(
            Arc::clone(&desk),
            parts.verifier,
            stopping.clone(),
            call_runs,
        );
        let mut server = transport();
        if let Some(tls) = tls {
            server = server
                .tls_config(tls)
                .map_err(|error| ServeError::Transport(error.to_string()))?;
        }
        let routes = server
            .add_service(
                HealthServer::new(health::Healthy(stopping.clone()))
                    .max_decoding_message_size(MESSAGE_MAX),
            )
            .add_service(
                RequestServiceServer::new(requests::Requests(Arc::clone(&gate)))
                    .max_decoding_message_size(MESSAGE_MAX),
            )
            .add_service(
                ScopeServiceServer::new(scopes::Scopes(Arc::clone(&gate)))
                    .max_decoding_message_size(MESSAGE_MAX),
            )
            .add_service(
                JournalServiceServer::new(record::Record(gate))
                    .max_decoding_message_size(MESSAGE_MAX),
            );
        let served = tokio::spawn(
            routes.serve_with_incoming_shutdown(bound.accept(), told_to_stop(stopping.clone())),
        );
        tokio::spawn(end_the_unheard(Arc::clone(&desk), stopping.clone()));
        tokio::spawn(carry_out_revocations(Arc::clone(&desk), stopping.clone()));
        if desk.gives_notices() {
            tokio::spawn(give_notices(Arc::clone(&desk), stopping.clone()));
        } else {
            warn_of_silence(&desk);
        }
        let (reloads, asked) = mpsc::channel(1);
        tokio::spawn(keep_bundle(
            parts.bundle,
            Arc::clone(&desk),
            stopping,
            asked,
        ));
        let InForce { bundle, commit } = desk.in_force();
        let (bundle, commit) = (
            bundle.digest().short(),
            commit.as_ref().map(CommitId::as_str),
        );
        tracing::info!(%at, bundle, commit, "the broker serves");
        Ok(Broker {
            at,
            desk,
            stop,
            served,
            reloads,
            running,
        })
    }

    /// Where it can be reached.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// Its desk, for whoever runs a broker in their own process.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Reads the bundle's folder or branch again soon, as SIGHUP does.
    pub fn reload(&self) {
        // One waiting reload is as good as two.
        let _ = self.reloads.try_send(());
    }

    async fn reload_on(&self, hangups: std::io::Result<Signal>) {
        if let Ok(mut hangups) = hangups {
            while hangups.recv().await.is_some() {
                self.reload();
            }
        }
        std::future::pending().await
    }

    /// Stops: says so to health checks and streams, takes no new calls, lets running ones finish within [`DRAIN_S`], and
    /// closes the journal.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(Duration::from_secs(DRAIN_S), async {
            let served = (&mut self.served).await;
            // Calls whose callers have hung up still run; the channel closes with the last of them.
            while self.running.recv().await.is_some() {}
            served
        })
        .await;
        self.served.abort();
        self.desk.close().await;
        tracing::info!("the broker has stopped");
        match drained {
            Err(_) => Err(ServeError::NotDrained),
            Ok(Err(task)) => Err(ServeError::Transport(task.to_string())),
            Ok(Ok(Err(error))) => Err(ServeError::Transport(error.to_string())),
            Ok(Ok(Ok(()))) => Ok(()),
        }
    }
}

async fn told_to_stop(mut stopping: watch::Receiver<bool>) {
    // An error means that nobody could say it any more.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// The limits of the transport: what a caller can do before anything of theirs is read.
fn transport() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .timeout(Duration::from_secs(CALL_TIMEOUT_S + TRANSPORT_SLACK_S))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_keepalive_interval(Some(Duration::from_secs(KEEPALIVE_INTERVAL_S)))
        .http2_keepalive_timeout(Some(Duration::from_secs(KEEPALIVE_TIMEOUT_S)))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(PENDING_RESETS_MAX))
}

/// Ends requests whose requesters are gone, until the broker stops.
async fn end_the_unheard(desk: Arc<Desk>, stopping: watch::Receiver<bool>) {
    let stop = told_to_stop(stopping);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(UNHEARD_LOOK_MS)) => {}
            () = &mut stop => return,
        }
        desk.end_the_unheard().await;
    }
}

/// Carries out at AWS what was ended early, until the broker stops; the next start goes on from the record.
async fn carry_out_revocations(desk: Arc<Desk>, stopping: watch::Receiver<bool>) {
    let stop = told_to_stop(stopping);
    tokio::pin!(stop);
    loop {
        let pause = tokio::select! {
            pause = desk.carry_out_revocations() => pause,
            () = &mut stop => return,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = desk.woken_to_revoke() => {}
            () = &mut stop => return,
        }
    }
}

/// Gives every notice that is due, until the broker stops; the next start goes on from the record.
async fn give_notices(desk: Arc<Desk>, stopping: watch::Receiver<bool>) {
    let stop = told_to_stop(stopping);
    tokio::pin!(stop);
    loop {
        let pause = tokio::select! {
            pause = desk.tell_next() => pause,
            () = &mut stop => return,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = desk.woken_to_tell() => {}
            () = &mut stop => return,
        }
    }
}

/// A scope that names people to be told promises something that nobody keeps.
fn warn_of_silence(desk: &Desk) {
    let bundle = desk.bundle();
    let names_people = |scope: &&Scope| scope.break_glass.is_some() || scope.escalation.is_some();
    let scopes = bundle.scopes().filter(names_people).count();
    if scopes > 0 {
        tracing::warn!(
            scopes,
            "scopes name people to be told of emergencies or asked next, and the configuration has no `notices`: nobody is told but who looks"
        );
    }
}

/// Keeps the bundle in force up to date with its folder or branch, and the last good one in force when that is broken.
async fn keep_bundle(
    slot: Arc<BundleSlot>,
    desk: Arc<Desk>,
    stopping: watch::Receiver<bool>,
    mut asked: mpsc::Receiver<()>,
) {
    let mut broken: Option<(Refusal, tokio::time::Instant)> = None;
    let mut unrecorded = false;
    let stop = told_to_stop(stopping);
    tokio::pin!(stop);
    loop {
        let told = tokio::select! {
            told = asked.recv() => match told {
                Some(()) => true,
                None => return,
            },
            () = tokio::time::sleep(Duration::from_millis(BUNDLE_POLL_MS)) => false,
            () = &mut stop => return,
        };
        let due = broken.as_ref().is_some_and(|(_, mentioned)| {
            mentioned.elapsed() >= Duration::from_secs(BUNDLE_REMINDER_S)
        });
        let reading = Arc::clone(&slot);
        // Reading and checking take their time; the calls go on meanwhile.
        let looked = tokio::task::spawn_blocking(move || match (told, due) {
            (true, _) => reading.reload(),
            (false, true) => reading.retry(),
            (false, false) => reading.poll(),
        });
        match looked.await {
            Ok(Reload::Unchanged { looked: false }) => {
                if let Some((refusal, mentioned)) = broken.as_mut().filter(|_| due) {
                    mention(refusal, &desk);
                    *mentioned = tokio::time::Instant::now();
                }
            }
            Ok(Reload::Unchanged { looked: true }) => {
                if broken.take().is_some() {
                    tracing::info!("the bundle is as it was; nothing has changed");
                }
            }
            Ok(Reload::Replaced(InForce { bundle, commit })) => {
                broken = None;
                let (bundle, commit) = (
                    bundle.digest().short(),
                    commit.as_ref().map(CommitId::as_str),
                );
                tracing::info!(bundle, commit, "a new bundle is in force");
                unrecorded = false;
                if let Err(error) = desk.record_bundle().await {
                    tracing::error!(%error, "the journal did not record which bundle is in force");
                    unrecorded = true;
                }
            }
            Ok(Reload::Refused(refusal)) => {
                mention(&refusal, &desk);
                broken = Some((refusal, tokio::time::Instant::now()));
            }
            Err(_) => {
                tracing::error!("checking the bundle failed; the last good one stays in force")
            }
        }
        // Until it is on record: after a restart, a branch has to go on from the commit last recorded.
        if unrecorded && desk.record_bundle().await.is_ok() {
            tracing::info!("the journal has recorded which bundle is in force");
            unrecorded = false;
        }
    }
}

fn mention(refusal: &Refusal, desk: &Desk) {
    let InForce { bundle, commit } = desk.in_force();
    tracing::error!(
        errors = refusal.report.errors(),
        refused = refusal.commit.as_ref().map(CommitId::as_str),
        in_force = bundle.digest().short(),
        commit = commit.as_ref().map(CommitId::as_str),
        "the bundle is broken; the last good one stays in force"
    );
    for finding in refusal.report.findings() {
        tracing::error!(
            file = finding.file,
            line = finding.line,
            column = finding.column,
            help = finding.help,
            "{finding}"
        );
    }
}

#[cfg(test)]
mod tests;
