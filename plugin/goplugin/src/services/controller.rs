//! `GRPCController`: the host asks us to end.

use tonic::{Request, Response, Status};

use crate::life::Life;
use crate::wire::Empty;
use crate::wire::grpc_controller_server::GrpcController;

pub(crate) struct Controller(pub(super) Life);

#[tonic::async_trait]
impl GrpcController for Controller {
    /// Answers when the exit hook is done: once answered, the host gives us two seconds.
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.shut_down().await;
        Ok(Response::new(Empty {}))
    }
}
