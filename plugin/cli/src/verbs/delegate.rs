//! `writ delegate`: lends one's right to approve, and takes it back.

use writ_api::v1;

use super::delegations;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::escape;
use crate::story;
use crate::when::When;

/// Lend your right to approve for a while, or take it back
///
/// Your stand-in approves with `writ approve ID --on-behalf-of YOU`. The right stays yours: what you may approve the policy
/// says, at each approval, and so it does whether you two may do this at all. Neither of you approves what either asked
/// for, and together you count as one person.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who is to stand in for you, by their name in the directory
    #[arg(long, value_name = "NAME", required_unless_present = "end")]
    to: Option<String>,
    /// Until when: how far ahead (`7d`, `12h`), a date (`2026-12-01`, its first moment in UTC) or RFC 3339; at most 31 days
    #[arg(long, value_name = "WHEN", required_unless_present = "end")]
    until: Option<When>,
    /// From when, in the same forms; now where not told
    #[arg(long, value_name = "WHEN")]
    from: Option<When>,
    /// Why, for the record
    #[arg(long, required_unless_present = "end")]
    reason: Option<String>,
    /// Take this one back, by its id or its end; consent that was given by it stays given
    #[arg(long, value_name = "ID", conflicts_with_all = ["to", "until", "from", "reason"])]
    end: Option<String>,
}

/// Prints the delegation's id, for `--end`.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if let Some(id) = args.end {
        return end(context, &id).await;
    }
    let (Some(delegate), Some(until), Some(reason)) = (args.to, args.until, args.reason) else {
        return Err(Failure::usage(
            "`--to`, `--until` and `--reason` belong together",
        ));
    };
    let now = clock::now();
    let client = context.connect().await?;
    let call = v1::CreateDelegationRequest {
        delegate,
        opens_at: args.from.map(|from| clock::timestamp(from.after(now))),
        closes_at: Some(clock::timestamp(until.after(now))),
        reason,
    };
    let answer = answer(client.requests().create_delegation(call)).await?;
    let it = promised(answer.delegation, "delegation")?;
    if context.json() {
        context.print_json(&document("delegation", document::delegation(&it)))?;
        return Ok(Exit::Done);
    }
    context.print(&format!("{}\n", escape(&it.id)))?;
    context.say(&format!(
        "{id}: {delegate} may approve on behalf of {lender} from {from} until {until}; take it back with `writ delegate --end {id}`",
        id = story::short(&it.id),
        delegate = escape(&it.delegate),
        lender = escape(&it.lender),
        from = clock::to_the_second(it.opens_at.as_ref()),
        until = clock::to_the_second(it.closes_at.as_ref()),
    ));
    Ok(Exit::Done)
}

async fn end(context: &Context, id: &str) -> Result<Exit, Failure> {
    let id = delegations::find(context, id).await?;
    let client = context.connect().await?;
    let call = v1::EndDelegationRequest { id };
    let answer = answer(client.requests().end_delegation(call)).await?;
    let it = promised(answer.delegation, "delegation")?;
    match context.json() {
        true => context.print_json(&document("delegation", document::delegation(&it)))?,
        false => context.say(&format!(
            "{}: {} approves on behalf of {} no more; what was approved so stays approved",
            story::short(&it.id),
            escape(&it.delegate),
            escape(&it.lender),
        )),
    }
    Ok(Exit::Done)
}
