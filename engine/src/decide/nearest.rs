//! What could be asked instead: the nearest request that would be allowed, and the longest window of each scope.

use std::collections::BTreeSet;

use crate::window::{Duration, WINDOW_MAX_S, Window};

use super::ask::Wish;
use super::people::Consents;
use super::search::Search;
use super::ways::ways;
use super::{Longest, Nearest, Way};

/// The nearest request to a denied wish: the same with a ticket, or else the longest shorter one, rather without a ticket
/// than with. It would be a new request, so the approvals of this one do not count for it.
pub(super) fn nearest(search: &Search<'_>, wish: Wish<'_>) -> Option<Nearest> {
    let mut with_ticket = Vec::new();
    if wish.ticket.is_none() {
        let tickets = search.tickets.iter().map(String::as_str).map(Some);
        with_ticket.extend(tickets.map(|ticket| Wish { ticket, ..wish }));
    }
    if let Some(wish) = with_ticket.iter().find(|wish| search.could_be(**wish)) {
        return Some(found(search, *wish, true));
    }
    let shorter = critical_durations(search, wish.window.duration().as_s() - 1);
    if let Some(wish) = longest_of(search, &[wish], &shorter) {
        return Some(found(search, wish, false));
    }
    longest_of(search, &with_ticket, &shorter).map(|wish| found(search, wish, true))
}

fn found(search: &Search<'_>, wish: Wish<'_>, add_ticket: bool) -> Nearest {
    Nearest {
        duration: wish.window.duration(),
        add_ticket,
        ways: needed(search, wish),
    }
}

/// The longest windows of a scope that nobody has asked for yet: without a ticket, and with one where that makes a
/// difference.
pub(super) fn longest(search: &Search<'_>) -> Option<[Option<Longest>; 2]> {
    let most = Duration::from_s(WINDOW_MAX_S).ok()?;
    let window = Window::opening(search.ask.opens_at(), most).ok()?;
    let durations = critical_durations(search, WINDOW_MAX_S);
    let of = |wishes: &[Wish<'_>]| {
        let wish = longest_of(search, wishes, &durations)?;
        Some(Longest {
            duration: wish.window.duration(),
            ways: needed(search, wish),
        })
    };
    let tickets = search.tickets.iter().map(String::as_str).map(Some);
    let with_ticket: Vec<Wish<'_>> = tickets.map(|ticket| Wish { window, ticket }).collect();
    let without = of(&[Wish {
        window,
        ticket: None,
    }]);
    let with = of(&with_ticket);
    let differs = with != without;
    Some([without, with.filter(|_| differs)])
}

/// The ways of a wish that is allowed with enough approvals; none are needed when it is allowed with no approval.
fn needed(search: &Search<'_>, wish: Wish<'_>) -> Vec<Way> {
    let mut ways = ways(search, wish, &Consents::default());
    ways.retain(|way| !way.needs.is_empty());
    ways
}

/// The durations up to `most_s` at which the answer can change: those the policies compare with, what is left until the
/// moments they compare with, and the most.
pub(super) fn critical_durations(search: &Search<'_>, most_s: u32) -> BTreeSet<u32> {
    let mut durations = BTreeSet::from([most_s]);
    for (_, facts) in search.ask.facts(&search.slice) {
        durations.extend(&facts.durations_s);
        for closes_at in &facts.closes_at {
            let left_s = closes_at.since_ms(search.ask.opens_at()).div_euclid(1_000);
            // The window that ends just then, and the one that ends a second before.
            let both = [left_s, left_s - 1];
            durations.extend(both.into_iter().filter_map(|s| u32::try_from(s).ok()));
        }
    }
    durations.retain(|duration| (1..=most_s).contains(duration));
    durations
}

/// The one of these wishes that could be allowed with the longest of these durations.
fn longest_of<'w>(
    search: &Search<'_>,
    wishes: &[Wish<'w>],
    durations: &BTreeSet<u32>,
) -> Option<Wish<'w>> {
    durations.iter().rev().find_map(|duration| {
        let duration = Duration::from_s(*duration).ok()?;
        let window = Window::opening(search.ask.opens_at(), duration).ok()?;
        let mut shorter = wishes.iter().map(|wish| Wish { window, ..*wish });
        shorter.find(|wish| search.could_be(*wish))
    })
}
