//! Checkpoints: the journal's size and root, signed, in the form of C2SP tlog-checkpoint and signed-note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{SigningKey, VerifyingKey};
use super::merkle::Hash;

/// The longest note read, in bytes: ours has under 400, and witnesses may add their signatures.
pub const NOTE_MAX: usize = 8_192;

/// The most signatures a note may carry: ours, and a crowd of witnesses.
pub const SIGNATURES_MAX: usize = 32;

/// The largest size a checkpoint may state: what the journal's file can number.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// One head of the journal: how many events, and the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's name.
    pub origin: String,
    /// How many events it covers: those with a seq below this.
    pub size: u64,
    /// The root over their leaves.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, key: &SigningKey, verifying: &VerifyingKey) -> String {
        let text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        );
        let mut signed = verifying.id().to_vec();
        signed.extend_from_slice(&key.sign(text.as_bytes()));
        let (name, signature) = (verifying.origin(), STANDARD.encode(signed));
        format!("{text}\n\u{2014} {name} {signature}\n")
    }

    /// Reads a note and checks that `key` signed it and that it is of the journal named by `key`.
    ///
    /// Signatures of others are allowed and not looked at.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Checkpoint, CheckpointError> {
        let text = signed_text(note, key)?;
        let malformed = CheckpointError::Malformed;
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(malformed("the text does not end its last line"))?
            .split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("the text has not three lines"));
        };
        if origin != key.origin() {
            return Err(CheckpointError::OfAnother(origin.to_owned()));
        }
        let root = decode(root)
            .and_then(|bytes| Hash::try_from(bytes).ok())
            .ok_or(malformed("the root is not 32 bytes in base 64"))?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: parse_size(size).ok_or(malformed("the size is not a number"))?,
            root,
        })
    }
}

/// The text of a signed note, once `key`'s signature on it is verified.
fn signed_text<'a>(note: &'a str, key: &VerifyingKey) -> Result<&'a str, CheckpointError> {
    let malformed = CheckpointError::Malformed;
    if note.len() > NOTE_MAX {
        return Err(malformed("it is too long"));
    }
    if note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(malformed("it holds control characters"));
    }
    // The last blank line parts text and signatures; the text keeps its own line end.
    let blank = note
        .rfind("\n\n")
        .ok_or(malformed("it has no blank line before its signatures"))?;
    let (text, rest) = note.split_at(blank + 1);
    let signatures = rest
        .strip_prefix('\n')
        .and_then(|lines| lines.strip_suffix('\n'))
        .ok_or(malformed("its last line does not end"))?;
    let mut ours = None;
    for (number, line) in signatures.split('\n').enumerate() {
        if number >= SIGNATURES_MAX {
            return Err(malformed("it has too many signatures"));
        }
        let (name, signature) = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '))
            .filter(|(name, _)| !name.is_empty())
            .ok_or(malformed("a signature line is not `— name base64`"))?;
        let bytes = decode(signature).ok_or(malformed("a signature is not base 64"))?;
        let (id, signature) = bytes
            .split_at_checked(4)
            .filter(|(_, signature)| !signature.is_empty())
            .ok_or(malformed("a signature is too short"))?;
        if name != key.origin() || id != key.id() {
            continue;
        }
        if ours.replace(signature.to_vec()).is_some() {
            return Err(malformed("it is signed twice by one key"));
        }
    }
    let signature = ours.ok_or(CheckpointError::Unsigned)?;
    if key.is_signature(text.as_bytes(), &signature) {
        Ok(text)
    } else {
        Err(CheckpointError::BadSignature)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A decimal without sign or leading zeros, so that one size has one writing.
fn parse_size(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let size = plain.then(|| text.parse().ok()).flatten()?;
    (size <= SIZE_MAX).then_some(size)
}

/// Why a note is no checkpoint of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed checkpoint at all.
    #[error("this is no signed checkpoint: {0}")]
    Malformed(&'static str),
    /// The key did not sign it.
    #[error("the checkpoint is not signed by this key")]
    Unsigned,
    /// The key's name is on it, the signature is wrong.
    #[error("the checkpoint's signature is wrong")]
    BadSignature,
    /// It is signed, but of a journal with another name.
    #[error("the checkpoint is of the journal `{0}`, not of this one")]
    OfAnother(String),
}

#[cfg(test)]
#[path = "tests/checkpoint.rs"]
mod tests;
