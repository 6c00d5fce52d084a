//! Which policies a change is about, and what of the directory and the catalog.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PolicyId};

use crate::bundle::Bundle;

/// How a policy differs between two bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    Added,
    Removed,
    /// What it says is another.
    Edited,
    /// It says the same under another name.
    Renamed,
    /// Only its annotations are others, or its place.
    Reworded,
}

/// One policy that differs.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) how: How,
    pub(super) old: Option<PolicyId>,
    pub(super) new: Option<PolicyId>,
}

impl Changed {
    /// Whether it may change a decision.
    pub(super) fn matters(&self) -> bool {
        match self.how {
            How::Added | How::Removed | How::Edited => true,
            How::Renamed | How::Reworded => false,
        }
    }
}

/// Every policy that differs. What is equal is found without looking into it.
pub(super) fn changed(old: &Bundle, new: &Bundle) -> Vec<Changed> {
    let (before, after) = (&old.policies().set, &new.policies().set);
    let mut all = Vec::new();
    let mut gone: BTreeMap<String, Vec<PolicyId>> = BTreeMap::new();
    for policy in before.policies() {
        let id = policy.id();
        match after.policy(id) {
            Some(now) if now == policy => {
                // Where a policy stands in its file is no change of it; in which file it stands is.
                if file(old, id) != file(new, id) {
                    all.push(both(How::Reworded, id));
                }
            }
            Some(now) if body(now) == body(policy) => all.push(both(How::Reworded, id)),
            Some(_) => all.push(both(How::Edited, id)),
            None => gone.entry(body(policy)).or_default().push(id.clone()),
        }
    }
    for policy in after.policies() {
        if before.policy(policy.id()).is_some() {
            continue;
        }
        let twin = gone.get_mut(&body(policy)).and_then(Vec::pop);
        all.push(Changed {
            how: if twin.is_some() {
                How::Renamed
            } else {
                How::Added
            },
            old: twin,
            new: Some(policy.id().clone()),
        });
    }
    all.extend(gone.into_values().flatten().map(|id| Changed {
        how: How::Removed,
        old: Some(id),
        new: None,
    }));
    all.sort_by(|one, other| (&one.new, &one.old).cmp(&(&other.new, &other.old)));
    all
}

fn both(how: How, id: &PolicyId) -> Changed {
    Changed {
        how,
        old: Some(id.clone()),
        new: Some(id.clone()),
    }
}

fn file<'a>(bundle: &'a Bundle, id: &PolicyId) -> Option<&'a str> {
    let facts = bundle.policies().facts.get(id)?;
    Some(&facts.place.file)
}

/// What a policy says, without its name and annotations. A policy that cannot be written out is like no other.
fn body(policy: &Policy) -> String {
    match policy.to_json() {
        Ok(mut json) => {
            if let Some(fields) = json.as_object_mut() {
                fields.remove("annotations");
            }
            json.to_string()
        }
        Err(_) => format!("{policy:?}"),
    }
}

/// The sorted union of two sets of names.
pub(super) fn union<T: Ord + Clone>(
    one: impl IntoIterator<Item = T>,
    other: impl IntoIterator<Item = T>,
) -> BTreeSet<T> {
    one.into_iter().chain(other).collect()
}
