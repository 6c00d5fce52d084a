//! Verification of a journal's file by anyone with the public key, the broker running or not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use writ_engine::case::{Case, NoStory};
use writ_engine::event::{Event, Fact};
use writ_engine::request::RequestId;

use super::audit::{Audit, Damage};
use super::key::VerifyingKey;
use super::merkle::{self, Hash};
use super::store::Store;

/// Events handed from the reading to the hashing thread at once: enough that handing over costs nothing.
const CHUNK_EVENTS: usize = 512;

/// Chunks that may wait between the two threads; with the events' own limit, what bounds the memory.
const CHUNKS_MAX: usize = 8;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// That the bytes are those that were signed.
    Bytes,
    /// Also that each event is in canonical form and follows from those before.
    Meaning,
}

/// A journal in which nothing was found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events there are.
    pub events: u64,
    /// How many of them the newest stored checkpoint signs.
    pub signed: u64,
    /// How many are newer than it: those of the last second before a crash, or of a running broker.
    pub unsigned: u64,
    /// The root over all events.
    pub root: Hash,
    /// How many texts there are.
    pub texts: u64,
    /// The newest stored checkpoint: keep it elsewhere, and the next verification finds a cut or a fork since.
    pub checkpoint: String,
}

/// Verifies the journal at `path`, a running broker's or a copy, with or without its side files.
///
/// Without a checkpoint that was kept elsewhere, a journal cut back to one of its own older checkpoints passes: the file
/// alone cannot tell that from its own past.
pub fn verify(
    path: &Path,
    key: &VerifyingKey,
    kept_checkpoint: Option<&str>,
    depth: Depth,
) -> Result<Verified, Damage> {
    let store = Store::frozen(path)?;
    let notes = store.checkpoints()?;
    let checkpoint = notes.last().map(|(_, note)| note.clone());
    let mut audit = Audit::begin(notes, kept_checkpoint, key)?;
    let mut story = (depth == Depth::Meaning).then(Story::default);
    let store = read_beside(store, |chunk| {
        chunk.each(|seq, leaf, body| {
            let found = merkle::leaf(body);
            if *leaf != found {
                return Err(Damage::Edited(seq));
            }
            audit.push(seq, found)?;
            match &mut story {
                Some(story) => story.tell(seq, body),
                None => Ok(()),
            }
        })
    })?;
    if store.has_hidden_rows()? {
        return Err(Damage::Stray);
    }
    let texts = verify_texts(&store)?;
    let (tree, latest) = audit.end()?;
    let events = tree.frontier().size();
    Ok(Verified {
        events,
        signed: latest.size,
        unsigned: events - latest.size,
        root: tree.frontier().root(),
        texts,
        checkpoint: checkpoint.unwrap_or_default(),
    })
}

/// Checks that each text is the one its event commits to.
fn verify_texts(store: &Store) -> Result<u64, Damage> {
    let mut texts = 0;
    store.scan_texts(|seq, text, body| {
        // The leaf vouches for the body; a digest of 256 bits stands in it for one reason only.
        let named = text.commitment().0.to_string();
        if !std::str::from_utf8(body).is_ok_and(|body| body.contains(&named)) {
            return Err(Damage::Text(seq));
        }
        texts += 1;
        Ok(())
    })?;
    Ok(texts)
}

/// Some rows, in few allocations.
struct Chunk {
    seqs: Vec<u64>,
    leaves: Vec<Hash>,
    ends: Vec<usize>,
    bodies: Vec<u8>,
}

impl Chunk {
    fn new() -> Chunk {
        Chunk {
            seqs: Vec::with_capacity(CHUNK_EVENTS),
            leaves: Vec::with_capacity(CHUNK_EVENTS),
            ends: Vec::with_capacity(CHUNK_EVENTS),
            bodies: Vec::with_capacity(CHUNK_EVENTS * 512),
        }
    }

    fn add(&mut self, seq: i64, leaf: &[u8], body: &[u8]) -> Result<(), Damage> {
        let seq = u64::try_from(seq).map_err(|_| Damage::Stray)?;
        let leaf = Hash::try_from(leaf).map_err(|_| Damage::Edited(seq))?;
        self.seqs.push(seq);
        self.leaves.push(leaf);
        self.bodies.extend_from_slice(body);
        self.ends.push(self.bodies.len());
        Ok(())
    }

    fn each(
        &self,
        mut see: impl FnMut(u64, &Hash, &[u8]) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let mut from = 0;
        for ((seq, leaf), end) in self.seqs.iter().zip(&self.leaves).zip(&self.ends) {
            see(*seq, leaf, self.bodies.get(from..*end).unwrap_or_default())?;
            from = *end;
        }
        Ok(())
    }
}

/// Reads all rows on a second thread, so that the disk and the hash work at the same time. Hands the store back.
fn read_beside(
    store: Store,
    mut see: impl FnMut(Chunk) -> Result<(), Damage>,
) -> Result<Store, Damage> {
    let (sender, chunks) = sync_channel(CHUNKS_MAX);
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            send_rows(&store, &sender)?;
            Ok(store)
        });
        // Ends when the reader does; drops its own end first on an error, which ends the reader.
        let seen = chunks.into_iter().try_for_each(&mut see);
        let read = reading
            .join()
            .unwrap_or_else(|_| Err(Damage::Unreadable("reading it failed".to_owned())));
        seen.and(read)
    })
}

fn send_rows(store: &Store, sender: &SyncSender<Chunk>) -> Result<(), Damage> {
    let gone = |_| Damage::Unreadable("reading it was ended".to_owned());
    let mut chunk = Chunk::new();
    let scanned = store.scan(|seq, leaf, body| {
        chunk.add(seq, leaf, body)?;
        if chunk.seqs.len() == CHUNK_EVENTS {
            let full = std::mem::replace(&mut chunk, Chunk::new());
            sender.send(full).map_err(gone)?;
        }
        Ok(())
    });
    // What was read before the damage is looked at first: its own damage comes first in the file.
    sender.send(chunk).map_err(gone)?;
    scanned
}

/// Every case, retold from the events.
#[derive(Default)]
struct Story {
    cases: HashMap<RequestId, Case>,
}

impl Story {
    fn tell(&mut self, seq: u64, body: &[u8]) -> Result<(), Damage> {
        let event = Event::from_canonical(body)
            .map_err(|error| Damage::NotCanonical(seq, error.to_string()))?;
        self.follow(&event)
            .map_err(|NoStory(why)| Damage::NoStory(seq, why.to_owned()))
    }

    fn follow(&mut self, event: &Event) -> Result<(), NoStory> {
        let Some(id) = event.fact.request() else {
            return Ok(());
        };
        match (&event.fact, self.cases.get_mut(id)) {
            (Fact::Requested { .. }, Some(_)) => Err(NoStory("the request was made before")),
            (Fact::Requested { .. }, None) => {
                let case = Case::begin(event, None)?;
                self.cases.insert(id.clone(), case);
                Ok(())
            }
            (_, Some(case)) => case.apply(event),
            (_, None) => Err(NoStory("the request was never made")),
        }
    }
}

#[cfg(test)]
#[path = "tests/verify.rs"]
mod tests;
