//! The configuration file, `writ.hcl`: where the broker listens, keeps its record, finds its policies, whom it believes,
//! how it reaches AWS, and who takes its notices.
//!
//! ```hcl
//! listener "tcp" {                      # or: listener "unix" { path = "/run/writ/writ.sock" }
//!   address = "0.0.0.0:8443"
//!   tls {                               # required unless the address is loopback
//!     cert_file = "tls/cert.pem"
//!     key_file  = "tls/key.pem"
//!   }
//! }
//!
//! store {
//!   path             = "writ.db"
//!   signing_key_file = "writ.key"       # made at the first start, when there is no journal yet
//!   origin           = "writ.example.com/journal"
//! }
//!
//! bundle {
//!   path = "policies"                   # a folder; or a branch of a git repository on this machine:
//!   # git {
//!   #   repository = "policies.git"     # bare or not; the broker fetches nothing, see policies/README.md
//!   #   branch     = "main"
//!   #   folder     = "policies"         # within the repository; "." for the repository's own
//!   #   # every commit after the anchor signed with an SSH key of this file; default: none needs to be
//!   #   allowed_signers_file = "allowed_signers"
//!   #   anchor               = "9fceb02d0ae598e95dc970b74767f19372d61af8"   # the newest commit trusted as it is
//!   #   # one step that is no fast-forward, where history was rewritten on purpose
//!   #   accept_rewrite {
//!   #     from = "…"                    # the commit last in force
//!   #     to   = "…"                    # the commit that is to follow it
//!   #   }
//!   # }
//! }
//!
//! issuer "corp" {
//!   kind            = "oidc"
//!   url             = "https://login.example.com"
//!   audience        = "https://writ.example.com"
//!   algorithms      = ["ES256"]         # default: ["RS256"]
//!   stable_id_claim = "sub"             # default: "sub"
//!   required_claims = { hd = "example.com" }   # default: none
//!   # jwks_uri      = "https://…"       # default: asked of the issuer
//!   # ca_cert_file  = "ca.pem"          # default: the system's
//! }
//!
//! issuer "github" {
//!   kind     = "github-actions"
//!   url      = "https://token.actions.githubusercontent.com"
//!   audience = "https://writ.example.com"
//! }
//!
//! aws {
//!   credentials    = "web-identity"     # "environment", "container", "instance", "web-identity" or "profile"
//!   role_session   = true               # default: true; AWS then gives sessions of at most an hour
//!   # endpoint_url = "https://…"        # default: the region's own; http:// only on loopback
//!   # external_id  = "…"                # default: none
//!   # with credentials = "profile":
//!   # credentials_file = "credentials"
//!   # profile          = "default"      # default: "default"
//!   revoker {                           # may be left out: sessions of revoked grants then end by themselves
//!     credentials    = "profile"        # as above, but another identity: it may write the roles' policies, not assume them
//!     credentials_file = "revoker"
//!     # endpoint_url = "https://…"      # IAM's; default: AWS's own, or the one above where that is on loopback
//!   }
//! }
//!
//! notices {                             # may be left out: then nobody is told of anything but who looks
//!   url         = "https://hooks.example.com/writ"   # one receiver, which tells people; http:// only on loopback
//!   secret_file = "notices.secret"      # `whsec_` and 24 to 64 bytes in base64, by which each notice is signed
//!   # ca_cert_file = "ca.pem"           # default: the system's
//! }
//!
//! log {                                 # may be left out
//!   format = "json"                     # default: "json"; or "terminal"
//!   level  = "info"                     # default: "info"; or "error", "warn", "debug", "trace"
//! }
//! ```
//!
//! Relative paths are relative to the file. Secrets are never in it: it names the files that hold them. Every key that is
//! not listed above is an error.

mod blocks;

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing::Level;
use writ_engine::bundle::Report;
use writ_engine::bundle::hcl::Document;

use crate::aws::AwsSettings;
use crate::bundle::Source;
use crate::identity::IssuerConfig;
use crate::limits::CONFIG_MAX;
use crate::logging::Format;
use crate::notices::NoticesSettings;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers reach the broker.
    pub listener: Listener,
    /// Where the journal is.
    pub store: Store,
    /// Where the bundle comes from.
    pub bundle: Source,
    /// Whose tokens are believed.
    pub issuers: Vec<IssuerConfig>,
    /// How AWS is reached.
    pub aws: AwsSettings,
    /// Who takes the notices, if somebody does.
    pub notices: Option<NoticesSettings>,
    /// How the log is written.
    pub log: Log,
}

/// Where callers reach the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// A TCP port; port 0 is any free one.
    Tcp {
        /// The address and port.
        address: SocketAddr,
        /// The server's certificate. `None` only on loopback: a token never crosses a network in the clear.
        tls: Option<TlsFiles>,
    },
    /// A Unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
    },
}

/// The files of the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, in PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// Its private key, in PEM; readable by nobody but its owner and group.
    pub key_file: PathBuf,
}

/// Where the journal is, and what signs its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The journal's file.
    pub path: PathBuf,
    /// The file of the key that signs checkpoints.
    pub signing_key_file: PathBuf,
    /// The journal's name, first line of each checkpoint: `writ.example.com/journal`.
    pub origin: String,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How a line is written.
    pub format: Format,
    /// The least grave line that is written.
    pub level: Level,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: Format::Json,
            level: Level::INFO,
        }
    }
}

impl Config {
    /// Reads and checks the file: every error at once, each with its place.
    pub fn load(path: &Path) -> Result<Config, Report> {
        let name = path.display().to_string();
        let refuse = |why: String| {
            let mut report = Report::default();
            report.push_file(&name, format!("`{name}`: {why}"), None);
            report
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(CONFIG_MAX + 1).read_to_string(&mut text))
            .map_err(|error| refuse(format!("it cannot be read: {error}")))?;
        if text.len() as u64 > CONFIG_MAX {
            return Err(refuse(format!("it is larger than {CONFIG_MAX} bytes")));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        Config::parse(&name, &text, folder)
    }

    /// Checks a file's text; `folder` is what its relative paths are relative to.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Config, Report> {
        let document = Document::parse(name, text);
        let config = document
            .root()
            .and_then(|file| blocks::config(file, folder));
        let report = document.into_report();
        match config {
            Some(config) if !report.has_errors() => Ok(config),
            _ => Err(report),
        }
    }
}

#[cfg(test)]
mod tests;
