//! The entities that policies name: each must be in the catalog or the directory.
//!
//! Cedar checks only actions, and a `forbid` with a typo in a name never fires.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;

use super::problem::Problem;
use super::schema::Vocabulary;
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
        vocabulary: &'a Vocabulary,
    ) -> Known<'a> {
        let groups = directory.groups.keys().map(String::as_str);
        let users = directory.users.keys().map(|id| id.as_str());
        let workloads = directory.workloads.keys().map(|id| id.as_str());
        let scopes = catalog.keys().map(|id| id.as_str());
        let systems = catalog.values().map(|scope| scope.system.as_str());
        let actions = vocabulary.schema.actions().map(|uid| uid.id().unescaped());
        Known {
            types: BTreeMap::from([
                ("Action", actions.collect()),
                ("Group", groups.collect()),
                ("User", users.collect()),
                ("Workload", workloads.collect()),
                ("Scope", scopes.collect()),
                ("System", systems.collect()),
            ]),
            enums: &vocabulary.enums,
        }
    }

    /// Checks every `Type::"name"` of a statement; `false` if Cedar's validation would only say the same again, at length.
    pub(super) fn check(
        &self,
        file: &str,
        id: &str,
        statement: &[Token<'_>],
        problems: &mut Vec<Problem>,
    ) -> bool {
        let mut worth_validating = true;
        for literal in literals(statement) {
            if self.has(literal) {
                continue;
            }
            let written: String = literal.iter().map(|token| token.text).collect();
            // What Cedar cannot read it has refused already.
            let Ok(uid) = written.parse::<EntityUid>() else {
                continue;
            };
            let kind = uid.type_name().to_string();
            let name: &str = uid.id().unescaped();
            // Cedar itself checks enumerated types.
            if self.enums.contains(&kind) {
                continue;
            }
            let (what, help) = match self.types.get(kind.as_str()) {
                Some(names) if names.contains(name) => continue,
                Some(names) => (
                    format!("there is no `{written}` in {}", home(&kind)),
                    match nearest(name, names.iter().copied()) {
                        Some(near) => format!("did you mean `{kind}::\"{near}\"`?"),
                        None => format!("add it to {}", home(&kind)),
                    },
                ),
                None => (
                    format!("nothing is ever a `{kind}`, so `{written}` matches nothing"),
                    "use `User`, `Group`, `Workload`, `Scope`, `System`, or an enumerated type"
                        .to_owned(),
                ),
            };
            worth_validating &= self.types.contains_key(kind.as_str()) && kind != "Action";
            let message = format!("policy `{id}`: {what}");
            problems.push(Problem::new(file, span(literal), message).help(help));
        }
        worth_validating
    }

    /// Whether it is plainly there, as most are: nothing in its name is escaped, so Cedar need not read it.
    fn has(&self, literal: &[Token<'_>]) -> bool {
        let [kind, _, name] = literal else {
            return false;
        };
        let names = self.types.get(kind.text);
        let name = name.text.trim_matches('"');
        !name.contains('\\') && names.is_some_and(|names| names.contains(name))
    }
}

fn home(kind: &str) -> &'static str {
    match kind {
        "Action" => "`schema.cedarschema`",
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
