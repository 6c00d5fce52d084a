//! Policies, as Cedar parses them.
//!
//! Cedar's parser takes as long to begin as for several policies, and gives a policy's tree only by parsing its text again. So
//! a portion of a file is parsed as a whole, and the clauses of many policies as if they were one's. Where that fails, each
//! statement of the portion is parsed by itself, so that an error in one hides none in the next.

use cedar_policy::pst::Clause;
use cedar_policy::{Policy, PolicyId, PolicySet};

use super::nesting::{OPERATORS_MAX, operators};
use super::problem::{Problem, of_cedar};
use super::statement::clause_bodies;
use super::tokens::{Kind, Token, span};

/// How many statements are parsed together: enough that beginning costs nothing, and few to parse again for one with an error.
pub(super) const PORTION_MAX: usize = 500;

/// One policy.
pub(super) struct Parsed {
    pub(super) policy: Policy,
    /// Its `when` and `unless` clauses as they are written; the policy itself no longer has them.
    pub(super) clauses: Vec<Clause>,
    /// Where the spans of what Cedar says about it count from, in bytes of the file.
    pub(super) spans_from: usize,
}

/// The statements of a portion, in order; `None` if anything is wrong with any of them.
pub(super) fn together(source: &str, statements: &[&[Token<'_>]]) -> Option<Vec<Parsed>> {
    let spans = || statements.iter().map(|statement| span(statement));
    let (first, last) = (spans().next()?, spans().next_back()?);
    let set: PolicySet = source.get(first.start..last.end)?.parse().ok()?;
    if set.num_of_policies() != statements.len() {
        return None;
    }
    let policies = spans().zip(clauses(source, statements)?).enumerate();
    policies
        .map(|(number, (span, clauses))| {
            // Cedar's own numbering. A template is not among the policies.
            let policy = set.policy(&PolicyId::new(format!("policy{number}")))?;
            let same = policy.to_cedar().as_deref() == source.get(span);
            same.then(|| Parsed {
                policy: policy.clone(),
                clauses,
                spans_from: first.start,
            })
        })
        .collect()
}

/// The clauses of each statement. As many statements are taken together as one may hold operators, so that no tree gets deeper
/// than that of one policy may.
fn clauses(source: &str, statements: &[&[Token<'_>]]) -> Option<Vec<Vec<Clause>>> {
    let mut found = Vec::new();
    let mut rest = statements;
    while !rest.is_empty() {
        let mut count = 0;
        let fits = |statement: &&&[Token<'_>]| {
            count += operators(after_head(statement));
            count <= OPERATORS_MAX
        };
        let some;
        (some, rest) = rest.split_at_checked(rest.iter().take_while(fits).count().max(1))?;
        let texts: Option<Vec<&str>> = some
            .iter()
            .map(|statement| source.get(span(after_head(statement))))
            .collect();
        let text = format!("permit (principal, action, resource) {};", texts?.join(" "));
        let parsed = Policy::parse(None, text).ok()?.to_pst().ok()?;
        let mut clauses = parsed.body().clauses().iter().cloned();
        let counts = some.iter().map(|statement| clause_bodies(statement).len());
        if clauses.len() != counts.clone().sum::<usize>() {
            return None;
        }
        found.extend(counts.map(|count| clauses.by_ref().take(count).collect()));
    }
    Some(found)
}

/// From a statement's first `when` or `unless`, which comes after its head, up to its `;`.
fn after_head<'t, 's>(statement: &'t [Token<'s>]) -> &'t [Token<'s>] {
    let ends = |pair: &[Token<'_>]| matches!(pair, [last, next] if last.is(")") && (next.is("when") || next.is("unless")));
    let head = statement.windows(2).position(ends);
    let clauses = head.and_then(|last| statement.get(last + 1..statement.len() - 1));
    clauses.unwrap_or_default()
}

/// One statement; what is wrong with it becomes a problem.
pub(super) fn alone(
    file: &str,
    source: &str,
    statement: &[Token<'_>],
    problems: &mut Vec<Problem>,
) -> Option<Parsed> {
    let whole = span(statement);
    if let Some(slot) = statement
        .windows(2)
        .find(|pair| matches!(pair, [mark, name] if mark.is("?") && name.kind == Kind::Word))
    {
        let problem = Problem::new(file, span(slot), "templates are not taken");
        problems.push(problem.help("name the principal and the resource"));
        return None;
    }
    let policy = match Policy::parse(None, source.get(whole.clone())?) {
        Ok(policy) => policy,
        Err(error) => {
            problems.extend(of_cedar(file, whole.start, &whole, &error));
            return None;
        }
    };
    match policy.to_pst() {
        Ok(pst) => Some(Parsed {
            clauses: pst.body().clauses().clone(),
            policy,
            spans_from: whole.start,
        }),
        Err(error) => {
            problems.push(Problem::new(file, whole, error.to_string()));
            None
        }
    }
}

/// The value of an annotation. Cedar's own method of that name parses the key each time.
pub(super) fn annotation<'p>(policy: &'p Policy, key: &str) -> Option<&'p str> {
    let mut all = policy.annotations();
    all.find(|(name, _)| *name == key).map(|(_, value)| value)
}
