//! The part of IAM that revocation needs: its XML, its refusals in AWS's words, and what a role's inline policies do to live
//! sessions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use writ_sandbox::sigv4::{self, Signable};
use writ_sandbox::{
    CallResult, Caller, Credentials, Fault, INLINE_BYTES_MAX, IamCall, IamOutcome, Role, Sandbox,
    SandboxConfig, Session,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit/prod-db-read";
const ROLE_NAME: &str = "prod-db-read";
const NEXT_ROLE: &str = "arn:aws:iam::123456789012:role/next";
const OTHER_ACCOUNT: &str = "arn:aws:iam::999999999999:role/elsewhere";
const BROKER: &str = "arn:aws:iam::123456789012:user/writ-issuer";
const REVOKER: &str = "arn:aws:iam::123456789012:user/writ-revoker";
const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
const POLICY_NAME: &str = "writ-revocations";

/// A role that trusts the broker, one that any session of it may go on to, and the two identities of a broker.
struct Bench {
    sandbox: Sandbox,
    broker: Credentials,
    revoker: Credentials,
}

async fn bench() -> Bench {
    bench_with(None).await
}

async fn bench_with(identity_policy: Option<&str>) -> Bench {
    let broker = Caller::user(BROKER).unwrap();
    let revoker = Caller::revoker(REVOKER).unwrap();
    let next = json!({ "Statement": {
        "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "sts:*" } });
    let mut role = Role::for_broker(ROLE, BROKER, None).with_max_session_s(7_200);
    role.identity_policy = identity_policy.map(str::to_owned);
    let config = SandboxConfig {
        roles: vec![
            role,
            Role::new(NEXT_ROLE, &next.to_string()),
            Role::for_broker(OTHER_ACCOUNT, BROKER, None),
        ],
        callers: vec![broker.clone(), revoker.clone()],
        ..SandboxConfig::default()
    };
    Bench {
        sandbox: Sandbox::start(config).await.unwrap(),
        broker: broker.credentials().clone(),
        revoker: revoker.credentials().clone(),
    }
}

/// What came back: the body without its request id, random each time.
struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    /// The text of the first element of this name; no text here needs unescaping.
    fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    }

    /// `status code: message` of a refusal; of a success its status alone.
    fn said(&self) -> String {
        match (self.element("Code"), self.element("Message")) {
            (Some(code), Some(message)) => format!("{} {code}: {message}", self.status),
            _ => self.status.to_string(),
        }
    }
}

impl Bench {
    /// Sends one signed request; fails if the connection breaks.
    async fn send(
        &self,
        keys: &Credentials,
        (region, service): (&str, &str),
        body: String,
    ) -> Result<Reply, hyper::Error> {
        let mut headers = vec![
            ("host".to_owned(), self.sandbox.addr().to_string()),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        let request = Signable {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        headers.extend(sigv4::sign(
            request,
            keys,
            region,
            service,
            Timestamp::now(),
        ));
        let stream = TcpStream::connect(self.sandbox.addr()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::post("/");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let (before, rest) = body.split_once("<RequestId>").unwrap();
        let (id, after) = rest.split_once("</RequestId>").unwrap();
        assert_eq!(id.len(), 36);
        Ok(Reply {
            status,
            body: format!("{before}<RequestId>ID</RequestId>{after}"),
        })
    }

    /// A call of IAM with these keys.
    async fn iam_as(&self, keys: &Credentials, fields: &[(&str, &str)]) -> Reply {
        self.send(keys, ("us-east-1", "iam"), form("2010-05-08", fields))
            .await
            .unwrap()
    }

    /// A call of IAM with the revoker's keys.
    async fn iam(&self, fields: &[(&str, &str)]) -> Reply {
        self.iam_as(&self.revoker, fields).await
    }

    /// Writes the role's one policy.
    async fn put(&self, statements: Value) {
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let reply = self.iam(&put(&text)).await;
        assert_eq!(reply.said(), "200");
    }

    async fn delete(&self) {
        let reply = self
            .iam(&[
                ("Action", "DeleteRolePolicy"),
                ("RoleName", ROLE_NAME),
                ("PolicyName", POLICY_NAME),
            ])
            .await;
        assert_eq!(reply.said(), "200");
    }

    /// What the role's policies would say of `rds:DescribeDBInstances` under `grant`.
    async fn simulated(&self, grant: &str) -> String {
        let reply = self.iam(&simulate(grant)).await;
        reply.element("EvalDecision").unwrap().to_owned()
    }

    /// A session of the role under `grant`, for Ana.
    async fn session(&self, grant: &str) -> Session {
        self.assumed(&self.broker, ROLE, grant, &[("SourceIdentity", "ana")])
            .await
    }

    async fn assumed(
        &self,
        keys: &Credentials,
        role_arn: &str,
        grant: &str,
        more: &[(&str, &str)],
    ) -> Session {
        Session::new(
            self.assumed_keys(keys, role_arn, grant, more).await,
            "eu-west-1",
        )
    }

    async fn assumed_keys(
        &self,
        keys: &Credentials,
        role_arn: &str,
        grant: &str,
        more: &[(&str, &str)],
    ) -> Credentials {
        let name = format!("writ-{grant}");
        let mut fields = vec![
            ("Action", "AssumeRole"),
            ("RoleArn", role_arn),
            ("RoleSessionName", name.as_str()),
        ];
        if keys.session_token.is_none() {
            fields.extend([
                ("Tags.member.1.Key", "writ:grant"),
                ("Tags.member.1.Value", grant),
                ("TransitiveTagKeys.member.1", "writ:grant"),
            ]);
        }
        fields.extend(more);
        let reply = self
            .send(keys, ("eu-west-1", "sts"), form("2011-06-15", &fields))
            .await
            .unwrap();
        assert_eq!(reply.said(), "200");
        Credentials::new(
            reply.element("AccessKeyId").unwrap(),
            reply.element("SecretAccessKey").unwrap(),
            reply.element("SessionToken"),
        )
    }

    /// Something that any session of the role may do.
    async fn used(&self, session: &Session) -> CallResult {
        session
            .call(&self.sandbox.endpoint_url(), "rds", "DescribeDBInstances")
            .await
            .unwrap()
    }
}

fn form(version: &str, fields: &[(&str, &str)]) -> String {
    let mut all = vec![("Version", version)];
    all.extend(fields);
    let pairs: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn put(document: &str) -> [(&'static str, &str); 4] {
    [
        ("Action", "PutRolePolicy"),
        ("RoleName", ROLE_NAME),
        ("PolicyName", POLICY_NAME),
        ("PolicyDocument", document),
    ]
}

fn simulate(grant: &str) -> [(&'static str, &str); 6] {
    [
        ("Action", "SimulatePrincipalPolicy"),
        ("PolicySourceArn", ROLE),
        ("ActionNames.member.1", "rds:DescribeDBInstances"),
        (
            "ContextEntries.member.1.ContextKeyName",
            "aws:PrincipalTag/writ:grant",
        ),
        ("ContextEntries.member.1.ContextKeyType", "string"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", grant),
    ]
}

fn deny(condition: Value) -> Value {
    json!({ "Sid": "WritRevoked", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition })
}

/// The statement that revokes these grants.
fn revoked(grants: &[&str]) -> Value {
    deny(json!({ "StringEquals": { "aws:PrincipalTag/writ:grant": grants } }))
}

const DOCUMENT: &str = r#"{"Version":"2012-10-17", "Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/writ:grant":["01J8"]}}}}"#;

#[tokio::test]
async fn each_action_is_answered_in_iams_xml() {
    let bench = bench().await;
    let metadata = "  <ResponseMetadata>\n    <RequestId>ID</RequestId>\n  </ResponseMetadata>\n";
    let done = |action: &str| {
        format!("<{action}Response xmlns=\"{NAMESPACE}\">\n{metadata}</{action}Response>\n")
    };
    let given = |action: &str, result: &str| {
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\">\n  <{action}Result>\n{result}  </{action}Result>\n{metadata}</{action}Response>\n"
        )
    };
    let reply = bench.iam(&put(DOCUMENT)).await;
    assert_eq!((reply.status, reply.body), (200, done("PutRolePolicy")));

    let named = [("RoleName", ROLE_NAME), ("PolicyName", POLICY_NAME)];
    let of = |action: &'static str| [&[("Action", action)], named.as_slice()].concat();
    let reply = bench.iam(&of("GetRolePolicy")).await;
    let expected = format!(
        "    <RoleName>{ROLE_NAME}</RoleName>\n    <PolicyName>{POLICY_NAME}</PolicyName>\n    \
         <PolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C%20%22Statement%22%3A%7B%22Effect%22%3A%22Deny%22%2C\
         %22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%2C%22Condition%22%3A%7B%22StringEquals%22%3A%7B\
         %22aws%3APrincipalTag%2Fwrit%3Agrant%22%3A%5B%2201J8%22%5D%7D%7D%7D%7D</PolicyDocument>\n"
    );
    assert_eq!(
        (reply.status, reply.body),
        (200, given("GetRolePolicy", &expected))
    );

    let list = [("Action", "ListRolePolicies"), ("RoleName", ROLE_NAME)];
    let reply = bench.iam(&list).await;
    let expected = format!(
        "    <PolicyNames><member>{POLICY_NAME}</member></PolicyNames>\n    <IsTruncated>false</IsTruncated>\n"
    );
    assert_eq!(
        (reply.status, reply.body),
        (200, given("ListRolePolicies", &expected))
    );

    let reply = bench.iam(&simulate("01J8")).await;
    let expected = "    <EvaluationResults>\n      <member>\n        \
                    <EvalActionName>rds:DescribeDBInstances</EvalActionName>\n        \
                    <EvalResourceName>*</EvalResourceName>\n        <EvalDecision>explicitDeny</EvalDecision>\n        \
                    <MatchedStatements/>\n        <MissingContextValues/>\n      </member>\n    </EvaluationResults>\n    \
                    <IsTruncated>false</IsTruncated>\n";
    assert_eq!(
        (reply.status, reply.body),
        (200, given("SimulatePrincipalPolicy", expected))
    );

    let reply = bench.iam(&of("DeleteRolePolicy")).await;
    assert_eq!((reply.status, reply.body), (200, done("DeleteRolePolicy")));
    let reply = bench.iam(&list).await;
    assert_eq!(
        reply.body,
        given(
            "ListRolePolicies",
            "    <PolicyNames/>\n    <IsTruncated>false</IsTruncated>\n"
        )
    );
}

#[tokio::test]
async fn a_role_tells_its_maximum_its_trust_and_its_id() {
    let before = Timestamp::now().as_second();
    let bench = bench().await;
    let reply = bench
        .iam(&[("Action", "GetRole"), ("RoleName", ROLE_NAME)])
        .await;
    let id = reply.element("RoleId").unwrap();
    assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
    let trust = reply.element("AssumeRolePolicyDocument").unwrap();
    assert_eq!(
        trust,
        encode(&Role::for_broker(ROLE, BROKER, None).trust_policy)
    );
    let made = reply.element("CreateDate").unwrap();
    let made_at: Timestamp = made.parse().unwrap();
    assert!(
        (before..=before + 5).contains(&made_at.as_second()),
        "{made}"
    );
    let expected = format!(
        "<GetRoleResponse xmlns=\"{NAMESPACE}\">\n  <GetRoleResult>\n    <Role>\n      <Path>/jit/</Path>\n      \
         <RoleName>{ROLE_NAME}</RoleName>\n      <RoleId>{id}</RoleId>\n      <Arn>{ROLE}</Arn>\n      \
         <CreateDate>{made}</CreateDate>\n      <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>\n      \
         <MaxSessionDuration>7200</MaxSessionDuration>\n    </Role>\n  </GetRoleResult>\n  <ResponseMetadata>\n    \
         <RequestId>ID</RequestId>\n  </ResponseMetadata>\n</GetRoleResponse>\n"
    );
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (200, expected.as_str())
    );
    // The same id as in its sessions' user ids.
    bench.session("01J8").await;
    assert_eq!(
        bench.sandbox.live_sessions()[0].user_id,
        format!("{id}:writ-01J8")
    );
}

#[tokio::test]
async fn a_refusal_is_in_iams_xml_and_words() {
    let bench = bench().await;
    let reply = bench
        .iam(&[("Action", "GetRole"), ("RoleName", "ghost")])
        .await;
    assert_eq!(
        (reply.status, reply.body),
        (
            404,
            format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>Sender</Type>\n    \
                 <Code>NoSuchEntity</Code>\n    <Message>The role with name ghost cannot be found.</Message>\n  \
                 </Error>\n  <RequestId>ID</RequestId>\n</ErrorResponse>\n"
            )
        )
    );
    let long = "n".repeat(65);
    let named = |action: &'static str, role: &'static str, policy: &'static str| {
        vec![
            ("Action", action),
            ("RoleName", role),
            ("PolicyName", policy),
        ]
    };
    for (fields, expected) in [
        (put(DOCUMENT).to_vec(), "200"),
        (
            named("GetRolePolicy", ROLE_NAME, "ghost"),
            "404 NoSuchEntity: The role policy with name ghost cannot be found.",
        ),
        (
            named("DeleteRolePolicy", ROLE_NAME, "ghost"),
            "404 NoSuchEntity: The role policy with name ghost cannot be found.",
        ),
        (
            named("DeleteRolePolicy", "ghost", POLICY_NAME),
            "404 NoSuchEntity: The role with name ghost cannot be found.",
        ),
        // A role of another account is none of this one's.
        (
            vec![("Action", "GetRole"), ("RoleName", "elsewhere")],
            "404 NoSuchEntity: The role with name elsewhere cannot be found.",
        ),
        // A role is named without its path.
        (
            vec![("Action", "GetRole"), ("RoleName", "jit/prod-db-read")],
            "400 ValidationError: The specified value for roleName is invalid. It must contain only alphanumeric \
             characters and/or the following: +=,.@_-",
        ),
        (
            named("GetRolePolicy", ROLE_NAME, "a policy"),
            "400 ValidationError: The specified value for policyName is invalid. It must contain only alphanumeric \
             characters and/or the following: +=,.@_-",
        ),
        (
            vec![("Action", "GetRole")],
            "400 ValidationError: 1 validation error detected: Value null at 'roleName' failed to satisfy constraint: \
             Member must not be null",
        ),
        (
            vec![("Action", "ListRolePolicies"), ("RoleName", &long)],
            &format!(
                "400 ValidationError: 1 validation error detected: Value '{long}' at 'roleName' failed to satisfy \
                 constraint: Member must have length less than or equal to 64"
            ),
        ),
        (
            named("GetRole", ROLE_NAME, POLICY_NAME),
            "400 ValidationError: the sandbox does not evaluate the parameter `PolicyName`",
        ),
        (
            vec![("Action", "ListRoles")],
            "400 InvalidAction: Could not find operation ListRoles for version 2010-05-08",
        ),
    ] {
        assert_eq!(bench.iam(&fields).await.said(), expected, "{fields:?}");
    }
    for (document, expected) in [
        (
            "{",
            "400 MalformedPolicyDocument: This policy contains invalid Json",
        ),
        (
            "{}",
            "400 MalformedPolicyDocument: Syntax errors in policy.",
        ),
        (
            r#"{"Statement":{"Sid":"writ-revoked","Effect":"Deny","Action":"*","Resource":"*"}}"#,
            "400 MalformedPolicyDocument: Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the \
             regular expression [0-9A-Za-z]*",
        ),
        (
            r#"{"Statement":{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}}"#,
            "400 MalformedPolicyDocument: the sandbox does not evaluate `NotAction`",
        ),
    ] {
        assert_eq!(bench.iam(&put(document)).await.said(), expected);
    }
    // What was there before is there still.
    assert_eq!(
        bench.sandbox.inline_policies(ROLE),
        [(POLICY_NAME.to_owned(), DOCUMENT.to_owned())]
    );
}

#[tokio::test]
async fn a_signature_for_another_service_region_or_key_is_refused() {
    let bench = bench().await;
    let body = || form("2010-05-08", &put(DOCUMENT));
    let stranger = Credentials::new("AKIASTRANGER", &bench.revoker.secret_access_key, None);
    let mut guessed = bench.revoker.clone();
    guessed.secret_access_key = bench.broker.secret_access_key.clone();
    for (keys, scope, expected) in [
        (
            &bench.revoker,
            ("eu-west-1", "iam"),
            "403 SignatureDoesNotMatch: Credential should be scoped to a valid region, not 'eu-west-1'. ",
        ),
        // Not even as an action of another service may it pass.
        (
            &bench.revoker,
            ("us-east-1", "sts"),
            "403 SignatureDoesNotMatch: Credential should be scoped to correct service: 'iam'. ",
        ),
        (
            &bench.broker,
            ("us-east-1", "rds"),
            "403 SignatureDoesNotMatch: Credential should be scoped to correct service: 'iam'. ",
        ),
        (
            &stranger,
            ("us-east-1", "iam"),
            "403 InvalidClientTokenId: The security token included in the request is invalid.",
        ),
        (
            &guessed,
            ("us-east-1", "iam"),
            "403 SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ),
    ] {
        let reply = bench.send(keys, scope, body()).await.unwrap();
        assert_eq!(reply.said(), expected, "{scope:?}");
        assert!(reply.body.contains(NAMESPACE), "{}", reply.body);
    }
    let other_version = form("2011-06-15", &put(DOCUMENT));
    let reply = bench
        .send(&bench.revoker, ("us-east-1", "iam"), other_version)
        .await
        .unwrap();
    assert_eq!(
        reply.said(),
        "400 InvalidAction: Could not find operation PutRolePolicy for version 2011-06-15"
    );
    assert!(bench.sandbox.inline_policies(ROLE).is_empty());
    assert_eq!(bench.iam(&put(DOCUMENT)).await.said(), "200");
}

#[tokio::test]
async fn a_deny_on_one_grants_tag_ends_its_sessions_and_no_others() {
    let bench = bench().await;
    let one = bench.session("01J8").await;
    let other = bench.session("01J9").await;
    bench.put(json!([revoked(&["01J8"])])).await;
    let refused = bench.used(&one).await;
    assert_eq!(
        (
            refused.status,
            refused.code.as_deref(),
            refused.message.as_deref()
        ),
        (
            403,
            Some("AccessDenied"),
            Some(
                "User: arn:aws:sts::123456789012:assumed-role/prod-db-read/writ-01J8 is not authorized to perform: \
                 rds:DescribeDBInstances with an explicit deny in an identity-based policy"
            )
        )
    );
    assert!(bench.used(&other).await.allowed());
    // A session made after the policy, with the same tag, is denied as the older one is.
    let later = bench.session("01J8").await;
    assert!(!bench.used(&later).await.allowed());
    // The credentials are alive, and say so: at AWS nothing can deny that.
    let who = one
        .call(&bench.sandbox.endpoint_url(), "sts", "GetCallerIdentity")
        .await
        .unwrap();
    assert!(who.allowed());

    bench.put(json!([revoked(&["01J8", "01J9"])])).await;
    assert!(!bench.used(&other).await.allowed());
    bench.put(json!([revoked(&["01J9"])])).await;
    assert!(bench.used(&one).await.allowed());
    assert!(!bench.used(&other).await.allowed());
    bench.delete().await;
    for session in [&one, &other, &later] {
        assert!(bench.used(session).await.allowed());
    }
}

#[tokio::test]
async fn a_denied_session_cannot_go_on_to_another_role_and_one_that_has_gone_on_is_not_reached() {
    let bench = bench().await;
    let keys = bench
        .assumed_keys(&bench.broker, ROLE, "01J8", &[("SourceIdentity", "ana")])
        .await;
    let next = bench.assumed(&keys, NEXT_ROLE, "01J8", &[]).await;
    bench.put(json!([revoked(&["01J8"])])).await;
    let refused = bench
        .send(
            &keys,
            ("eu-west-1", "sts"),
            form(
                "2011-06-15",
                &[
                    ("Action", "AssumeRole"),
                    ("RoleArn", NEXT_ROLE),
                    ("RoleSessionName", "writ-again"),
                ],
            ),
        )
        .await
        .unwrap();
    assert!(
        refused
            .said()
            .ends_with("with an explicit deny in an identity-based policy"),
        "{}",
        refused.said()
    );
    // The tag went along, so the same policy on the next role reaches it, and only there.
    assert!(bench.used(&next).await.allowed());
    let text = json!({ "Statement": [revoked(&["01J8"])] }).to_string();
    let mut on_next = put(&text);
    on_next[1].1 = "next";
    assert_eq!(bench.iam(&on_next).await.said(), "200");
    assert!(!bench.used(&next).await.allowed());
}

#[tokio::test]
async fn a_deny_by_issue_time_ends_the_older_sessions_of_the_role_only() {
    let bench = bench().await;
    let at = |moment: &str| {
        let moment: Timestamp = moment.parse().unwrap();
        bench.sandbox.clock().freeze(Some(moment));
    };
    at("2030-01-01T09:00:00Z");
    let older = bench.session("01J8").await;
    at("2030-01-01T09:05:00Z");
    let at_the_second = bench.session("01J9").await;
    assert_eq!(
        bench
            .sandbox
            .live_sessions()
            .iter()
            .map(|session| session.issued_at.to_string())
            .max()
            .unwrap(),
        "2030-01-01T09:05:00Z"
    );
    bench
        .put(json!([deny(
            json!({ "DateLessThan": { "aws:TokenIssueTime": "2030-01-01T09:05:00Z" } })
        )]))
        .await;
    at("2030-01-01T09:06:00Z");
    let newer = bench.session("01J8").await;
    assert!(!bench.used(&older).await.allowed());
    assert!(bench.used(&at_the_second).await.allowed());
    assert!(bench.used(&newer).await.allowed());
}

#[tokio::test]
async fn a_deny_by_user_id_or_source_identity_ends_whom_it_names() {
    let bench = bench().await;
    let ana = bench.session("01J8").await;
    let bob = bench
        .assumed(&bench.broker, ROLE, "01J9", &[("SourceIdentity", "bob")])
        .await;
    let user_id = bench
        .sandbox
        .live_sessions()
        .iter()
        .find(|session| session.source_identity.as_deref() == Some("ana"))
        .unwrap()
        .user_id
        .clone();
    for (key, value) in [
        ("aws:userid", user_id.as_str()),
        ("aws:SourceIdentity", "ana"),
    ] {
        bench
            .put(json!([deny(
                json!({ "StringEquals": { key: ["someone-else", value] } })
            )]))
            .await;
        assert!(!bench.used(&ana).await.allowed(), "{key}");
        assert!(bench.used(&bob).await.allowed(), "{key}");
        bench.delete().await;
        assert!(bench.used(&ana).await.allowed(), "{key}");
    }
}

/// A policy that revokes this many grants, each of a ULID's length.
fn revoking(grants: usize) -> String {
    let grants: Vec<String> = (0..grants).map(|at| format!("{at:026}")).collect();
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    json!({ "Version": "2012-10-17", "Statement": [revoked(&grants)] }).to_string()
}

#[tokio::test]
async fn a_role_holds_some_345_revocations_and_no_more() {
    let bench = bench().await;
    let fits = (1..)
        .take_while(|grants| u64::try_from(revoking(*grants).len()).unwrap() <= INLINE_BYTES_MAX)
        .last()
        .unwrap();
    assert_eq!(fits, 347);
    let full =
        "409 LimitExceeded: Maximum policy size of 10240 bytes exceeded for role prod-db-read";
    for grants in [fits + 1, 400, 1_000] {
        assert_eq!(bench.iam(&put(&revoking(grants))).await.said(), full);
    }
    assert!(bench.sandbox.inline_policies(ROLE).is_empty());
    assert_eq!(bench.iam(&put(&revoking(fits))).await.said(), "200");
    // The limit is on all policies of the role together, and one that is replaced counts no longer.
    let mut second = put(DOCUMENT);
    second[2].1 = "second";
    assert_eq!(bench.iam(&second).await.said(), full);
    assert_eq!(bench.iam(&put(&revoking(fits - 10))).await.said(), "200");
    assert_eq!(bench.iam(&second).await.said(), "200");
}

#[tokio::test]
async fn white_space_does_not_count_towards_the_limit() {
    let bench = bench().await;
    let text = revoking(347);
    let pretty: Value = serde_json::from_str(&text).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    assert!(u64::try_from(pretty.len()).unwrap() > INLINE_BYTES_MAX);
    assert_eq!(bench.iam(&put(&pretty)).await.said(), "200");
    // It is kept as it was sent.
    assert_eq!(bench.sandbox.inline_policies(ROLE)[0].1, pretty);
}

#[tokio::test]
async fn only_the_revoker_may_ask_iam_and_it_may_do_nothing_else() {
    let bench = bench().await;
    let session = bench
        .assumed_keys(&bench.broker, ROLE, "01J8", &[("SourceIdentity", "ana")])
        .await;
    let simulation = simulate("01J8");
    let named = [("RoleName", ROLE_NAME), ("PolicyName", POLICY_NAME)];
    let of = |action: &'static str| [&[("Action", action)], named.as_slice()].concat();
    let asks = [
        ("iam:PutRolePolicy", put(DOCUMENT).to_vec()),
        ("iam:GetRolePolicy", of("GetRolePolicy")),
        (
            "iam:ListRolePolicies",
            vec![("Action", "ListRolePolicies"), named[0]],
        ),
        ("iam:GetRole", vec![("Action", "GetRole"), named[0]]),
        ("iam:SimulatePrincipalPolicy", simulation.to_vec()),
        ("iam:DeleteRolePolicy", of("DeleteRolePolicy")),
    ];
    for (arn, keys) in [
        (BROKER, &bench.broker),
        (
            "arn:aws:sts::123456789012:assumed-role/prod-db-read/writ-01J8",
            &session,
        ),
    ] {
        for (action, fields) in &asks {
            let on = if *action == "iam:SimulatePrincipalPolicy" {
                ROLE.to_owned()
            } else {
                format!("role {ROLE_NAME}")
            };
            assert_eq!(
                bench.iam_as(keys, fields).await.said(),
                format!(
                    "403 AccessDenied: User: {arn} is not authorized to perform: {action} on resource: {on} because no \
                     identity-based policy allows the {action} action"
                )
            );
        }
    }
    // Nor is one told whether a role exists.
    let ghost = [("Action", "GetRole"), ("RoleName", "ghost")];
    assert!(
        bench
            .iam_as(&bench.broker, &ghost)
            .await
            .said()
            .starts_with("403 AccessDenied")
    );
    for (action, fields) in &asks {
        assert_eq!(bench.iam(fields).await.said(), "200", "{action}");
    }

    let revoker = Session::new(bench.revoker.clone(), "eu-west-1");
    let endpoint = bench.sandbox.endpoint_url();
    let refused = revoker
        .query(
            &endpoint,
            "sts",
            &[
                ("Action", "AssumeRole"),
                ("Version", "2011-06-15"),
                ("RoleArn", ROLE),
                ("RoleSessionName", "writ-x"),
            ],
        )
        .await
        .unwrap();
    assert_eq!(
        refused.message.unwrap(),
        format!(
            "User: {REVOKER} is not authorized to perform: sts:AssumeRole on resource: {ROLE} with an explicit deny in an \
             identity-based policy"
        )
    );
    assert!(!bench.used(&revoker).await.allowed());
    assert!(
        revoker
            .call(&endpoint, "sts", "GetCallerIdentity")
            .await
            .unwrap()
            .allowed()
    );
}

#[tokio::test]
async fn a_revokers_word_ends_at_its_account() {
    let mut fields = simulate("01J8");
    fields[1].1 = OTHER_ACCOUNT;
    let bench = bench().await;
    assert_eq!(
        bench.iam(&fields).await.said(),
        format!(
            "403 AccessDenied: User: {REVOKER} is not authorized to perform: iam:SimulatePrincipalPolicy on resource: \
             {OTHER_ACCOUNT} because no identity-based policy allows the iam:SimulatePrincipalPolicy action"
        )
    );
}

#[tokio::test]
async fn a_policy_takes_effect_when_it_has_propagated_and_iam_reads_it_at_once() {
    let bench = bench().await;
    let start: Timestamp = "2030-01-01T09:00:00Z".parse().unwrap();
    bench.sandbox.clock().freeze(Some(start));
    let session = bench.session("01J8").await;
    bench.sandbox.set_propagation_s(5);
    bench.put(json!([revoked(&["01J8"])])).await;
    // Whoever believes a simulation calls this revoked too early.
    assert_eq!(bench.simulated("01J8").await, "explicitDeny");
    let second = |second: i64| {
        let at = Timestamp::from_second(start.as_second() + second).unwrap();
        bench.sandbox.clock().freeze(Some(at));
    };
    second(4);
    assert!(bench.used(&session).await.allowed());
    second(5);
    assert!(!bench.used(&session).await.allowed());
    // A clock that jumps back revives nothing.
    second(-3_600);
    assert!(!bench.used(&session).await.allowed());
    second(6);
    bench.delete().await;
    second(10);
    assert!(!bench.used(&session).await.allowed());
    second(11);
    assert!(bench.used(&session).await.allowed());
    bench.sandbox.set_propagation_s(0);
    bench.put(json!([revoked(&["01J8"])])).await;
    assert!(!bench.used(&session).await.allowed());
}

#[tokio::test]
async fn a_role_that_may_edit_itself_undoes_its_revocation_while_it_propagates() {
    let all = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let bench = bench_with(Some(all)).await;
    let keys = bench
        .assumed_keys(&bench.broker, ROLE, "01J8", &[("SourceIdentity", "ana")])
        .await;
    let undo = [
        ("Action", "DeleteRolePolicy"),
        ("RoleName", ROLE_NAME),
        ("PolicyName", POLICY_NAME),
    ];
    bench.put(json!([revoked(&["01J8"])])).await;
    assert!(
        bench
            .iam_as(&keys, &undo)
            .await
            .said()
            .ends_with("with an explicit deny in an identity-based policy")
    );
    bench.delete().await;
    bench.sandbox.set_propagation_s(5);
    bench.put(json!([revoked(&["01J8"])])).await;
    assert_eq!(bench.iam_as(&keys, &undo).await.said(), "200");
    bench.sandbox.clock().advance_s(60);
    let session = Session::new(keys, "eu-west-1");
    assert!(bench.used(&session).await.allowed());
}

#[tokio::test]
async fn a_simulation_says_what_the_written_policies_say_of_the_context_it_is_given() {
    let narrow = r#"{"Statement":{"Effect":"Allow","Action":"rds:Describe*","Resource":"*"}}"#;
    let bench = bench_with(Some(narrow)).await;
    assert_eq!(bench.simulated("01J8").await, "allowed");
    bench
        .put(json!([
            revoked(&["01J8"]),
            { "Effect": "Deny", "Action": "*", "Resource": "*",
              "Condition": { "DateLessThan": { "aws:TokenIssueTime": "2030-01-01T00:00:00Z" } } },
        ]))
        .await;
    assert_eq!(bench.simulated("01J8").await, "explicitDeny");
    assert_eq!(bench.simulated("01J9").await, "allowed");
    let mut other = simulate("01J9");
    other[2].1 = "s3:GetObject";
    let reply = bench.iam(&other).await;
    assert_eq!(reply.element("EvalDecision"), Some("implicitDeny"));
    // What is not said in the context is not known, and that is told.
    assert_eq!(
        reply.element("MissingContextValues"),
        Some("<member>aws:TokenIssueTime</member>")
    );
    let mut with_date = other.to_vec();
    with_date.extend([
        (
            "ContextEntries.member.2.ContextKeyName",
            "aws:TokenIssueTime",
        ),
        ("ContextEntries.member.2.ContextKeyType", "date"),
        (
            "ContextEntries.member.2.ContextKeyValues.member.1",
            "2029-12-31T23:59:59Z",
        ),
    ]);
    let reply = bench.iam(&with_date).await;
    assert_eq!(reply.element("EvalDecision"), Some("explicitDeny"));
    assert!(reply.body.contains("<MissingContextValues/>"));
    // With a resource of its own, the missing keys are told of the resource.
    let mut on_one = other.to_vec();
    on_one.push(("ResourceArns.member.1", "arn:aws:s3:::ledger/a"));
    let reply = bench.iam(&on_one).await;
    assert!(
        reply.body.contains(
            "<MissingContextValues/>\n        <ResourceSpecificResults>\n          <member>\n            \
             <EvalResourceName>arn:aws:s3:::ledger/a</EvalResourceName>\n            \
             <EvalResourceDecision>implicitDeny</EvalResourceDecision>\n            <MatchedStatements/>\n            \
             <MissingContextValues><member>aws:TokenIssueTime</member></MissingContextValues>\n"
        ),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn what_a_simulation_does_not_evaluate_is_refused() {
    let bench = bench().await;
    let with = |at: usize, value: &'static str| {
        let mut fields = simulate("01J8").to_vec();
        fields[at].1 = value;
        fields
    };
    let and = |name: &'static str, value: &'static str| {
        let mut fields = simulate("01J8").to_vec();
        fields.push((name, value));
        fields
    };
    for (fields, expected) in [
        (simulate("01J8").to_vec(), "200"),
        (
            with(1, "arn:aws:iam::123456789012:role/jit/ghost"),
            "404 NoSuchEntity: The role with name ghost cannot be found.",
        ),
        (
            with(1, "arn:aws:sts::123456789012:assumed-role/prod-db-read/x"),
            "400 InvalidInput: Invalid Entity Arn: arn:aws:sts::123456789012:assumed-role/prod-db-read/x does not clearly \
             define entity type and name.",
        ),
        (
            with(1, BROKER),
            "400 ValidationError: the sandbox does not evaluate the policies of \
             `arn:aws:iam::123456789012:user/writ-issuer`, only a role's",
        ),
        (
            with(2, "rds:*"),
            "400 InvalidInput: `rds:*` is not an action such as iam:CreateUser",
        ),
        (
            with(3, "aws:TokenIssueTime"),
            "400 ValidationError: the sandbox does not evaluate 1 values of type `string` for the context key \
             `aws:TokenIssueTime`",
        ),
        (
            with(4, "boolean"),
            "400 ValidationError: the sandbox does not evaluate 1 values of type `boolean` for the context key \
             `aws:PrincipalTag/writ:grant`",
        ),
        (
            with(4, "date"),
            "400 InvalidInput: `01J8` is not an instant such as 2026-01-31T09:30:00Z",
        ),
        (
            and("ResourceArns.member.1", "ledger"),
            "400 InvalidInput: ResourceNames are not in a valid ARN format: ledger.",
        ),
        (
            and("PolicyInputList.member.1", "{}"),
            "400 ValidationError: the sandbox does not evaluate the parameter `PolicyInputList.member.1`",
        ),
    ] {
        assert_eq!(bench.iam(&fields).await.said(), expected, "{fields:?}");
    }
    let two = [
        simulate("01J8").as_slice(),
        &[
            ("ResourceArns.member.1", "*"),
            ("ResourceArns.member.2", "*"),
        ],
    ]
    .concat();
    // A list that is given but empty is as none, which is how clients write it.
    let empty = [
        &simulate("01J8")[..3],
        &[("ContextEntries", ""), ("ResourceArns", "")],
    ]
    .concat();
    assert_eq!(bench.iam(&empty).await.said(), "200");
    assert_eq!(
        bench
            .iam(&[&empty[..4], &[("ResourceArns", "*")]].concat())
            .await
            .said(),
        "400 ValidationError: the sandbox does not evaluate the parameter `ResourceArns`"
    );
    assert_eq!(
        bench.iam(&two).await.said(),
        "400 ValidationError: the sandbox does not evaluate more than one of `ResourceArns`"
    );
}

#[tokio::test]
async fn policies_are_listed_page_by_page() {
    let bench = bench().await;
    for name in ["c", "a", "b"] {
        let mut fields = put(DOCUMENT);
        fields[2].1 = name;
        assert_eq!(bench.iam(&fields).await.said(), "200");
    }
    let list = |more: &[(&'static str, &str)]| {
        let mut fields = vec![
            ("Action".to_owned(), "ListRolePolicies".to_owned()),
            ("RoleName".to_owned(), ROLE_NAME.to_owned()),
        ];
        fields.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        fields
    };
    let ask = async |fields: Vec<(String, String)>| {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        bench.iam(&fields).await
    };
    let page = ask(list(&[("MaxItems", "2")])).await;
    assert_eq!(
        page.element("PolicyNames"),
        Some("<member>a</member><member>b</member>")
    );
    assert_eq!(page.element("IsTruncated"), Some("true"));
    let marker = page.element("Marker").unwrap();
    let rest = ask(list(&[("MaxItems", "2"), ("Marker", marker)])).await;
    assert_eq!(rest.element("PolicyNames"), Some("<member>c</member>"));
    assert_eq!(rest.element("IsTruncated"), Some("false"));
    assert_eq!(rest.element("Marker"), None);
    let exact = ask(list(&[("MaxItems", "3")])).await;
    assert_eq!(exact.element("IsTruncated"), Some("false"));
    for (more, expected) in [
        (
            ("MaxItems", "0"),
            "400 ValidationError: 1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member \
             must have value greater than or equal to 1",
        ),
        (
            ("MaxItems", "1001"),
            "400 ValidationError: 1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: \
             Member must have value less than or equal to 1000",
        ),
        (
            ("Marker", "not one"),
            "400 ValidationError: Invalid Marker: not one",
        ),
    ] {
        assert_eq!(ask(list(&[more])).await.said(), expected);
    }
}

#[tokio::test]
async fn faults_of_iam_change_nothing_unless_only_the_reply_is_lost() {
    let bench = bench().await;
    let session = bench.session("01J8").await;
    bench.sandbox.set_iam_fault(Fault::Throttle, 1);
    bench.sandbox.set_iam_fault(Fault::ServerError, 1);
    assert_eq!(
        bench.iam(&put(DOCUMENT)).await.said(),
        "400 Throttling: Rate exceeded"
    );
    let failed = bench.iam(&put(DOCUMENT)).await;
    assert_eq!(
        failed.said(),
        "500 ServiceFailure: The request processing has failed because of an unknown error, exception or failure."
    );
    assert!(failed.body.contains("<Type>Receiver</Type>"));
    assert!(bench.used(&session).await.allowed());

    let body = || form("2010-05-08", &put(DOCUMENT));
    let scope = ("us-east-1", "iam");
    bench.sandbox.set_iam_fault(Fault::Down, u32::MAX);
    for _ in 0..3 {
        assert!(bench.send(&bench.revoker, scope, body()).await.is_err());
    }
    // The other service does not go down with it.
    bench.session("01J9").await;
    assert!(bench.used(&session).await.allowed());
    bench.sandbox.clear_faults();

    bench.sandbox.set_iam_fault(Fault::Hang, 1);
    let hanging = bench.send(&bench.revoker, scope, body());
    assert!(
        tokio::time::timeout(Duration::from_millis(300), hanging)
            .await
            .is_err()
    );
    assert!(bench.used(&session).await.allowed());

    bench
        .sandbox
        .set_iam_fault(Fault::Slow(Duration::from_millis(50)), 1);
    assert_eq!(bench.iam(&put(DOCUMENT)).await.said(), "200");
    bench.delete().await;

    bench.sandbox.set_iam_fault(Fault::LostReply, 1);
    assert!(bench.send(&bench.revoker, scope, body()).await.is_err());
    assert!(!bench.used(&session).await.allowed());

    let refused = |code: &str| IamOutcome::Refused {
        code: code.to_owned(),
    };
    let outcomes: Vec<IamOutcome> = bench
        .sandbox
        .iam_calls()
        .into_iter()
        .map(|call| call.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            refused("Throttling"),
            refused("ServiceFailure"),
            IamOutcome::Ignored,
            IamOutcome::Ignored,
            IamOutcome::Ignored,
            IamOutcome::Ignored,
            IamOutcome::Done,
            IamOutcome::Done,
            IamOutcome::Done,
        ]
    );
}

#[tokio::test]
async fn every_call_of_iam_is_recorded_as_it_was_asked() {
    let bench = bench().await;
    let now: Timestamp = "2030-01-01T09:00:00Z".parse().unwrap();
    bench.sandbox.clock().freeze(Some(now));
    bench.iam(&put(DOCUMENT)).await;
    bench.iam(&simulate("01J8")).await;
    bench
        .iam(&[("Action", "GetRole"), ("RoleName", "ghost")])
        .await;
    let call = |action: &str, role: &str, policy: Option<(&str, &str)>, outcome| IamCall {
        at: now,
        action: action.to_owned(),
        role: role.to_owned(),
        policy_name: policy.map(|(name, _)| name.to_owned()),
        policy_document: policy.map(|(_, text)| text.to_owned()),
        outcome,
    };
    let refused = IamOutcome::Refused {
        code: "NoSuchEntity".to_owned(),
    };
    assert_eq!(
        bench.sandbox.iam_calls(),
        [
            call(
                "PutRolePolicy",
                ROLE_NAME,
                Some((POLICY_NAME, DOCUMENT)),
                IamOutcome::Done
            ),
            call("SimulatePrincipalPolicy", ROLE, None, IamOutcome::Done),
            call("GetRole", "ghost", None, refused),
        ]
    );
    assert!(bench.sandbox.calls().is_empty());
}
