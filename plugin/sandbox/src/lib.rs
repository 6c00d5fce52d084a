//! A strict local stand-in for AWS STS and the part of IAM that revocation needs, and a small OIDC issuer, for `writ dev`, `writ demo` and tests.
//!
//! It is not AWS and not IAM: what it checks and evaluates is listed in this crate's README, and anything else in a request
//! or a policy is refused, so that a test cannot pass because a rule was not looked at. It listens on loopback only.
//!
//! - [`Sandbox`] is the STS and IAM: SigV4, AssumeRole, GetCallerIdentity, roles' inline policies, and "using" credentials for
//!   any other action.
//! - [`Session`] is the other side: credentials that sign and make such calls.
//! - [`Issuer`] is the OIDC issuer: people's tokens, and GitHub Actions' with its token endpoint.

mod assume;
mod caller;
mod calls;
mod clock;
mod condition;
mod config;
mod error;
mod form;
mod github;
mod iam;
mod limits;
mod loopback;
mod oidc;
mod policy;
mod random;
mod reply;
mod role;
mod sandbox;
mod session;
pub mod sigv4;
mod sts;
mod verify;

pub use assume::PACKED_BYTES_MAX;
pub use calls::{AssumeRoleCall, IamCall, IamOutcome, Outcome};
pub use clock::Clock;
pub use config::{Caller, Role, SandboxConfig};
pub use github::{GITHUB_TOKEN_LIFETIME_S, GithubJob, JobRequest};
pub use limits::{DURATION_MAX_S, DURATION_MIN_S, SESSION_POLICY_MAX, TAGS_MAX};
pub use loopback::StartError;
pub use oidc::{Issuer, IssuerConfig, PERSON_TOKEN_LIFETIME_S, TokenError};
pub use policy::PolicyError;
pub use random::NoRandomness;
pub use role::INLINE_BYTES_MAX;
pub use sandbox::{Fault, LiveSession, Sandbox};
pub use session::{CallError, CallResult, Credentials, Session};
