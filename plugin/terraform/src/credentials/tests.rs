//! The life of a request, against a broker that does as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::prelude::*;

use crate::testing::{
    FakeBroker, TOKEN, close, open, opened, provider, provider_with, renew, stop, told, until,
};
use crate::value::Value;
use writ_api::problem::{Problem, Reason};

const PLAN: &[(&str, Value<'static>)] = &[("applying", Value::Bool(false))];
const APPLY: &[(&str, Value<'static>)] = &[("applying", Value::Bool(true))];

#[tokio::test]
async fn what_is_granted_at_once_is_opened_at_once() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "granted");
    let opened = opened(&provider, &[("ticket", Value::text("OPS-1"))]).await;
    for (name, expected) in [
        // As it was written …
        ("scope", "prod-db"),
        ("duration", "45m"),
        ("reason", "INC-42"),
        ("ticket", "OPS-1"),
        ("applying", "null"),
        ("linger", "null"),
        ("wait_timeout", "null"),
        ("minimum_remaining", "null"),
        // … and what was added.
        ("access_key", "ASIACANARY1"),
        ("secret_key", "canary-secret-1"),
        ("token", "canary-session-1"),
        ("request_id", "01JZZZZZZZZZZZZZZZZZZZ0001"),
        ("approved_by", ""),
        ("role_arn", "arn:aws:iam::123456789012:role/jit"),
        ("region", "eu-west-1"),
    ] {
        assert_eq!(opened.get(name), expected, "{name}");
    }
    let closes_at = opened.get("closes_at");
    assert_eq!(opened.get("expires_at"), closes_at);
    assert!(
        closes_at.ends_with('Z') && closes_at.len() == 20,
        "{closes_at}"
    );
    assert!(opened.0.renew_at.is_some());
    assert_eq!(broker.count("create"), 1);
    assert_eq!(broker.count("issue"), 1);
}

#[tokio::test]
async fn an_open_waits_for_approval_and_says_who_gave_it() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "waits");
    let (opened, ()) = tokio::join!(opened(&provider, &[]), async {
        until("watched", || broker.world().watching == 1).await;
        assert_eq!(broker.count("issue"), 0);
        broker.approve();
    });
    assert_eq!(opened.get("approved_by"), "pat");
    // Once it is decided, nobody follows it any more.
    until("not watched", || broker.world().watching == 0).await;
}

#[tokio::test]
async fn a_request_in_use_is_said_to_be_so_again_and_again() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "beats");
    let opened = opened(&provider, APPLY).await;
    let before = broker.count("keep 90");
    until("kept", || broker.count("keep 90") >= before + 3).await;
    assert_eq!(close(&provider, &opened).await, "");
    let after = broker.world().calls.len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(broker.world().calls.len(), after, "nothing after the end");
}

#[tokio::test]
async fn an_apply_that_is_done_gives_the_window_back_and_a_plan_leaves_it_for_a_while() {
    for (settings, state, kept) in [
        (APPLY, "released", 90),
        (PLAN, "active", 600),
        (&[], "active", 600),
        (&[("linger", Value::text("5m"))], "active", 300),
    ] {
        let broker = FakeBroker::granting();
        let provider = provider(&broker, "done");
        let opened = opened(&provider, settings).await;
        assert_eq!(close(&provider, &opened).await, "");
        assert_eq!(broker.state(), state);
        let kept_for = broker.kept_for();
        assert!((kept - 5..=kept).contains(&kept_for), "{kept_for}");
        // Terraform ends the provider afterwards; there is nothing left to do.
        let calls = broker.world().calls.len();
        provider.end(true).await;
        assert_eq!(broker.world().calls.len(), calls);
    }
}

#[tokio::test]
async fn a_plan_and_its_apply_use_one_request_and_the_next_apply_another() {
    let broker = FakeBroker::asking();
    let plan = provider(&broker, "one run");
    let (planned, ()) = tokio::join!(opened(&plan, PLAN), async {
        until("asked", || broker.state() == "pending").await;
        broker.approve();
    });
    assert_eq!(close(&plan, &planned).await, "");
    plan.end(true).await;

    let apply = provider(&broker, "one run");
    let applied = opened(&apply, APPLY).await;
    assert_eq!(applied.id(), planned.id());
    assert_eq!(applied.get("approved_by"), "pat");
    assert_eq!(close(&apply, &applied).await, "");
    assert_eq!(broker.state(), "released");

    broker.world().grants = true;
    let again = opened(&provider(&broker, "one run"), APPLY).await;
    assert_ne!(again.id(), planned.id());
}

#[tokio::test]
async fn another_run_or_another_wish_is_another_request() {
    let broker = FakeBroker::granting();
    let provider_a = provider(&broker, "run a");
    let first = opened(&provider_a, &[]).await;
    for settings in [
        ("scope", Value::text("prod-db-write")),
        ("duration", Value::text("44m")),
        ("reason", Value::text("INC-43")),
        ("ticket", Value::text("OPS-1")),
    ] {
        assert_ne!(opened(&provider_a, &[settings]).await.id(), first.id());
    }
    let provider_b = provider(&broker, "run b");
    assert_ne!(opened(&provider_b, &[]).await.id(), first.id());
}

#[tokio::test]
async fn five_resources_share_one_request_one_session_and_its_end() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "five");
    let ((a, b, c, d, e), ()) = tokio::join!(
        async {
            tokio::join!(
                opened(&provider, PLAN),
                opened(&provider, PLAN),
                opened(&provider, APPLY),
                opened(&provider, PLAN),
                opened(&provider, PLAN),
            )
        },
        async {
            until("watched", || broker.world().watching == 1).await;
            broker.approve();
        }
    );
    let all = [a, b, c, d, e];
    for opened in &all {
        assert_eq!(opened.get("secret_key"), "canary-secret-1");
    }
    assert_eq!(broker.count("create"), 1);
    assert_eq!(broker.count("watch"), 1);
    assert_eq!(broker.count("issue"), 1);
    let (last, others) = all.split_last().unwrap();
    for opened in others {
        assert_eq!(close(&provider, opened).await, "");
        assert_eq!(broker.state(), "active", "others still use it");
    }
    assert_eq!(close(&provider, last).await, "");
    // One of the five said that this is the apply.
    assert_eq!(broker.state(), "released");
}

#[tokio::test]
async fn a_session_that_works_too_shortly_is_not_shared_but_renewed() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "renewed");
    broker.world().session_s = 130;
    assert_eq!(
        opened(&provider, &[]).await.get("token"),
        "canary-session-1"
    );
    let longer = ("minimum_remaining", Value::text("10m"));
    broker.world().session_s = 3_600;
    let opened = opened(&provider, &[longer]).await;
    assert_eq!(opened.get("token"), "canary-session-2");
    assert_eq!(broker.count("create"), 1);
}

#[tokio::test]
async fn a_request_that_somebody_denies_is_an_error() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "denied");
    let (response, ()) = tokio::join!(open(&provider, &[]), async {
        until("asked", || broker.state() == "pending").await;
        broker.deny("not during the freeze");
    });
    assert_eq!(
        told(&response.diagnostics),
        "Error: `prod-db` was denied\non `scope`\n\n\
         `0001`: pat said no: not during the freeze.\n\n\
         Talk to them before you run again; `writ show` tells the whole story.\n"
    );
    assert!(response.result.is_none());
}

#[tokio::test]
async fn an_open_that_waited_too_long_takes_its_request_back() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "too long");
    let response = open(&provider, &[("wait_timeout", Value::text("1s"))]).await;
    assert_eq!(
        told(&response.diagnostics),
        "Error: `prod-db` was not approved within 1s\non `wait_timeout`\n\n\
         `0001` was still waiting for 1 manager: pat, sue. It is taken back.\n\n\
         Tell them before the next run, so that they can `writ approve` it while Terraform waits, or wait longer with \
         `wait_timeout`.\n"
    );
    until("taken back", || broker.state() == "withdrawn").await;
}

#[tokio::test]
async fn an_open_that_is_dropped_takes_its_request_back() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "dropped");
    let waiting = open(&provider, &[]);
    let asked = until("watched", || broker.world().watching == 1);
    tokio::select! {
        _ = waiting => panic!("nobody approved"),
        () = asked => {}
    }
    until("taken back", || broker.state() == "withdrawn").await;
    until("not watched", || broker.world().watching == 0).await;
}

#[tokio::test]
async fn an_open_that_is_dropped_before_the_broker_answered_takes_its_request_back() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "dropped early");
    {
        let mut waiting = Box::pin(open(&provider, &[]));
        // Polled once: the call is on its way.
        let poll = tokio::time::timeout(Duration::ZERO, &mut waiting).await;
        assert!(poll.is_err());
    }
    until("taken back", || broker.state() == "withdrawn").await;
}

#[tokio::test]
async fn an_open_that_is_dropped_takes_nothing_from_those_who_still_wait() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "still waiting");
    let staying = tokio::spawn({
        let provider = provider.clone();
        async move { opened(&provider, &[]).await }
    });
    tokio::select! {
        _ = open(&provider, &[]) => panic!("nobody approved"),
        () = until("watched", || broker.world().watching == 1) => {}
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.state(), "pending");
    broker.approve();
    assert_eq!(staying.await.unwrap().get("approved_by"), "pat");
}

#[tokio::test]
async fn an_open_that_is_dropped_while_credentials_are_issued_gives_the_window_back() {
    let broker = FakeBroker::granting();
    broker.world().issue_hangs = true;
    let provider = provider(&broker, "dropped late");
    tokio::select! {
        _ = open(&provider, &[]) => panic!("nothing was issued"),
        () = until("issued", || broker.count("issue") == 1) => {}
    }
    // The provider last saw it approved; the broker opened the window meanwhile.
    until("given back", || broker.state() == "released").await;
}

#[tokio::test]
async fn ctrl_c_ends_the_wait_at_once_and_takes_the_request_back() {
    let broker = FakeBroker::asking();
    let provider = provider(&broker, "stopped");
    let (response, ()) = tokio::join!(open(&provider, &[]), async {
        until("watched", || broker.world().watching == 1).await;
        stop(&provider).await;
    });
    assert_eq!(
        told(&response.diagnostics),
        "Error: stopped while `prod-db` was waited for\non the block\n\n\
         The request is taken back; run again to ask anew.\n"
    );
    provider.end(true).await;
    assert_eq!(broker.state(), "withdrawn");
}

#[tokio::test]
async fn ctrl_c_takes_nothing_from_what_is_in_use_until_terraform_is_done() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "graceful");
    let _in_use = opened(&provider, &[]).await;
    stop(&provider).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.state(), "active");
    provider.end(true).await;
    assert_eq!(broker.state(), "released");
}

#[tokio::test]
async fn what_nobody_closed_ends_with_the_provider() {
    for (settings, by_terraform, state) in [
        // The run failed: Terraform says Shutdown, and closes nothing.
        (PLAN, true, "active"),
        (APPLY, true, "released"),
        // Terraform is gone, or SIGTERM.
        (PLAN, false, "released"),
        (APPLY, false, "released"),
    ] {
        let broker = FakeBroker::granting();
        let provider = provider(&broker, "ends");
        let _in_use = opened(&provider, settings).await;
        provider.end(by_terraform).await;
        assert_eq!(broker.state(), state);
        if state == "active" {
            assert!(broker.kept_for() > 500);
        }
    }
}

#[tokio::test]
async fn a_wait_survives_a_broker_that_is_restarted() {
    let mut broker = FakeBroker::asking();
    let provider = provider(&broker, "restarted");
    let waiting = tokio::spawn({
        let provider = provider.clone();
        async move { opened(&provider, &[]).await }
    });
    until("watched", || broker.world().watching == 1).await;
    broker.kill();
    tokio::time::sleep(Duration::from_millis(150)).await;
    broker.start();
    until("watched again", || broker.count("watch") >= 2).await;
    broker.approve();
    assert_eq!(waiting.await.unwrap().get("approved_by"), "pat");
    assert_eq!(broker.count("create"), 1);
}

#[tokio::test]
async fn a_broker_that_asks_to_come_back_is_asked_again() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "again");
    let busy = Problem::new(
        Reason::ShuttingDown,
        "the broker is going down for a moment",
    );
    broker.world().refuses = Some(("issue", busy));
    let (opened, ()) = tokio::join!(opened(&provider, &[]), async {
        until("asked", || broker.count("issue") >= 1).await;
        broker.world().refuses = None;
    });
    assert_eq!(opened.get("secret_key"), "canary-secret-1");
}

#[tokio::test]
async fn a_broker_that_is_away_for_good_is_an_error_that_names_it() {
    let mut broker = FakeBroker::granting();
    broker.kill();
    let provider = provider(&broker, "away");
    let response = open(&provider, &[]).await;
    let told = told(&response.diagnostics);
    assert!(told.contains(&broker.address()), "{told}");
    assert!(told.contains("Connection refused"), "{told}");
    // The next Open tries anew.
    broker.start();
    opened(&provider, &[]).await;
}

#[tokio::test]
async fn too_little_of_a_window_is_an_error_at_once_and_given_back() {
    let broker = FakeBroker::granting();
    broker.world().window_s = 60;
    let provider = provider(&broker, "too little");
    let response = open(&provider, &[("minimum_remaining", Value::text("5m"))]).await;
    let told = told(&response.diagnostics);
    // How much exactly depends on how fast this machine is.
    assert!(
        told.starts_with("Error: only ")
            && told.contains(" is left of the window for `prod-db`\non `minimum_remaining`\n"),
        "{told}"
    );
    until("given back", || broker.state() == "released").await;
}

#[tokio::test]
async fn what_was_left_by_a_plan_must_be_enough_for_the_apply() {
    let broker = FakeBroker::granting();
    broker.world().window_s = 150;
    let plan = provider(&broker, "late");
    let planned = opened(&plan, PLAN).await;
    assert_eq!(close(&plan, &planned).await, "");
    let apply = provider(&broker, "late");
    let sessions = broker.world().sessions;
    let response = open(&apply, &[("minimum_remaining", Value::text("3m"))]).await;
    assert!(told(&response.diagnostics).contains("is left of the window"));
    assert_eq!(
        broker.world().sessions,
        sessions,
        "no session is made for nothing"
    );
    until("given back", || broker.state() == "released").await;
}

#[tokio::test]
async fn a_window_that_ended_under_terraform_is_told_at_renew_and_at_close() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "ended");
    let opened = opened(&provider, APPLY).await;
    let renewed = renew(&provider, &opened).await;
    assert!(renewed.diagnostics.is_empty() && renewed.renew_at.is_some());

    broker.release();
    let calls = broker.count("get");
    until("noticed", || broker.count("get") > calls).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let renewed = renew(&provider, &opened).await;
    assert!(renewed.renew_at.is_none());
    let expected = "Warning: `0001` for `prod-db` ended before Terraform was done with it\n";
    assert!(told(&renewed.diagnostics).starts_with(expected));
    let closed = close(&provider, &opened).await;
    assert!(closed.starts_with(expected), "{closed}");
    assert_eq!(broker.count("release"), 0);
}

#[tokio::test]
async fn credentials_that_ended_under_terraform_are_told_at_close() {
    let broker = FakeBroker::granting();
    broker.world().session_s = 1;
    let provider = provider(&broker, "short session");
    let opened = opened(&provider, &[("minimum_remaining", Value::text("1s"))]).await;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    let closed = close(&provider, &opened).await;
    assert!(
        closed.starts_with("Warning: the credentials for `prod-db` ended before"),
        "{closed}"
    );
}

#[tokio::test]
async fn a_window_that_could_not_be_given_back_is_a_warning_and_never_an_error() {
    let mut broker = FakeBroker::granting();
    let provider = provider(&broker, "unreachable");
    let opened = opened(&provider, APPLY).await;
    broker.kill();
    let closed = close(&provider, &opened).await;
    assert!(
        closed.starts_with("Warning: `0001` for `prod-db` was not given back\n"),
        "{closed}"
    );
    assert!(closed.contains("`writ release 0001`"), "{closed}");
}

#[tokio::test]
async fn a_resource_that_is_closed_twice_or_was_never_open_is_nothing_to_speak_of() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "twice");
    let opened = opened(&provider, APPLY).await;
    assert_eq!(close(&provider, &opened).await, "");
    assert_eq!(close(&provider, &opened).await, "");
    assert_eq!(broker.count("release"), 1);
}

#[tokio::test]
async fn a_request_that_is_ending_is_not_joined_but_followed_by_a_new_one() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "next");
    let first = opened(&provider, APPLY).await;
    let (closed, second) = tokio::join!(close(&provider, &first), opened(&provider, APPLY));
    assert_eq!(closed, "");
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn a_token_file_is_read_afresh_when_its_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let broker = FakeBroker::granting();
    let provider = provider_with(
        "fresh token",
        &[
            ("address", Value::text(broker.address())),
            ("token_file", Value::text(file.to_string_lossy())),
        ],
    );
    let opened = opened(&provider, APPLY).await;
    // The old one ends; its successor lies in the file.
    std::fs::write(&file, "the-next-token\n").unwrap();
    broker.world().tokens = vec!["the-next-token"];
    assert_eq!(close(&provider, &opened).await, "");
    assert_eq!(broker.state(), "released");
}

#[tokio::test]
async fn a_refusal_by_policy_asks_nothing_more() {
    let broker = FakeBroker::asking();
    let refusal = Problem::new(
        Reason::NotFound,
        "there is no scope `prod-db`, or nothing gives it to you",
    )
    .hint("`writ scopes` lists those you may ask for");
    broker.world().refuses = Some(("create", refusal));
    let provider = provider(&broker, "refused");
    let response = open(&provider, &[]).await;
    assert_eq!(
        told(&response.diagnostics),
        "Error: there is no scope `prod-db`, or nothing gives it to you\non `scope`\n\n\
         `writ scopes` lists those you may ask for.\n"
    );
    assert_eq!(broker.world().calls, ["create"]);
}

#[tokio::test]
async fn a_window_that_ended_unnoticed_is_told_at_close() {
    let broker = FakeBroker::granting();
    let provider = provider(&broker, "unnoticed");
    let opened = opened(&provider, APPLY).await;
    // No heartbeat gets through any more, so that Close is the first to hear of it.
    broker.world().refuses = Some(("keep", Problem::new(Reason::RateLimited, "slowly")));
    broker.release();
    let closed = close(&provider, &opened).await;
    assert!(
        closed
            .starts_with("Warning: `0001` for `prod-db` ended before Terraform was done with it\n"),
        "{closed}"
    );
}

/// What is written to the log, for as long as the guard is kept.
fn log() -> (tracing::subscriber::DefaultGuard, Arc<Mutex<Vec<u8>>>) {
    struct Writer(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let written = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&written);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || Writer(Arc::clone(&writer)))
        .with_filter(crate::logged());
    let subscriber = tracing_subscriber::registry().with(layer);
    (tracing::subscriber::set_default(subscriber), written)
}

#[tokio::test]
async fn the_log_names_the_approvers_and_no_secret() {
    let broker = FakeBroker::asking();
    let (guard, written) = log();
    let provider = provider(&broker, "logged");
    let (opened, ()) = tokio::join!(opened(&provider, APPLY), async {
        until("watched", || broker.world().watching == 1).await;
        broker.approve();
    });
    renew(&provider, &opened).await;
    // And what goes wrong: the token, a heartbeat, the end.
    broker.world().tokens = Vec::new();
    let refused = broker.count("keep 90");
    until("refused", || broker.count("keep 90") >= refused + 2).await;
    assert!(
        close(&provider, &opened)
            .await
            .contains("refuses the token")
    );
    drop(guard);

    let log = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains(
            "WARN terraform_provider_writ::credentials::held: `0001` for `prod-db`: waiting for 1 manager: pat, sue; \
             lapses 2026-11-21T09:00:00Z; approve with `writ approve 0001`"
        ),
        "{log}"
    );
    assert!(log.contains("refuses the token"), "{log}");
    for canary in [TOKEN, "canary-secret", "canary-session", "ASIACANARY"] {
        assert!(!log.contains(canary), "{canary} is in the log:\n{log}");
    }
}
