//! One policy's text, taken apart by its tokens: clauses, and the conditions they are made of.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Clause, Expr};

use super::tokens::Token;

/// One condition of a policy: a top-level conjunct of a `when`, or a top-level alternative of an `unless`, which must not
/// hold.
#[derive(Debug)]
pub(super) struct Conjunct {
    /// What Cedar parsed; without the `unless`'s negation.
    pub(super) expr: Arc<Expr>,
    /// Whether it stands in an `unless`.
    pub(super) negated: bool,
    /// As it is written, on one line.
    pub(super) text: String,
    /// Its place in the file.
    pub(super) span: Range<usize>,
    /// Whether nothing else stands at its place.
    pub(super) alone: bool,
}

/// The conditions of a policy, each with its own place and text.
///
/// `clauses` is what Cedar parsed and is the authority; `statement` is only asked where things stand. Where the two do not
/// agree on how many conditions there are, a clause's conditions all stand at the clause's place and are printed by Cedar.
pub(super) fn conjuncts(
    source: &str,
    statement: &[Token<'_>],
    clauses: &[Clause],
) -> Vec<Conjunct> {
    let bodies = clause_bodies(statement);
    let mut found = Vec::new();
    for (index, clause) in clauses.iter().enumerate() {
        let (expr, negated, op, sign, looser) = match clause {
            Clause::When(expr) => (expr, false, BinaryOp::And, "&&", Some("||")),
            Clause::Unless(expr) => (expr, true, BinaryOp::Or, "||", None),
        };
        let body = match bodies.get(index) {
            Some(body) if bodies.len() == clauses.len() => *body,
            _ => statement,
        };
        let mut exprs = Vec::new();
        flatten(expr, op, &mut exprs);
        let mut parts = Vec::new();
        split(body, sign, looser, &mut parts);
        let agree = parts.len() == exprs.len();
        for (at, expr) in exprs.into_iter().enumerate() {
            let part = parts.get(at).filter(|_| agree);
            let span = super::tokens::span(part.map_or(body, |part| *part));
            found.push(Conjunct {
                text: part.map_or_else(|| expr.to_string(), |part| one_line(source, part)),
                alone: part.is_some(),
                span,
                expr,
                negated,
            });
        }
    }
    found
}

/// What stands between the braces of each `when` and `unless`.
pub(super) fn clause_bodies<'t, 's>(statement: &'t [Token<'s>]) -> Vec<&'t [Token<'s>]> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut start = 0;
    for (at, token) in statement.iter().enumerate() {
        if opens(token) {
            if depth == 0 {
                start = at + 1;
            }
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
            if depth == 0 && token.is("}") {
                found.extend(statement.get(start..at));
            }
        }
    }
    found
}

/// The operands of a chain of `op`, from left to right.
fn flatten(expr: &Arc<Expr>, op: BinaryOp, found: &mut Vec<Arc<Expr>>) {
    match expr.as_ref() {
        Expr::BinaryOp {
            op: this,
            left,
            right,
        } if *this == op => {
            flatten(left, op, found);
            flatten(right, op, found);
        }
        _ => found.push(Arc::clone(expr)),
    }
}

/// The same by tokens: splits at each `sign` outside brackets, after taking off brackets around the whole, unless `looser`
/// (an operator that binds less) or an `if` stands there too.
fn split<'t, 's>(
    tokens: &'t [Token<'s>],
    sign: &str,
    looser: Option<&str>,
    found: &mut Vec<&'t [Token<'s>]>,
) {
    if let Some(inner) = unwrapped(tokens) {
        return split(inner, sign, looser, found);
    }
    let outer = outer_signs(tokens);
    let has = |sign: &str| outer.iter().any(|(_, token)| token.is(sign));
    if tokens.first().is_some_and(|token| token.is("if")) || looser.is_some_and(has) || !has(sign) {
        found.push(tokens);
        return;
    }
    let mut start = 0;
    for (at, _) in outer.iter().filter(|(_, token)| token.is(sign)) {
        if let Some(part) = tokens.get(start..*at) {
            split(part, sign, looser, found);
        }
        start = at + 1;
    }
    if let Some(part) = tokens.get(start..) {
        split(part, sign, looser, found);
    }
}

/// What stands inside one pair of parentheses around all of `tokens`.
fn unwrapped<'t, 's>(tokens: &'t [Token<'s>]) -> Option<&'t [Token<'s>]> {
    let [first, inner @ .., last] = tokens else {
        return None;
    };
    let wrapped = first.is("(") && last.is(")") && outer_signs(tokens).is_empty();
    wrapped.then_some(inner)
}

/// The tokens outside every bracket, brackets not included.
fn outer_signs<'t, 's>(tokens: &'t [Token<'s>]) -> Vec<(usize, &'t Token<'s>)> {
    let mut depth = 0usize;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if opens(token) {
            // A second pair of brackets beside the first: `(a)(b)` is not wrapped.
            if depth == 0 && at > 0 {
                found.push((at, token));
            }
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            found.push((at, token));
        }
    }
    found
}

fn opens(token: &Token<'_>) -> bool {
    token.is("(") || token.is("[") || token.is("{")
}

fn closes(token: &Token<'_>) -> bool {
    token.is(")") || token.is("]") || token.is("}")
}

/// The text of some tokens with each gap between them, comments included, as one space or none.
fn one_line(source: &str, tokens: &[Token<'_>]) -> String {
    let mut line = String::new();
    let mut end = None;
    for token in tokens {
        if end.is_some_and(|end| end < token.at) {
            line.push(' ');
        }
        line.push_str(source.get(token.span()).unwrap_or(token.text));
        end = Some(token.span().end);
    }
    line
}

/// The tokens of `path` where they stand exactly once among `tokens`.
pub(super) fn only_occurrence<'t, 's>(
    tokens: &'t [Token<'s>],
    path: &[String],
) -> Option<&'t [Token<'s>]> {
    let width = (path.len() * 2).checked_sub(1)?;
    let is_path = |window: &&[Token<'_>]| {
        window.iter().enumerate().all(|(at, token)| {
            if at % 2 == 1 {
                token.is(".")
            } else {
                path.get(at / 2).is_some_and(|name| token.is(name))
            }
        })
    };
    let mut places = tokens.windows(width).filter(is_path);
    places.next().filter(|_| places.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::tokens::tokens;
    use super::*;

    /// What Cedar and this file make of the clause of a policy.
    fn read(clause: &str) -> (Vec<Clause>, Vec<Conjunct>) {
        let source = format!("@id(\"a\") permit (principal, action, resource) {clause};");
        let statement = tokens(&source);
        let mut problems = Vec::new();
        let parsed = parse::alone("a.cedar", &source, &statement, &mut problems);
        let clauses = parsed
            .unwrap_or_else(|| panic!("{clause}: {problems:?}"))
            .clauses;
        let conjuncts = conjuncts(&source, &statement, &clauses);
        (clauses, conjuncts)
    }

    #[test]
    fn the_text_of_a_condition_is_the_condition() {
        let (a, b, c) = ("context.a < 1", "1 <= context.b", "!(context has c)");
        for (shape, in_when, in_unless) in [
            (format!("{a} && ({b} && ({c}))"), 3, 1),
            (format!("({a} && {b}) && {c}"), 3, 1),
            (format!("{a} || ({b} || ({c}))"), 1, 3),
            (format!("({a} || {b}) && {c}"), 2, 1),
            (format!("({a}) && ({b}) || {c}"), 1, 2),
            (format!("{a} || ({b}) && ({c})"), 1, 2),
            (format!("((({a} && ({b}))))"), 2, 1),
            (format!("!({a} && {b}) && !(!({c}))"), 2, 1),
            (format!("(if {a} then {b} else {c}) && {b}"), 2, 1),
            (format!("if {a} then {b} else {c} && {b}"), 1, 1),
            (format!("if {a} then {b} else {c} || {b}"), 1, 1),
            (
                format!("(if {a} && {b} then {b} || {c} else {c}) || {a}"),
                1,
                2,
            ),
            (
                format!("[\"x && y\", \"(\"].contains(context.d) && {a} // && {b}\n"),
                2,
                1,
            ),
            (
                format!("{{\"x\": 1 < 2 && 2 < 3, \"y\": 1}}.x && ({a})"),
                2,
                1,
            ),
            (
                format!("-(1) < 2 && 1 - -2 == 3 && (1 < 2) == (2 < 3) && {a}"),
                4,
                1,
            ),
            (
                format!("context.d like \"\\u{{e9}}\\*\\\"*\" && (context has d.e.f) && {b}"),
                3,
                1,
            ),
            (
                format!("resource is Scope in System::\"x\" && resource has d && {a}"),
                3,
                1,
            ),
        ] {
            for (clause, count) in [("when", in_when), ("unless", in_unless)] {
                let (_, found) = read(&format!("{clause} {{ {shape} }}"));
                assert_eq!(found.len(), count, "{clause} {shape}");
                for condition in found {
                    assert!(condition.alone, "{clause} {shape}");
                    let (again, _) = read(&format!("when {{ {} }}", condition.text));
                    assert_eq!(again, [Clause::When(condition.expr)], "{clause} {shape}");
                }
            }
        }
    }
}
