//! `writ review`: closes the post-review of an emergency.

use writ_api::v1;

use super::show;
use crate::context::{Context, answer, promised};
use crate::exit::Exit;
use crate::failure::Failure;

/// Close the post-review that somebody else's emergency left, once it is over
///
/// `writ requests --to-review` lists those you may close; `writ journal list --request ID` tells what happened under it,
/// and AWS CloudTrail what was done with it: the request's id is in each session's name and in its tag `writ:grant`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    /// What you found, for the record
    #[arg(long)]
    finding: String,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let call = v1::ReviewRequestRequest {
        id: show::whole(&args.id),
        finding: args.finding,
    };
    let answer = answer(client.requests().review_request(call)).await?;
    super::changed(context, &promised(answer.request, "request")?)
}
