//! What host and plugin agree on before the first call: variables in, one line out.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::serve::ServeError;

/// The version of the handshake itself; there has been one.
const CORE_VERSION: u32 = 1;

const VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
const SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";
const MULTIPLEX: &str = "PLUGIN_MULTIPLEX_GRPC";

/// All variables a host sets for its plugin, beside the cookie. The ports are for TCP, the group for a shared socket; we
/// offer neither.
const VARIABLES: [&str; 7] = [
    VERSIONS,
    CLIENT_CERT,
    SOCKET_DIR,
    MULTIPLEX,
    "PLUGIN_UNIX_SOCKET_GROUP",
    "PLUGIN_MIN_PORT",
    "PLUGIN_MAX_PORT",
];

/// What tells a host's start of the plugin from a person's: a variable and the value it must have. It is no secret and
/// proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// The variable's name.
    pub key: &'static str,
    /// The value that every host of this kind of plugin sets.
    pub value: &'static str,
}

/// What one kind of plugin has agreed on with its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The variable that hosts of this kind set.
    pub cookie: Cookie,
    /// The versions of the plugin's own services that it serves, in any order. The highest one that the host knows too is
    /// taken.
    pub protocol_versions: &'static [u32],
}

impl Handshake {
    /// The variables that the host set for this plugin and nobody else. A child that the plugin starts inherits them unless
    /// they are cleared:
    ///
    /// ```
    /// # const HANDSHAKE: goplugin::Handshake = goplugin::Handshake {
    /// #     cookie: goplugin::Cookie { key: "GREETER_COOKIE", value: "hello" },
    /// #     protocol_versions: &[1],
    /// # };
    /// let mut child = std::process::Command::new("git");
    /// for name in HANDSHAKE.variables() {
    ///     child.env_remove(name);
    /// }
    /// ```
    ///
    /// The rest of the host's environment (cloud credentials, say) is inherited too; whether a child needs it is for the
    /// plugin to know.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.cookie.key).chain(VARIABLES)
    }

    /// Reads what the host asks for from its variables.
    pub(crate) fn read(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Asked, ServeError> {
        if variable(self.cookie.key).as_deref() != Some(self.cookie.value) {
            return Err(ServeError::NotStartedByHost);
        }
        let filled = |name| variable(name).filter(|value| !value.is_empty());
        Ok(Asked {
            version: self.version(filled(VERSIONS).as_deref()),
            certificate: filled(CLIENT_CERT).map(|pem| one(&pem)).transpose()?,
            folder: filled(SOCKET_DIR).map_or_else(std::env::temp_dir, PathBuf::from),
            multiplex: filled(MULTIPLEX).is_some(),
        })
    }

    /// The version to serve. A host that names none is older than the variable and gets the lowest.
    fn version(&self, list: Option<&str>) -> Version {
        let ours = BTreeSet::from_iter(self.protocol_versions.iter().copied());
        let Some(list) = list else {
            return ours
                .first()
                .map_or(Version::None { ours: 0 }, |lowest| Version::Common(*lowest));
        };
        let theirs: BTreeSet<u32> = list
            .split(',')
            .filter_map(|version| version.trim().parse().ok())
            .collect();
        match ours.intersection(&theirs).last() {
            Some(highest) => Version::Common(*highest),
            None => Version::None {
                ours: ours.last().copied().unwrap_or_default(),
            },
        }
    }
}

/// What the host asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    /// The only certificate that may connect. Without one the host wants no TLS.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    /// Where the socket's own folder goes.
    pub(crate) folder: PathBuf,
    /// Whether the host would like to share one socket among connections, and so reads a seventh field.
    pub(crate) multiplex: bool,
}

/// The outcome of comparing versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Both know it.
    Common(u32),
    /// There is none; `ours` is told to the host, which says both in its error.
    None { ours: u32 },
}

/// The one certificate in `pem`.
fn one(pem: &str) -> Result<CertificateDer<'static>, ServeError> {
    let mut found = CertificateDer::pem_slice_iter(pem.as_bytes());
    match (found.next(), found.next()) {
        (Some(Ok(certificate)), None) => Ok(certificate),
        _ => Err(ServeError::BadClientCertificate),
    }
}

/// The line that answers the host: where we listen, and the only certificate we will show.
pub(crate) fn line(
    version: u32,
    socket: &str,
    certificate: Option<&CertificateDer<'_>>,
    multiplex: bool,
) -> String {
    let certificate = certificate.map_or_else(String::new, |der| STANDARD_NO_PAD.encode(der));
    // Old hosts take everything after the fifth bar for the certificate: the seventh field is only for those who ask.
    let multiplex = if multiplex { "|false" } else { "" };
    format!("{CORE_VERSION}|{version}|unix|{socket}|grpc|{certificate}{multiplex}\n")
}
