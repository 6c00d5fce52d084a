//! The one place that asks what time it is.
//!
//! Two clocks are read. The machine's *wall clock* says what time it is, but can be set to anything; its *timer* cannot be
//! set, but only says how much time has passed. The broker's time, the *mark*, never goes back: it starts at the last
//! moment the journal holds and follows the wall clock forward. When the two clocks disagree nothing is issued:
//!
//! - the wall clock is **behind** the mark: somebody set it back, or the journal was written under a clock that was ahead.
//!   A window that has ended would open again. The mark stands still until the wall clock has caught up.
//! - the wall clock **lags**: it stands still, or goes slower than the timer. Windows would be open for longer than they say.
//! - the wall clock **leapt** ahead of the timer: it was set forward, or the machine slept. The leap is not believed at
//!   once, since the mark could not be taken back: one bad second would lock the broker for as long as the leap was long,
//!   and, through the journal, over restarts. The mark goes on with the timer; a leap that stands for
//!   [`CLOCK_SETTLE_S`] is believed, and ends the windows that it passes.
//!
//! Reading, denying, releasing and revoking go on in both cases, with [`Clock::now`]. Not seen from in here: a clock that
//! was wrong before the broker started and stayed so. AWS ends every session by its own clock in any case.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use writ_engine::Moment;

/// How far the wall clock may be behind the mark, in seconds: what design section 7 (invariant 7) grants to clock skew,
/// and more than an NTP client ever slews away at once.
pub const CLOCK_BACK_MAX_S: u32 = 5;

/// How far the wall clock may fall behind the timer, in seconds, within [`CLOCK_LAG_OVER_S`]: twice what it may be set back
/// by, for a time service may have done that once.
pub const CLOCK_LAG_MAX_S: u32 = 2 * CLOCK_BACK_MAX_S;

/// The time over which the two are compared for that, in seconds: honest corrections of months do not add up.
pub const CLOCK_LAG_OVER_S: u32 = 600;

/// How far the wall clock may run ahead of the timer between two readings, in seconds. The kernel disciplines both by the
/// same rate, so an honest difference is a leap second or a step at start; a minute is far from either.
pub const CLOCK_AHEAD_MAX_S: u32 = 60;

/// How long a leap must stand before it is believed, in seconds: long enough for a time service's correction of its own
/// first step, short enough to wait for after a laptop wakes.
pub const CLOCK_SETTLE_S: u32 = 30;

/// The broker's clock. Share one in an `Arc`: two clocks would have two marks.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
enum Source {
    Machine { started: Instant },
    Manual(Arc<Mutex<Reading>>),
}

/// One look at both clocks.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Moment,
    /// Milliseconds since the clock was made.
    timer_ms: i64,
}

#[derive(Debug)]
struct Seen {
    mark: Moment,
    /// The timer when the mark was set by the wall clock; `None` before the first reading.
    timer_ms: Option<i64>,
    /// The timer when the present leap was first seen.
    leapt_ms: Option<i64>,
    /// The reading that the wall clock's pace is measured from.
    paced: Option<Reading>,
}

impl Clock {
    /// The machine's clock, never earlier than `mark`: the moment of the journal's last event.
    pub fn starting_at(mark: Moment) -> Clock {
        Clock::over(
            Source::Machine {
                started: Instant::now(),
            },
            mark,
        )
    }

    /// A clock for tests, and the hand that moves it.
    pub fn manual(now: Moment) -> (Clock, ManualHand) {
        let reading = Arc::new(Mutex::new(Reading {
            wall: now,
            timer_ms: 0,
        }));
        let hand = ManualHand(Arc::clone(&reading));
        (Clock::over(Source::Manual(reading), now), hand)
    }

    fn over(source: Source, mark: Moment) -> Clock {
        Clock {
            source,
            seen: Mutex::new(Seen {
                mark,
                timer_ms: None,
                leapt_ms: None,
                paced: None,
            }),
        }
    }

    /// Raises the mark to `moment`: the last one that a journal, opened after this clock was made, holds.
    pub fn not_before(&self, moment: Moment) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.mark = seen.mark.max(moment);
    }

    /// The broker's time: never earlier than any moment it gave before. For showing, recording and ending things; before
    /// anything is issued or approved, ask [`Clock::trusted`].
    pub fn now(&self) -> Moment {
        self.look().0
    }

    /// The broker's time, or why nothing may be issued by it.
    pub fn trusted(&self) -> Result<Moment, ClockError> {
        let (now, doubt) = self.look();
        doubt.map_or(Ok(now), Err)
    }

    fn look(&self) -> (Moment, Option<ClockError>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = self.source.read();
        let doubt = seen.take_in(reading);
        (seen.mark, doubt)
    }
}

impl Source {
    fn read(&self) -> Reading {
        match self {
            Source::Machine { started } => Reading {
                wall: wall_clock(),
                timer_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
            },
            Source::Manual(reading) => *reading.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A clock outside 1970 to 9999 reads as the nearer end: behind every mark, or a leap.
fn wall_clock() -> Moment {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(_) => 0,
    };
    Moment::from_ms(ms).unwrap_or(Moment::MAX)
}

impl Seen {
    /// Moves the mark by a reading, or says why the reading is doubted.
    fn take_in(&mut self, reading: Reading) -> Option<ClockError> {
        let ahead_ms = reading.wall.since_ms(self.mark);
        if ahead_ms < -(i64::from(CLOCK_BACK_MAX_S) * 1_000) {
            self.leapt_ms = None;
            return Some(ClockError::Behind {
                by_ms: ahead_ms.saturating_neg(),
            });
        }
        let passed_ms = match self.timer_ms {
            Some(then_ms) => reading.timer_ms.saturating_sub(then_ms),
            // Nothing was seen before: how long the broker was down is not known.
            None => ahead_ms,
        };
        let leap_ms = ahead_ms.saturating_sub(passed_ms);
        if leap_ms > i64::from(CLOCK_AHEAD_MAX_S) * 1_000 {
            let since_ms = *self.leapt_ms.get_or_insert(reading.timer_ms);
            let stood_ms = reading.timer_ms.saturating_sub(since_ms);
            if stood_ms < i64::from(CLOCK_SETTLE_S) * 1_000 {
                let by_timer = self.mark.as_ms().saturating_add(passed_ms.max(0));
                self.mark = Moment::from_ms(by_timer).unwrap_or(Moment::MAX);
                self.timer_ms = Some(reading.timer_ms);
                return Some(ClockError::Leapt { by_ms: leap_ms });
            }
        }
        self.leapt_ms = None;
        let lag_ms = self.lag_ms(reading);
        if lag_ms > i64::from(CLOCK_LAG_MAX_S) * 1_000 {
            return Some(ClockError::Lags { by_ms: lag_ms });
        }
        self.timer_ms = Some(reading.timer_ms);
        self.mark = self.mark.max(reading.wall);
        None
    }

    /// By how much less the wall clock went on than the timer did.
    fn lag_ms(&mut self, reading: Reading) -> i64 {
        let from = *self.paced.get_or_insert(reading);
        let timer_ms = reading.timer_ms.saturating_sub(from.timer_ms);
        let lag_ms = timer_ms.saturating_sub(reading.wall.since_ms(from.wall));
        let honest = lag_ms <= i64::from(CLOCK_LAG_MAX_S) * 1_000;
        let long_ago = timer_ms >= i64::from(CLOCK_LAG_OVER_S) * 1_000;
        // A clock that went ahead, and was believed, is measured from there.
        if lag_ms < 0 || (honest && long_ago) {
            self.paced = Some(reading);
        }
        lag_ms
    }
}

/// Why the time is not good enough to issue by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The wall clock is behind what was already recorded or seen.
    #[error(
        "the machine's clock is {by_ms} ms behind the last recorded moment; set it right, and nothing else is needed"
    )]
    Behind {
        /// Milliseconds.
        by_ms: i64,
    },
    /// The wall clock went on by less than the time that passed.
    #[error(
        "the machine's clock fell {by_ms} ms behind the time that passed; set it right, and nothing else is needed"
    )]
    Lags {
        /// Milliseconds.
        by_ms: i64,
    },
    /// The wall clock went ahead by more than the time that passed.
    #[error("the machine's clock leapt {by_ms} ms ahead; it is believed when it stands for 30 s")]
    Leapt {
        /// Milliseconds.
        by_ms: i64,
    },
}

/// Moves a manual clock. For tests.
#[derive(Debug, Clone)]
pub struct ManualHand(Arc<Mutex<Reading>>);

impl ManualHand {
    /// Lets time pass: both clocks go on.
    pub fn advance_ms(&self, ms: u32) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.timer_ms = reading.timer_ms.saturating_add(i64::from(ms));
        reading.wall = Moment::from_ms(reading.wall.as_ms().saturating_add(i64::from(ms)))
            .unwrap_or(Moment::MAX);
    }

    /// Lets time pass until `moment`; nothing happens when it is past.
    pub fn wait_until(&self, moment: Moment) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = moment.since_ms(reading.wall);
        if ms > 0 {
            reading.timer_ms = reading.timer_ms.saturating_add(ms);
            reading.wall = moment;
        }
    }

    /// What the wall clock says.
    pub fn wall(&self) -> Moment {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall
    }

    /// Sets the wall clock without any time having passed, as a person or a broken time service does.
    pub fn jump(&self, wall: Moment) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noon() -> Moment {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn later_ms(moment: Moment, ms: i64) -> Moment {
        Moment::from_ms(moment.as_ms() + ms).unwrap()
    }

    #[test]
    fn time_that_passes_is_trusted() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.advance_ms(86_400_000);
        assert_eq!(clock.trusted(), Ok(later_ms(noon(), 86_400_000)));
    }

    #[test]
    fn five_seconds_back_is_skew_and_more_stops_issuing_until_the_clock_has_caught_up() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.jump(later_ms(noon(), -5_000));
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.jump(later_ms(noon(), -5_001));
        assert_eq!(clock.trusted(), Err(ClockError::Behind { by_ms: 5_001 }));
        assert_eq!(clock.now(), noon());
        hand.advance_ms(1);
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.advance_ms(5_001);
        assert_eq!(clock.trusted(), Ok(later_ms(noon(), 1)));
    }

    #[test]
    fn a_clock_behind_the_journal_stops_issuing_from_the_first_reading() {
        let ahead = later_ms(wall_clock(), 3_600_000);
        let clock = Clock::starting_at(ahead);
        assert!(matches!(clock.trusted(), Err(ClockError::Behind { .. })));
        assert_eq!(clock.now(), ahead);
        let before = later_ms(wall_clock(), -3_600_000);
        assert!(Clock::starting_at(before).trusted().is_ok());
    }

    #[test]
    fn a_leap_that_is_taken_back_leaves_no_trace() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.trusted(), Ok(noon()));
        let year_ms = 365 * 86_400_000;
        hand.jump(later_ms(noon(), year_ms));
        assert_eq!(clock.trusted(), Err(ClockError::Leapt { by_ms: year_ms }));
        hand.advance_ms(10_000);
        assert!(clock.trusted().is_err());
        assert_eq!(clock.now(), later_ms(noon(), 10_000));
        hand.jump(later_ms(noon(), 10_000));
        assert_eq!(clock.trusted(), Ok(later_ms(noon(), 10_000)));
    }

    #[test]
    fn a_leap_that_stands_is_believed_and_its_way_back_stops_issuing() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.jump(later_ms(noon(), 3_600_000));
        assert!(clock.trusted().is_err());
        hand.advance_ms(29_999);
        assert!(clock.trusted().is_err());
        hand.advance_ms(1);
        assert_eq!(clock.trusted(), Ok(later_ms(noon(), 3_630_000)));
        hand.jump(later_ms(noon(), 30_000));
        assert_eq!(
            clock.trusted(),
            Err(ClockError::Behind { by_ms: 3_600_000 })
        );
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_too_slowly_is_not_trusted_until_it_is_right_again() {
        for pace_ms in [0, 500, 900] {
            let (clock, hand) = Clock::manual(noon());
            assert_eq!(clock.trusted(), Ok(noon()));
            // Seconds go by, of which the wall clock knows a part.
            let mut doubted = None;
            for second in 1..=300i64 {
                hand.advance_ms(1_000);
                hand.jump(later_ms(noon(), second * pace_ms));
                if clock.trusted().is_err() {
                    doubted.get_or_insert(second);
                }
            }
            let lost_ms = doubted.unwrap() * (1_000 - pace_ms);
            assert!((10_000..=11_000).contains(&lost_ms), "{pace_ms}: {lost_ms}");
            assert!(matches!(clock.trusted(), Err(ClockError::Lags { .. })));
            hand.jump(later_ms(noon(), 300_000));
            assert_eq!(clock.trusted(), Ok(later_ms(noon(), 300_000)), "{pace_ms}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_now_and_then_is_trusted() {
        let (clock, hand) = Clock::manual(noon());
        for hour in 1..=50i64 {
            for _ in 0..60 {
                hand.advance_ms(60_000);
                assert!(clock.trusted().is_ok(), "{hour}");
            }
            hand.jump(later_ms(noon(), hour * (3_600_000 - 3_000)));
            assert!(clock.trusted().is_ok(), "{hour}");
        }
    }

    #[test]
    fn a_minute_ahead_is_followed_and_more_is_a_leap() {
        let (clock, hand) = Clock::manual(noon());
        assert_eq!(clock.trusted(), Ok(noon()));
        hand.jump(later_ms(noon(), 60_000));
        assert_eq!(clock.trusted(), Ok(later_ms(noon(), 60_000)));
        hand.jump(later_ms(noon(), 120_001));
        assert!(clock.trusted().is_err());
    }

    proptest! {
        #[test]
        fn the_time_never_goes_back_whatever_the_clock_does(
            steps in prop::collection::vec((any::<bool>(), -90_000_000i64..90_000_000), 1..60),
        ) {
            let (clock, hand) = Clock::manual(noon());
            let mut wall = noon();
            let mut last = clock.now();
            for (jumps, ms) in steps {
                if jumps {
                    wall = later_ms(wall, ms);
                    hand.jump(wall);
                } else {
                    let passed = u32::try_from(ms.unsigned_abs()).unwrap();
                    wall = later_ms(wall, i64::from(passed));
                    hand.advance_ms(passed);
                }
                let now = clock.now();
                prop_assert!(now >= last);
                // What is trusted is never earlier than the wall clock.
                if let Ok(trusted) = clock.trusted() {
                    prop_assert!(trusted >= wall);
                }
                last = clock.now();
            }
        }
    }
}
