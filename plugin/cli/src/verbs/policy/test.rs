//! `writ policy test`: do the policies keep what the bundle's own tests say of them?

use std::path::PathBuf;

use serde_json::{Value, json};
use writ_engine::bundle::BundleFiles;
use writ_engine::suite::{Coverage, Glob, Mutation, Run, Suite};

use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

/// Run the bundle's own tests: `tests/*.test.hcl` in its folder, and `tests/*.json` as `cedar run-tests` reads them
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

    /// Change the policies one by one, and fail when there is a change that no test notices
    #[arg(long)]
    mutate: bool,

    /// How to print the outcome; `--json` is the same as `--format json`
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person
    #[default]
    Text,
    /// A document with a `schema_version`
    Json,
    /// JUnit's XML; coverage and changes go to stderr
    Junit,
}

/// All that came of it.
struct Outcome {
    run: Run,
    coverage: Option<Coverage>,
    mutation: Option<Mutation>,
    /// The percentage that was asked for and is not reached.
    short_of: Option<u8>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let files = super::read(&args.folder)?.map_err(|report| super::invalid(context, &report))?;
    let tests = read_tests(context, args)?;
    let suite = Suite::read(&files, &tests).map_err(|report| super::invalid(context, &report))?;
    let only = Glob::new(&args.run);
    if !suite.names().iter().any(|name| only.fits(name)) {
        return Err(nothing_to_run(args, &suite));
    }
    let outcome = Outcome::of(args, &suite, &only);
    outcome.print(context, args)?;
    Ok(match outcome.is_clean() {
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

impl Outcome {
    fn of(args: &Args, suite: &Suite, only: &Glob) -> Outcome {
        let run = suite.run(only);
        let wanted = args.coverage || args.min_coverage.is_some();
        let coverage = wanted.then(|| suite.coverage(only));
        // Tests that fail as it is would notice every change.
        let mutation = (args.mutate && run.failed() == 0).then(|| suite.mutate(only));
        let short = |least: &u8| {
            let covered = coverage.as_ref().map_or(0, Coverage::percent);
            covered < usize::from(*least)
        };
        Outcome {
            short_of: args.min_coverage.filter(short),
            run,
            coverage,
            mutation,
        }
    }

    fn is_clean(&self) -> bool {
        let unnoticed = |mutation: &Mutation| !mutation.unnoticed.is_empty();
        self.run.failed() == 0
            && self.short_of.is_none()
            && !self.mutation.as_ref().is_some_and(unnoticed)
    }

    fn print(&self, context: &Context, args: &Args) -> Result<(), Failure> {
        let coverage = self.coverage.as_ref().map(Coverage::render);
        let mutation = self.mutation.as_ref().map(Mutation::render);
        let beside: Vec<String> = [coverage, mutation].into_iter().flatten().collect();
        match args.format {
            _ if context.json() => context.print_json(&document("test", self.json()))?,
            Format::Json => context.print_json(&document("test", self.json()))?,
            Format::Text => {
                let mut text = self.run.render(context.out == Paint::Coloured);
                for part in beside {
                    text.push_str(&format!("\n{part}"));
                }
                context.print(&text)?;
            }
            Format::Junit => {
                context.print(&self.run.junit())?;
                for part in beside {
                    context.say(part.trim_end());
                }
            }
        }
        if let (Some(least), Some(coverage)) = (self.short_of, &self.coverage) {
            context.say(&format!(
                "{} coverage is {}%, and {least}% are asked for",
                context.err.bad("error:"),
                coverage.percent()
            ));
        }
        if args.mutate && self.mutation.is_none() {
            context.say("no changes were tried: the tests have to pass first");
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "passed": self.run.checks.len() - self.run.failed(),
            "failed": self.run.failed(),
            "checks": self.run.checks,
            "coverage": self.coverage.as_ref().map(|coverage| json!({
                "percent": coverage.percent(),
                "points": coverage.points,
                "covered": coverage.covered,
                "gaps": coverage.gaps,
            })),
            "mutation": self.mutation,
        })
    }
}
