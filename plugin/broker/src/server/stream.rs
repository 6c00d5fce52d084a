//! A stream of answers: bounded, and ended when its caller's token, the broker or an hour ends.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;
use writ_api::problem::{Problem, Reason};
use writ_engine::{Moment, PrincipalId};

use super::places::Place;
use crate::identity::Identity;
use crate::limits::{STREAM_BUFFER_MAX, STREAM_LIFE_MAX_S};
use crate::wire;

/// What a caller receives.
pub(super) type Streaming<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// Where a stream's work puts its answers.
pub(super) struct Out<R>(mpsc::Sender<Result<R, Status>>);

impl<R> Out<R> {
    /// Waits until the caller has room for it; `false` when they have hung up.
    pub(super) async fn send(&self, answer: R) -> bool {
        self.0.send(Ok(answer)).await.is_ok()
    }
}

/// How long a stream of this caller may live: no longer than their token.
pub(super) fn life(identity: &Identity, now: Moment) -> Duration {
    let left_ms = u64::try_from(identity.expires_at().since_ms(now)).unwrap_or(0);
    Duration::from_millis(left_ms).min(Duration::from_secs(STREAM_LIFE_MAX_S))
}

/// Runs a stream's work until it is done, its caller hangs up, its life is over, or the broker stops.
pub(super) fn start<R, G, W>(
    run: G,
    life: Duration,
    mut stopping: watch::Receiver<bool>,
    place: Place<PrincipalId>,
) -> Streaming<R>
where
    R: Send + 'static,
    G: FnOnce(Out<R>) -> W,
    W: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(STREAM_BUFFER_MAX);
    // Kept for the last word: a stream that was cut short must not look like one that is complete, however slowly its
    // caller reads.
    let last = sender.clone().try_reserve_owned();
    let gone = sender.clone();
    let work = run(Out(sender));
    tokio::spawn(
        async move {
            let ended = tokio::select! {
                ended = work => ended,
                _ = stopping.wait_for(|stopping| *stopping) => Err(wire::shutting_down()),
                () = tokio::time::sleep(life) => Err(over()),
                () = gone.closed() => Ok(()),
            };
            if let (Err(problem), Ok(last)) = (ended, last) {
                last.send(Err(problem.into_status()));
            }
            drop(place);
        }
        .in_current_span(),
    );
    Box::pin(ReceiverStream::new(receiver))
}

fn over() -> Problem {
    Problem::new(
        Reason::NotAuthenticated,
        "a stream ends with the token it was opened with, and after an hour at most",
    )
    .hint("open it again with a fresh token; what you have seen stays true")
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::super::places::Places;
    use super::*;

    fn place() -> Place<PrincipalId> {
        Places::new(1, 1).take(None).unwrap()
    }

    fn reason(status: &Status) -> Reason {
        Problem::from_status(status).reason.unwrap()
    }

    async fn endless(out: Out<u32>) -> Result<(), Problem> {
        while out.send(7).await {}
        Ok(())
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_stream_that_is_done_ends_without_a_word() {
        let (_stop, stopping) = watch::channel(false);
        let run = |out: Out<u32>| async move {
            out.send(1).await;
            out.send(2).await;
            Ok(())
        };
        let all: Vec<_> = start(run, HOUR, stopping, place()).collect().await;
        let all: Vec<u32> = all.into_iter().map(Result::unwrap).collect();
        assert_eq!(all, [1, 2]);
    }

    #[tokio::test]
    async fn a_slow_reader_still_learns_that_the_token_has_expired() {
        let (_stop, stopping) = watch::channel(false);
        let places = Places::new(1, 1);
        let place = places.take(None).unwrap();
        let mut stream = start(endless, Duration::ZERO, stopping, place);
        // Nothing is read until the stream's life is over.
        while places.take(None).is_none() {
            tokio::task::yield_now().await;
        }
        let mut last = None;
        while let Some(item) = stream.next().await {
            last = Some(item);
        }
        assert_eq!(
            reason(&last.unwrap().unwrap_err()),
            Reason::NotAuthenticated
        );
    }

    #[tokio::test]
    async fn a_broker_that_stops_says_so() {
        let (stop, stopping) = watch::channel(false);
        let quiet = |out: Out<u32>| async move {
            out.0.closed().await;
            Ok(())
        };
        let mut stream = start(quiet, HOUR, stopping, place());
        stop.send_replace(true);
        let said = stream.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&said), Reason::ShuttingDown);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_gives_the_place_back() {
        let (_stop, stopping) = watch::channel(false);
        let places = Places::new(1, 1);
        let stream = start(endless, HOUR, stopping, places.take(None).unwrap());
        assert!(places.take(None).is_none());
        drop(stream);
        while places.take(None).is_none() {
            tokio::task::yield_now().await;
        }
    }
}
