//! What could be asked instead: the nearest request that would be allowed, and the longest window of each scope.

use std::collections::BTreeSet;

use crate::window::{Duration, WINDOW_MAX_S, Window};

use super::ask::{Ask, Wish};
use super::index::Slice;
use super::people::Consents;
use super::ways::ways;
use super::{Longest, Nearest, Way};

/// The ticket of a wish that nobody has made yet, where the policies do not say what it must look like.
const TICKET_SOME: &str = "TICKET-1";

/// The nearest request to a denied wish: the same with a ticket, or else the longest shorter one, rather without a ticket
/// than with. It would be a new request, so the approvals of this one do not count for it.
pub(super) fn nearest<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>, wish: Wish<'_>) -> Option<Nearest> {
    let with_ticket = Wish {
        ticket: Some(TICKET_SOME),
        ..wish
    };
    let may_add = wish.ticket.is_none() && reads_ticket(ask, slice);
    let tops = ask.tops(slice);
    if may_add && ask.activate(slice, with_ticket, &tops).allowed {
        return Some(found(ask, slice, with_ticket, true));
    }
    let shorter = critical_durations(ask, slice, wish.window.duration().as_s() - 1);
    let alone = longest_of(ask, slice, wish, &shorter);
    if let Some(wish) = alone {
        return Some(found(ask, slice, wish, false));
    }
    let wish = may_add.then(|| longest_of(ask, slice, with_ticket, &shorter))??;
    Some(found(ask, slice, wish, true))
}

fn found<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>, wish: Wish<'_>, add_ticket: bool) -> Nearest {
    Nearest {
        duration: wish.window.duration(),
        add_ticket,
        ways: needed(ask, slice, wish),
    }
}

/// The longest windows of a scope that is not asked for yet, without a ticket and with one where that makes a difference.
pub(super) fn longest<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>) -> Option<[Option<Longest>; 2]> {
    let window = Window::opening(ask.opens_at(), Duration::from_s(WINDOW_MAX_S).ok()?).ok()?;
    let durations = critical_durations(ask, slice, WINDOW_MAX_S);
    let of = |ticket| {
        let wish = longest_of(ask, slice, Wish { window, ticket }, &durations)?;
        Some(Longest {
            duration: wish.window.duration(),
            ways: needed(ask, slice, wish),
        })
    };
    let without = of(None);
    let with = if reads_ticket(ask, slice) {
        of(Some(TICKET_SOME))
    } else {
        None
    };
    let differs = with != without;
    Some([without, with.filter(|_| differs)])
}

/// The ways of a wish that is allowed with enough approvals; none are needed when it is allowed with no approval.
fn needed<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>, wish: Wish<'_>) -> Vec<Way> {
    let mut ways = ways(ask, slice, wish, &Consents::default());
    ways.retain(|way| !way.needs.is_empty());
    ways
}

fn reads_ticket<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>) -> bool {
    ask.facts(slice).any(|(_, facts)| facts.reads_ticket)
}

/// The durations up to `most_s` at which the answer can change: those the policies compare with, what is left until the
/// moments they compare with, and the most.
fn critical_durations<'a>(ask: &'a Ask<'a>, slice: &Slice<'a>, most_s: u32) -> BTreeSet<u32> {
    let mut durations = BTreeSet::from([most_s]);
    for (_, facts) in ask.facts(slice) {
        durations.extend(&facts.durations_s);
        for closes_at in &facts.closes_at {
            let left_s = closes_at.since_ms(ask.opens_at()).div_euclid(1_000);
            // The window that ends just then, and the one that ends a second before.
            durations.extend(
                [left_s, left_s - 1]
                    .into_iter()
                    .filter_map(|s| u32::try_from(s).ok()),
            );
        }
    }
    durations.retain(|duration| (1..=most_s).contains(duration));
    durations
}

/// The wish with the longest of these durations that is allowed with all the approvals there could be.
fn longest_of<'a, 'w>(
    ask: &'a Ask<'a>,
    slice: &Slice<'a>,
    wish: Wish<'w>,
    durations: &BTreeSet<u32>,
) -> Option<Wish<'w>> {
    let tops = ask.tops(slice);
    durations.iter().rev().find_map(|duration| {
        let duration = Duration::from_s(*duration).ok()?;
        let window = Window::opening(ask.opens_at(), duration).ok()?;
        let wish = Wish { window, ..wish };
        ask.activate(slice, wish, &tops).allowed.then_some(wish)
    })
}
