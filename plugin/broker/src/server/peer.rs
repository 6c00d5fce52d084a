//! The other end of a connection: what it has proven, and when its connection is cut.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use super::places::Place;
use crate::limits::FAILED_PROOFS_PER_CONNECTION_MAX;

/// Where a connection comes from, as far as one party controls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// One address.
    V4(Ipv4Addr),
    /// A network of the size that one customer is given: a /64.
    V6([u8; 8]),
}

impl Origin {
    pub(super) fn of(address: IpAddr) -> Origin {
        match address.to_canonical() {
            IpAddr::V4(address) => Origin::V4(address),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                for (to, from) in network.iter_mut().zip(address.octets()) {
                    *to = from;
                }
                Origin::V6(network)
            }
        }
    }
}

/// One connection's standing; shared by the connection and its calls.
#[derive(Debug, Clone)]
pub(super) struct Peer(Arc<Standing>);

#[derive(Debug)]
struct Standing {
    /// `None` on a Unix socket, where file permissions say who may connect.
    origin: Option<Origin>,
    proven: AtomicBool,
    failed: AtomicU32,
}

impl Peer {
    pub(super) fn new(origin: Option<Origin>) -> Peer {
        Peer(Arc::new(Standing {
            origin,
            proven: AtomicBool::new(false),
            failed: AtomicU32::new(0),
        }))
    }

    pub(super) fn origin(&self) -> Option<Origin> {
        self.0.origin
    }

    /// Whether a call of this connection has ever proven someone.
    pub(super) fn is_proven(&self) -> bool {
        self.0.proven.load(Ordering::Relaxed)
    }

    pub(super) fn prove(&self) {
        self.0.proven.store(true, Ordering::Relaxed);
    }

    /// Counts a token that proved nobody.
    pub(super) fn fail(&self) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed) > FAILED_PROOFS_PER_CONNECTION_MAX
    }
}

/// A TCP or Unix connection.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that is cut when it proves nobody in time, or fails too often.
pub(super) struct Guarded {
    socket: Socket,
    peer: Peer,
    deadline: Pin<Box<Sleep>>,
    // Given back when the connection ends.
    _place: Place<Origin>,
}

impl Guarded {
    /// `unproven` is how long the connection may live without having proven anyone.
    pub(super) fn new(
        socket: Socket,
        peer: Peer,
        place: Place<Origin>,
        unproven: Duration,
    ) -> Guarded {
        Guarded {
            socket,
            peer,
            deadline: Box::pin(tokio::time::sleep(unproven)),
            _place: place,
        }
    }
}

impl Connected for Guarded {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.peer.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if !self.peer.is_proven() && self.deadline.as_mut().poll(cx).is_ready() {
            // Proven in the meantime by a call that was under way: then it stays.
            if !self.peer.is_proven() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Tcp(socket) => ready!(Pin::new(socket).poll_write_vectored(cx, bufs)),
            Socket::Unix(socket) => ready!(Pin::new(socket).poll_write_vectored(cx, bufs)),
        };
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::places::Places;
    use super::*;

    fn guarded(unproven: Duration) -> (Guarded, Peer, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        let peer = Peer::new(None);
        let place = Places::new(1, 1).take(None).unwrap();
        let guarded = Guarded::new(Socket::Unix(here), peer.clone(), place, unproven);
        (guarded, peer, there)
    }

    #[tokio::test]
    async fn a_connection_that_proves_nobody_is_cut_and_a_proven_one_is_not() {
        let (mut silent, _, _there) = guarded(Duration::ZERO);
        let cut = silent.read_u8().await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);

        let (mut proven, peer, mut there) = guarded(Duration::ZERO);
        peer.prove();
        there.write_u8(7).await.unwrap();
        assert_eq!(proven.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_connection_that_fails_too_often_is_cut_even_when_proven() {
        let (mut failing, peer, mut there) = guarded(Duration::from_secs(60));
        peer.prove();
        there.write_all(&[1, 2]).await.unwrap();
        for _ in 0..FAILED_PROOFS_PER_CONNECTION_MAX {
            peer.fail();
        }
        assert_eq!(failing.read_u8().await.unwrap(), 1);
        peer.fail();
        let cut = failing.read_u8().await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[test]
    fn one_party_is_one_origin_however_it_writes_its_address() {
        let of = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
