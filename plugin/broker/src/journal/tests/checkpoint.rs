//! Checkpoints byte for byte, and every note that is none.

use proptest::prelude::*;

use super::super::key::SigningKey;
use super::*;

const ORIGIN: &str = "journal.example/writ";

/// Made by another library with the seed 00 01 … 1f; the root is that of the eight leaves of the RFC's test data.
const GOLDEN: &str = "journal.example/writ\n\
    8\n\
    XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\
    \n\
    \u{2014} journal.example/writ BuWDOa35B5/wwnzqTlFkl7gNaS8OI9SlQVs652spxxKA2OveEjHCm4DrG8JJSOaYQG9QOfegBOeKe1dT8FBUNUaQLwY=\n";

/// Signed by Go's `sumdb/note`.
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key() -> (SigningKey, VerifyingKey) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed");
    std::fs::write(&path, (0..32).collect::<Vec<u8>>()).unwrap();
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner).unwrap();
    let key = SigningKey::load(&path).unwrap();
    let verifying = key.verifying_key(ORIGIN).unwrap();
    (key, verifying)
}

fn golden() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 8,
        root: hex::decode("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
            .unwrap()
            .try_into()
            .unwrap(),
    }
}

/// A note over any text, signed rightly.
fn sign(text: &str) -> String {
    let (key, verifying) = key();
    let mut signed = verifying.id().to_vec();
    signed.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signed))
}

#[test]
fn a_checkpoint_is_written_byte_for_byte_as_another_library_writes_it() {
    let (key, verifying) = key();
    assert_eq!(golden().sign(&key, &verifying), GOLDEN);
    assert_eq!(Checkpoint::open(GOLDEN, &verifying), Ok(golden()));
}

#[test]
fn a_note_signed_by_the_reference_implementation_verifies() {
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        .parse()
        .unwrap();
    assert!(signed_text(GO_NOTE, &key).is_ok());
    let edited = GO_NOTE.replace("answer", "Answer");
    assert_eq!(
        signed_text(&edited, &key),
        Err(CheckpointError::BadSignature)
    );
}

#[test]
fn every_flipped_bit_of_a_note_is_found() {
    let (_, verifying) = key();
    for place in 0..GOLDEN.len() {
        for bit in 0..8 {
            let mut bytes = GOLDEN.as_bytes().to_vec();
            bytes[place] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(Checkpoint::open(&text, &verifying).is_err(), "{text}");
            }
        }
    }
}

#[test]
fn a_note_cut_anywhere_is_refused() {
    let (_, verifying) = key();
    for end in (0..GOLDEN.len()).filter(|end| GOLDEN.is_char_boundary(*end)) {
        assert!(Checkpoint::open(&GOLDEN[..end], &verifying).is_err());
    }
}

#[test]
fn witnesses_may_sign_too_and_nobody_twice() {
    let (_, verifying) = key();
    let witness = "\u{2014} witness.example AAAAAAECAwQFBgcICQ==\n";
    let seen = format!("{GOLDEN}{witness}");
    assert_eq!(Checkpoint::open(&seen, &verifying), Ok(golden()));

    let ours = GOLDEN.split_once("\n\n").unwrap().1;
    let twice = format!("{GOLDEN}{ours}");
    assert!(Checkpoint::open(&twice, &verifying).is_err());
    let crowd = format!("{GOLDEN}{}", witness.repeat(SIGNATURES_MAX));
    assert!(Checkpoint::open(&crowd, &verifying).is_err());
}

#[test]
fn a_key_that_did_not_sign_does_not_open() {
    let stranger = SigningKey::generate().unwrap();
    let named_alike = stranger.verifying_key(ORIGIN).unwrap();
    assert_eq!(
        Checkpoint::open(GOLDEN, &named_alike),
        Err(CheckpointError::Unsigned)
    );
    let (key, _) = key();
    let elsewhere = key.verifying_key("another.example").unwrap();
    assert_eq!(
        Checkpoint::open(GOLDEN, &elsewhere),
        Err(CheckpointError::Unsigned)
    );
}

#[test]
fn a_rightly_signed_text_that_is_no_checkpoint_is_refused() {
    let (_, verifying) = key();
    let root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
    assert!(Checkpoint::open(&sign(&format!("{ORIGIN}\n0\n{root}\n")), &verifying).is_ok());
    let texts = [
        format!("another.example\n8\n{root}\n"),
        format!("{ORIGIN}\n08\n{root}\n"),
        format!("{ORIGIN}\n+8\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n9223372036854775808\n{root}\n"),
        format!("{ORIGIN}\n99999999999999999999999\n{root}\n"),
        format!("{ORIGIN}\n8\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n8\nXcna\n"),
        format!("{ORIGIN}\n8\n{root}\nextension\n"),
        format!("{ORIGIN}\n8\n"),
        format!("{ORIGIN}\n8 \n{root}\n"),
        format!("{ORIGIN}\r\n8\r\n{root}\r\n"),
        format!("\n{ORIGIN}\n8\n{root}\n"),
    ];
    for text in texts {
        assert!(
            Checkpoint::open(&sign(&text), &verifying).is_err(),
            "{text}"
        );
    }
}

#[test]
fn a_note_longer_than_the_limit_is_not_even_read() {
    let (_, verifying) = key();
    let note = format!("{}{GOLDEN}", "a\n".repeat(NOTE_MAX));
    assert_eq!(
        Checkpoint::open(&note, &verifying),
        Err(CheckpointError::Malformed("it is too long"))
    );
}

proptest! {
    #[test]
    fn any_checkpoint_is_read_as_it_was_signed(size in 0..=SIZE_MAX, root in any::<[u8; 32]>()) {
        let (key, verifying) = key();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
        let note = checkpoint.sign(&key, &verifying);
        prop_assert_eq!(Checkpoint::open(&note, &verifying), Ok(checkpoint));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|\n|\u{2014} )*") {
        let (_, verifying) = key();
        prop_assert!(Checkpoint::open(&text, &verifying).is_err());
    }
}
