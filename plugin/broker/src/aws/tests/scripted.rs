//! An AWS that answers from a script and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::aws::{Caller, Endpoints};

/// One request, as AWS would have seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The scheme, the host and the path.
    pub(super) url: String,
    /// The region and the service in the signature.
    pub(super) signed_for: String,
    /// The form, as it was encoded.
    pub(super) body: String,
}

/// What it answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A status and a body.
    Says(u16, String),
    /// The same, with a `Date`.
    SaysAt(&'static str, u16, String),
    /// A time-out on the way.
    Nothing,
}

/// An error as STS and IAM tell it.
pub(super) fn error(status: u16, code: &str) -> Answer {
    Answer::Says(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>canary of a body</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

/// What a call gave: the XML within its result.
pub(super) fn result(call: &str, content: &str) -> Answer {
    Answer::Says(
        200,
        format!(
            "<{call}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{call}Result>{content}</{call}Result>\
             </{call}Response>"
        ),
    )
}

#[derive(Debug, Clone, Default)]
pub(super) struct Scripted {
    script: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(super) fn new(script: impl IntoIterator<Item = Answer>) -> Scripted {
        Scripted {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            asked: Arc::default(),
        }
    }

    /// Every request so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// An identity whose calls end here.
    pub(super) fn caller(&self, endpoints: Endpoints) -> Caller {
        let keys = Credentials::for_tests();
        Caller::over(
            SharedCredentialsProvider::new(keys),
            SharedHttpClient::new(self.clone()),
            endpoints,
        )
    }
}

impl HttpClient for Scripted {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let authorization = request.headers().get("authorization").unwrap_or_default();
        // `AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, …`
        let scope: Vec<&str> = authorization.split('/').collect();
        self.asked.lock().unwrap().push(Asked {
            url: request.uri().to_owned(),
            signed_for: format!("{}/{}", scope[2], scope[3]),
            body: String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap(),
        });
        let answer = self.script.lock().unwrap().pop_front();
        let says =
            |status: u16, body: String| HttpResponse::new(status.try_into().unwrap(), body.into());
        HttpConnectorFuture::ready(match answer.expect("the script goes on") {
            Answer::Says(status, body) => Ok(says(status, body)),
            Answer::SaysAt(date, status, body) => {
                let mut response = says(status, body);
                response.headers_mut().insert("date", date);
                Ok(response)
            }
            Answer::Nothing => Err(ConnectorError::timeout("the script says so".into())),
        })
    }
}
