//! Plugins for hosts that speak HashiCorp's go-plugin protocol: Terraform, OpenTofu, OpenBao and others.

mod connection;
mod debug;
mod handshake;
mod hclog;
mod life;
mod redact;
mod serve;
mod services;
mod socket;
mod tls;

pub use debug::serve_debug;
pub use handshake::{Cookie, Handshake};
pub use hclog::hclog;
pub use life::{Ending, HOOK_MAX};
pub use redact::{Masked, mask};
pub use serve::{Options, ServeError, serve, serve_with};
pub use services::broker::{Broker, DialError};
pub use socket::SocketError;

/// The generated types and services of the package `plugin`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from the commented .proto file"
)]
pub(crate) mod wire {
    tonic::include_proto!("plugin");
}
