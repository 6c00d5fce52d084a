//! What was found, before it is told: findings that read alike are one, of several principals.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Change, Severity, words};
use crate::access::{Action, Circumstance};
use crate::decide::Step;
use crate::principal::{PrincipalId, UserId};
use crate::scope::ScopeId;
use crate::window::Duration;

/// Everything a finding says but of whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) severity: std::cmp::Reverse<Severity>,
    pub(super) change: Change,
    pub(super) scope: Option<ScopeId>,
    pub(super) action: Action,
    pub(super) only: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) causes: Vec<Cause>,
}

impl Key {
    /// About no action in particular, and in all circumstances.
    pub(super) fn of(
        change: Change,
        scope: Option<&ScopeId>,
        [before, after]: [String; 2],
        causes: Vec<Cause>,
    ) -> Key {
        Key {
            severity: std::cmp::Reverse(change.severity()),
            change,
            scope: scope.cloned(),
            action: Action::Activate,
            only: String::new(),
            before,
            after,
            causes,
        }
    }
}

/// Of whom a finding is.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) principals: BTreeSet<PrincipalId>,
    /// Of a difference in access, what each of them had and has.
    pub(super) steps: BTreeMap<PrincipalId, [Vec<Step>; 2]>,
    /// Of each of those, where an example may be had. One's own: a user's request would lack the claims of a workload's.
    pub(super) probes: BTreeMap<PrincipalId, (Circumstance, Duration)>,
}

impl Found {
    /// Splits it by who could consent. Those for whom it is the same people, but for themselves, stay together: that nobody
    /// consents to their own request goes without saying.
    pub(super) fn parts(
        self,
        person: impl Fn(&PrincipalId) -> Option<UserId>,
    ) -> Vec<(Option<[String; 2]>, Found)> {
        if self.steps.is_empty() {
            return vec![(None, self)];
        }
        let mut parts: BTreeMap<[String; 2], Found> = BTreeMap::new();
        let everyone = together(self.steps.values());
        for (principal, own) in &self.steps {
            let alike = person(principal).is_some_and(|person| {
                let mut expected = everyone.clone();
                for step in expected.iter_mut().flatten() {
                    step.who.values_mut().for_each(|who| {
                        who.remove(&person);
                    });
                }
                let whose = |sides: &[Vec<Step>; 2]| {
                    let all = sides.iter().flatten().map(|step| step.who.clone());
                    all.collect::<Vec<_>>()
                };
                whose(&expected) == whose(own)
            });
            let told = if alike { &everyone } else { own };
            let words = [0, 1].map(|side| {
                told.get(side)
                    .map(|it| words::steps(it))
                    .unwrap_or_default()
            });
            let part = parts.entry(words).or_default();
            part.principals.insert(principal.clone());
            if let Some(probe) = self.probes.get(principal) {
                part.probes.insert(principal.clone(), probe.clone());
            }
        }
        parts
            .into_iter()
            .map(|(words, found)| (Some(words), found))
            .collect()
    }
}

/// The same steps, each with everyone who could consent for any of these principals.
pub(super) fn together<'s>(all: impl Iterator<Item = &'s [Vec<Step>; 2]>) -> [Vec<Step>; 2] {
    let mut united: Option<[Vec<Step>; 2]> = None;
    for own in all {
        let Some(united) = &mut united else {
            united = Some(own.clone());
            continue;
        };
        for (step, own) in united.iter_mut().flatten().zip(own.iter().flatten()) {
            for (kind, who) in &own.who {
                let all = step.who.entry(kind.clone()).or_default();
                all.extend(who.iter().cloned());
            }
        }
    }
    united.unwrap_or_default()
}
