//! Nothing secret is left behind by a run: not in the plan, the state, its backup, the fullest log, a crash log, or on the
//! screen.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use writ_tests::World;
use writ_tests::terraform::{Said, Terraform, terraform_is_there};

use crate::{name, on_call, requests};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The provider itself stands in the folder as a link.
        match (path.is_symlink(), path.is_dir()) {
            (true, _) => {}
            (false, true) => found.extend(files(&path)),
            (false, false) => found.push(path),
        }
    }
    found
}

/// Where a secret, or it in one of the forms that a log or a file may have it in, stands in `text`.
fn hit(text: &[u8], secret: &str) -> bool {
    let mut forms = vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        secret.replace('+', "%2B").replace('/', "%2F"),
        secret.replace('/', "\\/"),
    ];
    forms.dedup();
    // The middle of each: it would be found where the ends were cut off, or the alignment is another.
    forms.iter().any(|form| {
        let (from, to) = (form.len() / 4, form.len() * 3 / 4);
        let middle = form.as_bytes()[from..to].to_vec();
        text.windows(middle.len()).any(|window| window == middle)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_anything_that_a_run_leaves_or_says() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let kept = tempfile::tempdir().unwrap();
    let canaries = kept.path().join("canaries");
    // The secrets get out by the one door there is, to be looked for everywhere else.
    let used = format!(
        "printf '%s\\n%s\\n' \"$AWS_SECRET_ACCESS_KEY\" \"$AWS_SESSION_TOKEN\" >> '{}'",
        canaries.display()
    );
    let text = on_call("duration = \"30m\"", &used);
    let token = world.token_of("sam");
    let mut terraform = Terraform::new(&world, &token, &text).await;
    let log = terraform.folder().join("log");
    terraform.set("TF_LOG", "TRACE");
    terraform.set("TF_LOG_PATH", &log.display().to_string());
    // Given in the clear: it would be in the environment that Terraform shows to its providers.
    std::fs::remove_file(terraform.folder().join("token")).unwrap();
    terraform.set("WRIT_TOKEN_FILE", "");
    terraform.set("WRIT_TOKEN", &token);

    let mut said: Vec<Said> = Vec::new();
    said.push(terraform.plan().await.ok());
    said.push(terraform.run(&["show", "-json", "tfplan"]).await.ok());
    said.push(terraform.apply().await.ok());
    // Once more, so that there is a backup of the state; and this time it fails, so that errors are looked through too.
    terraform.write(&on_call("duration = \"30m\"", "exit 3"));
    let failing = [
        "apply",
        "-no-color",
        "-auto-approve",
        "-replace=terraform_data.use",
    ];
    let failed = terraform.run(&failing).await;
    failed.failed_with("provisioner error");
    said.push(failed);
    let all = requests(&world).await;
    assert!(all.iter().all(|it| name(it) == "released"), "{all:?}");

    let secrets = std::fs::read_to_string(&canaries).unwrap();
    let mut secrets: Vec<&str> = secrets.lines().collect();
    assert_eq!(secrets.len(), 2, "the apply used the credentials once");
    assert!(secrets.iter().all(|secret| secret.len() >= 40));
    secrets.push(&token);

    let left = files(terraform.folder());
    for name in [
        "tfplan",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "log",
    ] {
        let there = left.iter().any(|path| path.ends_with(name));
        assert!(there, "`{name}` is not among what was looked through");
    }
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("OpenEphemeralResource"),
        "the log is not as full as it was to be"
    );
    for secret in &secrets {
        for path in &left {
            let text = std::fs::read(path).unwrap();
            assert!(!hit(&text, secret), "a secret stands in {}", path.display());
        }
        for said in &said {
            let text = format!("{}{}", said.out, said.err);
            assert!(!hit(text.as_bytes(), secret), "a secret was said");
        }
    }
    // The net catches what it is to catch.
    assert!(hit(secrets[0].as_bytes(), secrets[0]));
    let wrapped = format!("x{}", STANDARD.encode(secrets[1]));
    assert!(hit(wrapped.as_bytes(), secrets[1]));
}
