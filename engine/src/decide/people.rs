//! People: whose consent counts, and who else could give theirs.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityUid, EvalResult, PrincipalConstraint};

use crate::bundle::policies::{HintOp, HintTarget};
use crate::case::Case;
use crate::digest::Digest;
use crate::principal::UserId;

use super::ask::{Ask, Wish};
use super::denial::walk;
use super::index::Line;
use super::say;

/// The consent a case has.
#[derive(Debug, Default)]
pub(super) struct Consents {
    /// Everyone whose approval counts now, with the kinds it may be counted as.
    pub(super) counting: BTreeMap<UserId, BTreeSet<usize>>,
    /// Everyone who has approved, whether it counts or not: a person approves once.
    pub(super) given: BTreeSet<UserId>,
}

impl Ask<'_> {
    /// The approvals of a case that count now: bound to exactly what has this digest, of someone other than the person
    /// behind it, whom the policy still lets give at least one of the kinds they gave, by their own right or by one that
    /// is lent to them.
    pub(super) fn consents(&self, case: &Case, digest: Digest, wish: Wish<'_>) -> Consents {
        let mut consents = Consents::default();
        for approval in case.approvals_of(digest) {
            // Who acts and whose right it is are one consent, and neither consents a second time.
            let again = approval
                .people()
                .any(|person| consents.given.contains(person));
            consents.given.extend(approval.people().cloned());
            if again {
                continue;
            }
            let kinds = self.asker.index().kinds();
            let gave = |kind: &usize| {
                kinds
                    .get(*kind)
                    .is_some_and(|(kind, _)| approval.kinds.contains(kind))
            };
            let permitted = match &approval.on_behalf_of {
                None => self.kinds_of(&approval.approver, wish),
                Some(lender) => self.kinds_lent(lender, &approval.approver, wish),
            };
            let counted: BTreeSet<usize> = permitted.into_iter().filter(gave).collect();
            if !counted.is_empty() {
                consents.counting.insert(approval.approver.clone(), counted);
            }
        }
        consents
    }

    /// As which kinds the policy lets `person` consent; none for a stranger and for the person behind the request.
    pub(super) fn kinds_of(&self, person: &UserId, wish: Wish<'_>) -> BTreeSet<usize> {
        if person == self.asker.person || self.asker.bundle.directory().user(person).is_none() {
            return BTreeSet::new();
        }
        self.kinds_by_policy(person, None, wish)
    }

    /// As which kinds the policy lets `delegate` consent by the right of `lender`: those that are the lender's, as long as
    /// it lets this pair delegate. None for a stranger, and none where either is the person behind the request.
    pub(super) fn kinds_lent(
        &self,
        lender: &UserId,
        delegate: &UserId,
        wish: Wish<'_>,
    ) -> BTreeSet<usize> {
        let directory = self.asker.bundle.directory();
        let known = |person: &UserId| directory.user(person).is_some();
        let theirs = [lender, delegate].contains(&self.asker.person);
        if theirs || lender == delegate || !known(lender) || !known(delegate) {
            return BTreeSet::new();
        }
        match say::delegates(self.asker.bundle, lender, delegate) {
            Some(true) => self.kinds_by_policy(lender, Some(delegate), wish),
            Some(false) | None => BTreeSet::new(),
        }
    }

    /// What the policies by themselves say of `person`, even if that is the person behind the request: asked so only to test
    /// whether they say what the engine holds to anyway.
    pub(super) fn kinds_by_policy(
        &self,
        person: &UserId,
        delegate: Option<&UserId>,
        wish: Wish<'_>,
    ) -> BTreeSet<usize> {
        let people = std::iter::once(person).chain(delegate);
        let entities = self.asker.entities(&self.scope.id, people);
        let context = self.consent_context(wish, delegate);
        let (Some(context), Some(entities)) = (context, entities) else {
            return BTreeSet::new();
        };
        let index = self.asker.index();
        let policies = self.asker.policies();
        let uid = policies.types.user(person);
        let line = Line::of(&policies.entities, &uid);
        let permitted = |action: &EntityUid| {
            let slice = index.slice(action, &line, &self.line);
            self.request(uid.clone(), action.clone(), context.clone())
                .is_some_and(|request| self.evaluate(&slice, &entities, &request).allowed)
        };
        let kinds = index.kinds().iter().enumerate();
        kinds
            .filter(|(_, (_, action))| permitted(action))
            .map(|(kind, _)| kind)
            .collect()
    }

    /// Whether the policy by itself would let the person behind this request consent to it.
    pub(super) fn would_let_self(&self, kind: usize, wish: Wish<'_>) -> bool {
        let index = self.asker.index();
        let (Some((_, action)), Some(context)) =
            (index.kinds().get(kind), self.consent_context(wish, None))
        else {
            return false;
        };
        let policies = self.asker.policies();
        let uid = policies.types.user(self.asker.person);
        let line = Line::of(&policies.entities, &uid);
        let slice = index.slice(action, &line, &self.line);
        self.request(uid, action.clone(), context)
            .is_some_and(|request| self.evaluate(&slice, &self.entities, &request).allowed)
    }

    /// The first `most` and one more, by name, of those who could give this kind of approval, `except` these.
    pub(super) fn approvers(
        &self,
        kind: usize,
        wish: Wish<'_>,
        except: &BTreeSet<UserId>,
        most: usize,
    ) -> Vec<UserId> {
        let index = self.asker.index();
        let (Some((_, action)), Some(context)) =
            (index.kinds().get(kind), self.consent_context(wish, None))
        else {
            return Vec::new();
        };
        // The heads only say whom to ask about; Cedar says who may.
        let policies = self.asker.policies();
        let mut named: BTreeSet<&UserId> = BTreeSet::new();
        let heads = index.heads_for_anyone(action, &self.line);
        for head in heads.filter(|head| !head.forbids) {
            let hint = policies
                .facts
                .get(&head.id)
                .and_then(|facts| facts.principal_hint.as_ref());
            match (&head.principal, hint) {
                (PrincipalConstraint::Eq(uid), _) => named.extend(self.user_named(uid)),
                (PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid), _) => {
                    named.extend(self.user_named(uid));
                    named.extend(index.members(uid));
                }
                (PrincipalConstraint::Any | PrincipalConstraint::Is(_), Some(hint)) => {
                    for uid in self.hinted(&hint.target) {
                        named.extend(self.user_named(&uid));
                        if hint.op == HintOp::In {
                            named.extend(index.members(&uid));
                        }
                    }
                }
                (PrincipalConstraint::Any | PrincipalConstraint::Is(_), None) => {
                    named.extend(self.asker.bundle.directory().users.keys());
                }
            }
        }
        named.retain(|person| *person != self.asker.person && !except.contains(*person));
        let Some(entities) = self.asker.entities(&self.scope.id, named.iter().copied()) else {
            return Vec::new();
        };
        let may = |person: &UserId| {
            let uid = policies.types.user(person);
            let line = Line::of(&policies.entities, &uid);
            let slice = index.slice(action, &line, &self.line);
            self.request(uid, action.clone(), context.clone())
                .is_some_and(|request| self.evaluate(&slice, &entities, &request).allowed)
        };
        named
            .into_iter()
            .filter(|person| may(person))
            .take(most.saturating_add(1))
            .cloned()
            .collect()
    }

    /// The entities that a condition of an `approve…` permit compares the approver with; none where its path has no value,
    /// for then the condition errs or is false.
    fn hinted(&self, target: &HintTarget) -> Vec<EntityUid> {
        let path = match target {
            HintTarget::Entity(uid) => return vec![uid.clone()],
            HintTarget::Path(path) => path,
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let (start, further) = match names.as_slice() {
            ["resource", further @ ..] => (self.uid.clone(), further),
            ["context", "requester", further @ ..] => {
                (self.asker.policies().types.user(self.asker.person), further)
            }
            ["context", "workload", further @ ..] => (self.asker.uid.clone(), further),
            _ => return Vec::new(),
        };
        match walk(&self.entities, EvalResult::EntityUid(start), further) {
            Some(EvalResult::EntityUid(uid)) => vec![uid],
            Some(EvalResult::Set(uids)) => uids
                .iter()
                .filter_map(|uid| match uid {
                    EvalResult::EntityUid(uid) => Some(uid.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn user_named(&self, uid: &EntityUid) -> Option<&UserId> {
        let id = UserId::new(uid.id().unescaped()).ok()?;
        let users = &self.asker.bundle.directory().users;
        let (id, _) = users.get_key_value(&id)?;
        (self.asker.policies().types.user(id) == *uid).then_some(id)
    }
}
