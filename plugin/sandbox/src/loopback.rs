//! A small HTTP/1 server that listens on loopback and nowhere else.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::policy::PolicyError;
use crate::random::NoRandomness;
use crate::sigv4::Signable;

/// The largest body read: the largest valid AssumeRole (a policy of 2,048 characters and 50 tags of 384, all
/// percent-encoded) is under 200 kB, and a role's inline policies are a tenth of that.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// How long a client may take over its request's head; a test double should not collect stuck connections.
pub(crate) const HEAD_TIMEOUT_S: u64 = 10;

/// How long to wait after the system refused a connection (no file descriptors), instead of spinning.
const ACCEPT_PAUSE_MS: u64 = 20;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is reachable from other machines.
    #[error("`{0}` is not a loopback address; the sandbox listens on 127.0.0.1 or ::1 only")]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("cannot listen on `{0}`: {1}")]
    Bind(SocketAddr, io::Error),
    /// A role's or resource's policy has something in it that is not evaluated here.
    #[error("the policy of `{0}` is refused: {1}")]
    Policy(String, PolicyError),
    /// A role, caller or duration in the configuration is not usable.
    #[error("{0}")]
    Config(String),
    /// No keys can be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// One request, read whole.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case, in the order sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Asked {
    /// The value of a header that was sent exactly once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(given, _)| given == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn signable(&self) -> Signable<'_> {
        Signable {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// What to do with a request.
pub(crate) enum Answer {
    Reply(Response<Full<Bytes>>),
    /// Close the connection without a word.
    Drop,
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds `addr` and answers each request with `answer` until the server is dropped.
    pub(crate) async fn start<F, R>(addr: SocketAddr, answer: F) -> Result<Server, StartError>
    where
        F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        if !addr.ip().is_loopback() {
            return Err(StartError::NotLoopback(addr));
        }
        let bound = |error| StartError::Bind(addr, error);
        let listener = TcpListener::bind(addr).await.map_err(bound)?;
        let addr = listener.local_addr().map_err(bound)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, stopped, answer));
        Ok(Server {
            addr,
            stop,
            accepting,
        })
    }

    /// Stops taking connections, and returns when the port is free again.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections end after the reply they are in; the accept loop ends at once.
        let _ = self.stop.send(true);
    }
}

async fn accept<F, R>(listener: TcpListener, mut stopped: watch::Receiver<bool>, answer: F)
where
    F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, stopped.clone(), answer.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

async fn serve<F, R>(stream: TcpStream, mut stopped: watch::Receiver<bool>, answer: F)
where
    F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move {
            match read(request).await {
                Ok(asked) => match answer(asked).await {
                    Answer::Reply(response) => Ok(response),
                    Answer::Drop => Err(Dropped),
                },
                Err(status) => Ok(empty(status)),
            }
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_TIMEOUT_S));
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The service's way to tell hyper to hang up.
#[derive(Debug, thiserror::Error)]
#[error("the connection was dropped on purpose")]
struct Dropped;

async fn read(request: http::Request<Incoming>) -> Result<Asked, StatusCode> {
    let (head, body) = request.into_parts();
    let mut headers = Vec::new();
    for (name, value) in &head.headers {
        let value = value.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Ok(Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: body.to_bytes(),
    })
}

pub(crate) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        let nobody = |_asked| async { Answer::Drop };
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let refused = Server::start(open.parse().unwrap(), nobody).await;
            assert!(matches!(refused, Err(StartError::NotLoopback(_))), "{open}");
        }
        let server = Server::start("127.0.0.1:0".parse().unwrap(), nobody)
            .await
            .unwrap();
        assert!(server.addr.ip().is_loopback());
    }

    #[tokio::test]
    async fn a_stopped_server_gives_its_port_back() {
        let nobody = |_asked| async { Answer::Drop };
        let server = Server::start("127.0.0.1:0".parse().unwrap(), nobody)
            .await
            .unwrap();
        let addr = server.addr;
        server.stop().await;
        assert!(TcpListener::bind(addr).await.is_ok());
    }
}
