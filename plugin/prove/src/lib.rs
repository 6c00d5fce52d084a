//! Proofs about a bundle, for every principal and request there could be, where enumeration knows today's people only.
//!
//! Cedar's symbolic compiler turns a claim into a formula that has a solution exactly when a counterexample exists, and the
//! solver cvc5 looks for one. What comes is one of three: *proved*, *refuted* by a request that is shown, and that Cedar's own
//! authorizer and the engine's evaluation of real requests were asked about once more, or *not proved*, which is never the
//! same as safe. A proof rests on the solver and on the symbolic compiler; what else it rests on, such as a row of the
//! catalog, it says.

mod ask;
mod claim;
mod shown;
mod solver;
mod source;

use serde::Serialize;
use writ_engine::Bundle;
use writ_engine::bundle::BundleFiles;
use writ_engine::suite::{Place, Suite};

pub use solver::{CVC5, Solver};

/// What kind of claim it is. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A promise of the bundle's own.
    Invariant,
    /// Nothing is permitted that the base does not permit.
    NothingNew,
    /// More approvals and shorter windows never take away.
    Monotone,
    /// A policy has a value for every request.
    NeverErrors,
    /// A policy decides something.
    Alive,
}

impl Kind {
    /// All of them, in the order they are told.
    pub const ALL: [Kind; 5] = [
        Kind::Invariant,
        Kind::NothingNew,
        Kind::Monotone,
        Kind::NeverErrors,
        Kind::Alive,
    ];
}

/// What came of a claim, the worst of its request environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It holds for all principals and requests.
    Proved,
    /// It does not hold.
    Refuted {
        /// A request that shows it, a line each; none where the claim is that something can happen at all.
        counterexample: Vec<String>,
    },
    /// Nobody knows.
    NotProved {
        /// Why.
        why: String,
    },
}

/// A claim and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// What kind of claim it is.
    pub kind: Kind,
    /// The claim.
    pub claim: String,
    /// Where it, or the policy it is about, is written.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What it rests on beside the policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<String>,
    /// Whether a solver could decide it at all; what it cannot is checked by enumeration only.
    pub decidable: bool,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How many request environments were looked at.
    pub environments: usize,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
}

/// A bundle that the engine takes and the symbolic compiler does not.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be read for proofs: {0}")]
pub struct Unreadable(String);

impl Unreadable {
    pub(crate) fn of(error: impl std::fmt::Display) -> Unreadable {
        Unreadable(error.to_string())
    }
}

/// Puts the claims of these kinds about the bundle of `files`, which `suite` was read from, to the solver. That nothing new is
/// permitted is claimed only with a `base`. Without a solver every claim is not proved.
pub async fn prove(
    files: &BundleFiles,
    suite: &Suite,
    base: Option<&BundleFiles>,
    kinds: &[Kind],
    solver: Option<&Solver>,
) -> Result<Vec<Answer>, Unreadable> {
    let bundle = suite
        .bundle()
        .ok_or_else(|| Unreadable::of("there is none"))?;
    let before = base.map(Bundle::load).transpose();
    let before = before.map_err(|report| Unreadable::of(format!("of the base, {report}")))?;
    let base = before.as_ref().zip(base);
    let mut solver = solver.map(solver::Running::new);
    let mut answers = Vec::new();
    for claim in claim::all(bundle, files, suite, base, kinds)? {
        answers.push(ask::answer(claim, solver.as_mut()).await);
    }
    Ok(answers)
}
