//! For tests: the two places of a commit at which it can be cut short.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

/// Where a commit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The events are written, and nothing of them is durable.
    Before,
    /// They are durable, and nobody has heard of it.
    After,
}

/// What is done there, on the writer's thread. An error is the commit's; a panic is the process's end.
pub(crate) type Seam = Arc<dyn Fn(Side, &Connection) -> Result<(), rusqlite::Error> + Send + Sync>;

static SEAMS: Mutex<BTreeMap<PathBuf, Seam>> = Mutex::new(BTreeMap::new());

/// Sets what is done at every commit to the journal at `path`, from its opening on.
pub(crate) fn set(path: &Path, seam: Seam) {
    let mut seams = SEAMS.lock().unwrap_or_else(PoisonError::into_inner);
    seams.insert(path.to_owned(), seam);
}

/// Forgets it again.
pub(crate) fn clear(path: &Path) {
    let mut seams = SEAMS.lock().unwrap_or_else(PoisonError::into_inner);
    seams.remove(path);
}

pub(super) fn cross(side: Side, connection: &Connection) -> Result<(), rusqlite::Error> {
    let seam = {
        let seams = SEAMS.lock().unwrap_or_else(PoisonError::into_inner);
        let path = connection.path().map(Path::new);
        path.and_then(|path| seams.get(path)).cloned()
    };
    seam.map_or(Ok(()), |seam| seam(side, connection))
}
