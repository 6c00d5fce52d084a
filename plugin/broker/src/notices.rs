//! Notices on their way out: each a signed webhook in the words of CloudEvents, to the one receiver that tells people.
//!
//! A notice says who, what and until when, and never why: reasons, tickets and secrets stay here. The receiver is believed
//! in nothing: of its answer only the status is read. As an issuer's, its address may be a private one, and never one at
//! which clouds serve a machine's own credentials (`writ_api::address`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use writ_api::address::Address;
use writ_api::fetch::{Fetcher, NotTaken};
use writ_engine::case::Review;
use writ_engine::notice::Due;
use writ_engine::{Case, Moment, Notice, PrincipalId, UserId};
use zeroize::Zeroizing;

/// What a secret starts with, as Standard Webhooks has it.
const SECRET_HEAD: &str = "whsec_";

/// The shortest secret, in bytes, and the longest: Standard Webhooks' own limits.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The longest file of a secret that is read, in bytes: the longest secret in base64, and some white space.
const SECRET_FILE_MAX: u64 = 128;

/// Who takes the notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticesSettings {
    /// Where they are posted to.
    pub url: Address,
    /// The file of the secret that signs them; readable by nobody but its owner and group.
    pub secret_file: PathBuf,
    /// The authorities that vouch for the receiver, in PEM; `None` for the system's.
    pub ca_cert_file: Option<PathBuf>,
}

/// Why notices could not be given.
#[derive(Debug, thiserror::Error)]
#[error("`notices`: `{file}`: {problem}")]
pub struct NoticesError {
    file: String,
    problem: String,
}

/// Who takes the notices, with the key that signs them. Shows neither: no `Debug`.
pub struct Receiver {
    address: Address,
    fetcher: Fetcher,
    key: hmac::Key,
    source: String,
}

impl Receiver {
    /// Reads the secret and the authorities; contacts nobody. `source` is the journal's origin.
    ///
    /// Refused when others than the secret's owner and group may read it.
    pub fn new(settings: &NoticesSettings, source: &str) -> Result<Receiver, NoticesError> {
        let refuse = |file: &Path, problem: String| NoticesError {
            file: file.display().to_string(),
            problem,
        };
        let key = secret(&settings.secret_file)
            .map_err(|problem| refuse(&settings.secret_file, problem))?;
        let ca_file = settings.ca_cert_file.as_deref();
        let ca_pem = ca_file.map(|file| {
            std::fs::read(file).map_err(|error| refuse(file, format!("it cannot be read: {error}")))
        });
        let ca_pem = ca_pem.transpose()?;
        let fetcher = Fetcher::suited_to(&settings.url, ca_pem.as_deref());
        let authorities = ca_file.unwrap_or(Path::new("the system's authorities"));
        Ok(Receiver {
            address: settings.url.clone(),
            fetcher: fetcher.map_err(|error| refuse(authorities, error.to_string()))?,
            key,
            source: source.to_owned(),
        })
    }

    /// Gives a notice of `case` to the receiver, signed at `now`.
    pub(crate) async fn give(
        &self,
        case: &Case,
        due: Due,
        people: &BTreeSet<UserId>,
        now: Moment,
    ) -> Result<(), NotTaken> {
        let id = id(case, due.notice);
        let body = body(&self.source, case, due, people);
        let timestamp = (now.as_ms() / 1_000).to_string();
        let signature = self.signature(&id, &timestamp, &body);
        let mut headers = vec![(
            CONTENT_TYPE,
            HeaderValue::from_static("application/cloudevents+json"),
        )];
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ] {
            // All of them are letters, digits and signs that a header takes.
            let value = HeaderValue::try_from(value);
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        self.fetcher.post(&self.address, &headers, body).await
    }

    /// Standard Webhooks: over the id, the time and the very bytes.
    fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let mac = hmac::sign(&self.key, &signed);
        format!("v1,{}", STANDARD.encode(mac.as_ref()))
    }
}

fn secret(file: &Path) -> Result<hmac::Key, String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    let open = File::open(file).map_err(unreadable)?;
    // Asked of the open file, so nobody swaps it between the question and the reading.
    let mode = open.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err("others can read it; `chmod 0640` it".to_owned());
    }
    // With room for all of it, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_FILE_MAX as usize));
    let not_one = || {
        format!(
            "it holds no secret; make one with `echo \"{SECRET_HEAD}$(openssl rand -base64 32)\"`"
        )
    };
    open.take(SECRET_FILE_MAX)
        .read_to_string(&mut text)
        .map_err(|_| not_one())?;
    let encoded = text.trim().strip_prefix(SECRET_HEAD).ok_or_else(not_one)?;
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| not_one())?);
    match SECRET_BYTES.contains(&bytes.len()) {
        true => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        false => Err(not_one()),
    }
}

/// The same at every try, so that the receiver can drop what it has taken already.
fn id(case: &Case, notice: Notice) -> String {
    format!("{}-{}", case.request().id, notice.name())
}

/// A CloudEvent 1.0 in JSON.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    #[serde(rename = "type")]
    kind: String,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

/// What a notice says. Fields are added, never renamed or removed; anything else is a `v2`.
#[derive(Serialize)]
struct Data<'a> {
    request_id: &'a str,
    scope: &'a str,
    principal: Who<'a>,
    told: &'a BTreeSet<UserId>,
    window_s: u32,
    deadline: Option<String>,
    show: String,
}

#[derive(Serialize)]
struct Who<'a> {
    kind: &'static str,
    name: &'a str,
}

fn body(source: &str, case: &Case, due: Due, people: &BTreeSet<UserId>) -> Vec<u8> {
    let request = case.request();
    let kind = match request.principal.id {
        PrincipalId::User(_) => "user",
        PrincipalId::Workload(_) => "workload",
    };
    let deadline = match (due.notice, case.review()) {
        (Notice::ConsentWanted | Notice::Escalated, _) => Some(request.decide_by),
        (Notice::Emergency | Notice::ReviewOverdue, Review::Open { by }) => Some(by),
        (Notice::Emergency | Notice::ReviewOverdue, Review::None | Review::Closed { .. }) => None,
    };
    writ_engine::event::canonical(&CloudEvent {
        specversion: "1.0",
        id: id(case, due.notice),
        source,
        kind: format!("dev.writ.notice.{}.v1", due.notice.name()),
        subject: request.id.as_str(),
        time: due.since.to_string(),
        datacontenttype: "application/json",
        data: Data {
            request_id: request.id.as_str(),
            scope: request.scope.as_str(),
            principal: Who {
                kind,
                name: request.principal.id.name(),
            },
            told: people,
            window_s: request.duration.as_s(),
            deadline: deadline.map(|by| by.to_string()),
            show: format!("writ show {}", request.id),
        },
    })
}

#[cfg(test)]
mod tests;
