//! The shipped bundle loads, and what is refused of a bundle as a whole.

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
