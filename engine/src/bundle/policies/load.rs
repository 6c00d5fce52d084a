//! From texts to checked policies, in the order in which one check makes the next one safe.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};

use super::entities::{Types, snapshot};
use super::names::Known;
use super::parse::{self, PORTION_MAX, Parsed, annotation};
use super::problem::{Problem, of_cedar};
use super::statement::{Conjunct, conjuncts};
use super::tokens::{Token, span, tokens};
use super::{Policies, SCHEMA_FILE, facts, lint, nesting, schema};
use crate::bundle::directory::Directory;
use crate::bundle::report::nearest;
use crate::bundle::{BundleFiles, Report};
use crate::decide::PolicyRef;
use crate::scope::{Scope, ScopeId};

/// The annotations a policy may carry. Cedar ignores those it does not know, so `@advise` would be lost without a word.
pub const ANNOTATIONS: [&str; 4] = ["id", "description", "contact", "advice"];

/// The longest `@id`, in bytes: it stands in every record of a decision.
pub const ID_MAX: usize = 128;

/// How many steps a policy may follow from the principal, the resource or an entity of the context: `principal.manager` is
/// one, `principal.manager.manager` two. At one, a decision needs no entity but these and their ancestors.
pub const LEVEL_MAX: u32 = 1;

/// After how many problems reading stops: a file that is no Cedar at all has one in every line.
const PROBLEMS_MAX: usize = 200;

/// One `.cedar` file.
struct File<'s> {
    name: &'s str,
    source: &'s str,
    tokens: Vec<Token<'s>>,
    /// Where each line ends, in bytes: a file has thousands of policies, and each has its place.
    line_ends: Vec<usize>,
}

impl<'s> File<'s> {
    fn new(name: &'s str, source: &'s str) -> File<'s> {
        File {
            name,
            source,
            tokens: tokens(source),
            line_ends: source.match_indices('\n').map(|(at, _)| at).collect(),
        }
    }

    /// The line on which this byte stands, from 1.
    fn line(&self, at: usize) -> usize {
        self.line_ends.partition_point(|end| *end < at) + 1
    }
}

/// One policy as it is written.
struct Written<'t, 's> {
    file: &'t File<'s>,
    statement: &'t [Token<'s>],
    place: PolicyRef,
    /// Named by its `@id`.
    policy: Policy,
    conjuncts: Vec<Conjunct>,
    /// Where the spans of what Cedar says about it count from, in bytes of the file.
    spans_from: usize,
}

impl Policies {
    /// Checks schema and policies against each other, the catalog and the directory. Every error goes into the report;
    /// where there is one, there are no policies.
    pub(crate) fn load(
        files: &BundleFiles,
        catalog: &BTreeMap<ScopeId, Scope>,
        directory: &Directory,
        report: &mut Report,
    ) -> Option<Policies> {
        let mut problems = Vec::new();
        let policies = check(&files.0, catalog, directory, &mut problems);
        let sound = problems.is_empty();
        let mut texts: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for problem in problems {
            match files.0.get(&problem.file) {
                Some(text) => report.push(
                    &problem.file,
                    texts
                        .entry(problem.file.clone())
                        .or_insert_with(|| Arc::from(text.as_str())),
                    problem.span,
                    problem.message,
                    problem.help,
                ),
                None => report.push_file(&problem.file, problem.message, problem.help),
            }
        }
        policies.filter(|_| sound)
    }
}

fn check(
    files: &BTreeMap<String, String>,
    catalog: &BTreeMap<ScopeId, Scope>,
    directory: &Directory,
    problems: &mut Vec<Problem>,
) -> Option<Policies> {
    let vocabulary = match files.get(SCHEMA_FILE) {
        Some(text) => schema::read(text, problems),
        None => {
            let problem = Problem::new(SCHEMA_FILE, 0..0, format!("`{SCHEMA_FILE}` is missing"));
            problems.push(problem.help("copy the one that Writ ships and add to it"));
            None
        }
    };
    let texts: Vec<File<'_>> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".cedar"))
        .map(|(name, text)| File::new(name, text))
        .collect();
    let mut all = Vec::new();
    for file in &texts {
        match nesting::statements(file.name, &file.tokens) {
            Ok(statements) => {
                for portion in statements.chunks(PORTION_MAX) {
                    let mut together = parse::together(file.source, portion).map(Vec::into_iter);
                    for statement in portion {
                        let parsed = match &mut together {
                            Some(parsed) => parsed.next(),
                            None => parse::alone(file.name, file.source, statement, problems),
                        };
                        all.extend(
                            parsed.and_then(|parsed| read(file, statement, parsed, problems)),
                        );
                        if problems.len() > PROBLEMS_MAX {
                            return None;
                        }
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    let all = unique(all, problems);
    for written in &all {
        lint::check(
            written.file.name,
            &written.place.id,
            written.policy.effect() == cedar_policy::Effect::Forbid,
            written.statement,
            &written.conjuncts,
            problems,
        );
    }
    // Without a schema that fits, what follows would only repeat what is wrong with it.
    let vocabulary = vocabulary?;
    let known = Known::new(catalog, directory, &vocabulary);
    let mut set = PolicySet::new();
    let mut facts = BTreeMap::new();
    for written in &all {
        if known.check(
            written.file.name,
            &written.place.id,
            written.statement,
            problems,
        ) && let Err(error) = set.add(written.policy.clone())
        {
            problems.push(Problem::new(
                written.file.name,
                span(written.statement),
                error.to_string(),
            ));
        }
        let gathered = facts::gather(
            &written.policy,
            written.place.clone(),
            written.file.source,
            span(written.statement),
            &written.conjuncts,
        );
        facts.insert(written.policy.id().clone(), gathered);
    }
    validate(&vocabulary.schema, &set, &all, problems);
    let types = Types::new()?;
    let entities = snapshot(
        &types,
        &vocabulary.schema,
        catalog,
        directory,
        files,
        problems,
    )?;
    let actions = vocabulary
        .schema
        .action_entities()
        .ok()?
        .iter()
        .cloned()
        .collect();
    Some(Policies {
        set,
        entities,
        actions,
        types,
        facts,
        kinds: vocabulary.kinds,
        schema: vocabulary.schema,
    })
}

/// Checks what stands around a policy, and names it.
fn read<'t, 's>(
    file: &'t File<'s>,
    statement: &'t [Token<'s>],
    parsed: Parsed,
    problems: &mut Vec<Problem>,
) -> Option<Written<'t, 's>> {
    let before = problems.len();
    check_annotations(file.name, statement, &parsed.policy, problems);
    if problems.len() > before {
        return None;
    }
    let id = annotation(&parsed.policy, "id")?.to_owned();
    Some(Written {
        file,
        statement,
        policy: parsed.policy.new_id(PolicyId::new(&id)),
        place: PolicyRef {
            id,
            file: file.name.to_owned(),
            line: file.line(span(statement).start),
        },
        conjuncts: conjuncts(file.source, statement, &parsed.clauses),
        spans_from: parsed.spans_from,
    })
}

fn check_annotations(
    file: &str,
    statement: &[Token<'_>],
    policy: &Policy,
    problems: &mut Vec<Problem>,
) {
    for (key, _) in policy.annotations() {
        if !ANNOTATIONS.contains(&key) {
            let problem = Problem::new(
                file,
                place_of(statement, key),
                format!("`@{key}` is not an annotation"),
            );
            problems.push(
                problem.help(
                    nearest(key, ANNOTATIONS)
                        .map(|known| format!("did you mean `@{known}`?"))
                        .unwrap_or_else(|| {
                            "use `@id`, `@description`, `@contact`, `@advice`".to_owned()
                        }),
                ),
            );
        }
    }
    let fits = |id: &str| {
        (1..=ID_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match annotation(policy, "id") {
        None => {
            let effect = statement
                .iter()
                .find(|token| token.is("permit") || token.is("forbid"));
            let place = effect.map_or_else(|| span(statement), Token::span);
            let problem = Problem::new(file, place, "this policy has no `@id`");
            problems.push(problem.help("name it like `@id(\"proddb.read.oncall\")`"));
        }
        Some(id) if !fits(id) => {
            let problem = Problem::new(
                file,
                place_of(statement, "id"),
                format!("`{id}` cannot name a policy"),
            );
            problems.push(problem.help(format!(
                "use 1 to {ID_MAX} of letters, digits, `.`, `_` and `-`"
            )));
        }
        Some(_) => {}
    }
}

/// Where `@key(…)` stands.
fn place_of(statement: &[Token<'_>], key: &str) -> std::ops::Range<usize> {
    let at = statement
        .windows(2)
        .position(|pair| matches!(pair, [sign, name] if sign.is("@") && name.is(key)));
    let rest = at.and_then(|at| statement.get(at..)).unwrap_or(statement);
    let end = rest.iter().position(|token| token.is(")")).unwrap_or(1);
    span(rest.get(..=end).unwrap_or(rest))
}

/// Keeps the first policy of each id.
fn unique<'t, 's>(all: Vec<Written<'t, 's>>, problems: &mut Vec<Problem>) -> Vec<Written<'t, 's>> {
    let mut seen: BTreeMap<String, PolicyRef> = BTreeMap::new();
    let mut kept = Vec::new();
    for written in all {
        match seen.get(&written.place.id) {
            Some(first) => {
                let problem = Problem::new(
                    written.file.name,
                    place_of(written.statement, "id"),
                    format!(
                        "the id `{}` is taken by the policy at {}:{}",
                        written.place.id, first.file, first.line
                    ),
                );
                problems.push(problem.help("give each policy a name of its own"));
            }
            None => {
                seen.insert(written.place.id.clone(), written.place.clone());
                kept.push(written);
            }
        }
    }
    kept
}

/// Strict validation; a warning is an error too, since each names a policy that cannot do what it says.
fn validate(
    schema: &cedar_policy::Schema,
    set: &PolicySet,
    all: &[Written<'_, '_>],
    problems: &mut Vec<Problem>,
) {
    let by_id: BTreeMap<&str, &Written<'_, '_>> = all
        .iter()
        .map(|written| (written.place.id.as_str(), written))
        .collect();
    let result =
        Validator::new(schema.clone()).validate_with_level(set, ValidationMode::Strict, LEVEL_MAX);
    let errors = result
        .validation_errors()
        .map(|error| (error.policy_id(), error as &dyn miette::Diagnostic));
    let warnings = result
        .validation_warnings()
        .map(|warning| (warning.policy_id(), warning as &dyn miette::Diagnostic));
    for (id, diagnostic) in errors.chain(warnings) {
        let id: &str = id.as_ref();
        let found = match by_id.get(id) {
            Some(written) => {
                let whole = span(written.statement);
                of_cedar(written.file.name, written.spans_from, &whole, diagnostic)
            }
            None => of_cedar(SCHEMA_FILE, 0, &(0..0), diagnostic),
        };
        problems.extend(found);
    }
}
