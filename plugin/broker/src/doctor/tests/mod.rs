//! What each fact means, by tables: a world in which all is well, and one thing after another gone wrong in it.

mod of_roles;
mod of_the_broker;
mod of_trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use writ_engine::scope::RoleArn;
use writ_engine::{Bundle, Moment, ScopeId};

use super::facts::{
    Attached, BrokerFacts, Facts, Found, Identity, RoleFacts, ScopeFacts, Seen, Time, Unseen,
};
use super::{Check, Finding, REVOKER_NEEDS, Severity, Subject, judge};
use crate::aws::{AwsSettings, CredentialSource, RevokerSettings};

const SCOPE: &str = "payments-deploy";
const ROLE: &str = "arn:aws:iam::123456789012:role/jit-payments-deploy";
const ISSUER: &str = "arn:aws:sts::123456789012:assumed-role/writ-issuer/i-0abc";
const EXTERNAL_ID: &str = "writ-test";

/// Everything that is judged, to be spoilt.
struct World {
    settings: AwsSettings,
    bundle: Arc<Bundle>,
    expected: BTreeMap<RoleArn, Option<String>>,
    facts: Facts,
}

impl World {
    /// All is well.
    fn sound() -> World {
        static SHIPPED: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
            let files = crate::bundle::read(&folder).unwrap();
            Arc::new(Bundle::load(&files).unwrap())
        });
        World {
            settings: AwsSettings {
                credentials: CredentialSource::WebIdentity,
                role_session: true,
                endpoint_url: None,
                external_id: Some(EXTERNAL_ID.to_owned()),
                revoker: Some(RevokerSettings {
                    credentials: CredentialSource::Instance,
                    endpoint_url: None,
                }),
            },
            bundle: Arc::clone(&SHIPPED),
            expected: BTreeMap::new(),
            facts: Facts {
                broker: BrokerFacts {
                    issuer: Ok(identity(ISSUER, "AROAISSUER:i-0abc", true)),
                    revoker: Some(Ok(identity(
                        "arn:aws:iam::123456789012:user/writ-revoker",
                        "AIDAREVOKER",
                        false,
                    ))),
                    time: Some(time(0)),
                },
                scopes: vec![ScopeFacts {
                    scope: ScopeId::new(SCOPE).unwrap(),
                    role: Ok(Found::Here(role())),
                    rehearsal: Ok(()),
                    revoker_assumes: Some(Err(refused("sts:AssumeRole"))),
                    revoker_may: Some(Ok(REVOKER_NEEDS.map(str::to_owned).into())),
                }],
            },
        }
    }

    fn scope(&mut self) -> &mut ScopeFacts {
        &mut self.facts.scopes[0]
    }

    fn role(&mut self) -> &mut RoleFacts {
        match &mut self.facts.scopes[0].role {
            Ok(Found::Here(role)) => role,
            other => panic!("{other:?}"),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let subject = Subject {
            settings: &self.settings,
            bundle: &self.bundle,
            expected: &self.expected,
        };
        judge(&subject, &self.facts)
    }

    fn finding(&self, check: Check) -> Finding {
        let found = self.findings().into_iter().find(|it| it.check == check);
        found.unwrap_or_else(|| panic!("nothing is said of {}", check.id()))
    }
}

fn identity(arn: &str, user_id: &str, temporary: bool) -> Identity {
    Identity {
        arn: arn.to_owned(),
        user_id: user_id.to_owned(),
        account: arn.split(':').nth(4).unwrap().to_owned(),
        temporary,
    }
}

/// AWS's clock so far ahead of ours, told in 100 ms.
fn time(ahead_ms: i64) -> Time {
    let asked_at: Moment = "2026-11-21T09:00:00.400Z".parse().unwrap();
    let at = |ms: i64| Moment::from_ms(asked_at.as_ms() + ms).unwrap();
    Time {
        aws: at(50 + ahead_ms).floor_s(),
        asked_at,
        answered_at: at(100),
    }
}

fn refused(call: &'static str) -> Unseen {
    Unseen {
        call,
        code: "AccessDenied".to_owned(),
        refused: true,
    }
}

fn unanswered(call: &'static str) -> Unseen {
    Unseen {
        call,
        code: "NoConnection".to_owned(),
        refused: false,
    }
}

fn role() -> RoleFacts {
    RoleFacts {
        arn: ROLE.to_owned(),
        max_session_s: 3_600,
        trust: trust().to_string(),
        boundary: Some("arn:aws:iam::123456789012:policy/scopes".to_owned()),
        inline: Ok(BTreeMap::from([("ecs".to_owned(), "{}".to_owned())])),
        attached: Ok(vec![Attached {
            name: "ReadOnly".to_owned(),
            document: None,
        }]),
        edits_itself: Ok(BTreeSet::new()),
    }
}

/// What the fixes recommend.
fn trust() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::123456789012:role/writ-issuer" },
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
        "Condition": {
            "StringEquals": { "sts:ExternalId": EXTERNAL_ID },
            "StringLike": {
                "sts:RoleSessionName": "writ-*",
                "sts:SourceIdentity": "?*",
                "aws:RequestTag/writ:grant": "?*",
            },
        },
    }]})
}

/// That one thing gone wrong has this effect on its own check, and that whatever is not well has a fix or a reason.
fn assert_told(spoil: impl FnOnce(&mut World), check: Check, severity: Severity, words: &str) {
    let mut world = World::sound();
    spoil(&mut world);
    let told = world.finding(check);
    assert_eq!(told.severity, severity, "{told:?}");
    assert!(told.seen.contains(words), "{:?} lacks {words:?}", told.seen);
    match severity {
        Severity::Ok => assert_eq!(told.fix, None, "{told:?}"),
        Severity::Warn | Severity::Fail => assert!(told.fix.is_some(), "{told:?}"),
        Severity::Skipped => {}
    }
}

#[test]
fn where_all_is_well_every_question_is_asked_and_answered_so() {
    let findings = World::sound().findings();
    for finding in &findings {
        assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        assert_eq!(finding.fix, None);
    }
    let asked: Vec<Check> = findings.iter().map(|it| it.check).collect();
    assert_eq!(asked, Check::ALL);
    let mut ids: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Check::ALL.len());
}

#[test]
fn the_trust_policy_that_is_recommended_satisfies_the_doctor() {
    let mut world = World::sound();
    world.role().trust = "{\"Statement\":[]}".to_owned();
    let fix = world.finding(Check::TrustBroker).fix.unwrap();
    world.role().trust = fix.policy.unwrap().to_string();
    assert!(
        world
            .findings()
            .iter()
            .all(|it| it.severity == Severity::Ok)
    );
}

/// Every finding, and its fix, as text.
fn rendered(findings: &[Finding]) -> String {
    let mut text = String::new();
    for it in findings {
        let scope = it.scope.as_ref().map_or("-", |scope| scope.as_str());
        writeln!(
            text,
            "{} {scope} {}: {}",
            it.severity.as_str(),
            it.check.id(),
            it.seen
        )
        .unwrap();
        if let Some(fix) = &it.fix {
            writeln!(text, "  advice: {}", fix.advice).unwrap();
            for line in [&fix.command, &fix.config].into_iter().flatten() {
                writeln!(text, "  paste: {}", line.replace('\n', "\n         ")).unwrap();
            }
            if let Some(policy) = &fix.policy {
                writeln!(text, "  policy: {policy}").unwrap();
            }
        }
    }
    text
}

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/doctor/tests")
        .join(name);
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{name} differs; WRIT_BLESS=1 takes the new text\n{actual}"
    );
}

#[test]
fn everything_that_can_be_wrong_at_once_with_each_fix() {
    let mut world = World::sound();
    world.settings.role_session = false;
    world.facts.broker.time = Some(time(-7_000));
    let all: BTreeSet<String> = super::SELF_EDITS.map(str::to_owned).into();
    let scope = world.scope();
    scope.rehearsal = Err(refused("sts:AssumeRole"));
    scope.revoker_assumes = Some(Ok(()));
    scope.revoker_may = Some(Ok(BTreeSet::from(["iam:GetRole".to_owned()])));
    let role = world.role();
    role.max_session_s = 3_600;
    role.boundary = None;
    role.edits_itself = Ok(all);
    role.trust = json!({ "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole" },
        { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" },
    ]})
    .to_string();
    role.inline = Ok(BTreeMap::from([
        ("writ-revoked".to_owned(), allow_all()),
        ("writ-extra".to_owned(), "x".repeat(9_000)),
    ]));
    golden("everything.txt", &rendered(&world.findings()));

    world.facts.broker.revoker = Some(Ok(identity(ISSUER, "AROAISSUER:other", true)));
    world.scope().role = Ok(Found::Missing);
    golden("no_role.txt", &rendered(&world.findings()));
}

fn allow_all() -> String {
    json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] }).to_string()
}

#[test]
fn what_no_one_answered_is_skipped_and_never_called_well() {
    let mut world = World::sound();
    fn lost<T>(call: &'static str) -> Seen<T> {
        Err(unanswered(call))
    }
    world.facts.broker = BrokerFacts {
        issuer: lost("sts:GetCallerIdentity"),
        revoker: Some(lost("sts:GetCallerIdentity")),
        time: None,
    };
    let scope = world.scope();
    scope.role = lost("iam:GetRole");
    scope.rehearsal = lost("sts:AssumeRole");
    scope.revoker_assumes = Some(lost("sts:AssumeRole"));
    scope.revoker_may = Some(lost("sts:GetCallerIdentity"));
    let findings = world.findings();
    assert_eq!(findings.len(), Check::ALL.len());
    for finding in findings {
        // That one is answered by the bundle and the configuration alone.
        if finding.check != Check::SessionLength {
            assert_eq!(finding.severity, Severity::Skipped, "{finding:?}");
        }
    }
}

#[test]
fn what_the_reader_may_not_read_comes_with_the_policy_to_give_it() {
    let mut world = World::sound();
    world.scope().role = Err(refused("iam:GetRole"));
    let told = world.finding(Check::RoleExists);
    assert_eq!(told.severity, Severity::Skipped);
    let fix = told.fix.unwrap();
    assert!(fix.advice.contains("user/writ-revoker"), "{fix:?}");
    assert_eq!(fix.policy.unwrap()["Statement"][0]["Resource"], ROLE);

    // Without a revoker it is the issuer that reads.
    world.facts.broker.revoker = None;
    let fix = world.finding(Check::RoleExists).fix.unwrap();
    assert!(fix.advice.contains("role/writ-issuer"), "{fix:?}");
}

fn is<T>(seen: T) -> Option<Seen<T>> {
    Some(Ok(seen))
}
