//! What the tests leave untested: policies that never decided, conditions never seen true or false, limits never tried.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::PolicyId;
use serde::Serialize;

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::bundle::policies::PolicyFacts;
use crate::decide::trace::{self, Say, Trace};
use crate::window::Duration;

use super::render::one_line;
use super::row::Row;
use super::who_can::WhoCan;
use super::{Glob, Place, Suite, What};

/// How much of the policies the tests cover.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// How many things can be covered: of each policy, that it decides; of each condition, that it is seen true and that it
    /// is seen false; of each limit of the window, that it is reached and that it is passed by a second.
    pub points: usize,
    /// How many of them are.
    pub covered: usize,
    /// How many policies there are.
    pub policies: usize,
    /// How many conditions they have.
    pub conditions: usize,
    /// How many limits of the window are in these.
    pub limits: usize,
    /// Those that are not, by file and line.
    pub gaps: Vec<Gap>,
}

/// Something no test has covered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Where it is written.
    #[serde(flatten)]
    pub place: Place,
    /// The policy's `@id`.
    pub policy: String,
    /// What no test has done, in words.
    pub missing: String,
}

impl Coverage {
    /// In whole percent, rounded down, so that only everything is 100.
    pub fn percent(&self) -> usize {
        match self.points {
            0 => 100,
            points => self.covered.saturating_mul(100) / points,
        }
    }

    /// The percentage and every gap.
    pub fn render(&self) -> String {
        let mut out = format!(
            "coverage: {}% of {} policies, {} conditions and {} limits\n",
            self.percent(),
            self.policies,
            self.conditions,
            self.limits
        );
        for gap in &self.gaps {
            out.push_str(&format!(
                "  {}:{}: {} {}\n",
                gap.place.file,
                gap.place.line,
                gap.policy,
                one_line(&gap.missing)
            ));
        }
        out
    }
}

impl Suite {
    /// What the tests whose name fits `only` cover of the policies.
    pub fn coverage(&self, only: &Glob) -> Coverage {
        let mut seen = Tally::default();
        for check in self.checks.iter().filter(|check| only.fits(&check.test)) {
            let Some(bundle) = self.worlds.get(check.world).map(|world| &world.bundle) else {
                continue;
            };
            match &check.what {
                What::Row(row) => row.traces(bundle, &mut |trace| seen.add(bundle, &trace)),
                What::WhoCan(list) => list.traces(bundle, &mut |trace| seen.add(bundle, &trace)),
                What::Cedar(test) => {
                    let trace = trace::of_question(bundle, test.request(), test.entities(bundle));
                    trace.iter().for_each(|trace| seen.add(bundle, trace));
                }
                // A bound on everything is no example of anything.
                What::Invariant(_) => {}
            }
        }
        let facts = self.bundle().map(|bundle| &bundle.policies().facts);
        seen.coverage(facts.into_iter().flatten())
    }
}

/// What was seen of every policy.
#[derive(Default)]
struct Tally(BTreeMap<PolicyId, OfPolicy>);

#[derive(Default)]
struct OfPolicy {
    decided: bool,
    conditions: Vec<OfCondition>,
}

#[derive(Default, Clone)]
struct OfCondition {
    seen_true: bool,
    seen_false: bool,
    /// The lengths of the windows it was seen with.
    durations_s: BTreeSet<u32>,
}

impl Tally {
    fn add(&mut self, bundle: &Bundle, trace: &Trace) {
        for id in trace.decisive() {
            self.0.entry(id.clone()).or_default().decided = true;
        }
        for seen in &trace.seen {
            let of_policy = self.0.entry(seen.id.clone()).or_default();
            of_policy
                .conditions
                .resize(seen.held.len(), OfCondition::default());
            let conditions = bundle.policies().facts.get(&seen.id);
            let limits = conditions.into_iter().flat_map(|facts| &facts.conditions);
            for ((condition, held), facts) in
                of_policy.conditions.iter_mut().zip(&seen.held).zip(limits)
            {
                condition.seen_true |= *held == Some(true);
                condition.seen_false |= *held == Some(false);
                // Only the lengths that matter: a list of everyone asks about a great many.
                if let Some(duration_s) = trace.duration_s
                    && facts
                        .limits_s
                        .iter()
                        .any(|limit| (*limit..=limit + 1).contains(&duration_s))
                {
                    condition.durations_s.insert(duration_s);
                }
            }
        }
    }

    fn coverage<'a>(
        &self,
        policies: impl Iterator<Item = (&'a PolicyId, &'a PolicyFacts)>,
    ) -> Coverage {
        let mut coverage = Coverage {
            points: 0,
            covered: 0,
            policies: 0,
            conditions: 0,
            limits: 0,
            gaps: Vec::new(),
        };
        let unseen = OfPolicy::default();
        for (id, facts) in policies {
            let of_policy = self.0.get(id).unwrap_or(&unseen);
            coverage.policies += 1;
            let line = facts.place.line;
            let verb = match facts.forbids {
                true => "never kept anything from being permitted",
                false => "never decided anything",
            };
            coverage.point(facts, line, of_policy.decided, || verb.to_owned());
            let nothing = OfCondition::default();
            for (place, condition) in facts.conditions.iter().enumerate() {
                let seen = of_policy.conditions.get(place).unwrap_or(&nothing);
                coverage.conditions += 1;
                let (text, line) = (&condition.text, condition.line);
                let says = |word: &str| format!("`{text}` was never seen {word}");
                coverage.point(facts, line, seen.seen_true, || says("true"));
                coverage.point(facts, line, seen.seen_false, || says("false"));
                for limit in &condition.limits_s {
                    let Ok(limit) = Duration::from_s(*limit) else {
                        continue;
                    };
                    coverage.limits += 1;
                    let at = seen.durations_s.contains(&limit.as_s());
                    let past = seen.durations_s.contains(&(limit.as_s() + 1));
                    let tried = |words: &str| format!("`{text}` was never tried {words} {limit}");
                    coverage.point(facts, line, at, || tried("at its limit of"));
                    // Nobody can ask for more than the longest window there is.
                    if Duration::from_s(limit.as_s() + 1).is_ok() {
                        coverage.point(facts, line, past, || tried("one second past"));
                    }
                }
            }
        }
        coverage.gaps.sort();
        coverage
    }
}

impl Coverage {
    fn point(
        &mut self,
        facts: &PolicyFacts,
        line: usize,
        covered: bool,
        missing: impl FnOnce() -> String,
    ) {
        self.points += 1;
        match covered {
            true => self.covered += 1,
            false => self.gaps.push(Gap {
                place: Place {
                    file: facts.place.file.clone(),
                    line,
                },
                policy: facts.place.id.clone(),
                missing: missing(),
            }),
        }
    }
}

impl Row {
    /// Every question that this case asks of the policies.
    fn traces(&self, bundle: &Bundle, add: &mut impl FnMut(Trace)) {
        let past = self
            .longest
            .map(|longest| Duration::from_s(longest.as_s() + 1));
        let durations = [Some(self.duration), self.longest, past.and_then(Result::ok)];
        for duration in durations.into_iter().flatten().collect::<BTreeSet<_>>() {
            if let Some(case) = self.case(bundle, duration) {
                trace::of_case(bundle, &case, self.standing(), self.at)
                    .into_iter()
                    .for_each(&mut *add);
            }
        }
        let Some(case) = self.case(bundle, self.duration) else {
            return;
        };
        for (person, kinds) in &self.approvals {
            let lender = self.lent.get(person);
            // Whose right it is, and who acts where it is lent.
            let (whose, delegate) = (lender.unwrap_or(person), lender.map(|_| person));
            trace::of_consent(bundle, &case, whose, delegate, kinds, self.at)
                .into_iter()
                .for_each(&mut *add);
            if let Some(lender) = lender {
                let seen = trace::of_lending(bundle, lender, person);
                seen.into_iter().for_each(&mut *add);
            }
        }
        if let Some(approvers) = &self.approvers {
            // The list is exhaustive, so it says something of everyone.
            let kinds: BTreeSet<Kind> = approvers.keys().cloned().collect();
            for (person, _) in bundle.directory().users() {
                trace::of_consent(bundle, &case, person, None, &kinds, self.at)
                    .into_iter()
                    .for_each(&mut *add);
            }
        }
        let says = [
            (&self.viewers, Say::View),
            (&self.revokers, Say::Revoke),
            (&self.reviewers, Say::Review),
        ];
        let (asking, scope) = (&self.principal.id, &self.scope);
        for (_, say) in says.iter().filter(|(expected, _)| expected.is_some()) {
            for (person, _) in bundle.directory().users() {
                let seen = trace::of_say(bundle, *say, person, asking, scope);
                seen.into_iter().for_each(&mut *add);
            }
        }
        if let (Some(_), Some(own)) = (&self.delegates, bundle.directory().person_behind(asking)) {
            for (person, _) in bundle.directory().users() {
                let seen = trace::of_lending(bundle, own, person);
                seen.into_iter().for_each(&mut *add);
            }
        }
    }
}

impl WhoCan {
    /// Every question that this list asks of the policies: of those on it at their limits and a second past them, of
    /// everyone else for the shortest window there is.
    fn traces(&self, bundle: &Bundle, add: &mut impl FnMut(Trace)) {
        for (principal, limits) in self.expected.values() {
            let mut durations = BTreeSet::new();
            for limit in [limits.granted, limits.possible].into_iter().flatten() {
                durations.insert(limit);
                durations.extend(Duration::from_s(limit.as_s() + 1));
            }
            if durations.is_empty() {
                durations.extend(Duration::from_s(1));
            }
            trace::of_wish(
                bundle,
                principal,
                &self.scope,
                &self.reason,
                self.at,
                &durations,
            )
            .into_iter()
            .for_each(&mut *add);
        }
    }
}
