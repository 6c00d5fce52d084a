//! What the shipped bundle gives, enumerated: golden, so that a change of it is seen by whoever reviews it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use writ_engine::access::{Wanted, lock, table};
use writ_engine::bundle::BundleFiles;
use writ_engine::{Bundle, PrincipalId, ScopeId, UserId};

fn shipped() -> BundleFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut files = BundleFiles::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if [".cedar", ".hcl", ".cedarschema"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            files.0.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

fn load(files: &BundleFiles) -> Bundle {
    Bundle::load(files).unwrap_or_else(|report| panic!("{report}"))
}

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/access")
        .join(name);
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        expected, actual,
        "{name} differs; WRIT_BLESS=1 takes the new text"
    );
}

#[test]
fn the_shipped_bundle_gives_exactly_this() {
    let bundle = load(&shipped());
    golden(
        "shipped.lock",
        &lock::text(&table(&bundle, Wanted::default())),
    );
}

#[test]
fn a_table_can_be_asked_for_one_scope_or_one_principal() {
    let bundle = load(&shipped());
    let scope = ScopeId::new("prod-admin").unwrap();
    let dana = PrincipalId::User(UserId::new("dana").unwrap());
    let of_scope = table(
        &bundle,
        Wanted {
            scope: Some(&scope),
            principal: None,
        },
    );
    assert!(of_scope.rows.iter().all(|row| row.scope == scope));
    let people: Vec<&str> = of_scope
        .rows
        .iter()
        .flat_map(|row| &row.principals)
        .map(|who| who.name.as_str())
        .collect();
    assert_eq!(people.len(), 5);
    let of_dana = table(
        &bundle,
        Wanted {
            scope: None,
            principal: Some(&dana),
        },
    );
    let scopes: Vec<&str> = of_dana.rows.iter().map(|row| row.scope.as_str()).collect();
    assert_eq!(scopes, ["prod-admin", "prod-db-read", "staging-admin"]);
    assert!(
        of_dana
            .rows
            .iter()
            .flat_map(|row| &row.paths)
            .all(|path| path.longest.as_s() <= 1_800)
    );
}
