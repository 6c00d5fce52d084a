//! Between the wire and the engine: the only module that knows both protobuf and engine types.
//!
//! `fields` reads what callers send, and refuses by the field's name; the others write what they get.

mod decision;
pub(crate) mod fields;
mod problem;
mod record;
mod view;

pub use decision::decision;
pub(crate) use decision::offer;
pub(crate) use problem::{About, problem, shutting_down};
pub(crate) use record::event;
pub(crate) use view::{delegation, issued, next_edge, request};

use writ_engine::{Duration, Moment};

fn timestamp(moment: Moment) -> prost_types::Timestamp {
    let ms = moment.as_ms();
    prost_types::Timestamp {
        seconds: ms.div_euclid(1_000),
        // Below 1,000,000,000 by the remainder, so it fits.
        nanos: i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0),
    }
}

fn span(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::from(duration.as_s()),
        nanos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_milliseconds() {
        let moment = Moment::from_ms(1_763_716_496_789).unwrap();
        let sent = timestamp(moment);
        assert_eq!((sent.seconds, sent.nanos), (1_763_716_496, 789_000_000));
    }
}
