//! The bundle in force: the last good one, whatever the folder or the branch that it comes from says now.

mod branch;
mod folder;
pub mod git;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use writ_engine::Bundle;
use writ_engine::bundle::{BundleFiles, Report};
use writ_engine::digest::CommitId;

use branch::Branch;
use folder::Folder;

pub use branch::{BranchSettings, Rewrite, Signed};
pub use folder::{read, read_tests};

/// Where the bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder, as its files are now.
    Folder(PathBuf),
    /// A branch of a git repository, as its newest commit has it.
    Branch(BranchSettings),
}

/// A bundle, and where it was read from.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// The commit that it was read from, if it comes from a branch.
    pub commit: Option<CommitId>,
}

impl InForce {
    fn check(files: &BundleFiles, commit: Option<CommitId>) -> Result<InForce, Refusal> {
        match Bundle::load(files) {
            Ok(bundle) => Ok(InForce {
                bundle: Arc::new(bundle),
                commit,
            }),
            Err(report) => Err(Refusal { report, commit }),
        }
    }
}

/// Why what the source has now may not come into force.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What is wrong.
    pub report: Report,
    /// The commit that is refused, where it is one.
    pub commit: Option<CommitId>,
}

/// What became of a reload.
#[derive(Debug)]
pub enum Reload {
    /// What is in force stays so; `looked` tells whether the source was read and found to have just that.
    Unchanged {
        /// Whether the source was read.
        looked: bool,
    },
    /// This is in force from now.
    Replaced(InForce),
    /// The source has no bundle that may come into force; the last good one stays.
    Refused(Refusal),
}

/// Holds the bundle in force.
#[derive(Debug)]
pub struct BundleSlot {
    // Held only for the length of a clone or a swap: readers never wait for a bundle being checked.
    current: RwLock<InForce>,
    // Held over a whole reload: two at once could put the older bundle last.
    watched: Mutex<Watched>,
}

#[derive(Debug)]
enum Watched {
    Folder(Folder),
    Branch(Box<Branch>),
}

impl Watched {
    fn open(source: &Source) -> Watched {
        match source {
            Source::Folder(folder) => Watched::Folder(Folder::new(folder)),
            Source::Branch(settings) => Watched::Branch(Box::new(Branch::new(settings))),
        }
    }

    /// What the source has now, which comes after the commit `in_force`.
    fn read(&mut self, in_force: Option<&CommitId>) -> Result<InForce, Refusal> {
        match self {
            Watched::Folder(folder) => folder.read(),
            Watched::Branch(branch) => branch.read(in_force),
        }
    }

    fn has_changed(&mut self) -> bool {
        match self {
            Watched::Folder(folder) => folder.has_changed(),
            Watched::Branch(branch) => branch.has_changed(),
        }
    }
}

impl BundleSlot {
    /// Loads the source's bundle; without a valid one there is nothing to start with.
    pub fn open(source: &Source) -> Result<BundleSlot, Refusal> {
        let mut watched = Watched::open(source);
        let first = watched.read(None)?;
        Ok(BundleSlot {
            current: RwLock::new(first),
            watched: Mutex::new(watched),
        })
    }

    /// Refuses to go on from `mark`, the commit last recorded as in force, with a branch that does not descend from it.
    pub fn goes_on_from(&self, mark: &CommitId) -> Result<(), Refusal> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*watched, self.in_force().commit) {
            (Watched::Branch(branch), Some(head)) => branch.goes_on_from(mark, &head),
            // A folder has no history that could be turned back.
            (Watched::Branch(_) | Watched::Folder(_), _) => Ok(()),
        }
    }

    /// The bundle in force.
    pub fn current(&self) -> Arc<Bundle> {
        self.in_force().bundle
    }

    /// The bundle in force, and the commit it was read from.
    pub fn in_force(&self) -> InForce {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the source again, whether it looks changed or not. Blocks while it reads and checks.
    pub fn reload(&self) -> Reload {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_again(&mut watched)
    }

    /// Reads the source again if it looks different from when it was last read. Blocks.
    pub fn poll(&self) -> Reload {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.has_changed() {
            true => self.read_again(&mut watched),
            false => Reload::Unchanged { looked: false },
        }
    }

    /// As [`BundleSlot::poll`], and reads a branch even if it looks the same: what kept git from reading it may be gone. A
    /// folder may be just being written, and a commit is whole. Blocks.
    pub fn retry(&self) -> Reload {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.has_changed() || matches!(*watched, Watched::Branch(_)) {
            true => self.read_again(&mut watched),
            false => Reload::Unchanged { looked: false },
        }
    }

    fn read_again(&self, watched: &mut Watched) -> Reload {
        let old = self.in_force();
        match watched.read(old.commit.as_ref()) {
            Err(refusal) => Reload::Refused(refusal),
            Ok(new) if new.bundle.digest() == old.bundle.digest() && new.commit == old.commit => {
                Reload::Unchanged { looked: true }
            }
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
                Reload::Replaced(new)
            }
        }
    }
}

#[cfg(test)]
mod tests;
