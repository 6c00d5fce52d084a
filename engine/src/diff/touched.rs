//! What a change can touch: the principals and scopes that have to be asked about again, and no others.
//!
//! The answer for one principal and one scope depends on the policies whose heads let both through, on the policies about
//! consent whose heads let the scope through, and on what those can see: the principal, the scope, the person behind the
//! principal and whoever could consent. Where none of these differ, neither does the answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cedar_policy::{EntityUid, PolicyId};

use super::policies::{Changed, union};
use crate::access::class::everyone;
use crate::bundle::policies::{HintOp, HintTarget};
use crate::bundle::{Bundle, BundleFiles, SCHEMA};
use crate::decide::{Aim, Line};
use crate::principal::{PrincipalId, UserId};
use crate::scope::{Scope, ScopeId};

/// What has to be asked about again.
pub(super) struct Touched<'a> {
    old: &'a Bundle,
    new: &'a Bundle,
    /// Where what policies mean may differ: the vocabulary, or the time zone.
    pub(super) everything: bool,
    /// Those who are not who they were; for them every scope.
    pub(super) principals: BTreeSet<PrincipalId>,
    /// Those that are not what they were, or for which others can consent; for them every principal.
    scopes: BTreeSet<ScopeId>,
    /// Those whose own entry in the catalog differs.
    pub(super) entries: BTreeSet<ScopeId>,
    /// The heads of changed policies about windows, as they were and as they are.
    opening: [Vec<Aim>; 2],
}

impl<'a> Touched<'a> {
    pub(super) fn of(
        files: [&BundleFiles; 2],
        [old, new]: [&'a Bundle; 2],
        changed: &[Changed],
    ) -> Touched<'a> {
        let schema = files.map(|files| files.0.get(SCHEMA));
        let zones = [old, new].map(|bundle| bundle.directory().timezone());
        let mut touched = Touched {
            old,
            new,
            everything: schema[0] != schema[1] || zones[0] != zones[1],
            principals: BTreeSet::new(),
            scopes: BTreeSet::new(),
            entries: BTreeSet::new(),
            opening: [Vec::new(), Vec::new()],
        };
        let people = touched.find_principals();
        touched.find_entries();
        touched.find_policies(changed);
        touched.find_consent(&people);
        touched
    }

    /// The heads that matter to one scope, to be asked about each principal.
    pub(super) fn within(&self, scope: &ScopeId) -> Within<'_, 'a> {
        let all = self.everything || self.scopes.contains(scope);
        let mut heads = [Vec::new(), Vec::new()];
        if !all {
            let sides = [self.old, self.new].into_iter().zip(&self.opening);
            for (found, (bundle, aims)) in heads.iter_mut().zip(sides) {
                let line = scope_line(bundle, scope);
                found.extend(aims.iter().filter(|aim| aim.scope(&line)));
            }
        }
        Within {
            touched: self,
            all,
            heads,
        }
    }

    /// Users who differ, the gone and the new included.
    fn find_principals(&mut self) -> BTreeSet<UserId> {
        let mut people = BTreeSet::new();
        for id in union(everyone(self.old), everyone(self.new)) {
            if seen(self.old, &id) != seen(self.new, &id) {
                if let PrincipalId::User(user) = &id {
                    people.insert(user.clone());
                }
                self.principals.insert(id);
            }
        }
        // A workload's requests are those of the person who answers for it.
        for bundle in [self.old, self.new] {
            for (id, workload) in bundle.directory().workloads() {
                if people.contains(&workload.owner) {
                    self.principals.insert(PrincipalId::Workload(id.clone()));
                }
            }
        }
        people
    }

    fn find_entries(&mut self) {
        let ids = |bundle: &Bundle| {
            let ids: Vec<ScopeId> = bundle.scopes().map(|scope| scope.id.clone()).collect();
            ids
        };
        for id in union(ids(self.old), ids(self.new)) {
            if self.old.scope(&id) != self.new.scope(&id) {
                self.scopes.insert(id.clone());
                self.entries.insert(id);
            }
        }
    }

    fn find_policies(&mut self, changed: &[Changed]) {
        let mut consenting: [Vec<Aim>; 2] = [Vec::new(), Vec::new()];
        for changed in changed.iter().filter(|changed| changed.matters()) {
            let sides = [(self.old, &changed.old), (self.new, &changed.new)];
            for (number, (bundle, id)) in sides.into_iter().enumerate() {
                let aim = || id.as_ref().and_then(|id| Aim::of(bundle, id));
                if let (Some(aims), Some(aim)) = (self.opening.get_mut(number), aim())
                    && aim.opens()
                {
                    aims.push(aim);
                }
                if let (Some(aims), Some(aim)) = (consenting.get_mut(number), aim())
                    && aim.consents
                {
                    aims.push(aim);
                }
            }
        }
        for (bundle, aims) in [self.old, self.new].into_iter().zip(&consenting) {
            if aims.is_empty() {
                continue;
            }
            for scope in bundle.scopes() {
                let line = scope_line(bundle, &scope.id);
                if aims.iter().any(|aim| aim.scope(&line)) {
                    self.scopes.insert(scope.id.clone());
                }
            }
        }
    }

    /// Where one of these `people` could consent, then or now.
    fn find_consent(&mut self, people: &BTreeSet<UserId>) {
        if people.is_empty() {
            return;
        }
        let mut managers = false;
        for bundle in [self.old, self.new] {
            let policies = bundle.policies();
            let lines: Vec<(EntityUid, Line)> = people
                .iter()
                .map(|person| policies.types.user(person))
                .map(|uid| (uid.clone(), Line::of(&policies.entities, &uid)))
                .collect();
            let permits: Vec<(&PolicyId, Aim)> = policies
                .facts
                .keys()
                .filter_map(|id| Some((id, Aim::of(bundle, id)?)))
                .filter(|(_, aim)| aim.consents && !aim.forbids())
                .filter(|(_, aim)| lines.iter().any(|(_, line)| aim.principal(line)))
                .collect();
            for scope in bundle.scopes() {
                let of_scope = scope_line(bundle, &scope.id);
                let mut could = |(id, aim): &(&PolicyId, Aim)| {
                    let mut named = lines.iter().filter(|(_, line)| aim.principal(line));
                    if !aim.scope(&of_scope) {
                        return false;
                    }
                    let hint = policies
                        .facts
                        .get(id)
                        .and_then(|it| it.principal_hint.as_ref());
                    let Some(hint) = hint else {
                        return true;
                    };
                    let target = match &hint.target {
                        HintTarget::Entity(uid) => Some(uid.clone()),
                        HintTarget::Path(path) if path_is(path, &["resource", "owners"]) => {
                            Some(policies.types.group(&scope.owners))
                        }
                        HintTarget::Path(path)
                            if path_is(path, &["context", "requester", "manager"]) =>
                        {
                            managers = true;
                            return false;
                        }
                        HintTarget::Path(_) => None,
                    };
                    let Some(target) = target else {
                        return true;
                    };
                    named.any(|(uid, line)| match hint.op {
                        HintOp::Eq => *uid == target,
                        HintOp::In => line.contains(&target),
                    })
                };
                // Each is asked, since one may also say that managers matter.
                let found = permits.iter().filter(|permit| could(permit)).count();
                if found > 0 {
                    self.scopes.insert(scope.id.clone());
                }
            }
        }
        if managers {
            self.find_reports(people);
        }
    }

    /// Those whose manager, or whose owner's manager, is one of these people.
    fn find_reports(&mut self, people: &BTreeSet<UserId>) {
        for bundle in [self.old, self.new] {
            let directory = bundle.directory();
            for id in everyone(bundle) {
                let manager = directory
                    .person_behind(&id)
                    .and_then(|person| directory.user(person)?.manager.as_ref());
                if manager.is_some_and(|manager| people.contains(manager)) {
                    self.principals.insert(id);
                }
            }
        }
    }
}

/// The part of a change that touches one scope.
pub(super) struct Within<'t, 'a> {
    touched: &'t Touched<'a>,
    all: bool,
    heads: [Vec<&'t Aim>; 2],
}

impl Within<'_, '_> {
    /// Whether this principal has to be asked about.
    pub(super) fn touches(&self, principal: &PrincipalId) -> bool {
        if self.all || self.touched.principals.contains(principal) {
            return true;
        }
        let sides = [self.touched.old, self.touched.new];
        sides.into_iter().zip(&self.heads).any(|(bundle, heads)| {
            if heads.is_empty() {
                return false;
            }
            let policies = bundle.policies();
            let line = Line::of(&policies.entities, &policies.types.principal(principal));
            heads.iter().any(|head| head.principal(&line))
        })
    }

    /// Whether anyone has to be.
    pub(super) fn is_empty(&self) -> bool {
        !self.all
            && self.touched.principals.is_empty()
            && self.heads.iter().all(|heads| heads.is_empty())
    }
}

fn path_is(path: &[String], names: &[&str]) -> bool {
    path.iter().map(String::as_str).eq(names.iter().copied())
}

fn scope_line(bundle: &Bundle, scope: &ScopeId) -> Line {
    let policies = bundle.policies();
    Line::of(&policies.entities, &policies.types.scope(scope))
}

/// What policies, and the engine itself, can see of a principal; `None` for a stranger.
fn seen(bundle: &Bundle, id: &PrincipalId) -> Option<(HashSet<EntityUid>, String)> {
    let policies = bundle.policies();
    let directory = bundle.directory();
    let uid = policies.types.principal(id);
    let own = match id {
        PrincipalId::User(user) => {
            let user = directory.user(user)?;
            format!("{:?} {:?}", user.manager, user.attributes)
        }
        PrincipalId::Workload(workload) => {
            let workload = directory.workload(workload)?;
            let ids: BTreeMap<&(String, String), ()> = directory
                .identities
                .iter()
                .filter(|(_, whose)| *whose == id)
                .map(|(identity, _)| (identity, ()))
                .collect();
            format!("{:?} {:?} {:?}", workload.owner, workload.pinned, ids)
        }
    };
    let above = policies.entities.ancestors(&uid).into_iter().flatten();
    Some((above.cloned().collect(), own))
}

/// What a session of a scope can do at AWS, and how, when that is not what it was.
pub(super) fn permissions_differ(old: &Scope, new: &Scope) -> bool {
    old.aws != new.aws
}
