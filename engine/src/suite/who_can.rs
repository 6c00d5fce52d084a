//! An exhaustive list: who can have a scope, and how long at most. Whoever is not on it can not.

use std::collections::BTreeMap;
use std::fmt;

use crate::access::Action;
use crate::bundle::Bundle;
use crate::decide::{Draft, Limits, check_to, limits};
use crate::principal::Principal;
use crate::scope::ScopeId;
use crate::window::{Duration, Moment};

use super::names::Who;
use super::{DIFFERENCES_MAX, Failure, explain};

/// One list.
#[derive(Debug)]
pub(super) struct WhoCan {
    pub(super) scope: ScopeId,
    /// By which action, of someone who owes no post-review and has extended nothing yet.
    pub(super) action: Action,
    pub(super) at: Moment,
    pub(super) reason: String,
    /// Everyone there is to ask about, each with what is expected of them.
    pub(super) expected: BTreeMap<Who, (Principal, Limits)>,
}

impl WhoCan {
    /// Every difference between the list and what the engine says, at most [`DIFFERENCES_MAX`] of them told apart.
    pub(super) fn run(&self, bundle: &Bundle) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut untold = 0;
        for (who, (principal, expected)) in &self.expected {
            let purpose = self.action.purpose();
            let came = limits(
                bundle,
                principal,
                &self.scope,
                purpose,
                &self.reason,
                self.at,
            );
            if came == *expected {
                continue;
            }
            if failures.len() == DIFFERENCES_MAX {
                untold += 1;
                continue;
            }
            failures.push(Failure {
                expected: format!("{who}: {}", words(expected)),
                came: format!("{who}: {}", words(&came)),
                why: self.why(bundle, principal, *expected, came),
            });
        }
        if untold > 0 {
            failures.push(Failure {
                expected: "the list".to_owned(),
                came: format!("{untold} more that differ from it"),
                why: Vec::new(),
            });
        }
        failures
    }

    /// What the engine says for the longest window that one side has and the other has not.
    fn why(
        &self,
        bundle: &Bundle,
        principal: &Principal,
        expected: Limits,
        came: Limits,
    ) -> Vec<String> {
        let (one, other) = match expected.granted == came.granted {
            true => (expected.possible, came.possible),
            false => (expected.granted, came.granted),
        };
        let Some(duration) = one.max(other) else {
            return Vec::new();
        };
        let draft = Draft {
            principal,
            scope: &self.scope,
            duration,
            reason: &self.reason,
            ticket: None,
        };
        let mut lines = vec![format!("for {duration}, without a ticket:")];
        let decision = check_to(bundle, &draft, self.action.purpose(), self.at);
        lines.extend(explain::why(&decision));
        lines
    }
}

/// `who can have prod-admin`, `who can have prod-admin in an emergency`
impl fmt::Display for WhoCan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "who can have {}", self.scope)?;
        match self.action {
            Action::Activate => Ok(()),
            action => write!(f, " {}", action.words()),
        }
    }
}

fn words(limits: &Limits) -> String {
    let up_to = |duration: Duration| format!("up to {duration}");
    match (limits.granted, limits.possible) {
        (None, None) => "denied".to_owned(),
        (Some(granted), Some(possible)) if granted == possible => {
            format!("granted {}", up_to(granted))
        }
        (Some(granted), Some(possible)) => format!(
            "granted {}, with approval {}",
            up_to(granted),
            up_to(possible)
        ),
        (None, Some(possible)) => format!("needs approval, {}", up_to(possible)),
        (Some(granted), None) => format!("granted {}", up_to(granted)),
    }
}
