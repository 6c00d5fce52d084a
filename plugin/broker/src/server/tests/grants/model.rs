//! The reference of `random.rs`: who may do what, and what comes of it, in plain tables and lists.

use std::collections::BTreeSet;

use super::commands::Command;

/// Everyone, by place; `ci` is a job that lee answers for.
pub(super) const PEOPLE: [&str; 10] = [
    "mia", "pat", "lee", "sam", "zoe", "kim", "dana", "audrey", "rob", "ci",
];

/// How long a request is kept that is to end with its requester, in seconds.
pub(super) const KEEP_S: u32 = 1_800;

const REQUEST_TTL_MS: i64 = 24 * 3_600_000;
const ACTIVATION_TTL_MS: i64 = 8 * 3_600_000;

const ENGINEERING: [&str; 6] = ["mia", "pat", "lee", "sam", "kim", "dana"];
const ONCALL: [&str; 1] = ["sam"];
const SECURITY: [&str; 2] = ["zoe", "kim"];
const PAYMENTS_LEADS: [&str; 3] = ["pat", "lee", "kim"];
const PLATFORM_LEADS: [&str; 1] = ["pat"];
const DEPUTIES: [&str; 3] = ["mia", "lee", "dana"];

const SCOPES: [&str; 4] = [
    "ledger-read",
    "ledger-admin",
    "ledger-close",
    "payments-deploy",
];

/// The scope that `Command::Freeze` is about.
pub(super) const FROZEN: &str = "ledger-close";

type Name = &'static str;
type Kinds = BTreeSet<Name>;

fn owners(scope: Name) -> &'static [Name] {
    match scope {
        "payments-deploy" => &PLATFORM_LEADS,
        _ => &PAYMENTS_LEADS,
    }
}

fn manager(person: Name) -> Option<Name> {
    match person {
        "mia" | "lee" | "sam" => Some("pat"),
        "kim" | "dana" => Some("zoe"),
        _ => None,
    }
}

/// The person behind somebody.
fn person_of(who: Name) -> Name {
    match who {
        "ci" => "lee",
        person => person,
    }
}

fn has_terms(scope: Name) -> bool {
    ["ledger-read", "payments-deploy"].contains(&scope)
}

fn told(scope: Name) -> Vec<Name> {
    match scope {
        "ledger-read" => [&SECURITY[..], &PAYMENTS_LEADS[..]].concat(),
        _ => PLATFORM_LEADS.to_vec(),
    }
}

fn may_revoke(who: Name, scope: Name) -> bool {
    SECURITY.contains(&who) || owners(scope).contains(&who)
}

fn may_lend(lender: Name, to: Name) -> bool {
    lender != to && PAYMENTS_LEADS.contains(&lender) && DEPUTIES.contains(&to)
}

/// As what somebody may consent by a right of their own, or of `right`'s that is lent to them.
fn kinds(right: Name, lent: bool, requester: Name, scope: Name, duration_s: i64) -> Kinds {
    let person = person_of(requester);
    let mut kinds = Kinds::new();
    if right == person || right == "ci" {
        return kinds;
    }
    if manager(person) == Some(right) {
        kinds.insert("manager");
    }
    if owners(scope).contains(&right) || (right == "rob" && duration_s <= 3_600) {
        kinds.insert("owner");
    }
    if SECURITY.contains(&right) && !lent {
        kinds.insert("security");
    }
    kinds
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Activate,
    Glass { owed: usize },
    Extend { before: usize },
}

/// Whose consent a line of the policy asks for.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Nobody,
    Manager,
    Owner,
    OwnerAndSecurity,
    TwoOwners,
}

/// The lines of the policy for somebody: up to how long, and with whose consent.
fn lines(purpose: Purpose, who: Name, scope: Name) -> Vec<(i64, Needs)> {
    let (engineer, oncall, security, job) = (
        ENGINEERING.contains(&who),
        ONCALL.contains(&who),
        SECURITY.contains(&who),
        who == "ci",
    );
    let hours = |hours: i64| hours * 3_600;
    let table: Vec<(bool, i64, Needs)> = match (purpose, scope) {
        (Purpose::Activate, "ledger-read") => vec![
            (oncall, hours(1), Needs::Nobody),
            (engineer, hours(4), Needs::Manager),
            (engineer, hours(8), Needs::Owner),
            (security, hours(12), Needs::Nobody),
        ],
        (Purpose::Activate, "ledger-admin") => vec![(engineer, hours(4), Needs::OwnerAndSecurity)],
        (Purpose::Activate, "ledger-close") => vec![(engineer, hours(4), Needs::TwoOwners)],
        (Purpose::Activate, _) => vec![
            (job, 1_200, Needs::Nobody),
            (job, hours(2), Needs::Owner),
            (engineer, hours(1), Needs::Owner),
        ],
        (Purpose::Glass { owed }, scope) => {
            let free = owed == 0 && has_terms(scope);
            vec![
                (free && oncall, hours(1), Needs::Nobody),
                (free && engineer, hours(2), Needs::Owner),
                (
                    free && job && scope == "payments-deploy",
                    1_800,
                    Needs::Nobody,
                ),
            ]
        }
        (Purpose::Extend { before }, "ledger-read") => vec![
            (oncall && before < 2, hours(2), Needs::Nobody),
            (engineer && before < 3, hours(8), Needs::Manager),
            (security, hours(12), Needs::Nobody),
        ],
        (Purpose::Extend { .. }, "payments-deploy") => vec![(job, 2_400, Needs::Nobody)],
        (Purpose::Extend { .. }, _) => vec![],
    };
    table
        .into_iter()
        .filter(|line| line.0)
        .map(|(_, most, needs)| (most, needs))
        .collect()
}

/// Whether a scope exists for somebody.
fn sees_scope(who: Name, scope: Name) -> bool {
    match who {
        "ci" => scope == "payments-deploy",
        "zoe" => scope == "ledger-read",
        who => ENGINEERING.contains(&who),
    }
}

/// Distinct people, each as one kind.
fn met(needs: Needs, consents: &[&Consent]) -> bool {
    let of = |kind: Name| {
        consents
            .iter()
            .filter(|consent| consent.kinds.contains(kind))
            .count()
    };
    match needs {
        Needs::Nobody => true,
        Needs::Manager => of("manager") >= 1,
        Needs::Owner => of("owner") >= 1,
        Needs::TwoOwners => of("owner") >= 2,
        Needs::OwnerAndSecurity => {
            let both = |owner: &&&Consent| {
                let others = consents
                    .iter()
                    .filter(|other| other.approver != owner.approver);
                owner.kinds.contains("owner")
                    && others.clone().any(|other| other.kinds.contains("security"))
            };
            consents.iter().any(|owner| both(&owner))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Granted,
    Needs,
    No,
}

fn policy(
    purpose: Purpose,
    who: Name,
    scope: Name,
    duration_s: i64,
    consents: &[&Consent],
) -> Said {
    let mut lines = lines(purpose, who, scope);
    lines.retain(|(most, _)| duration_s <= *most);
    match lines.iter().any(|(_, needs)| met(*needs, consents)) {
        true => Said::Granted,
        false if lines.is_empty() => Said::No,
        false => Said::Needs,
    }
}

/// One consent, to the request while it was just so long, or to one wish for a longer window.
#[derive(Debug, Clone)]
struct Consent {
    to: To,
    approver: Name,
    lender: Option<Name>,
    kinds: Kinds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Request { duration_s: i64 },
    Longer { number: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Denied,
    Withdrawn,
    Released,
    Revoked,
}

#[derive(Debug, Clone, Copy)]
struct Longer {
    number: usize,
    duration_s: i64,
}

/// A request as what happened to it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    who: Name,
    scope: Name,
    glass: bool,
    asked_s: i64,
    key: Option<u8>,
    run: Option<u8>,
    duration_s: i64,
    requested_at: i64,
    kept: bool,
    heard_at: i64,
    consents: Vec<Consent>,
    approved_at: Option<i64>,
    opened_at: Option<i64>,
    wishes: usize,
    waits: Option<Longer>,
    longer: Vec<Longer>,
    // When each session ends by itself; `None` for one that AWS refused.
    sessions: Vec<Option<i64>>,
    reviewed: bool,
    ended: Option<Ended>,
}

impl Asked {
    /// The place of who asked.
    pub(super) fn who(&self) -> usize {
        PEOPLE.iter().position(|name| *name == self.who).unwrap()
    }

    pub(super) fn ended_by_people(&self) -> bool {
        self.ended.is_some()
    }

    fn window(&self) -> Option<(i64, i64)> {
        let opened_at = self.opened_at?;
        let length_s = self
            .longer
            .last()
            .map_or(self.duration_s, |longer| longer.duration_s);
        Some((opened_at, opened_at + length_s * 1_000))
    }

    fn state(&self, now: i64) -> Name {
        match (self.ended, self.window(), self.approved_at) {
            (Some(Ended::Denied), ..) => "DENIED",
            (Some(Ended::Withdrawn), ..) => "WITHDRAWN",
            (Some(Ended::Released), ..) => "RELEASED",
            (Some(Ended::Revoked), ..) => "REVOKED",
            (None, Some((_, closes_at)), _) if now >= closes_at => "EXPIRED",
            (None, Some(_), _) => "ACTIVE",
            (None, None, Some(at)) if now >= at + ACTIVATION_TTL_MS => "LAPSED",
            (None, None, Some(_)) => "APPROVED",
            (None, None, None) if now >= self.requested_at + REQUEST_TTL_MS => "LAPSED",
            (None, None, None) => "PENDING",
        }
    }

    fn is_open(&self, now: i64) -> bool {
        ["PENDING", "APPROVED", "ACTIVE"].contains(&self.state(now))
    }

    fn is_unheard(&self, now: i64) -> bool {
        self.kept && now >= self.heard_at + i64::from(KEEP_S) * 1_000
    }

    /// What people are asked to consent to, and how long a window that is.
    fn question(&self, now: i64) -> Option<(To, i64)> {
        match self.state(now) {
            "PENDING" | "APPROVED" => {
                let duration_s = self.duration_s;
                Some((To::Request { duration_s }, duration_s))
            }
            "ACTIVE" => self.waits.map(|longer| {
                (
                    To::Longer {
                        number: longer.number,
                    },
                    longer.duration_s,
                )
            }),
            _ => None,
        }
    }

    fn consents_to(&self, to: To) -> Vec<&Consent> {
        self.consents
            .iter()
            .filter(|consent| consent.to == to)
            .collect()
    }

    fn owes(&self) -> bool {
        self.glass && self.opened_at.is_some() && !self.reviewed
    }

    fn live(&self, now: i64) -> usize {
        let Some((_, closes_at)) = self.window() else {
            return 0;
        };
        let lives = |end: &&Option<i64>| end.is_some_and(|end| now < end.min(closes_at));
        self.sessions.iter().filter(lives).count()
    }
}

#[derive(Debug, Clone)]
struct Lent {
    lender: Name,
    to: Name,
    opens_at: i64,
    closes_at: i64,
    ended: bool,
}

/// What is to be seen of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: Name,
    pub(super) duration_s: i64,
    pub(super) window: Option<(i64, i64)>,
    pub(super) waits_s: Option<i64>,
    pub(super) extensions: usize,
    pub(super) approvals: usize,
    pub(super) sessions: usize,
    pub(super) owes: bool,
    pub(super) glass: bool,
    pub(super) kept: bool,
}

type Outcome = Result<(), Name>;

/// Everything that happened.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) requests: Vec<Asked>,
    loans: Vec<Lent>,
    /// Why nothing is taken on now, if nothing is.
    pub(super) weather: Option<Name>,
    /// Which request answers the last wish.
    pub(super) answered: usize,
    /// What ending the last person ended, and what it did not.
    pub(super) ended_with_person: Vec<usize>,
    pub(super) not_permitted: u32,
    // Whether nothing of `FROZEN` is given just now.
    frozen: bool,
}

impl Model {
    pub(super) fn seen(&self, place: usize, now: i64) -> Seen {
        let asked = &self.requests[place];
        let state = asked.state(now);
        let window = asked
            .window()
            .filter(|_| ["ACTIVE", "EXPIRED"].contains(&state));
        Seen {
            state,
            duration_s: asked.duration_s,
            window,
            waits_s: asked
                .waits
                .filter(|_| window.is_some())
                .map(|longer| longer.duration_s),
            extensions: asked.longer.len(),
            approvals: asked.consents.len(),
            sessions: asked.sessions.len(),
            owes: asked.owes(),
            glass: asked.glass,
            kept: asked.kept,
        }
    }

    /// How many rights were lent, and how many of them taken back.
    pub(super) fn lent(&self) -> (usize, usize) {
        let ended = self.loans.iter().filter(|lent| lent.ended).count();
        (self.loans.len(), ended)
    }

    pub(super) fn heard_all(&mut self, now: i64) {
        for asked in &mut self.requests {
            asked.heard_at = now;
        }
    }

    fn end_the_unheard(&mut self, now: i64) {
        for asked in &mut self.requests {
            if !asked.is_unheard(now) {
                continue;
            }
            match asked.state(now) {
                "PENDING" | "APPROVED" => asked.ended = Some(Ended::Withdrawn),
                "ACTIVE" => asked.ended = Some(Ended::Released),
                _ => {}
            }
        }
    }

    /// Whether a command with this outcome has STS called.
    pub(super) fn calls_sts(&self, expected: &Outcome) -> bool {
        matches!(expected, Ok(()) | Err("AwsRefused" | "AwsUnavailable"))
    }

    /// When the session that was given last ends by itself, as AWS says.
    pub(super) fn note_session(&mut self, place: usize, ends_at: i64) {
        if let Some(Some(end)) = self.requests[place].sessions.last_mut() {
            // Of one that nobody knows of, the broker reckons by its own clock.
            if *end == i64::MAX {
                *end = ends_at;
            }
        }
    }

    fn owed(&self, person: Name, except: Option<usize>) -> usize {
        let requests = self.requests.iter().enumerate();
        let theirs = requests
            .filter(|(place, asked)| Some(*place) != except && person_of(asked.who) == person);
        theirs.filter(|(_, asked)| asked.owes()).count()
    }

    /// Those whose rights somebody may use now.
    fn lenders(&self, to: Name, now: i64) -> Vec<Name> {
        let now_lent = |lent: &&Lent| {
            lent.to == to && !lent.ended && lent.opens_at <= now && now < lent.closes_at
        };
        self.loans
            .iter()
            .filter(now_lent)
            .map(|lent| lent.lender)
            .collect()
    }

    fn kinds_lent(&self, lender: Name, to: Name, asked: &Asked, duration_s: i64) -> Kinds {
        match [lender, to].contains(&person_of(asked.who)) || !may_lend(lender, to) {
            true => Kinds::new(),
            false => kinds(lender, true, asked.who, asked.scope, duration_s),
        }
    }

    fn sees(&self, who: Name, asked: &Asked, now: i64) -> bool {
        let by_loan = || {
            let Some((_, duration_s)) = asked.question(now) else {
                return false;
            };
            let lenders = self.lenders(who, now);
            lenders
                .iter()
                .any(|lender| !self.kinds_lent(lender, who, asked, duration_s).is_empty())
        };
        who == asked.who
            || who == person_of(asked.who)
            || ["audrey", "rob"].contains(&who)
            || may_revoke(who, asked.scope)
            || !kinds(who, false, asked.who, asked.scope, asked.duration_s).is_empty()
            || (asked.glass && told(asked.scope).contains(&who))
            || by_loan()
    }

    /// What is to come of a command; takes it in.
    pub(super) fn take(&mut self, command: &Command, number: Option<usize>, now: i64) -> Outcome {
        let name = |who: &usize| PEOPLE[*who];
        let place = number.unwrap_or_default();
        let seen_by = |who: &usize| match self.sees(PEOPLE[*who], &self.requests[place], now) {
            true => Ok(()),
            false => Err("NotFound"),
        };
        match command {
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::CarryOut => Ok(()),
            Command::LookForTheUnheard => {
                self.end_the_unheard(now);
                Ok(())
            }
            Command::Freeze(frozen) => {
                self.frozen = *frozen;
                Ok(())
            }
            Command::Ask {
                who,
                scope,
                minutes,
                glass,
                key,
                run,
                keep,
            } => {
                let asked = Asked {
                    who: name(who),
                    scope: SCOPES[*scope],
                    glass: *glass,
                    asked_s: i64::from(*minutes) * 60,
                    key: *key,
                    run: *run,
                    duration_s: i64::from(*minutes) * 60,
                    requested_at: now,
                    kept: *keep,
                    heard_at: now,
                    consents: Vec::new(),
                    approved_at: None,
                    opened_at: None,
                    wishes: 0,
                    waits: None,
                    longer: Vec::new(),
                    sessions: Vec::new(),
                    reviewed: false,
                    ended: None,
                };
                self.ask(asked, now)
            }
            Command::Approve {
                who,
                shorter,
                lender,
                other_digest,
                ..
            } => {
                seen_by(who)?;
                let shorter_s = shorter.map(|minutes| i64::from(minutes) * 60);
                self.approve(
                    name(who),
                    place,
                    shorter_s,
                    lender.map(|lender| PEOPLE[lender]),
                    *other_digest,
                    now,
                )
            }
            Command::Deny { who, .. } => {
                seen_by(who)?;
                self.deny(name(who), place, now)
            }
            Command::Withdraw { who, .. } => {
                seen_by(who)?;
                self.own_end(
                    name(who),
                    place,
                    &["PENDING", "APPROVED"],
                    Ended::Withdrawn,
                    now,
                )
            }
            Command::Release { who, .. } => {
                seen_by(who)?;
                self.own_end(name(who), place, &["ACTIVE"], Ended::Released, now)
            }
            Command::Keep { who, .. } => {
                seen_by(who)?;
                let asked = &mut self.requests[place];
                if asked.who != name(who) {
                    return Err("NotPermitted");
                }
                if !asked.is_open(now) || asked.is_unheard(now) {
                    return Err("WrongState");
                }
                (asked.kept, asked.heard_at) = (true, now);
                Ok(())
            }
            Command::Crash { who, .. } => match self.issue(name(who), place, Some(true), now) {
                Err("AwsUnavailable") => Ok(()),
                other => other,
            },
            Command::Issue { who, fault, .. } => {
                seen_by(who)?;
                self.issue(name(who), place, *fault, now)
            }
            Command::Extend { who, minutes, .. } => {
                seen_by(who)?;
                self.extend(name(who), place, i64::from(*minutes) * 60, now)
            }
            Command::Revoke { who, .. } => {
                seen_by(who)?;
                self.revoke(name(who), place, now)
            }
            Command::RevokePerson { who, person } => {
                (self.ended_with_person, self.not_permitted) = (Vec::new(), 0);
                for place in 0..self.requests.len() {
                    let asked = &self.requests[place];
                    let theirs = asked.who == name(person) || person_of(asked.who) == name(person);
                    // A job's name is nobody's, unless a person had it.
                    if !theirs || asked.who == "ci" && name(person) == "ci" || !asked.is_open(now) {
                        continue;
                    }
                    match self.revoke(name(who), place, now) {
                        Ok(()) => self.ended_with_person.push(place),
                        Err(_) => self.not_permitted += 1,
                    }
                }
                Ok(())
            }
            Command::Review { who, .. } => {
                seen_by(who)?;
                let asked = &mut self.requests[place];
                if name(who) == "ci" {
                    return Err("NotPermitted");
                }
                if name(who) == person_of(asked.who) {
                    return Err("SelfApproval");
                }
                if !may_revoke(name(who), asked.scope) {
                    // Who may review is who may revoke.
                    return Err("NotPermitted");
                }
                match (asked.owes(), asked.is_open(now)) {
                    (false, _) => Err("NothingToReview"),
                    (true, true) => Err("WrongState"),
                    (true, false) => {
                        asked.reviewed = true;
                        Ok(())
                    }
                }
            }
            Command::Lend {
                who,
                to,
                begins_s,
                minutes,
            } => {
                if name(who) == "ci" {
                    return Err("NotPermitted");
                }
                self.fair_weather()?;
                if !may_lend(name(who), name(to)) {
                    return Err("NotPermitted");
                }
                let mine =
                    |lent: &&Lent| lent.lender == name(who) && !lent.ended && now < lent.closes_at;
                if self.loans.iter().filter(mine).count() >= crate::desk::LENT_MAX {
                    return Err("TooManyDelegations");
                }
                let opens_at = now + begins_s * 1_000;
                self.loans.push(Lent {
                    lender: name(who),
                    to: name(to),
                    opens_at,
                    closes_at: opens_at + i64::from(*minutes) * 60_000,
                    ended: false,
                });
                Ok(())
            }
            Command::TakeBack { who, loan } => {
                let lent = &mut self.loans[*loan];
                if lent.lender != name(who) {
                    return Err("NotFound");
                }
                if lent.ended || now >= lent.closes_at {
                    return Err("WrongState");
                }
                lent.ended = true;
                Ok(())
            }
        }
    }

    fn fair_weather(&self) -> Outcome {
        self.weather.map_or(Ok(()), Err)
    }

    fn ask(&mut self, mut asked: Asked, now: i64) -> Outcome {
        let same_wish = |other: &Asked| {
            (other.scope, other.asked_s, other.glass) == (asked.scope, asked.asked_s, asked.glass)
        };
        let mut own = self
            .requests
            .iter()
            .enumerate()
            .filter(|(_, other)| other.who == asked.who);
        if asked.key.is_some()
            && let Some((place, earlier)) = own.clone().find(|(_, other)| other.key == asked.key)
        {
            self.answered = place;
            return match same_wish(earlier) {
                true => Ok(()),
                false => Err("IdempotencyKeyReused"),
            };
        }
        self.fair_weather()?;
        let in_run =
            |other: &Asked| other.run == asked.run && other.is_open(now) && !other.is_unheard(now);
        if asked.run.is_some()
            && let Some((place, _)) = own.rfind(|(_, other)| in_run(other) && same_wish(other))
        {
            self.answered = place;
            self.requests[place].heard_at = now;
            return Ok(());
        }
        if !sees_scope(asked.who, asked.scope) {
            return Err("NotFound");
        }
        let open = self
            .requests
            .iter()
            .filter(|other| other.who == asked.who && other.is_open(now));
        if open.count() >= crate::desk::OPEN_REQUESTS_MAX {
            return Err("TooManyOpenRequests");
        }
        let purpose = match asked.glass {
            true => Purpose::Glass {
                owed: self.owed(person_of(asked.who), None),
            },
            false => Purpose::Activate,
        };
        match self.policy(purpose, asked.who, asked.scope, asked.asked_s, &[]) {
            Said::No => return Err("Policy"),
            Said::Granted => asked.approved_at = Some(now),
            Said::Needs => {}
        }
        self.answered = self.requests.len();
        self.requests.push(asked);
        Ok(())
    }

    /// What the policy says, with its guardrail if that is up.
    fn policy(
        &self,
        purpose: Purpose,
        who: Name,
        scope: Name,
        duration_s: i64,
        consents: &[&Consent],
    ) -> Said {
        match (self.frozen && scope == FROZEN, purpose) {
            (true, Purpose::Activate) => Said::No,
            (true, Purpose::Glass { .. } | Purpose::Extend { .. }) | (false, _) => {
                policy(purpose, who, scope, duration_s, consents)
            }
        }
    }

    /// What the policy says of opening a request's window now.
    fn says(&self, place: usize) -> Said {
        let asked = &self.requests[place];
        let purpose = match asked.glass {
            true => Purpose::Glass {
                owed: self.owed(person_of(asked.who), Some(place)),
            },
            false => Purpose::Activate,
        };
        let duration_s = asked.duration_s;
        let consents = asked.consents_to(To::Request { duration_s });
        self.policy(purpose, asked.who, asked.scope, duration_s, &consents)
    }

    /// And of a longer one.
    fn says_of(&self, place: usize, longer: Longer, before: usize) -> Said {
        let asked = &self.requests[place];
        let consents = asked.consents_to(To::Longer {
            number: longer.number,
        });
        policy(
            Purpose::Extend { before },
            asked.who,
            asked.scope,
            longer.duration_s,
            &consents,
        )
    }

    fn approve(
        &mut self,
        who: Name,
        place: usize,
        shorter_s: Option<i64>,
        lender: Option<Name>,
        other_digest: bool,
        now: i64,
    ) -> Outcome {
        self.fair_weather()?;
        let asked = &self.requests[place];
        let (mut to, mut duration_s) = asked.question(now).ok_or("WrongState")?;
        if other_digest {
            return Err("DigestMismatch");
        }
        if let Some(shorter_s) = shorter_s {
            if matches!(to, To::Longer { .. }) || shorter_s >= duration_s {
                return Err("Field");
            }
            duration_s = shorter_s;
            to = To::Request { duration_s };
        }
        let person = person_of(asked.who);
        if who == "ci" {
            return Err("NotPermitted");
        }
        if who == person || lender == Some(person) {
            return Err("SelfApproval");
        }
        let permitted = match lender {
            None => kinds(who, false, asked.who, asked.scope, duration_s),
            Some(lender) if self.lenders(who, now).contains(&lender) => {
                self.kinds_lent(lender, who, asked, duration_s)
            }
            Some(_) => Kinds::new(),
        };
        if permitted.is_empty() {
            return Err("NotPermitted");
        }
        let consent = Consent {
            to,
            approver: who,
            lender,
            kinds: permitted,
        };
        let people = |consent: &Consent| {
            [Some(consent.approver), consent.lender]
                .into_iter()
                .flatten()
                .collect::<BTreeSet<_>>()
        };
        if asked
            .consents_to(to)
            .iter()
            .any(|earlier| !people(earlier).is_disjoint(&people(&consent)))
        {
            return Err("AlreadyApproved");
        }
        let asked = &mut self.requests[place];
        asked.consents.push(consent);
        if shorter_s.is_some() {
            (asked.duration_s, asked.approved_at) = (duration_s, None);
        }
        match to {
            To::Longer { .. } => {
                let (longer, before) = (asked.waits.unwrap(), asked.longer.len());
                if self.says_of(place, longer, before) == Said::Granted {
                    let asked = &mut self.requests[place];
                    asked.longer.push(longer);
                    asked.waits = None;
                }
            }
            To::Request { .. } => {
                let waits = asked.approved_at.is_none() && asked.is_open(now);
                if waits && self.says(place) == Said::Granted {
                    self.requests[place].approved_at = Some(now);
                }
            }
        }
        Ok(())
    }

    fn deny(&mut self, who: Name, place: usize, now: i64) -> Outcome {
        let asked = &self.requests[place];
        let (to, duration_s) = asked.question(now).ok_or("WrongState")?;
        if who == "ci" {
            return Err("NotPermitted");
        }
        if who == person_of(asked.who) {
            return Err("SelfApproval");
        }
        let own = !kinds(who, false, asked.who, asked.scope, duration_s).is_empty();
        let lenders = self.lenders(who, now);
        let lent = lenders
            .iter()
            .any(|lender| !self.kinds_lent(lender, who, asked, duration_s).is_empty());
        if !own && !lent {
            return Err("NotPermitted");
        }
        let asked = &mut self.requests[place];
        match to {
            To::Request { .. } => asked.ended = Some(Ended::Denied),
            To::Longer { .. } => asked.waits = None,
        }
        Ok(())
    }

    fn own_end(&mut self, who: Name, place: usize, from: &[Name], end: Ended, now: i64) -> Outcome {
        let asked = &mut self.requests[place];
        if asked.who != who {
            return Err("NotPermitted");
        }
        if !from.contains(&asked.state(now)) {
            return Err("WrongState");
        }
        asked.ended = Some(end);
        Ok(())
    }

    fn revoke(&mut self, who: Name, place: usize, now: i64) -> Outcome {
        let asked = &mut self.requests[place];
        if !may_revoke(who, asked.scope) {
            return Err("NotPermitted");
        }
        if !asked.is_open(now) {
            return Err("WrongState");
        }
        asked.ended = Some(Ended::Revoked);
        Ok(())
    }

    fn issue(&mut self, who: Name, place: usize, fault: Option<bool>, now: i64) -> Outcome {
        let asked = &self.requests[place];
        if asked.who != who {
            return Err("NotPermitted");
        }
        self.fair_weather()?;
        if !asked.is_open(now) {
            return Err("WrongState");
        }
        if asked.live(now) >= 4 || asked.sessions.len() >= 64 {
            return Err("TooManySessions");
        }
        if asked.is_unheard(now) {
            return Err("WrongState");
        }
        let opening = self.says(place);
        let longer = match asked.longer.split_last() {
            Some((last, before)) if opening == Said::Granted => {
                self.says_of(place, *last, before.len())
            }
            _ => opening,
        };
        let asked = &mut self.requests[place];
        asked.heard_at = now;
        match longer {
            Said::No => return Err("Policy"),
            Said::Needs => return Err("NeedsApproval"),
            Said::Granted => {}
        }
        // What the policy asks nobody for any more is approved by being used.
        asked.approved_at.get_or_insert(now);
        asked.opened_at.get_or_insert(now - now % 1_000);
        match fault {
            None => {
                asked.sessions.push(Some(i64::MAX));
                Ok(())
            }
            Some(true) => {
                let left_s = (asked.window().unwrap().1 - now + 999) / 1_000;
                asked
                    .sessions
                    .push(Some(now + left_s.clamp(900, 3_600) * 1_000));
                Err("AwsUnavailable")
            }
            Some(false) => {
                asked.sessions.push(None);
                // Nothing was given at all: the window has not begun.
                if asked.sessions.iter().all(Option::is_none) {
                    asked.opened_at = None;
                    asked.waits = None;
                    asked.longer.clear();
                }
                Err("AwsRefused")
            }
        }
    }

    fn extend(&mut self, who: Name, place: usize, duration_s: i64, now: i64) -> Outcome {
        self.fair_weather()?;
        let asked = &self.requests[place];
        if asked.who != who {
            return Err("NotPermitted");
        }
        if asked.state(now) != "ACTIVE" || asked.is_unheard(now) {
            return Err("WrongState");
        }
        let (opens_at, closes_at) = asked.window().unwrap();
        if opens_at + duration_s * 1_000 <= closes_at {
            return Err("Field");
        }
        if asked.wishes >= 16 {
            return Err("TooManyExtensions");
        }
        let longer = Longer {
            number: asked.wishes + 1,
            duration_s,
        };
        let said = self.says_of(place, longer, asked.longer.len());
        let asked = &mut self.requests[place];
        match said {
            Said::No => return Err("Policy"),
            Said::Needs => asked.waits = Some(longer),
            Said::Granted => {
                asked.longer.push(longer);
                asked.waits = None;
            }
        }
        (asked.wishes, asked.heard_at) = (longer.number, now);
        Ok(())
    }
}
