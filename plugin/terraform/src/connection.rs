//! The broker as this provider talks to it: one connection, made anew when it breaks or its token ends.

use std::sync::Arc;
use std::time::Duration;

use goplugin::Masked;
use tokio::sync::Mutex;
use tonic::{Response, Status, Streaming};
use writ_api::client::Client;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;

use crate::clock::now_s;
use crate::configuration::Configuration;
use crate::diagnostic::Diagnostic;
use crate::duration::Length;
use crate::failure::{Failure, Kind};
use crate::token;
use crate::words::escape;

/// A broker, and how to reach it.
pub(crate) struct Broker {
    configuration: Configuration,
    connection: Mutex<Option<Arc<Connection>>>,
}

struct Connection {
    client: Client,
    /// Where its token came from, and when it says that it ends.
    token_from: String,
    token_expires_s: Option<i64>,
    /// Keeps it out of the log.
    _token_masked: Masked,
}

impl Broker {
    /// The broker of a configuration. Nothing is dialled yet.
    pub(crate) fn new(configuration: Configuration) -> Broker {
        Broker {
            configuration,
            connection: Mutex::new(None),
        }
    }

    /// The connection there is, or a new one with the token as it is now.
    async fn connection(&self) -> Result<(Arc<Connection>, Age), Failure> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok((Arc::clone(connection), Age::Old));
        }
        let (text, address) = self.configuration.address()?;
        let ca_pem = self.configuration.ca_pem()?;
        let shown = self.configuration.token.token(text).await?;
        let dialled = Client::connect(&address, Some(&shown.token), ca_pem.as_deref());
        let client = match tokio::time::timeout(self.timeout(), dialled).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(not_reached(text, &error)),
            Err(_) => return Err(silent(text, self.configuration.timeout)),
        };
        let connection = Arc::new(Connection {
            client,
            token_from: shown.from,
            token_expires_s: shown.expires_s,
            _token_masked: shown.masked,
        });
        *slot = Some(Arc::clone(&connection));
        Ok((connection, Age::New))
    }

    /// The next call makes a new connection, unless somebody did already.
    async fn forget(&self, connection: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            *slot = None;
        }
    }

    /// One call, within the provider's `timeout`.
    async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<(T, Arc<Connection>), Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        loop {
            let (connection, age) = self.connection().await?;
            let answer = call(connection.client.clone());
            let failure = match tokio::time::timeout(self.timeout(), answer).await {
                Ok(Ok(response)) => return Ok((response.into_inner(), connection)),
                Ok(Err(status)) => self.said_no(&status, &connection).await,
                Err(_) => {
                    self.forget(&connection).await;
                    silent(self.address(), self.configuration.timeout)
                }
            };
            // The token of an older connection may just have ended, and a fresh one lie in its file.
            if failure.kind == Kind::NotAuthenticated && age == Age::Old {
                continue;
            }
            return Err(failure);
        }
    }

    /// A refusal in words; after one that says nothing good of the connection, the next call makes another.
    async fn said_no(&self, status: &Status, connection: &Arc<Connection>) -> Failure {
        let address = self.address();
        let failure = Failure::of_problem(&Problem::from_status(status), address);
        match failure.kind {
            Kind::NotAuthenticated => {
                self.forget(connection).await;
                let from = &connection.token_from;
                token::refused(from, connection.token_expires_s, address, now_s())
            }
            Kind::Unreachable => {
                self.forget(connection).await;
                failure
            }
            Kind::WrongState | Kind::Final => failure,
        }
    }

    fn address(&self) -> &str {
        self.configuration
            .address()
            .map_or("?", |(address, _)| address)
    }

    fn timeout(&self) -> Duration {
        self.configuration.timeout.into()
    }

    /// Makes a request, or finds the open one of the same run and wish.
    pub(crate) async fn create(
        &self,
        wish: &v1::CreateRequestRequest,
    ) -> Result<v1::Request, Failure> {
        let call =
            |client: Client| async move { client.requests().create_request(wish.clone()).await };
        promised(self.call(call).await?.0.request, "request")
    }

    /// One request as it is now.
    pub(crate) async fn get(&self, id: &str) -> Result<v1::Request, Failure> {
        let call = |client: Client| async move {
            let message = v1::GetRequestRequest { id: id.to_owned() };
            client.requests().get_request(message).await
        };
        promised(self.call(call).await?.0.request, "request")
    }

    /// Says that somebody still wants it: from now it is kept for this long.
    pub(crate) async fn keep(&self, id: &str, keep_for: Length) -> Result<v1::Request, Failure> {
        let call = |client: Client| async move {
            let message = v1::KeepRequestRequest {
                id: id.to_owned(),
                keep_for: Some(keep_for.on_the_wire()),
            };
            client.requests().keep_request(message).await
        };
        promised(self.call(call).await?.0.request, "request")
    }

    /// Takes it back before its window is open.
    pub(crate) async fn withdraw(&self, id: &str) -> Result<v1::Request, Failure> {
        let call = |client: Client| async move {
            let message = v1::WithdrawRequestRequest { id: id.to_owned() };
            client.requests().withdraw_request(message).await
        };
        promised(self.call(call).await?.0.request, "request")
    }

    /// Gives the rest of the window back.
    pub(crate) async fn release(&self, id: &str) -> Result<v1::Request, Failure> {
        let call = |client: Client| async move {
            let message = v1::ReleaseRequestRequest { id: id.to_owned() };
            client.requests().release_request(message).await
        };
        promised(self.call(call).await?.0.request, "request")
    }

    /// Session credentials. The answer has a request and credentials in it.
    pub(crate) async fn issue(&self, id: &str) -> Result<v1::IssueCredentialsResponse, Failure> {
        let call = |client: Client| async move {
            let message = v1::IssueCredentialsRequest { id: id.to_owned() };
            client.requests().issue_credentials(message).await
        };
        let (issued, _) = self.call(call).await?;
        promised(issued.credentials.as_ref(), "credentials")?;
        promised(issued.request.as_ref(), "request")?;
        Ok(issued)
    }

    /// Its changes as they come.
    pub(crate) async fn watch(&self, id: &str) -> Result<Changes<'_>, Failure> {
        let call = |client: Client| async move {
            let message = v1::WatchRequestRequest { id: id.to_owned() };
            client.requests().watch_request(message).await
        };
        let (stream, connection) = self.call(call).await?;
        Ok(Changes {
            broker: self,
            connection,
            stream,
        })
    }

    /// A dry run.
    pub(crate) async fn check(
        &self,
        wish: &v1::CheckAccessRequest,
    ) -> Result<Result<v1::Decision, Problem>, Failure> {
        let call = |client: Client| async move {
            match client.scopes().check_access(wish.clone()).await {
                Ok(response) => Ok(Response::new(Ok(response.into_inner().decision))),
                Err(status) => {
                    let problem = Problem::from_status(&status);
                    // What nobody gives you and what is not there answer alike: both are an answer to "would I?".
                    if problem.reason == Some(Reason::NotFound) {
                        return Ok(Response::new(Err(problem)));
                    }
                    Err(status)
                }
            }
        };
        match self.call(call).await?.0 {
            Ok(decision) => Ok(Ok(promised(decision, "decision")?)),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// What the caller may ask for.
    pub(crate) async fn scopes(&self) -> Result<Vec<v1::Scope>, Failure> {
        let call = |client: Client| async move {
            client.scopes().list_scopes(v1::ListScopesRequest {}).await
        };
        Ok(self.call(call).await?.0.scopes)
    }
}

/// Whether a connection was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Old,
    New,
}

/// A request's changes.
pub(crate) struct Changes<'b> {
    broker: &'b Broker,
    connection: Arc<Connection>,
    stream: Streaming<v1::WatchRequestResponse>,
}

impl Changes<'_> {
    /// The next one; `None` when the stream ended.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::Request>, Failure> {
        match self.stream.message().await {
            Ok(Some(change)) => promised(change.request, "request").map(Some),
            Ok(None) => Ok(None),
            Err(status) => Err(self.broker.said_no(&status, &self.connection).await),
        }
    }
}

/// A field the protocol promises. Its absence is the broker's fault, never ours to fill in.
fn promised<T>(field: Option<T>, name: &str) -> Result<T, Failure> {
    field.ok_or_else(|| {
        Failure::new(
            Kind::Final,
            Diagnostic::error(
                format!("the broker's answer lacks `{name}`"),
                "The broker and this provider are of versions that do not fit together.",
            ),
        )
    })
}

fn silent(address: &str, timeout: Length) -> Failure {
    Failure::new(
        Kind::Unreachable,
        Diagnostic::error(
            format!(
                "the broker at `{}` did not answer within {timeout}",
                escape(address)
            ),
            "What it was asked for may still have happened; `writ requests --mine` shows it. If it is only slow, give it longer with `timeout` in the provider block.",
        ),
    )
}

fn not_reached(address: &str, error: &tonic::transport::Error) -> Failure {
    // The innermost cause is the one that helps: `Connection refused`, not `transport error`.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let address = escape(address);
    let cause = escape(&cause.to_string());
    if certificate_problem(error) {
        return Failure::new(
            Kind::Final,
            Diagnostic::error(
                format!("the broker at `{address}` cannot be trusted"),
                format!(
                    "Its certificate was refused: {cause}.\n\nIf its CA is a private one, name the CA's certificate with `ca_cert_file` in the provider block, or WRIT_CA_CERT_FILE."
                ),
            ),
        );
    }
    Failure::new(
        Kind::Unreachable,
        Diagnostic::error(
            format!("the broker at `{address}` cannot be reached"),
            format!(
                "{cause}.\n\nCheck `address` in the provider block, or WRIT_ADDR, and that the broker runs."
            ),
        ),
    )
}

/// Whether TLS failed over the broker's certificate.
fn certificate_problem(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let tls = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .or_else(|| error.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        cause = error.source();
    }
    false
}
