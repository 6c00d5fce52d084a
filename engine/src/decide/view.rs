//! Who else may see a request: whomever the policy's `view` action names.

use cedar_policy::{Context, Request as Question};

use crate::bundle::Bundle;
use crate::principal::{Principal, PrincipalId};
use crate::scope::ScopeId;

use super::ask::about_whom;
use super::evaluate::evaluate;
use super::index::Line;

/// Whether the policy lets `viewer` see what `requester` asked of `scope`; `None`, and so no, where that cannot be asked.
///
/// A user who has left the directory stays the requester of what they asked for, so that their past can still be read. For
/// a workload that has left nobody answers, and no policy can be asked.
pub(super) fn names(
    bundle: &Bundle,
    viewer: &Principal,
    requester: &Principal,
    scope: &ScopeId,
) -> Option<bool> {
    let person = match (
        bundle.directory().person_behind(&requester.id),
        &requester.id,
    ) {
        (Some(person), _) => person,
        (None, PrincipalId::User(gone)) => gone,
        (None, PrincipalId::Workload(_)) => return None,
    };
    let (index, policies) = (bundle.index(), bundle.policies());
    // Claims are those of the workload that looks, or else of the one that is looked at.
    let (claiming, people) = match &viewer.id {
        PrincipalId::User(user) => (requester, [user, person]),
        PrincipalId::Workload(_) => (viewer, [person, person]),
    };
    let entities = policies
        .entities_for(bundle.directory(), claiming, scope, people)
        .ok()?;
    let principal = policies.types.principal(&viewer.id);
    let resource = policies.types.scope(scope);
    let of_viewer = Line::of(&policies.entities, &principal);
    let of_scope = Line::of(&policies.entities, &resource);
    let slice = index.slice(index.view(), &of_viewer, &of_scope);
    let whom = about_whom(&policies.types, person, &requester.id);
    let context = Context::from_pairs(whom).ok()?;
    let question = Question::new(principal, index.view().clone(), resource, context, None).ok()?;
    let sets = slice.0.iter().map(|part| &part.set);
    Some(evaluate(&policies.facts, sets, &entities, &question).allowed)
}
