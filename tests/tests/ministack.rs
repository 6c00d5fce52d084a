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

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use writ_api::problem::Reason;
use writ_api::v1;
use writ_sandbox::sigv4::{self, Signable};
use writ_sandbox::{Credentials, Sandbox, SandboxConfig};
use writ_tests::{EXTERNAL_ID, World, ask, edit, free_port, issue, root, skipped, wish};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-west-1";
const ROLE: &str = "jit-payments-deploy";
const BUCKET: &str = "reports";

/// How long the windows of these tests are, in seconds: long enough to use them on a loaded machine.
const WINDOW_S: i64 = 8;

/// MiniStack starts in 4 seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running MiniStack with the roles of this test, until it is dropped.
struct MiniStack {
    process: Child,
    at: SocketAddr,
    issuer: Credentials,
    _dir: TempDir,
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn account_root() -> Credentials {
    Credentials::new("root", "rootsecret", None)
}

impl MiniStack {
    /// Starts it on a port and in a folder of its own; `None` where it is not installed.
    async fn start() -> Option<MiniStack> {
        let program = root().join(".peers/venv/bin/ministack");
        if !program.exists() {
            skipped("ministack", "it is not installed; `./tests/run` does that");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("ministack-")
            .tempdir()
            .unwrap();
        let port = free_port();
        let process = Command::new(program)
            .env("AUTH", "true")
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
            .env("SERVICES", "sts,iam,s3")
            .env("AWS_ACCESS_KEY_ID", "root")
            .env("AWS_SECRET_ACCESS_KEY", "rootsecret")
            .env("S3_DATA_DIR", dir.path().join("s3"))
            .env("TMPDIR", dir.path())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ministack's process starts");
        let mut stack = MiniStack {
            process,
            at: SocketAddr::from(([127, 0, 0, 1], port)),
            issuer: account_root(),
            _dir: dir,
        };
        stack.ready().await;
        stack.furnish().await;
        Some(stack)
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let who = [("Action", "GetCallerIdentity")];
        loop {
            if let Ok((200, _)) = self.try_form(&account_root(), "sts", &who).await {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "ministack ended: {ended:?}");
            assert!(Instant::now() < deadline, "ministack does not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The broker's user, a role that trusts it, a role that does not, and a bucket with one object.
    async fn furnish(&mut self) {
        self.iam(&[("Action", "CreateUser"), ("UserName", "writ-issuer")])
            .await;
        let key = self
            .iam(&[("Action", "CreateAccessKey"), ("UserName", "writ-issuer")])
            .await;
        self.issuer = Credentials::new(
            element(&key, "AccessKeyId"),
            element(&key, "SecretAccessKey"),
            None,
        );
        let may_assume = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            "Resource": "*",
        }]});
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", "writ-issuer"),
            ("PolicyName", "issue"),
            ("PolicyDocument", &may_assume.to_string()),
        ])
        .await;
        // As the README recommends, but for the source identity, which MiniStack does not know.
        let trust = |external_id: &str| {
            json!({ "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:user/writ-issuer") },
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                "Condition": {
                    "StringEquals": { "sts:ExternalId": external_id },
                    "StringLike": { "sts:RoleSessionName": "writ-*", "aws:RequestTag/writ:grant": "?*" },
                },
            }]})
            .to_string()
        };
        for (role, trust) in [
            (ROLE, trust(EXTERNAL_ID)),
            ("jit-prod-db-read", trust("another")),
        ] {
            self.iam(&[
                ("Action", "CreateRole"),
                ("RoleName", role),
                ("AssumeRolePolicyDocument", &trust),
            ])
            .await;
            let all_of_s3 = json!({ "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "s3:*", "Resource": "*",
            }]});
            self.iam(&[
                ("Action", "PutRolePolicy"),
                ("RoleName", role),
                ("PolicyName", "s3"),
                ("PolicyDocument", &all_of_s3.to_string()),
            ])
            .await;
        }
        let here = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let root = account_root();
        assert_eq!(
            self.s3(&root, "PUT", &format!("/{BUCKET}"), "", &here)
                .await
                .0,
            200
        );
        assert_eq!(
            self.s3(&root, "PUT", &format!("/{BUCKET}/q3"), "", "profit")
                .await
                .0,
            200
        );
    }

    /// Lets one session, by its ARN, read the bucket's objects: AWS's way past a session policy's Allow.
    async fn name_in_bucket_policy(&self, session_name: &str) {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{session_name}") },
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
        }]});
        let (status, body) = self
            .s3(
                &account_root(),
                "PUT",
                &format!("/{BUCKET}"),
                "policy=",
                &policy.to_string(),
            )
            .await;
        assert_eq!(status, 204, "{body}");
    }

    async fn iam(&self, fields: &[(&str, &str)]) -> String {
        let fields = [&[("Version", "2010-05-08")][..], fields].concat();
        let (status, body) = self
            .try_form(&account_root(), "iam", &fields)
            .await
            .unwrap();
        assert_eq!(status, 200, "{fields:?}: {body}");
        body
    }

    async fn sts(&self, who: &Credentials, fields: &[(&str, &str)]) -> (u16, String) {
        let fields = [&[("Version", "2011-06-15")][..], fields].concat();
        self.try_form(who, "sts", &fields).await.unwrap()
    }

    async fn try_form(
        &self,
        who: &Credentials,
        service: &str,
        fields: &[(&str, &str)],
    ) -> std::io::Result<(u16, String)> {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        self.send(who, service, "POST", "/", "", &body.join("&"))
            .await
    }

    async fn s3(
        &self,
        who: &Credentials,
        method: &str,
        path: &str,
        query: &str,
        body: &str,
    ) -> (u16, String) {
        self.send(who, "s3", method, path, query, body)
            .await
            .unwrap()
    }

    async fn send(
        &self,
        who: &Credentials,
        service: &str,
        method: &str,
        path: &str,
        query: &str,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        let headers = [
            ("host".to_owned(), self.at.to_string()),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
            ),
            (
                "x-amz-content-sha256".to_owned(),
                hexadecimal(&Sha256::digest(body.as_bytes())),
            ),
        ];
        let signable = Signable {
            method,
            path,
            query,
            headers: &headers,
            body: body.as_bytes(),
        };
        let signature = sigv4::sign(signable, who, REGION, service, Timestamp::now());
        let target = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers.iter().chain(&signature) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut stream = tokio::net::TcpStream::connect(self.at).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await?;
        let reply = String::from_utf8_lossy(&reply);
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|status| status.parse().ok());
        status
            .map(|status| (status, body.to_owned()))
            .ok_or_else(|| std::io::Error::other("not HTTP"))
    }

    /// What the session may do now: list the bucket (the scope's own permission), read an object (only the bucket's policy
    /// gives that), write one (nothing gives that).
    async fn tries(&self, session: &Credentials) -> Tries {
        let (bucket, object) = (format!("/{BUCKET}"), format!("/{BUCKET}/q3"));
        let list = self.s3(session, "GET", &bucket, "", "").await;
        let read = self.s3(session, "GET", &object, "", "").await;
        let write = self.s3(session, "PUT", &object, "", "loss").await;
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

    async fn lives(&self, session: &Credentials) -> bool {
        self.sts(session, &[("Action", "GetCallerIdentity")])
            .await
            .0
            == 200
    }
}

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

/// A world whose broker calls `stack`, and whose `payments-deploy` may list the bucket.
async fn world(stack: &MiniStack) -> World {
    let unused = Sandbox::start(SandboxConfig::default()).await.unwrap();
    World::around(
        unused,
        &format!("http://{}", stack.at),
        &stack.issuer.access_key_id,
        &stack.issuer.secret_access_key,
        |dir| {
            let scopes = dir.join("policies/scopes.hcl");
            edit(
                &scopes,
                r#"["ecs:UpdateService", "ecs:DescribeServices"]"#,
                r#"["s3:ListBucket"]"#,
            );
            edit(
                &scopes,
                "arn:aws:ecs:eu-west-1:123456789012:service/payments/*",
                &format!("arn:aws:s3:::{BUCKET}"),
            );
        },
    )
    .await
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
    let world = world(&stack).await;
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

    let during = stack.tries(&session).await;
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
    assert_eq!(stack.tries(&session).await, NOTHING);
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
        stack.tries(&half).await,
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
    let world = world(&stack).await;

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
        stack.tries(&session).await,
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

/// The text of the first `name` element.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once(&format!("</{name}>"))
        .map_or("", |(text, _)| text)
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
