//! The bundle in force from a branch of a git repository: the real broker, real git and real keys, a history of bad
//! revisions, and the good one after each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use writ_tests::{World, edit, fact, root, skipped, writ};

/// The line that goes with each refused bundle.
const LOUD: &str = "the bundle is broken; the last good one stays in force";

/// The line that goes with each new one.
const TAKEN: &str = "a new bundle is in force";

/// As many bad revisions as there are at least.
const BAD_MIN: usize = 30;

/// How long a broker may take: a loaded machine's patience.
const PATIENCE: Duration = Duration::from_secs(60);

fn peers_are_there() -> bool {
    let there = |program: &str, argument: &str| {
        let ran = Command::new(program).arg(argument).output();
        if let Err(error) = &ran {
            skipped(program, &error.to_string());
        }
        ran.is_ok()
    };
    there("git", "--version") && there("ssh-keygen", "-?")
}

/// The repository that people push to, their keys, and the mirror of it that an operator keeps fetched.
struct Upstream {
    dir: PathBuf,
    anchor: String,
}

impl Upstream {
    /// Beside the broker's configuration, which then takes the bundle from the mirror, with `more` in its block.
    fn beside(dir: &Path, more: impl FnOnce(&str) -> String) -> Upstream {
        let mut upstream = Upstream {
            dir: dir.to_owned(),
            anchor: String::new(),
        };
        for name in ["mia", "pat", "eve"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(dir.join(name))
                .status();
            assert!(made.unwrap().success());
        }
        upstream.allow(&["mia", "pat"]);
        fs::create_dir(dir.join("work")).unwrap();
        upstream.git(&["init", "--quiet", "--initial-branch=main"]);
        fs::create_dir(upstream.work().join("policies")).unwrap();
        for entry in fs::read_dir(dir.join("policies")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, upstream.file(path.file_name().unwrap())).unwrap();
        }
        fs::remove_dir_all(dir.join("policies")).unwrap();
        upstream.anchor = upstream.commit(None, "the anchor");
        upstream.git(&["clone", "--quiet", "--mirror", ".", "../policies.git"]);
        let more = more(&upstream.anchor);
        edit(
            &dir.join("writ.hcl"),
            "bundle { path = \"policies\" }",
            &format!(
                "bundle {{\n  git {{\n    repository = \"policies.git\"\n    branch = \"main\"\n    folder = \"policies\"\n{more}  }}\n}}"
            ),
        );
        upstream
    }

    fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    fn mirror(&self) -> PathBuf {
        self.dir.join("policies.git")
    }

    /// A file of the bundle.
    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work().join("policies").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.file(name))
            .unwrap();
        writeln!(file, "{text}").unwrap();
    }

    /// The keys that are allowed from now.
    fn allow(&self, names: &[&str]) {
        let line = |name: &&str| {
            let public = fs::read_to_string(self.dir.join(format!("{name}.pub"))).unwrap();
            format!("{name}@corp.example {public}")
        };
        let lines: String = names.iter().map(line).collect();
        fs::write(self.dir.join("allowed_signers"), lines).unwrap();
    }

    fn git<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        self.git_with("", arguments)
    }

    /// Runs git in the work tree, gives it `input`, and returns what it printed.
    fn git_with<A: AsRef<OsStr>>(&self, input: &str, arguments: &[A]) -> String {
        let mut child = Command::new("git")
            .args(["-c", "user.name=mia", "-c", "user.email=mia@corp.example"])
            .args([
                "-c",
                "gpg.format=ssh",
                "-c",
                "advice.graftFileDeprecated=false",
            ])
            .args(arguments)
            .current_dir(self.work())
            // Nobody's own settings of git.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn in_mirror(&self, arguments: &[&str]) -> String {
        self.git(&[&["--git-dir=../policies.git"], arguments].concat())
    }

    fn id(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision])
    }

    fn key(&self, name: &str) -> String {
        format!("--gpg-sign={}", self.dir.join(name).display())
    }

    /// Commits all there is in the work tree, signed if a key is named.
    fn commit(&self, key: Option<&str>, message: &str) -> String {
        self.git(&["add", "--all"]);
        let signed = match key {
            Some(name) => self.key(name),
            None => "--no-gpg-sign".to_owned(),
        };
        self.git(&["commit", "--quiet", "--allow-empty", &signed, "-m", message]);
        self.id("HEAD")
    }

    /// A good commit.
    fn good(&self, comment: &str) -> String {
        self.append("more.cedar", &format!("// {comment}"));
        self.commit(Some("mia"), comment)
    }

    /// Moves the branch to a commit of this tree, signed.
    fn commit_tree(&self, tree: &str) -> String {
        let head = self.id("HEAD");
        let made = self.git(&[
            "commit-tree",
            &self.key("mia"),
            "-p",
            &head,
            "-m",
            "x",
            tree,
        ]);
        self.point(&made);
        made
    }

    /// As [`Upstream::commit_tree`], with one line of `git mktree` in the place of `policies`.
    fn commit_root(&self, line: &str) {
        let root = self.git_with(&format!("{line}\n"), &["mktree"]);
        self.commit_tree(&root);
    }

    /// As [`Upstream::commit_tree`], with one line of `git mktree` more in the bundle's folder.
    fn commit_entry(&self, line: &str) {
        let sound = self.git(&["ls-tree", "HEAD:policies"]);
        let tree = self.git_with(&format!("{sound}\n{line}\n"), &["mktree"]);
        self.commit_root(&format!("040000 tree {tree}\tpolicies"));
    }

    fn blob(&self, content: &str) -> String {
        self.git_with(content, &["hash-object", "-w", "--stdin"])
    }

    fn point(&self, commit: &str) {
        self.git(&["update-ref", "refs/heads/main", commit]);
    }

    /// What the operator's timer does.
    fn fetch(&self) {
        self.in_mirror(&["fetch", "--quiet", "--prune"]);
    }

    /// Brings a commit into the mirror, as loose objects for a test to break, and leaves its branch where it is.
    fn fetch_aside(&self, commit: &str) {
        let aside = format!("{commit}:refs/aside/x");
        self.git(&["push", "--quiet", "--force", "../policies.git", &aside]);
    }

    fn object(&self, id: &str) -> PathBuf {
        let (folder, file) = id.split_at(2);
        self.mirror().join("objects").join(folder).join(file)
    }

    /// Puts everything back as it was when `commit` was good.
    fn restore(&self, commit: &str) {
        for path in ["info/grafts", "shallow", "objects/info/alternates"] {
            // Most revisions made none of them.
            let _ = fs::remove_file(self.mirror().join(path));
        }
        self.in_mirror(&["update-ref", "--no-deref", "refs/heads/main", commit]);
        for reference in self
            .git(&["for-each-ref", "--format=%(refname)"])
            .lines()
            .filter(|it| *it != "refs/heads/main")
        {
            self.git(&["update-ref", "--no-deref", "-d", reference]);
        }
        self.point(commit);
        self.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        self.git(&["reset", "--quiet", "--hard"]);
        self.git(&["clean", "--quiet", "-ffdx"]);
        self.fetch();
    }
}

type Making = Box<dyn Fn(&Upstream)>;

/// A bad revision: what it is, how it is made and fetched, and what the alarm says of it.
struct Bad(&'static str, Making, &'static str);

/// What is wrong with the files of the bundle.
fn bad_files() -> Vec<Bad> {
    let appended = |what, file: &'static str, text: &'static str, says| {
        let make: Making = Box::new(move |up: &Upstream| up.append(file, text));
        Bad(what, make, says)
    };
    let made = |what, make: fn(&Upstream), says| Bad(what, Box::new(make), says);
    let mut table = vec![
        appended("a syntax error", "access.cedar", "permit (", "access.cedar"),
        appended(
            "a policy without a name",
            "access.cedar",
            "permit (principal, action, resource);",
            "@id",
        ),
        appended(
            "a name given twice",
            "guardrails.cedar",
            "@id(\"proddb.read.engineer\") forbid (principal, action, resource) when { false };",
            "proddb.read.engineer",
        ),
        appended(
            "a type error",
            "access.cedar",
            "@id(\"x\") permit (principal, action == Action::\"activate\", resource) when { context.window.duration < 5 };",
            "access.cedar",
        ),
        appended(
            "a forbid that would error, and so forbid nothing",
            "guardrails.cedar",
            "@id(\"x\") forbid (principal is User, action == Action::\"activate\", resource) when { context.ticket == \"none\" };",
            "guardrails.cedar",
        ),
        appended(
            "a person nobody knows",
            "access.cedar",
            "@id(\"x\") permit (principal == User::\"nobody\", action == Action::\"activate\", resource);",
            "nobody",
        ),
        appended("half a scope", "scopes.hcl", "scope \"x\" {", "scopes.hcl"),
        appended(
            "a person with an unknown manager",
            "directory.hcl",
            "user \"x\" {\n  manager = \"nobody\"\n}",
            "nobody",
        ),
        appended(
            "a schema that is none",
            "schema.cedarschema",
            "entity",
            "schema.cedarschema",
        ),
        appended(
            "a policy that nobody reads",
            "guardrails.ceder",
            "// x",
            "nothing reads `guardrails.ceder`",
        ),
        appended(
            "two files that differ by case",
            "Access.cedar",
            "// x",
            "differ only by case",
        ),
        appended(
            "a pointer of Git LFS",
            "more.cedar",
            "",
            "it is a pointer of Git LFS",
        ),
    ];
    if let Some(lfs) = table.last_mut() {
        lfs.1 = Box::new(|up| {
            let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
            fs::write(up.file("guardrails.cedar"), pointer).unwrap();
        });
    }
    table.extend([
        made(
            "deep nesting",
            |up| {
                let deep = format!("{}true{}", "(".repeat(60), ")".repeat(60));
                up.append(
                    "access.cedar",
                    &format!("@id(\"x\") permit (principal, action, resource) when {{ {deep} }};"),
                );
            },
            "access.cedar",
        ),
        made(
            "bytes that are no text",
            |up| fs::write(up.file("more.cedar"), b"// \xff").unwrap(),
            "it is not UTF-8",
        ),
        made(
            "a huge file",
            |up| fs::write(up.file("more.cedar"), "/".repeat(2 * 1024 * 1024)).unwrap(),
            "it is larger than",
        ),
        made(
            "too many files",
            |up| {
                for number in 0..200 {
                    fs::write(up.file(format!("x{number}.cedar")), "").unwrap();
                }
            },
            "more than 200 files",
        ),
        made(
            "too much of everything",
            |up| {
                for number in 0..9 {
                    fs::write(up.file(format!("x{number}.cedar")), "/".repeat(1024 * 1024))
                        .unwrap();
                }
            },
            "the bundle is larger than",
        ),
        made(
            "no catalog",
            |up| fs::remove_file(up.file("scopes.hcl")).unwrap(),
            "`scopes.hcl` is missing",
        ),
        made(
            "a symbolic link",
            |up| {
                fs::remove_file(up.file("guardrails.cedar")).unwrap();
                std::os::unix::fs::symlink("access.cedar", up.file("guardrails.cedar")).unwrap();
            },
            "`guardrails.cedar`: it is a symbolic link",
        ),
        made(
            "a folder in a file's place",
            |up| {
                fs::remove_file(up.file("guardrails.cedar")).unwrap();
                fs::create_dir(up.file("guardrails.cedar")).unwrap();
                fs::write(up.file("guardrails.cedar/x"), "x").unwrap();
            },
            "`guardrails.cedar`: it is a folder",
        ),
        made(
            "no folder",
            |up| fs::rename(up.work().join("policies"), up.work().join("rules")).unwrap(),
            "there is no bundle in `policies`",
        ),
        made(
            "an empty bundle",
            |up| {
                fs::remove_dir_all(up.work().join("policies")).unwrap();
                fs::create_dir(up.work().join("policies")).unwrap();
                fs::write(up.file("README.md"), "soon").unwrap();
            },
            "there is no bundle in `policies`",
        ),
    ]);
    // All of them are committed and signed as they should be.
    for Bad(_, make, _) in &mut table {
        let change = std::mem::replace(make, Box::new(|_| {}));
        *make = Box::new(move |up| {
            change(up);
            up.commit(Some("mia"), "a bad one");
            up.fetch();
        });
    }
    table
}

/// What is wrong with what lies in git.
fn bad_objects() -> Vec<Bad> {
    let fetched = |what, make: fn(&Upstream), says| {
        let make: Making = Box::new(move |up| {
            make(up);
            up.fetch();
        });
        Bad(what, make, says)
    };
    let made = |what, make: fn(&Upstream), says| Bad(what, Box::new(make), says);
    vec![
        fetched(
            "a submodule where the guardrails were",
            |up| {
                let head = up.id("HEAD");
                fs::remove_file(up.file("guardrails.cedar")).unwrap();
                up.git(&["rm", "--quiet", "--cached", "policies/guardrails.cedar"]);
                let entry = format!("160000,{head},policies/guardrails.cedar");
                up.git(&["update-index", "--add", "--cacheinfo", &entry]);
                up.git(&["commit", "--quiet", &up.key("mia"), "-m", "x"]);
            },
            "`guardrails.cedar`: it is a folder or a submodule",
        ),
        fetched(
            "a submodule beside the files",
            |up| up.commit_entry(&format!("160000 commit {}\tshared", up.id("HEAD"))),
            "`shared`: it is a folder or a submodule",
        ),
        fetched(
            "a submodule as the folder",
            |up| up.commit_root(&format!("160000 commit {}\tpolicies", up.id("HEAD"))),
            "`policies`: it is a submodule",
        ),
        fetched(
            "a link as the folder",
            |up| up.commit_root(&format!("120000 blob {}\tpolicies", up.blob("/etc"))),
            "`policies`: it is a symbolic link",
        ),
        fetched(
            "a file as the folder",
            |up| up.commit_root(&format!("100644 blob {}\tpolicies", up.blob("x"))),
            "`policies`: it is a file",
        ),
        fetched(
            "the name `..`",
            |up| up.commit_entry(&format!("100644 blob {}\t..", up.blob("// x"))),
            "`..`: it is not the name of a file",
        ),
        fetched(
            "a name that leads out",
            |up| {
                let mut tree = b"100644 ../policies/access.cedar\0".to_vec();
                let id = up.blob("// x");
                let digits = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
                tree.extend((0..id.len()).step_by(2).map(digits));
                fs::write(up.dir.join("tree"), tree).unwrap();
                let made = ["hash-object", "-t", "tree", "-w", "--literally", "../tree"];
                let tree = up.git(&made);
                up.commit_root(&format!("040000 tree {tree}\tpolicies"));
            },
            "`../policies/access.cedar`: it is not the name of a file",
        ),
        fetched(
            "two files of one name",
            |up| {
                up.commit_entry(&format!(
                    "100644 blob {}\tguardrails.cedar",
                    up.blob("// x")
                ))
            },
            "two files have this name",
        ),
        made(
            "a damaged file",
            |up| {
                let head = up.good("damaged");
                up.fetch_aside(&head);
                let path = up.object(&up.id("HEAD:policies/more.cedar"));
                let whole = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                fs::write(&path, &whole[..whole.len() / 2]).unwrap();
                up.in_mirror(&["update-ref", "refs/heads/main", &head]);
            },
            "cannot be read",
        ),
        made(
            "a file with another one's content",
            |up| {
                let head = up.good("mine");
                let other = up.blob(
                    &fs::read_to_string(up.file("more.cedar"))
                        .unwrap()
                        .replace("mine", "evil"),
                );
                up.fetch_aside(&head);
                let path = up.object(&up.id("HEAD:policies/more.cedar"));
                fs::remove_file(&path).unwrap();
                let (folder, file) = other.split_at(2);
                fs::copy(up.work().join(".git/objects").join(folder).join(file), path).unwrap();
                up.in_mirror(&["update-ref", "refs/heads/main", &head]);
            },
            "git has no content for `more.cedar`",
        ),
        made(
            "a folder that is missing from the objects",
            |up| {
                let head = up.good("missing");
                up.fetch_aside(&head);
                fs::remove_file(up.object(&up.id("HEAD:policies"))).unwrap();
                up.in_mirror(&["update-ref", "refs/heads/main", &head]);
            },
            "cannot be read",
        ),
        made(
            "a commit that is missing from the objects",
            |up| {
                let path = up.mirror().join("refs/heads/main");
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{}\n", "1".repeat(40))).unwrap();
            },
            "cannot be read",
        ),
    ]
}

/// What is wrong with who signed it.
fn bad_signatures() -> Vec<Bad> {
    let fetched = |what, make: fn(&Upstream), says| {
        let make: Making = Box::new(move |up| {
            make(up);
            up.fetch();
        });
        Bad(what, make, says)
    };
    vec![
        fetched(
            "an unsigned commit",
            |up| {
                up.commit(None, "x");
            },
            "it has no signature",
        ),
        fetched(
            "a key that nobody knows",
            |up| {
                up.commit(Some("eve"), "x");
            },
            "its key is not among the allowed ones",
        ),
        fetched(
            "a key that was taken out",
            |up| {
                up.allow(&["mia"]);
                up.commit(Some("pat"), "x");
            },
            "its key is not among the allowed ones",
        ),
        fetched(
            "a key that the commit itself would allow",
            |up| {
                let public = fs::read_to_string(up.dir.join("eve.pub")).unwrap();
                fs::write(up.work().join("allowed_signers"), format!("* {public}")).unwrap();
                up.commit(Some("eve"), "x");
            },
            "its key is not among the allowed ones",
        ),
        fetched(
            "an unsigned commit below a signed one",
            |up| {
                up.commit(None, "x");
                up.good("on top");
            },
            "it has no signature",
        ),
        fetched(
            "an unsigned commit in the middle of what is merged",
            |up| {
                up.git(&["checkout", "--quiet", "-b", "side"]);
                up.commit(Some("mia"), "one");
                up.commit(None, "two");
                up.commit(Some("mia"), "three");
                up.git(&["checkout", "--quiet", "main"]);
                up.git(&[
                    "merge",
                    "--quiet",
                    "--no-ff",
                    &up.key("mia"),
                    "-m",
                    "x",
                    "side",
                ]);
            },
            "it has no signature",
        ),
        fetched(
            "an unsigned merge of signed commits",
            |up| {
                up.git(&["checkout", "--quiet", "-b", "side"]);
                up.commit(Some("mia"), "one");
                up.git(&["checkout", "--quiet", "main"]);
                up.git(&["merge", "--quiet", "--no-ff", "-m", "x", "side"]);
            },
            "it has no signature",
        ),
        fetched(
            "unsigned history without a common beginning, merged",
            |up| {
                let empty = up.git_with("", &["mktree"]);
                let other = up.git(&["commit-tree", "-m", "x", &empty]);
                let merge = ["merge", "--quiet", "--allow-unrelated-histories"];
                up.git(&[&merge, ["-m", "x", &up.key("mia"), &other].as_slice()].concat());
            },
            "it has no signature",
        ),
        fetched(
            "a signature of another commit",
            |up| {
                up.good("signed");
                let signed = up.git(&["cat-file", "commit", "HEAD"]);
                fs::write(up.file("guardrails.cedar"), "// none\n").unwrap();
                up.commit(None, "x");
                let tree = up.id("HEAD^{tree}");
                let (_, rest) = signed.split_once('\n').unwrap();
                let forged = format!("tree {tree}\n{rest}\n");
                let made = ["hash-object", "-t", "commit", "-w", "--stdin"];
                up.point(&up.git_with(&forged, &made));
            },
            "its signature is wrong",
        ),
        fetched(
            "a signature of another kind",
            |up| {
                let (tree, head) = (up.id("HEAD^{tree}"), up.id("HEAD"));
                let forged = format!(
                    "tree {tree}\nparent {head}\nauthor mia <mia@corp.example> 1795000000 +0000\ncommitter mia <mia@corp.example> 1795000000 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n\nx\n"
                );
                let made = ["hash-object", "-t", "commit", "-w", "--stdin"];
                up.point(&up.git_with(&forged, &made));
            },
            "is not signed by an allowed key",
        ),
    ]
}

/// What is wrong with where the branch went. What is at its end is signed, and a good bundle.
fn bad_histories() -> Vec<Bad> {
    let fetched = |what, make: fn(&Upstream), says| {
        let make: Making = Box::new(move |up| {
            make(up);
            up.fetch();
        });
        Bad(what, make, says)
    };
    let made = |what, make: fn(&Upstream), says| Bad(what, Box::new(make), says);
    const TURNED: &str = "its history was rewritten or turned back";
    vec![
        fetched(
            "the last commit amended",
            |up| {
                let amend = [
                    "commit",
                    "--quiet",
                    "--amend",
                    "--allow-empty",
                    "-m",
                    "better",
                ];
                up.git(&[&amend, [up.key("mia").as_str()].as_slice()].concat());
            },
            TURNED,
        ),
        fetched(
            "a sibling pushed with force",
            |up| {
                up.git(&["reset", "--quiet", "--hard", "HEAD^"]);
                up.good("aside");
            },
            TURNED,
        ),
        fetched(
            "an older commit",
            |up| {
                up.git(&["reset", "--quiet", "--hard", "HEAD~3"]);
            },
            TURNED,
        ),
        fetched(
            "history that begins anew",
            |up| {
                up.git(&["checkout", "--quiet", "--orphan", "other"]);
                let head = up.commit(Some("mia"), "x");
                up.point(&head);
            },
            TURNED,
        ),
        fetched(
            "no branch",
            |up| {
                up.git(&["checkout", "--quiet", "--detach"]);
                up.git(&["branch", "-D", "main"]);
            },
            "has no branch `main`",
        ),
        fetched(
            "a tag in the branch's place",
            |up| {
                up.good("tagged");
                up.git(&["checkout", "--quiet", "--detach"]);
                up.git(&["tag", "main"]);
                up.git(&["branch", "-D", "main"]);
            },
            "has no branch `main`",
        ),
        made(
            "another branch in its place",
            |up| {
                let head = up.good("another");
                up.in_mirror(&["fetch", "--quiet", "../work", "main:refs/heads/other"]);
                assert_eq!(up.in_mirror(&["rev-parse", "other"]), head);
                up.in_mirror(&["symbolic-ref", "refs/heads/main", "refs/heads/other"]);
            },
            "is another name of something else",
        ),
        fetched(
            "a replacement that makes it a descendant",
            |up| {
                let head = up.id("HEAD");
                let tree = up.id("HEAD^{tree}");
                let sign = up.key("mia");
                let orphan = up.git(&["commit-tree", &sign, "-m", "x", &tree]);
                let child = up.git(&["commit-tree", &sign, "-p", &head, "-m", "y", &tree]);
                up.git(&["replace", &orphan, &child]);
                up.point(&orphan);
            },
            TURNED,
        ),
        fetched(
            "a graft that makes it a descendant",
            |up| {
                let head = up.id("HEAD");
                let tree = up.id("HEAD^{tree}");
                let orphan = up.git(&["commit-tree", &up.key("mia"), "-m", "x", &tree]);
                fs::create_dir_all(up.mirror().join("info")).unwrap();
                let grafts = up.mirror().join("info/grafts");
                fs::write(grafts, format!("{orphan} {head}\n")).unwrap();
                up.point(&orphan);
            },
            TURNED,
        ),
        made(
            "a shallow repository",
            |up| {
                let head = up.good("shallow");
                up.fetch_aside(&head);
                fs::write(up.mirror().join("shallow"), format!("{head}\n")).unwrap();
                up.in_mirror(&["update-ref", "refs/heads/main", &head]);
            },
            "is a shallow clone",
        ),
        made(
            "a repository that borrows its objects",
            |up| {
                let head = up.good("borrowed");
                let objects = up.work().join(".git/objects");
                fs::create_dir_all(up.mirror().join("objects/info")).unwrap();
                fs::write(
                    up.mirror().join("objects/info/alternates"),
                    format!("{}\n", objects.display()),
                )
                .unwrap();
                up.in_mirror(&["update-ref", "refs/heads/main", &head]);
            },
            "takes objects from another one",
        ),
    ]
}

/// The commits on record as in force, oldest first.
async fn commits(world: &World) -> Vec<String> {
    let events = world.events().await;
    let loaded = events.iter().map(fact);
    loaded
        .filter(|(name, _)| name == "bundle_loaded")
        .map(|(_, loaded)| loaded["commit"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until these commits are on record as in force, which they are a moment after they are: the last of them may be
/// awaited, and none may come besides.
async fn on_record(world: &World, expected: &[String], what: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = commits(world).await;
        if found == expected || Instant::now() > deadline || found.len() > expected.len() {
            assert_eq!(found, expected, "{what}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the broker's log says all of this after what it held before; returns it.
async fn told(world: &World, before: usize, texts: &[&str]) -> String {
    let new = || world.log().split_off(before);
    world
        .wait_for(
            || {
                let log = new();
                texts.iter().all(|text| log.contains(text))
            },
            &texts.join(" and "),
        )
        .await;
    new()
}

fn lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// The block's lines that ask for signatures after the anchor.
fn asking(anchor: &str) -> String {
    format!("    allowed_signers_file = \"allowed_signers\"\n    anchor = \"{anchor}\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_bad_revision_the_last_good_one_is_in_force_and_the_next_good_one_is_taken() {
    if !peers_are_there() {
        return;
    }
    let mut upstream = None;
    let world = World::start_with(|dir| upstream = Some(Upstream::beside(dir, asking))).await;
    let up = upstream.unwrap();
    let mut good = vec![up.anchor.clone()];
    // Some way for the branch to be turned back on.
    for number in 0..3 {
        let before = world.log().len();
        good.push(up.good(&format!("good {number}")));
        up.fetch();
        world.signal("HUP");
        told(&world, before, &[TAKEN]).await;
    }
    on_record(&world, &good, "the first").await;

    let mut bad = bad_files();
    bad.extend(bad_objects());
    bad.extend(bad_signatures());
    bad.extend(bad_histories());
    bad.push(Bad(
        "the repository gone",
        Box::new(|up| fs::rename(up.mirror(), up.dir.join("away.git")).unwrap()),
        "cannot be read",
    ));
    bad.push(Bad(
        "the allowed signers gone",
        Box::new(|up| fs::remove_file(up.dir.join("allowed_signers")).unwrap()),
        "the allowed signers in",
    ));
    assert!(bad.len() >= BAD_MIN, "only {}", bad.len());

    for Bad(what, make, says) in &bad {
        let last = good.last().unwrap().clone();
        let before = world.log().len();
        make(&up);
        world.signal("HUP");
        let log = told(&world, before, &[LOUD, says]).await;
        let alarm = lines(&log).find(|line| line["message"] == LOUD).unwrap();
        assert_eq!(alarm["level"], "ERROR", "{what}: {alarm}");
        assert_eq!(alarm["commit"], last.as_str(), "{what}: {alarm}");
        assert!(!log.contains(TAKEN), "{what}: {log}");
        on_record(&world, &good, what).await;

        if up.dir.join("away.git").exists() {
            fs::rename(up.dir.join("away.git"), up.mirror()).unwrap();
        }
        up.allow(&["mia", "pat"]);
        up.restore(&last);
        let before = world.log().len();
        good.push(up.good(&format!("after {what}")));
        up.fetch();
        world.signal("HUP");
        told(&world, before, &[TAKEN]).await;
        on_record(&world, &good, what).await;
    }
    println!("{} bad revisions, {} good ones", bad.len(), good.len());
}

/// What the broker says when it does not start.
async fn refused_start(world: &World) -> String {
    let mut command = tokio::process::Command::new(writ());
    command
        .args(["serve", "--config"])
        .arg(world.dir.path().join("writ.hcl"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output: Output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("the broker does not start")
        .unwrap();
    assert!(!output.status.success());
    // The report breaks long lines.
    let said = String::from_utf8(output.stderr).unwrap().replace('│', " ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn good_revisions_are_taken_by_themselves_merges_and_all_and_tags_move_nothing() {
    if !peers_are_there() {
        return;
    }
    let mut upstream = None;
    let world = World::start_with(|dir| upstream = Some(Upstream::beside(dir, asking))).await;
    let up = upstream.unwrap();
    let mut good = vec![up.anchor.clone()];
    let taken = async |commit: String, good: &mut Vec<String>| {
        let before = world.log().len();
        up.fetch();
        let log = told(&world, before, &[TAKEN, &commit]).await;
        good.push(commit);
        on_record(&world, good, &log).await;
        log
    };

    // No signal: the branch is looked at each second.
    taken(up.good("a fast-forward"), &mut good).await;

    up.git(&["checkout", "--quiet", "-b", "side"]);
    up.append("side.cedar", "// of pat");
    up.commit(Some("pat"), "on the side");
    up.git(&["checkout", "--quiet", "main"]);
    up.good("meanwhile");
    up.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        &up.key("mia"),
        "-m",
        "merged",
        "side",
    ]);
    taken(up.id("HEAD"), &mut good).await;

    // Something else of the repository: the bundle is the same, and the branch has moved on.
    fs::write(up.work().join("README.md"), "x").unwrap();
    taken(up.commit(Some("mia"), "beside the bundle"), &mut good).await;

    // A tag of the branch's name, on something bad, is another thing.
    up.append("access.cedar", "permit (");
    let bad = up.commit(Some("mia"), "bad");
    up.git(&["tag", "main", &bad]);
    up.git(&["reset", "--quiet", "--hard", "HEAD^"]);
    let next = up.good("with a tag beside it");
    assert_ne!(up.id("refs/tags/main"), next);
    taken(next, &mut good).await;

    let audrey = world.token_of("audrey");
    let listed = world.writ(&audrey, &["journal", "list"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    for commit in &good {
        assert!(
            listed.contains(&format!("of commit {}", &commit[..12])),
            "{listed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_commit_on_record_and_a_rewrite_takes_a_word() {
    if !peers_are_there() {
        return;
    }
    let mut upstream = None;
    let mut world =
        World::start_with(|dir| upstream = Some(Upstream::beside(dir, |_| String::new()))).await;
    let up = upstream.unwrap();
    let first = up.anchor.clone();
    let before = world.log().len();
    // Without `allowed_signers_file`, nobody needs to sign.
    up.append("more.cedar", "// two");
    let second = up.commit(None, "two");
    up.fetch();
    told(&world, before, &[TAKEN]).await;
    on_record(&world, &[first.clone(), second.clone()], "unsigned").await;
    world.stop();

    // Forward while the broker was away.
    up.append("more.cedar", "// three");
    let third = up.commit(None, "three");
    up.fetch();
    world.up().await;
    assert_eq!(
        commits(&world).await,
        [first.clone(), second.clone(), third.clone()]
    );
    world.stop();

    // Back while it was away.
    let move_to = |commit: &str| {
        up.git(&["reset", "--quiet", "--hard", commit]);
        up.fetch();
    };
    move_to(&second);
    let said = refused_start(&world).await;
    let way_out = format!("accept_rewrite {{ from = \"{third}\" to = \"{second}\" }}");
    let squeezed = |text: &str| text.replace(' ', "");
    assert!(squeezed(&said).contains(&squeezed(&way_out)), "{said}");

    // A check does not open the journal, and says nothing of that.
    let config = world.dir.path().join("writ.hcl");
    let check = ["serve", "--check", "--config", config.to_str().unwrap()];
    let checked = world.writ("", &check).await;
    assert!(checked.status.success());

    // The wrong word.
    let plain = fs::read_to_string(&config).unwrap();
    let with = |from: &str, to: &str| {
        let block = format!(
            "folder = \"policies\"\n    accept_rewrite {{\n      from = \"{from}\"\n      to   = \"{to}\"\n    }}\n"
        );
        let text = plain.replace("folder = \"policies\"\n", &block);
        fs::write(&config, text).unwrap();
    };
    with(&second, &second);
    refused_start(&world).await;
    with(&third, &first);
    world.launch();
    // `second` descends from `first`, which is all that was asked.
    world
        .wait_for(|| world.logged("the broker serves") == 3, "a start")
        .await;
    world.stop();

    // It is on record, and the word is used up.
    move_to(&first);
    refused_start(&world).await;
    fs::write(&config, &plain).unwrap();
    refused_start(&world).await;
    move_to(&second);
    world.up().await;
    assert_eq!(
        commits(&world).await,
        [&first, &second, &third, &second, &second].map(Clone::clone)
    );
    world.stop();

    // A broker that is back on its feet takes no rewrite while it runs, whatever the word.
    with(&second, &first);
    world.up().await;
    let before = world.log().len();
    move_to(&first);
    world.signal("HUP");
    told(&world, before, &[LOUD, "accept_rewrite"]).await;
}

/// The timer of `policies/README.md` is what the tests do, and its words are what people copy.
#[test]
fn the_documentation_says_how_the_repository_is_kept_fetched() {
    let text = fs::read_to_string(root().join("policies/README.md")).unwrap();
    assert!(text.contains("git clone --mirror "));
    assert!(text.contains("fetch --quiet --prune"));
}
