//! What the two data sources answer, as a configuration reads it.

use std::fmt::Write as _;

use tonic::Request;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::decision::Outcome;

use crate::schema::{ACCESS_DECISION, SCOPES};
use crate::testing::{FakeBroker, block, golden, provider, told, way};
use crate::tfplugin6 as wire;
use crate::tfplugin6::provider_server::Provider as _;
use crate::value::{Value, decode_block};

/// The state that Terraform would store, one attribute a line.
async fn read(broker: &FakeBroker, type_name: &str, config: wire::DynamicValue) -> String {
    let request = wire::ReadDataSourceRequest {
        type_name: type_name.to_owned(),
        config: Some(config),
    };
    let answer = provider(broker, "data")
        .read_data_source(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told(&answer.diagnostics), "");
    let state = decode_block(answer.state.as_ref()).ok().unwrap();
    let mut text = String::new();
    for (name, value) in &state {
        writeln!(text, "{name} = {}", show(value)).unwrap();
    }
    text
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| format!("  {},\n", show(item)))
                .collect();
            match items.is_empty() {
                true => "[]".to_owned(),
                false => format!("[\n{}]", items.concat()),
            }
        }
        Value::Object(object) => {
            let fields: Vec<_> = object
                .iter()
                .map(|(name, value)| format!("{name} = {}", show(value).replace('\n', " ")))
                .collect();
            format!("{{ {} }}", fields.join("; "))
        }
        Value::Bool(_) | Value::Unknown => panic!("no data source answers that"),
    }
}

fn longest(seconds: i64, ways: Vec<v1::Way>) -> Option<v1::Longest> {
    Some(v1::Longest {
        duration: Some(prost_types::Duration { seconds, nanos: 0 }),
        ways,
    })
}

fn scopes() -> Vec<v1::Scope> {
    let scope = |name: &str, without_ticket, with_ticket| v1::Scope {
        name: name.to_owned(),
        description: format!("What {name} gives"),
        system: "payments".to_owned(),
        environment: "prod".to_owned(),
        owners: "payments-leads".to_owned(),
        without_ticket,
        with_ticket,
        break_glass: None,
    };
    vec![
        scope(
            "prod-db",
            longest(3_600, vec![]),
            longest(14_400, vec![way()]),
        ),
        scope("only-with-ticket", None, longest(60, vec![way()])),
        scope("not-now", None, None),
    ]
}

fn question(ticket: bool) -> wire::DynamicValue {
    let mut settings = vec![
        ("scope", Value::text("prod-db")),
        ("duration", Value::text("45m")),
    ];
    if ticket {
        settings.push(("ticket", Value::text("OPS-1")));
    }
    block(&ACCESS_DECISION, &settings)
}

#[tokio::test]
async fn each_decision_is_told_in_words_a_check_can_use() {
    let policy = v1::PolicyRef {
        id: "proddb.oncall".to_owned(),
        file: "access.cedar".to_owned(),
        line: 3,
    };
    let mut two_managers = way();
    two_managers.needs[0].count = 2;
    let unmet = v1::Denial {
        why: v1::denial::Why::Unmet as i32,
        findings: vec![v1::PolicyFinding {
            policy: Some(policy.clone()),
            advice: "ask for less".to_owned(),
            conditions: vec![v1::Condition {
                text: "context.window.duration <= duration(\"30m\")".to_owned(),
                values: [("context.window.duration".to_owned(), "45m".to_owned())].into(),
            }],
        }],
        nearest: Some(v1::Nearest {
            duration: Some(prost_types::Duration {
                seconds: 1_800,
                nanos: 0,
            }),
            add_ticket: false,
            ways: vec![],
        }),
    };
    for (name, ticket, outcome) in [
        (
            "granted",
            false,
            Outcome::Allowed(v1::Allowed {
                because: vec![policy.clone(), policy],
                counted: Default::default(),
            }),
        ),
        (
            "needs-approval",
            true,
            Outcome::NeedsApproval(v1::NeedsApproval {
                counted: Default::default(),
                ways: vec![way(), two_managers],
            }),
        ),
        ("denied", false, Outcome::Denial(unmet)),
    ] {
        let broker = FakeBroker::granting();
        broker.world().scopes = scopes();
        broker.world().decision = Some(v1::Decision {
            outcome: Some(outcome),
        });
        let answer = read(&broker, "writ_access_decision", question(ticket)).await;
        golden(&format!("tests/golden/data/decision-{name}.txt"), &answer);
        // A dry run asks for nothing.
        assert_eq!(broker.world().calls, ["check", "scopes"]);
    }
}

#[tokio::test]
async fn a_scope_that_nobody_gives_is_denied_and_no_error() {
    let broker = FakeBroker::granting();
    let nothing = Problem::new(
        Reason::NotFound,
        "there is no scope `prod-db`, or nothing gives it to you",
    );
    broker.world().refuses = Some(("check", nothing));
    let answer = read(&broker, "writ_access_decision", question(false)).await;
    golden("tests/golden/data/decision-not-found.txt", &answer);
}

#[tokio::test]
async fn an_answer_without_a_decision_is_denied() {
    let broker = FakeBroker::granting();
    broker.world().decision = Some(v1::Decision { outcome: None });
    let answer = read(&broker, "writ_access_decision", question(false)).await;
    assert!(answer.contains("decision = \"denied\""), "{answer}");
}

#[tokio::test]
async fn scopes_are_listed_by_name() {
    let broker = FakeBroker::granting();
    broker.world().scopes = scopes();
    let answer = read(&broker, "writ_scopes", block(&SCOPES, &[])).await;
    golden("tests/golden/data/scopes.txt", &answer);
}
