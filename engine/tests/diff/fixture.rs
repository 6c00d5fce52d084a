//! Reads the pull requests.

use std::fs;
use std::path::{Path, PathBuf};

use writ_engine::bundle::BundleFiles;

pub(crate) struct Fixture {
    pub name: String,
    pub folder: PathBuf,
    pub old: BundleFiles,
    pub new: BundleFiles,
}

impl Fixture {
    /// Whether a report is the golden one; writes it where it is to be blessed.
    pub(crate) fn golden(&self, name: &str, actual: &str) -> bool {
        let path = self.folder.join(name);
        if std::env::var_os("WRIT_BLESS").is_some() {
            fs::write(&path, actual).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != actual {
            eprintln!("--- {}\n{actual}", path.display());
        }
        expected == actual
    }
}

/// `engine/tests/diff`, from whichever crate's folder.
fn here() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = own.join("tests/diff/base");
    match here.is_dir() {
        true => own.join("tests/diff"),
        false => own.join("../../engine/tests/diff"),
    }
}

/// What every pull request starts from.
pub(crate) fn base() -> BundleFiles {
    read_folder(&here().join("base"))
}

/// The same with a vocabulary for the whole life of a grant, and policies about it: the sections of `whole_life`.
pub(crate) fn whole_life() -> BundleFiles {
    let mut files = base();
    let text = fs::read_to_string(here().join("whole_life")).unwrap();
    for section in text.split("\n@@ ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        apply(&mut files, head, body, "whole_life");
    }
    files
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let base = base();
    let mut folders: Vec<PathBuf> = fs::read_dir(here())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("pull_request").is_file())
        .collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| read(&base, folder))
        .collect()
}

pub(crate) fn read_folder(folder: &Path) -> BundleFiles {
    let mut files = BundleFiles::default();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.0.insert(name, fs::read_to_string(&path).unwrap());
    }
    files
}

fn read(base: &BundleFiles, folder: PathBuf) -> Fixture {
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(folder.join("pull_request")).unwrap();
    let (mut old, mut new) = match text.contains("\n@@ of the whole life\n") {
        true => (whole_life(), whole_life()),
        false => (base.clone(), base.clone()),
    };
    let text = text.replacen("\n@@ of the whole life\n", "\n", 1);
    for section in text.split("\n@@ ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        match head.strip_prefix("both ") {
            Some(head) => {
                apply(&mut old, head, body, &name);
                apply(&mut new, head, body, &name);
            }
            None => apply(&mut new, head, body, &name),
        }
    }
    Fixture {
        name,
        folder,
        old,
        new,
    }
}

fn apply(files: &mut BundleFiles, head: &str, body: &str, name: &str) {
    let (file, how) = head.trim().split_once(' ').unwrap();
    match how {
        "remove" => {
            files.0.remove(file);
        }
        "write" => {
            files.0.insert(file.to_owned(), body.to_owned());
        }
        "append" => files
            .0
            .get_mut(file)
            .unwrap()
            .push_str(&format!("\n{body}")),
        "edit" => {
            let text = files.0.get_mut(file).unwrap();
            for line in body.lines().filter(|line| !line.is_empty()) {
                let (old, new) = line.split_once(" ==>").unwrap();
                let (old, new) = (
                    old.replace("\\n", "\n"),
                    new.strip_prefix(' ').unwrap_or(new),
                );
                assert!(text.contains(&old), "{name}: no `{old}` in {file}");
                *text = text.replacen(&old, &new.replace("\\n", "\n"), 1);
            }
        }
        how => panic!("{name}: what is `{how}`?"),
    }
}
