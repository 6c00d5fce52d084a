//! A window that ends to the second: both halves of the session policy, and what each is for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails this way has failed; the lint's exemption does not reach functions beside the tests"
)]

use jiff::Timestamp;
use serde_json::{Value, json};
use writ_sandbox::{CallResult, Caller, Credentials, Role, Sandbox, SandboxConfig, Session};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit-prod-db-read";
const USER: &str = "arn:aws:iam::123456789012:user/writ-issuer";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/jit-prod-db-read/writ-1";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/ledger";
const OPENS_AT: &str = "2030-01-01T09:00:00Z";
const CLOSES_AT: &str = "2030-01-01T09:00:20Z";

struct Bench {
    sandbox: Sandbox,
    user: Caller,
}

async fn bench() -> Bench {
    let user = Caller::user(USER).unwrap();
    let config = SandboxConfig {
        roles: vec![Role::for_broker(ROLE, USER, None)],
        callers: vec![user.clone()],
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let bench = Bench { sandbox, user };
    bench.at(OPENS_AT);
    bench
}

impl Bench {
    fn at(&self, moment: &str) {
        let moment: Timestamp = moment.parse().unwrap();
        self.sandbox.clock().freeze(Some(moment));
    }

    /// A 15-minute session under `statements`.
    async fn session(&self, statements: Value) -> Session {
        let keys = self.user.credentials();
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(aws_sdk_sts::config::Region::new("eu-west-1"))
            .endpoint_url(self.sandbox.endpoint_url())
            .credentials_provider(aws_credential_types::Credentials::new(
                &keys.access_key_id,
                &keys.secret_access_key,
                None,
                None,
                "test",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let tag = aws_sdk_sts::types::Tag::builder()
            .key("writ:grant")
            .value("01J8")
            .build()
            .unwrap();
        let reply = aws_sdk_sts::Client::from_conf(config)
            .assume_role()
            .role_arn(ROLE)
            .role_session_name("writ-1")
            .source_identity("ana")
            .tags(tag)
            .transitive_tag_keys("writ:grant")
            .duration_seconds(900)
            .policy(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
            .send()
            .await
            .unwrap();
        let given = reply.credentials().unwrap();
        let credentials = Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token()),
        );
        Session::new(credentials, "eu-west-1")
    }

    async fn call(&self, session: &Session, service: &str, action: &str) -> CallResult {
        session
            .call(&self.sandbox.endpoint_url(), service, action)
            .await
            .unwrap()
    }
}

fn open_half(action: &str) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": "*",
            "Condition": { "DateLessThan": { "aws:CurrentTime": CLOSES_AT } } })
}

fn closed_half() -> Value {
    json!({ "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": CLOSES_AT } } })
}

#[tokio::test]
async fn a_window_works_to_its_last_millisecond_and_ends_on_its_second() {
    let bench = bench().await;
    let session = bench
        .session(json!([open_half("rds:*"), closed_half()]))
        .await;
    for (moment, allowed) in [
        (OPENS_AT, true),
        ("2030-01-01T09:00:19Z", true),
        ("2030-01-01T09:00:19.999Z", true),
        (CLOSES_AT, false),
        ("2030-01-01T09:00:20.001Z", false),
        ("2030-01-01T09:14:59Z", false),
    ] {
        bench.at(moment);
        let result = bench.call(&session, "rds", "DescribeDBInstances").await;
        assert_eq!(result.allowed(), allowed, "at {moment}");
    }
    bench.at(CLOSES_AT);
    let refused = bench.call(&session, "rds", "DescribeDBInstances").await;
    assert_eq!(
        (refused.status, refused.code.as_deref()),
        (403, Some("AccessDenied"))
    );
    assert_eq!(
        refused.message.unwrap(),
        format!(
            "User: {SESSION} is not authorized to perform: rds:DescribeDBInstances with an explicit deny in a session policy"
        )
    );
    // The credentials themselves are alive: it is the policy that ended.
    assert!(
        bench
            .call(&session, "sts", "GetCallerIdentity")
            .await
            .allowed()
    );
}

#[tokio::test]
async fn outside_the_scope_no_session_policy_allows() {
    let bench = bench().await;
    let session = bench
        .session(json!([open_half("rds:Describe*"), closed_half()]))
        .await;
    assert!(
        bench
            .call(&session, "rds", "DescribeDBInstances")
            .await
            .allowed()
    );
    let refused = bench.call(&session, "rds", "DeleteDBInstance").await;
    assert_eq!(
        refused.message.unwrap(),
        format!(
            "User: {SESSION} is not authorized to perform: rds:DeleteDBInstance because no session policy allows the \
             rds:DeleteDBInstance action"
        )
    );
}

#[tokio::test]
async fn the_open_half_alone_is_bypassed_by_a_resource_policy_and_the_closed_half_stops_it() {
    let bench = bench().await;
    let names_session = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "AWS": SESSION }, "Action": "dynamodb:GetItem", "Resource": TABLE } });
    bench
        .sandbox
        .set_resource_policy(TABLE, &names_session.to_string())
        .unwrap();
    let open_only = bench.session(json!([open_half("rds:*")])).await;
    let both = bench
        .session(json!([open_half("rds:*"), closed_half()]))
        .await;
    let endpoint = bench.sandbox.endpoint_url();
    bench.at("2030-01-01T09:00:30Z");
    // Past the end, and never in the session policy: the resource let it in all the same.
    assert!(
        open_only
            .call_on(&endpoint, "dynamodb", "GetItem", TABLE)
            .await
            .unwrap()
            .allowed()
    );
    let refused = both
        .call_on(&endpoint, "dynamodb", "GetItem", TABLE)
        .await
        .unwrap();
    assert_eq!(
        refused.message.unwrap(),
        format!(
            "User: {SESSION} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} with an explicit deny in a \
             session policy"
        )
    );
    bench.at("2030-01-01T09:00:19Z");
    assert!(
        both.call_on(&endpoint, "dynamodb", "GetItem", TABLE)
            .await
            .unwrap()
            .allowed()
    );
}

#[tokio::test]
async fn a_resource_policy_that_names_the_role_stays_within_the_session_policy() {
    let bench = bench().await;
    let names_role = json!({ "Statement": {
        "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "dynamodb:*", "Resource": TABLE } });
    bench
        .sandbox
        .set_resource_policy(TABLE, &names_role.to_string())
        .unwrap();
    let session = bench
        .session(json!([open_half("dynamodb:GetItem"), closed_half()]))
        .await;
    let endpoint = bench.sandbox.endpoint_url();
    assert!(
        session
            .call_on(&endpoint, "dynamodb", "GetItem", TABLE)
            .await
            .unwrap()
            .allowed()
    );
    assert!(
        !session
            .call_on(&endpoint, "dynamodb", "PutItem", TABLE)
            .await
            .unwrap()
            .allowed()
    );
}

#[tokio::test]
async fn a_deny_on_the_grants_tag_ends_a_live_session_and_no_other() {
    let bench = bench().await;
    let session = bench
        .session(json!([open_half("rds:*"), closed_half()]))
        .await;
    let revoke = |grant: &str| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "*", "Resource": "*",
              "Condition": { "StringEquals": { "aws:PrincipalTag/writ:grant": grant } } },
        ] })
        .to_string()
    };
    bench
        .sandbox
        .set_identity_policy(ROLE, Some(&revoke("01J9")))
        .unwrap();
    assert!(
        bench
            .call(&session, "rds", "DescribeDBInstances")
            .await
            .allowed()
    );
    bench
        .sandbox
        .set_identity_policy(ROLE, Some(&revoke("01J8")))
        .unwrap();
    let refused = bench.call(&session, "rds", "DescribeDBInstances").await;
    assert!(
        refused
            .message
            .unwrap()
            .ends_with(" with an explicit deny in an identity-based policy")
    );
    assert!(
        bench
            .sandbox
            .set_identity_policy("arn:aws:iam::123456789012:role/ghost", None)
            .is_err()
    );
}

#[tokio::test]
async fn a_session_policy_gives_no_more_than_the_role_has() {
    let bench = bench().await;
    let narrow = r#"{"Statement":{"Effect":"Allow","Action":"rds:Describe*","Resource":"*"}}"#;
    bench
        .sandbox
        .set_identity_policy(ROLE, Some(narrow))
        .unwrap();
    let session = bench.session(json!([open_half("*"), closed_half()])).await;
    assert!(
        bench
            .call(&session, "rds", "DescribeDBInstances")
            .await
            .allowed()
    );
    let refused = bench.call(&session, "s3", "ListBuckets").await;
    assert_eq!(
        refused.message.unwrap(),
        format!(
            "User: {SESSION} is not authorized to perform: s3:ListBuckets because no identity-based policy allows the \
             s3:ListBuckets action"
        )
    );
}

#[tokio::test]
async fn a_deny_by_source_identity_or_user_id_is_evaluated_when_used() {
    let bench = bench().await;
    let session = bench
        .session(json!([open_half("rds:*"), closed_half()]))
        .await;
    let user_id = bench.sandbox.live_sessions()[0].user_id.clone();
    for (key, value) in [
        ("aws:SourceIdentity", "ana"),
        ("aws:userid", user_id.as_str()),
    ] {
        let deny = |value: &str| {
            json!({ "Statement": [
                { "Effect": "Allow", "Action": "*", "Resource": "*" },
                { "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": { "StringEquals": { key: value } } },
            ] })
            .to_string()
        };
        bench
            .sandbox
            .set_identity_policy(ROLE, Some(&deny("someone-else")))
            .unwrap();
        assert!(
            bench
                .call(&session, "rds", "DescribeDBInstances")
                .await
                .allowed(),
            "{key}"
        );
        bench
            .sandbox
            .set_identity_policy(ROLE, Some(&deny(value)))
            .unwrap();
        assert!(
            !bench
                .call(&session, "rds", "DescribeDBInstances")
                .await
                .allowed(),
            "{key}"
        );
    }
}
