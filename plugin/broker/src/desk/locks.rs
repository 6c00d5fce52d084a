//! One lock a key: two calls about one case wait for each other, calls about different cases do not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A key's turn. Shared with the journal, which keeps it until an append's outcome is known.
pub(super) type Turn = Arc<OwnedMutexGuard<()>>;

/// Locks by key, each kept only while someone holds or awaits it.
pub(super) struct Locks<K> {
    held: Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>,
}

impl<K: Eq + Hash + Clone> Locks<K> {
    pub(super) fn new() -> Locks<K> {
        Locks {
            held: Mutex::new(HashMap::new()),
        }
    }

    /// Waits for `key`'s turn.
    pub(super) async fn take(&self, key: &K) -> Turn {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            // Ours alone means nobody holds or awaits it.
            held.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(held.entry(key.clone()).or_default())
        };
        Arc::new(lock.lock_owned().await)
    }
}
