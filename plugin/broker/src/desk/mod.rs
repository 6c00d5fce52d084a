//! The desk: where every call is authorised, decided, recorded and carried out.
//!
//! It knows engine types only; `wire` turns what it answers into protobuf.

pub mod view;

pub use view::{CaseView, Filter, IssuedSession, Page, Refused, Wish};
