//! The socket: in a folder of its own that only our user may enter, gone when dropped.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::net::UnixListener;

/// The longest path of a socket, in bytes: `sun_path` holds 108 with its final zero on Linux, 104 elsewhere.
const PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A listening socket's place.
#[derive(Debug)]
pub(crate) struct Socket {
    path: String,
    // Removes the socket with the folder.
    _folder: TempDir,
}

impl Socket {
    /// Listens in a fresh folder inside `parent`.
    pub(crate) fn listen(parent: &Path) -> Result<(Socket, UnixListener), SocketError> {
        let failed = |source| SocketError::Failed {
            parent: parent.to_owned(),
            source,
        };
        // The host may stand elsewhere than we do.
        let parent_absolute = std::path::absolute(parent).map_err(failed)?;
        let folder = tempfile::Builder::new()
            .prefix("plugin")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent_absolute)
            .map_err(failed)?;
        let path = folder.path().join("s");
        let path = match path.to_str() {
            // These would end the field of the handshake's line.
            Some(path) if !path.contains(['|', '\n', '\r']) => path.to_owned(),
            _ => return Err(SocketError::Unspeakable { path }),
        };
        if path.len() > PATH_MAX {
            return Err(SocketError::TooLong { path });
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let socket = Socket {
            path,
            _folder: folder,
        };
        Ok((socket, listener))
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The folder cannot be written to, or the like.
    #[error("cannot listen in `{}`: {source}; set TMPDIR to a folder that can be written to", parent.display())]
    Failed {
        /// The folder asked for.
        parent: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system has no room for such a path.
    #[error(
        "the socket's path `{path}` is longer than {PATH_MAX} bytes; set TMPDIR to a shorter one"
    )]
    TooLong {
        /// The path that would have been.
        path: String,
    },
    /// The handshake's line has no way to write the path.
    #[error("the socket's path `{}` cannot be told to the host; set TMPDIR to a plainer one", path.display())]
    Unspeakable {
        /// The path that would have been.
        path: PathBuf,
    },
}
