//! How deep and how large a text may be, measured before Cedar's parser sees it: that parser recurses, and aborts the
//! process where the stack ends.

use super::problem::Problem;
use super::tokens::{Kind, Token};

/// How many brackets and `if`s may stand open at once. The policies people write need fewer than ten.
pub const NESTING_MAX: usize = 24;

/// How many operators one policy may hold. `a && b && c …` needs no bracket and still nests in the parser's tree, once for
/// each operator, so this and [`NESTING_MAX`] bound the depth of everything that walks a policy. A long list belongs in a
/// set (`["a", "b"].contains(x)`), whose members are not counted.
pub const OPERATORS_MAX: usize = 256;

/// How many tokens one statement may hold: some thousands of names in a set, and less than what the parser's quadratic
/// parts would take a second for.
pub const TOKENS_MAX: usize = 20_000;

/// How many declarations a schema may hold. Cedar works out what is in what with the square of their number, and recurses
/// along chains of them.
pub const DECLARATIONS_MAX: usize = 256;

/// Splits a file into statements, each up to and with its `;`, or says why it must not be parsed.
///
/// Each statement has balanced brackets and stays within the limits.
pub(super) fn statements<'t, 's>(
    file: &str,
    tokens: &'t [Token<'s>],
) -> Result<Vec<&'t [Token<'s>]>, Problem> {
    let mut open: Vec<Token<'s>> = Vec::new();
    let mut before: Option<&Token<'s>> = None;
    let mut operators = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let too_much =
            |what: String, help: &str| Err(Problem::new(file, token.span(), what).help(help));
        operators += usize::from(chains(before, token));
        match token.text {
            "(" | "[" | "{" | "if" => open.push(*token),
            ")" | "]" | "}" => close(file, &mut open, token)?,
            ";" if open.iter().all(|opener| opener.text == "if") => {
                open.clear();
                found.extend(tokens.get(start..=at));
                start = at + 1;
                operators = 0;
            }
            _ => {}
        }
        before = Some(token);
        if open.len() > NESTING_MAX {
            return too_much(
                format!("nested more than {NESTING_MAX} deep"),
                "split the policy, or give the parts of a type names",
            );
        }
        if operators > OPERATORS_MAX {
            return too_much(
                format!("more than {OPERATORS_MAX} operators in one statement"),
                "split it, or write a long list as a set: `[\"a\", \"b\"].contains(x)`",
            );
        }
        if at + 1 > start + TOKENS_MAX {
            return too_much(
                format!("more than {TOKENS_MAX} words and signs in one statement"),
                "split it, or put what it lists into a group",
            );
        }
    }
    if let Some(bracket) = open.iter().find(|opener| opener.text != "if") {
        let message = format!("`{}` is never closed", bracket.text);
        return Err(Problem::new(file, bracket.span(), message));
    }
    found.extend(tokens.get(start..).filter(|rest| !rest.is_empty()));
    Ok(found)
}

/// The declarations of a schema, or why it must not be parsed.
pub(super) fn declarations<'t, 's>(
    file: &str,
    tokens: &'t [Token<'s>],
) -> Result<Vec<&'t [Token<'s>]>, Problem> {
    // Those inside a `namespace { … }` count too, and so does each name of `entity A, B, C;`.
    let mut declared = 0;
    let mut heading = false;
    for token in tokens {
        match token.text {
            "entity" | "action" | "type" => heading = true,
            "{" | "=" | "in" | "appliesTo" | ";" => heading = false,
            _ => {}
        }
        let names = matches!(token.kind, Kind::Word | Kind::Text) && heading;
        declared += usize::from(names || token.is(";"));
        // A keyword, a name and a `;` each.
        if declared > DECLARATIONS_MAX * 3 {
            return Err(Problem::new(
                file,
                token.span(),
                format!("more than {DECLARATIONS_MAX} declarations"),
            )
            .help("a schema says what kinds of things there are; who and what there is stands in the directory and the catalog"));
        }
    }
    statements(file, tokens)
}

/// Closes the bracket that `token` belongs to, and the `if`s inside it: an `if` has no end of its own.
fn close(file: &str, open: &mut Vec<Token<'_>>, token: &Token<'_>) -> Result<(), Problem> {
    while open.last().is_some_and(|inner| inner.text == "if") {
        open.pop();
    }
    let opener = match token.text {
        ")" => "(",
        "]" => "[",
        _ => "{",
    };
    let message = match open.pop() {
        Some(bracket) if bracket.text == opener => return Ok(()),
        Some(bracket) => format!("`{}` does not close `{}`", token.text, bracket.text),
        None => format!("`{}` closes nothing", token.text),
    };
    Err(Problem::new(file, token.span(), message))
}

/// How many operators there are, as [`OPERATORS_MAX`] counts them.
pub(super) fn operators(tokens: &[Token<'_>]) -> usize {
    let before = std::iter::once(None).chain(tokens.iter().map(Some));
    let all = before.zip(tokens);
    all.filter(|(before, token)| chains(*before, token)).count()
}

/// Whether a token can make an expression one level deeper while no bracket stays open: an operator, a clause, an index, a
/// call of a call. `<` also opens the schema's `Set<…>`.
fn chains(before: Option<&Token<'_>>, token: &Token<'_>) -> bool {
    match token.kind {
        // `f(…)` is one step, and lists of calls such as `[ip("…"), ip("…")]` may be long.
        Kind::Sign if token.text == "(" => before.is_none_or(|before| before.kind != Kind::Word),
        Kind::Sign => !matches!(
            token.text,
            "," | ";" | ":" | "::" | "@" | "?" | ")" | "]" | "}"
        ),
        Kind::Word => matches!(token.text, "in" | "has" | "like" | "is" | "when" | "unless"),
        Kind::Text | Kind::Number | Kind::Stray => false,
    }
}
