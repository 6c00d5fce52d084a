//! Whose commits a branch may have.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

impl Author {
    /// Makes a key, and returns its line of a file of allowed signers.
    fn key(&self, name: &str) -> String {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(self.path(name))
            .status()
            .unwrap();
        assert!(made.success());
        let public = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        format!("{name}@corp.example {public}")
    }

    fn allow(&self, lines: &[&str]) {
        fs::write(self.path("allowed_signers"), lines.concat()).unwrap();
    }

    /// Commits as [`Author::edit`] does, signed with a key.
    fn signed(&self, key: &str, comment: &str) -> CommitId {
        self.write("more.cedar", &format!("// {comment}\n"));
        self.git(&["add", "--all"]);
        let signed = format!("--gpg-sign={}", self.path(key).display());
        self.git(&["commit", "--quiet", "--allow-empty", &signed, "-m", comment]);
        self.head()
    }

    fn to(&self, commit: &CommitId) {
        self.git(&["reset", "--quiet", "--hard", commit.as_str()]);
    }

    fn asking(&self, anchor: &CommitId) -> BranchSettings {
        BranchSettings {
            signed: Some(Signed {
                allowed_signers_file: self.path("allowed_signers"),
                anchor: anchor.clone(),
            }),
            ..self.settings()
        }
    }

    fn open_asking(&self, anchor: &CommitId) -> BundleSlot {
        BundleSlot::open(&Source::Branch(self.asking(anchor))).unwrap()
    }
}

#[test]
fn every_commit_after_the_anchor_is_signed_by_an_allowed_key() {
    let author = Author::new();
    author.allow(&[&author.key("mia"), &author.key("pat")]);
    author.key("eve");
    let anchor = author.head();
    let slot = author.open_asking(&anchor);

    let signed = author.signed("mia", "one");
    assert_eq!(replaced(slot.poll()), signed);
    let signed = author.signed("pat", "two");
    assert_eq!(replaced(slot.poll()), signed);

    let unsigned = author.edit("three");
    let said = refused(slot.poll());
    assert!(
        said.contains(&format!("commit {unsigned} is not signed")),
        "{said}"
    );
    assert!(said.contains("it has no signature"), "{said}");
    // A signed commit on top of it does not make it good.
    let after = author.signed("mia", "four");
    let said = refused(slot.poll());
    assert!(said.contains(unsigned.as_str()) && !said.contains(&format!("commit {after}")));
    assert!(refusal(&author.asking(&anchor)).contains(unsigned.as_str()));

    author.to(&signed);
    author.signed("eve", "five");
    assert!(refused(slot.poll()).contains("its key is not among the allowed ones"));
    assert_eq!(slot.in_force().commit, Some(signed.clone()));

    author.to(&signed);
    let next = author.signed("mia", "six");
    assert_eq!(replaced(slot.poll()), next);
}

#[test]
fn a_merge_brings_its_whole_side_along() {
    let author = Author::new();
    author.allow(&[&author.key("mia")]);
    let old = author.head();
    let anchor = author.signed("mia", "the anchor");
    let slot = author.open_asking(&anchor);
    let merge = |side: &str| {
        let key = format!("--gpg-sign={}", author.path("mia").display());
        author.git(&[
            "merge", "--quiet", "--no-ff", "-X", "ours", &key, "-m", "merged", side,
        ]);
        author.head()
    };

    author.git(&["checkout", "--quiet", "-b", "good"]);
    author.signed("mia", "on the side");
    author.git(&["checkout", "--quiet", "main"]);
    let merged = merge("good");
    assert_eq!(replaced(slot.poll()), merged);

    // Begun before the anchor, and unsigned in its middle.
    author.git(&["checkout", "--quiet", "-b", "bad", old.as_str()]);
    let unsigned = author.edit("on the side");
    author.signed("mia", "also on the side");
    author.git(&["checkout", "--quiet", "main"]);
    merge("bad");
    let said = refused(slot.poll());
    assert!(
        said.contains(&format!("commit {unsigned} is not signed")),
        "{said}"
    );
    assert_eq!(slot.in_force().commit, Some(merged));
}

#[test]
fn keys_come_from_the_file_and_a_change_of_it_asks_again_about_every_commit() {
    let author = Author::new();
    let (mia, pat) = (author.key("mia"), author.key("pat"));
    author.allow(&[&mia]);
    let anchor = author.head();
    let slot = author.open_asking(&anchor);

    // A signed commit that would allow another key allows nothing.
    fs::write(author.work().join("allowed_signers"), format!("{mia}{pat}")).unwrap();
    let first = author.signed("mia", "pat may sign too");
    assert_eq!(replaced(slot.poll()), first);
    let second = author.signed("pat", "as pat");
    assert!(refused(slot.poll()).contains("its key is not among"));
    author.allow(&[&mia, &pat]);
    assert_eq!(replaced(slot.poll()), second);

    // A key that is taken out counts for nothing, not even for what it signed before.
    author.allow(&[&pat]);
    assert!(refused(slot.poll()).contains(&format!("commit {first}")));
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: false }));
    assert_eq!(slot.in_force().commit.as_ref(), Some(&second));
    assert!(refusal(&author.asking(&anchor)).contains(first.as_str()));
    author.open_asking(&first);

    fs::remove_file(author.path("allowed_signers")).unwrap();
    assert!(refused(slot.poll()).contains("it cannot be read"));
    author.allow(&[]);
    assert!(refused(slot.poll()).contains(&format!("commit {first}")));
    author.allow(&[&mia, &pat]);
    assert!(matches!(slot.poll(), Reload::Unchanged { looked: true }));
}

#[test]
fn a_key_counts_only_at_its_dates_and_for_git() {
    let author = Author::new();
    let mia = author.key("mia");
    let anchor = author.head();
    author.signed("mia", "one");
    let with = |options: &str| {
        author.allow(&[&mia.replace(" ssh-", &format!(" {options} ssh-"))]);
        author.asking(&anchor)
    };
    BundleSlot::open(&Source::Branch(with("namespaces=\"git\""))).unwrap();
    assert!(refusal(&with("namespaces=\"file\"")).contains("is not signed by an allowed key"));
    assert!(
        refusal(&with("valid-before=\"20200101\"")).contains("is not signed by an allowed key")
    );
}

#[test]
fn no_setting_of_the_repository_and_no_other_kind_of_signature_vouches_for_a_commit() {
    let author = Author::new();
    author.allow(&[&author.key("mia")]);
    author.key("eve");
    let anchor = author.head();
    let slot = author.open_asking(&anchor);

    // A program that finds every signature good, and leaves a trace.
    let trace = author.path("trace");
    let script = format!(
        "#!/bin/sh\ntouch {}\ncat >/dev/null\necho '[GNUPG:] GOODSIG 0123456789ABCDEF mia'\necho '[GNUPG:] VALIDSIG 0123456789ABCDEF'\necho '[GNUPG:] TRUST_ULTIMATE 0'\necho 'Good \"git\" signature for mia with ED25519 key x'\n",
        trace.display()
    );
    let program = author.path("good");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.display().to_string();
    let everyone = author.path("everyone");
    let eve = fs::read_to_string(author.path("eve.pub")).unwrap();
    fs::write(&everyone, format!("* {eve}")).unwrap();
    author.git(&[
        "config",
        "gpg.ssh.allowedSignersFile",
        &everyone.display().to_string(),
    ]);
    for key in ["gpg.program", "gpg.openpgp.program", "gpg.x509.program"] {
        author.git(&["config", key, &program]);
    }
    author.git(&["config", "core.sshCommand", &program]);
    author.git(&["config", "log.showSignature", "true"]);

    author.signed("eve", "allowed by the repository only");
    assert!(refused(slot.poll()).contains("is not signed by an allowed key"));
    // Only now, since git signs with this program too.
    author.git(&["config", "gpg.ssh.program", &program]);
    assert!(refused(slot.retry()).contains("is not signed by an allowed key"));

    let tree = author.git(&["rev-parse", "HEAD^{tree}"]);
    for kind in [
        "PGP SIGNATURE",
        "PGP MESSAGE",
        "SIGNED MESSAGE",
        "SSH SIGNATURE",
    ] {
        let commit = format!(
            "tree {tree}\nparent {anchor}\nauthor mia <mia@corp.example> 1795000000 +0000\ncommitter mia <mia@corp.example> 1795000000 +0000\ngpgsig -----BEGIN {kind}-----\n \n AAAA\n -----END {kind}-----\n\nforged\n"
        );
        let id = author.git_with(&commit, &["hash-object", "-t", "commit", "-w", "--stdin"]);
        author.to(&id.parse().unwrap());
        let said = refused(slot.poll());
        assert!(
            said.contains(&format!("commit {id} is not signed")),
            "{kind}: {said}"
        );
    }
    assert!(!trace.exists(), "a program of the repository was run");

    // It is what git runs by itself.
    author.git(&["log", "-1", "--no-show-signature", "--format=%G?"]);
    assert!(trace.exists());
}

#[test]
fn a_signature_of_one_commit_does_not_fit_another() {
    let author = Author::new();
    author.allow(&[&author.key("mia")]);
    let anchor = author.head();
    let slot = author.open_asking(&anchor);
    author.signed("mia", "one");
    let whole = author.git(&["cat-file", "commit", "HEAD"]);
    author.write("guardrails.cedar", "// none\n");
    author.commit("without guardrails");
    let tree = author.git(&["rev-parse", "HEAD^{tree}"]);
    let (_, rest) = whole.split_once('\n').unwrap();
    let forged = format!("tree {tree}\n{rest}\n");
    let id = author.git_with(&forged, &["hash-object", "-t", "commit", "-w", "--stdin"]);
    author.to(&id.parse().unwrap());
    assert!(refused(slot.poll()).contains("its signature is wrong"));
}

#[test]
fn the_anchor_is_in_the_branchs_history_and_not_too_far_back() {
    let author = Author::new();
    author.allow(&[&author.key("mia")]);
    let anchor = author.head();
    let side = author.edit("aside");
    author.to(&anchor);
    assert!(refusal(&author.asking(&side)).contains("does not descend from the anchor"));
    let unknown = "1".repeat(40).parse().unwrap();
    assert!(refusal(&author.asking(&unknown)).contains("does not descend from the anchor"));

    let mut stream = String::new();
    for number in 0..=2_000 {
        let from = match number {
            0 => format!("from {anchor}\n"),
            _ => String::new(),
        };
        stream.push_str(&format!(
            "commit refs/heads/main\ncommitter mia <mia@corp.example> 1795000000 +0000\ndata 1\nx\n{from}\n"
        ));
    }
    author.git_with(&stream, &["fast-import", "--quiet"]);
    let said = refusal(&author.asking(&anchor));
    assert!(
        said.contains("more than 2000 commits after the anchor"),
        "{said}"
    );
    author.open_asking(&author.git(&["rev-parse", "main"]).parse().unwrap());
}
