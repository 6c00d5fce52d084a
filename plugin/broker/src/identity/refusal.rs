//! Why a token was not believed: one text for whoever sent it, another for our log.

use std::fmt;

/// Why there is no identity. The texts inside are ours, never the token's: what a stranger writes does not reach the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not a token as we read them.
    Malformed(&'static str),
    /// Readable, but not signed by an issuer of ours, for us.
    Untrusted(&'static str),
    /// Signed by an issuer of ours, but not usable now.
    Untimely(&'static str),
    /// Genuine, but nobody the directory knows, or not in the way it knows them.
    Stranger(&'static str),
    /// The issuer's keys are too old and cannot be fetched. Trying again may work.
    IssuerUnavailable {
        /// The issuer's name in the configuration.
        issuer: String,
        /// What went wrong, for the log.
        cause: String,
    },
}

impl Refusal {
    /// The stable reason code, for our log and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Malformed(_) => "token_malformed",
            Refusal::Untrusted(_) => "token_untrusted",
            Refusal::Untimely(_) => "token_untimely",
            Refusal::Stranger(_) => "token_stranger",
            Refusal::IssuerUnavailable { .. } => "issuer_unavailable",
        }
    }

    /// What the sender is told. A forged token, one of an unknown issuer and one of an unknown person read the same, so
    /// nobody can find out by trying whom the broker trusts. That a token is out of its time is only told once its
    /// signature was found good.
    pub fn public_message(&self) -> &'static str {
        match self {
            Refusal::Malformed(_) | Refusal::Untrusted(_) | Refusal::Stranger(_) => {
                "the token was not accepted; the broker's log says why"
            }
            Refusal::Untimely(_) => "the token was not accepted at this time; get a fresh one",
            Refusal::IssuerUnavailable { .. } => {
                "the token cannot be checked now; try again in half a minute"
            }
        }
    }
}

/// For our log.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(why)
            | Refusal::Untrusted(why)
            | Refusal::Untimely(why)
            | Refusal::Stranger(why) => f.write_str(why),
            Refusal::IssuerUnavailable { issuer, cause } => {
                write!(f, "the keys of issuer `{issuer}` cannot be had: {cause}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
