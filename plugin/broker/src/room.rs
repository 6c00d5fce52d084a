//! Room on the journal's file system: a reserve is kept, so that an end can always be recorded.
//!
//! A full disk must not be the reason that a release or a denial cannot be written. So long before the disk is full nothing
//! more is taken on, and what is left holds the ends of all that was.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::limits::RESERVE_BYTES;

/// Asks how many bytes are free for the broker.
type Free = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// The room there is.
pub struct Room {
    free: Free,
    /// Whether the last look found too little: the log says it when that changes, not at each call.
    short: AtomicBool,
}

impl Room {
    /// The room on the file system of a journal that may not be there yet.
    pub fn around(journal: &Path) -> Room {
        // Its folder is there: the journal is opened before anyone asks for room.
        let folder = match journal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        Room::said_by(move || {
            let seen = rustix::fs::statvfs(&folder)?;
            // What root alone may use does not count.
            Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
        })
    }

    /// The room that `free` tells of.
    pub(crate) fn said_by(free: impl Fn() -> io::Result<u64> + Send + Sync + 'static) -> Room {
        Room {
            free: Box::new(free),
            short: AtomicBool::new(false),
        }
    }

    /// Whether more may be taken on: the reserve is untouched. Where the system does not say, it may not.
    pub(crate) fn keeps_its_reserve(&self) -> bool {
        let free = (self.free)();
        let kept = free.as_ref().is_ok_and(|free| *free >= RESERVE_BYTES);
        let was_short = self.short.swap(!kept, Ordering::Relaxed);
        match (kept, was_short, free) {
            (false, false, Ok(free)) => tracing::error!(
                free_bytes = free,
                reserve_bytes = RESERVE_BYTES,
                "the journal's file system is nearly full: nothing is asked for, approved or issued until there is room; \
                 what ends something is still recorded"
            ),
            (false, false, Err(error)) => tracing::error!(
                %error,
                "the journal's file system does not say how much room it has: nothing is asked for, approved or issued"
            ),
            (true, true, _) => tracing::info!("the journal's file system has room again"),
            (false, true, _) | (true, false, _) => {}
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_kept_to_the_byte_and_what_is_not_known_is_not_there() {
        let room = |free: fn() -> io::Result<u64>| Room::said_by(free).keeps_its_reserve();
        assert!(room(|| Ok(RESERVE_BYTES)));
        assert!(!room(|| Ok(RESERVE_BYTES - 1)));
        assert!(!room(|| Ok(0)));
        assert!(!room(|| Err(io::ErrorKind::NotFound.into())));
    }

    #[test]
    fn the_room_of_a_journal_is_that_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let there = (Room::around(&folder.path().join("writ.db")).free)().unwrap();
        assert!(there > 0);
        assert!((Room::around(Path::new("writ.db")).free)().is_ok());
        assert!((Room::around(&folder.path().join("gone/writ.db")).free)().is_err());
    }
}
