//! `writ exec`: runs one command with session credentials in its environment, and gives the window back when it ends.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use writ_api::v1;
use writ_engine::Duration;

use super::credentials::{MISLEADING, variables};
use super::{release, show};
use crate::asking;
use crate::clock;
use crate::context::{Context, promised};
use crate::exit::{Exit, SIGNAL_BASE};
use crate::explain::Asked;
use crate::failure::Failure;
use crate::screen::{Paint, escape};
use crate::story::{self, revocation};

/// What shells answer for a command that is not there.
const NOT_FOUND: u8 = 127;

/// What shells answer for a command that cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Ask for a scope, wait, and run a command with its credentials; the window ends with the command
///
/// The command's environment has the credentials of its start, and nothing can change them there. One that is to run on in
/// a window that `writ extend` made longer takes new ones from a profile with `writ credentials … --format process`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scope, as `writ scopes` lists it
    scope: String,
    /// How long the window is to be at most: `45m`, `1h30m`
    #[arg(long = "for", value_name = "DURATION")]
    duration: Duration,
    /// Why, for the approvers and the record
    #[arg(long)]
    reason: String,
    /// The ticket it belongs to
    #[arg(long)]
    ticket: Option<String>,
    /// As an emergency: announced at once, and owing a post-review
    #[arg(long)]
    break_glass: bool,
    /// Wait for approvals no longer than this; exit code 6
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let asked = Asked {
        verb: "exec",
        what: args.scope,
        duration: args.duration,
        reason: Some(args.reason),
        ticket: args.ticket,
        break_glass: args.break_glass,
    };
    let request = asking::create(context, &asked, None).await?;
    let request = asking::wait(context, request, args.timeout).await?;
    let issued = asking::issue(context, &request.id).await?;
    let outcome = child(context, &args.command, &issued).await;
    // Whatever became of the command, the window ends with it.
    match release::release(context, &request.id).await {
        Ok(request) => context.say(&ended(context.err, &request)),
        // The command's own code matters more to whoever waits for it.
        Err(failure) => context.say(&not_released(context, &request.id, &failure).await),
    }
    outcome
}

/// A request that is over, and how far that has come at AWS.
fn ended(paint: Paint, request: &v1::Request) -> String {
    let status = story::status(paint, request);
    match &request.revocation {
        Some(it) => format!("{status}\nat AWS: {}", revocation::progress(it)),
        None => status,
    }
}

async fn not_released(context: &Context, id: &str, failure: &Failure) -> String {
    // Over already: by itself, or because somebody ended it.
    if failure.exit == Exit::Ended
        && let Ok(request) = show::get(context, id).await
    {
        return ended(context.err, &request);
    }
    format!(
        "warning: `{}` was not released ({}); its window ends by itself",
        story::short(id),
        escape(&failure.message)
    )
}

async fn child(
    context: &Context,
    command: &[OsString],
    issued: &v1::IssueCredentialsResponse,
) -> Result<Exit, Failure> {
    let credentials = promised(issued.credentials.as_ref(), "credentials")?;
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::usage("there is no command after `--`"))?;
    context.say(&format!(
        "running with credentials until {}",
        clock::to_the_second(credentials.expires_at.as_ref())
    ));
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .envs(variables(credentials, &issued.region));
    for name in MISLEADING {
        command.env_remove(name);
    }
    // Before the child exists, so that no signal is lost in between.
    let mut signals = Signals::listen()?;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let code = match error.kind() {
                std::io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_RUNNABLE,
            };
            return Err(Failure::new(
                Exit::Child(code),
                "command_not_run",
                format!("cannot run `{}`: {error}", program.to_string_lossy()),
            ));
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status
                    .map_err(|error| Failure::error(format!("cannot wait for the command: {error}")))?;
                return Ok(Exit::Child(code(status)));
            }
            received = signals.next() => pass_on(&child, received),
        }
    }
}

/// The code a shell would see.
fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => SIGNAL_BASE.saturating_add(u8::try_from(signal).unwrap_or(0)),
        (None, None) => Exit::Error.code(),
    }
}

/// The signals that people and supervisors end a command with.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::error(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> rustix::process::Signal {
        use rustix::process::Signal;
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }
}

fn pass_on(child: &Child, signal: rustix::process::Signal) {
    use rustix::process::Signal;
    // Ctrl-C and Ctrl-\ on a terminal reach the whole foreground group, the child included; twice would be once too often
    // for programs that end in an orderly way on the first.
    let from_the_terminal = matches!(signal, Signal::INT | Signal::QUIT);
    if from_the_terminal && std::io::stdin().is_terminal() {
        return;
    }
    // `id` is gone once the child was waited for, so that no other process is ever hit.
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // A child that has just ended needs no signal.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_end_is_told_as_a_shell_tells_it() {
        for (raw, expected) in [(0, 0), (1 << 8, 1), (42 << 8, 42), (15, 143), (2, 130)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected, "{raw:#x}");
        }
    }
}
