//! What a platform team sees when a `.cedar` file or the schema is wrong: one folder a case, the whole report golden.
//!
//! A case is the shipped schema, catalog and directory with the files of its folder. `bad` is refused with the report beside
//! it; `good` is its nearest neighbour that loads. A file `x.edit` edits the shipped `x`: `old ==> new` in each line, or
//! `remove`. `WRIT_BLESS=1` writes the reports anew; read them before you commit them.

#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::fs;
use std::path::{Path, PathBuf};

use writ_engine::Bundle;
use writ_engine::bundle::{BundleFiles, DIRECTORY, SCHEMA, SCOPES};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One side of a case, as the shell would read it.
fn bundle(folder: &Path) -> BundleFiles {
    let mut files = BundleFiles::default();
    for file in [SCHEMA, SCOPES, DIRECTORY] {
        let text = fs::read_to_string(here().join("../policies").join(file)).unwrap();
        files.0.insert(file.to_owned(), text);
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        match name.strip_suffix(".edit") {
            Some(edited) if text.trim() == "remove" => {
                files.0.remove(edited);
            }
            Some(edited) => {
                let shipped = files.0.get_mut(edited).unwrap();
                for line in text.lines() {
                    let (old, new) = line.split_once(" ==> ").unwrap();
                    assert!(shipped.contains(old), "{path:?}: no `{old}` in {edited}");
                    *shipped = shipped.replace(old, &new.replace("\\n", "\n"));
                }
            }
            None => {
                files.0.insert(name.to_owned(), text);
            }
        }
    }
    files
}

fn cases() -> Vec<PathBuf> {
    let folders = fs::read_dir(here().join("tests/broken_cedar")).unwrap();
    let mut cases: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 50, "only {} cases found", cases.len());
    cases
}

#[test]
fn each_broken_bundle_is_refused_with_the_report_beside_it() {
    let bless = std::env::var_os("WRIT_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let shown = match Bundle::load(&bundle(&case.join("bad"))) {
            Ok(_) => "it loads".to_owned(),
            Err(report) => report.to_string(),
        };
        let golden = case.join("report.txt");
        if bless {
            fs::write(&golden, &shown).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if shown != expected || shown == "it loads" {
            let case = case.display();
            wrong.push(format!(
                "--- {case}: expected\n{expected}--- but got\n{shown}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_good_neighbour_of_each_broken_bundle_loads() {
    let mut refused = Vec::new();
    for case in cases() {
        if let Err(report) = Bundle::load(&bundle(&case.join("good"))) {
            refused.push(format!("--- {}\n{report}", case.display()));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
