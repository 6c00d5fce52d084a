//! A replay: what a bundle makes of past requests, at each moment at which a policy was asked about them then.
//!
//! ```text
//! asked ──► each consent ──► first issue ──► each extension asked for ──► each consent to it
//!                                               the case as it was, the moment as it was, another bundle
//! ```
//!
//! The record holds what was decided then, not what would have been enough then. So a difference is told only where the
//! record proves it: by the answer, by consents that were not enough, or by there having been none. A request that waited
//! then and would wait now counts as unchanged, whosever consent it is that it waits for. An extension that was refused is
//! not on record, and so not replayed.

use std::collections::HashMap;
use std::fmt;

use crate::bundle::Bundle;
use crate::case::{Case, NoStory, Question};
use crate::decide::{
    Allowed, Decision, Draft, PolicyRef, Purpose, Standing, check, check_break_glass,
    decide_extension, decide_for, readers_of_the_reason, stranger,
};
use crate::event::{Event, Fact, Outcome, Verdict};
use crate::principal::Principal;
use crate::request::RequestId;
use crate::scope::ScopeId;
use crate::window::{Duration, Moment};

/// A moment at which a policy was asked about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The first credentials were about to be issued.
    Issued,
    /// A person had just consented.
    Approved,
    /// It was made.
    Asked,
    /// A person had just consented to a longer window of it.
    ExtensionApproved,
    /// A longer window was asked for.
    ExtensionAsked,
}

impl Step {
    /// `asked`, `approved`, `issued`, `extension_asked`, `extension_approved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::ExtensionAsked => "extension_asked",
            Step::ExtensionApproved => "extension_approved",
            Step::Asked => "asked",
            Step::Approved => "approved",
            Step::Issued => "issued",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an answer differs from the recorded one; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Refused then; given now, with nobody's consent.
    RefusedNowGranted,
    /// People had to consent then; nobody has to now.
    ApprovalRemoved,
    /// The consents there were are enough now, and were not then.
    ApprovalsReduced,
    /// Refused then; given now if people consent.
    RefusedNowApprovable,
    /// A policy that matters reads the reason, and the reason was erased.
    CannotTell,
    /// Credentials were issued then; they would be refused now.
    IssuedNowRefused,
    /// Given then; refused now.
    GrantedNowRefused,
    /// Given if people consented then; refused now.
    ApprovableNowRefused,
    /// Given then; people have to consent now who did not have to.
    ApprovalsAdded,
}

/// Whether a change gives more or takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It gives what was not given, or asks less for it.
    Widens,
    /// Nobody can tell.
    Unknown,
    /// It takes away what was given, or asks more for it.
    Narrows,
}

impl Change {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::RefusedNowGranted => "refused-now-granted",
            Change::ApprovalRemoved => "approval-removed",
            Change::ApprovalsReduced => "approvals-reduced",
            Change::RefusedNowApprovable => "refused-now-approvable",
            Change::CannotTell => "cannot-be-replayed",
            Change::IssuedNowRefused => "issued-now-refused",
            Change::GrantedNowRefused => "granted-now-refused",
            Change::ApprovableNowRefused => "approvable-now-refused",
            Change::ApprovalsAdded => "approvals-added",
        }
    }

    /// Which way it goes.
    pub fn direction(self) -> Direction {
        match self {
            Change::RefusedNowGranted
            | Change::ApprovalRemoved
            | Change::ApprovalsReduced
            | Change::RefusedNowApprovable => Direction::Widens,
            Change::CannotTell => Direction::Unknown,
            Change::IssuedNowRefused
            | Change::GrantedNowRefused
            | Change::ApprovableNowRefused
            | Change::ApprovalsAdded => Direction::Narrows,
        }
    }

    /// The change from what the record says to what the bundle says, if there is one.
    fn between(then: &Verdict, now: &Now, step: Step) -> Option<Change> {
        let decision = match now {
            Now::Decided(decision) => decision,
            Now::Stranger(_) => return Change::to_refusal(then.outcome, step),
            Now::ReasonErased(_) => return Some(Change::CannotTell),
        };
        match (then.outcome, decision) {
            (Outcome::Granted, Decision::Granted(now)) => {
                // Nobody's consent is tried first, so consent that was counted was needed.
                match (then.approvals.is_empty(), now.counted.is_empty()) {
                    (false, true) => Some(Change::ApprovalRemoved),
                    (true, false) => Some(Change::ApprovalsAdded),
                    (true, true) | (false, false) => None,
                }
            }
            (Outcome::Granted, Decision::NeedsApproval(_)) => Some(Change::ApprovalsAdded),
            (Outcome::NeedsApproval, Decision::Granted(now)) => match now.counted.is_empty() {
                true => Some(Change::ApprovalRemoved),
                false => Some(Change::ApprovalsReduced),
            },
            (Outcome::NeedsApproval, Decision::NeedsApproval(_)) => None,
            (Outcome::Denied, Decision::Granted(_)) => Some(Change::RefusedNowGranted),
            (Outcome::Denied, Decision::NeedsApproval(_)) => Some(Change::RefusedNowApprovable),
            (then, Decision::Denied(_)) => Change::to_refusal(then, step),
        }
    }

    fn to_refusal(then: Outcome, step: Step) -> Option<Change> {
        match (then, step) {
            (Outcome::Granted, Step::Issued) => Some(Change::IssuedNowRefused),
            (
                Outcome::Granted,
                Step::Asked | Step::Approved | Step::ExtensionAsked | Step::ExtensionApproved,
            ) => Some(Change::GrantedNowRefused),
            (Outcome::NeedsApproval, _) => Some(Change::ApprovableNowRefused),
            (Outcome::Denied, _) => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a bundle has no word for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stranger {
    /// Its catalog has no such scope.
    Scope,
    /// Its directory has no such person or workload.
    Principal,
    /// Its directory has the workload, with other claims than those of the request.
    Claims,
}

impl Stranger {
    /// `unknown_scope`, `unknown_principal`, `other_claims`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stranger::Scope => "unknown_scope",
            Stranger::Principal => "unknown_principal",
            Stranger::Claims => "other_claims",
        }
    }
}

/// What the bundle says.
#[derive(Debug)]
pub enum Now {
    /// This.
    Decided(Decision<Allowed>),
    /// It does not know who or what this is about, so nobody gets in.
    Stranger(Stranger),
    /// It cannot be asked: the reason was erased, and these policies read it.
    ReasonErased(Vec<PolicyRef>),
}

/// One moment of a request at which the bundle says something else.
#[derive(Debug)]
pub struct Difference {
    /// The sequence number of the recorded event.
    pub seq: u64,
    /// When it was.
    pub at: Moment,
    /// What happened then.
    pub step: Step,
    /// How the answers differ.
    pub change: Change,
    /// The recorded answer.
    pub then: Verdict,
    /// The bundle's.
    pub now: Now,
}

/// A past request that the bundle decides otherwise.
#[derive(Debug)]
pub struct Changed {
    /// Its id; `None` for one that was refused, which has none.
    pub request: Option<RequestId>,
    /// Who asked.
    pub principal: Principal,
    /// What for.
    pub scope: ScopeId,
    /// For how long.
    pub duration: Duration,
    /// With which ticket.
    pub ticket: Option<String>,
    /// Where the answers differ, in the order in which it happened; never empty.
    pub differences: Vec<Difference>,
}

impl Changed {
    /// The worst of its changes.
    pub fn worst(&self) -> Option<Change> {
        self.differences.iter().map(|it| it.change).min()
    }
}

/// All that came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// How many requests there were, those that were refused included.
    pub requests: usize,
    /// At how many moments the bundle was asked about them.
    pub moments: usize,
    /// Those decided otherwise, the worst first.
    pub changed: Vec<Changed>,
}

impl Replayed {
    /// How many requests' worst change goes this way.
    pub fn count(&self, direction: Direction) -> usize {
        let goes = |it: &&Changed| it.worst().map(Change::direction) == Some(direction);
        self.changed.iter().filter(goes).count()
    }
}

/// A case, and where its answers differ so far.
struct Past {
    case: Case,
    differences: Vec<Difference>,
}

/// Takes the events of a journal in order, and asks a bundle at each moment that mattered.
pub struct Replay<'b> {
    bundle: &'b Bundle,
    cases: HashMap<RequestId, Past>,
    changed: Vec<Changed>,
    requests: usize,
    moments: usize,
}

impl<'b> Replay<'b> {
    /// A replay under `bundle`.
    pub fn new(bundle: &'b Bundle) -> Replay<'b> {
        Replay {
            bundle,
            cases: HashMap::new(),
            changed: Vec::new(),
            requests: 0,
            moments: 0,
        }
    }

    /// Takes the next event, number `seq`, with the text beside it; `None` where that was erased.
    ///
    /// Refused when it does not follow from those before.
    pub fn tell(&mut self, seq: u64, event: &Event, text: Option<&str>) -> Result<(), NoStory> {
        let at = event.at;
        match &event.fact {
            Fact::BundleLoaded { .. }
            | Fact::RevocationWritten { .. }
            | Fact::RevocationVerified { .. }
            | Fact::Delegated { .. }
            | Fact::DelegationEnded { .. } => Ok(()),
            Fact::Refused {
                principal,
                scope,
                duration,
                ticket,
                break_glass,
                verdict,
                ..
            } => {
                let wish = Wish {
                    principal,
                    scope,
                    duration: *duration,
                    ticket: ticket.as_deref(),
                    purpose: purpose(*break_glass),
                };
                self.refused(seq, at, &wish, text, verdict);
                Ok(())
            }
            Fact::Requested {
                request, verdict, ..
            } => {
                if self.cases.contains_key(&request.id) {
                    return Err(NoStory("two requests have one id"));
                }
                let case = Case::begin(event, text.map(str::to_owned))?;
                let mut past = Past {
                    case,
                    differences: Vec::new(),
                };
                self.requests += 1;
                self.moments += 1;
                let cases = self.cases.values().map(|past| &past.case);
                let standing = Standing::of(self.bundle.directory(), request, cases);
                past.ask(self.bundle, standing, seq, at, Step::Asked, verdict);
                self.cases.insert(request.id.clone(), past);
                Ok(())
            }
            Fact::Approved {
                request, verdict, ..
            } => {
                let standing = self.standing(request)?;
                let past = self.cases.get_mut(request).ok_or(NEVER_MADE)?;
                let of_request = matches!(past.case.question(at), Some(Question::Request));
                // What was recorded was decided with this consent counted.
                let mut counted = past.case.clone();
                past.case.apply(event)?;
                self.moments += 1;
                if of_request {
                    past.ask(self.bundle, standing, seq, at, Step::Approved, verdict);
                } else {
                    counted.apply(&undecided(event))?;
                    let step = Step::ExtensionApproved;
                    past.ask_longer(self.bundle, &counted, seq, at, step, verdict);
                }
                Ok(())
            }
            Fact::IssueIntended {
                request, verdict, ..
            } => {
                let standing = self.standing(request)?;
                let past = self.cases.get_mut(request).ok_or(NEVER_MADE)?;
                let before = past.case.clone();
                past.case.apply(event)?;
                if before.sessions().is_empty() {
                    self.moments += 1;
                    // And this was decided before the window was open.
                    let after = std::mem::replace(&mut past.case, before);
                    past.ask(self.bundle, standing, seq, at, Step::Issued, verdict);
                    past.case = after;
                }
                Ok(())
            }
            Fact::ExtensionRequested {
                request, verdict, ..
            } => {
                let past = self.cases.get_mut(request).ok_or(NEVER_MADE)?;
                let mut waiting = past.case.clone();
                waiting.apply_with(&undecided(event), text)?;
                past.case.apply_with(event, text)?;
                self.moments += 1;
                let step = Step::ExtensionAsked;
                past.ask_longer(self.bundle, &waiting, seq, at, step, verdict);
                Ok(())
            }
            Fact::Denied { request, .. }
            | Fact::Kept { request, .. }
            | Fact::Withdrawn { request, .. }
            | Fact::Issued { request, .. }
            | Fact::IssueFailed { request, .. }
            | Fact::IssueUnknown { request, .. }
            | Fact::ExtensionDenied { request, .. }
            | Fact::Released { request, .. }
            | Fact::Revoked { request, .. }
            | Fact::Reviewed { request, .. }
            | Fact::Notified { request, .. } => {
                let past = self.cases.get_mut(request).ok_or(NEVER_MADE)?;
                past.case.apply_with(event, text)
            }
        }
    }

    // What a case's requester owed for other emergencies at this point of the record.
    fn standing(&self, request: &RequestId) -> Result<Standing, NoStory> {
        let past = self.cases.get(request).ok_or(NEVER_MADE)?;
        let cases = self.cases.values().map(|past| &past.case);
        Ok(Standing::of(
            self.bundle.directory(),
            past.case.request(),
            cases,
        ))
    }

    fn refused(
        &mut self,
        seq: u64,
        at: Moment,
        wish: &Wish<'_>,
        reason: Option<&str>,
        then: &Verdict,
    ) {
        self.requests += 1;
        self.moments += 1;
        let now = wish.before(self.bundle, reason).unwrap_or_else(|| {
            let draft = Draft {
                principal: wish.principal,
                scope: wish.scope,
                duration: wish.duration,
                reason: reason.unwrap_or_default(),
                ticket: wish.ticket,
            };
            Now::Decided(match wish.purpose {
                Purpose::BreakGlass { .. } => {
                    let directory = self.bundle.directory();
                    let cases = self.cases.values().map(|past| &past.case);
                    let standing = Standing::among(directory, wish.principal, None, cases);
                    check_break_glass(self.bundle, &draft, standing, at)
                }
                Purpose::Activate | Purpose::Extend { .. } => check(self.bundle, &draft, at),
            })
        });
        let step = Step::Asked;
        let Some(change) = Change::between(then, &now, step) else {
            return;
        };
        let difference = Difference {
            seq,
            at,
            step,
            change,
            then: then.clone(),
            now,
        };
        self.changed.push(wish.changed(None, vec![difference]));
    }

    /// What came of it.
    pub fn finish(self) -> Replayed {
        let mut changed = self.changed;
        for past in self.cases.into_values() {
            if !past.differences.is_empty() {
                let request = past.case.request();
                let id = Some(request.id.clone());
                changed.push(Wish::of(&past.case).changed(id, past.differences));
            }
        }
        let rank = |it: &Changed| {
            let worst = it.differences.iter().map(|it| (it.change, it.step)).min();
            (worst, it.differences.first().map(|it| it.seq))
        };
        changed.sort_by_key(rank);
        Replayed {
            requests: self.requests,
            moments: self.moments,
            changed,
        }
    }
}

/// An event about a request that the journal does not begin.
const NEVER_MADE: NoStory = NoStory("the request was never made");

impl Past {
    /// Asks the bundle about the case as it stands, and notes where it says something else.
    fn ask(
        &mut self,
        bundle: &Bundle,
        standing: Standing,
        seq: u64,
        at: Moment,
        step: Step,
        then: &Verdict,
    ) {
        let reason = self.case.reason();
        let now = Wish::of(&self.case)
            .before(bundle, reason)
            .unwrap_or_else(|| {
                // A replay explains; it never carries the proof.
                Now::Decided(decide_for(bundle, &self.case, standing, at).explained())
            });
        self.note(now, seq, at, step, then);
    }

    /// Asks the bundle about the longer window that waits in `waiting`, the case as it was when it was decided.
    fn ask_longer(
        &mut self,
        bundle: &Bundle,
        waiting: &Case,
        seq: u64,
        at: Moment,
        step: Step,
        then: &Verdict,
    ) {
        let Some(asked) = waiting.extension_pending() else {
            return;
        };
        let wish = Wish {
            purpose: Purpose::Extend { extensions: 0 },
            ..Wish::of(waiting)
        };
        let now = wish
            .before(bundle, asked.reason.as_deref())
            .unwrap_or_else(|| Now::Decided(decide_extension(bundle, waiting, asked, at)));
        self.note(now, seq, at, step, then);
    }

    fn note(&mut self, now: Now, seq: u64, at: Moment, step: Step, then: &Verdict) {
        if let Some(change) = Change::between(then, &now, step) {
            self.differences.push(Difference {
                seq,
                at,
                step,
                change,
                then: then.clone(),
                now,
            });
        }
    }
}

/// The event as it was before its decision was made: what it is about waits.
fn undecided(event: &Event) -> Event {
    let mut event = event.clone();
    if let Fact::Approved { verdict, .. } | Fact::ExtensionRequested { verdict, .. } =
        &mut event.fact
    {
        verdict.outcome = Outcome::NeedsApproval;
        verdict.policies.clear();
        verdict.approvals.clear();
    }
    event
}

fn purpose(break_glass: bool) -> Purpose {
    match break_glass {
        true => Purpose::BreakGlass { open_reviews: 0 },
        false => Purpose::Activate,
    }
}

/// What someone asked for.
struct Wish<'a> {
    principal: &'a Principal,
    scope: &'a ScopeId,
    duration: Duration,
    ticket: Option<&'a str>,
    /// By which action; how much was owed or extended before is the case's to say.
    purpose: Purpose,
}

impl<'a> Wish<'a> {
    fn of(case: &'a Case) -> Wish<'a> {
        let request = case.request();
        Wish {
            principal: &request.principal,
            scope: &request.scope,
            duration: request.duration,
            ticket: request.ticket.as_deref(),
            purpose: purpose(request.break_glass.is_some()),
        }
    }

    /// What is to be said before the policies are asked; `None` when they can be.
    fn before(&self, bundle: &Bundle, reason: Option<&str>) -> Option<Now> {
        if let Some(stranger) = stranger(bundle, self.principal, self.scope) {
            return Some(Now::Stranger(stranger));
        }
        if reason.is_some() {
            return None;
        }
        let readers = readers_of_the_reason(bundle, self.principal, self.scope, self.purpose);
        (!readers.is_empty()).then_some(Now::ReasonErased(readers))
    }

    fn changed(&self, request: Option<RequestId>, differences: Vec<Difference>) -> Changed {
        Changed {
            request,
            principal: self.principal.clone(),
            scope: self.scope.clone(),
            duration: self.duration,
            ticket: self.ticket.map(str::to_owned),
            differences,
        }
    }
}

#[cfg(test)]
mod tests;
