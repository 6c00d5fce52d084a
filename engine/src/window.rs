//! Moments, durations, and the window between two moments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest window anyone can be given: the longest session STS can make (`MaxSessionDuration` ends at 43,200 s).
pub const WINDOW_MAX_S: u32 = 43_200;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// The engine never makes one up; whoever asks for a decision says what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Moment(i64);

impl TryFrom<i64> for Moment {
    type Error = WindowError;

    fn try_from(ms: i64) -> Result<Moment, WindowError> {
        Moment::from_ms(ms).ok_or_else(|| WindowError::NotAMoment(ms.to_string()))
    }
}

impl From<Moment> for i64 {
    fn from(moment: Moment) -> i64 {
        moment.0
    }
}

impl Moment {
    /// The earliest moment, 1970-01-01T00:00:00Z.
    pub const EPOCH: Moment = Moment(0);

    /// The latest moment a journal can hold, 9999-12-30T22:00:00.999Z: what RFC 3339 and Cedar can both write.
    pub const MAX: Moment = Moment(253_402_207_200_999);

    /// A moment from milliseconds since the epoch, or `None` before 1970 or after [`Moment::MAX`].
    pub fn from_ms(ms: i64) -> Option<Moment> {
        (0..=Moment::MAX.0).contains(&ms).then_some(Moment(ms))
    }

    /// Milliseconds since the epoch.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// The start of this moment's second: AWS reads session policies to the second.
    pub fn floor_s(self) -> Moment {
        Moment(self.0 - self.0.rem_euclid(1_000))
    }

    /// This moment and `duration` more, at most [`Moment::MAX`].
    pub fn plus(self, duration: Duration) -> Moment {
        self.plus_s(duration.as_s())
    }

    /// This moment and `seconds` more, at most [`Moment::MAX`].
    pub fn plus_s(self, seconds: u32) -> Moment {
        Moment(
            self.0
                .saturating_add(i64::from(seconds) * 1_000)
                .min(Moment::MAX.0),
        )
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is later.
    pub fn since_ms(self, earlier: Moment) -> i64 {
        self.0 - earlier.0
    }
}

/// RFC 3339 in UTC, to the second when the moment is a whole one: `2026-11-21T09:00:00Z`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl FromStr for Moment {
    type Err = WindowError;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Moment, WindowError> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|timestamp| Moment::from_ms(timestamp.as_millisecond()))
            .ok_or_else(|| WindowError::NotAMoment(text.to_owned()))
    }
}

/// How long a window is: whole seconds, from 1 to [`WINDOW_MAX_S`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Duration(u32);

impl Duration {
    /// A duration of `seconds`, or an error outside 1 ..= [`WINDOW_MAX_S`].
    pub fn from_s(seconds: u32) -> Result<Duration, WindowError> {
        if (1..=WINDOW_MAX_S).contains(&seconds) {
            Ok(Duration(seconds))
        } else {
            Err(WindowError::DurationOutOfRange(seconds.to_string()))
        }
    }

    /// Seconds.
    pub fn as_s(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Duration {
    type Error = WindowError;

    fn try_from(seconds: u32) -> Result<Duration, WindowError> {
        Duration::from_s(seconds)
    }
}

impl From<Duration> for u32 {
    fn from(duration: Duration) -> u32 {
        duration.0
    }
}

/// As Cedar's `duration("…")` writes it, largest unit first: `1h30m`, `45m`, `20s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.0 / 3_600, self.0 / 60 % 60, self.0 % 60);
        if h > 0 {
            write!(f, "{h}h")?;
        }
        if m > 0 {
            write!(f, "{m}m")?;
        }
        if s > 0 {
            write!(f, "{s}s")?;
        }
        Ok(())
    }
}

impl FromStr for Duration {
    type Err = WindowError;

    /// Reads `1h30m`, `45m`, `20s`: each unit once, largest first, no sign, no space.
    fn from_str(text: &str) -> Result<Duration, WindowError> {
        let bad = || WindowError::NotADuration(text.to_owned());
        let mut rest = text;
        let mut total: u32 = 0;
        for (unit, seconds) in [('h', 3_600), ('m', 60), ('s', 1)] {
            if let Some((digits, after)) = rest.split_once(unit) {
                if digits.is_empty()
                    || digits.len() > 5
                    || !digits.bytes().all(|b| b.is_ascii_digit())
                {
                    return Err(bad());
                }
                let count: u32 = digits.parse().map_err(|_| bad())?;
                total = total.saturating_add(count.saturating_mul(seconds));
                rest = after;
            }
        }
        if !rest.is_empty() || text.is_empty() {
            return Err(bad());
        }
        Duration::from_s(total).map_err(|_| WindowError::DurationOutOfRange(text.to_owned()))
    }
}

/// When access may exist: from `opens_at` (included) to `closes_at` (excluded), both whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "WindowFields", into = "WindowFields")]
pub struct Window {
    opens_at: Moment,
    closes_at: Moment,
}

#[derive(Serialize, Deserialize)]
struct WindowFields {
    opens_at: Moment,
    closes_at: Moment,
}

impl Window {
    /// The window between two whole seconds; refused when empty, backwards or longer than [`WINDOW_MAX_S`].
    pub fn new(opens_at: Moment, closes_at: Moment) -> Result<Window, WindowError> {
        if opens_at.floor_s() != opens_at || closes_at.floor_s() != closes_at {
            return Err(WindowError::NotWholeSeconds);
        }
        let length_ms = closes_at.since_ms(opens_at);
        if length_ms <= 0 {
            return Err(WindowError::Empty);
        }
        if length_ms > i64::from(WINDOW_MAX_S) * 1_000 {
            return Err(WindowError::DurationOutOfRange(format!(
                "{}s",
                length_ms / 1_000
            )));
        }
        Ok(Window {
            opens_at,
            closes_at,
        })
    }

    /// The window of `duration` that opens now. It starts with the current second, so at most one second is lost to
    /// rounding and none is gained.
    pub fn opening(now: Moment, duration: Duration) -> Result<Window, WindowError> {
        let opens_at = now.floor_s();
        Window::new(opens_at, opens_at.plus(duration))
    }

    /// The first moment of access.
    pub fn opens_at(self) -> Moment {
        self.opens_at
    }

    /// The first moment without access.
    pub fn closes_at(self) -> Moment {
        self.closes_at
    }

    /// From opening to closing.
    pub fn duration(self) -> Duration {
        // `new` keeps the length in 1 ..= WINDOW_MAX_S seconds, which fits.
        Duration(
            u32::try_from(self.closes_at.since_ms(self.opens_at) / 1_000).unwrap_or(WINDOW_MAX_S),
        )
    }

    /// Whether `moment` lies in the window.
    pub fn contains(self, moment: Moment) -> bool {
        self.opens_at <= moment && moment < self.closes_at
    }
}

impl TryFrom<WindowFields> for Window {
    type Error = WindowError;

    fn try_from(fields: WindowFields) -> Result<Window, WindowError> {
        Window::new(fields.opens_at, fields.closes_at)
    }
}

impl From<Window> for WindowFields {
    fn from(window: Window) -> WindowFields {
        WindowFields {
            opens_at: window.opens_at,
            closes_at: window.closes_at,
        }
    }
}

/// Why a moment, duration or window was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not RFC 3339, or outside 1970 to 9999.
    #[error("`{0}` is not a moment; write it like `2026-11-21T09:00:00Z`")]
    NotAMoment(String),
    /// Not of the form `1h30m`.
    #[error("`{0}` is not a duration; write it like `45m`, `1h30m` or `20s`")]
    NotADuration(String),
    /// Outside 1 s to 12 h.
    #[error("`{0}` is out of range; a window lasts from `1s` to `12h`")]
    DurationOutOfRange(String),
    /// Ends at or before its beginning.
    #[error("a window must close after it opens")]
    Empty,
    /// Has a fraction of a second.
    #[error("a window opens and closes on a whole second")]
    NotWholeSeconds,
}
