//! What the writer tells everyone else: how far the journal is, its newest checkpoint, and whether it is broken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::broadcast;

use super::entry::Stored;
use super::merkle::Tree;
use super::store::Store;

/// Events a follower may be behind before it reads the file again: some seconds of a busy journal.
pub const FOLLOW_MAX: usize = 1_024;

pub(super) struct Shared {
    tree: RwLock<Tree>,
    /// The newest signed checkpoint: its size and its note.
    latest: Mutex<(u64, String)>,
    /// `None` once the journal is closed.
    reader: Mutex<Option<Store>>,
    followers: Mutex<Option<broadcast::Sender<Stored>>>,
    pub(super) commits: AtomicU64,
    broken: AtomicBool,
}

// A lock whose holder panicked is taken all the same: each holder changes one value in one step, so none is half-made.
impl Shared {
    pub(super) fn new(tree: Tree, latest: (u64, String), reader: Store) -> Shared {
        Shared {
            tree: RwLock::new(tree),
            latest: Mutex::new(latest),
            reader: Mutex::new(Some(reader)),
            followers: Mutex::new(Some(broadcast::Sender::new(FOLLOW_MAX))),
            commits: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }
    }

    pub(super) fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn size(&self) -> u64 {
        self.tree().frontier().size()
    }

    pub(super) fn grow(&self, stored: &[Stored]) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        for event in stored {
            tree.push(event.leaf);
        }
    }

    pub(super) fn latest(&self) -> (u64, String) {
        held(&self.latest).clone()
    }

    pub(super) fn checkpointed(&self, size: u64, note: String) {
        *held(&self.latest) = (size, note);
    }

    /// Whether the newest checkpoint covers every event.
    pub(super) fn is_signed(&self) -> bool {
        held(&self.latest).0 == self.size()
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Option<Store>> {
        held(&self.reader)
    }

    pub(super) fn tell_followers(&self, stored: Vec<Stored>) {
        if let Some(followers) = held(&self.followers).as_ref() {
            for event in stored {
                // Fails when nobody follows, which is nobody's loss.
                let _ = followers.send(event);
            }
        }
    }

    pub(super) fn subscribe(&self) -> Option<broadcast::Receiver<Stored>> {
        held(&self.followers)
            .as_ref()
            .map(broadcast::Sender::subscribe)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn break_down(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Ends reading and following, so that the writer is the last to close the file.
    pub(super) fn end(&self) {
        held(&self.followers).take();
        held(&self.reader).take();
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
