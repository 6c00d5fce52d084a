//! How deep a text may nest, measured before Cedar's parser sees it: that parser recurses, and aborts the process.

use super::problem::Problem;
use super::tokens::{Kind, Token};

/// How many brackets and `if`s may stand open at once. The policies people write need fewer than ten.
pub const NESTING_MAX: usize = 24;

/// How many operators one policy may hold. `a && b && c …` needs no bracket and still nests in the parser's tree, once for
/// each operator, so this and [`NESTING_MAX`] bound the depth of everything that walks a policy. A long list belongs in a
/// set (`["a", "b"].contains(x)`), whose members are not counted.
pub const OPERATORS_MAX: usize = 256;

/// Splits a file into statements, each up to and with its `;`, or says why it must not be parsed.
///
/// Each statement has balanced brackets and stays within both limits.
pub(super) fn statements<'t, 's>(
    file: &str,
    tokens: &'t [Token<'s>],
) -> Result<Vec<&'t [Token<'s>]>, Problem> {
    let mut open: Vec<Token<'s>> = Vec::new();
    let mut operators = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" | "if" => open.push(*token),
            ")" | "]" | "}" => close(file, &mut open, token)?,
            ";" if open.iter().all(|opener| opener.text == "if") => {
                open.clear();
                found.extend(tokens.get(start..=at));
                start = at + 1;
                operators = 0;
            }
            _ if chains(token) => operators += 1,
            _ => {}
        }
        if open.len() > NESTING_MAX {
            return Err(Problem::new(
                file,
                token.span(),
                format!("nested more than {NESTING_MAX} deep"),
            )
            .help("split the policy, or name the parts of a type"));
        }
        if operators > OPERATORS_MAX {
            return Err(Problem::new(
                file,
                token.span(),
                format!("more than {OPERATORS_MAX} operators in one statement"),
            )
            .help(
                "split the policy, or write a long list as a set: `[\"a\", \"b\"].contains(x)`",
            ));
        }
    }
    if let Some(bracket) = open.iter().find(|opener| opener.text != "if") {
        return Err(Problem::new(
            file,
            bracket.span(),
            format!("`{}` is never closed", bracket.text),
        ));
    }
    found.extend(tokens.get(start..).filter(|rest| !rest.is_empty()));
    Ok(found)
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
    match open.pop() {
        Some(bracket) if bracket.text == opener => Ok(()),
        Some(bracket) => Err(Problem::new(
            file,
            token.span(),
            format!("`{}` does not close `{}`", token.text, bracket.text),
        )),
        None => Err(Problem::new(
            file,
            token.span(),
            format!("`{}` closes nothing", token.text),
        )),
    }
}

/// Whether a token can make an expression one level deeper without a bracket. `<` also opens the schema's `Set<…>`.
fn chains(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Sign => !matches!(token.text, "," | ";" | ":" | "::" | "@" | "?"),
        Kind::Word => matches!(
            token.text,
            "in" | "has" | "like" | "is" | "when" | "unless" | "then" | "else"
        ),
        Kind::Text | Kind::Number | Kind::Stray => false,
    }
}
