//! The life of a plugin process: what its services see, and how it comes to end.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, getppid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long an exit hook may take unless [`Options::hook_max`](crate::Options::hook_max) says otherwise. Hosts wait for the
/// answer to `Shutdown` without a deadline, a person at a terminal does not.
pub const HOOK_MAX: Duration = Duration::from_secs(10);

/// How often we look whether our parent is still the one that started us.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// How many looks at a run must find another parent and no connection. A host that started us through a short-lived process
/// connects well within this time.
const PARENT_STRIKES: u32 = 3;

/// How a plugin's life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The host is done and has asked the plugin to end.
    Shutdown,
    /// The host is gone without a word: killed, crashed, or it hung up.
    HostGone,
    /// Somebody sent SIGTERM (or, in debug mode, pressed Ctrl-C).
    Terminated,
}

/// What the services of one process have seen so far, and whether it is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life(Arc<watch::Sender<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Open connections.
    connections: usize,
    /// Whether the host has ever opened the broker's stream, which it holds for as long as it lives.
    attended: bool,
    /// Whether the host has asked us to end.
    asked: bool,
    /// Whether the exit hook is done: answers go out, streams end, the process exits.
    over: bool,
}

impl Life {
    /// Counts a connection until the guard is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.0.send_modify(|seen| seen.connections += 1);
        Connected(self.clone())
    }

    pub(crate) fn attend(&self) {
        self.0.send_modify(|seen| seen.attended = true);
    }

    /// Asks for the end and waits until the exit hook is done.
    pub(crate) async fn shut_down(&self) {
        self.0.send_modify(|seen| seen.asked = true);
        self.over().await;
    }

    pub(crate) fn finish(&self) {
        self.0.send_modify(|seen| seen.over = true);
    }

    pub(crate) async fn over(&self) {
        self.until(|seen| seen.over).await;
    }

    async fn until(&self, seen: impl FnMut(&Seen) -> bool) {
        // The sender cannot be gone: we hold it.
        let _ = self.0.subscribe().wait_for(seen).await;
    }

    /// Waits for the end that a host brings about.
    pub(crate) async fn end(&self, signals: &mut Signals, parent: Option<Pid>) -> Ending {
        tokio::select! {
            // A host that asks and hangs up in one breath has asked.
            biased;
            () = self.until(|seen| seen.asked) => Ending::Shutdown,
            () = signals.terminated() => Ending::Terminated,
            () = self.until(|seen| seen.attended && seen.connections == 0) => Ending::HostGone,
            () = self.orphaned(parent) => Ending::HostGone,
        }
    }

    /// Waits for the end of debug mode, where hosts come and go.
    pub(crate) async fn end_debug(&self, signals: &mut Signals) -> Ending {
        tokio::select! {
            biased;
            () = self.until(|seen| seen.asked) => Ending::Shutdown,
            () = signals.any() => Ending::Terminated,
        }
    }

    /// Waits until our parent has gone, with nobody connected. A host that never opens the broker's stream is noticed by
    /// nothing else, and an idle one may have hung up for now, so neither sign is enough alone.
    async fn orphaned(&self, parent: Option<Pid>) {
        let mut strikes = 0;
        while strikes < PARENT_STRIKES {
            tokio::time::sleep(PARENT_CHECK).await;
            let alone = getppid() != parent && self.0.borrow().connections == 0;
            strikes = if alone { strikes + 1 } else { 0 };
        }
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connected(Life);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0
            .0
            .send_modify(|seen| seen.connections = seen.connections.saturating_sub(1));
    }
}

/// The signals we take. Those that a terminal sends to its whole process group, Ctrl-C and hanging up, are for the host to
/// act on: it may need us once more. Having them listened to is what keeps them from ending the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn terminated(&mut self) {
        self.terminate.recv().await;
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
