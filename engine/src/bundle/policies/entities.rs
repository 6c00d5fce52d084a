//! The entities that policies are evaluated against: one snapshot of directory and catalog, shared by every request.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};

use cedar_policy::entities_errors::EntitiesError;

use super::problem::Problem;
use super::{Policies, SCHEMA_FILE};
use crate::bundle::directory::{Attribute, Directory};
use crate::bundle::{DIRECTORY, SCOPES};
use crate::principal::{GITHUB_CLAIMS, Presence, Principal, PrincipalId, UserId};
use crate::scope::{Scope, ScopeId};

/// The names of Cedar's entity types, parsed once: parsing a uid costs more than a decision.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    user: EntityTypeName,
    workload: EntityTypeName,
    group: EntityTypeName,
    system: EntityTypeName,
    scope: EntityTypeName,
    action: EntityTypeName,
}

impl Types {
    /// `None` never happens: each is a plain word.
    pub(super) fn new() -> Option<Types> {
        Some(Types {
            user: "User".parse().ok()?,
            workload: "Workload".parse().ok()?,
            group: "Group".parse().ok()?,
            system: "System".parse().ok()?,
            scope: "Scope".parse().ok()?,
            action: "Action".parse().ok()?,
        })
    }

    /// `User::"…"`
    pub(crate) fn user(&self, id: &UserId) -> EntityUid {
        uid(&self.user, id.as_str())
    }

    /// `User::"…"` or `Workload::"…"`
    pub(crate) fn principal(&self, id: &PrincipalId) -> EntityUid {
        match id {
            PrincipalId::User(user) => self.user(user),
            PrincipalId::Workload(workload) => uid(&self.workload, workload.as_str()),
        }
    }

    /// `Scope::"…"`
    pub(crate) fn scope(&self, id: &ScopeId) -> EntityUid {
        uid(&self.scope, id.as_str())
    }

    /// `Action::"…"`
    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// `Group::"…"`
    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    fn groups(&self, names: &BTreeSet<String>) -> HashSet<EntityUid> {
        names.iter().map(|name| self.group(name)).collect()
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

impl Policies {
    /// A workload with the claims of its token of the moment. `None` for a user, and for a workload the directory lacks.
    ///
    /// A claim that every token carries is the empty string where this one lacks it, so that comparing it is never an error.
    pub(crate) fn workload_entity(
        &self,
        directory: &Directory,
        principal: &Principal,
    ) -> Option<Entity> {
        workload(&self.types, directory, &principal.id, &principal.claims)
    }

    /// The entities for deciding about a request of `requester` for `scope`, whoever of `people` is the one who acts.
    ///
    /// For a user that is the shared snapshot. A workload has claims of its own for each request, so it gets a small set:
    /// itself, its owner, the scope, `people`, all their ancestors, and the actions. That is enough, because policies are
    /// validated at level 1: they look at nothing that is further away than the principal, the resource and the entities
    /// named in the context.
    pub(crate) fn entities_for<'a, 'p>(
        &'a self,
        directory: &Directory,
        requester: &Principal,
        scope: &ScopeId,
        people: impl IntoIterator<Item = &'p UserId>,
    ) -> Result<Cow<'a, Entities>, Box<EntitiesError>> {
        let PrincipalId::Workload(_) = &requester.id else {
            return Ok(Cow::Borrowed(&self.entities));
        };
        let mut roots = vec![self.types.principal(&requester.id), self.types.scope(scope)];
        roots.extend(
            directory
                .person_behind(&requester.id)
                .map(|owner| self.types.user(owner)),
        );
        roots.extend(people.into_iter().map(|person| self.types.user(person)));
        let mut few: HashMap<EntityUid, Entity> = HashMap::new();
        for root in &roots {
            let ancestors = self.entities.ancestors(root).into_iter().flatten();
            for uid in std::iter::once(root).chain(ancestors) {
                if let Some(entity) = self.entities.get(uid) {
                    few.insert(uid.clone(), entity.clone());
                }
            }
        }
        if let Some(workload) = self.workload_entity(directory, requester) {
            few.insert(workload.uid(), workload);
        }
        let actions = self.actions.iter().cloned();
        let entities = Entities::from_entities(few.into_values().chain(actions), None)?;
        Ok(Cow::Owned(entities))
    }
}

/// The snapshot. Everything that does not fit the schema becomes a problem of the file it comes from.
pub(super) fn snapshot(
    types: &Types,
    schema: &Schema,
    catalog: &BTreeMap<ScopeId, Scope>,
    directory: &Directory,
    files: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Entities> {
    let all = || entities(types, catalog, directory);
    let error = match Entities::from_entities(all().map(|known| known.entity), Some(schema)) {
        Ok(entities) => return Some(entities),
        Err(error) => error,
    };
    // Cedar stops at the first; ask of each by itself, so that all are told at once.
    let before = problems.len();
    for known in all() {
        if let Err(error) = Entities::from_entities([known.entity], Some(schema)) {
            let place = block_of(files, known.file, known.block, known.name);
            problems.push(Problem::new(known.file, place, said(&error)).help(format!(
                "what `{SCHEMA_FILE}` declares, `{}` must fit",
                known.file
            )));
        }
    }
    if problems.len() == before {
        problems.push(Problem::new(DIRECTORY, 0..0, said(&error)));
    }
    None
}

/// An entity, and where it comes from.
struct KnownEntity<'a> {
    entity: Entity,
    file: &'static str,
    block: &'static str,
    name: &'a str,
}

/// Who and what there is.
fn entities<'a>(
    types: &'a Types,
    catalog: &'a BTreeMap<ScopeId, Scope>,
    directory: &'a Directory,
) -> impl Iterator<Item = KnownEntity<'a>> {
    let groups = directory.groups.iter().map(|(name, group)| {
        let entity = Entity::new_no_attrs(types.group(name), types.groups(&group.groups));
        (Some(entity), DIRECTORY, "group", name.as_str())
    });
    let users = directory
        .users
        .keys()
        .map(|id| (user(types, directory, id), DIRECTORY, "user", id.as_str()));
    let workloads = directory.workloads.keys().map(|id| {
        let entity = workload(
            types,
            directory,
            &PrincipalId::Workload(id.clone()),
            &BTreeMap::new(),
        );
        (entity, DIRECTORY, "workload", id.as_str())
    });
    let scopes = catalog
        .values()
        .map(|entry| (scope(types, entry), SCOPES, "scope", entry.id.as_str()));
    let systems: BTreeSet<&str> = catalog
        .values()
        .map(|scope| scope.system.as_str())
        .collect();
    let systems = systems.into_iter().map(|name| {
        let entity = Entity::with_uid(uid(&types.system, name));
        (Some(entity), SCOPES, "system", name)
    });
    let all = groups
        .chain(users)
        .chain(workloads)
        .chain(scopes)
        .chain(systems);
    all.filter_map(|(entity, file, block, name)| {
        Some(KnownEntity {
            entity: entity?,
            file,
            block,
            name,
        })
    })
}

/// An error with what caused it, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    message
}

/// Where the block of this name starts, by its line; the file's beginning where it does not stand in one line.
fn block_of(
    files: &BTreeMap<String, String>,
    file: &str,
    block: &str,
    name: &str,
) -> std::ops::Range<usize> {
    let mut at = 0;
    for line in files
        .get(file)
        .into_iter()
        .flat_map(|text| text.split_inclusive('\n'))
    {
        let mut words = line.split_whitespace();
        if words.next() == Some(block)
            && words
                .next()
                .is_some_and(|word| word.trim_matches('"') == name)
        {
            return at..at + line.trim_end().len();
        }
        at += line.len();
    }
    0..0
}

fn user(types: &Types, directory: &Directory, id: &UserId) -> Option<Entity> {
    let user = directory.user(id)?;
    let mut attributes: HashMap<String, RestrictedExpression> = user
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), expression(value)))
        .collect();
    if let Some(manager) = &user.manager {
        let manager = RestrictedExpression::new_entity_uid(types.user(manager));
        attributes.insert("manager".to_owned(), manager);
    }
    Entity::new(types.user(id), attributes, types.groups(&user.groups)).ok()
}

fn workload(
    types: &Types,
    directory: &Directory,
    id: &PrincipalId,
    claims: &BTreeMap<String, String>,
) -> Option<Entity> {
    let PrincipalId::Workload(name) = id else {
        return None;
    };
    let workload = directory.workload(name)?;
    let owner = RestrictedExpression::new_entity_uid(types.user(&workload.owner));
    let mut attributes = HashMap::from([("owner".to_owned(), owner)]);
    for (claim, presence) in GITHUB_CLAIMS {
        let value = match (claims.get(claim), presence) {
            (Some(value), _) => value.clone(),
            (None, Presence::Always) => String::new(),
            (None, Presence::Sometimes) => continue,
        };
        attributes.insert(claim.to_owned(), RestrictedExpression::new_string(value));
    }
    Entity::new(
        types.principal(id),
        attributes,
        types.groups(&workload.groups),
    )
    .ok()
}

fn scope(types: &Types, scope: &Scope) -> Option<Entity> {
    let system = uid(&types.system, &scope.system);
    let attributes = HashMap::from([
        (
            "system".to_owned(),
            RestrictedExpression::new_entity_uid(system.clone()),
        ),
        (
            "environment".to_owned(),
            RestrictedExpression::new_string(scope.environment.clone()),
        ),
        (
            "owners".to_owned(),
            RestrictedExpression::new_entity_uid(types.group(&scope.owners)),
        ),
    ]);
    Entity::new(types.scope(&scope.id), attributes, HashSet::from([system])).ok()
}

fn expression(value: &Attribute) -> RestrictedExpression {
    match value {
        Attribute::Bool(value) => RestrictedExpression::new_bool(*value),
        Attribute::Long(value) => RestrictedExpression::new_long(*value),
        Attribute::String(value) => RestrictedExpression::new_string(value.clone()),
        Attribute::Strings(values) => RestrictedExpression::new_set(
            values
                .iter()
                .map(|value| RestrictedExpression::new_string(value.clone())),
        ),
    }
}
