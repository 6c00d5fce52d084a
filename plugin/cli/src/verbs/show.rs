//! `writ show`: one request, whole.

use writ_api::v1;

use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::story;

/// Show one request: its state, who consented, what is missing
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = get(context, &args.id).await?;
    match context.json() {
        true => context.print_json(&document("request", document::request(&request)))?,
        false => context.print(&story::whole(context.out, &request, clock::now()))?,
    }
    Ok(Exit::Done)
}

/// A request by its id, or its end.
pub(crate) async fn get(context: &Context, id: &str) -> Result<v1::Request, Failure> {
    let client = context.connect().await?;
    let call = v1::GetRequestRequest { id: whole(id) };
    promised(
        answer(client.requests().get_request(call)).await?.request,
        "request",
    )
}

/// Ids are written in capitals; people type what they like.
pub(crate) fn whole(id: &str) -> String {
    id.trim().to_ascii_uppercase()
}
