//! The proof that something was durably recorded before it is done.

use std::ops::Deref;

/// A `T` whose record is durable. Only the journal makes one, so who asks for a `Recorded<SessionPlan>` can be sure that
/// no session is asked of STS unrecorded.
///
/// It cannot be made by hand, nor doubled:
///
/// ```compile_fail,E0451
/// let forged = writ_broker::journal::Recorded { inner: (), seq: 0 };
/// ```
///
/// ```compile_fail,E0277
/// fn doubled<T: Clone>() {}
/// doubled::<writ_broker::journal::Recorded<()>>();
/// ```
#[derive(Debug)]
#[must_use = "what was recorded as intended is to be done, or its failure recorded"]
pub struct Recorded<T> {
    inner: T,
    seq: u64,
}

impl<T> Recorded<T> {
    pub(super) fn new(inner: T, seq: u64) -> Recorded<T> {
        Recorded { inner, seq }
    }

    /// The seq of its event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Spends the proof. Called where the effect takes place, and nowhere else.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}
