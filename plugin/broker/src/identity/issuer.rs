//! An issuer as the broker's configuration names it: whose tokens are believed, and what must stand in them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use writ_api::address::Address;
use writ_engine::principal::check_name;

/// The longest lifetime of a person's token, in seconds: a working day's session and no more. Issuers give 5 minutes to
/// 12 hours; one that gives longer has to be set right.
pub const PERSON_TOKEN_LIFETIME_MAX_S: i64 = 86_400;

/// The longest lifetime of a workload's token, in seconds. GitHub's live 5 to 10 minutes; an hour allows for an
/// enterprise server set otherwise, and no job needs to keep one.
pub const WORKLOAD_TOKEN_LIFETIME_MAX_S: i64 = 3_600;

/// Longest audience or required claim, in bytes: what OpenID Connect allows a subject.
pub const CLAIM_BYTES_MAX: usize = 255;

/// What an issuer gives tokens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerKind {
    /// People, by OpenID Connect.
    Oidc,
    /// GitHub Actions jobs.
    GithubActions,
}

impl IssuerKind {
    /// The longest lifetime of its tokens, in seconds.
    pub fn token_lifetime_max_s(self) -> i64 {
        match self {
            IssuerKind::Oidc => PERSON_TOKEN_LIFETIME_MAX_S,
            IssuerKind::GithubActions => WORKLOAD_TOKEN_LIFETIME_MAX_S,
        }
    }
}

/// A signature algorithm we check. There is no symmetric one and no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSA with PKCS#1 padding and SHA-256, 2048 to 8192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// By its name in a token's header and in the configuration: `RS256`, `ES256`, `ES384`, `EdDSA`.
    pub fn parse(name: &str) -> Option<Algorithm> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            "ES384" => Some(Algorithm::Es384),
            "EdDSA" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }
}

/// An issuer, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What the directory calls it.
    pub name: String,
    /// What it gives tokens to.
    pub kind: IssuerKind,
    /// Its `iss`, to the letter.
    pub issuer: String,
    /// The one audience its tokens must be made for, to the letter.
    pub audience: String,
    /// How it may sign; at least one.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are, when its discovery document is not to be asked, or points to another host.
    pub jwks_uri: Option<String>,
    /// For `oidc`: the claim that the issuer never gives to anyone else. `sub` unless the issuer says otherwise (`oid` for
    /// Microsoft Entra).
    pub stable_id_claim: String,
    /// PEM file with the only certificate authorities believed for this issuer; the system's when absent.
    pub ca_cert_file: Option<PathBuf>,
    /// Claims that must be there with exactly this text, such as the tenant (`tid`, `hd`) of an issuer that serves many.
    pub required_claims: BTreeMap<String, String>,
}

/// Claims that get new owners, or that people can change about themselves. None tells who somebody is.
const UNSTABLE_CLAIMS: [&str; 9] = [
    "email",
    "name",
    "nickname",
    "phone_number",
    "preferred_username",
    "unique_name",
    "upn",
    "username",
    "login",
];

/// Claims with rules of their own; a required value for one could only contradict them.
const OWN_RULE_CLAIMS: [&str; 5] = ["iss", "aud", "exp", "iat", "nbf"];

impl IssuerConfig {
    /// Checks every field by itself and together; the error names the first bad one.
    pub fn check(&self) -> Result<(), IssuerError> {
        let refuse = |field, problem: String| IssuerError {
            issuer: self.name.clone(),
            field,
            problem,
        };
        check_name(&self.name).map_err(|error| refuse("name", error.to_string()))?;
        let address =
            Address::parse(&self.issuer).map_err(|error| refuse("issuer", error.to_string()))?;
        if address.has_query() {
            let problem = format!("`{}` has a query; an issuer has none", self.issuer);
            return Err(refuse("issuer", problem));
        }
        if !is_canonical(&self.audience) || self.audience.contains('*') {
            let problem = format!(
                "`{}` is not an audience; use a text of this broker's own, such as `https://writ.example.com`",
                self.audience.escape_default()
            );
            return Err(refuse("audience", problem));
        }
        if self.audience == "sts.amazonaws.com" {
            let problem = "`sts.amazonaws.com` is AWS's own: a token for it would be good there too; use this broker's address";
            return Err(refuse("audience", problem.to_owned()));
        }
        if self.audience == self.issuer {
            let problem = "the issuer itself is not an audience; use this broker's address";
            return Err(refuse("audience", problem.to_owned()));
        }
        let mut algorithms = self.algorithms.clone();
        algorithms.sort_unstable();
        algorithms.dedup();
        if algorithms.is_empty() || algorithms.len() != self.algorithms.len() {
            let problem = "name each of `RS256`, `ES256`, `ES384` and `EdDSA` that the issuer signs with, once";
            return Err(refuse("algorithms", problem.to_owned()));
        }
        if let Some(jwks_uri) = &self.jwks_uri {
            let jwks =
                Address::parse(jwks_uri).map_err(|error| refuse("jwks_uri", error.to_string()))?;
            if jwks.is_plain() && !address.is_plain() {
                let problem = format!("`{jwks_uri}` is not encrypted, and the issuer is");
                return Err(refuse("jwks_uri", problem));
            }
        }
        self.check_claims()
            .map_err(|(field, problem)| refuse(field, problem))
    }

    fn check_claims(&self) -> Result<(), (&'static str, String)> {
        let stable = &self.stable_id_claim;
        if !is_canonical(stable) || OWN_RULE_CLAIMS.contains(&stable.as_str()) {
            return Err((
                "stable_id_claim",
                format!("`{stable}` is not a claim that tells who it is; use `sub`"),
            ));
        }
        if UNSTABLE_CLAIMS.contains(&stable.as_str()) {
            let problem = format!("`{stable}` can pass from one person to another; use `sub`");
            return Err(("stable_id_claim", problem));
        }
        if self.kind == IssuerKind::GithubActions && stable != "sub" {
            let problem = "a GitHub Actions job is known by its repository's id; leave it out";
            return Err(("stable_id_claim", problem.to_owned()));
        }
        for (claim, value) in &self.required_claims {
            if !is_canonical(claim) || OWN_RULE_CLAIMS.contains(&claim.as_str()) {
                let problem =
                    format!("`{claim}` is not a claim to require; it has a rule of its own");
                return Err(("required_claims", problem));
            }
            if !is_canonical(value) {
                let problem = format!("the value of `{claim}` is not plain printable text");
                return Err(("required_claims", problem));
            }
        }
        Ok(())
    }
}

/// Whether a text has only one spelling that looks like it: 1 to [`CLAIM_BYTES_MAX`] of printable ASCII, no space at
/// either end. Unicode has many ways to write what looks the same; an identity in it is refused, never trimmed or folded.
pub(super) fn is_canonical(text: &str) -> bool {
    (1..=CLAIM_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

/// A configured issuer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("issuer `{issuer}`: {field}: {problem}")]
pub struct IssuerError {
    /// The issuer's configured name; empty when there is none at all.
    pub issuer: String,
    /// The key in the configuration.
    pub field: &'static str,
    /// What is wrong, and what would work.
    pub problem: String,
}
