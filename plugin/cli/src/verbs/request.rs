//! `writ request`: asks for a scope.

use writ_engine::Duration;

use crate::asking;
use crate::context::Context;
use crate::document;
use crate::exit::Exit;
use crate::explain::Asked;
use crate::failure::Failure;
use crate::story;

/// Ask for a scope, and wait until people have decided
///
/// In an emergency `--break-glass` asks by the policy's own way in for such: people are told at once, every view marks it,
/// and somebody else has to close a post-review by a deadline. It is never taken unless it is asked for so.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scope, as `writ scopes` lists it
    scope: String,
    /// How long the window is to be: `45m`, `1h30m`, `20s`
    #[arg(long = "for", value_name = "DURATION")]
    duration: Duration,
    /// Why, for the approvers and the record
    #[arg(long)]
    reason: String,
    /// The ticket it belongs to
    #[arg(long)]
    ticket: Option<String>,
    /// As an emergency: announced at once, and owing a post-review
    #[arg(long)]
    break_glass: bool,
    /// Wait until it is decided (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Answer at once; exit code 7 while approvals are missing
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// Wait no longer than this; exit code 6
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    timeout: Option<Duration>,
    /// Your own key against doubles: the same key and wish give the same request
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Prints the request's id (or the request, with `--json`) once it is known, whatever becomes of it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let asked = Asked {
        verb: "request",
        what: args.scope,
        duration: args.duration,
        reason: Some(args.reason),
        ticket: args.ticket,
        break_glass: args.break_glass,
    };
    let request = asking::create(context, &asked, args.idempotency_key).await?;
    let id = request.id.clone();
    if !context.json() {
        // Before waiting: a script that is killed while it waits has the id to withdraw.
        context.print(&format!("{}\n", crate::screen::escape(&id)))?;
    }
    let request = match args.no_wait {
        true => {
            if !context.json() {
                context.say(&story::status(context.err, &request));
            }
            request
        }
        false => match asking::wait(context, request, args.timeout).await {
            Ok(request) => request,
            Err(failure) => {
                asking::print_as_it_is(context, &id).await;
                return Err(failure);
            }
        },
    };
    if context.json() {
        context.print_json(&document::document("request", document::request(&request)))?;
    }
    Ok(crate::exit::of_state(request.state.as_ref()))
}
