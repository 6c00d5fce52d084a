//! What the doctor asks, byte for byte, and the facts it makes of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use writ_engine::{Bundle, Moment, RequestId, Scope};

use super::scripted::{Answer, Scripted, error, result};
use crate::aws::Endpoints;
use crate::aws::survey::Survey;
use crate::clock::Clock;
use crate::doctor::facts::{Facts, Found, ScopeFacts, Time};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit-payments-deploy";
const DATE: &str = "Sat, 21 Nov 2026 09:00:02 GMT";

fn now() -> Moment {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

fn scope() -> Scope {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let bundle = Bundle::load(&crate::bundle::read(&folder).unwrap()).unwrap();
    let mut scopes = bundle.scopes();
    scopes
        .find(|it| it.id.as_str() == "payments-deploy")
        .unwrap()
        .clone()
}

fn who(arn: &str, id: &str) -> Answer {
    let content = format!("<Arn>{arn}</Arn><UserId>{id}</UserId><Account>123456789012</Account>");
    match result("GetCallerIdentity", &content) {
        Answer::Says(status, body) => Answer::SaysAt(DATE, status, body),
        other => other,
    }
}

fn issuer() -> Answer {
    who("arn:aws:iam::123456789012:user/writ-issuer", "AIDAISSUER")
}

fn role() -> Answer {
    result(
        "GetRole",
        &format!(
            "<Role><Path>/</Path><RoleName>jit-payments-deploy</RoleName><RoleId>AROA1</RoleId><Arn>{ROLE}</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate><MaxSessionDuration>7200</MaxSessionDuration>\
             <AssumeRolePolicyDocument>%7B%22Statement%22%3A%5B%5D%7D</AssumeRolePolicyDocument>\
             <PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
             <PermissionsBoundaryArn>arn:aws:iam::123456789012:policy/b</PermissionsBoundaryArn></PermissionsBoundary></Role>"
        ),
    )
}

fn simulated(decisions: &[(&str, &str)]) -> Answer {
    let results: String = decisions
        .iter()
        .map(|(action, decision)| {
            format!(
                "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{ROLE}</EvalResourceName>\
                 <EvalDecision>{decision}</EvalDecision></member>"
            )
        })
        .collect();
    result(
        "SimulatePrincipalPolicy",
        &format!(
            "<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        ),
    )
}

fn names(members: &[&str]) -> Answer {
    let members: String = members
        .iter()
        .map(|name| format!("<member>{name}</member>"))
        .collect();
    result(
        "ListRolePolicies",
        &format!("<PolicyNames>{members}</PolicyNames><IsTruncated>false</IsTruncated>"),
    )
}

fn inline(name: &str) -> Answer {
    result(
        "GetRolePolicy",
        &format!(
            "<RoleName>jit-payments-deploy</RoleName><PolicyName>{name}</PolicyName>\
             <PolicyDocument>%7B%22is%22%3A%22{name}%22%7D</PolicyDocument>"
        ),
    )
}

fn attached() -> Answer {
    result(
        "ListAttachedRolePolicies",
        "<AttachedPolicies><member><PolicyName>p</PolicyName><PolicyArn>arn:aws:iam::aws:policy/p</PolicyArn></member>\
         </AttachedPolicies><IsTruncated>false</IsTruncated>",
    )
}

fn session() -> Answer {
    result(
        "AssumeRole",
        "<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>canary</SecretAccessKey>\
         <SessionToken>canary</SessionToken><Expiration>2026-11-21T09:15:00Z</Expiration></Credentials>",
    )
}

fn denied() -> Answer {
    error(403, "AccessDenied")
}

/// The facts, where AWS answers from the script, and what it was asked, without the trials' chance.
async fn surveyed(script: Vec<Answer>, with_revoker: bool) -> (Facts, Vec<String>) {
    let aws = Scripted::new(script);
    let caller = || aws.caller(Endpoints::default());
    let survey = Survey::over(
        caller(),
        with_revoker.then(caller),
        Some("writ-test".to_owned()),
    );
    let (clock, _) = Clock::manual(now());
    let scope = scope();
    let facts = survey.facts(&[&scope], &clock).await;
    let asked = aws.asked().into_iter().map(|it| told(&it.body)).collect();
    (facts, asked)
}

/// A body without its version, and with each id that was made up as `ID`.
fn told(body: &str) -> String {
    let mut text = body
        .replace("&Version=2011-06-15", "")
        .replace("&Version=2010-05-08", "");
    // The first ten characters of an id are its moment.
    let id = RequestId::new(now(), [0; 10]);
    while let Some(place) = text.find(&id.as_str()[..10]) {
        text.replace_range(place..place + RequestId::LEN, "ID");
    }
    text
}

fn only(facts: &Facts) -> &ScopeFacts {
    assert_eq!(facts.scopes.len(), 1);
    &facts.scopes[0]
}

const TRIAL_POLICY: &str = "Policy=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A\
     %22Deny%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";

#[tokio::test]
async fn everything_is_asked_once_and_each_trial_is_denied_everything() {
    let (facts, asked) = surveyed(
        vec![
            issuer(),
            who("arn:aws:iam::123456789012:user/writ-revoker", "AIDAREVOKER"),
            role(),
            simulated(&[
                ("iam:PutRolePolicy", "allowed"),
                ("iam:DeleteRolePolicy", "implicitDeny"),
                ("iam:AttachRolePolicy", "explicitDeny"),
            ]),
            names(&["own", "writ-revoked"]),
            inline("own"),
            inline("writ-revoked"),
            attached(),
            denied(),
            denied(),
            simulated(&[("iam:PutRolePolicy", "allowed")]),
            session(),
        ],
        true,
    )
    .await;
    let trial = format!(
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fjit-payments-deploy&RoleSessionName=writ-ID&{TRIAL_POLICY}"
    );
    let as_the_broker = format!(
        "Action=AssumeRole&{trial}&DurationSeconds=900&Tags.member.1.Key=writ%3Agrant&Tags.member.1.Value=ID\
         &Tags.member.2.Key=writ%3Ascope&Tags.member.2.Value=payments-deploy&TransitiveTagKeys.member.1=writ%3Agrant\
         &ExternalId=writ-test&SourceIdentity=writ-doctor"
    );
    let simulate = |who: &str, actions: &[&str]| {
        let mut text = format!(
            "Action=SimulatePrincipalPolicy&PolicySourceArn=arn%3Aaws%3Aiam%3A%3A123456789012%3A{who}"
        );
        for (place, action) in actions.iter().enumerate() {
            text.push_str(&format!("&ActionNames.member.{}=iam%3A{action}", place + 1));
        }
        text + "&ResourceArns.member.1=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fjit-payments-deploy"
    };
    let name = "RoleName=jit-payments-deploy";
    assert_eq!(
        asked,
        [
            "Action=GetCallerIdentity".to_owned(),
            "Action=GetCallerIdentity".to_owned(),
            format!("Action=GetRole&{name}"),
            simulate(
                "role%2Fjit-payments-deploy",
                &[
                    "AttachRolePolicy",
                    "DeleteRolePermissionsBoundary",
                    "DeleteRolePolicy",
                    "PutRolePermissionsBoundary",
                    "PutRolePolicy",
                    "UpdateAssumeRolePolicy",
                ]
            ),
            format!("Action=ListRolePolicies&{name}"),
            format!("Action=GetRolePolicy&{name}&PolicyName=own"),
            format!("Action=GetRolePolicy&{name}&PolicyName=writ-revoked"),
            format!("Action=ListAttachedRolePolicies&{name}"),
            format!("Action=AssumeRole&{trial}&DurationSeconds=900&ExternalId=writ-test"),
            as_the_broker.clone(),
            simulate(
                "user%2Fwrit-revoker",
                &[
                    "DeleteRolePolicy",
                    "GetRole",
                    "GetRolePolicy",
                    "PutRolePolicy",
                    "SimulatePrincipalPolicy",
                ]
            ),
            as_the_broker,
        ]
    );

    let identity = facts.broker.issuer.as_ref().unwrap();
    assert_eq!(identity.arn, "arn:aws:iam::123456789012:user/writ-issuer");
    assert_eq!(identity.account, "123456789012");
    assert!(!identity.temporary);
    assert_eq!(
        facts.broker.time,
        Some(Time {
            aws: "2026-11-21T09:00:02Z".parse().unwrap(),
            asked_at: now(),
            answered_at: now(),
        })
    );
    let seen = only(&facts);
    let Ok(Found::Here(role)) = &seen.role else {
        panic!("{:?}", seen.role);
    };
    assert_eq!((role.arn.as_str(), role.max_session_s), (ROLE, 7_200));
    assert_eq!(role.trust, r#"{"Statement":[]}"#);
    assert_eq!(
        role.boundary.as_deref(),
        Some("arn:aws:iam::123456789012:policy/b")
    );
    let policy = |name: &str| (name.to_owned(), format!("{{\"is\":\"{name}\"}}"));
    assert_eq!(
        role.inline,
        Ok(BTreeMap::from([policy("own"), policy("writ-revoked")]))
    );
    assert_eq!(role.attached.as_ref().unwrap()[0].name, "p");
    assert_eq!(
        role.edits_itself,
        Ok(BTreeSet::from(["iam:PutRolePolicy".to_owned()]))
    );
    assert_eq!(seen.rehearsal, Ok(()));
    assert_eq!(
        seen.revoker_assumes
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap_err()
            .code,
        "AccessDenied"
    );
    assert_eq!(
        seen.revoker_may,
        Some(Ok(BTreeSet::from(["iam:PutRolePolicy".to_owned()])))
    );
}

#[tokio::test]
async fn a_revoker_that_gets_a_session_in_either_way_can_assume_the_role() {
    let before = |trials: Vec<Answer>| {
        let mut script = vec![
            issuer(),
            who("arn:aws:iam::123456789012:user/writ-revoker", "AIDAREVOKER"),
            error(404, "NoSuchEntity"),
        ];
        script.extend(trials);
        script.extend([simulated(&[]), session()]);
        script
    };
    for trials in [vec![session()], vec![denied(), session()]] {
        let (facts, _) = surveyed(before(trials), true).await;
        assert_eq!(only(&facts).role, Ok(Found::Missing));
        assert_eq!(only(&facts).revoker_assumes, Some(Ok(())));
    }
}

#[tokio::test]
async fn what_is_refused_is_told_by_call_and_code_and_policies_stand_in_for_a_simulation() {
    let managed = result(
        "GetPolicy",
        "<Policy><PolicyName>p</PolicyName><DefaultVersionId>v3</DefaultVersionId></Policy>",
    );
    let version = result(
        "GetPolicyVersion",
        "<PolicyVersion><Document>%7B%7D</Document><VersionId>v3</VersionId></PolicyVersion>",
    );
    let (facts, asked) = surveyed(
        vec![
            issuer(),
            role(),
            denied(),
            denied(),
            attached(),
            managed,
            version,
            error(400, "PackedPolicyTooLarge"),
        ],
        false,
    )
    .await;
    let seen = only(&facts);
    let Ok(Found::Here(role)) = &seen.role else {
        panic!("{:?}", seen.role);
    };
    let why = role.edits_itself.as_ref().unwrap_err();
    assert_eq!(
        (why.call, why.code.as_str(), why.refused),
        ("iam:SimulatePrincipalPolicy", "AccessDenied", true)
    );
    assert_eq!(
        role.inline.as_ref().unwrap_err().call,
        "iam:ListRolePolicies"
    );
    let attached = role.attached.as_ref().unwrap();
    assert_eq!(attached[0].document.as_deref(), Some("{}"));
    assert!(asked[6].ends_with("VersionId=v3"), "{}", asked[6]);
    assert_eq!(
        seen.rehearsal.as_ref().unwrap_err().code,
        "PackedPolicyTooLarge"
    );
    assert_eq!((&seen.revoker_assumes, &seen.revoker_may), (&None, &None));

    // A role of the name in another account is not looked at further.
    let other = "arn:aws:iam::999999999999:role/jit-payments-deploy";
    let Answer::Says(_, body) = self::role() else {
        panic!("it says something");
    };
    let elsewhere = Answer::Says(200, body.replace(ROLE, other));
    let (facts, asked) = surveyed(vec![denied(), elsewhere, session()], false).await;
    assert_eq!(only(&facts).role, Ok(Found::Elsewhere(other.to_owned())));
    assert_eq!(asked.len(), 3);
    assert_eq!(facts.broker.issuer.unwrap_err().code, "AccessDenied");
    assert_eq!(facts.broker.time, None);
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_neither_a_refusal_nor_a_fact() {
    for nobody in ["", "<Role></Role>"] {
        let nobody = result("GetRole", nobody);
        let (facts, _) = surveyed(vec![issuer(), nobody, session()], false).await;
        let why = only(&facts).role.as_ref().unwrap_err();
        assert_eq!((why.code.as_str(), why.refused), ("NoAnswer", false));
    }
    // A session may have been given.
    let garbled = Answer::Says(200, "<AssumeRoleResponse>".to_owned());
    let missing = error(404, "NoSuchEntity");
    let (facts, _) = surveyed(vec![issuer(), missing, garbled], false).await;
    let why = only(&facts).rehearsal.as_ref().unwrap_err();
    assert_eq!((why.code.as_str(), why.refused), ("NoAnswer", false));
}
