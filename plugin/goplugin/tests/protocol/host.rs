//! A host: what go-plugin's client does, with a certificate like its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustix::process::{Pid, Signal, kill_process};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::greeter::GreetRequest;
use crate::greeter::greeter_client::GreeterClient;
use crate::wire::grpc_broker_client::GrpcBrokerClient;
use crate::wire::grpc_controller_client::GrpcControllerClient;
use crate::wire::{ConnInfo, Empty};

/// Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const COOKIE: (&str, &str) = ("GREETER_PLUGIN", "f0e1ab12");

/// The example `name`, as `cargo test` built it.
pub(crate) fn example(name: &str) -> PathBuf {
    let built = std::env::current_exe().unwrap();
    let path = built
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = match name {
        "double" => "tests/protocol/double.rs",
        _ => "examples/greeter.rs",
    };
    let newest = ["src", "src/services", "proto"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(here.join(folder)).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with("_tests.rs"))
        .chain([here.join("examples/greeter.proto"), here.join(own)])
        .map(|path| path.metadata().unwrap().modified().unwrap())
        .max()
        .unwrap();
    let fresh = path
        .metadata()
        .and_then(|file| file.modified())
        .is_ok_and(|at: SystemTime| at >= newest);
    assert!(
        fresh,
        "{} is missing or old: run `cargo build -p goplugin --examples`",
        path.display()
    );
    path
}

/// A certificate with its key.
pub(crate) struct Own {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) pem: String,
}

impl Own {
    /// Like those that Go hosts make: P-521, an authority's and a leaf in one.
    pub(crate) fn new() -> Own {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
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

/// How a plugin is to be started.
pub(crate) struct Start {
    program: PathBuf,
    variables: BTreeMap<String, OsString>,
    own: Own,
    /// Where the plugin's socket and its hook's file go; gone with the host.
    folder: TempDir,
}

impl Start {
    /// As a well-meaning host would start the test's plugin.
    pub(crate) fn double() -> Start {
        Start::example("double")
    }

    pub(crate) fn example(name: &str) -> Start {
        let own = Own::new();
        let folder = tempfile::tempdir().unwrap();
        let start = Start {
            program: example(name),
            variables: BTreeMap::new(),
            folder,
            own,
        };
        let pem = start.own.pem.clone();
        let hook = start.hook();
        let folder = start.folder().to_owned();
        start
            .with(COOKIE.0, COOKIE.1)
            .with("PLUGIN_PROTOCOL_VERSIONS", "1,2")
            .with("PLUGIN_MIN_PORT", "10000")
            .with("PLUGIN_MAX_PORT", "25000")
            .with("PLUGIN_CLIENT_CERT", pem)
            .with("TMPDIR", folder)
            .with("DOUBLE_HOOK", hook)
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Start {
        self.variables
            .insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Start {
        self.variables.remove(name);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn hook(&self) -> PathBuf {
        self.folder.path().join("hook")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it and expects it to serve.
    pub(crate) async fn host(self) -> Host {
        let mut child = self.command().spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = Said::read(BufReader::new(child.stderr.take().unwrap()));
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .expect("a line in time")
            .unwrap();
        assert!(line.ends_with('\n'), "{line:?}\n{}", stderr.text());
        Host {
            line: Line::parse(&line),
            pid: child.id().unwrap(),
            child,
            stdout,
            stderr,
            start: self,
        }
    }

    /// Starts it and expects it to end by itself: its status, standard output and standard error.
    pub(crate) async fn refused(self) -> (i32, String, String) {
        let output = tokio::time::timeout(PATIENCE, self.command().output())
            .await
            .expect("an end in time")
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

/// The handshake's line, field by field.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) version: u32,
    pub(crate) socket: PathBuf,
    pub(crate) certificate: Option<CertificateDer<'static>>,
    pub(crate) multiplex: Option<String>,
}

impl Line {
    fn parse(line: &str) -> Line {
        let fields: Vec<&str> = line.trim_end_matches('\n').split('|').collect();
        assert!((6..=7).contains(&fields.len()), "{line}");
        assert_eq!(fields[0], "1");
        assert_eq!(fields[2], "unix");
        assert_eq!(fields[4], "grpc");
        let certificate = STANDARD_NO_PAD.decode(fields[5]).unwrap();
        Line {
            version: fields[1].parse().unwrap(),
            socket: PathBuf::from(fields[3]),
            certificate: (!certificate.is_empty()).then(|| certificate.into()),
            multiplex: fields.get(6).map(|field| (*field).to_owned()),
        }
    }
}

/// What a plugin wrote to standard error, read as it comes.
#[derive(Clone)]
pub(crate) struct Said {
    text: Arc<Mutex<String>>,
    reading: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Said {
    fn read(mut from: impl tokio::io::AsyncBufRead + Unpin + Send + 'static) -> Said {
        let text = Arc::new(Mutex::new(String::new()));
        let into = text.clone();
        let reading = tokio::spawn(async move {
            let mut line = String::new();
            while from.read_line(&mut line).await.unwrap() > 0 {
                into.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Said {
            text,
            reading: Arc::new(Mutex::new(Some(reading))),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it, once the plugin has ended.
    pub(crate) async fn all(&self) -> String {
        let reading = self.reading.lock().unwrap().take();
        if let Some(reading) = reading {
            reading.await.unwrap();
        }
        self.text()
    }

    /// Waits until a line contains `wanted`, and gives it.
    pub(crate) async fn line(&self, wanted: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if let Some(line) = text.lines().find(|line| line.contains(wanted)) {
                return line.to_owned();
            }
            assert!(Instant::now() < give_up, "no `{wanted}` in:\n{text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A started plugin, seen by its host.
pub(crate) struct Host {
    pub(crate) line: Line,
    pub(crate) pid: u32,
    pub(crate) stderr: Said,
    pub(crate) start: Start,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// How a plugin ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What came on standard output after the line.
    pub(crate) stdout: String,
    /// All of standard error.
    pub(crate) stderr: String,
    /// What the exit hook wrote.
    pub(crate) hook: String,
}

impl Ended {
    /// Ended by itself, with nothing to complain of and nothing left.
    pub(crate) fn well(&self) {
        assert_eq!(self.status.signal(), None, "{}", self.stderr);
        assert_eq!(self.status.code(), Some(0), "{}", self.stderr);
        assert_eq!(self.stdout, "");
    }
}

impl Host {
    pub(crate) fn own(&self) -> &Own {
        &self.start.own
    }

    /// What the exit hook has written so far.
    pub(crate) fn hook(&self) -> String {
        std::fs::read_to_string(self.start.hook()).unwrap_or_default()
    }

    /// TLS as a Go host speaks it: its own certificate shown, the plugin's the only authority.
    pub(crate) fn tls(&self) -> ClientConfig {
        self.tls_of(self.own(), rustls::DEFAULT_VERSIONS)
    }

    pub(crate) fn tls_of(
        &self,
        own: &Own,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.trusting(versions)
            .with_client_auth_cert(vec![own.certificate.clone()], own.key.clone_key())
            .map(offering_h2)
            .unwrap()
    }

    /// A client that trusts the certificate in the plugin's line, and has not said what it shows.
    pub(crate) fn trusting(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        let certificate = self.line.certificate.clone().expect("a TLS plugin");
        roots.add(certificate).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }

    /// One TLS handshake and one byte's wait, since a refusal of TLS 1.3 comes after the handshake.
    pub(crate) async fn shake(
        &self,
        config: ClientConfig,
    ) -> std::io::Result<TlsStream<UnixStream>> {
        let mut stream = secure(&self.line.socket, Arc::new(config)).await?;
        // A server of HTTP/2 speaks first.
        let mut first = [0];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut first))
            .await
            .expect("an answer in time")?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(stream)
    }

    /// Connects as the line says, with TLS if it has a certificate.
    pub(crate) async fn connect(&self) -> Channel {
        if self.line.certificate.is_some() {
            self.connect_with(Some(self.tls())).await.unwrap()
        } else {
            self.connect_with(None).await.unwrap()
        }
    }

    pub(crate) async fn connect_with(
        &self,
        tls: Option<ClientConfig>,
    ) -> Result<Channel, tonic::transport::Error> {
        channel(&self.line.socket, tls.map(Arc::new)).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Waits for the end.
    pub(crate) async fn ended(mut self) -> Ended {
        let hook = self.start.hook();
        let mut stdout = String::new();
        // Also shows that standard output closes.
        let (status, read) = tokio::time::timeout(PATIENCE, async {
            tokio::join!(self.child.wait(), self.stdout.read_to_string(&mut stdout))
        })
        .await
        .unwrap_or_else(|_| panic!("no end in time: {}", self.stderr.text()));
        read.unwrap();
        assert!(
            !self.line.socket.exists() && !self.line.socket.parent().unwrap().exists(),
            "the socket is gone with its folder"
        );
        Ended {
            status: status.unwrap(),
            stdout,
            stderr: self.stderr.all().await,
            hook: std::fs::read_to_string(hook).unwrap_or_default(),
        }
    }

    /// Ends the plugin as hosts do.
    pub(crate) async fn shut_down(self, channel: Channel) -> Ended {
        shut_down(channel.clone()).await;
        drop(channel);
        self.ended().await
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub(crate) fn offering_h2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

async fn secure(
    socket: &Path,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<UnixStream>> {
    let stream = UnixStream::connect(socket).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

/// A gRPC connection to a socket.
pub(crate) async fn channel(
    socket: &Path,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Channel, tonic::transport::Error> {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let (socket, tls) = (socket.clone(), tls.clone());
        async move {
            let bytes: Box<dyn Bytes> = match tls {
                None => Box::new(UnixStream::connect(socket).await?),
                Some(tls) => Box::new(secure(&socket, tls).await?),
            };
            Ok::<_, std::io::Error>(TokioIo::new(bytes))
        }
    });
    Endpoint::from_static("http://plugin")
        .timeout(PATIENCE)
        .connect_with_connector(connector)
        .await
}

trait Bytes: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Bytes for T {}

/// Asks the plugin to greet `name`.
pub(crate) async fn greet(channel: &Channel, name: &str) -> Result<String, tonic::Status> {
    let name = name.to_owned();
    GreeterClient::new(channel.clone())
        .max_decoding_message_size(usize::MAX)
        .greet(GreetRequest { name })
        .await
        .map(|response| response.into_inner().greeting)
}

pub(crate) async fn healthy(channel: &Channel) -> bool {
    let request = HealthCheckRequest {
        service: "plugin".to_owned(),
    };
    HealthClient::new(channel.clone())
        .check(request)
        .await
        .is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

pub(crate) async fn shut_down(channel: Channel) {
    GrpcControllerClient::new(channel)
        .shutdown(Empty {})
        .await
        .expect("an answer");
}

/// Opens the broker's stream, as every Go host does first; both halves live as long as they are kept.
pub(crate) async fn attend(channel: &Channel) -> (mpsc::Sender<ConnInfo>, Streaming<ConnInfo>) {
    let (announce, announced) = mpsc::channel(1);
    let stream = GrpcBrokerClient::new(channel.clone())
        .start_stream(ReceiverStream::new(announced))
        .await
        .unwrap()
        .into_inner();
    (announce, stream)
}
