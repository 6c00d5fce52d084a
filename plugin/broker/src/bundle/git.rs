//! A bundle as a commit has it, read from git's objects: nothing is checked out, nothing of the repository is run, and nothing
//! is fetched.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest;
use writ_engine::bundle::{BUNDLE_MAX, BundleFiles, FILE_MAX, FILES_MAX};
use writ_engine::digest::CommitId;

use super::folder::{FOLDER_IN_THE_WAY, belongs, lies_beside};

/// How long one call of git may take, in seconds. The longest walks a repository's whole history, which takes seconds where
/// there are a million commits.
pub const GIT_DEADLINE_S: u64 = 60;

/// The most of a listing that is read, in bytes: [`FILES_MAX`] entries of the longest paths fit many times.
const LISTING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most of an answer of a line or two that is read, in bytes.
pub(super) const LINES_BYTES_MAX: usize = 64 * 1024;

/// The longest line before a file's content, in bytes: an id of 64 digits, `blob`, a size.
const HEAD_BYTES_MAX: usize = 128;

/// How much of git's own words is kept for an error, in bytes.
const SAID_BYTES_MAX: u64 = 400;

/// What of the environment git is given: where it is, where it may put a temporary file, and the owner's own settings
/// (`safe.directory`). Not the variables by which a caller's git would be pointed elsewhere.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR"];

/// What git is told besides. No question and no lock; nothing is fetched that is missing, by no transport (which could run a
/// command of the repository's configuration); and history is what the commits say: no object in another's place, no other
/// parents.
const TOLD: [(&str, &str); 7] = [
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
];

/// Settings that override the repository's own: parents are read from the commits and not from a cache beside them, and the
/// one program that checks signatures is OpenSSH's.
const SETTINGS: [&str; 5] = [
    "core.commitGraph=false",
    "gpg.format=ssh",
    "gpg.ssh.program=ssh-keygen",
    // A signature of another kind would be checked with whatever keys that kind's program finds.
    "gpg.openpgp.program=false",
    "gpg.x509.program=false",
];

/// The first line of what Git LFS leaves in a file's place.
const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/";

/// Git's mode of a folder.
const FOLDER: &str = "040000";

/// Git's mode of a submodule, which is a folder once it is checked out.
const SUBMODULE: &str = "160000";

/// Git's mode of a symbolic link.
const LINK: &str = "120000";

/// Why there is nothing to read, or nothing that may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There is no git to run.
    #[error("git cannot be run: {0}")]
    NoGit(String),
    /// Git could not do it, or took too long; in its own words.
    #[error("git failed: {0}")]
    Git(String),
    /// The commit has no such folder, or nothing in it.
    #[error("there is no bundle in `{0}`")]
    NoBundle(String),
    /// The repository has a file's name and not its content.
    #[error("git has no content for `{0}`")]
    NoContent(String),
    /// A file that a bundle cannot have.
    #[error("`{name}`: {why}")]
    Refused {
        /// The file.
        name: String,
        /// Why not, and what would work.
        why: String,
    },
}

fn refused(name: &str, why: impl Into<String>) -> Unread {
    Unread::Refused {
        name: name.to_owned(),
        why: why.into(),
    }
}

fn failed(error: std::io::Error) -> Unread {
    Unread::Git(error.to_string())
}

/// A git repository.
#[derive(Debug)]
pub struct Repository {
    place: [OsString; 2],
    deadline: Duration,
}

/// What a call of git came to.
pub(super) struct Ran {
    /// Its exit code; `None` where a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed, unless that was more than was asked for.
    pub(super) output: Option<Vec<u8>>,
    /// The beginning of what it complained of.
    pub(super) said: String,
}

impl Ran {
    /// What it printed, if it succeeded.
    pub(super) fn text(self) -> Result<String, Unread> {
        match (self.code, &self.output) {
            (Some(0), Some(output)) => Ok(String::from_utf8_lossy(output).into_owned()),
            _ => Err(self.unread()),
        }
    }

    /// Why it is of no use.
    pub(super) fn unread(&self) -> Unread {
        let said = self.said.lines().next().unwrap_or_default();
        Unread::Git(match (said.is_empty(), &self.output) {
            (false, _) => said.to_owned(),
            (true, None) => "its answer is too long".to_owned(),
            (true, Some(_)) => match self.code {
                Some(code) => format!("it ended with {code}"),
                None => "it was ended by a signal".to_owned(),
            },
        })
    }
}

impl Repository {
    /// The repository that `folder` lies in.
    pub fn around(folder: &Path) -> Repository {
        Repository::in_place(["-C".into(), folder.into()])
    }

    /// The repository at `path`, bare or not, and none further up.
    pub fn at(path: &Path) -> Repository {
        let own = path.join(".git");
        let place = if own.exists() { own } else { path.to_owned() };
        Repository::in_place(["--git-dir".into(), place.into()])
    }

    fn in_place(place: [OsString; 2]) -> Repository {
        Repository {
            place,
            deadline: Duration::from_secs(GIT_DEADLINE_S),
        }
    }

    /// With less patience: no test waits for a minute.
    #[cfg(test)]
    pub(super) fn with_deadline(mut self, deadline: Duration) -> Repository {
        self.deadline = deadline;
        self
    }

    /// The path within its repository of the folder that this is [around](Repository::around), with a slash at its end;
    /// empty for the repository's own folder. `None` where there is no repository.
    pub fn prefix(&self) -> Result<Option<String>, Unread> {
        let ran = self.run(&["rev-parse", "--show-prefix"], "", LINES_BYTES_MAX)?;
        let Ok(text) = ran.text() else {
            return Ok(None);
        };
        Ok(Some(text.trim_end_matches('\n').to_owned()))
    }

    /// The commit that a revision means, if it means one.
    pub fn commit(&self, revision: &str) -> Result<Option<CommitId>, Unread> {
        let peeled = format!("{revision}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        let ran = self.run(
            &[&asked, [peeled.as_str()].as_slice()].concat(),
            "",
            LINES_BYTES_MAX,
        )?;
        Ok(ran.text().ok().and_then(|text| text.trim().parse().ok()))
    }

    /// The texts of `folder`, a path within the repository, as they are in `commit`.
    pub fn read(&self, commit: &CommitId, folder: &str) -> Result<BundleFiles, Unread> {
        let tree = self.folder(commit, folder)?;
        let entries = files(self.list(&tree, None)?, folder)?;
        self.contents(&entries)
    }

    /// The id of a folder, found step by step: git says of a path what is there, and not what lies on the way.
    fn folder(&self, commit: &CommitId, folder: &str) -> Result<String, Unread> {
        let mut tree = commit.to_string();
        let mut path = String::new();
        for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
            path = format!("{path}{part}/");
            let shown = path.trim_end_matches('/');
            let mut found = self.list(&tree, Some(part))?;
            found.retain(|entry| entry.name == part);
            let (Some(entry), None) = (found.pop(), found.pop()) else {
                return Err(Unread::NoBundle(folder.to_owned()));
            };
            match entry.mode.as_str() {
                FOLDER => tree = entry.object,
                SUBMODULE => {
                    return Err(refused(
                        shown,
                        "it is a submodule, and another repository's files are not read; put the folder itself here",
                    ));
                }
                LINK => {
                    return Err(refused(
                        shown,
                        "it is a symbolic link; put the folder itself here",
                    ));
                }
                _ => {
                    return Err(refused(
                        shown,
                        "it is a file, and a bundle is a folder of files",
                    ));
                }
            }
        }
        Ok(tree)
    }

    /// What lies in a tree, or what of it has this name.
    fn list(&self, tree: &str, only: Option<&str>) -> Result<Vec<Entry>, Unread> {
        let mut arguments = vec!["ls-tree", "-z", "--long", "--full-tree", tree];
        if let Some(name) = only {
            arguments.extend(["--", name]);
        }
        let ran = self.run(&arguments, "", LISTING_BYTES_MAX)?;
        let (Some(0), Some(listing)) = (ran.code, &ran.output) else {
            return Err(ran.unread());
        };
        listing
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
            .map(Entry::parse)
            .collect()
    }

    /// Reads each file from the object store, and checks that it is what its id says: git looks at the content of what it
    /// reads only where it is damaged.
    fn contents(&self, entries: &[Entry]) -> Result<BundleFiles, Unread> {
        let asked: String = entries
            .iter()
            .map(|it| format!("{}\n", it.object))
            .collect();
        let most = entries.iter().map(|it| it.size + HEAD_BYTES_MAX).sum();
        let ran = self.run(&["cat-file", "--batch"], &asked, most)?;
        let (Some(0), Some(answer)) = (ran.code, &ran.output) else {
            return Err(ran.unread());
        };
        let mut rest = answer.as_slice();
        let mut files = BTreeMap::new();
        for entry in entries {
            let (content, after) = content(rest, entry)
                .filter(|(content, _)| is_object(&entry.object, content))
                .ok_or_else(|| Unread::NoContent(entry.name.clone()))?;
            rest = after;
            let text = std::str::from_utf8(content)
                .map_err(|_| refused(&entry.name, "it is not UTF-8; save it as UTF-8"))?;
            if text.starts_with(LFS_POINTER) {
                return Err(refused(
                    &entry.name,
                    "it is a pointer of Git LFS and not the file; take it out of LFS (`git lfs untrack`)",
                ));
            }
            if files.insert(entry.name.clone(), text.to_owned()).is_some() {
                return Err(refused(&entry.name, "two files have this name"));
            }
        }
        Ok(BundleFiles(files))
    }

    /// Runs git, gives it `input` and reads at most `most` bytes of its answer.
    ///
    /// The input is written before the answer is read, so it has to fit into a pipe.
    pub(super) fn run(
        &self,
        arguments: &[impl AsRef<OsStr>],
        input: &str,
        most: usize,
    ) -> Result<Ran, Unread> {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Unread::NoGit(error.to_string()))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(Unread::Git("its pipes cannot be opened".to_owned()));
        };
        let (finished, finish) = channel::<()>();
        thread::scope(|scope| {
            let waiting = thread::Builder::new()
                .spawn_scoped(scope, move || {
                    let late = finish.recv_timeout(self.deadline) == Err(RecvTimeoutError::Timeout);
                    if late {
                        // It may have ended just now.
                        let _ = child.kill();
                    }
                    (child.wait(), late)
                })
                .map_err(failed)?;
            let complaint = thread::Builder::new()
                .spawn_scoped(scope, move || beginning(stderr))
                .map_err(failed)?;
            // A git that has ended early says why.
            let _ = stdin.write_all(input.as_bytes());
            drop(stdin);
            let mut output = Vec::new();
            // One byte more than allowed tells an answer that is too long from one that just fits.
            let read = stdout.take(most as u64 + 1).read_to_end(&mut output);
            drop(finished);
            let (Ok((status, late)), Ok(said)) = (waiting.join(), complaint.join()) else {
                return Err(Unread::Git("its answer was not waited for".to_owned()));
            };
            read.map_err(failed)?;
            if late {
                return Err(Unread::Git(format!(
                    "it took more than {} s and was stopped",
                    self.deadline.as_secs()
                )));
            }
            Ok(Ran {
                code: status.map_err(failed)?.code(),
                output: (output.len() <= most).then_some(output),
                said,
            })
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(TOLD);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.args(&self.place);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }
}

/// The first of what a stream holds; the rest is read as well, so that nobody waits for it to be.
fn beginning(mut stream: impl Read) -> String {
    let mut said = Vec::new();
    // What cannot be read is not said.
    let _ = stream.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut said);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    String::from_utf8_lossy(&said).into_owned()
}

/// Something that lies in a tree.
struct Entry {
    mode: String,
    object: String,
    /// In bytes; 0 for what is no file.
    size: usize,
    name: String,
}

impl Entry {
    /// From a line of `git ls-tree --long`.
    fn parse(line: &[u8]) -> Result<Entry, Unread> {
        let line = std::str::from_utf8(line).map_err(|_| {
            let shown = String::from_utf8_lossy(line);
            let name = shown.rsplit('\t').next().unwrap_or_default();
            refused(name, "its name is not UTF-8; rename it")
        })?;
        let unread = || Unread::Git("its listing cannot be read".to_owned());
        let (fields, name) = line.split_once('\t').ok_or_else(unread)?;
        let mut fields = fields.split_ascii_whitespace();
        let (mode, _kind, object, size) =
            (fields.next(), fields.next(), fields.next(), fields.next());
        let (Some(mode), Some(object), Some(size)) = (mode, object, size) else {
            return Err(unread());
        };
        let size = match size {
            "-" => 0,
            digits => digits.parse().map_err(|_| unread())?,
        };
        Ok(Entry {
            mode: mode.to_owned(),
            object: object.to_owned(),
            size,
            name: name.to_owned(),
        })
    }
}

/// The bundle's own of what lies in its folder, everything checked that can be before anything is read.
fn files(entries: Vec<Entry>, folder: &str) -> Result<Vec<Entry>, Unread> {
    let mut files = Vec::new();
    let mut left = BUNDLE_MAX;
    for entry in entries {
        let name = entry.name.as_str();
        // Git makes no such name, and whoever makes the objects by hand can.
        if name.contains('/') || matches!(name, "." | "..") {
            return Err(refused(name, "it is not the name of a file; rename it"));
        }
        let is_folder = entry.mode == FOLDER;
        if name.starts_with('.')
            || is_folder && !belongs(name)
            || !is_folder && entry.mode != SUBMODULE && lies_beside(name)
        {
            continue;
        }
        match entry.mode.as_str() {
            "100644" | "100755" => {}
            FOLDER | SUBMODULE => return Err(refused(name, FOLDER_IN_THE_WAY)),
            LINK => {
                return Err(refused(
                    name,
                    "it is a symbolic link; put the file itself here",
                ));
            }
            _ => return Err(refused(name, "it is not a regular file")),
        }
        if entry.size > FILE_MAX {
            return Err(refused(name, format!("it is larger than {FILE_MAX} bytes")));
        }
        left = left.checked_sub(entry.size).ok_or_else(|| {
            refused(
                name,
                format!("the bundle is larger than {BUNDLE_MAX} bytes"),
            )
        })?;
        files.push(entry);
        if files.len() > FILES_MAX {
            return Err(refused(
                folder,
                format!("it holds more than {FILES_MAX} files"),
            ));
        }
    }
    match files.is_empty() {
        true => Err(Unread::NoBundle(folder.to_owned())),
        false => Ok(files),
    }
}

/// The next file's content in the answer of `git cat-file --batch`, and what comes after it.
fn content<'a>(answer: &'a [u8], entry: &Entry) -> Option<(&'a [u8], &'a [u8])> {
    let head = format!("{} blob {}\n", entry.object, entry.size);
    let (content, rest) = answer
        .strip_prefix(head.as_bytes())?
        .split_at_checked(entry.size)?;
    Some((content, rest.strip_prefix(b"\n")?))
}

/// Whether a file with this content has this id.
fn is_object(id: &str, content: &[u8]) -> bool {
    // SHA-1 where the repository uses it, as nearly all do. Git refuses to fetch two files of one id.
    let algorithm = match id.len() {
        40 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        _ => &digest::SHA256,
    };
    let mut context = digest::Context::new(algorithm);
    context.update(format!("blob {}\0", content.len()).as_bytes());
    context.update(content);
    hex::encode(context.finish()) == id
}
