//! The bundle as a commit has it, read from git's objects: nothing is checked out, and nothing of the repository is run.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use writ_broker::bundle::{FOLDER_IN_THE_WAY, belongs, lies_beside};
use writ_engine::bundle::{BUNDLE_MAX, BundleFiles, FILE_MAX, FILES_MAX};

use crate::exit::Exit;
use crate::failure::Failure;

/// The most of a listing that is read, in bytes: [`FILES_MAX`] entries of the longest paths fit many times.
const LISTING_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What of the environment git is given: where it is, and the owner's own settings (`safe.directory`). Not the variables by
/// which a caller's git would be pointed elsewhere.
const ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "XDG_CONFIG_HOME"];

/// The folder's path within its repository, with a slash at its end; empty for the repository's own folder. `None` where
/// there is no repository.
pub(super) fn prefix(folder: &Path) -> Option<String> {
    let output = git(folder)
        .args(["rev-parse", "--show-prefix"])
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim_end_matches('\n').to_owned())
}

/// The texts of `folder` as they are in `revision`.
pub(super) fn read(folder: &Path, revision: &str) -> Result<BundleFiles, Failure> {
    let home = prefix(folder).ok_or_else(|| {
        Failure::error(format!(
            "`{}` is not in a git repository that can be read",
            folder.display()
        ))
        .hint("compare two folders instead: `writ policy diff OLD NEW`")
    })?;
    let commit = commit(folder, revision)?;
    let entries = list(folder, &commit, &home, revision)?;
    contents(folder, entries)
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("LC_ALL", "C")
        // No question, no lock, no fetching of what is missing (which could run a command of the repository's
        // configuration), and no object in another's place.
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .arg("-C")
        .arg(folder)
        .stdin(Stdio::null());
    command
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::error(format!("git cannot be run: {error}"))
        .hint("install git, or compare two folders: `writ policy diff OLD NEW`")
}

fn commit(folder: &Path, revision: &str) -> Result<String, Failure> {
    let output = git(folder)
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{revision}^{{commit}}"))
        .output()
        .map_err(|error| failed(&error))?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let is_id = id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !output.status.success() || !is_id {
        return Err(
            Failure::error(format!("`{revision}` is not a commit of this repository")).hint(
                "fetch it first; a CI job's shallow clone has one commit only (`fetch-depth: 0` fetches all)",
            ),
        );
    }
    Ok(id)
}

/// Git's mode of a folder.
const FOLDER: &str = "040000";

/// Git's mode of a submodule, which is a folder once it is checked out.
const SUBMODULE: &str = "160000";

/// One file of the bundle.
struct Entry {
    name: String,
    object: String,
    size: usize,
}

/// Something in the folder that a bundle cannot have.
fn refused(name: &str, why: &str) -> Failure {
    Failure::new(
        Exit::InvalidBundle,
        "invalid_bundle",
        format!("`{name}`: {why}"),
    )
}

/// The folder's own files, everything checked that can be before anything is read.
fn list(folder: &Path, commit: &str, home: &str, revision: &str) -> Result<Vec<Entry>, Failure> {
    let mut command = git(folder);
    command.args(["ls-tree", "-z", "--long", "--full-tree", commit]);
    if !home.is_empty() {
        command.args(["--", home]);
    }
    let listing = output(command, LISTING_BYTES_MAX)?
        .ok_or_else(|| Failure::error(format!("git cannot list `{home}` of `{revision}`")))?;
    let mut entries = Vec::new();
    let mut left = BUNDLE_MAX;
    for line in listing
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
    {
        let line = std::str::from_utf8(line).map_err(|_| {
            let shown = String::from_utf8_lossy(line).into_owned();
            let name = shown.rsplit('\t').next().unwrap_or_default().to_owned();
            refused(&name, "its name is not UTF-8; rename it")
        })?;
        let Some((fields, path)) = line.split_once('\t') else {
            return Err(Failure::error("git's listing cannot be read"));
        };
        let name = path.strip_prefix(home).unwrap_or(path).to_owned();
        let mut fields = fields.split_ascii_whitespace();
        let (mode, _, object, size) = (fields.next(), fields.next(), fields.next(), fields.next());
        let is_folder = matches!(mode, Some(FOLDER | SUBMODULE));
        if name.starts_with('.') || is_folder && !belongs(&name) || !is_folder && lies_beside(&name)
        {
            continue;
        }
        match mode {
            Some("100644" | "100755") => {}
            Some(FOLDER | SUBMODULE) => return Err(refused(&name, FOLDER_IN_THE_WAY)),
            Some("120000") => {
                return Err(refused(
                    &name,
                    "it is a symbolic link; put the file itself here",
                ));
            }
            _ => return Err(refused(&name, "it is not a regular file")),
        }
        let (Some(object), Some(Ok(size))) = (object, size.map(str::parse::<usize>)) else {
            return Err(Failure::error("git's listing cannot be read"));
        };
        if size > FILE_MAX {
            return Err(refused(
                &name,
                &format!("it is larger than {FILE_MAX} bytes"),
            ));
        }
        left = left.checked_sub(size).ok_or_else(|| {
            refused(
                &name,
                &format!("the bundle is larger than {BUNDLE_MAX} bytes"),
            )
        })?;
        entries.push(Entry {
            name,
            object: object.to_owned(),
            size,
        });
        if entries.len() > FILES_MAX {
            return Err(refused(
                home,
                &format!("it holds more than {FILES_MAX} files"),
            ));
        }
    }
    if entries.is_empty() {
        return Err(Failure::error(format!(
            "there is no bundle in `{}` of `{revision}`",
            if home.is_empty() { "." } else { home }
        ))
        .hint("name a revision that has one with `--base`"));
    }
    Ok(entries)
}

/// What a command prints, at most `most` bytes; `None` where it failed.
fn output(mut command: Command, most: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(&error))?;
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    let whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= most);
    Ok((status.success() && whole).then_some(bytes))
}

/// Reads each file from the object store.
fn contents(folder: &Path, entries: Vec<Entry>) -> Result<BundleFiles, Failure> {
    let mut child = git(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let (Some(mut asking), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::error("git's objects cannot be read"));
    };
    let mut answers = std::io::BufReader::new(answers);
    let mut files = BTreeMap::new();
    for entry in entries {
        // One at a time, so that neither side waits for the other with a full pipe.
        let bytes = one(&mut asking, &mut answers, &entry)
            .map_err(|error| failed(&error))?
            .ok_or_else(|| {
                Failure::error(format!("git has no content for `{}`", entry.name))
                    .hint("fetch the whole commit first; a partial clone lacks file contents")
            })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refused(&entry.name, "it is not UTF-8; save it as UTF-8"))?;
        files.insert(entry.name, text);
    }
    drop(asking);
    let _ = child.wait();
    Ok(BundleFiles(files))
}

fn one(
    asking: &mut impl std::io::Write,
    answers: &mut impl std::io::BufRead,
    entry: &Entry,
) -> std::io::Result<Option<Vec<u8>>> {
    writeln!(asking, "{}", entry.object)?;
    asking.flush()?;
    let mut head = String::new();
    answers.read_line(&mut head)?;
    if head.trim_end() != format!("{} blob {}", entry.object, entry.size) {
        return Ok(None);
    }
    let mut bytes = vec![0; entry.size + 1];
    answers.read_exact(&mut bytes)?;
    bytes.pop();
    Ok(Some(bytes))
}
