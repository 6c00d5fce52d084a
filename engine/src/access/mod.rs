//! Who can have what: everything a bundle gives, enumerated exactly.
//!
//! There is no second evaluator. Each line of a table was asked of the evaluation that decides real requests, at every point
//! where its answer can change:
//!
//! - **principals**: everyone of the directory; those whom no policy can tell apart are one [`class`] and asked about
//!   once. A workload is asked about with each combination of the claims that policies compare.
//! - **scopes**: every scope of the catalog that some permit's head names for the principal.
//! - **actions**: to open a window, to open one in an emergency, and to make one longer while it is open; see [`Action`].
//! - **windows**: each literal compared with `window.duration` or `window.closes_at`, and one second less.
//! - **approvals**: every minimal set, up to the greatest count that a policy compares with.
//! - **circumstances**: without a ticket and with one, and with a text for each literal or pattern that `ticket`, `reason` or
//!   a claim is compared with; before, between and after the moments that `opens_at` and `closes_at` are compared with; each
//!   day of the week and each time of day that policies tell apart, in the directory's time zone. In an emergency, with each
//!   number of owed post-reviews that policies tell apart; of an extension, with each number of earlier ones.
//!
//! What is *not* enumerated: a text that only a combination of three or more patterns tells apart; a text that a policy
//! compares with an attribute rather than a literal; weekdays within a freeze shorter than a week that do not fall into it.
//! A principal with more than [`CIRCUMSTANCES_MAX`] circumstances in one scope is reported as not enumerated, never left out.

pub mod circumstance;
pub mod class;
pub mod explain;
pub mod lock;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::bundle::policies::Points;
use crate::decide::{PolicyRef, Purpose, Setting, Step, Surveyor, facts_about, may_name};
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::ScopeId;
use crate::window::Duration;

pub use circumstance::{CIRCUMSTANCES_MAX, Circumstance};
pub use class::Class;

use circumstance::{Edges, circumstances, told};

/// Everything a bundle gives, or the part of it that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct AccessTable {
    /// By scope, then by the first principal.
    pub rows: Vec<Row>,
    /// How many questions Cedar was asked.
    pub evaluations: u64,
}

/// What these principals, all alike, can have of one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which scope.
    pub scope: ScopeId,
    /// Who, by name.
    pub principals: Vec<Who>,
    /// Each way in; never empty, unless the row is not [complete](Row::complete).
    pub paths: Vec<Path>,
    /// Whether everything was asked. `false` where there are more than [`CIRCUMSTANCES_MAX`] circumstances.
    pub complete: bool,
}

/// By which of the policy's actions a window comes to be, or to be longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is opened.
    Activate,
    /// It is opened in an emergency.
    BreakGlass,
    /// It is made longer while it is open. How long it is then, is said from its opening on.
    Extend,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 3] = [Action::Activate, Action::BreakGlass, Action::Extend];

    /// What policies call it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Activate => "activate",
            Action::BreakGlass => "breakGlass",
            Action::Extend => "extend",
        }
    }

    /// The usual one, which goes without saying.
    pub fn is_activate(&self) -> bool {
        *self == Action::Activate
    }

    /// Under which circumstance this is so, in words; empty for the usual.
    pub fn words(self) -> &'static str {
        match self {
            Action::Activate => "",
            Action::BreakGlass => "in an emergency",
            Action::Extend => "to extend",
        }
    }

    /// As the policies are asked, of someone who owes nothing and has extended nothing yet.
    pub fn purpose(self) -> Purpose {
        match self {
            Action::Activate => Purpose::Activate,
            Action::BreakGlass => Purpose::BreakGlass { open_reviews: 0 },
            Action::Extend => Purpose::Extend { extensions: 0 },
        }
    }

    /// These circumstances, and that they are those of this action.
    pub(crate) fn only(self, circumstances: String) -> String {
        match (self.words(), circumstances.as_str()) {
            ("", _) => circumstances,
            (words, "") => words.to_owned(),
            (words, further) => format!("{words}, {further}"),
        }
    }
}

/// One way in: by which action, under which circumstances, with whose consent, for how long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Path {
    /// By which action; left out of documents where it is the usual one.
    #[serde(skip_serializing_if = "Action::is_activate")]
    pub action: Action,
    /// How many distinct people of each kind have to consent; empty for nobody.
    pub needs: BTreeMap<Kind, u32>,
    /// Everyone who could consent, by kind.
    pub who: BTreeMap<Kind, BTreeSet<UserId>>,
    /// Whether enough distinct people exist.
    pub feasible: bool,
    /// The longest window.
    #[serde(rename = "longest_s", serialize_with = "as_seconds")]
    pub longest: Duration,
    /// Under which circumstances only, in words: `with a ticket`, `in an emergency`. Empty for all.
    pub only: String,
    /// The permits that allow it.
    pub because: Vec<PolicyAt>,
}

/// A principal as documents name one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Who {
    /// `user` or `workload`.
    #[serde(rename = "type")]
    pub kind: WhoKind,
    /// The directory's name.
    pub name: String,
}

/// Which of the two a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoKind {
    /// A human.
    User,
    /// A CI job or a service.
    Workload,
}

impl From<&PrincipalId> for Who {
    fn from(id: &PrincipalId) -> Who {
        let kind = match id {
            PrincipalId::User(_) => WhoKind::User,
            PrincipalId::Workload(_) => WhoKind::Workload,
        };
        Who {
            kind,
            name: id.name().to_owned(),
        }
    }
}

/// A policy and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyAt {
    /// Its `@id`.
    pub id: String,
    /// The file within the bundle.
    pub file: String,
    /// The line it starts on, from 1.
    pub line: usize,
}

impl From<&PolicyRef> for PolicyAt {
    fn from(policy: &PolicyRef) -> PolicyAt {
        PolicyAt {
            id: policy.id.clone(),
            file: policy.file.clone(),
            line: policy.line,
        }
    }
}

pub(crate) fn as_seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(duration.as_s())
}

/// The part of a table that is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// One scope only.
    pub scope: Option<&'a ScopeId>,
    /// One principal only.
    pub principal: Option<&'a PrincipalId>,
}

/// Asks for everything that is wanted of what `bundle` gives.
pub fn table(bundle: &Bundle, wanted: Wanted<'_>) -> AccessTable {
    let mut table = AccessTable {
        rows: Vec::new(),
        evaluations: 0,
    };
    let classes = class::of_one(bundle);
    for scope in bundle.scopes().map(|scope| &scope.id) {
        if wanted.scope.is_some_and(|wanted| wanted != scope) {
            continue;
        }
        let mut rows: BTreeMap<(Vec<Path>, bool), Vec<Who>> = BTreeMap::new();
        for class in &classes {
            let members: Vec<&PrincipalId> = class
                .members
                .iter()
                .filter(|member| wanted.principal.is_none_or(|wanted| wanted == *member))
                .collect();
            if members.is_empty() {
                continue;
            }
            let (mut paths, mut complete) = (Vec::new(), true);
            for action in Action::ALL {
                if may_name(bundle, class.first(), scope, action.purpose()) {
                    let asked = &mut table.evaluations;
                    match self::paths(bundle, class.first(), scope, action, asked) {
                        Some(more) => paths.extend(more),
                        None => complete = false,
                    }
                }
            }
            if paths.is_empty() && complete {
                continue;
            }
            for member in members {
                let own = paths.iter().map(|path| path.of(class.first(), member));
                let row = rows.entry((own.collect(), complete)).or_default();
                row.push(member.into());
            }
        }
        let start = table.rows.len();
        for ((paths, complete), mut principals) in rows {
            principals.sort();
            table.rows.push(Row {
                scope: scope.clone(),
                principals,
                paths,
                complete,
            });
        }
        if let Some(rows) = table.rows.get_mut(start..) {
            rows.sort_by(|one, other| one.principals.cmp(&other.principals));
        }
    }
    table
}

/// `None` where there are too many circumstances to ask about.
fn paths(
    bundle: &Bundle,
    principal: &PrincipalId,
    scope: &ScopeId,
    action: Action,
    evaluations: &mut u64,
) -> Option<Vec<Path>> {
    let points = points(bundle, principal, scope, action);
    let all = circumstances(&[bundle], principal, action, &points, Edges::Without)?;
    let (answers, asked) = survey(bundle, principal, scope, &all);
    *evaluations += asked;
    let mut by_step: Vec<(Step, BTreeSet<usize>)> = Vec::new();
    for (number, steps) in answers.into_iter().enumerate() {
        for step in steps {
            match by_step.iter_mut().find(|(known, _)| known.alike(&step)) {
                Some((known, numbers)) => {
                    numbers.insert(number);
                    known.because.extend(step.because);
                    known.because.sort();
                    known.because.dedup();
                }
                None => by_step.push((step, BTreeSet::from([number]))),
            }
        }
    }
    let mut paths = Vec::new();
    for (step, numbers) in by_step {
        for (_, only) in told(&numbers, &all) {
            paths.push(Path::new(action, &step, action.only(only)));
        }
    }
    paths.sort();
    Some(paths)
}

impl Path {
    fn new(action: Action, step: &Step, only: String) -> Path {
        Path {
            action,
            needs: step.needs.clone(),
            who: step.who.clone(),
            feasible: step.feasible,
            longest: step.longest,
            only,
            because: step.because.iter().map(PolicyAt::from).collect(),
        }
    }

    /// The same path for another member of the class that `first` was asked about for.
    fn of(&self, first: &PrincipalId, member: &PrincipalId) -> Path {
        Path {
            who: exchanged(&self.who, first, member),
            ..self.clone()
        }
    }
}

/// Who could consent for `member`, given who could for `first`, when no policy tells the two apart: each takes the place of
/// the other.
pub(crate) fn exchanged(
    who: &BTreeMap<Kind, BTreeSet<UserId>>,
    first: &PrincipalId,
    member: &PrincipalId,
) -> BTreeMap<Kind, BTreeSet<UserId>> {
    let (PrincipalId::User(first), PrincipalId::User(member)) = (first, member) else {
        return who.clone();
    };
    let place = |person: &UserId| match person {
        person if person == first => member.clone(),
        person if person == member => first.clone(),
        person => person.clone(),
    };
    who.iter()
        .map(|(kind, people)| (kind.clone(), people.iter().map(place).collect()))
        .collect()
}

/// What the policies about this principal, scope and action compare circumstances with.
pub(crate) fn points(
    bundle: &Bundle,
    principal: &PrincipalId,
    scope: &ScopeId,
    action: Action,
) -> Points {
    let mut points = Points::default();
    for facts in facts_about(bundle, principal, scope, action.purpose()) {
        points.merge(facts.points());
    }
    points
}

/// Every way in under each of these circumstances, in their order, and how many questions that took.
pub(crate) fn survey(
    bundle: &Bundle,
    principal: &PrincipalId,
    scope: &ScopeId,
    circumstances: &[Circumstance],
) -> (Vec<Vec<Step>>, u64) {
    let mut answers = Vec::with_capacity(circumstances.len());
    let mut evaluations = 0;
    // Circumstances of the same claims stand side by side, and share what is known of the principal.
    for group in circumstances.chunk_by(|one, other| one.claims == other.claims) {
        let claims = group.first().map(|first| first.claims.clone());
        let asking = Principal {
            id: principal.clone(),
            claims: claims.unwrap_or_default(),
        };
        let surveyor = Surveyor::of(bundle, &asking);
        for circumstance in group {
            let steps = surveyor
                .as_ref()
                .and_then(|surveyor| surveyor.steps(scope, circumstance.setting()));
            answers.push(steps.unwrap_or_default());
        }
        evaluations += surveyor.map_or(0, |surveyor| surveyor.evaluations());
    }
    (answers, evaluations)
}

impl Circumstance {
    pub(crate) fn setting(&self) -> Setting<'_> {
        Setting {
            purpose: self.purpose,
            opens_at: self.opens_at,
            ticket: self.ticket.as_deref(),
            reason: &self.reason,
        }
    }
}
