//! `data "writ_access_decision"`: would this be given, what is missing, and who could approve it?

use writ_api::problem::Problem;
use writ_api::v1;
use writ_api::v1::decision::Outcome;

use crate::arguments::{Reader, Setting};
use crate::connection::Broker;
use crate::duration::{LENGTH_MAX_S, Length};
use crate::failure::Failure;
use crate::value::{Object, Value};
use crate::words::{self, escape_lines};

/// What the block asks.
pub(crate) struct Question {
    scope: String,
    duration: Length,
    reason: Option<String>,
    ticket: Option<String>,
}

impl Question {
    /// Reads a block of which everything must be known by now; `None` when the reader has something to say.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Question> {
        let scope = reader.text("scope");
        let scope = reader.required("scope", scope);
        let duration = length(reader);
        let duration = reader.required("duration", duration);
        let reason = reader.text("reason");
        let reason = reader.settled("reason", reason);
        let ticket = reader.text("ticket");
        let ticket = reader.settled("ticket", ticket);
        if reader.has_problems() {
            return None;
        }
        Some(Question {
            scope: scope?,
            duration: duration?,
            reason,
            ticket,
        })
    }
}

/// Checks what is known of a block so far.
pub(crate) fn check(reader: &mut Reader<'_>) {
    let scope = reader.text("scope");
    let duration = length(reader);
    for (name, absent) in [
        ("scope", scope == Setting::Absent),
        ("duration", duration == Setting::Absent),
    ] {
        if absent {
            reader.required::<()>(name, Setting::Absent);
        }
    }
    reader.text("reason");
    reader.text("ticket");
}

fn length(reader: &mut Reader<'_>) -> Setting<Length> {
    reader.length("duration", Length::of_s(1), Length::of_s(LENGTH_MAX_S))
}

/// The answer, for the attributes of the block.
pub(crate) async fn read(broker: &Broker, question: &Question) -> Result<Object<'static>, Failure> {
    let wish = v1::CheckAccessRequest {
        scope: question.scope.clone(),
        duration: Some(question.duration.on_the_wire()),
        reason: question.reason.clone().unwrap_or_default(),
        ticket: question.ticket.clone(),
        // An emergency is asked for by a person, in so many words.
        break_glass: false,
    };
    let decision = broker.check(&wish).await?;
    let scopes = broker.scopes().await?;
    let longest = scopes
        .iter()
        .find(|scope| scope.name == question.scope)
        .and_then(|scope| longest(scope, question.ticket.is_some()));
    Ok(answer(&decision, longest))
}

/// The longest window of a scope: with a ticket, whichever is longer.
fn longest(scope: &v1::Scope, has_ticket: bool) -> Option<Length> {
    let of = |longest: Option<&v1::Longest>| Length::of_wire(longest?.duration.as_ref());
    let without = of(scope.without_ticket.as_ref());
    match has_ticket {
        true => without.max(of(scope.with_ticket.as_ref())),
        false => without,
    }
}

fn answer(decision: &Result<v1::Decision, Problem>, longest: Option<Length>) -> Object<'static> {
    let Answer {
        word,
        missing,
        approvers,
        policies,
        explanation,
    } = in_words(decision);
    [
        ("decision", Value::text(word)),
        ("missing", Value::texts(missing)),
        ("approvers", Value::texts(approvers)),
        (
            "longest_duration",
            Value::text_or_null(longest.map(|longest| longest.to_string())),
        ),
        (
            "longest_duration_seconds",
            longest.map_or(Value::Null, |longest| {
                Value::Number(f64::from(longest.as_s()))
            }),
        ),
        ("policies", Value::texts(policies)),
        ("explanation", Value::text(explanation)),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect()
}

struct Answer {
    word: &'static str,
    missing: Vec<String>,
    approvers: Vec<String>,
    policies: Vec<String>,
    explanation: String,
}

fn in_words(decision: &Result<v1::Decision, Problem>) -> Answer {
    let denied = |explanation| Answer {
        word: "denied",
        missing: Vec::new(),
        approvers: Vec::new(),
        policies: Vec::new(),
        explanation,
    };
    let decision = match decision {
        Ok(decision) => decision,
        // Not there, or not for the caller: the same answer.
        Err(problem) => return denied(format!("Denied: {}.", escape_lines(&problem.message))),
    };
    match &decision.outcome {
        Some(Outcome::Allowed(allowed)) => Answer {
            word: "granted",
            missing: Vec::new(),
            approvers: Vec::new(),
            policies: unique(allowed.because.iter().map(words::policy)),
            explanation: "Granted: nobody has to agree.".to_owned(),
        },
        Some(Outcome::NeedsApproval(needs)) => {
            let missing = words::ways(&needs.ways);
            Answer {
                word: "needs_approval",
                approvers: unique(words::people(&needs.ways).into_iter().map(str::to_owned)),
                policies: unique(
                    needs
                        .ways
                        .iter()
                        .flat_map(|way| &way.because)
                        .map(words::policy),
                ),
                explanation: format!("Needs approval: {}.", missing.join("; or ")),
                missing,
            }
        }
        Some(Outcome::Denial(denial)) => Answer {
            missing: words::conditions(denial),
            policies: unique(
                denial
                    .findings
                    .iter()
                    .filter_map(|finding| finding.policy.as_ref())
                    .map(words::policy),
            ),
            ..denied(format!("Denied. {}", words::denial(denial)))
        },
        None => denied("Denied: the broker gave no answer, and then nobody gets in.".to_owned()),
    }
}

/// Each once, in the order they came.
fn unique(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts
        .into_iter()
        .filter(|text| seen.insert(text.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
