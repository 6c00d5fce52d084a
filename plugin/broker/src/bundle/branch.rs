//! A branch of a git repository as the source of the bundle: where it may go, and whose commits it may have.
//!
//! ```text
//!             anchor                 in force            head
//! ───o───o──────●──────o──────o─────────●──────o──────────●
//!               └─ signed by an allowed key, each of them ─┘
//!                                       └── descends from ─┘
//! ```
//!
//! The repository lies on this machine and somebody else keeps it fetched: the broker opens no network and has no
//! credentials for one. A branch that moves back, aside or to an unsigned commit changes nothing of what is in force.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf, absolute};

use writ_engine::bundle::Report;
use writ_engine::digest::{CommitId, Digest};

use super::git::{LINES_BYTES_MAX, Repository, Unread};
use super::{InForce, Refusal};

/// The most commits there may be between the anchor and the head. A signature takes about 15 ms to check, and all are checked
/// at each start: half a minute.
const COMMITS_MAX: usize = 2_000;

/// Signatures checked by one call of git: three seconds of its time, and as many ids as fit into a pipe.
const CHECKED_AT_ONCE: usize = 200;

/// The largest file of allowed signers, in bytes: some hundreds of keys.
const SIGNERS_MAX: u64 = 256 * 1024;

/// A branch, and what has to hold of its commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchSettings {
    /// The repository, bare or not.
    pub repository: PathBuf,
    /// The branch's name, without `refs/heads/`.
    pub branch: String,
    /// The bundle's folder within the repository; `.` for the repository's own.
    pub folder: String,
    /// Whose signatures the commits must bear; `None` where they need none.
    pub signed: Option<Signed>,
    /// The one step that need not be a descent.
    pub accept_rewrite: Option<Rewrite>,
}

/// Whose signatures commits must bear, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The allowed keys, in the format of OpenSSH's `allowed_signers`.
    pub allowed_signers_file: PathBuf,
    /// The newest commit that is trusted as it is. It and what it descends from need no signature.
    pub anchor: CommitId,
}

/// A step from one commit to another that does not descend from it. It names both, so that it allows nothing else, and
/// nothing more once it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The commit last in force.
    pub from: CommitId,
    /// The commit that is to follow it.
    pub to: CommitId,
}

/// What the source looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    head: CommitId,
    signers: Option<Digest>,
}

/// A branch that is watched.
#[derive(Debug)]
pub(super) struct Branch {
    settings: BranchSettings,
    repository: Repository,
    /// What it looked like when it was last read, good or bad; `None` before.
    read: Option<Result<Seen, String>>,
    /// The commits that were found to be signed, by one of the keys of this file.
    checked: (Option<Digest>, HashSet<CommitId>),
}

impl Branch {
    pub(super) fn new(settings: &BranchSettings) -> Branch {
        Branch {
            settings: settings.clone(),
            repository: Repository::at(&settings.repository),
            read: None,
            checked: (None, HashSet::new()),
        }
    }

    /// Whether it looks different from when it was last read. One short call of git.
    pub(super) fn has_changed(&self) -> bool {
        self.read.as_ref() != Some(&self.look())
    }

    /// The bundle of the branch's newest commit, if that may follow the commit `in_force`.
    pub(super) fn read(&mut self, in_force: Option<&CommitId>) -> Result<InForce, Refusal> {
        let seen = self.look();
        self.read = Some(seen.clone());
        let seen = seen.map_err(|why| self.refused(None, why, None))?;
        let head = &seen.head;
        self.is_whole(head)?;
        if let Some(old) = in_force
            && !self.descends(head, old)?
        {
            return Err(self.turned(head, old));
        }
        if let (Some(signed), Some(signers)) = (self.settings.signed.clone(), seen.signers) {
            self.check_signatures(head, &signed, signers)?;
        }
        let files = self
            .repository
            .read(head, &self.settings.folder)
            .map_err(|unread| self.unread(head, unread))?;
        InForce::check(&files, Some(seen.head))
    }

    /// Refuses `head` unless it may follow `mark`, the commit that was in force before the broker was started.
    pub(super) fn goes_on_from(&self, mark: &CommitId, head: &CommitId) -> Result<(), Refusal> {
        let accepted = self.settings.accept_rewrite.as_ref();
        if self.descends(head, mark)? {
            if accepted.is_some() {
                tracing::warn!("`accept_rewrite` is not needed; take it out of the configuration");
            }
            return Ok(());
        }
        match accepted {
            Some(step) if step.from == *mark && self.descends(head, &step.to)? => {
                tracing::warn!(
                    branch = self.reference(),
                    from = %step.from,
                    to = %step.to,
                    "the branch's history was rewritten, and `accept_rewrite` takes it so"
                );
                Ok(())
            }
            Some(_) | None => Err(self.turned(head, mark)),
        }
    }

    fn reference(&self) -> String {
        format!("refs/heads/{}", self.settings.branch)
    }

    fn look(&self) -> Result<Seen, String> {
        let head = self.head()?;
        let signers = match &self.settings.signed {
            Some(signed) => Some(signers(&signed.allowed_signers_file)?),
            None => None,
        };
        Ok(Seen { head, signers })
    }

    /// The commit that the branch, and nothing else of this name, is at.
    fn head(&self) -> Result<CommitId, String> {
        let reference = self.reference();
        let format = "--format=%(refname) %(objecttype) %(objectname)%(symref)";
        let told = self
            .repository
            .run(&["for-each-ref", format, &reference], "", LINES_BYTES_MAX)
            .and_then(|ran| ran.text())
            .map_err(|unread| self.of_repository(&unread))?;
        // It tells of `main/x` as well.
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(&reference)?.strip_prefix(' '));
        let Some(line) = line else {
            return Err(format!(
                "the repository `{}` has no branch `{}`; fetch it, or name another",
                self.settings.repository.display(),
                self.settings.branch
            ));
        };
        let head = line.strip_prefix("commit ").map(str::parse);
        match head {
            Some(Ok(head)) => Ok(head),
            Some(Err(_)) | None => Err(format!(
                "`{reference}` is another name of something else, and not a branch at a commit"
            )),
        }
    }

    /// Refuses a repository that does not hold all its history by itself.
    fn is_whole(&self, head: &CommitId) -> Result<(), Refusal> {
        let asked = [
            "rev-parse",
            "--path-format=absolute",
            "--is-shallow-repository",
            "--git-path",
            "objects/info/alternates",
        ];
        let told = self
            .repository
            .run(&asked, "", LINES_BYTES_MAX)
            .and_then(|ran| ran.text())
            .map_err(|unread| self.unread(head, unread))?;
        let mut lines = told.lines();
        let (shallow, alternates) = (lines.next(), lines.next());
        let repository = self.settings.repository.display();
        if shallow != Some("false") {
            let why =
                format!("the repository `{repository}` is a shallow clone, and lacks history");
            let help = "fetch the rest: `git fetch --unshallow`";
            return Err(self.refused(Some(head), why, Some(help.to_owned())));
        }
        if alternates.is_none_or(|path| Path::new(path).exists()) {
            let why = format!("the repository `{repository}` takes objects from another one");
            let help =
                "copy them: `git repack -a -d`, then remove its file `objects/info/alternates`";
            return Err(self.refused(Some(head), why, Some(help.to_owned())));
        }
        Ok(())
    }

    /// Whether a commit is `ancestor` or descends from it.
    fn descends(&self, commit: &CommitId, ancestor: &CommitId) -> Result<bool, Refusal> {
        let asked = [
            "merge-base",
            "--is-ancestor",
            ancestor.as_str(),
            commit.as_str(),
        ];
        let unread = |unread| self.unread(commit, unread);
        let ran = self
            .repository
            .run(&asked, "", LINES_BYTES_MAX)
            .map_err(unread)?;
        match ran.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            // What is not there any more is nobody's ancestor.
            _ => match self.repository.commit(ancestor.as_str()).map_err(unread)? {
                None => Ok(false),
                Some(_) => Err(self.unread(commit, ran.unread())),
            },
        }
    }

    /// Refuses unless each commit from the anchor to the head is signed by an allowed key, on whichever way they are merged.
    fn check_signatures(
        &mut self,
        head: &CommitId,
        signed: &Signed,
        signers: Digest,
    ) -> Result<(), Refusal> {
        let anchor = &signed.anchor;
        if !self.descends(head, anchor)? {
            let why = format!(
                "`{}` is at {head}, which does not descend from the anchor {anchor}",
                self.reference()
            );
            let help = "set `anchor` to the newest commit of the branch that you trust as it is";
            return Err(self.refused(Some(head), why, Some(help.to_owned())));
        }
        if self.checked.0 != Some(signers) {
            self.checked = (Some(signers), HashSet::new());
        }
        let unchecked: Vec<CommitId> = self
            .commits(head, anchor)?
            .into_iter()
            .filter(|commit| !self.checked.1.contains(commit))
            .collect();
        for commits in unchecked.chunks(CHECKED_AT_ONCE) {
            self.are_signed(head, commits, &signed.allowed_signers_file)?;
            self.checked.1.extend(commits.iter().cloned());
        }
        Ok(())
    }

    /// The commits that the head descends from, itself included, and the anchor does not; oldest first.
    fn commits(&self, head: &CommitId, anchor: &CommitId) -> Result<Vec<CommitId>, Refusal> {
        let most = format!("--max-count={}", COMMITS_MAX + 1);
        let range = format!("{anchor}..{head}");
        let asked = ["rev-list", "--topo-order", &most, &range];
        let told = self
            .repository
            .run(&asked, "", (COMMITS_MAX + 1) * 65)
            .and_then(|ran| ran.text())
            .map_err(|unread| self.unread(head, unread))?;
        let commits: Result<Vec<CommitId>, _> = told.lines().rev().map(str::parse).collect();
        match commits {
            Ok(commits) if commits.len() <= COMMITS_MAX => Ok(commits),
            Ok(_) => {
                let why = format!("there are more than {COMMITS_MAX} commits after the anchor");
                let help = "set `anchor` to a newer commit that you trust as it is";
                Err(self.refused(Some(head), why, Some(help.to_owned())))
            }
            Err(_) => Err(self.unread(
                head,
                Unread::Git("its list of commits cannot be read".to_owned()),
            )),
        }
    }

    fn are_signed(
        &self,
        head: &CommitId,
        commits: &[CommitId],
        signers: &Path,
    ) -> Result<(), Refusal> {
        let unread = |unread| self.unread(head, unread);
        let signers = absolute(signers).map_err(|error| unread(Unread::Git(error.to_string())))?;
        let mut setting = OsString::from("gpg.ssh.allowedSignersFile=");
        setting.push(signers);
        // `log`, since git before 2.41 reads these settings for it and not for its own plumbing.
        let asked: [&OsStr; 8] = [
            "-c".as_ref(),
            &setting,
            "log".as_ref(),
            "--no-walk=unsorted".as_ref(),
            "--stdin".as_ref(),
            "--no-show-signature".as_ref(),
            "--no-patch".as_ref(),
            "--format=%H %G?".as_ref(),
        ];
        let input: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
        let ran = self.repository.run(&asked, &input, LINES_BYTES_MAX);
        let ran = ran.map_err(unread)?;
        let complaint = match ran.said.lines().next() {
            Some(said) => format!(" (git: {said})"),
            None => String::new(),
        };
        let told = ran.text().map_err(unread)?;
        let mut lines = told.lines();
        for commit in commits {
            // An answer about another commit, or none, is no signature.
            let verdict = lines
                .next()
                .and_then(|line| line.strip_prefix(commit.as_str())?.strip_prefix(' '));
            let why = match verdict {
                Some("G") => continue,
                Some("N") => "it has no signature that counts (an SSH signature is needed)",
                Some("U") => "its key is not among the allowed ones, or was not at its date",
                Some("B") => "its signature is wrong",
                Some("X" | "Y") => "its signature or key has expired",
                Some("R") => "its key was revoked",
                Some(_) | None => "its signature cannot be checked",
            };
            let why = format!("commit {commit} is not signed by an allowed key: {why}{complaint}");
            let help = "take it off the branch; or, if it is trusted as it is, set `anchor` to it or to a newer commit";
            return Err(self.refused(Some(head), why, Some(help.to_owned())));
        }
        Ok(())
    }

    fn turned(&self, head: &CommitId, old: &CommitId) -> Refusal {
        let why = format!(
            "`{}` is at {head}, which does not descend from {old}, the commit in force: its history was rewritten or turned back",
            self.reference()
        );
        let help = format!(
            "put the branch back, or, if this is meant, start the broker with `accept_rewrite {{ from = \"{old}\" to = \"{head}\" }}` in the block `git`"
        );
        self.refused(Some(head), why, Some(help))
    }

    fn of_repository(&self, unread: &Unread) -> String {
        format!(
            "the repository `{}` cannot be read: {unread}",
            self.settings.repository.display()
        )
    }

    fn unread(&self, head: &CommitId, unread: Unread) -> Refusal {
        let (file, why) = match &unread {
            Unread::NoGit(_) | Unread::Git(_) | Unread::NoContent(_) => {
                (self.reference(), self.of_repository(&unread))
            }
            Unread::NoBundle(_) => (self.reference(), unread.to_string()),
            Unread::Refused { name, .. } => (name.clone(), unread.to_string()),
        };
        let mut report = Report::default();
        report.push_file(&file, why, None);
        Refusal {
            report,
            commit: Some(head.clone()),
        }
    }

    fn refused(&self, commit: Option<&CommitId>, why: String, help: Option<String>) -> Refusal {
        let mut report = Report::default();
        report.push_file(&self.reference(), why, help);
        Refusal {
            report,
            commit: commit.cloned(),
        }
    }
}

/// The digest of the file of allowed signers: another one means that every signature is checked again.
fn signers(file: &Path) -> Result<Digest, String> {
    let unusable = |why: String| format!("the allowed signers in `{}`: {why}", file.display());
    let mut text = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(SIGNERS_MAX + 1).read_to_end(&mut text))
        .map_err(|error| unusable(format!("it cannot be read: {error}")))?;
    if text.len() as u64 > SIGNERS_MAX {
        return Err(unusable(format!("it is larger than {SIGNERS_MAX} bytes")));
    }
    Ok(Digest::of("writ.v1.allowed-signers", &text))
}
