//! Plugins for hosts that speak HashiCorp's go-plugin protocol: Terraform, OpenTofu, OpenBao, Vault, Packer and others.
//!
//! Such a plugin is a program of its own. Its host starts it, talks to it in gRPC over a socket, and ends it. This crate does
//! what all such plugins have in common, so that a plugin is left with its own services; it knows no host in particular. What
//! makes a plugin one of Terraform's, say, is the cookie, the protocol version and the services it brings.
//!
//! ```no_run
//! use goplugin::{Cookie, Ending, Handshake};
//!
//! const HANDSHAKE: Handshake = Handshake {
//!     // Both as the host documents them.
//!     cookie: Cookie { key: "GREETER_PLUGIN", value: "f0e1ab12" },
//!     protocol_versions: &[1, 2],
//! };
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     // The services that tonic generated from the host's .proto file: `Routes::new(GreeterServer::new(…))`.
//!     let services = tonic::service::Routes::default();
//!     let clean_up = |ending: Ending| async move { tracing::info!(?ending, "goodbye") };
//!     match goplugin::serve(&HANDSHAKE, services, clean_up).await {
//!         Ok(()) => std::process::ExitCode::SUCCESS,
//!         Err(error) => {
//!             eprintln!("{error}");
//!             std::process::ExitCode::FAILURE
//!         }
//!     }
//! }
//! ```
//!
//! `examples/greeter.rs` is a whole plugin. How large a message may be is for each service to say
//! (`GreeterServer::max_decoding_message_size`); tonic's default is 4 MiB.
//!
//! # The handshake
//!
//! 1. The host makes a certificate for this one start and puts it into the variable `PLUGIN_CLIENT_CERT`, the versions it
//!    knows into `PLUGIN_PROTOCOL_VERSIONS`, and sets the cookie. Then it starts the plugin.
//! 2. Without the cookie a person started the plugin: it says so and ends, [`ServeError::NotStartedByHost`].
//! 3. The plugin takes the highest version that both know, makes a certificate of its own, and listens on a socket in a fresh
//!    folder that only its user may enter.
//! 4. It writes one line to standard output: `1|2|unix|/tmp/pluginXXXXXX/s|grpc|<its certificate>`. Whatever is printed to
//!    standard output after that goes to standard error.
//! 5. The host connects. Each side shows the certificate that the other was told of, and no other is accepted: it is compared
//!    byte for byte, and the handshake's signature is checked with it.
//! 6. Where the host sent no certificate, as the protocol allows, there is no TLS, and the folder is all the protection there
//!    is.
//! 7. The host asks for the plugin's health, holds the broker's stream open, and calls the plugin's services.
//!
//! A refused connection shows the user only that the plugin does not respond. The reason is in the log, at error level.
//!
//! # Life and end
//!
//! | what happens | what the plugin does |
//! |---|---|
//! | the host calls `Shutdown` | exit hook with [`Ending::Shutdown`], *then* the answer, then the exit |
//! | the host is killed, or hangs up | exit hook with [`Ending::HostGone`], exit |
//! | SIGTERM | exit hook with [`Ending::Terminated`], exit |
//! | SIGINT (Ctrl-C), SIGHUP (closed terminal) | nothing: they reach the host too, which decides |
//! | standard input closes | nothing |
//!
//! The services keep answering while the hook runs. It has [`HOOK_MAX`], or what [`Options::hook_max`] says; then it is
//! dropped. A call that is still being served at the end is dropped too, as is one whose caller went away: clean-up that must
//! not be lost belongs into the hook or a task of its own.
//!
//! That the host is gone is seen at once by its connection closing, once it has opened the broker's stream, as every host
//! written with go-plugin does at the start. A host that never does so may hang up and come back as it likes; then the plugin
//! ends only when nobody is connected *and* its parent process is another one than at its start, some three seconds later.
//! A host that has never opened the stream and runs the plugin through a process that outlives it is not noticed. A plugin
//! that is itself killed by SIGKILL runs no hook and leaves its socket.
//!
//! # The log
//!
//! [`hclog`] is a layer for `tracing` that writes lines as hosts read them, without secrets where it can know them: fields
//! named like one, and texts under [`mask`].
//!
//! # Debugging
//!
//! [`serve_debug`] serves without a host, for a plugin that runs in a debugger, and prints what makes Terraform use it.
//!
//! # Children
//!
//! What the plugin starts inherits the host's variables: see [`Handshake::variables`].
//!
//! # What it does not do
//!
//! - The older net/rpc form of the protocol, TCP sockets, Windows.
//! - Connections announced by the plugin, and many connections over one socket. Dialling what the host announces is
//!   [`Broker`].
//! - Sending what the plugin prints over `GRPCStdio`: its stream is held open and stays empty, standard error says it all.
//! - Panics: a call that panics fails alone, and the panic's message goes to standard error as it is. A plugin with secrets in
//!   hand sets a panic hook.

#[cfg(not(unix))]
compile_error!("goplugin needs unix sockets and signals");

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
