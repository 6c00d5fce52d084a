//! Decisions in words: what is missing and who could give it, or why not and what would work.

use std::collections::BTreeMap;

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::denial::Why;
pub(crate) use writ_api::words::{way, why};
use writ_engine::Duration;

use crate::clock;
use crate::screen::{Paint, escape, shell_word};

/// What was asked, to write the nearest request out as a command.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The verb it was asked with: `request`, `exec`, `credentials`, `can` or `extend`.
    pub(crate) verb: &'static str,
    /// What: a scope, or the request that `extend` is to make longer.
    pub(crate) what: String,
    /// For how long in all.
    pub(crate) duration: Duration,
    /// Why; `None` in a dry run.
    pub(crate) reason: Option<String>,
    /// With which ticket.
    pub(crate) ticket: Option<String>,
    /// Whether as an emergency, in so many words.
    pub(crate) break_glass: bool,
}

/// A whole decision.
pub(crate) fn decision(paint: Paint, decision: Option<&v1::Decision>, asked: &Asked) -> String {
    let scope = escape(&asked.what);
    let length = match asked.break_glass {
        true => format!("{}, in an emergency", asked.duration),
        false => asked.duration.to_string(),
    };
    match decision.and_then(|decision| decision.outcome.as_ref()) {
        Some(Outcome::Allowed(allowed)) => {
            let head = paint.good("allowed");
            let mut text = format!("{head}: `{scope}` for {length}, at once\n");
            text.push_str(&policies(paint, &allowed.because));
            text
        }
        Some(Outcome::NeedsApproval(needs)) => {
            let head = paint.waiting("needs approval");
            let mut text = format!("{head}: `{scope}` for {length}\n");
            for (place, way) in needs.ways.iter().enumerate() {
                let word = if place == 0 { "needs" } else { "or   " };
                text.push_str(&format!("  {word}   {}\n", self::way(way)));
                text.push_str(&policies(paint, &way.because));
            }
            if !needs.counted.is_empty() {
                text.push_str(&format!("  given   {}\n", counted(&needs.counted)));
            }
            text
        }
        Some(Outcome::Denial(refused)) => {
            let head = paint.bad("refused");
            let mut text = format!("{head}: `{scope}` for {length}\n");
            text.push_str(&denial(paint, refused, Some(asked)));
            text
        }
        None => format!("{}: the broker gave no answer\n", paint.bad("unknown")),
    }
}

fn policies(paint: Paint, because: &[v1::PolicyRef]) -> String {
    because
        .iter()
        .map(|policy| format!("  policy  {}\n", place(paint, policy)))
        .collect()
}

/// Policies in one line, each with its place.
pub(crate) fn places(paint: Paint, because: &[v1::PolicyRef]) -> String {
    let places: Vec<_> = because.iter().map(|policy| place(paint, policy)).collect();
    places.join(", ")
}

fn place(paint: Paint, policy: &v1::PolicyRef) -> String {
    format!(
        "{} {}",
        escape(&policy.id),
        paint.faint(&format!("({}:{})", escape(&policy.file), policy.line))
    )
}

/// Approvals already counted: `1 manager`.
pub(crate) fn counted(counted: &std::collections::HashMap<String, u32>) -> String {
    let sorted: BTreeMap<_, _> = counted.iter().collect();
    sorted
        .into_iter()
        .map(|(kind, count)| format!("{count} {}", escape(kind)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Every way that somebody can give, or that nobody can.
pub(crate) fn ways(ways: &[v1::Way]) -> String {
    if ways.is_empty() {
        return "nothing".to_owned();
    }
    let feasible: Vec<_> = ways.iter().filter(|way| way.feasible).collect();
    let shown: Vec<_> = match feasible.is_empty() {
        true => ways.iter().collect(),
        false => feasible,
    };
    shown.into_iter().map(way).collect::<Vec<_>>().join("; or ")
}

/// Why not: each policy with its place, each condition with its values, what its authors advise, and the nearest request.
pub(crate) fn denial(paint: Paint, denial: &v1::Denial, asked: Option<&Asked>) -> String {
    let mut text = format!("  why     {}\n", why(denial.why()));
    for finding in &denial.findings {
        if let Some(policy) = &finding.policy {
            text.push_str(&format!("  policy  {}\n", place(paint, policy)));
        }
        for condition in &finding.conditions {
            let word = match denial.why() {
                Why::Forbidden => "met  ",
                Why::Errored => "error",
                _ => "unmet",
            };
            text.push_str(&format!(
                "    {word} {}\n",
                paint.bad(&escape(condition.text.trim()))
            ));
            let values: BTreeMap<_, _> = condition.values.iter().collect();
            for (path, value) in values {
                text.push_str(&format!("          {} = {}\n", escape(path), escape(value)));
            }
        }
        if !finding.advice.is_empty() {
            text.push_str(&format!("    advice {}\n", escape(&finding.advice)));
        }
    }
    if let Some(nearest) = &denial.nearest {
        let needs = match nearest.ways.is_empty() {
            true => "at once".to_owned(),
            false => format!("with {}", ways(&nearest.ways)),
        };
        text.push_str(&match asked.and_then(|asked| command(nearest, asked)) {
            Some(command) => format!(
                "  would work, {needs}:\n    {}\n",
                paint.strong(&escape(&command))
            ),
            None => format!(
                "  would work, {needs}: {}{}\n",
                clock::length(nearest.duration.as_ref()),
                if nearest.add_ticket {
                    ", with a ticket"
                } else {
                    ""
                }
            ),
        });
    }
    text
}

/// The nearest request as a command line; `None` where there is none: a request that goes on gets no ticket any more.
pub(crate) fn command(nearest: &v1::Nearest, asked: &Asked) -> Option<String> {
    if nearest.add_ticket && asked.verb == "extend" {
        return None;
    }
    let mut words = vec![
        "writ".to_owned(),
        asked.verb.to_owned(),
        shell_word(&asked.what),
        "--for".to_owned(),
        clock::length(nearest.duration.as_ref()),
    ];
    if let Some(reason) = &asked.reason {
        words.extend(["--reason".to_owned(), shell_word(reason)]);
    }
    match &asked.ticket {
        Some(ticket) => words.extend(["--ticket".to_owned(), shell_word(ticket)]),
        None if nearest.add_ticket => words.extend(["--ticket".to_owned(), "TICKET".to_owned()]),
        None => {}
    }
    if asked.break_glass {
        words.push("--break-glass".to_owned());
    }
    if asked.verb == "exec" {
        words.extend(["--".to_owned(), "…".to_owned()]);
    }
    Some(words.join(" "))
}
