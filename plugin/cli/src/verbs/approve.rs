//! `writ approve`: consents to a request.

use writ_api::v1;
use writ_engine::Duration;

use super::show;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::story::{self, extension};

/// Consent to a request, or to a longer window, exactly as it is shown to you
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    /// Consent as this kind only; every kind that the policy lets you give where not told (may be repeated)
    #[arg(long = "as", value_name = "KIND")]
    kinds: Vec<String>,
    /// Consent to less: a shorter window than was asked for
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<Duration>,
    /// Use the right that this person has lent you
    #[arg(long, value_name = "NAME")]
    on_behalf_of: Option<String>,
    /// The digest you looked at earlier; any other is refused
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = show::get(context, &args.id).await?;
    if !context.json() {
        context.say(story::whole(context.err, &request, clock::now()).trim_end());
        if let Some(extension) = &request.extension {
            context.say(&format!(
                "this is a longer window of a request that is open: {}",
                extension::from_to(&request, extension)
            ));
        }
    }
    // What was shown just above is what is consented to, whatever happens in between.
    let shown = match request.extension {
        Some(extension) => extension.digest,
        None => request.digest,
    };
    let client = context.connect().await?;
    let call = v1::ApproveRequestRequest {
        id: request.id,
        kinds: args.kinds,
        digest: Some(args.digest.unwrap_or(shown)),
        duration: args.duration.map(clock::on_the_wire),
        on_behalf_of: args.on_behalf_of.clone(),
    };
    let answer = answer(client.requests().approve_request(call)).await;
    let answer = answer.map_err(|failure| match args.on_behalf_of {
        None if failure.reason == "not_permitted" => with_lending(failure),
        None | Some(_) => failure,
    })?;
    super::changed(context, &promised(answer.request, "request")?)
}

/// Whoever stands in for somebody may have forgotten to say so.
fn with_lending(failure: Failure) -> Failure {
    let lending =
        "a right that is lent to you (`writ delegations`) is used with `--on-behalf-of NAME`";
    let hint = match &failure.hint {
        Some(hint) => format!("{hint}; {lending}"),
        None => lending.to_owned(),
    };
    failure.hint(hint)
}
