//! The steps between a call and its reply at which something can go wrong, counted as they are crossed: each commit of the
//! journal, and each call to AWS. At one of them one trouble strikes.

use std::sync::{Arc, Condvar, Mutex};

use rusqlite::Connection;
use rusqlite::ffi;
use tempfile::TempDir;

use super::*;
use crate::journal::seam::{self, Side};

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Commit,
    Sts,
    Iam,
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The disk is full: nothing is written, and what comes next may be.
    Full,
    /// Writing fails: nothing is on the disk, and nobody can know that.
    WriteFails,
    /// The sync fails, and the events are there all the same.
    SyncFails,
    /// AWS says no, for good.
    Refused,
    /// AWS asks to come back.
    Throttled,
    /// AWS does it, and its answer is lost.
    Lost,
    /// AWS does it, and its answer ends in the middle.
    Garbled,
    /// It takes until somebody else has said something too.
    Held,
    /// It takes longer than anybody waits for it.
    Stalled,
    /// The broker dies before it is done.
    DiesBefore,
    /// The broker dies when it is done, before anybody hears of it.
    DiesAfter,
}

impl Trouble {
    /// Everything that can go wrong at a step.
    pub(super) fn at(step: Step) -> &'static [Trouble] {
        use Trouble::{
            DiesAfter, DiesBefore, Full, Garbled, Held, Lost, Refused, Stalled, SyncFails,
            Throttled, WriteFails,
        };
        match step {
            Step::Commit => &[
                Full, WriteFails, SyncFails, Held, Stalled, DiesBefore, DiesAfter,
            ],
            Step::Sts | Step::Iam => &[
                Refused, Throttled, Lost, Garbled, Held, Stalled, DiesBefore, DiesAfter,
            ],
        }
    }

    pub(super) fn is_crash(self) -> bool {
        matches!(self, Trouble::DiesBefore | Trouble::DiesAfter)
    }

    pub(super) fn is_delay(self) -> bool {
        matches!(self, Trouble::Held | Trouble::Stalled)
    }

    /// How long nothing comes, in real time.
    fn delay(self, step: Step) -> Duration {
        match (self, step) {
            (Trouble::Stalled, Step::Commit) => {
                Duration::from_secs(crate::journal::APPEND_DEADLINE_S) + Duration::from_millis(300)
            }
            (Trouble::Stalled, Step::Sts | Step::Iam) => {
                Duration::from_secs(crate::aws::CALL_TIMEOUT_S) + Duration::from_millis(300)
            }
            // Enough for another call to come as far as it can.
            _ => Duration::from_millis(30),
        }
    }
}

#[derive(Default)]
struct State {
    crossed: Vec<Step>,
    // The step, by its number from 0, and what happens there.
    strike: Option<(usize, Trouble)>,
    struck: Option<(Step, Trouble)>,
    // The commit that is under way is struck when it is durable.
    after: Option<Trouble>,
    let_go: bool,
    // The broker dies at the next call to AWS, which is no step then.
    dies_next: bool,
    journal: PathBuf,
    // What the files of a broker that died hold.
    remains: Option<TempDir>,
    // The leaves of every event that was durable.
    durable: Vec<Vec<u8>>,
}

/// The steps of one life. Shared by all who hold one.
#[derive(Clone, Default)]
pub(super) struct Seams(Arc<(Mutex<State>, Condvar, tokio::sync::Notify)>);

impl Seams {
    pub(super) fn striking(strike: Option<(usize, Trouble)>) -> Seams {
        let seams = Seams::default();
        seams.lock().strike = strike;
        seams
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Counts the commits to the journal at `path` from now on.
    pub(super) fn of_journal(&self, path: &Path) {
        let before = std::mem::replace(&mut self.lock().journal, path.to_owned());
        seam::clear(&before);
        let seams = self.clone();
        seam::set(
            path,
            Arc::new(move |side, connection| seams.commit(side, connection)),
        );
    }

    /// The steps crossed so far.
    pub(super) fn crossed(&self) -> Vec<Step> {
        self.lock().crossed.clone()
    }

    /// Whether the broker dies at its next call to AWS.
    pub(super) fn die_next(&self, dies: bool) {
        self.lock().dies_next = dies;
    }

    /// What struck, if it has.
    pub(super) fn struck(&self) -> Option<(Step, Trouble)> {
        self.lock().struck
    }

    /// The files of the broker that died, as they were then.
    pub(super) fn remains(&self) -> Option<TempDir> {
        self.lock().remains.take()
    }

    /// The leaves of the events that were durable at some time.
    pub(super) fn durable(&self) -> Vec<Vec<u8>> {
        self.lock().durable.clone()
    }

    /// Does `work`; if a step of it is delayed, does `meanwhile` in that time, and lets the step go on after it.
    pub(super) async fn patiently<W: Future, M: Future>(
        &self,
        work: W,
        meanwhile: M,
    ) -> (W::Output, Option<M::Output>) {
        let calm = self.struck().is_none();
        let late = async {
            self.0.2.notified().await;
            tokio::join!(meanwhile, self.let_go()).0
        };
        tokio::pin!(work, late);
        tokio::select! {
            biased;
            other = &mut late => (work.await, Some(other)),
            done = &mut work => match self.struck() {
                // Nobody waited for it any longer, or whoever came meanwhile is still at it.
                Some((_, trouble)) if calm && trouble.is_delay() => (done, Some(late.await)),
                _ => (done, None),
            },
        }
    }

    /// The delayed step goes on, once it has taken its time.
    async fn let_go(&self) {
        if let Some((step, trouble)) = self.struck() {
            tokio::time::sleep(trouble.delay(step)).await;
        }
        self.lock().let_go = true;
        self.0.1.notify_all();
    }

    fn hold(&self) {
        self.0.2.notify_one();
        let state = self.lock();
        drop(self.0.1.wait_while(state, |state| !state.let_go).unwrap());
    }

    /// Counts a step; what strikes there.
    fn cross(&self, step: Step) -> Option<Trouble> {
        let mut state = self.lock();
        let number = state.crossed.len();
        state.crossed.push(step);
        let trouble = state
            .strike
            .filter(|(at, _)| *at == number)
            .map(|(_, trouble)| trouble)?;
        assert!(
            Trouble::at(step).contains(&trouble),
            "{trouble:?} at a {step:?}"
        );
        state.struck = Some((step, trouble));
        Some(trouble)
    }

    /// The broker is dead: its files are as they are, and whatever it still does leads nowhere.
    fn die(&self) {
        let mut state = self.lock();
        let remains = tempfile::tempdir().unwrap();
        for name in ["key", "writ.db", "writ.db-wal"] {
            let from = state.journal.with_file_name(name);
            if from.exists() {
                std::fs::copy(from, remains.path().join(name)).unwrap();
            }
        }
        state.remains = Some(remains);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().remains.is_some()
    }

    fn commit(&self, side: Side, connection: &Connection) -> Result<(), rusqlite::Error> {
        let failing = |code| Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        // The writer's thread ends without a word, as with its process.
        let gone = || std::panic::resume_unwind(Box::new("the broker died"));
        if self.is_dead() {
            return gone();
        }
        let trouble = match side {
            Side::Before => {
                let trouble = self.cross(Step::Commit);
                self.lock().after = trouble;
                trouble
            }
            Side::After => {
                let mut state = self.lock();
                let known = i64::try_from(state.durable.len()).unwrap();
                let mut rows = connection
                    .prepare("SELECT leaf FROM events WHERE seq >= ?1 ORDER BY seq")
                    .unwrap();
                let leaves = rows.query_map([known], |row| row.get(0)).unwrap();
                state.durable.extend(leaves.map(Result::unwrap));
                state.after.take()
            }
        };
        match (side, trouble) {
            (Side::Before, Some(Trouble::Full)) => failing(ffi::SQLITE_FULL),
            (Side::Before, Some(Trouble::WriteFails)) => failing(ffi::SQLITE_IOERR_WRITE),
            (Side::After, Some(Trouble::SyncFails)) => failing(ffi::SQLITE_IOERR_FSYNC),
            (Side::Before, Some(Trouble::Held | Trouble::Stalled)) => {
                self.hold();
                Ok(())
            }
            (Side::Before, Some(Trouble::DiesBefore)) | (Side::After, Some(Trouble::DiesAfter)) => {
                self.die();
                gone()
            }
            _ => Ok(()),
        }
    }

    /// A call arrives at AWS: what becomes of it. `None` where nothing does, for the broker that made it is dead.
    pub(super) async fn call(&self, step: Step) -> Option<Option<Trouble>> {
        if self.is_dead() {
            return None;
        }
        if std::mem::take(&mut self.lock().dies_next) {
            self.die();
            return None;
        }
        let trouble = self.cross(step);
        if trouble == Some(Trouble::DiesBefore) {
            self.die();
            return None;
        }
        Some(trouble)
    }

    /// AWS has done it, and is about to say so.
    pub(super) async fn done(&self, trouble: Option<Trouble>) {
        match trouble {
            Some(Trouble::DiesAfter) => self.die(),
            Some(Trouble::Held | Trouble::Stalled) => {
                let seams = self.clone();
                let held = tokio::task::spawn_blocking(move || seams.hold());
                held.await.unwrap();
            }
            _ => {}
        }
    }

    /// Counts no more commits.
    pub(super) fn forget(&self) {
        seam::clear(&self.lock().journal);
    }
}
