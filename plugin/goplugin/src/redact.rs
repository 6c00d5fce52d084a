//! What a log must not show: fields by their names, and secrets by their values.

use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "(redacted)";

/// A field whose name contains one of these (letters only, in any case) shows no value. Rather one too many.
const SECRET_NAMES: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "privatekey",
    "accesskey",
    "apikey",
    "authorization",
    "cookie",
    "assertion",
];

/// The shortest text that is masked, in bytes. Anything shorter stands in too many innocent words.
const MASKED_MIN: usize = 6;

/// All values masked now, the longest first: one may be a part of another.
static MASKED: Mutex<Vec<Zeroizing<String>>> = Mutex::new(Vec::new());

/// Keeps `secret` out of every line of the log, whatever the field's name, until the returned guard is dropped. Texts under
/// six bytes are not masked.
#[must_use = "the secret is masked for as long as this is kept"]
pub fn mask(secret: &str) -> Masked {
    let secret = Zeroizing::new(secret.to_owned());
    if secret.len() >= MASKED_MIN {
        let mut all = masked();
        let place = all.partition_point(|other| other.len() >= secret.len());
        all.insert(place, secret.clone());
    }
    Masked(secret)
}

/// A secret that the log does not show while this is kept.
pub struct Masked(Zeroizing<String>);

/// Does not show the secret.
impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masked").finish_non_exhaustive()
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        let mut all = masked();
        if let Some(place) = all.iter().position(|other| **other == *self.0) {
            all.remove(place);
        }
    }
}

/// The list is whole even if a holder of the lock panicked.
fn masked() -> MutexGuard<'static, Vec<Zeroizing<String>>> {
    MASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a field called `name` must not show its value.
pub(crate) fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

/// `text` without any masked value.
pub(crate) fn clean(mut text: String) -> String {
    for secret in masked().iter() {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_secret_are_and_others_are_not() {
        for (name, secret) in [
            ("token", true),
            ("session_token", true),
            ("X-Vault-Token", true),
            ("AWS_SECRET_ACCESS_KEY", true),
            ("clientSecret", true),
            ("api-key", true),
            ("db.password", true),
            ("private_key_pem", true),
            ("credentials", true),
            ("request_id", false),
            ("scope", false),
            ("key", false),
            ("duration", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }

    #[test]
    fn a_masked_value_is_replaced_until_its_guard_is_dropped() {
        let text = "before s3cr3t-one after";
        let guard = mask("s3cr3t-one");
        let again = mask("s3cr3t-one");
        assert_eq!(clean(text.to_owned()), "before (redacted) after");
        drop(guard);
        assert_eq!(
            clean(text.to_owned()),
            "before (redacted) after",
            "one more guard is kept"
        );
        drop(again);
        assert_eq!(clean(text.to_owned()), text);
    }

    #[test]
    fn a_masked_value_inside_a_longer_one_does_not_uncover_the_rest() {
        let _short = mask("inner-part");
        let _long = mask("outer-inner-part-outer");
        let _short_again = mask("inner-part");
        assert_eq!(clean("<outer-inner-part-outer>".to_owned()), "<(redacted)>");
    }

    #[test]
    fn texts_too_short_to_tell_are_not_masked() {
        let _guard = mask("12345");
        assert_eq!(clean("at 12345 ms".to_owned()), "at 12345 ms");
        let _empty = mask("");
        assert_eq!(clean("at 12345 ms".to_owned()), "at 12345 ms");
    }

    #[test]
    fn the_guard_shows_nothing() {
        assert_eq!(format!("{:?}", mask("s3cr3t-two")), "Masked { .. }");
    }
}
