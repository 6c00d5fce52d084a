//! AWS: the broker's own identities there, and the way to it. The only room that knows the AWS SDK.
//!
//! The [`issuer`] makes sessions and changes nothing; the [`revoker`] denies them again, under an identity of its own; the
//! survey looks whether both can.

mod failure;
pub mod issuer;
pub mod revoker;
pub(crate) mod survey;

use std::collections::HashMap;
use std::net::IpAddr;
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
use aws_smithy_http_client::tls;
use writ_engine::scope::RoleArn;
use writ_engine::session::CHAINED_CAP_S;
use writ_engine::window::WINDOW_MAX_S;

/// How long a connection to AWS may take to come up, in seconds.
pub const CONNECT_TIMEOUT_S: u64 = 2;

/// How long one call may take, in seconds. AWS answers in tens of milliseconds; whoever waits longer than this is told to
/// come back, and the session that may have been made is on record.
pub const CALL_TIMEOUT_S: u64 = 5;

/// How often a call of which nothing comes is made, at most, before it counts as not answered.
const PATIENT_ATTEMPTS: u32 = 3;

/// Where credentials of the broker's own come from: named, never searched for, so that no chain of guesses ends at an
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
    /// Where the credentials that make sessions come from.
    pub credentials: CredentialSource,
    /// Whether those credentials are themselves a role's session: AWS then gives at most an hour.
    pub role_session: bool,
    /// Another STS than the region's own, for a VPC endpoint or a sandbox.
    pub endpoint_url: Option<String>,
    /// `ExternalId`, where the roles' trust policies ask for one.
    pub external_id: Option<String>,
    /// How sessions are revoked at AWS; `None` where they are not, and end by themselves.
    pub revoker: Option<RevokerSettings>,
}

/// The `revoker` block within `aws`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokerSettings {
    /// Where the credentials that write denials come from. Not those that make sessions: who may write a role's policies
    /// may give it anything.
    pub credentials: CredentialSource,
    /// Another IAM than AWS's own, for a VPC endpoint or a sandbox.
    pub endpoint_url: Option<String>,
}

/// The broker's identities at AWS, by what each may do.
pub struct Aws {
    /// Makes sessions.
    pub issuer: issuer::Issuer,
    /// Denies them again; without one, early ends stop further issues and nothing at AWS.
    pub revoker: Option<revoker::Revoker>,
}

impl Aws {
    /// As these settings say. Contacts nobody yet.
    pub fn new(settings: AwsSettings) -> Aws {
        Aws {
            revoker: revoker::Revoker::new(&settings),
            issuer: issuer::Issuer::new(settings),
        }
    }
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

/// Another place than AWS's own for each of its services that are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Endpoints {
    sts: Option<String>,
    iam: Option<String>,
}

/// One identity at AWS, and its clients.
struct Caller {
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    endpoints: Endpoints,
    attempts: u32,
    // One client a region: each keeps its own connections and its own copy of the credentials.
    sts: Mutex<HashMap<String, aws_sdk_sts::Client>>,
    iam: Mutex<HashMap<&'static str, aws_sdk_iam::Client>>,
}

impl Caller {
    /// Contacts nobody yet.
    fn new(source: &CredentialSource, endpoints: Endpoints) -> Caller {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::AwsLc,
            ))
            .build_https();
        Caller::over(provider(source, &http), http, endpoints)
    }

    fn over(
        credentials: SharedCredentialsProvider,
        http: SharedHttpClient,
        endpoints: Endpoints,
    ) -> Caller {
        Caller {
            credentials,
            http,
            endpoints,
            attempts: 1,
            sts: Mutex::new(HashMap::new()),
            iam: Mutex::new(HashMap::new()),
        }
    }

    /// The same, but a call that AWS did not answer is made again: only for calls of which nothing comes.
    fn patient(self) -> Caller {
        Caller {
            attempts: PATIENT_ATTEMPTS,
            ..self
        }
    }

    /// A second call could make a second session, so nothing is repeated unless it is said to be harmless.
    fn retries(&self) -> RetryConfig {
        match self.attempts {
            1 => RetryConfig::disabled(),
            attempts => RetryConfig::standard().with_max_attempts(attempts),
        }
    }

    /// The STS of a region.
    fn sts(&self, region: &str) -> aws_sdk_sts::Client {
        let make = || {
            let mut config = aws_sdk_sts::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new(region.to_owned()))
                .credentials_provider(self.credentials.clone())
                .http_client(self.http.clone())
                .sleep_impl(sleep())
                .retry_config(self.retries())
                .timeout_config(timeouts());
            if let Some(url) = &self.endpoints.sts {
                config = config.endpoint_url(url);
            }
            aws_sdk_sts::Client::from_conf(config.build())
        };
        let mut clients = self.sts.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(region.to_owned())
            .or_insert_with(make)
            .clone()
    }

    /// The IAM of a role's partition.
    fn iam(&self, role: &RoleArn) -> aws_sdk_iam::Client {
        let region = iam_region(role);
        let make = || {
            let mut config = aws_sdk_iam::Config::builder()
                .behavior_version(aws_sdk_iam::config::BehaviorVersion::v2026_01_12())
                .region(Region::new(region))
                .credentials_provider(self.credentials.clone())
                .http_client(self.http.clone())
                .sleep_impl(sleep())
                .retry_config(self.retries())
                .timeout_config(timeouts());
            if let Some(url) = &self.endpoints.iam {
                config = config.endpoint_url(url);
            }
            aws_sdk_iam::Client::from_conf(config.build())
        };
        let mut clients = self.iam.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region).or_insert_with(make).clone()
    }
}

/// IAM is one for a whole partition; this is the region its requests are signed for.
fn iam_region(role: &RoleArn) -> &'static str {
    match role.as_str().split(':').nth(1) {
        Some("aws-cn") => "cn-north-1",
        Some("aws-us-gov") => "us-gov-west-1",
        // `RoleArn` knows no fourth partition.
        _ => "us-east-1",
    }
}

/// Whether a checked address is on this machine: a sandbox, which stands in for all of AWS.
pub(crate) fn on_loopback(url: &str) -> bool {
    writ_api::address::Address::parse(url).is_ok_and(|it| {
        let host = it.host().trim_matches(['[', ']']);
        let ip = host.parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    })
}

/// The role's name, without its path: what most calls of IAM take.
fn role_name(role: &RoleArn) -> &str {
    role.as_str().rsplit('/').next().unwrap_or_default()
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

#[cfg(test)]
mod tests;
