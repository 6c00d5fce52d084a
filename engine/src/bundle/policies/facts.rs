//! What the search and the explanation need to know of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, StaticPolicy, Template, Var};
use cedar_policy::{Effect, Policy, PolicySet};

use super::compare::{Comparison, Evidence, comparison, each, path_of};
use super::parse::annotation;
use super::statement::Conjunct;
use super::{ConditionFacts, Hint, HintOp, HintTarget, PolicyFacts};
use crate::decide::PolicyRef;
use crate::window::{Moment, WINDOW_MAX_S};

/// Gathers the facts of one policy.
pub(super) fn gather(
    policy: &Policy,
    place: PolicyRef,
    source: &str,
    span: Range<usize>,
    conjuncts: &[Conjunct],
) -> PolicyFacts {
    let mut facts = PolicyFacts {
        forbids: policy.effect() == Effect::Forbid,
        advice: annotation(policy, "advice").map(str::to_owned),
        conditions: Vec::new(),
        durations_s: BTreeSet::new(),
        closes_at: BTreeSet::new(),
        counts: BTreeMap::new(),
        reads_ticket: false,
        reads_reason: false,
        principal_hint: None,
        place,
        span,
    };
    // Counted from the policy's own first line: counting from the file's would cost a look at all of it for each condition.
    let (first_line, starts_at) = (facts.place.line, facts.span.start);
    let line_of = |conjunct: &Conjunct| {
        let before = source.get(starts_at..conjunct.span.start);
        first_line + before.unwrap_or_default().matches('\n').count()
    };
    for conjunct in conjuncts {
        let comparisons = comparisons(&conjunct.expr);
        let condition = condition(conjunct, line_of(conjunct), &comparisons);
        facts.reads_ticket |= condition
            .paths
            .iter()
            .any(|path| matches!(path.as_slice(), [root, name, ..] if root == "context" && name == "ticket"));
        facts.reads_reason |= reads_reason(&conjunct.expr);
        facts.conditions.push(condition);
        for comparison in comparisons {
            facts.note(comparison);
        }
        if !conjunct.negated {
            facts.principal_hint = better(facts.principal_hint.take(), hint(&conjunct.expr));
        }
    }
    facts
}

impl PolicyFacts {
    /// Notes the literal of a comparison with evidence.
    fn note(&mut self, comparison: Comparison) {
        match comparison.evidence {
            Evidence::Duration => {
                let at = comparison.literal.div_euclid(1_000);
                self.durations_s.extend(
                    [at.saturating_sub(1), at]
                        .into_iter()
                        .filter_map(|seconds| u32::try_from(seconds).ok())
                        .filter(|seconds| (1..=WINDOW_MAX_S).contains(seconds)),
                );
            }
            Evidence::ClosesAt => self.closes_at.extend(Moment::from_ms(comparison.literal)),
            // Circumstances: no answer says that fewer of them would do.
            Evidence::OpensAt | Evidence::OpenReviews | Evidence::Extensions => {}
            Evidence::Approvals(kind) => {
                let enough = u32::try_from(comparison.literal.max(0))
                    .unwrap_or(u32::MAX)
                    .saturating_add(1);
                let most = self.counts.entry(kind).or_default();
                *most = enough.max(*most);
            }
        }
    }
}

fn condition(conjunct: &Conjunct, line: usize, comparisons: &[Comparison]) -> ConditionFacts {
    ConditionFacts {
        text: match conjunct.negated {
            true => format!("!({})", conjunct.text),
            false => conjunct.text.clone(),
        },
        paths: paths(&conjunct.expr),
        line,
        span: conjunct.alone.then(|| conjunct.span.clone()),
        expr: Arc::clone(&conjunct.expr),
        negated: conjunct.negated,
        limits_s: comparisons.iter().filter_map(limit).collect(),
    }
}

impl ConditionFacts {
    /// A set of one policy, `permit (principal, action, resource) when { <this condition> };`, for Cedar to evaluate it by
    /// itself. `None` never happens: the condition is what Cedar made of a policy.
    pub(crate) fn alone(&self) -> Option<PolicySet> {
        let clause = match self.negated {
            true => Clause::Unless(Arc::clone(&self.expr)),
            false => Clause::When(Arc::clone(&self.expr)),
        };
        let policy = Template::new(
            pst::PolicyID("condition".into()),
            pst::Effect::Permit,
            pst::PrincipalConstraint::Any,
            pst::ActionConstraint::Any,
            pst::ResourceConstraint::Any,
        );
        let policy = StaticPolicy::try_from(policy.try_with_clauses(vec![clause]).ok()?).ok()?;
        let policy = Policy::from_pst(pst::Policy::Static(policy)).ok()?;
        PolicySet::from_policies([policy]).ok()
    }
}

/// Every comparison of evidence with a literal, within an expression.
fn comparisons(expr: &Expr) -> Vec<Comparison> {
    let mut found = Vec::new();
    each(expr, &mut |expr| found.extend(comparison(expr)));
    found
}

/// The literal that `window.duration` is compared with, where a window can last that long.
fn limit(comparison: &Comparison) -> Option<u32> {
    let seconds = u32::try_from(comparison.literal.div_euclid(1_000)).ok()?;
    let fits = comparison.evidence == Evidence::Duration && (1..=WINDOW_MAX_S).contains(&seconds);
    fits.then_some(seconds)
}

/// The attribute paths an expression reads, each once, the longest form of each.
fn paths(expr: &Expr) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

fn collect(expr: &Expr, found: &mut Vec<Vec<String>>) {
    let mut add = |path: Vec<String>| {
        if path.len() > 1 && !found.contains(&path) {
            found.push(path);
        }
    };
    if let Some(path) = path_of(expr) {
        return add(path);
    }
    if let Expr::HasAttr { expr, attrs } = expr
        && let Some(mut path) = path_of(expr)
    {
        path.extend(attrs.iter().map(ToString::to_string));
        return add(path);
    }
    for child in super::compare::children(expr) {
        collect(child, found);
    }
}

/// Whether an expression reads `context.reason`. One that reads `context` as a whole does too.
fn reads_reason(expr: &Expr) -> bool {
    if let Some(path) = path_of(expr) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        return matches!(names.as_slice(), ["context"] | ["context", "reason", ..]);
    }
    if let Expr::HasAttr { expr, attrs } = expr
        && let Expr::Var(Var::Context) = expr.as_ref()
    {
        return attrs.iter().next().is_some_and(|attr| attr == "reason");
    }
    super::compare::children(expr).into_iter().any(reads_reason)
}

/// The hint that a condition gives: `principal` compared with an attribute or an entity.
fn hint(expr: &Expr) -> Option<Hint> {
    let Expr::BinaryOp { op, left, right } = expr else {
        return None;
    };
    let is_principal = |expr: &Expr| matches!(expr, Expr::Var(Var::Principal));
    match op {
        BinaryOp::Eq if is_principal(left) => target(right, HintOp::Eq),
        BinaryOp::Eq if is_principal(right) => target(left, HintOp::Eq),
        BinaryOp::In if is_principal(left) => target(right, HintOp::In),
        _ => None,
    }
}

fn target(expr: &Expr, op: HintOp) -> Option<Hint> {
    let target = match expr {
        Expr::Literal(Literal::EntityUID(uid)) => HintTarget::Entity(uid.to_string().parse().ok()?),
        other => HintTarget::Path(path_of(other).filter(|path| path.len() > 1)?),
    };
    Some(Hint { op, target })
}

/// Of two hints the one that leaves fewer candidates: one person rather than a group.
fn better(one: Option<Hint>, other: Option<Hint>) -> Option<Hint> {
    match (&one, &other) {
        (Some(first), Some(second)) if first.op == HintOp::In && second.op == HintOp::Eq => other,
        (Some(_), _) => one,
        (None, _) => other,
    }
}
