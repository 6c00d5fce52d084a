//! AssumeRole as the real AWS SDK meets it: what is given, and what is refused in whose words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails this way has failed; the lint's exemption does not reach functions beside the tests"
)]

use std::time::Duration;

use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_sdk_sts::types::Tag;
use jiff::Timestamp;
use writ_sandbox::{Caller, Credentials, Fault, Outcome, Role, Sandbox, SandboxConfig, Session};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit-prod-db-read";
const SHORT_ROLE: &str = "arn:aws:iam::123456789012:role/jit-short";
const NEXT_ROLE: &str = "arn:aws:iam::123456789012:role/next";
const USER: &str = "arn:aws:iam::123456789012:user/writ-issuer";
const BROKER_SESSION: &str = "arn:aws:sts::123456789012:assumed-role/writ-issuer/i-0abc";
const BROKER_ROLE: &str = "arn:aws:iam::123456789012:role/writ-issuer";

struct Bench {
    sandbox: Sandbox,
    user: Caller,
    chained: Caller,
}

/// Roles that trust the user; one that trusts the broker's role; one any session of [`ROLE`] may go on to.
async fn bench() -> Bench {
    let user = Caller::user(USER).unwrap();
    let chained = Caller::role_session(BROKER_SESSION).unwrap();
    let next = format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":["{ROLE}","{BROKER_ROLE}"]}},"Action":"sts:*"}}}}"#
    );
    let config = SandboxConfig {
        roles: vec![
            Role::for_broker(ROLE, USER, Some("tenant-1")),
            Role::for_broker(SHORT_ROLE, USER, Some("tenant-1")).with_max_session_s(3_600),
            Role::new(NEXT_ROLE, &next),
        ],
        callers: vec![user.clone(), chained.clone()],
        ..SandboxConfig::default()
    };
    Bench {
        sandbox: Sandbox::start(config).await.unwrap(),
        user,
        chained,
    }
}

impl Bench {
    fn client(&self, credentials: &Credentials) -> aws_sdk_sts::Client {
        self.client_with(credentials, RetryConfig::disabled())
    }

    fn client_with(&self, credentials: &Credentials, retry: RetryConfig) -> aws_sdk_sts::Client {
        let credentials = SdkCredentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "test",
        );
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(self.sandbox.endpoint_url())
            .credentials_provider(credentials)
            .retry_config(retry)
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(Duration::from_secs(10))
                    .build(),
            )
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_sts::Client::from_conf(config)
    }

    /// The call a broker makes.
    fn asked(&self) -> AssumeRoleFluentBuilder {
        asked_of(&self.client(self.user.credentials()))
    }

    fn session(&self, credentials: &Credentials) -> Session {
        Session::new(credentials.clone(), "eu-west-1")
    }
}

fn asked_of(client: &aws_sdk_sts::Client) -> AssumeRoleFluentBuilder {
    client
        .assume_role()
        .role_arn(ROLE)
        .role_session_name("writ-01J8")
        .duration_seconds(900)
        .external_id("tenant-1")
        .source_identity("ana")
        .tags(tag("writ:grant", "01J8"))
        .tags(tag("writ:scope", "prod-db-read"))
        .transitive_tag_keys("writ:grant")
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

/// `code: message` of a refused call.
async fn refusal(asked: AssumeRoleFluentBuilder) -> String {
    let error = asked.send().await.map(|_| ()).unwrap_err();
    let meta = error.as_service_error().expect("a reply").meta();
    format!("{}: {}", meta.code().unwrap(), meta.message().unwrap())
}

async fn given(asked: AssumeRoleFluentBuilder) -> Credentials {
    let reply = asked.send().await.unwrap();
    let given = reply.credentials().unwrap();
    Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token()),
    )
}

#[tokio::test]
async fn a_well_formed_request_is_given_a_session() {
    let bench = bench().await;
    let before = Timestamp::now().as_second();
    let reply = bench.asked().send().await.unwrap();
    let credentials = reply.credentials().unwrap();
    assert!(credentials.access_key_id().starts_with("ASIA"));
    assert!(credentials.session_token().len() > 500);
    let lasts = credentials.expiration().secs() - before;
    assert!((899..=905).contains(&lasts), "{lasts}");
    let user = reply.assumed_role_user().unwrap();
    assert_eq!(
        user.arn(),
        "arn:aws:sts::123456789012:assumed-role/jit-prod-db-read/writ-01J8"
    );
    assert!(
        user.assumed_role_id().starts_with("AROA")
            && user.assumed_role_id().ends_with(":writ-01J8")
    );
    assert_eq!(reply.source_identity(), Some("ana"));
    // The SDK deprecates the older of the two names for the same figure; AWS sends both.
    #[expect(deprecated, reason = "older clients read this name")]
    let packed = reply.packed_policy_size().unwrap();
    assert!((1..=100).contains(&packed));
    assert_eq!(reply.session_token_utilization(), Some(packed));
    let token_bytes = reply.session_token_size().unwrap();
    assert_eq!(
        usize::try_from(token_bytes).unwrap(),
        credentials.session_token().len()
    );

    let calls = bench.sandbox.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].duration_s.as_deref(), Some("900"));
    assert_eq!(
        calls[0].tags[0],
        ("writ:grant".to_owned(), "01J8".to_owned())
    );
    assert_eq!(calls[0].transitive_tag_keys, ["writ:grant"]);
    let live = bench.sandbox.live_sessions();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].source_identity.as_deref(), Some("ana"));
    assert_eq!(live[0].user_id, user.assumed_role_id());
}

#[tokio::test]
async fn the_new_session_says_who_it_is() {
    let bench = bench().await;
    let credentials = given(bench.asked()).await;
    let who = bench
        .client(&credentials)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(
        who.arn(),
        Some("arn:aws:sts::123456789012:assumed-role/jit-prod-db-read/writ-01J8")
    );
    assert_eq!(who.account(), Some("123456789012"));
    assert!(who.user_id().unwrap().ends_with(":writ-01J8"));
}

#[tokio::test]
async fn a_duration_outside_the_range_or_over_the_role_is_refused() {
    let bench = bench().await;
    for (role, seconds, expected) in [
        (
            ROLE,
            899,
            "ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: \
             Member must have value greater than or equal to 900",
        ),
        (
            ROLE,
            43_201,
            "ValidationError: 1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy \
             constraint: Member must have value less than or equal to 43200",
        ),
        (
            SHORT_ROLE,
            3_601,
            "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ),
    ] {
        assert_eq!(
            refusal(bench.asked().role_arn(role).duration_seconds(seconds)).await,
            expected
        );
    }
    given(bench.asked().role_arn(SHORT_ROLE).duration_seconds(3_600)).await;
    given(bench.asked().duration_seconds(43_200)).await;
}

#[tokio::test]
async fn temporary_credentials_get_one_hour_at_most() {
    let bench = bench().await;
    let client = bench.client(bench.chained.credentials());
    let asked = || {
        client
            .assume_role()
            .role_arn(NEXT_ROLE)
            .role_session_name("writ-1")
    };
    assert_eq!(
        refusal(asked().duration_seconds(3_601)).await,
        "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    );
    given(asked().duration_seconds(3_600)).await;
}

#[tokio::test]
async fn names_identities_and_tags_outside_their_alphabet_are_refused() {
    let bench = bench().await;
    let said = refusal(bench.asked().role_session_name("writ-a/b")).await;
    assert!(
        said.contains("Value 'writ-a/b' at 'roleSessionName' failed to satisfy constraint"),
        "{said}"
    );
    let said = refusal(bench.asked().source_identity("ana smith")).await;
    assert!(said.contains("at 'sourceIdentity'"), "{said}");
    let said = refusal(bench.asked().tags(tag("a*b", "c"))).await;
    assert!(said.contains("'tags.3.member.key'"), "{said}");
    let mut many = bench.asked();
    for at in 0..49 {
        many = many.tags(tag(&format!("k{at}"), "v"));
    }
    let said = refusal(many).await;
    assert!(said.contains(
        "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"
    ));
    let said = refusal(bench.asked().tags(tag("WRIT:grant", "other"))).await;
    assert!(
        said.starts_with("InvalidParameterValue: Duplicate tag keys found."),
        "{said}"
    );
}

#[tokio::test]
async fn the_role_gives_itself_only_to_whom_and_what_it_trusts() {
    let bench = bench().await;
    let denied = |action: &str| {
        format!(
            "AccessDenied: User: {USER} is not authorized to perform: {action} on resource: {ROLE}"
        )
    };
    let bare = || {
        let client = bench.client(bench.user.credentials());
        client
            .assume_role()
            .role_arn(ROLE)
            .role_session_name("writ-1")
            .external_id("tenant-1")
            .source_identity("ana")
    };
    for (asked, what) in [
        (bench.asked().external_id("tenant-2"), "another external id"),
        (
            bench.asked().role_session_name("other-1"),
            "another session name",
        ),
        (bench.asked().tags(tag("writ:admin", "yes")), "a tag more"),
        (
            bench.asked().transitive_tag_keys("writ:scope"),
            "a transitive key more",
        ),
        (bare(), "no grant tag"),
        (bare().tags(tag("writ:grant", "")), "an empty grant tag"),
    ] {
        assert_eq!(refusal(asked).await, denied("sts:AssumeRole"), "{what}");
    }
    given(bench.asked()).await;
    // Another caller, and a role that does not exist, get the same words.
    let other = bench.client(bench.chained.credentials());
    let said = refusal(asked_of(&other)).await;
    assert!(
        said.starts_with(&format!("AccessDenied: User: {BROKER_SESSION} is not")),
        "{said}"
    );
    let ghost = format!("{ROLE}-ghost");
    assert_eq!(
        refusal(bench.asked().role_arn(&ghost)).await,
        format!(
            "AccessDenied: User: {USER} is not authorized to perform: sts:AssumeRole on resource: {ghost}"
        )
    );
}

#[tokio::test]
async fn a_trust_policy_without_tag_session_or_source_identity_refuses_them() {
    let user = Caller::user(USER).unwrap();
    let trust = format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{USER}"}},"Action":"sts:AssumeRole"}}}}"#
    );
    let config = SandboxConfig {
        roles: vec![Role::new(ROLE, &trust)],
        callers: vec![user.clone()],
        ..SandboxConfig::default()
    };
    let bench = Bench {
        sandbox: Sandbox::start(config).await.unwrap(),
        chained: user.clone(),
        user,
    };
    let client = bench.client(bench.user.credentials());
    let asked = || {
        client
            .assume_role()
            .role_arn(ROLE)
            .role_session_name("writ-1")
    };
    let said = refusal(asked().tags(tag("a", "b"))).await;
    assert!(
        said.contains("not authorized to perform: sts:TagSession on resource"),
        "{said}"
    );
    let said = refusal(asked().source_identity("ana")).await;
    assert!(
        said.contains("not authorized to perform: sts:SetSourceIdentity on resource"),
        "{said}"
    );
    given(asked()).await;
}

#[tokio::test]
async fn a_chained_session_keeps_its_source_identity_and_transitive_tags() {
    let bench = bench().await;
    let first = given(bench.asked()).await;
    let client = bench.client(&first);
    let asked = || {
        client
            .assume_role()
            .role_arn(NEXT_ROLE)
            .role_session_name("writ-2")
    };
    given(asked()).await;
    let live = bench.sandbox.live_sessions();
    let next = live
        .iter()
        .find(|session| session.role_arn == NEXT_ROLE)
        .unwrap();
    assert_eq!(next.source_identity.as_deref(), Some("ana"));
    assert_eq!(next.tags, [("writ:grant".to_owned(), "01J8".to_owned())]);
    assert!(
        refusal(asked().source_identity("bob"))
            .await
            .contains("sts:SetSourceIdentity")
    );
    assert!(
        refusal(asked().tags(tag("Writ:Grant", "x")))
            .await
            .contains("conflicts with a transitive tag key")
    );
}

#[tokio::test]
async fn a_session_policy_can_forbid_chaining() {
    let bench = bench().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"sts:AssumeRole*","Resource":"*"}]}"#;
    let first = given(bench.asked().policy(policy)).await;
    let client = bench.client(&first);
    assert_eq!(
        refusal(
            client
                .assume_role()
                .role_arn(NEXT_ROLE)
                .role_session_name("writ-2")
        )
        .await,
        format!(
            "AccessDenied: User: arn:aws:sts::123456789012:assumed-role/jit-prod-db-read/writ-01J8 is not authorized to \
             perform: sts:AssumeRole on resource: {NEXT_ROLE} with an explicit deny in a session policy"
        )
    );
}

#[tokio::test]
async fn a_session_ends_when_it_said_and_not_a_second_later() {
    let bench = bench().await;
    let start: Timestamp = "2030-01-01T09:00:00Z".parse().unwrap();
    bench.sandbox.clock().freeze(Some(start));
    let credentials = given(bench.asked()).await;
    let session = bench.session(&credentials);
    let endpoint = bench.sandbox.endpoint_url();
    bench
        .sandbox
        .clock()
        .freeze(Some("2030-01-01T09:14:59.999Z".parse().unwrap()));
    assert!(
        session
            .call(&endpoint, "sts", "GetCallerIdentity")
            .await
            .unwrap()
            .allowed()
    );
    assert!(
        session
            .call(&endpoint, "rds", "DescribeDBInstances")
            .await
            .unwrap()
            .allowed()
    );
    bench
        .sandbox
        .clock()
        .freeze(Some("2030-01-01T09:15:00Z".parse().unwrap()));
    for (service, action) in [("sts", "GetCallerIdentity"), ("rds", "DescribeDBInstances")] {
        let refused = session.call(&endpoint, service, action).await.unwrap();
        assert_eq!(refused.status, 403);
        assert_eq!(refused.code.as_deref(), Some("ExpiredToken"));
        assert_eq!(
            refused.message.as_deref(),
            Some("The security token included in the request is expired")
        );
    }
    assert!(bench.sandbox.live_sessions().is_empty());
}

#[tokio::test]
async fn advancing_the_clock_expires_a_session_without_touching_the_clients() {
    let bench = bench().await;
    let session = bench.session(&given(bench.asked()).await);
    bench.sandbox.clock().advance_s(901);
    let refused = session
        .call(&bench.sandbox.endpoint_url(), "s3", "ListBuckets")
        .await
        .unwrap();
    assert_eq!(refused.code.as_deref(), Some("ExpiredToken"));
}

#[tokio::test]
async fn a_malformed_or_too_large_policy_is_refused() {
    let bench = bench().await;
    for (policy, expected) in [
        (
            "not json",
            "MalformedPolicyDocument: This policy contains invalid Json",
        ),
        ("{}", "MalformedPolicyDocument: Syntax errors in policy."),
        (
            r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}"#,
            "MalformedPolicyDocument: the sandbox does not evaluate condition key `aws:SecureTransport`",
        ),
    ] {
        assert_eq!(refusal(bench.asked().policy(policy)).await, expected);
    }
    let mut asked = bench.asked();
    for at in 0..20 {
        asked = asked.tags(tag(&format!("k{at}"), &"v".repeat(256)));
    }
    let said = refusal(asked).await;
    assert!(
        said.starts_with("PackedPolicyTooLarge: Packed policy consumes 12"),
        "{said}"
    );
}

#[tokio::test]
async fn a_throttled_or_failing_call_makes_no_session_and_the_sdk_tries_again() {
    let bench = bench().await;
    bench.sandbox.set_fault(Fault::Throttle, 1);
    bench.sandbox.set_fault(Fault::ServerError, 1);
    assert_eq!(
        refusal(bench.asked()).await,
        "ThrottlingException: Rate exceeded"
    );
    assert!(
        refusal(bench.asked())
            .await
            .starts_with("InternalFailure: ")
    );
    assert!(bench.sandbox.live_sessions().is_empty());

    bench.sandbox.set_fault(Fault::Throttle, 1);
    bench.sandbox.set_fault(Fault::ServerError, 1);
    let retry = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(1));
    given(asked_of(
        &bench.client_with(bench.user.credentials(), retry),
    ))
    .await;
    let outcomes: Vec<bool> = bench
        .sandbox
        .calls()
        .iter()
        .map(|call| matches!(call.outcome, Outcome::Issued { .. }))
        .collect();
    assert_eq!(outcomes, [false, false, false, false, true]);
}

#[tokio::test]
async fn a_lost_reply_leaves_a_session_behind_and_a_retry_makes_another() {
    let bench = bench().await;
    bench.sandbox.set_fault(Fault::LostReply, 1);
    assert!(
        bench
            .asked()
            .send()
            .await
            .unwrap_err()
            .as_service_error()
            .is_none()
    );
    assert_eq!(bench.sandbox.live_sessions().len(), 1);
    given(bench.asked()).await;
    let live = bench.sandbox.live_sessions();
    assert_eq!(live.len(), 2);
    assert_eq!(live[0].arn, live[1].arn);
}

#[tokio::test]
async fn a_slow_reply_outlasts_a_client_that_does_not_wait_but_the_session_is_made() {
    let bench = bench().await;
    bench
        .sandbox
        .set_fault(Fault::Slow(Duration::from_secs(60)), 1);
    let impatient = aws_sdk_sts::config::Config::builder().timeout_config(
        TimeoutConfig::builder()
            .operation_timeout(Duration::from_millis(200))
            .build(),
    );
    let refused = bench
        .asked()
        .customize()
        .config_override(impatient)
        .send()
        .await;
    assert!(refused.is_err());
    assert_eq!(bench.sandbox.live_sessions().len(), 1);
    bench.sandbox.set_fault(Fault::Throttle, 5);
    bench.sandbox.clear_faults();
    given(bench.asked()).await;
}

#[tokio::test]
async fn keys_that_are_not_known_or_not_whole_are_refused() {
    let bench = bench().await;
    let good = given(bench.asked()).await;
    let endpoint = bench.sandbox.endpoint_url();
    let other = given(bench.asked()).await;
    let with = |change: &dyn Fn(&mut Credentials)| {
        let mut credentials = good.clone();
        change(&mut credentials);
        bench.session(&credentials)
    };
    for (session, status, code) in [
        (
            with(&|one| one.access_key_id = "ASIAAAAAAAAAAAAAAAAA".to_owned()),
            403,
            Some("InvalidClientTokenId"),
        ),
        (
            with(&|one| one.session_token = None),
            403,
            Some("InvalidClientTokenId"),
        ),
        (
            with(&|one| one.session_token = other.session_token.clone()),
            403,
            Some("InvalidClientTokenId"),
        ),
        (
            with(&|one| one.secret_access_key = other.secret_access_key.clone()),
            403,
            Some("SignatureDoesNotMatch"),
        ),
        (with(&|_| ()), 200, None),
    ] {
        let result = session
            .call(&endpoint, "sts", "GetCallerIdentity")
            .await
            .unwrap();
        assert_eq!((result.status, result.code.as_deref()), (status, code));
    }
    let mut token_on_user = bench.user.credentials().clone();
    token_on_user.session_token = good.session_token.clone();
    let result = bench
        .session(&token_on_user)
        .call(&endpoint, "sts", "GetCallerIdentity")
        .await
        .unwrap();
    assert_eq!(result.code.as_deref(), Some("InvalidClientTokenId"));
}

#[tokio::test]
async fn an_unknown_action_of_sts_is_not_found() {
    let bench = bench().await;
    let session = bench.session(bench.user.credentials());
    let result = session
        .call(&bench.sandbox.endpoint_url(), "sts", "GetSessionToken")
        .await
        .unwrap();
    assert_eq!(result.status, 400);
    assert_eq!(result.code.as_deref(), Some("InvalidAction"));
    assert_eq!(
        result.message.as_deref(),
        Some("Could not find operation GetSessionToken for version 2011-06-15")
    );
}

#[tokio::test]
async fn a_role_or_caller_that_aws_would_not_have_is_refused_at_the_start() {
    let trust = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#;
    let unknown = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}"#;
    for roles in [
        vec![Role::new("arn:aws:iam::123456789012:user/u", trust)],
        vec![Role::new(ROLE, trust).with_max_session_s(3_599)],
        vec![Role::new(ROLE, trust).with_max_session_s(43_201)],
        vec![Role::new(ROLE, trust), Role::new(ROLE, trust)],
        // IAM knows a role by its name, whatever its path.
        vec![
            Role::new("arn:aws:iam::123456789012:role/r", trust),
            Role::new("arn:aws:iam::123456789012:role/path/r", trust),
        ],
        vec![Role::new(ROLE, unknown)],
        vec![Role::new(ROLE, trust).with_identity_policy("{}")],
    ] {
        let config = SandboxConfig {
            roles,
            ..SandboxConfig::default()
        };
        assert!(Sandbox::start(config).await.is_err());
    }
    let config = SandboxConfig {
        roles: vec![Role::new(ROLE, trust)],
        ..SandboxConfig::default()
    };
    assert!(Sandbox::start(config).await.is_ok());
}
