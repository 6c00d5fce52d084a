//! Where the cause of a finding stands, and what an entry of the catalog says.

use std::collections::{HashMap, HashSet};

use cedar_policy::{EntityTypeName, EntityUid};
use serde::Serialize;

use crate::access::PolicyAt;
use crate::access::class::everyone;
use crate::bundle::{Bundle, BundleFiles, DIRECTORY, SCOPES};
use crate::decide::Aim;
use crate::scope::{AwsTarget, Statement};

/// What did it, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// What it is.
    pub kind: CauseKind,
    /// Its name: a policy's `@id`, a user, a scope.
    pub name: String,
    /// The file within the bundle.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// In which of the two bundles it stands there.
    pub revision: Revision,
}

/// What a [`Cause`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A policy.
    Policy,
    /// A user of the directory.
    User,
    /// A workload of the directory.
    Workload,
    /// A scope of the catalog.
    Scope,
    /// A whole file: the schema, or the directory's own settings.
    File,
}

/// One of the two bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    /// The one compared with.
    Before,
    /// The one proposed.
    After,
}

impl CauseKind {
    /// Its word, which is also that of the block in HCL.
    pub fn as_str(self) -> &'static str {
        match self {
            CauseKind::Policy => "policy",
            CauseKind::User => "user",
            CauseKind::Workload => "workload",
            CauseKind::Scope => "scope",
            CauseKind::File => "file",
        }
    }
}

impl Cause {
    pub(super) fn policy(policy: &PolicyAt, revision: Revision) -> Cause {
        Cause {
            kind: CauseKind::Policy,
            name: policy.id.clone(),
            file: policy.file.clone(),
            line: policy.line,
            revision,
        }
    }

    pub(super) fn file(name: &str) -> Cause {
        Cause {
            kind: CauseKind::File,
            name: name.to_owned(),
            file: name.to_owned(),
            line: 1,
            revision: Revision::After,
        }
    }
}

/// Where a block of the directory or the catalog stands: in the new texts, or where it is gone in the old.
pub(super) fn block([old, new]: [&BundleFiles; 2], kind: CauseKind, name: &str) -> Option<Cause> {
    let file = match kind {
        CauseKind::User | CauseKind::Workload => DIRECTORY,
        CauseKind::Scope => SCOPES,
        CauseKind::Policy | CauseKind::File => return None,
    };
    let found = |files: &BundleFiles| {
        let text = files.0.get(file)?;
        let starts = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(kind.as_str())
                && words
                    .next()
                    .is_some_and(|word| word.trim_matches('"') == name)
        };
        Some(text.lines().position(starts)? + 1)
    };
    let (line, revision) = match found(new) {
        Some(line) => (line, Revision::After),
        None => (found(old)?, Revision::Before),
    };
    Some(Cause {
        kind,
        name: name.to_owned(),
        file: file.to_owned(),
        line,
        revision,
    })
}

/// What differs of the AWS side, as it was and as it is.
pub(super) fn permissions(old: &AwsTarget, new: &AwsTarget) -> [String; 2] {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut differ = |name: &str, was: String, is: String| {
        if was != is {
            before.push(format!("{name} {was}"));
            after.push(format!("{name} {is}"));
        }
    };
    differ("role", old.role_arn.to_string(), new.role_arn.to_string());
    differ("region", old.region.clone(), new.region.clone());
    let session = |aws: &AwsTarget| seconds(aws.max_session_s);
    differ("sessions up to", session(old), session(new));
    let lease = |aws: &AwsTarget| aws.lease_s.map_or("none".to_owned(), seconds);
    differ("lease", lease(old), lease(new));
    let only = |these: &[Statement], those: &[Statement]| {
        let only: Vec<String> = these
            .iter()
            .filter(|statement| !those.contains(statement))
            .map(statement)
            .collect();
        if only.is_empty() {
            "nothing else".to_owned()
        } else {
            only.join("; ")
        }
    };
    if old.statements != new.statements {
        before.push(format!("allows {}", only(&old.statements, &new.statements)));
        after.push(format!("allows {}", only(&new.statements, &old.statements)));
    }
    [before.join(", "), after.join(", ")]
}

fn statement(statement: &Statement) -> String {
    let mut words = format!(
        "{} on {}",
        statement.action.join(" "),
        statement.resource.join(" ")
    );
    if !statement.condition.is_empty() {
        let condition = serde_json::Value::Object(statement.condition.clone());
        words.push_str(&format!(" if {condition}"));
    }
    words
}

/// `24h`, also for what is longer than a window can be.
pub(super) fn seconds(count: u32) -> String {
    let parts = [
        (count / 3_600, 'h'),
        (count / 60 % 60, 'm'),
        (count % 60, 's'),
    ];
    let words = parts.into_iter().filter(|(count, _)| *count > 0);
    words
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// Who and what there is, for policies' heads to match.
pub(super) struct Reach {
    /// Everyone and everything above them, each also with the type of whom it is above.
    principals: Known,
    scopes: Known,
}

/// Entities, and what they are in.
#[derive(Default)]
pub(crate) struct Known {
    /// The entities themselves.
    pub(crate) own: HashSet<EntityUid>,
    /// The types there are.
    pub(crate) types: HashSet<EntityTypeName>,
    /// What is, or has in it, an entity of a type.
    pub(crate) within: HashMap<EntityUid, HashSet<EntityTypeName>>,
}

impl Known {
    fn of(bundle: &Bundle, uids: impl Iterator<Item = EntityUid>) -> Known {
        let entities = &bundle.policies().entities;
        let mut known = Known::default();
        for uid in uids {
            let kind = uid.type_name().clone();
            let above = entities.ancestors(&uid).into_iter().flatten().cloned();
            for entity in above.chain([uid.clone()]) {
                known.within.entry(entity).or_default().insert(kind.clone());
            }
            known.types.insert(kind);
            known.own.insert(uid);
        }
        known
    }
}

impl Reach {
    pub(super) fn of(bundle: &Bundle) -> Reach {
        let types = &bundle.policies().types;
        Reach {
            principals: Known::of(bundle, everyone(bundle).map(|id| types.principal(&id))),
            scopes: Known::of(bundle, bundle.scopes().map(|scope| types.scope(&scope.id))),
        }
    }

    /// Whether a head lets anyone and anything through; the right to consent is lent to people.
    pub(super) fn has(&self, aim: &Aim) -> bool {
        aim.lets_through(&self.principals, &self.scopes)
            || aim.delegates && aim.lets_through(&self.principals, &self.principals)
    }
}
