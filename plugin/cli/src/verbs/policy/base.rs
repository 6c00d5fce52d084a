//! The bundle as a revision has it, and what to do where it has none.

use std::path::Path;

use writ_broker::bundle::git::{Repository, Unread};
use writ_engine::bundle::BundleFiles;

use crate::exit::Exit;
use crate::failure::Failure;

/// The folder's path within its repository, with a slash at its end; empty for the repository's own folder. `None` where
/// there is no repository.
pub(super) fn prefix(folder: &Path) -> Option<String> {
    Repository::around(folder).prefix().ok().flatten()
}

/// The texts of `folder` as they are in `revision`.
pub(super) fn read(folder: &Path, revision: &str) -> Result<BundleFiles, Failure> {
    let repository = Repository::around(folder);
    let home = prefix(folder).ok_or_else(|| {
        Failure::error(format!(
            "`{}` is not in a git repository that can be read",
            folder.display()
        ))
        .hint("compare two folders instead: `writ policy diff OLD NEW`")
    })?;
    let commit = repository
        .commit(revision)
        .map_err(|unread| failed(&unread, revision))?
        .ok_or_else(|| {
            Failure::error(format!("`{revision}` is not a commit of this repository")).hint(
                "fetch it first; a CI job's shallow clone has one commit only (`fetch-depth: 0` fetches all)",
            )
        })?;
    repository
        .read(&commit, &home)
        .map_err(|unread| failed(&unread, revision))
}

fn failed(unread: &Unread, revision: &str) -> Failure {
    match unread {
        Unread::NoGit(_) => Failure::error(unread.to_string())
            .hint("install git, or compare two folders: `writ policy diff OLD NEW`"),
        Unread::Git(_) => Failure::error(unread.to_string()),
        Unread::NoBundle(home) => Failure::error(format!(
            "there is no bundle in `{}` of `{revision}`",
            if home.is_empty() { "." } else { home }
        ))
        .hint("name a revision that has one with `--base`"),
        Unread::NoContent(_) => Failure::error(unread.to_string())
            .hint("fetch the whole commit first; a partial clone lacks file contents"),
        Unread::Refused { .. } => {
            Failure::new(Exit::InvalidBundle, "invalid_bundle", unread.to_string())
        }
    }
}
