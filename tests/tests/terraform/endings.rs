//! The table of endings: whatever becomes of a run, its window is given back, or was never opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use writ_api::v1;
use writ_tests::terraform::{Running, Terraform, kill, terraform_is_there, until};
use writ_tests::{World, approve};

use crate::{on_call, standing};

const APPLY: [&str; 4] = ["apply", "-no-color", "-input=false", "-auto-approve"];

const PLAN: [&str; 3] = ["plan", "-no-color", "-input=false"];

/// What a command does that runs until it is broken off; `${path.module}/using` says that it began.
const USE: &str = "touch '${path.module}/using'; exec sleep 600";

/// What the broker withdraws or releases by itself is known by this.
async fn unheard(world: &World, id: &str) -> bool {
    let story = world.story(id).await;
    let (_, last) = story.last().expect("a story");
    last["unheard"] == true
}

/// The parts of a configuration that make one ending differ from another.
struct Case<'a> {
    world: &'a World,
    person: &'a str,
    settings: &'a str,
    used: &'a str,
}

impl Case<'_> {
    /// The configuration, and the same with another reason, which tells this case's request from others of one world.
    async fn terraform(&self, reason: &str) -> Terraform {
        let text = on_call(self.settings, self.used).replace("INC-42", reason);
        Terraform::new(self.world, &self.world.token_of(self.person), &text).await
    }
}

/// A run that waits for an approval that does not come.
async fn waiting(
    world: &World,
    command: &[&str],
    reason: &str,
) -> (Terraform, Running, v1::Request) {
    let case = Case {
        world,
        person: "mia",
        settings: "duration = \"30m\"",
        used: "true",
    };
    let terraform = case.terraform(reason).await;
    let run = terraform.start(command);
    let request = standing(world, reason, "pending").await;
    (terraform, run, request)
}

/// A run that is applying with an open window.
async fn applying(world: &World, reason: &str) -> (Terraform, Running, v1::Request) {
    let case = Case {
        world,
        person: "sam",
        settings: "duration = \"30m\"",
        used: USE,
    };
    let terraform = case.terraform(reason).await;
    let run = terraform.start(&APPLY);
    let begun = terraform.code().join("using");
    until("the provisioner to run", async || {
        begun.exists().then_some(())
    })
    .await;
    let request = standing(world, reason, "active").await;
    (terraform, run, request)
}

/// How a run is broken off.
#[derive(Debug, Clone, Copy)]
enum Blow {
    CtrlC,
    Sigterm,
    SigkillOfTerraform,
    SigkillOfTheProvider,
}

impl Blow {
    /// Strikes.
    fn strike(self, run: &Running) {
        match self {
            Blow::CtrlC => run.signal_all("INT"),
            Blow::Sigterm => run.signal("TERM"),
            Blow::SigkillOfTerraform => run.signal("KILL"),
            Blow::SigkillOfTheProvider => {
                let providers = run.providers();
                assert!(!providers.is_empty(), "no provider runs");
                for id in providers {
                    kill("KILL", &id.to_string());
                }
            }
        }
    }
}

/// One line of the table: the ending, what Terraform's run ends with, what becomes of the request, and who ended it.
struct Line {
    command: &'static [&'static str],
    blow: Blow,
    /// In Terraform's own words or the provider's; empty where Terraform was not left to say anything.
    says: &'static str,
    leaves: &'static str,
    /// Whether the broker ended it by itself, having heard nothing any more.
    unheard: bool,
}

const WAITING: [Line; 5] = [
    Line {
        command: &PLAN,
        blow: Blow::CtrlC,
        says: "stopped while `prod-db-read` was waited for",
        leaves: "withdrawn",
        unheard: false,
    },
    // While it plans, `apply` does not tell its providers of a signal. Ctrl-C reaches them by itself.
    Line {
        command: &APPLY,
        blow: Blow::CtrlC,
        says: "stopped while `prod-db-read` was waited for",
        leaves: "withdrawn",
        unheard: false,
    },
    Line {
        command: &PLAN,
        blow: Blow::Sigterm,
        says: "stopped while `prod-db-read` was waited for",
        leaves: "withdrawn",
        unheard: false,
    },
    Line {
        command: &APPLY,
        blow: Blow::SigkillOfTerraform,
        says: "",
        leaves: "withdrawn",
        unheard: false,
    },
    Line {
        command: &APPLY,
        blow: Blow::SigkillOfTheProvider,
        says: "Plugin did not respond",
        leaves: "withdrawn",
        unheard: true,
    },
];

const APPLYING: [Line; 4] = [
    Line {
        command: &APPLY,
        blow: Blow::CtrlC,
        says: "local-exec provisioner error",
        leaves: "released",
        unheard: false,
    },
    Line {
        command: &APPLY,
        blow: Blow::Sigterm,
        says: "local-exec provisioner error",
        leaves: "released",
        unheard: false,
    },
    Line {
        command: &APPLY,
        blow: Blow::SigkillOfTerraform,
        says: "",
        leaves: "released",
        unheard: false,
    },
    Line {
        command: &APPLY,
        blow: Blow::SigkillOfTheProvider,
        says: "",
        leaves: "released",
        unheard: true,
    },
];

async fn check(world: &World, line: &Line, reason: &str, run: Running, request: v1::Request) {
    let what = format!("{reason} {:?}", line.blow);
    line.blow.strike(&run);
    let ended = standing(world, reason, line.leaves).await;
    assert_eq!(ended.id, request.id, "{what}");
    assert_eq!(unheard(world, &ended.id).await, line.unheard, "{what}");
    if matches!(
        (line.blow, line.leaves),
        (Blow::SigkillOfTheProvider, "released")
    ) {
        // Terraform asks nothing of the provider while a command of its own runs, so it has not noticed.
        run.signal_all("INT");
    }
    let said = run.end().await;
    assert_ne!(said.code, 0, "{what}: {}", said.out);
    if !line.says.is_empty() {
        said.failed_with(line.says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_broken_off_takes_its_request_back_or_gives_its_window_back() {
    if !terraform_is_there() {
        return;
    }
    let world = Arc::new(World::start().await);
    // All at once: the last of each takes the broker 90 seconds.
    let mut lines = JoinSet::new();
    for (number, line) in WAITING.iter().enumerate() {
        let (world, command) = (world.clone(), line.command);
        lines.spawn(async move {
            let reason = format!("waiting {number}");
            let (_kept, run, request) = waiting(&world, command, &reason).await;
            check(&world, line, &reason, run, request).await;
        });
    }
    for (number, line) in APPLYING.iter().enumerate() {
        let world = world.clone();
        lines.spawn(async move {
            let reason = format!("applying {number}");
            let (_kept, run, request) = applying(&world, &reason).await;
            check(&world, line, &reason, run, request).await;
        });
    }
    lines.join_all().await;
}

/// A run by itself: what it ends with, and what is left of its request.
async fn ends(case: Case<'_>, says: &str, leaves: &str) {
    let terraform = case.terraform("INC-42").await;
    let said = terraform.run(&APPLY).await;
    match says {
        "" => drop(said.ok()),
        says => said.failed_with(says),
    }
    standing(case.world, "INC-42", leaves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_by_itself_gives_back_what_it_had() {
    if !terraform_is_there() {
        return;
    }
    let case = |world, person, settings, used| Case {
        world,
        person,
        settings,
        used,
    };
    let half_an_hour = "duration = \"30m\"";

    let world = &World::start().await;
    ends(case(world, "sam", half_an_hour, "true"), "", "released").await;

    let world = &World::start().await;
    let fails = "provisioner error";
    ends(case(world, "sam", half_an_hour, "false"), fails, "released").await;

    let world = &World::start().await;
    let impatient = "duration = \"30m\"\n wait_timeout = \"2s\"";
    let fails = "`prod-db-read` was not approved within 2s";
    ends(case(world, "mia", impatient, "true"), fails, "withdrawn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_request_is_denied_says_by_whom_and_why() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let (_kept, run, request) = waiting(&world, &APPLY, "INC-42").await;
    let denial = v1::DenyRequestRequest {
        id: request.id,
        reason: "use the replica".to_owned(),
    };
    let pat = world.as_person("pat").await;
    pat.requests().deny_request(denial).await.expect("she may");
    let said = run.end().await;
    said.failed_with("`prod-db-read` was denied");
    said.failed_with("pat said no: use the replica.");
    standing(&world, "INC-42", "denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_left_of_a_window_is_an_error_before_anything_is_done_with_it() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let case = Case {
        world: &world,
        person: "sam",
        settings: "duration = \"60s\"\n minimum_remaining = \"50s\"",
        used: "touch '${path.module}/using'",
    };
    let terraform = case.terraform("INC-42").await;
    terraform.plan().await.ok();
    // The person who was to look at the plan took their time.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let said = terraform.apply().await;
    said.failed_with("is left of the window for `prod-db-read`");
    assert!(!terraform.code().join("using").exists());
    standing(&world, "INC-42", "released").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_no_apply_follows_loses_its_window_by_itself() {
    if !terraform_is_there() {
        return;
    }
    let world = World::start().await;
    let case = Case {
        world: &world,
        person: "sam",
        settings: "duration = \"30m\"\n linger = \"30s\"",
        used: "true",
    };
    let terraform = case.terraform("INC-42").await;
    terraform.plan().await.ok();
    let left = standing(&world, "INC-42", "active").await;
    assert!(left.kept_until.is_some(), "{left:?}");
    let ended = standing(&world, "INC-42", "released").await;
    assert!(unheard(&world, &ended.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_is_waited_for_and_asked_nothing_twice() {
    if !terraform_is_there() {
        return;
    }
    let mut world = World::start().await;
    let (_kept, run, request) = waiting(&world, &APPLY, "INC-42").await;
    world.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.up().await;
    approve(&world.as_person("pat").await, &request.id)
        .await
        .expect("the manager may");
    run.end().await.ok();
    let ended = standing(&world, "INC-42", "released").await;
    assert_eq!(ended.id, request.id);
}
