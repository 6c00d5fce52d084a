//! `writ policy diff` and what stands beside it, as people and pipelines run them: the real binary in real git
//! repositories, its outputs, its exit codes, and what a pull request could do to it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const STAGING: &str =
    "when { context.approvals.owner >= 1 && context.window.duration <= duration(\"4h\") };";

/// A repository whose `policies` are the shipped ones, committed on `main`.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Repository {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        for entry in fs::read_dir(shipped).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, policies.join(path.file_name().unwrap())).unwrap();
            }
        }
        let repository = Repository { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("the policies");
        repository
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn policies(&self) -> PathBuf {
        self.home().join("policies")
    }

    /// Nobody's own settings, and a name to commit by.
    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=mia", "-c", "user.email=mia@corp.example"])
            .args(arguments)
            .current_dir(self.home())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.policies().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "`{file}` has no `{from}`");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn append(&self, file: &str, more: &str) {
        let path = self.policies().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}\n{more}")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command
            .args(arguments)
            .current_dir(self.home())
            .env_remove("WRIT_ADDR")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env("NO_COLOR", "1");
        command
    }

    fn writ(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    fn diff(&self, arguments: &[&str]) -> Ran {
        self.writ(&[&["policy", "diff"], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.diff(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

/// The ids of what was found, in order.
fn found(document: &Value) -> Vec<&str> {
    let findings = document["diff"]["findings"].as_array().unwrap();
    let ids = findings.iter().map(|finding| finding["change"].as_str());
    ids.map(|id| id.unwrap()).collect()
}

/// What a person types who changes a policy, and sees. WRIT_BLESS=1 writes it anew, for review.
#[test]
fn a_person_sees_what_their_change_gives_to_whom() {
    let repository = Repository::new();
    let mut transcript = String::new();
    let mut types = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').skip(1).collect();
        let ran = repository.writ(&arguments);
        transcript.push_str(&format!("$ {line}\n{}{}", ran.stdout, ran.stderr));
        if ran.code != 0 {
            transcript.push_str(&format!("[exit code {}]\n", ran.code));
        }
        transcript.push('\n');
    };
    types("writ policy diff");
    types("writ policy who-can staging-admin");
    types("writ policy what-can mia");
    types("writ policy what-can nobody");
    types("writ policy explain staging.admin.engineer");
    types("writ policy explain staging.admin");
    types("writ policy snapshot");
    types("writ policy snapshot --locked");
    repository.git(&["checkout", "--quiet", "-b", "staging-at-once"]);
    let at_once = "when { context.window.duration <= duration(\"4h\") };";
    repository.edit("access.cedar", STAGING, at_once);
    types("writ policy diff");
    types("writ policy snapshot --locked");
    repository.commit("staging at once");
    types("writ policy diff --base main --fail-on never");
    types("writ policy diff");
    types("writ policy diff --base nowhere");
    types("writ policy diff policies policies --base main");
    types("writ policy diff nowhere");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/policy_diff.txt");
    if std::env::var_os("WRIT_BLESS").is_some() {
        fs::write(&path, &transcript).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == transcript,
        "WRIT_BLESS=1 takes the new text\n{}",
        similar::TextDiff::from_lines(expected.as_str(), &transcript).unified_diff()
    );
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(home.join("../../policies/README.md")).unwrap();
    let transcript = fs::read_to_string(home.join("tests/transcripts/policy_diff.txt")).unwrap();
    let (_, section) = readme.split_once("## See the diff\n").unwrap();
    let blocks: Vec<&str> = section
        .split("```console\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0)
        .collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        assert!(transcript.contains(block), "no one types and sees\n{block}");
    }
}

#[test]
fn the_exit_code_says_clean_failed_found_or_invalid() {
    let repository = Repository::new();
    let code = |arguments: &[&str]| repository.diff(arguments).code;
    assert_eq!(code(&[]), 0, "nothing changed");
    assert_eq!(code(&["--fail-on", "info"]), 0, "nothing changed");
    assert_eq!(code(&["--base", "nowhere"]), 1);
    assert_eq!(code(&["--base", "--help"]), 1);
    assert_eq!(code(&["--nonsense"]), 1);
    assert_eq!(code(&["nowhere"]), 1);
    // A shorter window only takes away.
    repository.edit("access.cedar", "duration(\"8h\")", "duration(\"7h\")");
    for (least, expected) in [
        ("never", 0),
        ("critical", 0),
        ("high", 0),
        ("medium", 0),
        ("low", 2),
        ("info", 2),
    ] {
        assert_eq!(code(&["--fail-on", least]), expected, "{least}");
    }
    // A guardrail that goes fails by itself.
    repository.edit(
        "guardrails.cedar",
        "@id(\"guard.contractors.short\")",
        "@id(\"guard.contractors.long\")",
    );
    repository.edit(
        "guardrails.cedar",
        "duration > duration(\"30m\")",
        "duration > duration(\"30h\")",
    );
    assert_eq!(code(&[]), 2);
    assert_eq!(code(&["--fail-on", "never"]), 0);
    // What is no bundle cannot be compared, on either side.
    repository.append(
        "access.cedar",
        "permit (principal, action, resource) when { context.nonsense };",
    );
    let ran = repository.diff(&["--fail-on", "never"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    repository.commit("broken");
    repository.git(&["checkout", "--quiet", "HEAD~1", "--", "policies"]);
    let ran = repository.diff(&[]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("this is the bundle of `HEAD`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_base_is_read_from_git_and_nothing_is_checked_out_or_run() {
    let repository = Repository::new();
    // What git would run, were anything checked out or looked at through it.
    fs::write(
        repository.home().join(".gitattributes"),
        "* filter=evil diff=evil\n",
    )
    .unwrap();
    let base = repository.commit("attributes");
    for (name, value) in [
        ("filter.evil.smudge", "touch pwned"),
        ("filter.evil.clean", "touch pwned"),
        ("diff.evil.textconv", "touch pwned"),
        ("core.fsmonitor", "touch pwned"),
        ("core.pager", "touch pwned"),
    ] {
        repository.git(&["config", name, value]);
    }
    repository.edit(
        "access.cedar",
        STAGING,
        "when { context.window.duration <= duration(\"4h\") };",
    );
    let index = fs::read(repository.home().join(".git/index")).unwrap();
    let text = fs::read(repository.policies().join("access.cedar")).unwrap();
    for revision in ["HEAD", "main", base.as_str(), &base[..10], "HEAD^{commit}"] {
        let document = repository.json(&["--base", revision]);
        assert_eq!(found(&document), ["approval-removed"; 2], "{revision}");
        assert_eq!(document["diff"]["compared_with"], revision);
    }
    // Wherever it is run from, and whatever a caller's git was pointed to.
    let policies = repository.policies();
    let output = repository
        .command(&["policy", "diff", ".", "--format", "json"])
        .current_dir(&policies)
        .env("GIT_DIR", "/nowhere")
        .env("GIT_WORK_TREE", "/nowhere")
        .env("GIT_INDEX_FILE", "/nowhere")
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found(&document), ["approval-removed"; 2]);
    assert_eq!(document["diff"]["folder"], "policies/");
    assert!(!repository.home().join("pwned").exists());
    assert!(!policies.join("pwned").exists());
    assert_eq!(
        fs::read(repository.home().join(".git/index")).unwrap(),
        index
    );
    assert_eq!(fs::read(policies.join("access.cedar")).unwrap(), text);
}

#[test]
fn a_revision_that_is_no_commit_or_has_no_bundle_is_told_apart() {
    let repository = Repository::new();
    let ran = repository.diff(&["--base", "origin/main"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("`origin/main` is not a commit of this repository"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("fetch-depth: 0"), "{}", ran.stderr);
    // A blob is no commit either.
    let blob = repository.git(&["rev-parse", "HEAD:policies/access.cedar"]);
    assert_eq!(repository.diff(&["--base", &blob]).code, 1);
    // Before there were policies.
    repository.git(&["checkout", "--quiet", "--orphan", "before"]);
    repository.git(&["rm", "--quiet", "-r", "--cached", "."]);
    repository.git(&["commit", "--quiet", "--allow-empty", "--message", "empty"]);
    let ran = repository.diff(&["--base", "before"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("there is no bundle in `policies/` of `before`"),
        "{}",
        ran.stderr
    );
    // No repository at all, but two folders always work.
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = elsewhere.path().join("policies");
    fs::create_dir(&copied).unwrap();
    for entry in fs::read_dir(repository.policies()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copied.join(path.file_name().unwrap())).unwrap();
    }
    let shown = copied.to_str().unwrap();
    let ran = repository.diff(&[shown]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("is not in a git repository"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.diff(&[shown, "policies"]).code, 0);
}

/// Each is tried as a working copy, as a CI job has a fork's, and as the base of a comparison, as it would be had it been
/// merged. Both end with 3, soon, and say which file and why.
#[test]
fn a_forks_bundle_gets_a_clear_error_and_crashes_nothing() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "permit (principal, action, resource);").unwrap();
    let outside = outside.path().to_str().unwrap().to_owned();
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let cedar = |condition: String| {
        format!(
            "@id(\"x\") permit (principal, action == Action::\"activate\", resource) when {{ {condition} }};"
        )
    };
    type Attack = Box<dyn Fn(&Path)>;
    let write = |name: &'static str, content: Vec<u8>| -> Attack {
        Box::new(move |policies| fs::write(policies.join(name), &content).unwrap())
    };
    let attacks: Vec<(&str, Attack, &str)> = vec![
        (
            "a link out of the bundle",
            Box::new(move |policies| {
                std::os::unix::fs::symlink(&outside, policies.join("more.cedar")).unwrap();
            }),
            "`more.cedar`: it is a",
        ),
        (
            "a link to itself",
            Box::new(|policies| {
                std::os::unix::fs::symlink("more.cedar", policies.join("more.cedar")).unwrap();
            }),
            "`more.cedar`: it",
        ),
        (
            "a link that leads nowhere",
            Box::new(|policies| {
                std::os::unix::fs::symlink("/nowhere", policies.join("more.cedar")).unwrap();
            }),
            "`more.cedar`: it",
        ),
        (
            "a submodule where the guardrails were",
            Box::new(|policies| {
                fs::remove_file(policies.join("guardrails.cedar")).unwrap();
                let module = policies.join("guardrails.cedar");
                fs::create_dir(&module).unwrap();
                for arguments in [
                    ["init", "--quiet", ".", "--initial-branch=main"].as_slice(),
                    &[
                        "-c",
                        "user.name=x",
                        "-c",
                        "user.email=x@x.example",
                        "commit",
                        "--quiet",
                        "--allow-empty",
                        "-mx",
                    ],
                ] {
                    let status = Command::new("git")
                        .args(arguments)
                        .current_dir(&module)
                        .status();
                    assert!(status.unwrap().success());
                }
            }),
            "`guardrails.cedar`: it is a folder or a submodule",
        ),
        (
            "a folder where the guardrails were",
            Box::new(|policies| {
                fs::remove_file(policies.join("guardrails.cedar")).unwrap();
                fs::create_dir(policies.join("guardrails.cedar")).unwrap();
                fs::write(policies.join("guardrails.cedar/x"), "x").unwrap();
            }),
            "`guardrails.cedar`: it is a folder or a submodule",
        ),
        (
            "a name that is not UTF-8",
            Box::new(|policies| {
                let name = std::ffi::OsStr::from_bytes(b"\xff.cedar");
                fs::write(policies.join(name), "").unwrap();
            }),
            "its name is not UTF-8",
        ),
        (
            "a text that is not UTF-8",
            write("more.cedar", b"// \xff\n".to_vec()),
            "`more.cedar`: it is not UTF-8",
        ),
        (
            "a huge file",
            write("more.cedar", vec![b'/'; 5 * 1024 * 1024]),
            "`more.cedar`: it is larger than",
        ),
        (
            "a file of another kind",
            write(
                "guardrails.ceder",
                b"forbid (principal, action, resource);".to_vec(),
            ),
            "`guardrails.ceder`",
        ),
        (
            "deep parentheses in a policy",
            write("more.cedar", cedar(deep("(", ")")).into_bytes()),
            "more.cedar",
        ),
        (
            "deep negations in a policy",
            write(
                "more.cedar",
                cedar(format!("{}true", "!".repeat(100_000))).into_bytes(),
            ),
            "more.cedar",
        ),
        (
            "deep conditions in a policy",
            write(
                "more.cedar",
                cedar(format!("{}true", "if true then ".repeat(20_000))).into_bytes(),
            ),
            "more.cedar",
        ),
        (
            "deep lists in the directory",
            write(
                "directory.hcl",
                format!("timezone = {}", deep("[", "]")).into_bytes(),
            ),
            "directory.hcl",
        ),
        (
            "deep blocks in the catalog",
            write(
                "scopes.hcl",
                format!("{}{}", "a {\n".repeat(100_000), "}\n".repeat(100_000)).into_bytes(),
            ),
            "scopes.hcl",
        ),
        (
            "deep records in the schema",
            write(
                "schema.cedarschema",
                format!("type X = {};", deep("Set<", ">")).into_bytes(),
            ),
            "schema.cedarschema",
        ),
        (
            "a name with a line break, a bell and a workflow command",
            Box::new(|policies| {
                fs::write(policies.join("a\u{7}\n::error::owned\u{202e}.txt"), "").unwrap();
            }),
            "owned",
        ),
    ];
    for (attack, strike, expected) in attacks {
        let repository = Repository::new();
        strike(&repository.policies());
        let tried = [
            repository.diff(&["--base", "HEAD", "--format", "github"]),
            {
                repository.commit("the fork's");
                let clean = Repository::new();
                repository.git(&["remote", "add", "clean", clean.home().to_str().unwrap()]);
                repository.git(&["fetch", "--quiet", "clean", "main"]);
                fs::remove_dir_all(repository.policies()).unwrap();
                let fetched = repository.git(&["rev-parse", "FETCH_HEAD"]);
                repository.git(&["checkout", "--quiet", "--force", &fetched]);
                repository.diff(&["--base", "main", "--format", "github"])
            },
        ];
        for (side, ran) in ["the working copy", "the base"].iter().zip(tried) {
            let told = format!("{attack}, in {side}: {ran:?}");
            assert_eq!(ran.code, 3, "{told}");
            assert_eq!(ran.stdout, "", "{told}");
            assert!(ran.stderr.contains(expected), "{told}");
            let steers = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
            assert!(!ran.stderr.contains(steers), "{told}");
            assert!(
                !ran.stderr.lines().any(|line| line.starts_with("::")),
                "{told}"
            );
        }
    }
}

#[test]
fn each_format_comes_from_the_command_and_githubs_job_gets_its_summary() {
    let repository = Repository::new();
    repository.edit(
        "access.cedar",
        STAGING,
        "when { context.window.duration <= duration(\"4h\") };",
    );
    let starts = [
        ("text", "critical  approval-removed  staging-admin\n"),
        ("json", "{\n"),
        (
            "markdown",
            "<!-- writ policy diff -->\n### Access: 2 findings: 2 critical\n",
        ),
        ("github", "::error file=policies/access.cedar,line="),
        ("sarif", "{\n"),
        ("junit", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"),
        ("gitlab", "[\n"),
    ];
    for (format, start) in starts {
        let ran = repository.diff(&["--format", format]);
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{format}");
        assert!(ran.stdout.starts_with(start), "{format}: {}", ran.stdout);
    }
    let summary = repository.home().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let output = repository
        .command(&["policy", "diff", "--format", "github"])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = fs::read_to_string(&summary).unwrap();
    assert!(
        text.starts_with("before\n<!-- writ policy diff -->\n### Access: 2 findings"),
        "{text}"
    );
}

#[test]
fn a_lock_is_written_once_and_stale_after_a_change_of_access() {
    let repository = Repository::new();
    let lock = repository.policies().join("access.lock");
    let locked = || repository.writ(&["policy", "snapshot", "--locked"]);
    assert_eq!(locked().code, 2, "there is none");
    assert!(!lock.exists(), "`--locked` writes nothing");
    assert_eq!(repository.writ(&["policy", "snapshot"]).code, 0);
    assert_eq!(locked().code, 0);
    let text = fs::read_to_string(&lock).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.is_sorted() && lines.len() > 5, "{text}");
    // It is no part of the bundle, and no annotation changes it.
    assert_eq!(repository.writ(&["policy", "check"]).code, 0);
    repository.edit(
        "access.cedar",
        "@description(\"An engineer, if an owner agrees\")",
        "@description(\"Another\")",
    );
    assert_eq!(locked().code, 0);
    repository.edit(
        "access.cedar",
        STAGING,
        "when { context.window.duration <= duration(\"4h\") };",
    );
    assert_eq!(locked().code, 2);
    assert_eq!(
        fs::read_to_string(&lock).unwrap(),
        text,
        "`--locked` writes nothing"
    );
}

#[test]
fn formatting_changes_how_policies_look_and_nothing_they_do() {
    let repository = Repository::new();
    let fmt = |more: &[&str]| repository.writ(&[&["policy", "fmt"], more].concat());
    // The shipped bundle is as it should be.
    let ran = fmt(&["--check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    // All on one line, a comment in the middle, and a file that is as it should be.
    let ugly = "// why\n@id(\"ugly\")permit(principal==User::\"mia\",action==Action::\"activate\",resource==Scope::\"staging-admin\")when{context.window.duration<=duration(\"1h\") // here\n};\n";
    fs::write(repository.policies().join("more.cedar"), ugly).unwrap();
    let ran = fmt(&["--check"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (2, "more.cedar\n"),
        "{}",
        ran.stderr
    );
    let path = repository.policies().join("more.cedar");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        ugly,
        "`--check` writes nothing"
    );
    repository.commit("ugly");
    let ran = fmt(&[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "more.cedar\n"),
        "{}",
        ran.stderr
    );
    let pretty = fs::read_to_string(&path).unwrap();
    assert!(
        pretty.starts_with("// why\n@id(\"ugly\")\npermit (\n  principal"),
        "{pretty}"
    );
    let ran = repository.diff(&["--fail-on", "info"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    // What is no bundle is left alone.
    repository.append("more.cedar", "permit (");
    assert_eq!(fmt(&[]).code, 3);
}
