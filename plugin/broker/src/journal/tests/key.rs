//! Key files and the written form of verifying keys.

use super::*;

/// The seed 00 01 … 1f as `cryptography` and `openssl` write it.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";

/// The verifying key of that seed, worked out by another library.
const VERIFYING: &str =
    "journal.example/writ+06e58339+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";

/// A verifying key of Go's `sumdb/note`, whose signature the checkpoint tests verify.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn key_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.key");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn a_seed_pem_and_der_are_the_same_key() {
    let seed: Vec<u8> = (0..32).collect();
    let der = STANDARD
        .decode("MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f")
        .unwrap();
    for bytes in [seed.as_slice(), PEM.as_bytes(), &der] {
        let (_folder, path) = key_file(bytes, 0o600);
        let key = SigningKey::load(&path).unwrap();
        let verifying = key.verifying_key("journal.example/writ").unwrap();
        assert_eq!(verifying.to_string(), VERIFYING);
    }
}

#[test]
fn a_key_file_open_to_others_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777] {
        let (_folder, path) = key_file(PEM.as_bytes(), mode);
        let refused = SigningKey::load(&path).err().unwrap();
        assert!(matches!(refused, KeyError::TooOpen(_)), "{mode:o}");
    }
    let (_folder, path) = key_file(PEM.as_bytes(), 0o400);
    assert!(SigningKey::load(&path).is_ok());
}

#[test]
fn what_is_no_key_is_refused() {
    let half = PEM.get(..60).unwrap();
    let huge = "A".repeat(KEY_FILE_MAX as usize + 1);
    for bytes in [
        "",
        "key",
        half,
        &huge,
        PEM.trim_end_matches('\n').get(1..).unwrap(),
    ] {
        let (_folder, path) = key_file(bytes.as_bytes(), 0o600);
        assert!(matches!(SigningKey::load(&path), Err(KeyError::NotAKey(_))));
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(SigningKey::load(folder.path()).is_err());
    assert!(matches!(
        SigningKey::load(&folder.path().join("none")),
        Err(KeyError::Unreadable(..))
    ));
}

#[test]
fn a_created_key_is_read_again_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.key");
    let made = SigningKey::create(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = SigningKey::load(&path).unwrap();
    assert_eq!(
        made.verifying_key("j").unwrap(),
        read.verifying_key("j").unwrap()
    );
    assert!(matches!(
        SigningKey::create(&path),
        Err(KeyError::Unwritable(..))
    ));
}

#[test]
fn a_verifying_key_is_read_as_it_is_written() {
    for text in [VERIFYING, GO_KEY] {
        let key: VerifyingKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
    }
}

#[test]
fn a_verifying_key_with_anything_changed_is_refused() {
    let replaced = [
        ("journal.example", "journal.exampla"),
        ("06e58339", "06e58338"),
        ("06e58339", "06E58339"),
        ("+06e58339", ""),
        ("+AQOh", "+AgOh"),
        ("+AQOh", "+AQOi"),
        ("TG4", "TG"),
        ("TG4", "TG4="),
        ("journal.example/writ", ""),
        ("journal.example/writ", "journal writ"),
    ];
    for (from, to) in replaced {
        let text = VERIFYING.replace(from, to);
        assert!(text.parse::<VerifyingKey>().is_err(), "{text}");
    }
}

#[test]
fn a_name_that_would_break_a_note_names_no_journal() {
    let key = SigningKey::generate().unwrap();
    let long = "j".repeat(ORIGIN_MAX + 1);
    for name in ["", "a b", "a+b", "a\nb", "jöurnal", &long] {
        assert!(matches!(
            key.verifying_key(name),
            Err(KeyError::BadOrigin(_))
        ));
    }
    assert!(key.verifying_key("j".repeat(ORIGIN_MAX).as_str()).is_ok());
}
