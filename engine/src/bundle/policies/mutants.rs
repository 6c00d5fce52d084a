//! Small changes to a policy, each of which some test should notice.
//!
//! They are made in what Cedar parsed and printed by Cedar, then put in the place of the condition or the policy they
//! change. Whether a changed text is still a policy is for the bundle check to say.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp};
use cedar_policy::{Policy, PrincipalConstraint, ResourceConstraint};

use super::compare::literal_of;
use super::{Policies, PolicyFacts};
use crate::window::Moment;

/// One change to one policy.
#[derive(Debug, Clone)]
pub(crate) struct Mutant {
    /// The policy's `@id`.
    pub(crate) policy: String,
    /// The file it stands in.
    pub(crate) file: String,
    /// The line of what is changed, from 1.
    pub(crate) line: usize,
    /// The change in words.
    pub(crate) words: String,
    /// What is replaced, in bytes of the file.
    pub(crate) span: Range<usize>,
    /// What stands there instead.
    pub(crate) text: String,
}

/// Milliseconds in a second: windows open, last and close by whole seconds, so a smaller step would change nothing.
const SECOND_MS: i64 = 1_000;

impl Policies {
    /// Every change there is to every policy, by file and line.
    pub(crate) fn mutants(&self) -> Vec<Mutant> {
        let mut all = Vec::new();
        for (id, facts) in &self.facts {
            if let Some(policy) = self.set.policy(id) {
                of_policy(policy, facts, &mut all);
            }
            of_conditions(facts, &mut all);
        }
        all.sort_by(|one, other| (&one.file, one.span.start).cmp(&(&other.file, other.span.start)));
        all
    }
}

/// The policy left out, and its head widened.
fn of_policy(policy: &Policy, facts: &PolicyFacts, all: &mut Vec<Mutant>) {
    let mut add = |words: String, text: String| {
        all.push(Mutant {
            policy: facts.place.id.clone(),
            file: facts.place.file.clone(),
            line: facts.place.line,
            words,
            span: facts.span.clone(),
            text,
        });
    };
    add("the whole policy is left out".to_owned(), String::new());
    let anyone = matches!(policy.principal_constraint(), PrincipalConstraint::Any);
    let anything = matches!(policy.resource_constraint(), ResourceConstraint::Any);
    for (name, is_any) in [("principal", anyone), ("resource", anything)] {
        if is_any {
            continue;
        }
        // Cedar's own JSON form of the policy, with that part of the head naming everything.
        let widened = policy.to_json().ok().and_then(|mut json| {
            *json.get_mut(name)? = serde_json::json!({ "op": "All" });
            let widened = Policy::from_json(Some(policy.id().clone()), json).ok()?;
            widened.to_cedar()
        });
        if let Some(text) = widened {
            add(format!("its head names every `{name}`"), text);
        }
    }
}

fn of_conditions(facts: &PolicyFacts, all: &mut Vec<Mutant>) {
    for condition in &facts.conditions {
        // Conditions that share a place cannot be changed one by one.
        let Some(span) = &condition.span else {
            continue;
        };
        let mut add = |words: String, text: String| {
            all.push(Mutant {
                policy: facts.place.id.clone(),
                file: facts.place.file.clone(),
                line: condition.line,
                words,
                span: span.clone(),
                text,
            });
        };
        // A condition of a `when` is left out by being true, an alternative of an `unless` by being false.
        let nothing = match condition.negated {
            true => "false",
            false => "true",
        };
        add(
            format!("`{}` is left out", condition.text),
            nothing.to_owned(),
        );
        for (expr, words) in changes(&condition.expr) {
            add(
                format!("{words} in `{}`", condition.text),
                format!("({expr})"),
            );
        }
    }
}

/// Every change of one part of an expression, with what it is in words.
///
/// Recursion is bounded: the bundle check let nothing through that nests deeper than [`super::NESTING_MAX`].
fn changes(expr: &Arc<Expr>) -> Vec<(Arc<Expr>, String)> {
    let mut found = Vec::new();
    match expr.as_ref() {
        Expr::BinaryOp { op, left, right } => {
            let with_op = |op| Expr::BinaryOp {
                op,
                left: Arc::clone(left),
                right: Arc::clone(right),
            };
            if let Some((from, to, op)) = other_op(*op) {
                found.push((with_op(op).into(), format!("`{from}` becomes `{to}`")));
            }
            if matches!(op, BinaryOp::And | BinaryOp::Or) {
                for part in [left, right] {
                    let words = format!("only `{part}` is left of `{expr}`");
                    found.push((Arc::clone(part), words));
                }
            }
            for (side, on_the_left) in [(left, true), (right, false)] {
                let rebuilt = |changed: Arc<Expr>| {
                    let (left, right) = match on_the_left {
                        true => (changed, Arc::clone(right)),
                        false => (Arc::clone(left), changed),
                    };
                    Arc::new(Expr::BinaryOp {
                        op: *op,
                        left,
                        right,
                    })
                };
                if let Some((changed, words)) = step(side, *op, on_the_left) {
                    found.push((rebuilt(changed), words));
                }
                found.extend(inside(side, rebuilt));
            }
        }
        Expr::UnaryOp { op, expr: inner } => {
            if *op == UnaryOp::Not {
                found.push((Arc::clone(inner), "`!` is left out".to_owned()));
            }
            found.extend(inside(inner, |expr| {
                Arc::new(Expr::UnaryOp { op: *op, expr })
            }));
        }
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => {
            for part in [then_expr, else_expr] {
                found.push((
                    Arc::clone(part),
                    format!("only `{part}` is left of the `if`"),
                ));
            }
            let parts = [cond, then_expr, else_expr];
            for at in 0..parts.len() {
                let rebuilt = |changed: Arc<Expr>| {
                    let part = |place: usize, part: &Arc<Expr>| match place == at {
                        true => Arc::clone(&changed),
                        false => Arc::clone(part),
                    };
                    Arc::new(Expr::IfThenElse {
                        cond: part(0, cond),
                        then_expr: part(1, then_expr),
                        else_expr: part(2, else_expr),
                    })
                };
                if let Some(part) = parts.get(at) {
                    found.extend(inside(part, rebuilt));
                }
            }
        }
        // In a set, a record or an attribute's path there is nothing that decides by itself.
        _ => {}
    }
    found
}

/// The changes of a part, each put back into its whole.
fn inside(part: &Arc<Expr>, rebuilt: impl Fn(Arc<Expr>) -> Arc<Expr>) -> Vec<(Arc<Expr>, String)> {
    changes(part)
        .into_iter()
        .map(|(changed, words)| (rebuilt(changed), words))
        .collect()
}

/// The operator it is mistaken for.
fn other_op(op: BinaryOp) -> Option<(&'static str, &'static str, BinaryOp)> {
    match op {
        BinaryOp::LessEq => Some(("<=", "<", BinaryOp::Less)),
        BinaryOp::Less => Some(("<", "<=", BinaryOp::LessEq)),
        BinaryOp::GreaterEq => Some((">=", ">", BinaryOp::Greater)),
        BinaryOp::Greater => Some((">", ">=", BinaryOp::GreaterEq)),
        BinaryOp::Eq => Some(("==", "!=", BinaryOp::NotEq)),
        BinaryOp::NotEq => Some(("!=", "==", BinaryOp::Eq)),
        _ => None,
    }
}

/// The literal of a comparison moved by one step, to the side that [`other_op`] does not move it to already: `<` for `<=`
/// is the same as a second or a count less.
fn step(side: &Arc<Expr>, op: BinaryOp, on_the_left: bool) -> Option<(Arc<Expr>, String)> {
    let up = match op {
        BinaryOp::LessEq | BinaryOp::Greater => !on_the_left,
        BinaryOp::Less | BinaryOp::GreaterEq => on_the_left,
        _ => return None,
    };
    let literal = literal_of(side)?;
    let by = |step: i64| literal.checked_add(if up { step } else { -step });
    let changed = match side.as_ref() {
        Expr::UnaryOp {
            op: UnaryOp::Duration,
            ..
        } => {
            let ms = by(SECOND_MS)?;
            let text = match ms % SECOND_MS {
                0 => format!("{}s", ms / SECOND_MS),
                _ => format!("{ms}ms"),
            };
            call(UnaryOp::Duration, text)
        }
        Expr::UnaryOp {
            op: UnaryOp::Datetime,
            ..
        } => {
            let at = Moment::from_ms(by(SECOND_MS)?)?;
            call(UnaryOp::Datetime, at.to_string())
        }
        _ => Arc::new(Expr::Literal(Literal::Long(by(1)?))),
    };
    let words = format!("`{side}` becomes `{changed}`");
    Some((changed, words))
}

fn call(op: UnaryOp, text: String) -> Arc<Expr> {
    Arc::new(Expr::UnaryOp {
        op,
        expr: Arc::new(Expr::Literal(Literal::String(text.into()))),
    })
}
