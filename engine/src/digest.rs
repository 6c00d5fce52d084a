//! SHA-256 digests of canonical bytes, git's own ids of commits, and the salted commitment that stands for a text in the
//! record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`, domain-separated by `label` so that two kinds of thing never share a digest.
    pub fn of(label: &str, bytes: &[u8]) -> Digest {
        let mut hasher = sha2::Sha256::new();
        hasher.update(label.as_bytes());
        hasher.update([0]);
        hasher.update(bytes);
        Digest(hasher.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        hex::encode(self.0).chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Digest, NotADigest> {
        let mut bytes = [0; 32];
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NotADigest);
        }
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotADigest)?;
        Ok(Digest(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Digest, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// Not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct NotADigest;

/// The id of a git commit: 40 lower-case hexadecimal digits, or 64 in a repository that uses SHA-256.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// The id, whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({self})")
    }
}

impl FromStr for CommitId {
    type Err = NotACommitId;

    fn from_str(text: &str) -> Result<CommitId, NotACommitId> {
        CommitId::try_from(text.to_owned())
    }
}

impl TryFrom<String> for CommitId {
    type Error = NotACommitId;

    fn try_from(text: String) -> Result<CommitId, NotACommitId> {
        let digits = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits && matches!(text.len(), 40 | 64) {
            true => Ok(CommitId(text)),
            false => Err(NotACommitId),
        }
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> String {
        id.0
    }
}

/// Not the whole id of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commit's id is 40 or 64 lower-case hexadecimal digits; `git rev-parse` prints it whole")]
pub struct NotACommitId;

/// A free text beside the record, with the random salt that its [`Commitment`] is made with.
///
/// The journal's leaf holds only the commitment, so the text can be erased later without breaking a proof, and the salt
/// keeps a short text from being guessed from its commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaltedText {
    /// 16 random bytes, from the shell: the engine has no randomness.
    pub salt: [u8; 16],
    /// What the person wrote.
    pub text: String,
}

impl SaltedText {
    /// The commitment that stands for this text in the record.
    pub fn commitment(&self) -> Commitment {
        let mut bytes = self.salt.to_vec();
        bytes.extend_from_slice(self.text.as_bytes());
        Commitment(Digest::of("writ.v1.text", &bytes))
    }
}

/// A salted digest of a text that is kept beside the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commits_id_is_whole_and_in_lower_case() {
        for good in ["a1".repeat(20), "0f".repeat(32)] {
            let id: CommitId = good.parse().unwrap();
            assert_eq!(id.as_str(), good);
            assert_eq!(id.short(), good.get(..12).unwrap());
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<CommitId>(&json).unwrap(), id);
        }
        let bad = [
            "",
            "HEAD",
            "a1b2c3d",
            &"A1".repeat(20),
            &"a1".repeat(21),
            &"g1".repeat(20),
            &format!("{} ", "a1".repeat(19)),
            &format!("-{}", "a".repeat(39)),
        ];
        for bad in bad {
            assert_eq!(bad.parse::<CommitId>(), Err(NotACommitId), "{bad}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<CommitId>(&json).is_err(), "{bad}");
        }
    }
}
