//! The values, besides the window's length and the approvals, at which a policy's answer can change.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::pst::{BinaryOp, Expr, Literal, PatternElem, UnaryOp};

use super::compare::{Comparison, Evidence, comparison, each, literal_of};
use super::{ConditionFacts, Policies, PolicyFacts};
use crate::principal::GITHUB_CLAIMS;
use crate::window::Moment;

/// A text of a request that a policy may compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Text {
    /// `context.ticket`
    Ticket,
    /// `context.reason`
    Reason,
    /// A claim of a workload's token, such as `principal.ref`.
    Claim(String),
}

/// What one or more policies compare a request's circumstances with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Points {
    /// Literals compared with `context.window.opens_at`.
    pub(crate) opens_at: BTreeMap<Moment, Belongs>,
    /// Literals compared with `context.window.closes_at`.
    pub(crate) closes_at: BTreeMap<Moment, Belongs>,
    /// Whether `context.window.weekday` is looked at.
    pub(crate) weekday: bool,
    /// Whether `context.window.time_of_day` is.
    pub(crate) time_of_day: bool,
    /// The durations it may be compared with, in whole seconds since midnight.
    pub(crate) times_s: BTreeSet<u32>,
    /// The numbers of `context.open_reviews` from which on an answer is another than for one less.
    pub(crate) open_reviews: BTreeSet<u32>,
    /// The same of `context.extensions`.
    pub(crate) extensions: BTreeSet<u32>,
    /// For each text that is looked at, the texts that tell its values apart: every literal, and a text for each pattern.
    pub(crate) texts: BTreeMap<Text, BTreeSet<String>>,
}

/// Whether a moment that policies name belongs, for them, to the time before it or to the time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// To the time before: `<=` and `>` answer at it as they did before.
    Before,
    /// To the time after: `<` and `>=` answer at it as they will after.
    After,
    /// To neither: it is named by itself, or two comparisons do not agree.
    Neither,
}

impl From<BinaryOp> for Belongs {
    fn from(op: BinaryOp) -> Belongs {
        match op {
            BinaryOp::LessEq | BinaryOp::Greater => Belongs::Before,
            BinaryOp::Less | BinaryOp::GreaterEq => Belongs::After,
            _ => Belongs::Neither,
        }
    }
}

/// Notes what comparisons say of where these moments belong.
fn note(
    moments: &mut BTreeMap<Moment, Belongs>,
    more: impl IntoIterator<Item = Moment>,
    belongs: Belongs,
) {
    for moment in more {
        let known = moments.entry(moment).or_insert(belongs);
        if *known != belongs {
            *known = Belongs::Neither;
        }
    }
}

impl Points {
    /// Takes over what another set has.
    pub(crate) fn merge(&mut self, other: Points) {
        for (moment, belongs) in other.opens_at {
            note(&mut self.opens_at, [moment], belongs);
        }
        for (moment, belongs) in other.closes_at {
            note(&mut self.closes_at, [moment], belongs);
        }
        self.weekday |= other.weekday;
        self.time_of_day |= other.time_of_day;
        self.times_s.extend(other.times_s);
        self.open_reviews.extend(other.open_reviews);
        self.extensions.extend(other.extensions);
        for (text, values) in other.texts {
            self.texts.entry(text).or_default().extend(values);
        }
    }
}

impl Policies {
    /// The points of all policies.
    pub(crate) fn points(&self) -> Points {
        let mut all = Points::default();
        for facts in self.facts.values() {
            all.merge(facts.points());
        }
        all
    }
}

impl PolicyFacts {
    /// The points of this policy.
    pub(crate) fn points(&self) -> Points {
        let mut points = Points::default();
        for condition in &self.conditions {
            points.note(condition);
        }
        points
    }
}

impl Points {
    fn note(&mut self, condition: &ConditionFacts) {
        let mut texts = BTreeSet::new();
        let (mut weekday, mut time_of_day, mut compared) = (false, false, false);
        for path in &condition.paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["context", "ticket", ..] => {
                    texts.insert(Text::Ticket);
                }
                ["context", "reason", ..] => {
                    texts.insert(Text::Reason);
                }
                ["context", "window", "weekday"] => weekday = true,
                ["context", "window", "time_of_day"] => time_of_day = true,
                ["context", "window", "opens_at" | "closes_at"]
                | ["context", "open_reviews" | "extensions"] => compared = true,
                ["principal", claim] | ["context", "workload", claim]
                    if GITHUB_CLAIMS.iter().any(|(name, _)| name == claim) =>
                {
                    texts.insert(Text::Claim((*claim).to_owned()));
                }
                _ => {}
            }
        }
        self.weekday |= weekday;
        self.time_of_day |= time_of_day;
        for text in &texts {
            self.texts.entry(text.clone()).or_default();
        }
        if texts.is_empty() && !time_of_day && !compared {
            return;
        }
        let mut values = BTreeSet::new();
        each(&condition.expr, &mut |inner| {
            if let Some(compared) = comparison(inner) {
                let moment = Moment::from_ms(compared.literal);
                match compared.evidence {
                    Evidence::OpensAt => note(&mut self.opens_at, moment, compared.op.into()),
                    Evidence::ClosesAt => note(&mut self.closes_at, moment, compared.op.into()),
                    Evidence::OpenReviews => self.open_reviews.extend(turns(&compared)),
                    Evidence::Extensions => self.extensions.extend(turns(&compared)),
                    Evidence::Duration | Evidence::Approvals(_) => {}
                }
            }
            match inner {
                Expr::Literal(Literal::String(text)) => {
                    values.insert(text.to_string());
                }
                Expr::Like { pattern, .. } => {
                    values.insert(fitting(pattern));
                }
                Expr::UnaryOp {
                    op: UnaryOp::Duration,
                    ..
                } if time_of_day => {
                    let seconds = literal_of(inner).map(|ms| ms.div_euclid(1_000));
                    self.times_s
                        .extend(seconds.and_then(|s| u32::try_from(s).ok()));
                }
                _ => {}
            }
        });
        for text in texts {
            self.texts
                .entry(text)
                .or_default()
                .extend(values.iter().cloned());
        }
    }
}

/// The counts from which on a comparison is answered differently than for one less.
fn turns(compared: &Comparison) -> impl Iterator<Item = u32> + use<> {
    let at = compared.literal;
    let past = at.saturating_add(1);
    let turns = match compared.op {
        BinaryOp::Less | BinaryOp::GreaterEq => vec![at],
        BinaryOp::LessEq | BinaryOp::Greater => vec![past],
        _ => vec![at, past],
    };
    let counts = turns
        .into_iter()
        .filter_map(|turn| u32::try_from(turn).ok());
    counts.filter(|turn| *turn > 0)
}

/// A text that a pattern fits.
fn fitting(pattern: &[PatternElem]) -> String {
    pattern
        .iter()
        .map(|part| match part {
            PatternElem::Char(c) => *c,
            PatternElem::Wildcard => '1',
        })
        .collect()
}
