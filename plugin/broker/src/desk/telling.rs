//! Telling people without being asked: every notice that is due is given to the receiver, as often as it takes, and put on
//! record once it was taken.
//!
//! Given first and recorded afterwards: a crash in between gives it again under the same id, and never leaves it out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use writ_engine::decide::Standing;
use writ_engine::event::Fact;
use writ_engine::notice::{self, Due};
use writ_engine::{Bundle, Case, Moment, Notice, RequestId};

use super::revoking::{RETRY_MAX_S, RETRY_MIN_S};
use super::view::Announced;
use super::{Desk, random};
use crate::notices::Receiver;

/// How long an emergency may be on record and its notice not taken before each further attempt is an alarm, in seconds: time
/// for some attempts at a receiver that restarts.
pub const UNTOLD_ALARM_AFTER_S: u32 = 60;

/// How often it is looked for what the clock, the policy or a further event made due, in milliseconds; a new request is
/// noticed at once.
const LOOK_MS: u64 = 1_000;

/// The teller's own state: nothing of it is needed after a restart.
pub(super) struct Telling {
    receiver: Option<Receiver>,
    pub(super) woken: Notify,
    tried: Mutex<HashMap<(RequestId, Notice), Tried>>,
}

/// By the machine's timer, which nobody sets.
struct Tried {
    next: Instant,
    wait_s: u32,
}

impl Telling {
    pub(super) fn to(receiver: Option<Receiver>) -> Telling {
        Telling {
            receiver,
            woken: Notify::new(),
            tried: Mutex::default(),
        }
    }

    fn tried(&self) -> MutexGuard<'_, HashMap<(RequestId, Notice), Tried>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next attempt has to wait: twice as long as the last one, by chance a little less, or as long as was asked for.
    fn put_off(&self, id: &RequestId, notice: Notice, after: Option<Duration>) {
        let mut tried = self.tried();
        let entry = tried.entry((id.clone(), notice)).or_insert(Tried {
            next: Instant::now(),
            wait_s: RETRY_MIN_S,
        });
        entry.wait_s = entry.wait_s.saturating_mul(2).min(RETRY_MAX_S);
        let [chance] = random().unwrap_or([u8::MAX]);
        entry.next = Instant::now() + pause(entry.wait_s, chance, after);
    }
}

/// Between half of `wait_s` and all of it, but what the receiver asks for where that is longer; [`RETRY_MAX_S`] at most.
fn pause(wait_s: u32, chance: u8, after: Option<Duration>) -> Duration {
    let half_ms = u64::from(wait_s) * 500;
    let own = Duration::from_millis(half_ms + half_ms * u64::from(chance) / u64::from(u8::MAX));
    let most = Duration::from_secs(RETRY_MAX_S.into());
    own.max(after.unwrap_or_default()).min(most)
}

impl Desk {
    /// Whether people are told at all.
    pub fn gives_notices(&self) -> bool {
        self.telling.receiver.is_some()
    }

    /// Whether the people whom an emergency is announced to were told; `None` for what is no emergency.
    pub(super) fn announced(&self, case: &Case) -> Option<Announced> {
        case.request().break_glass?;
        Some(match case.notified(Notice::Emergency) {
            Some(at) => Announced::At(at),
            None if self.gives_notices() => Announced::Waiting,
            None => Announced::NotPossible,
        })
    }

    /// Waits until something may have to be told.
    pub async fn woken_to_tell(&self) {
        self.telling.woken.notified().await;
    }

    /// Gives the most urgent notice that is due, if there is one. One at a time: an emergency never waits behind all that a
    /// receiver has not taken. Answers how long to wait, unless woken before.
    pub async fn tell_next(&self) -> Duration {
        let look = Duration::from_millis(LOOK_MS);
        let Some(receiver) = &self.telling.receiver else {
            return look;
        };
        let (now, bundle) = (self.now(), self.bundle());
        self.cases.forget_told(now);
        let Some((id, due)) = self.next_notice(&bundle, now) else {
            return look;
        };
        self.give(receiver, &bundle, &id, due, now).await;
        Duration::ZERO
    }

    fn next_notice(&self, bundle: &Bundle, now: Moment) -> Option<(RequestId, Due)> {
        let cases = self.cases.read();
        let mut tried = self.telling.tried();
        tried.retain(|(id, _), _| cases.is_untold(id));
        let waits = |id: &RequestId, due: &Due| {
            let tried = tried.get(&(id.clone(), due.notice));
            tried.is_some_and(|tried| Instant::now() < tried.next)
        };
        let due = cases.untold().flat_map(|case| {
            let id = &case.request().id;
            notice::due(bundle, case, now).map(move |due| (id, due))
        });
        let due = due.filter(|(id, due)| !waits(id, due));
        let next = due.min_by_key(|(id, due)| (due.notice, due.since, *id));
        next.map(|(id, due)| (id.clone(), due))
    }

    async fn give(
        &self,
        receiver: &Receiver,
        bundle: &Bundle,
        id: &RequestId,
        due: Due,
        now: Moment,
    ) {
        let found = {
            let cases = self.cases.read();
            cases.get(id).map(|row| {
                let request = row.case.request();
                let standing = Standing::of(bundle.directory(), request, cases.emergencies());
                (row.case.clone(), standing)
            })
        };
        let Some((case, standing)) = found else {
            return;
        };
        let notice = due.notice;
        // Asked of the policy with the state let go: nobody's request waits for it.
        let people = notice::told(bundle, &case, standing, notice, now);
        // Nobody could do anything about it; the bundle may change. Of an emergency the receiver hears in any case.
        if people.is_empty() && notice != Notice::Emergency {
            return self.telling.put_off(id, notice, None);
        }
        let (answer, after) = match receiver.give(&case, due, &people, now).await {
            Ok(()) => {
                let fact = Fact::Notified {
                    request: id.clone(),
                    notice,
                    people: people.into_iter().collect(),
                };
                match self.append(self.now(), fact, Vec::new(), ()).await {
                    Ok(()) => {
                        self.telling.tried().remove(&(id.clone(), notice));
                        tracing::info!(request = %id, notice = notice.name(), "a notice was given");
                        return;
                    }
                    Err(error) => (format!("the journal did not record it: {error}"), None),
                }
            }
            Err(not_taken) => (not_taken.to_string(), not_taken.after),
        };
        self.telling.put_off(id, notice, after);
        let age_s = now.since_ms(due.since) / 1_000;
        match notice == Notice::Emergency && age_s >= i64::from(UNTOLD_ALARM_AFTER_S) {
            true => tracing::error!(
                request = %id,
                answer,
                age_s,
                "alarm: nobody was told of an emergency yet; trying on"
            ),
            false => tracing::warn!(
                request = %id,
                notice = notice.name(),
                answer,
                "a notice was not taken; trying on"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_waits_its_time_or_what_is_asked_and_never_more_than_five_minutes() {
        let after = |s| Some(Duration::from_secs(s));
        for (wait_s, chance, asked, expected_ms) in [
            (2, 0, None, 1_000),
            (2, 255, None, 2_000),
            (8, 127, None, 5_992),
            (2, 0, after(30), 30_000),
            (300, 255, after(30), 300_000),
            (300, 0, None, 150_000),
            (2, 0, after(86_400), 300_000),
        ] {
            let waits = pause(wait_s, chance, asked);
            assert_eq!(
                waits,
                Duration::from_millis(expected_ms),
                "{wait_s} {chance}"
            );
        }
    }
}
