//! What clients ask of a broker, and what its events tell.

use serde_json::Value;
use writ_api::client::Client;
use writ_api::problem::Problem;
use writ_api::v1;

/// The request an event is about.
pub fn about(event: &Value) -> Option<&str> {
    let (_, fact) = event["fact"].as_object()?.iter().next()?;
    fact["request"]["id"]
        .as_str()
        .or_else(|| fact["request"].as_str())
}

/// An event's fact: its name and what it holds.
pub fn fact(event: &Value) -> (String, Value) {
    let facts = event["fact"].as_object().expect("a fact");
    let (name, fact) = facts.iter().next().expect("one fact");
    (name.clone(), fact.clone())
}

/// A wish.
pub fn wish(scope: &str, seconds: i64, reason: &str) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        scope: scope.to_owned(),
        duration: Some(prost_types::Duration { seconds, nanos: 0 }),
        reason: reason.to_owned(),
        ..Default::default()
    }
}

/// Asks, and returns the request.
pub async fn ask(client: &Client, wish: v1::CreateRequestRequest) -> Result<v1::Request, Problem> {
    let reply = client
        .requests()
        .create_request(wish)
        .await
        .map_err(|status| Problem::from_status(&status))?;
    Ok(reply.into_inner().request.expect("a request"))
}

/// Approves.
pub async fn approve(client: &Client, id: &str) -> Result<v1::Request, Problem> {
    let approval = v1::ApproveRequestRequest {
        id: id.to_owned(),
        kinds: vec![],
        digest: None,
        ..Default::default()
    };
    let reply = client
        .requests()
        .approve_request(approval)
        .await
        .map_err(|status| Problem::from_status(&status))?;
    Ok(reply.into_inner().request.expect("a request"))
}

/// Issues.
pub async fn issue(client: &Client, id: &str) -> Result<v1::IssueCredentialsResponse, Problem> {
    let issue = v1::IssueCredentialsRequest { id: id.to_owned() };
    let reply = client
        .requests()
        .issue_credentials(issue)
        .await
        .map_err(|status| Problem::from_status(&status))?;
    Ok(reply.into_inner())
}

/// Credentials as the sandbox's client takes them.
pub fn session(reply: &v1::IssueCredentialsResponse) -> writ_sandbox::Session {
    let given = reply.credentials.as_ref().expect("credentials");
    let credentials = writ_sandbox::Credentials::new(
        &given.access_key_id,
        &given.secret_access_key,
        Some(&given.session_token),
    );
    writ_sandbox::Session::new(credentials, &reply.region)
}
