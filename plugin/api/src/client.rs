//! A connection to a broker, with the caller's token on every call.

use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};
use zeroize::Zeroizing;

use crate::v1::journal_service_client::JournalServiceClient;
use crate::v1::request_service_client::RequestServiceClient;
use crate::v1::scope_service_client::ScopeServiceClient;

/// How long a connection may take to come up, in seconds.
pub const CONNECT_TIMEOUT_S: u64 = 5;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `https://host:port`, or `http://` on loopback.
    Http(Uri),
    /// `unix:///path/to/socket`.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        let bad = |why| BadAddress {
            address: text.to_owned(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Address::Unix(PathBuf::from(path))),
                false => Err(bad("a socket's path is absolute")),
            };
        }
        let uri: Uri = text.parse().map_err(|_| bad("it is not an address"))?;
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() {
            Some("https") if !host.is_empty() => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => return Err(bad("a token travels without TLS only on loopback")),
            _ => return Err(bad("it names no scheme that a broker speaks")),
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('@') {
            return Err(bad("it has more than a host and a port"));
        }
        Ok(Address::Http(uri))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// An address no broker can be reached at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{address}` cannot be a broker's address: {why}; write it like `https://writ.example.com:8443` or `unix:///run/writ/writ.sock`"
)]
pub struct BadAddress {
    address: String,
    why: &'static str,
}

/// A bearer token. It has no face: no `Debug`, no `Display`, and it is wiped when dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes a token's text, without the white space that files end in; refuses what no header can carry.
    pub fn new(text: &str) -> Result<Token, BadToken> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadToken);
        }
        Ok(Token(Zeroizing::new(text.to_owned())))
    }

    /// The token itself, to be sent to the broker and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty or has characters that no token has")]
pub struct BadToken;

/// Puts the token on each call.
#[derive(Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A channel that puts the token on each call.
pub type Authenticated = InterceptedService<Channel, Bearer>;

/// A connected broker.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    bearer: Bearer,
}

impl Client {
    /// Connects. `ca_pem` is trusted besides the system's roots; without a token every call is refused by the broker.
    pub async fn connect(
        address: &Address,
        token: Option<&Token>,
        ca_pem: Option<&[u8]>,
    ) -> Result<Client, tonic::transport::Error> {
        let channel = match address {
            Address::Http(uri) => {
                let mut endpoint = endpoint(Endpoint::from(uri.clone()));
                if uri.scheme_str() == Some("https") {
                    let mut tls = ClientTlsConfig::new().with_native_roots();
                    if let Some(pem) = ca_pem {
                        tls = tls.ca_certificate(Certificate::from_pem(pem));
                    }
                    endpoint = endpoint.tls_config(tls)?;
                }
                endpoint.connect().await?
            }
            Address::Unix(path) => {
                let path = path.clone();
                // The URI is never dialled; the connector below goes to the socket.
                endpoint(Endpoint::from_static("http://localhost"))
                    .connect_with_connector(tower::service_fn(move |_: Uri| {
                        let path = path.clone();
                        async move {
                            Ok::<_, std::io::Error>(TokioIo::new(
                                tokio::net::UnixStream::connect(path).await?,
                            ))
                        }
                    }))
                    .await?
            }
        };
        let bearer = token.and_then(|token| {
            let mut value =
                AsciiMetadataValue::try_from(format!("Bearer {}", token.reveal())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Ok(Client {
            channel,
            bearer: Bearer(bearer),
        })
    }

    /// Requests.
    pub fn requests(&self) -> RequestServiceClient<Authenticated> {
        RequestServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Scopes and dry runs.
    pub fn scopes(&self) -> ScopeServiceClient<Authenticated> {
        ScopeServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// The journal.
    pub fn journal(&self) -> JournalServiceClient<Authenticated> {
        JournalServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}

fn endpoint(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_only_sent_where_nobody_can_listen() {
        for good in [
            "https://writ.example.com",
            "https://writ.example.com:8443",
            "http://127.0.0.1:8443",
            "http://[::1]:8443",
            "http://localhost:1",
            "unix:///run/writ/writ.sock",
        ] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "writ.example.com",
            "http://writ.example.com",
            "http://10.0.0.1:80",
            "ftp://localhost",
            "https://user:pw@writ.example.com",
            "https://writ.example.com/path",
            "https://writ.example.com?x",
            "unix://relative",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_inside_is_refused() {
        assert!(Token::new("abc.def.ghi\n").is_ok());
        for bad in ["", "\n", "abc\ndef", "abc def", "gr\u{fc}n"] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }
}
