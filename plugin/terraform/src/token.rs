//! The token that says who asks: where it comes from, and, once it was refused, what may be wrong with it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use goplugin::{Masked, mask};
use writ_api::ambient::GithubActions;
use writ_api::client::Token;
use zeroize::Zeroizing;

use crate::arguments::Setting;
use crate::diagnostic::Diagnostic;
use crate::failure::{Failure, Kind};

/// The largest token file, in bytes: STS itself takes no web identity token above 20,000 characters.
const TOKEN_FILE_BYTES_MAX: u64 = 65_536;

/// Variables that hold a token, the likeliest to be meant first. HCP Terraform fills the last two: the one with our tag
/// where the workspace sets `TFC_WORKLOAD_IDENTITY_AUDIENCE_WRIT`, the other where it sets the plain audience.
const VARIABLES: [&str; 3] = [
    "WRIT_TOKEN",
    "TFC_WORKLOAD_IDENTITY_TOKEN_WRIT",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
];

/// The ways to give one, for whoever gave none.
const WAYS: &str = "Give `token` or `token_file` in the provider block, or WRIT_TOKEN or WRIT_TOKEN_FILE in the environment. HCP Terraform gives one when the workspace sets TFC_WORKLOAD_IDENTITY_AUDIENCE_WRIT, a GitHub Actions job with `permissions: id-token: write`.";

/// Where the token comes from.
pub(crate) enum Source {
    /// It is here.
    Given {
        /// The token.
        text: Zeroizing<String>,
        /// What held it, for messages.
        from: &'static str,
    },
    /// A file, read each time.
    File(PathBuf),
    /// GitHub's own issuer, asked each time.
    Github {
        /// The job.
        job: GithubActions,
        /// The audience; the broker's address where there is none.
        audience: Option<String>,
    },
    /// An attribute of the provider block that is not known yet.
    NotYet(&'static str),
    /// None.
    Nowhere,
}

/// A token, and what to say of it when it is refused.
pub(crate) struct Shown {
    /// The token.
    pub(crate) token: Token,
    /// Where it came from: `` `WRIT_TOKEN` ``.
    pub(crate) from: String,
    /// When it says that it ends, in seconds since 1970.
    pub(crate) expires_s: Option<i64>,
    /// Keeps it out of the log.
    pub(crate) masked: Masked,
}

impl Source {
    /// The block's own `token`, its `token_file`, WRIT_TOKEN_FILE, [`VARIABLES`], GitHub; the first that there is.
    pub(crate) fn find(
        token: Setting<Zeroizing<String>>,
        token_file: Setting<String>,
        audience: Option<String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Source {
        match (token, token_file) {
            (Setting::Known(text), _) => {
                return Source::Given {
                    text,
                    from: "`token` of the provider block",
                };
            }
            (Setting::Unknown, _) => return Source::NotYet("token"),
            (Setting::Absent, Setting::Known(path)) => return Source::File(path.into()),
            (Setting::Absent, Setting::Unknown) => return Source::NotYet("token_file"),
            (Setting::Absent, Setting::Absent) => {}
        }
        if let Some(path) = variable("WRIT_TOKEN_FILE") {
            return Source::File(path.into());
        }
        for name in VARIABLES {
            if let Some(text) = variable(name) {
                return Source::Given {
                    text: Zeroizing::new(text),
                    from: name,
                };
            }
        }
        match GithubActions::from_environment(variable) {
            Some(job) => Source::Github { job, audience },
            None => Source::Nowhere,
        }
    }

    /// The token as it is now, for the broker at `address`.
    pub(crate) async fn token(&self, address: &str) -> Result<Shown, Failure> {
        let (text, from) = match self {
            Source::Given { text, from } => (text.clone(), (*from).to_owned()),
            Source::File(path) => {
                let from = format!("the file `{}`", path.display());
                (read(path).map_err(|why| unusable(&from, &why))?, from)
            }
            Source::Github { job, audience } => {
                let from = "GitHub's OIDC issuer".to_owned();
                let token = job
                    .token(audience.as_deref().unwrap_or(address))
                    .await
                    .map_err(|error| unusable(&from, &error.to_string()))?;
                (Zeroizing::new(token.reveal().to_owned()), from)
            }
            Source::NotYet(attribute) => {
                return Err(Failure::new(
                    Kind::Final,
                    Diagnostic::error(
                        format!("the provider's `{attribute}` is not known yet"),
                        "It depends on something that exists only after the apply. Give it a value that is known before.",
                    ),
                ));
            }
            Source::Nowhere => {
                return Err(Failure::new(
                    Kind::Final,
                    Diagnostic::error("there is no token that says who asks", WAYS),
                ));
            }
        };
        let token = Token::new(&text).map_err(|error| unusable(&from, &error.to_string()))?;
        let expires_s = expiry(&text);
        Ok(Shown {
            token,
            from,
            expires_s,
            masked: mask(text.trim()),
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > TOKEN_FILE_BYTES_MAX {
        return Err(format!("it has more than {TOKEN_FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}

fn unusable(from: &str, why: &str) -> Failure {
    Failure::new(
        Kind::Final,
        Diagnostic::error(
            "there is no token that says who asks",
            format!("There should be one in {from}, but: {why}.\n\n{WAYS}"),
        ),
    )
}

/// When a token says that it ends. Nothing is verified here: it only helps to say why the broker may have refused it.
fn expiry(token: &str) -> Option<i64> {
    let claims = token.trim().split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_i64()
}

/// What to say of a token that the broker refused.
pub(crate) fn refused(from: &str, expires_s: Option<i64>, address: &str, now_s: i64) -> Failure {
    let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
    let why = match expires_s {
        Some(expires_s) if expires_s <= now_s => {
            format!("That token ended at {}; give a fresh one.", at(expires_s))
        }
        Some(_) | None => "The broker's log says why: it may come from an issuer, or be for an audience, that the broker does not take, or name nobody it knows."
            .to_owned(),
    };
    Failure::new(
        Kind::NotAuthenticated,
        Diagnostic::error(
            format!("the broker at `{address}` refuses the token"),
            format!("It comes from {from}. {why}"),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a source is, in words.
    fn source(token: Option<&str>, file: Option<&str>, variables: &[(&str, &str)]) -> String {
        let setting = |text: Option<&str>| {
            text.map_or(Setting::Absent, |text| Setting::Known(text.to_owned()))
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let audience = variable("WRIT_AUDIENCE");
        let token = setting(token).map(Zeroizing::new);
        match Source::find(token, setting(file), audience, variable) {
            Source::Given { text, from } => format!("{} of {from}", *text),
            Source::File(path) => format!("the file {}", path.display()),
            Source::Github { audience, .. } => format!("GitHub, for {audience:?}"),
            Source::NotYet(attribute) => format!("{attribute} is not known"),
            Source::Nowhere => "nowhere".to_owned(),
        }
    }

    #[test]
    fn the_nearest_source_of_a_token_counts() {
        let github = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.test/token?a=b"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "r"),
        ];
        let plain = ("TFC_WORKLOAD_IDENTITY_TOKEN", "plain");
        let tagged = ("TFC_WORKLOAD_IDENTITY_TOKEN_WRIT", "tagged");
        let ours = ("WRIT_TOKEN", "ours");
        let file = ("WRIT_TOKEN_FILE", "/run/token");
        let table = [
            (None, None, vec![], "nowhere"),
            // Half of GitHub's pair is no job that may have a token.
            (None, None, vec![github[0]], "nowhere"),
            (None, None, github.to_vec(), "GitHub, for None"),
            (
                None,
                None,
                [&github[..], &[("WRIT_AUDIENCE", "writ")]].concat(),
                "GitHub, for Some(\"writ\")",
            ),
            (
                None,
                None,
                [&github[..], &[plain]].concat(),
                "plain of TFC_WORKLOAD_IDENTITY_TOKEN",
            ),
            (
                None,
                None,
                vec![plain, tagged],
                "tagged of TFC_WORKLOAD_IDENTITY_TOKEN_WRIT",
            ),
            (None, None, vec![tagged, ours], "ours of WRIT_TOKEN"),
            (None, None, vec![ours, file], "the file /run/token"),
            (None, Some("given"), vec![ours, file], "the file given"),
            (
                Some("written"),
                None,
                vec![ours, file],
                "written of `token` of the provider block",
            ),
        ];
        for (token, file, variables, expected) in table {
            assert_eq!(source(token, file, &variables), expected);
        }
    }
}
