//! The search for what would be enough: one ask, the policies that matter to it, and how far approvals can take it.

use super::ask::{Ask, Counts, Wish};
use super::evaluate::Answer;
use super::index::Slice;

/// One ask, with all that its many variations have in common.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) slice: Slice<'a>,
    /// The most approvals of each kind that the policies can tell apart.
    pub(super) tops: Counts,
    /// Whether some policy looks at the ticket.
    pub(super) reads_ticket: bool,
}

impl<'a> Search<'a> {
    pub(super) fn of(ask: &'a Ask<'a>, slice: Slice<'a>) -> Search<'a> {
        let tops = ask.tops(&slice);
        let reads_ticket = ask.facts(&slice).any(|(_, facts)| facts.reads_ticket);
        Search {
            ask,
            slice,
            tops,
            reads_ticket,
        }
    }

    /// What the policies say to this wish with these approvals.
    pub(super) fn answer(&self, wish: Wish<'_>, counts: &[u32]) -> Answer {
        self.ask.activate(&self.slice, wish, counts)
    }

    /// Whether enough approvals would do: more of them never take access away.
    pub(super) fn could_be(&self, wish: Wish<'_>) -> bool {
        self.answer(wish, &self.tops).allowed
    }
}
