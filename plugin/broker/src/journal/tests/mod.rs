//! The open journal: durable, in order, shared commits, honest about failures. What its tests share.

mod appending;
mod damage;
mod erasing;
mod failing;
mod opening;
mod proving;
mod reading;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tempfile::TempDir;
use writ_engine::digest::{Commitment, SaltedText};
use writ_engine::request::RequestId;

use super::verify::{Depth, Verified, verify};
use super::*;

pub(super) const ORIGIN: &str = "writ.example/journal";

/// A folder with a journal in it, and the key.
pub(super) struct World {
    pub(super) folder: TempDir,
}

impl World {
    pub(super) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        World { folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub(super) fn try_open(&self, kept: Option<&str>) -> Result<(Journal, Replayed), OpenError> {
        Journal::open(
            &self.path(),
            key(),
            ORIGIN,
            kept,
            |_| Ok(()),
            Box::new(|_| ()),
        )
    }

    pub(super) fn open(&self) -> Journal {
        self.try_open(None).unwrap().0
    }

    pub(super) fn open_telling(&self, on_commit: OnCommit) -> Journal {
        let (journal, _) =
            Journal::open(&self.path(), key(), ORIGIN, None, |_| Ok(()), on_commit).unwrap();
        journal
    }

    pub(super) fn verify(&self) -> Result<Verified, Damage> {
        verify(&self.path(), &verifying(), None, Depth::Meaning)
    }

    /// What another process might do to the file.
    pub(super) fn outside(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

pub(super) fn verifying() -> VerifyingKey {
    key().verifying_key(ORIGIN).unwrap()
}

pub(super) fn at(s: u32) -> Moment {
    Moment::from_ms(1_790_000_000_000 + i64::from(s) * 1_000).unwrap()
}

pub(super) fn request_id(n: u8) -> RequestId {
    RequestId::new(at(0), [n; 10])
}

pub(super) fn salted(n: u8, text: &str) -> SaltedText {
    SaltedText {
        salt: [n; 16],
        text: text.to_owned(),
    }
}

/// Someone asks, and says why.
pub(super) fn requested(n: u8, reason: &SaltedText) -> Entry {
    let digest = "00".repeat(32);
    let event = json!({
        "at": at(0),
        "fact": { "requested": {
            "request": {
                "id": request_id(n),
                "principal": { "id": { "user": "mia" } },
                "scope": "prod-db-read",
                "duration": 2_700,
                "reason": reason.commitment(),
                "requested_at": at(0),
                "decide_by": at(3_600),
                "activation_ttl_s": 3_600,
                "bundle": digest,
            },
            "verdict": { "bundle": digest, "outcome": "needs_approval", "policies": [] },
        }},
    });
    Entry {
        event: serde_json::from_value(event).unwrap(),
        texts: vec![reason.clone()],
    }
}

pub(super) fn withdrawn(n: u8) -> Entry {
    let request = request_id(n);
    Entry::from(Event {
        at: at(1),
        fact: writ_engine::event::Fact::Withdrawn {
            request,
            unheard: false,
        },
    })
}

/// Two events, one with a text.
pub(super) fn a_case(n: u8) -> Vec<Entry> {
    let reason = salted(n, &format!("because of INC-{n}"));
    vec![requested(n, &reason), withdrawn(n)]
}

fn seqs(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(|stored| stored.seq).collect()
}

/// An `OnCommit` that says when it is called, and does not return before it is let go.
fn gate() -> (OnCommit, mpsc::Receiver<usize>, mpsc::Sender<()>) {
    let (called, calls) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let on_commit = Box::new(move |stored: &[Stored]| {
        let _ = called.send(stored.len());
        let _ = wait.recv();
    });
    (on_commit, calls, go)
}
