//! A case: one request and all that happened to it, as a fold over its events.
//!
//! ```text
//! PENDING ──► APPROVED ──► ACTIVE ──► EXPIRED
//!    │ │ │        │ │ │        └────► RELEASED
//!    │ │ └► LAPSED◄┘ │ └► WITHDRAWN
//!    │ └──► DENIED ◄─┘
//!    └────► WITHDRAWN
//! ```
//!
//! LAPSED and EXPIRED are no events: they are what the clock makes of a case, and so cannot be lost or forged.

use std::fmt;

use crate::approval::Approval;
use crate::digest::Digest;
use crate::event::{Event, Fact, Outcome};
use crate::request::Request;
use crate::window::{Moment, Window};

/// Live sessions one grant may have at once: a job, its renewal, and two parallel steps. Each is one more thing to find
/// and end in an incident.
pub const LIVE_SESSIONS_MAX: usize = 4;

/// Sessions one grant may have in all: a 12 h window renewed every 15 min, and some to spare.
pub const SESSIONS_MAX: usize = 64;

/// Approvals one case holds: more than any policy asks for.
pub const APPROVALS_MAX: usize = 32;

/// Where a case stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting to be decided.
    Pending,
    /// Enough people consented, or none had to; waiting to be activated.
    Approved,
    /// The window is open.
    Active(Window),
    /// The window has closed.
    Expired(Window),
    /// A person said no.
    Denied,
    /// The requester took it back before it was active.
    Withdrawn,
    /// Not decided, or not activated, in time.
    Lapsed,
    /// The requester gave the rest of the window back.
    Released,
}

impl State {
    /// Whether nothing can happen any more.
    pub fn is_terminal(self) -> bool {
        match self {
            State::Pending | State::Approved | State::Active(_) => false,
            State::Expired(_)
            | State::Denied
            | State::Withdrawn
            | State::Lapsed
            | State::Released => true,
        }
    }

    /// `PENDING`, `APPROVED` …
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Approved => "APPROVED",
            State::Active(_) => "ACTIVE",
            State::Expired(_) => "EXPIRED",
            State::Denied => "DENIED",
            State::Withdrawn => "WITHDRAWN",
            State::Lapsed => "LAPSED",
            State::Released => "RELEASED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the events alone say, before the clock is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pending,
    Approved { at: Moment },
    Active { approved_at: Moment, window: Window },
    Denied { at: Moment },
    Withdrawn { at: Moment },
    Released { at: Moment },
}

/// One STS session of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number within the grant, from 1.
    pub number: u32,
    /// When the intent was recorded.
    pub intended_at: Moment,
    /// The length asked of STS, in seconds.
    pub duration_s: u32,
    /// What became of it.
    pub outcome: SessionOutcome,
}

/// What became of an intended session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOutcome {
    /// The call may be under way.
    Intended,
    /// AWS gave it.
    Issued {
        /// AWS's name for the key.
        access_key_id: String,
        /// AWS's word for its end.
        expires_at: Moment,
    },
    /// AWS certainly did not give it.
    Failed,
    /// Nobody knows; it counts as given.
    Unknown,
}

impl Session {
    /// Whether credentials of this session may still work at `now`, in a window that closes at `closes_at`.
    pub fn is_live(&self, now: Moment, closes_at: Moment) -> bool {
        let ends_at = match self.outcome {
            SessionOutcome::Failed => return false,
            SessionOutcome::Issued { expires_at, .. } => expires_at,
            SessionOutcome::Intended | SessionOutcome::Unknown => {
                self.intended_at.plus_s(self.duration_s)
            }
        };
        now < ends_at.min(closes_at)
    }
}

/// One request and all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    request: Request,
    request_digest: Digest,
    reason: Option<String>,
    keep_for_s: Option<u32>,
    approvals: Vec<Approval>,
    sessions: Vec<Session>,
    stage: Stage,
}

impl Case {
    /// The case that a `Requested` event begins; `reason` is the text beside the journal, `None` once erased.
    pub fn begin(event: &Event, reason: Option<String>) -> Result<Case, NoStory> {
        let Fact::Requested {
            request,
            verdict,
            keep_for_s,
            ..
        } = &event.fact
        else {
            return Err(NoStory("a case begins with a request"));
        };
        let stage = match verdict.outcome {
            Outcome::Granted => Stage::Approved { at: event.at },
            Outcome::NeedsApproval => Stage::Pending,
            Outcome::Denied => return Err(NoStory("a refused wish is no case")),
        };
        let request_digest = request.digest();
        Ok(Case {
            request: request.clone(),
            request_digest,
            reason,
            keep_for_s: *keep_for_s,
            approvals: Vec::new(),
            sessions: Vec::new(),
            stage,
        })
    }

    /// The case as the next event leaves it. Refused, with the case unchanged, when the event does not follow.
    pub fn apply(&mut self, event: &Event) -> Result<(), NoStory> {
        if event.fact.request() != Some(&self.request.id) {
            return Err(NoStory("the event belongs to another case"));
        }
        let state = self.state(event.at);
        match &event.fact {
            Fact::BundleLoaded { .. } | Fact::Refused { .. } | Fact::Requested { .. } => {
                Err(NoStory("a case has one beginning"))
            }
            Fact::Approved {
                approval, verdict, ..
            } => {
                self.undecided(state)?;
                if approval.request_digest != self.request_digest {
                    return Err(NoStory("the approval is bound to another request"));
                }
                if self
                    .approvals
                    .iter()
                    .any(|earlier| earlier.approver == approval.approver)
                {
                    return Err(NoStory("a person approves once"));
                }
                if self.approvals.len() >= APPROVALS_MAX {
                    return Err(NoStory("the case holds its most approvals"));
                }
                self.approvals.push(approval.clone());
                if self.stage == Stage::Pending && verdict.outcome == Outcome::Granted {
                    self.stage = Stage::Approved { at: event.at };
                }
                Ok(())
            }
            Fact::Denied { .. } => {
                self.undecided(state)?;
                self.stage = Stage::Denied { at: event.at };
                Ok(())
            }
            Fact::Kept { keep_for_s, .. } => {
                if state.is_terminal() {
                    return Err(NoStory("the case has ended"));
                }
                self.keep_for_s = Some(*keep_for_s);
                Ok(())
            }
            Fact::Withdrawn { .. } => {
                self.undecided(state)?;
                self.stage = Stage::Withdrawn { at: event.at };
                Ok(())
            }
            Fact::IssueIntended {
                session,
                request_digest,
                window,
                duration_s,
                ..
            } => self.intend(
                event.at,
                state,
                *session,
                *request_digest,
                *window,
                *duration_s,
            ),
            Fact::Issued {
                session,
                access_key_id,
                expires_at,
                ..
            } => self.conclude(
                *session,
                SessionOutcome::Issued {
                    access_key_id: access_key_id.clone(),
                    expires_at: *expires_at,
                },
            ),
            Fact::IssueFailed { session, .. } => self.conclude(*session, SessionOutcome::Failed),
            Fact::IssueUnknown { session, .. } => self.conclude(*session, SessionOutcome::Unknown),
            Fact::Released { .. } => match state {
                State::Active(_) => {
                    self.stage = Stage::Released { at: event.at };
                    Ok(())
                }
                _ => Err(NoStory("only an active case is released")),
            },
        }
    }

    fn undecided(&self, state: State) -> Result<(), NoStory> {
        match state {
            State::Pending | State::Approved => Ok(()),
            State::Active(_) => Err(NoStory("the case is active already")),
            _ => Err(NoStory("the case has ended")),
        }
    }

    fn intend(
        &mut self,
        at: Moment,
        state: State,
        number: u32,
        request_digest: Digest,
        window: Window,
        duration_s: u32,
    ) -> Result<(), NoStory> {
        let approved_at = match (state, self.stage) {
            (State::Approved, Stage::Approved { at }) => at,
            (State::Active(open), Stage::Active { approved_at, .. }) if open == window => {
                approved_at
            }
            (State::Active(_), _) => return Err(NoStory("a window does not move once it is open")),
            _ => {
                return Err(NoStory(
                    "a session is intended only for an approved or active case",
                ));
            }
        };
        if request_digest != self.request_digest {
            return Err(NoStory("the grant is of another request"));
        }
        if !window.contains(at) || window.duration() > self.request.duration {
            return Err(NoStory("the window is not the one requested"));
        }
        if number != self.next_session() {
            return Err(NoStory("sessions are numbered in order"));
        }
        self.sessions.push(Session {
            number,
            intended_at: at,
            duration_s,
            outcome: SessionOutcome::Intended,
        });
        self.stage = Stage::Active {
            approved_at,
            window,
        };
        Ok(())
    }

    fn conclude(&mut self, number: u32, outcome: SessionOutcome) -> Result<(), NoStory> {
        let Some(session) = self
            .sessions
            .iter_mut()
            .find(|session| session.number == number)
        else {
            return Err(NoStory("the outcome is of no intended session"));
        };
        if session.outcome != SessionOutcome::Intended {
            return Err(NoStory("a session has one outcome"));
        }
        session.outcome = outcome;
        // AWS gave nothing at all: the window has not begun, so a throttled first issue costs the requester no time.
        let nothing_given = self
            .sessions
            .iter()
            .all(|session| session.outcome == SessionOutcome::Failed);
        if let Stage::Active { approved_at, .. } = self.stage
            && nothing_given
        {
            self.stage = Stage::Approved { at: approved_at };
        }
        Ok(())
    }

    /// What was asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// [`Request::digest`], worked out once.
    pub fn request_digest(&self) -> Digest {
        self.request_digest
    }

    /// Why, unless it was erased.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// How long the case outlives its requester's last word, in seconds; `None` for always.
    pub fn keep_for_s(&self) -> Option<u32> {
        self.keep_for_s
    }

    /// Every consent given, in order.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// Every session intended, in order.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The number the next session gets.
    pub fn next_session(&self) -> u32 {
        u32::try_from(self.sessions.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// How many sessions may still work at `now`.
    pub fn live_sessions(&self, now: Moment) -> usize {
        let Some(window) = self.window() else {
            return 0;
        };
        self.sessions
            .iter()
            .filter(|session| session.is_live(now, window.closes_at()))
            .count()
    }

    /// When the case was approved, if it was and nobody has ended it.
    pub fn approved_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Approved { at } => Some(at),
            Stage::Active { approved_at, .. } => Some(approved_at),
            Stage::Pending
            | Stage::Denied { .. }
            | Stage::Withdrawn { .. }
            | Stage::Released { .. } => None,
        }
    }

    /// When an approved case lapses unless it is activated: the end of the activation TTL.
    pub fn activate_by(&self) -> Option<Moment> {
        self.approved_at()
            .map(|at| at.plus_s(self.request.activation_ttl_s))
    }

    /// When a person ended the case, if one did.
    pub fn ended_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Denied { at } | Stage::Withdrawn { at } | Stage::Released { at } => Some(at),
            Stage::Pending | Stage::Approved { .. } | Stage::Active { .. } => None,
        }
    }

    fn window(&self) -> Option<Window> {
        match self.stage {
            Stage::Active { window, .. } => Some(window),
            _ => None,
        }
    }

    /// Where the case stands at `now`: what the events say, and what the three clocks make of it.
    pub fn state(&self, now: Moment) -> State {
        match self.stage {
            Stage::Pending if now >= self.request.decide_by => State::Lapsed,
            Stage::Pending => State::Pending,
            Stage::Approved { at } if now >= at.plus_s(self.request.activation_ttl_s) => {
                State::Lapsed
            }
            Stage::Approved { .. } => State::Approved,
            Stage::Active { window, .. } if now >= window.closes_at() => State::Expired(window),
            Stage::Active { window, .. } => State::Active(window),
            Stage::Denied { .. } => State::Denied,
            Stage::Withdrawn { .. } => State::Withdrawn,
            Stage::Released { .. } => State::Released,
        }
    }
}

/// The events make no story: the journal is damaged, or someone asked for a step that does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoStory(pub &'static str);
