//! `writ policy who-can`: everyone who can have a scope, with whose consent, for how long.

use std::path::PathBuf;

use serde_json::json;
use writ_engine::ScopeId;
use writ_engine::access::{Wanted, table};

use super::load;
use super::table::{First, render};
use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;

/// List everyone who can have a scope, with whose consent, for how long, and by which policy
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scope
    scope: String,
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (_, bundle) = load(context, &args.folder)?;
    let unknown = || {
        let known: Vec<&str> = bundle.scopes().map(|scope| scope.id.as_str()).collect();
        Failure::error(format!("the catalog has no scope `{}`", args.scope))
            .hint(format!("it has {}", known.join(", ")))
    };
    let scope = ScopeId::new(&args.scope).map_err(|_| unknown())?;
    if bundle.scope(&scope).is_none() {
        return Err(unknown());
    }
    let found = table(
        &bundle,
        Wanted {
            scope: Some(&scope),
            principal: None,
        },
    );
    match context.json() {
        true => context.print_json(&document("access", json!(found)))?,
        false => {
            if found.rows.is_empty() {
                context.say("nobody can have it");
            }
            context.print(&render(context.out, &found, First::Principals))?;
        }
    }
    Ok(Exit::Done)
}
