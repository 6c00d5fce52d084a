//! Who else may see a request: whomever the policy's `view` action names.

use cedar_policy::{Context, Request as Question};

use crate::bundle::Bundle;
use crate::principal::{Principal, PrincipalId};
use crate::request::Request;

use super::ask::{about_whom, with_claims_of};
use super::evaluate::evaluate;
use super::index::Line;

/// Whether the policy lets `viewer` see `request`; `None`, and so no, where that cannot be asked.
///
/// A user who has left the directory stays the requester of what they asked for, so that their past can still be read. For
/// a workload that has left nobody answers, and no policy can be asked.
pub(super) fn names(bundle: &Bundle, viewer: &Principal, request: &Request) -> Option<bool> {
    let person = match (
        bundle.directory().person_behind(&request.principal.id),
        &request.principal.id,
    ) {
        (Some(person), _) => person,
        (None, PrincipalId::User(gone)) => gone,
        (None, PrincipalId::Workload(_)) => return None,
    };
    let (index, policies) = (bundle.index(), bundle.policies());
    let entities = with_claims_of(bundle, &[viewer, &request.principal])?;
    let (principal, resource) = (index.principal(&viewer.id), index.scope(&request.scope));
    let (of_viewer, of_scope) = (
        Line::of(&entities, &principal),
        Line::of(&entities, &resource),
    );
    let slice = index.slice(policies, index.view(), &of_viewer, &of_scope);
    let context = Context::from_pairs(about_whom(index, person, &request.principal.id)).ok()?;
    let question = Question::new(principal, index.view().clone(), resource, context, None).ok()?;
    Some(evaluate(&policies.facts, &slice.set, &entities, &question).allowed)
}
