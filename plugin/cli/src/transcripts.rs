//! Golden files of what people and scripts see: `tests/transcripts/*.txt`. WRIT_BLESS=1 writes them anew, for review.

use std::collections::HashMap;
use std::path::Path;

use clap::CommandFactory as _;
use similar::TextDiff;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::request::State;
use writ_engine::{Duration, Moment};

use crate::explain::{self, Asked};
use crate::failure::Failure;
use crate::screen::Paint;
use crate::{document, story, verbs};

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name);
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{name} differs; WRIT_BLESS=1 takes the new text\n{}",
        TextDiff::from_lines(expected.as_str(), actual).unified_diff()
    );
}

/// 2026-11-21T09:00:00Z and so many seconds.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: 1_795_251_600 + seconds,
        nanos: 0,
    })
}

fn now() -> Moment {
    "2026-11-21T09:00:05Z".parse().unwrap()
}

fn policy(id: &str, file: &str, line: u32) -> v1::PolicyRef {
    v1::PolicyRef {
        id: id.to_owned(),
        file: file.to_owned(),
        line,
    }
}

fn need(kind: &str, count: u32, people: &[&str], more: bool) -> v1::Need {
    v1::Need {
        kind: kind.to_owned(),
        count,
        people: people.iter().map(|name| (*name).to_owned()).collect(),
        more,
    }
}

fn manager() -> v1::Way {
    v1::Way {
        needs: vec![need("manager", 1, &["pat"], false)],
        feasible: true,
        because: vec![policy("proddb.read.engineer", "access.cedar", 21)],
    }
}

fn two_people() -> v1::Way {
    v1::Way {
        needs: vec![
            need("owner", 1, &["ann", "bob", "cy"], true),
            need("security", 1, &["sam"], false),
        ],
        feasible: true,
        because: vec![policy("admin.two-person", "access.cedar", 40)],
    }
}

fn needs() -> v1::Decision {
    v1::Decision {
        outcome: Some(v1::decision::Outcome::NeedsApproval(v1::NeedsApproval {
            counted: HashMap::new(),
            ways: vec![manager(), two_people()],
        })),
    }
}

fn unmet() -> v1::Denial {
    v1::Denial {
        why: v1::denial::Why::Unmet as i32,
        findings: vec![v1::PolicyFinding {
            policy: Some(policy("payments.deploy", "access.cedar", 12)),
            advice: "deploy from `main`".to_owned(),
            conditions: vec![v1::Condition {
                text: "principal.ref == \"refs/heads/main\"".to_owned(),
                values: HashMap::from([(
                    "principal.ref".to_owned(),
                    "\"refs/heads/try\u{1b}[2J\"".to_owned(),
                )]),
            }],
        }],
        nearest: Some(v1::Nearest {
            duration: Some(prost_types::Duration {
                seconds: 1_800,
                nanos: 0,
            }),
            add_ticket: true,
            ways: vec![manager()],
        }),
    }
}

fn asked() -> Asked {
    Asked {
        verb: "request",
        scope: "payments-deploy".to_owned(),
        duration: Duration::from_s(5_400).unwrap(),
        reason: Some("ship it".to_owned()),
        ticket: None,
    }
}

fn window() -> Option<v1::Window> {
    Some(v1::Window {
        opens_at: at(60),
        closes_at: at(2_760),
    })
}

fn request(state: Option<State>) -> v1::Request {
    v1::Request {
        id: "01KB7V3ZKQ8Y6T5R4E3W2Q7F3K".to_owned(),
        principal: Some(v1::Principal {
            kind: Some(v1::principal::Kind::User("mia".to_owned())),
            claims: HashMap::new(),
            person: "mia".to_owned(),
        }),
        scope: "prod-db-read".to_owned(),
        duration: Some(prost_types::Duration {
            seconds: 2_700,
            nanos: 0,
        }),
        reason: "INC-42: p99 is up\u{202e}".to_owned(),
        ticket: Some("INC-42".to_owned()),
        requested_at: at(0),
        digest: "ab".repeat(32),
        approvals: Vec::new(),
        state,
        kept_until: None,
    }
}

fn every_state() -> Vec<v1::Request> {
    let states = vec![
        Some(State::Pending(v1::PendingState {
            decide_by: at(3_600),
            decision: Some(needs()),
        })),
        Some(State::Pending(v1::PendingState {
            decide_by: at(3_600),
            decision: Some(v1::Decision {
                outcome: Some(v1::decision::Outcome::Denial(unmet())),
            }),
        })),
        Some(State::Approved(v1::ApprovedState {
            approved_at: at(30),
            activate_by: at(28_800),
        })),
        Some(State::Active(v1::ActiveState {
            window: window(),
            live_sessions: 2,
        })),
        Some(State::Expired(v1::ExpiredState { window: window() })),
        Some(State::Denied(v1::DeniedState {
            approver: "pat".to_owned(),
            reason: "not today\u{7}".to_owned(),
            denied_at: at(50),
        })),
        Some(State::Withdrawn(v1::WithdrawnState {
            withdrawn_at: at(50),
        })),
        Some(State::Lapsed(v1::LapsedState { lapsed_at: at(50) })),
        Some(State::Released(v1::ReleasedState {
            released_at: at(50),
        })),
        None,
    ];
    states.into_iter().map(request).collect()
}

#[test]
fn each_state_in_one_line_and_whole() {
    let mut text = String::new();
    for mut request in every_state() {
        text.push_str(&format!("$ {}\n", story::status(Paint::Plain, &request)));
        if matches!(request.state, Some(State::Approved(_) | State::Active(_))) {
            request.approvals.push(v1::Approval {
                approver: "pat".to_owned(),
                kinds: vec!["manager".to_owned(), "owner".to_owned()],
                approved_at: at(30),
            });
        }
        text.push_str(&story::whole(Paint::Plain, &request, now()));
        text.push('\n');
    }
    golden("states.txt", &text);
}

#[test]
fn a_list_of_requests_shows_as_much_of_an_id_as_tells_them_apart() {
    let mut requests = every_state();
    for (place, request) in requests.iter_mut().enumerate() {
        request.id = format!("01KB7V3ZKQ8Y6T5R4E3W{place}Q7F3K");
    }
    if let Some(principal) = &mut requests[0].principal {
        principal.kind = Some(v1::principal::Kind::Workload("payments-ci".to_owned()));
    }
    golden("requests.txt", &story::list(Paint::Plain, &requests, now()));
}

#[test]
fn each_decision_of_a_dry_run() {
    let allowed = v1::Decision {
        outcome: Some(v1::decision::Outcome::Allowed(v1::Allowed {
            because: vec![policy("payments.deploy", "access.cedar", 12)],
            counted: HashMap::new(),
        })),
    };
    let nobody = v1::Decision {
        outcome: Some(v1::decision::Outcome::NeedsApproval(v1::NeedsApproval {
            counted: HashMap::from([("owner".to_owned(), 1), ("manager".to_owned(), 1)]),
            ways: vec![v1::Way {
                needs: vec![need("security", 2, &["sam"], false)],
                feasible: false,
                because: Vec::new(),
            }],
        })),
    };
    let mut text = String::new();
    for decision in [Some(allowed), Some(needs()), Some(nobody), None] {
        text.push_str(&explain::decision(
            Paint::Plain,
            decision.as_ref(),
            &asked(),
        ));
        text.push('\n');
    }
    for why in 0..=6 {
        let mut denial = unmet();
        denial.why = why;
        if why != v1::denial::Why::Unmet as i32 {
            denial.nearest = None;
        }
        let decision = v1::Decision {
            outcome: Some(v1::decision::Outcome::Denial(denial)),
        };
        text.push_str(&explain::decision(Paint::Plain, Some(&decision), &asked()));
        text.push('\n');
    }
    golden("decisions.txt", &text);
}

#[test]
fn a_refused_call_says_which_policy_and_what_would_work() {
    let refused = Problem::new(
        Reason::RefusedByPolicy,
        "`payments-deploy` for 1h30m is refused",
    )
    .denial(unmet());
    let aws = Problem::new(Reason::AwsRefused, "aws refused the session")
        .aws_code("AccessDenied")
        .hint("check the role's trust policy");
    let missing = Problem::new(Reason::NeedsApproval, "`7F3K` is not approved").needs_approval(
        v1::NeedsApproval {
            counted: HashMap::new(),
            ways: vec![manager()],
        },
    );
    let stranger = Problem::new(Reason::NotAuthenticated, "the token proves nobody");
    let proxy = Problem::from_status(&tonic::Status::unavailable("502\r\n\u{1b}[31mBad"));
    let mut text = String::new();
    for problem in [refused, aws, missing, stranger, proxy] {
        let failure = Failure::from(problem).asked(&asked());
        text.push_str(&failure.text(Paint::Plain));
        text.push_str(&format!("{:#}\n", failure.json()));
        text.push_str(&format!("[exit {}]\n\n", failure.exit.code()));
    }
    golden("failures.txt", &text);
}

#[test]
fn scopes_in_a_table() {
    let longest = |seconds, ways| {
        Some(v1::Longest {
            duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ways,
        })
    };
    let scope = |name: &str, without, with| v1::Scope {
        name: name.to_owned(),
        description: format!("What {name} is for"),
        system: "payments".to_owned(),
        environment: "prod".to_owned(),
        owners: "payments-leads".to_owned(),
        without_ticket: without,
        with_ticket: with,
    };
    let scopes = [
        scope("payments-deploy", longest(3_600, vec![]), None),
        scope(
            "prod-db-read",
            longest(3_600, vec![]),
            longest(14_400, vec![manager()]),
        ),
        scope("prod-admin", None, longest(900, vec![two_people()])),
        scope("frozen", None, None),
    ];
    let mut text = verbs::scopes::list(Paint::Plain, &scopes);
    text.push_str(&format!("{:#}\n", document::scope(&scopes[1])));
    golden("scopes.txt", &text);
}

#[test]
fn the_documents_of_each_state() {
    let documents: Vec<_> = every_state().iter().map(document::request).collect();
    let text = format!("{:#}\n", document::document("requests", documents.into()));
    golden("requests.json", &crate::screen::escape_json(&text));
}

#[test]
fn what_the_doctor_says() {
    use writ_broker::doctor::{Check, Finding, Fix, Severity};

    let set_trust = Fix {
        advice: "make this its trust policy".to_owned(),
        policy: Some(serde_json::json!({ "Version": "2012-10-17", "Statement": [] })),
        command: Some("aws iam update-assume-role-policy --role-name jit".to_owned()),
        config: None,
    };
    let finding = |check, scope: Option<&str>, severity, seen: &str, fix| Finding {
        check,
        scope: scope.map(|name| writ_engine::ScopeId::new(name).unwrap()),
        severity,
        seen: seen.to_owned(),
        fix,
    };
    let db = Some("prod-db-read");
    let findings = [
        finding(
            Check::IssuerIdentity,
            None,
            Severity::Ok,
            "`arn:aws:sts::123456789012:assumed-role/writ-issuer/i-0abc`",
            None,
        ),
        finding(
            Check::RevokerIdentity,
            None,
            Severity::Warn,
            "there is no revoker",
            Some(Fix {
                advice: "name one".to_owned(),
                policy: None,
                command: None,
                config: Some("aws {\n  revoker { … }\n}".to_owned()),
            }),
        ),
        finding(
            Check::RoleBoundary,
            db,
            Severity::Skipped,
            "the role was not read",
            None,
        ),
        finding(
            Check::RoleSelfEdit,
            db,
            Severity::Skipped,
            "the role was not read",
            None,
        ),
        finding(
            Check::TrustBroker,
            db,
            Severity::Fail,
            "it trusts the broker, but not for `sts:TagSession`",
            Some(set_trust.clone()),
        ),
        // Others' words do nothing to a terminal.
        finding(
            Check::TrustOthers,
            db,
            Severity::Warn,
            "it also trusts `\u{1b}[2Jarn`",
            Some(set_trust),
        ),
    ];
    let mut text = verbs::doctor::text(Paint::Plain, &findings);
    let json = document::document("doctor", verbs::doctor::json(&findings));
    text.push_str(&crate::screen::escape_json(&format!("\n{json:#}\n")));
    golden("doctor.txt", &text);
}

#[test]
fn the_help_of_every_verb() {
    let mut command = crate::Cli::command().term_width(100);
    command.build();
    let mut text = format!("$ writ --help\n{}\n", command.render_long_help());
    let mut pending: Vec<_> = command.get_subcommands().cloned().collect();
    pending.reverse();
    while let Some(verb) = pending.pop() {
        let mut verb = verb.term_width(100);
        let name = verb.get_bin_name().unwrap_or_default().to_owned();
        // The global options are the same everywhere; the first page has them.
        let help = verb.render_long_help().to_string();
        let own = help
            .split("\nGlobal options:")
            .next()
            .unwrap_or_default()
            .trim_end();
        text.push_str(&format!("$ {name} --help\n{own}\n\n"));
        let mut inner: Vec<_> = verb.get_subcommands().cloned().collect();
        inner.reverse();
        pending.extend(inner);
    }
    golden("help.txt", &text);
}

#[test]
fn no_flag_takes_a_secret() {
    // Every process list shows the command line.
    let mut pending = vec![crate::Cli::command()];
    while let Some(command) = pending.pop() {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            assert!(!matches!(id, "token" | "secret" | "password"), "{id}");
        }
        pending.extend(command.get_subcommands().cloned());
    }
    crate::Cli::command().debug_assert();
}
