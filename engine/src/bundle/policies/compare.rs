//! What a policy compares: the evidence that the search varies, and the literals it is compared with.

use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp, Var};
use cedar_policy::{
    Context, Entities, EntityUid, EvalResult, Expression, Request, eval_expression,
};

use crate::approval::Kind;
use crate::window::WINDOW_MAX_S;

/// A part of the context that differs between one request and the nearest one that would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evidence {
    /// `context.window.duration`
    Duration,
    /// `context.window.opens_at`
    OpensAt,
    /// `context.window.closes_at`
    ClosesAt,
    /// `context.approvals.<kind>`
    Approvals(Kind),
    /// `context.open_reviews`
    OpenReviews,
    /// `context.extensions`
    Extensions,
}

/// One piece of evidence compared with one literal, the evidence on the left.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) evidence: Evidence,
    pub(super) op: BinaryOp,
    /// Milliseconds, or a count.
    pub(super) literal: i64,
}

impl Comparison {
    /// Whether it has the same answer for everything the engine ever supplies, as `duration > 0ms` has.
    pub(super) fn is_constant(&self) -> bool {
        let (least, most) = match self.evidence {
            Evidence::Duration => (1_000, i64::from(WINDOW_MAX_S) * 1_000),
            Evidence::Approvals(_) | Evidence::OpenReviews | Evidence::Extensions => (0, i64::MAX),
            Evidence::OpensAt | Evidence::ClosesAt => return false,
        };
        let literal = self.literal;
        match self.op {
            BinaryOp::Less => most < literal || least >= literal,
            BinaryOp::LessEq => most <= literal || least > literal,
            BinaryOp::Greater => least > literal || most <= literal,
            BinaryOp::GreaterEq => least >= literal || most < literal,
            _ => literal < least || literal > most,
        }
    }
}

/// The attribute path an expression is: `context.window.duration`, or `principal` alone.
pub(super) fn path_of(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Var(var) => Some(vec![
            match var {
                Var::Principal => "principal",
                Var::Action => "action",
                Var::Resource => "resource",
                Var::Context => "context",
            }
            .to_owned(),
        ]),
        Expr::GetAttr { expr, attr } => {
            let mut path = path_of(expr)?;
            path.push(attr.to_string());
            Some(path)
        }
        _ => None,
    }
}

/// The evidence at `path`, if the search varies what stands there.
pub(super) fn evidence(path: &[String]) -> Option<Evidence> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["context", "window", "duration"] => Some(Evidence::Duration),
        ["context", "window", "opens_at"] => Some(Evidence::OpensAt),
        ["context", "window", "closes_at"] => Some(Evidence::ClosesAt),
        ["context", "open_reviews"] => Some(Evidence::OpenReviews),
        ["context", "extensions"] => Some(Evidence::Extensions),
        ["context", "approvals", kind] => {
            let mut letters = kind.chars();
            let first = letters.next()?.to_ascii_uppercase();
            Kind::of_action(&format!("approve{first}{}", letters.as_str())).map(Evidence::Approvals)
        }
        _ => None,
    }
}

/// The comparison an expression is, whichever way round it is written; `None` for anything else.
pub(super) fn comparison(expr: &Expr) -> Option<Comparison> {
    let Expr::BinaryOp { op, left, right } = expr else {
        return None;
    };
    let mirrored = mirror(*op)?;
    let read = |path: &Expr, op, literal: &Expr| {
        let evidence = evidence(&path_of(path)?)?;
        let literal = literal_of(literal)?;
        Some(Comparison {
            evidence,
            op,
            literal,
        })
    };
    read(left, *op, right).or_else(|| read(right, mirrored, left))
}

/// Whether an expression compares with a `duration("…")` or `datetime("…")` that is none.
pub(super) fn is_malformed(expr: &Expr) -> bool {
    let none = |expr: &Expr| {
        let op = match expr {
            Expr::UnaryOp { op, .. } => *op,
            _ => return false,
        };
        matches!(op, UnaryOp::Duration | UnaryOp::Datetime) && literal_of(expr).is_none()
    };
    matches!(expr, Expr::BinaryOp { left, right, .. } if none(left) || none(right))
}

/// The operator that says the same with its sides swapped; `None` for what does not compare.
fn mirror(op: BinaryOp) -> Option<BinaryOp> {
    match op {
        BinaryOp::Eq | BinaryOp::NotEq => Some(op),
        BinaryOp::Less => Some(BinaryOp::Greater),
        BinaryOp::LessEq => Some(BinaryOp::GreaterEq),
        BinaryOp::Greater => Some(BinaryOp::Less),
        BinaryOp::GreaterEq => Some(BinaryOp::LessEq),
        _ => None,
    }
}

/// The number, or the milliseconds of the `duration("…")` or `datetime("…")`, that a literal stands for.
pub(super) fn literal_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(Literal::Long(number)) => Some(*number),
        Expr::UnaryOp {
            op: UnaryOp::Neg,
            expr,
        } => match expr.as_ref() {
            Expr::Literal(Literal::Long(number)) => number.checked_neg(),
            _ => None,
        },
        Expr::UnaryOp { op, expr: text } => {
            if !matches!(text.as_ref(), Expr::Literal(Literal::String(_))) {
                return None;
            }
            match op {
                UnaryOp::Duration => evaluated(&format!("{expr}.toMilliseconds()")),
                UnaryOp::Datetime => evaluated(&format!(
                    "{expr}.durationSince(datetime(\"1970-01-01\")).toMilliseconds()"
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What Cedar itself takes a constant expression for: nothing here reads durations and dates a second way.
fn evaluated(expression: &str) -> Option<i64> {
    let expression: Expression = expression.parse().ok()?;
    let nobody: EntityUid = "User::\"\"".parse().ok()?;
    let request = Request::new(
        nobody.clone(),
        nobody.clone(),
        nobody,
        Context::empty(),
        None,
    )
    .ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(number)) => Some(number),
        _ => None,
    }
}

/// The expressions directly inside one.
pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => vec![expr],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Is { expr, in_expr, .. } => {
            let mut found: Vec<&Expr> = vec![expr];
            found.extend(in_expr.as_deref());
            found
        }
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => vec![cond, then_expr, else_expr],
        Expr::Set(members) => members.iter().map(AsRef::as_ref).collect(),
        Expr::Record(fields) => fields.values().map(AsRef::as_ref).collect(),
        // Literals and variables; and what Cedar may add one day, which the lint refuses.
        _ => Vec::new(),
    }
}

/// Calls `visit` with `expr` and every expression inside it.
pub(super) fn each<'e>(expr: &'e Expr, visit: &mut impl FnMut(&'e Expr)) {
    visit(expr);
    for child in children(expr) {
        each(child, visit);
    }
}
