//! Who needs which request: several resources of one run share one, and the last who is done with it ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Pace;
use super::close::{self, Leaving};
use super::held::Held;
use super::wish::{Wanted, Wish};
use crate::connection::Broker;
use crate::diagnostic::Diagnostic;
use crate::duration::Length;
use crate::ending::Happened;
use crate::run::Run;

/// Every request this process needs.
pub(crate) struct Table {
    run: Run,
    pace: Pace,
    entries: Mutex<HashMap<Key, Entry>>,
}

/// What makes two blocks share a request: the same wish, at the same configured broker.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    wish: Wish,
    // Its address in memory: a provider that is configured anew has another broker.
    broker: usize,
}

struct Entry {
    held: Arc<Held>,
    users: usize,
    applying: bool,
    linger: Length,
    /// Tells the request's task to end it; gone once it has been told.
    end: Option<oneshot::Sender<Leaving>>,
}

impl Table {
    /// An empty table for this run.
    pub(crate) fn new(run: Run, pace: Pace) -> Arc<Table> {
        Arc::new(Table {
            run,
            pace,
            entries: Mutex::default(),
        })
    }

    /// The lock is held for a few lines at a time, none of which can panic halfway.
    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to use a request: the one that others use already, or a new one.
    pub(super) async fn enter(self: &Arc<Self>, broker: &Arc<Broker>, wanted: &Wanted) -> Use {
        let key = Key {
            wish: wanted.wish.clone(),
            broker: Arc::as_ptr(broker).addr(),
        };
        loop {
            // One that is being ended would be found again at the broker, and then end: wait for its end instead.
            let ending = match self.join(&key, broker, wanted) {
                Ok(held) => {
                    return Use {
                        table: Arc::clone(self),
                        key,
                        held,
                        leaving: Some(Happened::BrokenOff),
                    };
                }
                Err(ending) => ending,
            };
            ending.gone().await;
        }
    }

    /// Counts a user, or names the request that has to end first.
    fn join(
        self: &Arc<Self>,
        key: &Key,
        broker: &Arc<Broker>,
        wanted: &Wanted,
    ) -> Result<Arc<Held>, Arc<Held>> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(key) {
            if entry.end.is_none() {
                return Err(Arc::clone(&entry.held));
            }
            entry.users += 1;
            entry.applying |= wanted.applying;
            entry.linger = entry.linger.max(wanted.linger);
            return Ok(Arc::clone(&entry.held));
        }
        let held = Arc::new(Held::new(
            Arc::clone(broker),
            wanted.wish.clone(),
            self.pace,
        ));
        let (end, told) = oneshot::channel();
        let entry = Entry {
            held: Arc::clone(&held),
            users: 1,
            applying: wanted.applying,
            linger: wanted.linger,
            end: Some(end),
        };
        entries.insert(key.clone(), entry);
        // A task of its own: what has been asked for is also taken back when whoever asked is gone.
        tokio::spawn(Arc::clone(self).tend(key.clone(), Arc::clone(&held), told));
        Ok(held)
    }

    /// The life of one request, from the wish to its end.
    async fn tend(
        self: Arc<Self>,
        key: Key,
        held: Arc<Held>,
        mut told: oneshot::Receiver<Leaving>,
    ) {
        let id = held.ask(&self.run).await;
        let leaving = match &id {
            Some(id) => tokio::select! {
                leaving = &mut told => leaving,
                never = held.live(id) => match never {},
            },
            None => told.await,
        };
        if let (Ok(leaving), Some(id)) = (leaving, id) {
            close::end(&held, &id, leaving, self.pace.give_back).await;
        }
        self.entries().remove(&key);
        held.is_gone_now();
    }

    /// One user less; the last one ends the request. Answers where to hear how that went.
    fn leave(
        &self,
        key: &Key,
        happened: Happened,
    ) -> Option<oneshot::Receiver<Option<Diagnostic>>> {
        let mut entries = self.entries();
        let entry = entries.get_mut(key)?;
        entry.users = entry.users.saturating_sub(1);
        match entry.users {
            0 => entry.end(happened),
            _ => None,
        }
    }

    /// Terraform is done with one use of the request of this id. Answers what the user should know of its end.
    pub(crate) async fn close(&self, id: &str) -> Option<Diagnostic> {
        let (key, trouble) = {
            let entries = self.entries();
            let (key, entry) = entries.iter().find(|(_, entry)| entry.held.is(id))?;
            (key.clone(), close::trouble(&entry.held))
        };
        let ended = match self.leave(&key, Happened::Closed) {
            Some(told) => told.await.ok().flatten(),
            None => None,
        };
        trouble.or(ended)
    }

    /// What went wrong with the request of this id while Terraform used it.
    pub(crate) fn trouble(&self, id: &str) -> Option<Diagnostic> {
        let entries = self.entries();
        let entry = entries.values().find(|entry| entry.held.is(id))?;
        close::trouble(&entry.held)
    }

    /// Ends everything, and waits until that is done.
    pub(crate) async fn end_all(&self, happened: Happened) {
        let held: Vec<_> = {
            let mut entries = self.entries();
            entries
                .values_mut()
                .map(|entry| {
                    // Nobody listens to how it went; it is in the log.
                    drop(entry.end(happened));
                    Arc::clone(&entry.held)
                })
                .collect()
        };
        for held in held {
            held.gone().await;
        }
    }
}

impl Entry {
    fn end(&mut self, happened: Happened) -> Option<oneshot::Receiver<Option<Diagnostic>>> {
        let (told, hear) = oneshot::channel();
        let leaving = Leaving {
            happened,
            applying: self.applying,
            linger: self.linger,
            told,
        };
        // The task listens for as long as the entry stands here.
        self.end.take()?.send(leaving).ok()?;
        Some(hear)
    }
}

/// One use of a request. Dropped before it was kept, it is a use less: whoever wanted the credentials is gone.
pub(super) struct Use {
    table: Arc<Table>,
    key: Key,
    /// The request.
    pub(super) held: Arc<Held>,
    leaving: Option<Happened>,
}

impl Use {
    /// The credentials are handed over: from here on, Close ends the use.
    pub(super) fn keep(mut self) {
        self.leaving = None;
    }

    /// The credentials cannot be had, for this reason.
    pub(super) fn give_up(mut self, happened: Happened) {
        self.leaving = Some(happened);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let Some(happened) = self.leaving {
            drop(self.table.leave(&self.key, happened));
        }
    }
}
