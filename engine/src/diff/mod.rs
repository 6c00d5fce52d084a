//! What a change of a bundle gives to whom: two bundles compared by what they decide, not by how they read.
//!
//! The policies, the directory and the catalog are compared first, which costs no evaluation; from that follows which
//! principals and scopes a change can touch at all (`touched`). Only these are asked about, of the evaluation that decides
//! real requests, at every point where an answer can change (see [`crate::access`]). Every finding about a decision comes
//! with a request that the two bundles decide differently, which was put to both with [`check_to`]. Where that does not show
//! what the finding says, there is no report at all: a tool that is wrong about access must not be believed.

mod causes;
mod change;
mod compare;
mod entries;
mod found;
mod policies;
mod says;
mod source;
mod touched;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::access::circumstance::{Edges, circumstances};
use crate::access::{Action, Circumstance, Class, Who, class, exchanged, points, survey};
use crate::bundle::policies::Points;
use crate::bundle::{Bundle, BundleFiles};
use crate::decide::{Decision, Draft, Purpose, Step, Surveyor, check_to, may_name};
use crate::principal::{Principal, PrincipalId};
use crate::scope::ScopeId;
use crate::window::Duration;

pub use change::{Change, Severity};
pub(crate) use source::Known;
pub use source::{Cause, CauseKind, Revision};

use compare::{Delta, compare};
use found::{Found, Key};
use policies::{Changed, union};
use touched::Touched;

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
    /// By which action a window comes to be, or to be longer; left out of documents where it is the usual one.
    #[serde(skip_serializing_if = "Action::is_activate")]
    pub action: Action,
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
    /// In an emergency, how many post-reviews are owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_reviews: Option<u32>,
    /// Of an extension, how often the window was extended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<u32>,
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
    comparison.says();
    let effort = comparison.effort;
    Ok(Diff {
        before: old.bundle.digest().to_string(),
        after: new.bundle.digest().to_string(),
        findings: comparison.findings()?,
        effort,
    })
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
                self.pair(class, scope);
            }
        }
    }

    /// By each action that some permit's head names for these principals and this scope.
    fn pair(&mut self, class: &Class, scope: &ScopeId) {
        let (old, new) = (self.old.bundle, self.new.bundle);
        let named = |action: &Action| {
            let named = |bundle| may_name(bundle, class.first(), scope, action.purpose());
            named(old) || named(new)
        };
        let actions: Vec<Action> = Action::ALL.into_iter().filter(named).collect();
        if actions.is_empty() {
            return;
        }
        self.effort.pairs += 1;
        let asked = actions
            .into_iter()
            .map(|action| self.window(class, scope, action));
        let asked: Vec<Option<Vec<Circumstance>>> = asked.collect();
        if let Some(all) = asked.iter().flatten().next() {
            self.self_approval(class, scope, all);
        }
    }

    /// What changed for windows by one action, and the circumstances that were asked about; `None` where there are too many.
    fn window(
        &mut self,
        class: &Class,
        scope: &ScopeId,
        action: Action,
    ) -> Option<Vec<Circumstance>> {
        let (old, new) = (self.old.bundle, self.new.bundle);
        let mut both = Points::default();
        for bundle in [old, new] {
            if bundle.scope(scope).is_some() {
                both.merge(points(bundle, class.first(), scope, action));
            }
        }
        let all = circumstances(&[old, new], class.first(), action, &both, Edges::With);
        let Some(all) = all else {
            let most = crate::access::CIRCUMSTANCES_MAX;
            let causes = self.all_causes();
            let key = Key {
                action,
                only: action.only(String::new()),
                ..Key::of(
                    Change::NotEnumerated,
                    Some(scope),
                    [String::new(), format!("more than {most} circumstances")],
                    causes,
                )
            };
            let found = self.found.entry(key).or_default();
            found.principals.extend(class.members.iter().cloned());
            return None;
        };
        let (before, asked_before) = survey(old, class.first(), scope, &all);
        let (after, asked_after) = survey(new, class.first(), scope, &all);
        self.effort.evaluations += asked_before + asked_after;
        if before.iter().chain(&after).any(|steps| !steps.is_empty()) {
            let holders = self.holders.entry(scope.clone()).or_default();
            holders.extend(class.members.iter().cloned());
        }
        for delta in compare(&before, &after, &all) {
            self.tell(class, scope, action, &delta, &all);
        }
        Some(all)
    }

    /// Notes a difference for each member of the class, in the words that are true of that member.
    fn tell(
        &mut self,
        class: &Class,
        scope: &ScopeId,
        action: Action,
        delta: &Delta,
        all: &[Circumstance],
    ) {
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
            let shapes = [words::shape(&delta.before), words::shape(&delta.after)];
            let key = Key {
                action,
                only: action.only(delta.only.clone()),
                ..Key::of(delta.change, Some(scope), shapes, causes.clone())
            };
            let found = self.found.entry(key).or_default();
            found.steps.entry(member.clone()).or_insert(own);
            let probe = (circumstance.clone(), delta.probe.duration);
            found.probes.entry(member.clone()).or_insert(probe);
        }
    }

    fn note(
        &mut self,
        change: Change,
        scope: Option<&ScopeId>,
        principals: impl IntoIterator<Item = PrincipalId>,
        words: [String; 2],
        causes: Vec<Cause>,
    ) {
        let key = Key::of(change, scope, words, causes);
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
                    action: key.action,
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
        let purpose = self.circumstance.purpose;
        let (was, is) = (
            check_to(old, &draft, purpose, self.circumstance.opens_at),
            check_to(new, &draft, purpose, self.circumstance.opens_at),
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
        let (open_reviews, extensions) = match purpose {
            Purpose::Activate => (None, None),
            Purpose::BreakGlass { open_reviews } => (Some(open_reviews), None),
            Purpose::Extend { extensions } => (None, Some(extensions)),
        };
        Ok(Some(Example {
            principal: self.principal.into(),
            claims: self.circumstance.claims.clone(),
            duration_s: self.duration.as_s(),
            ticket: self.circumstance.ticket.clone(),
            reason: self.circumstance.reason.clone(),
            opens_at: self.circumstance.opens_at.to_string(),
            open_reviews,
            extensions,
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
