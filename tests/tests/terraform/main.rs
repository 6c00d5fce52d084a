//! The real `terraform` with the real provider, against a live broker: what a run does, and what becomes of its window.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

mod endings;
mod example;
mod refusals;
mod runs;
mod secrets;

use writ_api::v1;
use writ_api::v1::request::State;
use writ_tests::World;
use writ_tests::terraform::until;

/// A request of sam's, who is on call and gets this at once, used where the command `used` says.
///
/// The credentials go where a provider's would: into arguments named as those of `provider "aws"` are.
fn on_call(settings: &str, used: &str) -> String {
    format!(
        r#"
provider "writ" {{}}

ephemeral "writ_aws_credentials" "db" {{
  scope    = "prod-db-read"
  reason   = "INC-42"
  applying = terraform.applying
  {settings}
}}

resource "terraform_data" "use" {{
  provisioner "local-exec" {{
    command = <<-EOT
      {used}
    EOT
    environment = {{
      AWS_ACCESS_KEY_ID     = ephemeral.writ_aws_credentials.db.access_key
      AWS_SECRET_ACCESS_KEY = ephemeral.writ_aws_credentials.db.secret_key
      AWS_SESSION_TOKEN     = ephemeral.writ_aws_credentials.db.token
    }}
  }}
}}
"#
    )
}

/// A command that calls `action` of `service` at `endpoint` with the credentials of the environment, as any AWS client
/// would, and fails unless it is let through.
fn call(endpoint: &str, service: &str, action: &str) -> String {
    format!(
        "curl --fail -s -o /dev/null --aws-sigv4 aws:amz:eu-west-1:{service} \
         --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" -H \"x-amz-security-token: $AWS_SESSION_TOKEN\" \
         -d 'Action={action}&Version=2014-10-31' {endpoint}"
    )
}

/// Every request the broker knows, as its auditor sees them, the newest first.
async fn requests(world: &World) -> Vec<v1::Request> {
    let audrey = world.as_person("audrey").await;
    let all = v1::ListRequestsRequest {
        page_size: 100,
        ..Default::default()
    };
    let reply = audrey.requests().list_requests(all).await;
    reply.expect("an auditor sees all").into_inner().requests
}

/// The request with this reason, where there is one.
async fn with_reason(world: &World, reason: &str) -> Option<v1::Request> {
    let all = requests(world).await;
    let mut found = all.into_iter().filter(|request| request.reason == reason);
    let first = found.next();
    assert_eq!(found.next(), None, "more than one request says `{reason}`");
    first
}

/// Waits until the request with this reason stands as asked.
async fn standing(world: &World, reason: &str, state: &str) -> v1::Request {
    until(&format!("`{reason}` to be {state}"), async || {
        let request = with_reason(world, reason).await?;
        (name(&request) == state).then_some(request)
    })
    .await
}

/// Where a request stands, in one word.
fn name(request: &v1::Request) -> &'static str {
    match request.state.as_ref().expect("a state") {
        State::Pending(_) => "pending",
        State::Approved(_) => "approved",
        State::Active(_) => "active",
        State::Expired(_) => "expired",
        State::Denied(_) => "denied",
        State::Withdrawn(_) => "withdrawn",
        State::Lapsed(_) => "lapsed",
        State::Released(_) => "released",
        State::Revoked(_) => "revoked",
    }
}
