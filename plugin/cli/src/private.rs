//! Files and folders that only this user may read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::failure::Failure;

/// Makes a folder, and those above it, for this user only. One that is there already stays as it is.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::error(format!("cannot make `{}`: {error}", path.display())))
}

/// Writes a secret to a file that only this user may read, whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::error(format!("cannot write `{}`: {error}", path.display()))
    };
    let beside = path.with_extension("new");
    // One left by a crash may have another mode; a fresh one has ours from its first byte.
    if beside.exists() {
        fs::remove_file(&beside).map_err(cannot)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(cannot)?;
    fs::rename(&beside, path).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_written_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "old").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
