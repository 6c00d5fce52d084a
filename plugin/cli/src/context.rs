//! What every verb is given: the global options, the broker, and the two streams.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use writ_api::ambient::GithubActions;
use writ_api::client::{Address, Client, Token};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{Paint, When, escape_json};

/// How long one call may take, in seconds: the broker's own ten for AWS, its journal's deadline, and room.
pub(crate) const CALL_TIME_MAX_S: u64 = 30;

/// The largest token file, in bytes: STS itself takes no web identity token above 20,000 characters.
pub(crate) const TOKEN_FILE_BYTES_MAX: u64 = 65_536;

/// Options of every verb.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Options {
    /// The broker: `https://host:port`, `unix:///path`, or `http://` on loopback
    #[arg(long, global = true, env = "WRIT_ADDR", value_name = "ADDRESS")]
    pub(crate) address: Option<String>,

    /// The file that holds your token (or the token itself in WRIT_TOKEN; on GitHub Actions neither is needed)
    #[arg(
        long,
        global = true,
        env = "WRIT_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// The audience asked of GitHub's own OIDC issuer; the broker's address where not given
    #[arg(long, global = true, env = "WRIT_AUDIENCE", value_name = "TEXT")]
    pub(crate) audience: Option<String>,

    /// Trust the CA certificates in this PEM file besides the system's
    #[arg(long, global = true, env = "WRIT_CA_CERT_FILE", value_name = "FILE")]
    pub(crate) ca_cert_file: Option<PathBuf>,

    /// Print documents for scripts; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: When,
}

/// What a verb works with.
pub(crate) struct Context {
    /// The global options.
    pub(crate) options: Options,
    /// How stdout is coloured.
    pub(crate) out: Paint,
    /// How stderr is coloured.
    pub(crate) err: Paint,
    /// The audience that GitHub's issuer made the token for, where the token is its.
    audience: OnceLock<String>,
}

impl Context {
    /// From the options and the environment.
    pub(crate) fn new(options: Options) -> Context {
        let env = |name: &str| std::env::var(name).ok();
        Context {
            out: Paint::of(options.color, std::io::stdout().is_terminal(), env),
            err: Paint::of(options.color, std::io::stderr().is_terminal(), env),
            audience: OnceLock::new(),
            options,
        }
    }

    /// Whether documents are wanted.
    pub(crate) fn json(&self) -> bool {
        self.options.json
    }

    /// Data, to stdout, as it is.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::error(format!("cannot write to stdout: {error}")))
    }

    /// A document, to stdout.
    pub(crate) fn print_json(&self, document: &Value) -> Result<(), Failure> {
        self.print(&format!("{}\n", escape_json(&format!("{document:#}"))))
    }

    /// A document on one line, for streams of them.
    pub(crate) fn print_json_line(&self, document: &Value) -> Result<(), Failure> {
        self.print(&format!("{}\n", escape_json(&document.to_string())))
    }

    /// Anything that is not data, to stderr. There is nobody to tell when that fails.
    pub(crate) fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// The broker's address, as it was given.
    fn address(&self) -> Result<(&str, Address), Failure> {
        let text = self.options.address.as_deref().ok_or_else(|| {
            Failure::usage("no broker is named")
                .hint("set WRIT_ADDR or give `--address`; `writ dev` starts a broker to play with")
        })?;
        let address = text
            .parse()
            .map_err(|error| Failure::usage(format!("{error}")))?;
        Ok((text, address))
    }

    /// Connects, with the token as it is now: a token file is read afresh, GitHub is asked again.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let (text, address) = self.address()?;
        let ca_pem = match &self.options.ca_cert_file {
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                Failure::usage(format!("cannot read `{}`: {error}", path.display()))
            })?),
            None => None,
        };
        let token = self.token(text).await?;
        Client::connect(&address, Some(&token), ca_pem.as_deref())
            .await
            .map_err(|error| unreachable(text, &error))
    }

    /// The token: `--token-file` (or WRIT_TOKEN_FILE), WRIT_TOKEN, or GitHub's own issuer, in this order. There is no flag
    /// for the token itself: every process list would show it.
    async fn token(&self, address: &str) -> Result<Token, Failure> {
        if let Some(path) = &self.options.token_file {
            let unreadable = |why: String| {
                Failure::new(
                    Exit::NotAuthenticated,
                    "not_authenticated",
                    format!("cannot read the token file `{}`: {why}", path.display()),
                )
            };
            let size = std::fs::metadata(path)
                .map_err(|error| unreadable(error.to_string()))?
                .len();
            if size > TOKEN_FILE_BYTES_MAX {
                return Err(unreadable(format!(
                    "it has more than {TOKEN_FILE_BYTES_MAX} bytes"
                )));
            }
            let text =
                std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
            return Token::new(&text).map_err(|error| unreadable(error.to_string()));
        }
        if let Some(text) = std::env::var_os("WRIT_TOKEN") {
            let text = text.to_str().unwrap_or_default();
            return Token::new(text).map_err(|error| {
                Failure::new(
                    Exit::NotAuthenticated,
                    "not_authenticated",
                    format!("WRIT_TOKEN cannot be used: {error}"),
                )
            });
        }
        let audience = self.options.audience.as_deref().unwrap_or(address);
        let token = ambient(audience).await?;
        // The same one each time.
        let _ = self.audience.set(audience.to_owned());
        Ok(token)
    }

    /// A refused token that GitHub made is most often one for another audience; the broker says to nobody what was wrong.
    pub(crate) fn with_audience(&self, failure: Failure) -> Failure {
        match self.audience.get() {
            Some(audience) if failure.exit == Exit::NotAuthenticated => failure.hint(format!(
                "GitHub made the token for the audience `{audience}`; give the one of the broker's issuer with `--audience` or WRIT_AUDIENCE"
            )),
            Some(_) | None => failure,
        }
    }
}

/// A CI job's own token, where one can be had.
async fn ambient(audience: &str) -> Result<Token, Failure> {
    let failed = |message: String| {
        Failure::new(Exit::NotAuthenticated, "not_authenticated", message).hint(
            "give `--token-file`, WRIT_TOKEN_FILE or WRIT_TOKEN; a GitHub Actions job needs `permissions: id-token: write`",
        )
    };
    let job = GithubActions::from_environment(|name| std::env::var(name).ok())
        .ok_or_else(|| failed("there is no token".to_owned()))?;
    job.token(audience)
        .await
        .map_err(|error| failed(error.to_string()))
}

fn unreachable(address: &str, error: &tonic::transport::Error) -> Failure {
    // The innermost cause is the one that helps: `Connection refused`, not `transport error`.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::new(
        Exit::Unreachable,
        "unreachable",
        format!("the broker at `{address}` cannot be reached: {cause}"),
    )
    .hint("check WRIT_ADDR, and `--ca-cert-file` for a private CA")
}

/// One call's answer within [`CALL_TIME_MAX_S`].
pub(crate) async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(Duration::from_secs(CALL_TIME_MAX_S), call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failure::from(status)),
        Err(_) => Err(Failure::new(
            Exit::Unreachable,
            "timeout",
            format!("the broker did not answer within {CALL_TIME_MAX_S}s"),
        )
        .hint("see what became of it with `writ requests --mine`")),
    }
}

/// A field the protocol promises. Its absence is the broker's fault, never ours to fill in.
pub(crate) fn promised<T>(field: Option<T>, name: &str) -> Result<T, Failure> {
    field.ok_or_else(|| Failure::error(format!("the broker's answer lacks `{name}`")))
}
