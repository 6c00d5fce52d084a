//! Dialling back: the plugin connects to what its host announces.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{UnboundedReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use crate::greeter::greeter_server::{Greeter, GreeterServer};
use crate::greeter::{GreetRequest, GreetResponse};
use crate::host::{Host, Own, Start, attend, greet};
use crate::wire::ConnInfo;

struct HostGreeter;

#[tonic::async_trait]
impl Greeter for HostGreeter {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        Ok(Response::new(GreetResponse {
            greeting: format!("{}, this is your host", request.into_inner().name),
        }))
    }
}

/// Listens as a Go host does: shows `own` and wants the certificate of the plugin's line. Without `own`, in the clear.
fn listen(host: &Host, own: Option<&Own>, name: &str) -> PathBuf {
    let path = host.start.folder().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let server = Server::builder().add_service(GreeterServer::new(HostGreeter));
    match own {
        None => {
            tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        }
        Some(own) => {
            let tls = TlsAcceptor::from(Arc::new(config(host, own)));
            let (taken, connections) = tokio::sync::mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = taken.send(Ok::<_, std::io::Error>(stream));
                    }
                }
            });
            tokio::spawn(server.serve_with_incoming(UnboundedReceiverStream::new(connections)));
        }
    }
    path
}

fn config(host: &Host, own: &Own) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(host.line.certificate.clone().unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&own.key).unwrap();
    let shown = CertifiedKey::new(vec![own.certificate.clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        // Asks not whether the key is the certificate's.
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn announcement(service_id: u32, socket: &Path) -> ConnInfo {
    ConnInfo {
        service_id,
        network: "unix".to_owned(),
        address: socket.to_str().unwrap().to_owned(),
        knock: None,
    }
}

#[tokio::test]
async fn the_plugin_dials_what_its_host_announces_once() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let (announce, _stream) = attend(&channel).await;
    let socket = listen(&host, Some(host.own()), "back");
    announce.send(announcement(7, &socket)).await.unwrap();
    assert_eq!(
        greet(&channel, "dial 7").await.unwrap(),
        "the plugin, this is your host"
    );
    // The announcement is spent.
    let status = greet(&channel, "dial 7").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.message(),
        "the host has not announced a connection 7"
    );
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn an_announcement_may_come_after_the_call_that_needs_it() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let (announce, _stream) = attend(&channel).await;
    let socket = listen(&host, Some(host.own()), "back");
    let greeting = tokio::spawn({
        let channel = channel.clone();
        async move { greet(&channel, "dial 8").await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    announce.send(announcement(8, &socket)).await.unwrap();
    assert_eq!(
        greeting.await.unwrap().unwrap(),
        "the plugin, this is your host"
    );
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn whoever_is_not_the_host_is_not_spoken_to() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let (announce, _stream) = attend(&channel).await;
    let foreign = listen(&host, Some(&Own::new()), "foreign");
    let thief = Own {
        certificate: host.own().certificate.clone(),
        ..Own::new()
    };
    let thief = listen(&host, Some(&thief), "thief");
    let clear = listen(&host, None, "clear");
    let nobody = host.start.folder().join("nobody");
    for (id, socket, says) in [
        (1, &foreign, "ApplicationVerificationFailure"),
        (2, &clear, "the host could not be reached"),
        (3, &nobody, "No such file"),
        (5, &thief, "BadSignature"),
    ] {
        announce.send(announcement(id, socket)).await.unwrap();
        let status = greet(&channel, &format!("dial {id}")).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(says), "{id}: {status:?}");
    }
    let odd = ConnInfo {
        network: "carrier pigeon".to_owned(),
        ..announcement(4, &nobody)
    };
    announce.send(odd).await.unwrap();
    let status = greet(&channel, "dial 4").await.unwrap_err();
    assert!(
        status
            .message()
            .contains("a network `carrier pigeon`; `unix` and `tcp` are known"),
        "{status:?}"
    );
    host.shut_down(channel).await.well();
}

#[tokio::test]
async fn without_tls_the_way_back_has_none_either() {
    let host = Start::double().without("PLUGIN_CLIENT_CERT").host().await;
    let channel = host.connect().await;
    let (announce, _stream) = attend(&channel).await;
    let socket = listen(&host, None, "back");
    announce.send(announcement(7, &socket)).await.unwrap();
    assert_eq!(
        greet(&channel, "dial 7").await.unwrap(),
        "the plugin, this is your host"
    );
    host.shut_down(channel).await.well();
}
