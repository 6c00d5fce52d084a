//! The `.cedar` files and the schema, parsed, renamed by `@id`, validated, linted, and analysed for the search.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Entities, PolicyId, PolicySet, Schema};

use crate::approval::Kind;
use crate::decide::PolicyRef;
use crate::window::Moment;

/// Checked policies, and what the decision needs to know of them.
#[derive(Debug)]
pub(crate) struct Policies {
    /// The schema everything was validated against.
    pub(crate) schema: Schema,
    /// Every policy, named by its `@id`.
    pub(crate) set: PolicySet,
    /// One immutable snapshot: users, groups, systems, scopes, workloads (claims empty), and the actions.
    pub(crate) entities: Entities,
    /// What is known of each policy.
    pub(crate) facts: BTreeMap<PolicyId, PolicyFacts>,
    /// The approval kinds the schema names.
    pub(crate) kinds: BTreeSet<Kind>,
}

/// What the bundle check learned of one policy.
#[derive(Debug)]
pub(crate) struct PolicyFacts {
    /// Its id, file and line.
    pub(crate) place: PolicyRef,
    /// Whether it is a `forbid`.
    pub(crate) forbids: bool,
    /// Its `@advice` annotation.
    pub(crate) advice: Option<String>,
    /// The top-level conjuncts of its `when` and (negated) `unless` clauses.
    pub(crate) conditions: Vec<ConditionFacts>,
    /// The durations at which its answer can change, in whole seconds: for each literal compared with `window.duration`,
    /// the literal rounded down and one second less.
    pub(crate) durations_s: BTreeSet<u32>,
    /// The literals compared with `window.closes_at`.
    pub(crate) closes_at: BTreeSet<Moment>,
    /// The greatest literal compared with each `approvals.<kind>`, plus one.
    pub(crate) counts: BTreeMap<Kind, u32>,
    /// Whether it reads `context.ticket` or `context has ticket`.
    pub(crate) reads_ticket: bool,
}

/// One condition of a policy, ready to be evaluated by itself when a denial is explained.
#[derive(Debug)]
pub(crate) struct ConditionFacts {
    /// In Cedar, as the policy writes it.
    pub(crate) text: String,
    /// A set of one policy, `permit (principal, action, resource) when { <this condition> };`.
    pub(crate) alone: PolicySet,
    /// The attribute paths it reads, such as `["principal", "ref"]`.
    pub(crate) paths: Vec<Vec<String>>,
}
