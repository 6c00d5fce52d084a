//! What would be enough: every minimal set of approvals, and who could give it.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::APPROVALS_MAX;
use crate::principal::UserId;

use super::ask::{Ask, Counts, Wish};
use super::count::{covers, one_more, seats_taken};
use super::people::Consents;
use super::search::Search;
use super::{Eligible, PEOPLE_MAX, Way};

/// How many sets of approvals are tried for one answer: some tens of milliseconds, and far more than the dozens that three
/// kinds of two or three people need. Past it, one minimal way is enough.
pub const COUNTS_TRIED_MAX: usize = 2_048;

/// Every minimal way for this wish, the cheapest first and those nobody can give last. Empty when there is none.
pub(super) fn ways(search: &Search<'_>, wish: Wish<'_>, consents: &Consents) -> Vec<Way> {
    let ask = search.ask;
    let mut because = BTreeMap::new();
    let minimal = minimal_counts(&search.tops, |counts| {
        let answer = search.answer(wish, counts);
        if answer.allowed {
            because.insert(counts.to_vec(), ask.places(&answer.permits));
        }
        answer.allowed
    });
    let mut hall = Hall::of(ask, wish, consents, PEOPLE_MAX);
    let mut ways: Vec<Way> = minimal
        .into_iter()
        .map(|counts| {
            let because = because.remove(&counts).unwrap_or_default();
            let (who, feasible) = hall.who(&counts);
            Way {
                needs: ask.by_kind(&counts),
                who,
                feasible,
                because,
            }
        })
        .collect();
    ways.sort_by_key(|way| (!way.feasible, way.needs.values().sum::<u32>()));
    ways
}

/// The minimal counts that are allowed, given that more approvals never take access away: the bundle check reports a
/// policy of which that is not true.
pub(super) fn minimal_counts(tops: &[u32], mut allowed: impl FnMut(&[u32]) -> bool) -> Vec<Counts> {
    let mut minimal: Vec<Counts> = Vec::new();
    let mut tried = 0;
    // All counts of one sum at a time: whatever covers a minimal one is not minimal itself.
    let mut level: BTreeSet<Counts> = BTreeSet::from([vec![0; tops.len()]]);
    while !level.is_empty() {
        let mut short = Vec::new();
        // Kinds in their own order: the first kind's count comes first.
        for counts in level.into_iter().rev() {
            if minimal.iter().any(|less| covers(&counts, less)) {
                continue;
            }
            tried += 1;
            if tried > COUNTS_TRIED_MAX {
                if minimal.is_empty() {
                    minimal.extend(descend(tops, &mut allowed));
                }
                return minimal;
            }
            if allowed(&counts) {
                minimal.push(counts);
            } else {
                short.push(counts);
            }
        }
        level = short
            .iter()
            .flat_map(|counts| (0..tops.len()).filter_map(|kind| one_more(counts, kind, tops)))
            .collect();
    }
    minimal
}

/// One minimal count, from the top down, kind by kind.
fn descend(tops: &[u32], mut allowed: impl FnMut(&[u32]) -> bool) -> Option<Counts> {
    let mut counts = tops.to_vec();
    if !allowed(&counts) {
        return None;
    }
    for kind in 0..tops.len() {
        loop {
            let mut fewer = counts.clone();
            match fewer.get_mut(kind) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) | None => break,
            }
            if !allowed(&fewer) {
                break;
            }
            counts = fewer;
        }
    }
    // The answer for exactly these counts is asked last, so that the caller knows its reasons.
    allowed(&counts).then_some(counts)
}

/// The people of one wish, asked for once for each kind.
pub(super) struct Hall<'a, 'w> {
    ask: &'a Ask<'a>,
    wish: Wish<'w>,
    consents: &'w Consents,
    /// How many people are named for one kind.
    people_max: usize,
    found: BTreeMap<usize, Vec<UserId>>,
}

impl<'a, 'w> Hall<'a, 'w> {
    /// An empty one; `people_max` is at least [`APPROVALS_MAX`], so that whoever is left out is never missed.
    pub(super) fn of(
        ask: &'a Ask<'a>,
        wish: Wish<'w>,
        consents: &'w Consents,
        people_max: usize,
    ) -> Hall<'a, 'w> {
        Hall {
            ask,
            wish,
            consents,
            people_max: people_max.max(APPROVALS_MAX),
            found: BTreeMap::new(),
        }
    }

    /// Who could give what is still short of `counts`, and whether enough distinct people exist.
    pub(super) fn who(
        &mut self,
        counts: &[u32],
    ) -> (BTreeMap<crate::approval::Kind, Eligible>, bool) {
        let seats: Vec<usize> = counts
            .iter()
            .enumerate()
            .flat_map(|(kind, count)| std::iter::repeat_n(kind, *count as usize))
            .collect();
        let given: Vec<&BTreeSet<usize>> = self.consents.counting.values().collect();
        let taken = seats_taken(&seats, &given);
        // A kind is short if those who have consented can be seated as well as at all with a seat of that kind left free.
        let short: Vec<usize> = (0..counts.len())
            .filter(|kind| {
                let Some(seat) = seats.iter().position(|seat| seat == kind) else {
                    return false;
                };
                let mut fewer = seats.clone();
                fewer.remove(seat);
                taken < seats.len() && seats_taken(&fewer, &given) == taken
            })
            .collect();
        let mut could: BTreeMap<&UserId, BTreeSet<usize>> = BTreeMap::new();
        for kind in &short {
            let (ask, wish, given) = (self.ask, self.wish, &self.consents.given);
            let most = self.people_max;
            self.found
                .entry(*kind)
                .or_insert_with(|| ask.approvers(*kind, wish, given, most));
        }
        for kind in &short {
            for person in self.found.get(kind).into_iter().flatten() {
                could.entry(person).or_default().insert(*kind);
            }
        }
        // At most people_max + 1 are known of each kind: a kind with so many can always fill its seats last, since a case
        // holds fewer approvals than that.
        let everyone: Vec<&BTreeSet<usize>> = given.into_iter().chain(could.values()).collect();
        let feasible =
            seats.len() <= APPROVALS_MAX && seats_taken(&seats, &everyone) == seats.len();
        let kinds = self.ask.asker.index().kinds();
        let who = short
            .iter()
            .filter_map(|kind| {
                let (name, _) = kinds.get(*kind)?;
                let found = self.found.get(kind)?;
                Some((
                    name.clone(),
                    Eligible {
                        people: found.iter().take(self.people_max).cloned().collect(),
                        more: found.len() > self.people_max,
                    },
                ))
            })
            .collect();
        (who, feasible)
    }
}

const _: () = assert!(PEOPLE_MAX >= APPROVALS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimal_counts_are_found_and_no_others() {
        type Row = (
            &'static [u32],
            fn(&[u32]) -> bool,
            &'static [&'static [u32]],
        );
        let rows: [Row; 6] = [
            (&[2, 2], |_| true, &[&[0, 0]]),
            (&[2, 2], |_| false, &[]),
            (&[2, 2], |counts| counts[0] >= 1, &[&[1, 0]]),
            (
                &[2, 3],
                |counts| counts[0] >= 1 || counts[1] >= 2,
                &[&[1, 0], &[0, 2]],
            ),
            (
                &[2, 3],
                |counts| counts[0] >= 1 && counts[1] >= 2,
                &[&[1, 2]],
            ),
            (&[], |_| true, &[&[]]),
        ];
        for (tops, rule, expected) in rows {
            assert_eq!(minimal_counts(tops, rule), expected);
        }
    }

    #[test]
    fn a_search_too_wide_still_finds_one_minimal_way() {
        let found = minimal_counts(&[32, 32, 32], |counts| {
            counts.iter().all(|count| *count >= 20)
        });
        assert_eq!(found, [vec![20, 20, 20]]);
    }
}
