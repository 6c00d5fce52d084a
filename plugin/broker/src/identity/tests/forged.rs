//! What the door does with forged tokens, beside the good ones it guards.

use super::forgeries::{Row, bad_claims, bad_headers, bad_shapes, bad_signatures};
use super::*;
use Refusal::Untrusted;

#[tokio::test]
async fn a_good_token_of_each_algorithm_proves_who_asks() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for algorithm in ["RS256", "ES256", "ES384", "EdDSA"] {
        let token = issuer.draft(algorithm).sign();
        let identity = at(&verifier, &token, noon()).await.unwrap();
        assert_eq!(identity.principal().id.to_string(), "User::\"ada\"");
        assert!(identity.principal().claims.is_empty());
        assert_eq!(identity.issuer(), "corp");
        assert_eq!(identity.expires_at(), noon().plus_s(3_600));
    }
}

#[tokio::test]
async fn a_signature_seen_before_vouches_for_the_same_bytes_and_no_others() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let good = issuer.draft("ES256").sign();
    let other = issuer.draft("ES256").claim("sub", json!("eve")).sign();
    for _ in 0..3 {
        assert!(at(&verifier, &good, noon()).await.is_ok());
    }
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (parts(&good), parts(&other));
    for forged in [
        // Claims that were never signed under a signature that was; and the signature of another token.
        format!("{}.{}.{}", ours[0], theirs[1], ours[2]),
        format!("{}.{}.{}", ours[0], ours[1], theirs[2]),
    ] {
        for _ in 0..2 {
            let refusal = at(&verifier, &forged, noon()).await.unwrap_err();
            assert_eq!(refusal, Untrusted("a bad signature"));
        }
    }
    // A good signature says nothing of the time.
    let late = noon().plus_s(3_600 + 31);
    assert!(at(&verifier, &good, late).await.is_err());
}

#[tokio::test]
async fn harmless_variations_of_a_good_token_are_accepted() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let good = || issuer.draft("ES256");
    for (what, draft) in [
        ("no type", good().header("typ", Value::Null)),
        ("an access token", good().header("typ", json!("at+jwt"))),
        (
            "an unknown header field",
            good().header("x5t", json!("abc")),
        ),
        (
            "an audience in a list",
            good().claim("aud", json!([AUDIENCE])),
        ),
        ("not before now", good().claim("nbf", json!(noon_s()))),
        (
            "not before, within leeway",
            good().claim("nbf", json!(noon_s() + 30)),
        ),
        (
            "issued within leeway",
            good().claim("iat", json!(noon_s() + 30)),
        ),
        (
            "expired within leeway",
            good()
                .claim("iat", json!(noon_s() - 60))
                .claim("exp", json!(noon_s() - 29)),
        ),
        ("lives a day", good().claim("exp", json!(noon_s() + 86_400))),
        (
            "other claims",
            good().claim("groups", json!([{"a": [1, null, 1.5, true]}])),
        ),
    ] {
        assert!(at(&verifier, &draft.sign(), noon()).await.is_ok(), "{what}");
    }
}

#[tokio::test]
async fn every_bad_or_forged_token_is_refused_for_its_reason() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let rows: Vec<Row> = [bad_shapes, bad_headers, bad_claims, bad_signatures]
        .iter()
        .flat_map(|rows| rows(&issuer))
        .collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut wrong = Vec::new();
    for (what, token, expected) in &rows {
        match at(&verifier, token, noon()).await {
            Err(refusal) if refusal == *expected => {}
            Err(refusal) => wrong.push(format!("{what}: {refusal:?}, not {expected:?}")),
            Ok(_) => wrong.push(format!("{what}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_token_that_no_key_could_save_asks_the_issuer_nothing() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for (_, token, _) in [bad_shapes(&issuer), bad_headers(&issuer)].concat() {
        assert!(at(&verifier, &token, noon()).await.is_err());
    }
    let foreign = issuer
        .draft("RS256")
        .claim("iss", json!(format!("{}/x", issuer.url)));
    assert!(at(&verifier, &foreign.sign(), noon()).await.is_err());
    let elsewhere = issuer.draft("RS256").claim("aud", json!("other"));
    assert!(at(&verifier, &elsewhere.sign(), noon()).await.is_err());
    assert_eq!(issuer.asked_in_all(), 0);
}

#[tokio::test]
async fn an_issuer_signs_only_in_the_ways_it_is_configured_for() {
    let issuer = TestIssuer::start().await;
    let only_es256 = IssuerConfig {
        algorithms: vec![Algorithm::Es256],
        ..issuer.config()
    };
    let verifier = verifier([only_es256]);
    assert!(
        at(&verifier, &issuer.draft("ES256").sign(), noon())
            .await
            .is_ok()
    );
    for algorithm in ["RS256", "ES384", "EdDSA"] {
        assert_eq!(
            at(&verifier, &issuer.draft(algorithm).sign(), noon())
                .await
                .unwrap_err(),
            Untrusted("an algorithm the issuer does not sign with")
        );
    }
}

#[tokio::test]
async fn one_issuers_token_does_not_pass_for_anothers() {
    let (corp, other) = (TestIssuer::start().await, TestIssuer::start().await);
    // Same key ids, other keys.
    let key = new_signer("ES256");
    other.publish_keys(vec![key.jwk("k-ES256")]);
    let other_config = IssuerConfig {
        name: "other".to_owned(),
        ..other.config()
    };
    let verifier = verifier([corp.config(), other_config]);
    assert!(
        at(&verifier, &corp.draft("ES256").sign(), noon())
            .await
            .is_ok()
    );
    // The other issuer signs a token that says it is corp's.
    assert_eq!(
        at(&verifier, &corp.draft("ES256").sign_by(&key), noon())
            .await
            .unwrap_err(),
        Untrusted("a bad signature")
    );
    // The other issuer's own token for the same subject is somebody the directory does not know.
    assert_eq!(
        at(&verifier, &other.draft("ES256").sign_by(&key), noon())
            .await
            .unwrap_err(),
        Refusal::Stranger("not a user of the directory")
    );
}

#[tokio::test]
async fn a_forger_cannot_tell_from_the_answer_whom_we_trust() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let mut answers = std::collections::BTreeSet::new();
    let rows = [
        bad_shapes(&issuer),
        bad_headers(&issuer),
        bad_signatures(&issuer),
    ]
    .concat();
    let foreign = issuer
        .draft("RS256")
        .claim("iss", json!("https://a.example.com"));
    let unknown = issuer.draft("RS256").claim("sub", json!("00u1nobody"));
    let tokens = rows.into_iter().map(|row| row.1);
    for token in tokens.chain([foreign.sign(), unknown.sign()]) {
        let refusal = at(&verifier, &token, noon()).await.unwrap_err();
        answers.insert(refusal.public_message());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}
