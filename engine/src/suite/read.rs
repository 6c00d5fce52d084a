//! The reader of a test file: strict, with every error at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::Arc;

use crate::access::Action;
use crate::approval::Kind;
use crate::bundle::hcl::{Document, Placed, Reader, Value};
use crate::bundle::report::did_you_mean;
use crate::bundle::{Bundle, Report};
use crate::decide::Limits;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::request::{REASON_MAX, TICKET_MAX};
use crate::scope::{Scope, ScopeId};
use crate::window::{Duration, Moment};

use super::invariant::{About, Invariant, Promise};
use super::names::{Names, Who};
use super::row::{Asks, Expect, Row};
use super::who_can::WhoCan;
use super::{Check, Place, Suite, What};
use super::{people, tokens};

/// The reason of a case that gives none, for policies that only want some reason.
const REASON_SOME: &str = "a test";

/// The most people an invariant can ask for: as many as a case holds approvals.
const PEOPLE_MOST: u32 = 32;

const _: () = assert!(PEOPLE_MOST as usize == crate::case::APPROVALS_MAX);

/// The most post-reviews that a case says someone owes: more than any policy tells apart.
const OPEN_REVIEWS_MOST: u32 = 1_000;

/// The most extensions that a case says there were before: one less than a request can have.
const EXTENSIONS_MOST: u32 = 15;

const _: () = assert!(EXTENSIONS_MOST as usize + 1 == crate::case::EXTENSIONS_MAX);

/// Reads one file into the suite; what is wrong with it goes into the report.
pub(super) fn read(suite: &mut Suite, path: &str, text: &str, report: &mut Report) {
    let document = Document::parse(path, text);
    if let Some(mut file) = document.root() {
        let people = people::read(&mut file, suite.bundle());
        // Without its people the names in the file would all be reported as unknown.
        if !document.has_errors()
            && let Some(world) = people::world(suite, &document, people)
            && let Some(bundle) = suite
                .worlds
                .get(world)
                .map(|world| Arc::clone(&world.bundle))
        {
            let mut checks = read_tests(file, &document, &bundle, path, text);
            for check in &mut checks {
                check.world = world;
            }
            suite.checks.extend(checks);
        } else {
            // The errors so far hide what they would otherwise cause; the rest of the file waits for the next run.
            file.abandon();
        }
    }
    report.absorb(document.into_report());
}

fn read_tests(
    mut file: Reader<'_>,
    document: &Document,
    bundle: &Bundle,
    path: &str,
    text: &str,
) -> Vec<Check> {
    let at = file.required_parsed("at", Moment::from_str);
    let tokens = tokens::read(&mut file, bundle);
    let names = Names {
        document,
        directory: bundle.directory(),
        tokens,
    };
    let mut tests = Tests {
        names,
        bundle,
        path,
        line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
        checks: Vec::new(),
    };
    let defaults = Defaults {
        // Stands in for a moment that was refused, so that the rest is read all the same.
        at: at.map_or(Moment::EPOCH, |at| at.value),
        reason: REASON_SOME.to_owned(),
        scope: None,
        who: None,
        ticket: None,
        names_scope: false,
        names_who: false,
    };
    for (name, block) in file.labelled_blocks("test") {
        tests.test(name, block, &defaults);
    }
    for (scope, block) in file.labelled_blocks("who_can") {
        let name = format!("who can have {}", scope.value);
        tests.who_can(&name, scope, block, &defaults);
    }
    for (name, block) in file.labelled_blocks("invariant") {
        tests.invariant(name, block, defaults.at);
    }
    file.finish();
    tests.checks
}

/// What a case has where it says nothing else.
#[derive(Debug, Clone)]
struct Defaults {
    at: Moment,
    reason: String,
    scope: Option<ScopeId>,
    who: Option<(Who, Principal)>,
    ticket: Option<String>,
    /// Whether a scope and a principal are named, be it wrongly: what is wrong with a name is said where it stands.
    names_scope: bool,
    names_who: bool,
}

struct Tests<'a> {
    names: Names<'a>,
    bundle: &'a Bundle,
    path: &'a str,
    /// Where each line ends, in bytes: a file has thousands of cases, and each has its place.
    line_ends: Vec<usize>,
    checks: Vec<Check>,
}

impl<'a> Tests<'a> {
    fn place(&self, at: usize) -> Place {
        Place {
            file: self.path.to_owned(),
            line: self.line_ends.partition_point(|end| *end < at) + 1,
        }
    }

    fn add(&mut self, test: &str, at: usize, what: What) {
        self.checks.push(Check {
            place: self.place(at),
            test: test.to_owned(),
            world: 0,
            what,
        });
    }

    fn test(&mut self, name: Placed<String>, mut block: Reader<'a>, defaults: &Defaults) {
        let defaults = self.defaults(&mut block, defaults);
        let cases = block.objects("cases");
        let lists = block.labelled_blocks("who_can");
        if cases.is_none() && lists.is_empty() {
            block.require("cases");
        }
        for case in cases.map(|cases| cases.value).unwrap_or_default() {
            let at = case.header().start;
            if let Some(row) = self.row(case, &defaults) {
                self.add(&name, at, What::Row(Box::new(row)));
            }
        }
        for (scope, list) in lists {
            self.who_can(&name, scope, list, &defaults);
        }
        block.finish();
    }

    /// What both a test and a case may say.
    fn defaults(&self, block: &mut Reader<'a>, before: &Defaults) -> Defaults {
        let names_scope = before.names_scope || block.has("scope");
        let names_who = before.names_who || block.has("user") || block.has("token");
        let at = block.parsed("at", Moment::from_str);
        let reason = block.parsed("reason", |text| fitting(text, REASON_MAX));
        let ticket = block.parsed("ticket", |text| fitting(text, TICKET_MAX));
        let scope = block.string("scope").and_then(|scope| self.scope(&scope));
        let user = block.string("user");
        let token = block.string("token");
        if let (Some(user), Some(token)) = (&user, &token) {
            self.names.document.error_pair(
                user.span.clone(),
                token.span.clone(),
                "a case has one principal, a user or a token",
                Some("keep one of them".to_owned()),
            );
        }
        let user = user.and_then(|name| self.names.user(&name)).map(|user| {
            let principal = Principal::user(user.clone());
            (Who::User(user), principal)
        });
        let token = token.and_then(|name| {
            let principal = self.names.token(&name)?.clone();
            Some((Who::Token(name.value), principal))
        });
        Defaults {
            at: at.map_or(before.at, |at| at.value),
            reason: reason.map_or_else(|| before.reason.clone(), |reason| reason.value),
            scope: scope.or_else(|| before.scope.clone()),
            who: user.or(token).or_else(|| before.who.clone()),
            ticket: ticket
                .map(|ticket| ticket.value)
                .or_else(|| before.ticket.clone()),
            names_scope,
            names_who,
        }
    }

    fn scope(&self, name: &Placed<String>) -> Option<ScopeId> {
        let found = self
            .bundle
            .scopes()
            .find(|scope| scope.id.as_str() == name.value);
        if found.is_none() {
            let known = self.bundle.scopes().map(|scope| scope.id.as_str());
            let help = did_you_mean(name, known);
            let message = format!("no scope `{}`", name.value);
            self.names.document.error(name.span.clone(), message, help);
        }
        found.map(|scope| scope.id.clone())
    }

    fn row(&self, mut case: Reader<'a>, defaults: &Defaults) -> Option<Row> {
        let Defaults {
            at,
            reason,
            scope,
            who,
            ticket,
            names_scope,
            names_who,
        } = self.defaults(&mut case, defaults);
        let expect = case.required_parsed("expect", |text| {
            let known = Expect::ALL.iter().find(|(word, _)| *word == text);
            known.map(|(_, expect)| *expect).ok_or_else(|| {
                format!("`{text}` is no answer; it is `granted`, `needs_approval` or `denied`")
            })
        });
        let extends = case.has("extend");
        let says_how_long = extends || case.has("duration") || case.has("longest");
        let (asks, whole) = self.asks(&mut case);
        let duration = whole.or_else(|| case.parsed("duration", Duration::from_str));
        let longest = case.parsed("longest", Duration::from_str);
        // A group means everyone in it but the person who asks.
        let behind = who
            .as_ref()
            .and_then(|(_, principal)| self.bundle.directory().person_behind(&principal.id));
        let approvals = case.object("approvals").map(|it| self.by_kind(it, behind));
        let approvers = case.object("approvers").map(|it| self.by_kind(it, behind));
        let policies = case
            .strings("policies")
            .map(|list| self.policies(list.value));
        let [viewers, revokers, reviewers, delegates] =
            ["viewers", "revokers", "reviewers", "delegates"].map(|key| {
                let list = case.strings(key);
                list.map(|list| self.names.users(&list.value, behind))
            });
        let lent = case.object("lent").map(|it| self.lent(it));
        if !names_scope {
            case.error(
                case.header(),
                "this case names no scope",
                Some("add `scope = …` to it or to its test".to_owned()),
            );
        }
        if !names_who {
            case.error(
                case.header(),
                "this case names nobody who asks",
                Some("add `user = …` or `token = …` to it or to its test".to_owned()),
            );
        }
        if let (Some(duration), Some(longest)) = (&duration, &longest)
            && duration.value > longest.value
        {
            case.error(
                longest.span.clone(),
                "`longest` is shorter than `duration`",
                Some("leave `duration` out: `longest` is asked for too".to_owned()),
            );
        }
        if !says_how_long {
            case.require("duration");
        }
        if extends && duration.is_none() && longest.is_none() {
            case.error(
                case.header(),
                "this case does not say how long the window is to be",
                Some("add `to` to `extend`, or `longest` to the case".to_owned()),
            );
        }
        let asked = duration.as_ref().or(longest.as_ref());
        if let (Some(asks), Some(asked)) = (asks, asked)
            && asked.value.as_s() <= asks.more_than_s()
        {
            case.error(
                asked.span.clone(),
                "an extension makes the window longer, and so did each one before it",
                Some("make it longer than `from`, by a second for each of `extensions`".to_owned()),
            );
        }
        let expected = expect.map(|expect| expect.value);
        if let (Some(longest), Some(Expect::Denied)) = (&longest, expected) {
            case.error(
                longest.span.clone(),
                "`longest` says how long access can be; this case expects none",
                Some("use `duration`".to_owned()),
            );
        }
        if approvers.is_some() && matches!(expected, Some(Expect::Denied | Expect::Granted)) {
            case.error(
                case.header(),
                "`approvers` says who could give what is missing; this case expects that nothing is",
                Some("leave it out, or expect `needs_approval`".to_owned()),
            );
        }
        let longest = longest.map(|longest| longest.value);
        let mut given = BTreeMap::new();
        for (kind, people) in approvals.flatten().unwrap_or_default() {
            for person in people {
                let kinds: &mut BTreeSet<Kind> = given.entry(person).or_default();
                kinds.insert(kind.clone());
            }
        }
        let lent = lent.unwrap_or_default();
        for person in lent.keys().filter(|person| !given.contains_key(person)) {
            case.error(
                case.header(),
                format!("`{person}` is lent a right and does not consent"),
                Some("name them in `approvals`".to_owned()),
            );
        }
        case.finish();
        let (who, principal) = who?;
        Some(Row {
            who,
            principal,
            scope: scope?,
            asks: asks?,
            duration: duration.map(|duration| duration.value).or(longest)?,
            reason,
            ticket,
            at,
            approvals: given,
            lent,
            expect: expected?,
            policies,
            approvers: approvers.flatten(),
            longest,
            viewers,
            revokers,
            reviewers,
            delegates,
        })
    }

    /// By which action a case asks, and how long an extended window is to be.
    fn asks(&self, case: &mut Reader<'a>) -> (Option<Asks>, Option<Placed<Duration>>) {
        let emergency = case.bool("break_glass").filter(|given| given.value);
        let debt = case.u32("open_reviews", 0..=OPEN_REVIEWS_MOST);
        if let (None, Some(debt)) = (&emergency, &debt) {
            case.error(
                debt.span.clone(),
                "post-reviews matter in an emergency only",
                Some("add `break_glass = true`".to_owned()),
            );
        }
        let extends = case.has("extend");
        let Some(mut extend) = case.object("extend") else {
            let asks = match emergency {
                None => Asks::ToOpen,
                Some(_) => Asks::InEmergency {
                    open_reviews: debt.map_or(0, |debt| debt.value),
                },
            };
            return ((!extends).then_some(asks), None);
        };
        if let Some(emergency) = emergency {
            case.error(
                emergency.span,
                "a case either extends a window or breaks the glass",
                Some("keep one of them".to_owned()),
            );
        }
        if let Some(duration) = case.value("duration") {
            case.error(
                duration.span,
                "of an extension, `to` says how long the window is to be",
                Some("write it like `extend = { from = \"1h\", to = \"2h\" }`".to_owned()),
            );
        }
        let from = extend.required_parsed("from", Duration::from_str);
        let to = extend.parsed("to", Duration::from_str);
        let extensions = extend.u32("extensions", 0..=EXTENSIONS_MOST);
        extend.finish();
        let asks = from.map(|from| Asks::ToExtend {
            from: from.value,
            extensions: extensions.map_or(0, |count| count.value),
        });
        (asks, to)
    }

    /// Who consents by the right of whom.
    fn lent(&self, mut object: Reader<'a>) -> BTreeMap<UserId, UserId> {
        let mut found = BTreeMap::new();
        for (name, value) in object.rest() {
            let Value::String(lender) = value.value else {
                object.error(
                    value.span,
                    format!("`{}` must be the name of a lender", name.value),
                    Some("write it like `lent = { lee = \"pat\" }`".to_owned()),
                );
                continue;
            };
            let lender = self.names.user(&Placed::new(lender, value.span));
            if let (Some(delegate), Some(lender)) = (self.names.user(&name), lender) {
                found.insert(delegate, lender);
            }
        }
        object.finish();
        found
    }

    /// Kinds of approval, each with people.
    fn by_kind(
        &self,
        mut object: Reader<'a>,
        behind: Option<&UserId>,
    ) -> Option<BTreeMap<Kind, BTreeSet<UserId>>> {
        let mut found = BTreeMap::new();
        let mut sound = true;
        let kinds = &self.bundle.policies().kinds;
        for (name, value) in object.rest() {
            let kind = kinds.iter().find(|kind| kind.as_str() == name.value);
            if kind.is_none() {
                let message = format!("no kind of approval `{}`", name.value);
                let help =
                    did_you_mean(&name, kinds.iter().map(Kind::as_str)).unwrap_or_else(|| {
                        let kinds: Vec<String> =
                            kinds.iter().map(|kind| format!("`{kind}`")).collect();
                        format!("the schema has {}", kinds.join(", "))
                    });
                object.error(name.span.clone(), message, Some(help));
            }
            let people = strings(&object, &name, value).map(|list| self.names.users(&list, behind));
            match (kind, people) {
                (Some(kind), Some(people)) => {
                    found.insert(kind.clone(), people);
                }
                _ => sound = false,
            }
        }
        object.finish();
        sound.then_some(found)
    }

    fn policies(&self, list: Vec<Placed<String>>) -> BTreeSet<String> {
        for id in &list {
            if self.bundle.policy(id).is_none() {
                let facts = self.bundle.policies().facts.keys();
                let known: Vec<&str> = facts.map(AsRef::as_ref).collect();
                let help = did_you_mean(id, known);
                let message = format!("no policy `{}`", id.value);
                self.names.document.error(id.span.clone(), message, help);
            }
        }
        list.into_iter().map(|id| id.value).collect()
    }

    /// The list of a scope, and those of who can have it in an emergency and who can extend it, as far as they are given.
    fn who_can(
        &mut self,
        test: &str,
        scope: Placed<String>,
        mut block: Reader<'a>,
        defaults: &Defaults,
    ) {
        let at = block.parsed("at", Moment::from_str);
        let reason = block.parsed("reason", |text| fitting(text, REASON_MAX));
        let further = [
            (Action::BreakGlass, block.block("break_glass")),
            (Action::Extend, block.block("extend")),
        ];
        let further = further.map(|(action, block)| Some((action, block?)));
        let lists = further.into_iter().flatten();
        let lists: Vec<_> = std::iter::once((Action::Activate, block))
            .chain(lists)
            .map(|(action, block)| {
                let start = block.header().start;
                (action, start, self.list(block))
            })
            .collect();
        let Some(scope) = self.scope(&scope) else {
            return;
        };
        for (action, start, expected) in lists {
            let list = WhoCan {
                scope: scope.clone(),
                action,
                at: at.as_ref().map_or(defaults.at, |at| at.value),
                reason: reason
                    .as_ref()
                    .map_or(&defaults.reason, |reason| &reason.value)
                    .clone(),
                expected,
            };
            self.add(test, start, What::WhoCan(Box::new(list)));
        }
    }

    /// Everyone there is to ask about, each with what a list expects of them.
    fn list(&self, mut block: Reader<'a>) -> BTreeMap<Who, (Principal, Limits)> {
        let granted = block.object("granted").map(|it| self.by_duration(it));
        let possible = block
            .object("needs_approval")
            .map(|it| self.by_duration(it));
        let denied = block.strings("denied").map(|list| list.value);
        let denied = self.names.principals(&denied.unwrap_or_default());
        block.finish();
        let granted = best(granted.unwrap_or_default(), &denied);
        let possible = best(possible.unwrap_or_default(), &denied);
        let expected = |who: &Who| {
            let granted = granted.get(who).copied();
            Limits {
                granted,
                // With consent at least what is given without.
                possible: possible.get(who).copied().max(granted),
            }
        };
        let everyone = self.names.everyone().into_iter();
        everyone
            .map(|(who, principal)| {
                let limits = expected(&who);
                (who, (principal, limits))
            })
            .collect()
    }

    fn invariant(&mut self, name: Placed<String>, mut block: Reader<'a>, at: Moment) {
        let written = |list: &Placed<Vec<Placed<String>>>| -> Vec<String> {
            list.value.iter().map(|name| name.value.clone()).collect()
        };
        let who = block.strings("who");
        let except = block.strings("except");
        let scopes = block.strings("scopes").map(|list| self.scopes(&list.value));
        let actions = block
            .strings("actions")
            .map(|list| self.actions(&list.value));
        let about = About {
            who: who.as_ref().map(written),
            except: except.as_ref().map(written).unwrap_or_default(),
            scopes: scopes.clone(),
            actions: actions.unwrap_or_else(|| Action::ALL.into()),
        };
        let who = who.map(|list| self.ids(&list.value));
        let except = except.map(|list| self.ids(&list.value));
        let longest = block.parsed("longest", Duration::from_str);
        let people = block.u32("approvals_min", 1..=PEOPLE_MOST);
        let self_approval = self.kept(&mut block, "self_approval", false);
        let someone = self.kept(&mut block, "approver_exists", true);
        let promises: Vec<Promise> = [
            longest.map(|longest| Promise::Longest(longest.value)),
            people.map(|people| Promise::People(people.value)),
            self_approval.then_some(Promise::NoSelfApproval),
            someone.then_some(Promise::SomeoneConsents),
        ]
        .into_iter()
        .flatten()
        .collect();
        if promises.is_empty() && !self.names.document.has_errors() {
            block.error(
                block.header(),
                "this invariant promises nothing",
                Some(
                    "add `longest`, `approvals_min`, `self_approval = false` or `approver_exists = true`"
                        .to_owned(),
                ),
            );
        }
        let mut who = who.unwrap_or_else(|| self.names.all_ids());
        for id in except.unwrap_or_default() {
            who.remove(&id);
        }
        let every = || self.bundle.scopes().map(|scope| scope.id.clone()).collect();
        let scopes = scopes.unwrap_or_else(every);
        // Of nobody, and of nothing, anything is true: a promise whose last scope was renamed must not look kept.
        let nothing = who.is_empty() || scopes.is_empty();
        if nothing && !self.names.document.has_errors() {
            block.error(
                block.header(),
                "this invariant is about nobody, or about no scope",
                Some("remove it, or widen `who` and `scopes`".to_owned()),
            );
        }
        if about.actions.is_empty() && !self.names.document.has_errors() {
            block.error(
                block.header(),
                "this invariant is about no action",
                Some("leave `actions` out for all of them".to_owned()),
            );
        }
        let start = block.header().start;
        block.finish();
        let invariant = Invariant {
            name: name.value,
            about,
            promises,
            at,
            who,
            scopes,
        };
        let test = invariant.to_string();
        self.add(&test, start, What::Invariant(Box::new(invariant)));
    }

    /// Whether a promise is made that can be made in one way only.
    fn kept(&self, block: &mut Reader<'a>, key: &str, promised: bool) -> bool {
        match block.bool(key) {
            None => false,
            Some(given) if given.value == promised => true,
            Some(given) => {
                block.error(
                    given.span,
                    format!("`{key}` can only be `{promised}`: it is a promise"),
                    Some("leave the line out".to_owned()),
                );
                false
            }
        }
    }

    fn actions(&self, list: &[Placed<String>]) -> BTreeSet<Action> {
        let mut found = BTreeSet::new();
        for name in list {
            let known = Action::ALL.into_iter().find(|it| it.name() == name.value);
            found.extend(known);
            if known.is_none() {
                let words = Action::ALL.into_iter().map(Action::name);
                let help = did_you_mean(name, words.clone()).unwrap_or_else(|| {
                    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
                    format!("write {}", words.join(", "))
                });
                let message = format!("no action `{}` gives anyone a window", name.value);
                self.names
                    .document
                    .error(name.span.clone(), message, Some(help));
            }
        }
        found
    }

    fn ids(&self, list: &[Placed<String>]) -> BTreeSet<PrincipalId> {
        list.iter().flat_map(|name| self.names.ids(name)).collect()
    }

    /// Scopes by name, and by `environment:NAME` and `system:NAME`.
    fn scopes(&self, list: &[Placed<String>]) -> BTreeSet<ScopeId> {
        let mut found = BTreeSet::new();
        for name in list {
            let of = |part: fn(&Scope) -> &str, wanted: &str| -> BTreeSet<ScopeId> {
                let scopes = self.bundle.scopes();
                let fitting = scopes.filter(|scope| part(scope) == wanted);
                fitting.map(|scope| scope.id.clone()).collect()
            };
            let these = match name.split_once(':') {
                Some(("environment", wanted)) => of(|scope| &scope.environment, wanted),
                Some(("system", wanted)) => of(|scope| &scope.system, wanted),
                Some(_) => BTreeSet::new(),
                None => {
                    found.extend(self.scope(name));
                    continue;
                }
            };
            if these.is_empty() {
                self.names.document.error(
                    name.span.clone(),
                    format!("`{}` fits no scope", name.value),
                    Some("write a scope's name, `environment:NAME` or `system:NAME`".to_owned()),
                );
            }
            found.extend(these);
        }
        found
    }

    /// Durations, each with principals; `true` for those named themselves.
    fn by_duration(&self, mut object: Reader<'a>) -> Vec<(Who, bool, Duration)> {
        let mut found: Vec<(Who, bool, Duration)> = Vec::new();
        for (length, value) in object.rest() {
            let duration = match Duration::from_str(&length) {
                Ok(duration) => duration,
                Err(error) => {
                    object.error(length.span.clone(), error.to_string(), None);
                    continue;
                }
            };
            for name in strings(&object, &length, value).unwrap_or_default() {
                let one = std::slice::from_ref(&name);
                for (who, named) in self.names.principals(one) {
                    let twice = |(other, is_named, _): &&(Who, bool, Duration)| {
                        named && *is_named && *other == who
                    };
                    if found.iter().any(|entry| twice(&entry)) {
                        object.error(
                            name.span.clone(),
                            format!("`{}` is on the list twice", name.value),
                            Some("keep the longest window".to_owned()),
                        );
                    }
                    found.push((who, named, duration));
                }
            }
        }
        object.finish();
        found
    }
}

/// What a list says of each: what it says of them by name, else the longest that it says of a group they are in.
fn best(list: Vec<(Who, bool, Duration)>, denied: &[(Who, bool)]) -> BTreeMap<Who, Duration> {
    let mut best: BTreeMap<Who, (bool, Duration)> = BTreeMap::new();
    for (who, named, duration) in list {
        let entry = (named, duration);
        let known = best.entry(who).or_insert(entry);
        *known = entry.max(*known);
    }
    for (who, named) in denied {
        let by_name = best.get(who).is_some_and(|(by_name, _)| *by_name);
        if *named || !by_name {
            best.remove(who);
        }
    }
    best.into_iter()
        .map(|(who, (_, duration))| (who, duration))
        .collect()
}

/// The list of strings under a key of the author's own.
fn strings(
    object: &Reader<'_>,
    key: &Placed<String>,
    value: Placed<Value>,
) -> Option<Vec<Placed<String>>> {
    let wanted = || format!("`{}` must be a list of names", key.value);
    let Value::List(items) = value.value else {
        object.error(
            value.span,
            wanted(),
            Some("write it like `[\"mia\"]`".to_owned()),
        );
        return None;
    };
    let mut found = Vec::new();
    for item in items {
        match item.value {
            Value::String(text) => found.push(Placed::new(text, item.span)),
            _ => {
                object.error(item.span, wanted(), None);
                return None;
            }
        }
    }
    Some(found)
}

fn fitting(text: &str, bytes_max: usize) -> Result<String, String> {
    match text.len() <= bytes_max {
        true => Ok(text.to_owned()),
        false => Err(format!("at most {bytes_max} bytes are taken here")),
    }
}
