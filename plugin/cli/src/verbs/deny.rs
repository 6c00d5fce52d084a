//! `writ deny`: says no to a request.

use writ_api::v1;
use writ_api::v1::request::State;

use super::show;
use crate::context::{Context, answer, promised};
use crate::exit::Exit;
use crate::failure::Failure;

/// Say no to a request, or to the longer window that waits; one such word ends it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    /// Why, for the requester and the record
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let call = v1::DenyRequestRequest {
        id: show::whole(&args.id),
        reason: args.reason,
    };
    let answer = answer(client.requests().deny_request(call)).await?;
    let request = promised(answer.request, "request")?;
    if let (Some(State::Active(_)), false) = (&request.state, context.json()) {
        context.say("no to the longer window; the one there is goes on");
    }
    super::changed(context, &request)
}
