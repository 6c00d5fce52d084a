//! What the block asks for.

use writ_api::v1;

use crate::arguments::{Reader, Setting};
use crate::diagnostic::Diagnostic;
use crate::duration::{LENGTH_MAX_S, Length};
use crate::run::Run;

const SECOND: Length = Length::of_s(1);
const LONGEST: Length = Length::of_s(LENGTH_MAX_S);

/// The shortest and the longest `linger`: what the broker takes.
const LINGER_MIN: Length = Length::of_s(30);
const LINGER_MAX: Length = Length::of_s(3_600);

/// `linger` where it is not given: time to read a plan and say yes.
const LINGER_DEFAULT: Length = Length::of_s(600);

/// `wait_timeout` where it is not given: an approver who is asked at the right moment answers in minutes.
const WAIT_DEFAULT: Length = Length::of_s(600);

/// `minimum_remaining` where it is not given, or half of `duration` where that is less: with less, most applies would
/// fail halfway.
const REMAINING_DEFAULT: Length = Length::of_s(120);

/// What makes two requests of one run the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    /// What is asked for.
    pub(crate) scope: String,
    /// For how long.
    pub(crate) duration: Length,
    /// Why.
    pub(crate) reason: String,
    /// With which ticket.
    pub(crate) ticket: Option<String>,
}

impl Wish {
    /// As the broker is asked.
    pub(crate) fn on_the_wire(&self, run: &Run, keep_for: Length) -> v1::CreateRequestRequest {
        v1::CreateRequestRequest {
            scope: self.scope.clone(),
            duration: Some(self.duration.on_the_wire()),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
            idempotency_key: None,
            run: Some(run.as_str().to_owned()),
            keep_for: Some(keep_for.on_the_wire()),
            // An emergency is asked for by a person, in so many words.
            break_glass: false,
        }
    }
}

/// The whole block, known and checked.
pub(crate) struct Wanted {
    /// What is asked for.
    pub(crate) wish: Wish,
    /// How long to wait for approvals.
    pub(crate) wait_timeout: Length,
    /// How long the credentials must still work.
    pub(crate) minimum_remaining: Length,
    /// Whether this is the apply, as far as anybody said so.
    pub(crate) applying: bool,
    /// How long to leave a window for the apply.
    pub(crate) linger: Length,
}

impl Wanted {
    /// Reads a block of which everything must be known by now; `None` when the reader has something to say.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Wanted> {
        let asked = Asked::read(reader);
        let scope = reader.required("scope", asked.scope);
        let duration = reader.required("duration", asked.duration);
        let reason = reader.required("reason", asked.reason);
        let ticket = reader.settled("ticket", asked.ticket);
        let wait_timeout = reader.settled("wait_timeout", asked.wait_timeout);
        let minimum_remaining = reader.settled("minimum_remaining", asked.minimum_remaining);
        let applying = reader.settled("applying", asked.applying);
        let linger = reader.settled("linger", asked.linger);
        if reader.has_problems() {
            return None;
        }
        let duration = duration?;
        Some(Wanted {
            wish: Wish {
                scope: scope?,
                duration,
                reason: reason?,
                ticket,
            },
            wait_timeout: wait_timeout.unwrap_or(WAIT_DEFAULT),
            minimum_remaining: minimum_remaining
                .unwrap_or_else(|| REMAINING_DEFAULT.min(Length::of_s(duration.as_s() / 2))),
            applying: applying.unwrap_or(false),
            linger: linger.unwrap_or(LINGER_DEFAULT),
        })
    }
}

/// Checks what is known of a block so far.
pub(crate) fn check(reader: &mut Reader<'_>) {
    let asked = Asked::read(reader);
    for (name, absent) in [
        ("scope", asked.scope == Setting::Absent),
        ("duration", asked.duration == Setting::Absent),
        ("reason", asked.reason == Setting::Absent),
    ] {
        if absent {
            reader.required::<()>(name, Setting::Absent);
        }
    }
}

/// The block, as far as it is known.
struct Asked {
    scope: Setting<String>,
    duration: Setting<Length>,
    reason: Setting<String>,
    ticket: Setting<String>,
    wait_timeout: Setting<Length>,
    minimum_remaining: Setting<Length>,
    applying: Setting<bool>,
    linger: Setting<Length>,
}

impl Asked {
    fn read(reader: &mut Reader<'_>) -> Asked {
        let asked = Asked {
            scope: reader.text("scope"),
            duration: reader.length("duration", SECOND, LONGEST),
            reason: reader.text("reason"),
            ticket: reader.text("ticket"),
            wait_timeout: reader.length("wait_timeout", SECOND, LONGEST),
            minimum_remaining: reader.length("minimum_remaining", SECOND, LONGEST),
            applying: reader.truth("applying"),
            linger: reader.length("linger", LINGER_MIN, LINGER_MAX),
        };
        if let (Setting::Known(duration), Setting::Known(least)) =
            (&asked.duration, &asked.minimum_remaining)
            && least > duration
        {
            reader.refuse(
                Diagnostic::error(
                    format!("`{least}` can never be left of a window of `{duration}`"),
                    "Ask for a longer `duration`, or be content with less than `minimum_remaining`.",
                )
                .on("minimum_remaining"),
            );
        }
        asked
    }
}
