//! `writ policy replay`: what would the bundle have said of the requests of the past?

use std::path::PathBuf;

use serde_json::{Value, json};
use writ_api::v1::decision::Outcome as Told;
use writ_broker::decision_on_the_wire;
use writ_broker::journal::offline;
use writ_broker::journal::verify::{Depth, verify};
use writ_engine::decide::PolicyRef;
use writ_engine::event::{Outcome, Verdict};
use writ_engine::replay::{Changed, Difference, Direction, Now, Replay, Replayed, Step, Stranger};

use crate::context::Context;
use crate::document::{self, document};
use crate::exit::Exit;
use crate::explain;
use crate::failure::Failure;
use crate::screen::{Paint, escape};
use crate::story;
use crate::verbs::journal::{damaged, verifying_key};

/// Run a journal's past requests through the bundle: which would be decided otherwise, and how, the worst first
///
/// Each request is decided again at the moments at which a policy was asked about it: when it was made, at each consent, and at
/// its first issue, with the consents as they then were and the people and scopes as the bundle has them. Only what differs from
/// the record is printed. The record does not say what would have been enough then, so a request that waited for consent and
/// would still wait counts as unchanged, whosever consent it is. A reason that was erased is never guessed: where a policy reads
/// it, the request is told as one that cannot be replayed. Ends with 2 where a decision changes or cannot be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,

    /// The journal's file, or a copy of it; it is only read, and its broker may be running
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,

    /// Verify the journal first: the verifying key as `writ journal checkpoint` prints it, or the file that holds it
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (_, bundle) = super::load(context, &args.folder)?;
    if let Some(key) = &args.key {
        // What 2 means elsewhere, it does not mean here.
        let key = verifying_key(key).map_err(|failure| failure.exit(Exit::Error))?;
        verify(&args.journal, &key, None, Depth::Meaning)
            .map_err(|damage| damaged(&args.journal, &damage))?;
    }
    let mut replay = Replay::new(&bundle);
    offline::read(&args.journal, |stored| {
        replay.tell(stored.seq, &stored.event, stored.text())
    })
    .map_err(|damage| damaged(&args.journal, &damage))?;
    let replayed = replay.finish();
    if context.json() {
        context.print_json(&document("replay", json(&replayed, args.key.is_some())))?;
    } else {
        if args.key.is_none() {
            context.say("the journal is whole; whether it is what its broker signed was not verified (`--key` does)");
        }
        context.print(&text(context.out, &replayed))?;
    }
    Ok(match replayed.changed.is_empty() {
        true => Exit::Done,
        false => Exit::Findings,
    })
}

fn text(paint: Paint, replayed: &Replayed) -> String {
    let mut text: String = replayed
        .changed
        .iter()
        .map(|changed| of_request(paint, changed))
        .collect();
    let count = |direction| replayed.count(direction);
    let unchanged = replayed.requests - replayed.changed.len();
    text.push_str(&format!(
        "{} requests replayed at {} moments: {} would get more, {} less, {} cannot be replayed, {unchanged} unchanged\n",
        replayed.requests,
        replayed.moments,
        count(Direction::Widens),
        count(Direction::Narrows),
        count(Direction::Unknown),
    ));
    text
}

fn of_request(paint: Paint, changed: &Changed) -> String {
    let Some(worst) = changed.worst() else {
        return String::new();
    };
    let head = match worst.direction() {
        Direction::Widens => paint.bad(worst.as_str()),
        Direction::Unknown | Direction::Narrows => paint.waiting(worst.as_str()),
    };
    let ticket = changed
        .ticket
        .as_ref()
        .map_or(String::new(), |ticket| format!(", {}", escape(ticket)));
    let id = match &changed.request {
        Some(id) => story::short(id.as_str()),
        None => "refused then".to_owned(),
    };
    let mut text = format!(
        "{head}: {} for `{}` for {}{ticket} ({id})\n",
        escape(changed.principal.id.name()),
        escape(changed.scope.as_str()),
        changed.duration,
    );
    for difference in &changed.differences {
        text.push_str(&of_moment(paint, difference));
    }
    text
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Asked | Step::Approved | Step::Issued => step.as_str(),
        Step::ExtensionAsked => "extension asked for",
        Step::ExtensionApproved => "extension approved",
    }
}

/// What the record says of one moment, and what the bundle says of it.
fn of_moment(paint: Paint, difference: &Difference) -> String {
    let mut text = format!(
        "  {}\n",
        paint.faint(&format!(
            "{} at {}, event {}",
            step(difference.step),
            difference.at,
            difference.seq
        ))
    );
    text.push_str(&format!("    then  {}\n", then(&difference.then)));
    let mut now = |line: &str| text.push_str(&format!("    now   {line}\n"));
    match &difference.now {
        Now::Stranger(stranger) => now(&format!("refused: {}", stranger_in_words(*stranger))),
        Now::ReasonErased(readers) => now(&format!(
            "cannot be replayed: the reason was erased, and {} read{} it",
            places(paint, readers),
            if readers.len() == 1 { "s" } else { "" },
        )),
        Now::Decided(decision) => match decision_on_the_wire(decision).outcome {
            Some(Told::Allowed(allowed)) => {
                let with = match allowed.counted.is_empty() {
                    true => "nobody's consent".to_owned(),
                    false => explain::counted(&allowed.counted),
                };
                let by = explain::places(paint, &allowed.because);
                now(&format!("granted with {with}, by {by}"));
            }
            Some(Told::NeedsApproval(needs)) => {
                now("needs approval");
                for (place, way) in needs.ways.iter().enumerate() {
                    let word = if place == 0 { "   " } else { "or " };
                    let by = explain::places(paint, &way.because);
                    text.push_str(&format!("          {word}{}, by {by}\n", explain::way(way)));
                }
            }
            Some(Told::Denial(denial)) => {
                now("refused");
                for line in explain::denial(paint, &denial, None).lines() {
                    text.push_str(&format!("        {line}\n"));
                }
            }
            // The engine has three answers, and each is one of these.
            None => now("unknown"),
        },
    }
    text
}

fn then(then: &Verdict) -> String {
    let counted: Vec<String> = then
        .approvals
        .iter()
        .map(|(kind, count)| format!("{count} {}", escape(kind.as_str())))
        .collect();
    let outcome = match then.outcome {
        Outcome::Granted => match counted.is_empty() {
            true => "granted with nobody's consent".to_owned(),
            false => format!("granted with {}", counted.join(", ")),
        },
        Outcome::NeedsApproval => match counted.is_empty() {
            true => "needed approval".to_owned(),
            false => format!("needed more than {}", counted.join(", ")),
        },
        Outcome::Denied => "refused".to_owned(),
    };
    let policies: Vec<String> = then.policies.iter().map(|id| escape(id)).collect();
    match policies.is_empty() {
        true => outcome,
        false => format!("{outcome}, by {}", policies.join(", ")),
    }
}

fn stranger_in_words(stranger: Stranger) -> &'static str {
    match stranger {
        Stranger::Scope => "the bundle has no such scope",
        Stranger::Principal => "the bundle's directory has no such person or workload",
        Stranger::Claims => "the bundle's directory has the workload with other claims",
    }
}

fn places(paint: Paint, policies: &[PolicyRef]) -> String {
    let place = |policy: &PolicyRef| {
        let place = format!("({}:{})", escape(&policy.file), policy.line);
        format!("{} {}", escape(&policy.id), paint.faint(&place))
    };
    let places: Vec<String> = policies.iter().map(place).collect();
    places.join(", ")
}

fn json(replayed: &Replayed, verified: bool) -> Value {
    let changed: Vec<Value> = replayed.changed.iter().map(changed_json).collect();
    json!({
        "verified": verified,
        "requests": replayed.requests,
        "moments": replayed.moments,
        "widened": replayed.count(Direction::Widens),
        "narrowed": replayed.count(Direction::Narrows),
        "not_replayable": replayed.count(Direction::Unknown),
        "changed": changed,
    })
}

fn changed_json(changed: &Changed) -> Value {
    let differences: Vec<Value> = changed.differences.iter().map(difference_json).collect();
    json!({
        "request_id": changed.request.as_ref().map(|id| id.as_str()),
        "principal": changed.principal.id.to_string(),
        "scope": changed.scope.as_str(),
        "duration_s": changed.duration.as_s(),
        "ticket": changed.ticket,
        "change": changed.worst().map(|worst| worst.as_str()),
        "differences": differences,
    })
}

fn difference_json(difference: &Difference) -> Value {
    let now = match &difference.now {
        Now::Decided(decision) => document::decision(Some(&decision_on_the_wire(decision)), None),
        Now::Stranger(stranger) => json!({ "outcome": "denied", "why": stranger.as_str() }),
        Now::ReasonErased(readers) => {
            let readers: Vec<Value> = readers
                .iter()
                .map(|it| json!({ "id": it.id, "file": it.file, "line": it.line }))
                .collect();
            json!({ "outcome": "not_replayable", "why": "reason_erased", "read_by": readers })
        }
    };
    json!({
        "sequence": difference.seq,
        "at": difference.at.to_string(),
        "step": difference.step.as_str(),
        "change": difference.change.as_str(),
        "then": difference.then,
        "now": now,
    })
}
