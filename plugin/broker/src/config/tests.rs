use super::*;
use crate::aws::CredentialSource;
use crate::identity::{Algorithm, IssuerKind};

const WHOLE: &str = r#"
listener "tcp" {
  address = "0.0.0.0:8443"
  tls {
    cert_file = "tls/cert.pem"
    key_file  = "/etc/writ/key.pem"
  }
}
store {
  path             = "writ.db"
  signing_key_file = "writ.key"
  origin           = "writ.example.com/journal"
}
bundle {
  path = "policies"
}
issuer "corp" {
  kind            = "oidc"
  url             = "https://login.example.com"
  audience        = "https://writ.example.com"
  algorithms      = ["ES256"]
  stable_id_claim = "oid"
  required_claims = { tid = "a1" }
}
issuer "github" {
  kind     = "github-actions"
  url      = "https://token.actions.githubusercontent.com"
  audience = "https://writ.example.com"
}
aws {
  credentials = "web-identity"
}
notices {
  url          = "https://hooks.example.com/writ?team=payments"
  secret_file  = "notices.secret"
  ca_cert_file = "/etc/writ/ca.pem"
}
log {
  format = "terminal"
  level  = "debug"
}
"#;

fn parse(text: &str) -> Result<Config, Report> {
    Config::parse("writ.hcl", text, Path::new("/etc/writ.d"))
}

#[test]
fn a_whole_file_is_read_and_its_paths_are_relative_to_it() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(
        config.listener,
        Listener::Tcp {
            address: "0.0.0.0:8443".parse().unwrap(),
            tls: Some(TlsFiles {
                cert_file: "/etc/writ.d/tls/cert.pem".into(),
                key_file: "/etc/writ/key.pem".into(),
            }),
        }
    );
    assert_eq!(config.store.path, Path::new("/etc/writ.d/writ.db"));
    assert_eq!(config.bundle, Source::Folder("/etc/writ.d/policies".into()));
    let [corp, github] = config.issuers.as_slice() else {
        panic!("two issuers");
    };
    assert_eq!(corp.algorithms, [Algorithm::Es256]);
    assert_eq!(corp.stable_id_claim, "oid");
    assert_eq!(corp.required_claims["tid"], "a1");
    assert_eq!(github.kind, IssuerKind::GithubActions);
    assert_eq!(github.algorithms, [Algorithm::Rs256]);
    assert_eq!(config.aws.credentials, CredentialSource::WebIdentity);
    assert_eq!(config.log.level, Level::DEBUG);
    let notices = config.notices.unwrap();
    assert_eq!(notices.url.host(), "hooks.example.com");
    assert_eq!(notices.secret_file, Path::new("/etc/writ.d/notices.secret"));
    assert_eq!(
        notices.ca_cert_file.as_deref(),
        Some(Path::new("/etc/writ/ca.pem"))
    );
}

#[test]
fn the_defaults_are_the_careful_ones() {
    let config = parse(&WHOLE.replace(
        "log {\n  format = \"terminal\"\n  level  = \"debug\"\n}",
        "",
    ));
    let config = config.unwrap();
    assert_eq!(config.log, Log::default());
    assert!(config.aws.role_session);
    assert_eq!(config.aws.endpoint_url, None);
    let (before, rest) = WHOLE.split_once("notices {").unwrap();
    let silent = format!("{before}{}", &rest[rest.find("log {").unwrap()..]);
    assert_eq!(parse(&silent).unwrap().notices, None);
}

#[test]
fn each_mistake_is_named_with_what_would_work() {
    // What is replaced by what, and what the report then says.
    let table = [
        (
            "address = \"0.0.0.0:8443\"",
            "adress = \"0.0.0.0:8443\"",
            "did you mean `address`",
        ),
        (
            "\"0.0.0.0:8443\"",
            "\"localhost\"",
            "write it like `127.0.0.1:8443`",
        ),
        (
            "listener \"tcp\"",
            "listener \"tpc\"",
            "use `tcp` or `unix`",
        ),
        ("listener \"tcp\" {", "listener {", "exactly one name"),
        ("store {", "stoer {", "did you mean `store`"),
        (
            "\"writ.example.com/journal\"",
            "\"a b\"",
            "an origin is a name",
        ),
        (
            "\"writ.example.com/journal\"",
            "\"a+b\"",
            "an origin is a name",
        ),
        (
            "kind            = \"oidc\"",
            "kind = \"saml\"",
            "use `oidc` or `github-actions`",
        ),
        ("[\"ES256\"]", "[\"HS256\"]", "use `RS256`"),
        ("[\"ES256\"]", "[\"none\"]", "use `RS256`"),
        ("[\"ES256\"]", "[]", "algorithms"),
        (
            "\"https://login.example.com\"",
            "\"http://login.example.com\"",
            "not encrypted",
        ),
        (
            "stable_id_claim = \"oid\"",
            "stable_id_claim = \"email\"",
            "use `sub`",
        ),
        ("{ tid = \"a1\" }", "{ tid = 1 }", "must be a string"),
        ("\"web-identity\"", "\"wdb\"", "use `environment`"),
        (
            "\"web-identity\"",
            "\"profile\"",
            "lacks `credentials_file`",
        ),
        (
            "aws {",
            "aws {\n  endpoint_url = \"http://sts.example.com\"",
            "not encrypted",
        ),
        (
            "aws {",
            "aws {\n  external_id = \"x\"",
            "an external id has",
        ),
        (
            "aws {",
            "aws {\n  secret_access_key = \"x\"",
            "takes no `secret_access_key`",
        ),
        ("aws {", "aws {\n  revoker { }", "lacks `credentials`"),
        (
            "aws {",
            "aws {\n  revoker {\n    credentials = \"environment\"\n    external_id = \"abc\"\n  }",
            "takes no `external_id`",
        ),
        ("url          =", "# url =", "lacks `url`"),
        (
            "\"https://hooks.example.com/writ?team=payments\"",
            "\"http://hooks.example.com/\"",
            "not encrypted",
        ),
        (
            "\"https://hooks.example.com/writ?team=payments\"",
            "\"https://169.254.169.254/\"",
            "may not be dialled",
        ),
        ("secret_file  =", "secret       =", "takes no `secret`"),
        ("secret_file  =", "# secret_file =", "lacks `secret_file`"),
        (
            "\"notices.secret\"",
            "[\"notices.secret\"]",
            "must be a string",
        ),
        ("ca_cert_file =", "ca_file =", "takes no `ca_file`"),
        ("notices {", "notice {", "did you mean `notices`"),
        (
            "notices {",
            "notices {\n}\nnotices {",
            "more than one `notices` block",
        ),
        (
            "format = \"terminal\"",
            "format = \"xml\"",
            "use `json` or `terminal`",
        ),
        (
            "level  = \"debug\"",
            "level = \"loud\"",
            "use `error`, `warn`",
        ),
        (
            "bundle {\n  path = \"policies\"\n}",
            "",
            "lacks a block `bundle`",
        ),
    ];
    for (what, instead, expected) in table {
        assert!(WHOLE.contains(what), "{what}");
        let report = parse(&WHOLE.replace(what, instead))
            .unwrap_err()
            .to_string();
        // The report wraps long lines; the words are compared without the breaks.
        let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.replace("│ ", "");
        assert!(words.contains(expected), "{what} -> {instead}:\n{report}");
    }
}

const COMMIT: &str = "9fceb02d0ae598e95dc970b74767f19372d61af8";

const BRANCH: &str = r#"  git {
    repository           = "policies.git"
    branch               = "main"
    folder               = "teams/policies"
    allowed_signers_file = "allowed_signers"
    anchor               = "9fceb02d0ae598e95dc970b74767f19372d61af8"
    accept_rewrite {
      from = "9fceb02d0ae598e95dc970b74767f19372d61af8"
      to   = "1111111111111111111111111111111111111111"
    }
  }
"#;

fn from_branch(what: &str, instead: &str) -> Result<Config, Report> {
    assert!(BRANCH.contains(what), "{what}");
    parse(&WHOLE.replace("  path = \"policies\"\n", &BRANCH.replace(what, instead)))
}

#[test]
fn a_bundle_comes_from_a_folder_or_a_branch() {
    let commit: writ_engine::digest::CommitId = COMMIT.parse().unwrap();
    let Source::Branch(branch) = from_branch("", "").unwrap().bundle else {
        panic!("a branch");
    };
    assert_eq!(branch.repository, Path::new("/etc/writ.d/policies.git"));
    assert_eq!(
        (branch.branch.as_str(), branch.folder.as_str()),
        ("main", "teams/policies")
    );
    let signed = branch.signed.unwrap();
    assert_eq!(
        signed.allowed_signers_file,
        Path::new("/etc/writ.d/allowed_signers")
    );
    assert_eq!(signed.anchor, commit);
    let step = branch.accept_rewrite.unwrap();
    assert_eq!((step.from, step.to.short()), (commit, "111111111111"));

    let least = "  git {\n    repository = \"/srv/p.git\"\n    branch = \"team/main\"\n    folder = \".\"\n  }\n";
    let Source::Branch(branch) = from_branch(BRANCH, least).unwrap().bundle else {
        panic!("a branch");
    };
    assert_eq!(branch.signed, None);
    assert_eq!(branch.accept_rewrite, None);

    // What is replaced by what, and what the report then says.
    let both = format!("  path = \"policies\"\n{BRANCH}");
    let table = [
        (BRANCH, both.as_str(), "comes from two places"),
        (BRANCH, "", "comes from nowhere"),
        ("folder ", "folders", "did you mean `folder`"),
        ("repository ", "#", "lacks `repository`"),
        ("\"main\"", "\"refs/heads/main\"", "without `refs/heads/`"),
        ("\"main\"", "\"-main\"", "is no name of a branch"),
        ("\"main\"", "\"ma*n\"", "is no name of a branch"),
        ("\"main\"", "\"main..x\"", "is no name of a branch"),
        ("\"main\"", "\"main/\"", "is no name of a branch"),
        ("\"main\"", "\"main@{1}\"", "is no name of a branch"),
        ("\"main\"", "\"main.lock\"", "is no name of a branch"),
        ("\"teams/policies\"", "\"../policies\"", "is no folder"),
        ("\"teams/policies\"", "\"/policies\"", "is no folder"),
        ("\"teams/policies\"", "\"policies/\"", "is no folder"),
        ("anchor  ", "#", "lacks `anchor`"),
        ("allowed_signers_file", "#", "lacks `allowed_signers_file`"),
        (
            "anchor               = \"9fceb02d0ae598e95dc970b74767f19372d61af8\"",
            "anchor = \"9fceb02\"",
            "a commit's id is 40 or 64",
        ),
        ("from =", "form =", "did you mean `from`"),
        (
            "\"1111111111111111111111111111111111111111\"",
            "\"HEAD\"",
            "a commit's id is 40 or 64",
        ),
    ];
    for (what, instead, expected) in table {
        let report = from_branch(what, instead).unwrap_err();
        let said: Vec<String> = report
            .findings()
            .iter()
            .map(|finding| format!("{finding} {}", finding.help.as_deref().unwrap_or_default()))
            .collect();
        assert!(
            said.iter().any(|said| said.contains(expected)),
            "{what} -> {instead}: {said:?}"
        );
    }
}

#[test]
fn another_machine_is_never_served_without_tls_and_loopback_may_be() {
    let plain = |address: &str| {
        let block = format!("listener \"tcp\" {{\n  address = \"{address}\"\n}}");
        let (start, end) = (
            WHOLE.find("listener").unwrap(),
            WHOLE.find("store {").unwrap(),
        );
        parse(&format!("{}{block}\n{}", &WHOLE[..start], &WHOLE[end..]))
    };
    for open in ["0.0.0.0:8443", "10.0.0.1:1", "[::]:8443", "192.168.1.1:80"] {
        assert!(
            plain(open).unwrap_err().to_string().contains("TLS"),
            "{open}"
        );
    }
    for here in ["127.0.0.1:0", "[::1]:8443", "127.9.9.9:1"] {
        assert!(plain(here).is_ok(), "{here}");
    }
}

#[test]
fn there_is_exactly_one_listener() {
    let unix = "listener \"unix\" {\n  path = \"/run/writ/writ.sock\"\n}\n";
    let two = parse(&format!("{WHOLE}{unix}")).unwrap_err().to_string();
    assert!(two.contains("more than one listener"), "{two}");
    let start = WHOLE.find("store {").unwrap();
    let none = parse(&WHOLE[start..]).unwrap_err().to_string();
    assert!(none.contains("there is no listener"), "{none}");
    let config = parse(&format!("{unix}{}", &WHOLE[start..])).unwrap();
    assert_eq!(
        config.listener,
        Listener::Unix {
            path: "/run/writ/writ.sock".into()
        }
    );
}

/// The whole file, with this instead of the first lines of its `aws` block.
fn with_aws(lines: &str) -> Result<Config, Report> {
    parse(&WHOLE.replace("  credentials = \"web-identity\"", lines))
}

#[test]
fn the_revoker_has_an_identity_of_its_own() {
    let none = parse(WHOLE).unwrap();
    assert_eq!(none.aws.revoker, None);

    let profile = r#"credentials = "profile"
  credentials_file = "keys""#;
    let apart = with_aws(&format!(
        "{profile}\n  revoker {{\n    {profile}\n    profile = \"revoker\"\n  }}"
    ));
    let revoker = apart.unwrap().aws.revoker.unwrap();
    assert_eq!(revoker.endpoint_url, None);
    assert_eq!(
        revoker.credentials,
        CredentialSource::Profile {
            file: "/etc/writ.d/keys".into(),
            profile: "revoker".to_owned(),
        }
    );

    for same in [
        "credentials = \"environment\"".to_owned(),
        "credentials = \"instance\"".to_owned(),
        profile.to_owned(),
    ] {
        let report = with_aws(&format!("{same}\n  revoker {{\n    {same}\n  }}"))
            .unwrap_err()
            .to_string();
        assert!(
            report.contains("the revoker's credentials are those that make sessions"),
            "{same}: {report}"
        );
    }
}

#[test]
fn in_a_sandbox_one_identity_may_do_both_and_nothing_leaves_it() {
    let both = "credentials = \"environment\"";
    let at = |issuing: &str, revoking: &str| {
        with_aws(&format!(
            "{both}\n  {issuing}\n  revoker {{\n    {both}\n    {revoking}\n  }}"
        ))
        .map(|config| config.aws.revoker.unwrap().endpoint_url)
    };
    let here = "endpoint_url = \"http://127.0.0.1:4577\"";
    let inherited = at(here, "").unwrap();
    assert_eq!(inherited.as_deref(), Some("http://127.0.0.1:4577"));
    let own = at(here, "endpoint_url = \"http://localhost:9\"").unwrap();
    assert_eq!(own.as_deref(), Some("http://localhost:9"));
    assert!(at("", "endpoint_url = \"https://[::1]:9\"").is_ok());

    // A VPC endpoint is no sandbox, and STS's is not IAM's.
    let vpc = "endpoint_url = \"https://sts.vpc.example.com\"";
    assert!(at(vpc, "").is_err());
    assert!(at(here, "endpoint_url = \"https://iam.vpc.example.com\"").is_err());
    let other = with_aws(&format!(
        "{both}\n  {vpc}\n  revoker {{\n    credentials = \"instance\"\n  }}"
    ));
    assert_eq!(other.unwrap().aws.revoker.unwrap().endpoint_url, None);
}

#[test]
fn every_error_of_a_file_is_told_at_once() {
    let text = WHOLE
        .replace("\"0.0.0.0:8443\"", "\"x\"")
        .replace("\"ES256\"", "\"HS256\"")
        .replace("\"web-identity\"", "\"x\"")
        .replace("\"terminal\"", "\"x\"");
    assert_eq!(parse(&text).unwrap_err().errors(), 4);
}

#[test]
fn a_key_in_the_wrong_place_is_not_repeated() {
    let text = WHOLE.replace("\"web-identity\"", "\"AKIAIOSFODNN7EXAMPLE\"");
    let report = parse(&text).unwrap_err();
    let findings = report.findings();
    assert!(!findings[0].message.contains("AKIA"));
}

#[test]
fn a_file_that_is_missing_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("writ.hcl");
    assert!(
        Config::load(&path)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    std::fs::write(&path, " ".repeat(300_000)).unwrap();
    assert!(
        Config::load(&path)
            .unwrap_err()
            .to_string()
            .contains("larger than")
    );
    std::fs::write(&path, WHOLE).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(
        config.bundle,
        Source::Folder(folder.path().join("policies"))
    );
}
