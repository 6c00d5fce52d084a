//! The grant: proof that a request is allowed now.

use crate::case::Case;
use crate::digest::Digest;
use crate::event::Verdict;
use crate::principal::PrincipalId;
use crate::request::RequestId;
use crate::scope::{AwsTarget, Scope, ScopeId};
use crate::window::Window;

use super::Allowed;

/// Proof that a request is allowed now. Made only by [`super::decide`]; neither stored nor sent.
#[derive(Debug)]
pub struct Grant {
    request: RequestId,
    request_digest: Digest,
    principal: PrincipalId,
    scope: ScopeId,
    aws: AwsTarget,
    window: Window,
    allowed: Allowed,
    bundle: Digest,
}

impl Grant {
    pub(super) fn of(
        case: &Case,
        scope: &Scope,
        window: Window,
        allowed: Allowed,
        bundle: Digest,
    ) -> Grant {
        Grant {
            request: case.request().id.clone(),
            request_digest: case.request_digest(),
            principal: case.request().principal.id.clone(),
            scope: scope.id.clone(),
            aws: scope.aws.clone(),
            window,
            allowed,
            bundle,
        }
    }

    /// The request granted; also the grant's own id.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// The digest of the request granted.
    pub fn request_digest(&self) -> Digest {
        self.request_digest
    }

    /// To whom.
    pub fn principal(&self) -> &PrincipalId {
        &self.principal
    }

    /// For what.
    pub fn scope(&self) -> &ScopeId {
        &self.scope
    }

    /// What that is at AWS.
    pub fn aws(&self) -> &AwsTarget {
        &self.aws
    }

    /// When: the window already open, or the one that opens now.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Why.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// What the record says of this decision.
    pub fn into_verdict(self) -> Verdict {
        self.allowed.verdict(self.bundle)
    }
}

impl AsRef<Allowed> for Grant {
    fn as_ref(&self) -> &Allowed {
        &self.allowed
    }
}
