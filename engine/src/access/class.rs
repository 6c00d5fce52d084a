//! Principals whom no policy can tell apart.
//!
//! Two users are one class when they have the same groups, manager and attributes, no policy names either of them, and no
//! policy looks at whose manager they are. Exchanging the two then changes no policy's answer, so whatever is true of one,
//! approvers included, is true of the other with the two exchanged. Workloads are compared by owner, groups and pinned
//! claims.

use std::collections::{BTreeMap, HashSet};

use cedar_policy::EntityUid;

use crate::bundle::Bundle;
use crate::principal::PrincipalId;

/// Principals who are all alike; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// By name. The first is asked about for all.
    pub members: Vec<PrincipalId>,
    first: PrincipalId,
}

impl Class {
    /// The one who is asked about.
    pub fn first(&self) -> &PrincipalId {
        &self.first
    }
}

/// The classes of one bundle.
pub(crate) fn of_one(bundle: &Bundle) -> Vec<Class> {
    let one = Likeness::of(bundle);
    collect([bundle], |id| one.key(id).unwrap_or_default())
}

/// The classes of two bundles: who is alike in both. Someone whom one of them does not know is alike only to others whom it
/// does not know either.
pub(crate) fn of_two(old: &Bundle, new: &Bundle) -> Vec<Class> {
    let (before, after) = (Likeness::of(old), Likeness::of(new));
    collect([old, new], |id| (before.key(id), after.key(id)))
}

fn collect<'a, K: Ord>(
    bundles: impl IntoIterator<Item = &'a Bundle>,
    key: impl Fn(&PrincipalId) -> K,
) -> Vec<Class> {
    let mut by_key: BTreeMap<K, Vec<PrincipalId>> = BTreeMap::new();
    let mut all = std::collections::BTreeSet::new();
    for bundle in bundles {
        all.extend(everyone(bundle));
    }
    for id in all {
        by_key.entry(key(&id)).or_default().push(id);
    }
    let mut classes: Vec<Class> = by_key
        .into_values()
        .filter_map(|members| {
            let first = members.first()?.clone();
            Some(Class { members, first })
        })
        .collect();
    classes.sort_by(|one, other| one.first.cmp(&other.first));
    classes
}

/// Every user and workload of the directory.
pub(crate) fn everyone(bundle: &Bundle) -> impl Iterator<Item = PrincipalId> {
    let directory = bundle.directory();
    let users = directory
        .users()
        .map(|(id, _)| PrincipalId::User(id.clone()));
    let workloads = directory
        .workloads()
        .map(|(id, _)| PrincipalId::Workload(id.clone()));
    users.chain(workloads)
}

/// What a bundle's policies can see of principals.
struct Likeness<'a> {
    bundle: &'a Bundle,
    /// The entities that policies name.
    named: HashSet<EntityUid>,
    /// Whether a policy looks at who reports to whom from the manager's side.
    reports: bool,
    /// Whether a policy looks at a workload's repository, which its identity fixes.
    repository: bool,
}

impl<'a> Likeness<'a> {
    fn of(bundle: &'a Bundle) -> Likeness<'a> {
        let policies = bundle.policies();
        let reads = |wanted: [&str; 2]| {
            let conditions = policies.facts.values().flat_map(|facts| &facts.conditions);
            conditions
                .flat_map(|condition| &condition.paths)
                .any(|path| path.iter().take(2).eq(&wanted))
        };
        Likeness {
            bundle,
            named: policies
                .set
                .policies()
                .flat_map(cedar_policy::Policy::entity_literals)
                .collect(),
            reports: reads(["principal", "manager"]),
            repository: reads(["principal", "repository_id"]),
        }
    }

    /// Equal for those who are alike; `None` for whom the bundle does not know.
    fn key(&self, id: &PrincipalId) -> Option<String> {
        let directory = self.bundle.directory();
        let uid = self.bundle.policies().types.principal(id);
        let mut own = self.named.contains(&uid);
        let seen = match id {
            PrincipalId::User(user) => {
                let known = directory.user(user)?;
                own |= self.reports;
                format!(
                    "{:?} {:?} {:?}",
                    known.groups, known.manager, known.attributes
                )
            }
            PrincipalId::Workload(workload) => {
                let known = directory.workload(workload)?;
                own |= self.repository;
                format!("{:?} {:?} {:?}", known.groups, known.owner, known.pinned)
            }
        };
        let name = if own { id.to_string() } else { String::new() };
        let kind = matches!(id, PrincipalId::User(_));
        Some(format!("{kind} {name} {seen}"))
    }
}
