//! A case: one request and all that happened to it, as a fold over its events.
//!
//! ```text
//! PENDING ──► APPROVED ──► ACTIVE ──► EXPIRED
//!    │            │           ├─────► RELEASED
//!    │            │           └─────► REVOKED
//!    └────────────┴──► DENIED, WITHDRAWN, REVOKED, LAPSED
//! ```
//!
//! A case waits as PENDING for people; where the policy asks nobody any more by the time it is used, it goes on from there.
//! LAPSED and EXPIRED are no events: they are what the clock makes of a case, and so cannot be lost or forged. An approval
//! of less than was asked makes the request shorter; an extension that is allowed makes the open window longer; the
//! post-review of an emergency is closed after the end.

use std::collections::BTreeMap;
use std::fmt;

use crate::approval::Approval;
use crate::digest::Digest;
use crate::event::{Event, Fact, Outcome};
use crate::notice::Notice;
use crate::principal::UserId;
use crate::request::{Extension, Request};
use crate::scope::RoleArn;
use crate::session::CHAINED_CAP_S;
use crate::window::{Duration, Moment, Window};

/// Live sessions one grant may have at once: a job, its renewal, and two parallel steps. Each is one more thing to find
/// and end in an incident.
pub const LIVE_SESSIONS_MAX: usize = 4;

/// Sessions one grant may have in all: a 12 h window renewed every 15 min, and some to spare.
pub const SESSIONS_MAX: usize = 64;

/// Approvals one case holds: more than any policy asks for.
pub const APPROVALS_MAX: usize = 32;

/// Times one case may ask for a longer window, granted or not.
pub const EXTENSIONS_MAX: usize = 16;

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
    /// Someone else ended it.
    Revoked,
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
            | State::Released
            | State::Revoked => true,
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
            State::Revoked => "REVOKED",
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
    Approved {
        at: Moment,
    },
    Active {
        approved_at: Moment,
        // The window as it was opened, before any extension.
        opened: Window,
        window: Window,
    },
    Denied {
        at: Moment,
    },
    Withdrawn {
        at: Moment,
    },
    Released {
        at: Moment,
        window: Window,
    },
    Revoked {
        at: Moment,
        window: Option<Window>,
    },
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
    /// The role it is of.
    pub role_arn: RoleArn,
    /// Whether it may assume further roles, whose sessions outlive it.
    pub chains: bool,
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
        self.ends_at()
            .is_some_and(|ends_at| now < ends_at.min(closes_at))
    }

    /// When AWS stops honouring the session by itself; `None` for one that was never given. A session whose fate nobody
    /// knows ends as if it had been given.
    pub fn ends_at(&self) -> Option<Moment> {
        match self.outcome {
            SessionOutcome::Failed => None,
            SessionOutcome::Issued { expires_at, .. } => Some(expires_at),
            SessionOutcome::Intended | SessionOutcome::Unknown => {
                Some(self.intended_at.plus_s(self.duration_s))
            }
        }
    }
}

/// The wish for a longer window, with the text of its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionAsked {
    /// The wish.
    pub extension: Extension,
    /// [`Extension::digest`], worked out once.
    pub digest: Digest,
    /// Why, unless it was erased.
    pub reason: Option<String>,
}

/// What waits for people's consent, or has it.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// The request itself.
    Request,
    /// A longer window of an active one.
    Extension(&'a ExtensionAsked),
}

/// Where the post-review of an emergency stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// It was no emergency, or nothing was issued.
    None,
    /// It is owed, and to be closed before this moment; late it is owed all the same.
    Open {
        /// The deadline.
        by: Moment,
    },
    /// A person closed it.
    Closed {
        /// Who.
        reviewer: UserId,
        /// When.
        at: Moment,
    },
}

/// Sessions of one role that AWS may honour though their case has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outliving {
    /// The role.
    pub role_arn: RoleArn,
    /// When the case was ended: no session of it was made later.
    pub ended_at: Moment,
    /// When the last of them ends by itself, with those of further roles they may have assumed.
    pub until: Moment,
}

/// One request and all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    request: Request,
    request_digest: Digest,
    reason: Option<String>,
    // How long a window was asked for, before anyone consented to less.
    asked_for: Duration,
    keep_for_s: Option<u32>,
    approvals: Vec<Approval>,
    sessions: Vec<Session>,
    extensions_asked: usize,
    extension_pending: Option<ExtensionAsked>,
    extensions: Vec<ExtensionAsked>,
    review: Option<(UserId, Moment)>,
    notified: BTreeMap<Notice, Moment>,
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
            asked_for: request.duration,
            keep_for_s: *keep_for_s,
            approvals: Vec::new(),
            sessions: Vec::new(),
            extensions_asked: 0,
            extension_pending: None,
            extensions: Vec::new(),
            review: None,
            notified: BTreeMap::new(),
            stage,
        })
    }

    /// The case as the next event leaves it. Refused, with the case unchanged, when the event does not follow.
    pub fn apply(&mut self, event: &Event) -> Result<(), NoStory> {
        self.apply_with(event, None)
    }

    /// [`Case::apply`] with the text beside the event, `None` once erased: the reason of an extension is part of the case.
    pub fn apply_with(&mut self, event: &Event, text: Option<&str>) -> Result<(), NoStory> {
        if event.fact.request() != Some(&self.request.id) {
            return Err(NoStory("the event belongs to another case"));
        }
        let state = self.state(event.at);
        match &event.fact {
            Fact::BundleLoaded { .. }
            | Fact::Refused { .. }
            | Fact::Requested { .. }
            | Fact::RevocationWritten { .. }
            | Fact::RevocationVerified { .. }
            | Fact::Delegated { .. }
            | Fact::DelegationEnded { .. } => Err(NoStory("a case has one beginning")),
            Fact::Approved {
                approval,
                narrowed_to,
                verdict,
                ..
            } => self.approve(event.at, state, approval, *narrowed_to, verdict.outcome),
            Fact::ExtensionRequested {
                extension, verdict, ..
            } => self.ask_for_longer(state, extension, verdict.outcome, text),
            Fact::ExtensionDenied { extension, .. } => match (&self.extension_pending, state) {
                (Some(pending), State::Active(_)) if pending.digest == *extension => {
                    self.extension_pending = None;
                    Ok(())
                }
                _ => Err(NoStory("no such extension waits to be decided")),
            },
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
                role_arn,
                chains,
                ..
            } => {
                let session = Session {
                    number: *session,
                    intended_at: event.at,
                    duration_s: *duration_s,
                    role_arn: role_arn.clone(),
                    chains: *chains,
                    outcome: SessionOutcome::Intended,
                };
                self.intend(state, session, *request_digest, *window)
            }
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
                State::Active(window) => {
                    self.stage = Stage::Released {
                        at: event.at,
                        window,
                    };
                    Ok(())
                }
                _ => Err(NoStory("only an active case is released")),
            },
            Fact::Revoked { .. } => {
                let window = match state {
                    State::Pending | State::Approved => None,
                    State::Active(window) => Some(window),
                    _ => return Err(NoStory("the case has ended")),
                };
                self.stage = Stage::Revoked {
                    at: event.at,
                    window,
                };
                Ok(())
            }
            Fact::Reviewed { reviewer, .. } => {
                match self.review() {
                    Review::Open { .. } if state.is_terminal() => {}
                    Review::Open { .. } => return Err(NoStory("the emergency is not over")),
                    Review::None => return Err(NoStory("no post-review is owed")),
                    Review::Closed { .. } => return Err(NoStory("a post-review is closed once")),
                }
                self.review = Some((reviewer.clone(), event.at));
                Ok(())
            }
            // At whatever step the case is: it is about what people know, and they cannot be made to forget it.
            Fact::Notified { notice, .. } => {
                if notice.is_of_an_emergency() && self.request.break_glass.is_none() {
                    return Err(NoStory("it is no emergency"));
                }
                // What was sent again may be recorded again; they were told the first time.
                self.notified.entry(*notice).or_insert(event.at);
                Ok(())
            }
        }
    }

    fn approve(
        &mut self,
        at: Moment,
        state: State,
        approval: &Approval,
        narrowed_to: Option<Duration>,
        outcome: Outcome,
    ) -> Result<(), NoStory> {
        let longer = match (&self.extension_pending, state) {
            (Some(pending), State::Active(_)) if pending.digest == approval.request_digest => {
                Some(pending.clone())
            }
            _ => None,
        };
        let narrowed = match (&longer, narrowed_to) {
            (Some(_), None) => None,
            (Some(_), Some(_)) => return Err(NoStory("a longer window is approved whole")),
            (None, shorter) => {
                self.undecided(state)?;
                let narrowed = shorter
                    .map(|shorter| self.request.narrowed(shorter))
                    .map(|narrowed| narrowed.ok_or(NoStory("consent never widens")))
                    .transpose()?;
                narrowed.map(|request| (request.digest(), request))
            }
        };
        let digest = match (&longer, &narrowed) {
            (Some(pending), _) => pending.digest,
            (None, Some((digest, _))) => *digest,
            (None, None) => self.request_digest,
        };
        if approval.request_digest != digest {
            return Err(NoStory("the approval is bound to another request"));
        }
        let again = |earlier: &Approval| {
            let mut people = earlier.people();
            people.any(|earlier| approval.people().any(|person| person == earlier))
        };
        if self.approvals_of(digest).any(again) {
            return Err(NoStory("a person approves once"));
        }
        if self.approvals.len() >= APPROVALS_MAX {
            return Err(NoStory("the case holds its most approvals"));
        }
        let granted = outcome == Outcome::Granted;
        let longer = match longer {
            Some(asked) if granted => Some((self.longer_window(&asked.extension)?, asked)),
            Some(_) | None => None,
        };
        self.approvals.push(approval.clone());
        if let Some((digest, request)) = narrowed {
            self.request = request;
            self.request_digest = digest;
            // Nobody else has consented to this yet.
            self.stage = Stage::Pending;
        }
        if let Some((window, asked)) = longer {
            self.lengthen(window, asked);
        }
        if granted && self.stage == Stage::Pending {
            self.stage = Stage::Approved { at };
        }
        Ok(())
    }

    fn ask_for_longer(
        &mut self,
        state: State,
        extension: &Extension,
        outcome: Outcome,
        text: Option<&str>,
    ) -> Result<(), NoStory> {
        let State::Active(window) = state else {
            return Err(NoStory("only an active case is extended"));
        };
        if extension.number != self.next_extension() || self.extensions_asked >= EXTENSIONS_MAX {
            return Err(NoStory("extensions are numbered in order"));
        }
        if extension.duration <= window.duration() {
            return Err(NoStory("an extension makes the window longer"));
        }
        let longer = self.longer_window(extension)?;
        let asked = ExtensionAsked {
            digest: extension.digest(self.request_digest),
            extension: extension.clone(),
            reason: text.map(str::to_owned),
        };
        match outcome {
            Outcome::Granted => self.lengthen(longer, asked),
            // A new wish takes the place of one that still waits.
            Outcome::NeedsApproval => self.extension_pending = Some(asked),
            Outcome::Denied => return Err(NoStory("a refused wish is no extension")),
        }
        self.extensions_asked += 1;
        Ok(())
    }

    fn longer_window(&self, extension: &Extension) -> Result<Window, NoStory> {
        let Stage::Active { opened, .. } = self.stage else {
            return Err(NoStory("only an active case is extended"));
        };
        Window::new(
            opened.opens_at(),
            opened.opens_at().plus(extension.duration),
        )
        .map_err(|_| NoStory("the longer window is none"))
    }

    fn lengthen(&mut self, longer: Window, asked: ExtensionAsked) {
        if let Stage::Active { window, .. } = &mut self.stage {
            *window = longer;
            self.extension_pending = None;
            self.extensions.push(asked);
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
        state: State,
        session: Session,
        request_digest: Digest,
        window: Window,
    ) -> Result<(), NoStory> {
        let (approved_at, opened) = match (state, self.stage) {
            (State::Approved, Stage::Approved { at }) => (at, window),
            // The policy asks nobody for what it waited for any more: it changed, or a debt was closed.
            (State::Pending, Stage::Pending) => (session.intended_at, window),
            (
                State::Active(open),
                Stage::Active {
                    approved_at,
                    opened,
                    ..
                },
            ) if open == window => (approved_at, opened),
            (State::Active(_), _) => return Err(NoStory("a window does not move once it is open")),
            _ => {
                return Err(NoStory(
                    "a session is intended only for a case that has not ended",
                ));
            }
        };
        if opened.duration() > self.request.duration {
            return Err(NoStory("the window is not the one requested"));
        }
        if request_digest != self.request_digest {
            return Err(NoStory("the grant is of another request"));
        }
        if !window.contains(session.intended_at) {
            return Err(NoStory("the window is not the one requested"));
        }
        if session.number != self.next_session() {
            return Err(NoStory("sessions are numbered in order"));
        }
        self.sessions.push(session);
        self.stage = Stage::Active {
            approved_at,
            opened,
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
            self.extension_pending = None;
            self.extensions.clear();
            // Nothing was used, so nothing is owed; a window that is opened after all owes a review of its own.
            self.review = None;
        }
        Ok(())
    }

    /// What was asked for, or the less that someone consented to.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The case as it would be for a shorter window, with nobody's consent to that yet; `None` where it is not shorter.
    pub fn narrowed(&self, shorter: Duration) -> Option<Case> {
        let request = self.request.narrowed(shorter)?;
        Some(Case {
            request_digest: request.digest(),
            request,
            ..self.clone()
        })
    }

    /// How long a window was asked for at first; longer than the request's where someone consented to less.
    pub fn asked_for(&self) -> Duration {
        self.asked_for
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

    /// Every consent given, in order: to the request as it is, as it was before it became shorter, and to extensions.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// The consents given to exactly what has this digest.
    pub fn approvals_of(&self, digest: Digest) -> impl Iterator<Item = &Approval> {
        self.approvals
            .iter()
            .filter(move |approval| approval.request_digest == digest)
    }

    /// What people are asked to consent to at `now`; `None` once it is settled.
    pub fn question(&self, now: Moment) -> Option<Question<'_>> {
        match self.state(now) {
            State::Pending | State::Approved => Some(Question::Request),
            State::Active(_) => self.extension_pending.as_ref().map(Question::Extension),
            _ => None,
        }
    }

    /// The number the next extension gets.
    pub fn next_extension(&self) -> u32 {
        u32::try_from(self.extensions_asked)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// The longer window that waits to be decided, while the case is active.
    pub fn extension_pending(&self) -> Option<&ExtensionAsked> {
        self.extension_pending.as_ref()
    }

    /// The extensions that were granted, in order; the last one made the window what it is.
    pub fn extensions(&self) -> &[ExtensionAsked] {
        &self.extensions
    }

    /// The window as it was first opened, if it was, before any extension.
    pub fn opened(&self) -> Option<Window> {
        match self.stage {
            Stage::Active { opened, .. } => Some(opened),
            Stage::Released { window, .. } => Some(window),
            Stage::Revoked { window, .. } => window,
            Stage::Pending
            | Stage::Approved { .. }
            | Stage::Denied { .. }
            | Stage::Withdrawn { .. } => None,
        }
    }

    /// Where the post-review stands.
    pub fn review(&self) -> Review {
        match (self.request.break_glass, self.opened(), &self.review) {
            (_, _, Some((reviewer, at))) => Review::Closed {
                reviewer: reviewer.clone(),
                at: *at,
            },
            (Some(terms), Some(opened), None) => Review::Open {
                by: opened.opens_at().plus_s(terms.review_ttl_s),
            },
            (None, _, None) | (_, None, None) => Review::None,
        }
    }

    /// When people were first told of it, if they were.
    pub fn notified(&self, notice: Notice) -> Option<Moment> {
        self.notified.get(&notice).copied()
    }

    /// The sessions that AWS may honour after the case was released or revoked, by role; none while it goes on, and none
    /// when its window has closed by itself, for then they are closed too.
    pub fn outliving(&self) -> Vec<Outliving> {
        let ended_at = match self.stage {
            Stage::Released { at, .. } | Stage::Revoked { at, .. } => at,
            Stage::Pending
            | Stage::Approved { .. }
            | Stage::Active { .. }
            | Stage::Denied { .. }
            | Stage::Withdrawn { .. } => return Vec::new(),
        };
        let mut roles: Vec<Outliving> = Vec::new();
        for session in &self.sessions {
            let Some(ends_at) = session.ends_at() else {
                continue;
            };
            let until = match session.chains {
                true => ends_at.plus_s(CHAINED_CAP_S),
                false => ends_at,
            };
            match roles
                .iter_mut()
                .find(|known| known.role_arn == session.role_arn)
            {
                Some(known) => known.until = known.until.max(until),
                None => roles.push(Outliving {
                    role_arn: session.role_arn.clone(),
                    ended_at,
                    until,
                }),
            }
        }
        roles
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
            | Stage::Released { .. }
            | Stage::Revoked { .. } => None,
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
            Stage::Denied { at }
            | Stage::Withdrawn { at }
            | Stage::Released { at, .. }
            | Stage::Revoked { at, .. } => Some(at),
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
            Stage::Revoked { .. } => State::Revoked,
        }
    }
}

/// The events make no story: the journal is damaged, or someone asked for a step that does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoStory(pub &'static str);
