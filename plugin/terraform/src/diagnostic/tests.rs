//! What a person reads when something is wrong: each case, whole, in a golden file. `WRIT_BLESS=1` writes them anew; read
//! them before you commit them.

use tonic::Request;
use tonic::transport::Identity;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;

use crate::provider::Provider;
use crate::schema::{ACCESS_DECISION, AWS_CREDENTIALS, PROVIDER, SCOPES};
use crate::testing::{
    FakeBroker, HURRIED, TOKEN, block, golden, open, provider, provider_with, told, wanted, way,
};
use crate::tfplugin6 as wire;
use crate::tfplugin6::provider_server::Provider as _;
use crate::value::Value;

fn is(name: &str, text: &str) {
    assert!(!text.is_empty(), "{name} is not refused");
    golden(&format!("tests/golden/diagnostics/{name}.txt"), text);
}

fn bare() -> Provider {
    let run = crate::run::Run::of(|_| None, std::path::Path::new("bare"));
    Provider::with_pace(run, HURRIED)
}

type Settings<'a> = &'a [(&'static str, Value<'a>)];

async fn validate_provider(settings: Settings<'_>) -> String {
    let request = wire::ValidateProviderConfigRequest {
        config: Some(block(&PROVIDER, settings)),
    };
    let answer = bare().validate_provider_config(Request::new(request)).await;
    told(&answer.unwrap().into_inner().diagnostics)
}

async fn validate(config: wire::DynamicValue) -> String {
    let request = wire::ValidateResourceRequest {
        type_name: "writ_aws_credentials".to_owned(),
        config: Some(config),
    };
    let answer = bare()
        .validate_ephemeral_resource_config(Request::new(request))
        .await;
    told(&answer.unwrap().into_inner().diagnostics)
}

async fn validate_data(type_name: &str, config: wire::DynamicValue) -> String {
    let request = wire::ValidateResourceRequest {
        type_name: type_name.to_owned(),
        config: Some(config),
    };
    let answer = bare()
        .validate_data_resource_config(Request::new(request))
        .await;
    told(&answer.unwrap().into_inner().diagnostics)
}

async fn read(provider: &Provider, type_name: &str, config: wire::DynamicValue) -> String {
    let request = wire::ReadDataSourceRequest {
        type_name: type_name.to_owned(),
        config: Some(config),
    };
    let answer = provider.read_data_source(Request::new(request)).await;
    told(&answer.unwrap().into_inner().diagnostics)
}

async fn opening(provider: &Provider, settings: Settings<'_>) -> String {
    told(&open(provider, settings).await.diagnostics)
}

#[tokio::test]
async fn a_wrong_provider_block_is_refused_when_it_is_validated() {
    for (name, settings) in [
        (
            "provider-address-without-tls",
            &[("address", Value::text("http://writ.example.com"))][..],
        ),
        (
            "provider-address-without-scheme",
            &[("address", Value::text("writ.example.com:8443"))],
        ),
        (
            "provider-token-twice",
            &[
                ("token", Value::text("a.b.c")),
                ("token_file", Value::text("/run/token")),
            ],
        ),
        (
            "provider-timeout-too-long",
            &[("timeout", Value::text("1h"))],
        ),
        (
            "provider-timeout-without-unit",
            &[("timeout", Value::text("30"))],
        ),
        (
            "provider-wrong-types",
            &[
                ("address", Value::List(vec![])),
                ("token", Value::Number(7.0)),
                ("timeout", Value::Bool(true)),
            ],
        ),
    ] {
        is(name, &validate_provider(settings).await);
    }
}

#[tokio::test]
async fn a_wrong_block_is_refused_when_it_is_validated() {
    for (name, settings) in [
        (
            "ephemeral-duration-without-unit",
            &[("duration", Value::text("45"))][..],
        ),
        (
            "ephemeral-duration-too-long",
            &[("duration", Value::text("13h"))],
        ),
        (
            "ephemeral-linger-too-short",
            &[("linger", Value::text("5s"))],
        ),
        (
            "ephemeral-minimum-remaining-too-long",
            &[("minimum_remaining", Value::text("1h"))],
        ),
        (
            "ephemeral-nothing-given",
            &[
                ("scope", Value::Null),
                ("duration", Value::Null),
                ("reason", Value::Null),
            ],
        ),
        (
            "ephemeral-wrong-types",
            &[
                ("scope", Value::List(vec![])),
                ("duration", Value::Number(45.0)),
                ("applying", Value::text("yes")),
            ],
        ),
        (
            "ephemeral-misleading-characters",
            &[("duration", Value::text("45m\u{202e}\u{1b}[2J"))],
        ),
    ] {
        is(name, &validate(wanted(settings)).await);
    }
    let decision = |settings: Settings<'_>| block(&ACCESS_DECISION, settings);
    is(
        "data-decision-duration",
        &validate_data(
            "writ_access_decision",
            decision(&[
                ("scope", Value::text("prod-db")),
                ("duration", Value::text("a while")),
            ]),
        )
        .await,
    );
    is(
        "data-unknown-type",
        &validate_data("writ_nonsense", decision(&[])).await,
    );
    is(
        "block-not-understood",
        &validate(wire::DynamicValue {
            msgpack: b"\x81\xa7hunter2".to_vec(),
            json: Vec::new(),
        })
        .await,
    );
}

#[tokio::test]
async fn what_is_unknown_or_null_is_no_mistake_yet() {
    let unknown: Vec<_> = PROVIDER
        .attributes
        .iter()
        .map(|it| (it.name, Value::Unknown))
        .collect();
    assert_eq!(validate_provider(&unknown).await, "");
    assert_eq!(validate_provider(&[]).await, "");
    let config = block(&PROVIDER, &unknown);
    assert_eq!(bare().configure(Some(&config), |_| None), []);
    let bad_environment = |_: &str| Some("\u{1b} nonsense".to_owned());
    let nothing = block(&PROVIDER, &[]);
    assert_eq!(bare().configure(Some(&nothing), bad_environment), []);

    let inputs = AWS_CREDENTIALS.attributes.iter();
    let unknown: Vec<_> = inputs
        .filter(|it| it.by != crate::schema::By::Computed)
        .map(|it| (it.name, Value::Unknown))
        .collect();
    assert_eq!(validate(block(&AWS_CREDENTIALS, &unknown)).await, "");
}

#[tokio::test]
async fn what_is_missing_or_unknown_when_it_is_needed_is_named() {
    let token = ("token", Value::text(TOKEN));
    let address = ("address", Value::text("https://writ.example.com"));
    for (name, settings) in [
        ("use-no-address", &[token.clone()][..]),
        (
            "use-address-unknown",
            &[("address", Value::Unknown), token.clone()],
        ),
        ("use-no-token", std::slice::from_ref(&address)),
        (
            "use-token-unknown",
            &[address.clone(), ("token", Value::Unknown)],
        ),
        (
            "use-token-file-unknown",
            &[address.clone(), ("token_file", Value::Unknown)],
        ),
        (
            "use-token-file-missing",
            &[
                address.clone(),
                ("token_file", Value::text("/nonexistent/token")),
            ],
        ),
        (
            "use-token-with-line-break",
            &[address.clone(), ("token", Value::text("abc\ndef"))],
        ),
        (
            "use-ca-unknown",
            &[
                address.clone(),
                token.clone(),
                ("ca_cert_file", Value::Unknown),
            ],
        ),
        (
            "use-ca-missing",
            &[
                address.clone(),
                token.clone(),
                ("ca_cert_file", Value::text("/nonexistent/ca.pem")),
            ],
        ),
        (
            "use-ca-no-certificate",
            &[
                address.clone(),
                token.clone(),
                ("ca_cert_file", Value::text("/dev/null")),
            ],
        ),
    ] {
        let provider = provider_with(name, settings);
        is(name, &opening(&provider, &[]).await);
    }
    is("use-not-configured", &opening(&bare(), &[]).await);
    let provider = provider_with("unknown argument", &[address, token]);
    is(
        "use-argument-unknown",
        &opening(
            &provider,
            &[("scope", Value::Unknown), ("reason", Value::Null)],
        )
        .await,
    );
}

#[tokio::test]
async fn a_token_that_ended_and_one_that_nobody_knows_read_differently() {
    let broker = FakeBroker::granting();
    // {"alg":"none"} . {"exp":1700000000} . and one without an end.
    for (name, token) in [
        (
            "token-expired",
            "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9.c2ln",
        ),
        ("token-of-nobody", "eyJhbGciOiJub25lIn0.e30.c2ln"),
    ] {
        let provider = provider_with(
            name,
            &[
                ("address", Value::text(broker.address())),
                ("token", Value::text(token)),
            ],
        );
        let told = opening(&provider, &[]).await;
        assert!(!told.contains(token));
        is(
            name,
            &told.replace(&broker.address(), "http://127.0.0.1:PORT"),
        );
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_and_one_that_cannot_be_trusted_read_differently() {
    let mut gone = FakeBroker::granting();
    gone.kill();
    let told = opening(&provider(&gone, "gone"), &[]).await;
    is(
        "broker-unreachable",
        &told.replace(&gone.address(), "http://127.0.0.1:PORT"),
    );

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let broker = FakeBroker::with_tls(identity);
    let folder = tempfile::tempdir().unwrap();
    let settings = |pem: String, name: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, pem).unwrap();
        [
            ("address", Value::text(broker.address())),
            ("token", Value::text(TOKEN)),
            (
                "ca_cert_file",
                Value::text(file.to_string_lossy().into_owned()),
            ),
        ]
    };
    let mut other = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    other
        .distinguished_name
        .push(rcgen::DnType::CommonName, "another authority");
    let key = rcgen::KeyPair::generate().unwrap();
    let other = other.self_signed(&key).unwrap();
    let provider = provider_with("wrong ca", &settings(other.pem(), "other.pem"));
    let told = opening(&provider, &[]).await;
    is(
        "broker-wrong-ca",
        &told.replace(&broker.address(), "https://localhost:PORT"),
    );
    // The refusal stands beside what it guards.
    let provider = provider_with("right ca", &settings(made.cert.pem(), "right.pem"));
    assert_eq!(opening(&provider, &[]).await, "");
}

#[tokio::test]
async fn what_the_broker_refuses_is_told_on_the_attribute_it_is_about() {
    let unmet = v1::Denial {
        why: v1::denial::Why::Unmet as i32,
        findings: vec![v1::PolicyFinding {
            policy: Some(v1::PolicyRef {
                id: "payments.deploy.ci".to_owned(),
                file: "access.cedar".to_owned(),
                line: 17,
            }),
            advice: "deploy from `main`: merge your branch first".to_owned(),
            conditions: vec![v1::Condition {
                text: "principal.ref == \"refs/heads/main\"".to_owned(),
                values: [("principal.ref".to_owned(), "\"refs/heads/try\"".to_owned())].into(),
            }],
        }],
        nearest: Some(v1::Nearest {
            duration: Some(prost_types::Duration {
                seconds: 900,
                nanos: 0,
            }),
            add_ticket: true,
            ways: vec![way()],
        }),
    };
    let forbidden = v1::Denial {
        why: v1::denial::Why::Forbidden as i32,
        nearest: None,
        ..unmet.clone()
    };
    for (name, call, problem) in [
        (
            "refused-by-policy",
            "create",
            Problem::new(
                Reason::RefusedByPolicy,
                "`prod-db` is refused: payments.deploy.ci asks for principal.ref == \"refs/heads/main\"",
            )
            .hint("deploy from `main`: merge your branch first")
            .denial(unmet),
        ),
        (
            "refused-by-guardrail",
            "create",
            Problem::new(Reason::RefusedByPolicy, "`prod-db` is forbidden by freeze")
                .denial(forbidden),
        ),
        (
            "refused-field",
            "create",
            Problem::new(
                Reason::InvalidArgument,
                "ticket: it has 1 to 64 bytes, not 70",
            ),
        ),
        (
            "refused-too-many",
            "create",
            Problem::new(
                Reason::TooManyOpenRequests,
                "you have as many open requests as one principal may have",
            )
            .hint("`writ requests --mine` lists them; `writ withdraw ID` takes one back"),
        ),
        (
            "refused-by-aws",
            "issue",
            Problem::new(Reason::AwsRefused, "aws refused the session: `AccessDenied`")
                .hint("whoever owns the scope can compare its role's trust policy with the broker's role"),
        ),
        (
            "refused-no-longer-approved",
            "issue",
            Problem::new(
                Reason::NeedsApproval,
                "request `0001` needs 1 more approval",
            )
            .hint("ask one of those who can approve, then run `writ show 0001`")
            .needs_approval(v1::NeedsApproval {
                counted: Default::default(),
                ways: vec![way()],
            }),
        ),
    ] {
        let broker = FakeBroker::granting();
        broker.world().refuses = Some((call, problem));
        is(name, &opening(&provider(&broker, name), &[]).await);
    }
}

#[tokio::test]
async fn what_is_no_writ_broker_is_told_so() {
    // A gRPC server that knows nothing of requests.
    let broker = FakeBroker::granting();
    let unknown = tonic::Status::unimplemented("");
    broker.world().refuses = Some(("create", Problem::from_status(&unknown)));
    let told = opening(&provider(&broker, "other server"), &[]).await;
    is(
        "broker-of-another-kind",
        &told.replace(&broker.address(), "http://127.0.0.1:PORT"),
    );
}

#[tokio::test]
async fn a_data_source_that_cannot_be_read_is_told_on_its_block() {
    let broker = FakeBroker::granting();
    let refusal = Problem::new(
        Reason::NotFound,
        "there is no such thing, or you may not see it",
    );
    broker.world().refuses = Some(("scopes", refusal));
    let provider = provider(&broker, "data");
    let told = read(&provider, "writ_scopes", block(&SCOPES, &[])).await;
    is("data-scopes-refused", &told);
    let told = read(&provider, "writ_nonsense", block(&SCOPES, &[])).await;
    assert!(told.contains("this provider has no `writ_nonsense`"));
}
