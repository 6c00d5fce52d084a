//! The broker's room for AWS against MiniStack, an IAM of other people's making: what the revoker writes is what ends one
//! grant's sessions and no other's, and what `writ doctor` finds is what is wrong there.
//!
//! `./tests/run` installs it under `.peers`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use writ_broker::aws::revoker::{DENIAL_POLICY_NAME, RevokeError, Revoker};
use writ_broker::aws::{AwsSettings, CredentialSource, RevokerSettings};
use writ_broker::doctor::Check;
use writ_engine::scope::RoleArn;
use writ_engine::{Moment, RequestId};
use writ_sandbox::Credentials;
use writ_tests::ministack::{ACCOUNT, BUCKET, MiniStack, ROLE, element};
use writ_tests::{EXTERNAL_ID, root, writ, write_private};

/// What the revoker's own policy allows, and all it needs.
const REVOKER_MAY: [&str; 5] = [
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:SimulatePrincipalPolicy",
];

fn role(name: &str) -> RoleArn {
    RoleArn::new(format!("arn:aws:iam::{ACCOUNT}:role/{name}")).unwrap()
}

fn grant(n: u8) -> RequestId {
    RequestId::new(Moment::from_ms(1_760_000_000_000).unwrap(), [n; 10])
}

/// Keys as a profile of a file.
fn profile(dir: &Path, name: &str, keys: &Credentials) -> CredentialSource {
    let file = dir.join(format!("{name}.credentials"));
    let text = format!(
        "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.access_key_id, keys.secret_access_key
    );
    write_private(&file, &text);
    CredentialSource::Profile {
        file,
        profile: name.to_owned(),
    }
}

async fn settings(stack: &MiniStack, dir: &Path) -> AwsSettings {
    let revoker = stack.user("writ-revoker", &REVOKER_MAY).await;
    AwsSettings {
        credentials: profile(dir, "issuer", &stack.issuer),
        role_session: false,
        endpoint_url: Some(stack.url()),
        external_id: Some(EXTERNAL_ID.to_owned()),
        revoker: Some(RevokerSettings {
            credentials: profile(dir, "revoker", &revoker),
            endpoint_url: Some(stack.url()),
        }),
    }
}

/// Whether S3 lets the session read the object that its role may read.
async fn works(stack: &MiniStack, session: &Credentials) -> bool {
    let (status, body) = stack
        .s3(session, "GET", &format!("/{BUCKET}/q3"), "", "")
        .await;
    assert!(
        status == 200 || (status == 403 && element(&body, "Code") == "AccessDenied"),
        "{status}: {body}"
    );
    status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn one_grant_is_denied_by_its_tag_while_the_other_works_and_the_denial_can_be_taken_back() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let revoker = Revoker::new(&settings(&stack, dir.path()).await).unwrap();
    let role = role(ROLE);
    let (ended, other) = (grant(1), grant(2));
    let first = stack.session(ended.as_str()).await;
    let second = stack.session(other.as_str()).await;
    assert_eq!(revoker.read(&role).await, Ok(None));
    assert!(works(&stack, &first).await && works(&stack, &second).await);

    let denial = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:PrincipalTag/writ:grant": [ended] } },
    }]})
    .to_string();
    assert_eq!(revoker.write(&role, &denial).await, Ok(()));
    assert_eq!(revoker.read(&role).await, Ok(Some(denial.clone())));
    assert!(!works(&stack, &first).await);
    assert!(works(&stack, &second).await);
    // To write the same again is harmless.
    assert_eq!(revoker.write(&role, &denial).await, Ok(()));
    assert!(!works(&stack, &first).await && works(&stack, &second).await);

    assert_eq!(revoker.remove(&role).await, Ok(()));
    assert_eq!(revoker.read(&role).await, Ok(None));
    assert!(works(&stack, &first).await && works(&stack, &second).await);
    assert_eq!(revoker.remove(&role).await, Ok(()));
    // The role's own policy was never touched.
    let left = stack
        .iam(&[("Action", "ListRolePolicies"), ("RoleName", ROLE)])
        .await;
    assert!(left.contains("<member>s3</member>") && !left.contains(DENIAL_POLICY_NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_iam_denies_is_asked_of_it_and_what_it_refuses_is_told() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(&stack, dir.path()).await;
    let revoker = Revoker::new(&settings).unwrap();
    let role_here = role(ROLE);
    assert_eq!(revoker.denies(&role_here, &grant(1)).await, Ok(false));
    // MiniStack's simulation looks at no context, so this denial has no condition. That the grant's tag is sent as context
    // stands in the room's own tests, and that IAM denies by the tag in the test above.
    let all = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
    }]})
    .to_string();
    assert_eq!(revoker.write(&role_here, &all).await, Ok(()));
    assert_eq!(revoker.denies(&role_here, &grant(1)).await, Ok(true));
    assert_eq!(revoker.remove(&role_here).await, Ok(()));

    let no_role = Err(RevokeError::NoSuchRole);
    assert_eq!(revoker.write(&role("nobody"), "{}").await, no_role);
    let elsewhere = RoleArn::new(format!("arn:aws:iam::999999999999:role/{ROLE}")).unwrap();
    assert_eq!(revoker.write(&elsewhere, &all).await, no_role);
    assert_eq!(revoker.remove(&elsewhere).await, no_role);
    assert_eq!(revoker.read(&role_here).await, Ok(None));

    // The identity that makes sessions may not write denials, nor lift them.
    if let Some(revoker) = &mut settings.revoker {
        revoker.credentials = settings.credentials.clone();
    }
    let issuer = Revoker::new(&settings).unwrap();
    let refused = Err(RevokeError::Refused("AccessDenied".to_owned()));
    assert_eq!(issuer.write(&role_here, &all).await, refused);
    assert_eq!(issuer.remove(&role_here).await, refused);

    // Nobody listens there.
    if let Some(revoker) = &mut settings.revoker {
        revoker.endpoint_url = Some("http://127.0.0.1:1".to_owned());
    }
    let lost = Revoker::new(&settings).unwrap();
    assert_eq!(
        lost.write(&role_here, &all).await,
        Err(RevokeError::TryAgain("NoConnection".to_owned()))
    );
    settings.revoker = None;
    assert!(Revoker::new(&settings).is_none());
}

// --- writ doctor ----------------------------------------------------------------------------------------------------------

/// What the doctor reads besides, as the identity that reads IAM.
const READS: [&str; 2] = ["iam:ListRolePolicies", "iam:ListAttachedRolePolicies"];

/// A broker's folder whose `aws` block leads to MiniStack, with an issuer and a revoker of their own. No broker runs.
async fn doctors_world(stack: &MiniStack, revoker_may: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let revoker = stack.user("writ-revoker", revoker_may).await;
    profile(dir.path(), "issuer", &stack.issuer);
    profile(dir.path(), "revoker", &revoker);
    let (url, policies) = (stack.url(), root().join("policies"));
    let config = format!(
        r#"listener "unix" {{ path = "writ.sock" }}
store {{
  path             = "writ.db"
  signing_key_file = "writ.key"
  origin           = "writ.test/journal"
}}
bundle {{ path = "{}" }}
issuer "corp" {{
  kind     = "oidc"
  url      = "https://login.writ.test"
  audience = "writ"
}}
aws {{
  credentials      = "profile"
  credentials_file = "issuer.credentials"
  profile          = "issuer"
  role_session     = false
  endpoint_url     = "{url}"
  external_id      = "{EXTERNAL_ID}"
  revoker {{
    credentials      = "profile"
    credentials_file = "revoker.credentials"
    profile          = "revoker"
  }}
}}
"#,
        policies.display()
    );
    std::fs::write(dir.path().join("writ.hcl"), config).unwrap();
    dir
}

/// Of each scope and check, the severity and what was seen.
type Told = BTreeMap<(String, String), (String, String)>;

/// `writ doctor --json` of these scopes: its exit code, and what it told.
fn doctor(dir: &Path, scopes: &[&str]) -> (i32, Told) {
    let output = Command::new(writ())
        .args(["doctor", "--json", "--config"])
        .arg(dir.join("writ.hcl"))
        .args(scopes)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let heard = String::from_utf8_lossy(&output.stderr).into_owned();
    // No credentials of any session on trial, nor of either identity.
    for secret in ["ASIA", "SessionToken", "SecretAccessKey"] {
        assert!(
            !said.contains(secret) && !heard.contains(secret),
            "{said}{heard}"
        );
    }
    let document: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{heard}"));
    let text = |value: &Value| value.as_str().unwrap_or("(broker)").to_owned();
    let findings = document["doctor"]["findings"].as_array().unwrap();
    let told = findings.iter().map(|it| {
        // Whatever is not well says what would be.
        let severity = text(&it["severity"]);
        let has_fix = !it["fix"].is_null();
        assert!(
            has_fix || ["ok", "skipped"].contains(&severity.as_str()),
            "{it}"
        );
        (
            (text(&it["scope"]), text(&it["check"])),
            (severity, text(&it["seen"])),
        )
    });
    (output.status.code().unwrap(), told.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_sound_world_sound() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let dir = doctors_world(&stack, &[&REVOKER_MAY[..], &READS[..]].concat()).await;
    stack
        .iam(&[
            ("Action", "PutRolePermissionsBoundary"),
            ("RoleName", ROLE),
            (
                "PermissionsBoundary",
                "arn:aws:iam::aws:policy/AmazonS3FullAccess",
            ),
        ])
        .await;
    let (code, told) = doctor(dir.path(), &["payments-deploy"]);
    for (place, (severity, seen)) in &told {
        assert_eq!(severity, "ok", "{place:?}: {seen}");
    }
    assert_eq!(code, 0);
    assert_eq!(told.len(), Check::ALL.len());
    let seen = |scope: &str, check: &str| &told[&(scope.to_owned(), check.to_owned())].1;
    assert!(seen("(broker)", "issuer.identity").contains("user/writ-issuer"));
    assert!(seen("payments-deploy", "revoker.assume").contains("cannot"));
    assert!(seen("payments-deploy", "denials.policy").contains("no grant is denied"));
    // It left nothing behind, and needed nothing of the journal's.
    let left = stack
        .iam(&[("Action", "ListRolePolicies"), ("RoleName", ROLE)])
        .await;
    assert_eq!(left.matches("<member>").count(), 1, "{left}");
    assert!(!dir.path().join("writ.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_broken() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    // Its reads are refused where they are not its work, and it may assume what it can.
    let may = [
        &REVOKER_MAY[..3],
        &["sts:AssumeRole", "iam:ListRolePolicies"],
    ]
    .concat();
    let dir = doctors_world(&stack, &may).await;
    let broker = format!("arn:aws:iam::{ACCOUNT}:user/writ-issuer");
    let anyone = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole" },
    ]});
    stack
        .iam(&[
            ("Action", "CreateRole"),
            ("RoleName", "jit-staging-admin"),
            ("AssumeRolePolicyDocument", &anyone.to_string()),
        ])
        .await;
    let untagged = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": broker },
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
        "Condition": { "StringEquals": { "sts:ExternalId": EXTERNAL_ID } },
    }]});
    stack
        .iam(&[
            ("Action", "UpdateAssumeRolePolicy"),
            ("RoleName", "jit-prod-db-read"),
            ("PolicyDocument", &untagged.to_string()),
        ])
        .await;
    let everything = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
    ]});
    stack
        .iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", ROLE),
            ("PolicyName", DENIAL_POLICY_NAME),
            ("PolicyDocument", &everything.to_string()),
        ])
        .await;

    let (code, told) = doctor(dir.path(), &[]);
    assert_eq!(code, 2);
    let table = [
        ("prod-admin", "role.exists", "fail", "there is no role"),
        (
            "prod-admin",
            "trust.broker",
            "skipped",
            "the role was not read",
        ),
        ("prod-admin", "session.rehearsal", "fail", "refused"),
        (
            "staging-admin",
            "trust.open",
            "fail",
            "its principal is `*`",
        ),
        (
            "staging-admin",
            "trust.broker",
            "fail",
            "not for `sts:SetSourceIdentity` and `sts:TagSession`",
        ),
        ("staging-admin", "trust.external_id", "fail", "without one"),
        ("staging-admin", "revoker.assume", "fail", "can assume"),
        (
            "prod-db-read",
            "trust.broker",
            "fail",
            "not for `sts:TagSession`",
        ),
        ("prod-db-read", "trust.grant_tag", "warn", "without the tag"),
        ("prod-db-read", "session.rehearsal", "fail", "AccessDenied"),
        ("prod-db-read", "revoker.assume", "ok", "cannot"),
        ("payments-deploy", "trust.broker", "ok", "user/writ-issuer"),
        ("payments-deploy", "session.rehearsal", "ok", "granted"),
        (
            "payments-deploy",
            "denials.policy",
            "fail",
            "it allows something",
        ),
        (
            "payments-deploy",
            "role.boundary",
            "warn",
            "no permissions boundary",
        ),
        // The simulation and the list of attached policies are refused to it.
        (
            "payments-deploy",
            "role.self_edit",
            "skipped",
            "iam:SimulatePrincipalPolicy",
        ),
        (
            "payments-deploy",
            "denials.names",
            "skipped",
            "iam:ListAttachedRolePolicies",
        ),
        (
            "payments-deploy",
            "revoker.may",
            "skipped",
            "iam:SimulatePrincipalPolicy",
        ),
        ("(broker)", "revoker.apart", "ok", "another identity"),
        ("(broker)", "clock.skew", "ok", "AWS's"),
    ];
    for (scope, check, severity, words) in table {
        let (found, seen) = &told[&(scope.to_owned(), check.to_owned())];
        assert_eq!(found, severity, "{scope} {check}: {seen}");
        assert!(seen.contains(words), "{scope} {check}: {seen}");
    }

    // One who is not there, for a scope that is misspelt and for AWS that is not there.
    let misspelt = Command::new(writ())
        .args(["doctor", "payment-deploy", "--config"])
        .arg(dir.path().join("writ.hcl"))
        .output()
        .unwrap();
    assert_eq!(misspelt.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&misspelt.stderr).contains("did you mean `payments-deploy`?"));
    drop(stack);
    let (code, told) = doctor(dir.path(), &["payments-deploy"]);
    assert_eq!(code, 1);
    for ((_, check), (severity, seen)) in told {
        let known = check == "session.length";
        assert_eq!(
            severity,
            if known { "ok" } else { "skipped" },
            "{check}: {seen}"
        );
    }
}
