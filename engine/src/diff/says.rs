//! Who has a say in what others have: who may end it, close its post-review, or lend their right to consent to it. A changed
//! policy about that is told as such; here stands what a change of the directory or of the catalog makes of it, person by
//! person.

use std::collections::{BTreeMap, BTreeSet};

use super::policies::union;
use super::{Change, Comparison, Side};
use crate::access::class::everyone;
use crate::bundle::Bundle;
use crate::bundle::policies::Text;
use crate::decide::{Aim, may_delegate, may_review, may_revoke};
use crate::principal::{Principal, PrincipalId};
use crate::scope::ScopeId;

/// The most questions asked about one of these, each some microseconds: a second or two. Where it takes more, it is said that
/// nothing is known.
const QUESTIONS_MAX: usize = 50_000;

/// How many names one side of a finding has.
const NAMES_MAX: usize = 12;

/// What someone may have a say in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    Revoke,
    Review,
    Lend,
}

impl Say {
    const ALL: [Say; 3] = [Say::Revoke, Say::Review, Say::Lend];

    fn is_about(self, aim: &Aim) -> bool {
        match self {
            Say::Revoke => aim.revokes,
            Say::Review => aim.reviews,
            Say::Lend => aim.delegates,
        }
    }

    fn words(self, whom: &str) -> String {
        match self {
            Say::Revoke => format!("may revoke what {whom} asked for"),
            Say::Review => format!("may review the emergencies of {whom}"),
            Say::Lend => format!("may lend their right to consent to {whom}"),
        }
    }

    /// Whether `who` has it: in what `whom` asked of the scope, or in lending to them.
    fn has(self, bundle: &Bundle, who: &PrincipalId, whom: &PrincipalId, at: &ScopeId) -> bool {
        let asked = Principal {
            id: whom.clone(),
            claims: BTreeMap::new(),
        };
        match (self, who, whom) {
            (Say::Revoke, who, _) => {
                let who = Principal {
                    id: who.clone(),
                    claims: BTreeMap::new(),
                };
                may_revoke(bundle, &who, &asked, at)
            }
            (Say::Review, PrincipalId::User(who), _) => may_review(bundle, who, &asked, at),
            (Say::Lend, PrincipalId::User(who), PrincipalId::User(whom)) => {
                may_delegate(bundle, who, whom)
            }
            (Say::Review | Say::Lend, _, _) => false,
        }
    }
}

impl Comparison<'_> {
    /// Every say that the directory or the catalog gives or takes.
    pub(super) fn says(&mut self) {
        let touched = &self.touched;
        let nothing = touched.principals.is_empty() && touched.entries.is_empty();
        if nothing && !touched.everything {
            return;
        }
        for say in Say::ALL {
            let permits = |side: Side<'_>| permits(side.bundle, say);
            if permits(self.old) || permits(self.new) {
                self.of_say(say);
            }
        }
    }

    fn of_say(&mut self, say: Say) {
        let (old, new) = (self.old.bundle, self.new.bundle);
        let asking = union(everyone(old), everyone(new));
        let people = |id: &&PrincipalId| say == Say::Revoke || is_user(id);
        let who: Vec<&PrincipalId> = asking.iter().filter(people).collect();
        // Who or what is new, or gone, has its own finding: here it is about what there is before and after.
        let known = |bundle: &Bundle, id: &PrincipalId| {
            let person = bundle.directory().person_behind(id);
            person.is_some()
        };
        let whom: Vec<&PrincipalId> = asking
            .iter()
            .filter(|id| known(old, id) && known(new, id))
            .filter(|id| say != Say::Lend || is_user(id))
            .collect();
        let scopes: Vec<ScopeId> = old
            .scopes()
            .map(|scope| scope.id.clone())
            .filter(|id| new.scope(id).is_some())
            .take(if say == Say::Lend { 1 } else { usize::MAX })
            .collect();
        let (principals, entries) = (&self.touched.principals, &self.touched.entries);
        let everything = self.touched.everything;
        let mut asked: Vec<(&PrincipalId, &PrincipalId, &ScopeId)> = Vec::new();
        for who in &who {
            for whom in &whom {
                let either = everything || principals.contains(who) || principals.contains(whom);
                let at = scopes.iter().filter(|at| either || entries.contains(*at));
                asked.extend(at.map(|at| (*who, *whom, at)));
            }
            if asked.len() > QUESTIONS_MAX {
                break;
            }
        }
        let unknown = match asked.len() > QUESTIONS_MAX {
            true => Some("may have changed; there is too much to ask about"),
            false => self.reads_claims(say).then_some(
                "may have changed for jobs; it depends on their tokens, which is not asked about",
            ),
        };
        if let Some(unknown) = unknown {
            let what = format!("who {}", say.words("others"));
            let causes = self.all_causes();
            let words = [what, unknown.to_owned()];
            self.note(Change::SayChanged, None, [], words, causes);
        }
        if asked.len() > QUESTIONS_MAX {
            return;
        }
        // By whether it is gained, who, and where: of whom.
        let mut found: BTreeMap<(bool, &PrincipalId, &ScopeId), BTreeSet<&PrincipalId>> =
            BTreeMap::new();
        for (who, whom, at) in asked {
            let own = |bundle: &Bundle| {
                let person = bundle.directory().person_behind(whom);
                person.is_some_and(|person| *who == PrincipalId::User(person.clone()))
            };
            // What one has oneself one gives back.
            if who == whom || own(old) || own(new) {
                continue;
            }
            let had = say.has(old, who, whom, at);
            let has = say.has(new, who, whom, at);
            if had != has {
                found.entry((has, who, at)).or_default().insert(whom);
            }
        }
        let mut told: Vec<Told> = Vec::new();
        for ((gained, who, at), of) in found {
            let others = whom.iter().filter(|whom| ***whom != *who).count();
            let names = match of.len() == others {
                true => "anyone else".to_owned(),
                false => names(&of),
            };
            let mut causes: BTreeSet<super::Cause> = self.of_principal(who).into_iter().collect();
            causes.extend(of.iter().filter_map(|whom| self.of_principal(whom)));
            causes.extend(self.of_scope(at));
            let (words, none) = (say.words(&names), "may not".to_owned());
            let words = match gained {
                true => [none, words],
                false => [words, none],
            };
            let one = Told {
                words,
                causes: match causes.is_empty() {
                    true => self.all_causes(),
                    false => causes.into_iter().collect(),
                },
                who: BTreeSet::from([who.clone()]),
                at: BTreeSet::from([at.clone()]),
            };
            let same = |other: &&mut Told| {
                other.who == one.who && other.words == one.words && other.causes == one.causes
            };
            match told.iter_mut().find(same) {
                Some(known) => known.at.extend(one.at),
                None => told.push(one),
            }
        }
        let all: BTreeSet<ScopeId> = scopes.into_iter().collect();
        for Told {
            words,
            causes,
            who,
            at,
        } in told
        {
            // The same everywhere is about no scope in particular.
            if at == all {
                self.note(Change::SayChanged, None, who, words, causes);
                continue;
            }
            for at in at {
                let (words, causes) = (words.clone(), causes.clone());
                self.note(Change::SayChanged, Some(&at), who.clone(), words, causes);
            }
        }
    }

    /// Whether jobs changed, and a policy about this looks at what their tokens claim.
    fn reads_claims(&self, say: Say) -> bool {
        let jobs = self.touched.principals.iter().any(|id| !is_user(id));
        jobs && [self.old, self.new].into_iter().any(|side| {
            let policies = side.bundle.policies();
            let mut about = policies
                .facts
                .iter()
                .filter(|(id, _)| Aim::of(side.bundle, id).is_some_and(|aim| say.is_about(&aim)));
            about.any(|(_, facts)| {
                let texts = facts.points().texts;
                texts.keys().any(|text| matches!(text, Text::Claim(_)))
            })
        })
    }
}

/// What is told of someone.
struct Told {
    words: [String; 2],
    causes: Vec<super::Cause>,
    who: BTreeSet<PrincipalId>,
    at: BTreeSet<ScopeId>,
}

fn is_user(id: &PrincipalId) -> bool {
    match id {
        PrincipalId::User(_) => true,
        PrincipalId::Workload(_) => false,
    }
}

fn permits(bundle: &Bundle, say: Say) -> bool {
    let ids = bundle.policies().facts.keys();
    let mut aims = ids.filter_map(|id| Aim::of(bundle, id));
    aims.any(|aim| !aim.forbids() && say.is_about(&aim))
}

fn names(of: &BTreeSet<&PrincipalId>) -> String {
    let shown: Vec<&str> = of.iter().take(NAMES_MAX).map(|id| id.name()).collect();
    match of.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
