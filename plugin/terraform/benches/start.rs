//! What a start of the provider costs a run: from exec to the handshake's line, and to the schema over TLS as Terraform asks
//! for it; its size, and its memory. Each beside a bare Rust process that prints a line and waits, in the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;

/// Starts of each program; medians are taken.
const ROUNDS: usize = 41;

const PROVIDER: &str = env!("CARGO_BIN_EXE_terraform-provider-writ");

/// What Terraform starts a provider with.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

const BARE: &str = r#"fn main() {
    println!("1");
    let _ = std::io::stdin().read_line(&mut String::new());
}"#;

/// A host's own certificate, as Terraform makes one for each start.
struct Own {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

impl Own {
    fn new() -> Own {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = params.self_signed(&key).unwrap();
        Own {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

/// One start.
struct Measured {
    line: Duration,
    /// Zero for the bare process.
    schema: Duration,
    /// The most memory that was resident, in KiB.
    resident_kib: u64,
}

/// Starts a program and times its first line.
async fn start(mut command: Command) -> (Child, String, Instant, Duration) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    let began = Instant::now();
    let mut child = command.kill_on_drop(true).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).await.expect("a line");
    let took = began.elapsed();
    (child, line, began, took)
}

async fn provider(own: &Own, folder: &Path) -> Measured {
    let mut command = Command::new(PROVIDER);
    command
        .env_clear()
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "6")
        .env("PLUGIN_CLIENT_CERT", &own.pem)
        .env("TMPDIR", folder);
    let (mut child, line, began, took) = start(command).await;
    let fields: Vec<&str> = line.trim_end().split('|').collect();
    let (socket, certificate) = (
        PathBuf::from(fields[3]),
        STANDARD_NO_PAD.decode(fields[5]).unwrap(),
    );
    schema(own, socket, certificate.into()).await;
    let schema = began.elapsed();
    let resident_kib = resident_kib(&child);
    child.kill().await.unwrap();
    Measured {
        line: took,
        schema,
        resident_kib,
    }
}

/// Asks for the schema as Terraform does.
async fn schema(own: &Own, socket: PathBuf, certificate: CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own.certificate.clone()], own.key.clone_key())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(tls));
    let connector = tower::service_fn(move |_| {
        let (socket, tls) = (socket.clone(), tls.clone());
        async move {
            let name = ServerName::try_from("localhost").unwrap();
            let stream = UnixStream::connect(socket).await?;
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://plugin")
        .connect_with_connector(connector)
        .await
        .expect("the plugin takes our certificate");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(
        "/tfplugin6.Provider/GetProviderSchema",
    );
    // Neither message has a part that is looked at here.
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client
        .unary(tonic::Request::new(()), path, codec)
        .await
        .expect("a schema");
}

async fn bare(program: &Path) -> Measured {
    let mut command = Command::new(program);
    command.env_clear();
    let (mut child, _, _, took) = start(command).await;
    let resident_kib = resident_kib(&child);
    child.kill().await.unwrap();
    Measured {
        line: took,
        schema: Duration::ZERO,
        resident_kib,
    }
}

fn resident_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .expect("VmHWM")
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("bare.rs");
    let program = folder.path().join("bare");
    std::fs::write(&source, BARE).unwrap();
    let compiled = Command::new("rustc")
        .args(["-O", "-Cstrip=symbols", "-o"])
        .args([&program, &source])
        .status()
        .expect("rustc runs");
    assert!(compiled.success());

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let own = Own::new();
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(runtime.block_on(provider(&own, folder.path())));
        bares.push(runtime.block_on(bare(&program)));
    }
    let of = |measured: &[Measured], part: fn(&Measured) -> Duration| {
        median(measured.iter().map(part).collect())
    };
    let kib = |measured: &[Measured]| {
        median(
            measured
                .iter()
                .map(|it| it.resident_kib)
                .collect::<Vec<_>>(),
        )
    };
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let floor = of(&bares, |it| it.line);
    println!("medians of {ROUNDS} starts, interleaved with those of a bare Rust process\n");
    println!("what                      | the provider | a bare process | ratio | goal");
    println!("--------------------------|--------------|----------------|-------|--------");
    for (what, took, goal) in [
        ("exec to handshake line", of(&ours, |it| it.line), "≤ 15 ms"),
        (
            "exec to schema over TLS",
            of(&ours, |it| it.schema),
            "≤ 30 ms",
        ),
    ] {
        println!(
            "{what:<25} | {:>9.1} ms | {:>11.1} ms | {:>5.1} | {goal}",
            ms(took),
            ms(floor),
            took.as_secs_f64() / floor.as_secs_f64(),
        );
    }
    let (a, b) = (size(Path::new(PROVIDER)), size(&program));
    println!(
        "{:<25} | {:>8.1} MiB | {:>10.1} MiB | {:>5.1} |",
        "size, stripped",
        a as f64 / 1_048_576.0,
        b as f64 / 1_048_576.0,
        a as f64 / b as f64
    );
    let (a, b) = (kib(&ours), kib(&bares));
    println!(
        "{:<25} | {:>8.1} MiB | {:>10.1} MiB | {:>5.1} |",
        "peak resident memory",
        a as f64 / 1_024.0,
        b as f64 / 1_024.0,
        a as f64 / b as f64
    );
}
