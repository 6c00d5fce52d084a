//! A moment as people type it: how far ahead it lies, a date, or RFC 3339.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use writ_engine::Moment;
use writ_engine::bundle::hcl::seconds;

/// Characters of a date: `2026-12-01`.
const DATE_LEN: usize = 10;

/// A moment as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So many seconds from now.
    Ahead(u32),
    /// Then.
    At(Moment),
}

impl When {
    /// The moment, for whoever typed it at `now`.
    pub(crate) fn after(self, now: Moment) -> Moment {
        match self {
            When::Ahead(seconds) => now.plus_s(seconds),
            When::At(moment) => moment,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        if let Some(seconds) = seconds(text).filter(|seconds| *seconds > 0) {
            return Ok(When::Ahead(seconds));
        }
        // A date is its first moment, in the time zone of everything that is printed.
        let date = (text.len() == DATE_LEN)
            .then(|| text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok())
            .flatten()
            .and_then(|zoned| Moment::from_ms(zoned.timestamp().as_millisecond()));
        date.or_else(|| text.parse().ok())
            .map(When::At)
            .ok_or_else(|| {
                "write it like `7d`, `12h`, `2026-12-01` or `2026-12-01T09:00:00Z`".to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_typed_as_people_say_it() {
        let now: Moment = "2026-11-21T09:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("7d", "2026-11-28T09:00:00Z"),
            ("1d12h", "2026-11-22T21:00:00Z"),
            ("30m", "2026-11-21T09:30:00Z"),
            ("20s", "2026-11-21T09:00:20Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z"),
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
            ("2026-12-01T10:00:00+01:00", "2026-12-01T09:00:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.after(now).to_string(), moment, "{text}");
        }
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_refused() {
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-7d",
            "7 d",
            "h7",
            "12h7d",
            "99999d",
            "2026-13-01",
            "01.12.2026",
            "2026-12-01 09:00",
            "2026-12-01T09:00",
            "tomorrow",
        ] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
