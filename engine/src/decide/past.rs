//! What keeps a bundle from being asked about a past request: whom or what it does not know, and a reason that is gone.

use std::collections::BTreeSet;

use cedar_policy::PolicyId;

use crate::bundle::Bundle;
use crate::principal::Principal;
use crate::replay::Stranger;
use crate::scope::ScopeId;

use super::ask::Asker;
use super::index::Line;
use super::{PolicyRef, Purpose};

/// What of such a request the bundle does not know; `None` when it can be asked.
pub(crate) fn stranger(
    bundle: &Bundle,
    principal: &Principal,
    scope: &ScopeId,
) -> Option<Stranger> {
    if bundle.scope(scope).is_none() {
        return Some(Stranger::Scope);
    }
    if bundle.directory().person_behind(&principal.id).is_none() {
        return Some(Stranger::Principal);
    }
    match Asker::of(bundle, principal) {
        Some(_) => None,
        None => Some(Stranger::Claims),
    }
}

/// The policies that read `context.reason` and could matter to such a request, in an emergency or not, to the consents it
/// has, or to whom it could have one from.
pub(crate) fn readers_of_the_reason(
    bundle: &Bundle,
    principal: &Principal,
    scope: &ScopeId,
    purpose: Purpose,
) -> Vec<PolicyRef> {
    let Some(asker) = Asker::of(bundle, principal) else {
        return Vec::new();
    };
    let (index, policies) = (asker.index(), asker.policies());
    let line = Line::of(&policies.entities, &policies.types.scope(scope));
    let mut ids: BTreeSet<&PolicyId> = BTreeSet::new();
    let slice = index.slice(index.action_of(purpose), &asker.line, &line);
    let heads = slice.heads();
    ids.extend(
        heads
            .filter(|head| head.matches(&asker.line, &line))
            .map(|head| &head.id),
    );
    for (_, action) in index.kinds() {
        ids.extend(index.heads_for_anyone(action, &line).map(|head| &head.id));
    }
    let facts = ids.into_iter().filter_map(|id| policies.facts.get(id));
    facts
        .filter(|facts| facts.reads_reason)
        .map(|facts| facts.place.clone())
        .collect()
}
