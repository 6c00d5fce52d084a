//! The writer: one thread that owns the file's only writing connection, and lets concurrent appends share a commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoint;
use super::entry::{Prepared, Stored};
use super::key::{SealingKey, SigningKey, VerifyingKey};
use super::lock::FileLock;
#[cfg(test)]
use super::seam;
use super::shared::Shared;
use super::store::{self, Store};
use super::{AppendError, OnCommit};

/// The most events in one commit: past some thirty the fdatasync's share of an event is small, and a commit stays short.
pub const COMMIT_EVENTS_MAX: usize = 256;

/// How often a checkpoint is signed while events flow. A signature takes a tenth of an fdatasync; one a second is no cost,
/// and leaves at most a second of events to the seal alone.
pub const CHECKPOINT_INTERVAL_S: u64 = 1;

/// Whatever the caller wants kept until the outcome of its append is known, the lock on a case above all.
pub(super) type Hold = Box<dyn Send>;

pub(super) enum Job {
    Append(Append),
    Checkpoint(oneshot::Sender<Result<(), AppendError>>),
    Erase(Vec<u64>, oneshot::Sender<Result<Erased, AppendError>>),
    Close(oneshot::Sender<()>),
    /// Lets a test do to the connection what a bad disk would.
    #[cfg(test)]
    Hurt(Box<dyn FnOnce(&Store) + Send>),
}

pub(super) struct Append {
    pub(super) entries: Vec<Prepared>,
    pub(super) reply: oneshot::Sender<Result<Vec<Stored>, AppendError>>,
    pub(super) hold: Hold,
}

/// What became of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// How many texts are gone.
    pub texts: usize,
    /// Whether the file's log was emptied too. If a reader of another process held it open, old bytes may stay in the log
    /// until it is next emptied, at the latest when the broker stops.
    pub settled: bool,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) key: SigningKey,
    pub(super) sealing: SealingKey,
    pub(super) verifying: VerifyingKey,
    pub(super) on_commit: OnCommit,
    /// When a checkpoint was last signed; a monotonic reading, no time of day.
    pub(super) signed_at: Instant,
    /// Held as long as the thread lives.
    pub(super) _lock: FileLock,
}

/// Why nothing was written.
enum Failure {
    /// For certain nothing was, and the next append may work.
    Clean(AppendError),
    /// Nobody knows what is on the disk.
    Broken(String),
}

impl Writer {
    /// Works until it is told to close, or nobody can append any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut waiting = VecDeque::new();
        loop {
            let job = match waiting.pop_front() {
                Some(job) => job,
                None => match self.next(jobs) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => {
                        self.sign();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match job {
                Job::Append(first) => {
                    let appends = gather(first, jobs, &mut waiting);
                    self.append(appends);
                }
                Job::Checkpoint(reply) => {
                    self.sign();
                    let signed = self.shared.is_signed() || self.shared.is_broken();
                    // The caller may be gone; the checkpoint stands all the same. So below.
                    let _ = reply.send(signed.then_some(()).ok_or(AppendError::Full));
                }
                Job::Erase(seqs, reply) => {
                    let erased = self.erase(&seqs);
                    let _ = reply.send(erased);
                }
                #[cfg(test)]
                Job::Hurt(hurt) => hurt(&self.store),
                Job::Close(reply) => {
                    self.end();
                    // The file and its lock are let go before anyone is told.
                    drop(self);
                    let _ = reply.send(());
                    return;
                }
            }
        }
        self.end();
    }

    /// Waits for work, but with events unsigned no longer than until they are due.
    fn next(&self, jobs: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        if self.shared.is_signed() || self.shared.is_broken() {
            return jobs.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        let interval = Duration::from_secs(CHECKPOINT_INTERVAL_S);
        jobs.recv_timeout(interval.saturating_sub(self.signed_at.elapsed()))
    }

    fn append(&mut self, mut appends: Vec<Append>) {
        // Whose caller has given up is not written: it would land after its refusal was told.
        appends.retain(|append| !append.reply.is_closed());
        if appends.is_empty() {
            return;
        }
        if self.shared.is_broken() {
            return refuse(appends, AppendError::Broken);
        }
        let prepared: Vec<&Prepared> = appends.iter().flat_map(|a| &a.entries).collect();
        match self.write(&prepared) {
            Ok(()) => self.publish(appends),
            Err(Failure::Clean(error)) => {
                tracing::warn!(%error, "an append was not written");
                refuse(appends, error);
            }
            Err(Failure::Broken(error)) => {
                self.break_down(&error);
                refuse(appends, AppendError::Broken);
            }
        }
    }

    /// One transaction, one fsync: the events, their texts, the seal, and a checkpoint when one is due.
    fn write(&mut self, prepared: &[&Prepared]) -> Result<(), Failure> {
        let mut frontier = self.shared.tree().frontier().clone();
        let from = frontier.size();
        for event in prepared {
            frontier.push(event.leaf);
        }
        let (size, root) = (frontier.size(), frontier.root());
        let seal = self.sealing.seal(size, &root);
        let due = self.signed_at.elapsed() >= Duration::from_secs(CHECKPOINT_INTERVAL_S);
        let note = due.then(|| self.note(size, root));
        let written = (|| {
            let write = self.store.begin()?;
            store::insert(&write, from, prepared, &seal)?;
            if let Some(note) = &note {
                store::insert_checkpoint(&write, size, note)?;
            }
            #[cfg(test)]
            seam::cross(seam::Side::Before, &write)?;
            write.commit()
        })();
        #[cfg(test)]
        let written = written.and_then(|()| seam::cross(seam::Side::After, self.store.raw()));
        written.map_err(|error| self.assess(&error, from))?;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        if let Some(note) = note {
            self.signed(size, note);
        }
        Ok(())
    }

    /// Whether a failure left the file as it was. In doubt it did not: after a failed fsync the kernel may have dropped
    /// the bytes, and a second fsync that works proves nothing.
    fn assess(&self, error: &rusqlite::Error, size: u64) -> Failure {
        let clean = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => AppendError::Full,
            Some(ErrorCode::DatabaseBusy) => AppendError::Overloaded,
            _ => return Failure::Broken(error.to_string()),
        };
        match self.store.size() {
            Ok(now) if now == size => Failure::Clean(clean),
            _ => Failure::Broken(error.to_string()),
        }
    }

    /// In this order: the tree, the state, the followers, the waiters. So no acknowledged append is ahead of the state.
    fn publish(&mut self, appends: Vec<Append>) {
        let mut seq = self.shared.size();
        let mut stored = Vec::with_capacity(appends.len());
        for append in &appends {
            let entries = (seq..).zip(&append.entries);
            let rows: Vec<Stored> = entries.map(|(seq, p)| p.stored(seq)).collect();
            seq += rows.len() as u64;
            stored.push(rows);
        }
        let all: Vec<Stored> = stored.iter().flatten().cloned().collect();
        self.shared.grow(&all);
        let on_commit = &mut self.on_commit;
        if catch_unwind(AssertUnwindSafe(|| on_commit(&all))).is_err() {
            // Durable, but the state is no longer what the record says; a restart rebuilds it.
            self.break_down("the state refused an event");
            return refuse(appends, AppendError::Broken);
        }
        self.shared.tell_followers(all);
        for (append, rows) in appends.into_iter().zip(stored) {
            let _ = append.reply.send(Ok(rows));
            // Last: whoever waits for the hold finds the outcome in the state.
            drop(append.hold);
        }
    }

    /// Signs what is not signed yet, in a commit of its own.
    fn sign(&mut self) {
        if self.shared.is_signed() || self.shared.is_broken() {
            return;
        }
        let (size, root) = {
            let tree = self.shared.tree();
            (tree.frontier().size(), tree.frontier().root())
        };
        let note = self.note(size, root);
        let written = self.store.begin().and_then(|write| {
            store::insert_checkpoint(&write, size, &note)?;
            write.commit()
        });
        match written.map_err(|error| self.assess(&error, size)) {
            Ok(()) => {
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                self.signed(size, note);
            }
            // Tried again at the next interval; the events themselves are safe.
            Err(Failure::Clean(error)) => {
                tracing::warn!(%error, "a checkpoint was not stored");
                self.signed_at = Instant::now();
            }
            Err(Failure::Broken(error)) => self.break_down(&error),
        }
    }

    fn note(&self, size: u64, root: super::merkle::Hash) -> String {
        let origin = self.verifying.origin().to_owned();
        Checkpoint { origin, size, root }.sign(&self.key, &self.verifying)
    }

    fn signed(&mut self, size: u64, note: String) {
        self.signed_at = Instant::now();
        self.shared.checkpointed(size, note);
    }

    fn erase(&mut self, seqs: &[u64]) -> Result<Erased, AppendError> {
        if self.shared.is_broken() {
            return Err(AppendError::Broken);
        }
        let size = self.shared.size();
        let erased = self.store.begin().and_then(|write| {
            let mut texts = 0;
            for seq in seqs {
                texts += store::delete_text(&write, *seq)?;
            }
            write.commit().map(|()| texts)
        });
        match erased.map_err(|error| self.assess(&error, size)) {
            Ok(texts) => Ok(Erased {
                texts,
                settled: self.store.settle().unwrap_or(false),
            }),
            Err(Failure::Clean(error)) => Err(error),
            Err(Failure::Broken(error)) => {
                self.break_down(&error);
                Err(AppendError::Broken)
            }
        }
    }

    fn break_down(&self, error: &str) {
        tracing::error!(
            error,
            "the journal is broken: nothing is written until a restart"
        );
        self.shared.break_down();
    }

    fn end(&mut self) {
        self.sign();
        self.shared.end();
        if !self.shared.is_broken()
            && let Err(error) = self.store.settle()
        {
            tracing::warn!(%error, "the journal's log was left beside its file");
        }
    }
}

/// However the thread ends, nobody is left to believe that it still writes.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.break_down();
    }
}

/// The appends that share a commit: this one, and those that came meanwhile. The first job of another kind ends it.
fn gather(first: Append, jobs: &Receiver<Job>, waiting: &mut VecDeque<Job>) -> Vec<Append> {
    let mut events = first.entries.len();
    let mut appends = vec![first];
    while events < COMMIT_EVENTS_MAX {
        match jobs.try_recv() {
            Ok(Job::Append(next)) if events + next.entries.len() <= COMMIT_EVENTS_MAX => {
                events += next.entries.len();
                appends.push(next);
            }
            Ok(other) => {
                waiting.push_back(other);
                break;
            }
            Err(_) => break,
        }
    }
    appends
}

fn refuse(appends: Vec<Append>, error: AppendError) {
    for append in appends {
        let _ = append.reply.send(Err(error));
    }
}
