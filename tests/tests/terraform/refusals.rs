//! What a person reads in Terraform when a run cannot go on, whole, in golden files. `WRIT_BLESS=1` writes them anew; read
//! them before you commit them.

use std::path::Path;

use writ_tests::World;
use writ_tests::terraform::{Said, Terraform, terraform_is_there};

use crate::{on_call, requests};

/// Compares what was said on standard error, without what differs from run to run, to a golden file.
#[track_caller]
fn is(name: &str, said: &Said, differing: &[(&str, &str)]) {
    let mut text = said.err.trim().to_owned();
    for (from, to) in differing {
        text = text.replace(from, to);
    }
    text = format!("exit code {}\n\n{text}\n", said.code);
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/terraform/golden/{name}.txt"));
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&file, &text).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, golden, "{name}: WRIT_BLESS=1 takes the new text");
}

const PLAN: [&str; 3] = ["plan", "-no-color", "-input=false"];
const VALIDATE: [&str; 2] = ["validate", "-no-color"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_null_or_of_the_wrong_type_is_told_at_its_attribute() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let sound = on_call("duration = \"30m\"", "true");
    let terraform = Terraform::new(&world, &world.token_of("sam"), &sound).await;
    let unknown = "resource \"terraform_data\" \"later\" { input = \"30m\" }\n";
    let duration =
        |value: &str| sound.replace("duration = \"30m\"", &format!("duration = {value}"));

    // What is not known yet is no mistake: `validate` passes, and so does the plan, which leaves the opening to the apply.
    terraform.write(&(duration("terraform_data.later.output") + unknown));
    terraform.run(&VALIDATE).await.ok();
    terraform.run(&PLAN).await.ok();
    terraform
        .run(&["apply", "-no-color", "-auto-approve"])
        .await
        .ok();
    let asked = requests(&world).await;
    assert_eq!(asked.len(), 1, "{asked:?}");

    let late = "provider \"writ\" {\n  address = terraform_data.later.output\n}\n";
    terraform.write(&(sound.replace("provider \"writ\" {}", late) + unknown));
    terraform.run(&VALIDATE).await.ok();
    is(
        "address-not-known-yet",
        &terraform
            .run(&[
                "plan",
                "-no-color",
                "-input=false",
                "-replace=terraform_data.later",
            ])
            .await,
        &[],
    );
    for (name, value) in [
        ("duration-null", "null"),
        ("duration-of-a-wrong-type", "[\"30m\"]"),
        ("duration-without-a-unit", "30"),
    ] {
        terraform.write(&duration(value));
        is(name, &terraform.run(&VALIDATE).await, &[]);
        is(name, &terraform.run(&PLAN).await, &[]);
    }
    let asked = requests(&world).await;
    assert_eq!(asked.len(), 1, "nothing was asked for: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_refuses_is_told_with_its_place_and_what_would_work() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let sound = on_call("duration = \"10m\"", "true");
    let terraform = Terraform::new(&world, &world.ci_token("try"), &sound).await;
    let scope = |scope: &str| sound.replace("\"prod-db-read\"", &format!("\"{scope}\""));

    terraform.write(&scope("payments-deploy"));
    is("another-branch", &terraform.run(&PLAN).await, &[]);
    terraform.write(&scope("prod-db-raed"));
    is("no-such-scope", &terraform.run(&PLAN).await, &[]);
    assert_eq!(requests(&world).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_be_reached_or_trusted_or_refuses_the_token_is_named() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start_with_tls().await;
    let sound = on_call("duration = \"10m\"", "true");
    let mut terraform = Terraform::new(&world, &world.token_of("sam"), &sound).await;
    let port = world.address_text().rsplit(':').next().unwrap().to_owned();
    let differing = [(port.as_str(), "PORT")];

    is("wrong-ca", &terraform.run(&PLAN).await, &differing);
    let ca = world.ca().unwrap().display().to_string();
    terraform.set("WRIT_CA_CERT_FILE", &ca);
    terraform.plan().await.ok();
    terraform.apply().await.ok();

    world.people.clock().advance_s(-7_200);
    let old = world.token_of("sam");
    world.people.clock().advance_s(7_200);
    terraform.set("WRIT_TOKEN_FILE", "");
    terraform.set("WRIT_TOKEN", &old);
    let said = terraform.run(&PLAN).await;
    let ended = said.err.split("ended at ").nth(1).unwrap_or_default();
    let ended: String = ended.chars().take_while(|c| !c.is_whitespace()).collect();
    is(
        "expired-token",
        &said,
        &[differing[0], (ended.trim_end_matches(';'), "TIME")],
    );

    terraform.set("WRIT_ADDR", "http://127.0.0.1:1");
    is("unreachable", &terraform.run(&PLAN).await, &[]);
}
