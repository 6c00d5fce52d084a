//! `writ policy`: works on a bundle offline, without a broker. One file a verb.

mod base;
mod check;
mod diff;
mod explain;
mod fmt;
mod prove;
mod replay;
mod report;
mod snapshot;
mod table;
mod test;
mod what_can;
mod who_can;

use std::path::Path;

use writ_engine::Bundle;
use writ_engine::bundle::{BundleFiles, Report};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

pub(crate) use check::findings;

/// Work on a bundle of policies (exit code 0 clean, 1 failure, 2 findings, 3 invalid bundle)
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Check(check::Args),
    Fmt(fmt::Args),
    Test(test::Args),
    Diff(diff::Args),
    Prove(prove::Args),
    Replay(replay::Args),
    WhoCan(who_can::Args),
    WhatCan(what_can::Args),
    Explain(explain::Args),
    Snapshot(snapshot::Args),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Check(args) => check::run(context, &args),
        Verb::Fmt(args) => fmt::run(context, &args),
        Verb::Test(args) => test::run(context, &args),
        Verb::Diff(args) => diff::run(context, &args),
        Verb::Prove(args) => prove::run(context, &args).await,
        Verb::Replay(args) => replay::run(context, &args),
        Verb::WhoCan(args) => who_can::run(context, &args),
        Verb::WhatCan(args) => what_can::run(context, &args),
        Verb::Explain(args) => explain::run(context, &args),
        Verb::Snapshot(args) => snapshot::run(context, &args),
    }
}

/// The texts of a bundle's folder. That there is no such folder is a failure; what is wrong in it, a report.
fn read(folder: &Path) -> Result<Result<BundleFiles, Report>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::error(format!(
            "`{}` is not a folder that can be read",
            folder.display()
        ))
        .hint("name the bundle's folder; it is `policies` where none is named"));
    }
    Ok(writ_broker::bundle::read(folder))
}

/// A folder's texts and the bundle they make.
fn load(context: &Context, folder: &Path) -> Result<(BundleFiles, Bundle), Failure> {
    let files = read(folder)?.map_err(|report| invalid(context, &report))?;
    let bundle = Bundle::load(&files).map_err(|report| invalid(context, &report))?;
    Ok((files, bundle))
}

/// A bundle that nothing can be said of.
fn invalid(context: &Context, report: &Report) -> Failure {
    let text = report.render(context.err == Paint::Coloured);
    Failure::drawn("invalid_bundle", text).exit(Exit::InvalidBundle)
}

/// Two answers to what is compared with what.
fn two_bases() -> Failure {
    Failure::error("two folders and `--base` do not go together")
        .hint("leave out `--base`, or name one folder")
}
