//! The gate: the one function that every call passes. It gives the call an id, finds out who calls, holds them to their
//! rates, lets the desk work, and sends what it answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;
use writ_api::problem::{Problem, Reason};
use writ_engine::{Moment, PrincipalId};

use super::peer::{Origin, Peer};
use super::places::Places;
use super::rates::Rates;
use super::stream::{self, Out, Streaming};
use crate::desk::Desk;
use crate::identity::{Identity, Refusal, Verifier};
use crate::limits::{
    CALL_TIMEOUT_S, CALLS_BURST, CALLS_PER_S, FAILED_PROOFS_PER_ADDRESS_PER_MIN,
    RATES_REMEMBERED_MAX, STREAMS_MAX, STREAMS_PER_PRINCIPAL_MAX,
};
use crate::wire;

/// The header that carries a call's id, to the caller and into the log.
pub const REQUEST_ID: &str = "x-request-id";

/// What every call needs.
pub(super) struct Gate {
    desk: Arc<Desk>,
    verifier: Verifier,
    calls: Rates<PrincipalId>,
    failures: Rates<Origin>,
    streams: Arc<Places<PrincipalId>>,
    stopping: watch::Receiver<bool>,
    /// Cloned into each running call; when all are gone, nothing runs any more.
    running: mpsc::Sender<()>,
}

/// A caller who was let in.
struct Admitted {
    identity: Identity,
    id: PrincipalId,
    now: Moment,
}

impl Gate {
    pub(super) fn new(
        desk: Arc<Desk>,
        verifier: Verifier,
        stopping: watch::Receiver<bool>,
        running: mpsc::Sender<()>,
    ) -> Arc<Gate> {
        Arc::new(Gate {
            desk,
            verifier,
            calls: Rates::new(
                Duration::from_secs(1),
                CALLS_PER_S,
                CALLS_BURST,
                RATES_REMEMBERED_MAX,
            ),
            failures: Rates::new(
                Duration::from_secs(60),
                FAILED_PROOFS_PER_ADDRESS_PER_MIN,
                FAILED_PROOFS_PER_ADDRESS_PER_MIN,
                RATES_REMEMBERED_MAX,
            ),
            streams: Places::new(STREAMS_MAX, STREAMS_PER_PRINCIPAL_MAX),
            stopping,
            running,
        })
    }

    /// A call with one answer.
    ///
    /// The work runs as a task of its own: a caller who hangs up in the middle of it does not leave a session without an
    /// outcome on record.
    pub(super) async fn call<M, R, F, W>(
        &self,
        rpc: &'static str,
        request: Request<M>,
        work: F,
    ) -> Result<Response<R>, Status>
    where
        R: Send + 'static,
        F: FnOnce(Arc<Desk>, Identity, M) -> W,
        W: Future<Output = Result<R, Problem>> + Send + 'static,
    {
        let call = Call::begin(rpc);
        let span = call.span();
        let outcome = async {
            let admitted = self.admit(&request).await?;
            tracing::Span::current().record("principal", admitted.id.to_string());
            let running = self.running.clone();
            let work = work(
                Arc::clone(&self.desk),
                admitted.identity,
                request.into_inner(),
            );
            let task = tokio::spawn(
                async move {
                    let answer = work.await;
                    drop(running);
                    answer
                }
                .in_current_span(),
            );
            match tokio::time::timeout(Duration::from_secs(CALL_TIMEOUT_S), task).await {
                Ok(Ok(answer)) => answer,
                // It panicked; the panic hook has said where.
                Ok(Err(_)) => Err(fault()),
                Err(_) => Err(too_slow()),
            }
        }
        .instrument(span.clone())
        .await;
        call.end(&span, outcome)
    }

    /// A call with many answers. `begin` says at once whether there is anything to stream; what it returns then runs.
    pub(super) async fn stream<M, R, F, G, W>(
        &self,
        rpc: &'static str,
        request: Request<M>,
        begin: F,
    ) -> Result<Response<Streaming<R>>, Status>
    where
        R: Send + 'static,
        F: FnOnce(Arc<Desk>, Identity, M) -> Result<G, Problem>,
        G: FnOnce(Out<R>) -> W,
        W: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let call = Call::begin(rpc);
        let span = call.span();
        let outcome = async {
            let admitted = self.admit(&request).await?;
            tracing::Span::current().record("principal", admitted.id.to_string());
            let place = self.streams.take(Some(admitted.id)).ok_or_else(|| {
                Problem::new(
                    Reason::RateLimited,
                    "you have as many streams open as one may have",
                )
                .hint("close one, or list instead of following")
            })?;
            let life = stream::life(&admitted.identity, admitted.now);
            let run = begin(
                Arc::clone(&self.desk),
                admitted.identity,
                request.into_inner(),
            )?;
            Ok(stream::start(run, life, self.stopping.clone(), place))
        }
        .instrument(span.clone())
        .await;
        call.end(&span, outcome)
    }

    /// Finds out who calls, and whether they may call now.
    async fn admit<M>(&self, request: &Request<M>) -> Result<Admitted, Problem> {
        if *self.stopping.borrow() {
            return Err(wire::shutting_down());
        }
        // Set by the connection that carries the call; without it nothing is known of where the call comes from.
        let peer = request.extensions().get::<Peer>().ok_or_else(fault)?;
        if let Some(origin) = peer.origin()
            && !peer.is_proven()
            && !self.failures.has(&origin, Instant::now())
        {
            return Err(Problem::new(
                Reason::RateLimited,
                "too many calls from your address proved nobody",
            )
            .hint("wait a minute, then try once with a fresh token"));
        }
        let now = self.desk.now();
        let bundle = self.desk.bundle();
        let verified = match bearer(request) {
            Ok(token) => self.verifier.verify(token, bundle.directory(), now).await,
            Err(refusal) => Err(refusal),
        };
        let identity = match verified {
            Ok(identity) => identity,
            Err(refusal) => return Err(self.refuse(peer, &refusal)),
        };
        peer.prove();
        let id = identity.principal().id.clone();
        if !self.calls.take(id.clone(), Instant::now()) {
            return Err(Problem::new(
                Reason::RateLimited,
                format!("you make more than {CALLS_PER_S} calls a second"),
            )
            .hint("wait a second; watch a request instead of asking for it again and again"));
        }
        Ok(Admitted { identity, id, now })
    }

    fn refuse(&self, peer: &Peer, refusal: &Refusal) -> Problem {
        tracing::info!(code = refusal.code(), why = %refusal, "a token was not accepted");
        let theirs = match refusal {
            Refusal::IssuerUnavailable { .. } => false,
            Refusal::Malformed(_)
            | Refusal::Untrusted(_)
            | Refusal::Untimely(_)
            | Refusal::Stranger(_) => true,
        };
        if theirs {
            peer.fail();
            if let Some(origin) = peer.origin() {
                self.failures.take(origin, Instant::now());
            }
        }
        Problem::new(Reason::NotAuthenticated, refusal.public_message()).hint(
            "every call carries a token of a configured issuer; `writ` takes it from `--token-file` or `WRIT_TOKEN`",
        )
    }
}

/// The token of `authorization: Bearer …`: exactly one, so that no proxy and we can read different ones.
fn bearer<M>(request: &Request<M>) -> Result<&str, Refusal> {
    let mut values = request.metadata().get_all("authorization").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::Malformed(
            "there is not exactly one authorization header",
        ));
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(Refusal::Malformed(
            "the authorization header carries no bearer token",
        ))
}

fn fault() -> Problem {
    Problem::new(Reason::Internal, "a fault of the broker's own")
        .hint("tell whoever runs the broker, with the call's id: `x-request-id`")
}

fn too_slow() -> Problem {
    Problem::new(
        Reason::Internal,
        format!("the broker did not answer within {CALL_TIMEOUT_S} s"),
    )
    .hint("what you asked for may have been done: look before you ask again")
}

/// One call, for the log.
struct Call {
    rpc: &'static str,
    id: String,
    began: Instant,
}

impl Call {
    fn begin(rpc: &'static str) -> Call {
        let mut random = [0; 8];
        // Only a name in the log: were there no random numbers, nothing else would work either.
        let _ = aws_lc_rs::rand::fill(&mut random);
        Call {
            rpc,
            id: hex::encode(random),
            began: Instant::now(),
        }
    }

    fn span(&self) -> tracing::Span {
        // The id is ours, never the caller's: nobody writes another's call into the log.
        tracing::info_span!(
            "call",
            rpc = self.rpc,
            request_id = self.id,
            principal = tracing::field::Empty
        )
    }

    fn end<R>(
        self,
        span: &tracing::Span,
        outcome: Result<R, Problem>,
    ) -> Result<Response<R>, Status> {
        let _inside = span.enter();
        let took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Sixteen hexadecimal digits are always a header's value.
        let header = tonic::metadata::AsciiMetadataValue::try_from(self.id.as_str()).ok();
        match outcome {
            Ok(answer) => {
                tracing::info!(took_ms, "answered");
                let mut response = Response::new(answer);
                if let Some(header) = header {
                    response.metadata_mut().insert(REQUEST_ID, header);
                }
                Ok(response)
            }
            Err(problem) => {
                let reason = problem.reason.map_or("", Reason::as_str);
                tracing::info!(took_ms, reason, "refused");
                let mut status = problem.into_status();
                if let Some(header) = header {
                    status.metadata_mut().insert(REQUEST_ID, header);
                }
                Err(status)
            }
        }
    }
}
