//! `writ approve`: consents to a request.

use writ_api::v1;

use super::show;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::story;

/// Consent to a request, exactly as it is shown to you
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    /// Consent as this kind only; every kind that the policy lets you give where not told (may be repeated)
    #[arg(long = "as", value_name = "KIND")]
    kinds: Vec<String>,
    /// The digest you looked at earlier; any other is refused
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = show::get(context, &args.id).await?;
    if !context.json() {
        context.say(story::whole(context.err, &request, clock::now()).trim_end());
    }
    let client = context.connect().await?;
    let call = v1::ApproveRequestRequest {
        id: request.id,
        kinds: args.kinds,
        // What was shown just above is what is consented to, whatever happens in between.
        digest: Some(args.digest.unwrap_or(request.digest)),
    };
    let answer = answer(client.requests().approve_request(call)).await?;
    super::changed(context, &promised(answer.request, "request")?)
}
