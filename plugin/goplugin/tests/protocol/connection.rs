//! Who may connect, and what a connection bears.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tonic::Code;

use crate::host::{Host, Own, Start, greet, healthy, offering_h2};

/// Both versions of TLS that hosts speak: their handshakes are signed in different ways.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// The plugin is alive and well towards its own host.
async fn serves_its_host(host: Host) {
    let channel = host.connect().await;
    assert!(healthy(&channel).await);
    assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn the_host_sees_the_certificate_of_the_line_and_speaks_http_2() {
    let host = Start::double().host().await;
    for version in VERSIONS {
        let tls = host.tls_of(host.own(), &[version]);
        let stream = host.shake(tls).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(
            session.peer_certificates().unwrap(),
            [host.line.certificate.clone().unwrap()]
        );
    }
    serves_its_host(host).await;
}

#[tokio::test]
async fn a_host_that_expects_another_certificate_turns_away() {
    let host = Start::double().host().await;
    let mut roots = RootCertStore::empty();
    roots.add(Own::new().certificate).unwrap();
    let mut tls = host.tls();
    tls.dangerous().set_certificate_verifier(
        rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        )
        .build()
        .unwrap(),
    );
    let error = host.shake(tls).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    serves_its_host(host).await;
}

#[tokio::test]
async fn a_foreign_certificate_is_refused_and_the_refusal_logged() {
    let host = Start::double().host().await;
    for version in VERSIONS {
        let foreign = host.tls_of(&Own::new(), &[version]);
        assert!(host.shake(foreign).await.is_err());
    }
    let line = host.stderr.line("refused a connection").await;
    assert!(line.contains(r#""@level":"error""#), "{line}");
    assert!(line.contains("ApplicationVerificationFailure"), "{line}");
    serves_its_host(host).await;
}

/// Shows a certificate and signs with a key that may not be its own.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_right_certificate_without_its_key_is_refused() {
    let host = Start::double().host().await;
    let thief = Own::new();
    for version in VERSIONS {
        for (key, may) in [(&host.own().key, true), (&thief.key, false)] {
            let key = any_supported_type(key).unwrap();
            let certified = CertifiedKey::new(vec![host.own().certificate.clone()], key);
            let tls = host
                .trusting(&[version])
                .with_client_cert_resolver(Arc::new(Shows(Arc::new(certified))));
            let shaken = host.shake(offering_h2(tls)).await;
            assert_eq!(shaken.is_ok(), may, "{version:?}");
        }
    }
    let line = host.stderr.line("refused a connection").await;
    assert!(line.contains("BadSignature"), "{line}");
    serves_its_host(host).await;
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let host = Start::double().host().await;
    for version in VERSIONS {
        let nameless = host.trusting(&[version]).with_no_client_auth();
        assert!(host.shake(offering_h2(nameless)).await.is_err());
    }
    let line = host.stderr.line("refused a connection").await;
    assert!(line.contains("no certificates"), "{line}");
    serves_its_host(host).await;
}

#[tokio::test]
async fn no_tls_is_refused_by_a_plugin_that_speaks_it() {
    let host = Start::double().host().await;
    let answered = match host.connect_with(None).await {
        Ok(channel) => healthy(&channel).await,
        Err(_) => false,
    };
    assert!(!answered);
    host.stderr.line("refused a connection").await;
    serves_its_host(host).await;
}

#[tokio::test]
async fn a_host_that_sends_no_certificate_wants_no_tls() {
    for start in [
        Start::double().without("PLUGIN_CLIENT_CERT"),
        Start::double().with("PLUGIN_CLIENT_CERT", ""),
    ] {
        let host = start.host().await;
        assert_eq!(host.line.certificate, None);
        serves_its_host(host).await;
    }
}

#[tokio::test]
async fn a_stranger_that_says_nothing_keeps_nobody_out() {
    let host = Start::double().host().await;
    let silent = tokio::net::UnixStream::connect(&host.line.socket)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    serves_its_host(host).await;
    drop(silent);
}

#[tokio::test]
async fn a_message_over_the_plugins_limit_is_an_error_and_the_plugin_lives() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let fits = "x".repeat(60 * 1024);
    assert_eq!(
        greet(&channel, &fits).await.unwrap().len(),
        fits.len() + "hello, ".len()
    );
    for size in [64 * 1024 + 1, 8 * 1024 * 1024] {
        let status = greet(&channel, &"x".repeat(size)).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    }
    drop(channel);
    serves_its_host(host).await;
}

#[tokio::test]
async fn a_call_that_panics_fails_alone() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    assert!(greet(&channel, "panic").await.is_err());
    assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    host.shut_down(channel).await.well();
}
