//! The revoker's calls, byte for byte, and its errors.

use writ_engine::Moment;
use writ_engine::request::RequestId;
use writ_engine::scope::RoleArn;

use super::scripted::{Answer, Scripted, error, result};
use crate::aws::Endpoints;
use crate::aws::revoker::{RevokeError, Revoker};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit/payments-deploy";

fn role() -> RoleArn {
    RoleArn::new(ROLE).unwrap()
}

fn grant() -> RequestId {
    RequestId::new(Moment::from_ms(1_760_000_000_000).unwrap(), [7; 10])
}

fn found(arn: &str) -> Answer {
    result(
        "GetRole",
        &format!(
            "<Role><Path>/jit/</Path><RoleName>payments-deploy</RoleName><RoleId>AROA1</RoleId><Arn>{arn}</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>"
        ),
    )
}

fn here() -> Answer {
    found(role().as_str())
}

fn done(call: &str) -> Answer {
    Answer::Says(
        200,
        format!(
            "<{call}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"></{call}Response>"
        ),
    )
}

fn policy(document: &str) -> Answer {
    result(
        "GetRolePolicy",
        &format!(
            "<RoleName>payments-deploy</RoleName><PolicyName>writ-revoked</PolicyName>\
             <PolicyDocument>{document}</PolicyDocument>"
        ),
    )
}

fn simulated(decision: &str) -> Answer {
    simulation(&format!(
        "<member><EvalActionName>sts:GetCallerIdentity</EvalActionName><EvalResourceName>*</EvalResourceName>\
         <EvalDecision>{decision}</EvalDecision></member>"
    ))
}

fn simulation(results: &str) -> Answer {
    result(
        "SimulatePrincipalPolicy",
        &format!(
            "<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        ),
    )
}

fn revoker(script: impl IntoIterator<Item = Answer>) -> (Revoker, Scripted) {
    let aws = Scripted::new(script);
    (Revoker::over(aws.caller(Endpoints::default())), aws)
}

/// The bodies of the requests, in order.
fn bodies(aws: &Scripted) -> Vec<String> {
    aws.asked().into_iter().map(|it| it.body).collect()
}

const GET_ROLE: &str = "Action=GetRole&Version=2010-05-08&RoleName=payments-deploy";

#[tokio::test]
async fn a_write_puts_the_whole_document_under_one_name() {
    let (revoker, aws) = revoker([here(), done("PutRolePolicy")]);
    let document = r#"{"Version":"2012-10-17","Statement":[]}"#;
    assert_eq!(revoker.write(&role(), document).await, Ok(()));
    assert_eq!(
        bodies(&aws),
        [
            GET_ROLE,
            "Action=PutRolePolicy&Version=2010-05-08&RoleName=payments-deploy&PolicyName=writ-revoked\
             &PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D",
        ]
    );
}

#[tokio::test]
async fn to_remove_what_is_not_there_is_to_have_removed_it() {
    for answer in [done("DeleteRolePolicy"), error(404, "NoSuchEntity")] {
        let (revoker, aws) = revoker([here(), answer]);
        assert_eq!(revoker.remove(&role()).await, Ok(()));
        assert_eq!(
            bodies(&aws),
            [
                GET_ROLE,
                "Action=DeleteRolePolicy&Version=2010-05-08&RoleName=payments-deploy&PolicyName=writ-revoked",
            ]
        );
    }
}

#[tokio::test]
async fn what_is_read_is_what_was_written() {
    let encoded = "%7B%22Version%22%3A%20%222012-10-17%22%2C%22x%22%3A%22a+b%20%C3%A9%22%7D";
    let (one, aws) = revoker([here(), policy(encoded)]);
    assert_eq!(
        one.read(&role()).await,
        Ok(Some(r#"{"Version": "2012-10-17","x":"a+b é"}"#.to_owned()))
    );
    assert_eq!(
        bodies(&aws)[1],
        "Action=GetRolePolicy&Version=2010-05-08&RoleName=payments-deploy&PolicyName=writ-revoked"
    );

    let (none, _) = revoker([here(), error(404, "NoSuchEntity")]);
    assert_eq!(none.read(&role()).await, Ok(None));

    let (broken, _) = revoker([here(), policy("%FF")]);
    let refused = RevokeError::Refused("BadDocument".to_owned());
    assert_eq!(broken.read(&role()).await, Err(refused));
}

#[tokio::test]
async fn a_grant_is_denied_when_iam_says_so_in_so_many_words() {
    for (decision, denied) in [
        ("explicitDeny", true),
        ("implicitDeny", false),
        ("allowed", false),
    ] {
        let (revoker, aws) = revoker([simulated(decision)]);
        assert_eq!(revoker.denies(&role(), &grant()).await, Ok(denied));
        assert_eq!(
            bodies(&aws),
            [format!(
                "Action=SimulatePrincipalPolicy&Version=2010-05-08\
                 &PolicySourceArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fjit%2Fpayments-deploy\
                 &ActionNames.member.1=sts%3AGetCallerIdentity\
                 &ContextEntries.member.1.ContextKeyName=aws%3APrincipalTag%2Fwrit%3Agrant\
                 &ContextEntries.member.1.ContextKeyValues.member.1={}\
                 &ContextEntries.member.1.ContextKeyType=string",
                grant()
            )]
        );
    }
    // An answer without a result is no proof.
    let (silent, _) = revoker([simulation("")]);
    assert_eq!(silent.denies(&role(), &grant()).await, Ok(false));
}

#[tokio::test]
async fn denials_by_age_are_seen_too() {
    let (revoker, aws) = revoker([simulated("explicitDeny")]);
    let issued_at: Moment = "2026-11-21T18:00:00.900Z".parse().unwrap();
    assert_eq!(revoker.denies_issued_at(&role(), issued_at).await, Ok(true));
    assert!(
        bodies(&aws)[0].ends_with(
            "&ContextEntries.member.1.ContextKeyName=aws%3ATokenIssueTime\
             &ContextEntries.member.1.ContextKeyValues.member.1=2026-11-21T18%3A00%3A00Z\
             &ContextEntries.member.1.ContextKeyType=date"
        ),
        "{:?}",
        bodies(&aws)
    );
}

#[tokio::test]
async fn a_role_of_the_same_name_elsewhere_is_never_touched() {
    for other in [
        "arn:aws:iam::999999999999:role/jit/payments-deploy",
        "arn:aws:iam::123456789012:role/payments-deploy",
    ] {
        let (revoker, aws) = revoker([found(other), found(other), found(other)]);
        let no = Err(RevokeError::NoSuchRole);
        assert_eq!(revoker.write(&role(), "{}").await, no);
        assert_eq!(revoker.remove(&role()).await, no);
        assert_eq!(revoker.read(&role()).await, Err(RevokeError::NoSuchRole));
        assert_eq!(bodies(&aws), [GET_ROLE, GET_ROLE, GET_ROLE]);
    }
}

#[tokio::test]
async fn each_answer_of_iam_has_its_error_and_no_body_is_in_any() {
    let refused = |code: &str| RevokeError::Refused(code.to_owned());
    let again = |code: &str| RevokeError::TryAgain(code.to_owned());
    let table = [
        (error(409, "LimitExceeded"), RevokeError::LimitExceeded),
        (error(404, "NoSuchEntity"), RevokeError::NoSuchRole),
        (error(403, "AccessDenied"), refused("AccessDenied")),
        (
            error(400, "MalformedPolicyDocument"),
            refused("MalformedPolicyDocument"),
        ),
        (
            error(400, "UnmodifiableEntity"),
            refused("UnmodifiableEntity"),
        ),
        (error(403, "ExpiredToken"), refused("ExpiredToken")),
        (error(400, "Throttling"), again("Throttling")),
        (
            error(409, "ConcurrentModification"),
            again("ConcurrentModification"),
        ),
        (error(500, "ServiceFailure"), again("ServiceFailure")),
        (
            Answer::Says(503, "canary of a body".to_owned()),
            again("UnknownError"),
        ),
        (Answer::Nothing, again("NoAnswer")),
    ];
    for (answer, expected) in table {
        let (one, aws) = revoker([here(), answer.clone()]);
        assert_eq!(one.write(&role(), "{}").await, Err(expected.clone()));
        // Nothing is repeated behind the caller's back.
        assert_eq!(aws.asked().len(), 2);
        assert!(!format!("{expected:?}").contains("canary"));
        // The look at the role, and the simulation, may fail in the same ways.
        if expected != RevokeError::LimitExceeded {
            let (one, _) = revoker([answer.clone()]);
            assert_eq!(one.write(&role(), "{}").await, Err(expected.clone()));
            let (one, _) = revoker([answer]);
            assert_eq!(one.denies(&role(), &grant()).await, Err(expected));
        }
    }
}

#[tokio::test]
async fn each_partition_has_its_own_iam_and_a_sandbox_stands_in_for_all() {
    let table = [
        ("aws", "https://iam.amazonaws.com/", "us-east-1/iam"),
        (
            "aws-cn",
            "https://iam.cn-north-1.amazonaws.com.cn/",
            "cn-north-1/iam",
        ),
        (
            "aws-us-gov",
            "https://iam.us-gov.amazonaws.com/",
            "us-gov-west-1/iam",
        ),
    ];
    for (partition, url, signed_for) in table {
        let arn = format!("arn:{partition}:iam::123456789012:role/jit");
        let role = RoleArn::new(&arn).unwrap();
        let (revoker, aws) = revoker([found(&arn), done("PutRolePolicy")]);
        assert_eq!(revoker.write(&role, "{}").await, Ok(()));
        for asked in aws.asked() {
            assert_eq!(
                (asked.url.as_str(), asked.signed_for.as_str()),
                (url, signed_for)
            );
        }

        let aws = Scripted::new([found(&arn), done("PutRolePolicy")]);
        let revoker = Revoker::over(aws.caller(Endpoints {
            sts: None,
            iam: Some("http://127.0.0.1:4577".to_owned()),
        }));
        assert_eq!(revoker.write(&role, "{}").await, Ok(()));
        assert_eq!(aws.asked()[1].url, "http://127.0.0.1:4577/");
    }
}
