//! `writ revoke`: ends what is somebody else's.

use serde_json::json;
use writ_api::v1;

use super::show;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::ending::{self, Followed, Waiting};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::escape;
use crate::story;

/// End a request of somebody else, or everything a person holds
///
/// The broker issues nothing more from then on. Sessions that AWS has given already are denied there, and that takes a
/// moment: the end is *requested* (on record), *written* (IAM took the policy that denies the sessions) and *verified* (IAM
/// was asked again, and denies). It is retried until then. `--wait` waits for it; `writ show` says how far it has come.
/// Your own request: `writ withdraw` before its window opens, `writ release` afterwards.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["id", "person"])))]
pub(crate) struct Args {
    /// The request's id, or its end
    id: Option<String>,
    /// End everything that this person holds or has asked for, also through the workloads they answer for
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// Why, for the requester and the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match (args.person, args.id) {
        (Some(person), _) => of_person(context, person, args.reason, &args.waiting).await,
        (None, Some(id)) => one(context, &id, args.reason, &args.waiting).await,
        (None, None) => Err(Failure::usage("there is neither an id nor `--person`")),
    }
}

async fn one(
    context: &Context,
    id: &str,
    reason: String,
    waiting: &Waiting,
) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let call = v1::RevokeRequestRequest {
        id: show::whole(id),
        reason,
    };
    let answer = answer(client.requests().revoke_request(call)).await?;
    super::ended(context, promised(answer.request, "request")?, waiting).await
}

async fn of_person(
    context: &Context,
    person: String,
    reason: String,
    waiting: &Waiting,
) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let call = v1::RevokePersonRequest {
        person: person.clone(),
        reason,
    };
    let answer = answer(client.requests().revoke_person(call)).await?;
    let not_permitted = answer.not_permitted;
    if !context.json() {
        if answer.requests.is_empty() && not_permitted == 0 {
            context.say(&format!("`{}` holds nothing", escape(&person)));
        }
        // Before waiting: whoever is interrupted while they wait has seen what was ended.
        context.print(&story::list(context.out, &answer.requests, clock::now()))?;
    }
    let Followed { requests, failure } = ending::follow(context, answer.requests, waiting).await;
    if context.json() {
        let requests: Vec<_> = requests.iter().map(document::request).collect();
        context.print_json(&document(
            "revoked",
            json!({ "person": person, "requests": requests, "not_permitted": not_permitted }),
        ))?;
    }
    // What goes on matters more than what has not ended everywhere yet.
    match (not_permitted, failure) {
        (0, None) => Ok(Exit::Done),
        (0, Some(failure)) => Err(failure),
        (more, _) => Err(going_on(&person, more)),
    }
}

fn going_on(person: &str, count: u32) -> Failure {
    let requests = match count {
        1 => "1 request goes on".to_owned(),
        more => format!("{more} requests go on"),
    };
    Failure::new(
        Exit::Refused,
        "not_permitted",
        format!(
            "of `{person}` {requests}: the policy does not let you end what is for these scopes"
        ),
    )
    .hint("someone whom the bundle's `revoke` policies name for them has to do it")
}
