//! `writ release`: gives the rest of a window back.

use writ_api::v1;

use super::show;
use crate::context::{Context, answer, promised};
use crate::ending::Waiting;
use crate::exit::Exit;
use crate::failure::Failure;

/// Give the rest of your window back; nothing more is issued
///
/// Sessions that AWS has given already are denied there, and that takes a moment: see `writ revoke --help`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = release(context, &show::whole(&args.id)).await?;
    super::ended(context, request, &args.waiting).await
}

/// Gives a window back.
pub(crate) async fn release(context: &Context, id: &str) -> Result<v1::Request, Failure> {
    let client = context.connect().await?;
    let call = v1::ReleaseRequestRequest { id: id.to_owned() };
    let answer = answer(client.requests().release_request(call)).await?;
    promised(answer.request, "request")
}
