//! `writ policy fmt`: the bundle's files in the one layout.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::NamedTempFile;
use writ_engine::bundle::format::format;
use writ_engine::bundle::{BundleFiles, Report};

use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::escape;

/// Lay a bundle's files out: policies with Cedar's own formatter, HCL (tests too) as `terraform fmt` does
///
/// Prints the files that change. Only the layout does: each policy means the same to Cedar, HCL keeps its tokens line by line,
/// every comment stays. The schema is left alone, since Cedar's printer for schemas loses comments. Where one file cannot be
/// parsed, none is written.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,

    /// Write nothing: print the files that would change, and end with 2 where there is one
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let changed = changed(&args.folder)?.map_err(|report| super::invalid(context, &report))?;
    if !args.check {
        write(&args.folder, &changed)?;
    }
    let names: Vec<&String> = changed.keys().collect();
    if context.json() {
        let it = json!({ "changed": names, "written": !args.check });
        context.print_json(&document("fmt", it))?;
    } else {
        let lines: String = names.iter().map(|it| format!("{}\n", escape(it))).collect();
        context.print(&lines)?;
    }
    Ok(match args.check && !names.is_empty() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

/// The files of bundle and tests that would change, laid out; or everything that is wrong in any of them.
fn changed(folder: &Path) -> Result<Result<BTreeMap<String, String>, Report>, Failure> {
    let parts = [
        super::read(folder)?,
        writ_broker::bundle::read_tests(folder),
    ];
    let (mut changed, mut wrong) = (BTreeMap::new(), Report::default());
    for part in parts {
        match part.and_then(|files| format(&files)) {
            Ok(BundleFiles(files)) => changed.extend(files),
            Err(report) => wrong.absorb(report),
        }
    }
    Ok(match wrong.has_errors() {
        true => Err(wrong),
        false => Ok(changed),
    })
}

/// Replaces each file in one step, after all of them lie ready: whoever reads one meanwhile reads the old or the new text.
fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), Failure> {
    let failed = |name: &str, error: io::Error| {
        Failure::error(format!("`{name}` cannot be written: {error}"))
            .hint("no file is written in part; run it again")
    };
    let mut ready = Vec::new();
    for (name, text) in files {
        let written = beside(&folder.join(name), text).map_err(|error| failed(name, error))?;
        ready.push((name, written));
    }
    for (name, (written, path)) in ready {
        written
            .persist(path)
            .map_err(|error| failed(name, error.error))?;
    }
    Ok(())
}

/// The text in a file of its own beside the one it is to replace, with that one's permissions. A link stays one: what it leads
/// to is replaced.
fn beside(path: &Path, text: &str) -> io::Result<(NamedTempFile, PathBuf)> {
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    Ok((file, path))
}
