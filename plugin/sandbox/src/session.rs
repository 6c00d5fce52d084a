//! Credentials and the signed calls made with them: the client's side of the sandbox.

use std::net::IpAddr;

use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;

use crate::form;
use crate::random::{self, NoRandomness};
use crate::sigv4::{self, Signable};

/// The largest reply read; the sandbox's own are a few kilobytes.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// The content type of the Query protocol.
const FORM_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// An access key, long-lived or of a session. Has neither `Debug` nor `Display`: two of its fields are secrets.
#[derive(Clone)]
pub struct Credentials {
    /// `AKIA…` or, of a session, `ASIA…`; not a secret.
    pub access_key_id: String,
    /// The secret that signs.
    pub secret_access_key: String,
    /// Of temporary credentials only; a secret too.
    pub session_token: Option<String>,
}

impl Credentials {
    /// Credentials from their three parts.
    pub fn new(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
    ) -> Credentials {
        Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            session_token: session_token.map(str::to_owned),
        }
    }

    /// Fresh temporary credentials.
    pub(crate) fn generate() -> Result<Credentials, NoRandomness> {
        Ok(Credentials {
            access_key_id: random::unique_id::<16>("ASIA")?,
            secret_access_key: random::secret_access_key()?,
            session_token: Some(random::session_token()?),
        })
    }
}

/// Credentials in use, in one region.
#[derive(Clone)]
pub struct Session {
    credentials: Credentials,
    region: String,
}

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResult {
    /// The HTTP status.
    pub status: u16,
    /// AWS's error code, if it was refused: `AccessDenied`, `ExpiredToken` …
    pub code: Option<String>,
    /// AWS's message, if it was refused.
    pub message: Option<String>,
}

impl CallResult {
    /// Whether the call was let through.
    pub fn allowed(&self) -> bool {
        self.status == 200
    }
}

/// Why a call got no answer. Never holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// These credentials are for a sandbox; they are not sent anywhere else.
    #[error("`{0}` is not a sandbox's address; it should look like `http://127.0.0.1:4577`")]
    NotLoopback(String),
    /// No connection, or it broke.
    #[error("the connection broke: {0}")]
    Connection(#[from] std::io::Error),
    /// Not HTTP, or cut short.
    #[error("the reply broke off: {0}")]
    Http(#[from] hyper::Error),
    /// A reply that cannot be read.
    #[error("the reply cannot be read")]
    Reply,
}

impl Session {
    /// Uses `credentials` in `region`.
    pub fn new(credentials: Credentials, region: &str) -> Session {
        Session {
            credentials,
            region: region.to_owned(),
        }
    }

    /// Does `action` of `service` (`rds`, `DescribeDBInstances`) at `endpoint`, on any resource.
    pub async fn call(
        &self,
        endpoint: &str,
        service: &str,
        action: &str,
    ) -> Result<CallResult, CallError> {
        self.query(
            endpoint,
            service,
            &[("Action", action), ("Version", "2011-06-15")],
        )
        .await
    }

    /// Does `action` of `service` on the one `resource`, an ARN.
    pub async fn call_on(
        &self,
        endpoint: &str,
        service: &str,
        action: &str,
        resource: &str,
    ) -> Result<CallResult, CallError> {
        let fields = [
            ("Action", action),
            ("Version", "2011-06-15"),
            ("Resource", resource),
        ];
        self.query(endpoint, service, &fields).await
    }

    /// Sends any request of the Query protocol, `Action` and `Version` among its `fields`.
    pub async fn query(
        &self,
        endpoint: &str,
        service: &str,
        fields: &[(&str, &str)],
    ) -> Result<CallResult, CallError> {
        let authority = loopback_authority(endpoint)?;
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", form::encode(name), form::encode(value)))
            .collect();
        let body = Bytes::from(body.join("&"));
        let headers = [
            (HOST.as_str().to_owned(), authority.to_owned()),
            (CONTENT_TYPE.as_str().to_owned(), FORM_TYPE.to_owned()),
        ];
        let signable = Signable {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            body: &body,
        };
        let added = sigv4::sign(
            signable,
            &self.credentials,
            &self.region,
            service,
            Timestamp::now(),
        );
        let mut request = Request::post("/");
        for (name, value) in headers.iter().chain(&added) {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| CallError::Reply)?;
        exchange(authority, request).await
    }
}

async fn exchange(authority: &str, request: Request<Full<Bytes>>) -> Result<CallResult, CallError> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    drop(sender);
    let response = response?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), REPLY_BYTES_MAX)
        .collect()
        .await
        .map_err(|_| CallError::Reply)?;
    connection.abort();
    let body = String::from_utf8(body.to_bytes().to_vec()).map_err(|_| CallError::Reply)?;
    let refused = status != 200;
    Ok(CallResult {
        status,
        code: element(&body, "Code").filter(|_| refused),
        message: element(&body, "Message").filter(|_| refused),
    })
}

/// `127.0.0.1:4577` of `http://127.0.0.1:4577`; a name is refused, since what it resolves to may change.
fn loopback_authority(endpoint: &str) -> Result<&str, CallError> {
    let refuse = || CallError::NotLoopback(endpoint.to_owned());
    let authority = endpoint
        .strip_prefix("http://")
        .ok_or_else(refuse)?
        .trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').ok_or_else(refuse)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = host.parse().map_err(|_| refuse())?;
    if !ip.is_loopback() || port.parse::<u16>().is_err() {
        return Err(refuse());
    }
    Ok(authority)
}

/// The text of the first `name` element of the sandbox's own XML.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_to_loopback_only() {
        for good in [
            "http://127.0.0.1:4577",
            "http://127.0.0.1:4577/",
            "http://[::1]:80",
        ] {
            assert!(loopback_authority(good).is_ok(), "{good}");
        }
        for wrong in [
            "https://127.0.0.1:4577",
            "http://localhost:4577",
            "http://10.0.0.1:4577",
            "http://127.0.0.1",
            "http://127.0.0.1:80@example.com:80",
            "http://127.0.0.1:4577/path",
            "https://sts.eu-west-1.amazonaws.com",
        ] {
            assert!(loopback_authority(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_element_is_read_back_as_it_was_meant() {
        let xml = format!(
            "<Message>{}</Message>",
            crate::reply::escape("a <b> & \"c\" &lt;")
        );
        assert_eq!(element(&xml, "Message").unwrap(), "a <b> & \"c\" &lt;");
        assert!(element(&xml, "Code").is_none());
    }
}
