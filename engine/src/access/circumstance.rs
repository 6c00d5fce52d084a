//! Circumstances: what a request says besides who, what and how long, at every point where that matters.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};

use crate::bundle::Bundle;
use crate::bundle::policies::{Belongs, Points, Text};
use crate::case::EXTENSIONS_MAX;
use crate::decide::Purpose;
use crate::principal::{GITHUB_CLAIMS, Presence, PrincipalId};
use crate::window::{Moment, WINDOW_MAX_S};

use super::Action;

/// The most circumstances asked about for one principal and scope: a handful of claims with a handful of values each, in
/// some seconds. Past it the principal is reported as not enumerated.
pub const CIRCUMSTANCES_MAX: usize = 4_096;

/// The ticket of a request where policies do not say what it must look like.
pub(crate) const TICKET_ANY: &str = "TICKET-1";

/// The reason of a request where policies do not say what it must be.
pub(crate) const REASON_ANY: &str = "a reason";

/// The claim that no policy mentions.
pub(crate) const CLAIM_ANY: &str = "anything-else";

/// A Monday, for policies that do not look at the time: what is asked must not depend on the day it is asked on.
const SOME_DAY: &str = "2030-01-07T12:00:00Z";

/// What a request says besides who, what and how long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Circumstance {
    /// What a workload's token claims.
    pub claims: BTreeMap<String, String>,
    /// What the window is for, and what of the past that purpose may be judged by.
    pub purpose: Purpose,
    /// How much of the past it stands for, in words: how many post-reviews are owed, or how often the window was extended
    /// before. Empty for any.
    pub past: String,
    /// When the window would open.
    pub opens_at: Moment,
    /// Between which moments that policies name it opens, in words; empty for any time.
    pub era: String,
    /// The days and hours it stands for, in words; empty for any.
    pub hours: String,
    /// Whether it stands for a second or two only, right beside such a moment.
    pub edge: bool,
    /// The ticket.
    pub ticket: Option<String>,
    /// Why.
    pub reason: String,
}

/// Whether the seconds right before and after each moment that policies compare with are wanted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// For people: before, between and after.
    Without,
    /// To compare exactly: also whether the very moment is included.
    With,
}

/// Every circumstance that these bundles' policies tell apart for this principal; those of the same claims side by side.
/// `None` where there are more than [`CIRCUMSTANCES_MAX`].
pub(crate) fn circumstances(
    bundles: &[&Bundle],
    principal: &PrincipalId,
    action: Action,
    points: &Points,
    edges: Edges,
) -> Option<Vec<Circumstance>> {
    let mut all = vec![Circumstance {
        claims: BTreeMap::new(),
        purpose: action.purpose(),
        past: String::new(),
        opens_at: SOME_DAY.parse().ok()?,
        era: String::new(),
        hours: String::new(),
        edge: false,
        ticket: None,
        reason: REASON_ANY.to_owned(),
    }];
    for (claim, values) in claims(bundles, principal, points) {
        all = product(&all, &values, |circumstance, value| {
            if let Some(value) = value {
                circumstance.claims.insert(claim.clone(), value.clone());
            }
        })?;
    }
    let zones: Vec<TimeZone> = bundles
        .iter()
        .map(|bundle| bundle.directory().timezone())
        .collect();
    let openings = openings(points, &zones, edges);
    if !openings.is_empty() {
        all = product(&all, &openings, |circumstance, opening| {
            circumstance.opens_at = opening.at;
            circumstance.era.clone_from(&opening.era);
            circumstance.hours.clone_from(&opening.hours);
            circumstance.edge = opening.edge;
        })?;
    }
    if let Some(values) = points.texts.get(&Text::Ticket) {
        let mut tickets: Vec<Option<String>> = vec![None, Some(other_than(values, TICKET_ANY))];
        tickets.extend(combined(values).into_iter().map(Some));
        tickets.dedup();
        all = product(&all, &tickets, |circumstance, ticket| {
            circumstance.ticket.clone_from(ticket);
        })?;
    }
    if let Some(values) = points.texts.get(&Text::Reason) {
        let mut reasons = vec![other_than(values, REASON_ANY)];
        reasons.extend(combined(values));
        all = product(&all, &reasons, |circumstance, reason| {
            circumstance.reason.clone_from(reason);
        })?;
    }
    let pasts = pasts(action, points);
    if !pasts.is_empty() {
        all = product(&all, &pasts, |circumstance, (purpose, past)| {
            circumstance.purpose = *purpose;
            circumstance.past.clone_from(past);
        })?;
    }
    Some(all)
}

/// What of the past policies tell apart: the least of each range of numbers, and the range in words.
fn pasts(action: Action, points: &Points) -> Vec<(Purpose, String)> {
    type Make = fn(u32) -> Purpose;
    let (turns, make, most, what): (_, Make, _, _) = match action {
        Action::Activate => return Vec::new(),
        Action::BreakGlass => {
            let make: Make = |open_reviews| Purpose::BreakGlass { open_reviews };
            (&points.open_reviews, make, u32::MAX, "post-reviews owed")
        }
        Action::Extend => {
            let make: Make = |extensions| Purpose::Extend { extensions };
            let most = u32::try_from(EXTENSIONS_MAX).unwrap_or(u32::MAX) - 1;
            (&points.extensions, make, most, "extensions before")
        }
    };
    let turns = turns.iter().copied().filter(|turn| *turn <= most);
    let starts: BTreeSet<u32> = std::iter::once(0).chain(turns).collect();
    let ends = starts.iter().skip(1).map(|next| Some(next - 1));
    let ranges = starts.iter().zip(ends.chain([None]));
    if starts.len() < 2 {
        return Vec::new();
    }
    let words = |from: u32, last: Option<u32>| match last {
        Some(0) => format!("no {what}"),
        Some(last) if last == from => format!("{from} {what}"),
        Some(last) => format!("{from} to {last} {what}"),
        None => format!("{from} or more {what}"),
    };
    ranges
        .map(|(from, last)| (make(*from), words(*from, last)))
        .collect()
}

fn product<T>(
    all: &[Circumstance],
    values: &[T],
    set: impl Fn(&mut Circumstance, &T),
) -> Option<Vec<Circumstance>> {
    if all.len().saturating_mul(values.len()) > CIRCUMSTANCES_MAX {
        return None;
    }
    let mut more = Vec::with_capacity(all.len() * values.len());
    for circumstance in all {
        for value in values {
            let mut with = circumstance.clone();
            set(&mut with, value);
            more.push(with);
        }
    }
    Some(more)
}

/// Each text, and each two joined end to end: what fits `a*` and what fits `*b` together fit both.
fn combined(values: &BTreeSet<String>) -> BTreeSet<String> {
    let mut all = values.clone();
    for one in values.iter().filter(|value| value.contains('1')) {
        for other in values.iter().filter(|value| value.contains('1')) {
            if one != other {
                all.insert(format!("{one}{other}"));
            }
        }
    }
    all.retain(|value| !value.is_empty());
    all
}

/// A text that is none of these.
fn other_than(values: &BTreeSet<String>, text: &str) -> String {
    let mut other = text.to_owned();
    while values.contains(&other) {
        other.push('x');
    }
    other
}

/// For each claim that matters, what it may be; `None` for absent.
fn claims(
    bundles: &[&Bundle],
    principal: &PrincipalId,
    points: &Points,
) -> Vec<(String, Vec<Option<String>>)> {
    let PrincipalId::Workload(workload) = principal else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (claim, presence) in GITHUB_CLAIMS {
        let known = bundles
            .iter()
            .filter_map(|bundle| bundle.directory().workload(workload));
        let pins: Vec<Option<&String>> = known.map(|it| it.pinned.get(claim)).collect();
        let read = points.texts.get(&Text::Claim(claim.to_owned()));
        let mut values: BTreeSet<Option<String>> = pins
            .iter()
            .flatten()
            .map(|pin| Some((*pin).clone()))
            .collect();
        let pinned_everywhere = pins.iter().all(Option::is_some);
        if values.is_empty() && read.is_none() {
            continue;
        }
        let identities = identities(bundles, principal);
        if claim == "repository_id" && !identities.is_empty() {
            // The broker finds the workload by it.
            values = identities.into_iter().map(Some).collect();
        } else if !pinned_everywhere {
            let none = BTreeSet::new();
            let read = read.unwrap_or(&none);
            values.insert(Some(other_than(read, CLAIM_ANY)));
            values.extend(combined(read).into_iter().map(Some));
            if presence == Presence::Sometimes {
                values.insert(None);
            }
        }
        all.push((claim.to_owned(), values.into_iter().collect()));
    }
    all
}

/// The stable ids of a workload.
fn identities(bundles: &[&Bundle], principal: &PrincipalId) -> BTreeSet<String> {
    bundles
        .iter()
        .flat_map(|bundle| &bundle.directory().identities)
        .filter(|(_, whose)| *whose == principal)
        .map(|((_, id), _)| id.clone())
        .collect()
}

/// A moment at which a window may open, and the times it stands for.
struct Opening {
    at: Moment,
    era: String,
    hours: String,
    edge: bool,
}

/// The moments at which a window may open and the answer be another. None where no policy looks at the time.
fn openings(points: &Points, zones: &[TimeZone], edges: Edges) -> Vec<Opening> {
    let mut found = Vec::new();
    let bounds: BTreeSet<Moment> = moments(points).collect();
    let calendar = points.weekday || points.time_of_day;
    if bounds.is_empty() && !calendar {
        return found;
    }
    let zones: BTreeMap<String, &TimeZone> = zones
        .iter()
        .map(|zone| (zone.iana_name().unwrap_or("UTC").to_owned(), zone))
        .collect();
    let starts = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let ends = bounds.iter().copied().map(Some).chain([None]);
    for (start, end) in starts.zip(ends) {
        let era = match (start, end) {
            (None, None) => String::new(),
            (None, Some(end)) => format!("before {end}"),
            (Some(start), None) => format!("from {start} on"),
            (Some(start), Some(end)) => format!("from {start} until {end}"),
        };
        let within =
            |at: Moment| start.is_none_or(|start| start <= at) && end.is_none_or(|end| at < end);
        let mut any = false;
        for (name, zone) in zones.iter().filter(|_| calendar) {
            for (at, mut hours) in days(points, zone, start, end) {
                if within(at) {
                    any = true;
                    if zones.len() > 1 {
                        hours.push_str(&format!(" in {name}"));
                    }
                    found.push(Opening {
                        at,
                        era: era.clone(),
                        hours,
                        edge: false,
                    });
                }
            }
        }
        if !any {
            found.extend(middle(start, end).map(|at| Opening {
                at,
                era,
                hours: String::new(),
                edge: false,
            }));
        }
    }
    if edges == Edges::With {
        let blurred = |bound: &&Moment| blurred(points, **bound);
        for bound in points.opens_at.keys().filter(blurred) {
            for seconds in [-1, 0, 1] {
                found.extend(edge(*bound, seconds));
            }
        }
        for bound in points.closes_at.keys().filter(blurred) {
            // A window of one second ends before it, one of two seconds with it, one of three after it.
            found.extend(edge(*bound, -2));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|opening| seen.insert(opening.at));
    found
}

/// The moments that policies compare with the opening or the end of a window.
fn moments(points: &Points) -> impl Iterator<Item = Moment> {
    points
        .opens_at
        .keys()
        .chain(points.closes_at.keys())
        .copied()
}

/// Whether an answer right beside this moment may be another than all those well before and well after it.
///
/// It is one of these where every comparison agrees on which side of the moment the moment itself is, and no window reaches
/// from near it to another moment, nor to it from where the time before it is asked about: then each comparison with a
/// moment is, for every opening and length there is, answered as it is for the same length in one of the eras.
fn blurred(points: &Points, bound: Moment) -> bool {
    // A day with an edge at each end; an era's middle is farther from both ends than any window is long.
    const APART_MS: i64 = 2 * (WINDOW_MAX_S as i64 + 2) * 1_000;
    let sides: Vec<Belongs> = [&points.opens_at, &points.closes_at]
        .iter()
        .filter_map(|moments| moments.get(&bound).copied())
        .collect();
    let clear = matches!(sides.as_slice(), [Belongs::Before | Belongs::After]);
    let alone =
        moments(points).all(|other| other == bound || other.since_ms(bound).abs() > APART_MS);
    let calendar = points.weekday || points.time_of_day;
    calendar || !clear || !alone
}

fn edge(bound: Moment, seconds: i64) -> Option<Opening> {
    // Windows open on whole seconds.
    let at = Moment::from_ms(bound.as_ms() + seconds * 1_000)?.floor_s();
    Some(Opening {
        at,
        era: String::new(),
        hours: format!("opening at {at}"),
        edge: true,
    })
}

/// A moment well inside an era: a week from its only end, or in its middle.
fn middle(start: Option<Moment>, end: Option<Moment>) -> Option<Moment> {
    const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;
    let ms = match (start, end) {
        (None, None) => return SOME_DAY.parse().ok(),
        (None, Some(end)) => end.as_ms() - WEEK_MS,
        (Some(start), None) => start.as_ms() + WEEK_MS,
        (Some(start), Some(end)) => start.as_ms() + end.since_ms(start) / 2,
    };
    Moment::from_ms(ms).map(Moment::floor_s)
}

/// The last second of a day, as a time of day in seconds.
const DAY_LAST_S: u32 = 24 * 3_600 - 1;

/// The days of one week of an era, at each time of day that matters, in words.
fn days(
    points: &Points,
    zone: &TimeZone,
    start: Option<Moment>,
    end: Option<Moment>,
) -> Vec<(Moment, String)> {
    let from = match (start, end) {
        (Some(start), _) => start.as_ms(),
        (None, Some(end)) => end.as_ms() - 9 * 24 * 3_600 * 1_000,
        (None, None) => middle(None, None).map_or(0, Moment::as_ms),
    };
    let Ok(from) = Timestamp::from_millisecond(from) else {
        return Vec::new();
    };
    let first = from.to_zoned(zone.clone()).date();
    let count = if points.weekday { 8 } else { 2 };
    let mut found = Vec::new();
    for day in 0..count {
        let Ok(date) = first.checked_add(Span::new().days(day)) else {
            continue;
        };
        for (from_s, last_s) in hours(points) {
            let clock = date.at(0, 0, 0, 0).checked_add(i64::from(from_s).seconds());
            let at = clock
                .ok()
                .and_then(|clock| clock.to_zoned(zone.clone()).ok())
                .and_then(|zoned| Moment::from_ms(zoned.timestamp().as_millisecond()));
            let Some(at) = at else {
                continue;
            };
            let mut words = Vec::new();
            if points.weekday {
                words.push(format!("on {}s", weekday(date.weekday())));
            }
            if points.time_of_day {
                words.push(match from_s == last_s {
                    true => format!("at {}", clock_face(from_s)),
                    false => format!("between {} and {}", clock_face(from_s), clock_face(last_s)),
                });
            }
            found.push((at, words.join(" ")));
        }
    }
    found
}

/// The times of day that policies tell apart, each from its first to its last second.
fn hours(points: &Points) -> Vec<(u32, u32)> {
    if !points.time_of_day {
        return vec![(12 * 3_600, 12 * 3_600)];
    }
    let mut parts = Vec::new();
    let mut next = 0;
    for time in points.times_s.iter().filter(|time| **time <= DAY_LAST_S) {
        if *time > next {
            parts.push((next, time - 1));
        }
        parts.push((*time, *time));
        next = time + 1;
    }
    if next <= DAY_LAST_S {
        parts.push((next, DAY_LAST_S));
    }
    parts
}

fn clock_face(seconds: u32) -> String {
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}")
}

fn weekday(day: jiff::civil::Weekday) -> &'static str {
    use jiff::civil::Weekday;
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// A group of circumstances in words, in as many parts as it takes to say exactly this group and no other. The words are
/// empty for all there are.
///
/// The seconds right beside a moment that policies name are told only where there is nothing else to tell.
pub(crate) fn told(
    group: &BTreeSet<usize>,
    all: &[Circumstance],
) -> Vec<(BTreeSet<usize>, String)> {
    let is_edge = |number: &usize| all.get(*number).is_some_and(|it| it.edge);
    let (edges, plain): (BTreeSet<usize>, BTreeSet<usize>) =
        group.iter().copied().partition(is_edge);
    let group = if plain.is_empty() { edges } else { plain };
    let edges = group.first().is_some_and(is_edge);
    let universe: Vec<usize> = (0..all.len())
        .filter(|number| is_edge(number) == edges)
        .collect();
    parts(&group, edges, &universe, all)
}

fn parts(
    group: &BTreeSet<usize>,
    edges: bool,
    universe: &[usize],
    all: &[Circumstance],
) -> Vec<(BTreeSet<usize>, String)> {
    let names = names(all);
    let of = |number: usize, name: &str| all.get(number).map(|it| value(it, name));
    let values = |numbers: &mut dyn Iterator<Item = usize>, name: &str| {
        let values: BTreeSet<String> = numbers.filter_map(|number| of(number, name)).collect();
        values
    };
    let own: Vec<BTreeSet<String>> = names
        .iter()
        .map(|name| values(&mut group.iter().copied(), name))
        .collect();
    let everything: Vec<BTreeSet<String>> = names
        .iter()
        .map(|name| values(&mut universe.iter().copied(), name))
        .collect();
    // The words below name some values of each kind, and so all their combinations: is the group just these?
    let combinations = universe
        .iter()
        .copied()
        .filter(|number| {
            names
                .iter()
                .zip(&own)
                .all(|(name, own)| of(*number, name).is_some_and(|value| own.contains(&value)))
        })
        .count();
    if combinations == group.len() {
        let words: Vec<String> = names
            .iter()
            .zip(own.iter().zip(&everything))
            .filter_map(|(name, (own, everything))| {
                // All the seconds that were looked at are still only seconds.
                let everything = match edges && name == HOURS {
                    true => &NOTHING,
                    false => everything,
                };
                in_words(name, own, everything)
            })
            .collect();
        return vec![(group.clone(), words.join(", "))];
    }
    let split = names
        .iter()
        .zip(&own)
        .find(|(_, own)| own.len() > 1)
        .map(|(name, own)| (name, own.clone()));
    let Some((name, own)) = split else {
        return vec![(group.clone(), String::new())];
    };
    own.iter()
        .flat_map(|value| {
            let part: BTreeSet<usize> = group
                .iter()
                .copied()
                .filter(|number| of(*number, name).as_ref() == Some(value))
                .collect();
            parts(&part, edges, universe, all)
        })
        .collect()
}

static NOTHING: BTreeSet<String> = BTreeSet::new();

const ERA: &str = "era";
const HOURS: &str = "hours";
const TICKET: &str = "ticket";
const REASON: &str = "reason";
const PAST: &str = "past";

/// What stands for a text that is absent: no claim and no ticket can be this.
const ABSENT: &str = "\u{0}";

fn names(all: &[Circumstance]) -> Vec<String> {
    let claims: BTreeSet<&String> = all.iter().flat_map(|it| it.claims.keys()).collect();
    let others = [ERA, HOURS, TICKET, REASON, PAST].map(str::to_owned);
    claims.into_iter().cloned().chain(others).collect()
}

fn value(circumstance: &Circumstance, name: &str) -> String {
    match name {
        ERA => circumstance.era.clone(),
        HOURS => circumstance.hours.clone(),
        TICKET => circumstance.ticket.clone().unwrap_or(ABSENT.to_owned()),
        REASON => circumstance.reason.clone(),
        PAST => circumstance.past.clone(),
        claim => circumstance
            .claims
            .get(claim)
            .cloned()
            .unwrap_or(ABSENT.to_owned()),
    }
}

/// How many values are named one by one.
const NAMED_MAX: usize = 6;

fn in_words(name: &str, own: &BTreeSet<String>, everything: &BTreeSet<String>) -> Option<String> {
    if own == everything {
        return None;
    }
    let without: Vec<&String> = everything.difference(own).collect();
    let list = |values: Vec<String>| {
        let more = values.len().saturating_sub(NAMED_MAX);
        let mut words: Vec<String> = values.into_iter().take(NAMED_MAX).collect();
        if more > 0 {
            words.push(format!("{more} more"));
        }
        words.join(" or ")
    };
    let quoted = |values: &mut dyn Iterator<Item = &String>| {
        let values: BTreeSet<&String> = values.collect();
        // A text that was made up by joining two is told by the first.
        let joined = |value: &String| {
            let longer = |other: &&&String| value.starts_with(other.as_str()) && value != **other;
            value.contains('1') && values.iter().any(|other| longer(&other))
        };
        let plain = values.iter().filter(|value| !joined(value));
        let words = plain.map(|value| match value.as_str() {
            ABSENT => "absent".to_owned(),
            value => format!("`{value}`"),
        });
        list(words.collect())
    };
    Some(match name {
        ERA | HOURS | PAST => list(
            own.iter()
                .filter(|words| !words.is_empty())
                .cloned()
                .collect(),
        ),
        TICKET if own.contains(ABSENT) && own.len() == 1 => "without a ticket".to_owned(),
        TICKET if without.iter().all(|value| *value == ABSENT) => "with a ticket".to_owned(),
        TICKET => format!("with a ticket such as {}", quoted(&mut own.iter())),
        REASON => format!("with a reason such as {}", quoted(&mut own.iter())),
        // What nobody named is in it, so the others are named.
        claim if own.iter().any(|value| value.starts_with(CLAIM_ANY)) => {
            format!(
                "where `{claim}` is not {}",
                quoted(&mut without.into_iter())
            )
        }
        claim => format!("where `{claim}` is {}", quoted(&mut own.iter())),
    })
}
