//! What the log says, and what it never says.

use super::*;
use crate::logging::tests::Page;

#[tokio::test]
async fn the_log_names_calls_and_people_and_repeats_nothing_they_sent() {
    let page = Page::default();
    page.log_everything();
    let world = world().await;
    let mia = world.client("mia").await;
    let mut secret = wish("canary-reason");
    secret.ticket = Some("canary-ticket".to_owned());
    secret.idempotency_key = Some("canary-key".to_owned());
    let made = mia.requests().create_request(secret).await.unwrap();
    let made = made.into_inner().request.unwrap();
    let denial = v1::DenyRequestRequest {
        id: made.id.clone(),
        reason: "canary-denial".to_owned(),
    };
    let pat = world.client("pat").await;
    pat.requests().deny_request(denial).await.unwrap();
    let channel = world.channel().await;
    let draft = world.corp.draft("ES256");
    let forged = draft.claim("sub", "canary-subject".into()).sign();
    for token in [forged.as_str(), "canary-token", "canary.a.b"] {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-canary", "canary-header"),
        ];
        let refused = door::raw(&channel, "/writ.v1.ScopeService/ListScopes", &headers).await;
        assert!(!refused.unwrap_err().message().contains("canary"));
    }
    world.broker.stop().await.unwrap();

    let log = page.text();
    for said in [
        "CreateRequest",
        "DenyRequest",
        "request_id",
        "mia",
        "token_stranger",
        "NOT_AUTHENTICATED",
    ] {
        assert!(log.contains(said), "{said} is missing:\n{log}");
    }
    assert!(!log.contains("canary"), "{log}");
    let (_, signature) = forged.rsplit_once('.').unwrap();
    assert!(!log.contains(signature), "{log}");
}
