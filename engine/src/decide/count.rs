//! Distinct people over approval kinds: nobody is counted twice, however many kinds they may give.

use std::collections::BTreeSet;

use super::ask::Counts;

/// Every way to count `people`, each for at most one of the kinds they may give, that no other way betters. Counts above
/// `tops` make no difference to the policies and are left out.
pub(super) fn best_counts(people: &[&BTreeSet<usize>], tops: &[u32]) -> Vec<Counts> {
    let mut reachable: BTreeSet<Counts> = BTreeSet::from([vec![0; tops.len()]]);
    for kinds in people {
        let mut further = BTreeSet::new();
        for counts in &reachable {
            for kind in *kinds {
                further.extend(one_more(counts, *kind, tops));
            }
        }
        reachable.extend(further);
    }
    let all: Vec<Counts> = reachable.into_iter().collect();
    let bettered = |counts: &Counts| {
        all.iter()
            .any(|other| other != counts && covers(other, counts))
    };
    let mut best: Vec<Counts> = all
        .iter()
        .filter(|counts| !bettered(counts))
        .cloned()
        .collect();
    best.sort_by_key(|counts| std::cmp::Reverse(counts.iter().sum::<u32>()));
    best
}

/// `counts` with one more of `kind`, unless that is over the top.
pub(super) fn one_more(counts: &[u32], kind: usize, tops: &[u32]) -> Option<Counts> {
    let top = *tops.get(kind)?;
    let mut more = counts.to_vec();
    let count = more.get_mut(kind)?;
    if *count >= top {
        return None;
    }
    *count += 1;
    Some(more)
}

/// Whether `more` has at least as many of every kind as `fewer`.
pub(super) fn covers(more: &[u32], fewer: &[u32]) -> bool {
    more.iter().zip(fewer).all(|(more, fewer)| more >= fewer)
}

/// The most of `seats` (a kind each) that distinct `people` can take, each at most one of a kind they may give: the
/// maximum matching, by augmenting paths.
pub(super) fn seats_taken(seats: &[usize], people: &[&BTreeSet<usize>]) -> usize {
    let mut seat_of: Vec<Option<usize>> = vec![None; people.len()];
    (0..seats.len())
        .filter(|seat| {
            let mut tried = vec![false; people.len()];
            seat_someone(*seat, seats, people, &mut seat_of, &mut tried)
        })
        .count()
}

fn seat_someone(
    seat: usize,
    seats: &[usize],
    people: &[&BTreeSet<usize>],
    seat_of: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let Some(kind) = seats.get(seat) else {
        return false;
    };
    for (person, kinds) in people.iter().enumerate() {
        let Some(was_tried) = tried.get_mut(person) else {
            return false;
        };
        if !kinds.contains(kind) || std::mem::replace(was_tried, true) {
            continue;
        }
        let free = match seat_of.get(person).copied().flatten() {
            None => true,
            Some(other) => seat_someone(other, seats, people, seat_of, tried),
        };
        if free && let Some(place) = seat_of.get_mut(person) {
            *place = Some(seat);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(of: &[usize]) -> BTreeSet<usize> {
        of.iter().copied().collect()
    }

    /// Kinds by number.
    type Kinds = &'static [usize];

    #[test]
    fn nobody_is_counted_for_two_kinds() {
        type Row = (&'static [Kinds], [u32; 2], &'static [[u32; 2]]);
        let rows: [Row; 7] = [
            (&[], [2, 2], &[[0, 0]]),
            (&[&[0, 1]], [2, 2], &[[0, 1], [1, 0]]),
            (&[&[0, 1], &[0]], [2, 2], &[[1, 1], [2, 0]]),
            (&[&[0], &[1]], [2, 2], &[[1, 1]]),
            // What no policy reads is not counted.
            (&[&[0], &[1]], [0, 2], &[[0, 1]]),
            (&[&[0], &[0], &[0]], [2, 2], &[[2, 0]]),
            (&[&[0, 1], &[0, 1]], [1, 1], &[[1, 1]]),
        ];
        for (people, tops, expected) in rows {
            let people: Vec<BTreeSet<usize>> = people.iter().map(|of| kinds(of)).collect();
            let people: Vec<&BTreeSet<usize>> = people.iter().collect();
            let mut best = best_counts(&people, &tops);
            best.sort();
            assert_eq!(best, expected, "{people:?} up to {tops:?}");
        }
    }

    #[test]
    fn a_seat_is_freed_by_moving_someone_who_can_take_another() {
        let rows: [(Kinds, &[Kinds], usize); 6] = [
            (&[0, 1], &[&[0, 1], &[0]], 2),
            (&[0, 1], &[&[0, 1]], 1),
            (&[0, 0, 1], &[&[0, 1], &[0, 1], &[0]], 3),
            (&[1, 1], &[&[0], &[0, 1]], 1),
            (&[0, 1, 2], &[&[0, 1], &[1, 2], &[0]], 3),
            (&[0], &[], 0),
        ];
        for (seats, people, expected) in rows {
            let people: Vec<BTreeSet<usize>> = people.iter().map(|of| kinds(of)).collect();
            let people: Vec<&BTreeSet<usize>> = people.iter().collect();
            let taken = seats_taken(seats, &people);
            assert_eq!(taken, expected, "{seats:?} among {people:?}");
        }
    }
}
