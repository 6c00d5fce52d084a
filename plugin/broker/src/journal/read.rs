//! Reading the journal while it is written: pages of events, following them, and proofs.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use super::Journal;
use super::audit::Damage;
use super::entry::Stored;
use super::merkle::Hash;
use super::shared::Shared;
use super::store::Store;

/// The most events read at once: a page for a person, a step for a machine, and under 1 MiB for either.
pub const PAGE_MAX: usize = 1_000;

/// The proof that an event is in the journal that a checkpoint signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The event's place, from 0.
    pub seq: u64,
    /// How many events the checkpoint covers.
    pub size: u64,
    /// From the leaf up; see [`super::merkle::is_included`].
    pub path: Vec<Hash>,
    /// The signed note of that size.
    pub checkpoint: String,
}

/// The proof that the journal continues one of an earlier size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The earlier size.
    pub old: u64,
    /// How many events the checkpoint covers.
    pub size: u64,
    /// See [`super::merkle::is_consistent`].
    pub path: Vec<Hash>,
    /// The signed note of that size.
    pub checkpoint: String,
}

impl Journal {
    /// Up to `limit` events (at most [`PAGE_MAX`]) from seq `from` on, oldest first; none past the end.
    pub async fn events(&self, from: u64, limit: usize) -> Result<Vec<Stored>, ReadError> {
        page(&self.shared, from, limit).await
    }

    /// Every event from seq `from` on, those to come included.
    pub fn follow(&self, from: u64) -> Follower {
        Follower {
            live: self.shared.subscribe(),
            shared: Arc::clone(&self.shared),
            next: from,
            page: Vec::new().into_iter(),
            behind: true,
        }
    }

    /// The proof that the journal holds event `seq`; `None` when it does not.
    pub async fn inclusion(&self, seq: u64) -> Result<Option<Inclusion>, ReadError> {
        let (size, checkpoint) = self.head(seq.saturating_add(1)).await?;
        let path = read(&self.shared, move |store, shared| {
            let leaves = |from, count| store.leaves(from, count).map_err(Damage::from);
            shared.tree().inclusion(seq, size, leaves)
        });
        Ok(path.await?.map(|path| Inclusion {
            seq,
            size,
            path,
            checkpoint,
        }))
    }

    /// The proof that the journal continues its first `old` events; `None` when it has not so many, or `old` is 0.
    pub async fn consistency(&self, old: u64) -> Result<Option<Consistency>, ReadError> {
        let (size, checkpoint) = self.head(old).await?;
        let path = read(&self.shared, move |store, shared| {
            let leaves = |from, count| store.leaves(from, count).map_err(Damage::from);
            shared.tree().consistency(old, size, leaves)
        });
        Ok(path.await?.map(|path| Consistency {
            old,
            size,
            path,
            checkpoint,
        }))
    }

    /// The newest checkpoint if it covers `size` events, else one signed now.
    async fn head(&self, size: u64) -> Result<(u64, String), ReadError> {
        let mut latest = self.shared.latest();
        if latest.0 < size && self.shared.size() >= size {
            self.sign_now().await.map_err(|_| ReadError::Unsigned)?;
            latest = self.shared.latest();
            // A broken journal signs nothing more.
            if latest.0 < size {
                return Err(ReadError::Unsigned);
            }
        }
        Ok(latest)
    }
}

/// Follows the journal. However slow it is, it misses nothing: what is no longer at hand it reads from the file.
pub struct Follower {
    shared: Arc<Shared>,
    /// `None` when the journal was closed before.
    live: Option<broadcast::Receiver<Stored>>,
    next: u64,
    page: std::vec::IntoIter<Stored>,
    /// Whether the file may hold events not seen yet.
    behind: bool,
}

impl Follower {
    /// The next event, as soon as there is one; `None` when the journal is closed. May be cancelled without loss.
    pub async fn next(&mut self) -> Result<Option<Stored>, ReadError> {
        loop {
            if let Some(stored) = self.page.next() {
                self.next = stored.seq + 1;
                return Ok(Some(stored));
            }
            let Some(live) = self.live.as_mut() else {
                return Ok(None);
            };
            if self.behind {
                let page = match page(&self.shared, self.next, PAGE_MAX).await {
                    Err(ReadError::Closed) => return Ok(None),
                    read => read?,
                };
                self.behind = !page.is_empty();
                self.page = page.into_iter();
                continue;
            }
            match live.recv().await {
                Ok(stored) if stored.seq == self.next => {
                    self.next += 1;
                    return Ok(Some(stored));
                }
                // Seen in the file already.
                Ok(stored) if stored.seq < self.next => {}
                Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => self.live = None,
            }
        }
    }
}

async fn page(shared: &Arc<Shared>, from: u64, limit: usize) -> Result<Vec<Stored>, ReadError> {
    let limit = limit.min(PAGE_MAX);
    read(shared, move |store, _| store.page(from, limit)).await
}

/// Reads on a thread that may wait for the disk.
pub(super) async fn read<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Store, &Shared) -> Result<T, Damage> + Send + 'static,
) -> Result<T, ReadError> {
    let shared = Arc::clone(shared);
    let answer = tokio::task::spawn_blocking(move || match shared.reader().as_ref() {
        Some(store) => question(store, &shared).map_err(ReadError::Damaged),
        None => Err(ReadError::Closed),
    });
    answer.await.unwrap_or(Err(ReadError::Closed))
}

/// Why the journal was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file is not as it was when the journal was opened.
    #[error("{0}")]
    Damaged(Damage),
    /// No checkpoint could be signed over what was asked about.
    #[error("no checkpoint can be signed now; try again")]
    Unsigned,
    /// The broker is stopping.
    #[error("the journal is closed")]
    Closed,
}
