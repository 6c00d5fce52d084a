use std::os::unix::fs::symlink;

use writ_engine::bundle::{BUNDLE_MAX, FILE_MAX, FILES_MAX};

use super::*;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("access.cedar"), "// nothing\n").unwrap();
    fs::write(folder.path().join("scopes.hcl"), "").unwrap();
    folder
}

fn refusal(folder: &Path) -> String {
    read(folder).unwrap_err().to_string()
}

#[test]
fn the_top_level_is_read_and_the_tests_and_the_readme_are_not() {
    let folder = folder();
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/access.test.hcl"), "x").unwrap();
    fs::write(folder.path().join("README.md"), "x").unwrap();
    fs::write(folder.path().join(".gitignore"), "x").unwrap();
    let files = read(folder.path()).unwrap();
    let names: Vec<&str> = files.0.keys().map(String::as_str).collect();
    assert_eq!(names, ["access.cedar", "scopes.hcl"]);
    assert_eq!(files.0["access.cedar"], "// nothing\n");
}

#[test]
fn a_file_that_looks_like_a_misspelt_policy_is_refused_by_name() {
    for name in ["guardrails.ceder", "guardrails.cedar.bak", "guardrails"] {
        let folder = folder();
        fs::write(folder.path().join(name), "").unwrap();
        assert!(refusal(folder.path()).contains(name));
    }
}

#[test]
fn a_link_inside_the_folder_is_followed_and_one_that_leaves_it_is_refused() {
    let folder = folder();
    fs::create_dir(folder.path().join("..data")).unwrap();
    fs::write(folder.path().join("..data/more.cedar"), "// more").unwrap();
    symlink("..data/more.cedar", folder.path().join("more.cedar")).unwrap();
    assert_eq!(read(folder.path()).unwrap().0["more.cedar"], "// more");

    let outside = tempfile::NamedTempFile::with_suffix(".cedar").unwrap();
    symlink(outside.path(), folder.path().join("evil.cedar")).unwrap();
    assert!(refusal(folder.path()).contains("outside the bundle"));
}

#[test]
fn a_link_to_nothing_and_a_folder_that_is_missing_are_refused() {
    let folder = folder();
    symlink("gone.cedar", folder.path().join("dangling.cedar")).unwrap();
    assert!(refusal(folder.path()).contains("dangling.cedar"));
    assert!(refusal(Path::new("/nonexistent-bundle")).contains("cannot be read"));
}

#[test]
fn bytes_that_are_no_text_and_files_too_large_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("binary.cedar"), b"permit \xff").unwrap();
    let large = vec![b' '; FILE_MAX + 1];
    fs::write(folder.path().join("large.cedar"), large).unwrap();
    let all = refusal(folder.path());
    assert!(all.contains("not UTF-8: the byte at 7"), "{all}");
    assert!(all.contains("larger than"), "{all}");
}

#[test]
fn more_files_or_more_bytes_than_a_bundle_may_have_are_refused() {
    let many = folder();
    for i in 0..FILES_MAX {
        fs::write(many.path().join(format!("p{i}.cedar")), "").unwrap();
    }
    assert!(refusal(many.path()).contains("more than 200 files"));

    let heavy = folder();
    let full = vec![b' '; FILE_MAX];
    for i in 0..=(BUNDLE_MAX / FILE_MAX) {
        fs::write(heavy.path().join(format!("p{i}.cedar")), &full).unwrap();
    }
    assert!(refusal(heavy.path()).contains("with it the bundle is larger"));
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let folder = folder();
    let path = folder.path().join("pipe.cedar");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    assert!(refusal(folder.path()).contains("not a regular file"));
}

#[test]
fn invariant_9_a_broken_bundle_leaves_the_last_good_one_in_force() {
    let folder = shipped();
    let at = |name: &str| folder.path().join(name);
    let slot = BundleSlot::open(&Source::Folder(folder.path().to_owned())).unwrap();
    let good = slot.current().digest();
    let deep = format!(
        "permit (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(60),
        ")".repeat(60)
    );
    // What is added to which file. Each refuses the whole bundle.
    let table: Vec<(&str, String)> = [
        ("access.cedar", "permit ("),
        ("access.cedar", "permit (principal, action, resource);"),
        ("access.cedar", "@id(\"x\") permit (principal == User::\"nobody\", action == Action::\"activate\", resource);"),
        ("access.cedar", "@id(\"x\") permit (principal, action == Action::\"activate\", resource == Scope::\"none\");"),
        ("access.cedar", "@id(\"x\") permit (principal, action == Action::\"fly\", resource);"),
        ("access.cedar", "@id(\"x\") permit (principal, action == Action::\"activate\", resource) when { principal.wings };"),
        ("access.cedar", "@id(\"x\") permit (principal == ?principal, action, resource);"),
        ("access.cedar", "@id(\"x\") permit (principal, action == Action::\"activate\", resource) when { context.window.duration < 5 };"),
        ("guardrails.cedar", "@id(\"x\") forbid (principal, action, resource) when { context.nothing };"),
        ("guardrails.cedar", "\u{0}"),
        ("guardrails.cedar", "@id(\"x\") forbid (principal, action"),
        ("approvals.cedar", "@id(\"x\") @id(\"x\") permit (principal, action, resource);"),
        ("scopes.hcl", "scope \"x\" {"),
        ("scopes.hcl", "scope \"x\" {\n}\n"),
        ("scopes.hcl", "scoop \"x\" {\n}\n"),
        ("scopes.hcl", "x = ${file(\"/etc/passwd\")}\n"),
        ("directory.hcl", "user \"x\" {\n  manager = \"nobody\"\n}\n"),
        ("directory.hcl", "user \"x y\" {\n  name = \"X\"\n}\n"),
        ("directory.hcl", "workload \"x\" {\n}\n"),
        ("directory.hcl", "group \"engineering\" {\n}\n"),
        ("directory.hcl", "]"),
        ("schema.cedarschema", "entity"),
        ("schema.cedarschema", "entity User;"),
        ("more.hcl", "x = 1\n"),
        ("guardrails.ceder", "// nobody reads this"),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.to_owned()))
    .chain([
        ("access.cedar", deep),
        ("access.cedar", " ".repeat(FILE_MAX)),
        ("scopes.hcl", format!("x = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000))),
    ])
    .collect();
    for (name, text) in &table {
        let before = fs::read(at(name)).ok();
        let mut broken = before.clone().unwrap_or_default();
        broken.extend_from_slice(text.as_bytes());
        fs::write(at(name), broken).unwrap();
        let shown: String = text.chars().take(60).collect();
        match slot.reload() {
            Reload::Refused(refusal) => assert!(refusal.report.has_errors(), "{name}: {shown}"),
            other => panic!("{name}: {shown}: {other:?}"),
        }
        assert_eq!(slot.current().digest(), good, "{name}: {shown}");
        match before {
            Some(before) => fs::write(at(name), before).unwrap(),
            None => fs::remove_file(at(name)).unwrap(),
        }
    }
    for name in [
        "access.cedar",
        "scopes.hcl",
        "directory.hcl",
        "schema.cedarschema",
    ] {
        let before = fs::read(at(name)).unwrap();
        fs::write(at(name), b"\xff\xfe").unwrap();
        assert!(matches!(slot.reload(), Reload::Refused(_)), "{name}");
        fs::remove_file(at(name)).unwrap();
        if name != "access.cedar" {
            assert!(matches!(slot.reload(), Reload::Refused(_)), "{name}");
        }
        assert_eq!(slot.current().digest(), good);
        fs::write(at(name), before).unwrap();
    }
    assert!(matches!(slot.reload(), Reload::Unchanged { looked: true }));

    fs::write(at("new.cedar"), "// a comment\n").unwrap();
    assert!(matches!(slot.reload(), Reload::Replaced(_)));
    assert_ne!(slot.current().digest(), good);

    fs::remove_dir_all(folder.path()).unwrap();
    let good = slot.current().digest();
    assert!(matches!(slot.reload(), Reload::Refused(_)));
    assert_eq!(slot.current().digest(), good);
}

#[test]
fn a_file_being_written_is_not_read_until_it_rests() {
    let folder = shipped();
    let guardrails = folder.path().join("guardrails.cedar");
    let slot = BundleSlot::open(&Source::Folder(folder.path().to_owned())).unwrap();
    let good = slot.current().digest();
    let whole = fs::read_to_string(&guardrails).unwrap();

    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    // An editor truncates the file and is still writing: a bundle without guardrails would be valid.
    fs::write(&guardrails, "// being saved\n").unwrap();
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    fs::write(&guardrails, format!("{whole}\n// saved\n")).unwrap();
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    assert_eq!(slot.current().digest(), good);
    assert!(matches!(slot.poll(), Reload::Replaced(_)));
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
}

#[test]
fn a_broken_bundle_is_read_once_and_told_again_only_when_it_changes() {
    let folder = shipped();
    let slot = BundleSlot::open(&Source::Folder(folder.path().to_owned())).unwrap();
    let access = folder.path().join("access.cedar");
    let whole = fs::read_to_string(&access).unwrap();
    fs::write(&access, "permit (").unwrap();
    assert!(matches!(slot.poll(), Reload::Unchanged { .. }));
    assert!(matches!(slot.poll(), Reload::Refused(_)));
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    fs::write(&access, whole).unwrap();
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: true }));
}
