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

    /// Say what the tests leave untested: policies that never decided, conditions never seen true or false, limits never tried
    #[arg(long)]
    coverage: bool,

    /// Fail when less than this is covered, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    min_coverage: Option<u8>,

    /// Change the policies one by one, and list the changes that no test notices
    #[arg(long)]
    mutate: bool,
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
    let coverage = (args.coverage || args.min_coverage.is_some()).then(|| suite.coverage(&only));
    let mut covered = true;
    if let Some(coverage) = &coverage {
        context.print(&format!("\n{}", coverage.render()))?;
        let least = usize::from(args.min_coverage.unwrap_or(0));
        covered = coverage.percent() >= least;
        if !covered {
            context.say(&format!(
                "{} coverage is {}%, under the {least}% asked for",
                context.err.bad("error:"),
                coverage.percent()
            ));
        }
    }
    let mut noticed = true;
    // Tests that fail as it is would notice every change.
    if args.mutate && run.failed() == 0 {
        let mutation = suite.mutate(&only);
        context.print(&format!("\n{}", mutation.render()))?;
        noticed = mutation.unnoticed.is_empty();
    }
    Ok(match run.failed() == 0 && covered && noticed {
        true => Exit::Done,
        false => Exit::Findings,
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
