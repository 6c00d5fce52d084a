//! `ephemeral "writ_aws_credentials"`: from a wish to credentials, and to the window given back.
//!
//! `wish` reads the block, `held` is one request while this process needs it, `table` counts who does, `open` waits and
//! hands over the credentials, `close` ends.

mod close;
mod held;
mod open;
mod table;
mod wish;

use std::time::Duration;

use crate::duration::Length;

pub(crate) use open::{Opened, open};
pub(crate) use table::Table;
pub(crate) use wish::{Wanted, check};

/// How often things are done while a request is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long the broker keeps a request of which nothing is heard: three lost heartbeats.
    pub(crate) keep_for: Length,
    /// From one heartbeat to the next.
    pub(crate) heartbeat: Duration,
    /// The first pause before trying again; it doubles.
    pub(crate) pause_min: Duration,
    /// The longest pause before trying again.
    pub(crate) pause_max: Duration,
    /// How long giving back may take: Terraform waits for it, and kills a provider that takes too long.
    pub(crate) give_back: Duration,
}

impl Pace {
    /// What people are served with; tests are in more of a hurry.
    pub(crate) const USUAL: Pace = Pace {
        keep_for: Length::of_s(90),
        heartbeat: Duration::from_secs(30),
        pause_min: Duration::from_secs(1),
        pause_max: Duration::from_secs(15),
        give_back: Duration::from_secs(8),
    };
}

/// Attempts to make a request, or to have credentials issued, before the broker counts as gone. A request is found again by
/// its run; a session too many ends with its window.
const TRIES_MAX: u32 = 3;

#[cfg(test)]
mod tests;
