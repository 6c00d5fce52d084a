//! Clocks that leap, go back and stand still: no window opens late or lasts longer, and ends are heard all the same.

use super::*;
use crate::clock::CLOCK_SETTLE_S;

const YEAR: i64 = 365 * DAY;

/// One window open, one approved, one wish that waits, and one window with a longer one that waits.
struct Open {
    active: v1::Request,
    approved: String,
    pending: String,
    extended: String,
}

async fn open(world: &Grants) -> Open {
    let (sam, mia, pat) = (
        world.person("sam").await,
        world.person("mia").await,
        world.person("pat").await,
    );
    let asked = sam.ask(want("ledger-read", HOUR)).await.unwrap();
    let active = sam.issue(&asked.id).await.unwrap();
    let approved = mia.ask(want("ledger-read", HOUR)).await.unwrap().id;
    pat.approve(&approved).await.unwrap();
    let pending = mia.ask(want("ledger-read", HOUR)).await.unwrap().id;
    let extended = mia.ask(want("ledger-read", HOUR)).await.unwrap().id;
    pat.approve(&extended).await.unwrap();
    mia.issue(&extended).await.unwrap();
    mia.extend(&extended, 2 * HOUR).await.unwrap();
    Open {
        active,
        approved,
        pending,
        extended,
    }
}

impl Open {
    /// Asks for everything that a window could come of, and says how each is answered.
    async fn words(&self, world: &Grants) -> [(&'static str, Answer); 5] {
        let (sam, mia, pat) = (
            world.person("sam").await,
            world.person("mia").await,
            world.person("pat").await,
        );
        [
            ("renew", sam.issue(&self.active.id).await),
            ("extend", sam.extend(&self.active.id, 2 * HOUR).await),
            ("approve a longer window", pat.approve(&self.extended).await),
            ("activate", mia.issue(&self.approved).await),
            ("approve", pat.approve(&self.pending).await),
        ]
    }

    async fn nothing_but(&self, world: &Grants, why: Reason) {
        let calls = world.sts.calls().len();
        for (word, answer) in self.words(world).await {
            assert_eq!(refused(answer), why, "{word}");
        }
        assert_eq!(world.sts.calls().len(), calls);
    }

    /// All of it is over by the broker's clock.
    async fn all_over(&self, world: &Grants) {
        self.nothing_but(world, Reason::WrongState).await;
        let zoe = world.person("zoe").await;
        for (id, end) in [
            (&self.active.id, "EXPIRED"),
            (&self.extended, "EXPIRED"),
            (&self.approved, "LAPSED"),
            (&self.pending, "LAPSED"),
        ] {
            assert_eq!(state(&zoe.show(id).await.unwrap()), end);
        }
    }
}

/// By AWS's clock and its policy no session is good past its window, whatever ours said.
fn every_session_closes_with_its_window(world: &Grants, request: &v1::Request) {
    let calls = world.sts.calls_of(&request.id);
    assert!(!calls.is_empty());
    for call in calls {
        assert_eq!(
            call.closes_at.as_ms() / 1_000,
            window(request).1,
            "{call:?}"
        );
    }
}

#[tokio::test]
async fn a_leap_ahead_is_doubted_first_and_ends_what_it_passes_once_it_stands() {
    for leap in [HOUR, YEAR] {
        let world = grants().await;
        let open = open(&world).await;
        world.pass(30 * MINUTE);
        world.set_wall_by(leap);
        open.nothing_but(&world, Reason::ClockBehind).await;
        assert_eq!(
            window(
                &world
                    .person("sam")
                    .await
                    .show(&open.active.id)
                    .await
                    .unwrap()
            ),
            window(&open.active)
        );
        world.pass(i64::from(CLOCK_SETTLE_S) - 1);
        open.nothing_but(&world, Reason::ClockBehind).await;
        world.pass(1);
        match leap {
            YEAR => open.all_over(&world).await,
            _ => {
                let zoe = world.person("zoe").await;
                assert_eq!(state(&zoe.show(&open.active.id).await.unwrap()), "EXPIRED");
                assert_eq!(
                    refused(world.person("sam").await.issue(&open.active.id).await),
                    Reason::WrongState
                );
                // What had not begun has its own clocks still.
                world
                    .person("mia")
                    .await
                    .issue(&open.approved)
                    .await
                    .unwrap();
            }
        }
        every_session_closes_with_its_window(&world, &open.active);
    }
}

#[tokio::test]
async fn a_leap_that_is_taken_back_in_time_has_ended_nothing() {
    for leap in [HOUR, YEAR] {
        let world = grants().await;
        let open = open(&world).await;
        world.set_wall_by(leap);
        open.nothing_but(&world, Reason::ClockBehind).await;
        world.pass(i64::from(CLOCK_SETTLE_S) - 1);
        world.set_wall_by(-leap);
        for (word, answer) in open.words(&world).await {
            assert!(answer.is_ok(), "{word}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_revives_and_lengthens_nothing_until_it_has_caught_up() {
    for back in [HOUR, YEAR] {
        let world = grants().await;
        let open = open(&world).await;
        world.pass(30 * MINUTE);
        let then = world.now();
        world.set_wall_by(-back);
        open.nothing_but(&world, Reason::ClockBehind).await;
        assert_eq!(world.now(), then, "the broker's time stands still");
        // Five seconds are skew; until then nothing is given, by this broker or by the next on its journal.
        world.pass(HOUR - 6);
        open.nothing_but(&world, Reason::ClockBehind).await;
        let world = world.behind(-back + HOUR - 6, then).await;
        open.nothing_but(&world, Reason::ClockBehind).await;
        if back == HOUR {
            // It has caught up with itself, an hour late. The window is where it was, and AWS knows that it is over.
            world.pass(6);
            let late = world
                .person("sam")
                .await
                .issue(&open.active.id)
                .await
                .unwrap();
            assert_eq!(window(&late), window(&open.active));
            let last = world.sts.calls_of(&open.active.id).pop().unwrap();
            assert!(last.closes_at < last.at);
        }
        every_session_closes_with_its_window(&world, &open.active);
    }
}

#[tokio::test]
async fn a_window_that_was_over_stays_over_when_the_clock_goes_back() {
    for back in [HOUR, YEAR] {
        let world = grants().await;
        let open = open(&world).await;
        world.pass(25 * HOUR);
        open.all_over(&world).await;
        world.set_wall_by(-back - 25 * HOUR);
        let zoe = world.person("zoe").await;
        assert_eq!(state(&zoe.show(&open.active.id).await.unwrap()), "EXPIRED");
        for (word, answer) in open.words(&world).await {
            let why = refused(answer);
            assert!(
                [Reason::ClockBehind, Reason::WrongState].contains(&why),
                "{word}: {why:?}"
            );
        }
        assert_eq!(world.sts.calls_of(&open.active.id).len(), 1);
    }
}

#[tokio::test]
async fn whatever_the_clock_does_what_has_begun_can_be_ended() {
    for leap in [-YEAR, -HOUR, HOUR, YEAR] {
        let world = grants().await;
        let open = open(&world).await;
        world.pass(MINUTE);
        world.set_wall_by(leap);
        let (sam, mia, pat, zoe) = (
            world.person("sam").await,
            world.person("mia").await,
            world.person("pat").await,
            world.person("zoe").await,
        );
        assert_eq!(
            state(&sam.release(&open.active.id).await.unwrap()),
            "RELEASED",
            "{leap}"
        );
        assert_eq!(
            state(&mia.withdraw(&open.approved).await.unwrap()),
            "WITHDRAWN",
            "{leap}"
        );
        assert_eq!(
            state(&pat.deny(&open.pending).await.unwrap()),
            "DENIED",
            "{leap}"
        );
        assert_eq!(
            state(&zoe.revoke(&open.extended).await.unwrap()),
            "REVOKED",
            "{leap}"
        );
        // And it stays so after a restart, at whatever moment that is.
        let world = world.restarted().await;
        let zoe = world.person("zoe").await;
        for (id, end) in [(&open.active.id, "RELEASED"), (&open.extended, "REVOKED")] {
            assert_eq!(state(&zoe.show(id).await.unwrap()), end, "{leap}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_stands_still_gives_nothing_and_ends_are_heard_all_the_same() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let asked = sam.ask(want("ledger-read", HOUR)).await.unwrap();
    let open = sam.issue(&asked.id).await.unwrap();
    // Two hours pass, of which the wall clock knows nothing. Back first: a look in between must not see it ahead.
    for _ in 0..120 {
        world.set_wall_by(-MINUTE);
        world.pass(MINUTE);
    }
    assert_eq!(world.now(), noon());
    assert_eq!(refused(sam.issue(&asked.id).await), Reason::ClockBehind);
    let longer = sam.extend(&asked.id, HOUR + MINUTE).await;
    assert_eq!(refused(longer), Reason::ClockBehind);
    for call in world.sts.calls_of(&asked.id) {
        assert_eq!(call.at, noon(), "{call:?}");
    }
    assert_eq!(state(&sam.release(&asked.id).await.unwrap()), "RELEASED");
    assert_eq!(length_s(&open), HOUR);
}

impl Grants {
    /// Another broker on the same journal, whose wall clock is `seconds` from the moment the first one had reached.
    async fn behind(self, seconds: i64, reached: Moment) -> Grants {
        let world = self.restarted().await;
        assert_eq!(world.now(), reached);
        let wall = Moment::from_ms(reached.as_ms() + seconds * 1_000).unwrap();
        world.hand.jump(wall);
        world.wall_ms.store(wall.as_ms(), Ordering::Relaxed);
        world
    }
}
