//! What a valid policy must not do here, because the answer "what would be enough" could then not be trusted.
//!
//! The search asks again with a shorter window and with more approvals. It finds everything only if a policy compares this
//! evidence with literals and nothing else, and if more approvals never take access away and neither a longer window, nor
//! one that was extended more often, nor a person who owes more post-reviews is ever given what the other is refused.

use cedar_policy::pst::{BinaryOp, Expr, UnaryOp, Var};

use super::compare::{Evidence, Form, children, each, evidence, form, is_malformed, path_of};
use super::problem::Problem;
use super::statement::{Conjunct, only_occurrence};
use super::tokens::{Token, span};

/// Which way the truth of an expression moves access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// Truth gives.
    Gives,
    /// Truth takes away.
    Takes,
    /// Either, as the condition of an `if`.
    Both,
}

impl Sense {
    fn flipped(self) -> Sense {
        match self {
            Sense::Gives => Sense::Takes,
            Sense::Takes => Sense::Gives,
            Sense::Both => Sense::Both,
        }
    }
}

/// Checks one policy's conditions.
pub(super) fn check(
    file: &str,
    id: &str,
    forbids: bool,
    statement: &[Token<'_>],
    conjuncts: &[Conjunct],
    problems: &mut Vec<Problem>,
) {
    for conjunct in conjuncts {
        let sense = if forbids != conjunct.negated {
            Sense::Takes
        } else {
            Sense::Gives
        };
        let mut linter = Linter {
            file,
            id,
            statement,
            conjunct,
            problems,
        };
        linter.condition(&conjunct.expr, sense);
    }
}

struct Linter<'a, 's> {
    file: &'a str,
    id: &'a str,
    statement: &'a [Token<'s>],
    conjunct: &'a Conjunct,
    problems: &'a mut Vec<Problem>,
}

impl Linter<'_, '_> {
    /// An expression whose truth counts.
    fn condition(&mut self, expr: &Expr, sense: Sense) {
        if let Some(form) = form(expr) {
            return self.monotone(expr, form, sense);
        }
        match expr {
            Expr::BinaryOp {
                op: BinaryOp::And | BinaryOp::Or,
                left,
                right,
            } => {
                self.condition(left, sense);
                self.condition(right, sense);
            }
            Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => self.condition(expr, sense.flipped()),
            Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => {
                self.condition(cond, Sense::Both);
                self.condition(then_expr, sense);
                self.condition(else_expr, sense);
            }
            _ => self.value(expr),
        }
    }

    /// An expression whose value is put to some other use: no evidence may be in it.
    fn value(&mut self, expr: &Expr) {
        if let Some(path) = path_of(expr) {
            return self.path(&path);
        }
        match expr {
            // `context has ticket` asks of the record, it does not use it.
            Expr::HasAttr { expr, .. } if path_of(expr).is_some() => return,
            Expr::BinaryOp { op, .. } if calculates(*op) && reads_context(expr) => {
                return self.overflows(expr);
            }
            Expr::UnaryOp {
                op: UnaryOp::Neg, ..
            } if reads_context(expr) => return self.overflows(expr),
            // `duration("1 hour")`: Cedar says what is wrong with it.
            _ if is_malformed(expr) => return,
            _ if unknown(expr) => self.refuse(
                &[],
                format!("`{expr}` is of a kind this check does not know"),
                "say it with the operators of Cedar 4.14".to_owned(),
            ),
            _ => {}
        }
        for child in children(expr) {
            self.value(child);
        }
    }

    fn path(&mut self, path: &[String]) {
        let name = path.join(".");
        if let Some(evidence) = evidence(path) {
            let example = match evidence {
                Evidence::Duration => "context.window.duration <= duration(\"1h\")".to_owned(),
                Evidence::OpensAt | Evidence::ClosesAt => {
                    format!("{name} < datetime(\"2026-12-24T00:00:00Z\")")
                }
                Evidence::Approvals(_) => format!("{name} >= 1"),
                Evidence::OpenReviews | Evidence::Extensions => format!("{name} < 1"),
            };
            self.refuse(
                path,
                format!("`{name}` may only be compared with a literal"),
                format!("write it like `{example}`: what would be enough is worked out from such literals"),
            );
        } else if ["context", "context.window", "context.approvals"].contains(&name.as_str()) {
            self.refuse(
                path,
                format!("`{name}` is used as a whole"),
                "compare its attributes one by one with literals".to_owned(),
            );
        }
    }

    /// An overflow makes Cedar skip the policy, a `forbid` too; directories hold small numbers, a request holds anything.
    fn overflows(&mut self, expr: &Expr) {
        self.refuse(
            &[],
            format!("`{expr}` calculates with `context`, which can overflow"),
            "compare each attribute with a literal; the engine supplies `closes_at` and `duration` ready made".to_owned(),
        );
    }

    fn monotone(&mut self, expr: &Expr, form: Form<'_>, sense: Sense) {
        let grows = match form.op {
            BinaryOp::Greater | BinaryOp::GreaterEq => Sense::Gives,
            BinaryOp::Less | BinaryOp::LessEq => Sense::Takes,
            _ => Sense::Both,
        };
        // How more of the evidence moves access, were this the only condition.
        let more = match (sense, grows) {
            (Sense::Both, _) | (_, Sense::Both) => Sense::Both,
            (Sense::Gives, grows) => grows,
            (Sense::Takes, grows) => grows.flipped(),
        };
        let (path, allowed, why) = match &form.evidence {
            Evidence::OpensAt => return,
            Evidence::Approvals(kind) => (
                vec![
                    "context".to_owned(),
                    "approvals".to_owned(),
                    kind.to_string(),
                ],
                Sense::Gives,
                "more approvals could take access away",
            ),
            Evidence::Duration => (
                ["context", "window", "duration"]
                    .map(str::to_owned)
                    .to_vec(),
                Sense::Takes,
                "a longer window could be allowed where a shorter one is not",
            ),
            Evidence::ClosesAt => (
                ["context", "window", "closes_at"]
                    .map(str::to_owned)
                    .to_vec(),
                Sense::Takes,
                "a longer window could be allowed where a shorter one is not",
            ),
            Evidence::OpenReviews => (
                ["context", "open_reviews"].map(str::to_owned).to_vec(),
                Sense::Takes,
                "whoever owes more post-reviews could have what others are refused",
            ),
            Evidence::Extensions => (
                ["context", "extensions"].map(str::to_owned).to_vec(),
                Sense::Takes,
                "a window could be extended because it was extended before",
            ),
        };
        if more == allowed {
            return;
        }
        // What is no duration is for Cedar to refuse.
        let Some(comparison) = form.read().filter(|comparison| !comparison.is_constant()) else {
            return;
        };
        let help = match (&comparison.evidence, sense) {
            (_, Sense::Both) => "move it out of the condition of the `if`".to_owned(),
            (Evidence::Approvals(_), Sense::Gives) => "compare with `>=` here".to_owned(),
            (Evidence::Approvals(_), Sense::Takes) => "compare with `<` here".to_owned(),
            (_, Sense::Gives) => "compare with `<=` here".to_owned(),
            (_, Sense::Takes) => "compare with `>` here".to_owned(),
        };
        self.refuse(&path, format!("`{expr}`: {why}"), help);
    }

    fn refuse(&mut self, path: &[String], what: String, help: String) {
        let inside: Vec<Token<'_>> = self
            .statement
            .iter()
            .filter(|token| {
                self.conjunct.span.start <= token.at && token.span().end <= self.conjunct.span.end
            })
            .copied()
            .collect();
        let place = only_occurrence(&inside, path).map_or_else(|| self.conjunct.span.clone(), span);
        let message = format!("policy `{}`: {what}", self.id);
        let problem = Problem::new(self.file, place, message).help(help);
        // Where one condition does the same wrong twice, it is told once.
        if self.problems.last() != Some(&problem) {
            self.problems.push(problem);
        }
    }
}

fn reads_context(expr: &Expr) -> bool {
    let mut found = false;
    each(expr, &mut |inner| {
        found |= matches!(inner, Expr::Var(Var::Context));
    });
    found
}

/// Whether an expression may hold others that [`children`] does not see, as one that Cedar adds one day would.
fn unknown(expr: &Expr) -> bool {
    let leaf = matches!(
        expr,
        Expr::Literal(_) | Expr::Var(_) | Expr::Set(_) | Expr::Record(_)
    );
    !leaf && children(expr).is_empty()
}

fn calculates(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Offset | BinaryOp::DurationSince
    )
}
