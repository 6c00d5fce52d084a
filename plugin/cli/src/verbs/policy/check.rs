//! `writ policy check`: is the bundle one that the broker would take?

use std::path::PathBuf;

use serde_json::{Value, json};
use writ_engine::Bundle;
use writ_engine::bundle::Report;

use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

/// Check a bundle as the broker would: every error at once, each at its place
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let checked = super::read(&args.folder)?.and_then(|files| Bundle::load(&files));
    let report = match &checked {
        Ok(bundle) => bundle.warnings(),
        Err(report) => report,
    };
    if context.json() {
        let mut it = findings(report);
        if let (Some(fields), Ok(bundle)) = (it.as_object_mut(), &checked) {
            fields.insert("digest".to_owned(), json!(bundle.digest().to_string()));
        }
        context.print_json(&document("check", it))?;
    } else {
        if !report.is_empty() {
            context.say(report.render(context.err == Paint::Coloured).trim_end());
        }
        if let Ok(bundle) = &checked {
            context.say(&format!(
                "{}: {} scopes, bundle {}",
                context.err.good("ok"),
                bundle.scopes().count(),
                bundle.digest().short()
            ));
        }
    }
    Ok(match checked {
        Ok(_) => Exit::Done,
        Err(_) => Exit::InvalidBundle,
    })
}

/// A report for scripts.
pub(crate) fn findings(report: &Report) -> Value {
    let findings: Vec<_> = report
        .findings()
        .into_iter()
        .map(|finding| {
            json!({
                "severity": finding.severity.as_str(),
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "message": finding.message,
                "help": finding.help,
            })
        })
        .collect();
    json!({
        "valid": !report.has_errors(),
        "errors": report.errors(),
        "findings": findings,
    })
}
