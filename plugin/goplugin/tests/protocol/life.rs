//! How a plugin's life ends, and what does not end it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Command;

use crate::host::{PATIENCE, Start, attend, example, greet, healthy, send, shut_down};
use crate::wire::Empty;
use crate::wire::grpc_stdio_client::GrpcStdioClient;

#[tokio::test]
async fn shutdown_is_answered_when_the_exit_hook_is_done() {
    let host = Start::double().with("DOUBLE_HOOK_MS", "700").host().await;
    let channel = host.connect().await;
    let asked_at = Instant::now();
    shut_down(channel.clone()).await;
    assert!(asked_at.elapsed() >= Duration::from_millis(700));
    assert_eq!(host.hook(), "begin Shutdown\nend\n");
    drop(channel);
    host.ended().await.well();
}

#[tokio::test]
async fn the_plugin_serves_while_its_exit_hook_runs() {
    let host = Start::double().with("DOUBLE_HOOK_MS", "500").host().await;
    let channel = host.connect().await;
    let ending = tokio::spawn(shut_down(channel.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    assert!(!ending.is_finished());
    ending.await.unwrap();
    drop(channel);
    host.ended().await.well();
}

#[tokio::test]
async fn an_exit_hook_that_never_ends_is_cut_at_its_bound() {
    let host = Start::double()
        .with("DOUBLE_HOOK_MS", "3600000")
        .with("DOUBLE_HOOK_MAX_MS", "300")
        .host()
        .await;
    let channel = host.connect().await;
    let ended = host.shut_down(channel).await;
    ended.well();
    assert_eq!(ended.hook, "begin Shutdown\n");
    assert!(ended.stderr.contains("cut short"), "{}", ended.stderr);
}

#[tokio::test]
async fn after_its_answer_the_plugin_is_gone_well_within_the_two_seconds_a_host_gives() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let (_announce, _stream) = attend(&channel).await;
    let _stdio = GrpcStdioClient::new(channel.clone())
        .stream_stdio(Empty {})
        .await
        .unwrap();
    // Someone is still waiting, and the host keeps its connection.
    let waiting = tokio::spawn({
        let channel = channel.clone();
        async move { greet(&channel, "never").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    shut_down(channel.clone()).await;
    let answered_at = Instant::now();
    host.ended().await.well();
    assert!(
        answered_at.elapsed() < Duration::from_millis(1500),
        "{:?}",
        answered_at.elapsed()
    );
    assert!(waiting.await.unwrap().is_err());
    drop(channel);
}

#[tokio::test]
async fn sigterm_runs_the_exit_hook() {
    let host = Start::double().with("DOUBLE_HOOK_MS", "100").host().await;
    let channel = host.connect().await;
    assert!(healthy(&channel).await);
    host.signal(Signal::TERM);
    let ended = host.ended().await;
    ended.well();
    assert_eq!(ended.hook, "begin Terminated\nend\n");
}

#[tokio::test]
async fn a_host_that_asks_while_sigterms_hook_runs_is_answered_after_it() {
    let host = Start::double().with("DOUBLE_HOOK_MS", "500").host().await;
    let channel = host.connect().await;
    assert!(healthy(&channel).await);
    host.signal(Signal::TERM);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Once more in its impatience.
    host.signal(Signal::TERM);
    shut_down(channel.clone()).await;
    assert_eq!(host.hook(), "begin Terminated\nend\n");
    drop(channel);
    host.ended().await.well();
}

#[tokio::test]
async fn ctrl_c_and_a_closed_terminal_are_for_the_host_to_act_on() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    for signal in [Signal::INT, Signal::HUP, Signal::INT] {
        host.signal(signal);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    }
    assert_eq!(host.hook(), "");
    let ended = host.shut_down(channel).await;
    ended.well();
    assert_eq!(ended.hook, "begin Shutdown\nend\n");
}

#[tokio::test]
async fn a_host_that_hangs_up_without_a_word_is_gone() {
    for tls in [true, false] {
        let start = Start::double();
        let host = if tls {
            start.host().await
        } else {
            start.without("PLUGIN_CLIENT_CERT").host().await
        };
        let channel = host.connect().await;
        let held = attend(&channel).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(host.hook(), "");
        drop((held, channel));
        let ended = host.ended().await;
        ended.well();
        assert_eq!(ended.hook, "begin HostGone\nend\n");
    }
}

#[tokio::test]
async fn closing_the_brokers_stream_alone_is_no_hanging_up() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    drop(attend(&channel).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(greet(&channel, "mia").await.unwrap(), "hello, mia");
    let ended = host.shut_down(channel).await;
    ended.well();
    assert_eq!(ended.hook, "begin Shutdown\nend\n");
}

#[tokio::test]
async fn a_host_that_never_opened_the_brokers_stream_may_hang_up_and_come_back() {
    let host = Start::double().host().await;
    // Longer than it takes to notice that a parent has gone.
    for away in [Duration::from_millis(300), Duration::from_secs(5)] {
        let channel = host.connect().await;
        assert!(healthy(&channel).await);
        drop(channel);
        tokio::time::sleep(away).await;
    }
    let channel = host.connect().await;
    let ended = host.shut_down(channel).await;
    ended.well();
    assert_eq!(ended.hook, "begin Shutdown\nend\n");
}

#[tokio::test]
async fn standard_outputs_stream_is_silent_and_held_until_the_end() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let mut stdio = GrpcStdioClient::new(channel.clone())
        .stream_stdio(Empty {})
        .await
        .unwrap()
        .into_inner();
    greet(&channel, "loud").await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), stdio.message()).await;
    assert!(waited.is_err(), "{waited:?}");
    shut_down(channel.clone()).await;
    assert!(stdio.message().await.unwrap().is_none());
    drop((stdio, channel));
    host.ended().await.well();
}

// --- a host that is killed -------------------------------------------------------------------------------------------------

/// Names the file in which the host process below leaves its plugin's id and socket.
const LEFT: &str = "HOST_TO_BE_KILLED";

/// Whether the host process opens the broker's stream.
const ATTENDS: &str = "HOST_ATTENDS";

/// Not a test: what the tests below run as a process of its own, to kill it.
#[tokio::test]
#[ignore = "a host process for other tests"]
async fn a_host_to_be_killed() {
    let Some(left) = std::env::var_os(LEFT).map(PathBuf::from) else {
        return;
    };
    let host = Start::double()
        .with("DOUBLE_HOOK", left.with_extension("hook"))
        .with("DOUBLE_HOOK_MS", "200")
        .with("TMPDIR", left.parent().unwrap())
        .host()
        .await;
    let channel = host.connect().await;
    let _held = if std::env::var_os(ATTENDS).is_some() {
        Some(attend(&channel).await)
    } else {
        None
    };
    assert!(healthy(&channel).await);
    let text = format!("{} {}", host.pid, host.line.socket.display());
    let unfinished = left.with_extension("unfinished");
    std::fs::write(&unfinished, text).unwrap();
    std::fs::rename(&unfinished, &left).unwrap();
    std::future::pending::<()>().await;
}

/// Whether a process is running still. Whoever inherits it may leave it unburied for a while.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// Polls until `it` holds.
async fn until(what: &str, it: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !it() {
        assert!(Instant::now() < give_up, "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts a host with a plugin, kills the host, and expects the plugin to clean up and go.
async fn killed(attends: bool) {
    // Told here, where it is read.
    example("double");
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("left");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["life::a_host_to_be_killed", "--exact", "--ignored"])
        .env(LEFT, &left)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if attends {
        command.env(ATTENDS, "1");
    }
    let mut host = command.spawn().unwrap();
    until("ready", || left.exists()).await;
    let text = std::fs::read_to_string(&left).unwrap();
    let (pid, socket) = text.split_once(' ').unwrap();
    let (pid, socket) = (pid.parse().unwrap(), Path::new(socket));
    assert!(runs(pid) && socket.exists());

    send(host.id().unwrap(), Signal::KILL);
    host.wait().await.unwrap();
    until("ended", || !runs(pid)).await;
    assert_eq!(
        std::fs::read_to_string(left.with_extension("hook")).unwrap(),
        "begin HostGone\nend\n"
    );
    assert!(!socket.exists() && !socket.parent().unwrap().exists());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_killed_host_leaves_neither_a_plugin_nor_a_socket_and_the_exit_hook_runs() {
    killed(true).await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn so_does_a_killed_host_that_never_opened_the_brokers_stream() {
    killed(false).await;
}
