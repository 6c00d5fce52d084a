//! Going on when the broker goes away: what is worth another try, how long the pause before it is, and what is said of it.

use std::time::Duration;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::escape;

/// The longest pause between two attempts to reach a broker that went away, in seconds.
const PAUSE_MAX_S: u64 = 15;

/// The patience of one long wait. It has no end of its own: whoever waits has a deadline.
pub(crate) struct Patience {
    pause_s: u64,
    /// Whether it was said that the broker is away.
    away: bool,
    /// Whether the token was refused since the broker last answered.
    refused: bool,
}

impl Patience {
    /// A fresh one.
    pub(crate) fn new() -> Patience {
        Patience {
            pause_s: 1,
            away: false,
            refused: false,
        }
    }

    /// The broker answers: whatever fails next is a trouble of its own.
    pub(crate) fn heard(&mut self, context: &Context) {
        if self.away {
            context.say("the broker is back");
        }
        *self = Patience::new();
    }

    /// A stream of answers ended. Pauses, or gives the failure back that no other try helps against.
    pub(crate) async fn pause(
        &mut self,
        context: &Context,
        ended: Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Err(failure) = ended
            && let Some(said) = self.bear(failure)?
        {
            context.say(&said);
        }
        tokio::time::sleep(Duration::from_secs(self.pause_s)).await;
        self.pause_s = (self.pause_s * 2).min(PAUSE_MAX_S);
        Ok(())
    }

    /// What to say of a failure that another try may help against; any other comes back.
    fn bear(&mut self, failure: Failure) -> Result<Option<String>, Failure> {
        if failure.exit == Exit::Unreachable {
            let said = format!(
                "the broker went away ({}); trying again",
                escape(&failure.message)
            );
            return Ok((!std::mem::replace(&mut self.away, true)).then_some(said));
        }
        // A stream ends with the token it was opened with; connecting again reads a fresh one. Twice in a row is once too
        // often.
        if failure.exit == Exit::NotAuthenticated && !self.refused {
            self.refused = true;
            return Ok(None);
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use writ_api::problem::{Problem, Reason};

    use super::*;

    /// What is made of a status that a call ended with.
    fn borne(patience: &mut Patience, status: tonic::Status) -> Result<Option<String>, Exit> {
        patience
            .bear(Failure::from(status))
            .map_err(|failure| failure.exit)
    }

    #[test]
    fn a_connection_that_breaks_is_borne_and_the_brokers_no_is_not() {
        let word = |reason| Problem::new(reason, "the broker's word").into_status();
        let table = [
            // What a client sees of a broker killed in the middle of a stream, of none at all, and of a proxy before it.
            (tonic::Status::internal("h2 protocol error"), true),
            (tonic::Status::unknown("transport error"), true),
            (tonic::Status::cancelled("operation was canceled"), true),
            (tonic::Status::unavailable("tcp connect error"), true),
            (tonic::Status::deadline_exceeded("too slow"), true),
            (word(Reason::ShuttingDown), true),
            (word(Reason::JournalUnavailable), true),
            // The same codes in the broker's own mouth are its answer.
            (word(Reason::Internal), false),
            (word(Reason::NotFound), false),
            (word(Reason::NotPermitted), false),
            (word(Reason::WrongState), false),
            (tonic::Status::unimplemented("no such call"), false),
            (tonic::Status::permission_denied("a proxy's no"), false),
        ];
        for (status, expected) in table {
            let shown = format!("{status:?}");
            let borne = borne(&mut Patience::new(), status);
            assert_eq!(borne.is_ok(), expected, "{shown}");
        }
    }

    #[test]
    fn an_absence_is_told_once() {
        let mut patience = Patience::new();
        let mut lost = || borne(&mut patience, tonic::Status::unavailable("refused")).unwrap();
        let said = lost().unwrap();
        assert!(
            said.contains("refused") && said.contains("trying again"),
            "{said}"
        );
        assert_eq!(lost(), None);
    }

    #[test]
    fn a_token_may_end_during_a_wait_and_its_successor_may_not_be_refused() {
        let mut patience = Patience::new();
        let mut refused = || borne(&mut patience, tonic::Status::unauthenticated("expired"));
        assert_eq!(refused(), Ok(None));
        assert_eq!(refused(), Err(Exit::NotAuthenticated));
    }
}
