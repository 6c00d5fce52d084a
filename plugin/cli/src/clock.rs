//! The command line's one clock, and moments and durations as people and scripts read them.

use writ_engine::{Duration, Moment};

/// Now, by this machine's clock: only ever used to say how long something still takes.
pub(crate) fn now() -> Moment {
    Moment::from_ms(jiff::Timestamp::now().as_millisecond()).unwrap_or(Moment::MAX)
}

/// A moment from the wire, if it is one.
pub(crate) fn moment(timestamp: Option<&prost_types::Timestamp>) -> Option<Moment> {
    let timestamp = timestamp?;
    let ms = timestamp
        .seconds
        .checked_mul(1_000)?
        .checked_add(i64::from(timestamp.nanos / 1_000_000))?;
    Moment::from_ms(ms)
}

/// RFC 3339 in UTC; `?` for what is no moment.
pub(crate) fn rfc3339(timestamp: Option<&prost_types::Timestamp>) -> String {
    moment(timestamp).map_or_else(|| "?".to_owned(), |moment| moment.to_string())
}

/// RFC 3339 to the second, for people: `2026-11-21T09:00:00Z`.
pub(crate) fn to_the_second(timestamp: Option<&prost_types::Timestamp>) -> String {
    moment(timestamp).map_or_else(|| "?".to_owned(), |moment| moment.floor_s().to_string())
}

/// How far a moment lies ahead, in its two largest units: `44m10s`, `2h3m`; `now` when it has passed.
pub(crate) fn ahead(now: Moment, timestamp: Option<&prost_types::Timestamp>) -> String {
    let Some(moment) = moment(timestamp) else {
        return "?".to_owned();
    };
    in_two_units(moment.since_ms(now))
}

/// How far a moment lies back, in the same words.
pub(crate) fn behind(now: Moment, timestamp: Option<&prost_types::Timestamp>) -> String {
    let Some(moment) = moment(timestamp) else {
        return "?".to_owned();
    };
    in_two_units(now.since_ms(moment))
}

fn in_two_units(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (d, h, m, s) = (
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (d, h, m, s) {
        (0, 0, 0, 0) => "now".to_owned(),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, 0, _, _) => format!("{d}d"),
        (d, h, _, _) => format!("{d}d{h}h"),
    }
}

/// A moment of the wire and a duration more, to the second.
pub(crate) fn plus(
    timestamp: Option<&prost_types::Timestamp>,
    duration: Option<&prost_types::Duration>,
) -> String {
    let seconds = duration.and_then(|duration| u32::try_from(duration.seconds).ok());
    match (moment(timestamp), seconds) {
        (Some(moment), Some(seconds)) => moment.plus_s(seconds).floor_s().to_string(),
        (None, _) | (_, None) => "?".to_owned(),
    }
}

/// A moment for the wire.
pub(crate) fn timestamp(moment: Moment) -> prost_types::Timestamp {
    let nanos = moment.as_ms().rem_euclid(1_000) * 1_000_000;
    prost_types::Timestamp {
        seconds: moment.as_ms().div_euclid(1_000),
        nanos: i32::try_from(nanos).unwrap_or(0),
    }
}

/// A window's length from the wire, as Cedar writes it: `1h30m`.
pub(crate) fn length(duration: Option<&prost_types::Duration>) -> String {
    let seconds = duration.map_or(0, |duration| duration.seconds);
    u32::try_from(seconds)
        .ok()
        .and_then(|seconds| Duration::from_s(seconds).ok())
        .map_or_else(|| format!("{seconds}s"), |duration| duration.to_string())
}

/// A duration for the wire.
pub(crate) fn on_the_wire(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::from(duration.as_s()),
        nanos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn a_distance_is_told_in_its_two_largest_units() {
        let now = Moment::from_ms(0).unwrap();
        for (seconds, text) in [
            (-5, "?"),
            (0, "now"),
            (20, "20s"),
            (60, "1m"),
            (2_650, "44m10s"),
            (3_600, "1h"),
            (7_380, "2h3m"),
            (90_000, "1d1h"),
            (172_800, "2d"),
        ] {
            assert_eq!(ahead(now, at(seconds).as_ref()), text, "{seconds}");
        }
        assert_eq!(
            ahead(Moment::from_ms(9_000).unwrap(), at(3).as_ref()),
            "now"
        );
    }

    #[test]
    fn a_moment_out_of_range_is_not_made_up() {
        assert_eq!(rfc3339(None), "?");
        assert_eq!(rfc3339(at(i64::MAX).as_ref()), "?");
        assert_eq!(rfc3339(at(1_795_251_600).as_ref()), "2026-11-21T09:00:00Z");
    }
}
