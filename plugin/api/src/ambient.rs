//! The CI job's own identity token, asked of the CI system that runs the job.

use std::fmt::Write as _;

use http::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::address::{Address, AddressError};
use crate::client::Token;
use crate::fetch::{FetchError, Fetcher};

/// Where a GitHub Actions job with `id-token: write` asks for its token.
pub struct GithubActions {
    address: String,
    bearer: Zeroizing<String>,
}

impl GithubActions {
    /// From the job's environment, read through `variable`; `None` outside such a job.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<GithubActions> {
        let filled = |name| variable(name).filter(|value| !value.is_empty());
        Some(GithubActions {
            address: filled("ACTIONS_ID_TOKEN_REQUEST_URL")?,
            bearer: Zeroizing::new(filled("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?),
        })
    }

    /// Asks for a token made for `audience`, over HTTPS and with the system's certificate authorities.
    pub async fn token(&self, audience: &str) -> Result<Token, AmbientError> {
        let address = self.address_for(audience)?;
        if address.is_plain() {
            return Err(AmbientError::Plain);
        }
        self.token_by(&Fetcher::https(None)?, &address).await
    }

    fn address_for(&self, audience: &str) -> Result<Address, AddressError> {
        let joint = if self.address.contains('?') { '&' } else { '?' };
        Address::parse(&format!(
            "{}{joint}audience={}",
            self.address,
            encoded(audience)
        ))
    }

    async fn token_by(&self, fetcher: &Fetcher, address: &Address) -> Result<Token, AmbientError> {
        let bearer = Zeroizing::new(format!("Bearer {}", *self.bearer));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| AmbientError::BadBearer)?;
        bearer.set_sensitive(true);
        let body = fetcher.get(address, &[(AUTHORIZATION, bearer)]).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| AmbientError::NotUnderstood)?;
        Token::new(&answer.value).map_err(|_| AmbientError::NotUnderstood)
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(deserialize_with = "wiped")]
    value: Zeroizing<String>,
}

fn wiped<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

/// As RFC 3986 encodes a query value: everything but its unreserved characters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Why there is no ambient token.
#[derive(Debug, thiserror::Error)]
pub enum AmbientError {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` is no address to fetch from.
    #[error("the job's token address: {0}")]
    Address(#[from] AddressError),
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` is plain HTTP.
    #[error(
        "the job's token address is not `https://`, and the job's own bearer token is not sent in clear"
    )]
    Plain,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN` cannot be sent.
    #[error("`ACTIONS_ID_TOKEN_REQUEST_TOKEN` has characters that no token has")]
    BadBearer,
    /// The CI system gave none.
    #[error("the CI system gave no token: {0}; the job needs `permissions: id-token: write`")]
    Fetch(#[from] FetchError),
    /// The answer has no token in it.
    #[error("the CI system's answer has no token in it")]
    NotUnderstood,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::tests::{answer, serve};

    fn job(address: &str) -> GithubActions {
        GithubActions::from_environment(|name| match name {
            "ACTIONS_ID_TOKEN_REQUEST_URL" => Some(address.to_owned()),
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN" => Some("the-bearer".to_owned()),
            _ => None,
        })
        .unwrap()
    }

    /// As [`GithubActions::token`], from a server on loopback without TLS.
    async fn asked_in_clear(job: &GithubActions, audience: &str) -> Result<Token, AmbientError> {
        let address = job.address_for(audience)?;
        job.token_by(&Fetcher::loopback()?, &address).await
    }

    #[tokio::test]
    async fn a_job_gets_its_token_for_the_asked_audience() {
        let server = serve(vec![answer("200 OK", r#"{"count":1,"value":"a.b.c"}"#)]).await;
        let job = job(&format!("http://{}/token?api-version=2.0", server.host));
        let token = asked_in_clear(&job, "https://writ.example/a b")
            .await
            .ok()
            .unwrap();
        assert_eq!(token.reveal(), "a.b.c");
        let asked = server.asked().await;
        assert!(
            asked.starts_with(
                "GET /token?api-version=2.0&audience=https%3A%2F%2Fwrit.example%2Fa%20b HTTP/1.1"
            ),
            "{asked}"
        );
        assert!(
            asked.contains("authorization: Bearer the-bearer"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn an_answer_without_a_token_is_an_error_without_the_answer_in_it() {
        let server = serve(vec![answer("200 OK", r#"{"message":"hunter2"}"#)]).await;
        let job = job(&format!("http://{}/token", server.host));
        let error = asked_in_clear(&job, "writ").await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "the CI system's answer has no token in it"
        );
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_carry_is_none() {
        for body in [r#"{"value":""}"#, r#"{"value":"a.b\r\nx-evil: c"}"#] {
            let server = serve(vec![answer("200 OK", body)]).await;
            let job = job(&format!("http://{}/token", server.host));
            let outcome = asked_in_clear(&job, "writ").await;
            assert!(
                matches!(outcome, Err(AmbientError::NotUnderstood)),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn the_bearer_is_not_sent_over_plain_http() {
        let refused = async |address: &str| job(address).token("writ").await.err().unwrap();
        let error = refused("http://issuer.example.com/token").await;
        assert!(matches!(error, AmbientError::Address(_)), "{error}");
        let server = serve(vec![]).await;
        let error = refused(&format!("http://{}/token", server.host)).await;
        assert!(matches!(error, AmbientError::Plain), "{error}");
        assert_eq!(server.unseen().await, 0);
    }

    #[test]
    fn outside_of_a_job_there_is_no_ambient_token() {
        assert!(GithubActions::from_environment(|_| None).is_none());
        assert!(GithubActions::from_environment(|_| Some(String::new())).is_none());
    }
}
