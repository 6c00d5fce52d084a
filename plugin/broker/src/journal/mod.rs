//! The journal: the append-only record that is the state and the audit trail.

pub mod checkpoint;
pub mod key;
pub mod merkle;
