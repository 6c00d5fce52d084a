//! A longer window, while it is open: a wish of its own, with a decision of its own.

use writ_engine::case::{EXTENSIONS_MAX, ExtensionAsked};
use writ_engine::decide::decide_extension;
use writ_engine::event::Fact;
use writ_engine::request::Extension;
use writ_engine::{Decision, Duration, State};

use super::issuing::of_this_run;
use super::view::{CaseView, Refused};
use super::{Desk, salted};
use crate::identity::Identity;

impl Desk {
    /// Asks for a window of `duration` in all, from its opening. Where the policy says yes at once, it is longer when this
    /// returns; where people have to consent, the wish waits, and the window there is goes on meanwhile.
    pub async fn extend(
        &self,
        who: &Identity,
        id: &str,
        duration: Duration,
        reason: &str,
    ) -> Result<CaseView, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let now = self.trusted_now()?;
        let bundle = self.bundle();
        let case = self.case(&id)?;
        of_this_run(&case, who.principal())?;
        let window = match case.state(now) {
            State::Active(window) => window,
            state => return Err(Refused::WrongState(state.name())),
        };
        self.still_heard(&id, State::Active(window), now)?;
        if duration <= window.duration() {
            return Err(Refused::Field(
                "duration",
                format!(
                    "the window lasts {} already; ask for a longer one",
                    window.duration()
                ),
            ));
        }
        if case.next_extension() > u32::try_from(EXTENSIONS_MAX).unwrap_or(u32::MAX) {
            return Err(Refused::TooManyExtensions);
        }
        let text = salted(reason)?;
        let extension = Extension {
            number: case.next_extension(),
            duration,
            reason: text.commitment(),
            requested_at: now,
            bundle: bundle.digest(),
        };
        let asked = ExtensionAsked {
            digest: extension.digest(case.request_digest()),
            extension: extension.clone(),
            reason: Some(reason.to_owned()),
        };
        let decision = decide_extension(&bundle, &case, &asked, now);
        self.raise_alarms(&decision);
        let verdict = decision.verdict(&bundle);
        if let Decision::Denied(denied) = decision {
            return Err(Refused::Policy(Box::new(denied)));
        }
        self.cases.hear(&id, now);
        let fact = Fact::ExtensionRequested {
            request: id.clone(),
            extension,
            verdict,
        };
        self.append(now, fact, vec![text], turn).await?;
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }
}
