//! Serving a host: from its variables to the exit.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write as _};
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::getppid;
use rustix::stdio::dup2_stdout;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::handshake::{self, Handshake, Version};
use crate::life::{Ending, HOOK_MAX, Life, Signals};
use crate::services::{self, broker::Broker};
use crate::socket::{Socket, SocketError};
use crate::{connection, tls};

/// How long connections may take to close after the last answer. The host closes them as soon as it has it; a killed host's
/// are closed already.
const CLOSING_MAX: Duration = Duration::from_millis(500);

/// What a plugin may choose; the default suits most.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the exit hook may take before it is dropped: [`HOOK_MAX`] by default.
    pub hook_max: Duration,
    /// The way back to the host, for plugins that call it.
    pub broker: Broker,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            hook_max: HOOK_MAX,
            broker: Broker::default(),
        }
    }
}

/// Serves `services` to the host that started this process, until the end of its life. Then `on_end` is told how it ends and
/// may clean up: its future is finished, or dropped after [`HOOK_MAX`], *before* the host gets its answer and the process
/// should exit.
///
/// Call it from `main`, once, with nothing printed to standard output before; let `main` return when it returns.
pub async fn serve<H, F>(
    handshake: &Handshake,
    services: Routes,
    on_end: H,
) -> Result<(), ServeError>
where
    H: FnOnce(Ending) -> F,
    F: Future<Output = ()>,
{
    serve_with(handshake, services, on_end, Options::default()).await
}

/// [`serve`], with a choice.
pub async fn serve_with<H, F>(
    handshake: &Handshake,
    services: Routes,
    on_end: H,
    options: Options,
) -> Result<(), ServeError>
where
    H: FnOnce(Ending) -> F,
    F: Future<Output = ()>,
{
    let asked = handshake.read(|name| std::env::var(name).ok())?;
    let parent = getppid();
    let mut signals = Signals::listen().map_err(ServeError::Process)?;
    let mut host = take_stdout().map_err(ServeError::Process)?;
    let version = match asked.version {
        Version::Common(version) => version,
        Version::None { ours } => {
            // Told all the same: the host compares, and its error names both sides' versions.
            let line = handshake::line(ours, "", None, false);
            host.write_all(line.as_bytes())
                .map_err(ServeError::Process)?;
            return Err(ServeError::NoCommonVersion { ours });
        }
    };
    let pair = asked
        .certificate
        .map(tls::Pair::new)
        .transpose()
        .map_err(ServeError::Tls)?;
    let (server, client) = match &pair {
        None => (None, None),
        Some(pair) => (
            Some(TlsAcceptor::from(pair.server().map_err(ServeError::Tls)?)),
            Some(pair.client().map_err(ServeError::Tls)?),
        ),
    };
    options.broker.arm(client);
    let (socket, listener) = Socket::listen(&asked.folder)?;
    let life = Life::default();
    let services = services::beside(services, options.broker, &life).await;
    let served = spawn(listener, server, services, &life);

    let line = handshake::line(
        version,
        socket.path(),
        pair.as_ref().map(tls::Pair::certificate),
        asked.multiplex,
    );
    host.write_all(line.as_bytes())
        .map_err(ServeError::Process)?;
    let ending = life.end(&mut signals, parent).await;
    end(ending, on_end, options.hook_max, &life, served).await
    // The socket goes here, and `host` with it: to the host our standard output stays open until then.
}

/// Serves in the background until life is over.
pub(crate) fn spawn(
    listener: UnixListener,
    tls: Option<TlsAcceptor>,
    services: Routes,
    life: &Life,
) -> Served {
    let connections = connection::take(listener, tls, life.clone());
    let life = life.clone();
    tokio::spawn(async move {
        Server::builder()
            .add_routes(services)
            .serve_with_incoming_shutdown(connections, async move { life.over().await })
            .await
    })
}

/// A server in the background.
pub(crate) type Served = JoinHandle<Result<(), tonic::transport::Error>>;

/// Runs the exit hook, and only then lets the answer to `Shutdown` out and everything close.
pub(crate) async fn end<H, F>(
    ending: Ending,
    on_end: H,
    hook_max: Duration,
    life: &Life,
    served: Served,
) -> Result<(), ServeError>
where
    H: FnOnce(Ending) -> F,
    F: Future<Output = ()>,
{
    tracing::debug!(?ending, "the plugin ends");
    if timeout(hook_max, on_end(ending)).await.is_err() {
        tracing::error!(after = ?hook_max, "the plugin's clean-up took too long and was cut short");
    }
    life.finish();
    match timeout(CLOSING_MAX, served).await {
        Ok(Ok(Err(error))) => Err(ServeError::Server(error)),
        // Closed; or its task died, or a host keeps the connection open, and the exit closes it.
        Ok(Ok(Ok(())) | Err(_)) | Err(_) => Ok(()),
    }
}

/// Keeps standard output for the handshake's one line: whatever else this process or its children print there goes to
/// standard error from here on, since to a host it would be noise in the protocol.
fn take_stdout() -> io::Result<File> {
    // Above the three standard streams, and not for children.
    let kept = fcntl_dupfd_cloexec(io::stdout(), 3)?;
    dup2_stdout(io::stderr())?;
    Ok(File::from(kept))
}

/// Why a plugin does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A person started it, or another program that is no host of this kind of plugin.
    #[error(
        "this program is a plugin: it is started by its host and does nothing by itself\n\
         hint: install it where the host looks for plugins, as the plugin's documentation says"
    )]
    NotStartedByHost,
    /// The host knows no version of the plugin's services that we do.
    #[error("the host speaks no protocol version of this plugin, whose highest is {ours}")]
    NoCommonVersion {
        /// The highest of ours.
        ours: u32,
    },
    /// The host wants TLS and shows no certificate that we can read.
    #[error("`PLUGIN_CLIENT_CERT` holds no single readable certificate")]
    BadClientCertificate,
    /// There is nowhere to listen.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Our own certificate could not be made, or TLS not be set up with it.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The process cannot be made ready: signals, standard output.
    #[error("this process cannot be made a plugin: {0}")]
    Process(#[source] io::Error),
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(#[source] tonic::transport::Error),
}
