//! What a policy compares: the evidence that the search varies, and the literals it is compared with.

use std::sync::LazyLock;

use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp, Var};
use cedar_policy::{
    Context, Entities, EntityUid, EvalResult, Expression, Request, RestrictedExpression,
    eval_expression,
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
    form(expr)?.read()
}

/// What has the form of a comparison of evidence with a literal; the literal is not read yet.
pub(super) struct Form<'e> {
    pub(super) evidence: Evidence,
    pub(super) op: BinaryOp,
    literal: &'e Expr,
}

impl Form<'_> {
    /// `None` where the literal is a `duration("…")` or `datetime("…")` that is none.
    pub(super) fn read(self) -> Option<Comparison> {
        Some(Comparison {
            evidence: self.evidence,
            op: self.op,
            literal: literal_of(self.literal)?,
        })
    }
}

/// As [`comparison`], for those who can do without the literal: reading it takes longer than all the rest.
pub(super) fn form(expr: &Expr) -> Option<Form<'_>> {
    let Expr::BinaryOp { op, left, right } = expr else {
        return None;
    };
    let mirrored = mirror(*op)?;
    let form = |path, op, literal| {
        let evidence = evidence(&path_of(path)?)?;
        is_literal(literal).then_some(Form {
            evidence,
            op,
            literal,
        })
    };
    form(left, *op, right).or_else(|| form(right, mirrored, left))
}

/// Whether it is a number, or a `duration("…")` or `datetime("…")`, be it one that is none.
fn is_literal(expr: &Expr) -> bool {
    let text = |expr: &Expr| matches!(expr, Expr::Literal(Literal::String(_)));
    match expr {
        Expr::Literal(Literal::Long(_)) => true,
        Expr::UnaryOp { op, expr } => match op {
            UnaryOp::Neg => matches!(expr.as_ref(), Expr::Literal(Literal::Long(_))),
            UnaryOp::Duration | UnaryOp::Datetime => text(expr),
            _ => false,
        },
        _ => false,
    }
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
        Expr::UnaryOp { op, expr } => match expr.as_ref() {
            Expr::Literal(Literal::String(text)) => milliseconds(*op, text),
            _ => None,
        },
        _ => None,
    }
}

/// How long a `duration("…")` is, or how long after 1970 a `datetime("…")`. Cedar itself is asked: nothing here reads durations
/// and dates a second way.
fn milliseconds(op: UnaryOp, text: &str) -> Option<i64> {
    let questions = QUESTIONS.as_ref()?;
    let question = match op {
        UnaryOp::Duration => &questions.duration,
        UnaryOp::Datetime => &questions.datetime,
        _ => return None,
    };
    let nobody = || questions.nobody.clone();
    let text = RestrictedExpression::new_string(text.to_owned());
    let context = Context::from_pairs([("text".to_owned(), text)]).ok()?;
    let request = Request::new(nobody(), nobody(), nobody(), context, None).ok()?;
    match eval_expression(&request, &Entities::empty(), question) {
        Ok(EvalResult::Long(number)) => Some(number),
        _ => None,
    }
}

/// What is asked about literals. Parsed once: a bundle has thousands of them, and parsing would cost more than all else here.
struct Questions {
    nobody: EntityUid,
    duration: Expression,
    datetime: Expression,
}

/// `None` never happens: they are fixed texts.
static QUESTIONS: LazyLock<Option<Questions>> = LazyLock::new(|| {
    let since_1970 = "datetime(context.text).durationSince(datetime(\"1970-01-01\"))";
    Some(Questions {
        nobody: "User::\"\"".parse().ok()?,
        duration: "duration(context.text).toMilliseconds()".parse().ok()?,
        datetime: format!("{since_1970}.toMilliseconds()").parse().ok()?,
    })
});

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
