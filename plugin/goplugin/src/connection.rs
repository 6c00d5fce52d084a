//! Connections: taken from the socket, made safe, counted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::life::{Connected, Life};

/// How long a TLS handshake may take; one on the same machine takes milliseconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long we wait after the system would not give us a connection (too many open files).
const PAUSE: Duration = Duration::from_millis(100);

/// A stream of bytes, encrypted or not.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// One connection of a host that proved itself, where TLS is spoken.
pub(crate) struct Connection {
    bytes: Box<dyn Bytes>,
    _counted: Connected,
}

/// Takes connections until the stream of them is dropped.
pub(crate) fn take(
    listener: UnixListener,
    tls: Option<TlsAcceptor>,
    life: Life,
) -> ReceiverStream<io::Result<Connection>> {
    let (taken, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = taken.closed() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(secure(stream, tls.clone(), life.clone(), taken.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(connections)
}

/// Does the TLS handshake, beside those of other connections.
async fn secure(
    stream: UnixStream,
    tls: Option<TlsAcceptor>,
    life: Life,
    taken: mpsc::Sender<io::Result<Connection>>,
) {
    let bytes: Box<dyn Bytes> = match tls {
        None => Box::new(stream),
        Some(tls) => match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            // The host itself says only that the plugin does not respond.
            Ok(Err(error)) => return tracing::error!(%error, "refused a connection"),
            Err(_) => return tracing::error!("refused a connection: the handshake took too long"),
        },
    };
    let connection = Connection {
        bytes,
        _counted: life.connected(),
    };
    // Nobody is there to take it only when the plugin ends.
    let _ = taken.send(Ok(connection)).await;
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }
}
