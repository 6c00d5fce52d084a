//! Which policies, and which lines of the rest, a difference comes from.

use std::collections::BTreeSet;

use super::compare::{Delta, Way};
use super::policies::Changed;
use super::{Cause, CauseKind, Change, Comparison, Revision, Side, source};
use crate::access::{Circumstance, Class, PolicyAt};
use crate::decide::{Aim, Surveyor};
use crate::principal::{Principal, PrincipalId};
use crate::scope::ScopeId;

impl Comparison<'_> {
    /// The policies that decided at the point where the two differ, if they changed; else what else did.
    pub(super) fn causes(
        &mut self,
        class: &Class,
        scope: &ScopeId,
        delta: &Delta,
        circumstance: &Circumstance,
    ) -> Vec<Cause> {
        let asking = Principal {
            id: class.first().clone(),
            claims: circumstance.claims.clone(),
        };
        let mut said = |side: Side<'_>| {
            let surveyor = Surveyor::of(side.bundle, &asking)?;
            let (needs, duration) = (&delta.probe.needs, delta.probe.duration);
            let verdict = surveyor.verdict(scope, circumstance.setting(), duration, needs);
            self.effort.evaluations += surveyor.evaluations();
            Some(verdict)
        };
        let was = said(self.old).unwrap_or_default();
        let is = said(self.new).unwrap_or_default();
        let (gave_before, gave_after) = match delta.way {
            Way::Widened => (&was.forbids, &is.permits),
            Way::Narrowed => (&was.permits, &is.forbids),
        };
        let mut causes = BTreeSet::new();
        for policy in gave_before {
            if self.is_changed(&policy.id, Revision::Before) {
                causes.insert(self.of_policy(&PolicyAt::from(policy), Revision::Before));
            }
        }
        for policy in gave_after {
            if self.is_changed(&policy.id, Revision::After) {
                causes.insert(self.of_policy(&PolicyAt::from(policy), Revision::After));
            }
        }
        let of_people = !delta.people.is_empty() || delta.change == Change::ScopeWithoutApprover;
        if of_people {
            causes.clear();
            causes.extend(self.consent_causes(scope));
            for person in &delta.people {
                let id = PrincipalId::User(person.clone());
                causes.extend(self.of_principal(&id));
            }
        }
        if causes.is_empty() {
            causes.extend(self.of_scope(scope));
            for member in &class.members {
                causes.extend(self.of_principal(member));
            }
        }
        if causes.is_empty() {
            causes = self.all_causes().into_iter().collect();
        }
        causes.into_iter().collect()
    }

    pub(super) fn is_changed(&self, id: &str, revision: Revision) -> bool {
        self.changed
            .iter()
            .filter(|changed| changed.matters())
            .any(|changed| {
                let own = match revision {
                    Revision::Before => &changed.old,
                    Revision::After => &changed.new,
                };
                own.as_ref().is_some_and(|own| {
                    let own: &str = own.as_ref();
                    own == id
                })
            })
    }

    /// A policy where it stands now; where it stood if it is gone.
    pub(super) fn of_policy(&self, policy: &PolicyAt, revision: Revision) -> Cause {
        match (revision, self.new.bundle.policy(&policy.id)) {
            (Revision::Before, Some(now)) => Cause::policy(&PolicyAt::from(now), Revision::After),
            (revision, _) => Cause::policy(policy, revision),
        }
    }

    /// The changed policies about consent that can be about this scope.
    pub(super) fn consent_causes(&self, scope: &ScopeId) -> BTreeSet<Cause> {
        let mut causes = BTreeSet::new();
        for changed in self.changed.iter().filter(|changed| changed.matters()) {
            let sides = [
                (self.old, &changed.old, Revision::Before),
                (self.new, &changed.new, Revision::After),
            ];
            for (side, id, revision) in sides {
                let Some(id) = id else { continue };
                let policies = side.bundle.policies();
                let line =
                    crate::decide::Line::of(&policies.entities, &policies.types.scope(scope));
                let aim = Aim::of(side.bundle, id);
                if aim.is_some_and(|aim| aim.consents && aim.scope(&line))
                    && let Some(place) = side.bundle.policy(id.as_ref())
                {
                    causes.insert(self.of_policy(&PolicyAt::from(place), revision));
                }
            }
        }
        causes
    }

    /// Everything that changed, where nothing in particular can be named.
    pub(super) fn all_causes(&self) -> Vec<Cause> {
        let mut causes: BTreeSet<Cause> = BTreeSet::new();
        for changed in self.changed.iter().filter(|changed| changed.matters()) {
            causes.extend(self.place_of(changed));
        }
        for id in &self.touched.principals {
            causes.extend(self.of_principal(id));
        }
        for id in &self.touched.entries {
            causes.extend(self.of_scope(id));
        }
        let changed_files = |name: &str| self.old.files.0.get(name) != self.new.files.0.get(name);
        if causes.is_empty() {
            let files = [crate::bundle::SCHEMA, crate::bundle::DIRECTORY];
            let files = files.into_iter().filter(|name| changed_files(name));
            causes.extend(files.map(Cause::file));
        }
        causes.into_iter().collect()
    }

    pub(super) fn place_of(&self, changed: &Changed) -> Option<Cause> {
        let now = changed
            .new
            .as_ref()
            .and_then(|id| self.new.bundle.policy(id.as_ref()))
            .map(|place| Cause::policy(&PolicyAt::from(place), Revision::After));
        let was = || {
            let id = changed.old.as_ref()?;
            let place = self.old.bundle.policy(id.as_ref())?;
            Some(Cause::policy(&PolicyAt::from(place), Revision::Before))
        };
        now.or_else(was)
    }

    pub(super) fn of_scope(&self, scope: &ScopeId) -> Option<Cause> {
        let touched = self.touched.entries.contains(scope);
        touched
            .then(|| {
                source::block(
                    [self.old.files, self.new.files],
                    CauseKind::Scope,
                    scope.as_str(),
                )
            })
            .flatten()
    }

    pub(super) fn of_principal(&self, id: &PrincipalId) -> Option<Cause> {
        let kind = match id {
            PrincipalId::User(_) => CauseKind::User,
            PrincipalId::Workload(_) => CauseKind::Workload,
        };
        let touched = self.touched.principals.contains(id);
        touched
            .then(|| source::block([self.old.files, self.new.files], kind, id.name()))
            .flatten()
    }
}
