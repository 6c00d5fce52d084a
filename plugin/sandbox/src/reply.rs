//! The XML that STS sends back.

use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;

use crate::clock::iso;
use crate::error::StsError;
use crate::session::Credentials;

/// The namespace of STS, which is also the version of its interface.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// What AssumeRole gives.
pub(crate) struct Assumed {
    pub(crate) credentials: Credentials,
    pub(crate) expires_at: Timestamp,
    pub(crate) arn: String,
    pub(crate) assumed_role_id: String,
    pub(crate) packed_percent: Option<u64>,
    pub(crate) source_identity: Option<String>,
}

pub(crate) fn assume_role(assumed: &Assumed, request_id: &str) -> String {
    let mut result = format!(
        "    <AssumedRoleUser>\n      <AssumedRoleId>{}</AssumedRoleId>\n      <Arn>{}</Arn>\n    </AssumedRoleUser>\n    \
         <Credentials>\n      <AccessKeyId>{}</AccessKeyId>\n      <SecretAccessKey>{}</SecretAccessKey>\n      \
         <SessionToken>{}</SessionToken>\n      <Expiration>{}</Expiration>\n    </Credentials>\n",
        escape(&assumed.assumed_role_id),
        escape(&assumed.arn),
        escape(&assumed.credentials.access_key_id),
        escape(&assumed.credentials.secret_access_key),
        escape(
            assumed
                .credentials
                .session_token
                .as_deref()
                .unwrap_or_default()
        ),
        iso(assumed.expires_at),
    );
    if let Some(percent) = assumed.packed_percent {
        result.push_str(&format!(
            "    <PackedPolicySize>{percent}</PackedPolicySize>\n"
        ));
    }
    let token = assumed.credentials.session_token.as_deref();
    result.push_str(&format!(
        "    <SessionTokenUtilization>{}</SessionTokenUtilization>\n    <SessionTokenSize>{}</SessionTokenSize>\n",
        assumed.packed_percent.unwrap_or(0),
        token.map_or(0, str::len),
    ));
    if let Some(identity) = &assumed.source_identity {
        result.push_str(&format!(
            "    <SourceIdentity>{}</SourceIdentity>\n",
            escape(identity)
        ));
    }
    success("AssumeRole", &result, request_id)
}

pub(crate) fn caller_identity(arn: &str, user_id: &str, account: &str, request_id: &str) -> String {
    let result = format!(
        "    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n",
        escape(arn),
        escape(user_id),
        escape(account),
    );
    success("GetCallerIdentity", &result, request_id)
}

/// A reply that says only that the action was allowed.
pub(crate) fn allowed(action: &str, request_id: &str) -> String {
    success(action, "", request_id)
}

fn success(action: &str, result: &str, request_id: &str) -> String {
    let action = escape(action);
    format!(
        "<{action}Response xmlns=\"{NAMESPACE}\">\n  <{action}Result>\n{result}  </{action}Result>\n  \
         <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
    )
}

pub(crate) fn refusal(error: &StsError, request_id: &str) -> String {
    let fault = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>{fault}</Type>\n    <Code>{}</Code>\n    \
         <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
        error.code,
        escape(&error.message),
    )
}

/// Dresses `xml` as an HTTP reply, dated by the sandbox's own clock so that a client can see a skew.
pub(crate) fn http(
    status: u16,
    xml: String,
    request_id: &str,
    now: Timestamp,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(xml)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        headers.insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 cannot carry other control characters at all.
            '\t' | '\n' | '\r' => out.push(letter),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_written_as_aws_writes_it() {
        let body = refusal(
            &StsError::expired_token(),
            "00000000-0000-0000-0000-000000000000",
        );
        assert_eq!(
            body,
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>ExpiredToken</Code>
    <Message>The security token included in the request is expired</Message>
  </Error>
  <RequestId>00000000-0000-0000-0000-000000000000</RequestId>
</ErrorResponse>
"#
        );
    }

    #[test]
    fn a_fault_of_the_service_is_the_receivers() {
        assert!(refusal(&StsError::internal(), "x").contains("<Type>Receiver</Type>"));
    }

    #[test]
    fn what_the_caller_sent_cannot_break_out_of_the_xml() {
        let error = StsError::validation("</Message><Code>x</Code>&\u{1}");
        let body = refusal(&error, "x");
        assert!(
            body.contains("&lt;/Message&gt;&lt;Code&gt;x&lt;/Code&gt;&amp;\u{fffd}"),
            "{body}"
        );
    }

    #[test]
    fn the_date_is_the_one_given() {
        let at = "2026-03-01T09:08:07Z".parse().unwrap();
        let response = http(200, String::new(), "id", at);
        assert_eq!(response.headers()[DATE], "Sun, 01 Mar 2026 09:08:07 GMT");
    }
}
