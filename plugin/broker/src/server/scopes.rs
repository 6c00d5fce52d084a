//! `ScopeService`: what can be asked for, and whether it would be given.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use writ_api::v1;
use writ_api::v1::scope_service_server::ScopeService;

use super::gate::Gate;
use crate::desk::Desk;
use crate::identity::Identity;
use crate::wire::{self, About, fields};

/// Scopes over gRPC.
pub(super) struct Scopes(pub(super) Arc<Gate>);

#[tonic::async_trait]
impl ScopeService for Scopes {
    async fn list_scopes(
        &self,
        request: Request<v1::ListScopesRequest>,
    ) -> Result<Response<v1::ListScopesResponse>, Status> {
        let work = |desk: Arc<Desk>, who: Identity, _| async move {
            let offers = desk.offers(&who);
            let scopes = offers
                .iter()
                .map(|(scope, offer)| wire::offer(scope, offer));
            Ok(v1::ListScopesResponse {
                scopes: scopes.collect(),
            })
        };
        self.0.call("ListScopes", request, work).await
    }

    async fn check_access(
        &self,
        request: Request<v1::CheckAccessRequest>,
    ) -> Result<Response<v1::CheckAccessResponse>, Status> {
        let work = |desk: Arc<Desk>, who: Identity, message| async move {
            let wish = fields::dry_wish(message)?;
            let about = About::Scope(wish.scope.clone());
            let decision = desk.check(&who, &wish);
            let decision = decision.map_err(|refused| wire::problem(refused, &about))?;
            Ok(v1::CheckAccessResponse {
                decision: Some(wire::decision(&decision)),
            })
        };
        self.0.call("CheckAccess", request, work).await
    }
}
