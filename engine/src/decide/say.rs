//! Who has a say in what is not theirs: in another's request (to see it, to end it, to close its post-review), and in
//! another's right to approve. The policy's actions `view`, `revoke`, `review` and `delegate` name them.

use cedar_policy::{Context, EntityUid, Request as Question};

use crate::bundle::Bundle;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::ScopeId;

use super::ask::about_whom;
use super::evaluate::evaluate;
use super::index::Line;

/// Whether the policy lets `viewer` do `action` with what `requester` asked of `scope`; `None`, and so no, where that cannot
/// be asked.
///
/// A user who has left the directory stays the requester of what they asked for, so that their past can still be read and
/// ended. For a workload that has left nobody answers: `nobody` stands for that person, or else no policy can be asked.
pub(super) fn names(
    bundle: &Bundle,
    action: &EntityUid,
    viewer: &Principal,
    requester: &Principal,
    scope: &ScopeId,
    nobody: Option<&UserId>,
) -> Option<bool> {
    let person = match (
        bundle.directory().person_behind(&requester.id),
        &requester.id,
    ) {
        (Some(person), _) => person,
        (None, PrincipalId::User(gone)) => gone,
        (None, PrincipalId::Workload(_)) => nobody?,
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
    let slice = index.slice(action, &of_viewer, &of_scope);
    if slice.0.is_empty() {
        return Some(false);
    }
    let whom = about_whom(&policies.types, person, &requester.id);
    let context = Context::from_pairs(whom).ok()?;
    let question = Question::new(principal, action.clone(), resource, context, None).ok()?;
    let sets = slice.0.iter().map(|part| &part.set);
    Some(evaluate(&policies.facts, sets, &entities, &question).allowed)
}

/// Whether the policy lets `lender` lend `delegate` their right to approve; `None`, and so no, where that cannot be asked.
pub(super) fn delegates(bundle: &Bundle, lender: &UserId, delegate: &UserId) -> Option<bool> {
    let (index, policies) = (bundle.index(), bundle.policies());
    let (principal, resource) = (policies.types.user(lender), policies.types.user(delegate));
    let lines = [&principal, &resource].map(|uid| Line::of(&policies.entities, uid));
    let [of_lender, of_delegate] = &lines;
    let slice = index.slice(index.delegate(), of_lender, of_delegate);
    let action = index.delegate().clone();
    let question = Question::new(principal, action, resource, Context::empty(), None).ok()?;
    let sets = slice.0.iter().map(|part| &part.set);
    Some(evaluate(&policies.facts, sets, &policies.entities, &question).allowed)
}
