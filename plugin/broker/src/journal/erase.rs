//! Erasing what people wrote, without breaking a proof: the text and its salt go, the commitment stays.

use tokio::sync::oneshot;
use writ_engine::digest::Commitment;
use writ_engine::request::RequestId;

use super::read::{ReadError, read};
use super::writer::{Erased, Job};
use super::{AppendError, Journal};

/// Which texts to erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// All that were written about one request.
    OfRequest(RequestId),
    /// The one behind a commitment.
    OfCommitment(Commitment),
}

impl Journal {
    /// Erases texts from the file. With its salt gone, not even a guess at a text can be checked against its commitment.
    ///
    /// A state held in memory, backups and copies are the caller's to see to.
    pub async fn erase(&self, erasure: Erasure) -> Result<Erased, EraseError> {
        let seqs = read(&self.shared, move |store, _| match erasure {
            Erasure::OfRequest(id) => store.seqs_about(&id),
            Erasure::OfCommitment(commitment) => store.seqs_of(commitment),
        })
        .await?;
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Erase(seqs, reply), answer)
            .await
            .map_err(EraseError::Write)
    }
}

/// Why nothing was erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// The texts could not be looked up.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They could not be deleted.
    #[error(transparent)]
    Write(AppendError),
}
