//! The place where callers reach the broker: a TCP port or a Unix socket, and who is let in to it.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Identity, ServerTlsConfig};
use zeroize::Zeroizing;

use super::peer::{Guarded, Origin, Peer, Socket};
use super::places::Places;
use crate::config::{Listener, TlsFiles};
use crate::limits::{
    ACCEPT_RETRY_MS, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HANDSHAKE_TIMEOUT_S,
    UNPROVEN_CONNECTION_S,
};

/// Accepted connections on their way to the server.
const ACCEPTED_BUFFER: usize = 16;

/// A bound place.
pub(super) struct Bound {
    listener: Bind,
    place: At,
}

enum Bind {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        // Removed when the listener is dropped.
        _file: SocketFile,
    },
}

/// Where a broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A TCP port, with the one the system chose where 0 was asked for.
    Tcp {
        /// The address and port.
        address: SocketAddr,
        /// Whether it speaks TLS.
        tls: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// As `--address` takes it.
impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            At::Tcp { address, tls: true } => write!(f, "https://{address}"),
            At::Tcp {
                address,
                tls: false,
            } => write!(f, "http://{address}"),
            At::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Why the broker cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port or the path cannot be bound.
    #[error("cannot listen on `{at}`: {error}")]
    Bind {
        /// Where.
        at: String,
        /// What the system says.
        error: io::Error,
    },
    /// The socket's path is not one to use.
    #[error("cannot listen on `{}`: {why}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what would work.
        why: String,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use `{}`: {why}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Bound {
    /// Binds the configured place. Nobody is let in yet.
    pub(super) async fn bind(listener: &Listener) -> Result<Bound, ListenError> {
        match listener {
            Listener::Tcp { address, tls } => {
                let failed = |error| ListenError::Bind {
                    at: address.to_string(),
                    error,
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok(Bound {
                    listener: Bind::Tcp(listener),
                    place: At::Tcp {
                        address,
                        tls: tls.is_some(),
                    },
                })
            }
            Listener::Unix { path } => {
                let (listener, file) = bind_socket(path)?;
                Ok(Bound {
                    listener: Bind::Unix {
                        listener,
                        _file: file,
                    },
                    place: At::Unix(path.clone()),
                })
            }
        }
    }

    pub(super) fn at(&self) -> &At {
        &self.place
    }

    /// Lets callers in. The port or socket is closed when the stream is dropped.
    pub(super) fn accept(self) -> ReceiverStream<io::Result<Guarded>> {
        let (sender, receiver) = mpsc::channel(ACCEPTED_BUFFER);
        let unproven = Duration::from_secs(UNPROVEN_CONNECTION_S);
        let places = Places::new(CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX);
        tokio::spawn(async move {
            let listener = self.listener;
            // Said when it begins: a line for each would let whoever knocks fill the log.
            let mut full = false;
            loop {
                let accepted = tokio::select! {
                    accepted = accept_one(&listener) => accepted,
                    () = sender.closed() => return,
                };
                match accepted {
                    Ok((socket, origin)) => {
                        let Some(place) = places.take(origin) else {
                            // The connection is closed by being dropped here.
                            if !std::mem::replace(&mut full, true) {
                                tracing::warn!(
                                    ?origin,
                                    "too many connections; new ones are closed"
                                );
                            }
                            continue;
                        };
                        full = false;
                        let guarded = Guarded::new(socket, Peer::new(origin), place, unproven);
                        if sender.send(Ok(guarded)).await.is_err() {
                            return;
                        }
                    }
                    // Mostly no file descriptor left: wait for one, do not spin.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                }
            }
        });
        ReceiverStream::new(receiver)
    }
}

async fn accept_one(listener: &Bind) -> io::Result<(Socket, Option<Origin>)> {
    match listener {
        Bind::Tcp(listener) => {
            let (socket, address) = listener.accept().await?;
            // Small answers at once; a connection that is gone already is noticed at the first read.
            let _ = socket.set_nodelay(true);
            Ok((Socket::Tcp(socket), Some(Origin::of(address.ip()))))
        }
        Bind::Unix { listener, .. } => {
            let (socket, _) = listener.accept().await?;
            Ok((Socket::Unix(socket), None))
        }
    }
}

/// A socket's file, removed with the listener unless another has taken its place.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds in a new folder that only we can enter, sets the mode there, and moves the socket into place: at no moment can
/// anyone reach it with another mode, whatever the umask.
fn bind_socket(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let refuse = |why: String| ListenError::Path {
        path: path.to_owned(),
        why,
    };
    let failed = |error: io::Error| ListenError::Bind {
        at: path.display().to_string(),
        error,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .ok_or_else(|| refuse("it names no folder; write the whole path".to_owned()))?;
    if !folder.exists() {
        DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    let mut random = [0; 6];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| refuse("the system gave no random numbers".to_owned()))?;
    let private = folder.join(format!(".{}", hex::encode(random)));
    DirBuilder::new()
        .mode(0o700)
        .create(&private)
        .map_err(failed)?;
    let made = PrivateFolder(private);
    let us = fs::symlink_metadata(&made.0).map_err(failed)?.uid();
    check_socket_place(path, folder, us)?;
    let inside = made.0.join("s");
    let listener = UnixListener::bind(&inside).map_err(failed)?;
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    fs::rename(&inside, path).map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    let file = SocketFile {
        path: path.to_owned(),
        inode,
    };
    Ok((listener, file))
}

struct PrivateFolder(PathBuf);

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// Whether a socket may be put there: the folder is ours alone to write, and the path is free or a dead socket of ours.
fn check_socket_place(path: &Path, folder: &Path, us: u32) -> Result<(), ListenError> {
    let refuse = |why: &str| ListenError::Path {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let seen = fs::metadata(folder)
        .map_err(|error| refuse(&format!("its folder cannot be looked at: {error}")))?;
    if seen.uid() != us {
        return Err(refuse(
            "its folder belongs to someone else, who could put another socket there; use one of the broker's own",
        ));
    }
    if seen.mode() & 0o022 != 0 {
        return Err(refuse(
            "others can write in its folder, and could put another socket there; `chmod 0750` it",
        ));
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refuse(&format!("it cannot be looked at: {error}"))),
    };
    if !found.file_type().is_socket() {
        return Err(refuse(
            "something is there that is no socket; move it away or choose another path",
        ));
    }
    if found.uid() != us {
        return Err(refuse("the socket there belongs to someone else"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(refuse("another broker is listening there; stop it first")),
        // Nobody answers: left behind by one that was killed.
        Err(_) => Ok(()),
    }
}

/// As far as can be told without making anything: whether the place could be bound.
pub(super) fn check(listener: &Listener) -> Result<(), ListenError> {
    match listener {
        Listener::Tcp { tls, .. } => tls
            .as_ref()
            .map_or(Ok(()), |files| tls_config(files).map(|_| ())),
        Listener::Unix { path } => match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => Err(ListenError::Path {
                path: path.clone(),
                why: "something is there that is no socket; move it away or choose another path"
                    .to_owned(),
            }),
            Ok(_) | Err(_) => Ok(()),
        },
    }
}

/// Reads the certificate and its key.
pub(super) fn tls_config(files: &TlsFiles) -> Result<ServerTlsConfig, ListenError> {
    let refuse = |path: &Path, why: String| ListenError::Tls {
        path: path.to_owned(),
        why,
    };
    let read = |path: &Path| {
        fs::read(path)
            .map(Zeroizing::new)
            .map_err(|error| refuse(path, format!("it cannot be read: {error}")))
    };
    let mode = fs::metadata(&files.key_file)
        .map_err(|error| refuse(&files.key_file, format!("it cannot be read: {error}")))?
        .mode();
    if mode & 0o007 != 0 {
        return Err(refuse(
            &files.key_file,
            "everyone on this machine may read the key; `chmod 0600` it".to_owned(),
        ));
    }
    let identity = Identity::from_pem(read(&files.cert_file)?, read(&files.key_file)?);
    let config = ServerTlsConfig::new()
        .identity(identity)
        .timeout(Duration::from_secs(HANDSHAKE_TIMEOUT_S));
    // Built once here, so that a certificate that does not fit its key is found before anyone calls.
    tonic::transport::Server::builder()
        .tls_config(config.clone())
        .map_err(|error| {
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            refuse(
                &files.cert_file,
                format!(
                    "the certificate and the key in `{}` cannot be used: {cause}",
                    files.key_file.display()
                ),
            )
        })?;
    Ok(config)
}

#[cfg(test)]
mod tests;
