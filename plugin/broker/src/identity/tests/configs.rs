//! Which issuers can be configured.

use super::*;

fn good() -> IssuerConfig {
    IssuerConfig {
        name: "corp".to_owned(),
        kind: IssuerKind::Oidc,
        issuer: "https://corp.example.com".to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: vec![Algorithm::Rs256],
        jwks_uri: None,
        stable_id_claim: "sub".to_owned(),
        ca_cert_file: None,
        required_claims: BTreeMap::new(),
    }
}

#[test]
fn a_sound_issuer_is_taken() {
    for config in [
        good(),
        IssuerConfig {
            issuer: "https://corp.example.com/tenant/".to_owned(),
            ..good()
        },
        IssuerConfig {
            issuer: "http://127.0.0.1:8080".to_owned(),
            ..good()
        },
        IssuerConfig {
            issuer: "http://localhost:8080".to_owned(),
            ..good()
        },
        IssuerConfig {
            audience: "writ".to_owned(),
            ..good()
        },
        IssuerConfig {
            stable_id_claim: "oid".to_owned(),
            ..good()
        },
        IssuerConfig {
            jwks_uri: Some("https://keys.example.com/certs".to_owned()),
            ..good()
        },
        IssuerConfig {
            kind: IssuerKind::GithubActions,
            ..good()
        },
    ] {
        assert_eq!(config.check(), Ok(()), "{config:?}");
    }
}

#[test]
fn an_unsound_issuer_is_refused_by_its_field() {
    let with = |change: fn(&mut IssuerConfig)| {
        let mut config = good();
        change(&mut config);
        config
    };
    let rows: Vec<(&str, IssuerConfig)> = vec![
        ("name", with(|c| c.name = "a b".to_owned())),
        ("name", with(|c| c.name = String::new())),
        ("issuer", with(|c| c.issuer = "corp.example.com".to_owned())),
        (
            "issuer",
            with(|c| c.issuer = "http://corp.example.com".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://corp.example.com ".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://corp.example.com\n".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://corp.example.com?x=y".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://corp.example.com#x".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://a@corp.example.com".to_owned()),
        ),
        (
            "issuer",
            with(|c| c.issuer = "https://169.254.169.254".to_owned()),
        ),
        ("audience", with(|c| c.audience = String::new())),
        ("audience", with(|c| c.audience = " writ".to_owned())),
        ("audience", with(|c| c.audience = "*".to_owned())),
        (
            "audience",
            with(|c| c.audience = "https://*.example.com".to_owned()),
        ),
        (
            "audience",
            with(|c| c.audience = "sts.amazonaws.com".to_owned()),
        ),
        ("audience", with(|c| c.audience = c.issuer.clone())),
        ("algorithms", with(|c| c.algorithms = vec![])),
        (
            "algorithms",
            with(|c| c.algorithms = vec![Algorithm::Rs256, Algorithm::Rs256]),
        ),
        (
            "jwks_uri",
            with(|c| c.jwks_uri = Some("http://127.0.0.1/keys".to_owned())),
        ),
        ("jwks_uri", with(|c| c.jwks_uri = Some("keys".to_owned()))),
        (
            "stable_id_claim",
            with(|c| c.stable_id_claim = String::new()),
        ),
        (
            "stable_id_claim",
            with(|c| c.stable_id_claim = "email".to_owned()),
        ),
        (
            "stable_id_claim",
            with(|c| c.stable_id_claim = "preferred_username".to_owned()),
        ),
        (
            "stable_id_claim",
            with(|c| c.stable_id_claim = "iss".to_owned()),
        ),
        (
            "required_claims",
            with(|c| c.required_claims = BTreeMap::from([("aud".to_owned(), "x".to_owned())])),
        ),
        (
            "required_claims",
            with(|c| c.required_claims = BTreeMap::from([("tid".to_owned(), String::new())])),
        ),
        (
            "required_claims",
            with(|c| c.required_claims = BTreeMap::from([("tid".to_owned(), "é".to_owned())])),
        ),
        (
            "stable_id_claim",
            with(|c| {
                c.kind = IssuerKind::GithubActions;
                c.stable_id_claim = "actor_id".to_owned();
            }),
        ),
    ];
    for (field, config) in rows {
        let error = config.check().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn a_verifier_has_issuers_and_each_once() {
    let field = |configs: Vec<IssuerConfig>| Verifier::new(configs).err().map(|error| error.field);
    let local = |name: &str, port: u16| IssuerConfig {
        name: name.to_owned(),
        issuer: format!("http://127.0.0.1:{port}"),
        ..good()
    };
    assert_eq!(field(vec![local("a-b", 1), local("b-b", 2)]), None);
    assert_eq!(field(vec![]), Some("issuer"));
    assert_eq!(field(vec![local("a-b", 1), local("a-b", 2)]), Some("name"));
    assert_eq!(
        field(vec![local("a-b", 1), local("b-b", 1)]),
        Some("issuer")
    );
    let no_file = IssuerConfig {
        ca_cert_file: Some("/nowhere/ca.pem".into()),
        ..good()
    };
    assert_eq!(field(vec![no_file]), Some("ca_cert_file"));
    let no_certificate = tempfile::NamedTempFile::new().unwrap();
    let empty = IssuerConfig {
        ca_cert_file: Some(no_certificate.path().to_owned()),
        ..good()
    };
    assert_eq!(field(vec![empty]), Some("ca_cert_file"));
}
