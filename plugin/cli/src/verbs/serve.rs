//! `writ serve`: runs the broker.

use std::path::PathBuf;

use writ_broker::config::Config;
use writ_broker::{logging, server};

use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

/// Run the broker until SIGTERM or Ctrl-C; SIGHUP reads the bundle again
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Its configuration
    #[arg(long, value_name = "FILE", default_value = "writ.hcl")]
    config: PathBuf,
    /// Check the configuration, the bundle and the keys, and exit; nothing is contacted or made
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let coloured = context.err == Paint::Coloured;
    let config = Config::load(&args.config)
        .map_err(|report| Failure::drawn("configuration_refused", report.render(coloured)))?;
    if args.check {
        let warnings = server::check(&config).map_err(|error| failed(&error, coloured))?;
        if context.json() {
            context.print_json(&document("check", super::policy::findings(&warnings)))?;
        } else {
            if !warnings.is_empty() {
                context.say(warnings.render(coloured).trim_end());
            }
            context.say(&format!("{}: `serve` would start", context.err.good("ok")));
        }
        return Ok(Exit::Done);
    }
    logging::start(config.log.format, config.log.level)
        .map_err(|error| Failure::error(error.to_string()))?;
    server::serve(config, server::terminated())
        .await
        .map_err(|error| failed(&error, coloured))?;
    Ok(Exit::Done)
}

/// A broken bundle is drawn with its carets; anything else is a sentence.
pub(crate) fn failed(error: &server::ServeError, coloured: bool) -> Failure {
    match error {
        server::ServeError::Bundle(report) => {
            Failure::drawn("bundle_refused", report.render(coloured))
        }
        other => Failure::new(Exit::Error, "broker_failed", other.to_string()),
    }
}
