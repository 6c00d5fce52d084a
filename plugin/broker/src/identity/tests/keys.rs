//! Keys: rotation, floods, an issuer that is down, and one that lies.

use super::*;
use Refusal::Untrusted;

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn keys_are_fetched_once_while_they_are_fresh() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for after_s in [0, 1, 299, 599] {
        let now = noon().plus_s(after_s);
        assert!(
            at(&verifier, &issuer.draft("ES256").sign(), now)
                .await
                .is_ok()
        );
    }
    assert_eq!(issuer.asked("/keys"), 1);
    let now = noon().plus_s(600);
    assert!(
        at(&verifier, &issuer.draft("ES256").sign(), now)
            .await
            .is_ok()
    );
    assert_eq!(issuer.asked("/keys"), 2);
}

#[tokio::test]
async fn many_at_once_share_one_fetch() {
    let issuer = TestIssuer::start().await;
    let verifier = Arc::new(verifier([issuer.config()]));
    let token = issuer.draft("ES256").sign();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token) = (Arc::clone(&verifier), token.clone());
            tokio::spawn(async move { at(&verifier, &token, noon()).await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(issuer.asked("/keys"), 1);
}

#[tokio::test]
async fn a_flood_of_made_up_key_ids_causes_one_fetch_in_30_seconds() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    for second in 0..90 {
        for n in 0..4 {
            let kid = json!(format!("made-up-{second}-{n}"));
            let token = issuer.draft("EdDSA").header("kid", kid).sign();
            assert_eq!(
                at(&verifier, &token, noon().plus_s(second))
                    .await
                    .unwrap_err(),
                Untrusted("no key of this id")
            );
        }
    }
    assert_eq!(issuer.asked("/keys"), 3);
    assert_eq!(issuer.asked(DISCOVERY), 3);
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_is_forgotten() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let old = issuer.draft("ES256").sign();
    assert!(at(&verifier, &old, noon()).await.is_ok());
    let key = new_signer("ES256");
    issuer.publish_keys(vec![key.jwk("k-new")]);
    let new = issuer
        .draft("ES256")
        .header("kid", json!("k-new"))
        .sign_by(&key);
    // Within half a minute of the last fetch the new key is not looked for.
    assert_eq!(
        at(&verifier, &new, noon().plus_s(29)).await.unwrap_err(),
        Untrusted("no key of this id")
    );
    assert!(at(&verifier, &new, noon().plus_s(30)).await.is_ok());
    assert_eq!(
        at(&verifier, &old, noon().plus_s(31)).await.unwrap_err(),
        Untrusted("no key of this id")
    );
}

#[tokio::test]
async fn a_key_that_changes_under_its_id_is_the_new_one_after_ten_minutes() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    assert!(
        at(&verifier, &issuer.draft("ES256").sign(), noon())
            .await
            .is_ok()
    );
    let key = new_signer("ES256");
    issuer.publish_keys(vec![key.jwk("k-ES256")]);
    let now = noon().plus_s(600);
    assert!(
        at(&verifier, &issuer.draft("ES256").sign_by(&key), now)
            .await
            .is_ok()
    );
    assert_eq!(
        at(&verifier, &issuer.draft("ES256").sign(), now)
            .await
            .unwrap_err(),
        Untrusted("a bad signature")
    );
}

#[tokio::test]
async fn while_the_issuer_is_down_its_keys_serve_an_hour_and_then_nobody_gets_in() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let token = issuer
        .draft("ES256")
        .claim("exp", json!(noon_s() + 86_400))
        .sign();
    assert!(at(&verifier, &token, noon()).await.is_ok());
    issuer.reply(
        "/keys",
        Reply::Raw("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_owned()),
    );
    for after_s in [600, 1_800, 3_599] {
        assert!(
            at(&verifier, &token, noon().plus_s(after_s)).await.is_ok(),
            "{after_s}"
        );
    }
    for after_s in [3_600, 3_601, 40_000] {
        let refusal = at(&verifier, &token, noon().plus_s(after_s))
            .await
            .unwrap_err();
        assert!(is_down(&refusal, "status 503"), "{refusal:?}");
    }
    // Back up, and half a minute after the last try.
    issuer.publish_keys(vec![signer("ES256").jwk("k-ES256")]);
    assert!(at(&verifier, &token, noon().plus_s(40_029)).await.is_err());
    assert!(at(&verifier, &token, noon().plus_s(40_030)).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_the_fetch() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.config()]);
    let token = issuer.draft("ES256").sign();
    {
        // Polled once, so the fetch has begun, then dropped.
        let mut call = std::pin::pin!(at(&verifier, &token, noon()));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    // No second fetch may start at this moment, so only the first can have brought the keys.
    assert!(at(&verifier, &token, noon()).await.is_ok());
    assert_eq!(issuer.asked("/keys"), 1);
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_lets_nobody_in_and_is_asked_again_later() {
    let issuer = TestIssuer::start().await;
    let verifier = impatient_verifier(issuer.config());
    let token = issuer.draft("ES256").sign();
    issuer.reply(DISCOVERY, Reply::Silence);
    for after_s in [0, 1, 29] {
        let refusal = at(&verifier, &token, noon().plus_s(after_s))
            .await
            .unwrap_err();
        assert!(is_down(&refusal, "did not answer in time"), "{refusal:?}");
    }
    assert_eq!(issuer.asked(DISCOVERY), 1);
    issuer.publish(json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)}));
    assert!(at(&verifier, &token, noon().plus_s(30)).await.is_ok());
}

#[tokio::test]
async fn an_evil_discovery_document_is_not_followed() {
    let victim = TestIssuer::start().await;
    let issuer = TestIssuer::start().await;
    let url = issuer.url.clone();
    let keys = format!("{url}/keys");
    let raw = |text: String| Reply::Raw(text);
    let moved = |status: &str, to: &str| {
        raw(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
        ))
    };
    let doc = |issuer: &str, keys: &str| Reply::Json(json!({"issuer": issuer, "jwks_uri": keys}));
    let huge = "x".repeat(1_048_577);
    let rows = [
        ("redirect", moved("302", &victim.url), "redirect"),
        (
            "redirect to metadata",
            moved("307", "http://169.254.169.254/"),
            "redirect",
        ),
        ("redirect to itself", moved("308", &keys), "redirect"),
        (
            "huge",
            raw(format!("HTTP/1.1 200 OK\r\n\r\n{{\"a\":\"{huge}\"}}")),
            "more than 1 MiB",
        ),
        ("slow", Reply::Silence, "in time"),
        (
            "not HTTP",
            raw("hello\r\n\r\n".to_owned()),
            "cannot be reached",
        ),
        (
            "not JSON",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".to_owned()),
            "not JSON",
        ),
        (
            "another issuer",
            doc(&victim.url, &keys),
            "another issuer's",
        ),
        (
            "issuer with a slash",
            doc(&format!("{url}/"), &keys),
            "another issuer's",
        ),
        (
            "no issuer",
            Reply::Json(json!({"jwks_uri": keys})),
            "another issuer's",
        ),
        (
            "issuer in a list",
            Reply::Json(json!({"issuer": [url], "jwks_uri": keys})),
            "another issuer's",
        ),
        (
            "no keys",
            Reply::Json(json!({"issuer": url})),
            "no `jwks_uri`",
        ),
        (
            "keys elsewhere",
            doc(&url, &format!("{}/keys", victim.url)),
            "another origin",
        ),
        (
            "keys at metadata",
            doc(&url, "http://169.254.169.254/keys"),
            "not encrypted",
        ),
        (
            "keys by another scheme",
            doc(&url, &keys.replace("http:", "https:")),
            "another origin",
        ),
        (
            "keys in a file",
            doc(&url, "file:///etc/passwd"),
            "does not start with",
        ),
        (
            "keys behind a user",
            doc(&url, &keys.replace("http://", "http://u@")),
            "before its path",
        ),
    ];
    for (what, reply, cause) in rows {
        issuer.reply(DISCOVERY, reply);
        let refusal = at(
            &impatient_verifier(issuer.config()),
            &issuer.draft("ES256").sign(),
            noon(),
        )
        .await
        .unwrap_err();
        assert!(is_down(&refusal, cause), "{what}: {refusal:?}");
    }
    assert_eq!(victim.asked_in_all(), 0);
    assert_eq!(issuer.asked("/keys"), 0);
}

#[tokio::test]
async fn a_key_set_that_can_be_read_in_two_ways_is_refused() {
    let issuer = TestIssuer::start().await;
    let good = signer("ES256").jwk("k-ES256");
    let other = new_signer("ES256").jwk("k-ES256");
    let doubled = format!("{{\"keys\":[{good}],\"keys\":[{other}]}}");
    let length = doubled.len();
    let raw = Reply::Raw(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{doubled}"
    ));
    let rows = [
        (
            "two keys of one id",
            Reply::Json(json!({"keys": [good, other]})),
            "two keys of one id",
        ),
        (
            "one key twice",
            Reply::Json(json!({"keys": [good, good]})),
            "two keys of one id",
        ),
        ("keys twice", raw, "has a key twice"),
        (
            "no keys",
            Reply::Json(json!({"keys": []})),
            "no key we can use",
        ),
        (
            "keys that are none",
            Reply::Json(json!({"keys": ["a"]})),
            "not an object",
        ),
        ("no list", Reply::Json(json!({"keys": {}})), "no `keys`"),
        (
            "too many",
            Reply::Json(json!({"keys": vec![good.clone(); 65]})),
            "more than 64",
        ),
    ];
    for (what, reply, cause) in rows {
        issuer.reply("/keys", reply);
        let refusal = at(
            &verifier([issuer.config()]),
            &issuer.draft("ES256").sign(),
            noon(),
        )
        .await
        .unwrap_err();
        assert!(is_down(&refusal, cause), "{what}: {refusal:?}");
    }
}

#[tokio::test]
async fn a_published_key_that_is_not_for_us_is_passed_over() {
    let issuer = TestIssuer::start().await;
    let with = |algorithm: &str, field: &str, value: Value| {
        let mut jwk = signer(algorithm).jwk(&format!("k-{algorithm}"));
        jwk[field] = value;
        (algorithm.to_owned(), jwk)
    };
    let rows = [
        with("RS256", "use", json!("enc")),
        with("RS256", "use", json!(["sig"])),
        with("RS256", "alg", json!("RS512")),
        with("RS256", "alg", json!("RSA-OAEP")),
        with("RS256", "alg", json!(7)),
        with("RS256", "e", json!("Aw")),
        with("RS256", "e", json!("AAEAAQ")),
        with("RS256", "n", json!(b64(&[0xff; 128]))),
        with("RS256", "n", json!(b64(&[0xff; 1_025]))),
        with("RS256", "n", json!("")),
        with("RS256", "kty", json!("EC")),
        with("RS256", "crv", json!("P-256")),
        with("RS256", "d", json!("AQAB")),
        with("RS256", "k", json!("AQAB")),
        with("ES256", "alg", json!("ES384")),
        with("ES256", "crv", json!("P-384")),
        with("ES256", "crv", json!("secp256k1")),
        with("ES256", "x", json!(b64(&[1; 32]))),
        with("ES256", "x", json!(b64(&[1; 31]))),
        with("ES256", "kty", json!("oct")),
        with("ES384", "key_ops", json!(["sign"])),
        with("ES384", "key_ops", json!("verify")),
        with("EdDSA", "crv", json!("X25519")),
        with("EdDSA", "crv", json!("Ed448")),
        with("EdDSA", "x", json!("AAAA")),
        with("EdDSA", "kid", json!("")),
        with("EdDSA", "kid", json!("k".repeat(129))),
    ];
    let spare = new_signer("ES256").jwk("spare");
    for (algorithm, jwk) in rows {
        issuer.publish_keys(vec![jwk.clone(), spare.clone()]);
        let refusal = at(
            &verifier([issuer.config()]),
            &issuer.draft(&algorithm).sign(),
            noon(),
        )
        .await
        .unwrap_err();
        assert_eq!(refusal, Untrusted("no key of this id"), "{jwk}");
    }
    // The same keys untouched, among ones that are not for us.
    issuer.publish_keys(vec![
        json!({"kty": "RSA", "use": "enc", "kid": "k-RS256", "n": "AA", "e": "AQAB"}),
        json!({"kty": "future", "kid": "k-ES256"}),
        signer("RS256").jwk("k-RS256"),
        signer("ES256").jwk("k-ES256"),
    ]);
    let verifier = verifier([issuer.config()]);
    for algorithm in ["RS256", "ES256"] {
        assert!(
            at(&verifier, &issuer.draft(algorithm).sign(), noon())
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn a_configured_key_address_is_used_instead_of_discovery() {
    let issuer = TestIssuer::start().await;
    let keys = TestIssuer::start().await;
    let config = IssuerConfig {
        jwks_uri: Some(format!("{}/keys", keys.url)),
        ..issuer.config()
    };
    assert!(
        at(&verifier([config]), &issuer.draft("ES256").sign(), noon())
            .await
            .is_ok()
    );
    assert_eq!((issuer.asked_in_all(), keys.asked_in_all()), (0, 1));
}

#[test]
fn signatures_of_other_makers_are_found_good() {
    let check = |jwk: Value, token: &str| {
        let set = super::super::keys::KeySet::read(json!({"keys": [jwk]}).to_string().as_bytes());
        let set = set.unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = set.get("a").unwrap();
        assert!(key.made(signed.as_bytes(), &signature));
        assert!(!key.made(&signed.as_bytes()[1..], &signature));
    };
    // RFC 7515 appendix A.3.
    check(
        json!({"kty": "EC", "kid": "a", "crv": "P-256",
               "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
               "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    // RFC 8037 appendix A.4.
    check(
        json!({"kty": "OKP", "kid": "a", "crv": "Ed25519",
               "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    // Made with OpenSSL 3.
    check(
        json!({"kty": "RSA", "kid": "a", "e": "AQAB", "n": concat!(
            "wQHOiijpia7mqmR59e2RrSDJdJPrIe67gnJscvywRAZ6vCg2OW7mnXCbyvDebKmnqvKBW6p3U3DjvZMyWo2M832b6U-4IqLz0cCc",
            "gcfZOXz7R9zeRX8k0qtXzhRnkubNITR1H_fNQPyrYP-IM8WG3vLlCnrOeD9s0SNHsbZd2pIwPOUznX7V6v83b5ooirqE05k7cT1r",
            "86ODkZZ8oPsFOOtb-S9u5WOodZto2VYK-4W5XZd5RuvukNIEKfx_daETzDknpOIEAdMG4qalk9mG3AmVWN00WeOvBOueom7mPYNt",
            "8dY6Ee6SI6Uvjm7WA0g1mPb0sy-F_sXYSW6uCSOMMQ",
        )}),
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJvcGVuc3NsIn0.KPrrl3YCGIkbtoZZ_b2YrALf5rW8j2FxrjZt8nFA0pe9von_iLchLqk",
            "H48T7r61etvj249NFYO03rsArIIfecBiGM53UsCPZ5Sth1RrsQM6vHjOLGrngGGxQyumh9y7BsmJTN14_3NuH0PhrHxE5AGgSTdS",
            "qsDTFx7c_r-RLoNvOmgfUBeCwWUu3bnswWLZDKsanBCJn9myNzru9_-uJza-icJHpBeDaYturQ_9udFgM6OZ91cNCYaOn-B_7UIY",
            "CVlZ-jS8-pbJYMOtJCqkuuJ3jbTXf1crFEeFlq1L-hbhVhPEG6DhlnqWIq3i1HNap6FSegKJ9qgBfhbJ8yyndcw",
        ),
    );
    check(
        json!({"kty": "EC", "kid": "a", "crv": "P-384", "x": "MU0m1jHNfmNmh-2ATDV81D_BlVJQTl14I8ZAlO1p138B-wAyH0ZvsATBVYAXNiTL", "y": "mjPTsHw3yytuQw79SoYsbmID0Pj9jMVYGQk50UcyVUfUJl8B1ew6ZDI8HK_cdng2"}),
        concat!(
            "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJvcGVuc3NsIn0.k1qhur5sK3jonc8WgFuMxjcK9ulowguQ5DW4Xp_5zvY95B67Q7EMXYm",
            "QX4-pl8AdRqCELsMuXu04ag2NvboO_EXSovBPx0anC1lD1c6f57ZMQPzTMQbKkP04hm8R2SvH",
        ),
    );
}
