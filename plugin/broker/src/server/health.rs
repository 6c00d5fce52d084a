//! The health service: whether the broker serves, and nothing else. The one service that needs no identity.

use std::pin::Pin;

use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Says whether the broker is stopping. Its watchers are sent away then, so that they do not hold up the stop.
pub(super) struct Healthy(pub(super) watch::Receiver<bool>);

fn status(stopping: bool) -> HealthCheckResponse {
    let status = match stopping {
        true => ServingStatus::NotServing,
        false => ServingStatus::Serving,
    };
    HealthCheckResponse {
        status: status as i32,
    }
}

/// Only the broker as a whole has a health: the names of its services are not told to strangers.
fn known(request: &HealthCheckRequest) -> Result<(), Status> {
    match request.service.as_str() {
        "" => Ok(()),
        _ => Err(Status::not_found("only the whole broker, ``, has a health")),
    }
}

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(request.get_ref())?;
        Ok(Response::new(status(*self.0.borrow())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        known(request.get_ref())?;
        let mut stopping = self.0.clone();
        // Room for both words there are to say.
        let (sender, receiver) = mpsc::channel(2);
        let now = *stopping.borrow_and_update();
        let _ = sender.try_send(Ok(status(now)));
        if !now {
            tokio::spawn(async move {
                tokio::select! {
                    // An error means the broker is gone altogether.
                    _ = stopping.changed() => {
                        let _ = sender.try_send(Ok(status(true)));
                    }
                    () = sender.closed() => {}
                }
            });
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
