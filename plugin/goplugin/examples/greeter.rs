//! A whole plugin: greets its host's users by name.

use std::process::ExitCode;

use goplugin::{Cookie, Handshake};
use tonic::{Request, Response, Status, service::Routes};
use tracing_subscriber::{Layer as _, filter::LevelFilter, prelude::*};

tonic::include_proto!("greeter");

const HANDSHAKE: Handshake = Handshake {
    cookie: Cookie {
        key: "GREETER_PLUGIN",
        value: "f0e1ab12",
    },
    protocol_versions: &[1, 2],
};

struct Polite;

#[tonic::async_trait]
impl greeter_server::Greeter for Polite {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        tracing::info!(name, "greeting");
        Ok(Response::new(GreetResponse {
            greeting: format!("hello, {name}"),
        }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let log = goplugin::hclog("greeter").with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(log).init();
    let services = Routes::new(greeter_server::GreeterServer::new(Polite));
    let on_end = |ending| async move { tracing::info!(?ending, "goodbye") };
    let served = match std::env::args().nth(1).as_deref() {
        Some("-debug") => {
            goplugin::serve_debug("example.com/acme/greeter", 2, services, on_end).await
        }
        _ => goplugin::serve(&HANDSHAKE, services, on_end).await,
    };
    served.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
