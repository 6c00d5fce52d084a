//! The sandbox's idea of what time it is, which a test may move.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The time by which sessions expire and `aws:CurrentTime` is judged. Clones share one clock.
///
/// There are two readings, because a test can move this clock but not the client's. The *world* reading judges expiry
/// and policies, and moves with [`advance_s`](Clock::advance_s) and [`freeze`](Clock::freeze). The *wire* reading judges the
/// dates of signatures and fills the `Date` header, and moves only with [`set_skew_s`](Clock::set_skew_s), which is for testing
/// exactly that: a peer whose clock differs from ours.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    skew_s: AtomicI64,
    advanced_s: AtomicI64,
    frozen: Mutex<Option<Timestamp>>,
}

impl Clock {
    /// A clock that follows the system's.
    pub fn new() -> Clock {
        Clock::default()
    }

    /// Lets `seconds` more pass (or go back, if negative) for expiry and policies.
    pub fn advance_s(&self, seconds: i64) {
        self.0.advanced_s.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Stops the time of expiry and policies at `at`; `None` lets it run again.
    pub fn freeze(&self, at: Option<Timestamp>) {
        *self.0.frozen.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Sets by how many seconds this side's clock is ahead of the system's, in both readings.
    pub fn set_skew_s(&self, seconds: i64) {
        self.0.skew_s.store(seconds, Ordering::SeqCst);
    }

    /// The time by which sessions expire and policies are judged.
    pub fn now(&self) -> Timestamp {
        if let Some(at) = *self.0.frozen.lock().unwrap_or_else(PoisonError::into_inner) {
            return at;
        }
        shifted(self.wire_now(), self.0.advanced_s.load(Ordering::SeqCst))
    }

    /// The time by which signatures' dates are judged.
    pub fn wire_now(&self) -> Timestamp {
        shifted(Timestamp::now(), self.0.skew_s.load(Ordering::SeqCst))
    }
}

/// `at` plus `seconds`, held at the ends of what a timestamp can be.
pub(crate) fn shifted(at: Timestamp, seconds: i64) -> Timestamp {
    let end = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    at.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(end)
}

/// `2026-01-31T09:30:00Z`: the form AWS writes and policies use, to the second, rounded down.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `20260131T093000Z`: the form of `X-Amz-Date`.
pub(crate) fn amz(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Reads the form of [`amz`], and nothing else.
pub(crate) fn parse_amz(text: &str) -> Option<Timestamp> {
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?
        .timestamp();
    // The parser takes shorter digits; only the canonical spelling may be signed.
    (amz(at) == text).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_date_has_one_spelling() {
        let at = parse_amz("20150830T123600Z").unwrap();
        assert_eq!(iso(at), "2015-08-30T12:36:00Z");
        for wrong in [
            "2015830T123600Z",
            "20150830T123600",
            "20151330T123600Z",
            "2015-08-30T12:36:00Z",
            "",
        ] {
            assert!(parse_amz(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn advancing_moves_expiry_but_not_signatures_and_skew_moves_both() {
        let clock = Clock::new();
        clock.advance_s(10_000);
        assert!(clock.now().duration_since(clock.wire_now()).as_secs() >= 9_999);
        clock.set_skew_s(-5_000);
        assert!(Timestamp::now().duration_since(clock.wire_now()).as_secs() >= 4_999);
        let at: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        clock.freeze(Some(at));
        assert_eq!(clock.now(), at);
        clock.freeze(None);
        assert_ne!(clock.now(), at);
    }
}
