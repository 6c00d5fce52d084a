//! A request that nobody made, among principals and scopes that need not exist: what a solver shows as a counterexample.

use cedar_policy::{Entities, Request};

use crate::bundle::Bundle;

use super::evaluate::evaluate;
use super::index::Line;

/// Whether the bundle's policies allow this request, with `entities` in the place of the directory and the catalog. The
/// policies are chosen and their errors counted as for a real request; a request without a principal, an action or a
/// resource is not allowed.
pub fn allows_invented(bundle: &Bundle, request: &Request, entities: &Entities) -> bool {
    let (Some(principal), Some(action), Some(resource)) =
        (request.principal(), request.action(), request.resource())
    else {
        return false;
    };
    let [principal, resource] = [principal, resource].map(|uid| Line::of(entities, uid));
    let slice = bundle.index().slice(action, &principal, &resource);
    let sets = slice.0.iter().map(|part| &part.set);
    evaluate(&bundle.policies().facts, sets, entities, request).allowed
}
