//! `writ requests`: lists requests.

use writ_api::v1;

use crate::clock;
use crate::context::{Context, answer};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::story;

/// The most requests one listing shows unless told otherwise: a few screens.
const SHOWN_MAX: usize = 200;

/// List requests, newest first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those you made
    #[arg(long, conflicts_with_all = ["to_approve", "to_review", "all"])]
    mine: bool,
    /// Only those that wait for your consent, longer windows too
    #[arg(long, conflicts_with_all = ["to_review", "all"])]
    to_approve: bool,
    /// Only emergencies whose post-review is owed and that you may close
    #[arg(long, conflicts_with = "all")]
    to_review: bool,
    /// Every one you may see (the default)
    #[arg(long)]
    all: bool,
    /// Show no more than this many
    #[arg(long, value_name = "COUNT", default_value_t = SHOWN_MAX)]
    limit: usize,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let filter = match (args.mine, args.to_approve, args.to_review) {
        (true, _, _) => v1::RequestFilter::Mine,
        (_, true, _) => v1::RequestFilter::ToApprove,
        (_, _, true) => v1::RequestFilter::ToReview,
        (false, false, false) => v1::RequestFilter::All,
    };
    let (requests, more) = list(context, filter, args.limit).await?;
    if context.json() {
        let mut it = document("requests", requests.iter().map(document::request).collect());
        if let Some(fields) = it.as_object_mut() {
            fields.insert("more".to_owned(), more.into());
        }
        context.print_json(&it)?;
        return Ok(Exit::Done);
    }
    if requests.is_empty() {
        context.say("no requests");
    }
    context.print(&story::list(context.out, &requests, clock::now()))?;
    if more {
        context.say(&format!(
            "there are more than {}; see them with `--limit`",
            args.limit
        ));
    }
    Ok(Exit::Done)
}

/// The newest `limit` requests, and whether there are more.
pub(crate) async fn list(
    context: &Context,
    filter: v1::RequestFilter,
    limit: usize,
) -> Result<(Vec<v1::Request>, bool), Failure> {
    let client = context.connect().await?;
    let mut requests = Vec::new();
    let mut page_token = String::new();
    while requests.len() < limit {
        let call = v1::ListRequestsRequest {
            filter: filter as i32,
            page_size: 0,
            page_token,
        };
        let page = answer(client.requests().list_requests(call)).await?;
        requests.extend(page.requests);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let more = requests.len() > limit || !page_token.is_empty();
    requests.truncate(limit);
    Ok((requests, more))
}
