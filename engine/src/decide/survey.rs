//! Everything one principal could have of one scope, asked of the very evaluation that decides real requests.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::PolicyId;

use crate::approval::Kind;
use crate::bundle::Bundle;
use crate::bundle::policies::PolicyFacts;
use crate::diff::Known;
use crate::principal::{Principal, PrincipalId, UserId};
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, WINDOW_MAX_S, Window};

use super::ask::{Ask, Asker, Wish};
use super::index::{Head, Line};
use super::nearest::critical_durations;
use super::people::Consents;
use super::search::Search;
use super::ways::{Hall, minimal_counts};
use super::{PolicyRef, Purpose};

/// What a request says besides who, what and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'s> {
    /// What its window is for.
    pub(crate) purpose: Purpose,
    /// When its window would open.
    pub(crate) opens_at: Moment,
    /// The ticket it names.
    pub(crate) ticket: Option<&'s str>,
    /// Why.
    pub(crate) reason: &'s str,
}

/// One minimal set of approvals, and the longest window it is enough for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many distinct people of each kind; empty where nobody has to consent.
    pub(crate) needs: BTreeMap<Kind, u32>,
    /// Everyone who could give each of those kinds.
    pub(crate) who: BTreeMap<Kind, BTreeSet<UserId>>,
    /// Whether enough distinct people exist.
    pub(crate) feasible: bool,
    /// The longest window.
    pub(crate) longest: Duration,
    /// The permits that allow it.
    pub(crate) because: Vec<PolicyRef>,
}

impl Step {
    /// Whether it gives the same, whichever policies say so.
    pub(crate) fn alike(&self, other: &Step) -> bool {
        self.needs == other.needs
            && self.who == other.who
            && self.feasible == other.feasible
            && self.longest == other.longest
    }
}

/// What the policies say at one point.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The permits that matched, unless a forbid did.
    pub(crate) permits: Vec<PolicyRef>,
    /// The forbids that matched or could not be evaluated.
    pub(crate) forbids: Vec<PolicyRef>,
}

/// Someone, as one bundle knows them, about whom many questions are asked.
#[derive(Debug)]
pub(crate) struct Surveyor<'a> {
    asker: Asker<'a>,
    evaluations: Cell<u64>,
}

impl<'a> Surveyor<'a> {
    /// `None` for whoever the bundle does not know, or knows with other claims.
    pub(crate) fn of(bundle: &'a Bundle, principal: &'a Principal) -> Option<Surveyor<'a>> {
        Some(Surveyor {
            asker: Asker::of(bundle, principal)?,
            evaluations: Cell::new(0),
        })
    }

    /// How many questions Cedar was asked so far.
    pub(crate) fn evaluations(&self) -> u64 {
        self.evaluations.get()
    }

    /// Every minimal way to have the scope, each with its longest window; the cheapest first. A way stands there twice
    /// where others could consent to a shorter window than to the longest.
    ///
    /// `None` when the bundle has no such scope, or the scope no terms for an emergency.
    pub(crate) fn steps(&self, scope: &ScopeId, setting: Setting<'_>) -> Option<Vec<Step>> {
        let ask = self.wants(scope, setting)?;
        let steps = steps(&ask, setting);
        self.evaluations
            .set(self.evaluations.get() + ask.evaluations());
        Some(steps)
    }

    /// What the policies say to a window of `duration` with these approvals.
    pub(crate) fn verdict(
        &self,
        scope: &ScopeId,
        setting: Setting<'_>,
        duration: Duration,
        needs: &BTreeMap<Kind, u32>,
    ) -> Verdict {
        let asked = self.wants(scope, setting);
        let (Some(ask), Ok(window)) = (asked, Window::opening(setting.opens_at, duration)) else {
            return Verdict::default();
        };
        let wish = Wish {
            window,
            ticket: setting.ticket,
        };
        let kinds = self.asker.index().kinds().iter();
        let counts: Vec<u32> = kinds
            .map(|(kind, _)| needs.get(kind).copied().unwrap_or(0))
            .collect();
        let answer = ask.activate(&ask.slice(), wish, &counts);
        self.evaluations
            .set(self.evaluations.get() + ask.evaluations());
        let forbids = answer.forbids.iter().chain(&answer.errored_forbids);
        Verdict {
            permits: ask.places(&answer.permits),
            forbids: ask.places(forbids),
        }
    }

    fn wants<'s>(&'s self, scope: &ScopeId, setting: Setting<'s>) -> Option<Ask<'s>> {
        let Setting {
            purpose,
            opens_at,
            reason,
            ..
        } = setting;
        self.asker.wants_to(purpose, scope, opens_at, reason)
    }

    /// As which kinds the *policy alone* would let the person behind a request consent to it. Writ counts no such consent
    /// whatever the policy says; that it would need to is worth knowing.
    pub(crate) fn consents_to_self(&self, scope: &ScopeId, setting: Setting<'_>) -> BTreeSet<Kind> {
        let asked = self.asker.wants(scope, setting.opens_at, setting.reason);
        let shortest = Duration::from_s(1).ok();
        let window = shortest.and_then(|it| Window::opening(setting.opens_at, it).ok());
        let (Some(ask), Some(window)) = (asked, window) else {
            return BTreeSet::new();
        };
        let wish = Wish {
            window,
            ticket: setting.ticket,
        };
        let kinds = self.asker.index().kinds().iter().enumerate();
        let found = kinds
            .filter(|(kind, _)| ask.would_let_self(*kind, wish))
            .map(|(_, (kind, _))| kind.clone())
            .collect();
        self.evaluations
            .set(self.evaluations.get() + ask.evaluations());
        found
    }
}

/// Whether some permit's head names this principal and the scope for this purpose: without one there is nothing to have.
pub(crate) fn may_name(
    bundle: &Bundle,
    principal: &PrincipalId,
    scope: &ScopeId,
    purpose: Purpose,
) -> bool {
    let policies = bundle.policies();
    let line = |uid| Line::of(&policies.entities, &uid);
    let known = bundle
        .scope(scope)
        .is_some_and(|scope| purpose.is_known_to(scope));
    known
        && bundle.directory().person_behind(principal).is_some()
        && bundle.index().some_permit_names(
            bundle.index().action_of(purpose),
            &line(policies.types.principal(principal)),
            &line(policies.types.scope(scope)),
        )
}

/// What is known of every policy that could matter to this principal in this scope, for this purpose: to the window itself,
/// or to who may consent to it.
pub(crate) fn facts_about<'a>(
    bundle: &'a Bundle,
    principal: &PrincipalId,
    scope: &ScopeId,
    purpose: Purpose,
) -> Vec<&'a PolicyFacts> {
    let (index, policies) = (bundle.index(), bundle.policies());
    let asking = Line::of(&policies.entities, &policies.types.principal(principal));
    let line = Line::of(&policies.entities, &policies.types.scope(scope));
    let slice = index.slice(index.action_of(purpose), &asking, &line);
    let mut ids: BTreeSet<&PolicyId> = slice.heads().map(|head| &head.id).collect();
    for (_, action) in index.kinds() {
        let heads = index.heads_for_anyone(action, &line);
        ids.extend(
            heads
                .filter(|head| head.matches_resource(&line))
                .map(|head| &head.id),
        );
    }
    ids.into_iter()
        .filter_map(|id| policies.facts.get(id))
        .collect()
}

fn steps(ask: &Ask<'_>, setting: Setting<'_>) -> Vec<Step> {
    let search = Search::of(ask, ask.slice());
    let of_consent = ask.consent_facts();
    let turns: BTreeSet<u32> = of_consent
        .iter()
        .flat_map(|facts| facts.durations_s.iter().copied())
        .collect();
    let reads_wish = of_consent.iter().any(|facts| reads_wish(facts));
    let mut durations = critical_durations(&search, WINDOW_MAX_S);
    durations.extend(&turns);
    // Each minimal set of approvals, with the windows it is enough for and the permits that say so.
    let mut found: BTreeMap<Vec<u32>, BTreeMap<Duration, Vec<PolicyRef>>> = BTreeMap::new();
    for duration in durations {
        let Some(wish) = wish(setting, duration) else {
            continue;
        };
        // A longer window is never allowed where a shorter one is not.
        if !search.could_be(wish) {
            break;
        }
        let mut because = BTreeMap::new();
        let minimal = minimal_counts(&search.tops, |counts| {
            let answer = search.answer(wish, counts);
            if answer.allowed {
                because.insert(counts.to_vec(), ask.places(&answer.permits));
            }
            answer.allowed
        });
        for counts in minimal {
            let permits = because.remove(&counts).unwrap_or_default();
            let windows = found.entry(counts).or_default();
            windows.insert(wish.window.duration(), permits);
        }
    }
    let consents = Consents::default();
    let mut shared: Option<Hall<'_, '_>> = None;
    let mut steps = Vec::new();
    for (counts, windows) in found {
        let mut longer: Option<(BTreeMap<Kind, BTreeSet<UserId>>, bool)> = None;
        for (duration, because) in windows.into_iter().rev() {
            if longer.is_some() && !turns.contains(&duration.as_s()) {
                continue;
            }
            let Some(wish) = wish(setting, duration.as_s()) else {
                continue;
            };
            let (who, feasible) = if reads_wish {
                Hall::of(ask, wish, &consents, usize::MAX).who(&counts)
            } else {
                shared
                    .get_or_insert_with(|| Hall::of(ask, wish, &consents, usize::MAX))
                    .who(&counts)
            };
            let who: BTreeMap<Kind, BTreeSet<UserId>> = who
                .into_iter()
                .map(|(kind, eligible)| (kind, eligible.people))
                .collect();
            let people = (who, feasible);
            if longer.as_ref() == Some(&people) {
                continue;
            }
            steps.push(Step {
                needs: ask.by_kind(&counts),
                who: people.0.clone(),
                feasible,
                longest: duration,
                because,
            });
            longer = Some(people);
        }
    }
    steps.sort_by_key(|step| {
        let people: u32 = step.needs.values().sum();
        (people, step.needs.clone(), std::cmp::Reverse(step.longest))
    });
    steps
}

fn wish(setting: Setting<'_>, duration_s: u32) -> Option<Wish<'_>> {
    let duration = Duration::from_s(duration_s).ok()?;
    let window = Window::opening(setting.opens_at, duration).ok()?;
    Some(Wish {
        window,
        ticket: setting.ticket,
    })
}

/// Whether a policy about consent looks at what is wished, and not only at who and what.
fn reads_wish(facts: &PolicyFacts) -> bool {
    let paths = facts
        .conditions
        .iter()
        .flat_map(|condition| &condition.paths);
    paths.into_iter().any(|path| {
        matches!(path.as_slice(), [root, name, ..]
            if root == "context" && ["window", "ticket", "reason"].contains(&name.as_str()))
    })
}

impl Ask<'_> {
    /// What is known of every policy about who may consent to this.
    fn consent_facts(&self) -> Vec<&PolicyFacts> {
        let index = self.asker.index();
        let mut ids: BTreeSet<&PolicyId> = BTreeSet::new();
        for (_, action) in index.kinds() {
            let heads = index.heads_for_anyone(action, &self.line);
            ids.extend(heads.map(|head| &head.id));
        }
        let facts = &self.asker.policies().facts;
        ids.into_iter().filter_map(|id| facts.get(id)).collect()
    }
}

/// What the head of one policy lets through.
#[derive(Debug)]
pub(crate) struct Aim {
    head: Head,
    /// Whether it can be about `activate`.
    pub(crate) activates: bool,
    /// Whether it can be about `breakGlass`.
    pub(crate) breaks: bool,
    /// Whether it can be about `extend`.
    pub(crate) extends: bool,
    /// Whether it can be about consent of some kind.
    pub(crate) consents: bool,
    /// Whether it can be about who may see requests.
    pub(crate) views: bool,
    /// Whether it can be about who may end what others have.
    pub(crate) revokes: bool,
    /// Whether it can be about who may close post-reviews.
    pub(crate) reviews: bool,
    /// Whether it can be about who may lend a right to consent.
    pub(crate) delegates: bool,
}

impl Aim {
    /// Of the policy of this id, where the bundle has it.
    pub(crate) fn of(bundle: &Bundle, id: &PolicyId) -> Option<Aim> {
        let (index, policies) = (bundle.index(), bundle.policies());
        let policy = policies.set.policy(id)?;
        let about = |action| index.is_about(policy, action, &policies.entities);
        Some(Aim {
            head: Head::of(policy),
            activates: about(index.activate()),
            breaks: about(index.break_glass()),
            extends: about(index.extend()),
            consents: index.kinds().iter().any(|(_, action)| about(action)),
            views: about(index.view()),
            revokes: about(index.revoke()),
            reviews: about(index.review()),
            delegates: about(index.delegate()),
        })
    }

    /// Whether it can be about a window: to open one, also in an emergency, or to make it longer.
    pub(crate) fn opens(&self) -> bool {
        self.activates || self.breaks || self.extends
    }

    /// Whether it can be about who has a say in what others have, or lends theirs.
    pub(crate) fn has_say(&self) -> bool {
        self.revokes || self.reviews || self.delegates
    }

    /// Which say, in words: `to revoke and to review`.
    pub(crate) fn says(&self) -> String {
        let says = [
            (self.revokes, "to revoke"),
            (self.reviews, "to review"),
            (self.delegates, "to lend their right to consent"),
        ];
        let says = says.into_iter().filter(|(is, _)| *is);
        let words: Vec<&str> = says.map(|(_, words)| words).collect();
        words.join(" and ")
    }

    /// Whether what it is about is, or may be, about a scope.
    pub(crate) fn has_scopes(&self) -> bool {
        self.opens() || self.consents || self.views || self.revokes || self.reviews
    }

    /// Whether it forbids.
    pub(crate) fn forbids(&self) -> bool {
        self.head.forbids
    }

    /// Whether the head lets any of these principals and any of these scopes through.
    pub(crate) fn lets_through(&self, principals: &Known, scopes: &Known) -> bool {
        self.head.lets_anyone(principals) && self.head.lets_anything(scopes)
    }

    /// Whether the head lets this principal through.
    pub(crate) fn principal(&self, line: &Line) -> bool {
        self.head.matches_principal(line)
    }

    /// Whether the head lets this scope through.
    pub(crate) fn scope(&self, line: &Line) -> bool {
        self.head.matches_resource(line)
    }
}
