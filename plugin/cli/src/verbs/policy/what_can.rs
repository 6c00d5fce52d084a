//! `writ policy what-can`: everything that one person or workload can have.

use std::path::PathBuf;

use serde_json::json;
use writ_engine::access::{Wanted, table};
use writ_engine::{Bundle, PrincipalId, UserId, WorkloadId};

use super::load;
use super::table::{First, render};
use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;

/// What names a workload that shares its name with a user.
const WORKLOAD: &str = "workload:";

/// List every scope that someone can have, with whose consent, for how long, and by which policy
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A user or a workload of the directory; `workload:NAME` where both have the name
    principal: String,
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (_, bundle) = load(context, &args.folder)?;
    let principal = named(&bundle, &args.principal).ok_or_else(|| {
        Failure::error(format!(
            "the directory has no user or workload `{}`",
            args.principal
        ))
        .hint("use the name in `directory.hcl`")
    })?;
    let found = table(
        &bundle,
        Wanted {
            scope: None,
            principal: Some(&principal),
        },
    );
    match context.json() {
        true => context.print_json(&document("access", json!(found)))?,
        false => {
            if found.rows.is_empty() {
                context.say("no policy gives them anything");
            }
            context.print(&render(context.out, &found, First::Scope))?;
        }
    }
    Ok(Exit::Done)
}

fn named(bundle: &Bundle, name: &str) -> Option<PrincipalId> {
    let directory = bundle.directory();
    let workload = |name: &str| {
        let id = WorkloadId::new(name).ok()?;
        directory.workload(&id)?;
        Some(PrincipalId::Workload(id))
    };
    if let Some(name) = name.strip_prefix(WORKLOAD) {
        return workload(name);
    }
    let user = UserId::new(name)
        .ok()
        .filter(|id| directory.user(id).is_some());
    user.map(PrincipalId::User).or_else(|| workload(name))
}
