//! The most that the policies could ever give, for promises about everyone: never for a decision.

use std::collections::BTreeSet;

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::principal::{Principal, UserId};
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, Window};

use super::Purpose;
use super::ask::{Ask, Asker, Wish};
use super::people::Consents;
use super::search::Search;
use super::ways::ways;

/// What someone could ask for, without the length of the window and the ticket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plea<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) scope: &'a ScopeId,
    pub(crate) purpose: Purpose,
    pub(crate) reason: &'a str,
    pub(crate) at: Moment,
}

/// A wish that the policies allow with enough consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Possible {
    /// The ticket it takes.
    pub(crate) ticket: Option<String>,
    /// How many distinct people must consent.
    pub(crate) people: u32,
    /// Whether there are as many who may.
    pub(crate) feasible: bool,
}

impl Plea<'_> {
    /// Every way in which a window of this length could be had, whatever the ticket; none when it can not be had at all.
    pub(crate) fn possible(&self, bundle: &Bundle, duration: Duration) -> Vec<Possible> {
        self.look(bundle, |ask| {
            let window = Window::opening(self.at, duration).ok()?;
            let search = Search::of(ask, ask.slice());
            let mut found = Vec::new();
            for wish in search.wishes(window) {
                let ways = ways(&search, wish, &Consents::default());
                found.extend(ways.iter().map(|way| Possible {
                    ticket: wish.ticket.map(str::to_owned),
                    people: way.needs.values().sum(),
                    feasible: way.feasible,
                }));
            }
            Some(found)
        })
        .unwrap_or_default()
    }

    /// As which kinds the policies by themselves would let the person behind the request consent to it, also by a right that
    /// someone else lent them. The engine never counts such a consent; a bundle that promises the same should say the same.
    pub(crate) fn own_consent(&self, bundle: &Bundle) -> BTreeSet<Kind> {
        self.look(bundle, |ask| {
            let shortest = Duration::from_s(1).ok()?;
            let wish = Wish {
                window: Window::opening(self.at, shortest).ok()?,
                ticket: None,
            };
            let (index, person) = (ask.asker.index(), ask.asker.person);
            let mut own = ask.kinds_by_policy(person, None, wish);
            // Whether anyone may lend them that right is another question, and may have another answer tomorrow.
            for kind in (0..index.kinds().len()).filter(|_| index.lends()) {
                let lenders = ask.approvers(kind, wish, &BTreeSet::new(), usize::MAX);
                let counts = |lender: &UserId| ask.kinds_by_policy(lender, Some(person), wish);
                own.extend(lenders.iter().flat_map(counts));
            }
            let kinds = index.kinds();
            let named = own.into_iter().filter_map(|kind| kinds.get(kind));
            Some(named.map(|(kind, _)| kind.clone()).collect())
        })
        .unwrap_or_default()
    }

    fn look<T>(&self, bundle: &Bundle, look: impl FnOnce(&Ask<'_>) -> Option<T>) -> Option<T> {
        let asker = Asker::of(bundle, self.principal)?;
        let ask = asker.wants_to(self.purpose, self.scope, self.at.floor_s(), self.reason)?;
        look(&ask)
    }
}
