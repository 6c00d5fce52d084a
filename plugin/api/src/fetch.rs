//! One bounded call: an address from a configuration in, the whole small answer out.
//!
//! The broker reads issuers' keys with it and gives notices, a CI job reads its own token. It follows no redirect, keeps no
//! cookie, uses no proxy and has no retry: who needs the answer decides whether to ask again.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::address::{Address, AddressError, may_dial};

/// How long one fetch may take, from the name's lookup to the body's last byte. An issuer answers in well under a second;
/// a person waiting at a terminal gives up soon after this.
pub const FETCH_TIME_MAX_S: u64 = 5;

/// The largest body read, in bytes (1 MiB). The largest key set of a public issuer is under 40 KiB.
pub const FETCH_BODY_BYTES_MAX: usize = 1_048_576;

/// The largest head of an answer, in bytes (64 KiB): four times what servers commonly allow.
const FETCH_HEAD_BYTES_MAX: usize = 65_536;

/// Fetches small documents, and hands some over: either over HTTPS, or over plain HTTP from this very machine. One never does
/// the other.
pub struct Fetcher {
    client: Client<HttpsConnector<HttpConnector<Dial>>, Full<Bytes>>,
    loopback: bool,
    time_max: Duration,
}

impl Fetcher {
    /// A fetcher over HTTPS. It believes the system's certificate authorities, or, when given, *only* the ones of
    /// `ca_pem`: a private issuer needs no public authority to vouch for it.
    ///
    /// Errors when there is no authority to believe.
    pub fn https(ca_pem: Option<&[u8]>) -> Result<Fetcher, FetchError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Trust(error.to_string()))?;
        let builder = match ca_pem {
            Some(pem) => builder.with_root_certificates(authorities(pem)?),
            None => builder
                .with_native_roots()
                .map_err(|error| FetchError::Trust(error.to_string()))?,
        };
        Ok(Fetcher::over(builder.with_no_client_auth(), false))
    }

    /// A fetcher over plain HTTP from `localhost` or a loopback address, for a local issuer in development and tests.
    /// A name that turns out to be elsewhere is not dialled.
    pub fn loopback() -> Result<Fetcher, FetchError> {
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Trust(error.to_string()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
        Ok(Fetcher::over(config, true))
    }

    /// The fetcher that suits an address: [`Fetcher::loopback`] for plain HTTP, [`Fetcher::https`] otherwise.
    pub fn suited_to(address: &Address, ca_pem: Option<&[u8]>) -> Result<Fetcher, FetchError> {
        if address.is_plain() {
            Fetcher::loopback()
        } else {
            Fetcher::https(ca_pem)
        }
    }

    fn over(config: ClientConfig, loopback: bool) -> Fetcher {
        let mut dialler = HttpConnector::new_with_resolver(Dial { loopback });
        dialler.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        let connector = if loopback {
            connector.https_or_http()
        } else {
            connector.https_only()
        };
        let client = Client::builder(TokioExecutor::new())
            // A document is read once in ten minutes; an idle connection would only be one more thing to go stale.
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(FETCH_HEAD_BYTES_MAX)
            .build(connector.enable_http1().wrap_connector(dialler));
        Fetcher {
            client,
            loopback,
            time_max: Duration::from_secs(FETCH_TIME_MAX_S),
        }
    }

    /// The same fetcher with less patience than [`FETCH_TIME_MAX_S`]; more is not to be had.
    pub fn within(mut self, time_max: Duration) -> Fetcher {
        self.time_max = self.time_max.min(time_max);
        self
    }

    /// The body of a `200 OK`, at most [`FETCH_BODY_BYTES_MAX`] bytes; anything else is an error. It is wiped when
    /// dropped, since it may be a token.
    pub async fn get(
        &self,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        self.in_time(address, self.read(address, headers)).await
    }

    /// Hands `body` over; taken once the answer is any `2xx`. Of what else the answer says only its status and its
    /// `Retry-After` are read.
    pub async fn post(
        &self,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<(), NotTaken> {
        let mut after = None;
        let host = || address.host().to_owned();
        let given = async {
            let answer = self.ask(Method::POST, address, headers, body).await?;
            after = retry_after(answer.headers());
            match answer.status() {
                status if status.is_success() => Ok(()),
                status if status.is_redirection() => Err(FetchError::Redirected(host())),
                status => Err(FetchError::Status(host(), status.as_u16())),
            }
        };
        let given = self.in_time(address, given).await;
        given.map_err(|why| NotTaken { why, after })
    }

    async fn in_time<T>(
        &self,
        address: &Address,
        call: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        if address.is_plain() != self.loopback {
            return Err(FetchError::WrongScheme(address.host().to_owned()));
        }
        match tokio::time::timeout(self.time_max, call).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::TooSlow(address.host().to_owned())),
        }
    }

    async fn ask(
        &self,
        method: Method,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, FetchError> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = address.uri().clone();
        let fields = request.headers_mut();
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            fields.insert(name.clone(), value.clone());
        }
        let unreachable = |error| FetchError::Unreachable(address.host().to_owned(), error);
        let answer = self.client.request(request).await;
        answer.map_err(|error| unreachable(causes(&error)))
    }

    async fn read(
        &self,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        let host = || address.host().to_owned();
        let answer = self.ask(Method::GET, address, headers, Vec::new()).await?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(FetchError::Redirected(host())),
            status => return Err(FetchError::Status(host(), status.as_u16())),
        }
        match Limited::new(answer.into_body(), FETCH_BODY_BYTES_MAX)
            .collect()
            .await
        {
            Ok(body) => Ok(Zeroizing::new(body.to_bytes().to_vec())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(FetchError::TooBig(host()))
            }
            Err(error) => Err(FetchError::Unreachable(host(), causes(error.as_ref()))),
        }
    }
}

/// How long a server wants to be left alone, where it says so in seconds. A date is not read: it is by the server's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// The certificate authorities of a PEM file; at least one.
fn authorities(pem: &[u8]) -> Result<RootCertStore, FetchError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| FetchError::Trust(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| FetchError::Trust(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(FetchError::Trust(
            "no certificate in the PEM file".to_owned(),
        ));
    }
    Ok(roots)
}

/// An error with its causes, which hyper keeps out of its own text.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Looks a name up and drops the addresses nobody should be sent to, right before the dialling: a check made any earlier
/// could be outrun by a changed DNS answer.
#[derive(Clone)]
struct Dial {
    loopback: bool,
}

impl tower::Service<Name> for Dial {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let loopback = self.loopback;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|socket| allowed(socket.ip(), loopback))
                .collect();
            if allowed.is_empty() {
                return Err(io::Error::other(
                    "the name leads to no address that may be dialled",
                ));
            }
            Ok(allowed.into_iter())
        })
    }
}

fn allowed(ip: IpAddr, loopback: bool) -> bool {
    if loopback {
        ip.is_loopback()
    } else {
        may_dial(ip)
    }
}

/// What was handed over was not taken, as far as one can know: a lost answer looks the same.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotTaken {
    /// Why.
    pub why: FetchError,
    /// How long the receiver wants to be left alone, if it said so.
    pub after: Option<Duration>,
}

/// Why a fetch brought nothing. The text names the host, never the path, the query or a header.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is not one we fetch from.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Plain HTTP asked of the HTTPS fetcher, or the other way round.
    #[error("`{0}` was to be fetched over another scheme than its address says")]
    WrongScheme(String),
    /// No certificate authority to believe, or an unreadable one.
    #[error("no certificate authority to trust: {0}")]
    Trust(String),
    /// No connection, or it broke.
    #[error("`{0}` cannot be reached: {1}")]
    Unreachable(String, String),
    /// The answer was a redirect.
    #[error("`{0}` answered with a redirect; give the address it leads to")]
    Redirected(String),
    /// The answer was no success: to a GET, not `200 OK`.
    #[error("`{0}` answered with status {1}")]
    Status(String, u16),
    /// More than [`FETCH_BODY_BYTES_MAX`].
    #[error("`{0}` answered with more than 1 MiB")]
    TooBig(String),
    /// Not done in time.
    #[error("`{0}` did not answer in time")]
    TooSlow(String),
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
pub(crate) mod tests;
