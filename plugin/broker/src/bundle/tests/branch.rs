//! Where a branch may go.

use super::*;

#[test]
fn a_branch_is_followed_forward_and_each_commit_counts() {
    let author = Author::new();
    let slot = author.open();
    let (first, digest) = (author.head(), slot.current().digest());
    assert_eq!(slot.in_force().commit, Some(first));
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));

    let second = author.edit("two");
    assert_eq!(replaced(slot.poll()), second);
    assert_ne!(slot.current().digest(), digest);
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    assert!(matches!(slot.reload(), Reload::Unchanged { looked: true }));

    // Nothing of the bundle changes, and the branch cannot go back before it any more.
    let digest = slot.current().digest();
    fs::write(author.work().join("README.md"), "x").unwrap();
    let third = author.commit("three");
    assert_eq!(replaced(slot.poll()), third);
    assert_eq!(slot.current().digest(), digest);
    author.git(&["reset", "--quiet", "--hard", second.as_str()]);
    assert!(refused(slot.poll()).contains("does not descend from"));
}

#[test]
fn a_broken_commit_is_told_once_and_again_only_when_asked() {
    let author = Author::new();
    let slot = author.open();
    let good = slot.current().digest();
    author.write("access.cedar", "permit (");
    let bad = author.commit("broken");
    let Reload::Refused(refusal) = slot.poll() else {
        panic!("it is taken");
    };
    assert_eq!(refusal.commit, Some(bad));
    assert!(refusal.report.findings()[0].line.is_some());
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    assert!(matches!(slot.retry(), Reload::Refused(_)));
    assert!(matches!(slot.reload(), Reload::Refused(_)));
    assert_eq!(slot.current().digest(), good);
    author.git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(replaced(slot.poll()), author.head());
    assert_eq!(slot.current().digest(), good);
}

#[test]
fn a_branch_that_turns_back_or_aside_stays_where_it_was() {
    let author = Author::new();
    let first = author.head();
    let second = author.edit("two");
    let slot = author.open();
    let back = |to: &str| {
        author.git(&["reset", "--quiet", "--hard", to]);
    };
    let orphan = {
        let tree = author.git(&["rev-parse", "HEAD^{tree}"]);
        author.git(&["commit-tree", &tree, "-m", "no parents"])
    };
    let child_of_first = {
        let tree = author.git(&["rev-parse", "HEAD^{tree}"]);
        author.git(&["commit-tree", &tree, "-p", first.as_str(), "-m", "amended"])
    };
    for head in [first.as_str(), &orphan, &child_of_first] {
        back(head);
        let said = refused(slot.reload());
        assert!(
            said.contains(head) && said.contains(second.as_str()),
            "{said}"
        );
        assert_eq!(slot.in_force().commit.as_ref(), Some(&second));
    }
    // A merge of the two is where both go on.
    back(second.as_str());
    author.git(&["merge", "--quiet", "-m", "merged", &child_of_first]);
    assert_eq!(replaced(slot.poll()), author.head());
}

#[test]
fn what_is_put_beside_the_commits_does_not_make_a_descendant() {
    let author = Author::new();
    let first = author.head();
    let slot = author.open();
    let tree = author.git(&["rev-parse", "HEAD^{tree}"]);
    let other = author.git(&["commit-tree", &tree, "-m", "no parents"]);
    let claimed = author.git(&["commit-tree", &tree, "-p", first.as_str(), "-m", "claimed"]);

    // A replacement, as a fetch of all references brings it along.
    author.git(&["replace", &other, &claimed]);
    author.git(&["update-ref", "refs/heads/main", &other]);
    author.git(&["merge-base", "--is-ancestor", first.as_str(), &other]);
    assert!(refused(slot.reload()).contains("does not descend from"));
    author.git(&["replace", "--delete", &other]);

    // A graft.
    let grafts = author.work().join(".git/info/grafts");
    fs::create_dir_all(grafts.parent().unwrap()).unwrap();
    fs::write(&grafts, format!("{other} {first}\n")).unwrap();
    author.git(&["merge-base", "--is-ancestor", first.as_str(), &other]);
    assert!(refused(slot.reload()).contains("does not descend from"));
    fs::remove_file(grafts).unwrap();

    author.git(&["update-ref", "refs/heads/main", first.as_str()]);
    assert!(matches!(slot.reload(), Reload::Unchanged { looked: true }));
    let next = author.edit("next");
    assert_eq!(replaced(slot.reload()), next);
}

#[test]
fn only_a_branch_of_that_name_is_one() {
    let author = Author::new();
    let head = author.head();
    author.git(&["branch", "side"]);
    let delete = || {
        author.git(&["checkout", "--quiet", "--detach"]);
        author.git(&["update-ref", "-d", "refs/heads/main"]);
    };
    delete();
    assert!(author.refusal().contains("has no branch `main`"));
    author.git(&["tag", "main"]);
    assert!(author.refusal().contains("has no branch `main`"));
    author.git(&["tag", "--annotate", "-m", "x", "heads/main"]);
    assert!(author.refusal().contains("has no branch `main`"));
    author.git(&["update-ref", "refs/heads/main/more", head.as_str()]);
    assert!(author.refusal().contains("has no branch `main`"));
    author.git(&["update-ref", "-d", "refs/heads/main/more"]);
    author.git(&["symbolic-ref", "refs/heads/main", "refs/heads/side"]);
    assert!(author.refusal().contains("another name of something else"));
    author.git(&["symbolic-ref", "--delete", "refs/heads/main"]);
    let tag = author.git(&["rev-parse", "refs/tags/heads/main"]);
    fs::write(
        author.work().join(".git/refs/heads/main"),
        format!("{tag}\n"),
    )
    .unwrap();
    assert!(author.refusal().contains("another name of something else"));
    author.git(&["update-ref", "refs/heads/main", head.as_str()]);
    author.open();
}

#[test]
fn a_repository_that_lacks_something_is_refused_with_what_would_help() {
    let author = Author::new();
    author.edit("two");
    let from = format!("file://{}", author.work().display());
    let clone = |name: &str, more: &[&str]| {
        let path = author.path(name);
        let shown = path.display().to_string();
        author.git(&[&["clone", "--quiet", "--bare"], more, &[&from, &shown]].concat());
        BranchSettings {
            repository: path,
            ..author.settings()
        }
    };
    assert!(refusal(&clone("shallow.git", &["--depth=1"])).contains("git fetch --unshallow"));

    let work = author.work().display().to_string();
    let borrowing = clone("borrowing.git", &["--reference", &work]);
    assert!(refusal(&borrowing).contains("git repack -a -d"));

    let whole = clone("whole.git", &[]);
    BundleSlot::open(&Source::Branch(whole)).unwrap();

    let mut none = author.settings();
    none.repository = author.path("none.git");
    assert!(refusal(&none).contains("none.git` cannot be read: git failed"));
    // Not the repository that the folder happens to lie in.
    none.repository = author.work().join("policies");
    assert!(refusal(&none).contains("policies` cannot be read: git failed"));
}

#[test]
fn a_start_goes_on_from_the_commit_on_record_or_takes_the_one_step_that_is_named() {
    let author = Author::new();
    let first = author.head();
    let second = author.edit("two");
    let goes_on = |settings: &BranchSettings, mark: &CommitId| {
        let slot = BundleSlot::open(&Source::Branch(settings.clone())).unwrap();
        slot.goes_on_from(mark).map_err(|refusal| said(&refusal))
    };
    let mut settings = author.settings();
    goes_on(&settings, &first).unwrap();
    goes_on(&settings, &second).unwrap();

    author.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let refused = goes_on(&settings, &second).unwrap_err();
    let way_out = format!("accept_rewrite {{ from = \"{second}\" to = \"{first}\" }}");
    assert!(refused.contains(&way_out), "{refused}");

    let step = |from: &CommitId, to: &CommitId| {
        Some(Rewrite {
            from: from.clone(),
            to: to.clone(),
        })
    };
    settings.accept_rewrite = step(&second, &first);
    goes_on(&settings, &second).unwrap();
    // The branch may have gone on meanwhile.
    let third = author.edit("three");
    goes_on(&settings, &second).unwrap();

    // It is that step and no other.
    author.git(&["reset", "--quiet", "--hard", first.as_str()]);
    goes_on(&settings, &third).unwrap_err();
    for other in [
        step(&second, &third),
        step(&first, &second),
        step(&first, &first),
    ] {
        settings.accept_rewrite = other;
        goes_on(&settings, &second).unwrap_err();
    }

    // A commit that is not there any more is nobody's ancestor, and can be left behind as well.
    let gone: CommitId = "1".repeat(40).parse().unwrap();
    settings.accept_rewrite = None;
    goes_on(&settings, &gone).unwrap_err();
    settings.accept_rewrite = step(&gone, &first);
    goes_on(&settings, &gone).unwrap();

    let folder = BundleSlot::open(&Source::Folder(shipped().path().to_owned())).unwrap();
    folder.goes_on_from(&gone).unwrap();
}
