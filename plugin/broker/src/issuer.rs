//! The issuer: one AssumeRole for one recorded plan. The only module that knows the AWS SDK.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, SharedAsyncSleep, SharedHttpClient};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId as _;
use aws_sdk_sts::operation::assume_role::{AssumeRoleError, AssumeRoleOutput};
use aws_sdk_sts::types::Tag;
use aws_smithy_http_client::tls;
use writ_engine::Moment;
use writ_engine::session::{CHAINED_CAP_S, GRANT_TAG, SessionPlan};
use writ_engine::window::WINDOW_MAX_S;
use zeroize::Zeroizing;

use crate::journal::Recorded;

/// How long a connection to STS may take to come up, in seconds.
pub const CONNECT_TIMEOUT_S: u64 = 2;

/// How long one call to STS may take, in seconds. STS answers in tens of milliseconds; whoever waits longer than this is
/// told to come back, and the session that may have been made is on record.
pub const CALL_TIMEOUT_S: u64 = 5;

/// Where the broker's own AWS credentials come from: named, never searched for, so that no chain of guesses ends at an
/// instance's metadata by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    Environment,
    /// The container credential endpoint of ECS or EKS.
    Container,
    /// The instance metadata service of EC2.
    Instance,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`.
    WebIdentity,
    /// One profile of a file in the form of `~/.aws/credentials`.
    Profile {
        /// The file.
        file: PathBuf,
        /// The profile in it.
        profile: String,
    },
}

/// The `aws` block of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// Where the broker's own credentials come from.
    pub credentials: CredentialSource,
    /// Whether those credentials are themselves a role's session: AWS then gives at most an hour.
    pub role_session: bool,
    /// Another STS than the region's own, for a VPC endpoint or a sandbox.
    pub endpoint_url: Option<String>,
    /// `ExternalId`, where the roles' trust policies ask for one.
    pub external_id: Option<String>,
}

impl AwsSettings {
    /// The longest session these credentials may ask for, in seconds.
    pub fn cap_s(&self) -> u32 {
        if self.role_session {
            CHAINED_CAP_S
        } else {
            WINDOW_MAX_S
        }
    }
}

/// What AWS gave. No `Debug`, no `Clone`; the secrets are wiped when dropped.
pub struct AwsSession {
    /// AWS's name for the key.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Zeroizing<String>,
    /// The token.
    pub session_token: Zeroizing<String>,
    /// When AWS says the session expires.
    pub expires_at: Moment,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueError {
    /// AWS refused, and would refuse again: its code.
    Refused(String),
    /// AWS certainly gave none, but may if asked again: its code.
    TryAgain(String),
    /// No answer, or one that makes no sense: a session may exist.
    Unknown,
}

/// Calls STS.
pub struct Issuer {
    settings: AwsSettings,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    // One client a region: each keeps its own connections and its own copy of the broker's credentials.
    clients: Mutex<HashMap<String, aws_sdk_sts::Client>>,
}

impl Issuer {
    /// An issuer for these settings. Contacts nobody yet.
    pub fn new(settings: AwsSettings) -> Issuer {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::AwsLc,
            ))
            .build_https();
        let credentials = provider(&settings.credentials, &http);
        Issuer {
            settings,
            credentials,
            http,
            clients: Mutex::new(HashMap::new()),
        }
    }

    /// The longest session the broker's own credentials may ask for, in seconds.
    pub fn cap_s(&self) -> u32 {
        self.settings.cap_s()
    }

    /// Makes the one call the plan stands for, and spends the plan. Never repeats it: a second call could make a second
    /// session, so another attempt is another recorded plan.
    pub async fn issue(&self, plan: Recorded<SessionPlan>) -> Result<AwsSession, IssueError> {
        let plan = plan.into_inner();
        let mut call = self
            .client(plan.region())
            .assume_role()
            .role_arn(plan.role_arn().as_str())
            .role_session_name(plan.session_name())
            .source_identity(plan.source_identity())
            .duration_seconds(i32::try_from(plan.duration_s()).unwrap_or(i32::MAX))
            .policy(plan.session_policy())
            .transitive_tag_keys(GRANT_TAG)
            .set_external_id(self.settings.external_id.clone());
        for (key, value) in plan.tags() {
            let tag = Tag::builder()
                .key(*key)
                .value(value)
                .build()
                .map_err(|_| IssueError::Refused("BadTag".into()))?;
            call = call.tags(tag);
        }
        match call.send().await {
            Ok(output) => session(output).ok_or(IssueError::Unknown),
            Err(error) => Err(classify(&error)),
        }
    }

    fn client(&self, region: &str) -> aws_sdk_sts::Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let mut config = aws_sdk_sts::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new(region.to_owned()))
                .credentials_provider(self.credentials.clone())
                .http_client(self.http.clone())
                .sleep_impl(sleep())
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts());
            if let Some(url) = &self.settings.endpoint_url {
                config = config.endpoint_url(url);
            }
            aws_sdk_sts::Client::from_conf(config.build())
        };
        clients
            .entry(region.to_owned())
            .or_insert_with(make)
            .clone()
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S))
        .operation_timeout(Duration::from_secs(CALL_TIMEOUT_S))
        .build()
}

fn sleep() -> SharedAsyncSleep {
    SharedAsyncSleep::new(aws_smithy_async::rt::sleep::TokioSleep::new())
}

fn provider(source: &CredentialSource, http: &SharedHttpClient) -> SharedCredentialsProvider {
    let config = ProviderConfig::without_region()
        .with_http_client(http.clone())
        .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .with_timeout_config(timeouts());
    match source {
        CredentialSource::Environment => {
            SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
        }
        CredentialSource::Container => SharedCredentialsProvider::new(
            EcsCredentialsProvider::builder().configure(&config).build(),
        ),
        CredentialSource::Instance => SharedCredentialsProvider::new(
            ImdsCredentialsProvider::builder()
                .configure(&config)
                .build(),
        ),
        CredentialSource::WebIdentity => SharedCredentialsProvider::new(
            WebIdentityTokenCredentialsProvider::builder()
                .configure(&config)
                .build(),
        ),
        CredentialSource::Profile { file, profile } => {
            let files = EnvConfigFiles::builder()
                .with_file(EnvConfigFileKind::Credentials, file)
                .build();
            SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_files(files)
                    .profile_name(profile)
                    .build(),
            )
        }
    }
}

fn session(output: AssumeRoleOutput) -> Option<AwsSession> {
    let credentials = output.credentials?;
    let expires_at = Moment::from_ms(credentials.expiration.to_millis().ok()?)?;
    Some(AwsSession {
        access_key_id: credentials.access_key_id,
        secret_access_key: Zeroizing::new(credentials.secret_access_key),
        session_token: Zeroizing::new(credentials.session_token),
        expires_at,
    })
}

// Codes only: the SDK's Debug and Display of an error print the raw body.
fn classify(error: &SdkError<AssumeRoleError>) -> IssueError {
    let verdict = match error {
        // Never sent: bad input of ours, or no credentials of the broker's own.
        SdkError::ConstructionFailure(_) => IssueError::Refused("NotSent".to_owned()),
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let code = context.err().code().unwrap_or("UnknownError").to_owned();
            let again = status >= 500 || RETRYABLE.contains(&code.as_str());
            if again {
                IssueError::TryAgain(code)
            } else {
                IssueError::Refused(code)
            }
        }
        SdkError::DispatchFailure(failure)
            if failure
                .as_connector_error()
                .is_some_and(|error| never_connected(error)) =>
        {
            IssueError::TryAgain("NoConnection".to_owned())
        }
        // Sent, perhaps; an answer may have been lost.
        _ => IssueError::Unknown,
    };
    let aws_request_id = error.request_id().unwrap_or_default();
    tracing::warn!(?verdict, aws_request_id, "sts gave no session");
    verdict
}

// A request that found no connection was never sent, so no session can have come of it.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<hyper_util::client::legacy::Error>() {
        Some(error) => error.is_connect(),
        None => error.source().is_some_and(never_connected),
    }
}

/// The error codes of AWS that mean "later": throttling, and a peer of its own that did not answer.
const RETRYABLE: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "RequestTimeout",
];
