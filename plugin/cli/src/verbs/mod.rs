//! The verbs, one file each.

pub(crate) mod approve;
pub(crate) mod can;
pub(crate) mod completion;
pub(crate) mod credentials;
pub(crate) mod delegate;
pub(crate) mod delegations;
pub(crate) mod demo;
pub(crate) mod deny;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod extend;
pub(crate) mod journal;
pub(crate) mod policy;
pub(crate) mod release;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod review;
pub(crate) mod revoke;
pub(crate) mod scopes;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod withdraw;

use writ_api::v1;

use crate::context::Context;
use crate::document;
use crate::ending::{self, Followed, Waiting};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::story;

/// How a verb that changed a request ends: one line for people, the request for scripts.
fn changed(context: &Context, request: &v1::Request) -> Result<Exit, Failure> {
    match context.json() {
        true => {
            context.print_json(&document::document("request", document::request(request)))?;
        }
        false => context.say(&story::status(context.err, request)),
    }
    Ok(Exit::Done)
}

/// How a verb that ended a request ends: the same, and how far that has come at AWS.
async fn ended(
    context: &Context,
    request: v1::Request,
    waiting: &Waiting,
) -> Result<Exit, Failure> {
    if !context.json() {
        context.say(&story::status(context.err, &request));
    }
    let Followed { requests, failure } = ending::follow(context, vec![request], waiting).await;
    if context.json() {
        for request in &requests {
            context.print_json(&document::document("request", document::request(request)))?;
        }
    }
    failure.map_or(Ok(Exit::Done), Err)
}
