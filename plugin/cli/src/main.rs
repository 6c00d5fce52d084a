//! The `writ` command line: a table of contents. Each verb is one file of `verbs`.

mod asking;
mod clock;
mod context;
mod document;
mod ending;
mod exit;
mod explain;
mod failure;
mod patience;
mod private;
mod screen;
mod story;
#[cfg(test)]
mod transcripts;
mod verbs;
mod when;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use context::{Context, Options};
use exit::Exit;
use failure::Failure;

/// Just-in-time access to AWS: ask for a scope, get session credentials that stop working when the window ends.
#[derive(Parser)]
#[command(
    name = "writ",
    version,
    after_long_help = long_help(),
    after_help = "Exit codes and the ways to give a token: `writ --help`",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(verbs::demo::Args),
    Dev(verbs::dev::Args),
    Serve(verbs::serve::Args),
    Doctor(verbs::doctor::Args),
    Request(verbs::request::Args),
    Requests(verbs::requests::Args),
    Show(verbs::show::Args),
    Approve(verbs::approve::Args),
    Deny(verbs::deny::Args),
    Withdraw(verbs::withdraw::Args),
    Credentials(verbs::credentials::Args),
    Exec(verbs::exec::Args),
    Extend(verbs::extend::Args),
    Release(verbs::release::Args),
    Revoke(verbs::revoke::Args),
    Review(verbs::review::Args),
    Delegate(verbs::delegate::Args),
    Delegations(verbs::delegations::Args),
    Can(verbs::can::Args),
    Scopes(verbs::scopes::Args),
    Journal(verbs::journal::Args),
    Policy(verbs::policy::Args),
    Completion(verbs::completion::Args),
}

fn long_help() -> String {
    format!(
        "{}\n\n\
         The token is taken from `--token-file` (WRIT_TOKEN_FILE), else WRIT_TOKEN, else from GitHub Actions' own issuer\n\
         (ACTIONS_ID_TOKEN_REQUEST_URL) with `--audience` or the broker's address as its audience.\n\n\
         stdout has the data only, stderr everything else. `--json` prints documents with a `schema_version`; an error is\n\
         then a document on stderr: {{\"schema_version\": 1, \"error\": {{\"reason\", \"message\", \"hint\", \"exit_code\", …}}}}.",
        exit::help()
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    let context = Context::new(cli.options);
    match run(&context, cli.verb).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let failure = context.with_audience(failure);
            match context.json() {
                true => context.say(&screen::escape_json(&failure.json().to_string())),
                false => context.say(failure.text(context.err).trim_end()),
            }
            failure.exit.into()
        }
    }
}

/// A command line that is none, or that asks for help. For `writ policy` and `writ doctor`, 2 means findings, so it ends
/// with 1 there.
fn misread(error: &clap::Error) -> ExitCode {
    // There is nobody to tell when that fails.
    let _ = error.print();
    let verbs = Cli::command();
    let is_verb = |word: &String| verbs.find_subcommand(word).is_some();
    let verb = std::env::args().skip(1).find(is_verb);
    let finds = matches!(verb.as_deref(), Some("policy" | "doctor"));
    match error.exit_code() {
        0 => Exit::Done.into(),
        _ if finds => Exit::Error.into(),
        _ => Exit::Usage.into(),
    }
}

async fn run(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Demo(args) => verbs::demo::run(context, args).await,
        Verb::Dev(args) => verbs::dev::run(context, args).await,
        Verb::Serve(args) => verbs::serve::run(context, args).await,
        Verb::Doctor(args) => verbs::doctor::run(context, args).await,
        Verb::Request(args) => verbs::request::run(context, args).await,
        Verb::Requests(args) => verbs::requests::run(context, args).await,
        Verb::Show(args) => verbs::show::run(context, args).await,
        Verb::Approve(args) => verbs::approve::run(context, args).await,
        Verb::Deny(args) => verbs::deny::run(context, args).await,
        Verb::Withdraw(args) => verbs::withdraw::run(context, args).await,
        Verb::Credentials(args) => verbs::credentials::run(context, args).await,
        Verb::Exec(args) => verbs::exec::run(context, args).await,
        Verb::Extend(args) => verbs::extend::run(context, args).await,
        Verb::Release(args) => verbs::release::run(context, args).await,
        Verb::Revoke(args) => verbs::revoke::run(context, args).await,
        Verb::Review(args) => verbs::review::run(context, args).await,
        Verb::Delegate(args) => verbs::delegate::run(context, args).await,
        Verb::Delegations(args) => verbs::delegations::run(context, args).await,
        Verb::Can(args) => verbs::can::run(context, args).await,
        Verb::Scopes(args) => verbs::scopes::run(context, args).await,
        Verb::Journal(args) => verbs::journal::run(context, args).await,
        Verb::Policy(args) => verbs::policy::run(context, args).await,
        Verb::Completion(args) => verbs::completion::run(context, args),
    }
}
