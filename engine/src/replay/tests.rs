use std::collections::BTreeSet;

use super::*;
use crate::approval::{Approval, Kind};
use crate::bundle::BundleFiles;
use crate::case::ExtensionAsked;
use crate::decide::{decide, kinds_permitted};
use crate::digest::{Digest, SaltedText};
use crate::principal::{UserId, WorkloadId};
use crate::request::{Extension, Request};
use crate::window::Window;

/// A Saturday morning well before the shipped bundle's freeze.
const NOW: &str = "2026-11-21T09:00:00Z";

fn shipped() -> BundleFiles {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut files = BundleFiles::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.0.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// A change of the shipped bundle: file, from, to.
type Edit = (&'static str, &'static str, &'static str);

/// The shipped bundle with some texts replaced.
fn edited(edits: &[(&str, &str, &str)]) -> Bundle {
    let mut files = shipped();
    for (file, from, to) in edits {
        let text = files.0.get_mut(*file).unwrap();
        assert!(text.contains(from), "`{file}` has no `{from}`");
        *text = text.replace(from, to);
    }
    Bundle::load(&files).unwrap_or_else(|report| panic!("{report}"))
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// The job of `acme/payments` on its main branch.
fn ci() -> Principal {
    let claims = [
        ("repository", "acme/payments"),
        ("repository_id", "4201"),
        ("repository_owner_id", "77"),
        ("ref", "refs/heads/main"),
        ("event_name", "push"),
        (
            "job_workflow_ref",
            "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
        ),
        ("run_id", "1"),
    ];
    let claims = claims.map(|(claim, value)| (claim.to_owned(), value.to_owned()));
    Principal::workload(WorkloadId::new("payments-ci").unwrap(), claims.into())
}

/// The reason of everything that is asked for.
fn reason() -> SaltedText {
    SaltedText {
        salt: [7; 16],
        text: "INC-42".to_owned(),
    }
}

/// A journal as a broker with the bundle `old` writes it.
struct Record<'b> {
    old: &'b Bundle,
    events: Vec<Event>,
    case: Option<Case>,
}

impl<'b> Record<'b> {
    fn new(old: &'b Bundle) -> Record<'b> {
        Record {
            old,
            events: Vec::new(),
            case: None,
        }
    }

    /// A minute for each event so far.
    fn now(&self) -> Moment {
        let start: Moment = NOW.parse().unwrap();
        start.plus_s(60 * u32::try_from(self.events.len()).unwrap())
    }

    fn ask(mut self, who: &str, scope: &str, duration: &str, ticket: Option<&str>) -> Self {
        let principal = match who {
            "payments-ci" => ci(),
            person => Principal::user(user(person)),
        };
        let (now, scope) = (self.now(), ScopeId::new(scope).unwrap());
        let duration: Duration = duration.parse().unwrap();
        let reason = reason();
        let draft = Draft {
            principal: &principal,
            scope: &scope,
            duration,
            reason: &reason.text,
            ticket,
        };
        let decision = check(self.old, &draft, now);
        let verdict = decision.verdict(self.old);
        let ticket = ticket.map(str::to_owned);
        let fact = match verdict.outcome {
            Outcome::Denied => Fact::Refused {
                principal,
                scope,
                duration,
                reason: reason.commitment(),
                ticket,
                break_glass: false,
                verdict,
            },
            Outcome::Granted | Outcome::NeedsApproval => Fact::Requested {
                request: Request {
                    id: RequestId::new(now, [3; 10]),
                    principal,
                    scope,
                    duration,
                    reason: reason.commitment(),
                    ticket,
                    requested_at: now,
                    decide_by: now.plus_s(86_400),
                    activation_ttl_s: 3_600,
                    bundle: self.old.digest(),
                    break_glass: None,
                },
                idempotency_key: None,
                run: None,
                keep_for_s: None,
                verdict,
            },
        };
        let event = Event { at: now, fact };
        self.case = Case::begin(&event, Some(reason.text)).ok();
        self.events.push(event);
        self
    }

    fn approve(mut self, who: &str) -> Self {
        let now = self.now();
        let mut case = self.case.take().unwrap();
        let kinds: BTreeSet<Kind> = kinds_permitted(self.old, &case, &user(who), now);
        let of_extension = case.extension_pending().map(|asked| asked.digest);
        let approval = Approval {
            approver: user(who),
            on_behalf_of: None,
            kinds,
            request_digest: of_extension.unwrap_or(case.request_digest()),
            approved_at: now,
        };
        let recorded = |outcome: Verdict| Event {
            at: now,
            fact: Fact::Approved {
                request: case.request().id.clone(),
                approval: approval.clone(),
                narrowed_to: None,
                verdict: outcome,
            },
        };
        let mut counted = case.clone();
        let undecided = Verdict {
            bundle: self.old.digest(),
            outcome: Outcome::NeedsApproval,
            policies: Vec::new(),
            approvals: Default::default(),
        };
        counted.apply(&recorded(undecided)).unwrap();
        let verdict = match counted.extension_pending() {
            Some(asked) => decide_extension(self.old, &counted, asked, now).verdict(self.old),
            None => decide(self.old, &counted, now).verdict(self.old),
        };
        let event = recorded(verdict);
        case.apply(&event).unwrap();
        self.case = Some(case);
        self.events.push(event);
        self
    }

    fn extend(mut self, duration: &str) -> Self {
        let now = self.now();
        let mut case = self.case.take().unwrap();
        let extension = Extension {
            number: case.next_extension(),
            duration: duration.parse().unwrap(),
            reason: reason().commitment(),
            requested_at: now,
            bundle: self.old.digest(),
        };
        let asked = ExtensionAsked {
            digest: extension.digest(case.request_digest()),
            extension: extension.clone(),
            reason: Some(reason().text),
        };
        let event = Event {
            at: now,
            fact: Fact::ExtensionRequested {
                request: case.request().id.clone(),
                extension,
                verdict: decide_extension(self.old, &case, &asked, now).verdict(self.old),
            },
        };
        case.apply_with(&event, Some(&reason().text)).unwrap();
        self.case = Some(case);
        self.events.push(event);
        self
    }

    fn issue(mut self) -> Self {
        let now = self.now();
        let mut case = self.case.take().unwrap();
        let grant = decide(self.old, &case, now).granted().expect("granted");
        let window: Window = grant.window();
        let event = Event {
            at: now,
            fact: Fact::IssueIntended {
                request: case.request().id.clone(),
                session: case.next_session(),
                request_digest: case.request_digest(),
                window,
                role_arn: grant.aws().role_arn.clone(),
                duration_s: 900,
                session_policy: Digest::of("test", b""),
                chains: false,
                verdict: grant.into_verdict(),
            },
        };
        case.apply(&event).unwrap();
        self.case = Some(case);
        self.events.push(event);
        self
    }

    fn replay(&self, new: &Bundle, reason: Option<&str>) -> Replayed {
        let mut replay = Replay::new(new);
        for (seq, event) in (0..).zip(&self.events) {
            replay.tell(seq, event, reason).unwrap();
        }
        replay.finish()
    }
}

/// `mia prod-db-read: asked approval-removed, issued approval-removed`.
fn lines(replayed: &Replayed) -> Vec<String> {
    let line = |changed: &Changed| {
        let differences: Vec<String> = changed
            .differences
            .iter()
            .map(|it| format!("{} {}", it.step, it.change))
            .collect();
        let (who, scope) = (changed.principal.id.name(), &changed.scope);
        format!("{who} {scope}: {}", differences.join(", "))
    };
    replayed.changed.iter().map(line).collect()
}

const NO_CONSENT: (&str, &str, &str) = (
    "access.cedar",
    "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"4h\") };",
    "when { context.window.duration <= duration(\"4h\") };",
);

const TWO_OWNERS: (&str, &str, &str) = (
    "access.cedar",
    "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"4h\") };",
    "when { context.approvals.owner >= 2 && context.window.duration <= duration(\"4h\") };",
);

const STAGING_TWO: (&str, &str, &str) = (
    "access.cedar",
    "when { context.approvals.owner >= 1 && context.window.duration <= duration(\"4h\") };",
    "when { context.approvals.owner >= 2 && context.window.duration <= duration(\"4h\") };",
);

const SHORT: (&str, &str, &str) = (
    "access.cedar",
    "context.window.duration <= duration(\"20m\")",
    "context.window.duration <= duration(\"10m\")",
);

const LONG: (&str, &str, &str) = (
    "access.cedar",
    "when { context.window.duration <= duration(\"1h\") };",
    "when { context.window.duration <= duration(\"2h\") };",
);

#[test]
fn each_way_in_which_an_answer_can_change_is_told_and_what_stays_is_not() {
    type Story = for<'b> fn(Record<'b>) -> Record<'b>;
    let waits: Story = |it| it.ask("mia", "prod-db-read", "45m", None);
    let consented: Story = |it| it.ask("mia", "prod-db-read", "45m", None).approve("pat");
    let issued: Story = |it| {
        it.ask("mia", "prod-db-read", "45m", None)
            .approve("pat")
            .issue()
    };
    let job: Story = |it| {
        it.ask("payments-ci", "payments-deploy", "15m", None)
            .issue()
    };
    let pager: Story = |it| it.ask("sam", "prod-db-read", "2h", None);
    let none: &[Edit] = &[];
    /// Its name, what happened, the changes of the bundle then and of the one now, and what differs.
    type Row = (
        &'static str,
        Story,
        &'static [Edit],
        &'static [Edit],
        &'static [&'static str],
    );
    let rows: [Row; 11] = [
        ("nothing changed", issued, none, none, &[]),
        (
            "nobody has to consent any more",
            issued,
            none,
            &[NO_CONSENT],
            &[
                "mia prod-db-read: asked approval-removed, approved approval-removed, issued approval-removed",
            ],
        ),
        (
            "someone has to consent who did not",
            issued,
            &[NO_CONSENT],
            none,
            // A consent that nobody asked for was given, so the last two are granted now as then, but not with nobody's.
            &[
                "mia prod-db-read: asked approvals-added, approved approvals-added, issued approvals-added",
            ],
        ),
        (
            "whoever waits for consent then and now is unchanged, even if it is another's",
            waits,
            none,
            &[TWO_OWNERS],
            &[],
        ),
        (
            "the consent that was enough is no more",
            issued,
            none,
            &[TWO_OWNERS],
            &["mia prod-db-read: approved approvals-added, issued approvals-added"],
        ),
        (
            "one consent is enough that was not",
            |it| it.ask("mia", "staging-admin", "1h", None).approve("lee"),
            &[STAGING_TWO],
            none,
            &["mia staging-admin: approved approvals-reduced"],
        ),
        (
            "what was issued is refused",
            job,
            none,
            &[SHORT],
            &["payments-ci payments-deploy: asked granted-now-refused, issued issued-now-refused"],
        ),
        (
            "what was refused is given",
            |it| it.ask("payments-ci", "payments-deploy", "15m", None),
            &[SHORT],
            none,
            &["payments-ci payments-deploy: asked refused-now-granted"],
        ),
        (
            "what needed consent is refused, and the longer permits stand as they are",
            consented,
            none,
            &[(
                "access.cedar",
                "principal in Group::\"engineering\"",
                "principal in Group::\"oncall\"",
            )],
            &["mia prod-db-read: asked approvable-now-refused, approved granted-now-refused"],
        ),
        (
            "what was refused could be approved",
            |it| it.ask("mia", "prod-db-read", "45m", None),
            &[(
                "access.cedar",
                "principal in Group::\"engineering\"",
                "principal in Group::\"oncall\"",
            )],
            none,
            &["mia prod-db-read: asked refused-now-approvable"],
        ),
        (
            "a longer window at once",
            pager,
            none,
            &[LONG],
            &["sam prod-db-read: asked approval-removed"],
        ),
    ];
    for (name, story, old, new, expected) in rows {
        let (old, new) = (edited(old), edited(new));
        let record = story(Record::new(&old));
        let replayed = record.replay(&new, Some("INC-42"));
        assert_eq!(lines(&replayed), expected, "{name}");
        assert_eq!(
            (replayed.requests, replayed.moments),
            (1, record.events.len()),
            "{name}"
        );
    }
}

#[test]
fn a_longer_window_is_decided_anew_when_it_was_asked_for_and_at_each_consent() {
    let at_once = |to: &'static str| {
        let from =
            "when { context.extensions < 1 && context.window.duration <= duration(\"2h\") };";
        ("access.cedar", from, to)
    };
    let consented = |to: &'static str| {
        let from = "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"8h\") };";
        ("access.cedar", from, to)
    };
    type Row = (
        &'static str,
        Option<&'static str>,
        Edit,
        &'static [&'static str],
    );
    let rows: [Row; 5] = [
        (
            "a pager's is shorter now",
            None,
            at_once(
                "when { context.extensions < 1 && context.window.duration <= duration(\"70m\") };",
            ),
            &["sam prod-db-read: extension_asked approvals-added"],
        ),
        (
            "a pager's is longer now, which changes nothing for this one",
            None,
            at_once(
                "when { context.extensions < 3 && context.window.duration <= duration(\"3h\") };",
            ),
            &[],
        ),
        (
            "a pager's may read the reason, which is there",
            None,
            at_once(
                "when { context.reason like \"INC-*\" && context.window.duration <= duration(\"2h\") };",
            ),
            &[],
        ),
        (
            "an engineer's needs nobody any more",
            Some("pat"),
            consented("when { context.window.duration <= duration(\"8h\") };"),
            &[
                "mia prod-db-read: extension_asked approval-removed, extension_approved approval-removed",
            ],
        ),
        (
            "an engineer's is refused",
            Some("pat"),
            consented(
                "when { context.approvals.manager >= 1 && context.window.duration <= duration(\"1h\") };",
            ),
            &[
                "mia prod-db-read: extension_asked approvable-now-refused, extension_approved granted-now-refused",
            ],
        ),
    ];
    let old = edited(&[]);
    for (name, consents, edit, expected) in rows {
        let record = Record::new(&old);
        let record = match consents {
            None => record
                .ask("sam", "prod-db-read", "1h", None)
                .issue()
                .extend("90m"),
            Some(who) => record
                .ask("mia", "prod-db-read", "45m", None)
                .approve(who)
                .issue()
                .extend("6h")
                .approve(who),
        };
        let replayed = record.replay(&edited(&[edit]), Some("INC-42"));
        assert_eq!(lines(&replayed), expected, "{name}");
        assert_eq!(replayed.moments, record.events.len(), "{name}");
        let same = record.replay(&old, Some("INC-42"));
        assert_eq!(lines(&same), [] as [&str; 0], "{name}");
    }
}

#[test]
fn the_worst_comes_first() {
    let old = edited(&[]);
    let new = edited(&[SHORT, LONG]);
    let mut record = Record::new(&old)
        .ask("payments-ci", "payments-deploy", "15m", None)
        .ask("sam", "prod-db-read", "30m", None)
        .ask("sam", "prod-db-read", "2h", None);
    let replayed = record.replay(&new, Some("INC-42"));
    assert_eq!(
        lines(&replayed),
        [
            "sam prod-db-read: asked approval-removed",
            "payments-ci payments-deploy: asked granted-now-refused",
        ]
    );
    let counts = [Direction::Widens, Direction::Unknown, Direction::Narrows]
        .map(|direction| replayed.count(direction));
    assert_eq!((replayed.requests, counts), (3, [1, 0, 1]));

    // The record that begins in the middle of a case makes no story.
    record = record.approve("pat");
    let mut replay = Replay::new(&new);
    let last = record.events.last().unwrap();
    assert_eq!(
        replay.tell(0, last, None),
        Err(NoStory("the request was never made"))
    );
}

#[test]
fn what_the_new_bundle_does_not_know_is_told_as_such() {
    let old = edited(&[]);
    let scope = (
        "scopes.hcl",
        "scope \"staging-admin\"",
        "scope \"staging-root\"",
    );
    let policy = (
        "access.cedar",
        "Scope::\"staging-admin\"",
        "Scope::\"staging-root\"",
    );
    let claims = ("directory.hcl", "\"77\"", "\"78\"");
    let rows: [(&[Edit], &str, &str, &str); 2] = [
        (&[scope, policy], "mia", "staging-admin", "unknown_scope"),
        (&[claims], "payments-ci", "payments-deploy", "other_claims"),
    ];
    for (edits, who, scope, expected) in rows {
        let new = edited(edits);
        let replayed = Record::new(&old)
            .ask(who, scope, "15m", None)
            .replay(&new, Some("INC-42"));
        let Now::Stranger(stranger) = &replayed.changed[0].differences[0].now else {
            panic!("{:?}", replayed.changed)
        };
        assert_eq!(stranger.as_str(), expected);
        assert_eq!(replayed.count(Direction::Narrows), 1);
    }
    // One who has left.
    let stranger = Principal::user(user("nobody"));
    let scope = ScopeId::new("staging-admin").unwrap();
    assert_eq!(
        crate::decide::stranger(&old, &stranger, &scope),
        Some(Stranger::Principal)
    );
}

#[test]
fn an_erased_reason_is_never_guessed_where_a_policy_reads_it() {
    let old = edited(&[]);
    let record = Record::new(&old)
        .ask("sam", "prod-db-read", "30m", None)
        .issue();
    // Policies that do not read it are replayed as if it were there.
    assert_eq!(lines(&record.replay(&old, None)), [] as [&str; 0]);
    for condition in [
        "context.reason like \"INC-*\" && ",
        "context has reason && ",
    ] {
        let new = edited(&[(
            "access.cedar",
            "when { context.window.duration <= duration(\"1h\") };",
            &format!("when {{ {condition}context.window.duration <= duration(\"1h\") }};"),
        )]);
        assert_eq!(lines(&record.replay(&new, Some("INC-42"))), [] as [&str; 0]);
        let replayed = record.replay(&new, None);
        assert_eq!(
            lines(&replayed),
            ["sam prod-db-read: asked cannot-be-replayed, issued cannot-be-replayed"]
        );
        let Now::ReasonErased(readers) = &replayed.changed[0].differences[0].now else {
            panic!("{:?}", replayed.changed)
        };
        let ids: Vec<&str> = readers.iter().map(|policy| policy.id.as_str()).collect();
        assert_eq!(ids, ["proddb.read.oncall"]);
        // It matters to nobody else's.
        let job = Record::new(&old).ask("payments-ci", "payments-deploy", "15m", None);
        assert_eq!(lines(&job.replay(&new, None)), [] as [&str; 0]);
    }
}
