//! Workloads: which GitHub Actions job is the directory's, and which only looks like it.

use super::*;
use Refusal::{Stranger, Untimely, Untrusted};

#[tokio::test]
async fn a_job_of_the_repository_is_its_workload_with_its_claims() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.github_config()]);
    let token = issuer
        .job()
        .claim("environment", json!("production"))
        .sign();
    let identity = at(&verifier, &token, noon()).await.unwrap();
    assert_eq!(identity.principal().id.to_string(), "Workload::\"deploy\"");
    assert_eq!(identity.expires_at(), noon().plus_s(300));
    let claims: Vec<(&str, &str)> = identity
        .principal()
        .claims
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        claims,
        [
            ("environment", "production"),
            ("event_name", "push"),
            (
                "job_workflow_ref",
                "acme/payments/.github/workflows/deploy.yml@refs/heads/main"
            ),
            ("ref", "refs/heads/main"),
            ("repository", "acme/payments"),
            ("repository_id", "4201"),
            ("repository_owner_id", "77"),
            ("run_id", "9001"),
        ]
    );
    let without = at(&verifier, &issuer.job().sign(), noon()).await.unwrap();
    assert!(!without.principal().claims.contains_key("environment"));
}

#[tokio::test]
async fn a_job_that_only_looks_like_ours_is_refused() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.github_config()]);
    let unknown = || Stranger("not a workload of the directory");
    let pinned = || Stranger("a pinned claim is another");
    let pull = || Stranger("a job of a pull request");
    let plain = || Stranger("a claim that is not in its plain form");
    let missing = || Stranger("a claim is missing");
    let wrong = || Stranger("a claim is not a text");
    let rows: Vec<(&str, &str, Value, Refusal)> = vec![
        ("a fork", "repository_id", json!("4202"), unknown()),
        (
            "a recycled name",
            "repository_id",
            json!("9999999"),
            unknown(),
        ),
        (
            "another owner after a transfer",
            "repository_owner_id",
            json!("78"),
            pinned(),
        ),
        (
            "a person's identity",
            "repository_id",
            json!("4299"),
            unknown(),
        ),
        (
            "a pull request",
            "event_name",
            json!("pull_request"),
            pull(),
        ),
        (
            "a pull request with the target's rights",
            "event_name",
            json!("pull_request_target"),
            pull(),
        ),
        (
            "a review",
            "event_name",
            json!("pull_request_review"),
            pull(),
        ),
        (
            "an id with a zero before",
            "repository_id",
            json!("04201"),
            plain(),
        ),
        (
            "an id with a sign",
            "repository_id",
            json!("+4201"),
            plain(),
        ),
        (
            "an id with a space",
            "repository_id",
            json!(" 4201"),
            plain(),
        ),
        (
            "an id in other digits",
            "repository_id",
            json!("４２０１"),
            plain(),
        ),
        ("an id in hex", "repository_id", json!("0x1069"), plain()),
        ("no id", "repository_id", json!(""), plain()),
        (
            "an id of many digits",
            "repository_id",
            json!("1".repeat(21)),
            plain(),
        ),
        (
            "an id that is a number",
            "repository_id",
            json!(4201),
            wrong(),
        ),
        ("an id in a list", "repository_id", json!(["4201"]), wrong()),
        (
            "an id that is missing",
            "repository_id",
            Value::Null,
            missing(),
        ),
        (
            "an owner that is missing",
            "repository_owner_id",
            Value::Null,
            missing(),
        ),
        ("a ref that is missing", "ref", Value::Null, missing()),
        (
            "a ref that is a list",
            "ref",
            json!(["refs/heads/main"]),
            wrong(),
        ),
        (
            "a ref with a line",
            "ref",
            json!("refs/heads/main\n"),
            plain(),
        ),
        (
            "a ref with a lookalike",
            "ref",
            json!("refs/heads/mаin"),
            plain(),
        ),
        (
            "a ref with a direction mark",
            "ref",
            json!("refs/heads/main\u{202e}"),
            plain(),
        ),
        ("a ref of nothing", "ref", json!(""), plain()),
        ("a long ref", "ref", json!("r".repeat(256)), plain()),
        (
            "an environment that is a list",
            "environment",
            json!(["production"]),
            wrong(),
        ),
        (
            "an environment that is true",
            "environment",
            json!(true),
            wrong(),
        ),
        (
            "an environment of nothing",
            "environment",
            json!(""),
            plain(),
        ),
        (
            "an event that is missing",
            "event_name",
            Value::Null,
            missing(),
        ),
        (
            "a workflow that is missing",
            "job_workflow_ref",
            Value::Null,
            missing(),
        ),
        ("a run that is missing", "run_id", Value::Null, missing()),
        ("a run that is a number", "run_id", json!(9_001), wrong()),
        (
            "a repository that is missing",
            "repository",
            Value::Null,
            missing(),
        ),
        (
            "a token that lives too long",
            "exp",
            json!(noon_s() + 3_601),
            Untimely("lives longer than we allow"),
        ),
        (
            "another audience",
            "aud",
            json!("https://github.com/acme"),
            Untrusted("another audience"),
        ),
    ];
    for (what, claim, value, refusal) in rows {
        let token = issuer.job().claim(claim, value).sign();
        assert_eq!(
            at(&verifier, &token, noon()).await.unwrap_err(),
            refusal,
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_a_policy_decides_is_passed_on_to_the_letter() {
    // Another branch or tag is still this workload: the policy sees the claim and decides.
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.github_config()]);
    for git_ref in [
        "refs/heads/main-x",
        "refs/heads/x/refs/tags/v1",
        "refs/tags/v1",
        "refs/heads/Main",
    ] {
        let token = issuer.job().claim("ref", json!(git_ref)).sign();
        let identity = at(&verifier, &token, noon()).await.unwrap();
        assert_eq!(identity.principal().claims["ref"], git_ref);
    }
    // A renamed repository keeps its id.
    let token = issuer.job().claim("repository", json!("acme/pay")).sign();
    assert!(at(&verifier, &token, noon()).await.is_ok());
}

#[tokio::test]
async fn the_text_of_the_subject_is_not_what_a_job_is_known_by() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier([issuer.github_config()]);
    let token = issuer
        .job()
        .claim("repository_id", json!("5000"))
        .claim("sub", json!("repo:acme/payments:ref:refs/heads/main"));
    assert_eq!(
        at(&verifier, &token.sign(), noon()).await.unwrap_err(),
        Stranger("not a workload of the directory")
    );
    let odd = issuer
        .job()
        .claim("sub", json!("custom:by:the:organisation"));
    assert!(at(&verifier, &odd.sign(), noon()).await.is_ok());
}
