//! One principal and one scope in two bundles: what widened, and what narrowed.

use std::collections::{BTreeMap, BTreeSet};

use super::Change;
use crate::access::Circumstance;
use crate::access::circumstance::told;
use crate::approval::Kind;
use crate::decide::Step;
use crate::principal::UserId;
use crate::window::Duration;

/// Which way access moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Widened,
    Narrowed,
}

/// One difference, in some of the circumstances.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    pub(super) change: Change,
    pub(super) way: Way,
    /// What there was, of what matters to this difference.
    pub(super) before: Vec<Step>,
    /// What there is.
    pub(super) after: Vec<Step>,
    /// The circumstances, by number.
    pub(super) within: BTreeSet<usize>,
    /// The circumstances in words; empty for all.
    pub(super) only: String,
    /// Where the two bundles answer differently.
    pub(super) probe: Probe,
    /// Who can consent now and could not, or could and cannot.
    pub(super) people: BTreeSet<UserId>,
}

impl Delta {
    /// Whether this, told of a longer time, says what `edge` would add of a second beside it: of the same requests the same,
    /// or what moves the same way with the same consent and is no less grave.
    fn says(&self, edge: &Delta, all: &[Circumstance]) -> bool {
        let of_access =
            |delta: &Delta| delta.people.is_empty() && delta.change != Change::ScopeWithoutApprover;
        let as_grave = self.change.severity() >= edge.change.severity();
        let alike = self.way == edge.way && as_grave && of_access(self) && of_access(edge);
        let but_for_time = |number: &usize| {
            let of = all.get(*number)?;
            Some((&of.claims, &of.ticket, &of.reason, &of.past))
        };
        let own: BTreeSet<_> = self.within.iter().filter_map(but_for_time).collect();
        let mut others = edge.within.iter().filter_map(but_for_time);
        self.probe.needs == edge.probe.needs
            && (self.change == edge.change || alike)
            && others.all(|other| own.contains(&other))
    }
}

/// A point at which the two bundles answer differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe {
    /// Which circumstance.
    pub(super) number: usize,
    /// With which approvals.
    pub(super) needs: BTreeMap<Kind, u32>,
    /// How long.
    pub(super) duration: Duration,
}

/// Every difference. `old` and `new` hold what each bundle gives in each of the circumstances `all`.
pub(super) fn compare(old: &[Vec<Step>], new: &[Vec<Step>], all: &[Circumstance]) -> Vec<Delta> {
    let mut found: Vec<Delta> = Vec::new();
    for (number, (before, after)) in old.iter().zip(new).enumerate() {
        if before == after {
            continue;
        }
        let at = At {
            number,
            old,
            new,
            all,
        };
        for delta in at.deltas(before, after) {
            // The same in several circumstances is told once.
            let same = found.iter_mut().find(|known| {
                known.change == delta.change
                    && alike(&known.before, &delta.before)
                    && alike(&known.after, &delta.after)
                    && known.people == delta.people
                    && known.probe.duration == delta.probe.duration
            });
            match same {
                Some(known) => known.within.extend(delta.within),
                None => found.push(delta),
            }
        }
    }
    let is_edge = |number: &usize| all.get(*number).is_some_and(|it| it.edge);
    // What is told of the time before and after need not be told again of the second between.
    let plain: Vec<Delta> = found
        .iter()
        .filter(|delta| !delta.within.iter().all(is_edge))
        .cloned()
        .collect();
    found.retain(|delta| {
        !delta.within.iter().all(is_edge) || !plain.iter().any(|plain| plain.says(delta, all))
    });
    found
        .into_iter()
        .flat_map(|delta| {
            told(&delta.within, all)
                .into_iter()
                .map(move |(within, only)| {
                    let mut part = delta.clone();
                    if let Some(first) = within.first()
                        && !within.contains(&part.probe.number)
                    {
                        part.probe.number = *first;
                    }
                    part.within = within;
                    part.only = only;
                    part
                })
        })
        .collect()
}

fn alike(one: &[Step], other: &[Step]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.alike(other))
}

struct At<'a> {
    number: usize,
    old: &'a [Vec<Step>],
    new: &'a [Vec<Step>],
    all: &'a [Circumstance],
}

impl At<'_> {
    fn deltas(&self, before: &[Step], after: &[Step]) -> Vec<Delta> {
        let mut found = Vec::new();
        for step in tops(after) {
            if !allows(before, &step.needs, step.longest) {
                let (change, was) = self.widened(step, before, after);
                found.push(self.delta(change, Way::Widened, was, vec![step.clone()], step));
            }
        }
        let replaced = found
            .iter()
            .any(|delta| delta.change == Change::ApprovalReplaced);
        for step in tops(before) {
            if !allows(after, &step.needs, step.longest) {
                let (change, is) = self.narrowed(step, before, after);
                // Other people instead: told once, as what widened.
                if change == Change::ApprovalReplaced && replaced {
                    continue;
                }
                found.push(self.delta(change, Way::Narrowed, vec![step.clone()], is, step));
            }
        }
        found.extend(self.people(before, after));
        found
    }

    fn delta(
        &self,
        change: Change,
        way: Way,
        before: Vec<Step>,
        after: Vec<Step>,
        at: &Step,
    ) -> Delta {
        Delta {
            change,
            way,
            before,
            after,
            within: BTreeSet::from([self.number]),
            only: String::new(),
            probe: Probe {
                number: self.number,
                needs: at.needs.clone(),
                duration: at.longest,
            },
            people: BTreeSet::new(),
        }
    }

    /// What it means that `step` is given and was not, and what was given instead.
    fn widened(&self, step: &Step, before: &[Step], after: &[Step]) -> (Change, Vec<Step>) {
        match self.against(step, before, self.old) {
            Against::Nothing => (Change::AccessWidened, Vec::new()),
            Against::Elsewhere(difference, was) => {
                let change = match difference {
                    Difference::Claims => Change::WorkloadConditionsWidened,
                    Difference::Ticket => Change::TicketRemoved,
                    Difference::Reason => Change::ReasonWidened,
                    Difference::Times => Change::TimesWidened,
                };
                (change, was)
            }
            Against::Shorter(was) => (Change::DurationRaised, vec![was]),
            Against::More(was) if step.needs.is_empty() => (Change::ApprovalRemoved, was),
            Against::More(was) => (Change::ApproversReduced, was),
            Against::Others(was) => {
                let kept = tops(before).all(|was| allows(after, &was.needs, was.longest));
                match kept {
                    true => (Change::AlternativeAdded, was),
                    false => (Change::ApprovalReplaced, was),
                }
            }
        }
    }

    /// What it means that `step` was given and is not, and what is given instead.
    fn narrowed(&self, step: &Step, before: &[Step], after: &[Step]) -> (Change, Vec<Step>) {
        match self.against(step, after, self.new) {
            Against::Nothing => (Change::AccessNarrowed, Vec::new()),
            Against::Elsewhere(difference, is) => {
                let change = match difference {
                    Difference::Claims => Change::WorkloadConditionsNarrowed,
                    Difference::Ticket => Change::TicketAdded,
                    Difference::Reason => Change::ReasonNarrowed,
                    Difference::Times => Change::TimesNarrowed,
                };
                (change, is)
            }
            Against::Shorter(is) => (Change::DurationLowered, vec![is]),
            Against::More(is) if step.needs.is_empty() => (Change::ApprovalAdded, is),
            Against::More(is) => (Change::ApproversAdded, is),
            Against::Others(is) => {
                let there = tops(after).all(|is| allows(before, &is.needs, is.longest));
                match there {
                    true => (Change::AlternativeRemoved, is),
                    false => (Change::ApprovalReplaced, is),
                }
            }
        }
    }

    /// How `step` compares with what the other bundle gives, in these circumstances and elsewhere.
    fn against(&self, step: &Step, here: &[Step], elsewhere: &[Vec<Step>]) -> Against {
        let nearest = here.iter().filter(|other| other.needs == step.needs);
        let nearest = nearest.max_by_key(|other| other.longest).or(here.first());
        if let Some(difference) = self.given_elsewhere(step, elsewhere) {
            return Against::Elsewhere(difference, nearest.cloned().into_iter().collect());
        }
        let same = here.iter().filter(|other| other.needs == step.needs);
        if let Some(shorter) = same.max_by_key(|other| other.longest) {
            return Against::Shorter(shorter.clone());
        }
        let mut long_enough = here.iter().filter(|other| other.longest >= step.longest);
        if let Some(more) = long_enough
            .clone()
            .find(|other| covers(&other.needs, &step.needs))
        {
            return Against::More(vec![more.clone()]);
        }
        if let Some(other) = long_enough.next() {
            return Against::Others(vec![other.clone()]);
        }
        let within = here
            .iter()
            .filter(|other| covers(&step.needs, &other.needs));
        if let Some(shorter) = within.max_by_key(|other| other.longest) {
            return Against::Shorter(shorter.clone());
        }
        match here.first() {
            Some(other) if covers(&other.needs, &step.needs) => Against::More(vec![other.clone()]),
            Some(other) => Against::Others(vec![other.clone()]),
            None => Against::Nothing,
        }
    }

    /// Whether the other bundle gives the very same in other circumstances, and in what they differ. Those that differ in
    /// one thing only say best what it is about. What someone owes is no circumstance of a request: those of another past are
    /// other people.
    fn given_elsewhere(&self, step: &Step, elsewhere: &[Vec<Step>]) -> Option<Difference> {
        let own = self.all.get(self.number)?;
        let differs = |same: fn(&Circumstance, &Circumstance) -> bool| {
            elsewhere.iter().zip(self.all).any(|(steps, other)| {
                own.past == other.past
                    && same(own, other)
                    && allows(steps, &step.needs, step.longest)
            })
        };
        if differs(|own, other| {
            own.opens_at == other.opens_at
                && own.claims == other.claims
                && own.reason == other.reason
        }) {
            Some(Difference::Ticket)
        } else if differs(|own, other| own.claims == other.claims && own.reason == other.reason) {
            Some(Difference::Times)
        } else if differs(|own, other| own.claims == other.claims) {
            Some(Difference::Reason)
        } else if differs(|_, _| true) {
            Some(Difference::Claims)
        } else {
            None
        }
    }

    /// Who else can give, or can no longer give, a consent that was needed before and still is.
    fn people(&self, before: &[Step], after: &[Step]) -> Vec<Delta> {
        let mut found = Vec::new();
        let durations: BTreeSet<Duration> = before
            .iter()
            .chain(after)
            .map(|step| step.longest)
            .collect();
        let needs: BTreeSet<&BTreeMap<Kind, u32>> = after.iter().map(|step| &step.needs).collect();
        for needs in needs {
            for duration in durations.iter().rev() {
                let Some(is) = at(after, needs, *duration) else {
                    continue;
                };
                let was = at(before, needs, *duration);
                let mut note = |change, way, people: BTreeSet<UserId>| {
                    let told = was.or(before.first()).into_iter().cloned().collect();
                    let mut delta = self.delta(change, way, told, vec![is.clone()], is);
                    delta.probe.duration = *duration;
                    delta.people = people;
                    found.push(delta);
                };
                let feasible = |steps: &[Step]| {
                    let mut steps = steps.iter();
                    steps.any(|step| step.feasible && step.longest >= *duration)
                };
                if !is.feasible && !feasible(after) && (before.is_empty() || feasible(before)) {
                    note(Change::ScopeWithoutApprover, Way::Narrowed, BTreeSet::new());
                }
                let Some(was) = was else {
                    continue;
                };
                let gained = more(&is.who, &was.who);
                let lost = more(&was.who, &is.who);
                if !gained.is_empty() {
                    note(Change::ApproversWidened, Way::Widened, gained);
                }
                if !lost.is_empty() {
                    note(Change::ApproversNarrowed, Way::Narrowed, lost);
                }
            }
        }
        // A shorter window that differs in the same way says nothing new.
        let mut told: Vec<(Change, BTreeMap<Kind, u32>, BTreeSet<UserId>)> = Vec::new();
        found.retain(|delta| {
            let key = (
                delta.change,
                delta.probe.needs.clone(),
                delta.people.clone(),
            );
            let new = !told.contains(&key);
            told.push(key);
            new
        });
        found
    }
}

enum Against {
    /// Nothing is given there in any circumstances.
    Nothing,
    /// The same is given there, in other circumstances; here it is this.
    Elsewhere(Difference, Vec<Step>),
    /// The same approvals or fewer give a shorter window.
    Shorter(Step),
    /// More approvals are needed there.
    More(Vec<Step>),
    /// Approvals of other kinds are needed there.
    Others(Vec<Step>),
}

/// In what circumstances differ.
enum Difference {
    Claims,
    Ticket,
    Reason,
    Times,
}

/// Of each set of approvals, the step with the longest window.
fn tops(steps: &[Step]) -> impl Iterator<Item = &Step> {
    steps.iter().filter(|step| {
        steps
            .iter()
            .all(|other| other.needs != step.needs || other.longest <= step.longest)
    })
}

/// The step that says who could consent to a window of `duration` with these approvals; none where fewer would do.
fn at<'s>(steps: &'s [Step], needs: &BTreeMap<Kind, u32>, duration: Duration) -> Option<&'s Step> {
    let mut long_enough = steps.iter().filter(|step| step.longest >= duration);
    let fewer = |step: &Step| step.needs != *needs && covers(needs, &step.needs);
    if long_enough.clone().any(fewer) {
        return None;
    }
    let shortest = |step: &&Step| step.longest;
    let same = long_enough.by_ref().filter(|step| step.needs == *needs);
    same.min_by_key(shortest)
}

/// Whether a window of `duration` is given with these approvals: more never take away, a shorter window never does.
fn allows(steps: &[Step], needs: &BTreeMap<Kind, u32>, duration: Duration) -> bool {
    steps
        .iter()
        .any(|step| step.longest >= duration && covers(needs, &step.needs))
}

fn covers(more: &BTreeMap<Kind, u32>, fewer: &BTreeMap<Kind, u32>) -> bool {
    fewer
        .iter()
        .all(|(kind, count)| more.get(kind).copied().unwrap_or(0) >= *count)
}

/// Who is in `these` for some kind and not in `those`.
fn more(
    these: &BTreeMap<Kind, BTreeSet<UserId>>,
    those: &BTreeMap<Kind, BTreeSet<UserId>>,
) -> BTreeSet<UserId> {
    let none = BTreeSet::new();
    these
        .iter()
        .flat_map(|(kind, people)| people.difference(those.get(kind).unwrap_or(&none)))
        .cloned()
        .collect()
}
