//! The shipped bundle loads, and what is refused of a bundle as a whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use writ_engine::bundle::BundleFiles;
use writ_engine::{Bundle, PrincipalId, ScopeId, UserId};

/// The shipped bundle, as the shell would read it.
fn shipped() -> BundleFiles {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut files = BundleFiles::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.0.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

#[test]
fn the_shipped_bundle_loads() {
    let bundle = Bundle::load(&shipped()).unwrap_or_else(|report| panic!("{report}"));
    let scopes: Vec<&str> = bundle.scopes().map(|scope| scope.id.as_str()).collect();
    assert_eq!(
        scopes,
        [
            "payments-deploy",
            "prod-admin",
            "prod-db-read",
            "staging-admin"
        ]
    );
    let scope = bundle
        .scope(&ScopeId::new("prod-db-read").unwrap())
        .unwrap();
    assert_eq!(
        (scope.request_ttl_s, scope.aws.max_session_s),
        (86_400, 3_600)
    );
    let directory = bundle.directory();
    let mia = PrincipalId::User(UserId::new("mia").unwrap());
    assert_eq!(directory.principal_of("corp", "00u1mia"), Some(&mia));
    let engineers: Vec<&str> = directory
        .members_of("engineering")
        .map(UserId::as_str)
        .collect();
    assert_eq!(engineers, ["dana", "lee", "mia", "pat", "sam"]);
}

/// Loads the shipped bundle after `change`; the messages of its report, or none.
fn after(change: impl FnOnce(&mut std::collections::BTreeMap<String, String>)) -> Vec<String> {
    let mut files = shipped();
    change(&mut files.0);
    match Bundle::load(&files) {
        Ok(_) => Vec::new(),
        Err(report) => {
            let found = report.findings();
            found.iter().map(|found| found.message.clone()).collect()
        }
    }
}

#[test]
fn a_bundle_that_lacks_a_file_is_refused() {
    for file in ["schema.cedarschema", "scopes.hcl", "directory.hcl"] {
        let found = after(|files| {
            files.remove(file);
        });
        assert!(
            found.iter().any(|message| message.contains("missing")),
            "{file}: {found:?}"
        );
    }
    let found = after(|files| files.retain(|path, _| !path.ends_with(".cedar")));
    assert!(
        found
            .iter()
            .any(|message| message.contains("no `.cedar` file")),
        "{found:?}"
    );
}

#[test]
fn a_file_that_nothing_reads_is_refused_unless_it_lies_beside_the_bundle() {
    let with = |path: &str| {
        after(|files| {
            files.insert(path.to_owned(), String::new());
        })
    };
    for path in [
        "README.md",
        "LICENSE",
        "tests/access.test.hcl",
        ".gitignore",
        ".github/ci.yml",
    ] {
        assert!(with(path).is_empty(), "{path}: {:?}", with(path));
    }
    for path in ["guardrails.ceder", "scope.hcl", "more/guardrails.cedar"] {
        assert_eq!(with(path), [format!("nothing reads `{path}`")]);
    }
    assert_eq!(
        with("Access.cedar"),
        ["`Access.cedar` and `access.cedar` differ only by case"]
    );
    for path in [
        "",
        "../access.cedar",
        "/etc/passwd",
        "a//b",
        "a\\b",
        "tests/../x",
        "with space",
        "\u{1b}",
    ] {
        assert_eq!(with(path).len(), 1, "{path}: {:?}", with(path));
    }
}

#[test]
fn a_policy_in_the_tests_folder_is_not_in_force() {
    let all = "@id(\"all\") permit (principal, action, resource);".to_owned();
    let mut files = shipped();
    files.0.insert("tests/all.cedar".to_owned(), all.clone());
    assert!(Bundle::load(&files).unwrap().policy("all").is_none());
    files.0.insert("all.cedar".to_owned(), all);
    let place = Bundle::load(&files)
        .unwrap()
        .policy("all")
        .cloned()
        .unwrap();
    assert_eq!((place.file.as_str(), place.line), ("all.cedar", 1));
}

#[test]
fn a_bundle_is_taken_to_its_limits_and_refused_beyond_them() {
    use writ_engine::bundle::{BUNDLE_MAX, FILE_MAX, FILES_MAX};
    let present = shipped().0.len();
    let fill = |count: usize, length: usize| {
        after(|files| {
            for number in 0..count {
                files.insert(format!("tests/{number}"), "x".repeat(length));
            }
        })
    };
    assert!(fill(FILES_MAX - present, 1).is_empty());
    assert_eq!(
        fill(FILES_MAX - present + 1, 1),
        ["the bundle has 201 files; at most 200 are read"]
    );
    assert!(fill(1, FILE_MAX).is_empty());
    assert_eq!(
        fill(1, FILE_MAX + 1),
        ["`tests/0` has 1048577 bytes; at most 1048576 are read"]
    );
    assert!(fill(BUNDLE_MAX / FILE_MAX - 1, FILE_MAX).is_empty());
    assert_eq!(fill(BUNDLE_MAX / FILE_MAX, FILE_MAX).len(), 1);
}

#[test]
fn errors_of_all_files_come_out_at_once() {
    let found = after(|files| {
        let text = files.get_mut("scopes.hcl").unwrap();
        *text = text.replacen("system ", "systen ", 1);
        let text = files.get_mut("directory.hcl").unwrap();
        *text = text.replacen("\"engineering\"]", "\"enginering\"]", 1);
        let text = files.get_mut("access.cedar").unwrap();
        *text = text.replacen("principal.event_name", "principal.event_nome", 1);
    });
    for part in ["takes no `systen`", "no group `enginering`", "event_nome"] {
        let hits = found
            .iter()
            .filter(|message| message.contains(part))
            .count();
        assert_eq!(hits, 1, "{part}: {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_digest_is_of_every_path_and_text() {
    let digest = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        BundleFiles(pairs.collect()).digest()
    };
    let one = digest(&[("a", "bc"), ("d", "e")]);
    assert_eq!(one, digest(&[("d", "e"), ("a", "bc")]));
    for other in [
        digest(&[("ab", "c"), ("d", "e")]),
        digest(&[("a", "bcd"), ("", "e")]),
        digest(&[("a", "bc"), ("d", "f")]),
        digest(&[("a", "bc")]),
    ] {
        assert_ne!(one, other);
    }
    assert_eq!(
        Bundle::load(&shipped()).unwrap().digest(),
        shipped().digest()
    );
}

#[test]
fn a_session_policy_is_taken_to_the_limit_of_sts_and_refused_one_character_beyond_it() {
    // The shipped policy of `prod-admin` with an action as long as `fill`.
    let with = |fill: usize| {
        after(|files| {
            let text = files.get_mut("scopes.hcl").unwrap();
            *text = text.replacen("\"ec2:*\"", &format!("\"ec2:{}\"", "x".repeat(fill)), 1);
        })
    };
    let over = with(2_048).first().cloned().unwrap();
    let more: usize = over
        .split_whitespace()
        .skip_while(|word| *word != "conditions,")
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap();
    assert!(with(2_048 - more).is_empty());
    let found = with(2_048 - more + 1);
    assert!(
        matches!(found.as_slice(), [one] if one.contains("2049 characters") && one.contains(" 1 more")),
        "{found:?}"
    );
}

#[test]
fn groups_nest_to_their_limit_and_no_deeper() {
    use writ_engine::bundle::directory::GROUP_DEPTH_MAX;
    let chain = |length: usize| {
        after(|files| {
            let text = files.get_mut("directory.hcl").unwrap();
            text.push_str("group \"g0\" {}\n");
            for number in 1..length {
                let above = number - 1;
                text.push_str(&format!(
                    "group \"g{number}\" {{ groups = [\"g{above}\"] }}\n"
                ));
            }
        })
    };
    assert!(chain(GROUP_DEPTH_MAX).is_empty());
    for length in [GROUP_DEPTH_MAX + 1, 5_000] {
        let found = chain(length);
        assert!(
            matches!(found.as_slice(), [one] if one.contains("nested more than 16 deep")),
            "{found:?}"
        );
    }
}

#[test]
fn a_scope_that_may_assume_roles_is_warned_about() {
    let mut files = shipped();
    let text = files.0.get_mut("scopes.hcl").unwrap();
    *text = text.replacen("\"rds:DescribeDBInstances\"", "\"sts:AssumeRole\"", 1);
    let bundle = Bundle::load(&files).unwrap();
    assert_eq!(bundle.warnings().len(), 1);
    assert!(
        bundle
            .warnings()
            .to_string()
            .contains("outlives the window")
    );
}

#[test]
fn an_error_among_many_policies_hides_none_in_the_others() {
    // More than are parsed together.
    let policy = |number: usize| {
        match number {
        100 => "@id(\"p100\")\npermit (principal, action == Action::\"activate\", resource)\nwhen { 1 < true };\n".to_owned(),
        600 => "@id(\"p600\") permit (principal action, resource);\n\n\n".to_owned(),
        601 => "@id(\"p601\")\npermit (principal, action == Action::\"activate\", resource)\nwhen { 2 < false };\n".to_owned(),
        1_200 => "@id(\"p1200\")\npermit (principal, action == Action::\"activate\", resource)\nwhen { 3 < false };\n".to_owned(),
        number => format!(
            "// é\n@id(\"p{number}\") permit (principal, action == Action::\"activate\", resource)\nwhen {{ principal == resource.owners }};\n"
        ),
    }
    };
    let sound = |number: usize| {
        policy(number).replace(
            "principal == resource.owners",
            "principal in resource.owners",
        )
    };
    let text: String = (0..1_300).map(sound).collect();
    let mut files = shipped();
    files.0.insert("many.cedar".to_owned(), text.clone());
    let report = Bundle::load(&files).unwrap_err();
    let found: Vec<_> = report
        .findings()
        .iter()
        .map(|finding| (finding.line, finding.column, finding.message.clone()))
        .collect();
    let line = |what: &str| text.split(what).next().unwrap().matches('\n').count() + 1;
    let expected =
        ["1 < true", "principal action", "2 < false", "3 < false"].map(|what| Some(line(what)));
    let lines: Vec<_> = found.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, expected, "{found:?}");
}
