//! Random names and secrets in the shapes AWS gives them.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The letters of AWS's unique ids (base 32).
const ID_LETTERS: [char; 32] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S',
    'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
];

/// The system's generator gave nothing; no secret is made without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoRandomness;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| NoRandomness)?;
    Ok(out)
}

/// `prefix` and `N` letters: `ASIA` + 16 for an access key, `AROA` + 17 for a role.
pub(crate) fn unique_id<const N: usize>(prefix: &str) -> Result<String, NoRandomness> {
    let letters = bytes::<N>()?;
    let letters = letters
        .iter()
        .filter_map(|byte| ID_LETTERS.get(usize::from(byte % 32)));
    Ok(prefix.chars().chain(letters.copied()).collect())
}

/// Forty characters, as AWS's secret access keys have.
pub(crate) fn secret_access_key() -> Result<String, NoRandomness> {
    Ok(STANDARD.encode(bytes::<30>()?))
}

/// Some 600 characters: AWS sets no size, and code that assumes a short token should fail here too.
pub(crate) fn session_token() -> Result<String, NoRandomness> {
    Ok(format!(
        "IQoJb3JpZ2luX2Vj{}",
        STANDARD.encode(bytes::<438>()?)
    ))
}

/// A token safe in a URL or header.
pub(crate) fn url_token() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<24>()?))
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, as AWS's request ids look.
pub(crate) fn request_id() -> String {
    let digits = bytes::<16>().map(hex::encode).unwrap_or_default();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shapes_of_awss() {
        let key = unique_id::<16>("ASIA").unwrap();
        assert!(key.starts_with("ASIA") && key.len() == 20);
        assert_eq!(secret_access_key().unwrap().len(), 40);
        assert!(session_token().unwrap().len() > 500);
        assert_eq!(request_id().len(), 36);
        assert_ne!(url_token().unwrap(), url_token().unwrap());
    }
}
