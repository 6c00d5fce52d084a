//! Events of the journal, as they travel.

use writ_api::v1;
use writ_engine::event::canonical;

use super::timestamp;
use crate::journal::Stored;

/// An event, with the very bytes that its leaf hashes.
pub(crate) fn event(stored: &Stored) -> v1::Event {
    let event = stored.event.as_ref();
    v1::Event {
        sequence: stored.seq,
        at: Some(timestamp(event.at)),
        kind: event.fact.name().to_owned(),
        request_id: event
            .fact
            .request()
            .map(ToString::to_string)
            .unwrap_or_default(),
        canonical: canonical(event),
        texts: stored
            .texts
            .iter()
            .map(|text| v1::Text {
                commitment: text.commitment().0.to_string(),
                salt: text.salt.to_vec(),
                text: text.text.clone(),
            })
            .collect(),
    }
}
