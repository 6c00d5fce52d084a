//! Notices: of what people are told without having asked, from when, and who.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::case::{Case, Review, State};
use crate::decide::{
    Decision, Standing, announced_to, decide_for, kinds_permitted, may_review, members,
};
use crate::principal::UserId;
use crate::window::Moment;

/// The most people one notice names, the first by name: with names of 64 characters half of what an event of the journal
/// holds.
pub const PEOPLE_MAX: usize = 500;

/// Of what people are told; the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Somebody asked for access in an emergency.
    Emergency,
    /// Nobody has decided for a while, and the scope names who is asked next.
    Escalated,
    /// A request waits for consent.
    ConsentWanted,
    /// The post-review of an emergency is late.
    ReviewOverdue,
}

impl Notice {
    /// Every one.
    pub const ALL: [Notice; 4] = [
        Notice::Emergency,
        Notice::Escalated,
        Notice::ConsentWanted,
        Notice::ReviewOverdue,
    ];

    /// The name, as the journal and the receiver of notices read it.
    pub fn name(self) -> &'static str {
        match self {
            Notice::Emergency => "emergency",
            Notice::Escalated => "escalated",
            Notice::ConsentWanted => "consent_wanted",
            Notice::ReviewOverdue => "review_overdue",
        }
    }

    /// Whether only an emergency gives reason for it.
    pub fn is_of_an_emergency(self) -> bool {
        match self {
            Notice::Emergency | Notice::ReviewOverdue => true,
            Notice::Escalated | Notice::ConsentWanted => false,
        }
    }
}

/// A notice that is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Of what.
    pub notice: Notice,
    /// Since when it is of use.
    pub since: Moment,
}

/// The notices of a case that are to be given at `now` and were not: each while it is of use. An emergency's is that for
/// ever, for whoever was not told of it has to hear of it late.
pub fn due(bundle: &Bundle, case: &Case, now: Moment) -> impl Iterator<Item = Due> {
    let begun = move |notice: Notice| {
        let since = begins(bundle, case, notice, now)?;
        (since <= now && case.notified(notice).is_none()).then_some(Due { notice, since })
    };
    Notice::ALL.into_iter().filter_map(begun)
}

/// The next moment after `now` at which a notice of the case is due by the clock alone.
pub fn next(bundle: &Bundle, case: &Case, now: Moment) -> Option<Moment> {
    let begin = Notice::ALL.map(|notice| begins(bundle, case, notice, now));
    begin.into_iter().flatten().filter(|at| *at > now).min()
}

/// Whether no notice of the case is due, nor will be by the clock alone: before its next event nothing is to be told of it.
pub fn settled(case: &Case, now: Moment) -> bool {
    let told = |notice| case.notified(notice).is_some();
    let of_the_emergency = || match case.review() {
        Review::Open { .. } => told(Notice::Emergency) && told(Notice::ReviewOverdue),
        Review::None | Review::Closed { .. } => told(Notice::Emergency),
    };
    case.state(now) != State::Pending
        && (case.request().break_glass.is_none() || of_the_emergency())
}

fn begins(bundle: &Bundle, case: &Case, notice: Notice, now: Moment) -> Option<Moment> {
    let request = case.request();
    let pending = case.state(now) == State::Pending;
    match notice {
        Notice::Emergency => request.break_glass.map(|_| request.requested_at),
        Notice::ConsentWanted => pending.then_some(request.requested_at),
        Notice::Escalated if pending => {
            let terms = bundle.scope(&request.scope)?.escalation.as_ref()?;
            Some(request.requested_at.plus_s(terms.after_s))
        }
        Notice::Escalated => None,
        Notice::ReviewOverdue => match case.review() {
            Review::Open { by } => Some(by),
            Review::None | Review::Closed { .. } => None,
        },
    }
}

/// Who is told, the first [`PEOPLE_MAX`] of them; `standing` is the requester's, as for [`decide_for`]. Nobody for a notice
/// that is of no use to anyone.
pub fn told(
    bundle: &Bundle,
    case: &Case,
    standing: Standing,
    notice: Notice,
    now: Moment,
) -> BTreeSet<UserId> {
    let request = case.request();
    let people = match notice {
        Notice::Emergency => announced_to(bundle, &request.scope),
        Notice::ConsentWanted => match decide_for(bundle, case, standing, now) {
            Decision::NeedsApproval(needs) => {
                let who = needs.ways.into_iter().flat_map(|way| way.who.into_values());
                who.flat_map(|eligible| eligible.people).collect()
            }
            Decision::Granted(_) | Decision::Denied(_) => BTreeSet::new(),
        },
        Notice::Escalated => asked_next(bundle, case, PEOPLE_MAX, now)
            .map(|next| next.people)
            .unwrap_or_default(),
        Notice::ReviewOverdue => {
            let users = bundle.directory().users().map(|(user, _)| user);
            let may = |user: &&UserId| may_review(bundle, user, &request.principal, &request.scope);
            let mut people: BTreeSet<UserId> = users.filter(may).cloned().collect();
            people.extend(announced_to(bundle, &request.scope));
            people
        }
    };
    people.into_iter().take(PEOPLE_MAX).collect()
}

/// Whom a scope asks next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedNext {
    /// Since when.
    pub since: Moment,
    /// Which group.
    pub group: String,
    /// Its people whom the policy lets approve.
    pub people: BTreeSet<UserId>,
}

/// Whom the scope asks next, once its time has come: the first `most` of the group whom the policy lets approve. Being asked
/// gives nobody a right.
pub fn asked_next(bundle: &Bundle, case: &Case, most: usize, now: Moment) -> Option<AskedNext> {
    let since = begins(bundle, case, Notice::Escalated, now).filter(|since| *since <= now)?;
    let terms = bundle.scope(&case.request().scope)?.escalation.as_ref()?;
    let may = |person: &UserId| !kinds_permitted(bundle, case, person, now).is_empty();
    let people = members(bundle, &terms.to).into_iter().filter(may);
    Some(AskedNext {
        since,
        group: terms.to.clone(),
        people: people.take(most).collect(),
    })
}

#[cfg(test)]
mod tests;
