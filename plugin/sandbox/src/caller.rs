//! Whom a key belongs to, and what they may do: AWS's order of evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::condition::Context;
use crate::policy::{Named, Policy, Verdict, Who};
use crate::session::Credentials;

/// Every key known, by access key id.
pub(crate) type Keys = BTreeMap<String, Arc<Holder>>;

/// The holder of one access key.
pub(crate) struct Holder {
    pub(crate) credentials: Credentials,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// The role whose session this is.
    pub(crate) role_arn: Option<String>,
    /// Set if the sandbox itself made these credentials.
    pub(crate) session: Option<Session>,
    /// What a caller known from the start may do; `None` allows everything but IAM itself.
    pub(crate) identity: Option<Policy>,
}

/// What is sealed into session credentials when they are made.
pub(crate) struct Session {
    pub(crate) policy: Option<(String, Policy)>,
    pub(crate) tags: SessionTags,
    pub(crate) source_identity: Option<String>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A session's tags. Keys are in the spelling given, and compared without case.
pub(crate) struct SessionTags {
    pub(crate) all: Vec<(String, String)>,
    /// The keys of those that follow into the next role.
    pub(crate) transitive: Vec<String>,
}

impl Holder {
    pub(crate) fn account(&self) -> &str {
        account_of(&self.arn)
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who {
            arn: &self.arn,
            role_arn: self.role_arn.as_deref(),
            account: self.account(),
        }
    }

    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.session.as_ref().map(|session| session.expires_at)
    }

    pub(crate) fn source_identity(&self) -> Option<&str> {
        self.session.as_ref()?.source_identity.as_deref()
    }

    /// The tags that follow into a role assumed with these credentials.
    pub(crate) fn transitive_tags(&self) -> Vec<(String, String)> {
        let Some(session) = &self.session else {
            return Vec::new();
        };
        let follows = |key: &str| session.tags.transitive.iter().any(|one| same_key(one, key));
        session
            .tags
            .all
            .iter()
            .filter(|(key, _)| follows(key))
            .cloned()
            .collect()
    }

    /// What every call of this holder tells the policies, at `now` in `region`.
    pub(crate) fn context(&self, now: Timestamp, region: &str) -> Context {
        let mut context = Context::default();
        context.date("aws:CurrentTime", now);
        context.text("aws:RequestedRegion", region);
        context.text("aws:userid", &self.user_id);
        context.text(
            "aws:PrincipalArn",
            self.role_arn.as_deref().unwrap_or(&self.arn),
        );
        if let Some(session) = &self.session {
            context.date("aws:TokenIssueTime", session.issued_at);
            for (key, value) in &session.tags.all {
                context.text(&format!("aws:PrincipalTag/{key}"), value);
            }
            if let Some(identity) = &session.source_identity {
                context.text("aws:SourceIdentity", identity);
            }
        }
        context
    }
}

/// The policies that bear on one call.
pub(crate) struct Bearing<'a> {
    /// What the role or caller was set up with.
    pub(crate) identity: Option<&'a Policy>,
    /// The role's inline policies, as far as they have taken effect.
    pub(crate) inline: &'a [Policy],
    pub(crate) resource: Option<&'a Policy>,
}

/// What a role's or caller's own policies say together. Without `identity` everything is allowed but IAM itself, as with AWS's
/// own policy `PowerUserAccess`: who may edit policies must be said.
pub(crate) fn judge_own<'a>(
    identity: Option<&Policy>,
    inline: impl IntoIterator<Item = &'a Policy>,
    action: &str,
    resource: &str,
    context: &Context,
) -> Verdict {
    let of_iam = action.to_ascii_lowercase().starts_with("iam:");
    let identity = match identity {
        Some(policy) => policy.judge(action, resource, context),
        None if of_iam => Verdict::Silent,
        None => Verdict::Allowed,
    };
    let inline = inline
        .into_iter()
        .map(|policy| policy.judge(action, resource, context));
    Verdict::of_all(std::iter::once(identity).chain(inline))
}

impl Bearing<'_> {
    /// Whether `holder` may do `action` on `resource`: an explicit Deny anywhere wins; a resource's policy that names the exact
    /// session lets it in past the session policy's silence; otherwise the session policy and the role's own must both allow.
    /// If not, why not, as AWS's message ends.
    pub(crate) fn authorize(
        &self,
        holder: &Holder,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), String> {
        let session_policy = holder
            .session
            .as_ref()
            .and_then(|session| session.policy.as_ref());
        let session = session_policy.map(|(_, policy)| policy.judge(action, resource, context));
        let identity = judge_own(self.identity, self.inline, action, resource, context);
        let (of_resource, named) = match self.resource {
            Some(policy) => policy.judge_resource(holder.who(), action, resource, context),
            None => (Verdict::Silent, None),
        };
        let denied_by = |kind: &str| Err(format!(" with an explicit deny in {kind}"));
        if identity == Verdict::Denied {
            return denied_by("an identity-based policy");
        }
        if session == Some(Verdict::Denied) {
            return denied_by("a session policy");
        }
        if of_resource == Verdict::Denied {
            return denied_by("a resource-based policy");
        }
        if named == Some(Named::Exactly) {
            return Ok(());
        }
        if session == Some(Verdict::Silent) {
            return Err(format!(
                " because no session policy allows the {action} action"
            ));
        }
        if identity == Verdict::Silent && named != Some(Named::ByRole) {
            return Err(format!(
                " because no identity-based policy allows the {action} action"
            ));
        }
        Ok(())
    }
}

/// Tag keys are one key whatever their case.
pub(crate) fn same_key(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The fifth field of an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// `arn:aws:sts::<account>:assumed-role/<role>/<session>` as the role's own ARN; a path is not in it.
pub(crate) fn role_of_session(arn: &str) -> Option<String> {
    let (role, _) = arn.split_once(":assumed-role/")?.1.split_once('/')?;
    Some(format!("arn:aws:iam::{}:role/{role}", account_of(arn)))
}
