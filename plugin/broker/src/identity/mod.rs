//! Who asks: a verified token, and the principal it belongs to.
//!
//! The road of a token, each step refusing what the next must not see:
//!
//! ```text
//! text -> Unverified (shape) -> issuer and audience of ours -> Claims (signature) -> in time -> in the directory -> Identity
//! ```

mod github;
mod issuer;
mod json;
mod jwks;
mod keys;
mod oidc;
mod refusal;
mod token;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use writ_engine::bundle::Directory;
use writ_engine::{Moment, Principal};

use jwks::Jwks;
use token::Unverified;

pub use issuer::{
    Algorithm, CLAIM_BYTES_MAX, IssuerConfig, IssuerError, IssuerKind, PERSON_TOKEN_LIFETIME_MAX_S,
    WORKLOAD_TOKEN_LIFETIME_MAX_S,
};
pub use json::JSON_DEPTH_MAX;
pub use jwks::{KEYS_FRESH_MAX_S, KEYS_REFETCH_MIN_S, KEYS_STALE_MAX_S};
pub use keys::{KEYS_MAX, RSA_BITS_MAX, RSA_BITS_MIN};
pub use refusal::Refusal;
pub use token::{KEY_ID_BYTES_MAX, LEEWAY_S, TOKEN_BYTES_MAX};

/// The proof that a verified token stands behind a principal. Made only by [`Verifier::verify`]; good for one call.
#[derive(Debug)]
#[must_use]
pub struct Identity {
    principal: Principal,
    issuer: String,
    expires_at: Moment,
}

impl Identity {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The issuer's name in the configuration.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When the token expires. A stream opened with it should not outlive it.
    pub fn expires_at(&self) -> Moment {
        self.expires_at
    }
}

/// Checks tokens against the configured issuers, and no others.
pub struct Verifier {
    /// By the exact text of `iss`.
    issuers: BTreeMap<String, Issuer>,
}

struct Issuer {
    config: IssuerConfig,
    keys: Arc<Jwks>,
}

impl Verifier {
    /// Checks the issuers; at least one, no name and no address twice. Reads their certificate files, asks none of them
    /// anything: the broker starts while an issuer is down.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Verifier, IssuerError> {
        let mut by_address: BTreeMap<String, Issuer> = BTreeMap::new();
        for config in issuers {
            config.check()?;
            let taken = by_address.values().find(|other| {
                other.config.name == config.name || other.config.issuer == config.issuer
            });
            if let Some(other) = taken {
                return Err(IssuerError {
                    field: if other.config.name == config.name {
                        "name"
                    } else {
                        "issuer"
                    },
                    problem: "there is another issuer with this; each is configured once"
                        .to_owned(),
                    issuer: config.name,
                });
            }
            let keys = Arc::new(Jwks::new(&config)?);
            by_address.insert(config.issuer.clone(), Issuer { config, keys });
        }
        if by_address.is_empty() {
            return Err(IssuerError {
                issuer: String::new(),
                field: "issuer",
                problem:
                    "there is none, so nobody could prove who they are; configure at least one"
                        .to_owned(),
            });
        }
        Ok(Verifier {
            issuers: by_address,
        })
    }

    /// Turns a token into a proof of who asks, under the directory in force. `now` comes from the broker's clock.
    pub async fn verify(
        &self,
        token: &str,
        directory: &Directory,
        now: Moment,
    ) -> Result<Identity, Refusal> {
        let token = Unverified::read(token)?;
        let issuer = self
            .issuers
            .get(token.issuer()?)
            .ok_or(Refusal::Untrusted("not an issuer of ours"))?;
        token.check_made_for(&issuer.config)?;

        let key = issuer.keys.find(&token.key_id, now).await?;
        let claims = token.signed_by(&key)?;

        let expires_at = claims.check_time(issuer.config.kind, now)?;
        let principal = match issuer.config.kind {
            IssuerKind::Oidc => oidc::user(&claims, &issuer.config, directory)?,
            IssuerKind::GithubActions => github::workload(&claims, &issuer.config, directory)?,
        };
        Ok(Identity {
            principal,
            issuer: issuer.config.name.clone(),
            expires_at,
        })
    }
}
