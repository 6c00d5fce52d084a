//! Reading a journal's file from its beginning to its end without its broker, which may be running or not.

use std::path::Path;

use writ_engine::case::NoStory;

use super::audit::Damage;
use super::entry::Stored;
use super::read::PAGE_MAX;
use super::store::Store;

/// Shows every event of the journal at `path` in order; `see` refuses one that does not follow from those before.
///
/// Nothing in the file or beside it is changed. Each event is compared with its leaf, its text with its commitment, and none
/// may be missing: so what is seen is whole. That it is also what was signed only [`verify`](super::verify::verify) can say,
/// which needs the key.
pub fn read(
    path: &Path,
    mut see: impl FnMut(&Stored) -> Result<(), NoStory>,
) -> Result<(), Damage> {
    let store = Store::frozen(path)?;
    if store.has_hidden_rows()? {
        return Err(Damage::Stray);
    }
    let mut next = 0;
    loop {
        let page = store.page(next, PAGE_MAX)?;
        if page.is_empty() {
            return Ok(());
        }
        for stored in &page {
            if stored.seq != next {
                return Err(Damage::Missing(next));
            }
            see(stored).map_err(|NoStory(why)| Damage::NoStory(next, why.to_owned()))?;
            next += 1;
        }
    }
}

#[cfg(test)]
#[path = "tests/offline.rs"]
mod tests;
