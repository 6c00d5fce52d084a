//! One policy: what it says, whom and what its head lets through, and what it decides.

use std::collections::BTreeSet;

use cedar_policy::PolicyId;
use serde::Serialize;

use super::class::everyone;
use super::{PolicyAt, Row, Wanted, Who, table};
use crate::bundle::Bundle;
use crate::decide::{Aim, Line};
use crate::scope::ScopeId;

/// What there is to know of one policy.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// Which, and where.
    pub policy: PolicyAt,
    /// Whether it forbids.
    pub forbids: bool,
    /// Its `@description`.
    pub description: Option<String>,
    /// Its `@advice`.
    pub advice: Option<String>,
    /// Its conditions, each as it is written.
    pub conditions: Vec<String>,
    /// What it can be about: `activate`, `break-glass`, `extend`, `consent`, `view`, `revoke`, `review`, `delegate`.
    pub about: Vec<&'static str>,
    /// Whom its head lets through, by name.
    pub principals: Vec<Who>,
    /// Which scopes its head lets through; none where it is about people alone.
    pub scopes: Vec<ScopeId>,
    /// Of a permit about windows: what it gives, alone or with others.
    pub gives: Vec<Row>,
}

/// Explains the policy of this `@id`; `None` where there is none.
pub fn explain(bundle: &Bundle, id: &str) -> Option<Explained> {
    let policies = bundle.policies();
    let cedar = PolicyId::new(id);
    let facts = policies.facts.get(&cedar)?;
    let aim = Aim::of(bundle, &cedar)?;
    let line = |uid| Line::of(&policies.entities, &uid);
    let scopes: Vec<ScopeId> = bundle
        .scopes()
        .filter(|scope| aim.has_scopes() && aim.scope(&line(policies.types.scope(&scope.id))))
        .map(|scope| scope.id.clone())
        .collect();
    let mut gives = Vec::new();
    if aim.opens() && !aim.forbids() {
        let named: BTreeSet<&ScopeId> = scopes.iter().collect();
        for scope in named {
            let wanted = Wanted {
                scope: Some(scope),
                principal: None,
            };
            for mut row in table(bundle, wanted).rows {
                row.paths
                    .retain(|path| path.because.iter().any(|policy| policy.id == id));
                if !row.paths.is_empty() {
                    gives.push(row);
                }
            }
        }
    }
    let about = [
        (aim.activates, "activate"),
        (aim.breaks, "break-glass"),
        (aim.extends, "extend"),
        (aim.consents, "consent"),
        (aim.views, "view"),
        (aim.revokes, "revoke"),
        (aim.reviews, "review"),
        (aim.delegates, "delegate"),
    ];
    let principals = everyone(bundle)
        .filter(|id| aim.principal(&line(policies.types.principal(id))))
        .map(|id| Who::from(&id))
        .collect();
    Some(Explained {
        policy: PolicyAt::from(&facts.place),
        forbids: facts.forbids,
        description: policies
            .set
            .policy(&cedar)
            .and_then(|policy| policy.annotation("description"))
            .map(str::to_owned),
        advice: facts.advice.clone(),
        conditions: facts
            .conditions
            .iter()
            .map(|condition| condition.text.clone())
            .collect(),
        about: about
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, word)| word)
            .collect(),
        principals,
        scopes,
        gives,
    })
}
