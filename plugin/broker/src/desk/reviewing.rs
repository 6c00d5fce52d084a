//! The debt an emergency leaves: a person other than who used it looks at what was done, and says so on the record.

use writ_engine::PrincipalId;
use writ_engine::case::Review;
use writ_engine::decide::may_review;
use writ_engine::event::Fact;

use super::view::{Act, CaseView, Refused, person_behind};
use super::{Desk, salted};
use crate::identity::Identity;

impl Desk {
    /// Closes the post-review of an emergency that is over.
    pub async fn review(
        &self,
        who: &Identity,
        id: &str,
        finding: &str,
    ) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.now();
        let bundle = self.bundle();
        let case = self.case(&id)?;
        let PrincipalId::User(reviewer) = &who.principal().id else {
            return Err(Refused::NotPermitted(Act::Review));
        };
        if person_behind(bundle.directory(), &case).as_ref() == Some(reviewer) {
            return Err(Refused::SelfReview);
        }
        let request = case.request();
        if !may_review(&bundle, reviewer, &request.principal, &request.scope) {
            return Err(Refused::NotPermitted(Act::Review));
        }
        match case.review() {
            Review::Open { .. } if case.state(now).is_terminal() => {}
            Review::Open { .. } => return Err(Refused::WrongState(case.state(now).name())),
            Review::None | Review::Closed { .. } => return Err(Refused::NothingToReview),
        }
        let text = salted(finding)?;
        let fact = Fact::Reviewed {
            request: id.clone(),
            reviewer: reviewer.clone(),
            finding: text.commitment(),
        };
        self.append(now, fact, vec![text], turn).await?;
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }
}
