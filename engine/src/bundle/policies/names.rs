//! The entities that policies name: each must be in the catalog or the directory.
//!
//! Cedar does not check this, and a `forbid` with a typo in a name never fires.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;

use super::problem::Problem;
use super::tokens::{Kind, Token, span};
use crate::bundle::directory::Directory;
use crate::bundle::report::nearest;
use crate::scope::{Scope, ScopeId};

/// Who and what there is, by entity type.
pub(super) struct Known<'a> {
    types: BTreeMap<&'static str, BTreeSet<&'a str>>,
    enums: &'a BTreeSet<String>,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        catalog: &'a BTreeMap<ScopeId, Scope>,
        directory: &'a Directory,
        enums: &'a BTreeSet<String>,
    ) -> Known<'a> {
        let groups = directory.groups.keys().map(String::as_str);
        let users = directory.users.keys().map(|id| id.as_str());
        let workloads = directory.workloads.keys().map(|id| id.as_str());
        let scopes = catalog.keys().map(|id| id.as_str());
        let systems = catalog.values().map(|scope| scope.system.as_str());
        Known {
            types: BTreeMap::from([
                ("Group", groups.collect()),
                ("User", users.collect()),
                ("Workload", workloads.collect()),
                ("Scope", scopes.collect()),
                ("System", systems.collect()),
            ]),
            enums,
        }
    }

    /// Checks every `Type::"name"` of a statement.
    pub(super) fn check(
        &self,
        file: &str,
        id: &str,
        statement: &[Token<'_>],
        problems: &mut Vec<Problem>,
    ) {
        for literal in literals(statement) {
            let written: String = literal.iter().map(|token| token.text).collect();
            // What Cedar cannot read it has refused already.
            let Ok(uid) = written.parse::<EntityUid>() else {
                continue;
            };
            let kind = uid.type_name().to_string();
            let name: &str = uid.id().unescaped();
            // Cedar itself checks actions and enumerated types.
            if kind == "Action" || self.enums.contains(&kind) {
                continue;
            }
            let problem = match self.types.get(kind.as_str()) {
                Some(names) if names.contains(name) => continue,
                Some(names) => {
                    let problem = Problem::new(
                        file,
                        span(literal),
                        format!("policy `{id}`: there is no `{written}` in {}", home(&kind)),
                    );
                    match nearest(name, names.iter().copied()) {
                        Some(near) => problem.help(format!("did you mean `{kind}::\"{near}\"`?")),
                        None => problem.help(format!("add it to {}", home(&kind))),
                    }
                }
                None => Problem::new(
                    file,
                    span(literal),
                    format!(
                        "policy `{id}`: nothing is ever a `{kind}`, so `{written}` matches nothing"
                    ),
                )
                .help("use `User`, `Group`, `Workload`, `Scope`, `System`, or an enumerated type"),
            };
            problems.push(problem);
        }
    }
}

fn home(kind: &str) -> &'static str {
    match kind {
        "Scope" | "System" => "`scopes.hcl`",
        _ => "`directory.hcl`",
    }
}

/// The entity literals of a statement: words joined by `::`, then `::` and a string.
fn literals<'t, 's>(statement: &'t [Token<'s>]) -> Vec<&'t [Token<'s>]> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, token) in statement.iter().enumerate() {
        let joined = at > start
            && (token.is("::")
                || at
                    .checked_sub(1)
                    .and_then(|before| statement.get(before))
                    .is_some_and(|before| before.is("::")));
        if !joined {
            start = at;
        }
        if joined && token.kind == Kind::Text {
            found.extend(statement.get(start..=at));
        }
    }
    found
}
