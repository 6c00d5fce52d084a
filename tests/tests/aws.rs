//! The broker's room for AWS against MiniStack, an IAM of other people's making: what the revoker writes is what ends one
//! grant's sessions and no other's.
//!
//! `./tests/run` installs it under `.peers`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::path::Path;

use serde_json::json;
use writ_broker::aws::revoker::{DENIAL_POLICY_NAME, RevokeError, Revoker};
use writ_broker::aws::{AwsSettings, CredentialSource, RevokerSettings};
use writ_engine::scope::RoleArn;
use writ_engine::{Moment, RequestId};
use writ_sandbox::Credentials;
use writ_tests::ministack::{ACCOUNT, BUCKET, MiniStack, ROLE, element};
use writ_tests::{EXTERNAL_ID, write_private};

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
