//! `examples/terraform` runs as its own README says, `terraform test` included.

use std::process::{Command, Stdio};

use writ_tests::terraform::terraform_is_there;
use writ_tests::{built, in_order, root, writ};

#[test]
fn the_example_plans_with_one_scope_waits_for_two_people_and_applies_with_another() {
    if !terraform_is_there() {
        return;
    }
    let run = Command::new(root().join("examples/terraform/run"))
        .env("WRIT", writ())
        .env("PROVIDER", built("terraform-provider-writ"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let story = [
        "Success! 3 passed, 0 failed.",
        "Saved the plan to: tfplan",
        "pat$ writ approve",
        "zoe$ writ approve",
        "Apply complete! Resources: 1 added",
        "sam asks for prod-db-read for 30m",
        "sam asks for prod-admin for 30m",
        "pat as manager and owner",
        "zoe as security",
        "released",
    ];
    in_order(&said, &story);
}
