//! `writ policy snapshot`: writes `access.lock`, so that a change of access also shows in a plain diff.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use writ_engine::access::lock::{LOCK, text};
use writ_engine::access::{Wanted, table};

use super::load;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The largest lock that is read back, in bytes: far more than a person reviews.
const LOCK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// As any text in a repository; the owner's umask takes from it.
const LOCK_MODE: u32 = 0o666;

/// Write who can have what into `access.lock`, beside the policies, for the code host's own diff
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Write nothing; end with 2 where the file is not what the policies give
    #[arg(long)]
    locked: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (_, bundle) = load(context, &args.folder)?;
    let path = args.folder.join(LOCK);
    let wanted = text(&table(&bundle, Wanted::default()));
    let shown = path.display();
    let present = match std::fs::metadata(&path) {
        Ok(it) if it.len() > LOCK_BYTES_MAX => None,
        Ok(_) => Some(
            std::fs::read_to_string(&path)
                .map_err(|error| Failure::error(format!("cannot read `{shown}`: {error}")))?,
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::error(format!("cannot read `{shown}`: {error}"))),
    };
    let fresh = present.as_ref() == Some(&wanted);
    if args.locked {
        if fresh {
            context.say(&format!(
                "{}: `{shown}` is what the policies give",
                context.err.good("ok")
            ));
            return Ok(Exit::Done);
        }
        return Err(Failure::new(
            Exit::Findings,
            "stale_lock",
            format!("`{shown}` is not what the policies give"),
        )
        .hint("run `writ policy snapshot` and commit the file"));
    }
    if !fresh {
        // Through a file beside it, so that nobody ever reads half of it.
        tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(LOCK_MODE))
            .tempfile_in(&args.folder)
            .and_then(|mut file| {
                file.write_all(wanted.as_bytes())?;
                file.persist(&path).map_err(|error| error.error)?;
                Ok(())
            })
            .map_err(|error| Failure::error(format!("cannot write `{shown}`: {error}")))?;
    }
    context.say(&format!("{}: `{shown}`", context.err.good("ok")));
    Ok(Exit::Done)
}
