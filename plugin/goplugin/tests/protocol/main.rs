//! The protocol from outside: a host of the tests' own starts real plugins and treats them well and badly.
//!
//! The plugins are the examples; `cargo test` builds them, `cargo test --test protocol` by itself does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod broker;
mod connection;
mod debug;
mod handshake;
mod host;
mod life;
mod log;

/// The generated types of the greeter.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod greeter {
    tonic::include_proto!("greeter");
}

/// The generated types of the package `plugin`, the host's half too.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod wire {
    tonic::include_proto!("plugin");
}
