//! Debug mode: hosts come to a plugin that a person started.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::host::{PATIENCE, attend, channel, example, greet, healthy, send};

#[tokio::test]
async fn it_prints_how_to_reach_it_and_serves_one_host_after_another_until_a_signal() {
    for (signal, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM")] {
        let folder = tempfile::tempdir().unwrap();
        let mut plugin = Command::new(example("greeter"))
            .arg("-debug")
            .env_clear()
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(plugin.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        let json = line
            .strip_prefix("TF_REATTACH_PROVIDERS='")
            .and_then(|rest| rest.strip_suffix("'\n"))
            .unwrap_or_else(|| panic!("{line}"));
        let json: Value = serde_json::from_str(json).unwrap();
        let told = &json["example.com/acme/greeter"];
        let socket = PathBuf::from(told["Addr"]["String"].as_str().unwrap());
        assert_eq!(
            *told,
            serde_json::json!({
                "Protocol": "grpc",
                "ProtocolVersion": 2,
                "Pid": plugin.id().unwrap(),
                "Test": true,
                "Addr": {"Network": "unix", "String": socket},
            })
        );
        let mode = socket.parent().unwrap().metadata().unwrap();
        assert_eq!(mode.permissions().mode() & 0o7777, 0o700);

        for guest in ["mia", "pat"] {
            let channel = channel(&socket, None).await.unwrap();
            let held = attend(&channel).await;
            assert!(healthy(&channel).await);
            assert_eq!(
                greet(&channel, guest).await.unwrap(),
                format!("hello, {guest}")
            );
            // Hosts of debug mode just go.
            drop((held, channel));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }

        send(plugin.id().unwrap(), signal);
        let status = tokio::time::timeout(PATIENCE, plugin.wait())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
        let (mut said, mut rest) = (String::new(), String::new());
        let stderr = plugin.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        stdout.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        assert!(said.contains(r#""ending":"Terminated""#), "{said}");
        assert!(!socket.exists() && !socket.parent().unwrap().exists());
    }
}
