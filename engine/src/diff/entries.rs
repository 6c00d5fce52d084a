//! What changes beside the pairs of people and scopes: the catalog's entries, the directory's, and policies as such.

use std::collections::{BTreeMap, BTreeSet};

use super::policies::{Changed, How, union};
use super::touched::permissions_differ;
use super::{Cause, CauseKind, Change, Comparison, Revision, Side, source};
use crate::access::PolicyAt;
use crate::decide::Aim;
use crate::principal::PrincipalId;
use crate::scope::{Scope, ScopeId};

impl Comparison<'_> {
    /// Scopes that came, went, or give something else at AWS.
    pub(super) fn catalog(&mut self) {
        for id in self.touched.entries.clone() {
            let causes: Vec<Cause> = self.of_scope(&id).into_iter().collect();
            let holders = self.holders.get(&id).cloned().unwrap_or_default();
            let (old, new) = (self.old.bundle.scope(&id), self.new.bundle.scope(&id));
            match (old, new) {
                (None, Some(new)) => {
                    let after = format!("role {}", new.aws.role_arn);
                    let words = ["no such scope".to_owned(), after];
                    self.note(Change::ScopeAdded, Some(&id), holders, words, causes);
                }
                (Some(old), None) => {
                    let before = format!("role {}", old.aws.role_arn);
                    let words = [before, "no such scope".to_owned()];
                    self.note(Change::ScopeRemoved, Some(&id), holders, words, causes);
                }
                (Some(old), Some(new)) => self.entry(&id, old, new, &holders, &causes),
                (None, None) => {}
            }
        }
    }

    pub(super) fn entry(
        &mut self,
        id: &ScopeId,
        old: &Scope,
        new: &Scope,
        holders: &BTreeSet<PrincipalId>,
        causes: &[Cause],
    ) {
        if permissions_differ(old, new) {
            let words = source::permissions(&old.aws, &new.aws);
            let (holders, causes) = (holders.clone(), causes.to_vec());
            self.note(
                Change::ScopePermissionsChanged,
                Some(id),
                holders,
                words,
                causes,
            );
        }
        let emergency = |scope: &Scope| match &scope.break_glass {
            None => "no emergency".to_owned(),
            Some(terms) => {
                let told: Vec<&str> = terms.announce.iter().map(String::as_str).collect();
                let ttl = source::seconds(terms.review_ttl_s);
                format!("tells {}, a post-review within {ttl}", told.join(", "))
            }
        };
        let escalation = |scope: &Scope| match &scope.escalation {
            None => "nobody else is asked".to_owned(),
            Some(next) => format!("{} after {}", next.to, source::seconds(next.after_s)),
        };
        let mut told = |change, words: [String; 2]| {
            if words[0] != words[1] {
                self.note(change, Some(id), holders.clone(), words, causes.to_vec());
            }
        };
        let terms = [emergency(old), emergency(new)];
        told(Change::BreakGlassTermsChanged, terms);
        let asked = [escalation(old), escalation(new)];
        told(Change::EscalationChanged, asked);
        let waits = |scope: &Scope| {
            let word = |s: u32| source::seconds(s);
            format!(
                "{} to be decided, {} to be activated",
                word(scope.request_ttl_s),
                word(scope.activation_ttl_s)
            )
        };
        if waits(old) != waits(new) {
            let words = [waits(old), waits(new)];
            self.note(
                Change::ScopeWaitsChanged,
                Some(id),
                holders.clone(),
                words,
                causes.to_vec(),
            );
        }
    }

    /// Principals that other tokens prove than before.
    pub(super) fn directory(&mut self) {
        let identities = |side: Side<'_>| {
            let mut by_principal: BTreeMap<PrincipalId, BTreeSet<String>> = BTreeMap::new();
            for ((issuer, id), whose) in &side.bundle.directory().identities {
                let own = by_principal.entry(whose.clone()).or_default();
                own.insert(format!("{id} of {issuer}"));
            }
            by_principal
        };
        let (was, is) = (identities(self.old), identities(self.new));
        let known =
            |side: Side<'_>, id: &PrincipalId| side.bundle.directory().person_behind(id).is_some();
        let none = BTreeSet::new();
        for id in union(was.keys().cloned(), is.keys().cloned()) {
            let before = was.get(&id).unwrap_or(&none);
            let after = is.get(&id).unwrap_or(&none);
            if before == after || !known(self.old, &id) || !known(self.new, &id) {
                continue;
            }
            let kind = match &id {
                PrincipalId::User(_) => CauseKind::User,
                PrincipalId::Workload(_) => CauseKind::Workload,
            };
            let place = source::block([self.old.files, self.new.files], kind, id.name());
            let words = [before, after].map(|ids| {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                if ids.is_empty() {
                    "no token".to_owned()
                } else {
                    ids.join(", ")
                }
            });
            self.note(
                Change::IdentityChanged,
                None,
                [id],
                words,
                place.into_iter().collect(),
            );
        }
    }

    /// What is to be said of policies whether or not anyone's access changed.
    pub(super) fn policies(&mut self) {
        let reach_before = source::Reach::of(self.old.bundle);
        let reach_after = source::Reach::of(self.new.bundle);
        let mut notes = Vec::new();
        for policy in self.new.bundle.policies().set.policies() {
            let id = policy.id();
            let reaches = |bundle, reach: &source::Reach| {
                Aim::of(bundle, id).is_none_or(|aim| reach.has(&aim))
            };
            if !reaches(self.new.bundle, &reach_after)
                && reaches(self.old.bundle, &reach_before)
                && let Some(place) = self.new.bundle.policy(id.as_ref())
            {
                let cause = Cause::policy(&PolicyAt::from(place), Revision::After);
                notes.push((
                    Change::PolicyUnreachable,
                    [
                        String::new(),
                        "its head matches nobody, or no scope".to_owned(),
                    ],
                    cause,
                ));
            }
        }
        for changed in &self.changed {
            let Some(cause) = self.place_of(changed) else {
                continue;
            };
            let aims = [(self.old, &changed.old), (self.new, &changed.new)].map(|(side, id)| {
                let id = id.as_ref()?;
                Aim::of(side.bundle, id)
            });
            let [was, is] = &aims;
            let forbade = was.as_ref().is_some_and(Aim::forbids);
            let forbids = is.as_ref().is_some_and(Aim::forbids);
            if changed.matters() && forbade && !forbids {
                let after = if is.is_some() { "permits" } else { "gone" };
                let words = ["forbids".to_owned(), after.to_owned()];
                notes.push((Change::ForbidRemoved, words, cause.clone()));
            }
            if changed.matters() && aims.iter().flatten().any(Aim::has_say) {
                let word = |aim: &Option<Aim>| match aim {
                    None => "no such policy".to_owned(),
                    Some(aim) if aim.forbids() => format!("forbids some {}", aim.says()),
                    Some(aim) => format!("lets some {}", aim.says()),
                };
                notes.push((Change::SayChanged, [word(was), word(is)], cause.clone()));
            }
            let lent = [(self.old, &changed.old), (self.new, &changed.new)]
                .into_iter()
                .any(|(side, id)| id.as_ref().is_some_and(|id| reads_delegate(side, id)));
            if changed.matters() && lent {
                let after = "looks at who acts by a lent right".to_owned();
                notes.push((Change::SayChanged, [String::new(), after], cause.clone()));
            }
            if changed.matters() && aims.iter().flatten().any(|aim| aim.views) {
                let word = |aim: &Option<Aim>| {
                    let word = match aim {
                        None => "no such policy",
                        Some(aim) if aim.forbids() => "forbids some to see requests",
                        Some(_) => "lets some see requests",
                    };
                    word.to_owned()
                };
                notes.push((Change::ViewChanged, [word(was), word(is)], cause.clone()));
            }
            // A policy about consent has its part in whatever else is said of consent.
            let of_consent = aims.iter().flatten().any(|aim| aim.consents);
            let consent_told = || self.found.values().any(|found| !found.steps.is_empty());
            if notes.iter().all(|(_, _, other)| *other != cause) && !(of_consent && consent_told())
            {
                notes.extend(self.without_effect(changed, &cause));
            }
        }
        for (change, words, cause) in notes {
            self.note(change, None, [], words, vec![cause]);
        }
    }

    /// That a policy changed and nothing else did, unless something else is said of it, or nothing is known.
    pub(super) fn without_effect(
        &self,
        changed: &Changed,
        cause: &Cause,
    ) -> Option<(Change, [String; 2], Cause)> {
        let mut keys = self.found.keys();
        if keys.any(|key| key.change == Change::NotEnumerated || key.causes.contains(cause)) {
            return None;
        }
        let name = |id: &Option<cedar_policy::PolicyId>| {
            let id: &str = id.as_ref().map(AsRef::as_ref).unwrap_or_default();
            id.to_owned()
        };
        let file = |side: Side<'_>, id: &Option<cedar_policy::PolicyId>| {
            let place = side.bundle.policy(id.as_ref()?.as_ref())?;
            Some(place.file.clone())
        };
        let files = [file(self.old, &changed.old), file(self.new, &changed.new)];
        let words = match (&changed.how, files) {
            (How::Added, _) => [
                String::new(),
                "added; what it says, others say already, or it never applies".to_owned(),
            ],
            (How::Removed, _) => [
                "removed; what it said, others say too, or it never applied".to_owned(),
                String::new(),
            ],
            (How::Edited, _) => [
                String::new(),
                "written otherwise; it decides as before".to_owned(),
            ],
            (How::Renamed, _) => [
                format!("named `{}`", name(&changed.old)),
                format!("named `{}`", name(&changed.new)),
            ],
            (How::Reworded, [Some(old), Some(new)]) if old != new => {
                [format!("in {old}"), format!("in {new}")]
            }
            (How::Reworded, _) => [String::new(), "other annotations".to_owned()],
        };
        Some((Change::NoEffect, words, cause.clone()))
    }
}

/// Whether a policy looks at who acts where a right to consent is lent.
fn reads_delegate(side: Side<'_>, id: &cedar_policy::PolicyId) -> bool {
    let facts = side.bundle.policies().facts.get(id);
    let conditions = facts.into_iter().flat_map(|facts| &facts.conditions);
    let mut paths = conditions.flat_map(|condition| &condition.paths);
    paths.any(|path| path.iter().take(2).eq(["context", "delegate"]))
}
