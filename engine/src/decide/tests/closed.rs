//! When in doubt, nobody gets in.

use super::*;

const DIRECTORY: &str = r#"
timezone = "America/New_York"
group "payments-leads" { description = "Own the shipped scopes" }
group "platform-leads" { description = "Own the shipped scopes" }
group "security" { description = "Are told of emergencies" }
user "max" {
  name = "Max"
  attributes { level = 2 }
}
user "ann" {
  name = "Ann"
  attributes { level = 1 }
}
user "boss" {
  name = "Boss"
  attributes { level = 0 }
}
"#;

/// The shipped schema with a number for each user.
fn levelled(policies: &str) -> Bundle {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    if let Some(schema) = files.0.get_mut("schema.cedarschema") {
        *schema = schema.replacen("manager?: User,", "manager?: User,\n  level: Long,", 1);
    }
    files
        .0
        .insert("access.cedar".to_owned(), policies.to_owned());
    files
        .0
        .insert("directory.hcl".to_owned(), DIRECTORY.to_owned());
    load(&files)
}

const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

fn answer(bundle: &Bundle, who: &str, at: &str) -> String {
    line(&wanted(human(who), "prod-db-read", "1h").check(bundle, moment(at)))
}

fn alarm_ids<G: AsRef<Allowed>>(decision: &Decision<G>) -> Vec<&str> {
    decision
        .alarms()
        .iter()
        .map(|policy| policy.id.as_str())
        .collect()
}

#[test]
fn a_forbid_that_errs_is_a_denial_and_an_alarm() {
    // Strictly valid, and an overflow for level 2 and more.
    let guard = r#"@id("guard") forbid (principal is User, action == Action::"activate", resource) when { principal.level * 9223372036854775807 < 0 };"#;
    let bundle = levelled(&format!("{ALL}\n{guard}"));
    assert_eq!(answer(&bundle, "ann", NOW), "granted by all");
    let decision = wanted(human("max"), "prod-db-read", "1h").check(&bundle, now());
    assert_eq!(line(&decision), "denied errored guard");
    assert_eq!(alarm_ids(&decision), ["guard"]);
    let verdict = decision.verdict(&bundle);
    assert_eq!(
        (verdict.outcome, verdict.policies),
        (Outcome::Denied, vec!["guard".to_owned()])
    );
    let case = wanted(human("max"), "prod-db-read", "1h").case(now());
    assert!(decide(&bundle, &case, now()).granted().is_none());
}

#[test]
fn a_permit_that_errs_counts_for_nothing_and_is_an_alarm() {
    let errs = r#"@id("errs") permit (principal is User, action == Action::"activate", resource) when { principal.level * 9223372036854775807 < 0 };"#;
    let decision = wanted(human("max"), "prod-db-read", "1h").check(&levelled(errs), now());
    assert_eq!(line(&decision), "denied unmet errs");
    assert_eq!(alarm_ids(&decision), ["errs"]);
    let decision = wanted(human("max"), "prod-db-read", "1h")
        .check(&levelled(&format!("{ALL}\n{errs}")), now());
    assert_eq!(line(&decision), "granted by all");
    assert_eq!(alarm_ids(&decision), ["errs"]);
}

#[test]
fn consent_under_an_erring_forbid_does_not_count() {
    let policies = r#"
        @id("access") permit (principal, action == Action::"activate", resource) when { context.approvals.owner >= 1 };
        @id("approve") permit (principal, action == Action::"approveOwner", resource);
        @id("guard") forbid (principal, action == Action::"approveOwner", resource) when { principal.level * 9223372036854775807 < 0 };
    "#;
    let bundle = levelled(policies);
    let case = wanted(human("boss"), "prod-db-read", "1h").case(now());
    let of_max = decide(&bundle, &approved(case.clone(), "max", &["owner"]), now());
    assert_eq!(line(&of_max), "needs owner=1 (ann)");
    assert_eq!(alarm_ids(&of_max), ["guard"]);
    let of_ann = decide(&bundle, &approved(case, "ann", &["owner"]), now());
    assert_eq!(line(&of_ann), "granted by access");
}

#[test]
fn a_case_that_has_ended_gets_nothing() {
    let bundle = shipped();
    let case = wanted(human("sam"), "prod-db-read", "1h").case(now());
    let event = |fact| Event { at: now(), fact };
    let request = case.request().id.clone();
    let mut withdrawn = case.clone();
    withdrawn
        .apply(&event(Fact::Withdrawn {
            request: request.clone(),
            unheard: false,
        }))
        .unwrap();
    let mut denied = case.clone();
    let said_no = Fact::Denied {
        request,
        approver: user("pat"),
        kinds: Vec::new(),
        reason: SaltedText {
            salt: [1; 16],
            text: "no".to_owned(),
        }
        .commitment(),
    };
    denied.apply(&event(said_no)).unwrap();
    let rows = [
        (&case, NOW, "granted by proddb.read.oncall"),
        (
            &case,
            "2026-11-22T08:59:59Z",
            "granted by proddb.read.oncall",
        ),
        (&case, "2026-11-22T09:00:00Z", "denied ended LAPSED"),
        (&withdrawn, NOW, "denied ended WITHDRAWN"),
        (&denied, NOW, "denied ended DENIED"),
    ];
    for (case, at, expected) in rows {
        assert_eq!(
            line(&decide(&bundle, case, moment(at))),
            expected,
            "at {at}"
        );
    }
}

#[test]
fn an_open_window_is_judged_as_it_opened_and_never_moves() {
    let bundle = shipped();
    let mut case = wanted(human("sam"), "prod-db-read", "1h").case(now());
    let verdict = |grant: Grant| grant.into_verdict();
    let approval = approved(case.clone(), "pat", &["manager"]);
    let granted = decide(&bundle, &approval, now()).granted().unwrap();
    let window = granted.window();
    let request = case.request().id.clone();
    let approve = Fact::Approved {
        request: request.clone(),
        approval: approval.approvals()[0].clone(),
        narrowed_to: None,
        verdict: verdict(granted),
    };
    case.apply(&Event {
        at: now(),
        fact: approve,
    })
    .unwrap();
    let intent = Fact::IssueIntended {
        request,
        session: 1,
        request_digest: case.request_digest(),
        window,
        role_arn: bundle
            .scope(&scope("prod-db-read"))
            .unwrap()
            .aws
            .role_arn
            .clone(),
        duration_s: 3_600,
        session_policy: crate::digest::Digest::of("test", b""),
        chains: false,
        verdict: decide(&bundle, &case, now()).verdict(&bundle),
    };
    case.apply(&Event {
        at: now(),
        fact: intent,
    })
    .unwrap();
    let later = moment("2026-11-21T09:30:00Z");
    assert_eq!(
        decide(&bundle, &case, later).granted().unwrap().window(),
        window
    );
    assert_eq!(
        line(&decide(&bundle, &case, window.closes_at())),
        "denied ended EXPIRED"
    );
}

#[test]
fn strangers_and_lost_scopes_get_nothing() {
    let bundle = levelled(ALL);
    assert_eq!(answer(&bundle, "ann", NOW), "granted by all");
    assert_eq!(answer(&bundle, "stranger", NOW), "denied unknown");
    let lost = wanted(human("ann"), "no-such-scope", "1h");
    assert_eq!(line(&lost.check(&bundle, now())), "denied unknown");
    assert_eq!(
        line(&decide(&bundle, &lost.case(now()), now())),
        "denied unknown"
    );
    assert_eq!(
        line(&wanted(ci("main"), "prod-db-read", "1h").check(&bundle, now())),
        "denied unknown"
    );
}

#[test]
fn a_job_without_the_claims_the_directory_pins_is_a_stranger() {
    let bundle = shipped();
    let mut job = ci("main");
    assert_eq!(
        line(&wanted(job.clone(), "payments-deploy", "15m").check(&bundle, now())),
        "granted by payments.deploy.ci"
    );
    job.claims
        .insert("repository_owner_id".to_owned(), "78".to_owned());
    assert_eq!(
        line(&wanted(job.clone(), "payments-deploy", "15m").check(&bundle, now())),
        "denied unknown"
    );
    job.claims.remove("repository_owner_id");
    assert_eq!(
        line(&wanted(job, "payments-deploy", "15m").check(&bundle, now())),
        "denied unknown"
    );
}

#[test]
fn a_claim_never_stands_in_for_what_the_directory_says() {
    let bundle = shipped();
    let mut job = ci("main");
    job.claims.insert("owner".to_owned(), "mia".to_owned());
    let case = wanted(job, "payments-deploy", "15m").case(now());
    assert!(kinds_permitted(&bundle, &case, &user("lee"), now()).is_empty());
}

#[test]
fn the_clock_is_read_in_the_directorys_time_zone() {
    // 2026-11-21 is a Saturday; New York is five hours behind UTC in winter and four in summer.
    let policies = r#"@id("hours") permit (principal, action == Action::"activate", resource)
        when { context.window.weekday <= 5 && context.window.time_of_day >= duration("9h") && context.window.time_of_day < duration("17h") };"#;
    let bundle = levelled(policies);
    let rows = [
        ("2026-11-20T13:59:59Z", false), // Friday, 08:59:59
        ("2026-11-20T14:00:00Z", true),  // Friday, 09:00
        ("2026-11-20T21:59:59Z", true),  // Friday, 16:59:59
        ("2026-11-20T22:00:00Z", false), // Friday, 17:00
        ("2026-11-21T15:00:00Z", false), // Saturday, 10:00
        ("2026-11-23T04:30:00Z", false), // Sunday, 23:30 there, Monday in UTC
        ("2026-07-20T13:00:00Z", true),  // Monday in summer, 09:00
        ("2026-07-20T12:59:59Z", false),
    ];
    for (at, expected) in rows {
        assert_eq!(
            answer(&bundle, "ann", at) == "granted by hours",
            expected,
            "at {at}"
        );
    }
}

#[test]
fn a_denial_shows_what_was_not_met_and_what_it_was() {
    let bundle = shipped();
    let decision = wanted(ci("feature"), "payments-deploy", "15m").check(&bundle, now());
    let Decision::Denied(Denied {
        why: Why::Unmet(permits),
        nearest: None,
        ..
    }) = &decision
    else {
        panic!("{decision:?}");
    };
    let [permit] = permits.as_slice() else {
        panic!("{permits:?}");
    };
    assert_eq!(permit.policy.file, "access.cedar");
    assert_eq!(
        permit.advice.as_deref(),
        Some("deploy from `main`: merge your branch first")
    );
    let values = BTreeMap::from([(
        "principal.ref".to_owned(),
        "\"refs/heads/feature\"".to_owned(),
    )]);
    let text = "principal.ref == \"refs/heads/main\"".to_owned();
    assert_eq!(permit.conditions, [Condition { text, values }]);

    let decision = wanted(human("dana"), "prod-db-read", "2h").check(&bundle, now());
    let Decision::Denied(Denied {
        why: Why::Forbidden(forbids),
        ..
    }) = &decision
    else {
        panic!("{decision:?}");
    };
    let shown: Vec<&BTreeMap<String, String>> = forbids[0]
        .conditions
        .iter()
        .map(|condition| &condition.values)
        .collect();
    let values = BTreeMap::from([("context.window.duration".to_owned(), "2h".to_owned())]);
    assert_eq!(shown, [&values]);
}

#[test]
fn a_ticket_of_the_right_form_is_named_as_what_is_missing() {
    let policies = r#"@id("all") permit (principal, action == Action::"activate", resource)
        when { context has ticket && context.ticket like "INC-*" && context.window.duration <= duration("2h") };"#;
    let bundle = levelled(policies);
    let rows = [
        (
            wanted(human("ann"), "prod-db-read", "1h").ticket("INC-42"),
            "granted by all",
        ),
        (
            wanted(human("ann"), "prod-db-read", "1h").ticket("CHG-42"),
            "denied unmet all",
        ),
        (
            wanted(human("ann"), "prod-db-read", "1h"),
            "denied unmet all; nearest 1h with ticket",
        ),
        (
            wanted(human("ann"), "prod-db-read", "3h"),
            "denied unmet all; nearest 2h with ticket",
        ),
    ];
    for (wanted, expected) in rows {
        assert_eq!(line(&wanted.check(&bundle, now())), expected);
    }
}

#[test]
fn every_question_fits_the_schema_the_policies_were_checked_against() {
    let (bundle, files) = (shipped(), shipped_files());
    let (schema, _) =
        cedar_policy::Schema::from_cedarschema_str(&files.0["schema.cedarschema"]).unwrap();
    let index = bundle.index();
    for principal in [human("mia"), human("pat"), ci("main")] {
        let asker = Asker::of(&bundle, &principal).unwrap();
        let ask = asker
            .wants(&scope("prod-db-read"), now(), "INC-42")
            .unwrap();
        let window = Window::opening(now(), duration("45m")).unwrap();
        for ticket in [None, Some("INC-42")] {
            let wish = Wish { window, ticket };
            for purpose in [
                Purpose::Activate,
                Purpose::BreakGlass { open_reviews: 1 },
                Purpose::Extend { extensions: 1 },
            ] {
                // The one with terms for an emergency.
                let ask = asker
                    .wants_to(purpose, &scope("prod-admin"), now(), "INC-42")
                    .unwrap();
                let activation = ask.activation(wish, &ask.nobody()).unwrap();
                let context = activation.context().unwrap();
                context.validate(&schema, ask.action()).unwrap();
            }
            for delegate in [None, Some(&user("lee"))] {
                let consent = ask.consent_context(wish, delegate).unwrap();
                for (_, action) in index.kinds() {
                    consent.validate(&schema, action).unwrap();
                }
            }
        }
        let whom = ask::about_whom(&bundle.policies().types, asker.person, &principal.id);
        let whom = cedar_policy::Context::from_pairs(whom).unwrap();
        for action in [index.view(), index.revoke(), index.review()] {
            whom.validate(&schema, action).unwrap();
        }
    }
    let nothing = cedar_policy::Context::empty();
    nothing.validate(&schema, index.delegate()).unwrap();
}
