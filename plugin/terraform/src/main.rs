//! `terraform-provider-writ`: the binary that Terraform starts. It serves until Terraform is done with it, and then gives
//! back what nobody closed.

use std::process::ExitCode;

use goplugin::{Cookie, Ending, Handshake};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::service::Routes;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use provider::Provider;
use tfplugin6::provider_server::ProviderServer;

mod arguments;
mod clock;
mod configuration;
mod connection;
mod credentials;
mod decision;
mod diagnostic;
mod duration;
mod ending;
mod failure;
mod provider;
mod run;
mod schema;
mod scopes;
mod token;
mod value;
mod words;

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod testing;

/// Terraform's side of the wire, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from the commented .proto file"
)]
mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// What Terraform and OpenTofu start a provider with. The value is the same for every provider; it is no secret.
const HANDSHAKE: Handshake = Handshake {
    cookie: Cookie {
        key: "TF_PLUGIN_MAGIC_COOKIE",
        value: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
    },
    protocol_versions: &[PROTOCOL],
};

/// The first with ephemeral resources is 6.7; Terraform 1.10 speaks it.
const PROTOCOL: u32 = 6;

/// The provider's address in `required_providers`. Nobody can register a host below `.internal`, so nobody can put another
/// provider in its place.
const ADDRESS: &str = "writ.internal/writ/writ";

/// The largest message taken, in bytes (16 MiB): the library's 4 MiB would refuse what Terraform may send.
const MESSAGE_MAX: usize = 16 * 1024 * 1024;

const USAGE: &str = "\
terraform-provider-writ is started by Terraform, and does nothing by itself.

  --debug    serve by itself, for a debugger; prints the variable that makes Terraform use it
  --version  print the version
";

/// What goes to Terraform's log: what is ours, and libraries' warnings. They see tokens and credentials as they travel.
fn logged() -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("terraform_provider_writ", LevelFilter::DEBUG)
        .with_target("goplugin", LevelFilter::DEBUG)
}

/// Stops waiting at Ctrl-C, which a terminal sends to the whole process group. Terraform says so too, but not while it plans
/// inside of `terraform apply`: there it waits for its providers, and would wait for people all the time they take.
async fn heed(mut interrupts: Signal, provider: Provider) {
    while interrupts.recv().await.is_some() {
        provider.stop();
    }
}

// One thread: the provider waits for the broker and for Terraform, and computes nothing.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let debug = match std::env::args().nth(1).as_deref() {
        None => false,
        // As Go programs, and Terraform's documentation, write it.
        Some("-debug" | "--debug") => true,
        Some("-version" | "--version") => {
            println!("terraform-provider-writ {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprint!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::registry()
        .with(goplugin::hclog("provider.writ").with_filter(logged()))
        .init();
    // A panic's message goes the way of the log, where secrets are masked, and fails one call only.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("no words");
        tracing::error!(at, what, "a fault in the provider: please report it");
    }));

    let variable = |name: &str| std::env::var(name).ok();
    // Without a working directory, there is none to tell runs apart by.
    let directory = std::env::current_dir().unwrap_or_default();
    let provider = Provider::new(variable, &directory);
    match signal(SignalKind::interrupt()) {
        Ok(interrupts) => drop(tokio::spawn(heed(interrupts, provider.clone()))),
        Err(error) => tracing::warn!(%error, "Ctrl-C will be heard of from Terraform only"),
    }
    let services =
        Routes::new(ProviderServer::new(provider.clone()).max_decoding_message_size(MESSAGE_MAX));
    let on_end = |ending: Ending| async move {
        let by_terraform = match ending {
            Ending::Shutdown => true,
            Ending::HostGone | Ending::Terminated => false,
        };
        provider.end(by_terraform).await;
    };
    let served = match debug {
        true => goplugin::serve_debug(ADDRESS, PROTOCOL, services, on_end).await,
        false => goplugin::serve(&HANDSHAKE, services, on_end).await,
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
