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
mod invented;
mod limits;
mod nearest;
mod past;
mod people;
pub(crate) mod promise;
mod say;
mod search;
mod standing;
mod survey;
pub(crate) mod trace;
mod ways;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::case::{Case, ExtensionAsked, Question, State};
use crate::principal::{Principal, PrincipalId, UserId};
use crate::request::Request;
use crate::scope::{Scope, ScopeId};
use crate::window::{Duration, Moment, Window};

use cedar_policy::EntityUid;

pub use answer::{
    Allowed, Condition, Decision, Denied, Eligible, Longest, Nearest, NeedsApproval, Offer,
    PEOPLE_MAX, PolicyRef, Unmet, Way, Why,
};
pub use grant::Grant;
pub(crate) use index::{Index, Line};
pub use invented::allows_invented;
pub use limits::{Limits, limits};
pub(crate) use past::{readers_of_the_reason, stranger};
pub(crate) use survey::{Aim, Setting, Step, Surveyor, facts_about, may_name};
pub use ways::COUNTS_TRIED_MAX;

pub use ask::Purpose;
use ask::{Ask, Asker, Wish};
use people::Consents;
use search::Search;
pub use standing::Standing;

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

/// May this case be issued now, whatever else its requester owes? See [`decide_for`].
pub fn decide(bundle: &Bundle, case: &Case, now: Moment) -> Decision {
    decide_for(bundle, case, Standing::UNKNOWN, now)
}

/// May this case be issued now? The only maker of a [`Grant`].
///
/// A window that was made longer takes two yeses: to the window as it was opened, and to the whole of it.
pub fn decide_for(bundle: &Bundle, case: &Case, standing: Standing, now: Moment) -> Decision {
    let request = case.request();
    let state = case.state(now);
    let (opened, window) = match state {
        State::Pending | State::Approved => {
            let opening = Window::opening(now, request.duration).ok();
            (opening, opening)
        }
        State::Active(window) => (case.opened(), Some(window)),
        State::Expired(_)
        | State::Denied
        | State::Withdrawn
        | State::Lapsed
        | State::Released
        | State::Revoked => (None, None),
    };
    let (Some(opened), Some(window)) = (opened, window) else {
        return Decision::Denied(Denied::because(Why::Ended(state)));
    };
    let Some(asker) = Asker::of(bundle, &request.principal) else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    // An erased reason is no reason: a policy that wants one is not met.
    let reason = case.reason().unwrap_or("");
    let Some(ask) = asker.wants(&request.scope, opened.opens_at(), reason) else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    let Some(ask) = ask.to(standing.purpose(request)) else {
        return Decision::Denied(Denied::because(Why::NoPolicy));
    };
    let wish = Wish {
        window: opened,
        ticket: request.ticket.as_deref(),
    };
    let consents = ask.consents(case, case.request_digest(), wish);
    let mut allowed = match answer(&ask, wish, &consents) {
        Decision::Granted(allowed) => allowed,
        Decision::NeedsApproval(needs) => return Decision::NeedsApproval(needs),
        Decision::Denied(denied) => return Decision::Denied(denied),
    };
    if let Some((last, before)) = case.extensions().split_last() {
        match lengthened(&asker, case, last, before.len()) {
            Decision::Granted(longer) => allowed.and(longer),
            Decision::NeedsApproval(needs) => return Decision::NeedsApproval(needs),
            Decision::Denied(denied) => return Decision::Denied(denied),
        }
    }
    Decision::Granted(Grant::of(case, ask.scope, window, allowed, bundle.digest()))
}

/// May the window of an active case be as long as this? Asked when a longer one is wished for, and of one that has been
/// granted at each issue again.
pub fn decide_extension(
    bundle: &Bundle,
    case: &Case,
    asked: &ExtensionAsked,
    now: Moment,
) -> Decision<Allowed> {
    let state = case.state(now);
    if !matches!(state, State::Active(_)) {
        return Decision::Denied(Denied::because(Why::Ended(state)));
    }
    match Asker::of(bundle, &case.request().principal) {
        Some(asker) => lengthened(&asker, case, asked, case.extensions().len()),
        None => Decision::Denied(Denied::because(Why::Unknown)),
    }
}

fn lengthened(
    asker: &Asker<'_>,
    case: &Case,
    asked: &ExtensionAsked,
    extensions: usize,
) -> Decision<Allowed> {
    let purpose = Purpose::Extend {
        extensions: u32::try_from(extensions).unwrap_or(u32::MAX),
    };
    let reason = asked.reason.as_deref().unwrap_or("");
    let ask = longer(case, asked).and_then(|longer| {
        let scope = &case.request().scope;
        let ask = asker.wants_to(purpose, scope, longer.opens_at(), reason)?;
        Some((ask, longer))
    });
    let Some((ask, longer)) = ask else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    let wish = Wish {
        window: longer,
        ticket: case.request().ticket.as_deref(),
    };
    let consents = ask.consents(case, asked.digest, wish);
    answer(&ask, wish, &consents)
}

/// The whole of a window that is to be longer, while it is open.
fn longer(case: &Case, asked: &ExtensionAsked) -> Option<Window> {
    let opens_at = case.opened()?.opens_at();
    Window::new(opens_at, opens_at.plus(asked.extension.duration)).ok()
}

/// The same question of a request nobody has made: a dry run, with no approvals given.
pub fn check(bundle: &Bundle, draft: &Draft<'_>, now: Moment) -> Decision<Allowed> {
    check_to(bundle, draft, Purpose::Activate, now)
}

/// The same of an emergency.
pub fn check_break_glass(
    bundle: &Bundle,
    draft: &Draft<'_>,
    standing: Standing,
    now: Moment,
) -> Decision<Allowed> {
    let open_reviews = standing.open_reviews;
    check_to(bundle, draft, Purpose::BreakGlass { open_reviews }, now)
}

/// The same for any purpose. Of an extension, the draft's duration is the whole window, and `now` when it was opened.
pub fn check_to(
    bundle: &Bundle,
    draft: &Draft<'_>,
    purpose: Purpose,
    now: Moment,
) -> Decision<Allowed> {
    let asker = Asker::of(bundle, draft.principal);
    let asked = asker.as_ref().and_then(|asker| {
        let window = Window::opening(now, draft.duration).ok()?;
        let ask = asker.wants(draft.scope, window.opens_at(), draft.reason)?;
        Some((ask, window))
    });
    let Some((ask, window)) = asked else {
        return Decision::Denied(Denied::because(Why::Unknown));
    };
    let Some(ask) = ask.to(purpose) else {
        return Decision::Denied(Denied::because(Why::NoPolicy));
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

/// As which kinds the policy lets `approver` consent now to what the case asks: to the request, or to the longer window that
/// waits. Empty for the person behind the request.
pub fn kinds_permitted(
    bundle: &Bundle,
    case: &Case,
    approver: &UserId,
    now: Moment,
) -> BTreeSet<Kind> {
    let kinds = asked_of(bundle, case, now, |ask, wish| ask.kinds_of(approver, wish));
    kinds.unwrap_or_default()
}

/// As which kinds the policy lets `delegate` do so by the right of `lender`. Whether the right is lent at this moment is for
/// the caller to know.
pub fn kinds_lent(
    bundle: &Bundle,
    case: &Case,
    lender: &UserId,
    delegate: &UserId,
    now: Moment,
) -> BTreeSet<Kind> {
    let kinds = asked_of(bundle, case, now, |ask, wish| {
        ask.kinds_lent(lender, delegate, wish)
    });
    kinds.unwrap_or_default()
}

fn asked_of(
    bundle: &Bundle,
    case: &Case,
    now: Moment,
    kinds: impl FnOnce(&Ask<'_>, Wish<'_>) -> BTreeSet<usize>,
) -> Option<BTreeSet<Kind>> {
    let request = case.request();
    let (window, reason) = match case.question(now)? {
        Question::Request => (Window::opening(now, request.duration).ok()?, case.reason()),
        Question::Extension(asked) => (longer(case, asked)?, asked.reason.as_deref()),
    };
    permitted(bundle, request, window, reason.unwrap_or(""), kinds)
}

fn permitted(
    bundle: &Bundle,
    request: &Request,
    window: Window,
    reason: &str,
    kinds: impl FnOnce(&Ask<'_>, Wish<'_>) -> BTreeSet<usize>,
) -> Option<BTreeSet<Kind>> {
    let asker = Asker::of(bundle, &request.principal)?;
    let ask = asker.wants(&request.scope, window.opens_at(), reason)?;
    let wish = Wish {
        window,
        ticket: request.ticket.as_deref(),
    };
    let permitted = kinds(&ask, wish).into_iter();
    let kinds = bundle.index().kinds();
    Some(
        permitted
            .filter_map(|kind| kinds.get(kind))
            .map(|(kind, _)| kind.clone())
            .collect(),
    )
}

/// Whether `viewer` may see this request: its requester and the person behind it, whoever the policy lets approve, view,
/// revoke or review it, and who is told of an emergency.
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
        let approves = || {
            let window = Window::opening(now, request.duration).ok()?;
            permitted(bundle, request, window, reason, |ask, wish| {
                ask.kinds_of(user, wish)
            })
        };
        if directory.person_behind(&request.principal.id) == Some(user)
            || approves().is_some_and(|kinds| !kinds.is_empty())
        {
            return true;
        }
    }
    let index = bundle.index();
    let told = match &viewer.id {
        PrincipalId::User(user) if request.break_glass.is_some() => {
            announced_to(bundle, &request.scope).contains(user)
        }
        PrincipalId::User(_) | PrincipalId::Workload(_) => false,
    };
    // What is left of a workload that is gone is seen by whoever may end it, or it could not be ended.
    told || may_revoke(bundle, viewer, &request.principal, &request.scope)
        || [index.view(), index.review()]
            .into_iter()
            .any(|action| has_say(bundle, action, viewer, &request.principal, &request.scope))
}

/// Who is told of an emergency in this scope: everyone in the groups that it names.
pub fn announced_to(bundle: &Bundle, scope: &ScopeId) -> BTreeSet<UserId> {
    let terms = bundle
        .scope(scope)
        .and_then(|scope| scope.break_glass.as_ref());
    let groups = terms.into_iter().flat_map(|terms| &terms.announce);
    groups.flat_map(|group| members(bundle, group)).collect()
}

/// Everyone in a group, also through groups within it.
pub fn members(bundle: &Bundle, group: &str) -> BTreeSet<UserId> {
    let uid = bundle.policies().types.group(group);
    bundle.index().members(&uid).iter().cloned().collect()
}

fn has_say(
    bundle: &Bundle,
    action: &EntityUid,
    viewer: &Principal,
    requester: &Principal,
    scope: &ScopeId,
) -> bool {
    say::names(bundle, action, viewer, requester, scope, None).unwrap_or(false)
}

/// Whether the policy lets `who` end what `requester` asked of `scope`: also where the requester is gone from the directory,
/// for an end must always be possible.
pub fn may_revoke(
    bundle: &Bundle,
    who: &Principal,
    requester: &Principal,
    scope: &ScopeId,
) -> bool {
    let Some(person) = bundle.directory().person_behind(&who.id) else {
        return false;
    };
    // Whoever ends it stands for the owner of a workload that nobody owns any more.
    let action = bundle.index().revoke();
    say::names(bundle, action, who, requester, scope, Some(person)).unwrap_or(false)
}

/// Whether the policy lets `reviewer` close the post-review of what `requester` did with `scope`: never the person behind
/// the request.
pub fn may_review(
    bundle: &Bundle,
    reviewer: &UserId,
    requester: &Principal,
    scope: &ScopeId,
) -> bool {
    let directory = bundle.directory();
    let own = directory.person_once_behind(&requester.id) == Some(reviewer);
    if own || directory.user(reviewer).is_none() {
        return false;
    }
    let who = Principal {
        id: PrincipalId::User(reviewer.clone()),
        claims: std::collections::BTreeMap::new(),
    };
    has_say(bundle, bundle.index().review(), &who, requester, scope)
}

/// Whether the policy lets `lender` lend `delegate` their right to approve.
pub fn may_delegate(bundle: &Bundle, lender: &UserId, delegate: &UserId) -> bool {
    let directory = bundle.directory();
    let known = |person: &UserId| directory.user(person).is_some();
    lender != delegate
        && known(lender)
        && known(delegate)
        && say::delegates(bundle, lender, delegate).unwrap_or(false)
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
        || has_say(bundle, bundle.index().view(), viewer, requester, scope)
}

/// What `principal` may ask for now: every scope that some permit's head gives them, by name. What is not listed does not
/// exist for them.
pub fn offers(bundle: &Bundle, principal: &Principal, now: Moment) -> Vec<Offer> {
    let Some(asker) = Asker::of(bundle, principal) else {
        return Vec::new();
    };
    let longest = |scope: &ScopeId, purpose: Purpose| {
        let ask = asker.wants_to(purpose, scope, now.floor_s(), REASON_SOME)?;
        nearest::longest(&Search::of(&ask, ask.slice()))
    };
    let offer = |scope: &Scope| {
        // The longest for whoever owes nothing.
        let emergency = Purpose::BreakGlass { open_reviews: 0 };
        let activated = asker.may_ask(Purpose::Activate, scope);
        let broken = asker.may_ask(emergency, scope);
        if !activated && !broken {
            return None;
        }
        let [without_ticket, with_ticket] = match activated {
            true => longest(&scope.id, Purpose::Activate)?,
            false => [None, None],
        };
        let break_glass = match broken {
            true => longest(&scope.id, emergency)?.into_iter().flatten().last(),
            false => None,
        };
        Some(Offer {
            scope: scope.id.clone(),
            without_ticket,
            with_ticket,
            break_glass,
        })
    };
    bundle.scopes().filter_map(offer).collect()
}

/// The reason of a wish nobody has made yet, for policies that only want some reason.
const REASON_SOME: &str = "a reason";

/// Whether a scope exists for `principal`: whether it would be in [`offers`].
pub fn may_see_scope(bundle: &Bundle, principal: &Principal, scope: &ScopeId) -> bool {
    bundle.scope(scope).is_some_and(|scope| {
        Asker::of(bundle, principal).is_some_and(|asker| asker.may_name(scope))
    })
}
