//! `writ can`: would I get it, who would have to consent, and why not? Nothing is recorded.

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_engine::Duration;

use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::explain::{self, Asked};
use crate::failure::Failure;

/// Ask whether a request would be allowed, without making it (exit code 0 at once, 7 with approvals, 3 not)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scope, as `writ scopes` lists it
    scope: String,
    /// How long the window would be: `45m`, `1h30m`
    #[arg(long = "for", value_name = "DURATION")]
    duration: Duration,
    /// The reason you would give, where a policy reads it
    #[arg(long)]
    reason: Option<String>,
    /// The ticket you would name
    #[arg(long)]
    ticket: Option<String>,
    /// As an emergency, by the policy's own way in for such
    #[arg(long)]
    break_glass: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let asked = Asked {
        verb: "can",
        what: args.scope,
        duration: args.duration,
        reason: args.reason,
        ticket: args.ticket,
        break_glass: args.break_glass,
    };
    let client = context.connect().await?;
    let call = v1::CheckAccessRequest {
        scope: asked.what.clone(),
        duration: Some(clock::on_the_wire(asked.duration)),
        reason: asked.reason.clone().unwrap_or_default(),
        ticket: asked.ticket.clone(),
        break_glass: asked.break_glass,
    };
    let decision = promised(
        answer(client.scopes().check_access(call)).await?.decision,
        "decision",
    )?;
    match context.json() {
        true => context.print_json(&document(
            "decision",
            document::decision(Some(&decision), Some(&asked)),
        ))?,
        false => context.print(&explain::decision(context.out, Some(&decision), &asked))?,
    }
    Ok(match decision.outcome {
        Some(Outcome::Allowed(_)) => Exit::Done,
        Some(Outcome::NeedsApproval(_)) => Exit::Pending,
        Some(Outcome::Denial(_)) => Exit::Refused,
        None => Exit::Error,
    })
}
