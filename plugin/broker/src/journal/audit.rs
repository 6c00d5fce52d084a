//! The audit: one pass over the leaves that finds what was edited, removed, inserted, moved, cut or forked.

use std::iter::Peekable;
use std::vec;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::VerifyingKey;
use super::merkle::{Hash, Tree};

/// What is wrong with a journal, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// SQLite, but not Writ's; or not SQLite at all.
    #[error("this file is no journal")]
    NotAJournal,
    /// Written by a broker of another schema.
    #[error("the journal's schema has epoch {0}; use the version of writ that wrote it")]
    UnknownEpoch(i64),
    /// A table or trigger is not as it was made.
    #[error("the journal's tables were altered")]
    Schema,
    /// SQLite cannot read the file.
    #[error("the journal cannot be read: {0}")]
    Unreadable(String),
    /// An event's bytes are not those its leaf was made of.
    #[error("event {0} was edited")]
    Edited(u64),
    /// An event is not there, though later ones are.
    #[error("event {0} is missing")]
    Missing(u64),
    /// Rows lie where no event belongs.
    #[error("there are rows that belong to no event")]
    Stray,
    /// An event's bytes are no event in canonical form.
    #[error("event {0} cannot be read: {1}")]
    NotCanonical(u64, String),
    /// An event does not follow from those before.
    #[error("event {0} does not follow: {1}")]
    NoStory(u64, String),
    /// A text is not the one its event commits to.
    #[error("the text of event {0} was changed")]
    Text(u64),
    /// No checkpoint is stored, though each journal is born with one.
    #[error("the journal has no checkpoint")]
    NoCheckpoint,
    /// A stored checkpoint is not signed by the key.
    #[error("the stored checkpoint of size {0} is wrong: {1}")]
    Checkpoint(u64, CheckpointError),
    /// Fewer events than the checkpoint counts.
    #[error("the journal was cut: it has {events} events, and a checkpoint counts {signed}")]
    Cut {
        /// How many a signed checkpoint counts.
        signed: u64,
        /// How many there are.
        events: u64,
    },
    /// Other events than those signed, in a place that two checkpoints bound.
    #[error("events from {from} to before {to} are not those that were signed")]
    Replaced {
        /// The first that may be another.
        from: u64,
        /// The first that the checkpoint does not cover.
        to: u64,
    },
    /// The newest events are not sealed by the key.
    #[error("the events from {0} on were not written by this journal's broker")]
    Unsealed(u64),
    /// The checkpoint to compare with is itself none of this journal's.
    #[error("the kept checkpoint is of no use: {0}")]
    Kept(CheckpointError),
    /// The journal is another than the one the kept checkpoint was taken from.
    #[error("the journal was forked: its first {0} events are not those of the kept checkpoint")]
    Forked(u64),
}

impl From<rusqlite::Error> for Damage {
    fn from(error: rusqlite::Error) -> Damage {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
            return Damage::NotAJournal;
        }
        Damage::Unreadable(error.to_string())
    }
}

/// The one pass. Shown every leaf in order, it compares the root with each checkpoint's as it passes.
pub(super) struct Audit {
    tree: Tree,
    stored: Peekable<vec::IntoIter<Checkpoint>>,
    kept: Option<Checkpoint>,
    latest: Checkpoint,
    /// Up to here a stored checkpoint has agreed.
    agreed: u64,
}

impl Audit {
    /// Begins with every stored note, smallest first, and perhaps one that was kept elsewhere.
    pub(super) fn begin(
        notes: Vec<(i64, String)>,
        kept: Option<&str>,
        key: &VerifyingKey,
    ) -> Result<Audit, Damage> {
        let kept = kept
            .map(|note| Checkpoint::open(note, key))
            .transpose()
            .map_err(Damage::Kept)?;
        let mut stored = Vec::with_capacity(notes.len());
        for (size, note) in notes {
            let wrong = |error| Damage::Checkpoint(size.unsigned_abs(), error);
            let checkpoint = Checkpoint::open(&note, key).map_err(wrong)?;
            if i64::try_from(checkpoint.size) != Ok(size) {
                return Err(wrong(CheckpointError::Malformed("it states another size")));
            }
            stored.push(checkpoint);
        }
        let latest = stored.last().cloned().ok_or(Damage::NoCheckpoint)?;
        let mut audit = Audit {
            tree: Tree::default(),
            stored: stored.into_iter().peekable(),
            kept,
            latest,
            agreed: 0,
        };
        audit.compare()?;
        Ok(audit)
    }

    /// Takes the next leaf, of event `seq`.
    pub(super) fn push(&mut self, seq: u64, leaf: Hash) -> Result<(), Damage> {
        let expected = self.size();
        if seq != expected {
            return Err(Damage::Missing(expected));
        }
        self.tree.push(leaf);
        self.compare()
    }

    fn compare(&mut self) -> Result<(), Damage> {
        let size = self.size();
        if let Some(checkpoint) = self.stored.next_if(|next| next.size <= size) {
            if checkpoint.root != self.root() {
                return Err(Damage::Replaced {
                    from: self.agreed,
                    to: size,
                });
            }
            self.agreed = size;
        }
        match &self.kept {
            Some(kept) if kept.size == size && kept.root != self.root() => {
                Err(Damage::Forked(size))
            }
            _ => Ok(()),
        }
    }

    /// Ends the pass: every checkpoint must have been reached. Hands back the tree and the newest stored checkpoint.
    pub(super) fn end(self) -> Result<(Tree, Checkpoint), Damage> {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.size);
        let signed = self.latest.size.max(kept);
        let events = self.size();
        if signed > events {
            return Err(Damage::Cut { signed, events });
        }
        Ok((self.tree, self.latest))
    }

    pub(super) fn size(&self) -> u64 {
        self.tree.frontier().size()
    }

    pub(super) fn root(&self) -> Hash {
        self.tree.frontier().root()
    }
}
