//! Looking: at requests, scopes and the record, each through what the policy lets the caller see.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use writ_engine::decide::{Allowed, Offer, may_view_refusal, offers};
use writ_engine::event::Fact;
use writ_engine::request::RequestId;
use writ_engine::{Bundle, Decision, Moment, Principal, Scope};

use super::Desk;
use super::cases::Row;
use super::showing::{passes, sees};
use super::view::{CaseView, Filter, Page, Refused};
use crate::identity::Identity;
use crate::journal::Stored;

/// The fewest last characters of an id that stand for it.
pub const SHORT_ID_MIN: usize = 4;

/// Cases one call looks through before it answers with what it found and where to go on: some tens of milliseconds.
pub const SCAN_MAX: usize = 5_000;

/// Events a follower may be behind before the desk waits for it.
const FOLLOW_BUFFER: usize = 64;

/// Events read from the journal at a time.
const EVENTS_PAGE: usize = 256;

/// What a follower receives.
pub type Follow = Pin<Box<dyn Stream<Item = Result<Stored, Refused>> + Send>>;

impl Desk {
    /// One request, by its id or its last characters.
    pub fn get(&self, who: &Identity, id: &str) -> Result<CaseView, Refused> {
        let id = self.find(who, id)?;
        self.view(&id, &self.bundle()).ok_or(Refused::NotFound)
    }

    /// The requests a caller may see, newest first, from `from` on.
    pub fn list(
        &self,
        who: &Identity,
        filter: Filter,
        page_size: usize,
        from: Option<&RequestId>,
    ) -> Page {
        let (now, bundle) = (self.now(), self.bundle());
        let principal = who.principal();
        let cases = self.cases.read();
        let mut page = Page {
            views: Vec::new(),
            next: None,
        };
        for (seen, row) in cases.newest_first(from).enumerate() {
            if page.views.len() == page_size || seen == SCAN_MAX {
                page.next = Some(row.case.request().id.clone());
                break;
            }
            if passes(&bundle, &cases, principal, row, filter, now) {
                page.views
                    .push(self.shown(&cases, row, &bundle, now, false));
            }
        }
        page
    }

    /// A receiver that wakes after each event of one request.
    pub fn watch(
        &self,
        who: &Identity,
        id: &str,
    ) -> Result<(RequestId, watch::Receiver<u64>), Refused> {
        let id = self.find(who, id)?;
        let receiver = self.cases.watch(&id);
        Ok((id, receiver))
    }

    /// Every scope that exists for the caller.
    pub fn offers(&self, who: &Identity) -> Vec<(Scope, Offer)> {
        let bundle = self.bundle();
        offers(&bundle, who.principal(), self.now())
            .into_iter()
            .filter_map(|offer| Some((bundle.scope(&offer.scope)?.clone(), offer)))
            .collect()
    }

    /// The events a caller may see, oldest first, and where the next page starts.
    pub async fn events(
        &self,
        who: &Identity,
        from: u64,
        limit: usize,
        request: Option<&RequestId>,
    ) -> Result<(Vec<Stored>, Option<u64>), Refused> {
        let mut found = Vec::new();
        let mut next = from;
        for _ in 0..SCAN_MAX / EVENTS_PAGE {
            let page = self
                .journal
                .events(next, EVENTS_PAGE)
                .await
                .map_err(|_| Refused::Journal)?;
            if page.is_empty() {
                return Ok((found, None));
            }
            let (now, bundle) = (self.now(), self.bundle());
            for stored in page {
                if found.len() == limit {
                    return Ok((found, Some(stored.seq)));
                }
                next = stored.seq + 1;
                let wanted =
                    request.is_none_or(|request| stored.event.fact.request() == Some(request));
                if wanted && self.may_see(&bundle, who.principal(), &stored, now) {
                    found.push(stored);
                }
            }
        }
        Ok((found, Some(next)))
    }

    /// The events a caller may see from `from` on, and then each new one, until the caller hangs up or the journal closes.
    pub fn follow(self: &Arc<Self>, who: Identity, from: u64) -> Follow {
        let desk = Arc::clone(self);
        let (sender, receiver) = mpsc::channel(FOLLOW_BUFFER);
        tokio::spawn(async move {
            let mut events = desk.journal.follow(from);
            loop {
                let next = tokio::select! {
                    next = events.next() => next,
                    () = sender.closed() => return,
                };
                let item = match next {
                    Ok(Some(stored))
                        if desk.may_see(&desk.bundle(), who.principal(), &stored, desk.now()) =>
                    {
                        Ok(stored)
                    }
                    Ok(Some(_)) => continue,
                    Ok(None) => Err(Refused::ShuttingDown),
                    Err(_) => Err(Refused::Journal),
                };
                let ended = item.is_err();
                if sender.send(item).await.is_err() || ended {
                    return;
                }
            }
        });
        Box::pin(ReceiverStream::new(receiver))
    }

    /// The signed head of the journal, and the key that verifies it. Says nothing of any request.
    pub async fn checkpoint(&self) -> Result<(String, String), Refused> {
        let note = self
            .journal
            .checkpoint()
            .await
            .map_err(|_| Refused::Journal)?;
        Ok((note, self.journal.verifying_key().to_string()))
    }

    /// The id that a caller means, if they may see what it names.
    pub(super) fn find(&self, who: &Identity, id: &str) -> Result<RequestId, Refused> {
        let (now, bundle) = (self.now(), self.bundle());
        let id = id.to_ascii_uppercase();
        let cases = self.cases.read();
        let visible = |row: &&Row| sees(&bundle, &cases, who.principal(), row, now);
        if let Ok(whole) = id.parse::<RequestId>() {
            let row = cases.get(&whole).filter(visible).ok_or(Refused::NotFound)?;
            return Ok(row.case.request().id.clone());
        }
        if id.len() < SHORT_ID_MIN {
            return Err(Refused::NotFound);
        }
        let mut ending = cases
            .newest_first(None)
            .take(SCAN_MAX)
            .filter(|row| row.case.request().id.as_str().ends_with(&id))
            .filter(visible);
        let found = ending.next().ok_or(Refused::NotFound)?;
        match ending.next() {
            None => Ok(found.case.request().id.clone()),
            Some(_) => Err(Refused::Field(
                "id",
                format!("more than one request ends in `{id}`; give more of it"),
            )),
        }
    }

    /// A case as it is now, with what the policy says of a pending one.
    pub(super) fn view(&self, id: &RequestId, bundle: &Bundle) -> Option<CaseView> {
        let now = self.now();
        let cases = self.cases.read();
        let row = cases.get(id)?;
        Some(self.shown(&cases, row, bundle, now, true))
    }

    /// Says loudly which policies could not be evaluated.
    pub(super) fn raise_alarms<G: AsRef<Allowed>>(&self, decision: &Decision<G>) {
        for policy in decision.alarms() {
            tracing::error!(
                policy = policy.id,
                file = policy.file,
                line = policy.line,
                "alarm: a policy could not be evaluated"
            );
        }
    }

    fn may_see(&self, bundle: &Bundle, viewer: &Principal, stored: &Stored, now: Moment) -> bool {
        match &stored.event.fact {
            // Which bundle decides, and who stands in for whom, is no secret from those it decides about.
            Fact::BundleLoaded { .. }
            | Fact::RevocationVerified { .. }
            | Fact::Delegated { .. }
            | Fact::DelegationEnded { .. } => true,
            Fact::RevocationWritten { grants, .. } => {
                let cases = self.cases.read();
                let seen = |id: &RequestId| {
                    let row = cases.get(id);
                    row.is_some_and(|row| sees(bundle, &cases, viewer, row, now))
                };
                grants.iter().all(seen)
            }
            Fact::Refused {
                principal, scope, ..
            } => may_view_refusal(bundle, viewer, principal, scope),
            fact => {
                let cases = self.cases.read();
                let row = fact.request().and_then(|id| cases.get(id));
                row.is_some_and(|row| sees(bundle, &cases, viewer, row, now))
            }
        }
    }
}
