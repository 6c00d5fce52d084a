//! Token buckets: how often someone may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket for each key, filling at `per_s` up to `burst`.
pub(super) struct Rates<K> {
    per_s: f64,
    burst: f64,
    remembered_max: usize,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Hash + Eq> Rates<K> {
    pub(super) fn new(per: Duration, count: u32, burst: u32, remembered_max: usize) -> Rates<K> {
        Rates {
            per_s: f64::from(count) / per.as_secs_f64(),
            burst: f64::from(burst),
            remembered_max,
            buckets: Mutex::default(),
        }
    }

    /// Takes one from the bucket of `key`; `false` when it is empty, or when nobody else can be forgotten.
    pub(super) fn take(&self, key: K, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(&key) && buckets.len() >= self.remembered_max {
            // Whoever has a full bucket is at rest, and loses nothing by being forgotten.
            buckets.retain(|_, bucket| self.level(*bucket, now) < self.burst);
            if buckets.len() >= self.remembered_max {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: self.burst,
            at: now,
        });
        bucket.left = self.level(*bucket, now);
        bucket.at = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }

    /// Whether the bucket of `key` has one left; takes nothing.
    pub(super) fn has(&self, key: &K, now: Instant) -> bool {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets
            .get(key)
            .is_none_or(|bucket| self.level(*bucket, now) >= 1.0)
    }

    fn level(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.per_s).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates<&'static str> {
        Rates::new(Duration::from_secs(1), 2, 3, 2)
    }

    #[test]
    fn a_burst_is_given_then_the_rate_and_others_are_not_touched() {
        let (rates, start) = (rates(), Instant::now());
        let taken = |key, ms| rates.take(key, start + Duration::from_millis(ms));
        assert_eq!([0; 4].map(|ms| taken("mia", ms)), [true, true, true, false]);
        assert!(taken("pat", 0));
        assert!(!taken("mia", 499));
        assert!(taken("mia", 1_000));
        assert!(taken("mia", 1_001));
        assert!(!taken("mia", 1_002));
    }

    #[test]
    fn a_full_table_forgets_those_at_rest_and_otherwise_refuses_the_stranger() {
        let (rates, start) = (rates(), Instant::now());
        assert!(rates.take("mia", start));
        assert!(rates.take("pat", start));
        assert!(!rates.take("kim", start));
        assert!(rates.take("mia", start));
        let later = start + Duration::from_secs(60);
        assert!(rates.take("kim", later));
    }

    #[test]
    fn asking_takes_nothing() {
        let (rates, start) = (rates(), Instant::now());
        assert!(rates.has(&"mia", start));
        for _ in 0..3 {
            assert!(rates.take("mia", start));
        }
        assert!(!rates.has(&"mia", start));
        assert!(rates.has(&"mia", start + Duration::from_secs(1)));
    }
}
