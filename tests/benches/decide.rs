//! The decision at 10, 1,000 and 10,000 policies, against raw Cedar over the full set and over only the one policy that
//! matters, in one run.
//!
//! Raw Cedar is given what any caller has to build for each question, the context and the request; its entities and its
//! policy set stand ready.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request as CedarRequest,
    RestrictedExpression,
};
use writ_engine::bundle::BundleFiles;
use writ_engine::decide::{Draft, Why, check};
use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::{
    Bundle, Case, Decision, Duration, Moment, Principal, Request, RequestId, ScopeId, UserId,
    decide,
};

use writ_tests::rounds::medians;

const ROUNDS: usize = 31;
const NOW: &str = "2026-11-21T10:00:00Z";
/// One scope for every ten policies, and as many teams: each scope has its few permits, as real catalogs do.
const POLICIES_A_SCOPE: usize = 10;

fn main() {
    println!(
        "decision, medians of {ROUNDS} interleaved rounds (µs); the floor is raw Cedar with the one policy that matters\n"
    );
    println!("policies   decide   floor   raw Cedar, all   decide/floor   raw/decide");
    let mut first = None;
    for policies in [10, 1_000, 10_000] {
        let world = World::of(policies);
        let [ours, floor, raw] = world.granted();
        first.get_or_insert(ours);
        println!(
            "{policies:>8} {ours:>8.1} {floor:>7.1} {raw:>16.1} {:>14.2} {:>12.1}",
            ours / floor,
            raw / ours
        );
        if policies == 10_000 {
            println!(
                "\ngrowth of decide from 10 to 10,000 policies: {:.2} (goal <= 1.6)",
                ours / first.unwrap_or(ours)
            );
            println!(
                "decide / floor at 10,000 policies: {:.2} (goal <= 2)",
                ours / floor
            );
        }
        if policies == 1_000 {
            let (approval, denial) = (world.approval(), world.denial());
            println!(
                "         an approval answer with its options: {:.2} ms (goal <= 2)",
                approval / 1_000.0
            );
            println!(
                "         a denial with its nearest request:   {:.2} ms (goal <= 5)",
                denial / 1_000.0
            );
        }
    }
}

struct World {
    bundle: Bundle,
    policies: usize,
    texts: Vec<String>,
}

impl World {
    fn of(policies: usize) -> World {
        let scopes = (policies / POLICIES_A_SCOPE).max(1);
        let mut files = BTreeMap::new();
        files.insert("schema.cedarschema".to_owned(), SCHEMA.to_owned());
        let (mut catalog, mut directory) = (String::new(), String::new());
        for scope in 0..scopes {
            let _ = writeln!(
                catalog,
                "scope \"scope-{scope}\" {{\n description = \"x\"\n system = \"system\"\n environment = \"prod\"\n owners = \"team-{scope}\"\n aws {{\n role_arn = \"arn:aws:iam::123456789012:role/r{scope}\"\n region = \"eu-west-1\"\n session_policy = {{ Statement = [{{ Effect = \"Allow\", Action = \"s3:GetObject\", Resource = \"*\" }}] }}\n }}\n}}"
            );
            let _ = writeln!(
                directory,
                "group \"team-{scope}\" {{ description = \"x\" }}"
            );
        }
        for user in 0..scopes.max(10) {
            let manager = if user == 0 {
                String::new()
            } else {
                "manager = \"user-0\"".to_owned()
            };
            let _ = writeln!(
                directory,
                "user \"user-{user}\" {{\n name = \"x\"\n {manager}\n groups = [\"team-{}\"]\n identity {{\n issuer = \"corp\"\n id = \"u{user}\"\n }}\n}}",
                user % scopes
            );
        }
        files.insert("scopes.hcl".to_owned(), catalog);
        files.insert("directory.hcl".to_owned(), directory);
        let texts: Vec<String> = (0..policies).map(|policy| text(policy, scopes)).collect();
        // A thousand policies a file: the bundle takes files of at most 1 MiB.
        for (number, texts) in texts.chunks(1_000).enumerate() {
            files.insert(format!("access-{number}.cedar"), texts.concat());
        }
        let bundle = Bundle::load(&BundleFiles(files)).unwrap_or_else(|report| panic!("{report}"));
        World {
            bundle,
            policies,
            texts,
        }
    }

    fn granted(&self) -> [f64; 3] {
        let case = case("user-1", "scope-0", self.bundle.digest());
        let case = if self.policies == 10 {
            case
        } else {
            case_of(&self.bundle, "scope-1", "user-1")
        };
        let now: Moment = NOW.parse().expect("a moment");
        assert!(
            matches!(decide(&self.bundle, &case, now), Decision::Granted(_)),
            "the question is one that is granted"
        );
        let scope = case.request().scope.as_str().to_owned();
        let index: usize = scope
            .trim_start_matches("scope-")
            .parse()
            .expect("a number");
        let scopes = (self.policies / POLICIES_A_SCOPE).max(1);
        let matters = (0..self.policies)
            .find(|policy| policy % scopes == index && kind(*policy, scopes) == 0);
        let one: PolicySet = self.texts[matters.expect("there is one")]
            .parse()
            .expect("Cedar");
        let all: PolicySet = self.texts.concat().parse().expect("Cedar");
        let raw = Raw::new(&scope, "user-1", &format!("team-{}", 1 % scopes));
        let authorizer = Authorizer::new();
        let ask = |set: &PolicySet| {
            let request = raw.request();
            let answer = authorizer.is_authorized(&request, set, &raw.entities);
            assert_eq!(answer.decision(), cedar_policy::Decision::Allow);
        };
        let repeats = 200_000 / self.policies.max(200);
        medians(
            ROUNDS,
            [
                &|| {
                    repeat(200, &|| {
                        drop(black_box(decide(&self.bundle, black_box(&case), now)))
                    })
                },
                &|| repeat(200, &|| ask(black_box(&one))),
                &|| repeat(repeats.clamp(1, 200), &|| ask(black_box(&all))),
            ],
        )
    }

    fn approval(&self) -> f64 {
        self.time("scope-1", 10_800, |decision| {
            matches!(decision, Decision::NeedsApproval(_))
        })
    }

    fn denial(&self) -> f64 {
        self.time("scope-1", 36_000, |decision| match decision {
            Decision::Denied(denied) => {
                denied.nearest.is_some() && !matches!(denied.why, Why::NoPolicy)
            }
            _ => false,
        })
    }

    fn time(
        &self,
        scope: &str,
        seconds: u32,
        expected: impl Fn(&Decision<writ_engine::decide::Allowed>) -> bool,
    ) -> f64 {
        let now: Moment = NOW.parse().expect("a moment");
        let principal = Principal::user(UserId::new("user-1").expect("a name"));
        let scope = ScopeId::new(scope).expect("a name");
        let duration = Duration::from_s(seconds).expect("in range");
        let draft = Draft {
            principal: &principal,
            scope: &scope,
            duration,
            reason: "bench",
            ticket: None,
        };
        let decision = check(&self.bundle, &draft, now);
        assert!(expected(&decision), "{decision:?}");
        medians(
            ROUNDS,
            [&|| {
                repeat(10, &|| {
                    drop(black_box(check(&self.bundle, black_box(&draft), now)))
                })
            }],
        )[0]
    }
}

/// What a policy of this number is: at once for an hour; longer with a manager; two that never apply; padding.
fn kind(policy: usize, scopes: usize) -> usize {
    policy / scopes % POLICIES_A_SCOPE
}

fn text(policy: usize, scopes: usize) -> String {
    let scope = policy % scopes;
    let head = |team: usize| {
        format!(
            "@id(\"p{policy}\")\npermit (principal in Group::\"team-{team}\", action == Action::\"activate\", resource == Scope::\"scope-{scope}\")\nwhen "
        )
    };
    match kind(policy, scopes) {
        0 => head(scope) + "{ context.window.duration <= duration(\"1h\") };\n",
        1 => {
            head(scope)
                + "{ context.window.duration <= duration(\"4h\") && context.approvals.manager >= 1 };\n"
        }
        2 => {
            head(scope)
                + "{ context.window.duration <= duration(\"8h\") && context.approvals.owner >= 2 && context has ticket };\n"
        }
        3 if scope == 0 => format!(
            "@id(\"p{policy}\")\npermit (principal, action == Action::\"approveManager\", resource)\nwhen {{ context.requester has manager && context.requester.manager == principal }};\n"
        ),
        4 if scope == 0 => format!(
            "@id(\"p{policy}\")\nforbid (principal, action == Action::\"activate\", resource)\nwhen {{ context.window.closes_at > datetime(\"2026-12-24\") && context.window.opens_at < datetime(\"2027-01-02\") }};\n"
        ),
        5 if scope == 0 => format!(
            "@id(\"p{policy}\")\npermit (principal, action == Action::\"approveOwner\", resource)\nwhen {{ principal in resource.owners }};\n"
        ),
        // Other teams' policies on the same scope.
        n => {
            head((scope + n) % scopes.max(2) % scopes)
                + "{ context.window.duration <= duration(\"15m\") };\n"
        }
    }
}

struct Raw {
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
}

impl Raw {
    fn new(scope: &str, user: &str, team: &str) -> Raw {
        let uid = |text: String| text.parse::<EntityUid>().expect("a uid");
        let team = uid(format!("Group::\"{team}\""));
        let principal = uid(format!("User::\"{user}\""));
        let resource = uid(format!("Scope::\"{scope}\""));
        let user = Entity::new_no_attrs(principal.clone(), [team.clone()].into());
        let entities = Entities::from_entities(
            [
                user,
                Entity::new_no_attrs(team, [].into()),
                Entity::new_no_attrs(resource.clone(), [].into()),
            ],
            None,
        )
        .expect("entities");
        Raw {
            entities,
            principal,
            action: uid("Action::\"activate\"".into()),
            resource,
        }
    }

    fn request(&self) -> CedarRequest {
        let record = |pairs: Vec<(&str, RestrictedExpression)>| {
            RestrictedExpression::new_record(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value)),
            )
            .expect("a record")
        };
        let window = record(vec![
            (
                "opens_at",
                RestrictedExpression::new_datetime("2026-11-21T10:00:00Z"),
            ),
            (
                "closes_at",
                RestrictedExpression::new_datetime("2026-11-21T10:30:00Z"),
            ),
            ("duration", RestrictedExpression::new_duration("30m")),
            ("weekday", RestrictedExpression::new_long(6)),
            ("time_of_day", RestrictedExpression::new_duration("10h")),
        ]);
        let approvals = record(vec![
            ("manager", RestrictedExpression::new_long(0)),
            ("owner", RestrictedExpression::new_long(0)),
            ("security", RestrictedExpression::new_long(0)),
        ]);
        let context = Context::from_pairs([
            ("window".to_owned(), window),
            ("approvals".to_owned(), approvals),
            (
                "reason".to_owned(),
                RestrictedExpression::new_string("bench".to_owned()),
            ),
        ])
        .expect("a context");
        CedarRequest::new(
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
            context,
            None,
        )
        .expect("a request")
    }
}

fn case_of(bundle: &Bundle, scope: &str, user: &str) -> Case {
    case(user, scope, bundle.digest())
}

fn case(user: &str, scope: &str, bundle: Digest) -> Case {
    let now: Moment = NOW.parse().expect("a moment");
    let reason = SaltedText {
        salt: [0; 16],
        text: "bench".to_owned(),
    };
    let request = Request {
        id: RequestId::new(now, [0; 10]),
        principal: Principal::user(UserId::new(user).expect("a name")),
        scope: ScopeId::new(scope).expect("a name"),
        duration: Duration::from_s(1_800).expect("in range"),
        reason: reason.commitment(),
        ticket: None,
        requested_at: now,
        decide_by: now.plus_s(3_600),
        activation_ttl_s: 3_600,
        bundle,
        break_glass: None,
    };
    let verdict = Verdict {
        bundle,
        outcome: Outcome::NeedsApproval,
        policies: vec![],
        approvals: BTreeMap::new(),
    };
    let event = Event {
        at: now,
        fact: Fact::Requested {
            request,
            idempotency_key: None,
            run: None,
            keep_for_s: None,
            verdict,
        },
    };
    Case::begin(&event, Some(reason.text)).expect("a beginning")
}

/// µs of one call.
fn repeat(times: usize, call: &dyn Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        call();
    }
    start.elapsed().as_secs_f64() * 1e6 / times as f64
}

const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");
