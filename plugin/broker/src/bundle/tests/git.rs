//! What is read of a commit, and what cannot be.

use super::*;
use crate::bundle::git::{Repository, Unread};

impl Author {
    /// A commit whose folder `policies` is made of these lines of `git mktree`, beside what makes a bundle.
    fn with(&self, lines: &str) -> CommitId {
        let sound = self.git(&["ls-tree", "HEAD:policies"]);
        let tree = self.git_with(&format!("{sound}\n{}\n", lines.trim_end()), &["mktree"]);
        self.with_folder(&tree)
    }

    fn with_folder(&self, tree: &str) -> CommitId {
        let root = self.git_with(&format!("040000 tree {tree}\tpolicies\n"), &["mktree"]);
        self.git(&["commit-tree", &root, "-m", "made by hand"])
            .parse()
            .unwrap()
    }

    fn blob(&self, content: &str) -> String {
        self.git_with(content, &["hash-object", "-w", "--stdin"])
    }

    fn read(&self, commit: &CommitId) -> Result<BundleFiles, Unread> {
        Repository::at(&self.work()).read(commit, "policies")
    }
}

#[test]
fn a_commits_bundle_is_its_files_whatever_lies_in_the_work_tree() {
    let author = Author::new();
    let head = author.head();
    author.write("access.cedar", "not committed");
    assert_eq!(author.read(&head).unwrap(), shipped_texts());
    let around = Repository::around(&author.work().join("policies"));
    assert_eq!(around.prefix().unwrap().as_deref(), Some("policies/"));
    assert_eq!(around.commit("main").unwrap(), Some(head.clone()));
    assert_eq!(around.commit("--help").unwrap(), None);
    assert_eq!(around.read(&head, "policies/").unwrap(), shipped_texts());
}

#[test]
fn what_people_and_tools_keep_beside_a_bundle_is_passed_over() {
    let author = Author::new();
    let (blob, tree) = (
        author.blob("x"),
        author.git(&["rev-parse", "HEAD:policies"]),
    );
    let beside = format!(
        "100644 blob {blob}\tREADME.md\n120000 blob {blob}\tLICENSE\n100644 blob {blob}\t.gitignore\n040000 tree {tree}\ttests"
    );
    let commit = author.with(&beside);
    assert_eq!(author.read(&commit).unwrap(), shipped_texts());
}

#[test]
fn each_thing_that_a_bundle_cannot_have_is_refused_by_name() {
    let author = Author::new();
    let blob = author.blob("// x");
    let head = author.head();
    let tree = author.git(&["rev-parse", "HEAD:policies"]);
    let pointer = author.blob(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
    );
    let large = author.blob(&"/".repeat(1024 * 1024 + 1));
    let full = author.blob(&"/".repeat(1024 * 1024));
    let lines = |count: usize, blob: &str| -> String {
        (0..count)
            .map(|number| format!("100644 blob {blob}\tx{number}.cedar\n"))
            .collect()
    };
    // What is added to the folder, and what is said of it.
    let table = [
        (
            format!("120000 blob {blob}\tmore.cedar"),
            "`more.cedar`: it is a symbolic link",
        ),
        (
            format!("120000 blob {blob}\tmore"),
            "`more`: it is a symbolic link",
        ),
        (
            format!("160000 commit {head}\tmore.cedar"),
            "`more.cedar`: it is a folder or a submodule",
        ),
        (
            format!("160000 commit {head}\tmore"),
            "`more`: it is a folder or a submodule",
        ),
        (
            format!("040000 tree {tree}\tmore.cedar"),
            "`more.cedar`: it is a folder or a submodule",
        ),
        (
            format!("100644 blob {pointer}\tmore.cedar"),
            "`more.cedar`: it is a pointer of Git LFS",
        ),
        (
            format!("100644 blob {large}\tmore.cedar"),
            "`more.cedar`: it is larger than 1048576 bytes",
        ),
        (lines(9, &full), "the bundle is larger than 8388608 bytes"),
        (
            lines(201, &blob),
            "`policies`: it holds more than 200 files",
        ),
        (
            format!("100644 blob {blob}\t.."),
            "`..`: it is not the name of a file",
        ),
        (
            format!("100644 blob {blob}\t."),
            "`.`: it is not the name of a file",
        ),
        (
            format!("100644 blob {blob}\taccess.cedar"),
            "`access.cedar`: two files have this name",
        ),
    ];
    for (added, expected) in table {
        let commit = author.with(&added);
        let unread = author.read(&commit).unwrap_err().to_string();
        assert!(unread.contains(expected), "{expected}: {unread}");
    }
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let author = Author::new();
    let id = hex::decode(author.blob("// x")).unwrap();
    for name in ["../access.cedar", "tests/access.cedar", "/etc/passwd.cedar"] {
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend_from_slice(&id);
        fs::write(author.path("tree"), tree).unwrap();
        let made = author.path("tree").display().to_string();
        let tree = author.git(&["hash-object", "-t", "tree", "-w", "--literally", &made]);
        let unread = author.read(&author.with_folder(&tree)).unwrap_err();
        assert!(
            unread.to_string().contains("it is not the name of a file"),
            "{name}: {unread}"
        );
    }
}

#[test]
fn the_folder_is_a_folder_all_the_way_and_never_a_link_or_a_submodule() {
    let author = Author::new();
    let (head, blob) = (author.head(), author.blob("policies"));
    let empty = author.git_with("", &["mktree"]);
    let table = [
        (format!("100644 blob {blob}\tpolicies"), "it is a file"),
        (
            format!("120000 blob {blob}\tpolicies"),
            "it is a symbolic link",
        ),
        (
            format!("160000 commit {head}\tpolicies"),
            "it is a submodule",
        ),
        (
            format!("040000 tree {empty}\tpolicies"),
            "there is no bundle in `policies`",
        ),
        (
            format!("100644 blob {blob}\tPolicies"),
            "there is no bundle in `policies`",
        ),
    ];
    for (line, expected) in table {
        let root = author.git_with(&format!("{line}\n"), &["mktree"]);
        let commit = author.git(&["commit-tree", &root, "-m", "x"]);
        let unread = author.read(&commit.parse().unwrap()).unwrap_err();
        assert!(
            unread.to_string().contains(expected),
            "{expected}: {unread}"
        );
    }

    let deep = author.git_with(
        &format!("040000 tree {head}^{{tree}}\tteams\n").replace(
            &format!("{head}^{{tree}}"),
            &author.git(&["rev-parse", "HEAD^{tree}"]),
        ),
        &["mktree"],
    );
    let commit = author.git(&["commit-tree", &deep, "-m", "x"]);
    let read = |folder| Repository::at(&author.work()).read(&commit.parse().unwrap(), folder);
    assert_eq!(read("teams/policies").unwrap(), shipped_texts());
    let unread = read("teams/policies/access.cedar").unwrap_err();
    assert!(
        unread
            .to_string()
            .contains("`teams/policies/access.cedar`: it is a file")
    );
    assert!(matches!(read("."), Err(Unread::NoBundle(_))));
}

#[test]
fn bytes_that_are_no_text_and_names_that_are_none_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let author = Author::new();
    let at = |name: &[u8]| author.work().join("policies").join(OsStr::from_bytes(name));
    fs::write(at(b"more.cedar"), b"// \xff").unwrap();
    let unread = author.read(&author.commit("bytes")).unwrap_err();
    assert_eq!(
        unread.to_string(),
        "`more.cedar`: it is not UTF-8; save it as UTF-8"
    );
    fs::remove_file(at(b"more.cedar")).unwrap();
    fs::write(at(b"\xff.cedar"), "").unwrap();
    let unread = author.read(&author.commit("a name")).unwrap_err();
    assert!(unread.to_string().contains("its name is not UTF-8"));
}

/// Where a loose object lies, for a test to break it.
fn object(author: &Author, id: &str) -> PathBuf {
    let (folder, file) = id.split_at(2);
    let path = author.work().join(".git/objects").join(folder).join(file);
    assert!(path.exists(), "{id} is a loose object");
    path
}

#[test]
fn content_in_the_place_of_other_content_is_noticed() {
    let author = Author::new();
    let head = author.head();
    let id = author.git(&["rev-parse", "HEAD:policies/guardrails.cedar"]);
    let path = object(&author, &id);
    let whole = fs::read(&path).unwrap();
    let tree = author.git(&["rev-parse", "HEAD:policies"]);
    let tree_path = object(&author, &tree);
    let whole_tree = fs::read(&tree_path).unwrap();
    let put = |path: &Path, bytes: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };

    // As long as the guardrails, and forbids nothing: git itself would not look.
    let length = shipped_texts().0["guardrails.cedar"].len();
    let other = author.blob(&format!("//{}", " ".repeat(length - 2)));
    put(&path, &fs::read(object(&author, &other)).unwrap());
    assert_eq!(author.git(&["cat-file", "-s", &id]), length.to_string());
    assert_eq!(
        author.read(&head),
        Err(Unread::NoContent("guardrails.cedar".to_owned()))
    );

    put(&path, &whole[..whole.len() / 2]);
    assert!(author.read(&head).is_err());
    fs::remove_file(&path).unwrap();
    assert!(author.read(&head).is_err());
    fs::write(&path, &whole).unwrap();
    assert!(author.read(&head).is_ok());

    let without = author.git_with(
        &author
            .git(&["ls-tree", &tree])
            .lines()
            .filter(|line| !line.contains("guardrails"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
        &["mktree"],
    );
    put(&tree_path, &fs::read(object(&author, &without)).unwrap());
    assert!(author.read(&head).is_err());
    put(&tree_path, &whole_tree);
    assert!(author.read(&head).is_ok());
}

#[test]
fn a_repository_that_uses_sha_256_is_read_as_well() {
    let author = Author::new();
    author.git(&[
        "init",
        "--quiet",
        "--object-format=sha256",
        "--initial-branch=main",
        "new",
    ]);
    let new = author.work().join("new");
    let shown = new.display().to_string();
    fs::create_dir(new.join("policies")).unwrap();
    for (name, text) in shipped_texts().0 {
        fs::write(new.join("policies").join(name), text).unwrap();
    }
    author.git(&["-C", &shown, "add", "--all"]);
    author.git(&["-C", &shown, "commit", "--quiet", "--message", "x"]);
    let repository = Repository::at(&new);
    let head = repository.commit("main").unwrap().unwrap();
    assert_eq!(head.as_str().len(), 64);
    assert_eq!(repository.read(&head, "policies").unwrap(), shipped_texts());
}

#[test]
fn what_a_partial_clone_lacks_is_not_fetched() {
    let author = Author::new();
    author.git(&["config", "uploadpack.allowFilter", "true"]);
    let from = format!("file://{}", author.work().display());
    let clone = author.path("partial.git");
    let shown = clone.display().to_string();
    author.git(&[
        "clone",
        "--quiet",
        "--bare",
        "--filter=blob:none",
        &from,
        &shown,
    ]);
    let unread = Repository::at(&clone).read(&author.head(), "policies");
    // Git knows no size of what it lacks, so that already the listing fails.
    assert!(
        matches!(unread, Err(Unread::Git(_) | Unread::NoContent(_))),
        "{unread:?}"
    );
    let there = author.git(&[
        "-C",
        &shown,
        "rev-list",
        "--objects",
        "--missing=print",
        "main",
    ]);
    let lacking = there.lines().filter(|line| line.starts_with('?')).count();
    assert_eq!(lacking, shipped_texts().0.len(), "{there}");
}

#[test]
fn a_git_that_does_not_end_is_ended() {
    let author = Author::new();
    let (refs, head) = (author.work().join(".git/packed-refs"), author.head());
    let made = Command::new("mkfifo").arg(&refs).status();
    assert!(made.unwrap().success());
    let repository = Repository::at(&author.work());
    let hasty = repository.with_deadline(std::time::Duration::from_millis(300));
    // It waits for somebody to write the names of the branches.
    let unread = hasty.commit("side").unwrap_err();
    assert_eq!(
        unread.to_string(),
        "git failed: it took more than 0 s and was stopped"
    );
    fs::remove_file(refs).unwrap();
    assert_eq!(
        Repository::at(&author.work()).commit("main"),
        Ok(Some(head))
    );
}
