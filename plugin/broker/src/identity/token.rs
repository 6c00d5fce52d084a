//! A token, taken apart and checked by hand. The steps are in the order of their cost: shape, issuer, then signature.
//!
//! Deliberately strict where the RFCs are generous. A token is one that our issuers would make, or it is refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use writ_engine::Moment;

use super::issuer::{Algorithm, IssuerConfig, IssuerKind};
use super::json::{self, Json, JsonError, Object};
use super::keys::Key;
use super::refusal::Refusal;

/// The longest token, in bytes (16 KiB): what HTTP servers allow a header; GitHub's are about 2 KiB, those of directories
/// with hundreds of groups up to 12.
pub const TOKEN_BYTES_MAX: usize = 16_384;

/// The longest key id, in bytes. The longest in the wild is a SHA-512 in hex.
pub const KEY_ID_BYTES_MAX: usize = 128;

/// How far an issuer's clock may differ from ours, in seconds.
pub const LEEWAY_S: i64 = 30;

/// The last second of the year 9999: the end of what RFC 3339 can write. Also keeps all arithmetic on claims in range.
const NUMERIC_DATE_MAX: i64 = 253_402_300_799;

/// Header fields that change what the rest means, or bring their own key. The key comes from the issuer or not at all.
const HEADER_REFUSED: [&str; 8] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip"];

/// A token that has the right shape. Nothing in it is believed yet.
pub(super) struct Unverified<'a> {
    /// What the signature is over: header and claims as they were sent.
    signed: &'a [u8],
    signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: String,
    claims: Object,
}

/// The claims of a token whose signature was found good.
pub(super) struct Claims(Object);

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub(super) fn read(token: &'a str) -> Result<Unverified<'a>, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::Malformed("longer than 16 KiB"));
        }
        let three = Refusal::Malformed("not three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or(three.clone())?;
        let (header, claims) = signed.split_once('.').ok_or(three.clone())?;
        if claims.contains('.') {
            return Err(three);
        }
        let header = object(header, "header")?;
        let (algorithm, key_id) = check_header(&header)?;
        let claims = object(claims, "claims")?;
        let signature = decoded(signature)?;
        if signature.is_empty() {
            return Err(Refusal::Malformed("no signature"));
        }
        Ok(Unverified {
            signed: signed.as_bytes(),
            signature,
            algorithm,
            key_id,
            claims,
        })
    }

    /// Who the token says made it.
    pub(super) fn issuer(&self) -> Result<&str, Refusal> {
        required_text(&self.claims, "iss").map_err(|fault| match fault {
            Fault::Missing => Refusal::Malformed("no issuer"),
            Fault::WrongType => Refusal::Malformed("an issuer that is not a text"),
        })
    }

    /// Whether this issuer would have made such a token, and for us.
    pub(super) fn check_made_for(&self, config: &IssuerConfig) -> Result<(), Refusal> {
        if !config.algorithms.contains(&self.algorithm) {
            return Err(Refusal::Untrusted(
                "an algorithm the issuer does not sign with",
            ));
        }
        let ours = |value: &Json| matches!(value, Json::Text(text) if *text == config.audience);
        match self.claims.get("aud") {
            Some(Json::Text(text)) if *text == config.audience => {}
            // One that is also for somebody else could be replayed by them.
            Some(Json::List(list)) => match list.as_slice() {
                [one] if ours(one) => {}
                [_] => return Err(Refusal::Untrusted("another audience")),
                _ => return Err(Refusal::Untrusted("not exactly one audience")),
            },
            Some(Json::Text(_)) => return Err(Refusal::Untrusted("another audience")),
            Some(
                Json::Null | Json::Bool(_) | Json::Integer(_) | Json::OtherNumber | Json::Object(_),
            ) => return Err(Refusal::Malformed("an audience that is not a text")),
            None => return Err(Refusal::Untrusted("no audience")),
        }
        // Not what anybody is known by here (see `oidc` and `github`), but a token without it is no OpenID Connect token.
        if !matches!(self.claims.get("sub"), Some(Json::Text(text)) if !text.is_empty()) {
            return Err(Refusal::Malformed("no subject"));
        }
        for (claim, value) in &config.required_claims {
            if required_text(&self.claims, claim) != Ok(value.as_str()) {
                return Err(Refusal::Untrusted("a required claim is missing or another"));
            }
        }
        Ok(())
    }

    /// The claims, if `key` made the signature.
    pub(super) fn signed_by(self, key: &Key) -> Result<Claims, Refusal> {
        if key.algorithm() != self.algorithm {
            return Err(Refusal::Untrusted("a key of another algorithm"));
        }
        if !key.made(self.signed, &self.signature) {
            return Err(Refusal::Untrusted("a bad signature"));
        }
        Ok(Claims(self.claims))
    }
}

impl Claims {
    /// Claims nobody signed, to try millions of spellings without a signature each. For tests.
    #[cfg(test)]
    pub(super) fn for_test(text: &str) -> Claims {
        Claims(json::read_object(text.as_bytes()).unwrap_or_default())
    }

    /// Whether the token is usable now; returns when it ends.
    pub(super) fn check_time(&self, kind: IssuerKind, now: Moment) -> Result<Moment, Refusal> {
        let expires = self.second("exp")?.ok_or(Refusal::Malformed("no expiry"))?;
        let issued = self
            .second("iat")?
            .ok_or(Refusal::Malformed("no time of issue"))?;
        let not_before = self.second("nbf")?;
        // Compared in milliseconds, so that no fraction of a second is given away.
        let leeway_ms = LEEWAY_S * 1_000;
        if now.as_ms() >= expires * 1_000 + leeway_ms {
            return Err(Refusal::Untimely("expired"));
        }
        if issued * 1_000 > now.as_ms() + leeway_ms {
            return Err(Refusal::Untimely("issued in the future"));
        }
        if not_before.is_some_and(|second| second * 1_000 > now.as_ms() + leeway_ms) {
            return Err(Refusal::Untimely("not valid yet"));
        }
        if expires <= issued {
            return Err(Refusal::Untimely("expires before it was issued"));
        }
        if expires - issued > kind.token_lifetime_max_s() {
            return Err(Refusal::Untimely("lives longer than we allow"));
        }
        Moment::from_ms(expires * 1_000).ok_or(Refusal::Untimely("expires after the year 9999"))
    }

    /// A claim that must be there, as text.
    pub(super) fn text(&self, claim: &str) -> Result<&str, Refusal> {
        required_text(&self.0, claim).map_err(|fault| match fault {
            Fault::Missing => Refusal::Stranger("a claim is missing"),
            Fault::WrongType => Refusal::Stranger("a claim is not a text"),
        })
    }

    /// A claim that may be absent, as text. One of another type is refused, not taken for absent.
    pub(super) fn optional_text(&self, claim: &str) -> Result<Option<&str>, Refusal> {
        match self.0.contains_key(claim) {
            true => self.text(claim).map(Some),
            false => Ok(None),
        }
    }

    fn second(&self, claim: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Json::Integer(second)) if (0..=NUMERIC_DATE_MAX).contains(second) => {
                Ok(Some(*second))
            }
            Some(_) => Err(Refusal::Malformed(
                "a time that is not whole seconds since 1970",
            )),
        }
    }
}

/// What the signature would be by, if the header is one we take.
fn check_header(header: &Object) -> Result<(Algorithm, String), Refusal> {
    if HEADER_REFUSED
        .iter()
        .any(|field| header.contains_key(*field))
    {
        return Err(Refusal::Malformed("a header field we do not take"));
    }
    match header.get("typ") {
        None => {}
        Some(Json::Text(typ)) if typ == "JWT" || typ == "at+jwt" => {}
        Some(_) => return Err(Refusal::Malformed("another type of token")),
    }
    let algorithm = match header.get("alg") {
        Some(Json::Text(name)) => Algorithm::parse(name),
        _ => return Err(Refusal::Malformed("no algorithm")),
    }
    .ok_or(Refusal::Untrusted("an algorithm we do not check"))?;
    match header.get("kid") {
        Some(Json::Text(id)) if (1..=KEY_ID_BYTES_MAX).contains(&id.len()) => {
            Ok((algorithm, id.clone()))
        }
        _ => Err(Refusal::Malformed("no key id of 1 to 128 bytes")),
    }
}

fn object(part: &str, which: &'static str) -> Result<Object, Refusal> {
    json::read_object(&decoded(part)?).map_err(|error| {
        Refusal::Malformed(match (error, which) {
            (JsonError::DoubledKey, "header") => "a doubled key in the header",
            (JsonError::DoubledKey, _) => "a doubled key in the claims",
            (JsonError::TooDeep, _) => "nested too deep",
            (JsonError::NotAnObject, "header") => "a header that is not a JSON object",
            (JsonError::NotAnObject, _) => "claims that are not a JSON object",
        })
    })
}

/// Strict base64url: no padding, no other alphabet, no loose bits at the end.
fn decoded(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::Malformed("not base64url without padding"))
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    WrongType,
}

fn required_text<'a>(object: &'a Object, claim: &str) -> Result<&'a str, Fault> {
    match object.get(claim) {
        Some(Json::Text(text)) => Ok(text),
        Some(_) => Err(Fault::WrongType),
        None => Err(Fault::Missing),
    }
}

/// Shows nothing: a token is a secret until it expires.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

/// Shows nothing, as [`Unverified`].
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}
