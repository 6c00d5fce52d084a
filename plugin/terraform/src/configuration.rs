//! The `provider` block and the environment: where the broker is, and how to prove who asks. Nothing is tried here; what is
//! missing or unknown matters only once somebody wants something.

use std::path::PathBuf;

use writ_api::client::Address;
use zeroize::Zeroizing;

use crate::arguments::{Reader, Setting};
use crate::diagnostic::Diagnostic;
use crate::duration::Length;
use crate::failure::{Failure, Kind};
use crate::token::Source;

/// The longest `timeout`: five minutes. A call that takes longer is lost.
const TIMEOUT_MAX: Length = Length::of_s(300);

/// How long one call may take where `timeout` is not given: the broker's own ten seconds for AWS, its journal's deadline,
/// and room.
const TIMEOUT_DEFAULT: Length = Length::of_s(30);

/// What the provider was configured with.
pub(crate) struct Configuration {
    /// The broker's address as it was written, or why there is none.
    address: Setting<String>,
    /// Trusted besides the system's CAs.
    ca_cert_file: Setting<PathBuf>,
    /// Where the token comes from.
    pub(crate) token: Source,
    /// How long one call may take.
    pub(crate) timeout: Length,
}

impl Configuration {
    /// Reads the block, with the environment read through `variable` where the block is silent. An empty variable counts
    /// as none: CI systems fill in an empty text for a secret that is not there.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Configuration {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let or_variable = |setting: Setting<String>, name| match setting {
            Setting::Absent => variable(name).map_or(Setting::Absent, Setting::Known),
            Setting::Unknown | Setting::Known(_) => setting,
        };
        let address = reader.text("address");
        if let Setting::Known(text) = &address
            && let Err(error) = text.parse::<Address>()
        {
            reader.refuse(bad_address(&error).on("address"));
        }
        let token = reader.text("token").map(Zeroizing::new);
        let token_file = reader.text("token_file");
        if let (Setting::Known(_), Setting::Known(_)) = (&token, &token_file) {
            reader.refuse(
                Diagnostic::error(
                    "`token` and `token_file` are both given",
                    "Give one of the two.",
                )
                .on("token_file"),
            );
        }
        let audience = or_variable(reader.text("audience"), "WRIT_AUDIENCE").known();
        let ca_cert_file = or_variable(reader.text("ca_cert_file"), "WRIT_CA_CERT_FILE");
        let timeout = reader
            .length("timeout", Length::of_s(1), TIMEOUT_MAX)
            .known()
            .unwrap_or(TIMEOUT_DEFAULT);
        Configuration {
            address: or_variable(address, "WRIT_ADDR"),
            ca_cert_file: ca_cert_file.map(PathBuf::from),
            token: Source::find(token, token_file, audience, variable),
            timeout,
        }
    }

    /// The broker's address, as written and as understood.
    pub(crate) fn address(&self) -> Result<(&str, Address), Failure> {
        let text = match &self.address {
            Setting::Known(text) => text,
            Setting::Unknown => return Err(not_yet("address")),
            Setting::Absent => {
                return Err(final_failure(Diagnostic::error(
                    "no broker is named",
                    "Set `address` in the provider block, or WRIT_ADDR in the environment. `writ dev` starts a broker to play with.",
                )));
            }
        };
        let address = text
            .parse()
            .map_err(|error| final_failure(bad_address(&error)))?;
        Ok((text, address))
    }

    /// The CA certificates to trust besides the system's, in PEM.
    pub(crate) fn ca_pem(&self) -> Result<Option<Vec<u8>>, Failure> {
        let path = match &self.ca_cert_file {
            Setting::Known(path) => path,
            Setting::Absent => return Ok(None),
            Setting::Unknown => return Err(not_yet("ca_cert_file")),
        };
        let unusable = |why: String| {
            final_failure(Diagnostic::error(
                format!("cannot use the CA certificates in `{}`", path.display()),
                format!(
                    "{why}. `ca_cert_file` in the provider block, or WRIT_CA_CERT_FILE, names a file in PEM form."
                ),
            ))
        };
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        match pem
            .windows(PEM_CERTIFICATE.len())
            .any(|part| part == PEM_CERTIFICATE)
        {
            true => Ok(Some(pem)),
            false => Err(unusable("There is no certificate in it".to_owned())),
        }
    }
}

/// How a certificate in PEM form begins.
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn bad_address(error: &writ_api::client::BadAddress) -> Diagnostic {
    Diagnostic::error("this cannot be a broker's address", format!("{error}."))
}

fn final_failure(diagnostic: Diagnostic) -> Failure {
    Failure::new(Kind::Final, diagnostic)
}

fn not_yet(attribute: &str) -> Failure {
    final_failure(Diagnostic::error(
        format!("the provider's `{attribute}` is not known yet"),
        "It depends on something that exists only after the apply. Give it a value that is known before.",
    ))
}
