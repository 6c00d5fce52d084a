//! What the fetch takes from a server, and what it refuses.

use std::io::{Read, Write};

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// A server on loopback that gives the prepared answers, one a connection.
pub(crate) struct Server {
    pub(crate) host: String,
    asked: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Server {
    /// The next request's head.
    pub(crate) async fn asked(&self) -> String {
        self.asked.lock().await.recv().await.unwrap()
    }

    /// How many requests came that nobody looked at.
    pub(crate) async fn unseen(&self) -> usize {
        self.asked.lock().await.len()
    }
}

/// An answer as it goes over the wire.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Starts a [`Server`]. After the last answer it accepts and says nothing.
pub(crate) async fn serve(answers: Vec<String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (tell, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        let mut answers = answers.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let _ = tell.send(String::from_utf8_lossy(&head).into_owned());
            match answers.next() {
                Some(answer) => {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                None => open.push(stream),
            }
        }
    });
    Server {
        host,
        asked: tokio::sync::Mutex::new(asked),
    }
}

async fn get(server: &Server) -> Result<String, FetchError> {
    let address = Address::parse(&format!("http://{}/keys", server.host))?;
    let body = Fetcher::loopback()?.get(&address, &[]).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_small_document_is_read() {
    let server = serve(vec![answer("200 OK", "{}")]).await;
    assert_eq!(get(&server).await.unwrap(), "{}");
    assert!(server.asked().await.starts_with("GET /keys HTTP/1.1"));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_is_not_followed() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 Other",
        "307 Same",
        "308 Same",
    ] {
        let server = serve(vec![]).await;
        let lure = serve(vec![format!(
            "HTTP/1.1 {status}\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
            server.host
        )])
        .await;
        assert!(matches!(get(&lure).await, Err(FetchError::Redirected(_))));
        assert_eq!(server.unseen().await, 0, "{status}");
    }
}

#[tokio::test]
async fn only_200_is_an_answer() {
    for status in ["201 Created", "204 None", "404 Not Found", "503 Busy"] {
        let server = serve(vec![answer(status, "")]).await;
        assert!(matches!(get(&server).await, Err(FetchError::Status(_, _))));
    }
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_refused() {
    let most = "x".repeat(FETCH_BODY_BYTES_MAX);
    let server = serve(vec![answer("200 OK", &most)]).await;
    assert_eq!(get(&server).await.unwrap().len(), FETCH_BODY_BYTES_MAX);
    let server = serve(vec![answer("200 OK", &format!("{most}x"))]).await;
    assert!(matches!(get(&server).await, Err(FetchError::TooBig(_))));
    // A server that does not say how much will come.
    let server = serve(vec![format!("HTTP/1.1 200 OK\r\n\r\n{most}x")]).await;
    assert!(matches!(get(&server).await, Err(FetchError::TooBig(_))));
}

#[tokio::test]
async fn a_cut_body_is_an_error() {
    let server = serve(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}".to_owned(),
    ])
    .await;
    assert!(matches!(
        get(&server).await,
        Err(FetchError::Unreachable(_, _))
    ));
}

async fn post(server: &Server) -> Result<(), NotTaken> {
    let address = Address::parse(&format!("http://{}/hook", server.host)).unwrap();
    let fetcher = Fetcher::loopback().unwrap();
    fetcher.post(&address, &[], b"{}".to_vec()).await
}

#[tokio::test]
async fn what_is_handed_over_is_taken_by_any_success_whatever_else_is_answered() {
    let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(FETCH_BODY_BYTES_MAX * 4);
    for said in [answer("204 None", ""), answer("202 Later", "{}"), endless] {
        let server = serve(vec![said]).await;
        post(&server).await.unwrap();
        let asked = server.asked().await;
        assert!(asked.starts_with("POST /hook HTTP/1.1"), "{asked}");
        assert!(asked.contains("content-length: 2"), "{asked}");
    }
}

#[tokio::test]
async fn what_is_not_taken_says_when_to_come_back_and_no_redirect_is_followed() {
    let busy = |after: &str| {
        format!("HTTP/1.1 503 Busy\r\nretry-after: {after}\r\ncontent-length: 0\r\n\r\n")
    };
    for (after, expected) in [
        ("7", Some(7)),
        ("-7", None),
        ("99999999999999999999", None),
        ("Fri, 31 Dec 2027 23:59:59 GMT", None),
    ] {
        let not_taken = post(&serve(vec![busy(after)]).await).await.unwrap_err();
        assert_eq!(not_taken.after, expected.map(Duration::from_secs));
        assert!(matches!(not_taken.why, FetchError::Status(_, 503)));
    }
    let server = serve(vec![]).await;
    let lure = serve(vec![format!(
        "HTTP/1.1 307 Same\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        server.host
    )])
    .await;
    let not_taken = post(&lure).await.unwrap_err();
    assert!(matches!(not_taken.why, FetchError::Redirected(_)));
    assert_eq!(server.unseen().await, 0);
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    let server = serve(vec![]).await;
    let address = Address::parse(&format!("http://{}/keys", server.host)).unwrap();
    let hasty = Fetcher::loopback()
        .unwrap()
        .within(Duration::from_millis(50));
    assert!(matches!(
        hasty.get(&address, &[]).await,
        Err(FetchError::TooSlow(_))
    ));
}

#[tokio::test]
async fn each_fetcher_keeps_to_its_scheme() {
    let server = serve(vec![]).await;
    let plain = Address::parse(&format!("http://{}/", server.host)).unwrap();
    let secret = Address::parse(&format!("https://{}/", server.host)).unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let over_https = Fetcher::https(Some(own.cert.pem().as_bytes())).unwrap();
    assert!(matches!(
        over_https.get(&plain, &[]).await,
        Err(FetchError::WrongScheme(_))
    ));
    assert!(matches!(
        Fetcher::loopback().unwrap().get(&secret, &[]).await,
        Err(FetchError::WrongScheme(_))
    ));
    assert_eq!(server.unseen().await, 0);
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    for pem in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(matches!(
            Fetcher::https(Some(pem.as_bytes())),
            Err(FetchError::Trust(_))
        ));
    }
}

#[test]
fn a_name_may_not_lead_to_the_metadata_service_nor_a_local_one_elsewhere() {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    for (ip, over_https, over_loopback) in [
        ("93.184.216.34", true, false),
        ("10.0.0.7", true, false),
        ("127.0.0.1", true, true),
        ("::1", true, true),
        ("169.254.169.254", false, false),
        ("::ffff:169.254.169.254", false, false),
        ("fd00:ec2::254", false, false),
        ("0.0.0.0", false, false),
    ] {
        assert_eq!(allowed(parse(ip), false), over_https, "{ip}");
        assert_eq!(allowed(parse(ip), true), over_loopback, "{ip}");
    }
}

/// An HTTPS server on `localhost` that answers once, and the PEM of the only authority that vouches for it.
fn serve_https() -> (u16, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![own.cert.der().clone()], key)
    .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, stream);
        let _ = stream.read(&mut [0; 4_096]);
        let _ = stream.write_all(answer("200 OK", "{}").as_bytes());
        let _ = stream.flush();
    });
    (port, own.cert.pem())
}

#[tokio::test]
async fn a_private_authority_is_believed_and_any_other_is_not() {
    let (port, pem) = serve_https();
    let address = Address::parse(&format!("https://localhost:{port}/keys")).unwrap();
    let fetcher = Fetcher::https(Some(pem.as_bytes())).unwrap();
    assert_eq!(*fetcher.get(&address, &[]).await.unwrap(), b"{}");
    let (port, pem) = serve_https();
    let address = Address::parse(&format!("https://localhost:{port}/hook")).unwrap();
    let posting = Fetcher::https(Some(pem.as_bytes())).unwrap();
    posting.post(&address, &[], b"{}".to_vec()).await.unwrap();
    // The one that vouches for another receiver vouches for this one in vain.
    let (port, _) = serve_https();
    let address = Address::parse(&format!("https://localhost:{port}/hook")).unwrap();
    let not_taken = posting.post(&address, &[], b"{}".to_vec()).await;
    assert!(matches!(
        not_taken.unwrap_err().why,
        FetchError::Unreachable(_, _)
    ));

    let (port, _) = serve_https();
    let address = Address::parse(&format!("https://localhost:{port}/keys")).unwrap();
    // Another server's authority, same name.
    assert!(matches!(
        fetcher.get(&address, &[]).await,
        Err(FetchError::Unreachable(_, _))
    ));
    // The right authority, another name.
    let (port, pem) = serve_https();
    let address = Address::parse(&format!("https://127.0.0.1:{port}/keys")).unwrap();
    let fetcher = Fetcher::https(Some(pem.as_bytes())).unwrap();
    assert!(matches!(
        fetcher.get(&address, &[]).await,
        Err(FetchError::Unreachable(_, _))
    ));
}
