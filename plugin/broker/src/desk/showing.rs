//! A case as one caller sees it: who may see it at all, which lists it is in, and everything the record and the bundle in
//! force say of it.

use std::collections::BTreeSet;

use writ_engine::case::{Question, Review};
use writ_engine::decide::{
    Standing, announced_to, decide_extension, decide_for, kinds_lent, kinds_permitted, may_review,
    may_view,
};
use writ_engine::notice::{self, asked_next};
use writ_engine::{Bundle, Case, Moment, Principal, PrincipalId, State};

use super::Desk;
use super::cases::{Projection, Row};
use super::view::{CaseView, Filter, RevocationStep, RevocationView, person_behind};

/// The most people a view names as told, or as asked next.
const NAMED_MAX: usize = 50;

/// Whether `viewer` may see a case: by the policy, or by a right to approve it that is lent to them.
pub(super) fn sees(
    bundle: &Bundle,
    cases: &Projection,
    viewer: &Principal,
    row: &Row,
    now: Moment,
) -> bool {
    let reason = row.case.reason().unwrap_or_default();
    may_view(bundle, viewer, row.case.request(), reason, now)
        || by_a_lent_right(bundle, cases, viewer, &row.case, now)
}

fn by_a_lent_right(
    bundle: &Bundle,
    cases: &Projection,
    viewer: &Principal,
    case: &Case,
    now: Moment,
) -> bool {
    let PrincipalId::User(user) = &viewer.id else {
        return false;
    };
    cases
        .lent()
        .lenders(user, now)
        .any(|lender| !kinds_lent(bundle, case, lender, user, now).is_empty())
}

/// Whether a case is in one of a caller's lists.
pub(super) fn passes(
    bundle: &Bundle,
    cases: &Projection,
    viewer: &Principal,
    row: &Row,
    filter: Filter,
    now: Moment,
) -> bool {
    let case = &row.case;
    match (filter, &viewer.id) {
        (Filter::All, _) => sees(bundle, cases, viewer, row, now),
        (Filter::Mine, id) => case.request().principal.id == *id,
        (Filter::ToApprove | Filter::ToReview, PrincipalId::Workload(_)) => false,
        (Filter::ToApprove, PrincipalId::User(user)) => {
            let (digest, waits) = match (case.question(now), case.state(now)) {
                (Some(Question::Request), State::Pending) => (case.request_digest(), true),
                (Some(Question::Extension(asked)), _) => (asked.digest, true),
                (Some(Question::Request) | None, _) => (case.request_digest(), false),
            };
            let given = |case: &Case| {
                let mut given = case.approvals_of(digest);
                given.any(|approval| approval.people().any(|person| person == user))
            };
            waits
                && !given(case)
                && (!kinds_permitted(bundle, case, user, now).is_empty()
                    || by_a_lent_right(bundle, cases, viewer, case, now))
        }
        (Filter::ToReview, PrincipalId::User(user)) => {
            let request = case.request();
            matches!(case.review(), Review::Open { .. })
                && may_review(bundle, user, &request.principal, &request.scope)
        }
    }
}

impl Desk {
    /// Everything there is to say of a case; what the policy says of what waits only `with_decision`, for it takes time.
    pub(super) fn shown(
        &self,
        cases: &Projection,
        row: &Row,
        bundle: &Bundle,
        now: Moment,
        with_decision: bool,
    ) -> CaseView {
        let case = &row.case;
        let request = case.request();
        let state = case.state(now);
        let decision = match (case.question(now), state) {
            (Some(Question::Request), State::Pending) if with_decision => {
                let standing = Standing::of(bundle.directory(), request, cases.emergencies());
                Some(decide_for(bundle, case, standing, now).explained())
            }
            (Some(Question::Extension(asked)), _) if with_decision => {
                Some(decide_extension(bundle, case, asked, now))
            }
            _ => None,
        };
        let announced_to = match request.break_glass {
            Some(_) => announced_to(bundle, &request.scope),
            None => BTreeSet::new(),
        };
        CaseView {
            case: case.clone(),
            now,
            person: person_behind(bundle.directory(), case),
            denied: row.denied.clone(),
            kept_until: cases
                .kept_until(&request.id)
                .filter(|_| !state.is_terminal()),
            decision,
            revoked: row.revoked.clone(),
            finding: row.finding.clone(),
            announced_to: announced_to.into_iter().take(NAMED_MAX).collect(),
            announced: self.announced(case),
            notice_at: notice::next(bundle, case, now),
            revocation: self.revocation(cases, case, now),
            escalation: match with_decision {
                true => asked_next(bundle, case, NAMED_MAX, now),
                false => None,
            },
        }
    }

    fn revocation(&self, cases: &Projection, case: &Case, now: Moment) -> Option<RevocationView> {
        let outliving = case.outliving();
        let requested_at = outliving.first()?.ended_at;
        let sessions_end_at = outliving.iter().map(|it| it.until).max()?;
        let of_roles: Vec<_> = cases.revocations().progress(&case.request().id).collect();
        // Done is what is done on every role.
        let on_all = |at: &dyn Fn(usize) -> Option<Moment>| {
            let each: Option<Vec<Moment>> = (0..of_roles.len()).map(at).collect();
            each?.into_iter().max()
        };
        let written_at = on_all(&|role| of_roles.get(role)?.1.written_at);
        let verified_at = on_all(&|role| of_roles.get(role)?.1.verified_at);
        let step = match (verified_at, written_at) {
            _ if now >= sessions_end_at => RevocationStep::Ended,
            (Some(_), _) => RevocationStep::Verified,
            (None, Some(_)) => RevocationStep::Written,
            (None, None) if self.can_revoke_at_aws() => RevocationStep::Requested,
            (None, None) => RevocationStep::NotPossible,
        };
        let waits = matches!(step, RevocationStep::Requested | RevocationStep::Written);
        let answer = of_roles
            .iter()
            .find_map(|(role, _)| self.revoking.answer(role));
        Some(RevocationView {
            step,
            requested_at,
            written_at,
            verified_at,
            sessions_end_at,
            answer: answer.filter(|_| waits),
        })
    }
}
