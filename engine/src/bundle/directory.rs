//! `directory.hcl`: people, groups, managers, workloads, and which identities belong to whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::principal::{PrincipalId, UserId, WorkloadId};

mod read;

pub(super) use read::read;

/// The longest chain of groups within groups: identity providers nest a handful.
pub const GROUP_DEPTH_MAX: usize = 16;

/// The longest stable id or claim, in bytes: OpenID Connect's own limit for `sub`.
pub const STABLE_ID_MAX: usize = 255;

/// Who there is, and how they prove it.
#[derive(Debug, Default)]
pub struct Directory {
    /// The zone that `weekday` and `time_of_day` are told in; UTC where the directory is silent.
    pub(crate) timezone: Option<jiff::tz::TimeZone>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) workloads: BTreeMap<WorkloadId, Workload>,
    /// (issuer's name in the configuration, stable id) → whose it is. For `github-actions` the stable id is the
    /// repository's id.
    pub(crate) identities: BTreeMap<(String, String), PrincipalId>,
    /// Group → everyone in it, also by way of another group.
    pub(crate) members: BTreeMap<String, BTreeSet<UserId>>,
}

/// A group of principals.
#[derive(Debug, Clone)]
pub struct Group {
    /// The groups it is in.
    pub groups: BTreeSet<String>,
    /// For people to read.
    pub description: String,
}

/// A human.
#[derive(Debug, Clone)]
pub struct User {
    /// The name people read.
    pub display_name: String,
    /// Who they report to.
    pub manager: Option<UserId>,
    /// The groups they are directly in.
    pub groups: BTreeSet<String>,
    /// Further attributes the schema declares for `User`, such as `contractor = true`.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A CI job or a service.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The person who answers for it; its requests count as theirs.
    pub owner: UserId,
    /// The groups it is directly in.
    pub groups: BTreeSet<String>,
    /// Claims of a `github-actions` token that must equal these, such as `repository_owner_id`.
    pub pinned: BTreeMap<String, String>,
}

/// A directory attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A Cedar `Bool`.
    Bool(bool),
    /// A Cedar `Long`.
    Long(i64),
    /// A Cedar `String`.
    String(String),
    /// A Cedar `Set<String>`.
    Strings(BTreeSet<String>),
}

impl Directory {
    /// Whose identity it is: `issuer` is the issuer's name in the broker's configuration, `stable_id` what that issuer
    /// never gives to anyone else. `None` for a stranger.
    pub fn principal_of(&self, issuer: &str, stable_id: &str) -> Option<&PrincipalId> {
        self.identities
            .get(&(issuer.to_owned(), stable_id.to_owned()))
    }

    /// The issuers that identities name, each once: the broker's configuration must know them.
    pub fn issuers(&self) -> BTreeSet<&str> {
        self.identities
            .keys()
            .map(|(issuer, _)| issuer.as_str())
            .collect()
    }

    /// A user.
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id)
    }

    /// A workload.
    pub fn workload(&self, id: &WorkloadId) -> Option<&Workload> {
        self.workloads.get(id)
    }

    /// The person who answers for a principal: the user themselves, or the workload's owner. `None` for a stranger.
    pub fn person_behind<'a>(&'a self, id: &'a PrincipalId) -> Option<&'a UserId> {
        match id {
            PrincipalId::User(user) => self.users.contains_key(user).then_some(user),
            PrincipalId::Workload(workload) => {
                self.workloads.get(workload).map(|workload| &workload.owner)
            }
        }
    }

    /// The same of the past: a user who has left the directory stays who they were. `None` for a workload that has left, for
    /// nobody answers for it any more.
    pub fn person_once_behind<'a>(&'a self, id: &'a PrincipalId) -> Option<&'a UserId> {
        match (self.person_behind(id), id) {
            (Some(person), _) => Some(person),
            (None, PrincipalId::User(gone)) => Some(gone),
            (None, PrincipalId::Workload(_)) => None,
        }
    }

    /// Every user, by name.
    pub fn users(&self) -> impl Iterator<Item = (&UserId, &User)> {
        self.users.iter()
    }

    /// Every workload, by name.
    pub fn workloads(&self) -> impl Iterator<Item = (&WorkloadId, &Workload)> {
        self.workloads.iter()
    }

    /// Every group, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups
            .iter()
            .map(|(name, group)| (name.as_str(), group))
    }

    /// The users of a group, by name, those of the groups in it included; none for a group nobody knows.
    pub fn members_of(&self, group: &str) -> impl Iterator<Item = &UserId> {
        self.members.get(group).into_iter().flatten()
    }

    /// The zone that `weekday` and `time_of_day` are told in.
    pub fn timezone(&self) -> jiff::tz::TimeZone {
        self.timezone.clone().unwrap_or(jiff::tz::TimeZone::UTC)
    }
}
