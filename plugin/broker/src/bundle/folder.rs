//! A bundle as a folder has it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use writ_engine::access::lock::LOCK;
use writ_engine::bundle::{BUNDLE_MAX, BundleFiles, FILE_MAX, FILES_MAX, Report};
use writ_engine::suite;

use super::{InForce, Refusal};

/// The endings of the files that make a bundle.
const ENDINGS: [&str; 3] = ["cedar", "cedarschema", "hcl"];

/// Files that may lie beside them, besides `.md`. Any other is refused: a guardrail saved as `guardrails.ceder` must not
/// vanish without a word.
const BYSTANDERS: [&str; 4] = ["LICENSE", "CODEOWNERS", "OWNERS", LOCK];

/// The endings of the files that a bundle's tests are made of.
const TEST_ENDINGS: [&str; 2] = ["hcl", "json"];

/// Reads a bundle's folder: its top level only, and nothing that lies outside it.
///
/// Symbolic links are followed only to files inside the folder, which is how Kubernetes mounts one.
pub fn read(folder: &Path) -> Result<BundleFiles, Report> {
    read_all(folder, &ENDINGS, "")
}

/// Reads the tests of a bundle's folder, which the broker never does: they influence no decision. None where there is no
/// folder of tests.
pub fn read_tests(folder: &Path) -> Result<BundleFiles, Report> {
    let tests = folder.join(suite::FOLDER);
    if !tests.is_dir() {
        return Ok(BundleFiles::default());
    }
    let inside = |home: PathBuf| Ok(tests.canonicalize()?.starts_with(home));
    match folder.canonicalize().and_then(inside) {
        Ok(true) => read_all(&tests, &TEST_ENDINGS, &format!("{}/", suite::FOLDER)),
        // A folder that cannot be looked into now is read by nobody either.
        Ok(false) | Err(_) => {
            let mut report = Report::default();
            let message = format!("`{}` leads to a place outside the bundle", suite::FOLDER);
            let help = "put the folder itself here".to_owned();
            report.push_file(suite::FOLDER, message, Some(help));
            Err(report)
        }
    }
}

/// The files of one folder, each named with what stands `before` it in the bundle.
fn read_all(folder: &Path, endings: &[&str], before: &str) -> Result<BundleFiles, Report> {
    let mut report = Report::default();
    let listed = match list(folder, endings) {
        Ok(listed) => listed,
        Err((name, why)) => {
            report.push_file(&name, format!("`{before}{name}`: {why}"), None);
            return Err(report);
        }
    };
    let mut files = BTreeMap::new();
    let mut left = BUNDLE_MAX;
    for Listed { name, path } in listed {
        let name = format!("{before}{name}");
        match read_file(&path, left) {
            Ok(text) => {
                left = left.saturating_sub(text.len());
                files.insert(name, text);
            }
            Err(why) => report.push_file(&name, format!("`{name}`: {why}"), None),
        }
    }
    match report.has_errors() {
        true => Err(report),
        false => Ok(BundleFiles(files)),
    }
}

/// Why a folder, or a submodule, with the name of one of the bundle's files stands in the way: passed over like other
/// folders, it would take the file's place without a word.
pub(super) const FOLDER_IN_THE_WAY: &str = "it is a folder or a submodule, and a bundle's files lie side by side; rename it or move it out";

/// Whether a file of this name is one of the bundle's.
pub(super) fn belongs(name: &str) -> bool {
    has_ending(name, &ENDINGS)
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    let ending = Path::new(name).extension().and_then(|it| it.to_str());
    ending.is_some_and(|ending| endings.contains(&ending))
}

/// Whether a file may lie beside the bundle's own and is not read.
pub(super) fn lies_beside(name: &str) -> bool {
    name.ends_with(".md") || BYSTANDERS.contains(&name)
}

struct Listed {
    name: String,
    path: PathBuf,
}

/// The bundle's files by name, or the file that stands in the way and why.
fn list(folder: &Path, endings: &[&str]) -> Result<Vec<Listed>, (String, String)> {
    let shown = folder.display().to_string();
    let unreadable = |error: std::io::Error| (shown.clone(), format!("it cannot be read: {error}"));
    let home = folder.canonicalize().map_err(unreadable)?;
    let mut listed = Vec::new();
    for entry in home.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            let name = entry.file_name().to_string_lossy().into_owned();
            return Err((name, "its name is not UTF-8; rename it".to_owned()));
        };
        if name.starts_with('.') {
            continue;
        }
        let path = entry
            .path()
            .canonicalize()
            .map_err(|error| (name.clone(), format!("it cannot be read: {error}")))?;
        let belongs = has_ending(&name, endings);
        if path.is_dir() {
            match belongs {
                true => return Err((name, FOLDER_IN_THE_WAY.to_owned())),
                false => continue,
            }
        }
        if !belongs {
            if lies_beside(&name) {
                continue;
            }
            let holds: Vec<String> = endings.iter().map(|it| format!("`.{it}`")).collect();
            let holds = match holds.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, others)) => format!("{} and {last}", others.join(", ")),
                None => "no".to_owned(),
            };
            return Err((
                name,
                format!("its folder holds {holds} files; rename it or move it out"),
            ));
        }
        if !path.starts_with(&home) {
            return Err((
                name,
                "it is a link to a place outside the bundle; put the file itself here".to_owned(),
            ));
        }
        if !path.is_file() {
            return Err((name, "it is not a regular file".to_owned()));
        }
        listed.push(Listed { name, path });
        if listed.len() > FILES_MAX {
            return Err((shown, format!("it holds more than {FILES_MAX} files")));
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

fn read_file(path: &Path, left: usize) -> Result<String, String> {
    let file =
        std::fs::File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(FILE_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    let size = bytes.len();
    if size > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    if size > left {
        return Err(format!(
            "with it the bundle is larger than {BUNDLE_MAX} bytes"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8: the byte at {} begins no character",
            error.utf8_error().valid_up_to()
        )
    })
}

/// What the folder looked like: name, inode, size and times of each file. Cheap to ask every second.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look(Result<Vec<Facts>, String>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    name: String,
    path: PathBuf,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn look(folder: &Path) -> Look {
    let facts = |listed: Listed| {
        let seen =
            std::fs::metadata(&listed.path).map_err(|error| format!("{}: {error}", listed.name))?;
        Ok(Facts {
            name: listed.name,
            path: listed.path,
            inode: seen.ino(),
            size: seen.size(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    };
    Look(match list(folder, &ENDINGS) {
        Ok(listed) => listed.into_iter().map(facts).collect(),
        Err((name, why)) => Err(format!("{name}: {why}")),
    })
}

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// What the folder looked like when it was last read, good or bad.
    read: Look,
    /// What it looked like at the last poll.
    polled: Look,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Folder {
        let seen = look(path);
        Folder {
            path: path.to_owned(),
            read: seen.clone(),
            polled: seen,
        }
    }

    pub(super) fn read(&mut self) -> Result<InForce, Refusal> {
        // Looked at before it is read: a change in between is seen as one at the next poll.
        self.read = look(&self.path);
        match read(&self.path) {
            Ok(files) => InForce::check(&files, None),
            Err(report) => Err(Refusal {
                report,
                commit: None,
            }),
        }
    }

    /// Whether it looks different from when it was last read, and the same as when this was last asked: a file that is just
    /// being written looks different each time, and half a guardrail may be valid.
    pub(super) fn has_changed(&mut self) -> bool {
        let seen = look(&self.path);
        let settled = seen == self.polled;
        self.polled = seen;
        settled && self.polled != self.read
    }
}
