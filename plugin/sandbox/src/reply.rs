//! The XML that STS and IAM send back.

use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;

use crate::clock::iso;
use crate::error::AwsError;
use crate::form;
use crate::role::KeptRole;
use crate::session::Credentials;

/// Whose words a reply is in. Any service but IAM is answered in those of STS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Sts,
    Iam,
}

impl Api {
    /// The namespace, which is also the version of the interface.
    fn namespace(self) -> &'static str {
        match self {
            Api::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Api::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
        }
    }
}

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
    success(Api::Sts, "AssumeRole", &result, request_id)
}

pub(crate) fn caller_identity(arn: &str, user_id: &str, account: &str, request_id: &str) -> String {
    let result = format!(
        "    <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n",
        escape(arn),
        escape(user_id),
        escape(account),
    );
    success(Api::Sts, "GetCallerIdentity", &result, request_id)
}

/// A reply that says only that the action was allowed.
pub(crate) fn allowed(action: &str, request_id: &str) -> String {
    success(Api::Sts, action, "", request_id)
}

/// What GetRole says of a role.
pub(crate) fn role(role: &KeptRole, request_id: &str) -> String {
    let (trust, _) = &role.trust;
    let result = format!(
        "    <Role>\n      <Path>{}</Path>\n      <RoleName>{}</RoleName>\n      <RoleId>{}</RoleId>\n      \
         <Arn>{}</Arn>\n      <CreateDate>{}</CreateDate>\n      \
         <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>\n      \
         <MaxSessionDuration>{}</MaxSessionDuration>\n    </Role>\n",
        escape(role.path()),
        escape(role.name()),
        role.id,
        escape(&role.arn),
        iso(role.made_at),
        form::encode(trust),
        role.max_session_s,
    );
    success(Api::Iam, "GetRole", &result, request_id)
}

/// One inline policy; its text is percent-encoded, as IAM sends it.
pub(crate) fn role_policy(role: &str, policy: &str, text: &str, request_id: &str) -> String {
    let result = format!(
        "    <RoleName>{}</RoleName>\n    <PolicyName>{}</PolicyName>\n    <PolicyDocument>{}</PolicyDocument>\n",
        escape(role),
        escape(policy),
        form::encode(text),
    );
    success(Api::Iam, "GetRolePolicy", &result, request_id)
}

/// A page of names; with a marker if there are more.
pub(crate) fn role_policies(names: &[&str], marker: Option<&str>, request_id: &str) -> String {
    let mut result = format!("    {}\n", members("PolicyNames", names));
    result.push_str(&format!(
        "    <IsTruncated>{}</IsTruncated>\n",
        marker.is_some()
    ));
    if let Some(marker) = marker {
        result.push_str(&format!("    <Marker>{}</Marker>\n", escape(marker)));
    }
    success(Api::Iam, "ListRolePolicies", &result, request_id)
}

/// What a simulation says of one action.
pub(crate) struct Simulated<'a> {
    pub(crate) action: &'a str,
    pub(crate) decision: &'static str,
}

/// A simulation on one resource. The keys that its policies miss are told where IAM tells them: of the action if the resource
/// is any, else of the resource.
pub(crate) fn simulated(
    all: &[Simulated<'_>],
    resource: &str,
    missing: &[&str],
    request_id: &str,
) -> String {
    let (of_action, of_resource) = if resource == "*" {
        (missing, None)
    } else {
        (Default::default(), Some(missing))
    };
    let mut result = "    <EvaluationResults>\n".to_owned();
    for one in all {
        result.push_str(&format!(
            "      <member>\n        <EvalActionName>{}</EvalActionName>\n        \
             <EvalResourceName>{}</EvalResourceName>\n        <EvalDecision>{}</EvalDecision>\n        \
             <MatchedStatements/>\n        {}\n",
            escape(one.action),
            escape(resource),
            one.decision,
            members("MissingContextValues", of_action),
        ));
        if let Some(missing) = of_resource {
            result.push_str(&format!(
                "        <ResourceSpecificResults>\n          <member>\n            \
                 <EvalResourceName>{}</EvalResourceName>\n            \
                 <EvalResourceDecision>{}</EvalResourceDecision>\n            <MatchedStatements/>\n            {}\n          \
                 </member>\n        </ResourceSpecificResults>\n",
                escape(resource),
                one.decision,
                members("MissingContextValues", missing),
            ));
        }
        result.push_str("      </member>\n");
    }
    result.push_str("    </EvaluationResults>\n    <IsTruncated>false</IsTruncated>\n");
    success(Api::Iam, "SimulatePrincipalPolicy", &result, request_id)
}

/// A list on one line.
fn members(name: &str, texts: &[&str]) -> String {
    if texts.is_empty() {
        return format!("<{name}/>");
    }
    let members: Vec<String> = texts
        .iter()
        .map(|text| format!("<member>{}</member>", escape(text)))
        .collect();
    format!("<{name}>{}</{name}>", members.concat())
}

fn success(api: Api, action: &str, result: &str, request_id: &str) -> String {
    let name = escape(action);
    let result = format!("  <{name}Result>\n{result}  </{name}Result>\n");
    response(api, action, &result, request_id)
}

/// The reply to an action that gives nothing back.
pub(crate) fn done(api: Api, action: &str, request_id: &str) -> String {
    response(api, action, "", request_id)
}

fn response(api: Api, action: &str, inner: &str, request_id: &str) -> String {
    let action = escape(action);
    format!(
        "<{action}Response xmlns=\"{}\">\n{inner}  <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  \
         </ResponseMetadata>\n</{action}Response>\n",
        api.namespace()
    )
}

pub(crate) fn refusal(api: Api, error: &AwsError, request_id: &str) -> String {
    let fault = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    format!(
        "<ErrorResponse xmlns=\"{}\">\n  <Error>\n    <Type>{fault}</Type>\n    <Code>{}</Code>\n    \
         <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
        api.namespace(),
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
            Api::Sts,
            &AwsError::expired_token(),
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
        for (api, code) in [(Api::Sts, "InternalFailure"), (Api::Iam, "ServiceFailure")] {
            let body = refusal(api, &AwsError::failed(api), "x");
            assert!(body.contains("<Type>Receiver</Type>"), "{body}");
            assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
            assert!(body.contains(api.namespace()), "{body}");
        }
    }

    #[test]
    fn what_the_caller_sent_cannot_break_out_of_the_xml() {
        let error = AwsError::validation("</Message><Code>x</Code>&\u{1}");
        let body = refusal(Api::Iam, &error, "x");
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
