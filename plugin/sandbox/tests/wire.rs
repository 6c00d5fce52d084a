//! The bytes on the wire: golden error bodies, and requests that were altered on their way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails this way has failed; the lint's exemption does not reach functions beside the tests"
)]

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;
use writ_sandbox::sigv4::{self, Signable};
use writ_sandbox::{Caller, Credentials, Role, Sandbox, SandboxConfig};

const USER: &str = "arn:aws:iam::123456789012:user/writ-issuer";
const ROLE: &str = "arn:aws:iam::123456789012:role/jit";
const IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const TYPE: &str = "application/x-www-form-urlencoded";

type Headers = Vec<(String, String)>;

async fn bench() -> (Sandbox, Credentials) {
    let key = Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        None,
    );
    let config = SandboxConfig {
        roles: vec![Role::for_broker(ROLE, USER, None)],
        callers: vec![Caller::new(USER, key.clone())],
        region: Some("eu-west-1".to_owned()),
        ..SandboxConfig::default()
    };
    (Sandbox::start(config).await.unwrap(), key)
}

fn signed(sandbox: &Sandbox, key: &Credentials, body: &str, at: Timestamp) -> Headers {
    signed_for(sandbox, key, body, at, "eu-west-1", "sts")
}

fn signed_for(
    sandbox: &Sandbox,
    key: &Credentials,
    body: &str,
    at: Timestamp,
    region: &str,
    service: &str,
) -> Headers {
    let mut headers = vec![
        ("host".to_owned(), sandbox.addr().to_string()),
        ("content-type".to_owned(), TYPE.to_owned()),
    ];
    let request = Signable {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        body: body.as_bytes(),
    };
    let added = sigv4::sign(request, key, region, service, at);
    headers.extend(added);
    headers
}

async fn send(sandbox: &Sandbox, target: &str, headers: &Headers, body: &str) -> (u16, String) {
    let stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The body with its request id, random each time, replaced.
fn golden(body: &str) -> String {
    let (before, rest) = body.split_once("<RequestId>").unwrap();
    let (id, after) = rest.split_once("</RequestId>").unwrap();
    assert_eq!(id.len(), 36);
    format!("{before}<RequestId>ID</RequestId>{after}")
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  <RequestId>ID</RequestId>\n</ErrorResponse>\n"
    )
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                        Access Key and signing method. Consult the service documentation for details.";

#[tokio::test]
async fn a_signed_request_is_answered_in_awss_xml() {
    let (sandbox, key) = bench().await;
    let headers = signed(&sandbox, &key, IDENTITY, Timestamp::now());
    let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
    assert_eq!(status, 200);
    let (before, rest) = body.split_once("<UserId>").unwrap();
    let (user_id, after) = rest.split_once("</UserId>").unwrap();
    assert!(user_id.starts_with("AIDA") && user_id.len() == 21);
    assert_eq!(
        golden(&format!("{before}<UserId>U</UserId>{after}")),
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    \
         <Arn>arn:aws:iam::123456789012:user/writ-issuer</Arn>\n    <UserId>U</UserId>\n    \
         <Account>123456789012</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>ID</RequestId>\n  \
         </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
    );
}

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let (sandbox, _) = bench().await;
    let headers = vec![("host".to_owned(), "127.0.0.1".to_owned())];
    let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
    assert_eq!(status, 403);
    assert_eq!(
        golden(&body),
        error(
            "MissingAuthenticationToken",
            "Request is missing Authentication Token"
        )
    );
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    let (sandbox, key) = bench().await;
    let stranger = Credentials::new("AKIASTRANGER", &key.secret_access_key, None);
    let headers = signed(&sandbox, &stranger, IDENTITY, Timestamp::now());
    let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
    assert_eq!(status, 403);
    let message = "The security token included in the request is invalid.";
    assert_eq!(golden(&body), error("InvalidClientTokenId", message));
}

#[tokio::test]
async fn whatever_is_altered_after_signing_is_refused() {
    let (sandbox, key) = bench().await;
    let now = Timestamp::now();
    let good = signed(&sandbox, &key, IDENTITY, now);
    let set = |name: &str, value: &str| -> Headers {
        let mut headers = good.clone();
        headers.retain(|(given, _)| given != name);
        headers.push((name.to_owned(), value.to_owned()));
        headers
    };
    let authorization = good
        .iter()
        .find(|(name, _)| name == "authorization")
        .unwrap()
        .1
        .clone();
    let flipped = match authorization.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &authorization[..authorization.len() - 1]),
    };
    let other_body = "Action=GetCallerIdentity&Version=2011-06-16";
    for (what, target, headers, body) in [
        ("the body", "/", good.clone(), other_body),
        ("the path", "/other", good.clone(), IDENTITY),
        ("the query", "/?Action=AssumeRole", good.clone(), IDENTITY),
        ("the host", "/", set("host", "sts.amazonaws.com"), IDENTITY),
        (
            "the content type",
            "/",
            set("content-type", "text/plain"),
            IDENTITY,
        ),
        (
            "the signature",
            "/",
            set("authorization", &flipped),
            IDENTITY,
        ),
    ] {
        let (status, reply) = send(&sandbox, target, &headers, body).await;
        assert_eq!(status, 403, "{what}");
        assert_eq!(
            golden(&reply),
            error("SignatureDoesNotMatch", MISMATCH),
            "{what}"
        );
    }
    let mut more = good.clone();
    more.push(("x-amz-target".to_owned(), "unsigned".to_owned()));
    let (status, reply) = send(&sandbox, "/", &more, IDENTITY).await;
    assert_eq!(status, 403);
    let message = "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(golden(&reply), error("SignatureDoesNotMatch", message));
    assert_eq!(send(&sandbox, "/", &good, IDENTITY).await.0, 200);
}

#[tokio::test]
async fn a_signature_for_elsewhere_is_refused() {
    let (sandbox, key) = bench().await;
    let headers = signed_for(
        &sandbox,
        &key,
        IDENTITY,
        Timestamp::now(),
        "us-east-1",
        "sts",
    );
    let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
    assert_eq!(status, 403);
    let message = "Credential should be scoped to a valid region, not 'us-east-1'. ";
    assert_eq!(golden(&body), error("SignatureDoesNotMatch", message));
    // Signed for another service, the same words ask that service, which evaluates them as its own action.
    let headers = signed_for(
        &sandbox,
        &key,
        IDENTITY,
        Timestamp::now(),
        "eu-west-1",
        "rds",
    );
    assert_eq!(send(&sandbox, "/", &headers, IDENTITY).await.0, 200);
}

#[tokio::test]
async fn a_scope_dated_otherwise_than_the_request_is_refused() {
    let (sandbox, key) = bench().await;
    let now = Timestamp::now();
    let amz_date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = amz_date[..8].to_owned();
    let signed: Vec<String> = ["content-type", "host", "x-amz-date"]
        .map(str::to_owned)
        .into();
    // A day, a month's prefix of it, and the real one, each signed consistently.
    for (date, expected) in [("20150830", 403), (&day[..6], 403), (day.as_str(), 200)] {
        let mut headers = vec![
            ("host".to_owned(), sandbox.addr().to_string()),
            ("content-type".to_owned(), TYPE.to_owned()),
            ("x-amz-date".to_owned(), amz_date.clone()),
        ];
        let scope = sigv4::CredentialScope {
            date: date.to_owned(),
            region: "eu-west-1".to_owned(),
            service: "sts".to_owned(),
        };
        let request = Signable {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            body: IDENTITY.as_bytes(),
        };
        let signature =
            sigv4::signature(&key.secret_access_key, request, &signed, &amz_date, &scope);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            key.access_key_id,
            scope.text(),
            signed.join(";"),
        );
        headers.push(("authorization".to_owned(), authorization));
        let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
        assert_eq!(status, expected, "{date}");
        if expected == 403 {
            let message = format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != \
                 '{day}', from '{amz_date}'."
            );
            assert_eq!(golden(&body), error("SignatureDoesNotMatch", &message));
        }
    }
}

#[tokio::test]
async fn a_signature_too_old_or_too_new_is_refused_in_awss_words() {
    let (sandbox, key) = bench().await;
    let now = Timestamp::now();
    for (offset_s, expected) in [
        (-14 * 60, None),
        (4 * 60, None),
        (-16 * 60, Some("Signature expired: ")),
        (6 * 60, Some("Signature not yet current: ")),
    ] {
        let at = now + SignedDuration::from_secs(offset_s);
        let headers = signed(&sandbox, &key, IDENTITY, at);
        let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
        match expected {
            None => assert_eq!(status, 200, "{offset_s}"),
            Some(text) => {
                assert_eq!(status, 403, "{offset_s}");
                assert!(
                    body.contains("<Code>SignatureDoesNotMatch</Code>"),
                    "{body}"
                );
                assert!(body.contains(text), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn a_skewed_sandbox_refuses_honest_signatures_and_shows_its_clock() {
    let (sandbox, key) = bench().await;
    sandbox.clock().set_skew_s(3_600);
    let headers = signed(&sandbox, &key, IDENTITY, Timestamp::now());
    let (status, body) = send(&sandbox, "/", &headers, IDENTITY).await;
    assert_eq!(status, 403);
    assert!(body.contains("- 15 min.)</Message>"), "{body}");
    sandbox.clock().set_skew_s(0);
    assert_eq!(send(&sandbox, "/", &headers, IDENTITY).await.0, 200);
}

#[tokio::test]
async fn a_parameter_given_twice_is_refused() {
    let (sandbox, key) = bench().await;
    let body = "Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15";
    let headers = signed(&sandbox, &key, body, Timestamp::now());
    let (status, reply) = send(&sandbox, "/", &headers, body).await;
    assert_eq!(status, 400);
    assert!(
        reply.contains("<Code>MalformedQueryString</Code>"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let (sandbox, key) = bench().await;
    let body = format!("{IDENTITY}&X={}", "x".repeat(300 * 1024));
    let headers = signed(&sandbox, &key, &body, Timestamp::now());
    assert_eq!(send(&sandbox, "/", &headers, &body).await.0, 413);
}
