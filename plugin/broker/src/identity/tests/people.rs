//! People: who a good token belongs to, and every spelling that is not theirs.

use proptest::prelude::*;

use super::*;
use Refusal::{Stranger, Untrusted};

async fn who(issuer: &TestIssuer, verifier: &Verifier, sub: &str) -> Result<Identity, Refusal> {
    let token = issuer.draft("EdDSA").claim("sub", json!(sub)).sign();
    at(verifier, &token, noon()).await
}

#[tokio::test]
async fn a_stranger_with_a_good_token_is_refused() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for known in ["00u1ada", "Ada Lovelace"] {
        assert!(who(&issuer, &verifier, known).await.is_ok());
    }
    for sub in [
        "00u1bob",
        "ada",
        "4300",
        "4299",
        "User::\"ada\"",
        "*",
        "00u1ad",
        "00u1adaa",
    ] {
        assert_eq!(
            who(&issuer, &verifier, sub).await.unwrap_err(),
            Stranger("not a user of the directory"),
            "{sub}"
        );
    }
}

#[tokio::test]
async fn a_spelling_that_is_not_plain_is_refused_and_never_trimmed() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for sub in [
        " 00u1ada",
        "00u1ada ",
        "\t00u1ada",
        "00u1ada\n",
        "00u1ada\0",
        "\u{feff}00u1ada",
        "00u1\u{200b}ada",
        "00u1ada\u{202e}",
        "００u1ada",
        "00u1аda",
        "Ada\u{a0}Lovelace",
        "Ada\u{301} Lovelace",
        "é",
    ] {
        assert_eq!(
            who(&issuer, &verifier, sub).await.unwrap_err(),
            Stranger("an id that is not plain printable text"),
            "{sub:?}"
        );
    }
    for sub in [
        "00U1ada",
        "00u1Ada",
        "ada lovelace",
        "Ada  Lovelace",
        "AdaLovelace",
    ] {
        assert_eq!(
            who(&issuer, &verifier, sub).await.unwrap_err(),
            Stranger("not a user of the directory"),
            "{sub:?}"
        );
    }
    assert!(who(&issuer, &verifier, &"x".repeat(256)).await.is_err());
}

#[tokio::test]
async fn a_person_is_known_by_the_configured_claim_alone() {
    let issuer = TestIssuer::start().await;
    let config = IssuerConfig {
        stable_id_claim: "oid".to_owned(),
        ..issuer.config()
    };
    let verifier = verifier([config]);
    let draft = || issuer.draft("ES256").claim("sub", json!("pairwise"));
    let good = draft().claim("oid", json!("00u1ada")).sign();
    assert!(at(&verifier, &good, noon()).await.is_ok());
    let rows = [
        (issuer.draft("ES256"), Stranger("a claim is missing")),
        (
            draft().claim("oid", json!(["00u1ada"])),
            Stranger("a claim is not a text"),
        ),
        (
            draft().claim("oid", json!("00u1bob")),
            Stranger("not a user of the directory"),
        ),
        (
            draft().claim("OID", json!("00u1ada")),
            Stranger("a claim is missing"),
        ),
    ];
    for (draft, refusal) in rows {
        assert_eq!(
            at(&verifier, &draft.sign(), noon()).await.unwrap_err(),
            refusal
        );
    }
}

#[tokio::test]
async fn another_tenants_token_is_refused() {
    let issuer = TestIssuer::start().await;
    let config = IssuerConfig {
        required_claims: BTreeMap::from([("tid".to_owned(), "tenant-1".to_owned())]),
        ..issuer.config()
    };
    let verifier = verifier([config]);
    let with = |value: Value| issuer.draft("ES256").claim("tid", value).sign();
    assert!(
        at(&verifier, &with(json!("tenant-1")), noon())
            .await
            .is_ok()
    );
    for value in [
        Value::Null,
        json!("tenant-2"),
        json!("TENANT-1"),
        json!("tenant-1 "),
        json!(["tenant-1"]),
        json!(1),
        json!(true),
    ] {
        assert_eq!(
            at(&verifier, &with(value), noon()).await.unwrap_err(),
            Untrusted("a required claim is missing or another")
        );
    }
}

#[tokio::test]
async fn a_workload_of_the_directory_cannot_be_had_with_a_persons_token() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    assert_eq!(
        who(&issuer, &verifier, "4300").await.unwrap_err(),
        Stranger("not a user of the directory")
    );
}

/// One small change to an identity, of the kinds that people and databases overlook.
fn mutation(original: &'static str) -> impl Strategy<Value = String> {
    let invisible = prop::sample::select(vec![
        " ", "\t", "\n", "\0", "\u{a0}", "\u{ad}", "\u{200b}", "\u{200d}", "\u{202e}", "\u{2066}",
        "\u{feff}", "\u{301}", "\u{fe0f}", ".", "/", "%20", "+",
    ]);
    let lookalike = prop::sample::select(vec![
        'а', 'ɑ', 'ａ', 'е', 'о', 'О', '０', 'ο', 'ԁ', 'ｄ', 'ᴀ', 'ʟ', 'l', 'I', '1', 'O', 'ı',
        'K', 'ſ', 'ß',
    ]);
    let place = 0..=original.len();
    prop_oneof![
        (place.clone(), invisible).prop_map(move |(at, extra)| {
            let (head, tail) = original.split_at(at);
            format!("{head}{extra}{tail}")
        }),
        (place.clone(), lookalike).prop_map(move |(at, other)| {
            original
                .chars()
                .enumerate()
                .map(|(n, c)| if n == at { other } else { c })
                .collect()
        }),
        place.clone().prop_map(move |at| {
            let (head, tail) = original.split_at(at);
            format!("{}{tail}", head.to_uppercase())
        }),
        place.prop_map(move |at| {
            original
                .chars()
                .enumerate()
                .filter(|(n, _)| *n != at)
                .map(|(_, c)| c)
                .collect()
        }),
        "\\PC{1,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_global_rejects: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn no_other_spelling_of_an_identity_is_that_identity(
        sub in prop_oneof![mutation("00u1ada"), mutation("Ada Lovelace")],
    ) {
        prop_assume!(!["00u1ada", "Ada Lovelace"].contains(&sub.as_str()));
        let config = plain_config();
        let claims = super::super::token::Claims::for_test(&json!({"sub": sub}).to_string());
        let found = super::super::oidc::user(&claims, &config, bundle().directory());
        prop_assert!(matches!(found, Err(Stranger(_))), "{:?}", sub);
    }
}

fn plain_config() -> IssuerConfig {
    IssuerConfig {
        name: "corp".to_owned(),
        kind: IssuerKind::Oidc,
        issuer: "https://corp.example.com".to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: vec![Algorithm::Es256],
        jwks_uri: None,
        stable_id_claim: "sub".to_owned(),
        ca_cert_file: None,
        required_claims: BTreeMap::new(),
    }
}
