//! Promises that no change of the policies may break, checked by asking about everyone, at every moment that matters.
//!
//! "Every moment that matters" are the points at which some policy can begin to answer differently; between two of them
//! nothing changes. So what holds at these holds at any time, for everyone in today's directory and catalog: *checked by
//! enumeration*. Of people who are not hired yet it says nothing; that would have to be *proved*.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::access::Action;
use crate::bundle::Bundle;
use crate::bundle::policies::{Points, Text};
use crate::decide::promise::{Plea, Possible};
use crate::decide::{Draft, check_to, may_name};
use crate::principal::{GITHUB_CLAIMS, Presence, Principal, PrincipalId};
use crate::scope::ScopeId;
use crate::window::{Duration, Moment};

use super::{DIFFERENCES_MAX, Evidence, Failure, explain};

/// The most questions one invariant may take. A question is some tens of microseconds to some milliseconds, so this is
/// minutes; one that would take more is not checked, and so fails.
pub const QUESTIONS_MAX: usize = 200_000;

/// The most tokens tried for one workload: every combination of the values that policies compare its claims with.
pub const TOKENS_MAX: usize = 256;

/// The days after a moment at which each day of the week has come at any time of day.
const DAYS: i64 = 7;

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// A claim or a reason that no policy names.
const TEXT_OTHER: &str = "something else";

/// One invariant: whom and what it is about, and what it promises of them.
#[derive(Debug)]
pub struct Invariant {
    /// Its name, in the words of whoever made the promise.
    pub name: String,
    /// Whom and what it is about, as it is written: it may be meant for people who are not hired yet.
    pub about: About,
    /// What it promises.
    pub promises: Vec<Promise>,
    /// A moment from which the days of the week are counted; any will do.
    pub(super) at: Moment,
    pub(super) who: BTreeSet<PrincipalId>,
    pub(super) scopes: BTreeSet<ScopeId>,
}

/// Whom and what an invariant is about, as it is written.
#[derive(Debug, Clone)]
pub struct About {
    /// `NAME`, `group:NAME` and `workload:NAME`; everyone where nothing is written.
    pub who: Option<Vec<String>>,
    /// The same, of those it is not about.
    pub except: Vec<String>,
    /// Which scopes; all there may ever be where nothing is written.
    pub scopes: Option<BTreeSet<ScopeId>>,
    /// By which of the policy's actions: all of them where nothing is written.
    pub actions: BTreeSet<Action>,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// No window is longer.
    Longest(Duration),
    /// At least so many distinct people consent.
    People(u32),
    /// The policies let nobody consent to their own request.
    NoSelfApproval,
    /// Whoever may ask finds enough people who may consent.
    SomeoneConsents,
}

/// `invariant nobody consents to their own request`
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant: {}", self.name)
    }
}

impl Promise {
    /// The window that would break it, if any would: since a shorter window is never refused where a longer one is allowed,
    /// one length is enough.
    fn duration(self) -> Option<Duration> {
        match self {
            Promise::Longest(longest) => Duration::from_s(longest.as_s() + 1).ok(),
            Promise::People(_) | Promise::NoSelfApproval | Promise::SomeoneConsents => {
                Duration::from_s(1).ok()
            }
        }
    }
}

/// One question: who asks for what, by which action, when, and why.
struct Question<'a> {
    principal: &'a Principal,
    scope: &'a ScopeId,
    action: Action,
    reason: &'a str,
    at: Moment,
    duration: Duration,
}

impl Invariant {
    /// Every counterexample, at most [`DIFFERENCES_MAX`] of them.
    pub(super) fn run(&self, bundle: &Bundle) -> (Vec<Failure>, Evidence) {
        let points = bundle.policies().points();
        let mut failures = Vec::new();
        let mut questions = 0;
        for promise in &self.promises {
            let Some(duration) = promise.duration() else {
                // Longer than the longest window there is: kept by itself.
                continue;
            };
            let moments = self.moments(bundle, &points, duration);
            let reasons = reasons(&points);
            for id in &self.who {
                let principals = match variants(bundle, &points, id) {
                    Ok(principals) => principals,
                    Err(count) => {
                        failures.push(too_many(&format!("{count} kinds of token of {id}")));
                        continue;
                    }
                };
                for (principal, scope) in principals
                    .iter()
                    .flat_map(|principal| self.scopes.iter().map(move |scope| (principal, scope)))
                {
                    // Whom no permit's head names gets nothing, whatever the conditions say. The own consent is asked of
                    // whoever may ask, and is the same by whichever action.
                    let named =
                        |action: &&Action| may_name(bundle, &principal.id, scope, action.purpose());
                    let named = self.about.actions.iter().filter(named).copied();
                    let actions: Vec<Action> = match promise {
                        Promise::NoSelfApproval => named.take(1).collect(),
                        Promise::Longest(_) | Promise::People(_) | Promise::SomeoneConsents => {
                            named.collect()
                        }
                    };
                    let circumstances = actions.iter().flat_map(|action| {
                        let (moments, reasons) = (&moments, &reasons);
                        moments.iter().flat_map(move |at| {
                            let reasons = reasons.iter();
                            reasons.map(move |reason| (*action, *at, reason.as_str()))
                        })
                    });
                    for (action, at, reason) in circumstances {
                        questions += 1;
                        if questions > QUESTIONS_MAX {
                            failures
                                .push(too_many(&format!("more than {QUESTIONS_MAX} questions")));
                            return (failures, Evidence::Enumerated { questions });
                        }
                        let question = Question {
                            principal,
                            scope,
                            action,
                            reason,
                            at,
                            duration,
                        };
                        if let Some(failure) = question.breaks(bundle, *promise) {
                            failures.push(failure);
                            if failures.len() >= DIFFERENCES_MAX {
                                return (failures, Evidence::Enumerated { questions });
                            }
                            // One counterexample for each principal and scope.
                            break;
                        }
                    }
                }
            }
        }
        (failures, Evidence::Enumerated { questions })
    }

    /// The openings at which a window of this length can begin to be answered differently.
    fn moments(&self, bundle: &Bundle, points: &Points, duration: Duration) -> BTreeSet<Moment> {
        let mut starts: BTreeSet<i64> = BTreeSet::from([self.at.floor_s().as_ms()]);
        let length_ms = i64::from(duration.as_s()) * SECOND_MS;
        let opens = points.opens_at.keys().map(|at| at.as_ms());
        let closes = points.closes_at.keys().map(|at| at.as_ms() - length_ms);
        for ms in opens.chain(closes) {
            // Before, at and after, to the second; a literal between two seconds has both beside it.
            let ms = ms.div_euclid(SECOND_MS) * SECOND_MS;
            starts.extend([ms - SECOND_MS, ms, ms + SECOND_MS]);
        }
        let mut moments: BTreeSet<Moment> = starts
            .iter()
            .filter_map(|ms| Moment::from_ms(*ms))
            .collect();
        if !points.weekday && points.times_s.is_empty() {
            return moments;
        }
        let mut times: BTreeSet<i64> = BTreeSet::from([0]);
        for second in points.times_s.iter().copied().map(i64::from) {
            times.extend(
                [second, second + 1]
                    .iter()
                    .filter(|s| (0..86_400).contains(*s)),
            );
        }
        let zone = bundle.directory().timezone();
        for start in starts {
            // One day more than the week, for the times of the first day that lie before the moment itself.
            for day in 0..=DAYS {
                let Ok(instant) = jiff::Timestamp::from_millisecond(start + day * DAY_MS) else {
                    continue;
                };
                let date = instant.to_zoned(zone.clone()).date();
                for second in &times {
                    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
                    let parts = [hour, minute, second].map(|part| i8::try_from(part).unwrap_or(0));
                    let [hour, minute, second] = parts;
                    let local = date.at(hour, minute, second, 0).to_zoned(zone.clone());
                    let ms = local.ok().map(|local| local.timestamp().as_millisecond());
                    moments.extend(ms.and_then(Moment::from_ms));
                }
            }
        }
        moments
    }
}

impl Question<'_> {
    fn breaks(&self, bundle: &Bundle, promise: Promise) -> Option<Failure> {
        let plea = Plea {
            principal: self.principal,
            scope: self.scope,
            purpose: self.action.purpose(),
            reason: self.reason,
            at: self.at,
        };
        match promise {
            Promise::Longest(longest) => {
                let possible = plea.possible(bundle, self.duration);
                let ticket = &possible.first()?.ticket;
                Some(self.failure(
                    bundle,
                    ticket.as_deref(),
                    format!("nothing longer than {longest}"),
                ))
            }
            Promise::People(least) => {
                let possible = plea.possible(bundle, self.duration);
                let fewer = possible.iter().find(|way| way.people < least)?;
                Some(self.failure(
                    bundle,
                    fewer.ticket.as_deref(),
                    match least {
                        1 => "someone has to consent".to_owned(),
                        _ => format!("at least {least} people have to consent"),
                    },
                ))
            }
            Promise::NoSelfApproval => {
                let kinds = plea.own_consent(bundle);
                let kind = kinds.first()?;
                Some(Failure {
                    expected: "the policies let nobody consent to their own request".to_owned(),
                    came: format!(
                        "{} could consent as {kind} to their own request for {}",
                        bundle.directory().person_behind(&self.principal.id)?,
                        self.scope
                    ),
                    why: vec![
                        "the engine counts no such consent, but the policies by themselves would"
                            .to_owned(),
                    ],
                })
            }
            Promise::SomeoneConsents => {
                let possible = plea.possible(bundle, self.duration);
                let feasible = |way: &Possible| way.feasible;
                let first = possible
                    .first()
                    .filter(|_| !possible.iter().any(feasible))?;
                Some(self.failure(
                    bundle,
                    first.ticket.as_deref(),
                    "whoever may ask finds someone who may consent".to_owned(),
                ))
            }
        }
    }

    fn failure(&self, bundle: &Bundle, ticket: Option<&str>, expected: String) -> Failure {
        let draft = Draft {
            principal: self.principal,
            scope: self.scope,
            duration: self.duration,
            reason: self.reason,
            ticket,
        };
        // The counterexample is put to the engine once more, as anyone would ask.
        let decision = check_to(bundle, &draft, self.action.purpose(), self.at);
        let with = ticket.map(|ticket| format!(" with ticket {ticket}"));
        let claims: Vec<String> = self
            .principal
            .claims
            .iter()
            .map(|(claim, value)| format!("{claim} {value}"))
            .collect();
        let mut why = vec![format!("at {}:", self.at)];
        if !claims.is_empty() {
            why.push(format!("with a token of {}", claims.join(", ")));
        }
        why.extend(explain::why(&decision));
        Failure {
            expected,
            came: format!(
                "{}{}: {}",
                self.wish(),
                with.unwrap_or_default(),
                explain::answer(&decision)
            ),
            why,
        }
    }
}

impl Question<'_> {
    /// `mia asks for prod-db-read for 4h`
    fn wish(&self) -> String {
        let (who, scope, duration) = (self.principal.id.name(), self.scope, self.duration);
        match self.action {
            Action::Activate => format!("{who} asks for {scope} for {duration}"),
            Action::BreakGlass => format!("{who} breaks the glass of {scope} for {duration}"),
            Action::Extend => format!("{who} extends {scope} to {duration}"),
        }
    }
}

/// Not checked is never the same as kept.
fn too_many(what: &str) -> Failure {
    Failure {
        expected: "the invariant to be checked".to_owned(),
        came: format!("it takes {what} to check it, so it was not"),
        why: vec!["narrow it with `who` and `scopes`".to_owned()],
    }
}

/// The reasons that policies could tell apart.
fn reasons(points: &Points) -> BTreeSet<String> {
    let named = points.texts.get(&Text::Reason);
    let mut reasons: BTreeSet<String> = named.into_iter().flatten().cloned().collect();
    reasons.insert(TEXT_OTHER.to_owned());
    reasons
}

/// The user, or the workload with each token that policies could tell apart; or how many these would be.
fn variants(bundle: &Bundle, points: &Points, id: &PrincipalId) -> Result<Vec<Principal>, usize> {
    let workload = match id {
        PrincipalId::User(user) => return Ok(vec![Principal::user(user.clone())]),
        PrincipalId::Workload(workload) => workload,
    };
    let pinned = bundle
        .directory()
        .workload(workload)
        .map(|workload| workload.pinned.clone())
        .unwrap_or_default();
    let mut tokens: Vec<BTreeMap<String, String>> = vec![pinned.clone()];
    for (claim, presence) in GITHUB_CLAIMS {
        let Some(texts) = points.texts.get(&Text::Claim(claim.to_owned())) else {
            continue;
        };
        if pinned.contains_key(claim) {
            continue;
        }
        let mut values: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        values.push(Some(TEXT_OTHER));
        values.extend((presence == Presence::Sometimes).then_some(None));
        let count = tokens.len().saturating_mul(values.len());
        if count > TOKENS_MAX {
            return Err(count);
        }
        tokens = tokens
            .iter()
            .flat_map(|token| {
                values.iter().map(move |value| {
                    let mut token = token.clone();
                    token.extend(value.map(|value| (claim.to_owned(), value.to_owned())));
                    token
                })
            })
            .collect();
    }
    let principal = |claims| Principal::workload(workload.clone(), claims);
    Ok(tokens.into_iter().map(principal).collect())
}
