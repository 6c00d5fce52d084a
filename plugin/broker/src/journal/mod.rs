//! The journal: the append-only record that is the state and the audit trail.
//!
//! ```text
//! append ─► queue ─► writer thread: one transaction ─► fsync ─► on_commit ─► followers ─► the answer
//!                                   events, texts, seal,
//!                                   a checkpoint each second
//! ```
//!
//! Each event is a leaf of a Merkle tree; checkpoints sign its root. [`verify`](verify::verify) needs the file and the
//! public key only. One broker has the file open at a time; its state is rebuilt from the events when it opens.

pub mod checkpoint;
pub mod erase;
pub mod key;
pub mod merkle;
pub mod offline;
pub mod read;
pub mod verify;

mod audit;
mod entry;
mod lock;
mod log;
mod record;
#[cfg(test)]
pub(crate) mod seam;
mod shared;
mod store;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use writ_engine::case::NoStory;
use writ_engine::event::Event;
use writ_engine::session::SessionPlan;
use writ_engine::window::Moment;

pub use audit::Damage;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::{EVENT_MAX, Entry, Stored, TEXT_MAX};
pub use erase::{EraseError, Erasure};
pub use key::{KeyError, SigningKey, VerifyingKey};
pub use read::{Consistency, Follower, Inclusion, PAGE_MAX, ReadError};
pub use record::Recorded;
pub use shared::FOLLOW_MAX;
pub use store::{APPLICATION_ID, CHECKPOINT_EVERY, EPOCH};
pub use writer::{CHECKPOINT_INTERVAL_S, COMMIT_EVENTS_MAX, Erased};

use audit::Audit;
use entry::Prepared;
use key::SealingKey;
use lock::FileLock;
use shared::Shared;
use store::{NoStore, Store};
use writer::{Append, Hold, Job, Writer};

/// How long an append may take. A calm disk needs under a millisecond; one that needs two seconds will not recover within
/// the patience of whoever waits.
pub const APPEND_DEADLINE_S: u64 = 2;

/// Appends that may wait for the writer: some deadlines' worth of a slow disk's commits.
pub const QUEUE_MAX: usize = 1_024;

/// Events read at once while the state is rebuilt.
const REPLAY_PAGE: usize = 512;

/// Called on the writer's thread with the events of each commit, in order, before anyone is told of it.
pub type OnCommit = Box<dyn FnMut(&[Stored]) + Send>;

/// An open journal. Dropping it ends the writer once its queue is empty; [`Journal::close`] waits for that.
pub struct Journal {
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
    verifying: VerifyingKey,
}

/// What was found on opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// How many events there were.
    pub events: u64,
    /// How many of them no checkpoint signed: the last moments before a crash. They bear the broker's seal.
    pub unsigned: u64,
    /// The latest moment any event bears: the clock must not be before it.
    pub latest_at: Option<Moment>,
}

/// Counts since the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Events in the journal.
    pub events: u64,
    /// Transactions committed, each one fsync; checkpoints of their own included.
    pub commits: u64,
}

impl Journal {
    /// Opens the journal at `path`, or makes it, after checking all of it: every leaf, every event's canonical form, every
    /// text, the signed checkpoints, the seal, and a `kept` checkpoint if one is given. Blocks; a million events take
    /// seconds.
    ///
    /// `origin` names the journal in its checkpoints. `replay` is shown every event in order, and refuses one that does
    /// not follow; from then on `on_commit` is shown the new ones.
    pub fn open(
        path: &Path,
        key: SigningKey,
        origin: &str,
        kept: Option<&str>,
        replay: impl FnMut(&Stored) -> Result<(), NoStory>,
        on_commit: OnCommit,
    ) -> Result<(Journal, Replayed), OpenError> {
        let shown = || path.display().to_string();
        let unopened = |error| match error {
            NoStore::Io(error) => OpenError::Io(shown(), error),
            NoStore::TooOpen => OpenError::TooOpen(shown()),
            NoStore::Damaged(damage) => OpenError::Damaged(shown(), damage),
        };
        let verifying = key.verifying_key(origin)?;
        let sealing = key.sealing_key()?;
        let lock = FileLock::take(path)
            .map_err(|error| OpenError::Io(shown(), error))?
            .ok_or_else(|| OpenError::Locked(shown()))?;
        let first_note = |root| {
            let origin = origin.to_owned();
            let size = 0;
            Checkpoint { origin, size, root }.sign(&key, &verifying)
        };
        let store = Store::writer(path, first_note).map_err(unopened)?;
        let (shared, replayed) = check(&store, kept, &verifying, &sealing, replay)
            .and_then(|(tree, latest, replayed)| {
                let reader = Store::reader(path)?;
                Ok((Arc::new(Shared::new(tree, latest, reader)), replayed))
            })
            .map_err(|damage| unopened(damage.into()))?;

        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let writer = Writer {
            store,
            shared: Arc::clone(&shared),
            key,
            sealing,
            verifying: verifying.clone(),
            on_commit,
            signed_at: Instant::now(),
            _lock: lock,
        };
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|error| OpenError::Io(shown(), error))?;
        let journal = Journal {
            queue,
            shared,
            verifying,
        };
        Ok((journal, replayed))
    }

    /// Appends the entries, all or none, next to each other. They are durable, and in the state, when this returns.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Stored>, AppendError> {
        self.append_holding(entries, ()).await
    }

    /// Appends, and drops `hold` only once the outcome is known and in the state.
    ///
    /// Give it the lock on the case. After [`AppendError::TooSlow`], or when the caller itself is cancelled, the entries
    /// may still land; were the lock free before, the next step would be decided on a state that is about to change.
    pub async fn append_holding(
        &self,
        entries: Vec<Entry>,
        hold: impl Send + 'static,
    ) -> Result<Vec<Stored>, AppendError> {
        if entries.is_empty() || entries.len() > COMMIT_EVENTS_MAX {
            return Err(AppendError::Refused("an append has from 1 to 256 events"));
        }
        let entries = entries
            .into_iter()
            .map(Prepared::new)
            .collect::<Result<Vec<_>, _>>()?;
        let (reply, answer) = oneshot::channel();
        let hold: Hold = Box::new(hold);
        let append = Append {
            entries,
            reply,
            hold,
        };
        self.ask(Job::Append(append), answer).await
    }

    /// Records the intent of a session, and only then hands back its plan, as something that may be carried out.
    pub async fn record(
        &self,
        plan: SessionPlan,
        at: Moment,
    ) -> Result<Recorded<SessionPlan>, AppendError> {
        self.record_holding(plan, at, ()).await
    }

    /// Records as [`Journal::record`] does, and holds as [`Journal::append_holding`] does.
    pub async fn record_holding(
        &self,
        plan: SessionPlan,
        at: Moment,
        hold: impl Send + 'static,
    ) -> Result<Recorded<SessionPlan>, AppendError> {
        let fact = plan.intent();
        self.record_first(plan, Event { at, fact }, hold).await
    }

    /// The only maker of [`Recorded`].
    async fn record_first<T>(
        &self,
        inner: T,
        intent: Event,
        hold: impl Send + 'static,
    ) -> Result<Recorded<T>, AppendError> {
        let stored = self.append_holding(vec![intent.into()], hold).await?;
        let seq = stored.first().ok_or(AppendError::Broken)?.seq;
        Ok(Recorded::new(inner, seq))
    }

    /// The signed note over every event acknowledged so far. Of a broken journal, the last one that was stored.
    pub async fn checkpoint(&self) -> Result<String, AppendError> {
        if !self.shared.is_signed() {
            self.sign_now().await?;
        }
        Ok(self.shared.latest().1)
    }

    async fn sign_now(&self) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Checkpoint(reply), answer).await
    }

    /// The key that verifies this journal's checkpoints.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// How much was written.
    pub fn stats(&self) -> Stats {
        Stats {
            events: self.shared.size(),
            commits: self.shared.commits.load(Ordering::Relaxed),
        }
    }

    /// Whether nothing is written any more: a write failed in a way that leaves the file in doubt, or it was closed.
    pub fn is_broken(&self) -> bool {
        self.shared.is_broken()
    }

    /// Writes what is queued, signs, empties the log into the file, ends followers and lets the file go. Appends fail from
    /// then on. Has no deadline: whoever stops the broker has one.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        let queue = self.queue.clone();
        // The queue may be full, so this send may wait.
        let sent = tokio::task::spawn_blocking(move || queue.send(Job::Close(reply)));
        if matches!(sent.await, Ok(Ok(()))) {
            // An error says the writer is gone, which is what was asked for.
            let _ = done.await;
        }
    }

    /// Puts a job in the queue and waits for the answer until the deadline.
    async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::Overloaded,
            TrySendError::Disconnected(_) => AppendError::Broken,
        })?;
        let deadline = Duration::from_secs(APPEND_DEADLINE_S);
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(answered)) => answered,
            // The writer is gone without a word: nothing more will be written.
            Ok(Err(_)) => Err(AppendError::Broken),
            Err(_) => Err(AppendError::TooSlow),
        }
    }
}

type Head = (u64, String);

/// Reads everything once, finds any damage, and rebuilds the tree and, through `replay`, the state.
fn check(
    store: &Store,
    kept: Option<&str>,
    verifying: &VerifyingKey,
    sealing: &SealingKey,
    mut replay: impl FnMut(&Stored) -> Result<(), NoStory>,
) -> Result<(merkle::Tree, Head, Replayed), Damage> {
    if store.has_hidden_rows()? {
        return Err(Damage::Stray);
    }
    let notes = store.checkpoints()?;
    let note = notes.last().map(|(_, note)| note.clone());
    let mut audit = Audit::begin(notes, kept, verifying)?;
    let mut latest_at = None;
    loop {
        let page = store.page(audit.size(), REPLAY_PAGE)?;
        if page.is_empty() {
            break;
        }
        for stored in page {
            audit.push(stored.seq, stored.leaf)?;
            latest_at = latest_at.max(Some(stored.event.at));
            replay(&stored).map_err(|NoStory(why)| Damage::NoStory(stored.seq, why.to_owned()))?;
        }
    }
    let (tree, latest) = audit.end()?;
    let events = tree.frontier().size();
    if let Some(last) = events.checked_sub(1) {
        let seal = store.seal(last)?.unwrap_or_default();
        if !sealing.is_seal(events, &tree.frontier().root(), &seal) {
            return Err(Damage::Unsealed(latest.size));
        }
    }
    let replayed = Replayed {
        events,
        unsigned: events - latest.size,
        latest_at,
    };
    let note = note.ok_or(Damage::NoCheckpoint)?;
    Ok((tree, (latest.size, note), replayed))
}

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another broker has it open.
    #[error("the journal `{0}` is open in another process; stop that one first")]
    Locked(String),
    /// Others may read or write the file.
    #[error("the journal `{0}` is open to others; run `chmod 600` on it")]
    TooOpen(String),
    /// The operating system refused.
    #[error("the journal `{0}` cannot be opened: {1}")]
    Io(String, #[source] io::Error),
    /// The key or the name does not serve.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something is wrong with the record, so nothing is decided on it.
    #[error("the journal `{0}` is damaged: {1}")]
    Damaged(String, #[source] Damage),
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The deadline passed. The entries may still land.
    #[error("the journal did not answer in time; look whether it happened before trying again")]
    TooSlow,
    /// Too many appends are waiting. These were not written.
    #[error("the journal is busy; try again")]
    Overloaded,
    /// The disk is full. These were not written; appends work again when there is room.
    #[error("the journal's disk is full")]
    Full,
    /// A write failed in a way that leaves the file in doubt, or the journal was closed.
    #[error("the journal takes no more events until the broker is restarted")]
    Broken,
    /// The entries themselves cannot be recorded; a mistake in the broker.
    #[error("the journal does not record this: {0}")]
    Refused(&'static str),
}

#[cfg(test)]
mod tests;
