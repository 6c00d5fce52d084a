//! Whom a test names: `mia`, `group:oncall`, `token:main`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::bundle::Directory;
use crate::bundle::hcl::{Document, Placed};
use crate::bundle::report::did_you_mean;
use crate::principal::{Principal, PrincipalId, UserId, WorkloadId};

/// Someone a test asks about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// A user of the directory, or of the test file.
    User(UserId),
    /// A workload with a token of the test file.
    Token(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(user) => write!(f, "{user}"),
            Who::Token(name) => write!(f, "token:{name}"),
        }
    }
}

/// Everyone a test file can name.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) document: &'a Document,
    pub(super) directory: &'a Directory,
    pub(super) tokens: BTreeMap<String, Principal>,
}

impl Names<'_> {
    /// One user.
    pub(super) fn user(&self, name: &Placed<String>) -> Option<UserId> {
        let users = || self.directory.users().map(|(user, _)| user);
        let found = users().find(|user| user.as_str() == name.value);
        if found.is_none() {
            let help = match self.tokens.contains_key(&name.value) {
                true => Some(format!("that is a token: write `token:{}`", name.value)),
                false => did_you_mean(name, users().map(UserId::as_str)),
            };
            let message = format!("no user `{}`", name.value);
            self.document.error(name.span.clone(), message, help);
        }
        found.cloned()
    }

    /// One token.
    pub(super) fn token(&self, name: &Placed<String>) -> Option<&Principal> {
        let found = self.tokens.get(&name.value);
        if found.is_none() {
            let help = did_you_mean(name, self.tokens.keys().map(String::as_str))
                .unwrap_or_else(|| format!("describe it with `token \"{}\" {{`", name.value));
            let message = format!("no token `{}`", name.value);
            self.document.error(name.span.clone(), message, Some(help));
        }
        found
    }

    /// Users by name and by group; `besides` is in no group here.
    pub(super) fn users(
        &self,
        list: &[Placed<String>],
        besides: Option<&UserId>,
    ) -> BTreeSet<UserId> {
        let mut found = BTreeSet::new();
        for name in list {
            match name.split_once(':') {
                Some(("group", group)) => {
                    let members = self.group(name, group).into_iter();
                    found.extend(members.filter(|user| besides != Some(user)));
                }
                Some(_) => self.refuse(name, "write a user's name, or `group:NAME`"),
                None => found.extend(self.user(name)),
            }
        }
        found
    }

    /// Users and tokens by name, and users by group; `true` for those named themselves.
    pub(super) fn principals(&self, list: &[Placed<String>]) -> Vec<(Who, bool)> {
        let mut found = Vec::new();
        for name in list {
            match name.split_once(':') {
                Some(("group", group)) => {
                    let members = self.group(name, group).into_iter();
                    found.extend(members.map(|user| (Who::User(user), false)));
                }
                Some(("token", token)) => {
                    let token = Placed::new(token.to_owned(), name.span.clone());
                    let known = self.token(&token).is_some();
                    found.extend(known.then_some((Who::Token(token.value), true)));
                }
                Some(_) => self.refuse(name, "write a user's name, `group:NAME` or `token:NAME`"),
                None => found.extend(self.user(name).map(|user| (Who::User(user), true))),
            }
        }
        found
    }

    /// A user, the users of a group, or a workload with whatever token.
    pub(super) fn ids(&self, name: &Placed<String>) -> BTreeSet<PrincipalId> {
        match name.split_once(':') {
            Some(("group", group)) => {
                let members = self.group(name, group).into_iter();
                members.map(PrincipalId::User).collect()
            }
            Some(("workload", workload)) => {
                let workloads = || self.directory.workloads().map(|(workload, _)| workload);
                let found = workloads().find(|known| known.as_str() == workload);
                if found.is_none() {
                    let message = format!("no workload `{workload}`");
                    let help = did_you_mean(workload, workloads().map(WorkloadId::as_str));
                    self.document.error(name.span.clone(), message, help);
                }
                let ids = found.into_iter().cloned();
                ids.map(PrincipalId::Workload).collect()
            }
            Some(_) => {
                self.refuse(name, "write a user's name, `group:NAME` or `workload:NAME`");
                BTreeSet::new()
            }
            None => self.user(name).map(PrincipalId::User).into_iter().collect(),
        }
    }

    /// Every user and workload.
    pub(super) fn all_ids(&self) -> BTreeSet<PrincipalId> {
        let users = self.directory.users().map(|(user, _)| user.clone());
        let workloads = self.directory.workloads().map(|(id, _)| id.clone());
        let workloads = workloads.map(PrincipalId::Workload);
        users.map(PrincipalId::User).chain(workloads).collect()
    }

    /// Everyone there is: users, tokens.
    pub(super) fn everyone(&self) -> BTreeMap<Who, Principal> {
        let users = self.directory.users().map(|(user, _)| {
            let principal = Principal::user(user.clone());
            (Who::User(user.clone()), principal)
        });
        let tokens = self
            .tokens
            .iter()
            .map(|(name, principal)| (Who::Token(name.clone()), principal.clone()));
        users.chain(tokens).collect()
    }

    fn group(&self, place: &Placed<String>, group: &str) -> BTreeSet<UserId> {
        let groups = || self.directory.groups().map(|(name, _)| name);
        if !groups().any(|name| name == group) {
            let help = did_you_mean(group, groups());
            let message = format!("no group `{group}`");
            self.document.error(place.span.clone(), message, help);
        }
        self.directory.members_of(group).cloned().collect()
    }

    fn refuse(&self, name: &Placed<String>, help: &str) {
        let message = format!("`{}` names nobody", name.value);
        self.document
            .error(name.span.clone(), message, Some(help.to_owned()));
    }
}
