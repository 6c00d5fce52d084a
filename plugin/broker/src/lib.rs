//! The broker: the gRPC server that verifies who asks, asks the engine, keeps the journal and calls AWS.
//!
//! The worlds are kept apart: `wire` only knows both protobuf and engine types, `aws` only has the AWS SDK, `clock` only
//! asks what time it is, `room` only how full the disk is.

pub mod aws;
pub mod bundle;
pub mod clock;
pub mod config;
pub mod desk;
pub mod doctor;
pub mod identity;
pub mod journal;
pub mod limits;
pub mod logging;
pub mod notices;
pub mod room;
pub mod server;
mod wire;

/// A decision as the broker would send it, for those who decide without one and tell it the same way.
pub use wire::decision as decision_on_the_wire;
