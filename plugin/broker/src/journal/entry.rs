//! What is appended, and what is then stored: an event, and the texts it commits to.

use std::fmt;
use std::sync::Arc;

use writ_engine::digest::{Commitment, SaltedText};
use writ_engine::event::{Event, Fact, canonical};

use super::AppendError;
use super::merkle::{self, Hash};

/// The longest event, in canonical bytes: a request with a workload's claims and a verdict has under 4 KiB.
pub const EVENT_MAX: usize = 65_536;

/// The longest text beside an event, in bytes; the wire allows less.
pub const TEXT_MAX: usize = 16_384;

/// An event to be appended, with the texts it commits to.
#[derive(Clone)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// The texts whose commitments stand in the event. One that is left out counts as erased.
    pub texts: Vec<SaltedText>,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Entry {
        Entry {
            event,
            texts: Vec::new(),
        }
    }
}

/// An event of the journal. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place, from 0; also its leaf's index in the tree.
    pub seq: u64,
    /// What happened.
    pub event: Arc<Event>,
    /// The texts it commits to, unless they were erased.
    pub texts: Arc<[SaltedText]>,
    /// The hash of its leaf.
    pub leaf: Hash,
}

impl Stored {
    /// The text that the event commits to, unless it has none or it was erased.
    pub fn text(&self) -> Option<&str> {
        let commitment = commitment(&self.event.fact)?;
        self.texts
            .iter()
            .find(|text| text.commitment() == commitment)
            .map(|text| text.text.as_str())
    }
}

/// Without the texts: what people write belongs in no log.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("seq", &self.seq)
            .field("event", &self.event)
            .field("leaf", &hex::encode(self.leaf))
            .finish_non_exhaustive()
    }
}

/// The commitment that stands in a fact, if one does.
pub(super) fn commitment(fact: &Fact) -> Option<Commitment> {
    match fact {
        Fact::Requested { request, .. } => Some(request.reason),
        Fact::Refused { reason, .. }
        | Fact::Denied { reason, .. }
        | Fact::ExtensionDenied { reason, .. }
        | Fact::Revoked { reason, .. } => Some(*reason),
        Fact::ExtensionRequested { extension, .. } => Some(extension.reason),
        Fact::Reviewed { finding, .. } => Some(*finding),
        Fact::Delegated { delegation } => Some(delegation.reason),
        Fact::BundleLoaded { .. }
        | Fact::RevocationWritten { .. }
        | Fact::RevocationVerified { .. }
        | Fact::DelegationEnded { .. }
        | Fact::Approved { .. }
        | Fact::Kept { .. }
        | Fact::Notified { .. }
        | Fact::Withdrawn { .. }
        | Fact::IssueIntended { .. }
        | Fact::Issued { .. }
        | Fact::IssueFailed { .. }
        | Fact::IssueUnknown { .. }
        | Fact::Released { .. } => None,
    }
}

/// An entry that may be written as it stands.
pub(super) struct Prepared {
    pub(super) body: Vec<u8>,
    pub(super) leaf: Hash,
    pub(super) event: Arc<Event>,
    pub(super) texts: Arc<[SaltedText]>,
}

impl Prepared {
    pub(super) fn new(entry: Entry) -> Result<Prepared, AppendError> {
        let body = canonical(&entry.event);
        // Read back before it is written: what could not be read again would keep the journal from opening.
        if Event::from_canonical(&body).as_ref() != Ok(&entry.event) {
            return Err(AppendError::Refused("the event has no canonical form"));
        }
        if body.len() > EVENT_MAX || entry.texts.iter().any(|text| text.text.len() > TEXT_MAX) {
            return Err(AppendError::Refused("the event is too long"));
        }
        let named = commitment(&entry.event.fact);
        let belong = entry
            .texts
            .iter()
            .all(|text| Some(text.commitment()) == named);
        if !belong || entry.texts.len() > 1 {
            return Err(AppendError::Refused("the text is not the event's"));
        }
        Ok(Prepared {
            leaf: merkle::leaf(&body),
            body,
            event: Arc::new(entry.event),
            texts: entry.texts.into(),
        })
    }

    pub(super) fn stored(&self, seq: u64) -> Stored {
        Stored {
            seq,
            event: Arc::clone(&self.event),
            texts: Arc::clone(&self.texts),
            leaf: self.leaf,
        }
    }
}
