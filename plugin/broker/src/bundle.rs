//! The bundle's folder, and the slot that holds the bundle in force: the last good one, whatever the folder says now.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use writ_engine::Bundle;
use writ_engine::access::lock::LOCK;
use writ_engine::bundle::{BUNDLE_MAX, BundleFiles, FILE_MAX, FILES_MAX, Report};
use writ_engine::suite;

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
pub const FOLDER_IN_THE_WAY: &str = "it is a folder or a submodule, and a bundle's files lie side by side; rename it or move it out";

/// Whether a file of this name is one of the bundle's.
pub fn belongs(name: &str) -> bool {
    has_ending(name, &ENDINGS)
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    let ending = Path::new(name).extension().and_then(|it| it.to_str());
    ending.is_some_and(|ending| endings.contains(&ending))
}

/// Whether a file may lie beside the bundle's own and is not read.
pub fn lies_beside(name: &str) -> bool {
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

/// Holds the bundle in force.
#[derive(Debug)]
pub struct BundleSlot {
    folder: Option<PathBuf>,
    // Held only for the length of a clone or a swap: readers never wait for a bundle being checked.
    current: RwLock<Arc<Bundle>>,
    // Held over a whole reload: two at once could put the older bundle last.
    watched: Mutex<Watched>,
}

#[derive(Debug)]
struct Watched {
    /// What the folder looked like when it was last read, good or bad.
    read: Look,
    /// What it looked like at the last poll.
    polled: Look,
}

/// What became of a reload.
#[derive(Debug)]
pub enum Reload {
    /// What is in force stays so; `looked` tells whether the folder was read and found to hold just that.
    Unchanged {
        /// Whether the folder was read.
        looked: bool,
    },
    /// This bundle is in force from now.
    Replaced(Arc<Bundle>),
    /// The folder holds no valid bundle; the last good one stays in force.
    Refused(Report),
}

impl BundleSlot {
    /// Loads the folder's bundle; without a valid one there is nothing to start with.
    pub fn open(folder: &Path) -> Result<BundleSlot, Report> {
        let seen = look(folder);
        let bundle = Bundle::load(&read(folder)?)?;
        Ok(BundleSlot {
            folder: Some(folder.to_owned()),
            current: RwLock::new(Arc::new(bundle)),
            watched: Mutex::new(Watched {
                read: seen.clone(),
                polled: seen,
            }),
        })
    }

    /// A slot for a bundle from no folder, which never changes.
    pub fn fixed(bundle: Bundle) -> BundleSlot {
        let nothing = Look(Ok(Vec::new()));
        BundleSlot {
            folder: None,
            current: RwLock::new(Arc::new(bundle)),
            watched: Mutex::new(Watched {
                read: nothing.clone(),
                polled: nothing,
            }),
        }
    }

    /// The bundle in force.
    pub fn current(&self) -> Arc<Bundle> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the folder again, whether it looks changed or not. Blocks while it reads and checks.
    pub fn reload(&self) -> Reload {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_again(&mut watched)
    }

    /// Reads the folder again if it looks different from when it was last read, and the same as at the last poll: a file
    /// that is just being written looks different each time, and half a guardrail may be valid. Blocks.
    pub fn poll(&self) -> Reload {
        let Some(folder) = &self.folder else {
            return Reload::Unchanged { looked: false };
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = look(folder);
        let settled = seen == watched.polled;
        watched.polled = seen;
        match settled && watched.polled != watched.read {
            true => self.read_again(&mut watched),
            false => Reload::Unchanged { looked: false },
        }
    }

    fn read_again(&self, watched: &mut Watched) -> Reload {
        let Some(folder) = &self.folder else {
            return Reload::Unchanged { looked: false };
        };
        // Looked at before it is read: a change in between is seen as one at the next poll.
        watched.read = look(folder);
        let loaded = read(folder).and_then(|files| Bundle::load(&files));
        match loaded {
            Err(report) => Reload::Refused(report),
            Ok(bundle) if bundle.digest() == self.current().digest() => {
                Reload::Unchanged { looked: true }
            }
            Ok(bundle) => {
                let bundle = Arc::new(bundle);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&bundle);
                Reload::Replaced(bundle)
            }
        }
    }
}

#[cfg(test)]
mod tests;
