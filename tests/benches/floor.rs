//! The floor: the same kind of server on the same kind of journal, with nothing but the durable appends. It asks nobody who
//! they are, decides nothing, and calls nobody.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use writ_api::v1;
use writ_api::v1::scope_service_server::{ScopeService, ScopeServiceServer};
use writ_broker::journal::{Entry, Journal, SigningKey};

use crate::record::case;

struct Floor {
    journal: Journal,
    number: AtomicU64,
}

/// Starts it on loopback with its journal at `path`, in the runtime it is called in.
pub(crate) async fn start(path: &Path) -> SocketAddr {
    let key = SigningKey::generate().expect("a key");
    let nothing = Box::new(|_: &_| {});
    let (journal, _) = Journal::open(path, key, "writ.bench/floor", None, |_| Ok(()), nothing)
        .expect("a new journal");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let floor = Floor {
        journal,
        number: AtomicU64::new(0),
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder()
        .add_service(ScopeServiceServer::new(floor))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    at
}

#[tonic::async_trait]
impl ScopeService for Floor {
    async fn list_scopes(
        &self,
        _: Request<v1::ListScopesRequest>,
    ) -> Result<Response<v1::ListScopesResponse>, Status> {
        Err(Status::unimplemented("the floor appends"))
    }

    async fn check_access(
        &self,
        _: Request<v1::CheckAccessRequest>,
    ) -> Result<Response<v1::CheckAccessResponse>, Status> {
        let [_, intended, issued, _] = case(self.number.fetch_add(1, Ordering::Relaxed));
        self.append(intended).await?;
        self.append(issued).await?;
        Ok(Response::new(v1::CheckAccessResponse { decision: None }))
    }
}

impl Floor {
    async fn append(&self, entry: Entry) -> Result<(), Status> {
        self.journal
            .append(vec![entry])
            .await
            .map(|_| ())
            .map_err(|error| Status::internal(error.to_string()))
    }
}
