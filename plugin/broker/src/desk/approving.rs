//! A person's word on a request: consent, or no.

use std::collections::BTreeSet;

use writ_engine::approval::ApprovalError;
use writ_engine::decide::kinds_permitted;
use writ_engine::digest::Digest;
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::{
    Approval, Bundle, Case, Kind, Moment, PrincipalId, RequestId, State, UserId, decide,
};

use super::locks::Turn;
use super::view::{CaseView, Refused, person_behind};
use super::{Desk, salted};
use crate::identity::Identity;

impl Desk {
    /// Consents, as every kind the policy permits or only as `kinds`; bound to the request's digest, which the approver may
    /// name to be sure of what they looked at.
    pub async fn approve(
        &self,
        who: &Identity,
        id: &str,
        kinds: &[String],
        digest: Option<Digest>,
    ) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.trusted_now()?;
        let bundle = self.bundle();
        let case = self.case(&id)?;
        undecided(&case, now)?;
        if digest.is_some_and(|digest| digest != case.request_digest()) {
            return Err(Refused::DigestMismatch);
        }
        let person = person_behind(bundle.directory(), &case);
        let (approver, mut permitted) = approver(&bundle, &case, person.as_ref(), who, now)?;
        if case
            .approvals()
            .iter()
            .any(|approval| approval.approver == approver)
        {
            return Err(Refused::AlreadyApproved);
        }
        if !kinds.is_empty() {
            permitted.retain(|kind| kinds.iter().any(|asked| asked == kind.as_str()));
        }
        let person = person.ok_or(Refused::NotPermitted)?;
        let approval =
            Approval::new(case.request(), &person, approver, permitted, now).map_err(refused)?;

        let verdict = verdict_with(&bundle, &case, &approval, now)?;
        self.append(
            now,
            Fact::Approved {
                request: id.clone(),
                approval,
                verdict,
            },
            Vec::new(),
            turn,
        )
        .await?;
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }

    /// Says no, which ends the request: whoever could consent may.
    pub async fn deny(&self, who: &Identity, id: &str, reason: &str) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.now();
        let bundle = self.bundle();
        let case = self.case(&id)?;
        undecided(&case, now)?;
        let person = person_behind(bundle.directory(), &case);
        let (approver, permitted) = approver(&bundle, &case, person.as_ref(), who, now)?;
        let text = salted(reason)?;
        let fact = Fact::Denied {
            request: id.clone(),
            approver,
            kinds: permitted.into_iter().collect(),
            reason: text.commitment(),
        };
        self.append(now, fact, vec![text], turn).await?;
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }

    /// Finds the case a caller may see and waits for its turn.
    pub(super) async fn take(
        &self,
        who: &Identity,
        id: &str,
    ) -> Result<(RequestId, Turn), Refused> {
        let id = self.find(who, id)?;
        let turn = self.cases_locked.take(&id).await;
        Ok((id, turn))
    }

    /// The case as the last commit left it.
    pub(super) fn case(&self, id: &RequestId) -> Result<Case, Refused> {
        self.cases
            .read()
            .get(id)
            .map(|row| row.case.clone())
            .ok_or(Refused::NotFound)
    }
}

fn undecided(case: &Case, now: Moment) -> Result<(), Refused> {
    match case.state(now) {
        State::Pending | State::Approved => Ok(()),
        state => Err(Refused::WrongState(state.name())),
    }
}

fn approver(
    bundle: &Bundle,
    case: &Case,
    person: Option<&UserId>,
    who: &Identity,
    now: Moment,
) -> Result<(UserId, BTreeSet<Kind>), Refused> {
    // A workload never consents: an approval is a person's.
    let PrincipalId::User(user) = &who.principal().id else {
        return Err(Refused::NotPermitted);
    };
    if person == Some(user) {
        return Err(Refused::SelfApproval);
    }
    let permitted = kinds_permitted(bundle, case, user, now);
    if permitted.is_empty() {
        Err(Refused::NotPermitted)
    } else {
        Ok((user.clone(), permitted))
    }
}

/// What the policy says once this approval is counted: for the record, and to start the activation clock.
fn verdict_with(
    bundle: &Bundle,
    case: &Case,
    approval: &Approval,
    now: Moment,
) -> Result<Verdict, Refused> {
    let mut counted = case.clone();
    let undecided = Verdict {
        bundle: bundle.digest(),
        outcome: Outcome::NeedsApproval,
        policies: Vec::new(),
        approvals: std::collections::BTreeMap::new(),
    };
    let fact = Fact::Approved {
        request: case.request().id.clone(),
        approval: approval.clone(),
        verdict: undecided,
    };
    counted
        .apply(&Event { at: now, fact })
        .map_err(|_| Refused::WrongState(case.state(now).name()))?;
    Ok(decide(bundle, &counted, now).verdict(bundle))
}

fn refused(error: ApprovalError) -> Refused {
    match error {
        ApprovalError::SelfApproval => Refused::SelfApproval,
        ApprovalError::NotPermitted => Refused::NotPermitted,
    }
}
