//! The state: every case, rebuilt from the journal at start and kept by its commits. Nothing else writes it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;
use writ_engine::case::NoStory;
use writ_engine::event::Fact;
use writ_engine::notice;
use writ_engine::{Case, Moment, PrincipalId, RequestId, UserId};

use super::lending::Lent;
use super::revocations::Revocations;
use crate::journal::Stored;

/// All cases, shared between the journal's writer and the desk.
#[derive(Default)]
pub(super) struct Cases(RwLock<Projection>);

/// What the events say, by request.
#[derive(Default)]
pub(super) struct Projection {
    by_id: BTreeMap<RequestId, Row>,
    by_key: HashMap<(PrincipalId, String), RequestId>,
    // Cases that may still be open; those that have ended leave when they are next counted.
    open: HashMap<PrincipalId, BTreeSet<RequestId>>,
    // Open cases that end by themselves, and when their requester was last heard of.
    heard: HashMap<RequestId, Moment>,
    watchers: HashMap<RequestId, watch::Sender<u64>>,
    // Emergencies that were ever asked for: few.
    emergencies: BTreeSet<RequestId>,
    // Cases of which people may still have to be told something.
    untold: HashSet<RequestId>,
    revocations: Revocations,
    lent: Lent,
    // Set when a committed event makes no story: a fault of ours. Nothing is decided from such a state.
    broken: Option<NoStory>,
}

/// A case, what people said at its end, and the run it belongs to.
pub(super) struct Row {
    pub(super) case: Case,
    pub(super) denied: Option<(UserId, Option<String>)>,
    pub(super) revoked: Option<(PrincipalId, Option<String>)>,
    pub(super) finding: Option<String>,
    pub(super) run: Option<String>,
}

impl Cases {
    /// The state as the last commit left it.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Projection> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one event of the record while the state is rebuilt; refuses one that does not follow.
    pub(super) fn replay(&self, stored: &Stored) -> Result<(), NoStory> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(stored)
    }

    /// Takes committed events, in order.
    pub(super) fn apply(&self, stored: &[Stored]) {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for event in stored {
            if let Err(no_story) = projection.apply(event) {
                tracing::error!(sequence = event.seq, %no_story, "a committed event makes no story; nothing is decided any more");
                projection.broken.get_or_insert(no_story);
            }
        }
    }

    /// A receiver that wakes after each event of a case.
    pub(super) fn watch(&self, id: &RequestId) -> watch::Receiver<u64> {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        projection
            .watchers
            .retain(|_, sender| sender.receiver_count() > 0);
        projection
            .watchers
            .entry(id.clone())
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    /// Notes that a requester was heard of at `now`.
    pub(super) fn hear(&self, id: &RequestId, now: Moment) {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = projection.heard.get_mut(id) {
            *heard = now.max(*heard);
        }
    }

    /// Notes that every requester was heard of at `now`.
    pub(super) fn hear_all(&self, now: Moment) {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        projection.heard.values_mut().for_each(|heard| *heard = now);
    }

    /// The cases whose requesters have said nothing for too long at `now`. Forgets those that have ended.
    pub(super) fn unheard(&self, now: Moment) -> Vec<RequestId> {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Projection { by_id, heard, .. } = &mut *projection;
        heard.retain(|id, _| {
            by_id
                .get(id)
                .is_some_and(|row| !row.case.state(now).is_terminal())
        });
        projection
            .heard
            .keys()
            .filter(|id| projection.kept_until(id).is_some_and(|until| until <= now))
            .cloned()
            .collect()
    }

    /// Forgets what need no longer be denied at AWS.
    pub(super) fn forget_revocations(&self, now: Moment) {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        projection.revocations.forget(now);
    }

    /// Forgets the cases of which nothing is to be told any more.
    pub(super) fn forget_told(&self, now: Moment) {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Projection { by_id, untold, .. } = &mut *projection;
        untold.retain(|id| {
            by_id
                .get(id)
                .is_some_and(|row| !notice::settled(&row.case, now))
        });
    }

    /// How many of a principal's requests are open at `now`.
    pub(super) fn open_requests(&self, principal: &PrincipalId, now: Moment) -> usize {
        let mut projection = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Projection { by_id, open, .. } = &mut *projection;
        let Some(ids) = open.get_mut(principal) else {
            return 0;
        };
        ids.retain(|id| {
            by_id
                .get(id)
                .is_some_and(|row| !row.case.state(now).is_terminal())
        });
        ids.len()
    }
}

impl Projection {
    fn apply(&mut self, stored: &Stored) -> Result<(), NoStory> {
        let Some(id) = stored.event.fact.request() else {
            self.note(stored);
            return Ok(());
        };
        match &stored.event.fact {
            Fact::Requested {
                request,
                idempotency_key,
                run,
                keep_for_s,
                ..
            } => {
                if self.by_id.contains_key(id) {
                    return Err(NoStory("two requests have one id"));
                }
                let case = Case::begin(&stored.event, stored.text().map(str::to_owned))?;
                let principal = request.principal.id.clone();
                if let Some(key) = idempotency_key {
                    self.by_key
                        .insert((principal.clone(), key.clone()), id.clone());
                }
                self.open.entry(principal).or_default().insert(id.clone());
                if keep_for_s.is_some() {
                    self.heard.insert(id.clone(), stored.event.at);
                }
                let row = Row {
                    case,
                    denied: None,
                    revoked: None,
                    finding: None,
                    run: run.clone(),
                };
                if request.break_glass.is_some() {
                    self.emergencies.insert(id.clone());
                }
                self.by_id.insert(id.clone(), row);
            }
            fact => {
                let row = self
                    .by_id
                    .get_mut(id)
                    .ok_or(NoStory("the case has no beginning"))?;
                row.case.apply_with(&stored.event, stored.text())?;
                let text = || stored.text().map(str::to_owned);
                match fact {
                    Fact::Denied { approver, .. } => row.denied = Some((approver.clone(), text())),
                    Fact::Revoked { by, .. } => row.revoked = Some((by.clone(), text())),
                    Fact::Reviewed { .. } => row.finding = text(),
                    Fact::Kept { .. } => {
                        self.heard.insert(id.clone(), stored.event.at);
                    }
                    _ => {}
                }
                if let Fact::Revoked { .. } | Fact::Released { .. } = fact {
                    self.revocations.note_end(&row.case);
                }
            }
        }
        self.note_untold(id, stored.event.at);
        self.wake(std::slice::from_ref(id));
        Ok(())
    }

    // What is about no one request.
    fn note(&mut self, stored: &Stored) {
        let at = stored.event.at;
        match &stored.event.fact {
            Fact::RevocationWritten {
                role_arn,
                policy,
                grants,
                ..
            } => {
                self.revocations.note_written(at, role_arn, *policy, grants);
                self.wake(grants);
            }
            Fact::RevocationVerified { role_arn, policy } => {
                let grants = self.revocations.note_verified(at, role_arn, *policy);
                self.wake(&grants);
            }
            Fact::Delegated { delegation } => self.lent.note(delegation, stored.text()),
            Fact::DelegationEnded { delegation } => self.lent.note_end(delegation),
            _ => {}
        }
    }

    fn note_untold(&mut self, id: &RequestId, at: Moment) {
        let case = self.by_id.get(id).map(|row| &row.case);
        if case.is_none_or(|case| notice::settled(case, at)) {
            self.untold.remove(id);
        } else if !self.untold.contains(id) {
            self.untold.insert(id.clone());
        }
    }

    fn wake(&self, requests: &[RequestId]) {
        for watcher in requests.iter().filter_map(|id| self.watchers.get(id)) {
            watcher.send_modify(|version| *version += 1);
        }
    }

    /// Every emergency that was ever asked for: all that a principal's standing depends on.
    pub(super) fn emergencies(&self) -> impl Iterator<Item = &Case> {
        let rows = self.emergencies.iter().filter_map(|id| self.by_id.get(id));
        rows.map(|row| &row.case)
    }

    /// The cases of which people may still have to be told something.
    pub(super) fn untold(&self) -> impl Iterator<Item = &Case> {
        let rows = self.untold.iter().filter_map(|id| self.by_id.get(id));
        rows.map(|row| &row.case)
    }

    /// Whether a case is one of them.
    pub(super) fn is_untold(&self, id: &RequestId) -> bool {
        self.untold.contains(id)
    }

    /// What is denied at AWS.
    pub(super) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The rights that are lent.
    pub(super) fn lent(&self) -> &Lent {
        &self.lent
    }

    /// One case.
    pub(super) fn get(&self, id: &RequestId) -> Option<&Row> {
        self.by_id.get(id)
    }

    /// The request a principal made under a key.
    pub(super) fn by_key(&self, principal: &PrincipalId, key: &str) -> Option<&Row> {
        self.by_id
            .get(self.by_key.get(&(principal.clone(), key.to_owned()))?)
    }

    /// A principal's requests that may still be open.
    pub(super) fn maybe_open(&self, principal: &PrincipalId) -> impl Iterator<Item = &Row> {
        let ids = self.open.get(principal);
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.by_id.get(id))
    }

    /// When a case ends unless its requester is heard of before; `None` when it is kept in any case.
    pub(super) fn kept_until(&self, id: &RequestId) -> Option<Moment> {
        let keep_for_s = self.by_id.get(id)?.case.keep_for_s()?;
        Some(self.heard.get(id)?.plus_s(keep_for_s))
    }

    /// Cases from `from` (or the newest) to older ones.
    pub(super) fn newest_first(&self, from: Option<&RequestId>) -> impl Iterator<Item = &Row> {
        let upto = match from {
            Some(id) => (std::ops::Bound::Unbounded, std::ops::Bound::Included(id)),
            None => (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
        };
        self.by_id
            .range::<RequestId, _>(upto)
            .rev()
            .map(|(_, row)| row)
    }

    /// Every case, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Row> {
        self.by_id.values()
    }

    /// Whether the state can be decided from.
    pub(super) fn is_sound(&self) -> bool {
        self.broken.is_none()
    }
}
