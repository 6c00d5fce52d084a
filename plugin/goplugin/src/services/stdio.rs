//! `GRPCStdio`: held open and silent. What the plugin prints goes to standard error, which the host reads anyway.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::life::Life;
use crate::wire::grpc_stdio_server::GrpcStdio;
use crate::wire::{Empty, StdioData};

pub(crate) struct Stdio(pub(super) Life);

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = ReceiverStream<Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let (silent, stream) = mpsc::channel(1);
        let life = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = life.over() => {}
                () = silent.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
