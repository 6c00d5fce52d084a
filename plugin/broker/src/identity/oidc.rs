//! People: an OpenID Connect token's holder, by issuer and stable id.

use writ_engine::bundle::Directory;
use writ_engine::{Principal, PrincipalId};

use super::issuer::{IssuerConfig, is_canonical};
use super::refusal::Refusal;
use super::token::Claims;

/// The user of the directory a token belongs to.
pub(super) fn user(
    claims: &Claims,
    config: &IssuerConfig,
    directory: &Directory,
) -> Result<Principal, Refusal> {
    let stable_id = claims.text(&config.stable_id_claim)?;
    if !is_canonical(stable_id) {
        return Err(Refusal::Stranger("an id that is not plain printable text"));
    }
    match directory.principal_of(&config.name, stable_id) {
        Some(PrincipalId::User(id)) if directory.user(id).is_some() => {
            Ok(Principal::user(id.clone()))
        }
        // The directory may not turn a person's token into a workload: it has none of the claims policies look at.
        Some(PrincipalId::User(_) | PrincipalId::Workload(_)) | None => {
            Err(Refusal::Stranger("not a user of the directory"))
        }
    }
}
