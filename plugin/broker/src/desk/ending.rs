//! The requester's own ends: taking a request back, and giving the rest of a window back.

use writ_engine::State;
use writ_engine::event::Fact;

use super::Desk;
use super::view::{Act, CaseView, Refused};
use crate::identity::Identity;

impl Desk {
    /// The requester takes the request back before it is active.
    pub async fn withdraw(&self, who: &Identity, id: &str) -> Result<CaseView, Refused> {
        self.end(who, id, |state| match state {
            State::Pending | State::Approved => Ok(|request| Fact::Withdrawn {
                request,
                unheard: false,
            }),
            state => Err(state),
        })
        .await
    }

    /// The requester gives the rest of the window back: no session is issued any more, and those that live on are denied at
    /// AWS as soon as it takes that.
    pub async fn release(&self, who: &Identity, id: &str) -> Result<CaseView, Refused> {
        self.end(who, id, |state| match state {
            State::Active(_) => Ok(|request| Fact::Released {
                request,
                unheard: false,
            }),
            state => Err(state),
        })
        .await
    }

    // Ending never waits for a trusted clock: less access is always safe.
    async fn end<F>(
        &self,
        who: &Identity,
        id: &str,
        fact: impl FnOnce(State) -> Result<F, State>,
    ) -> Result<CaseView, Refused>
    where
        F: FnOnce(writ_engine::RequestId) -> Fact,
    {
        let (id, turn) = self.take(who, id).await?;
        let now = self.now();
        let case = self.case(&id)?;
        if case.request().principal.id != who.principal().id {
            return Err(Refused::NotPermitted(Act::GoOn));
        }
        let fact = fact(case.state(now)).map_err(|state| Refused::WrongState(state.name()))?;
        self.append(now, fact(id.clone()), Vec::new(), turn).await?;
        self.revoking.woken.notify_one();
        self.view(&id, &self.bundle()).ok_or(Refused::Journal)
    }
}
