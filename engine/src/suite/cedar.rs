//! Tests in Cedar's own JSON form, as `cedar run-tests` reads them: one request each, asked of the policies as they are.
//!
//! Beside that form, `entities` may be left out: then the bundle's own directory and catalog are asked. The policies answer
//! by themselves here, without what the engine adds to them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicyId, Request};
use serde::Deserialize;
use serde_json::Value;

use crate::bundle::report::{did_you_mean, line_and_column};
use crate::bundle::{Bundle, Report};
use crate::decide::PolicyRef;

use super::{Check, FOLDER, Failure, Place, Suite, What, explain};

/// How the name of a file in this form ends.
pub(super) const ENDING: &str = ".json";

/// One test.
#[derive(Debug)]
pub(super) struct Cedar {
    request: Request,
    /// As it is written, for a person to read.
    said: String,
    /// `None` for the bundle's own.
    entities: Option<Arc<Entities>>,
    allowed: bool,
    /// Policies that must be among those that decide.
    reason: Vec<String>,
    /// How many policies must err.
    errors: usize,
}

/// A test as it is written. Keys that Cedar's own tool does not know it passes over, and so does this: the files are shared.
#[derive(Deserialize)]
struct Written {
    name: Option<String>,
    request: WrittenRequest,
    entities: Option<Value>,
    decision: WrittenDecision,
    reason: Vec<String>,
    num_errors: usize,
}

#[derive(Deserialize)]
struct WrittenRequest {
    principal: String,
    action: String,
    resource: String,
    #[serde(default = "empty")]
    context: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenDecision {
    Allow,
    Deny,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Reads every file of this form into the suite. A file that another names as its `entities` holds no tests.
pub(super) fn read(suite: &mut Suite, files: &BTreeMap<&str, &str>, report: &mut Report) {
    let mut parsed: Vec<(&str, Arc<str>, Elements)> = Vec::new();
    for (path, text) in files {
        let shared: Arc<str> = Arc::from(*text);
        match elements(text) {
            Ok(elements) => parsed.push((path, shared, elements)),
            Err((at, why)) => report.push(path, &shared, at..at + 1, why, None),
        }
    }
    let named: Vec<String> = parsed
        .iter()
        .flat_map(|(_, _, elements)| elements)
        .filter_map(|(_, value)| value.get("entities")?.as_str())
        .map(|file| format!("{FOLDER}/{file}"))
        .collect();
    for (path, text, elements) in &parsed {
        if named.iter().any(|name| name == path) {
            continue;
        }
        for (at, (span, value)) in elements.iter().enumerate() {
            let place = Place {
                file: (*path).to_owned(),
                line: line_and_column(text, span.start).0,
            };
            match one(suite, files, value) {
                Ok((name, test)) => suite.checks.push(Check {
                    place,
                    test: name.unwrap_or_else(|| format!("{path} number {}", at + 1)),
                    world: 0,
                    what: What::Cedar(Box::new(test)),
                }),
                Err((why, help)) => {
                    report.push(path, text, span.start..span.start + 1, why, help);
                }
            }
        }
    }
}

/// The members of a list, each with its place.
type Elements = Vec<(Range<usize>, Value)>;

/// The members of the list that a text is, or where it is none and why.
fn elements(text: &str) -> Result<Elements, (usize, String)> {
    let blank = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        at + (rest.len() - rest.trim_start().len())
    };
    let sign = |at: usize| text.as_bytes().get(at).copied();
    let mut at = blank(0);
    if sign(at) != Some(b'[') {
        return Err((at, "a file of Cedar's tests is a JSON list".to_owned()));
    }
    at = blank(at + 1);
    let mut found = Vec::new();
    while sign(at) != Some(b']') {
        let rest = text.get(at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = at + values.byte_offset();
                found.push((at..end, value));
                at = blank(end);
            }
            Some(Err(error)) => {
                let line = rest
                    .split_inclusive('\n')
                    .take(error.line().saturating_sub(1));
                let start: usize = line.map(str::len).sum();
                let place = at + start + error.column().saturating_sub(1);
                return Err((place, format!("not JSON: {error}")));
            }
            None => return Err((at, "the list is not closed".to_owned())),
        }
        match sign(at) {
            Some(b',') => at = blank(at + 1),
            Some(b']') => {}
            _ => return Err((at, "not JSON: `,` or `]` is missing".to_owned())),
        }
    }
    let end = blank(at + 1);
    match end == text.len() {
        true => Ok(found),
        false => Err((end, "something stands after the list".to_owned())),
    }
}

type Refusal = (String, Option<String>);

fn one(
    suite: &Suite,
    files: &BTreeMap<&str, &str>,
    value: &Value,
) -> Result<(Option<String>, Cedar), Refusal> {
    let plain = |why: String| (why, None);
    let written = Written::deserialize(value)
        .map_err(|error| plain(format!("not a test as Cedar writes them: {error}")))?;
    let Some(bundle) = suite.bundle() else {
        return Err(plain("there is no bundle".to_owned()));
    };
    let policies = bundle.policies();
    let uid = |text: &str, what: &str| {
        text.parse::<EntityUid>()
            .map_err(|error| plain(format!("`{text}` is no {what}: {error}")))
    };
    let principal = uid(&written.request.principal, "principal")?;
    let action = uid(&written.request.action, "action")?;
    let resource = uid(&written.request.resource, "resource")?;
    let schema = Some((&policies.schema, &action));
    let context = Context::from_json_value(written.request.context, schema)
        .map_err(|error| plain(format!("the context: {error}")))?;
    let said = format!("{principal}, {action}, {resource}");
    let request = Request::new(principal, action, resource, context, Some(&policies.schema))
        .map_err(|error| plain(format!("the request: {error}")))?;
    let given = match written.entities {
        None => None,
        Some(Value::String(file)) => {
            let path = format!("{FOLDER}/{file}");
            let text = files.get(path.as_str()).ok_or_else(|| {
                let known = files.keys().filter_map(|path| path.split_once('/'));
                let help = did_you_mean(&file, known.map(|(_, name)| name));
                (format!("there is no `{path}`"), help)
            })?;
            Some(Entities::from_json_str(text, Some(&policies.schema)))
        }
        Some(list) => Some(Entities::from_json_value(list, Some(&policies.schema))),
    };
    let entities = given
        .transpose()
        .map_err(|error| plain(format!("the entities: {error}")))?;
    for id in &written.reason {
        if bundle.policy(id).is_none() {
            let known: Vec<&str> = policies.facts.keys().map(AsRef::as_ref).collect();
            return Err((format!("no policy `{id}`"), did_you_mean(id, known)));
        }
    }
    let test = Cedar {
        request,
        said,
        entities: entities.map(Arc::new),
        allowed: match written.decision {
            WrittenDecision::Allow => true,
            WrittenDecision::Deny => false,
        },
        reason: written.reason,
        errors: written.num_errors,
    };
    Ok((written.name, test))
}

impl Cedar {
    pub(super) fn run(&self, bundle: &Bundle) -> Vec<Failure> {
        let policies = bundle.policies();
        let response =
            Authorizer::new().is_authorized(&self.request, &policies.set, self.entities(bundle));
        let allowed = response.decision() == Decision::Allow;
        let decided: Vec<&PolicyId> = response.diagnostics().reason().collect();
        let places: Vec<&PolicyRef> = decided
            .iter()
            .filter_map(|id| Some(&policies.facts.get(*id)?.place))
            .collect();
        let mut why: Vec<String> = places
            .iter()
            .map(|place| format!("{} decides", explain::place(place)))
            .collect();
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        why.extend(errors.iter().cloned());
        if why.is_empty() {
            why.push("no policy matches".to_owned());
        }
        let failure = |expected: String, came: String| Failure {
            expected,
            came,
            why: why.clone(),
        };
        let word = |allowed: bool| if allowed { "allow" } else { "deny" }.to_owned();
        if allowed != self.allowed {
            return vec![failure(word(self.allowed), word(allowed))];
        }
        let mut failures = Vec::new();
        let lacks = |id: &&String| !decided.contains(&&PolicyId::new(id));
        for id in self.reason.iter().filter(lacks) {
            failures.push(failure(
                format!("decided by {id}, maybe among others"),
                "decided without it".to_owned(),
            ));
        }
        if errors.len() != self.errors {
            failures.push(failure(
                format!("{} policies that err", self.errors),
                format!("{} that do", errors.len()),
            ));
        }
        failures
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    pub(super) fn entities<'a>(&'a self, bundle: &'a Bundle) -> &'a Entities {
        let own = self.entities.as_deref();
        own.unwrap_or(&bundle.policies().entities)
    }
}

/// `User::"mia", Action::"view", Scope::"prod-admin"`
impl fmt::Display for Cedar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}
