//! A GitHub Actions job: the two variables that GitHub gives it are all that `writ` needs, and whatever is wrong with what
//! they lead to is refused in clear words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use writ_tests::{AUDIENCE, World, ci_job, writ};

/// What the job's token service does with a request.
#[derive(Clone)]
enum Gives {
    /// The sandbox's answer: it makes the token.
    Token(String),
    /// This, word for word.
    Answer(String),
    /// Nothing, for as long as one waits.
    Silence,
}

/// The token service as a job reaches it: HTTPS on `localhost`, under a certificate that only its own file vouches for.
struct Service {
    port: u16,
    ca: PathBuf,
    asked: Arc<AtomicUsize>,
}

impl Service {
    async fn start(folder: &Path, name: &str, gives: Gives) -> Service {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = folder.join(format!("{name}.pem"));
        std::fs::write(&ca, own.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count, gives) =
                    (acceptor.clone(), Arc::clone(&count), gives.clone());
                tokio::spawn(async move {
                    // A client that does not believe the certificate ends here, with nothing sent.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut head = vec![0; 8_192];
                    let Ok(length @ 1..) = stream.read(&mut head).await else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    match gives {
                        Gives::Token(issuer) => {
                            let mut issuer = TcpStream::connect(issuer).await.unwrap();
                            issuer.write_all(&head[..length]).await.unwrap();
                            // The client hangs up once it has its answer.
                            let _ = tokio::io::copy_bidirectional(&mut stream, &mut issuer).await;
                        }
                        Gives::Answer(answer) => {
                            let _ = stream.write_all(answer.as_bytes()).await;
                            let _ = stream.shutdown().await;
                        }
                        Gives::Silence => std::future::pending().await,
                    }
                });
            }
        });
        Service { port, ca, asked }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/token?api-version=2.0", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The bearer token of a job whose service is made up.
const BEARER: &str = "the-jobs-own-bearer";

/// `writ`, as a step of a job runs it.
async fn step(world: &World, url: &str, bearer: &str, ca: &Path, arguments: &[&str]) -> Output {
    Command::new(writ())
        .args(arguments)
        .env("WRIT_ADDR", world.address_text())
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", url)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer)
        .env("SSL_CERT_FILE", ca)
        .env_remove("SSL_CERT_DIR")
        .env_remove("WRIT_TOKEN")
        .env_remove("WRIT_TOKEN_FILE")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

/// Its code, and what it said on stderr.
fn told(output: &Output) -> (Option<i32>, String) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), stderr)
}

const DEPLOY: [&str; 10] = [
    "exec",
    "payments-deploy",
    "--for",
    "15m",
    "--reason",
    "deploy 1.2.3",
    "--",
    "sh",
    "-c",
    "echo \"${AWS_SESSION_TOKEN:+deployed}\"",
];

/// The sandbox's issuer as `host:port`.
fn issuer(world: &World) -> String {
    world.ci.url().trim_start_matches("http://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gets_its_scope_with_nothing_but_githubs_variables() {
    let world = World::start().await;
    let service = Service::start(world.dir.path(), "ca", Gives::Token(issuer(&world))).await;
    let run = async |branch: &str| {
        let job = world.ci.register_job(ci_job(branch)).unwrap();
        let arguments = [&DEPLOY[..1], &["--audience", AUDIENCE], &DEPLOY[1..]].concat();
        let output = step(&world, &service.url(), &job.token, &service.ca, &arguments).await;
        assert!(!told(&output).1.contains(&job.token));
        output
    };
    let deployed = run("main").await;
    assert_eq!(told(&deployed).0, Some(0), "{}", told(&deployed).1);
    assert_eq!(deployed.stdout, b"deployed\n");
    let refused = run("feature/x").await;
    let (code, said) = told(&refused);
    assert_eq!(
        (code, refused.stdout.as_slice()),
        (Some(3), &b""[..]),
        "{said}"
    );
    assert!(
        said.contains(r#"principal.ref == "refs/heads/main""#),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_audience_is_refused_and_the_audience_named() {
    let world = World::start().await;
    let service = Service::start(world.dir.path(), "ca", Gives::Token(issuer(&world))).await;
    let job = world.ci.register_job(ci_job("main")).unwrap();
    for (given, named) in [
        (
            Some("https://another.test"),
            "`https://another.test`".to_owned(),
        ),
        // The broker's address, where none is given.
        (None, format!("`{}`", world.address_text())),
    ] {
        let audience = given.map(|audience| ["--audience", audience]);
        let arguments = [audience.as_ref().map_or(&[][..], |it| it), &DEPLOY[..]].concat();
        let output = step(&world, &service.url(), &job.token, &service.ca, &arguments).await;
        let (code, said) = told(&output);
        assert_eq!(
            (code, output.stdout.as_slice()),
            (Some(4), &b""[..]),
            "{said}"
        );
        for part in ["the token was not accepted", &named, "`--audience`"] {
            assert!(said.contains(part), "no {part}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_the_token_service_is_refused_in_clear_words() {
    let world = World::start().await;
    let folder = world.dir.path();
    let elsewhere = Service::start(folder, "elsewhere", Gives::Token(issuer(&world))).await;
    let answer = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        Gives::Answer(format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
    };
    let location = format!("location: {}\r\n", elsewhere.url());
    let big = format!("{{\"value\":\"{}\"}}", "x".repeat(1_048_576));
    let table = [
        (
            "busy",
            answer("503 Busy", "", ""),
            "answered with status 503",
        ),
        (
            "created",
            answer("201 Created", "", r#"{"value":"a.b.c"}"#),
            "answered with status 201",
        ),
        (
            "moved",
            answer("307 Moved", &location, ""),
            "answered with a redirect",
        ),
        (
            "big",
            answer("200 OK", "", &big),
            "answered with more than 1 MiB",
        ),
        (
            "other",
            answer("200 OK", "", r#"{"message":"no"}"#),
            "has no token in it",
        ),
        (
            "lines",
            answer("200 OK", "", r#"{"value":"a\r\nb"}"#),
            "has no token in it",
        ),
        ("silent", Gives::Silence, "did not answer in time"),
        // The job whose bearer token this was is over.
        (
            "over",
            Gives::Token(issuer(&world)),
            "answered with status 401",
        ),
    ];
    for (name, gives, expected) in table {
        let service = Service::start(folder, name, gives).await;
        let both = folder.join(format!("{name}-both.pem"));
        let pems = [&service.ca, &elsewhere.ca].map(|ca| std::fs::read_to_string(ca).unwrap());
        std::fs::write(&both, pems.concat()).unwrap();
        let output = step(&world, &service.url(), BEARER, &both, &DEPLOY).await;
        let (code, said) = told(&output);
        assert_eq!(
            (code, output.stdout.as_slice()),
            (Some(4), &b""[..]),
            "{name}: {said}"
        );
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains("id-token: write"), "{name}: {said}");
        assert!(!said.contains(BEARER), "{name}: {said}");
        assert_eq!(service.asked(), 1, "{name}");
    }
    assert_eq!(
        elsewhere.asked(),
        0,
        "the bearer token went to another host"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_bearer_token_goes_nowhere_unproven_or_in_clear() {
    let world = World::start().await;
    let folder = world.dir.path();
    let service = Service::start(folder, "ca", Gives::Token(issuer(&world))).await;
    let stranger = Service::start(folder, "stranger", Gives::Silence).await;
    let by_number = service.url().replace("localhost", "127.0.0.1");
    let in_clear = format!("{}/token?api-version=2.0", world.ci.url());
    let table = [
        (service.url(), &stranger.ca, "invalid peer certificate"),
        (by_number, &service.ca, "invalid peer certificate"),
        (in_clear, &service.ca, "is not `https://`"),
        (
            "http://ci.example.com/token".to_owned(),
            &service.ca,
            "is not encrypted",
        ),
        (
            "https://169.254.169.254/token".to_owned(),
            &service.ca,
            "may not be dialled",
        ),
    ];
    for (url, ca, expected) in table {
        let (code, said) = told(&step(&world, &url, BEARER, ca, &DEPLOY).await);
        assert_eq!(code, Some(4), "{url}: {said}");
        assert!(said.contains(expected), "{url}: {said}");
        assert!(!said.contains(BEARER), "{url}: {said}");
    }
    assert_eq!(service.asked(), 0);
}
