//! The Ed25519 keys of the journal: one signs checkpoints and has no face, the other is handed to whoever verifies.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::merkle::Hash;

/// The longest key file read, in bytes: a PKCS#8 Ed25519 key in PEM has some 120.
const KEY_FILE_MAX: u64 = 4_096;

/// The longest origin, in bytes: a host name and a path fit.
pub const ORIGIN_MAX: usize = 128;

/// The byte that stands for Ed25519 in a verifying key and its id (C2SP signed-note).
const ED25519_TYPE: u8 = 1;

/// Bytes of an Ed25519 seed, and of a public key.
const SEED_LEN: usize = 32;

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----";

/// The key that signs checkpoints. It shows its bytes to nobody: no `Debug`, no `Display`, no getter.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, in memory only: for worlds that end with the process.
    pub fn generate() -> Result<SigningKey, KeyError> {
        Ed25519KeyPair::generate()
            .map(SigningKey)
            .map_err(|_| KeyError::NoRandomness)
    }

    /// Reads a key file: PKCS#8 (PEM, as `openssl genpkey -algorithm ed25519` writes it, or DER) or a 32-byte seed.
    ///
    /// Refused when anyone but the owner may read or write it.
    pub fn load(path: &Path) -> Result<SigningKey, KeyError> {
        let unreadable = |error: io::Error| KeyError::Unreadable(shown(path), error);
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(KeyError::NotAKey(shown(path)));
        }
        // Asked of the open file, so nobody swaps it between the question and the reading.
        if about.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::TooOpen(shown(path)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX as usize));
        file.take(KEY_FILE_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > KEY_FILE_MAX {
            return Err(KeyError::NotAKey(shown(path)));
        }
        SigningKey::from_bytes(&bytes).ok_or_else(|| KeyError::NotAKey(shown(path)))
    }

    /// Makes a new key and writes it to `path` as PKCS#8 in PEM, mode 0600; refuses to replace a file.
    pub fn create(path: &Path) -> Result<SigningKey, KeyError> {
        let key = SigningKey::generate()?;
        let document = key.0.to_pkcs8v1().map_err(|_| KeyError::NoRandomness)?;
        let text = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let pem = Zeroizing::new(format!("{PEM_HEAD}\n{}\n{PEM_FOOT}\n", text.as_str()));
        write_new(path, pem.as_bytes())
            .map_err(|error| KeyError::Unwritable(shown(path), error))?;
        Ok(key)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<SigningKey> {
        if bytes.len() == SEED_LEN {
            return Ed25519KeyPair::from_seed_unchecked(bytes)
                .ok()
                .map(SigningKey);
        }
        let from_der = |der: &[u8]| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
        if let Some(pair) = from_der(bytes) {
            return Some(SigningKey(pair));
        }
        let pem = std::str::from_utf8(bytes).ok()?.trim();
        let inside = pem.strip_prefix(PEM_HEAD)?.strip_suffix(PEM_FOOT)?;
        let mut text = Zeroizing::new(String::with_capacity(inside.len()));
        text.extend(inside.split_ascii_whitespace());
        let der = Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?);
        from_der(&der).map(SigningKey)
    }

    /// The key that verifies this one's signatures, named `origin`.
    pub fn verifying_key(&self, origin: &str) -> Result<VerifyingKey, KeyError> {
        let public = <[u8; SEED_LEN]>::try_from(self.0.public_key().as_ref())
            .map_err(|_| KeyError::NotAVerifyingKey)?;
        VerifyingKey::new(origin, public)
    }

    /// The key of the seals: derived, so that there is one secret to keep.
    pub(super) fn sealing_key(&self) -> Result<SealingKey, KeyError> {
        let seed = self.0.seed().map_err(|_| KeyError::NoRandomness)?;
        let seed = Zeroizing::new(
            seed.as_be_bytes()
                .map_err(|_| KeyError::NoRandomness)?
                .as_ref()
                .to_vec(),
        );
        let parent = hmac::Key::new(hmac::HMAC_SHA256, &seed);
        let derived = hmac::sign(&parent, b"writ.v1.seal");
        Ok(SealingKey(hmac::Key::new(
            hmac::HMAC_SHA256,
            derived.as_ref(),
        )))
    }

    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

/// The key that seals each commit: a MAC over size and root.
///
/// Checkpoints are signed once a second at most; the seal stands for the events since. Without it, who can write the file
/// while the broker is down could add an approval at its end, and the broker would sign it.
pub(super) struct SealingKey(hmac::Key);

impl SealingKey {
    pub(super) fn seal(&self, size: u64, root: &Hash) -> Vec<u8> {
        hmac::sign(&self.0, &sealed(size, root)).as_ref().to_vec()
    }

    pub(super) fn is_seal(&self, size: u64, root: &Hash, seal: &[u8]) -> bool {
        hmac::verify(&self.0, &sealed(size, root), seal).is_ok()
    }
}

fn sealed(size: u64, root: &Hash) -> Vec<u8> {
    [size.to_be_bytes().as_slice(), root].concat()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_folder(path)
}

/// Makes the name of a new file as durable as its bytes.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The key that verifies checkpoints, and the name it goes by.
///
/// Written as C2SP signed-note has it: `name+hex(id)+base64(type || key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    origin: String,
    id: [u8; 4],
    public: [u8; SEED_LEN],
}

impl VerifyingKey {
    fn new(origin: &str, public: [u8; SEED_LEN]) -> Result<VerifyingKey, KeyError> {
        let fits = !origin.is_empty()
            && origin.len() <= ORIGIN_MAX
            && origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if !fits {
            return Err(KeyError::BadOrigin(origin.to_owned()));
        }
        let mut hasher = Sha256::new();
        hasher.update(origin.as_bytes());
        hasher.update([b'\n', ED25519_TYPE]);
        hasher.update(public);
        let hash: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = hash;
        Ok(VerifyingKey {
            origin: origin.to_owned(),
            id: [a, b, c, d],
            public,
        })
    }

    /// The journal's name, which is the key's too.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The first four bytes of SHA-256 over the name and the key; they say which key signed.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    pub(super) fn is_signature(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public)
            .verify(text, signature)
            .is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.public);
        let (origin, id) = (&self.origin, hex::encode(self.id));
        write!(f, "{origin}+{id}+{}", STANDARD.encode(typed))
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<VerifyingKey, KeyError> {
        // The base 64 part may hold a `+` of its own; the first two parts cannot.
        let mut parts = text.splitn(3, '+');
        let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::NotAVerifyingKey);
        };
        let typed = STANDARD
            .decode(key)
            .map_err(|_| KeyError::NotAVerifyingKey)?;
        let public = match typed.split_first() {
            Some((&ED25519_TYPE, public)) => {
                <[u8; SEED_LEN]>::try_from(public).map_err(|_| KeyError::NotAVerifyingKey)?
            }
            _ => return Err(KeyError::NotAVerifyingKey),
        };
        let read = VerifyingKey::new(origin, public)?;
        if hex::encode(read.id) == id {
            Ok(read)
        } else {
            Err(KeyError::NotAVerifyingKey)
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is missing, or this user may not read it.
    #[error("the key file `{0}` cannot be read: {1}")]
    Unreadable(String, #[source] io::Error),
    /// The file exists already, or its folder cannot be written.
    #[error("the key file `{0}` cannot be created: {1}")]
    Unwritable(String, #[source] io::Error),
    /// Others may read or write the file.
    #[error("the key file `{0}` is open to others; run `chmod 600` on it")]
    TooOpen(String),
    /// The bytes are no Ed25519 key.
    #[error(
        "`{0}` is no Ed25519 key; make one with `openssl genpkey -algorithm ed25519`, or give 32 bytes of seed"
    )]
    NotAKey(String),
    /// The text is no verifying key.
    #[error("not a verifying key; it looks like `name+0123abcd+AT…`")]
    NotAVerifyingKey,
    /// The name cannot stand in a checkpoint.
    #[error("`{0}` cannot name a journal; use up to 128 visible ASCII characters and no `+`")]
    BadOrigin(String),
    /// The operating system gave no random numbers.
    #[error("no key could be made: the system gave no random numbers")]
    NoRandomness,
}

#[cfg(test)]
#[path = "tests/key.rs"]
mod tests;
