//! A request: the wish for one scope, for one duration, and why. Immutable; a change is a new request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Commitment, Digest};
use crate::principal::Principal;
use crate::scope::ScopeId;
use crate::window::{Duration, Moment};

/// Longest reason, in bytes: room for a paragraph, none for a file.
pub const REASON_MAX: usize = 1_024;

/// Longest ticket, in bytes.
pub const TICKET_MAX: usize = 64;

/// Shortest time a request may be kept after its requester's last word, in seconds: a few lost heartbeats end nothing.
pub const KEEP_FOR_MIN_S: u32 = 30;

/// Longest such time, in seconds: a window that nobody uses stays open no longer than this.
pub const KEEP_FOR_MAX_S: u32 = 3_600;

/// A request's name, which is also its grant's: 26 characters of Crockford's base 32, the time first (a ULID).
///
/// Chosen by the broker. It stands in the STS session name and in a session tag, so both sets allow it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl RequestId {
    /// Characters in an id.
    pub const LEN: usize = 26;

    /// The id made at `now` with 80 random bits from the shell.
    pub fn new(now: Moment, random: [u8; 10]) -> RequestId {
        // 48 bits of time, 80 of chance, five bits a character from the left.
        let time = u128::from(now.as_ms().unsigned_abs() & 0xffff_ffff_ffff);
        let chance = random
            .iter()
            .fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let bits = (time << 80) | chance;
        let letter = |place: usize| {
            let index = (bits >> (5 * (RequestId::LEN - 1 - place))) & 31;
            CROCKFORD
                .get(index as usize)
                .copied()
                .map_or('0', char::from)
        };
        RequestId((0..RequestId::LEN).map(letter).collect())
    }

    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last four, which is what people say to each other; may be shared by two requests.
    pub fn short(&self) -> &str {
        self.0.get(RequestId::LEN - 4..).unwrap_or(&self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = NotARequestId;

    fn from_str(text: &str) -> Result<RequestId, NotARequestId> {
        let fits = text.len() == RequestId::LEN
            && text.bytes().all(|b| CROCKFORD.contains(&b))
            && text.bytes().next().is_some_and(|first| first <= b'7');
        if fits {
            Ok(RequestId(text.to_owned()))
        } else {
            Err(NotARequestId)
        }
    }
}

impl TryFrom<String> for RequestId {
    type Error = NotARequestId;

    fn try_from(text: String) -> Result<RequestId, NotARequestId> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> String {
        id.0
    }
}

/// Not 26 characters of Crockford's base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 26 digits and capital letters, as `writ requests` prints it")]
pub struct NotARequestId;

/// What someone asks for. Every field is bound by [`Request::digest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The broker's name for it.
    pub id: RequestId,
    /// Who asks, with a workload's claims as they were then.
    pub principal: Principal,
    /// What for.
    pub scope: ScopeId,
    /// How long the window is to be.
    pub duration: Duration,
    /// Why; the text lies beside the journal under this commitment.
    pub reason: Commitment,
    /// The ticket it belongs to, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When it was made.
    pub requested_at: Moment,
    /// When it lapses unless it was decided: the end of the request TTL.
    pub decide_by: Moment,
    /// How long it then waits to be activated, in seconds: the activation TTL.
    pub activation_ttl_s: u32,
    /// The bundle it was made under.
    pub bundle: Digest,
    /// Whether it was asked for in an emergency: decided by the action `breakGlass`, and owing a post-review once used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

/// The terms of an emergency, as the scope had them when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// How long after the first use the post-review must be closed, in seconds.
    pub review_ttl_s: u32,
}

impl Request {
    /// What an approval consents to: SHA-256 of the canonical JSON of every field.
    pub fn digest(&self) -> Digest {
        Digest::of("writ.v1.request", &crate::event::canonical(self))
    }

    /// The same request for a shorter window: another digest, so that a consent to the one is none to the other. `None`
    /// where `duration` is not shorter: consent never widens.
    pub fn narrowed(&self, duration: Duration) -> Option<Request> {
        (duration < self.duration).then(|| Request {
            duration,
            ..self.clone()
        })
    }
}

/// The wish for a longer window, while it is open. Bound by [`Extension::digest`] as a request is by its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Its number within the request, from 1; one that was not granted keeps its number.
    pub number: u32,
    /// How long the whole window is to be, from its opening.
    pub duration: Duration,
    /// Why; the text lies beside the journal under this commitment.
    pub reason: Commitment,
    /// When it was asked for.
    pub requested_at: Moment,
    /// The bundle it was asked under.
    pub bundle: Digest,
}

impl Extension {
    /// What an approval of it consents to: SHA-256 of the request's digest and of every field.
    pub fn digest(&self, request: Digest) -> Digest {
        Digest::of(
            "writ.v1.extension",
            &crate::event::canonical(&(request, self)),
        )
    }
}
