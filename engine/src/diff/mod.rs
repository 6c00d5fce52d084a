//! What a change of a bundle gives to whom: two bundles compared by what they decide, not by how they read.
//!
//! The policies, the directory and the catalog are compared first, which costs no evaluation; from that follows which
//! principals and scopes a change can touch at all (`touched`). Only these are asked about, of the evaluation that decides
//! real requests, at every point where an answer can change (see [`crate::access`]). Every finding about a decision comes
//! with a request that the two bundles decide differently, which was put to both with [`check`]. Where that does not show
//! what the finding says, there is no report at all: a tool that is wrong about access must not be believed.

mod change;
mod compare;
mod policies;
mod source;
mod touched;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::access::circumstance::{Edges, circumstances};
use crate::access::{Circumstance, Class, PolicyAt, Who, class, exchanged, points, survey};
use crate::bundle::policies::Points;
use crate::bundle::{Bundle, BundleFiles};
use crate::decide::{Aim, Decision, Draft, Step, Surveyor, check, may_name};
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::{Scope, ScopeId};
use crate::window::Duration;

pub use change::{Change, Severity};
pub(crate) use source::Known;
pub use source::{Cause, CauseKind, Revision};

use compare::{Delta, Way, compare};
use policies::{Changed, How, union};
use touched::{Touched, permissions_differ};

/// A bundle and the texts it was loaded from.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The texts, for the places of what is no policy.
    pub files: &'a BundleFiles,
    /// The bundle.
    pub bundle: &'a Bundle,
}

/// What a change does.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// The digest of the bundle before.
    pub before: String,
    /// The digest of the bundle after.
    pub after: String,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// How much work it was.
    pub effort: Effort,
}

/// How much was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// How many questions Cedar was asked about activations and consent; the replayed examples are not counted.
    pub evaluations: u64,
    /// How many pairs of a class of principals and a scope were asked about.
    pub pairs: u64,
    /// How many there are.
    pub pairs_in_all: u64,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of change.
    pub change: Change,
    /// How much it matters.
    pub severity: Severity,
    /// For which scope; `None` where it is about none in particular.
    pub scope: Option<ScopeId>,
    /// For whom, by name.
    pub principals: Vec<Who>,
    /// Under which circumstances only; empty for all.
    pub only: String,
    /// What there was.
    pub before: String,
    /// What there is.
    pub after: String,
    /// What did it: the changed policies, or entries of the directory or the catalog.
    pub causes: Vec<Cause>,
    /// A request that the two bundles decide differently.
    pub example: Option<Example>,
}

/// A request that the two bundles decide differently; both decisions were replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Who asks.
    pub principal: Who,
    /// What a workload's token claims.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// For how long, in seconds.
    pub duration_s: u32,
    /// With which ticket.
    pub ticket: Option<String>,
    /// Why.
    pub reason: String,
    /// When.
    pub opens_at: String,
    /// What was decided.
    pub before: String,
    /// What is decided.
    pub after: String,
}

/// The replay of a finding did not show what the finding says. That is a fault of this tool, never of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "replayed, the example of `{change}` for `{principal}` in `{scope}` is decided as before: `{decision}`; this is a fault of writ, please report it"
)]
pub struct Disagreement {
    /// What was found.
    pub change: &'static str,
    /// For whom.
    pub principal: String,
    /// In which scope.
    pub scope: String,
    /// What both bundles decide.
    pub decision: String,
}

/// Compares what two bundles give.
pub fn diff(old: Side<'_>, new: Side<'_>) -> Result<Diff, Disagreement> {
    let changed = policies::changed(old.bundle, new.bundle);
    let touched = Touched::of([old.files, new.files], [old.bundle, new.bundle], &changed);
    let mut comparison = Comparison {
        old,
        new,
        changed,
        touched,
        effort: Effort::default(),
        found: BTreeMap::new(),
        holders: BTreeMap::new(),
    };
    comparison.access();
    comparison.catalog();
    comparison.directory();
    comparison.policies();
    let effort = comparison.effort;
    Ok(Diff {
        before: old.bundle.digest().to_string(),
        after: new.bundle.digest().to_string(),
        findings: comparison.findings()?,
        effort,
    })
}

/// Everything a finding says but of whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    severity: std::cmp::Reverse<Severity>,
    change: Change,
    scope: Option<ScopeId>,
    only: String,
    before: String,
    after: String,
    causes: Vec<Cause>,
}

/// Of whom a finding is.
#[derive(Debug, Clone, Default)]
struct Found {
    principals: BTreeSet<PrincipalId>,
    /// Of a difference in access, what each of them had and has.
    steps: BTreeMap<PrincipalId, [Vec<Step>; 2]>,
    /// Of each of those, where an example may be had. One's own: a user's request would lack the claims of a workload's.
    probes: BTreeMap<PrincipalId, (Circumstance, Duration)>,
}

impl Found {
    /// Splits it by who could consent. Those for whom it is the same people, but for themselves, stay together: that nobody
    /// consents to their own request goes without saying.
    fn parts(
        self,
        person: impl Fn(&PrincipalId) -> Option<UserId>,
    ) -> Vec<(Option<[String; 2]>, Found)> {
        if self.steps.is_empty() {
            return vec![(None, self)];
        }
        let mut parts: BTreeMap<[String; 2], Found> = BTreeMap::new();
        let everyone = together(self.steps.values());
        for (principal, own) in &self.steps {
            let alike = person(principal).is_some_and(|person| {
                let mut expected = everyone.clone();
                for step in expected.iter_mut().flatten() {
                    step.who.values_mut().for_each(|who| {
                        who.remove(&person);
                    });
                }
                let whose = |sides: &[Vec<Step>; 2]| {
                    let all = sides.iter().flatten().map(|step| step.who.clone());
                    all.collect::<Vec<_>>()
                };
                whose(&expected) == whose(own)
            });
            let told = if alike { &everyone } else { own };
            let words = [0, 1].map(|side| {
                told.get(side)
                    .map(|it| words::steps(it))
                    .unwrap_or_default()
            });
            let part = parts.entry(words).or_default();
            part.principals.insert(principal.clone());
            if let Some(probe) = self.probes.get(principal) {
                part.probes.insert(principal.clone(), probe.clone());
            }
        }
        parts
            .into_iter()
            .map(|(words, found)| (Some(words), found))
            .collect()
    }
}

/// The same steps, each with everyone who could consent for any of these principals.
fn together<'s>(all: impl Iterator<Item = &'s [Vec<Step>; 2]>) -> [Vec<Step>; 2] {
    let mut united: Option<[Vec<Step>; 2]> = None;
    for own in all {
        let Some(united) = &mut united else {
            united = Some(own.clone());
            continue;
        };
        for (step, own) in united.iter_mut().flatten().zip(own.iter().flatten()) {
            for (kind, who) in &own.who {
                let all = step.who.entry(kind.clone()).or_default();
                all.extend(who.iter().cloned());
            }
        }
    }
    united.unwrap_or_default()
}

struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    changed: Vec<Changed>,
    touched: Touched<'a>,
    effort: Effort,
    found: BTreeMap<Key, Found>,
    /// Who has something of a touched scope, before or after.
    holders: BTreeMap<ScopeId, BTreeSet<PrincipalId>>,
}

impl Comparison<'_> {
    /// Every pair that is touched.
    fn access(&mut self) {
        let classes = class::of_two(self.old.bundle, self.new.bundle);
        let ids = |side: Side<'_>| {
            let ids: Vec<ScopeId> = side.bundle.scopes().map(|scope| scope.id.clone()).collect();
            ids
        };
        let scopes = union(ids(self.old), ids(self.new));
        let pairs = classes.len().saturating_mul(scopes.len());
        self.effort.pairs_in_all = u64::try_from(pairs).unwrap_or(u64::MAX);
        for scope in &scopes {
            let touched: Vec<&Class> = {
                let within = self.touched.within(scope);
                if within.is_empty() {
                    continue;
                }
                let all = classes.iter();
                all.filter(|class| class.members.iter().any(|member| within.touches(member)))
                    .collect()
            };
            for class in touched {
                let named = |side: Side<'_>| may_name(side.bundle, class.first(), scope);
                if named(self.old) || named(self.new) {
                    self.pair(class, scope);
                }
            }
        }
    }

    fn pair(&mut self, class: &Class, scope: &ScopeId) {
        self.effort.pairs += 1;
        let (old, new) = (self.old.bundle, self.new.bundle);
        let mut both = Points::default();
        for bundle in [old, new] {
            if bundle.scope(scope).is_some() {
                both.merge(points(bundle, class.first(), scope));
            }
        }
        let all = circumstances(&[old, new], class.first(), &both, Edges::With);
        let Some(all) = all else {
            let most = crate::access::CIRCUMSTANCES_MAX;
            self.note(
                Change::NotEnumerated,
                Some(scope),
                class.members.iter().cloned(),
                [String::new(), format!("more than {most} circumstances")],
                self.all_causes(),
            );
            return;
        };
        let (before, asked_before) = survey(old, class.first(), scope, &all);
        let (after, asked_after) = survey(new, class.first(), scope, &all);
        self.effort.evaluations += asked_before + asked_after;
        if before.iter().chain(&after).any(|steps| !steps.is_empty()) {
            let holders = self.holders.entry(scope.clone()).or_default();
            holders.extend(class.members.iter().cloned());
        }
        for delta in compare(&before, &after, &all) {
            self.tell(class, scope, &delta, &all);
        }
        self.self_approval(class, scope, &all);
    }

    /// Notes a difference for each member of the class, in the words that are true of that member.
    fn tell(&mut self, class: &Class, scope: &ScopeId, delta: &Delta, all: &[Circumstance]) {
        let Some(circumstance) = all.get(delta.probe.number) else {
            return;
        };
        let causes = self.causes(class, scope, delta, circumstance);
        for member in &class.members {
            let own = [&delta.before, &delta.after].map(|steps| {
                let own = steps.iter().map(|step| Step {
                    who: exchanged(&step.who, class.first(), member),
                    ..step.clone()
                });
                own.collect::<Vec<Step>>()
            });
            let key = Key {
                severity: std::cmp::Reverse(delta.change.severity()),
                change: delta.change,
                scope: Some(scope.clone()),
                only: delta.only.clone(),
                before: words::shape(&delta.before),
                after: words::shape(&delta.after),
                causes: causes.clone(),
            };
            let found = self.found.entry(key).or_default();
            found.steps.entry(member.clone()).or_insert(own);
            let probe = (circumstance.clone(), delta.probe.duration);
            found.probes.entry(member.clone()).or_insert(probe);
        }
    }

    /// The policies that decided at the point where the two differ, if they changed; else what else did.
    fn causes(
        &mut self,
        class: &Class,
        scope: &ScopeId,
        delta: &Delta,
        circumstance: &Circumstance,
    ) -> Vec<Cause> {
        let asking = Principal {
            id: class.first().clone(),
            claims: circumstance.claims.clone(),
        };
        let mut said = |side: Side<'_>| {
            let surveyor = Surveyor::of(side.bundle, &asking)?;
            let (needs, duration) = (&delta.probe.needs, delta.probe.duration);
            let verdict = surveyor.verdict(scope, circumstance.setting(), duration, needs);
            self.effort.evaluations += surveyor.evaluations();
            Some(verdict)
        };
        let was = said(self.old).unwrap_or_default();
        let is = said(self.new).unwrap_or_default();
        let (gave_before, gave_after) = match delta.way {
            Way::Widened => (&was.forbids, &is.permits),
            Way::Narrowed => (&was.permits, &is.forbids),
        };
        let mut causes = BTreeSet::new();
        for policy in gave_before {
            if self.is_changed(&policy.id, Revision::Before) {
                causes.insert(self.of_policy(&PolicyAt::from(policy), Revision::Before));
            }
        }
        for policy in gave_after {
            if self.is_changed(&policy.id, Revision::After) {
                causes.insert(self.of_policy(&PolicyAt::from(policy), Revision::After));
            }
        }
        let of_people = !delta.people.is_empty() || delta.change == Change::ScopeWithoutApprover;
        if of_people {
            causes.clear();
            causes.extend(self.consent_causes(scope));
            for person in &delta.people {
                let id = PrincipalId::User(person.clone());
                causes.extend(self.of_principal(&id));
            }
        }
        if causes.is_empty() {
            causes.extend(self.of_scope(scope));
            for member in &class.members {
                causes.extend(self.of_principal(member));
            }
        }
        if causes.is_empty() {
            causes = self.all_causes().into_iter().collect();
        }
        causes.into_iter().collect()
    }

    fn is_changed(&self, id: &str, revision: Revision) -> bool {
        self.changed
            .iter()
            .filter(|changed| changed.matters())
            .any(|changed| {
                let own = match revision {
                    Revision::Before => &changed.old,
                    Revision::After => &changed.new,
                };
                own.as_ref().is_some_and(|own| {
                    let own: &str = own.as_ref();
                    own == id
                })
            })
    }

    /// A policy where it stands now; where it stood if it is gone.
    fn of_policy(&self, policy: &PolicyAt, revision: Revision) -> Cause {
        match (revision, self.new.bundle.policy(&policy.id)) {
            (Revision::Before, Some(now)) => Cause::policy(&PolicyAt::from(now), Revision::After),
            (revision, _) => Cause::policy(policy, revision),
        }
    }

    /// The changed policies about consent that can be about this scope.
    fn consent_causes(&self, scope: &ScopeId) -> BTreeSet<Cause> {
        let mut causes = BTreeSet::new();
        for changed in self.changed.iter().filter(|changed| changed.matters()) {
            let sides = [
                (self.old, &changed.old, Revision::Before),
                (self.new, &changed.new, Revision::After),
            ];
            for (side, id, revision) in sides {
                let Some(id) = id else { continue };
                let policies = side.bundle.policies();
                let line =
                    crate::decide::Line::of(&policies.entities, &policies.types.scope(scope));
                let aim = Aim::of(side.bundle, id);
                if aim.is_some_and(|aim| aim.consents && aim.scope(&line))
                    && let Some(place) = side.bundle.policy(id.as_ref())
                {
                    causes.insert(self.of_policy(&PolicyAt::from(place), revision));
                }
            }
        }
        causes
    }

    /// Everything that changed, where nothing in particular can be named.
    fn all_causes(&self) -> Vec<Cause> {
        let mut causes: BTreeSet<Cause> = BTreeSet::new();
        for changed in self.changed.iter().filter(|changed| changed.matters()) {
            causes.extend(self.place_of(changed));
        }
        for id in &self.touched.principals {
            causes.extend(self.of_principal(id));
        }
        for id in &self.touched.entries {
            causes.extend(self.of_scope(id));
        }
        let changed_files = |name: &str| self.old.files.0.get(name) != self.new.files.0.get(name);
        if causes.is_empty() {
            let files = [crate::bundle::SCHEMA, crate::bundle::DIRECTORY];
            let files = files.into_iter().filter(|name| changed_files(name));
            causes.extend(files.map(Cause::file));
        }
        causes.into_iter().collect()
    }

    fn place_of(&self, changed: &Changed) -> Option<Cause> {
        let now = changed
            .new
            .as_ref()
            .and_then(|id| self.new.bundle.policy(id.as_ref()))
            .map(|place| Cause::policy(&PolicyAt::from(place), Revision::After));
        let was = || {
            let id = changed.old.as_ref()?;
            let place = self.old.bundle.policy(id.as_ref())?;
            Some(Cause::policy(&PolicyAt::from(place), Revision::Before))
        };
        now.or_else(was)
    }

    fn of_scope(&self, scope: &ScopeId) -> Option<Cause> {
        let touched = self.touched.entries.contains(scope);
        touched
            .then(|| {
                source::block(
                    [self.old.files, self.new.files],
                    CauseKind::Scope,
                    scope.as_str(),
                )
            })
            .flatten()
    }

    fn of_principal(&self, id: &PrincipalId) -> Option<Cause> {
        let kind = match id {
            PrincipalId::User(_) => CauseKind::User,
            PrincipalId::Workload(_) => CauseKind::Workload,
        };
        let touched = self.touched.principals.contains(id);
        touched
            .then(|| source::block([self.old.files, self.new.files], kind, id.name()))
            .flatten()
    }

    fn note(
        &mut self,
        change: Change,
        scope: Option<&ScopeId>,
        principals: impl IntoIterator<Item = PrincipalId>,
        [before, after]: [String; 2],
        causes: Vec<Cause>,
    ) {
        let key = Key {
            severity: std::cmp::Reverse(change.severity()),
            change,
            scope: scope.cloned(),
            only: String::new(),
            before,
            after,
            causes,
        };
        let found = self.found.entry(key).or_default();
        found.principals.extend(principals);
    }

    /// Whether the policy by itself would now let people consent to their own requests.
    fn self_approval(&mut self, class: &Class, scope: &ScopeId, all: &[Circumstance]) {
        let causes: Vec<Cause> = self.consent_causes(scope).into_iter().collect();
        let (Some(first), false) = (all.first(), causes.is_empty()) else {
            return;
        };
        let asking = Principal {
            id: class.first().clone(),
            claims: first.claims.clone(),
        };
        let mut could = |side: Side<'_>| {
            let Some(surveyor) = Surveyor::of(side.bundle, &asking) else {
                return BTreeSet::new();
            };
            let kinds = surveyor.consents_to_self(scope, first.setting());
            self.effort.evaluations += surveyor.evaluations();
            kinds
        };
        let (was, is) = (could(self.old), could(self.new));
        let gained: Vec<&str> = is.difference(&was).map(|kind| kind.as_str()).collect();
        if !gained.is_empty() {
            let after = format!("their own as {}, says the policy", gained.join(" and "));
            self.note(
                Change::SelfApprovalEnabled,
                Some(scope),
                class.members.iter().cloned(),
                ["not their own".to_owned(), after],
                causes,
            );
        }
    }

    /// Scopes that came, went, or give something else at AWS.
    fn catalog(&mut self) {
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

    fn entry(
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
    fn directory(&mut self) {
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
    fn policies(&mut self) {
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
    fn without_effect(
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

    /// The findings in order, each with an example that was replayed.
    fn findings(self) -> Result<Vec<Finding>, Disagreement> {
        let (old, new) = (self.old.bundle, self.new.bundle);
        let person = |id: &PrincipalId| {
            let known = |bundle: &Bundle| bundle.directory().person_behind(id).cloned();
            known(new).or_else(|| known(old))
        };
        let mut findings = Vec::new();
        for (key, found) in self.found {
            for (words, part) in found.parts(person) {
                let [before, after] = words.unwrap_or([key.before.clone(), key.after.clone()]);
                let example = match (part.probes.first_key_value(), &key.scope) {
                    (Some((principal, (circumstance, duration))), Some(scope)) => {
                        let duration = *duration;
                        let asked = Asked {
                            principal,
                            scope,
                            circumstance,
                            duration,
                        };
                        asked.replay(old, new, key.change)?
                    }
                    _ => None,
                };
                let mut principals: Vec<Who> = part.principals.iter().map(Who::from).collect();
                principals.sort();
                findings.push(Finding {
                    change: key.change,
                    severity: key.change.severity(),
                    scope: key.scope.clone(),
                    principals,
                    only: key.only.clone(),
                    before,
                    after,
                    causes: key.causes.clone(),
                    example,
                });
            }
        }
        Ok(findings)
    }
}

struct Asked<'a> {
    principal: &'a PrincipalId,
    scope: &'a ScopeId,
    circumstance: &'a Circumstance,
    duration: Duration,
}

impl Asked<'_> {
    /// Puts the request to both bundles.
    fn replay(
        &self,
        old: &Bundle,
        new: &Bundle,
        change: Change,
    ) -> Result<Option<Example>, Disagreement> {
        let asking = Principal {
            id: self.principal.clone(),
            claims: self.circumstance.claims.clone(),
        };
        let draft = Draft {
            principal: &asking,
            scope: self.scope,
            duration: self.duration,
            reason: &self.circumstance.reason,
            ticket: self.circumstance.ticket.as_deref(),
        };
        let (was, is) = (
            check(old, &draft, self.circumstance.opens_at),
            check(new, &draft, self.circumstance.opens_at),
        );
        let (before, after) = (words::decision(&was), words::decision(&is));
        if before == after {
            // An answer names fifty people at most, so that a change among very many approvers does not show in it.
            let of_people = matches!(change, Change::ApproversWidened | Change::ApproversNarrowed);
            if of_people && names_not_all(&was) && names_not_all(&is) {
                return Ok(None);
            }
            return Err(Disagreement {
                change: change.id(),
                principal: self.principal.to_string(),
                scope: self.scope.to_string(),
                decision: before,
            });
        }
        Ok(Some(Example {
            principal: self.principal.into(),
            claims: self.circumstance.claims.clone(),
            duration_s: self.duration.as_s(),
            ticket: self.circumstance.ticket.clone(),
            reason: self.circumstance.reason.clone(),
            opens_at: self.circumstance.opens_at.to_string(),
            before,
            after,
        }))
    }
}

fn names_not_all<G>(decision: &Decision<G>) -> bool {
    match decision {
        Decision::NeedsApproval(needs) => {
            let kinds = needs.ways.iter().flat_map(|way| way.who.values());
            kinds.into_iter().any(|eligible| eligible.more)
        }
        Decision::Granted(_) | Decision::Denied(_) => false,
    }
}
