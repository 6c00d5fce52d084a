//! Requests that end when their requester is gone: kept for a while after each word, then withdrawn or released.

use std::sync::Arc;

use writ_engine::event::Fact;
use writ_engine::{Moment, RequestId, State};

use super::Desk;
use super::view::{Act, CaseView, Refused};
use crate::identity::Identity;

impl Desk {
    /// The requester is still there, and from now the request outlives their last word by `keep_for_s` seconds.
    ///
    /// Recorded only where that time is another than before: after a restart each request gets its time again.
    pub async fn keep(
        &self,
        who: &Identity,
        id: &str,
        keep_for_s: u32,
    ) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.now();
        let case = self.case(&id)?;
        if case.request().principal.id != who.principal().id {
            return Err(Refused::NotPermitted(Act::GoOn));
        }
        let state = case.state(now);
        if state.is_terminal() {
            return Err(Refused::WrongState(state.name()));
        }
        self.still_heard(&id, state, now)?;
        if case.keep_for_s() == Some(keep_for_s) {
            self.cases.hear(&id, now);
        } else {
            let kept = Fact::Kept {
                request: id.clone(),
                keep_for_s,
            };
            self.append(now, kept, Vec::new(), turn).await?;
        }
        self.view(&id, &self.bundle()).ok_or(Refused::Journal)
    }

    /// Refuses a case that is about to end because its requester said nothing for too long: a word that comes too late
    /// revives nothing.
    pub(super) fn still_heard(
        &self,
        id: &RequestId,
        state: State,
        now: Moment,
    ) -> Result<(), Refused> {
        match (self.is_unheard(id, now), state) {
            (false, _) => Ok(()),
            (true, State::Active(_)) => Err(Refused::WrongState(State::Released.name())),
            (true, _) => Err(Refused::WrongState(State::Withdrawn.name())),
        }
    }

    fn is_unheard(&self, id: &RequestId, now: Moment) -> bool {
        let until = self.cases.read().kept_until(id);
        until.is_some_and(|until| until <= now)
    }

    /// Ends the requests of those who have said nothing for too long.
    pub async fn end_the_unheard(self: &Arc<Self>) {
        for id in self.cases.unheard(self.now()) {
            if let Err(refused) = self.end_unheard(&id).await {
                // It is looked at again soon, and nothing is issued for it meanwhile.
                tracing::warn!(request = %id, ?refused, "a request whose requester is gone could not be ended yet");
            }
        }
    }

    async fn end_unheard(&self, id: &RequestId) -> Result<(), Refused> {
        let turn = self.cases_locked.take(id).await;
        let now = self.now();
        // They may have been heard of while we waited for the turn.
        if !self.is_unheard(id, now) {
            return Ok(());
        }
        let (request, unheard) = (id.clone(), true);
        let fact = match self.case(id)?.state(now) {
            State::Pending | State::Approved => Fact::Withdrawn { request, unheard },
            State::Active(_) => Fact::Released { request, unheard },
            State::Expired(_)
            | State::Denied
            | State::Withdrawn
            | State::Lapsed
            | State::Released
            | State::Revoked => return Ok(()),
        };
        tracing::info!(request = %id, "nothing was heard of the requester any more; the request ends");
        self.append(now, fact, Vec::new(), turn).await?;
        self.revoking.woken.notify_one();
        Ok(())
    }
}
