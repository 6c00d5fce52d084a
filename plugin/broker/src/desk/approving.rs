//! A person's word on a request: consent, or no.

use std::collections::BTreeSet;

use writ_engine::approval::ApprovalError;
use writ_engine::case::Question;
use writ_engine::decide::{Standing, decide_extension, decide_for, kinds_lent, kinds_permitted};
use writ_engine::digest::Digest;
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::{Approval, Bundle, Case, Duration, Kind, Moment, PrincipalId, RequestId, UserId};

use super::locks::Turn;
use super::view::{Act, CaseView, Consent, Refused, person_behind};
use super::{Desk, salted};
use crate::identity::Identity;

impl Desk {
    /// Consents to what the request asks: to itself, to a shorter window of it, or to the longer one that waits while it is
    /// active. Bound to the digest of just that, which the approver may name to be sure of what they looked at.
    pub async fn approve(
        &self,
        who: &Identity,
        id: &str,
        consent: Consent,
    ) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.trusted_now()?;
        let bundle = self.bundle();
        let case = self.case(&id)?;
        let waiting = waiting(&case, now)?;
        if consent.digest.is_some_and(|digest| digest != waiting) {
            return Err(Refused::DigestMismatch);
        }
        // What they consent to: the case as it would be with the shorter window.
        let judged = match consent.shorter {
            None => case.clone(),
            Some(shorter) => narrowed(&case, shorter, now)?,
        };
        let digest = match consent.shorter {
            None => waiting,
            Some(_) => judged.request_digest(),
        };
        let person = person_behind(bundle.directory(), &case);
        let approver = self.approver(&bundle, &judged, person.as_ref(), who, &consent, now)?;
        let consented = |approval: &Approval| {
            let mut people = approval.people();
            people.any(|one| *one == approver.user || Some(one) == approver.on_behalf_of.as_ref())
        };
        if judged.approvals_of(digest).any(consented) {
            return Err(Refused::AlreadyApproved);
        }
        let mut permitted = approver.kinds;
        if !consent.kinds.is_empty() {
            permitted.retain(|kind| consent.kinds.iter().any(|asked| asked == kind.as_str()));
        }
        let person = person.ok_or(Refused::NotPermitted(Act::Approve))?;
        let approval = Approval::new(
            digest,
            &person,
            approver.user,
            approver.on_behalf_of,
            permitted,
            now,
        )
        .map_err(refused)?;

        let verdict = self.verdict_with(&bundle, &case, &approval, consent.shorter, now)?;
        self.append(
            now,
            Fact::Approved {
                request: id.clone(),
                approval,
                narrowed_to: consent.shorter,
                verdict,
            },
            Vec::new(),
            turn,
        )
        .await?;
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }

    /// Says no: whoever could consent may. To a request that ends it; to a longer window that waits, it ends that wish alone.
    pub async fn deny(&self, who: &Identity, id: &str, reason: &str) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.now();
        let bundle = self.bundle();
        let case = self.case(&id)?;
        waiting(&case, now)?;
        let person = person_behind(bundle.directory(), &case);
        let own = Consent::default();
        let approver = match self.approver(&bundle, &case, person.as_ref(), who, &own, now) {
            Err(Refused::NotPermitted(_)) => {
                let lent = Consent {
                    on_behalf_of: self.some_lender(&bundle, &case, who, now),
                    ..own
                };
                self.approver(&bundle, &case, person.as_ref(), who, &lent, now)?
            }
            found => found?,
        };
        let text = salted(reason)?;
        let (request, kinds) = (id.clone(), approver.kinds.into_iter().collect());
        let fact = match case.question(now) {
            Some(Question::Extension(asked)) => Fact::ExtensionDenied {
                request,
                extension: asked.digest,
                approver: approver.user,
                kinds,
                reason: text.commitment(),
            },
            Some(Question::Request) | None => Fact::Denied {
                request,
                approver: approver.user,
                kinds,
                reason: text.commitment(),
            },
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

/// Who consents, by whose right, and as what they may.
struct Approver {
    user: UserId,
    on_behalf_of: Option<UserId>,
    kinds: BTreeSet<Kind>,
}

impl Desk {
    fn approver(
        &self,
        bundle: &Bundle,
        case: &Case,
        person: Option<&UserId>,
        who: &Identity,
        consent: &Consent,
        now: Moment,
    ) -> Result<Approver, Refused> {
        // A workload never consents: an approval is a person's.
        let PrincipalId::User(user) = &who.principal().id else {
            return Err(Refused::NotPermitted(Act::Approve));
        };
        if person == Some(user) {
            return Err(Refused::SelfApproval);
        }
        let on_behalf_of = match &consent.on_behalf_of {
            None => None,
            // A lender that is none and one who has lent nothing answer alike.
            Some(lender) => Some(
                UserId::new(lender.as_str()).map_err(|_| Refused::NotPermitted(Act::Approve))?,
            ),
        };
        let kinds = match &on_behalf_of {
            None => kinds_permitted(bundle, case, user, now),
            Some(lender) if person == Some(lender) => return Err(Refused::SelfApproval),
            Some(lender) if self.is_lent(lender, user, now) => {
                kinds_lent(bundle, case, lender, user, now)
            }
            Some(_) => BTreeSet::new(),
        };
        match kinds.is_empty() {
            true => Err(Refused::NotPermitted(Act::Approve)),
            false => Ok(Approver {
                user: user.clone(),
                on_behalf_of,
                kinds,
            }),
        }
    }

    fn is_lent(&self, lender: &UserId, delegate: &UserId, now: Moment) -> bool {
        let cases = self.cases.read();
        cases.lent().lenders(delegate, now).any(|one| one == lender)
    }

    /// Somebody who lent the caller a right that is good for this case.
    fn some_lender(
        &self,
        bundle: &Bundle,
        case: &Case,
        who: &Identity,
        now: Moment,
    ) -> Option<String> {
        let PrincipalId::User(user) = &who.principal().id else {
            return None;
        };
        let cases = self.cases.read();
        cases
            .lent()
            .lenders(user, now)
            .find(|lender| !kinds_lent(bundle, case, lender, user, now).is_empty())
            .map(ToString::to_string)
    }

    /// What the policy says once this approval is counted: for the record, and to start the activation clock, or to move
    /// the window's end.
    fn verdict_with(
        &self,
        bundle: &Bundle,
        case: &Case,
        approval: &Approval,
        narrowed_to: Option<Duration>,
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
            narrowed_to,
            verdict: undecided,
        };
        counted
            .apply(&Event { at: now, fact })
            .map_err(|_| Refused::WrongState(case.state(now).name()))?;
        if let Some(Question::Extension(asked)) = counted.question(now) {
            return Ok(decide_extension(bundle, &counted, asked, now).verdict(bundle));
        }
        let request = counted.request();
        let standing = Standing::of(bundle.directory(), request, self.cases.read().emergencies());
        Ok(decide_for(bundle, &counted, standing, now).verdict(bundle))
    }
}

/// The digest of what waits for people's consent.
fn waiting(case: &Case, now: Moment) -> Result<Digest, Refused> {
    match case.question(now) {
        Some(Question::Request) => Ok(case.request_digest()),
        Some(Question::Extension(asked)) => Ok(asked.digest),
        None => Err(Refused::WrongState(case.state(now).name())),
    }
}

fn narrowed(case: &Case, shorter: Duration, now: Moment) -> Result<Case, Refused> {
    let no = |why: String| Err(Refused::Field("duration", why));
    match case.question(now) {
        Some(Question::Request) => match case.narrowed(shorter) {
            Some(narrowed) => Ok(narrowed),
            None => no(format!(
                "the request is for {}; an approval may only give less",
                case.request().duration
            )),
        },
        Some(Question::Extension(_)) | None => {
            no("a longer window is approved whole, or not at all".to_owned())
        }
    }
}

fn refused(error: ApprovalError) -> Refused {
    match error {
        ApprovalError::SelfApproval => Refused::SelfApproval,
        ApprovalError::NotPermitted => Refused::NotPermitted(Act::Approve),
    }
}
