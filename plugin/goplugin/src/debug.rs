//! Debug mode: the plugin runs by itself, in a debugger say, and hosts come to it.

use std::future::Future;
use std::io::Write as _;

use serde_json::json;
use tonic::service::Routes;

use crate::life::{Ending, HOOK_MAX, Life, Signals};
use crate::serve::{self, ServeError};
use crate::services::{self, broker::Broker};
use crate::socket::Socket;

/// Serves `services` to whoever can open the socket, which is this user, until SIGINT or SIGTERM. Prints the line that makes
/// Terraform and OpenTofu use this process for the provider `address` (`registry.example.com/acme/greeter`) instead of
/// starting one:
///
/// ```text
/// TF_REATTACH_PROVIDERS='{"registry.example.com/acme/greeter":{…}}'
/// ```
///
/// No cookie and no TLS. One process serves all hosts that come, one after another and at once; they do not say goodbye, so
/// `on_end` runs once, at the very end.
pub async fn serve_debug<H, F>(
    address: &str,
    protocol_version: u32,
    services: Routes,
    on_end: H,
) -> Result<(), ServeError>
where
    H: FnOnce(Ending) -> F,
    F: Future<Output = ()>,
{
    let mut signals = Signals::listen().map_err(ServeError::Process)?;
    let (socket, listener) = Socket::listen(&std::env::temp_dir())?;
    let life = Life::default();
    let services = services::beside(services, Broker::default(), &life).await;
    let served = serve::spawn(listener, None, services, &life);
    let line = reattach(address, protocol_version, std::process::id(), socket.path());
    std::io::stdout()
        .write_all(line.as_bytes())
        .and_then(|()| std::io::stdout().flush())
        .map_err(ServeError::Process)?;
    let ending = life.end_debug(&mut signals).await;
    serve::end(ending, on_end, HOOK_MAX, &life, served).await
}

/// The line for a person to copy into a shell.
fn reattach(address: &str, protocol_version: u32, pid: u32, socket: &str) -> String {
    let one = json!({
        "Protocol": "grpc",
        "ProtocolVersion": protocol_version,
        "Pid": pid,
        // Do not end the process when done with it.
        "Test": true,
        "Addr": { "Network": "unix", "String": socket },
    });
    // A quote can only stand inside a JSON string, where this means the same and does not end the shell's.
    let all = json!({ address: one }).to_string().replace('\'', "\\u0027");
    format!("TF_REATTACH_PROVIDERS='{all}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reattach_line_survives_the_shell_whatever_the_address() {
        let line = reattach("example.com/o'neil/greeter", 6, 42, "/tmp/plugin1/s");
        let quoted = line
            .strip_prefix("TF_REATTACH_PROVIDERS='")
            .and_then(|rest| rest.strip_suffix("'\n"))
            .unwrap();
        assert!(!quoted.contains('\''), "{quoted}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(quoted).unwrap(),
            json!({
                "example.com/o'neil/greeter": {
                    "Protocol": "grpc",
                    "ProtocolVersion": 6,
                    "Pid": 42,
                    "Test": true,
                    "Addr": { "Network": "unix", "String": "/tmp/plugin1/s" },
                },
            })
        );
    }
}
