//! `writ exec`: runs one command with session credentials in its environment, and gives the window back when it ends.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use writ_api::v1;
use writ_engine::Duration;

use super::{credentials, release, show};
use crate::asking;
use crate::clock;
use crate::context::{Context, promised};
use crate::exit::{Exit, SIGNAL_BASE};
use crate::explain::Asked;
use crate::failure::Failure;
use crate::screen::{Paint, escape, shell_word};
use crate::story::{self, revocation};

/// What shells answer for a command that is not there.
const NOT_FOUND: u8 = 127;

/// What shells answer for a command that cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Ask for a scope, wait, and run a command with its credentials; the window ends with the command
///
/// The command's environment has the credentials of its start, and nothing can change them there. For one that runs longer
/// than those live, `--renew` names a profile instead: AWS's programs then ask for new ones by themselves, to the end of the
/// window, and past it where `writ extend` made it longer meanwhile.
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
    /// Give the command a profile that renews, not credentials in its environment
    #[arg(long)]
    renew: bool,
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
    let outcome = match args.renew {
        false => {
            let issued = asking::issue(context, &request.id).await?;
            child(&args.command, with_credentials(context, &issued)?).await
        }
        true => {
            let issued = credentials::issue_kept(context, &request.id).await?;
            let profile = Profile::write(&request.id)?;
            let variables = profile.variables(context, &issued.region);
            child(&args.command, variables).await
        }
    };
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

/// What a command's environment is to be: variables with a value are set, the others removed.
type Environment = Vec<(&'static str, Option<OsString>)>;

fn set<T: Into<OsString>>((name, value): (&'static str, T)) -> (&'static str, Option<OsString>) {
    (name, Some(value.into()))
}

/// The credentials themselves, and nothing that would win over them.
fn with_credentials(
    context: &Context,
    issued: &v1::IssueCredentialsResponse,
) -> Result<Environment, Failure> {
    let given = promised(issued.credentials.as_ref(), "credentials")?;
    context.say(&format!(
        "running with credentials until {}",
        clock::to_the_second(given.expires_at.as_ref())
    ));
    let variables = credentials::variables(given, &issued.region);
    let misleading = credentials::MISLEADING.map(|name| (name, None));
    Ok(variables.into_iter().map(set).chain(misleading).collect())
}

/// A profile that AWS's programs get credentials from, in a file that goes with it. There is no secret in it.
struct Profile {
    name: String,
    file: tempfile::NamedTempFile,
}

impl Profile {
    fn write(id: &str) -> Result<Profile, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::error(format!("cannot write a profile for the command: {error}"))
        };
        let writ = std::env::current_exe().map_err(cannot)?;
        let name = format!("writ-{}", id.to_lowercase());
        let text = format!(
            "[profile {name}]\ncredential_process = {} credentials {id} --format process\n",
            shell_word(&writ.to_string_lossy())
        );
        let mut file = tempfile::Builder::new()
            .prefix("writ-profile-")
            .tempfile()
            .map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        Ok(Profile { name, file })
    }

    /// The profile, nothing that would win over it, and the broker as it was named to us.
    fn variables(&self, context: &Context, region: &str) -> Environment {
        context.say(&format!(
            "running with the profile `{}`, which renews",
            self.name
        ));
        let mut variables = vec![
            set(("AWS_CONFIG_FILE", self.file.path())),
            set(("AWS_PROFILE", &self.name)),
            ("AWS_DEFAULT_PROFILE", None),
            ("AWS_SECURITY_TOKEN", None),
        ];
        variables.extend(credentials::STATIC.map(|name| (name, None)));
        if !region.is_empty() {
            variables.extend(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| set((name, region))));
        }
        let options = &context.options;
        let path = |path: &Option<PathBuf>| path.clone().map(OsString::from);
        let text = |text: &Option<String>| text.clone().map(OsString::from);
        let ours = [
            ("WRIT_ADDR", text(&options.address)),
            ("WRIT_TOKEN_FILE", path(&options.token_file)),
            ("WRIT_AUDIENCE", text(&options.audience)),
            ("WRIT_CA_CERT_FILE", path(&options.ca_cert_file)),
        ];
        variables.extend(ours);
        variables
    }
}

async fn child(command: &[OsString], variables: Environment) -> Result<Exit, Failure> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::usage("there is no command after `--`"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
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
