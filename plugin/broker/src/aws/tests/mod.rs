//! The room against an AWS that answers from a script: what goes over the wire, and what is made of each answer.

mod revoker;
mod scripted;
mod survey;
