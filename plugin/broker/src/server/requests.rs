//! `RequestService`: each call is read, handed to the desk, and written.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};
use writ_api::problem::Problem;
use writ_api::v1;
use writ_api::v1::request_service_server::RequestService;

use super::gate::Gate;
use super::stream::{Out, Streaming};
use crate::desk::{CaseView, Desk, Refused};
use crate::identity::Identity;
use crate::wire::{self, About, fields};

/// How often a watched request is looked at when nothing is heard of it, in seconds: what depends on the policy or the
/// directory (who could approve) changes without an event of the request.
const WATCH_LOOK_S: u64 = 30;

/// The shortest pause between two looks, in milliseconds: the timer and the broker's clock need not agree to the last one.
const WATCH_PAUSE_MS: u64 = 50;

/// Requests over gRPC.
pub(super) struct Requests(pub(super) Arc<Gate>);

type Answer<R> = Result<Response<R>, Status>;

fn about(id: &str) -> impl FnOnce(Refused) -> Problem + use<> {
    let about = About::Request(id.to_owned());
    move |refused| wire::problem(refused, &about)
}

fn one(view: &CaseView) -> Option<v1::Request> {
    Some(wire::request(view))
}

#[tonic::async_trait]
impl RequestService for Requests {
    async fn create_request(
        &self,
        request: Request<v1::CreateRequestRequest>,
    ) -> Answer<v1::CreateRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message| async move {
            let ask = fields::ask(message)?;
            let about = About::Scope(ask.wish.scope.clone());
            let view = desk.create(&who, ask).await;
            let view = view.map_err(|refused| wire::problem(refused, &about))?;
            Ok(v1::CreateRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("CreateRequest", request, work).await
    }

    async fn get_request(
        &self,
        request: Request<v1::GetRequestRequest>,
    ) -> Answer<v1::GetRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::GetRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let view = desk.get(&who, id).map_err(about(id))?;
            Ok(v1::GetRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("GetRequest", request, work).await
    }

    async fn list_requests(
        &self,
        request: Request<v1::ListRequestsRequest>,
    ) -> Answer<v1::ListRequestsResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ListRequestsRequest| async move {
            let filter = fields::filter(message.filter)?;
            let size = fields::requests_page(message.page_size)?;
            let from = fields::request_token(&message.page_token)?;
            let page = desk.list(&who, filter, size, from.as_ref());
            Ok(v1::ListRequestsResponse {
                requests: page.views.iter().map(wire::request).collect(),
                next_page_token: page.next.map(String::from).unwrap_or_default(),
            })
        };
        self.0.call("ListRequests", request, work).await
    }

    type WatchRequestStream = Streaming<v1::WatchRequestResponse>;

    async fn watch_request(
        &self,
        request: Request<v1::WatchRequestRequest>,
    ) -> Answer<Self::WatchRequestStream> {
        let begin = |desk: Arc<Desk>, who: Identity, message: v1::WatchRequestRequest| {
            let id = fields::id(&message.id)?;
            let (id, changes) = desk.watch(&who, id).map_err(about(id))?;
            let look = Duration::from_secs(WATCH_LOOK_S);
            Ok(move |out| watch(desk, who, id.to_string(), changes, look, out))
        };
        self.0.stream("WatchRequest", request, begin).await
    }

    async fn approve_request(
        &self,
        request: Request<v1::ApproveRequestRequest>,
    ) -> Answer<v1::ApproveRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ApproveRequestRequest| async move {
            let id = fields::id(&message.id)?.to_owned();
            let consent = fields::consent(message)?;
            let view = desk.approve(&who, &id, consent).await;
            let view = view.map_err(about(&id))?;
            Ok(v1::ApproveRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("ApproveRequest", request, work).await
    }

    async fn deny_request(
        &self,
        request: Request<v1::DenyRequestRequest>,
    ) -> Answer<v1::DenyRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::DenyRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let reason = fields::reason(message.reason)?;
            let view = desk.deny(&who, id, &reason).await.map_err(about(id))?;
            Ok(v1::DenyRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("DenyRequest", request, work).await
    }

    async fn withdraw_request(
        &self,
        request: Request<v1::WithdrawRequestRequest>,
    ) -> Answer<v1::WithdrawRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::WithdrawRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let view = desk.withdraw(&who, id).await.map_err(about(id))?;
            Ok(v1::WithdrawRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("WithdrawRequest", request, work).await
    }

    async fn issue_credentials(
        &self,
        request: Request<v1::IssueCredentialsRequest>,
    ) -> Answer<v1::IssueCredentialsResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::IssueCredentialsRequest| async move {
            let id = fields::id(&message.id)?;
            let session = desk.issue(&who, id).await.map_err(about(id))?;
            Ok(wire::issued(session))
        };
        self.0.call("IssueCredentials", request, work).await
    }

    async fn keep_request(
        &self,
        request: Request<v1::KeepRequestRequest>,
    ) -> Answer<v1::KeepRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::KeepRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let keep_for_s = fields::keep_for_s(message.keep_for)?;
            let view = desk.keep(&who, id, keep_for_s).await.map_err(about(id))?;
            Ok(v1::KeepRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("KeepRequest", request, work).await
    }

    async fn release_request(
        &self,
        request: Request<v1::ReleaseRequestRequest>,
    ) -> Answer<v1::ReleaseRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ReleaseRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let view = desk.release(&who, id).await.map_err(about(id))?;
            Ok(v1::ReleaseRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("ReleaseRequest", request, work).await
    }

    async fn extend_request(
        &self,
        request: Request<v1::ExtendRequestRequest>,
    ) -> Answer<v1::ExtendRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ExtendRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let duration = fields::duration(message.duration)?;
            let reason = fields::reason(message.reason)?;
            let view = desk.extend(&who, id, duration, &reason).await;
            let view = view.map_err(about(id))?;
            Ok(v1::ExtendRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("ExtendRequest", request, work).await
    }

    async fn revoke_request(
        &self,
        request: Request<v1::RevokeRequestRequest>,
    ) -> Answer<v1::RevokeRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::RevokeRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let reason = fields::reason(message.reason)?;
            let view = desk.revoke(&who, id, &reason).await.map_err(about(id))?;
            Ok(v1::RevokeRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("RevokeRequest", request, work).await
    }

    async fn revoke_person(
        &self,
        request: Request<v1::RevokePersonRequest>,
    ) -> Answer<v1::RevokePersonResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::RevokePersonRequest| async move {
            let person = fields::person("person", message.person)?;
            let reason = fields::reason(message.reason)?;
            let revoked = desk.revoke_person(&who, &person, &reason).await;
            let revoked = revoked.map_err(|refused| wire::problem(refused, &About::Nothing))?;
            Ok(v1::RevokePersonResponse {
                requests: revoked.ended.iter().map(wire::request).collect(),
                not_permitted: revoked.not_permitted,
            })
        };
        self.0.call("RevokePerson", request, work).await
    }

    async fn review_request(
        &self,
        request: Request<v1::ReviewRequestRequest>,
    ) -> Answer<v1::ReviewRequestResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ReviewRequestRequest| async move {
            let id = fields::id(&message.id)?;
            let finding = fields::finding(message.finding)?;
            let view = desk.review(&who, id, &finding).await.map_err(about(id))?;
            Ok(v1::ReviewRequestResponse {
                request: one(&view),
            })
        };
        self.0.call("ReviewRequest", request, work).await
    }

    async fn create_delegation(
        &self,
        request: Request<v1::CreateDelegationRequest>,
    ) -> Answer<v1::CreateDelegationResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message| async move {
            let loan = fields::loan(message)?;
            let lent = desk.delegate(&who, loan).await;
            let lent = lent.map_err(|refused| wire::problem(refused, &About::Delegation))?;
            Ok(v1::CreateDelegationResponse {
                delegation: Some(wire::delegation(&lent)),
            })
        };
        self.0.call("CreateDelegation", request, work).await
    }

    async fn list_delegations(
        &self,
        request: Request<v1::ListDelegationsRequest>,
    ) -> Answer<v1::ListDelegationsResponse> {
        let work = |desk: Arc<Desk>, who: Identity, _: v1::ListDelegationsRequest| async move {
            let lent = desk.delegations(&who);
            Ok(v1::ListDelegationsResponse {
                delegations: lent.iter().map(wire::delegation).collect(),
            })
        };
        self.0.call("ListDelegations", request, work).await
    }

    async fn end_delegation(
        &self,
        request: Request<v1::EndDelegationRequest>,
    ) -> Answer<v1::EndDelegationResponse> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::EndDelegationRequest| async move {
            let id = fields::delegation(&message.id)?;
            let ended = desk.end_delegation(&who, &id).await;
            let ended = ended.map_err(|refused| wire::problem(refused, &About::Delegation))?;
            Ok(v1::EndDelegationResponse {
                delegation: Some(wire::delegation(&ended)),
            })
        };
        self.0.call("EndDelegation", request, work).await
    }
}

/// Sends the request now and whenever it looks different: after an event, at the edges of its clocks, or when the policy
/// in force says something else, which is looked at every `look`. Each look asks the desk afresh, so a watcher who may no longer see it sees nothing more.
pub(super) async fn watch(
    desk: Arc<Desk>,
    who: Identity,
    id: String,
    mut changes: tokio::sync::watch::Receiver<u64>,
    look: Duration,
    out: Out<v1::WatchRequestResponse>,
) -> Result<(), Problem> {
    let mut shown = None;
    loop {
        // Marked as seen before looking: an event in between wakes us again.
        changes.borrow_and_update();
        let view = desk.get(&who, &id).map_err(about(&id))?;
        let request = wire::request(&view);
        if shown.as_ref() != Some(&request) {
            shown = Some(request.clone());
            let answer = v1::WatchRequestResponse {
                request: Some(request),
            };
            if !out.send(answer).await {
                return Ok(());
            }
        }
        let Some(edge) = wire::next_edge(&view) else {
            return Ok(());
        };
        let to_edge_ms = u64::try_from(edge.since_ms(view.now)).unwrap_or(0);
        let pause = Duration::from_millis(to_edge_ms.max(WATCH_PAUSE_MS)).min(look);
        drop(view);
        tokio::select! {
            changed = changes.changed() => changed.map_err(|_| wire::shutting_down())?,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
