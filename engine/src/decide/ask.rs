//! A question put into Cedar's terms: who asks, for what, and what the engine supplies as context.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, Entities, EntityUid, PolicyId, Request, RestrictedExpression};

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::bundle::policies::{Policies, PolicyFacts, Types};
use crate::case::APPROVALS_MAX;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::{Scope, ScopeId};
use crate::window::{Moment, Window};

use super::evaluate::{Answer, evaluate};
use super::index::{Head, Index, Line, Slice};
use super::{Allowed, PolicyRef};

/// What a window is asked for, and what the journal alone knows that the policy may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To open it: the action `activate`.
    Activate,
    /// To open it in an emergency: the action `breakGlass`.
    BreakGlass {
        /// Emergencies of the same person whose post-review is owed.
        open_reviews: u32,
    },
    /// To make it longer while it is open: the action `extend`.
    Extend {
        /// How often it has been extended already.
        extensions: u32,
    },
}

impl Purpose {
    /// Whether there is such a thing for the scope: an emergency only where it has terms for one.
    pub(super) fn is_known_to(self, scope: &Scope) -> bool {
        match self {
            Purpose::Activate | Purpose::Extend { .. } => true,
            Purpose::BreakGlass { .. } => scope.break_glass.is_some(),
        }
    }
}

/// Someone who asks, as the bundle in force knows them.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) bundle: &'a Bundle,
    /// The person behind the request: the user, or the workload's owner.
    pub(super) person: &'a UserId,
    pub(super) principal: &'a Principal,
    pub(super) uid: EntityUid,
    pub(super) line: Line,
}

impl<'a> Asker<'a> {
    /// `None` for a stranger, and for a workload whose claims are not those the directory pins.
    pub(super) fn of(bundle: &'a Bundle, principal: &'a Principal) -> Option<Asker<'a>> {
        let directory = bundle.directory();
        if let PrincipalId::Workload(id) = &principal.id {
            let pinned = &directory.workload(id)?.pinned;
            let kept = |(claim, value)| principal.claims.get(claim) == Some(value);
            if !pinned.iter().all(kept) {
                return None;
            }
        }
        let policies = bundle.policies();
        let uid = policies.types.principal(&principal.id);
        Some(Asker {
            bundle,
            person: directory.person_behind(&principal.id)?,
            principal,
            line: Line::of(&policies.entities, &uid),
            uid,
        })
    }

    pub(super) fn index(&self) -> &'a Index {
        self.bundle.index()
    }

    pub(super) fn policies(&self) -> &'a Policies {
        self.bundle.policies()
    }

    /// Whether some permit's head names this principal and the scope, to open a window of it at all.
    pub(super) fn may_name(&self, scope: &Scope) -> bool {
        let emergency = Purpose::BreakGlass { open_reviews: 0 };
        self.may_ask(Purpose::Activate, scope) || self.may_ask(emergency, scope)
    }

    /// Whether some permit's head names this principal, the scope and this purpose, and the scope has terms for it.
    pub(super) fn may_ask(&self, purpose: Purpose, scope: &Scope) -> bool {
        let policies = self.policies();
        let line = Line::of(&policies.entities, &policies.types.scope(&scope.id));
        let action = self.index().action_of(purpose);
        purpose.is_known_to(scope) && self.index().some_permit_names(action, &self.line, &line)
    }

    /// The same for a purpose; `None` also where the scope has no terms for it.
    pub(super) fn wants_to<'b>(
        &'b self,
        purpose: Purpose,
        scope: &ScopeId,
        opens_at: Moment,
        reason: &'b str,
    ) -> Option<Ask<'b>> {
        self.wants(scope, opens_at, reason)?.to(purpose)
    }

    /// To open a window. `None` when the catalog has no such scope.
    pub(super) fn wants<'b>(
        &'b self,
        scope: &ScopeId,
        opens_at: Moment,
        reason: &'b str,
    ) -> Option<Ask<'b>> {
        let policies = self.policies();
        let uid = policies.types.scope(scope);
        Some(Ask {
            asker: self,
            scope: self.bundle.scope(scope)?,
            entities: self.entities(scope, [])?,
            line: Line::of(&policies.entities, &uid),
            uid,
            opening: Opening::at(opens_at, self.bundle)?,
            purpose: Purpose::Activate,
            reason,
            errored: RefCell::default(),
            evaluations: Cell::new(0),
        })
    }

    /// What policies may look at when `people` act on a request of this asker for `scope`.
    pub(super) fn entities<'p>(
        &self,
        scope: &ScopeId,
        people: impl IntoIterator<Item = &'p UserId>,
    ) -> Option<Cow<'a, Entities>> {
        let directory = self.bundle.directory();
        let entities = self
            .policies()
            .entities_for(directory, self.principal, scope, people);
        entities.ok()
    }
}

/// What a policy may know of the moment a window opens, and Cedar cannot compute.
#[derive(Debug)]
struct Opening {
    at: Moment,
    weekday: i64,
    since_midnight_s: i64,
    /// `opens_at` and `time_of_day` for Cedar. Making these is the dearest part of a context, and a search asks many times.
    opens_at: RestrictedExpression,
    time_of_day: RestrictedExpression,
}

impl Opening {
    fn at(at: Moment, bundle: &Bundle) -> Option<Opening> {
        let zone = bundle.directory().timezone.clone();
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        let instant = jiff::Timestamp::from_millisecond(at.as_ms()).ok()?;
        let local = instant.to_zoned(zone);
        let clock = local.time();
        // What the clock on the wall says, also on a day of 23 or 25 hours.
        let since_midnight_s = i64::from(clock.hour()) * 3_600
            + i64::from(clock.minute()) * 60
            + i64::from(clock.second());
        Some(Opening {
            at,
            weekday: i64::from(local.weekday().to_monday_one_offset()),
            since_midnight_s,
            opens_at: moment(at),
            time_of_day: seconds(since_midnight_s),
        })
    }
}

/// The part of a question that the search for what would be enough varies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) window: Window,
    pub(super) ticket: Option<&'a str>,
}

/// How many approvals of each kind, in the order of [`Index::kinds`].
pub(super) type Counts = Vec<u32>;

/// Someone who asks for one scope, at one moment and for one reason.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) asker: &'a Asker<'a>,
    pub(super) scope: &'a Scope,
    pub(super) uid: EntityUid,
    pub(super) line: Line,
    /// For a workload a few entities of its own, for it carries its token's claims.
    pub(super) entities: Cow<'a, Entities>,
    opening: Opening,
    purpose: Purpose,
    reason: &'a str,
    /// Every policy that erred while this was answered: collected on the side, so that no path through the search can
    /// forget to pass it on.
    errored: RefCell<BTreeSet<PolicyId>>,
    /// How many questions Cedar was asked so far.
    evaluations: Cell<u64>,
}

impl<'a> Ask<'a> {
    pub(super) fn opens_at(&self) -> Moment {
        self.opening.at
    }

    /// 1 for Monday to 7 for Sunday, at the opening.
    pub(super) fn weekday(&self) -> i64 {
        self.opening.weekday
    }

    /// What the clock on the wall says at the opening.
    pub(super) fn time_of_day(&self) -> String {
        let s = self.opening.since_midnight_s;
        format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
    }

    /// The same asker and scope, for this purpose; `None` for an emergency in a scope that has no terms for one.
    pub(super) fn to(mut self, purpose: Purpose) -> Option<Ask<'a>> {
        self.purpose = purpose;
        purpose.is_known_to(self.scope).then_some(self)
    }

    /// The action that decides.
    pub(super) fn action(&self) -> &'a EntityUid {
        self.asker.index().action_of(self.purpose)
    }

    /// The policies that could matter to this question.
    pub(super) fn slice(&self) -> Slice<'a> {
        let index = self.asker.index();
        index.slice(self.action(), &self.asker.line, &self.line)
    }

    /// May it be issued with these approvals?
    pub(super) fn activate(&self, slice: &Slice<'_>, wish: Wish<'_>, counts: &[u32]) -> Answer {
        match self.activation(wish, counts) {
            Some(request) => self.evaluate(slice, &self.entities, &request),
            None => Answer::default(),
        }
    }

    /// The same question as Cedar reads it.
    pub(super) fn activation(&self, wish: Wish<'_>, counts: &[u32]) -> Option<Request> {
        let evidence = [
            ("window".to_owned(), self.window(wish.window)?),
            ("approvals".to_owned(), self.approvals(counts)?),
        ];
        let count = |name: &str, count: u32| {
            let count = RestrictedExpression::new_long(i64::from(count));
            Some((name.to_owned(), count))
        };
        let past = match self.purpose {
            Purpose::Activate => None,
            Purpose::BreakGlass { open_reviews } => count("open_reviews", open_reviews),
            Purpose::Extend { extensions } => count("extensions", extensions),
        };
        let context = evidence.into_iter().chain(past).chain(self.words(wish));
        self.request(
            self.asker.uid.clone(),
            self.action().clone(),
            Context::from_pairs(context).ok()?,
        )
    }

    fn approvals(&self, counts: &[u32]) -> Option<RestrictedExpression> {
        let kinds = self.asker.index().kinds().iter().zip(counts);
        let counts = kinds.map(|((kind, _), count)| {
            let count = RestrictedExpression::new_long(i64::from(*count));
            (kind.as_str().to_owned(), count)
        });
        RestrictedExpression::new_record(counts).ok()
    }

    fn window(&self, window: Window) -> Option<RestrictedExpression> {
        let opening = &self.opening;
        let weekday = RestrictedExpression::new_long(opening.weekday);
        let duration = seconds(window.duration().as_s().into());
        RestrictedExpression::new_record([
            ("opens_at".to_owned(), opening.opens_at.clone()),
            ("closes_at".to_owned(), moment(window.closes_at())),
            ("duration".to_owned(), duration),
            ("weekday".to_owned(), weekday),
            ("time_of_day".to_owned(), opening.time_of_day.clone()),
        ])
        .ok()
    }

    fn words<'w>(
        &'w self,
        wish: Wish<'w>,
    ) -> impl Iterator<Item = (String, RestrictedExpression)> + 'w {
        let said = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let ticket = wish
            .ticket
            .map(|ticket| ("ticket".to_owned(), said(ticket)));
        std::iter::once(("reason".to_owned(), said(self.reason))).chain(ticket)
    }

    /// What the `approve…` actions may know: of whom the request is, what it asks, and who acts where the right is lent.
    pub(super) fn consent_context(
        &self,
        wish: Wish<'_>,
        delegate: Option<&UserId>,
    ) -> Option<Context> {
        let duration = seconds(wish.window.duration().as_s().into());
        let window = RestrictedExpression::new_record([("duration".to_owned(), duration)]).ok()?;
        let whom = about_whom(
            &self.asker.policies().types,
            self.asker.person,
            &self.asker.principal.id,
        );
        let delegate = delegate.map(|delegate| {
            let uid = self.asker.policies().types.user(delegate);
            let uid = RestrictedExpression::new_entity_uid(uid);
            ("delegate".to_owned(), uid)
        });
        let context = whom.chain([("window".to_owned(), window)]).chain(delegate);
        Context::from_pairs(context.chain(self.words(wish))).ok()
    }

    /// A request on this scope. Its shape was checked against the schema when the bundle was loaded; here only values
    /// differ, and a value a policy cannot read makes that policy err, which is a denial or counts for nothing.
    pub(super) fn request(
        &self,
        principal: EntityUid,
        action: EntityUid,
        context: Context,
    ) -> Option<Request> {
        Request::new(principal, action, self.uid.clone(), context, None).ok()
    }

    pub(super) fn evaluate(
        &self,
        slice: &Slice<'_>,
        entities: &Entities,
        request: &Request,
    ) -> Answer {
        let facts = &self.asker.policies().facts;
        self.evaluations.set(self.evaluations.get() + 1);
        let answer = evaluate(
            facts,
            slice.0.iter().map(|part| &part.set),
            entities,
            request,
        );
        self.errored
            .borrow_mut()
            .extend(answer.errored.iter().cloned());
        answer
    }

    /// What is known of each policy of a slice, with its head.
    pub(super) fn facts<'s>(
        &self,
        slice: &'s Slice<'a>,
    ) -> impl Iterator<Item = (&'a Head, &'a PolicyFacts)> + use<'a, 's> {
        let facts = &self.asker.policies().facts;
        slice
            .heads()
            .filter_map(|head| Some((head, facts.get(&head.id)?)))
    }

    /// How many questions Cedar was asked so far.
    pub(super) fn evaluations(&self) -> u64 {
        self.evaluations.get()
    }

    /// No approval of any kind.
    pub(super) fn nobody(&self) -> Counts {
        vec![0; self.asker.index().kinds().len()]
    }

    /// The most approvals of each kind that the policies of a slice can tell apart; nought for a kind they do not read.
    pub(super) fn tops(&self, slice: &Slice<'a>) -> Counts {
        // More than a case can hold is as good as never.
        let cap = u32::try_from(APPROVALS_MAX).unwrap_or(u32::MAX);
        let top = |kind: &Kind| {
            let counts = self
                .facts(slice)
                .filter_map(|(_, facts)| facts.counts.get(kind));
            counts.copied().max().unwrap_or(0).min(cap)
        };
        self.asker
            .index()
            .kinds()
            .iter()
            .map(|(kind, _)| top(kind))
            .collect()
    }

    /// Counts as people read them: by kind, the noughts left out.
    pub(super) fn by_kind(&self, counts: &[u32]) -> BTreeMap<Kind, u32> {
        let kinds = self.asker.index().kinds().iter().zip(counts);
        kinds
            .filter(|(_, count)| **count > 0)
            .map(|((kind, _), count)| (kind.clone(), *count))
            .collect()
    }

    pub(super) fn places<'i>(&self, ids: impl IntoIterator<Item = &'i PolicyId>) -> Vec<PolicyRef> {
        let facts = &self.asker.policies().facts;
        let known: BTreeSet<PolicyRef> = ids
            .into_iter()
            .filter_map(|id| facts.get(id))
            .map(|facts| facts.place.clone())
            .collect();
        known.into_iter().collect()
    }

    /// Every policy that erred so far.
    pub(super) fn alarms(&self) -> Vec<PolicyRef> {
        self.places(self.errored.borrow().iter())
    }

    pub(super) fn allowed(&self, answer: &Answer, counts: &[u32]) -> Allowed {
        Allowed {
            because: self.places(&answer.permits),
            counted: self.by_kind(counts),
            alarms: self.alarms(),
        }
    }
}

/// Of whom a request is: the person behind it, and the workload they answer for if it is one's.
pub(super) fn about_whom(
    types: &Types,
    person: &UserId,
    principal: &PrincipalId,
) -> impl Iterator<Item = (String, RestrictedExpression)> + use<> {
    let entity = RestrictedExpression::new_entity_uid;
    let requester = ("requester".to_owned(), entity(types.user(person)));
    let workload = match principal {
        PrincipalId::User(_) => None,
        PrincipalId::Workload(_) => {
            Some(("workload".to_owned(), entity(types.principal(principal))))
        }
    };
    std::iter::once(requester).chain(workload)
}

fn moment(at: Moment) -> RestrictedExpression {
    RestrictedExpression::new_datetime(at.to_string())
}

fn seconds(count: i64) -> RestrictedExpression {
    RestrictedExpression::new_duration(format!("{count}s"))
}
