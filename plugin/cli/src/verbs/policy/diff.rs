//! `writ policy diff`: what a change gives to whom.

use std::path::{Path, PathBuf};

use writ_engine::Bundle;
use writ_engine::diff::{Severity, Side, diff};

use super::report::{Format, Told};
use super::{base, invalid, load};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The revision compared with where none is named.
const BASE: &str = "HEAD";

/// Say what a change of the bundle gives to whom: who gains or loses what, for how long, with whose consent
///
/// Compares the folder with what a git revision has of it, or two folders. Who can have what is enumerated with the broker's
/// own decision, offline; each finding about that comes with a request that the two decide differently.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder (`policies` where none is named); or two folders, the one before and the one after
    #[arg(num_args = 0..=2, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// The git revision to compare the folder with, such as `origin/main` [default: HEAD]
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// End with 2 where a finding is at least this grave; `never` for 0 whatever is found
    #[arg(long, value_enum, default_value_t = FailOn::Critical, value_name = "SEVERITY")]
    fail_on: FailOn,
}

/// From which severity on a finding fails the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FailOn {
    /// Anything at all, also a change that has no effect.
    Info,
    /// Anything that has an effect, also where access only narrowed.
    Low,
    /// As `low`, but not where access only narrowed.
    Medium,
    /// Someone can do more than before.
    High,
    /// A guard is gone: consent, a guardrail.
    Critical,
    /// Nothing.
    Never,
}

impl FailOn {
    /// The severity; `None` for never.
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            FailOn::Info => Some(Severity::Info),
            FailOn::Low => Some(Severity::Low),
            FailOn::Medium => Some(Severity::Medium),
            FailOn::High => Some(Severity::High),
            FailOn::Critical => Some(Severity::Critical),
            FailOn::Never => None,
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (before, after, folder, compared_with) = match (args.folders.as_slice(), &args.base) {
        ([old, new], None) => {
            let (before, _) = load(context, old)?;
            (
                before,
                new.as_path(),
                new.display().to_string(),
                old.display().to_string(),
            )
        }
        ([_, _], Some(_)) => return Err(super::two_bases()),
        (folders, revision) => {
            let folder = folders
                .first()
                .map_or(Path::new("policies"), PathBuf::as_path);
            let revision = revision.as_deref().unwrap_or(BASE);
            if !folder.is_dir() {
                super::read(folder)?.ok();
            }
            let before = base::read(folder, revision)?;
            let shown = base::prefix(folder).unwrap_or_else(|| folder.display().to_string());
            (before, folder, shown, revision.to_owned())
        }
    };
    let old = Bundle::load(&before).map_err(|report| {
        let failure = invalid(context, &report);
        failure.hint(format!("this is the bundle of `{compared_with}`"))
    })?;
    let (files, new) = load(context, after)?;
    let found = diff(
        Side {
            files: &before,
            bundle: &old,
        },
        Side {
            files: &files,
            bundle: &new,
        },
    )
    .map_err(|error| Failure::error(error.to_string()))?;
    let told = Told {
        diff: &found,
        folder: &folder,
        compared_with: &compared_with,
        fail_on: args.fail_on.severity(),
    };
    let format = match args.format {
        Some(format) => format,
        None if context.json() => Format::Json,
        None => Format::Text,
    };
    context.print(&told.render(format, context.out))?;
    if format == Format::Github {
        summarise(&told)?;
    }
    Ok(match told.fails() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

/// Adds the report to the job's page, where there is one.
fn summarise(told: &Told<'_>) -> Result<(), Failure> {
    let path = std::env::var_os("GITHUB_STEP_SUMMARY");
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let text = told.render(Format::Markdown, crate::screen::Paint::Plain);
    let open = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path);
    open.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|error| {
            let path = Path::new(&path).display();
            Failure::error(format!("cannot write the job summary `{path}`: {error}"))
        })
}
