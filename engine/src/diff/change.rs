//! The kinds of change a diff reports, in one table. Their ids are stable: CI configurations and dashboards match on them.

use serde::{Serialize, Serializer};

/// How much a finding matters to whoever reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing changes for anyone.
    Info,
    /// Someone can do less than before.
    Low,
    /// The ground for later changes, or something that can hardly be meant.
    Medium,
    /// Someone can do more than before.
    High,
    /// Someone can do more, and one of the guards against it is gone.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Severity; 5] = [
        Severity::Info,
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

macro_rules! changes {
    ($($name:ident = $id:literal, $severity:ident, $meaning:literal;)*) => {
        /// What changed. The worst first, which is the order of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Change {
            $(#[doc = $meaning] $name,)*
        }

        impl Change {
            /// Every kind, in the order of a report.
            pub const ALL: &[Change] = &[$(Change::$name,)*];

            /// Its stable id.
            pub fn id(self) -> &'static str {
                match self { $(Change::$name => $id,)* }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Change::$name => Severity::$severity,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Change::$name => $meaning,)* }
            }
        }
    };
}

changes! {
    ApprovalRemoved = "approval-removed", Critical, "What needed someone's consent is given at once";
    SelfApprovalEnabled = "self-approval-enabled", Critical, "The policy lets people consent to their own requests; only Writ itself still counts no such consent";
    ForbidRemoved = "forbid-removed", Critical, "A guardrail is gone";
    NotEnumerated = "not-enumerated", High, "There are too many circumstances to ask about, so nothing is known of this";
    IdentityChanged = "identity-changed", High, "Another token than before proves to be this principal";
    AccessWidened = "access-widened", High, "Someone who could not have a scope at all can have it";
    ApproversReduced = "approvers-reduced", High, "Fewer people have to consent than before";
    ApprovalReplaced = "approval-replaced", High, "Others have to consent than before";
    AlternativeAdded = "approval-alternative-added", High, "Others can consent instead of those who had to";
    TicketRemoved = "ticket-removed", High, "A scope can be had without the ticket it needed, or with another kind of ticket";
    WorkloadConditionsWidened = "workload-conditions-widened", High, "A workload can have a scope with tokens it could not have it with before";
    TimesWidened = "times-widened", High, "A scope can be had at times at which it could not";
    ReasonWidened = "reason-widened", High, "A scope can be had for reasons for which it could not";
    DurationRaised = "duration-raised", High, "A longer window can be had with the same consent";
    ScopePermissionsChanged = "scope-permissions-changed", High, "A session of the scope can do something else at AWS than before";
    ApproversWidened = "approvers-widened", Medium, "More people can give a consent that is needed";
    ScopeAdded = "scope-added", Medium, "There is a new scope";
    ViewChanged = "view-changed", Medium, "Who may see others' requests may have changed; this is not enumerated";
    SayChanged = "say-changed", Medium, "Who may end what others have, close a post-review, or use or lend another's right to consent has changed, or may have where it is not enumerated";
    BreakGlassTermsChanged = "break-glass-terms-changed", Medium, "Others are told of an emergency than before, or its post-review may stay open longer or shorter";
    ScopeWithoutApprover = "scope-without-approver", Medium, "Consent is needed that nobody can give";
    PolicyUnreachable = "policy-unreachable", Medium, "A policy's head matches nobody of the directory, or no scope of the catalog";
    AccessNarrowed = "access-narrowed", Low, "Someone can no longer have a scope at all";
    ApprovalAdded = "approval-added", Low, "What was given at once needs someone's consent";
    ApproversAdded = "approvers-added", Low, "More people have to consent than before";
    AlternativeRemoved = "approval-alternative-removed", Low, "Others can no longer consent instead";
    TicketAdded = "ticket-added", Low, "A scope needs a ticket it did not need, or another kind of ticket";
    WorkloadConditionsNarrowed = "workload-conditions-narrowed", Low, "A workload can no longer have a scope with tokens it could have it with before";
    TimesNarrowed = "times-narrowed", Low, "A scope can no longer be had at times at which it could";
    ReasonNarrowed = "reason-narrowed", Low, "A scope can no longer be had for reasons for which it could";
    DurationLowered = "duration-lowered", Low, "Only a shorter window can be had with the same consent";
    ApproversNarrowed = "approvers-narrowed", Low, "Fewer people can give a consent that is needed";
    ScopeRemoved = "scope-removed", Low, "A scope is gone";
    ScopeWaitsChanged = "scope-waits-changed", Low, "A request for the scope waits longer or shorter to be decided or activated";
    EscalationChanged = "escalation-changed", Low, "Others are asked when nobody has decided on a request, or sooner or later";
    NoEffect = "no-effect", Info, "A policy changed, and nobody's access with it";
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
