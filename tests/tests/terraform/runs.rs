//! Runs that go well: asked for at plan, approved, used at apply, given back.

use writ_tests::ministack::{BUCKET, MiniStack};
use writ_tests::terraform::{Terraform, terraform_is_there, until};
use writ_tests::{World, approve};

use crate::{call, name, on_call, requests, standing};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_once_waits_for_a_person_uses_what_it_got_and_gives_it_back() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let used = call(&world.sandbox.endpoint_url(), "rds", "DescribeDBInstances");
    let text = on_call("duration = \"30m\"", &used);
    let terraform = Terraform::new(&world, &world.token_of("mia"), &text).await;

    // Nothing is asked for while it is only checked.
    terraform.run(&["validate", "-no-color"]).await.ok();
    assert_eq!(requests(&world).await, []);

    let planning = terraform.start(&["plan", "-no-color", "-input=false", "-out=tfplan"]);
    let pending = standing(&world, "INC-42", "pending").await;
    approve(&world.as_person("pat").await, &pending.id)
        .await
        .expect("the manager may");
    planning.end().await.ok();
    // What was approved at plan stands until the apply comes, and the apply asks nobody.
    let kept = standing(&world, "INC-42", "active").await;
    assert!(kept.kept_until.is_some(), "{kept:?}");
    terraform.apply().await.ok();
    let done = standing(&world, "INC-42", "released").await;
    assert_eq!(done.id, pending.id);
    assert_eq!(world.sandbox.calls().len(), 2, "one session for each walk");
    let chapters = world.chapters(&done.id).await;
    let (kept, told): (Vec<_>, Vec<_>) = chapters.iter().partition(|it| *it == "kept");
    assert_eq!(
        told,
        [
            "requested",
            "approved",
            "issue_intended",
            "issued",
            "issue_intended",
            "issued",
            "released"
        ]
    );
    // Kept for a while when the plan was done, and again only as long as it is heard of once the apply took it up; that word
    // and the apply's credentials are asked for side by side.
    assert_eq!(chapters[4], "kept", "{chapters:?}");
    assert!((1..=2).contains(&kept.len()), "{chapters:?}");

    // The next run is another one, and asks anew, with the same words; so does the one that destroys. The apply of that one
    // has no use for credentials here, so only its plan took them up, and they stay for an apply until `linger` is over.
    let again = &[
        "apply",
        "-no-color",
        "-auto-approve",
        "-replace=terraform_data.use",
    ][..];
    let destroy = &["destroy", "-no-color", "-auto-approve"][..];
    for (arguments, left) in [(again, "released"), (destroy, "active")] {
        let running = terraform.start(arguments);
        let asked = until("another request", async || {
            let all = requests(&world).await;
            all.into_iter().find(|request| name(request) == "pending")
        })
        .await;
        approve(&world.as_person("pat").await, &asked.id)
            .await
            .expect("the manager may");
        running.end().await.ok();
        let all = requests(&world).await;
        assert_eq!(
            (all[0].id.as_str(), name(&all[0])),
            (asked.id.as_str(), left)
        );
        assert_eq!(all[0].kept_until.is_some(), left == "active", "{all:?}");
    }
    assert_eq!(requests(&world).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_works_in_the_run_at_an_sts_of_other_peoples_making() {
    if !terraform_is_there() {
        return;
    }
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let world = stack.world().await;
    let text = |method: &str| {
        format!(
            r#"
provider "writ" {{}}

ephemeral "writ_aws_credentials" "deploy" {{
  scope    = "payments-deploy"
  duration = "15m"
  reason   = "release 7"
  applying = terraform.applying
}}

resource "terraform_data" "use" {{
  provisioner "local-exec" {{
    command = <<-EOT
      curl --fail-with-body -s -X {method} --aws-sigv4 aws:amz:eu-west-1:s3 \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" \
        -o '${{path.module}}/answer.xml' {url}/{BUCKET}
    EOT
    environment = {{
      AWS_ACCESS_KEY_ID     = ephemeral.writ_aws_credentials.deploy.access_key
      AWS_SECRET_ACCESS_KEY = ephemeral.writ_aws_credentials.deploy.secret_key
      AWS_SESSION_TOKEN     = ephemeral.writ_aws_credentials.deploy.token
    }}
  }}
}}
"#,
            url = stack.url()
        )
    };
    // The job's own token says that it runs on `main`, so nobody has to agree.
    let terraform = Terraform::new(&world, &world.ci_token("main"), &text("GET")).await;
    terraform.plan().await.ok();
    terraform.apply().await.ok();
    let answer = std::fs::read_to_string(terraform.code().join("answer.xml")).unwrap();
    assert!(answer.contains("<Key>q3</Key>"), "{answer}");
    assert_eq!(name(&requests(&world).await[0]), "released");

    // What the scope does not name is refused in the run as anywhere, and the run says so.
    terraform.write(&text("DELETE"));
    let refused = terraform
        .run(&[
            "apply",
            "-no-color",
            "-auto-approve",
            "-replace=terraform_data.use",
        ])
        .await;
    refused.failed_with("local-exec provisioner error");
    let answer = std::fs::read_to_string(terraform.code().join("answer.xml")).unwrap();
    assert!(answer.contains("AccessDenied"), "{answer}");
    assert_eq!(name(&requests(&world).await[0]), "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_at_once_are_five_requests_or_one_as_their_reasons_say() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let text = |reason: &str| {
        format!(
            r#"
provider "writ" {{}}

ephemeral "writ_aws_credentials" "many" {{
  count    = 5
  scope    = "prod-db-read"
  duration = "10m"
  reason   = {reason}
  applying = terraform.applying
}}

resource "terraform_data" "use" {{
  count = 5
  provisioner "local-exec" {{
    command     = "test -n \"$AWS_SESSION_TOKEN\""
    environment = {{ AWS_SESSION_TOKEN = ephemeral.writ_aws_credentials.many[count.index].token }}
  }}
}}
"#
        )
    };
    for (reason, expected) in [("\"part ${count.index}\"", 5), ("\"one change\"", 1)] {
        let before = requests(&world).await.len();
        let terraform = Terraform::new(&world, &world.token_of("sam"), &text(reason)).await;
        terraform.plan().await.ok();
        terraform.apply().await.ok();
        let all = requests(&world).await;
        assert_eq!(all.len() - before, expected, "{reason}");
        assert!(
            all.iter().all(|request| name(request) == "released"),
            "{all:?}"
        );
    }
}
