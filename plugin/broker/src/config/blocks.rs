//! The blocks of `writ.hcl`, one function each. Each asks for all its keys first, so that one pass finds every error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing::Level;
use writ_api::address::Address;
use writ_engine::bundle::hcl::{Placed, Reader, Value};
use writ_engine::digest::{CommitId, NotACommitId};

use super::{Config, Listener, Log, Store, TlsFiles};
use crate::aws::{AwsSettings, CredentialSource, RevokerSettings, on_loopback};
use crate::bundle::{BranchSettings, Rewrite, Signed, Source};
use crate::identity::{Algorithm, IssuerConfig, IssuerKind};
use crate::limits::SOCKET_PATH_MAX;
use crate::logging::Format;
use crate::notices::NoticesSettings;

/// The file, or `None` when something in it is wrong, which the document then says.
pub(super) fn config(mut file: Reader<'_>, folder: &Path) -> Option<Config> {
    let listener = listener(&mut file, folder);
    let store = file
        .required_block("store")
        .and_then(|block| store(block, folder));
    let bundle = file
        .required_block("bundle")
        .and_then(|block| bundle(block, folder));
    let issuers = issuers(&mut file, folder);
    let aws = file
        .required_block("aws")
        .and_then(|block| aws(block, folder));
    let notices = match file.block("notices") {
        Some(block) => notices(block, folder).map(Some),
        None => Some(None),
    };
    let log = match file.block("log") {
        Some(block) => log(block),
        None => Some(Log::default()),
    };
    file.finish();
    Some(Config {
        listener: listener?,
        store: store?,
        bundle: bundle?,
        issuers: issuers?,
        aws: aws?,
        notices: notices?,
        log: log?,
    })
}

fn path(folder: &Path, given: Placed<String>) -> PathBuf {
    folder.join(given.value)
}

fn listener(file: &mut Reader<'_>, folder: &Path) -> Option<Listener> {
    let place = file.header();
    let mut found: Option<(std::ops::Range<usize>, Option<Listener>)> = None;
    for (kind, mut block) in file.labelled_blocks("listener") {
        let listener = match kind.as_str() {
            "tcp" => tcp(&mut block, folder),
            "unix" => unix(&mut block, folder),
            other => {
                let message = format!("there is no listener `{other}`");
                block.error(
                    kind.span.clone(),
                    message,
                    Some("use `tcp` or `unix`".to_owned()),
                );
                block.rest();
                None
            }
        };
        let header = block.header();
        block.finish();
        match &found {
            None => found = Some((header, listener)),
            Some((first, _)) => file.document().error_pair(
                first.clone(),
                header,
                "there is more than one listener",
                Some("keep one; start a second broker for a second place".to_owned()),
            ),
        }
    }
    match found {
        Some((_, listener)) => listener,
        None => {
            let help = "add `listener \"tcp\" { … }` or `listener \"unix\" { … }`".to_owned();
            file.error(place, "there is no listener", Some(help));
            None
        }
    }
}

fn tcp(block: &mut Reader<'_>, folder: &Path) -> Option<Listener> {
    let address = block.required_parsed("address", |text| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("`{text}` is not an address; write it like `127.0.0.1:8443`"))
    });
    let encrypted = block.block("tls");
    let has_tls = encrypted.is_some();
    let tls = encrypted.and_then(|mut tls| {
        let cert_file = tls.required_string("cert_file");
        let key_file = tls.required_string("key_file");
        tls.finish();
        Some(TlsFiles {
            cert_file: path(folder, cert_file?),
            key_file: path(folder, key_file?),
        })
    });
    let address = address?;
    if !address.ip().is_loopback() && !has_tls {
        block.error(
            address.span,
            format!(
                "`{}` is reached from other machines, and tokens do not travel without TLS",
                address.value
            ),
            Some("add `tls { … }`, or listen on `127.0.0.1`".to_owned()),
        );
        return None;
    }
    Some(Listener::Tcp {
        address: address.value,
        tls,
    })
}

fn unix(block: &mut Reader<'_>, folder: &Path) -> Option<Listener> {
    let given = block.required_string("path")?;
    let span = given.span.clone();
    let path = path(folder, given);
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        block.error(
            span,
            format!("the path is longer than the {SOCKET_PATH_MAX} bytes a socket's may have"),
            None,
        );
        return None;
    }
    Some(Listener::Unix { path })
}

fn store(mut block: Reader<'_>, folder: &Path) -> Option<Store> {
    let file = block.required_string("path");
    let key = block.required_string("signing_key_file");
    let origin = block.required_parsed("origin", check_origin);
    block.finish();
    Some(Store {
        path: path(folder, file?),
        signing_key_file: path(folder, key?),
        origin: origin?.value,
    })
}

/// C2SP signed notes: a name has neither spaces nor `+`, and is best a URL without a scheme.
fn check_origin(text: &str) -> Result<String, String> {
    let fits = text.len() <= crate::journal::key::ORIGIN_MAX
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        "an origin is a name such as `writ.example.com/journal`: no spaces, no `+`".to_owned()
    })
}

fn bundle(mut block: Reader<'_>, folder: &Path) -> Option<Source> {
    let has_path = block.has("path");
    let place = block.header();
    let given = block.string("path");
    let branch = block.block("git");
    let has_branch = branch.is_some();
    let branch = branch.and_then(|block| self::branch(block, folder));
    match (has_path, has_branch) {
        (true, false) | (false, true) => {}
        (true, true) => block.error(
            place,
            "the bundle comes from two places",
            Some("keep `path`, for a folder, or `git { … }`, for a branch".to_owned()),
        ),
        (false, false) => block.error(
            place,
            "the bundle comes from nowhere",
            Some("add `path`, for a folder, or `git { … }`, for a branch".to_owned()),
        ),
    }
    block.finish();
    match given {
        Some(given) => Some(Source::Folder(path(folder, given))),
        None => branch.map(Source::Branch),
    }
}

fn branch(mut block: Reader<'_>, folder: &Path) -> Option<BranchSettings> {
    let repository = block.required_string("repository");
    let branch = block.required_parsed("branch", check_branch);
    let within = block.required_parsed("folder", check_folder);
    // Each is asked for once the other is there, and one without the other is a mistake: signatures that nobody asks for, or
    // signatures back to the first commit there ever was.
    let asked = ["allowed_signers_file", "anchor"].map(|key| block.has(key));
    if asked.contains(&true) {
        block.require("allowed_signers_file");
        block.require("anchor");
    }
    let allowed_signers_file = block.string("allowed_signers_file");
    let anchor = block.parsed("anchor", commit);
    let signed = allowed_signers_file
        .zip(anchor)
        .map(|(file, anchor)| Signed {
            allowed_signers_file: path(folder, file),
            anchor: anchor.value,
        });
    let accept_rewrite = block.block("accept_rewrite").and_then(|mut block| {
        let from = block.required_parsed("from", commit);
        let to = block.required_parsed("to", commit);
        block.finish();
        Some(Rewrite {
            from: from?.value,
            to: to?.value,
        })
    });
    block.finish();
    Some(BranchSettings {
        repository: path(folder, repository?),
        branch: branch?.value,
        folder: within?.value,
        signed,
        accept_rewrite,
    })
}

fn commit(text: &str) -> Result<CommitId, NotACommitId> {
    text.parse()
}

/// Less than git allows, and all that people use: nothing that git would take for a pattern or another kind of name.
fn check_branch(text: &str) -> Result<String, String> {
    let sane = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.'])
            && !part.ends_with(".lock")
            && !part.contains("..")
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-+#@=".contains(&b))
    };
    match text.split('/').all(sane) && !text.starts_with("refs/") {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no name of a branch; write it like `main`, without `refs/heads/`"
        )),
    }
}

fn check_folder(text: &str) -> Result<String, String> {
    let sane = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
    match text == "." || text.split('/').all(sane) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no folder of a repository; write it like `teams/policies`, or `.` for the repository's own"
        )),
    }
}

fn issuers(file: &mut Reader<'_>, folder: &Path) -> Option<Vec<IssuerConfig>> {
    let place = file.header();
    let blocks = file.labelled_blocks("issuer");
    if blocks.is_empty() {
        let help = "add `issuer \"corp\" { … }` for the one your people sign in to".to_owned();
        file.error(
            place,
            "there is no issuer, so nobody could prove who they are",
            Some(help),
        );
        return None;
    }
    let issuers: Vec<Option<IssuerConfig>> = blocks
        .into_iter()
        .map(|(name, block)| issuer(&name, block, folder))
        .collect();
    issuers.into_iter().collect()
}

fn issuer(name: &Placed<String>, mut block: Reader<'_>, folder: &Path) -> Option<IssuerConfig> {
    let kind = block.required_parsed("kind", |text| match text {
        "oidc" => Ok(IssuerKind::Oidc),
        "github-actions" => Ok(IssuerKind::GithubActions),
        _ => Err(format!(
            "`{text}` is no kind of issuer; use `oidc` or `github-actions`"
        )),
    });
    let url = block.required_string("url");
    let audience = block.required_string("audience");
    let algorithms = algorithms(&mut block);
    let stable_id_claim = block.string("stable_id_claim");
    let jwks_uri = block.string("jwks_uri");
    let ca_cert_file = block.string("ca_cert_file");
    let required_claims = required_claims(&mut block);
    // Where an error about a field is shown; the block's head for a field that was left out.
    let places = BTreeMap::from([
        ("name", Some(name.span.clone())),
        ("issuer", url.as_ref().map(|it| it.span.clone())),
        ("audience", audience.as_ref().map(|it| it.span.clone())),
        ("jwks_uri", jwks_uri.as_ref().map(|it| it.span.clone())),
        (
            "stable_id_claim",
            stable_id_claim.as_ref().map(|it| it.span.clone()),
        ),
    ]);
    let head = block.header();
    let document = block.document();
    block.finish();
    let config = IssuerConfig {
        name: name.value.clone(),
        kind: kind?.value,
        issuer: url?.value,
        audience: audience?.value,
        algorithms: algorithms?,
        jwks_uri: jwks_uri.map(|it| it.value),
        stable_id_claim: stable_id_claim.map_or_else(|| "sub".to_owned(), |it| it.value),
        ca_cert_file: ca_cert_file.map(|it| path(folder, it)),
        required_claims: required_claims?,
    };
    match config.check() {
        Ok(()) => Some(config),
        Err(error) => {
            let place = places.get(error.field).cloned().flatten().unwrap_or(head);
            let key = match error.field {
                "issuer" => "url",
                field => field,
            };
            document.error(place, format!("`{key}`: {}", error.problem), None);
            None
        }
    }
}

fn algorithms(block: &mut Reader<'_>) -> Option<Vec<Algorithm>> {
    let Some(names) = block.strings("algorithms") else {
        // A list of the wrong type was reported, and refuses the file; RS256 is what OpenID Connect asks of every issuer.
        return Some(vec![Algorithm::Rs256]);
    };
    let mut algorithms = Vec::new();
    let mut sound = true;
    for name in &names.value {
        match Algorithm::parse(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => {
                sound = false;
                block.error(
                    name.span.clone(),
                    format!(
                        "`{}` is no signature algorithm that is believed",
                        name.value
                    ),
                    Some("use `RS256`, `ES256`, `ES384` or `EdDSA`".to_owned()),
                );
            }
        }
    }
    sound.then_some(algorithms)
}

fn required_claims(block: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let Some(mut claims) = block.object("required_claims") else {
        return Some(BTreeMap::new());
    };
    let mut required = BTreeMap::new();
    let mut sound = true;
    for (claim, value) in claims.rest() {
        match value.value {
            Value::String(text) => {
                required.insert(claim.value, text);
            }
            other => {
                sound = false;
                let message = format!("`{}` must be a string, not {}", claim.value, other.kind());
                claims.error(value.span, message, None);
            }
        }
    }
    claims.finish();
    sound.then_some(required)
}

fn aws(mut block: Reader<'_>, folder: &Path) -> Option<AwsSettings> {
    let source = block.required_string("credentials");
    let role_session = block.bool("role_session").is_none_or(|given| given.value);
    let endpoint_url = block.parsed("endpoint_url", check_endpoint);
    let external_id = block.parsed("external_id", check_external_id);
    let credentials = source.and_then(|source| credentials(&mut block, source, folder));
    let endpoint_url = endpoint_url.map(|it| it.value);
    let revoker = match block.block("revoker") {
        Some(inner) => {
            revoker(inner, folder, credentials.as_ref(), endpoint_url.as_deref()).map(Some)
        }
        None => Some(None),
    };
    block.finish();
    Some(AwsSettings {
        credentials: credentials?,
        role_session,
        endpoint_url,
        external_id: external_id.map(|it| it.value),
        revoker: revoker?,
    })
}

/// `issuing` and `issuing_at` are the credentials that make sessions, and where they are used.
fn revoker(
    mut block: Reader<'_>,
    folder: &Path,
    issuing: Option<&CredentialSource>,
    issuing_at: Option<&str>,
) -> Option<RevokerSettings> {
    let source = block.required_string("credentials");
    let place = source.as_ref().map(|it| it.span.clone());
    let endpoint_url = block.parsed("endpoint_url", check_endpoint);
    let credentials = source.and_then(|source| credentials(&mut block, source, folder));
    let head = block.header();
    let document = block.document();
    block.finish();
    // A sandbox stands in for all of AWS; what is meant for it must not go to AWS.
    let endpoint_url = endpoint_url
        .map(|it| it.value)
        .or_else(|| issuing_at.filter(|url| on_loopback(url)).map(str::to_owned));
    let credentials = credentials?;
    let in_a_sandbox = endpoint_url.as_deref().is_some_and(on_loopback);
    if issuing == Some(&credentials) && !in_a_sandbox {
        document.error(
            place.unwrap_or(head),
            "the revoker's credentials are those that make sessions",
            Some(
                "name others: who may write a role's policies may give it anything, so they must \
                 not be able to assume it"
                    .to_owned(),
            ),
        );
        return None;
    }
    Some(RevokerSettings {
        credentials,
        endpoint_url,
    })
}

fn credentials(
    block: &mut Reader<'_>,
    source: Placed<String>,
    folder: &Path,
) -> Option<CredentialSource> {
    match source.as_str() {
        "environment" => Some(CredentialSource::Environment),
        "container" => Some(CredentialSource::Container),
        "instance" => Some(CredentialSource::Instance),
        "web-identity" => Some(CredentialSource::WebIdentity),
        "profile" => {
            let file = block.required_string("credentials_file");
            let profile = block.string("profile");
            Some(CredentialSource::Profile {
                file: path(folder, file?),
                profile: profile.map_or_else(|| "default".to_owned(), |it| it.value),
            })
        }
        _ => {
            let known = "use `environment`, `container`, `instance`, `web-identity` or `profile`";
            // The text is not repeated: someone may have put a key here.
            block.error(
                source.span,
                "this is no place that credentials come from",
                Some(known.to_owned()),
            );
            None
        }
    }
}

fn check_endpoint(text: &str) -> Result<String, String> {
    Address::parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// AWS: 2 to 1,224 characters of a small set.
fn check_external_id(text: &str) -> Result<String, String> {
    let fits = (2..=1_224).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        "an external id has 2 to 1,224 of letters, digits and `_+=,.@:/-`".to_owned()
    })
}

fn notices(mut block: Reader<'_>, folder: &Path) -> Option<NoticesSettings> {
    let url = block.required_parsed("url", Address::parse);
    let secret_file = block.required_string("secret_file");
    let ca_cert_file = block.string("ca_cert_file");
    block.finish();
    Some(NoticesSettings {
        url: url?.value,
        secret_file: path(folder, secret_file?),
        ca_cert_file: ca_cert_file.map(|it| path(folder, it)),
    })
}

fn log(mut block: Reader<'_>) -> Option<Log> {
    let format = block.parsed("format", |text| {
        text.parse::<Format>()
            .map_err(|()| format!("`{text}` is no format; use `json` or `terminal`"))
    });
    let level = block.parsed("level", |text| match text {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(format!(
            "`{text}` is no level; use `error`, `warn`, `info`, `debug` or `trace`"
        )),
    });
    block.finish();
    let default = Log::default();
    Some(Log {
        format: format.map_or(default.format, |it| it.value),
        level: level.map_or(default.level, |it| it.value),
    })
}
