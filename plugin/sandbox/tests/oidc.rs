//! The issuer as a relying party meets it: discovery, keys, and tokens that verify.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails this way has failed; the lint's exemption does not reach functions beside the tests"
)]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use writ_sandbox::{GithubJob, Issuer, IssuerConfig};

async fn get(url: &str, bearer: Option<&str>) -> (u16, Value) {
    let (authority, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let stream = TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::get(format!("/{path}")).header("host", authority);
    if let Some(token) = bearer {
        request = request.header("authorization", format!("bearer {token}"));
    }
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new()).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn part(text: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// The claims of `token`, if a key published by `issuer` signed it.
async fn verify(issuer: &Issuer, token: &str) -> Option<Value> {
    let (_, found) = get(
        &format!("{}/.well-known/openid-configuration", issuer.url()),
        None,
    )
    .await;
    assert_eq!(found["issuer"], issuer.url());
    let (_, keys) = get(found["jwks_uri"].as_str().unwrap(), None).await;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header = part(header);
    assert_eq!(header["alg"], "ES256");
    let key = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])?;
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &signature)
        .ok()?;
    Some(part(claims))
}

#[tokio::test]
async fn a_persons_token_verifies_against_the_published_key() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let token = issuer
        .person_token("ana", "https://writ.example.com")
        .unwrap();
    let claims = verify(&issuer, &token).await.unwrap();
    assert_eq!(claims["sub"], "ana");
    assert_eq!(claims["aud"], "https://writ.example.com");
    assert_eq!(claims["iss"], issuer.url());
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3_600
    );
}

#[tokio::test]
async fn a_token_of_one_issuer_does_not_verify_at_another() {
    let people = Issuer::start(IssuerConfig::default()).await.unwrap();
    let ci = Issuer::start(IssuerConfig::default()).await.unwrap();
    let token = people.person_token("ana", "writ").unwrap();
    assert!(verify(&ci, &token).await.is_none());
    assert!(verify(&people, &token).await.is_some());
}

#[tokio::test]
async fn rotation_keeps_old_tokens_valid_until_the_old_key_is_withdrawn() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let old = issuer.person_token("ana", "writ").unwrap();
    issuer.rotate().unwrap();
    let new = issuer.person_token("ana", "writ").unwrap();
    assert!(verify(&issuer, &old).await.is_some());
    assert!(verify(&issuer, &new).await.is_some());
    issuer.withdraw_old_keys();
    assert!(verify(&issuer, &old).await.is_none());
    assert!(verify(&issuer, &new).await.is_some());
    assert_eq!(issuer.key_fetches(), 4);
}

#[tokio::test]
async fn a_job_trades_its_request_token_for_a_token_of_its_own() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let job = GithubJob {
        environment: Some("production".to_owned()),
        ..GithubJob::on_branch("acme/payments", "main")
    };
    let request = issuer.register_job(job).unwrap();
    let url = format!("{}&audience=https%3A%2F%2Fwrit.example.com", request.url);
    let (status, reply) = get(&url, Some(&request.token)).await;
    assert_eq!(status, 200);
    let claims = verify(&issuer, reply["value"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(claims["aud"], "https://writ.example.com");
    assert_eq!(claims["repository"], "acme/payments");
    assert_eq!(claims["ref"], "refs/heads/main");
    assert_eq!(claims["ref_protected"], "true");
    assert_eq!(claims["environment"], "production");
    let seconds = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(seconds("exp") - seconds("iat"), 300);
    assert_eq!(seconds("iat") - seconds("nbf"), 600);

    let (_, reply) = get(&request.url, Some(&request.token)).await;
    let claims = verify(&issuer, reply["value"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(claims["aud"], "https://github.com/acme");
}

#[tokio::test]
async fn without_its_request_token_a_job_gets_nothing() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let request = issuer
        .register_job(GithubJob::on_branch("acme/payments", "main"))
        .unwrap();
    assert_eq!(get(&request.url, None).await.0, 401);
    assert_eq!(get(&request.url, Some("guess")).await.0, 401);
    assert_eq!(get(&request.url, Some("")).await.0, 401);
    assert_eq!(get(&request.url, Some(&request.token)).await.0, 200);
    issuer.end_job(&request);
    assert_eq!(get(&request.url, Some(&request.token)).await.0, 401);
}

#[tokio::test]
async fn given_claims_are_kept_and_missing_ones_filled_in() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let token = issuer
        .mint(
            json!({ "sub": "ana", "iss": "https://elsewhere.example", "exp": 1 }),
            60,
        )
        .unwrap();
    let claims = verify(&issuer, &token).await.unwrap();
    assert_eq!(claims["iss"], "https://elsewhere.example");
    assert_eq!(claims["exp"], 1);
    assert!(claims["jti"].is_string());
    assert!(issuer.mint(json!("ana"), 60).is_err());
    let header = json!({ "alg": "ES256", "kid": issuer.key_id() });
    let bare = issuer.sign(&header, &json!({ "sub": "ana" })).unwrap();
    assert_eq!(
        verify(&issuer, &bare).await.unwrap(),
        json!({ "sub": "ana" })
    );
}

#[tokio::test]
async fn an_issuer_that_is_out_of_order_says_so() {
    let issuer = Issuer::start(IssuerConfig::default()).await.unwrap();
    let keys = format!("{}/jwks", issuer.url());
    issuer.set_out_of_order(true);
    assert_eq!(get(&keys, None).await.0, 503);
    issuer.set_out_of_order(false);
    assert_eq!(get(&keys, None).await.0, 200);
    assert_eq!(get(&format!("{}/other", issuer.url()), None).await.0, 404);
}
