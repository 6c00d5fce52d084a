//! The desk: where every call is authorised, decided, recorded and carried out.
//!
//! It knows engine types only; `wire` turns what it answers into protobuf. Each command takes its case's lock, reads the
//! case as the journal's last commit left it, asks the clock once, and decides afresh under the bundle in force.

mod approving;
mod cases;
mod ending;
mod extending;
mod issuing;
mod keeping;
mod lending;
mod locks;
mod reading;
mod requesting;
mod reviewing;
mod revocations;
mod revoking;
mod showing;
mod telling;
pub mod view;

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand;
use writ_engine::case::NoStory;
use writ_engine::digest::SaltedText;
use writ_engine::event::{Event, Fact};
use writ_engine::{Bundle, Moment, PrincipalId, RequestId};

use crate::aws::Aws;
use crate::bundle::{BundleSlot, InForce, Refusal};
use crate::clock::Clock;
use crate::journal::{AppendError, Entry, Journal, OpenError, SigningKey};
use crate::notices::Receiver;
use crate::room::Room;
use cases::Cases;
pub use issuing::{ATTEMPTS_MAX, BACKOFF_MS};
pub use lending::{LENT_MAX, Lending, Loan};
use locks::Locks;
pub use reading::{Follow, SCAN_MAX, SHORT_ID_MIN};
use revoking::Revoking;
pub use revoking::{ALARM_AFTER_S, LOOK_AGAIN_S, PersonRevoked, RETRY_MAX_S, RETRY_MIN_S};
use telling::Telling;
pub use telling::UNTOLD_ALARM_AFTER_S;
pub use view::{
    Act, Announced, Ask, CaseView, Consent, Filter, IssuedSession, Page, Refused, RevocationStep,
    RevocationView, Wish,
};

/// Open requests one principal may have: more than anyone can use at once, few enough that nobody can bury the approvers.
pub const OPEN_REQUESTS_MAX: usize = 20;

/// Whom the desk reaches besides its callers.
pub struct Outside {
    /// AWS.
    pub aws: Aws,
    /// Who takes the notices, if somebody does.
    pub notices: Option<Receiver>,
}

/// Everything a call needs.
pub struct Desk {
    journal: Journal,
    cases: Arc<Cases>,
    bundle: Arc<BundleSlot>,
    clock: Clock,
    room: Room,
    aws: Aws,
    revoking: Revoking,
    telling: Telling,
    // A case's commands one after another; a principal's requests likewise, so that one key makes one request.
    cases_locked: Locks<RequestId>,
    principals_locked: Locks<PrincipalId>,
    // Emergencies begin one after another, whoever's they are: each is decided on what all before it have left owing.
    emergencies_locked: Locks<()>,
}

impl Desk {
    /// Opens the journal at `path`, rebuilds the state from it, and closes what a crash left open: a session that was
    /// intended and has no outcome may exist, and is recorded as unknown.
    ///
    /// Refused before anything is recorded if the bundle comes from a branch that does not go on from the commit last on
    /// record.
    pub async fn open(
        path: &Path,
        key: SigningKey,
        origin: &str,
        bundle: Arc<BundleSlot>,
        clock: Clock,
        room: Room,
        outside: Outside,
    ) -> Result<Arc<Desk>, DeskError> {
        let cases = Arc::new(Cases::default());
        let committed = Arc::clone(&cases);
        let mut mark = None;
        let (journal, replayed) = Journal::open(
            path,
            key,
            origin,
            None,
            |stored| {
                if let Fact::BundleLoaded {
                    commit: Some(commit),
                    ..
                } = &stored.event.fact
                {
                    mark = Some(commit.clone());
                }
                cases.replay(stored)
            },
            Box::new(move |stored| committed.apply(stored)),
        )?;
        if let Some(mark) = mark {
            bundle.goes_on_from(&mark)?;
        }
        if let Some(latest) = replayed.latest_at {
            clock.not_before(latest);
        }
        // While the broker was away it could hear nobody: each gets its time again.
        cases.hear_all(clock.now());
        let desk = Desk {
            journal,
            cases,
            bundle,
            clock,
            room,
            aws: outside.aws,
            revoking: Revoking::default(),
            telling: Telling::to(outside.notices),
            cases_locked: Locks::new(),
            principals_locked: Locks::new(),
            emergencies_locked: Locks::new(),
        };
        desk.close_what_a_crash_left_open().await?;
        desk.record_bundle().await?;
        Ok(Arc::new(desk))
    }

    async fn close_what_a_crash_left_open(&self) -> Result<(), AppendError> {
        let now = self.clock.now();
        let open: Vec<Fact> = {
            let cases = self.cases.read();
            cases
                .all()
                .flat_map(|row| issuing::without_outcome(&row.case))
                .collect()
        };
        if open.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            sessions = open.len(),
            "sessions were intended and have no outcome; they count as given"
        );
        for fact in open {
            self.append(now, fact, Vec::new(), ()).await?;
        }
        Ok(())
    }

    /// Records which bundle is in force from now.
    pub async fn record_bundle(&self) -> Result<(), AppendError> {
        let in_force = self.bundle.in_force();
        let fact = Fact::BundleLoaded {
            bundle: in_force.bundle.digest(),
            commit: in_force.commit,
        };
        self.append(self.clock.now(), fact, Vec::new(), ()).await
    }

    /// The bundle in force.
    pub fn bundle(&self) -> Arc<Bundle> {
        self.bundle.current()
    }

    /// The bundle in force, and the commit it was read from.
    pub fn in_force(&self) -> InForce {
        self.bundle.in_force()
    }

    /// The moment, by the broker's one clock.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Signs what is not yet signed and closes the journal. Later appends fail.
    pub async fn close(&self) {
        self.journal.close().await;
    }

    // The moment for a step that may lead to access; refused while the clock is behind what is on record, and while the
    // journal has room for ends only.
    fn trusted_now(&self) -> Result<Moment, Refused> {
        if !self.cases.read().is_sound() {
            return Err(Refused::Journal);
        }
        if !self.room.keeps_its_reserve() {
            return Err(Refused::StorageLow);
        }
        self.clock.trusted().map_err(|_| Refused::ClockBehind)
    }

    // An event that does not follow must not be recorded: a record that makes no story is one that no broker opens again.
    // That one gets here is a fault of ours.
    fn follows(&self, event: &Event) -> Result<(), AppendError> {
        let cases = self.cases.read();
        let of_case = event.fact.request().and_then(|id| cases.get(id));
        match of_case.map(|row| row.case.clone().apply(event)) {
            Some(Err(NoStory(why))) => Err(AppendError::Refused(why)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    // Durable, and in the state, when it returns. After a failure the entry may still land, so the journal keeps `turn`
    // until it knows: the next step of the case is never decided on a state that is about to change.
    async fn append(
        &self,
        at: Moment,
        fact: Fact,
        texts: Vec<SaltedText>,
        turn: impl Send + 'static,
    ) -> Result<(), AppendError> {
        let event = Event { at, fact };
        self.follows(&event)?;
        let asked = matches!(event.fact, Fact::Requested { .. });
        let entry = Entry { event, texts };
        self.journal.append_holding(vec![entry], turn).await?;
        if asked {
            self.telling.woken.notify_one();
        }
        Ok(())
    }
}

/// Random bytes for an id or a salt; a generator that fails means nothing is recorded.
fn random<const N: usize>() -> Result<[u8; N], Refused> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Refused::Journal)?;
    Ok(bytes)
}

fn salted(text: &str) -> Result<SaltedText, Refused> {
    Ok(SaltedText {
        salt: random()?,
        text: text.to_owned(),
    })
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Refused {
        tracing::error!(%error, "the journal did not record");
        Refused::Journal
    }
}

/// Why the desk does not open.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The journal cannot be opened, or does not verify.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bundle's branch does not go on from the commit last on record.
    #[error("{}", .0.report)]
    Bundle(Box<Refusal>),
    /// The journal opened but takes no events.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<Refusal> for DeskError {
    fn from(refusal: Refusal) -> DeskError {
        DeskError::Bundle(Box::new(refusal))
    }
}
