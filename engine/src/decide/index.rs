//! Which policies could matter to one question, found by their heads.
//!
//! Cedar tries every policy it is given. A policy whose head (`principal in …, action == …, resource == …`) cannot match
//! is false whatever its conditions say, and testing a head cannot err, so leaving such policies out changes neither the
//! decision, nor the reasons, nor the errors. What is left is a slice, whose size does not grow with the bundle.
//!
//! Policies whose heads name the same entities are kept together as a part, a policy set of its own, so a slice is a list
//! of parts and nothing is copied for a question.

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};

use crate::approval::Kind;
use crate::bundle::directory::Directory;
use crate::bundle::policies::Policies;
use crate::diff::Known;
use crate::principal::UserId;

use super::Purpose;

/// The policies of a bundle by action and head, and the people of each group. Made once, when the bundle is loaded.
#[derive(Debug)]
pub(crate) struct Index {
    parts: HashMap<EntityUid, Keyed<Keyed<Part>>>,
    members: HashMap<EntityUid, Vec<UserId>>,
    activate: EntityUid,
    break_glass: EntityUid,
    extend: EntityUid,
    view: EntityUid,
    revoke: EntityUid,
    review: EntityUid,
    delegate: EntityUid,
    kinds: Vec<(Kind, EntityUid)>,
    /// Those of all these that the schema declares.
    declared: Vec<EntityUid>,
}

/// What the head of a policy says of principal and resource.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: PolicyId,
    pub(super) forbids: bool,
    pub(super) principal: PrincipalConstraint,
    resource: ResourceConstraint,
}

/// Policies whose heads name the same principal and the same resource, or none.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) set: PolicySet,
    pub(super) heads: Vec<Head>,
}

/// Things by the entity they name, and those that name none.
#[derive(Debug, Default)]
struct Keyed<T> {
    any: T,
    named: HashMap<EntityUid, T>,
}

impl<T: Default> Keyed<T> {
    fn under(&mut self, key: Option<&EntityUid>) -> &mut T {
        match key {
            None => &mut self.any,
            Some(uid) => self.named.entry(uid.clone()).or_default(),
        }
    }

    fn matching(&self, line: &Line) -> impl Iterator<Item = &T> {
        let named = line.0.iter().filter_map(|uid| self.named.get(uid));
        std::iter::once(&self.any).chain(named)
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.any).chain(self.named.values())
    }
}

/// An entity and everything it is in: what `==` and `in` of a head can name.
#[derive(Debug)]
pub(crate) struct Line(Vec<EntityUid>);

impl Line {
    /// From the very snapshot the authorizer is given, so that both see one hierarchy.
    pub(crate) fn of(entities: &Entities, uid: &EntityUid) -> Line {
        let above = entities.ancestors(uid).into_iter().flatten();
        Line(std::iter::once(uid).chain(above).cloned().collect())
    }

    /// Whether it is, or is in, this entity.
    pub(crate) fn contains(&self, uid: &EntityUid) -> bool {
        self.0.contains(uid)
    }

    fn own(&self, uid: &EntityUid) -> bool {
        self.0.first() == Some(uid)
    }

    fn is(&self, named: &EntityTypeName) -> bool {
        self.0.first().is_some_and(|uid| uid.type_name() == named)
    }
}

/// The policies that could matter to one question.
#[derive(Debug)]
pub(super) struct Slice<'a>(pub(super) Vec<&'a Part>);

impl<'a> Slice<'a> {
    pub(super) fn heads(&self) -> impl Iterator<Item = &'a Head> + use<'a, '_> {
        self.0.iter().flat_map(|part| &part.heads)
    }
}

impl Index {
    /// Sorts every policy by the actions it can be about, and by its head.
    pub(crate) fn new(policies: &Policies, directory: &Directory) -> Index {
        let types = &policies.types;
        let mut index = Index {
            parts: HashMap::new(),
            members: HashMap::new(),
            activate: types.action("activate"),
            break_glass: types.action("breakGlass"),
            extend: types.action("extend"),
            view: types.action("view"),
            revoke: types.action("revoke"),
            review: types.action("review"),
            delegate: types.action("delegate"),
            kinds: policies
                .kinds
                .iter()
                .map(|kind| (kind.clone(), types.action(&kind.action())))
                .collect(),
            declared: Vec::new(),
        };
        // No policy was checked for an action that the schema leaves out, so none is about it: not even one whose head names
        // every action.
        index.declared = [
            &index.activate,
            &index.break_glass,
            &index.extend,
            &index.view,
            &index.revoke,
            &index.review,
            &index.delegate,
        ]
        .into_iter()
        .chain(index.kinds.iter().map(|(_, action)| action))
        .filter(|action| policies.schema.actions().any(|known| known == *action))
        .cloned()
        .collect();
        for policy in policies.set.policies() {
            for action in index.declared.clone() {
                if index.is_about(policy, &action, &policies.entities) {
                    index.add(&action, policy, policies);
                }
            }
        }
        for user in directory.users.keys() {
            let uid = types.user(user);
            for group in policies.entities.ancestors(&uid).into_iter().flatten() {
                let members = index.members.entry(group.clone()).or_default();
                members.push(user.clone());
            }
        }
        index
    }

    fn add(&mut self, action: &EntityUid, policy: &Policy, policies: &Policies) {
        let head = Head::of(policy);
        let of_action = self.parts.entry(action.clone()).or_default();
        let of_resource = of_action.under(head.resource_named());
        let part = of_resource.under(head.principal_named());
        if part.set.add(policy.clone()).is_err() {
            // Only a second policy of the same id is refused, and there is none. Were there one, it might be a forbid: a
            // part with every policy in it misses nothing.
            part.set = policies.set.clone();
        }
        part.heads.push(head);
    }

    /// Every policy that could match when `principal` does `action` on `resource`.
    pub(super) fn slice(&self, action: &EntityUid, principal: &Line, resource: &Line) -> Slice<'_> {
        let of_action = self.parts.get(action).into_iter();
        let parts = of_action
            .flat_map(|by_resource| by_resource.matching(resource))
            .flat_map(|by_principal| by_principal.matching(principal));
        Slice(parts.filter(|part| !part.heads.is_empty()).collect())
    }

    /// The heads that could match when anyone does `action` on `resource`.
    pub(super) fn heads_for_anyone(
        &self,
        action: &EntityUid,
        resource: &Line,
    ) -> impl Iterator<Item = &Head> {
        let of_action = self.parts.get(action).into_iter();
        of_action
            .flat_map(|by_resource| by_resource.matching(resource))
            .flat_map(Keyed::all)
            .flat_map(|part| &part.heads)
    }

    /// Whether some permit's head lets `principal` do `action` on `resource`, whatever its conditions say.
    pub(super) fn some_permit_names(
        &self,
        action: &EntityUid,
        principal: &Line,
        resource: &Line,
    ) -> bool {
        self.slice(action, principal, resource)
            .heads()
            .any(|head| !head.forbids && head.matches(principal, resource))
    }

    /// The users in a group, by name.
    pub(super) fn members(&self, group: &EntityUid) -> &[UserId] {
        self.members.get(group).map_or(&[], Vec::as_slice)
    }

    /// The action that decides about a wish for this purpose.
    pub(super) fn action_of(&self, purpose: Purpose) -> &EntityUid {
        match purpose {
            Purpose::Activate => &self.activate,
            Purpose::BreakGlass { .. } => &self.break_glass,
            Purpose::Extend { .. } => &self.extend,
        }
    }

    /// Whether a policy can be about this action. Decided exactly as Cedar does: actions and their groups are part of the
    /// snapshot.
    pub(super) fn is_about(
        &self,
        policy: &Policy,
        action: &EntityUid,
        entities: &Entities,
    ) -> bool {
        let named = match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == *action,
            ActionConstraint::In(groups) => groups
                .iter()
                .any(|group| group == action || entities.is_ancestor_of(group, action)),
        };
        named && self.declared.contains(action)
    }

    /// Whether rights to consent can be lent at all: whether the schema has the action.
    pub(super) fn lends(&self) -> bool {
        self.declared.contains(&self.delegate)
    }

    pub(super) fn activate(&self) -> &EntityUid {
        &self.activate
    }

    pub(super) fn break_glass(&self) -> &EntityUid {
        &self.break_glass
    }

    pub(super) fn extend(&self) -> &EntityUid {
        &self.extend
    }

    pub(super) fn view(&self) -> &EntityUid {
        &self.view
    }

    pub(super) fn revoke(&self) -> &EntityUid {
        &self.revoke
    }

    pub(super) fn review(&self) -> &EntityUid {
        &self.review
    }

    pub(super) fn delegate(&self) -> &EntityUid {
        &self.delegate
    }

    /// The approval kinds, each with the action that gives it.
    pub(super) fn kinds(&self) -> &[(Kind, EntityUid)] {
        &self.kinds
    }
}

impl Head {
    pub(super) fn of(policy: &Policy) -> Head {
        Head {
            id: policy.id().clone(),
            forbids: policy.effect() == Effect::Forbid,
            principal: policy.principal_constraint(),
            resource: policy.resource_constraint(),
        }
    }

    fn principal_named(&self) -> Option<&EntityUid> {
        match &self.principal {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
            PrincipalConstraint::In(uid)
            | PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::IsIn(_, uid) => Some(uid),
        }
    }

    fn resource_named(&self) -> Option<&EntityUid> {
        match &self.resource {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
            ResourceConstraint::In(uid)
            | ResourceConstraint::Eq(uid)
            | ResourceConstraint::IsIn(_, uid) => Some(uid),
        }
    }

    /// Whether this head matches, for what people are told. The slice leaves the last word to Cedar.
    pub(super) fn matches(&self, principal: &Line, resource: &Line) -> bool {
        self.matches_principal(principal) && self.matches_resource(resource)
    }

    /// Whether its `principal` part does.
    pub(super) fn matches_principal(&self, principal: &Line) -> bool {
        match &self.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => principal.own(uid),
            PrincipalConstraint::In(uid) => principal.0.contains(uid),
            PrincipalConstraint::Is(named) => principal.is(named),
            PrincipalConstraint::IsIn(named, uid) => {
                principal.is(named) && principal.0.contains(uid)
            }
        }
    }

    /// Whether its `resource` part does.
    pub(super) fn matches_resource(&self, resource: &Line) -> bool {
        match &self.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => resource.own(uid),
            ResourceConstraint::In(uid) => resource.0.contains(uid),
            ResourceConstraint::Is(named) => resource.is(named),
            ResourceConstraint::IsIn(named, uid) => resource.is(named) && resource.0.contains(uid),
        }
    }

    /// Whether its `principal` part matches any of these.
    pub(super) fn lets_anyone(&self, known: &Known) -> bool {
        let within = |uid: &EntityUid| known.within.get(uid);
        match &self.principal {
            PrincipalConstraint::Any => !known.own.is_empty(),
            PrincipalConstraint::Eq(uid) => known.own.contains(uid),
            PrincipalConstraint::In(uid) => within(uid).is_some(),
            PrincipalConstraint::Is(named) => known.types.contains(named),
            PrincipalConstraint::IsIn(named, uid) => {
                within(uid).is_some_and(|types| types.contains(named))
            }
        }
    }

    /// Whether its `resource` part matches any of these.
    pub(super) fn lets_anything(&self, known: &Known) -> bool {
        let within = |uid: &EntityUid| known.within.get(uid);
        match &self.resource {
            ResourceConstraint::Any => !known.own.is_empty(),
            ResourceConstraint::Eq(uid) => known.own.contains(uid),
            ResourceConstraint::In(uid) => within(uid).is_some(),
            ResourceConstraint::Is(named) => known.types.contains(named),
            ResourceConstraint::IsIn(named, uid) => {
                within(uid).is_some_and(|types| types.contains(named))
            }
        }
    }
}
