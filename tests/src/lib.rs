//! What the tests of the whole system have in common: a running [`World`], the peers that are programs of their own, and what
//! is asked of a broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

mod calls;
pub mod ministack;
pub mod rounds;
pub mod terraform;
mod world;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use calls::{about, approve, ask, fact, issue, session, wish};
pub use world::{AUDIENCE, EXTERNAL_ID, PEOPLE, World, ci_job, roles};

/// Replaces `old`, which must be there, by `new` in a file.
pub fn edit(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).expect("the file is there");
    assert!(text.contains(old), "{}: no `{old}`", path.display());
    std::fs::write(path, text.replace(old, new)).expect("the file is written");
}

/// `writ journal verify FILE --key KEY`.
pub fn verify(file: &Path, key: &str, kept: Option<&Path>) -> Output {
    let mut command = Command::new(writ());
    command
        .args(["journal", "verify"])
        .arg(file)
        .args(["--key", key]);
    if let Some(kept) = kept {
        command.arg("--checkpoint").arg(kept);
    }
    command.stdin(Stdio::null()).output().expect("writ runs")
}

/// The `writ` binary that `./tests/run` built.
pub fn writ() -> PathBuf {
    built("writ")
}

/// The binary `name` that `./tests/run` built.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let target = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let binary = target.join(name);
    assert!(
        binary.exists(),
        "build `{name}` first: `cargo build --workspace`, or run `./tests/run`"
    );
    binary
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is in the root")
        .to_owned()
}

/// Says that a peer is missing, or fails where `WRIT_REQUIRE_PEERS=1`.
pub fn skipped(peer: &str, why: &str) {
    assert!(
        std::env::var("WRIT_REQUIRE_PEERS").as_deref() != Ok("1"),
        "the peer `{peer}` is required and missing: {why}"
    );
    // Not `eprintln!`: that is captured, and this is to be heard.
    let _ = writeln!(std::io::stderr(), "SKIPPED PEER {peer}: {why}");
}

/// Says what a test has counted, to be read although it passed.
pub fn figures(text: &str) {
    let _ = writeln!(std::io::stderr(), "FIGURES {text}");
}

/// A free port of loopback, for a peer that cannot choose its own.
pub fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    probe.local_addr().expect("an address").port()
}

/// Writes a file that its owner alone may read.
pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .expect("the file opens");
    file.write_all(text.as_bytes())
        .expect("the file is written");
}

/// Fails the test unless each line of a story stands in what was said, in this order.
#[track_caller]
pub fn in_order(said: &str, story: &[&str]) {
    let mut rest = said;
    for line in story {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("`{line}` is missing, or out of order, in:\n{said}")
        };
        rest = after;
    }
}
