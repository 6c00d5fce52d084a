//! Durations as a person writes them: `1h30m`, `45m`, `20s`, by the same rules as on the command line and in a policy.

use std::fmt;
use std::str::FromStr;

/// The longest one taken, in seconds (12 h): no window and no wait is longer.
pub(crate) const LENGTH_MAX_S: u32 = 43_200;

/// A length of time: whole seconds, from 1 to [`LENGTH_MAX_S`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Length(u32);

impl Length {
    /// So many seconds; at least one, at most [`LENGTH_MAX_S`].
    pub(crate) const fn of_s(seconds: u32) -> Length {
        if seconds == 0 {
            Length(1)
        } else if seconds > LENGTH_MAX_S {
            Length(LENGTH_MAX_S)
        } else {
            Length(seconds)
        }
    }

    /// From the wire; `None` for what is no length.
    pub(crate) fn of_wire(duration: Option<&prost_types::Duration>) -> Option<Length> {
        let seconds = u32::try_from(duration?.seconds).ok()?;
        (1..=LENGTH_MAX_S)
            .contains(&seconds)
            .then_some(Length(seconds))
    }

    /// Seconds.
    pub(crate) fn as_s(self) -> u32 {
        self.0
    }

    /// For the wire.
    pub(crate) fn on_the_wire(self) -> prost_types::Duration {
        prost_types::Duration {
            seconds: i64::from(self.0),
            nanos: 0,
        }
    }
}

impl From<Length> for std::time::Duration {
    fn from(length: Length) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(length.0))
    }
}

/// The largest unit first: `1h30m`, `45m`, `20s`.
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.0 / 3_600, self.0 / 60 % 60, self.0 % 60);
        for (count, unit) in [(h, 'h'), (m, 'm'), (s, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Length {
    type Err = NotALength;

    /// Reads `1h30m`, `45m`, `20s`: each unit once, the largest first, no sign, no space.
    fn from_str(text: &str) -> Result<Length, NotALength> {
        let mut rest = text;
        let mut total: u32 = 0;
        for (unit, seconds) in [('h', 3_600), ('m', 60), ('s', 1)] {
            if let Some((digits, after)) = rest.split_once(unit) {
                let is_number =
                    (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
                if !is_number {
                    return Err(NotALength::Form);
                }
                let count: u32 = digits.parse().map_err(|_| NotALength::Form)?;
                total = total.saturating_add(count.saturating_mul(seconds));
                rest = after;
            }
        }
        if !rest.is_empty() || text.is_empty() {
            return Err(NotALength::Form);
        }
        match (1..=LENGTH_MAX_S).contains(&total) {
            true => Ok(Length(total)),
            false => Err(NotALength::Range),
        }
    }
}

/// Why a text is no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotALength {
    /// Not of the form `1h30m`.
    Form,
    /// Nothing, or longer than [`LENGTH_MAX_S`].
    Range,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_everywhere_in_writ() {
        for (text, seconds) in [
            ("20s", 20),
            ("45m", 2_700),
            ("1h", 3_600),
            ("1h30m", 5_400),
            ("1h30m5s", 5_405),
            ("90m", 5_400),
            ("12h", 43_200),
            ("43200s", 43_200),
            ("0h5m", 300),
        ] {
            assert_eq!(text.parse(), Ok(Length(seconds)), "{text}");
        }
        for text in [
            "", "45", "45 m", " 45m", "45m ", "+45m", "-45m", "1.5h", "1d", "30m1h", "1h1h", "m",
            "hm", "1H", "123456s", "１m", "45min", "PT45M",
        ] {
            assert_eq!(text.parse::<Length>(), Err(NotALength::Form), "{text}");
        }
        for text in ["0s", "0h0m", "12h1s", "43201s", "99999h"] {
            assert_eq!(text.parse::<Length>(), Err(NotALength::Range), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["20s", "45m", "1h", "1h30m", "1h5s", "12h"] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.to_string(), text);
        }
    }

    #[test]
    fn a_length_from_the_wire_is_checked_too() {
        let wire = |seconds| prost_types::Duration { seconds, nanos: 0 };
        assert_eq!(Length::of_wire(Some(&wire(60))), Some(Length(60)));
        for bad in [-1, 0, 43_201, i64::MAX] {
            assert_eq!(Length::of_wire(Some(&wire(bad))), None);
        }
        assert_eq!(Length::of_wire(None), None);
    }
}
