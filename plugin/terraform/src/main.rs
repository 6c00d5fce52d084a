//! `terraform-provider-writ`: the binary that Terraform starts.

mod arguments;
mod clock;
mod configuration;
mod connection;
mod credentials;
mod decision;
mod diagnostic;
mod duration;
mod ending;
mod failure;
mod provider;
mod run;
mod schema;
mod scopes;
mod token;
mod value;
mod words;

/// Terraform's side of the wire, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from the commented .proto file"
)]
mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

fn main() {
    let _ = provider::Provider::new(|_| None, std::path::Path::new("."));
}
