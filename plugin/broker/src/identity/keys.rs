//! An issuer's public keys: which of a published set we take, and the one place where a signature is checked.
//!
//! aws-lc-rs is called directly: it is what TLS here already rests on, and a JWT library would bring claim rules that are
//! not ours and a header parser that we would have to distrust.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::issuer::Algorithm;
use super::json::{self, Json, Object};
use super::token::KEY_ID_BYTES_MAX;

/// The most keys in a set. GitHub publishes 4 to 6, Microsoft about 20.
pub const KEYS_MAX: usize = 64;

/// The shortest RSA modulus, in bits: NIST SP 800-131A and RFC 7518 section 3.3.
pub const RSA_BITS_MIN: usize = 2_048;

/// The longest RSA modulus, in bits: what aws-lc-rs checks; a longer one costs more than it protects.
pub const RSA_BITS_MAX: usize = 8_192;

/// Good signatures remembered a key: a token is shown many times in its life, and checking it anew costs as much as all
/// the rest of a call's authorisation. 32 bytes each; a key's memory goes with the key, at the latest when the set is
/// fetched anew.
pub(super) const SIGNATURES_REMEMBERED_MAX: usize = 4_096;

/// A public key with the one algorithm it is for.
pub(super) struct Key {
    algorithm: Algorithm,
    public: ParsedPublicKey,
    good: Mutex<Remembered>,
}

/// Digests of what this key has signed for certain, the oldest forgotten first. Says nothing of claims or time: those are
/// checked on each call.
#[derive(Default)]
struct Remembered {
    known: HashSet<[u8; digest::SHA256_OUTPUT_LEN]>,
    order: VecDeque<[u8; digest::SHA256_OUTPUT_LEN]>,
}

impl Remembered {
    fn keep(&mut self, signed: [u8; digest::SHA256_OUTPUT_LEN]) {
        if !self.known.insert(signed) {
            return;
        }
        self.order.push_back(signed);
        if self.order.len() > SIGNATURES_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Key {
    /// The only algorithm it checks.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this key's other half made `signature` over `message`.
    pub(super) fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        let signed = both(message, signature);
        let remembered = || self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = &signed
            && remembered().known.contains(signed)
        {
            return true;
        }
        let made = self.public.verify_sig(message, signature).is_ok();
        if let (true, Some(signed)) = (made, signed) {
            remembered().keep(signed);
        }
        made
    }
}

/// One digest for a message and its signature; the length first, so that no other pair has the same bytes.
fn both(message: &[u8], signature: &[u8]) -> Option<[u8; digest::SHA256_OUTPUT_LEN]> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&u64::try_from(message.len()).ok()?.to_be_bytes());
    context.update(message);
    context.update(signature);
    context.finish().as_ref().try_into().ok()
}

/// Shows the algorithm alone; the set knows the id.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The usable keys of one issuer, by key id.
#[derive(Debug)]
pub(super) struct KeySet(BTreeMap<String, std::sync::Arc<Key>>);

impl KeySet {
    /// Reads a JWK set. Keys that are not for checking signatures in one of our ways are passed over, since issuers publish
    /// those too; two usable keys of the same id, or none at all, refuse the set.
    pub(super) fn read(bytes: &[u8]) -> Result<KeySet, &'static str> {
        let set = json::read_object(bytes)
            .map_err(|_| "the key set is not JSON, has a key twice or is nested too deep")?;
        let Some(Json::List(entries)) = set.get("keys") else {
            return Err("the key set has no `keys`");
        };
        if entries.len() > KEYS_MAX {
            return Err("the key set has more than 64 keys");
        }
        let mut keys = BTreeMap::new();
        for entry in entries {
            let Json::Object(entry) = entry else {
                return Err("the key set has an entry that is not an object");
            };
            let Some((id, key)) = usable(entry) else {
                continue;
            };
            if keys.insert(id, std::sync::Arc::new(key)).is_some() {
                return Err("the key set has two keys of one id");
            }
        }
        if keys.is_empty() {
            return Err("the key set has no key we can use");
        }
        Ok(KeySet(keys))
    }

    /// The key of an id.
    pub(super) fn get(&self, id: &str) -> Option<&std::sync::Arc<Key>> {
        self.0.get(id)
    }
}

/// The key of an entry, if it is one for checking signatures in one of our ways.
fn usable(entry: &Object) -> Option<(String, Key)> {
    let id = text(entry, "kid").filter(|id| (1..=KEY_ID_BYTES_MAX).contains(&id.len()))?;
    if entry
        .get("use")
        .is_some_and(|r#use| *r#use != Json::Text("sig".to_owned()))
    {
        return None;
    }
    if let Some(operations) = entry.get("key_ops") {
        let Json::List(operations) = operations else {
            return None;
        };
        if !operations.contains(&Json::Text("verify".to_owned())) {
            return None;
        }
    }
    // A published private half (`d`) or secret (`k`) is anybody's.
    if entry.contains_key("d") || entry.contains_key("k") {
        return None;
    }
    let (algorithm, public) = public_key(entry)?;
    if let Some(named) = entry.get("alg") {
        let Json::Text(named) = named else {
            return None;
        };
        if Algorithm::parse(named) != Some(algorithm) {
            return None;
        }
    }
    let good = Mutex::default();
    Some((
        id.to_owned(),
        Key {
            algorithm,
            public,
            good,
        },
    ))
}

fn public_key(entry: &Object) -> Option<(Algorithm, ParsedPublicKey)> {
    match (text(entry, "kty")?, text(entry, "crv")) {
        ("RSA", None) => {
            let n = bytes(entry, "n")?;
            let e = bytes(entry, "e")?;
            // RFC 7518 forbids leading zeros; with none, the length tells the strength.
            let first = *n.first().filter(|byte| **byte != 0)?;
            let leading = usize::try_from(first.leading_zeros()).ok()?;
            let bits = n.len().checked_mul(8)?.checked_sub(leading)?;
            // 65537 is what every issuer uses; smaller exponents have a history of forged signatures.
            if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) || e != [1, 0, 1] {
                return None;
            }
            let public = RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .ok()?;
            Some((Algorithm::Rs256, public))
        }
        ("EC", Some("P-256")) => {
            let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(entry, 32)?).ok()?;
            Some((Algorithm::Es256, public))
        }
        ("EC", Some("P-384")) => {
            let public = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(entry, 48)?).ok()?;
            Some((Algorithm::Es384, public))
        }
        ("OKP", Some("Ed25519")) => {
            let x = bytes(entry, "x").filter(|x| x.len() == 32)?;
            Some((Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, x).ok()?))
        }
        _ => None,
    }
}

/// An uncompressed point (SEC 1 section 2.3.3), each coordinate of `size` bytes. The library refuses one off the curve.
fn point(entry: &Object, size: usize) -> Option<Vec<u8>> {
    let x = bytes(entry, "x").filter(|x| x.len() == size)?;
    let y = bytes(entry, "y").filter(|y| y.len() == size)?;
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

fn text<'a>(entry: &'a Object, field: &str) -> Option<&'a str> {
    match entry.get(field) {
        Some(Json::Text(text)) => Some(text),
        _ => None,
    }
}

fn bytes(entry: &Object, field: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text(entry, field)?).ok()
}
