//! The services every host expects beside the plugin's own.

pub(crate) mod broker;
mod controller;
mod stdio;

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::life::Life;
use crate::wire::grpc_broker_server::GrpcBrokerServer;
use crate::wire::grpc_controller_server::GrpcControllerServer;
use crate::wire::grpc_stdio_server::GrpcStdioServer;
use broker::Broker;

/// The name under which hosts ask for a plugin's health.
const HEALTH_NAME: &str = "plugin";

/// The plugin's services with ours beside them.
pub(crate) async fn beside(services: Routes, broker: Broker, life: &Life) -> Routes {
    let health = HealthReporter::new();
    health
        .set_service_status(HEALTH_NAME, ServingStatus::Serving)
        .await;
    services
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            HealthService::from_health_reporter(health),
        ))
        .add_service(GrpcControllerServer::new(controller::Controller(
            life.clone(),
        )))
        .add_service(GrpcBrokerServer::new(broker::Announcements {
            broker,
            life: life.clone(),
        }))
        .add_service(GrpcStdioServer::new(stdio::Stdio(life.clone())))
}
