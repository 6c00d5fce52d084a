//! The world of `writ demo` and `writ dev`: the shipped policies, a broker with its journal, a strict stand-in for AWS STS, and
//! two issuers of tokens, all on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::json;
use writ_broker::config::Config;
use writ_broker::server::Broker;
use writ_engine::window::WINDOW_MAX_S;
use writ_engine::{Bundle, Moment};
use writ_sandbox::{Caller, GithubJob, Issuer, IssuerConfig, Role, Sandbox, SandboxConfig};

use crate::clock;
use crate::failure::Failure;
use crate::private::{make_folder, write};
use crate::verbs::serve::failed;

/// Whom tokens are made for.
pub(crate) const AUDIENCE: &str = "writ-dev";

/// The journal's name in its checkpoints.
const ORIGIN: &str = "localhost/writ-dev";

/// The broker's own role, and a session of it: what a broker on EC2 or EKS calls with.
const BROKER_ROLE: &str = "arn:aws:iam::123456789012:role/writ-broker";
const BROKER_SESSION: &str = "arn:aws:sts::123456789012:assumed-role/writ-broker/dev";

/// Who ends sessions at AWS: a user of its own, since whoever may write roles' policies should assume none.
const REVOKER: &str = "arn:aws:iam::123456789012:user/writ-revoker";

/// The trust policies ask for it, as they should of a broker that serves several tenants.
const EXTERNAL_ID: &str = "writ-dev";

/// Where `writ dev` listens unless the ports are taken: in the range that nobody has registered.
const BROKER_PORT: u16 = 48_100;
const SANDBOX_PORT: u16 = 48_101;

/// How long a person's token lives here, in seconds: a working day.
const PERSON_TOKEN_LIFETIME_S: i64 = 43_200;

/// The bundle that is shipped, as users copy it.
const POLICIES: [(&str, &str); 6] = [
    (
        "schema.cedarschema",
        include_str!("../../../policies/schema.cedarschema"),
    ),
    (
        "access.cedar",
        include_str!("../../../policies/access.cedar"),
    ),
    (
        "approvals.cedar",
        include_str!("../../../policies/approvals.cedar"),
    ),
    (
        "guardrails.cedar",
        include_str!("../../../policies/guardrails.cedar"),
    ),
    ("scopes.hcl", include_str!("../../../policies/scopes.hcl")),
    (
        "directory.hcl",
        include_str!("../../../policies/directory.hcl"),
    ),
];

/// The change freeze of `guardrails.cedar`.
const FREEZE: [&str; 2] = ["2026-12-24T00:00:00Z", "2027-01-02T00:00:00Z"];

/// The people of `directory.hcl`, and the stable ids their issuer gives them.
pub(crate) const PEOPLE: [(&str, &str); 8] = [
    ("mia", "00u1mia"),
    ("pat", "00u2pat"),
    ("lee", "00u3lee"),
    ("sam", "00u4sam"),
    ("zoe", "00u5zoe"),
    ("kim", "00u6kim"),
    ("dana", "00u7dana"),
    ("audrey", "00u8audrey"),
];

/// Which ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Any free ones.
    Any,
    /// Always the same, so that a second terminal's lines stay true; any free one where they are taken.
    Usual,
}

/// A running world. What it is made of stops when it is dropped; [`World::stop`] lets the broker finish first.
pub(crate) struct World {
    folder: PathBuf,
    address: String,
    broker: Broker,
    sandbox: Sandbox,
    corp: Issuer,
    github: Issuer,
}

impl World {
    /// Builds it in `folder`. Policies and a journal that are already there stay; everything else is made anew.
    pub(crate) async fn start(folder: &Path, ports: Ports) -> Result<World, Failure> {
        let folder = prepare(folder)?;
        if ports == Ports::Usual
            && let Ok(world) = World::start_on(&folder, BROKER_PORT, SANDBOX_PORT).await
        {
            return Ok(world);
        }
        // The usual ports are taken; whatever else was wrong is wrong again, and then told.
        World::start_on(&folder, 0, 0).await
    }

    async fn start_on(
        folder: &Path,
        broker_port: u16,
        sandbox_port: u16,
    ) -> Result<World, Failure> {
        let roles = roles(folder)?;
        let caller = Caller::role_session(BROKER_SESSION).map_err(not_started)?;
        write(&folder.join("aws-credentials"), &profile(&caller))?;
        let (revoker, keys) = revoker()?;
        write(&folder.join("aws-revoker"), &keys)?;
        let sandbox = Sandbox::start(SandboxConfig {
            bind: loopback(sandbox_port),
            roles,
            callers: vec![caller, revoker],
            ..SandboxConfig::default()
        })
        .await
        .map_err(not_started)?;
        let corp = Issuer::start(IssuerConfig::default())
            .await
            .map_err(not_started)?;
        let github = Issuer::start(IssuerConfig::default())
            .await
            .map_err(not_started)?;
        let text = configuration(
            loopback(broker_port),
            corp.url(),
            github.url(),
            &sandbox.endpoint_url(),
        );
        let path = folder.join("writ.hcl");
        write(&path, &text)?;
        let config = Config::load(&path)
            .map_err(|report| Failure::drawn("configuration_refused", report.render(false)))?;
        let broker = Broker::start(config)
            .await
            .map_err(|error| failed(&error, false))?;
        Ok(World {
            address: broker.at().to_string(),
            folder: folder.to_owned(),
            broker,
            sandbox,
            corp,
            github,
        })
    }

    /// Where everything of it lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The journal's file.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("writ.db")
    }

    /// The broker's address, as WRIT_ADDR takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The stand-in for AWS.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// A fresh token of a person of [`PEOPLE`].
    pub(crate) fn person_token(&self, name: &str) -> Result<String, Failure> {
        let (_, id) = PEOPLE
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Failure::error(format!("there is no `{name}` in this world")))?;
        self.corp
            .mint(
                json!({ "sub": id, "aud": AUDIENCE }),
                PERSON_TOKEN_LIFETIME_S,
            )
            .map_err(not_started)
    }

    /// A fresh token of a CI job of `acme/payments` on `branch`, as GitHub would give it: it lives five minutes.
    pub(crate) fn job_token(&self, branch: &str) -> Result<String, Failure> {
        let job = GithubJob {
            // As directory.hcl pins them.
            repository_id: "4201".to_owned(),
            repository_owner_id: "77".to_owned(),
            ..GithubJob::on_branch("acme/payments", branch)
        };
        self.github
            .github_token(&job, AUDIENCE)
            .map_err(not_started)
    }

    /// Stops it, the broker first, so that its journal is closed in order. Hands the stand-in for AWS back: sessions outlive
    /// the broker that made them.
    pub(crate) async fn stop(self) -> Result<Sandbox, Failure> {
        self.broker
            .stop()
            .await
            .map_err(|error| failed(&error, false))?;
        Ok(self.sandbox)
    }
}

fn not_started(error: impl std::fmt::Display) -> Failure {
    Failure::error(format!("the world did not start: {error}"))
}

/// Makes the folder and the policies in it, readable by this user only.
fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let cannot = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| Failure::error(format!("cannot make `{what}`: {error}"))
    };
    let policies = folder.join("policies");
    let new = !policies.exists();
    make_folder(&policies)?;
    if new {
        for (name, text) in POLICIES {
            let path = policies.join(name);
            fs::write(&path, thawed(text, clock::now())).map_err(cannot(&path))?;
        }
    }
    // A journal and tokens have no place in a repository.
    let ignore = folder.join(".gitignore");
    fs::write(&ignore, "*\n").map_err(cannot(&ignore))?;
    folder.canonicalize().map_err(cannot(folder))
}

/// The shipped change freeze would stop the deploy that this world is about, so while it is on it is moved by a year.
fn thawed(text: &str, now: Moment) -> String {
    let on = FREEZE.map(|moment| moment.parse::<Moment>());
    match on {
        // A window that only reaches into the freeze is forbidden too.
        [Ok(begins), Ok(ends)] if now.plus_s(WINDOW_MAX_S) > begins && now < ends => text
            .replace(FREEZE[0], "2027-12-24T00:00:00Z")
            .replace(FREEZE[1], "2028-01-02T00:00:00Z"),
        _ => text.to_owned(),
    }
}

/// The roles that the catalog names, trusting the broker as real ones should.
fn roles(folder: &Path) -> Result<Vec<Role>, Failure> {
    let bundle = writ_broker::bundle::read(&folder.join("policies"))
        .and_then(|files| Bundle::load(&files))
        .map_err(|report| Failure::drawn("bundle_refused", report.render(false)))?;
    let mut roles: Vec<Role> = Vec::new();
    for scope in bundle.scopes() {
        let arn = scope.aws.role_arn.as_str();
        if !roles.iter().any(|role| role.arn == arn) {
            roles.push(
                Role::for_broker(arn, BROKER_ROLE, Some(EXTERNAL_ID))
                    .with_max_session_s(scope.aws.max_session_s),
            );
        }
    }
    Ok(roles)
}

/// The broker's own credentials, in the form of `~/.aws/credentials`.
fn profile(caller: &Caller) -> String {
    let credentials = caller.credentials();
    let mut text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        credentials.access_key_id, credentials.secret_access_key
    );
    if let Some(token) = &credentials.session_token {
        text.push_str(&format!("aws_session_token = {token}\n"));
    }
    text
}

/// The identity to revoke with, to be among the stand-in's callers, and its credentials in the form of `~/.aws/credentials`.
fn revoker() -> Result<(Caller, String), Failure> {
    let caller = Caller::revoker(REVOKER).map_err(not_started)?;
    let text = profile(&caller);
    Ok((caller, text))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The broker's `writ.hcl`; the one of a real broker differs in addresses, TLS and credentials only.
fn configuration(broker: SocketAddr, corp: &str, github: &str, sts: &str) -> String {
    format!(
        r#"# Made by `writ dev` at each start.
listener "tcp" {{
  address = "{broker}"
}}

store {{
  path             = "writ.db"
  signing_key_file = "writ.key"
  origin           = "{ORIGIN}"
}}

bundle {{
  path = "policies"
}}

# People.
issuer "corp" {{
  kind       = "oidc"
  url        = "{corp}"
  audience   = "{AUDIENCE}"
  algorithms = ["ES256"]
}}

# CI jobs.
issuer "github" {{
  kind       = "github-actions"
  url        = "{github}"
  audience   = "{AUDIENCE}"
  algorithms = ["ES256"]
}}

# The stand-in for AWS.
aws {{
  credentials      = "profile"
  credentials_file = "aws-credentials"
  endpoint_url     = "{sts}"
  external_id      = "{EXTERNAL_ID}"

  # Another identity, by which ended grants are denied.
  revoker {{
    credentials      = "profile"
    credentials_file = "aws-revoker"
  }}
}}

log {{
  format = "terminal"
  level  = "warn"
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use writ_sandbox::Session;

    use super::*;

    #[test]
    fn every_person_of_the_world_is_in_the_shipped_directory() {
        let (_, directory) = POLICIES
            .iter()
            .find(|(name, _)| *name == "directory.hcl")
            .unwrap();
        for (name, id) in PEOPLE {
            assert!(directory.contains(&format!("user \"{name}\"")), "{name}");
            assert!(directory.contains(&format!("\"{id}\"")), "{id}");
        }
    }

    #[tokio::test]
    async fn the_revoker_has_long_lived_keys_of_its_own_and_never_a_session() {
        let (caller, text) = revoker().unwrap();
        let id = caller.credentials().access_key_id.clone();
        assert!(id.starts_with("AKIA"), "{id}");
        assert!(text.contains(&format!("\naws_access_key_id = {id}\n")));
        assert!(!text.contains("aws_session_token"));
        let role = "arn:aws:iam::123456789012:role/jit";
        let sandbox = Sandbox::start(SandboxConfig {
            roles: vec![Role::for_broker(role, REVOKER, None)],
            callers: vec![caller.clone()],
            ..SandboxConfig::default()
        })
        .await
        .unwrap();
        let endpoint = sandbox.endpoint_url();
        let session = |region| Session::new(caller.credentials().clone(), region);
        let told = [
            ("Action", "GetRole"),
            ("Version", "2010-05-08"),
            ("RoleName", "jit"),
        ];
        let told = session("us-east-1").query(&endpoint, "iam", &told).await;
        assert!(told.unwrap().allowed());
        let asked = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", "writ-1"),
        ];
        let refused = session("eu-west-1").query(&endpoint, "sts", &asked).await;
        assert_eq!(refused.unwrap().code.as_deref(), Some("AccessDenied"));
    }

    #[test]
    fn every_file_of_the_shipped_bundle_is_embedded() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        let mut names: Vec<_> = fs::read_dir(shipped)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".md"))
            .collect();
        names.sort();
        let mut embedded: Vec<_> = POLICIES.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(names, embedded);
    }

    #[test]
    fn the_freeze_stops_no_demo_and_is_left_alone_the_rest_of_the_year() {
        let (_, guardrails) = POLICIES
            .iter()
            .find(|(name, _)| *name == "guardrails.cedar")
            .unwrap();
        for moment in FREEZE {
            assert!(guardrails.contains(moment), "{moment}");
        }
        for (now, frozen) in [
            ("2026-11-21T09:00:00Z", false),
            ("2026-12-23T11:59:59Z", false),
            ("2026-12-23T12:00:01Z", true),
            ("2026-12-31T09:00:00Z", true),
            ("2027-01-02T00:00:00Z", false),
        ] {
            let text = thawed(guardrails, now.parse().unwrap());
            assert_eq!(text != *guardrails, frozen, "{now}");
            assert_eq!(text.lines().count(), guardrails.lines().count());
        }
    }
}
