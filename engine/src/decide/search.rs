//! The search for what would be enough: one ask, the policies that matter to it, and how far approvals can take it.

use super::ask::{Ask, Counts, Wish};
use super::evaluate::Answer;
use super::index::Slice;

/// The ticket of a wish that nobody has made yet, where the policies do not say what it must look like.
const TICKET_SOME: &str = "TICKET-1";

/// One ask, with all that its many variations have in common.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) slice: Slice<'a>,
    /// The most approvals of each kind that the policies can tell apart.
    pub(super) tops: Counts,
    /// Tickets to try on behalf of someone who named none; none if no policy looks at the ticket.
    pub(super) tickets: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn of(ask: &'a Ask<'a>, slice: Slice<'a>) -> Search<'a> {
        let tops = ask.tops(&slice);
        let mut tickets = Vec::new();
        if ask.facts(&slice).any(|(_, facts)| facts.reads_ticket) {
            let conditions = ask.facts(&slice).flat_map(|(_, facts)| &facts.conditions);
            tickets = conditions
                .flat_map(|condition| tickets_fitting(&condition.text))
                .collect();
            tickets.insert(0, TICKET_SOME.to_owned());
        }
        Search {
            ask,
            slice,
            tops,
            tickets,
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

/// A ticket for each literal that a condition compares the ticket with: `INC-1` for `context.ticket like "INC-*"`. Only
/// tried, so a literal that is read wrongly finds nothing and gives nothing.
fn tickets_fitting(condition: &str) -> impl Iterator<Item = String> {
    condition
        .split("context.ticket")
        .skip(1)
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest
                .strip_prefix("like")
                .or_else(|| rest.strip_prefix("=="))?;
            let (literal, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
            Some(literal.replace('*', "1"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_made_up_to_fit_what_a_condition_wants() {
        let rows: [(&str, &[&str]); 5] = [
            ("context has ticket", &[]),
            ("context.ticket like \"INC-*\"", &["INC-1"]),
            ("context.ticket == \"CAB\"", &["CAB"]),
            (
                "context.ticket like \"INC-*\" || context.ticket like \"CHG-*-*\"",
                &["INC-1", "CHG-1-1"],
            ),
            ("context.ticket != \"\"", &[]),
        ];
        for (condition, expected) in rows {
            let tickets: Vec<String> = tickets_fitting(condition).collect();
            assert_eq!(tickets, expected, "{condition}");
        }
    }
}
