//! `writ withdraw`: takes a request back before its window opens.

use writ_api::v1;

use super::show;
use crate::context::{Context, answer, promised};
use crate::exit::Exit;
use crate::failure::Failure;

/// Take your request back before its window opens (afterwards: `writ release`)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let call = v1::WithdrawRequestRequest {
        id: show::whole(&args.id),
    };
    let answer = answer(client.requests().withdraw_request(call)).await?;
    super::changed(context, &promised(answer.request, "request")?)
}
