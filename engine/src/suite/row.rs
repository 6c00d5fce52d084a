//! One case: a request that nobody made, decided by the real engine, and compared with what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::approval::{Approval, Kind};
use crate::bundle::Bundle;
use crate::case::Case;
use crate::decide::{
    Allowed, Decision, NeedsApproval, Standing, decide_extension, decide_for, may_delegate,
    may_review, may_revoke, may_view, may_view_refusal,
};
use crate::digest::{Digest, SaltedText};
use crate::event::{Event, Fact, Outcome, Verdict};
use crate::principal::{Principal, UserId};
use crate::request::{BreakGlass, Extension, Request, RequestId};
use crate::scope::{REVIEW_TTL_DEFAULT_S, ScopeId};
use crate::window::{Duration, Moment, WINDOW_MAX_S, Window};

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
    pub(super) asks: Asks,
    /// How long the window is to be; of an extension, the whole of it.
    pub(super) duration: Duration,
    pub(super) reason: String,
    pub(super) ticket: Option<String>,
    pub(super) at: Moment,
    /// Who has consented, and as what.
    pub(super) approvals: BTreeMap<UserId, BTreeSet<Kind>>,
    /// Whose right those use who do not consent by their own.
    pub(super) lent: BTreeMap<UserId, UserId>,
    pub(super) expect: Expect,
    /// The policies that decide, all of them.
    pub(super) policies: Option<BTreeSet<String>>,
    /// Who could give what is missing, everyone.
    pub(super) approvers: Option<BTreeMap<Kind, BTreeSet<UserId>>>,
    /// The longest window with the same answer.
    pub(super) longest: Option<Duration>,
    /// Who else may see the request, everyone.
    pub(super) viewers: Option<BTreeSet<UserId>>,
    /// Who else may end it, everyone.
    pub(super) revokers: Option<BTreeSet<UserId>>,
    /// Who may close its post-review, everyone.
    pub(super) reviewers: Option<BTreeSet<UserId>>,
    /// To whom the person who asks may lend their right to consent, everyone.
    pub(super) delegates: Option<BTreeSet<UserId>>,
}

/// By which action a case asks for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// `activate`: to open one.
    ToOpen,
    /// `breakGlass`: to open one in an emergency.
    InEmergency {
        /// Other emergencies whose post-review the person owes.
        open_reviews: u32,
    },
    /// `extend`: to make one longer while it is open.
    ToExtend {
        /// How long it was opened for.
        from: Duration,
        /// How often it was made longer before.
        extensions: u32,
    },
}

impl Asks {
    /// What is longer than this can be asked for, in seconds: an extension makes the window longer, and each one before it
    /// has made it longer by a second at least.
    pub(super) fn more_than_s(self) -> u32 {
        match self {
            Asks::ToOpen | Asks::InEmergency { .. } => 0,
            Asks::ToExtend { from, extensions } => from.as_s().saturating_add(extensions),
        }
    }
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

    fn of(decision: &Decision<Allowed>) -> Expect {
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
        let asked = self.case(bundle, self.duration);
        let Some((case, decision)) = asked.and_then(|case| {
            let decision = self.decision(bundle, &case)?;
            Some((case, decision))
        }) else {
            return vec![Failure {
                expected: self.expect.words().to_owned(),
                came: "no case can be made of it".to_owned(),
                why: Vec::new(),
            }];
        };
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
        failures.extend(self.check_says(bundle, &case));
        failures
    }

    /// What the engine decides about such a case.
    fn decision(&self, bundle: &Bundle, case: &Case) -> Option<Decision<Allowed>> {
        Some(match self.asks {
            Asks::ToOpen | Asks::InEmergency { .. } => {
                decide_for(bundle, case, self.standing(), self.at).explained()
            }
            Asks::ToExtend { .. } => {
                decide_extension(bundle, case, case.extension_pending()?, self.at)
            }
        })
    }

    /// What the person who asks owes.
    pub(super) fn standing(&self) -> Standing {
        let open_reviews = match self.asks {
            Asks::InEmergency { open_reviews } => open_reviews,
            Asks::ToOpen | Asks::ToExtend { .. } => 0,
        };
        Standing { open_reviews }
    }

    fn check_policies(&self, bundle: &Bundle, decision: &Decision<Allowed>) -> Option<Failure> {
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
        decision: &Decision<Allowed>,
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
            .and_then(|case| Some(explain::why(&self.decision(bundle, &case)?)));
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
        let shortest = self.asks.more_than_s();
        let (mut good, mut bad) = (shortest, WINDOW_MAX_S + 1);
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
        (good > shortest).then(|| Duration::from_s(good).ok())?
    }

    fn answer(&self, bundle: &Bundle, duration: Duration) -> Option<Expect> {
        let case = self.case(bundle, duration)?;
        Some(Expect::of(&self.decision(bundle, &case)?))
    }

    /// Who else has a say in it.
    fn check_says(&self, bundle: &Bundle, case: &Case) -> Vec<Failure> {
        let (asking, scope) = (&self.principal, &self.scope);
        let behind = bundle.directory().person_behind(&asking.id);
        let sees = |user: &UserId| {
            let viewer = Principal::user(user.clone());
            match self.expect {
                // There is no request, only the record of a refusal.
                Expect::Denied => may_view_refusal(bundle, &viewer, asking, scope),
                Expect::Granted | Expect::NeedsApproval => {
                    may_view(bundle, &viewer, case.request(), &self.reason, self.at)
                }
            }
        };
        let ends =
            |user: &UserId| may_revoke(bundle, &Principal::user(user.clone()), asking, scope);
        let reviews = |user: &UserId| may_review(bundle, user, asking, scope);
        let lent = |user: &UserId| behind.is_some_and(|own| may_delegate(bundle, own, user));
        type May<'m> = &'m dyn Fn(&UserId) -> bool;
        let says: [(&Option<BTreeSet<UserId>>, &str, May<'_>); 4] = [
            (&self.viewers, "may be seen by", &sees),
            (&self.revokers, "may be ended by", &ends),
            (&self.reviewers, "may be reviewed by", &reviews),
            (&self.delegates, "who asks may lend their right to", &lent),
        ];
        let mut failures = Vec::new();
        for (expected, words, may) in says {
            let Some(expected) = expected else {
                continue;
            };
            let users = bundle.directory().users().map(|(user, _)| user);
            let others = users.filter(|user| behind != Some(*user));
            let came: BTreeSet<UserId> = others.filter(|user| may(user)).cloned().collect();
            if came != *expected {
                failures.push(Failure {
                    expected: format!("{words} {}", listed(expected, "nobody")),
                    came: format!("{words} {}", listed(&came, "nobody")),
                    why: Vec::new(),
                });
            }
        }
        failures
    }

    /// The case as the journal would hold it, with the approvals given, for a window of this length. `None` for what nobody can
    /// ask, such as an extension to less.
    pub(super) fn case(&self, bundle: &Bundle, duration: Duration) -> Option<Case> {
        let (asked_for, break_glass) = match self.asks {
            Asks::ToOpen => (duration, None),
            Asks::InEmergency { .. } => (duration, Some(self.terms(bundle))),
            Asks::ToExtend { from, .. } => (from, None),
        };
        let request = Request {
            id: RequestId::new(self.at, [0; 10]),
            principal: self.principal.clone(),
            scope: self.scope.clone(),
            duration: asked_for,
            reason: self.reason().commitment(),
            ticket: self.ticket.clone(),
            requested_at: self.at,
            decide_by: self.at.plus_s(REQUEST_TTL_S),
            activation_ttl_s: REQUEST_TTL_S,
            bundle: bundle.digest(),
            break_glass,
        };
        let mut story = Story {
            row: self,
            bundle: bundle.digest(),
            case: None,
        };
        story.begin(request)?;
        if let Asks::ToExtend { from, extensions } = self.asks {
            let target = &bundle.scope(&self.scope)?.aws;
            story.open(target.role_arn.clone(), from)?;
            for number in 1..=extensions {
                let longer = Duration::from_s(from.as_s() + number).ok()?;
                story.extend(longer, Outcome::Granted)?;
            }
            story.extend(duration, Outcome::NeedsApproval)?;
        }
        let case = story.case.as_ref()?;
        let digest = match case.extension_pending() {
            Some(asked) => asked.digest,
            None => case.request_digest(),
        };
        for (approver, kinds) in &self.approvals {
            story.approve(digest, approver, kinds)?;
        }
        story.case
    }

    fn reason(&self) -> SaltedText {
        SaltedText {
            salt: [0; 16],
            text: self.reason.clone(),
        }
    }

    /// The scope's terms for an emergency. Where it has none, any will do: then there is no emergency for it.
    fn terms(&self, bundle: &Bundle) -> BreakGlass {
        let terms = bundle.scope(&self.scope);
        let terms = terms.and_then(|scope| scope.break_glass.as_ref());
        BreakGlass {
            review_ttl_s: terms.map_or(REVIEW_TTL_DEFAULT_S, |terms| terms.review_ttl_s),
        }
    }
}

/// A case in the making.
struct Story<'r> {
    row: &'r Row,
    bundle: Digest,
    case: Option<Case>,
}

impl Story<'_> {
    fn verdict(&self, outcome: Outcome) -> Verdict {
        Verdict {
            bundle: self.bundle,
            outcome,
            policies: Vec::new(),
            approvals: BTreeMap::new(),
        }
    }

    fn begin(&mut self, request: Request) -> Option<()> {
        // An extension is of a window that was granted and opened.
        let outcome = match self.row.asks {
            Asks::ToOpen | Asks::InEmergency { .. } => Outcome::NeedsApproval,
            Asks::ToExtend { .. } => Outcome::Granted,
        };
        let fact = Fact::Requested {
            request,
            idempotency_key: None,
            keep_for_s: None,
            run: None,
            verdict: self.verdict(outcome),
        };
        let event = Event {
            at: self.row.at,
            fact,
        };
        self.case = Some(Case::begin(&event, Some(self.row.reason.clone())).ok()?);
        Some(())
    }

    fn tell(&mut self, fact: Fact) -> Option<()> {
        let event = Event {
            at: self.row.at,
            fact,
        };
        let reason = Some(self.row.reason.as_str());
        self.case.as_mut()?.apply_with(&event, reason).ok()
    }

    fn open(&mut self, role_arn: crate::scope::RoleArn, from: Duration) -> Option<()> {
        let case = self.case.as_ref()?;
        let fact = Fact::IssueIntended {
            request: case.request().id.clone(),
            session: case.next_session(),
            request_digest: case.request_digest(),
            window: Window::opening(self.row.at, from).ok()?,
            role_arn,
            duration_s: from.as_s(),
            session_policy: self.bundle,
            chains: false,
            verdict: self.verdict(Outcome::Granted),
        };
        self.tell(fact)
    }

    fn extend(&mut self, duration: Duration, outcome: Outcome) -> Option<()> {
        let case = self.case.as_ref()?;
        let fact = Fact::ExtensionRequested {
            request: case.request().id.clone(),
            extension: Extension {
                number: case.next_extension(),
                duration,
                reason: self.row.reason().commitment(),
                requested_at: self.row.at,
                bundle: self.bundle,
            },
            verdict: self.verdict(outcome),
        };
        self.tell(fact)
    }

    fn approve(&mut self, digest: Digest, approver: &UserId, kinds: &BTreeSet<Kind>) -> Option<()> {
        // As the record would hold it even if nobody had checked: the decision has to.
        let approval = Approval {
            approver: approver.clone(),
            on_behalf_of: self.row.lent.get(approver).cloned(),
            kinds: kinds.clone(),
            request_digest: digest,
            approved_at: self.row.at,
        };
        let fact = Fact::Approved {
            request: self.case.as_ref()?.request().id.clone(),
            approval,
            narrowed_to: None,
            verdict: self.verdict(Outcome::NeedsApproval),
        };
        self.tell(fact)
    }
}

/// `mia asks for prod-db-read for 4h, with ticket INC-42, approved by pat (manager)`
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, scope, duration) = (&self.who, &self.scope, self.duration);
        match self.asks {
            Asks::ToOpen => write!(f, "{who} asks for {scope} for {duration}")?,
            Asks::InEmergency { open_reviews } => {
                write!(f, "{who} breaks the glass of {scope} for {duration}")?;
                if open_reviews > 0 {
                    write!(f, ", owing post-reviews of {open_reviews} others")?;
                }
            }
            Asks::ToExtend { from, extensions } => {
                write!(f, "{who} extends {scope} from {from} to {duration}")?;
                if extensions > 0 {
                    write!(f, ", which was extended {extensions} times before")?;
                }
            }
        }
        if let Some(ticket) = &self.ticket {
            write!(f, ", with ticket {ticket}")?;
        }
        if !self.approvals.is_empty() {
            let given: Vec<String> = self
                .approvals
                .iter()
                .map(|(person, kinds)| {
                    let kinds: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
                    let whose = self.lent.get(person);
                    let whose = whose.map(|lender| format!(" for {lender}"));
                    format!(
                        "{person}{} ({})",
                        whose.unwrap_or_default(),
                        kinds.join(", ")
                    )
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
