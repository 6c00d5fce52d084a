//! How long at most: with nobody's consent, and with all the consent there could be.

use crate::bundle::Bundle;
use crate::principal::Principal;
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, WINDOW_MAX_S, Window};

use super::ask::{Asker, Purpose, Wish};
use super::nearest::critical_durations;
use super::search::Search;

/// The longest windows someone could have of a scope, each with whatever ticket helps most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// With nobody's consent; `None` when never.
    pub granted: Option<Duration>,
    /// With as much consent as the policy could ask for, whether or not there are people to give it; `None` when never.
    pub possible: Option<Duration>,
}

/// The longest windows of `scope` that open at `at`, and are asked for to this purpose; none for a stranger, for a scope the
/// catalog lacks, and in an emergency for one that has no terms for it.
pub fn limits(
    bundle: &Bundle,
    principal: &Principal,
    scope: &ScopeId,
    purpose: Purpose,
    reason: &str,
    at: Moment,
) -> Limits {
    let asker = Asker::of(bundle, principal);
    let ask = asker
        .as_ref()
        .and_then(|asker| asker.wants_to(purpose, scope, at.floor_s(), reason));
    let Some(ask) = ask else {
        return Limits::default();
    };
    let search = Search::of(&ask, ask.slice());
    let durations = critical_durations(&search, WINDOW_MAX_S);
    let nobody = ask.nobody();
    let longest = |counts: &[u32]| {
        durations.iter().rev().find_map(|seconds| {
            let duration = Duration::from_s(*seconds).ok()?;
            let window = Window::opening(at, duration).ok()?;
            let mut wishes = search.wishes(window);
            wishes
                .any(|wish| search.answer(wish, counts).allowed)
                .then_some(duration)
        })
    };
    Limits {
        granted: longest(&nobody),
        possible: longest(&search.tops),
    }
}

impl<'a> Search<'a> {
    /// The wish for this window without a ticket, and with each ticket that could make a difference.
    pub(super) fn wishes(&self, window: Window) -> impl Iterator<Item = Wish<'_>> {
        let tickets = self.tickets.iter().map(|ticket| Some(ticket.as_str()));
        std::iter::once(None)
            .chain(tickets)
            .map(move |ticket| Wish { window, ticket })
    }
}
