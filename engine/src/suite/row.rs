//! One case: a request that nobody made, decided by the real engine, and compared with what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::approval::{Approval, Kind};
use crate::bundle::Bundle;
use crate::case::Case;
use crate::decide::{Decision, Grant, NeedsApproval, decide, may_view, may_view_refusal};
use crate::digest::SaltedText;
use crate::event::{Event, Fact, Outcome, Verdict};
use crate::principal::{Principal, UserId};
use crate::request::{Request, RequestId};
use crate::scope::ScopeId;
use crate::window::{Duration, Moment, WINDOW_MAX_S};

use super::Failure;
use super::explain;
use super::names::Who;

/// How long the request of a case waits to be decided, in seconds. Any time will do: a case is decided the moment it is made.
const REQUEST_TTL_S: u32 = 86_400;

/// One line of a table of cases.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) who: Who,
    pub(super) principal: Principal,
    pub(super) scope: ScopeId,
    pub(super) duration: Duration,
    pub(super) reason: String,
    pub(super) ticket: Option<String>,
    pub(super) at: Moment,
    /// Who has consented, and as what.
    pub(super) approvals: BTreeMap<UserId, BTreeSet<Kind>>,
    pub(super) expect: Expect,
    /// The policies that decide, all of them.
    pub(super) policies: Option<BTreeSet<String>>,
    /// Who could give what is missing, everyone.
    pub(super) approvers: Option<BTreeMap<Kind, BTreeSet<UserId>>>,
    /// The longest window with the same answer.
    pub(super) longest: Option<Duration>,
    /// Who else may see the request, everyone.
    pub(super) viewers: Option<BTreeSet<UserId>>,
}

/// The three answers, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expect {
    Denied,
    NeedsApproval,
    Granted,
}

impl Expect {
    /// As tests write them.
    pub(super) const ALL: [(&'static str, Expect); 3] = [
        ("granted", Expect::Granted),
        ("needs_approval", Expect::NeedsApproval),
        ("denied", Expect::Denied),
    ];

    fn words(self) -> &'static str {
        match self {
            Expect::Denied => "denied",
            Expect::NeedsApproval => "needs approval",
            Expect::Granted => "granted",
        }
    }

    fn of(decision: &Decision<Grant>) -> Expect {
        match decision {
            Decision::Granted(_) => Expect::Granted,
            Decision::NeedsApproval(_) => Expect::NeedsApproval,
            Decision::Denied(_) => Expect::Denied,
        }
    }
}

impl Row {
    /// Every difference between what is expected and what the engine says.
    pub(super) fn run(&self, bundle: &Bundle) -> Vec<Failure> {
        let Some(case) = self.case(bundle, self.duration) else {
            return vec![Failure {
                expected: self.expect.words().to_owned(),
                came: "no case can be made of it".to_owned(),
                why: Vec::new(),
            }];
        };
        let decision = decide(bundle, &case, self.at);
        if Expect::of(&decision) != self.expect {
            // What else is expected belongs to the answer that did not come.
            return vec![Failure {
                expected: self.expect.words().to_owned(),
                came: explain::answer(&decision).to_owned(),
                why: explain::why(&decision),
            }];
        }
        let mut failures = Vec::new();
        failures.extend(self.check_policies(bundle, &decision));
        if let Decision::NeedsApproval(needs) = &decision {
            failures.extend(self.check_approvers(needs, &decision));
        }
        failures.extend(self.check_longest(bundle));
        failures.extend(self.check_viewers(bundle, &case));
        failures
    }

    fn check_policies(&self, bundle: &Bundle, decision: &Decision<Grant>) -> Option<Failure> {
        let expected = self.policies.as_ref()?;
        let came: BTreeSet<String> = decision.verdict(bundle).policies.into_iter().collect();
        (came != *expected).then(|| Failure {
            expected: format!("decided by {}", listed(expected, "no policy")),
            came: format!("decided by {}", listed(&came, "no policy")),
            why: explain::why(decision),
        })
    }

    fn check_approvers(
        &self,
        needs: &NeedsApproval,
        decision: &Decision<Grant>,
    ) -> Option<Failure> {
        let expected = self.approvers.as_ref()?;
        let mut came: BTreeMap<Kind, BTreeSet<UserId>> = BTreeMap::new();
        let mut more: BTreeSet<&Kind> = BTreeSet::new();
        for (kind, eligible) in needs.ways.iter().flat_map(|way| &way.who) {
            let people = came.entry(kind.clone()).or_default();
            people.extend(eligible.people.iter().cloned());
            more.extend(eligible.more.then_some(kind));
        }
        let fits = |(kind, people): (&Kind, &BTreeSet<UserId>)| match expected.get(kind) {
            // The engine names only the first of so many.
            Some(all) if more.contains(kind) => people.is_subset(all) && people.len() < all.len(),
            Some(all) => people == all,
            None => false,
        };
        let same = came.len() == expected.len() && came.iter().all(fits);
        (!same).then(|| Failure {
            expected: format!("could be approved by {}", people(expected)),
            came: format!("could be approved by {}", people(&came)),
            why: explain::why(decision),
        })
    }

    /// At the limit the answer is the expected one; a second past it, a lesser one.
    fn check_longest(&self, bundle: &Bundle) -> Option<Failure> {
        let longest = self.longest?;
        let past = Duration::from_s(longest.as_s() + 1).ok();
        let as_good = |duration: Duration| self.answer(bundle, duration) >= Some(self.expect);
        if as_good(longest) && !past.is_some_and(as_good) {
            return None;
        }
        let words = self.expect.words();
        let came = match self.longest_as_good(bundle) {
            Some(came) => format!("{words} for up to {came}"),
            None => format!("not {words} for any window"),
        };
        // The side on which it went wrong explains it.
        let wrong = match past {
            Some(past) if as_good(longest) => past,
            _ => longest,
        };
        let why = self
            .case(bundle, wrong)
            .map(|case| explain::why(&decide(bundle, &case, self.at)));
        let mut lines = vec![format!("for {wrong}:")];
        lines.extend(why.unwrap_or_default());
        Some(Failure {
            expected: format!("{words} for up to {longest} and not a second more"),
            came,
            why: lines,
        })
    }

    /// By halving: the bundle check refuses policies that allow a longer window where a shorter one is not.
    fn longest_as_good(&self, bundle: &Bundle) -> Option<Duration> {
        let (mut good, mut bad) = (0, WINDOW_MAX_S + 1);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            let answer = Duration::from_s(middle)
                .ok()
                .and_then(|duration| self.answer(bundle, duration));
            match answer >= Some(self.expect) {
                true => good = middle,
                false => bad = middle,
            }
        }
        Duration::from_s(good).ok()
    }

    fn answer(&self, bundle: &Bundle, duration: Duration) -> Option<Expect> {
        let case = self.case(bundle, duration)?;
        Some(Expect::of(&decide(bundle, &case, self.at)))
    }

    fn check_viewers(&self, bundle: &Bundle, case: &Case) -> Option<Failure> {
        let expected = self.viewers.as_ref()?;
        let directory = bundle.directory();
        let behind = directory.person_behind(&self.principal.id);
        let sees = |user: &&UserId| {
            let viewer = Principal::user((*user).clone());
            match self.expect {
                // There is no request, only the record of a refusal.
                Expect::Denied => may_view_refusal(bundle, &viewer, &self.principal, &self.scope),
                Expect::Granted | Expect::NeedsApproval => {
                    may_view(bundle, &viewer, case.request(), &self.reason, self.at)
                }
            }
        };
        let came: BTreeSet<UserId> = directory
            .users()
            .map(|(user, _)| user)
            .filter(|user| behind != Some(*user))
            .filter(sees)
            .cloned()
            .collect();
        (came != *expected).then(|| Failure {
            expected: format!("may be seen by {}", listed(expected, "nobody")),
            came: format!("may be seen by {}", listed(&came, "nobody")),
            why: Vec::new(),
        })
    }

    /// The case as the journal would hold it, with the approvals given, for a window of this length.
    pub(super) fn case(&self, bundle: &Bundle, duration: Duration) -> Option<Case> {
        let reason = SaltedText {
            salt: [0; 16],
            text: self.reason.clone(),
        };
        let verdict = |outcome| Verdict {
            bundle: bundle.digest(),
            outcome,
            policies: Vec::new(),
            approvals: BTreeMap::new(),
        };
        let request = Request {
            id: RequestId::new(self.at, [0; 10]),
            principal: self.principal.clone(),
            scope: self.scope.clone(),
            duration,
            reason: reason.commitment(),
            ticket: self.ticket.clone(),
            requested_at: self.at,
            decide_by: self.at.plus_s(REQUEST_TTL_S),
            activation_ttl_s: REQUEST_TTL_S,
            bundle: bundle.digest(),
            break_glass: None,
        };
        let fact = Fact::Requested {
            request: request.clone(),
            idempotency_key: None,
            keep_for_s: None,
            run: None,
            verdict: verdict(Outcome::NeedsApproval),
        };
        let mut case = Case::begin(&Event { at: self.at, fact }, Some(reason.text)).ok()?;
        for (approver, kinds) in &self.approvals {
            // As the record would hold it even if nobody had checked: the decision has to.
            let approval = Approval {
                approver: approver.clone(),
                on_behalf_of: None,
                kinds: kinds.clone(),
                request_digest: case.request_digest(),
                approved_at: self.at,
            };
            let fact = Fact::Approved {
                request: request.id.clone(),
                approval,
                narrowed_to: None,
                verdict: verdict(Outcome::NeedsApproval),
            };
            case.apply(&Event { at: self.at, fact }).ok()?;
        }
        Some(case)
    }
}

/// `mia asks for prod-db-read for 4h, with ticket INC-42, approved by pat (manager)`
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} asks for {}", self.who, self.scope)?;
        write!(f, " for {}", self.duration)?;
        if let Some(ticket) = &self.ticket {
            write!(f, ", with ticket {ticket}")?;
        }
        if !self.approvals.is_empty() {
            let given: Vec<String> = self
                .approvals
                .iter()
                .map(|(person, kinds)| {
                    let kinds: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
                    format!("{person} ({})", kinds.join(", "))
                })
                .collect();
            write!(f, ", approved by {}", given.join(", "))?;
        }
        Ok(())
    }
}

/// `a, b`, or `none` where there is none.
fn listed<T: fmt::Display>(names: &BTreeSet<T>, none: &str) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.is_empty() {
        true => none.to_owned(),
        false => names.join(", "),
    }
}

/// `manager: pat; owner: lee, pat`
fn people(by_kind: &BTreeMap<Kind, BTreeSet<UserId>>) -> String {
    let kinds: Vec<String> = by_kind
        .iter()
        .map(|(kind, people)| format!("{kind}: {}", listed(people, "nobody")))
        .collect();
    match kinds.is_empty() {
        true => "nobody".to_owned(),
        false => kinds.join("; "),
    }
}
