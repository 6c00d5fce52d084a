//! The `writ.v1` protocol: generated types, the errors they travel with, and a client.
//!
//! What a client needs and nothing else: this crate links neither Cedar nor the AWS SDK.

pub mod address;
pub mod ambient;
pub mod client;
pub mod fetch;
pub mod problem;
pub mod words;

/// The generated types and services of `writ.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from the commented .proto files"
)]
pub mod v1 {
    tonic::include_proto!("writ.v1");
}

/// The compiled descriptors of `writ.v1`, for reflection and for tests of the protocol's shape.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Shows that there are credentials and until when, never which.
impl std::fmt::Debug for v1::Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("expires_at", &self.expires_at)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Wiped when dropped, on both sides of the wire.
impl Drop for v1::Credentials {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.secret_access_key.zeroize();
        self.session_token.zeroize();
    }
}
