//! Requests and issued credentials, as they travel.

use writ_api::v1;
use writ_api::v1::request::State as Wire;
use writ_engine::{Moment, PrincipalId, State, Window};
use zeroize::Zeroizing;

use super::{decision, span, timestamp};
use crate::desk::{CaseView, IssuedSession};

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
        approvals: view
            .case
            .approvals()
            .iter()
            .map(|approval| v1::Approval {
                approver: approval.approver.to_string(),
                kinds: approval.kinds.iter().map(ToString::to_string).collect(),
                approved_at: Some(timestamp(approval.approved_at)),
            })
            .collect(),
        state: Some(state(view)),
        kept_until: view.kept_until.map(timestamp),
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

/// When the case changes by the clock alone, if it does: a watcher is woken then.
pub(crate) fn next_edge(view: &CaseView) -> Option<Moment> {
    let case = &view.case;
    match case.state(view.now) {
        State::Pending => Some(case.request().decide_by),
        State::Approved => case.activate_by(),
        State::Active(window) => Some(window.closes_at()),
        State::Expired(_) | State::Denied | State::Withdrawn | State::Lapsed | State::Released => {
            None
        }
    }
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
