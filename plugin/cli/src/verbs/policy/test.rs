//! `writ policy test`: do the policies keep what the bundle's own tests say of them?

use std::path::PathBuf;

use writ_engine::bundle::BundleFiles;
use writ_engine::suite::{Glob, Suite};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

/// Run the bundle's own tests, `tests/*.test.hcl` in its folder
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,

    /// Run only the tests whose name fits, with `*` for any text and `?` for any one character
    #[arg(long, value_name = "NAME-GLOB", default_value = "*")]
    run: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let files = super::read(&args.folder)?.map_err(|report| super::invalid(context, &report))?;
    let tests = read_tests(context, args)?;
    let suite = Suite::read(&files, &tests).map_err(|report| super::invalid(context, &report))?;
    let only = Glob::new(&args.run);
    if !suite.names().iter().any(|name| only.fits(name)) {
        return Err(nothing_to_run(args, &suite));
    }
    let run = suite.run(&only);
    context.print(&run.render(context.out == Paint::Coloured))?;
    Ok(match run.failed() {
        0 => Exit::Done,
        _ => Exit::Findings,
    })
}

fn read_tests(context: &Context, args: &Args) -> Result<BundleFiles, Failure> {
    writ_broker::bundle::read_tests(&args.folder).map_err(|report| super::invalid(context, &report))
}

/// A test run that tests nothing would be green for the wrong reason.
fn nothing_to_run(args: &Args, suite: &Suite) -> Failure {
    let names = suite.names();
    match names.is_empty() {
        true => Failure::error(format!("`{}` has no tests", args.folder.display()))
            .hint("write the first into `tests/access.test.hcl` in it"),
        false => {
            let names: Vec<&str> = names.into_iter().collect();
            Failure::error(format!("no test fits `{}`", args.run))
                .hint(format!("there are: {}", names.join(", ")))
        }
    }
}
