//! Writ's pure core: facts in, decision out.
//!
//! This crate has no clock, no network, no disk and no async: time is an argument and a bundle is a map of file texts.
//! The road from a request to a session reads:
//!
//! ```text
//! events --replay--> Case --decide(bundle, now)--> Grant --SessionPlan::new--> SessionPlan
//! ```
//!
//! The rooms are the product's nouns; [`decide()`] is the one verb. [`suite`] asks it what a bundle's own tests want to know,
//! [`replay`] what it would have said of the past.

pub mod access;
pub mod approval;
pub mod bundle;
pub mod case;
pub mod decide;
pub mod delegation;
pub mod diff;
pub mod digest;
pub mod event;
pub mod notice;
pub mod principal;
pub mod replay;
pub mod request;
pub mod revocation;
pub mod scope;
pub mod session;
pub mod suite;
pub mod window;

pub use approval::{Approval, Kind};
pub use bundle::Bundle;
pub use case::{Case, State};
pub use decide::{Decision, Grant, decide};
pub use event::Event;
pub use notice::Notice;
pub use principal::{Principal, PrincipalId, UserId, WorkloadId};
pub use request::{Request, RequestId};
pub use scope::{Scope, ScopeId};
pub use session::SessionPlan;
pub use window::{Duration, Moment, Window};
