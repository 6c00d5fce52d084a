//! A plugin for the tests: it does what the test's host asks for in its variables and in the greeter's names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use goplugin::{Broker, Cookie, Ending, Handshake, Options};
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::{GreetRequest, GreetResponse, greeter_client};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tracing_subscriber::prelude::*;

#[allow(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
mod greeter {
    tonic::include_proto!("greeter");
}

const HANDSHAKE: Handshake = Handshake {
    cookie: Cookie {
        key: "GREETER_PLUGIN",
        value: "f0e1ab12",
    },
    protocol_versions: &[2, 1],
};

/// Small, for a test to exceed.
const REQUEST_MAX: usize = 64 * 1024;

struct Double(Broker);

#[tonic::async_trait]
impl Greeter for Double {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        let greeting = match name.split_once(' ') {
            // Makes noise wherever it can.
            None if name == "loud" => {
                println!("printed by the plugin");
                print!("and without an end");
                std::io::stdout().flush().unwrap();
                std::process::Command::new("echo")
                    .arg("printed by a child")
                    .status()
                    .unwrap();
                tracing::info!("logged by the plugin");
                "made noise".to_owned()
            }
            // Tells what a child would see.
            None if name == "child" => {
                let mut child = std::process::Command::new("env");
                for name in HANDSHAKE.variables() {
                    child.env_remove(name);
                }
                String::from_utf8(child.output().unwrap().stdout).unwrap()
            }
            None if name == "panic" => panic!("as asked"),
            None if name == "never" => std::future::pending().await,
            // Asks the host for a greeting, on a connection back.
            Some(("dial", number)) => {
                let channel = self
                    .0
                    .dial(number.parse().unwrap())
                    .await
                    .map_err(|error| Status::failed_precondition(chain(&error)))?;
                greeter_client::GreeterClient::new(channel)
                    .greet(GreetRequest {
                        name: "the plugin".to_owned(),
                    })
                    .await?
                    .into_inner()
                    .greeting
            }
            Some(("log", text)) => {
                let _masked = goplugin::mask("hunter2-hunter2");
                tracing::warn!(password = "hunter3-hunter3", text, "a line");
                "logged".to_owned()
            }
            _ => format!("hello, {name}"),
        };
        Ok(Response::new(GreetResponse { greeting }))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The exit hook: its beginning and end are written to the file named by `DOUBLE_HOOK`.
async fn on_end(ending: Ending) {
    let Some(path) = std::env::var_os("DOUBLE_HOOK") else {
        return;
    };
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(file, "begin {ending:?}").unwrap();
    tokio::time::sleep(millis("DOUBLE_HOOK_MS").unwrap_or_default()).await;
    writeln!(file, "end").unwrap();
}

fn millis(variable: &str) -> Option<Duration> {
    let text = std::env::var(variable).ok()?;
    Some(Duration::from_millis(text.parse().unwrap()))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::registry()
        .with(goplugin::hclog("double"))
        .init();
    let mut options = Options::default();
    if let Some(max) = millis("DOUBLE_HOOK_MAX_MS") {
        options.hook_max = max;
    }
    let greeter =
        GreeterServer::new(Double(options.broker.clone())).max_decoding_message_size(REQUEST_MAX);
    match goplugin::serve_with(&HANDSHAKE, Routes::new(greeter), on_end, options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
