//! The `.cedar` files and the schema, parsed, renamed by `@id`, validated, linted, and analysed for the search.

mod compare;
#[cfg(test)]
mod depth_tests;
mod entities;
mod facts;
mod format;
mod lint;
mod load;
mod mutants;
mod names;
mod nesting;
mod parse;
mod points;
mod problem;
mod schema;
#[cfg(test)]
mod search_tests;
mod statement;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::Expr;
use cedar_policy::{Entities, Entity, EntityUid, PolicyId, PolicySet, Schema};

use crate::approval::Kind;
use crate::decide::PolicyRef;
use crate::window::Moment;

pub(crate) use entities::Types;
pub(crate) use format::{WIDTH_MAX, format};
pub use load::{ANNOTATIONS, ID_MAX, LEVEL_MAX};
pub(crate) use mutants::Mutant;
pub use nesting::{DECLARATIONS_MAX, NESTING_MAX, OPERATORS_MAX, TOKENS_MAX};
pub(crate) use points::{Belongs, Points, Text};

/// The name of the schema's file within the bundle.
pub const SCHEMA_FILE: &str = "schema.cedarschema";

/// Checked policies, and what the decision needs to know of them.
#[derive(Debug)]
pub(crate) struct Policies {
    /// Every policy, named by its `@id`.
    pub(crate) set: PolicySet,
    /// One immutable snapshot: users, groups, systems, scopes, workloads (claims empty), and the actions.
    pub(crate) entities: Entities,
    /// The schema's actions, which a request's own set of entities needs too.
    actions: Vec<Entity>,
    /// Makes uids.
    pub(crate) types: Types,
    /// What is known of each policy.
    pub(crate) facts: BTreeMap<PolicyId, PolicyFacts>,
    /// The approval kinds the schema names.
    pub(crate) kinds: BTreeSet<Kind>,
    /// What the policies were validated against.
    pub(crate) schema: Schema,
}

/// What the bundle check learned of one policy.
#[derive(Debug)]
pub(crate) struct PolicyFacts {
    /// Its id, file and line.
    pub(crate) place: PolicyRef,
    /// Its place in the file, in bytes, annotations included.
    pub(crate) span: Range<usize>,
    /// Whether it is a `forbid`.
    pub(crate) forbids: bool,
    /// Its `@advice` annotation.
    pub(crate) advice: Option<String>,
    /// The top-level conjuncts of its `when` and (negated) `unless` clauses.
    pub(crate) conditions: Vec<ConditionFacts>,
    /// The durations at which its answer can change, in whole seconds: for each literal compared with `window.duration`,
    /// the literal rounded down and one second less, where a window can last that long.
    pub(crate) durations_s: BTreeSet<u32>,
    /// The literals compared with `window.closes_at`.
    pub(crate) closes_at: BTreeSet<Moment>,
    /// The greatest literal compared with each `approvals.<kind>`, plus one.
    pub(crate) counts: BTreeMap<Kind, u32>,
    /// Whether it reads `context.ticket` or `context has ticket`.
    pub(crate) reads_ticket: bool,
    /// Whether it reads `context.reason`, or `context` as a whole.
    pub(crate) reads_reason: bool,
    /// Whom one of its conditions narrows the principal down to; for a policy that says who may approve, where to look for
    /// candidates instead of asking about everyone. `None` when no condition does.
    pub(crate) principal_hint: Option<Hint>,
}

/// One condition of a policy, which can be evaluated by itself when a denial is explained.
///
/// A condition guarded by an earlier one (`context has ticket && context.ticket like "INC-*"`) errors by itself where its
/// guard is false: an error means "not met".
#[derive(Debug)]
pub(crate) struct ConditionFacts {
    /// In Cedar, as the policy writes it; of an `unless`, `!(…)`.
    pub(crate) text: String,
    /// The attribute paths it reads, such as `["principal", "ref"]`.
    pub(crate) paths: Vec<Vec<String>>,
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    /// Its place in the file, in bytes; `None` where it shares its place with other conditions of its clause.
    pub(crate) span: Option<Range<usize>>,
    /// What Cedar parsed; without the negation of an `unless`.
    pub(crate) expr: Arc<Expr>,
    /// Whether it stands in an `unless`.
    pub(crate) negated: bool,
    /// The literals it compares `window.duration` with, in whole seconds, rounded down, where a window can last that long.
    pub(crate) limits_s: BTreeSet<u32>,
}

/// A condition that must hold and that names the principal: `principal == target`, or `principal in target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    /// How.
    pub(crate) op: HintOp,
    /// What.
    pub(crate) target: HintTarget,
}

/// How a [`Hint`] names the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HintOp {
    /// The principal is the target.
    Eq,
    /// The principal is the target or in it.
    In,
}

/// What a [`Hint`] compares the principal with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HintTarget {
    /// An entity named in the policy.
    Entity(EntityUid),
    /// An attribute: `["context", "requester", "manager"]`, `["resource", "owners"]`.
    Path(Vec<String>),
}
