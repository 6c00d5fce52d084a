//! `writ policy fmt` beside the peer it follows: HCL comes out as `terraform fmt` leaves it.
//!
//! But for a comment of several lines before a name, by whose whole length `terraform fmt` moves the `=`s around it; we do not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use writ_engine::bundle::BundleFiles;
use writ_engine::bundle::format::format;
use writ_tests::root;
use writ_tests::terraform::terraform_is_there;

/// What people get wrong, and what is put in odd places.
const ODD: [&str; 4] = [
    "scope   \"x\"{\n\n  owners=\"y\" # who\nrequest_ttl = \"1h\"# how long\n\n\n# alone\nx=[1,2 , 3 ]\n}\n",
    "a = [{\nb=1\n},{\nlonger=2 # c\nb=-2     // d\n}]\nc= { }\n",
    "a=[ /* x */ {b=1}, /* y */ ]\n/* z */ bb = \"# {\"\nccc=1\n",
    "p = {\nStatement=[{Effect=\"Allow\",Action=[\"s3:*\"]},\n{Effect = \"Deny\"}\n]\n}\n",
];

fn by_terraform(text: &str) -> String {
    let mut child = Command::new("terraform")
        .args(["fmt", "-"])
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

fn by_us(text: &str) -> String {
    let files = BundleFiles([("x.hcl".to_owned(), text.to_owned())].into());
    let mut changed = format(&files).unwrap_or_else(|report| panic!("{report}"));
    changed.0.remove("x.hcl").unwrap_or_else(|| text.to_owned())
}

#[test]
fn hcl_is_laid_out_as_terraform_lays_it_out() {
    if !terraform_is_there() {
        return;
    }
    let policies = root().join("policies");
    let files: Vec<PathBuf> = [policies.clone(), policies.join("tests")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "hcl"))
        .collect();
    assert!(files.len() > 2);
    let mut texts: Vec<String> = ODD.map(str::to_owned).to_vec();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let ragged = text.replace("\n  ", "\n").replace(" = ", "=");
        texts.extend([text, ragged]);
    }
    for text in texts {
        assert_eq!(by_us(&text), by_terraform(&text), "{text}");
    }
}
