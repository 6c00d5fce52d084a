//! MiniStack, an STS and IAM of other people's making, as a process of its own: the roles and the bucket of the tests.
//!
//! `./tests/run` installs it under `.peers`.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use writ_sandbox::sigv4::{self, Signable};
use writ_sandbox::{Credentials, Sandbox, SandboxConfig};

use crate::{EXTERNAL_ID, World, edit, free_port, root, skipped};

/// The account that everything is in.
pub const ACCOUNT: &str = "123456789012";
/// The role that trusts the broker.
pub const ROLE: &str = "jit-payments-deploy";
/// A bucket with one object, `q3`.
pub const BUCKET: &str = "reports";
const REGION: &str = "eu-west-1";

/// MiniStack starts in 4 seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running MiniStack with the roles of this test, until it is dropped.
pub struct MiniStack {
    process: Child,
    at: SocketAddr,
    /// The broker's own user.
    pub issuer: Credentials,
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
    pub async fn start() -> Option<MiniStack> {
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
        self.issuer = self
            .user(
                "writ-issuer",
                &["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            )
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
    pub async fn name_in_bucket_policy(&self, session_name: &str) {
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

    /// A new user who may do these things with anything.
    pub async fn user(&self, name: &str, actions: &[&str]) -> Credentials {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)])
            .await;
        let key = self
            .iam(&[("Action", "CreateAccessKey"), ("UserName", name)])
            .await;
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": actions, "Resource": "*",
        }]});
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", name),
            ("PolicyName", "may"),
            ("PolicyDocument", &policy.to_string()),
        ])
        .await;
        Credentials::new(
            element(&key, "AccessKeyId"),
            element(&key, "SecretAccessKey"),
            None,
        )
    }

    /// A session of [`ROLE`] that bears the grant's tag and may do all that the role may.
    pub async fn session(&self, grant: &str) -> Credentials {
        let (status, body) = self
            .sts(
                &self.issuer,
                &[
                    ("Action", "AssumeRole"),
                    ("RoleArn", &format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")),
                    ("RoleSessionName", &format!("writ-{grant}")),
                    ("ExternalId", EXTERNAL_ID),
                    ("Tags.member.1.Key", "writ:grant"),
                    ("Tags.member.1.Value", grant),
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

    /// A call of IAM by the account's root, which succeeds: the body.
    pub async fn iam(&self, fields: &[(&str, &str)]) -> String {
        let fields = [&[("Version", "2010-05-08")][..], fields].concat();
        let (status, body) = self
            .try_form(&account_root(), "iam", &fields)
            .await
            .unwrap();
        assert_eq!(status, 200, "{fields:?}: {body}");
        body
    }

    /// A call of STS: the status and the body.
    pub async fn sts(&self, who: &Credentials, fields: &[(&str, &str)]) -> (u16, String) {
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

    /// A call of S3: the status and the body.
    pub async fn s3(
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

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// A world whose broker calls this, and whose `payments-deploy` may list the bucket.
    pub async fn world(&self) -> World {
        let mut world = self.furnish_world().await;
        world.up().await;
        world
    }

    /// The same without its broker.
    pub async fn furnish_world(&self) -> World {
        let unused = Sandbox::start(SandboxConfig::default()).await.unwrap();
        World::built(
            unused,
            &self.url(),
            &self.issuer.access_key_id,
            &self.issuer.secret_access_key,
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

    /// Whether the session has not expired.
    pub async fn lives(&self, session: &Credentials) -> bool {
        self.sts(session, &[("Action", "GetCallerIdentity")])
            .await
            .0
            == 200
    }
}

/// The text of the first `name` element.
pub fn element<'a>(xml: &'a str, name: &str) -> &'a str {
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
