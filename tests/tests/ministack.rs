//! The broker against MiniStack, an STS and IAM of other people's making that enforce trust policies, session policies and
//! expiry: what Writ issues works, and stops working when the window ends, though the session itself lives on.
//!
//! `./tests/run` installs it under `.peers`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use writ_api::problem::Reason;
use writ_api::v1;
use writ_sandbox::Credentials;
use writ_tests::ministack::{ACCOUNT, BUCKET, MiniStack, ROLE, element};
use writ_tests::{EXTERNAL_ID, ask, issue, wish};

/// How long the windows of these tests are, in seconds: long enough to use them on a loaded machine.
const WINDOW_S: i64 = 8;

#[derive(Debug, PartialEq, Eq)]
struct Tries {
    list: bool,
    read: bool,
    write: bool,
}

const NOTHING: Tries = Tries {
    list: false,
    read: false,
    write: false,
};

/// What the session may do now: list the bucket (the scope's own permission), read an object (only the bucket's policy
/// gives that), write one (nothing gives that).
async fn tries(stack: &MiniStack, session: &Credentials) -> Tries {
    let (bucket, object) = (format!("/{BUCKET}"), format!("/{BUCKET}/q3"));
    let list = stack.s3(session, "GET", &bucket, "", "").await;
    let read = stack.s3(session, "GET", &object, "", "").await;
    let write = stack.s3(session, "PUT", &object, "", "loss").await;
    for (status, body) in [&list, &read, &write] {
        assert!(
            *status == 200 || (*status == 403 && element(body, "Code") == "AccessDenied"),
            "{status}: {body}"
        );
    }
    Tries {
        list: list.0 == 200,
        read: read.0 == 200,
        write: write.0 == 200,
    }
}

fn credentials(given: &v1::IssueCredentialsResponse) -> Credentials {
    let given = given.credentials.as_ref().unwrap();
    Credentials::new(
        &given.access_key_id,
        &given.secret_access_key,
        Some(&given.session_token),
    )
}

fn closes_at(given: &v1::IssueCredentialsResponse) -> Timestamp {
    match given.request.as_ref().unwrap().state.as_ref().unwrap() {
        v1::request::State::Active(active) => {
            let closes_at = active.window.as_ref().unwrap().closes_at.unwrap();
            Timestamp::from_second(closes_at.seconds).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the machine's clock, which MiniStack goes by too, has passed `moment`.
async fn past(moment: Timestamp) {
    while Timestamp::now() <= moment {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_ends_on_the_second_where_the_session_would_live_for_a_quarter_of_an_hour() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let world = stack.world().await;
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", WINDOW_S, "deploy"))
        .await
        .unwrap();
    stack
        .name_in_bucket_policy(&format!("writ-{}", request.id))
        .await;
    let given = issue(&main, &request.id)
        .await
        .expect("MiniStack gives a session");
    let (session, closes_at) = (credentials(&given), closes_at(&given));

    let during = tries(&stack, &session).await;
    assert!(
        Timestamp::now() < closes_at,
        "this machine is too slow for a window of {WINDOW_S} s"
    );
    // The bucket's policy names the session, so the session policy's Allow does not limit it: AWS works like that too.
    assert_eq!(
        during,
        Tries {
            list: true,
            read: true,
            write: false
        }
    );

    past(closes_at).await;
    // That door is shut as well: this is what the Deny half is for.
    assert_eq!(tries(&stack, &session).await, NOTHING);
    assert!(
        stack.lives(&session).await,
        "the session itself has not expired"
    );
    let problem = issue(&main, &request.id).await.unwrap_err();
    assert_eq!(problem.reason, Some(Reason::WrongState));
    assert_eq!(
        world.chapters(&request.id).await,
        ["requested", "issue_intended", "issued"]
    );

    // And it is the Deny half that shut it: with the Allow half alone, the same session would still read.
    let half = allow_half_only(&stack, &format!("writ-{}", request.id)).await;
    assert_eq!(
        tries(&stack, &half).await,
        Tries {
            list: false,
            read: true,
            write: false
        }
    );
}

/// A session such as Writ's, after the window's end, but without the Deny half.
async fn allow_half_only(stack: &MiniStack, session_name: &str) -> Credentials {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": format!("arn:aws:s3:::{BUCKET}"),
        "Condition": { "DateLessThan": { "aws:CurrentTime": "2020-01-01T00:00:00Z" } },
    }]});
    let (status, body) = stack
        .sts(
            &stack.issuer,
            &[
                ("Action", "AssumeRole"),
                ("RoleArn", &format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")),
                ("RoleSessionName", session_name),
                ("DurationSeconds", "900"),
                ("ExternalId", EXTERNAL_ID),
                ("Policy", &policy.to_string()),
                ("Tags.member.1.Key", "writ:grant"),
                ("Tags.member.1.Value", "control"),
            ],
        )
        .await;
    assert_eq!(status, 200, "{body}");
    Credentials::new(
        element(&body, "AccessKeyId"),
        element(&body, "SecretAccessKey"),
        Some(element(&body, "SessionToken")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_trusts_another_broker_gives_nothing_and_what_a_scope_does_not_name_is_refused()
{
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let world = stack.world().await;

    let sam = world.as_person("sam").await;
    let request = ask(&sam, wish("prod-db-read", 600, "INC-7")).await.unwrap();
    let problem = issue(&sam, &request.id).await.unwrap_err();
    assert_eq!(
        (problem.reason, problem.aws_code.as_deref()),
        (Some(Reason::AwsRefused), Some("AccessDenied"))
    );
    let story = world.story(&request.id).await;
    let last: &(String, Value) = story.last().unwrap();
    assert_eq!(
        (last.0.as_str(), &last.1["code"]),
        ("issue_failed", &json!("AccessDenied"))
    );

    // The role may do everything with S3; the session may do what its scope says.
    let main = world.as_ci("main").await;
    let request = ask(&main, wish("payments-deploy", 900, "deploy"))
        .await
        .unwrap();
    let given = issue(&main, &request.id).await.unwrap();
    let session = credentials(&given);
    assert_eq!(
        tries(&stack, &session).await,
        Tries {
            list: true,
            read: false,
            write: false
        }
    );
    // Nor is it a way to another session, whose end would be its own.
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    let again = [
        ("Action", "AssumeRole"),
        ("RoleArn", role.as_str()),
        ("RoleSessionName", "writ-x"),
        ("ExternalId", EXTERNAL_ID),
    ];
    assert_eq!(stack.sts(&session, &again).await.0, 403);
    // Two sessions of one grant bear its name.
    let renewed = issue(&main, &request.id).await.unwrap();
    let (status, who) = stack
        .sts(&credentials(&renewed), &[("Action", "GetCallerIdentity")])
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        element(&who, "Arn"),
        format!(
            "arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/writ-{}",
            request.id
        )
    );
}
