//! What a question made of each policy that could matter to it: for coverage, never for a decision.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, Entities, EntityUid, PolicyId, Request};

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::case::{Case, Question};
use crate::digest::Digest;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, Window};

use super::ask::{Ask, Asker, Counts, Wish, about_whom};
use super::count::best_counts;
use super::evaluate::holds;
use super::index::{Index, Line};
use super::search::Search;
use super::ways::ways;
use super::{Purpose, Standing, longer};

/// A policy whose head names the principal and the resource of a question.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: PolicyId,
    pub(crate) forbids: bool,
    /// Which of its conditions held, in their order; `None` for one that makes no sense by itself here.
    pub(crate) held: Vec<Option<bool>>,
}

impl Seen {
    /// Whether the policy matched.
    fn matched(&self) -> bool {
        self.held.iter().all(|held| *held == Some(true))
    }
}

/// One question to the policies.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) seen: Vec<Seen>,
    /// The length of the window it was about; `None` where there is none.
    pub(crate) duration_s: Option<u32>,
}

impl Trace {
    /// The policies without which the answer could have been another: the permits that matched, or the forbids that kept
    /// them from it. A forbid of what nothing permits decides nothing.
    pub(crate) fn decisive(&self) -> Vec<&PolicyId> {
        let matched = |forbids: bool| {
            self.seen
                .iter()
                .filter(move |seen| seen.forbids == forbids && seen.matched())
                .map(|seen| &seen.id)
        };
        match (matched(false).next(), matched(true).next()) {
            (Some(_), Some(_)) => matched(true).collect(),
            (Some(_), None) => matched(false).collect(),
            (None, _) => Vec::new(),
        }
    }
}

/// The questions that decide what this case asks now, of someone of this standing: with the approvals counted, and where they
/// are too few, with those that would do or with as many as the policies can tell apart.
pub(crate) fn of_case(bundle: &Bundle, case: &Case, standing: Standing, now: Moment) -> Vec<Trace> {
    on_case(bundle, case, standing, now, |ask, wish, digest| {
        let consents = ask.consents(case, digest, wish);
        let search = Search::of(ask, ask.slice());
        let people: Vec<&BTreeSet<usize>> = consents.counting.values().collect();
        let counted = best_counts(&people, &search.tops);
        let enough = counted
            .iter()
            .find(|counts| search.answer(wish, counts).allowed);
        let asked: Vec<Counts> = match enough.or(counted.first()) {
            Some(counts) if enough.is_some() => vec![counts.clone()],
            counts => {
                let more = match search.could_be(wish) {
                    true => ways(&search, wish, &consents)
                        .iter()
                        .map(|way| counts_of(ask, &way.needs))
                        .collect(),
                    false => vec![search.tops.clone()],
                };
                counts.into_iter().cloned().chain(more).collect()
            }
        };
        asked
            .iter()
            .filter_map(|counts| activation(ask, wish, counts))
            .collect()
    })
    .unwrap_or_default()
}

/// The activations of a wish that nobody has made, for windows of these lengths: with and without a ticket, with nobody's
/// consent and with everybody's.
pub(crate) fn of_wish(
    bundle: &Bundle,
    principal: &Principal,
    scope: &ScopeId,
    reason: &str,
    at: Moment,
    durations: &BTreeSet<Duration>,
) -> Vec<Trace> {
    let asker = Asker::of(bundle, principal);
    let ask = asker
        .as_ref()
        .and_then(|asker| asker.wants(scope, at.floor_s(), reason));
    let Some(ask) = ask else {
        return Vec::new();
    };
    let search = Search::of(&ask, ask.slice());
    let windows = durations
        .iter()
        .filter_map(|duration| Window::opening(at, *duration).ok());
    let mut traces = Vec::new();
    for window in windows {
        for wish in search.wishes(window) {
            for counts in [&ask.nobody(), &search.tops] {
                traces.extend(activation(&ask, wish, counts));
            }
        }
    }
    traces
}

/// May `person` consent to this case as each of these kinds, by their own right or for a `delegate` to whom they lent it? The
/// person behind the request is asked about like anyone.
pub(crate) fn of_consent(
    bundle: &Bundle,
    case: &Case,
    person: &UserId,
    delegate: Option<&UserId>,
    kinds: &BTreeSet<Kind>,
    now: Moment,
) -> Vec<Trace> {
    // Whatever is owed: consent is to what is asked.
    on_case(bundle, case, Standing::UNKNOWN, now, |ask, wish, _| {
        let uid = ask.asker.policies().types.user(person);
        let line = Line::of(&ask.asker.policies().entities, &uid);
        let people = std::iter::once(person).chain(delegate);
        let (Some(entities), Some(context)) = (
            ask.asker.entities(&ask.scope.id, people),
            ask.consent_context(wish, delegate),
        ) else {
            return Vec::new();
        };
        let of_kind = |(_, action): &(Kind, EntityUid)| {
            let request = ask.request(uid.clone(), action.clone(), context.clone())?;
            let duration_s = Some(wish.window.duration().as_s());
            let question = (action, &request);
            Some(trace(
                bundle, question, &entities, &line, &ask.line, duration_s,
            ))
        };
        let all = ask.asker.index().kinds().iter();
        all.filter(|(kind, _)| kinds.contains(kind))
            .filter_map(of_kind)
            .collect()
    })
    .unwrap_or_default()
}

/// A say in what others ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    /// To see it.
    View,
    /// To end it.
    Revoke,
    /// To close its post-review.
    Review,
}

impl Say {
    fn action(self, index: &Index) -> &EntityUid {
        match self {
            Say::View => index.view(),
            Say::Revoke => index.revoke(),
            Say::Review => index.review(),
        }
    }
}

/// Has `person` this say in what `requester` asked of `scope`?
pub(crate) fn of_say(
    bundle: &Bundle,
    say: Say,
    person: &UserId,
    requester: &PrincipalId,
    scope: &ScopeId,
) -> Option<Trace> {
    let policies = bundle.policies();
    let behind = bundle.directory().person_behind(requester)?;
    let whom = about_whom(&policies.types, behind, requester);
    let resource = policies.types.scope(scope);
    let action = say.action(bundle.index());
    of_people(
        bundle,
        action,
        person,
        resource,
        Context::from_pairs(whom).ok()?,
    )
}

/// May `lender` lend `delegate` their right to consent?
pub(crate) fn of_lending(bundle: &Bundle, lender: &UserId, delegate: &UserId) -> Option<Trace> {
    let resource = bundle.policies().types.user(delegate);
    let action = bundle.index().delegate();
    of_people(bundle, action, lender, resource, Context::empty())
}

fn of_people(
    bundle: &Bundle,
    action: &EntityUid,
    person: &UserId,
    resource: EntityUid,
    context: Context,
) -> Option<Trace> {
    let policies = bundle.policies();
    let principal = policies.types.user(person);
    let lines = [&principal, &resource].map(|uid| Line::of(&policies.entities, uid));
    let [of_person, of_resource] = &lines;
    let request = Request::new(principal, action.clone(), resource, context, None).ok()?;
    let entities = &policies.entities;
    let question = (action, &request);
    Some(trace(
        bundle,
        question,
        entities,
        of_person,
        of_resource,
        None,
    ))
}

/// Whatever is asked, of whatever entities; nothing where it names no principal, action or resource.
pub(crate) fn of_question(
    bundle: &Bundle,
    request: &Request,
    entities: &Entities,
) -> Option<Trace> {
    let (principal, resource) = (request.principal()?, request.resource()?);
    Some(trace(
        bundle,
        (request.action()?, request),
        entities,
        &Line::of(entities, principal),
        &Line::of(entities, resource),
        None,
    ))
}

fn on_case<T>(
    bundle: &Bundle,
    case: &Case,
    standing: Standing,
    now: Moment,
    look: impl FnOnce(&Ask<'_>, Wish<'_>, Digest) -> T,
) -> Option<T> {
    let request = case.request();
    let (window, reason, digest, purpose) = match case.question(now)? {
        Question::Request => (
            Window::opening(now, request.duration).ok()?,
            case.reason(),
            case.request_digest(),
            standing.purpose(request),
        ),
        Question::Extension(asked) => (
            longer(case, asked)?,
            asked.reason.as_deref(),
            asked.digest,
            Purpose::Extend {
                extensions: u32::try_from(case.extensions().len()).unwrap_or(u32::MAX),
            },
        ),
    };
    let asker = Asker::of(bundle, &request.principal)?;
    let reason = reason.unwrap_or("");
    let ask = asker.wants_to(purpose, &request.scope, window.opens_at(), reason)?;
    let wish = Wish {
        window,
        ticket: request.ticket.as_deref(),
    };
    Some(look(&ask, wish, digest))
}

fn activation(ask: &Ask<'_>, wish: Wish<'_>, counts: &[u32]) -> Option<Trace> {
    let request = ask.activation(wish, counts)?;
    Some(trace(
        ask.asker.bundle,
        (ask.action(), &request),
        &ask.entities,
        &ask.asker.line,
        &ask.line,
        Some(wish.window.duration().as_s()),
    ))
}

fn counts_of(ask: &Ask<'_>, needs: &BTreeMap<Kind, u32>) -> Counts {
    let kinds = ask.asker.index().kinds().iter();
    kinds
        .map(|(kind, _)| needs.get(kind).copied().unwrap_or(0))
        .collect()
}

fn trace(
    bundle: &Bundle,
    (action, request): (&EntityUid, &Request),
    entities: &Entities,
    principal: &Line,
    resource: &Line,
    duration_s: Option<u32>,
) -> Trace {
    let facts = &bundle.policies().facts;
    let slice = bundle.index().slice(action, principal, resource);
    let seen = slice
        .heads()
        .filter(|head| head.matches(principal, resource))
        .filter_map(|head| {
            let conditions = &facts.get(&head.id)?.conditions;
            Some(Seen {
                id: head.id.clone(),
                forbids: head.forbids,
                held: conditions
                    .iter()
                    .map(|condition| holds(condition, entities, request))
                    .collect(),
            })
        });
    Trace {
        seen: seen.collect(),
        duration_s,
    }
}
