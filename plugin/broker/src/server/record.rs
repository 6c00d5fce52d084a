//! `JournalService`: the record, for those who may see it.

use std::sync::Arc;

use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status};
use writ_api::problem::Problem;
use writ_api::v1;
use writ_api::v1::journal_service_server::JournalService;

use super::gate::Gate;
use super::stream::Streaming;
use crate::desk::{Desk, Refused};
use crate::identity::Identity;
use crate::limits::EVENTS_PAGE_BYTES_MAX;
use crate::wire::{self, About, fields};

/// The journal over gRPC.
pub(super) struct Record(pub(super) Arc<Gate>);

fn problem(refused: Refused) -> Problem {
    wire::problem(refused, &About::Nothing)
}

#[tonic::async_trait]
impl JournalService for Record {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let work = |desk: Arc<Desk>, who: Identity, message: v1::ListEventsRequest| async move {
            let size = fields::events_page(message.page_size)?;
            let from = fields::event_token(&message.page_token)?;
            let about = match message.request_id.as_str() {
                "" => None,
                id => Some(fields::whole_id("request_id", id)?),
            };
            let found = desk.events(&who, from, size, about.as_ref()).await;
            let (events, next) = found.map_err(problem)?;
            Ok(page(events.iter().map(wire::event), next))
        };
        self.0.call("ListEvents", request, work).await
    }

    type FollowEventsStream = Streaming<v1::FollowEventsResponse>;

    async fn follow_events(
        &self,
        request: Request<v1::FollowEventsRequest>,
    ) -> Result<Response<Self::FollowEventsStream>, Status> {
        let begin = |desk: Arc<Desk>, who: Identity, message: v1::FollowEventsRequest| {
            let mut events = desk.follow(who, message.from_sequence);
            Ok(move |out: super::stream::Out<_>| async move {
                while let Some(stored) = events.next().await {
                    let event = Some(wire::event(&stored.map_err(problem)?));
                    if !out.send(v1::FollowEventsResponse { event }).await {
                        return Ok(());
                    }
                }
                // A journal that is followed has no end: the desk has gone.
                Err(wire::shutting_down())
            })
        };
        self.0.stream("FollowEvents", request, begin).await
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let work = |desk: Arc<Desk>, _: Identity, _| async move {
            let (note, verifying_key) = desk.checkpoint().await.map_err(problem)?;
            Ok(v1::GetCheckpointResponse {
                note,
                verifying_key,
            })
        };
        self.0.call("GetCheckpoint", request, work).await
    }
}

/// As many events as one message should hold; where they are cut, the next page starts.
fn page(events: impl Iterator<Item = v1::Event>, mut next: Option<u64>) -> v1::ListEventsResponse {
    let mut left = EVENTS_PAGE_BYTES_MAX;
    let mut page = Vec::new();
    for event in events {
        let size = prost::Message::encoded_len(&event);
        // The first is always sent: a page must lead somewhere.
        if size > left && !page.is_empty() {
            next = Some(event.sequence);
            break;
        }
        left = left.saturating_sub(size);
        page.push(event);
    }
    v1::ListEventsResponse {
        events: page,
        next_page_token: next.map(|next| next.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64, bytes: usize) -> v1::Event {
        v1::Event {
            sequence,
            canonical: vec![b'x'; bytes],
            ..v1::Event::default()
        }
    }

    #[test]
    fn a_page_of_large_events_is_cut_and_goes_on_where_it_was_cut() {
        let large = (5..60).map(|sequence| event(sequence, 60_000));
        let cut = page(large, Some(99));
        let last = cut.events.last().unwrap().sequence;
        assert_eq!(cut.next_page_token, (last + 1).to_string());
        assert!(cut.events.len() > 10 && cut.events.len() < 55);

        let whole = page((5..9).map(|sequence| event(sequence, 10)), Some(99));
        assert_eq!(
            (whole.events.len(), whole.next_page_token.as_str()),
            (4, "99")
        );
        let alone = page([event(5, 2_000_000)].into_iter(), None);
        assert_eq!(
            (alone.events.len(), alone.next_page_token.as_str()),
            (1, "")
        );
    }
}
