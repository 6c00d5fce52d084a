//! Who has a say in what is not theirs: in another's request (to see it, to end it, to close its post-review), and in
//! another's right to approve. The policy's actions `view`, `revoke`, `review` and `delegate` name them.

use cedar_policy::{Context, Entities, EntityUid, Request as Question};

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
    let directory = bundle.directory();
    let person = directory.person_once_behind(&requester.id).or(nobody)?;
    let policies = bundle.policies();
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
    let whom = || Context::from_pairs(about_whom(&policies.types, person, &requester.id)).ok();
    allows(bundle, &entities, principal, action, resource, whom)
}

/// Whether the policy lets `lender` lend `delegate` their right to approve; `None`, and so no, where that cannot be asked.
pub(super) fn delegates(bundle: &Bundle, lender: &UserId, delegate: &UserId) -> Option<bool> {
    let policies = bundle.policies();
    let (principal, resource) = (policies.types.user(lender), policies.types.user(delegate));
    let action = bundle.index().delegate();
    let nothing = || Some(Context::empty());
    allows(
        bundle,
        &policies.entities,
        principal,
        action,
        resource,
        nothing,
    )
}

/// What the policies say to such a question; the context is only made where one of them could matter.
fn allows(
    bundle: &Bundle,
    entities: &Entities,
    principal: EntityUid,
    action: &EntityUid,
    resource: EntityUid,
    context: impl FnOnce() -> Option<Context>,
) -> Option<bool> {
    let policies = bundle.policies();
    let lines = [&principal, &resource].map(|uid| Line::of(&policies.entities, uid));
    let [acts, on] = &lines;
    let slice = bundle.index().slice(action, acts, on);
    if slice.0.is_empty() {
        return Some(false);
    }
    let question = Question::new(principal, action.clone(), resource, context()?, None).ok()?;
    let sets = slice.0.iter().map(|part| &part.set);
    Some(evaluate(&policies.facts, sets, entities, &question).allowed)
}
