//! A counterexample in words: who asks, for what, with what. The people and scopes in it are the solver's inventions.

use cedar_policy::{EntityUid, EvalResult};
use cedar_policy_symcc::Env;

/// The parts of a request's context, in the order of their telling.
const TOLD: [&str; 8] = [
    "window",
    "approvals",
    "ticket",
    "reason",
    "requester",
    "workload",
    "one",
    "two",
];

/// A counterexample, a line each.
pub(crate) fn lines(example: &Env) -> Vec<String> {
    let mut lines = Vec::new();
    let request = &example.request;
    for (who, uid) in [("who", request.principal()), ("what", request.resource())] {
        if let Some(uid) = uid {
            lines.push(format!("{who:<6} {}", entity(example, uid)));
        }
    }
    if let Some(action) = request.action() {
        lines.push(format!("{:<6} {}", "asks", action.id().unescaped()));
    }
    if let Some(context) = request.context() {
        for part in TOLD {
            if let Some(value) = context.get(part) {
                told(part, &value, &mut lines);
            }
        }
    }
    lines
}

/// An entity with what it is in and what it has.
fn entity(example: &Env, uid: &EntityUid) -> String {
    let mut text = uid.to_string();
    let groups: Vec<String> = example
        .entities
        .ancestors(uid)
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    if !groups.is_empty() {
        text.push_str(&format!(" in {}", groups.join(", ")));
    }
    let Some(entity) = example.entities.get(uid) else {
        return text;
    };
    let has: Vec<String> = entity
        .attrs()
        .filter_map(|(name, value)| Some(format!("{name} {}", value.ok()?)))
        .collect();
    if !has.is_empty() {
        text.push_str(&format!(", with {}", has.join(", ")));
    }
    text
}

/// A part of the context, its parts on lines of their own.
fn told(path: &str, value: &EvalResult, lines: &mut Vec<String>) {
    match value {
        EvalResult::Record(record) => {
            for (name, value) in record.iter() {
                told(&format!("{path}.{name}"), value, lines);
            }
        }
        EvalResult::Bool(_)
        | EvalResult::Long(_)
        | EvalResult::String(_)
        | EvalResult::EntityUid(_)
        | EvalResult::Set(_)
        | EvalResult::ExtensionValue(_) => lines.push(format!("{:<6} {path} {value}", "with")),
    }
}
