//! Requests and issued credentials, as they travel.

use writ_api::v1;
use writ_api::v1::request::State as Wire;
use writ_engine::case::{Question, Review};
use writ_engine::digest::Digest;
use writ_engine::{Case, Moment, PrincipalId, State, Window};
use zeroize::Zeroizing;

use super::{decision, span, timestamp};
use crate::desk::{Announced, CaseView, IssuedSession, Lending, RevocationStep, RevocationView};

/// A request as its caller sees it.
pub(crate) fn request(view: &CaseView) -> v1::Request {
    let asked = view.case.request();
    v1::Request {
        id: asked.id.to_string(),
        principal: Some(principal(view)),
        scope: asked.scope.to_string(),
        duration: Some(span(asked.duration)),
        reason: view.case.reason().unwrap_or_default().to_owned(),
        ticket: asked.ticket.clone(),
        requested_at: Some(timestamp(asked.requested_at)),
        digest: view.case.request_digest().to_string(),
        // Those that bind what the request is now; the journal has the others.
        approvals: approvals(&view.case, view.case.request_digest()),
        state: Some(state(view)),
        kept_until: view.kept_until.map(timestamp),
        asked_for: (view.case.asked_for() != asked.duration).then(|| span(view.case.asked_for())),
        break_glass: asked.break_glass.map(|_| break_glass(view)),
        extension: extension(view),
        revocation: view.revocation.as_ref().map(revocation),
        escalation: view.escalation.as_ref().map(|it| v1::Escalation {
            since: Some(timestamp(it.since)),
            group: it.group.clone(),
            people: it.people.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn approvals(case: &Case, digest: Digest) -> Vec<v1::Approval> {
    case.approvals_of(digest)
        .map(|approval| v1::Approval {
            approver: approval.approver.to_string(),
            kinds: approval.kinds.iter().map(ToString::to_string).collect(),
            approved_at: Some(timestamp(approval.approved_at)),
            on_behalf_of: approval.on_behalf_of.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn break_glass(view: &CaseView) -> v1::BreakGlass {
    use v1::break_glass::Announcement;
    let (review_by, closed) = match view.case.review() {
        Review::None => (None, None),
        Review::Open { by } => (Some(timestamp(by)), None),
        Review::Closed { reviewer, at } => (None, Some((reviewer.to_string(), timestamp(at)))),
    };
    let (reviewer, reviewed_at) = closed.unzip();
    let (announcement, announced_at) = match view.announced {
        Some(Announced::At(at)) => (Announcement::Taken, Some(timestamp(at))),
        Some(Announced::Waiting) => (Announcement::Waiting, None),
        Some(Announced::NotPossible) => (Announcement::NotPossible, None),
        None => (Announcement::Unspecified, None),
    };
    v1::BreakGlass {
        review_by,
        reviewer,
        reviewed_at,
        finding: view.finding.clone().unwrap_or_default(),
        announced_to: view.announced_to.iter().map(ToString::to_string).collect(),
        announcement: announcement.into(),
        announced_at,
        review_overdue: matches!(view.case.review(), Review::Open { by } if by <= view.now),
    }
}

fn extension(view: &CaseView) -> Option<v1::Extension> {
    let Some(Question::Extension(asked)) = view.case.question(view.now) else {
        return None;
    };
    Some(v1::Extension {
        duration: Some(span(asked.extension.duration)),
        reason: asked.reason.clone().unwrap_or_default(),
        requested_at: Some(timestamp(asked.extension.requested_at)),
        digest: asked.digest.to_string(),
        approvals: approvals(&view.case, asked.digest),
        decision: view.decision.as_ref().map(decision),
    })
}

fn revocation(view: &RevocationView) -> v1::Revocation {
    use v1::revocation::State;
    let state = match view.step {
        RevocationStep::Requested => State::Requested,
        RevocationStep::Written => State::Written,
        RevocationStep::Verified => State::Verified,
        RevocationStep::Ended => State::Ended,
        RevocationStep::NotPossible => State::NotPossible,
    };
    v1::Revocation {
        state: state.into(),
        requested_at: Some(timestamp(view.requested_at)),
        written_at: view.written_at.map(timestamp),
        verified_at: view.verified_at.map(timestamp),
        sessions_end_at: Some(timestamp(view.sessions_end_at)),
        detail: view.answer.clone().unwrap_or_default(),
    }
}

/// A right that is lent.
pub(crate) fn delegation(lending: &Lending) -> v1::Delegation {
    let lent = &lending.delegation;
    v1::Delegation {
        id: lent.id.to_string(),
        lender: lent.lender.to_string(),
        delegate: lent.delegate.to_string(),
        opens_at: Some(timestamp(lent.opens_at)),
        closes_at: Some(timestamp(lent.closes_at)),
        reason: lending.reason.clone().unwrap_or_default(),
    }
}

fn principal(view: &CaseView) -> v1::Principal {
    let asked = &view.case.request().principal;
    let kind = match &asked.id {
        PrincipalId::User(user) => v1::principal::Kind::User(user.to_string()),
        PrincipalId::Workload(workload) => v1::principal::Kind::Workload(workload.to_string()),
    };
    v1::Principal {
        kind: Some(kind),
        claims: asked.claims.clone().into_iter().collect(),
        person: view
            .person
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn state(view: &CaseView) -> Wire {
    let case = &view.case;
    let ended_at = case.ended_at().map(timestamp);
    match case.state(view.now) {
        State::Pending => Wire::Pending(v1::PendingState {
            decide_by: Some(timestamp(case.request().decide_by)),
            decision: view.decision.as_ref().map(decision),
        }),
        State::Approved => Wire::Approved(v1::ApprovedState {
            approved_at: case.approved_at().map(timestamp),
            activate_by: case.activate_by().map(timestamp),
        }),
        State::Active(open) => Wire::Active(v1::ActiveState {
            window: Some(window(open)),
            live_sessions: u32::try_from(case.live_sessions(view.now)).unwrap_or(u32::MAX),
        }),
        State::Expired(closed) => Wire::Expired(v1::ExpiredState {
            window: Some(window(closed)),
        }),
        State::Denied => {
            let (approver, reason) = match &view.denied {
                Some((approver, reason)) => (approver.to_string(), reason.clone()),
                None => (String::new(), None),
            };
            Wire::Denied(v1::DeniedState {
                approver,
                reason: reason.unwrap_or_default(),
                denied_at: ended_at,
            })
        }
        State::Withdrawn => Wire::Withdrawn(v1::WithdrawnState {
            withdrawn_at: ended_at,
        }),
        State::Lapsed => Wire::Lapsed(v1::LapsedState {
            lapsed_at: Some(timestamp(lapses_at(view))),
        }),
        State::Released => Wire::Released(v1::ReleasedState {
            released_at: ended_at,
        }),
        State::Revoked => {
            let (by, reason) = match &view.revoked {
                Some((by, reason)) => (by.name().to_owned(), reason.clone()),
                None => (String::new(), None),
            };
            Wire::Revoked(v1::RevokedState {
                by,
                reason: reason.unwrap_or_default(),
                revoked_at: ended_at,
            })
        }
    }
}

/// An approved case lapses when nobody activates it, a pending one when nobody decides.
fn lapses_at(view: &CaseView) -> Moment {
    view.case
        .activate_by()
        .unwrap_or(view.case.request().decide_by)
}

fn window(window: Window) -> v1::Window {
    v1::Window {
        opens_at: Some(timestamp(window.opens_at())),
        closes_at: Some(timestamp(window.closes_at())),
    }
}

/// When the case changes by the clock alone, if it does: a watcher is woken then. After its end too, while a post-review is
/// owed and not yet late.
pub(crate) fn next_edge(view: &CaseView) -> Option<Moment> {
    let case = &view.case;
    let edge = match case.state(view.now) {
        State::Pending => Some(case.request().decide_by),
        State::Approved => case.activate_by(),
        State::Active(window) => Some(window.closes_at()),
        State::Expired(_)
        | State::Denied
        | State::Withdrawn
        | State::Lapsed
        | State::Released
        | State::Revoked => None,
    };
    edge.into_iter().chain(view.notice_at).min()
}

/// Issued credentials. The message wipes its own copy when it is dropped, the desk's when `session` is.
pub(crate) fn issued(session: IssuedSession) -> v1::IssueCredentialsResponse {
    let copy = |secret: &Zeroizing<String>| secret.as_str().to_owned();
    v1::IssueCredentialsResponse {
        credentials: Some(v1::Credentials {
            access_key_id: session.access_key_id.clone(),
            secret_access_key: copy(&session.secret_access_key),
            session_token: copy(&session.session_token),
            expires_at: Some(timestamp(session.expires_at)),
            session: session.session,
        }),
        request: Some(request(&session.view)),
        role_arn: session.role_arn.clone(),
        region: session.region.clone(),
    }
}
