//! `writ policy fmt`: the policies as Cedar's own formatter writes them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use cedar_policy_formatter::{Config, policies_str_to_pretty};

use super::load;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::escape;

/// The longest line, in characters, where a line can be broken: what a code host shows side by side on a wide screen.
const LINE_MAX: usize = 100;

/// How far a line inside is moved in, in spaces: as in Cedar's documentation.
const INDENT: isize = 2;

/// Write the bundle's `.cedar` files as Cedar's own formatter would; `.hcl` files and the schema stay as they are
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Write nothing; end with 2 where a file would change
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    // Only what is a bundle: the formatter is for policies that parse, however deep a file nests.
    let (files, _) = load(context, &args.folder)?;
    let config = Config {
        line_width: LINE_MAX,
        indent_width: INDENT,
    };
    let mut changed = Vec::new();
    for (name, text) in files.0.iter().filter(|(name, _)| name.ends_with(".cedar")) {
        let formatted = policies_str_to_pretty(text, &config).map_err(|error| {
            Failure::error(format!("`{name}` cannot be formatted: {error}"))
                .hint("nothing was written; leave this file as it is, and please report it")
        })?;
        if formatted != *text {
            changed.push((name, formatted));
        }
    }
    for (name, formatted) in &changed {
        let path = args.folder.join(name);
        if !args.check {
            write(&path, formatted).map_err(|error| {
                Failure::error(format!("cannot write `{}`: {error}", path.display()))
            })?;
        }
        context.print(&format!("{}\n", escape(&path.display().to_string())))?;
    }
    Ok(match args.check && !changed.is_empty() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

/// Through a file beside it, so that a broker never reads half of it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
