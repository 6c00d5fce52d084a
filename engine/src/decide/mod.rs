//! The one question: may this be issued now, and if not, what would be enough?
//!
//! ```text
//! Asker ── wants a scope ──► Ask ── its slice of the policies ──► Cedar ──► Granted
//!                                     │ not with these approvals, but with more ──► NeedsApproval
//!                                     └ in no way ──► Denied
//! ```

mod answer;
mod ask;
mod count;
mod denial;
mod evaluate;
mod grant;
mod index;
mod limits;
mod nearest;
mod past;
mod people;
pub(crate) mod promise;
mod search;
mod survey;
pub(crate) mod trace;
mod view;
mod ways;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::case::{Case, State};
use crate::principal::{Principal, PrincipalId, UserId};
use crate::request::Request;
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, Window};

pub use answer::{
    Allowed, Condition, Decision, Denied, Eligible, Longest, Nearest, NeedsApproval, Offer,
    PEOPLE_MAX, PolicyRef, Unmet, Way, Why,
};
pub use grant::Grant;
pub(crate) use index::{Index, Line};
pub use limits::{Limits, limits};
pub(crate) use past::{readers_of_the_reason, stranger};
pub(crate) use survey::{Aim, Setting, Step, Surveyor, facts_about, may_name};
pub use ways::COUNTS_TRIED_MAX;

use ask::{Ask, Asker, Wish};
use people::Consents;
use search::Search;

/// What someone could ask for: everything of a request but its place in the record.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Who would ask.
    pub principal: &'a Principal,
    /// What for.
    pub scope: &'a ScopeId,
    /// For how long.
    pub duration: Duration,
    /// Why.
    pub reason: &'a str,
    /// With which ticket.
    pub ticket: Option<&'a str>,
}

/// May this case be issued now? The only maker of a [`Grant`].
pub fn decide(bundle: &Bundle, case: &Case, now: Moment) -> Decision {
    let request = case.request();
    let state = case.state(now);
    let window = match state {
        State::Pending | State::Approved => Window::opening(now, request.duration).ok(),
        State::Active(window) => Some(window),
        State::Expired(_) | State::Denied | State::Withdrawn | State::Lapsed | State::Released => {
            None
        }
    };
    let Some(window) = window else {
        return Decision::Denied(Denied::because(Why::Ended(state)));
    };
    let asker = Asker::of(bundle, &request.principal);
    let ask = asker.as_ref().and_then(|asker| {
        // An erased reason is no reason: a policy that wants one is not met.
        asker.wants(
            &request.scope,
            window.opens_at(),
            case.reason().unwrap_or(""),
        )
    });
    let Some(ask) = ask else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    let wish = Wish {
        window,
        ticket: request.ticket.as_deref(),
    };
    let consents = ask.consents(case, wish);
    match answer(&ask, wish, &consents) {
        Decision::Granted(allowed) => {
            Decision::Granted(Grant::of(case, ask.scope, window, allowed, bundle.digest()))
        }
        Decision::NeedsApproval(needs) => Decision::NeedsApproval(needs),
        Decision::Denied(denied) => Decision::Denied(denied),
    }
}

/// The same question of a request nobody has made: a dry run, with no approvals given.
pub fn check(bundle: &Bundle, draft: &Draft<'_>, now: Moment) -> Decision<Allowed> {
    let asker = Asker::of(bundle, draft.principal);
    let asked = asker.as_ref().and_then(|asker| {
        let window = Window::opening(now, draft.duration).ok()?;
        let ask = asker.wants(draft.scope, window.opens_at(), draft.reason)?;
        Some((ask, window))
    });
    let Some((ask, window)) = asked else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    let wish = Wish {
        window,
        ticket: draft.ticket,
    };
    answer(&ask, wish, &Consents::default())
}

/// Granted if the consents there are suffice, else what would, else why nothing would.
fn answer<'a>(ask: &'a Ask<'a>, wish: Wish<'_>, consents: &Consents) -> Decision<Allowed> {
    let slice = ask.slice();
    // Most grants need nobody's consent, so that is asked before anything is worked out.
    let nobody = ask.nobody();
    let at_once = ask.activate(&slice, wish, &nobody);
    if at_once.allowed {
        return Decision::Granted(ask.allowed(&at_once, &nobody));
    }
    let search = Search::of(ask, slice);
    let people: Vec<&BTreeSet<usize>> = consents.counting.values().collect();
    let counted = count::best_counts(&people, &search.tops);
    for counts in counted.iter().filter(|counts| **counts != nobody) {
        let answer = search.answer(wish, counts);
        if answer.allowed {
            return Decision::Granted(ask.allowed(&answer, counts));
        }
    }
    if search.could_be(wish) {
        let counted = counted.first().map(|counts| ask.by_kind(counts));
        return Decision::NeedsApproval(NeedsApproval {
            counted: counted.unwrap_or_default(),
            ways: ways::ways(&search, wish, consents),
            alarms: ask.alarms(),
        });
    }
    let why = denial::why(&search, wish);
    let nearest = nearest::nearest(&search, wish);
    Decision::Denied(Denied {
        why,
        nearest,
        alarms: ask.alarms(),
    })
}

/// As which kinds the policy lets `approver` consent to this request now; empty for the person behind the request.
pub fn kinds_permitted(
    bundle: &Bundle,
    case: &Case,
    approver: &UserId,
    now: Moment,
) -> BTreeSet<Kind> {
    let reason = case.reason().unwrap_or("");
    permitted(bundle, case.request(), reason, approver, now).unwrap_or_default()
}

fn permitted(
    bundle: &Bundle,
    request: &Request,
    reason: &str,
    approver: &UserId,
    now: Moment,
) -> Option<BTreeSet<Kind>> {
    let asker = Asker::of(bundle, &request.principal)?;
    let window = Window::opening(now, request.duration).ok()?;
    let ask = asker.wants(&request.scope, window.opens_at(), reason)?;
    let wish = Wish {
        window,
        ticket: request.ticket.as_deref(),
    };
    let kinds = bundle.index().kinds();
    let permitted = ask.kinds_of(approver, wish).into_iter();
    Some(
        permitted
            .filter_map(|kind| kinds.get(kind))
            .map(|(kind, _)| kind.clone())
            .collect(),
    )
}

/// Whether `viewer` may see this request: its requester and the person behind it, whoever the policy lets approve it, and
/// whoever the policy's `view` action names.
pub fn may_view(
    bundle: &Bundle,
    viewer: &Principal,
    request: &Request,
    reason: &str,
    now: Moment,
) -> bool {
    let directory = bundle.directory();
    if directory.person_behind(&viewer.id).is_none() {
        return false;
    }
    if viewer.id == request.principal.id {
        return true;
    }
    if let PrincipalId::User(user) = &viewer.id {
        let approves = || permitted(bundle, request, reason, user, now);
        if directory.person_behind(&request.principal.id) == Some(user)
            || approves().is_some_and(|kinds| !kinds.is_empty())
        {
            return true;
        }
    }
    view::names(bundle, viewer, &request.principal, &request.scope).unwrap_or(false)
}

/// Whether `viewer` may see that `requester` asked for `scope` in vain: the requester, the person behind, and whoever the
/// policy's `view` action names. There is no request, so nobody could have approved it.
pub fn may_view_refusal(
    bundle: &Bundle,
    viewer: &Principal,
    requester: &Principal,
    scope: &ScopeId,
) -> bool {
    let directory = bundle.directory();
    if directory.person_behind(&viewer.id).is_none() {
        return false;
    }
    let behind = directory.person_behind(&requester.id);
    viewer.id == requester.id
        || matches!(&viewer.id, PrincipalId::User(user) if behind == Some(user))
        || view::names(bundle, viewer, requester, scope).unwrap_or(false)
}

/// What `principal` may ask for now: every scope that some permit's head gives them, by name. What is not listed does not
/// exist for them.
pub fn offers(bundle: &Bundle, principal: &Principal, now: Moment) -> Vec<Offer> {
    let Some(asker) = Asker::of(bundle, principal) else {
        return Vec::new();
    };
    let offer = |scope: &ScopeId| {
        if !asker.may_name(scope) {
            return None;
        }
        let ask = asker.wants(scope, now.floor_s(), REASON_SOME)?;
        let [without_ticket, with_ticket] = nearest::longest(&Search::of(&ask, ask.slice()))?;
        Some(Offer {
            scope: scope.clone(),
            without_ticket,
            with_ticket,
        })
    };
    bundle
        .scopes()
        .filter_map(|scope| offer(&scope.id))
        .collect()
}

/// The reason of a wish nobody has made yet, for policies that only want some reason.
const REASON_SOME: &str = "a reason";

/// Whether a scope exists for `principal`: whether it would be in [`offers`].
pub fn may_see_scope(bundle: &Bundle, principal: &Principal, scope: &ScopeId) -> bool {
    let exists = bundle.scope(scope).is_some();
    exists && Asker::of(bundle, principal).is_some_and(|asker| asker.may_name(scope))
}
