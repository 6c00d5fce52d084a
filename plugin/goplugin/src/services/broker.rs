//! `GRPCBroker`: the host announces where it listens, and we dial back.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::life::Life;
use crate::tls;
use crate::wire::ConnInfo;
use crate::wire::grpc_broker_server::GrpcBroker;

/// How long a dial waits for the host's announcement, which may come after the call that speaks of it. As in Go plugins.
const ANNOUNCED_WAIT: Duration = Duration::from_secs(5);

/// How long connecting may take, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How many announcements may wait to be dialled. Hosts announce one for each call that needs it.
const ANNOUNCED_MAX: usize = 256;

/// The way back to the host: it listens, announces under a number, and the plugin dials that number.
///
/// Make one, keep a clone for your services, and give it to [`serve_with`](crate::serve_with) in its
/// [`Options`](crate::Options). Connections in the other direction, announced by the plugin, are not offered.
#[derive(Debug, Clone, Default)]
pub struct Broker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// What the host announced and nobody dialled yet.
    announced: watch::Sender<HashMap<u32, ConnInfo>>,
    /// What we show the host and want to see of it. Empty until served; `None` inside when no TLS is spoken.
    tls: OnceLock<Option<Arc<ClientConfig>>>,
}

impl Broker {
    /// Connects to what the host announced as `service_id`, and waits a little where it has not yet. An announcement can be
    /// dialled once. With TLS the other end must show the host's own certificate.
    pub async fn dial(&self, service_id: u32) -> Result<Channel, DialError> {
        let tls = self.0.tls.get().ok_or(DialError::NotServed)?.clone();
        let mut announced = self.0.announced.subscribe();
        let waiting = announced.wait_for(|announced| announced.contains_key(&service_id));
        let _ = tokio::time::timeout(ANNOUNCED_WAIT, waiting).await;
        let mut target = None;
        self.0.announced.send_if_modified(|announced| {
            target = announced.remove(&service_id);
            target.is_some()
        });
        let target = target.ok_or(DialError::NotAnnounced { service_id })?;
        // The address is only a name for HTTP; where we connect is the connector's affair.
        Endpoint::from_static("http://localhost")
            .connect_timeout(CONNECT_MAX)
            .connect_with_connector(tower::service_fn(move |_| {
                connect(target.clone(), tls.clone())
            }))
            .await
            .map_err(DialError::Failed)
    }

    /// Takes what dialling needs. A broker that is served twice keeps the first.
    pub(crate) fn arm(&self, tls: Option<Arc<ClientConfig>>) {
        let _ = self.0.tls.set(tls);
    }

    fn announce(&self, info: ConnInfo) {
        self.0.announced.send_if_modified(|announced| {
            let fits = announced.len() < ANNOUNCED_MAX;
            if fits {
                announced.insert(info.service_id, info);
            } else {
                tracing::warn!("the host announces more connections than are dialled");
            }
            fits
        });
    }
}

/// A stream of bytes, encrypted or not.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

async fn connect(
    target: ConnInfo,
    tls: Option<Arc<ClientConfig>>,
) -> std::io::Result<TokioIo<Box<dyn Bytes>>> {
    let bytes: Box<dyn Bytes> = match target.network.as_str() {
        "unix" => Box::new(UnixStream::connect(&target.address).await?),
        "tcp" => Box::new(TcpStream::connect(&target.address).await?),
        other => {
            return Err(std::io::Error::other(format!(
                "the host listens on a network `{other}`; `unix` and `tcp` are known"
            )));
        }
    };
    let Some(tls) = tls else {
        return Ok(TokioIo::new(bytes));
    };
    let name = ServerName::try_from(tls::NAME).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, bytes).await?;
    Ok(TokioIo::new(Box::new(stream)))
}

/// Why the host could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// This broker was not given to [`serve_with`](crate::serve_with).
    #[error("this broker is not served: give it to `serve_with`")]
    NotServed,
    /// The host has not said where it listens.
    #[error("the host has not announced a connection {service_id}")]
    NotAnnounced {
        /// The number asked for.
        service_id: u32,
    },
    /// The connection was not made: nobody there, or not the host.
    #[error("the host could not be reached: {0}")]
    Failed(#[source] tonic::transport::Error),
}

/// The service itself.
pub(crate) struct Announcements {
    pub(super) broker: Broker,
    pub(super) life: Life,
}

#[tonic::async_trait]
impl GrpcBroker for Announcements {
    type StartStreamStream = ReceiverStream<Result<ConnInfo, Status>>;

    /// Held open until the end: a host keeps it for as long as it lives.
    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        self.life.attend();
        let (ours, stream) = mpsc::channel(1);
        let (broker, life) = (self.broker.clone(), self.life.clone());
        let mut theirs = request.into_inner();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    announced = theirs.message() => match announced {
                        Ok(Some(info)) => broker.announce(info),
                        Ok(None) | Err(_) => break,
                    },
                    () = life.over() => break,
                }
            }
            drop(ours);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
