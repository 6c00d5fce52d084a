//! Places: how many of something may be open at once, in all and for each key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// The places there are.
pub(super) struct Places<K: Hash + Eq> {
    most: usize,
    most_per_key: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    total: usize,
    by_key: HashMap<K, usize>,
}

/// One taken place; given back when dropped.
pub(super) struct Place<K: Hash + Eq> {
    places: Arc<Places<K>>,
    key: Option<K>,
}

impl<K: Hash + Eq + Clone> Places<K> {
    pub(super) fn new(most: usize, most_per_key: usize) -> Arc<Places<K>> {
        Arc::new(Places {
            most,
            most_per_key,
            taken: Mutex::new(Taken {
                total: 0,
                by_key: HashMap::new(),
            }),
        })
    }

    /// Takes a place; without a key only the total counts. `None` when all are taken.
    pub(super) fn take(self: &Arc<Self>, key: Option<K>) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.most {
            return None;
        }
        if let Some(key) = &key {
            let count = taken.by_key.entry(key.clone()).or_insert(0);
            if *count >= self.most_per_key {
                return None;
            }
            *count += 1;
        }
        taken.total += 1;
        Some(Place {
            places: Arc::clone(self),
            key,
        })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        if let Some(key) = &self.key {
            let left = taken.by_key.get(key).map_or(0, |count| count - 1);
            match taken.by_key.get_mut(key) {
                Some(count) if left > 0 => *count = left,
                _ => {
                    taken.by_key.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_for_each_and_come_back() {
        let places = Places::new(3, 2);
        let first = places.take(Some("mia"));
        let second = places.take(Some("mia"));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(Some("mia")).is_none());
        let third = places.take(Some("pat"));
        assert!(third.is_some());
        assert!(places.take(Some("kim")).is_none());
        assert!(places.take(None).is_none());
        drop(second);
        assert!(places.take(Some("mia")).is_some());
        drop((first, third));
        assert!(places.taken.lock().unwrap().by_key.is_empty());
        assert_eq!(places.taken.lock().unwrap().total, 0);
    }
}
