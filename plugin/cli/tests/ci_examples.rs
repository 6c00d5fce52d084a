//! `examples/ci` and `.pre-commit-hooks.yaml`: the documents parse and grant no more than they should, and each script runs,
//! with a stand-in where it would speak to a code host.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr::{LoadableYamlNode as _, YamlOwned as Yaml};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPORT: &str = "<!-- writ policy diff -->\n### Access: 1 finding: 1 critical\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn example(name: &str) -> PathBuf {
    root().join("examples/ci").join(name)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Where scripts find `writ`, stand-ins for `gh` and `curl`, and what those were asked.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_writ"), world.path("bin/writ")).unwrap();
        fs::write(world.path("access.md"), REPORT).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(
            &path,
            format!("#!/usr/bin/env bash\nset -euo pipefail\n{script}"),
        )
        .unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(
        &self,
        script: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (i32, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .arg(script)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("ASKED", self.path("asked"))
            .env("NO_COLOR", "1")
            .env_remove("GITHUB_STEP_SUMMARY")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }

    /// What the stand-ins were asked to change since the last time.
    fn asked(&self) -> String {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        fs::write(self.path("asked"), "").unwrap();
        asked
    }

    fn answers(&self, name: &str, document: &str) {
        fs::write(self.path(name), document).unwrap();
    }
}

fn load(path: &Path) -> Yaml {
    let text = text(path);
    let documents = Yaml::load_from_str(&text).unwrap();
    let [document]: [Yaml; 1] = documents.try_into().unwrap();
    document
}

/// Every text of a document, keys included.
fn texts(node: &Yaml, found: &mut Vec<String>) {
    if let Some(text) = node.as_str() {
        found.push(text.to_owned());
    }
    for item in node.as_sequence().into_iter().flatten() {
        texts(item, found);
    }
    for (key, value) in node.as_mapping().into_iter().flatten() {
        texts(key, found);
        texts(value, found);
    }
}

/// Every value of this key, at any depth.
fn values<'n>(node: &'n Yaml, name: &str, found: &mut Vec<&'n Yaml>) {
    for item in node.as_sequence().into_iter().flatten() {
        values(item, name, found);
    }
    for (key, value) in node.as_mapping().into_iter().flatten() {
        if key.as_str() == Some(name) {
            found.push(value);
        }
        values(value, name, found);
    }
}

#[test]
fn the_workflows_have_no_secret_run_nothing_by_name_and_paste_nothing_into_a_shell() {
    for name in ["access.yml", "access-comment.yml"] {
        let document = load(&example(".github/workflows").join(name));
        assert_eq!(
            document["permissions"].as_mapping().unwrap().len(),
            0,
            "{name}: none but each job's own"
        );
        let mut all = Vec::new();
        texts(&document, &mut all);
        for word in ["pull_request_target", "secrets."] {
            assert!(
                !all.iter().any(|text| text.contains(word)),
                "{name} has {word}"
            );
        }
        let mut uses = Vec::new();
        values(&document, "uses", &mut uses);
        assert!(!uses.is_empty());
        for action in uses {
            let (_, commit) = action.as_str().unwrap().split_once('@').unwrap();
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{commit}"
            );
        }
        let mut scripts = Vec::new();
        values(&document, "run", &mut scripts);
        assert!(!scripts.is_empty());
        for script in scripts {
            assert!(
                !script.as_str().unwrap().contains("${{"),
                "an expression becomes code: {script:?}"
            );
        }
    }
    let review = load(&example(".github/workflows/access.yml"));
    let granted = &review["jobs"]["review"]["permissions"];
    assert_eq!(granted.as_mapping().unwrap().len(), 1);
    assert_eq!(granted["contents"].as_str(), Some("read"));
    // What may write comments checks out nothing but its own default branch.
    let comment = load(&example(".github/workflows/access-comment.yml"));
    let mut refs = Vec::new();
    values(&comment, "ref", &mut refs);
    assert!(refs.is_empty());
    let watched = comment["on"]["workflow_run"]["workflows"][0].as_str();
    assert_eq!(watched, review["name"].as_str());
}

#[test]
fn every_script_that_is_named_is_there_and_parses() {
    for entry in fs::read_dir(example("ci")).unwrap() {
        let path = entry.unwrap().path();
        let status = Command::new("bash").arg("-n").arg(&path).status().unwrap();
        assert!(status.success(), "{}", path.display());
        assert_ne!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o111,
            0,
            "{}",
            path.display()
        );
    }
    let mut named = Vec::new();
    for file in [
        ".github/workflows/access.yml",
        ".github/workflows/access-comment.yml",
        ".gitlab-ci.yml",
    ] {
        texts(&load(&example(file)), &mut named);
    }
    let words = named.iter().flat_map(|text| text.split_whitespace());
    let scripts: Vec<&str> = words
        .filter(|word| word.starts_with("ci/") && !word.contains('*'))
        .collect();
    assert!(scripts.len() >= 6, "{scripts:?}");
    for script in scripts {
        assert!(example(script).is_file(), "{script}");
    }
}

/// A repository with the shipped bundle in `policies`, tests included.
fn repository(world: &World) {
    let policies = world.path("policies");
    fs::create_dir_all(policies.join("tests")).unwrap();
    for part in [".", "tests"] {
        for entry in fs::read_dir(root().join("policies").join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, policies.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    for arguments in [
        ["init", "--quiet"].as_slice(),
        &["add", "policies"],
        &[
            "-c",
            "user.name=mia",
            "-c",
            "user.email=mia@corp.example",
            "commit",
            "--quiet",
            "-m",
            "policies",
        ],
    ] {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(world.folder.path())
            .status();
        assert!(status.unwrap().success());
    }
}

fn edit(world: &World, from: &str, to: &str) {
    let path = world.path("policies/access.cedar");
    let before = text(&path);
    assert!(before.contains(from));
    fs::write(path, before.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_review_checks_tests_and_compares() {
    let world = World::new();
    repository(&world);
    let review = |format: &str| {
        world.run(
            &example("ci/review"),
            &["policies", "HEAD", "reports", format],
            &[],
        )
    };
    let report = || text(&world.path("reports/access.md"));
    let (code, said) = review("text");
    assert_eq!(code, 0, "{said}");
    assert!(
        report().starts_with("<!-- writ policy diff -->\n### Access: nobody's access changes\n")
    );
    assert_eq!(text(&world.path("reports/access.gitlab.json")), "[]\n");
    assert!(text(&world.path("reports/tests.xml")).contains("failures=\"0\""));
    // A shorter window breaks a promise, and takes nothing that a review has to stop.
    edit(
        &world,
        "context.approvals.manager >= 1 && context.window.duration <= duration(\"4h\")",
        "context.approvals.manager >= 1 && context.window.duration <= duration(\"2h\")",
    );
    let (code, said) = review("text");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("FAIL") && said.contains("duration-lowered"),
        "{said}"
    );
    assert!(report().contains("duration-lowered"), "{}", report());
    // Nobody's consent where an owner's was needed.
    edit(
        &world,
        "context.approvals.owner >= 1 && context.window.duration <= duration(\"4h\")",
        "context.window.duration <= duration(\"4h\")",
    );
    let (code, said) = review("github");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("\n::error file=policies/access.cedar,line="),
        "{said}"
    );
    assert!(report().contains("approval-removed"), "{}", report());
    let quality = text(&world.path("reports/access.gitlab.json"));
    let quality: serde_json::Value = serde_json::from_str(&quality).unwrap();
    assert_eq!(quality[0]["severity"], "blocker");
    // What is no bundle, and what cannot be compared, is not called clean.
    let (code, _) = world.run(
        &example("ci/review"),
        &["policies", "nowhere", "reports"],
        &[],
    );
    assert_eq!(code, 1);
    assert!(report().contains("### Access: not known"));
    edit(&world, "permit (", "permit (nonsense ");
    let (code, said) = review("text");
    assert_eq!(code, 3, "{said}");
    assert!(report().contains("### Access: not known"));
}

/// Answers what `comment-github` asks with documents of the world, through the real jq, and notes what it is to write.
const GH: &str = r#"
folder=$(dirname "$ASKED")
[ "$1" = api ] || exit 9
shift
method= path= query= body=
while [ $# -gt 0 ]; do
  case $1 in
    --paginate | --silent) ;;
    --jq) query=$2; shift ;;
    --method) method=$2; shift ;;
    -F) body=${2#body=@}; shift ;;
    *) path=$1 ;;
  esac
  shift
done
case "$method $path" in
  " repos/acme/access/pulls?"*) jq -r "$query" "$folder/pulls" ;;
  " repos/acme/access/pulls/7/files?"*) jq -r "$query" "$folder/files" ;;
  " repos/acme/access/issues/7/comments?"*) jq -r "$query" "$folder/comments" ;;
  POST* | PATCH*) { echo "$method $path"; cat "$body"; } >>"$ASKED" ;;
  *) echo "unexpected: $method $path" >&2; exit 9 ;;
esac
"#;

/// Whether a program is there; where tests must not be passed over, it has to be.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    assert!(
        there || std::env::var_os("WRIT_REQUIRE_PEERS").is_none(),
        "`{program}` is not installed"
    );
    there
}

#[test]
fn githubs_comment_is_one_and_of_the_reviewed_commit_and_not_the_pull_requests_own() {
    if !has("jq") {
        return;
    }
    let world = World::new();
    world.stand_in("gh", GH);
    let pull = format!(
        r#"[{{"number": 6, "head": {{"sha": "x"}}}}, {{"number": 7, "head": {{"sha": "{COMMIT}"}}}}]"#
    );
    world.answers("pulls", &pull);
    world.answers("files", r#"[{"filename": "policies/access.cedar"}]"#);
    // Someone else's comment that begins like ours is not ours.
    let other = r#"{"id": 1, "user": {"login": "mallory"}, "body": "<!-- writ policy diff -->"}"#;
    world.answers("comments", &format!("[{other}]"));
    let comment = |file: &str| {
        world.run(
            &example("ci/comment-github"),
            &["acme/access", COMMIT, file],
            &[],
        )
    };

    assert_eq!(comment("access.md"), (0, String::new()));
    assert_eq!(
        world.asked(),
        format!("POST repos/acme/access/issues/7/comments\n{REPORT}")
    );

    let ours = r#"{"id": 2, "user": {"login": "github-actions[bot]"}, "body": "<!-- writ policy diff -->\nold"}"#;
    world.answers("comments", &format!("[{other}, {ours}]"));
    assert_eq!(comment("access.md"), (0, String::new()));
    assert_eq!(
        world.asked(),
        format!("PATCH repos/acme/access/issues/comments/2\n{REPORT}")
    );

    for files in [
        r#"[{"filename": "policies/access.cedar"}, {"filename": "ci/review"}]"#,
        r#"[{"filename": ".github/workflows/access.yml"}]"#,
        r#"[{"filename": "old/review", "previous_filename": "ci/review"}]"#,
    ] {
        world.answers("files", files);
        assert_eq!(comment("access.md").0, 0);
        let asked = world.asked();
        assert!(
            asked.contains("### Access: not shown") && !asked.contains("1 critical"),
            "{asked}"
        );
    }
    world.answers("files", r#"[{"filename": "policies/access.cedar"}]"#);

    // Another commit was pushed since.
    world.answers("pulls", r#"[{"number": 7, "head": {"sha": "y"}}]"#);
    assert_eq!(comment("access.md").0, 0);
    assert_eq!(world.asked(), "");
    world.answers("pulls", &pull);

    fs::write(
        world.path("forged.md"),
        "hello\n<!-- writ policy diff -->\n",
    )
    .unwrap();
    fs::write(
        world.path("long.md"),
        format!("{REPORT}{}", "x".repeat(300_000)),
    )
    .unwrap();
    std::os::unix::fs::symlink(world.path("access.md"), world.path("link.md")).unwrap();
    for file in ["forged.md", "long.md", "link.md", "missing.md"] {
        let (code, said) = comment(file);
        assert_eq!(
            (code, said.as_str()),
            (1, "error: the report is not one that writ wrote\n"),
            "{file}"
        );
    }
    for wrong in [
        ["acme/access", "HEAD"],
        ["acme/access/../x", COMMIT],
        ["a b/c", COMMIT],
    ] {
        let arguments = [wrong[0], wrong[1], "access.md"];
        assert_eq!(
            world.run(&example("ci/comment-github"), &arguments, &[]).0,
            1,
            "{wrong:?}"
        );
    }
    assert_eq!(world.asked(), "");
}

/// Answers what `comment-gitlab` and `get-writ` ask.
const CURL: &str = r#"
folder=$(dirname "$ASKED")
method=GET url= body= output=/dev/stdout token=
while [ $# -gt 0 ]; do
  case $1 in
    --fail | --silent | --show-error | --location) ;;
    --max-time) shift ;;
    --header) token=$(cat "${2#@}"); shift ;;
    --request) method=$2; shift ;;
    --output) output=$2; shift ;;
    --data-urlencode) body=${2#body@}; shift ;;
    *) url=$1 ;;
  esac
  shift
done
case "$method $url" in
  "GET https://gitlab.example/api/v4/user") echo '{"id": 5}' >"$output" ;;
  "GET https://gitlab.example/api/v4/projects/3/merge_requests/7/notes?per_page=100&page=1") cat "$folder/notes" >"$output" ;;
  "GET https://downloads.example/writ") echo "a binary" >"$output" ;;
  POST* | PUT*) { echo "$token"; echo "$method $url"; cat "$body"; } >>"$ASKED" ;;
  *) echo "unexpected: $method $url" >&2; exit 9 ;;
esac
"#;

#[test]
fn gitlabs_comment_is_one_and_a_fork_has_none() {
    if !has("jq") {
        return;
    }
    let world = World::new();
    world.stand_in("curl", CURL);
    let notes = "https://gitlab.example/api/v4/projects/3/merge_requests/7/notes";
    let comment = |token: &str| {
        let environment = [
            ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
            ("CI_MERGE_REQUEST_PROJECT_ID", "3"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("ACCESS_COMMENT_TOKEN", token),
        ];
        world.run(&example("ci/comment-gitlab"), &["access.md"], &environment)
    };
    world.answers(
        "notes",
        r#"[{"id": 1, "author": {"id": 4}, "body": "<!-- writ policy diff -->"}]"#,
    );
    let (code, said) = comment("");
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.asked(), "", "without a token nothing is asked");
    assert_eq!(comment("secret"), (0, String::new()));
    assert_eq!(
        world.asked(),
        format!("PRIVATE-TOKEN: secret\nPOST {notes}\n{REPORT}")
    );
    world.answers(
        "notes",
        r#"[{"id": 2, "author": {"id": 5}, "body": "<!-- writ policy diff -->\nold"}]"#,
    );
    assert_eq!(comment("secret"), (0, String::new()));
    assert_eq!(
        world.asked(),
        format!("PRIVATE-TOKEN: secret\nPUT {notes}/2\n{REPORT}")
    );
}

#[test]
fn only_the_writ_that_was_reviewed_is_kept() {
    let world = World::new();
    world.stand_in("curl", CURL);
    let get = |url: &str, digest: &str| {
        let environment = [("WRIT_URL", url), ("WRIT_SHA256", digest)];
        world.run(&example("ci/get-writ"), &["got"], &environment).0
    };
    let digest = "18cb6a1c5bb5d6a01ba5b6d5a0e1a8d5c8b6d2ab1bb5e7cf9a3ad8c1e0f1a2b3";
    assert_eq!(get("https://downloads.example/writ", digest), 1);
    assert_eq!(get("http://downloads.example/writ", digest), 1);
    assert!(!world.path("got/writ").exists() && !world.path("got/writ.part").exists());
    let output = Command::new("sh")
        .args(["-c", "echo 'a binary' | sha256sum | cut -d' ' -f1"])
        .output();
    let digest = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(get("https://downloads.example/writ", digest.trim()), 0);
    let mode = fs::metadata(world.path("got/writ"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(
        (text(&world.path("got/writ")).as_str(), mode & 0o100),
        ("a binary\n", 0o100)
    );
}

#[test]
fn each_hook_runs_before_a_commit() {
    let world = World::new();
    repository(&world);
    let hooks = load(&root().join(".pre-commit-hooks.yaml"));
    let hooks = hooks.as_sequence().unwrap();
    assert_eq!(hooks.len(), 4);
    let run = |hook: &Yaml| {
        let script = world.path("hook");
        fs::write(&script, hook["entry"].as_str().unwrap()).unwrap();
        world.run(&script, &[], &[])
    };
    for hook in hooks {
        let entry = hook["entry"].as_str().unwrap();
        assert_eq!(hook["pass_filenames"].as_bool(), Some(false), "{entry}");
        assert_eq!(hook["language"].as_str(), Some("system"), "{entry}");
        if entry.contains("snapshot") {
            assert_eq!(run(hook).0, 2, "there is no lock yet");
            let status = Command::new(env!("CARGO_BIN_EXE_writ"))
                .args(["policy", "snapshot"])
                .current_dir(world.folder.path())
                .status();
            assert!(status.unwrap().success());
        }
        let (code, said) = run(hook);
        assert_eq!(code, 0, "{entry}: {said}");
    }
    // A policy that cannot be read stops each of them.
    edit(&world, "permit (", "permit (nonsense ");
    for hook in hooks {
        assert_eq!(run(hook).0, 3, "{:?}", hook["entry"]);
    }
}
