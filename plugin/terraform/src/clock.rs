//! The one place that asks what time it is. The broker and AWS judge by their own clocks; this one only says how long is
//! left, to people and to Terraform.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

/// How many seconds a moment lies ahead; none for one that has passed, or for what is no moment.
pub(crate) fn left_s(until: Option<&prost_types::Timestamp>) -> i64 {
    until.map_or(0, |until| until.seconds.saturating_sub(now_s()).max(0))
}

/// The moment so many seconds from now.
pub(crate) fn in_s(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: now_s().saturating_add(seconds),
        nanos: 0,
    }
}
