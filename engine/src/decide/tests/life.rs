//! The rest of a grant's life: emergencies, longer windows, and who may end and review what others have.

use super::*;
use crate::case::Review;
use crate::request::{BreakGlass, Extension};
use crate::scope::RoleArn;

/// Mia builds, Sam carries the pager, Ada owns the scopes, Ben is from security and is led by Ada.
const DIRECTORY: &str = r#"
group "payments-leads" { description = "Own the shipped scopes" }
group "platform-leads" { description = "Own the shipped scopes" }
group "security" { description = "Keep watch" }
group "oncall" { description = "Carry the pager" }
user "mia" {
  name = "Mia"
  manager = "ada"
}
user "sam" {
  name = "Sam"
  manager = "ada"
  groups = ["oncall"]
}
user "ada" {
  name = "Ada"
  groups = ["payments-leads", "platform-leads"]
}
user "ben" {
  name = "Ben"
  manager = "ada"
  groups = ["security"]
}
workload "payments-ci" {
  owner = "mia"
  identity {
    issuer = "github"
    repository_id = "4201"
    repository_owner_id = "77"
  }
}
"#;

const OPEN: &str = r#"
@id("open") permit (principal, action == Action::"activate", resource)
when { context.window.duration <= duration("1h") };
@id("approve.manager") permit (principal, action == Action::"approveManager", resource)
when { context.requester has manager && context.requester.manager == principal };
"#;

const GLASS: &str = r#"
@id("glass") permit (principal, action == Action::"breakGlass", resource)
when { context.open_reviews < 1 && context.window.duration <= duration("1h") };
"#;

const LONGER: &str = r#"
@id("longer") permit (principal, action == Action::"extend", resource)
when { context.extensions < 1 && context.window.duration <= duration("2h") };
@id("longer.manager") permit (principal, action == Action::"extend", resource)
when { context.approvals.manager >= 1 && context.window.duration <= duration("12h") };
"#;

fn with(policies: &[&str]) -> Bundle {
    bundle(DIRECTORY, &policies.concat())
}

fn broken(bundle: &Bundle, wanted: &Wanted<'_>, standing: Standing) -> String {
    let scope = scope(wanted.scope);
    let draft = Draft {
        principal: &wanted.who,
        scope: &scope,
        duration: duration(wanted.duration),
        reason: "INC-42",
        ticket: wanted.ticket,
    };
    line(&check_break_glass(bundle, &draft, standing, now()))
}

const NO_DEBT: Standing = Standing { open_reviews: 0 };

/// A case that is allowed, in an emergency or not.
fn begun(who: &str, duration: &str, break_glass: bool) -> Case {
    let pending = wanted(human(who), "prod-admin", duration).case(now());
    let mut request = pending.request().clone();
    request.break_glass = break_glass.then_some(BreakGlass { review_ttl_s: 60 });
    let fact = Fact::Requested {
        request,
        idempotency_key: None,
        run: None,
        keep_for_s: None,
        verdict: said(Outcome::Granted),
    };
    let reason = pending.reason().map(str::to_owned);
    Case::begin(&Event { at: now(), fact }, reason).unwrap()
}

fn said(outcome: Outcome) -> Verdict {
    Verdict {
        bundle: crate::digest::Digest::of("test", b""),
        outcome,
        policies: Vec::new(),
        approvals: BTreeMap::new(),
    }
}

fn told(case: &mut Case, at: Moment, fact: Fact) -> Result<(), crate::case::NoStory> {
    case.apply_with(&Event { at, fact }, Some("INC-42"))
}

/// The case with its window open since `NOW`.
fn opened(mut case: Case) -> Case {
    let window = Window::opening(now(), case.request().duration).unwrap();
    let intent = Fact::IssueIntended {
        request: case.request().id.clone(),
        session: case.next_session(),
        request_digest: case.request_digest(),
        window,
        role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit").unwrap(),
        duration_s: 900,
        session_policy: crate::digest::Digest::of("test", b""),
        chains: false,
        verdict: said(Outcome::Granted),
    };
    told(&mut case, now(), intent).unwrap();
    case
}

fn longer(case: &Case, whole: &str) -> Extension {
    let reason = SaltedText {
        salt: [8; 16],
        text: "INC-42".to_owned(),
    };
    Extension {
        number: case.next_extension(),
        duration: duration(whole),
        reason: reason.commitment(),
        requested_at: now(),
        bundle: case.request().bundle,
    }
}

/// Asks for a longer window, and records that the policy said this.
fn extended(mut case: Case, whole: &str, outcome: Outcome) -> Case {
    let fact = Fact::ExtensionRequested {
        request: case.request().id.clone(),
        extension: longer(&case, whole),
        verdict: said(outcome),
    };
    told(&mut case, now().plus_s(60), fact).unwrap();
    case
}

/// What the policy says to the extension that waits.
fn answered(bundle: &Bundle, case: &Case) -> Decision<Allowed> {
    let asked = case.extension_pending().unwrap();
    decide_extension(bundle, case, asked, now().plus_s(120))
}

#[test]
fn an_emergency_is_asked_for_in_so_many_words_and_within_its_terms() {
    let both = with(&[OPEN, GLASS]);
    let consented = GLASS.replace(
        "context.open",
        "context.approvals.manager >= 1 && context.open",
    );
    let rows = [
        (&both, "prod-admin", "1h", 0, "granted by glass"),
        (
            &both,
            "prod-admin",
            "61m",
            0,
            "denied unmet glass; nearest 1h",
        ),
        // Debt blocks where the policy says so, and so does a debt that nobody knows.
        (&both, "prod-admin", "1h", 1, "denied unmet glass"),
        (&both, "prod-admin", "1h", u32::MAX, "denied unmet glass"),
        // The permit names every scope; the other scopes have no terms for an emergency.
        (&both, "prod-db-read", "1h", 0, "denied no policy"),
        (&both, "no-such-scope", "1h", 0, "denied unknown"),
        (&with(&[OPEN]), "prod-admin", "1h", 0, "denied no policy"),
        (
            &with(&[OPEN, &consented]),
            "prod-admin",
            "1h",
            0,
            "needs manager=1 (ada)",
        ),
    ];
    for (bundle, scope, duration, open_reviews, expected) in rows {
        let wanted = wanted(human("sam"), scope, duration);
        let standing = Standing { open_reviews };
        let came = broken(bundle, &wanted, standing);
        assert_eq!(came, expected, "{scope} {duration} {open_reviews}");
    }
    let ordinary = wanted(human("sam"), "prod-admin", "1h");
    assert_eq!(line(&ordinary.check(&both, now())), "granted by open");
    assert_eq!(
        line(&ordinary.check(&with(&[GLASS]), now())),
        "denied no policy"
    );
}

#[test]
fn an_emergency_is_issued_while_its_terms_and_the_persons_debt_allow_it() {
    let case = begun("sam", "1h", true);
    let both = with(&[OPEN, GLASS]);
    let later = now().plus_s(60);
    let decided = |bundle: &Bundle, case: &Case, open_reviews| {
        line(&decide_for(bundle, case, Standing { open_reviews }, later))
    };
    assert_eq!(decided(&both, &case, 0), "granted by glass");
    assert_eq!(decided(&both, &case, 1), "denied unmet glass");
    // Whoever asks without saying what is owed is refused.
    assert_eq!(line(&decide(&both, &case, later)), "denied unmet glass");
    // What may be had on other days is not had by calling it an emergency, nor the other way round.
    assert_eq!(decided(&with(&[OPEN]), &case, 0), "denied no policy");
    assert_eq!(
        decided(&with(&[GLASS]), &begun("sam", "1h", false), 0),
        "denied no policy"
    );
    // The scope lost its terms after the request was made.
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    let scopes = files.0.get_mut("scopes.hcl").unwrap();
    let scope = scopes.find("scope \"prod-admin\"").unwrap();
    let start = scope + scopes[scope..].find("  break_glass {").unwrap();
    let end = start + scopes[start..].find("  }\n").unwrap() + 4;
    scopes.replace_range(start..end, "");
    files
        .0
        .insert("directory.hcl".to_owned(), DIRECTORY.to_owned());
    files.0.insert("access.cedar".to_owned(), GLASS.to_owned());
    assert_eq!(decided(&load(&files), &case, 0), "denied no policy");
}

#[test]
fn an_emergency_owes_a_review_from_its_first_use() {
    let case = begun("sam", "1h", true);
    assert_eq!(case.review(), Review::None);
    let opened = opened(case);
    let by = now().plus_s(60);
    assert_eq!(opened.review(), Review::Open { by });
    assert_eq!(
        self::opened(begun("sam", "1h", false)).review(),
        Review::None
    );
}

#[test]
fn a_longer_window_is_decided_as_a_whole_by_its_own_action() {
    let bundle = with(&[OPEN, LONGER]);
    // (how often it was extended already, how long in all) → what then.
    let rows = [
        (0, "2h", "granted by longer"),
        (0, "2h1s", "needs manager=1 (ada)"),
        (1, "2h", "needs manager=1 (ada)"),
        (1, "12h", "needs manager=1 (ada)"),
    ];
    for (before, whole, expected) in rows {
        let mut case = opened(begun("sam", "1h", false));
        for minutes in 0..before {
            let whole = format!("1h{}m", minutes + 1);
            case = extended(case, &whole, Outcome::Granted);
        }
        let case = extended(case, whole, Outcome::NeedsApproval);
        assert_eq!(
            line(&answered(&bundle, &case)),
            expected,
            "{before} {whole}"
        );
    }
    let case = extended(
        opened(begun("sam", "1h", false)),
        "2h",
        Outcome::NeedsApproval,
    );
    // Another permit to open a window is none to make one longer.
    assert_eq!(line(&answered(&with(&[OPEN]), &case)), "denied no policy");
    let asked = case.extension_pending().unwrap();
    let closed = now().plus_s(3_600);
    assert_eq!(
        line(&decide_extension(&bundle, &case, asked, closed)),
        "denied ended EXPIRED"
    );
    assert!("12h1s".parse::<Duration>().is_err(), "no window is longer");
}

#[test]
fn consent_to_a_longer_window_is_to_that_window_alone() {
    let bundle = with(&[OPEN, &LONGER.replace("extensions < 1", "extensions < 0")]);
    let consent = |case: &Case, digest| {
        let kinds = kinds_permitted(&bundle, case, &user("ada"), now().plus_s(60));
        Approval::new(digest, &user("sam"), user("ada"), None, kinds, now()).unwrap()
    };
    let approve = |case: &mut Case, approval: Approval| {
        let fact = Fact::Approved {
            request: case.request().id.clone(),
            approval,
            narrowed_to: None,
            verdict: said(Outcome::NeedsApproval),
        };
        told(case, now().plus_s(60), fact)
    };
    // Ada consented to the request; that says nothing of a longer window.
    let mut case = begun("sam", "1h", false);
    let approval = consent(&case, case.request_digest());
    approve(&mut case, approval.clone()).unwrap();
    let case = extended(opened(case), "3h", Outcome::NeedsApproval);
    let needs = "needs manager=1 (ada)";
    assert_eq!(line(&answered(&bundle, &case)), needs);
    // Nor can the record bind that consent to the extension.
    assert!(approve(&mut case.clone(), approval).is_err());
    let pending = case.extension_pending().unwrap().digest;
    let mut agreed = case.clone();
    approve(&mut agreed, consent(&case, pending)).unwrap();
    assert_eq!(
        line(&answered(&bundle, &agreed)),
        "granted by longer.manager"
    );
    // She said yes to three hours; that is no yes to four.
    let more = extended(agreed, "4h", Outcome::NeedsApproval);
    assert_eq!(line(&answered(&bundle, &more)), needs);
}

#[test]
fn a_longer_window_is_issued_while_both_its_opening_and_its_length_are_allowed() {
    let case = extended(opened(begun("sam", "1h", false)), "2h", Outcome::Granted);
    // After the first hour, within the second.
    let late = now().plus_s(5_400);
    let both = with(&[OPEN, LONGER]);
    let grant = decide(&both, &case, late).granted().unwrap();
    assert_eq!(
        grant.window(),
        Window::opening(now(), duration("2h")).unwrap()
    );
    assert_eq!(grant.into_verdict().policies, ["longer", "open"]);
    let rows = [
        (with(&[OPEN, LONGER]), "granted by open longer"),
        // Either policy was withdrawn since.
        (with(&[OPEN]), "denied no policy"),
        (with(&[LONGER]), "denied no policy"),
        (
            with(&[OPEN, &LONGER.replace("2h", "90m")]),
            "needs manager=1 (ada)",
        ),
    ];
    for (bundle, expected) in rows {
        assert_eq!(line(&decide(&bundle, &case, late)), expected);
    }
    let closed = now().plus_s(7_200);
    assert_eq!(line(&decide(&both, &case, closed)), "denied ended EXPIRED");
}

/// The shipped schema with a number for each user, of which a forbid errs for Mia alone.
fn levelled(policies: &str) -> Bundle {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    let schema = files.0.get_mut("schema.cedarschema").unwrap();
    *schema = schema.replacen("manager?: User,", "manager?: User,\n  level: Long,", 1);
    let directory: String = DIRECTORY
        .lines()
        .map(|line| match line {
            "user \"mia\" {" => "user \"mia\" {\n  attributes { level = 2 }\n".to_owned(),
            line if line.starts_with("user ") => format!("{line}\n  attributes {{ level = 0 }}\n"),
            line => format!("{line}\n"),
        })
        .collect();
    files
        .0
        .insert("access.cedar".to_owned(), policies.to_owned());
    files.0.insert("directory.hcl".to_owned(), directory);
    load(&files)
}

/// One question about each action that has a say of its own, asked of `who`.
fn asked_of(bundle: &Bundle, action: &str, who: &str) -> bool {
    let (mia, admin) = (human(who), scope("prod-admin"));
    match action {
        "breakGlass" => {
            let wanted = wanted(mia, "prod-admin", "1h");
            broken(bundle, &wanted, NO_DEBT).starts_with("granted")
        }
        "extend" => {
            let case = opened(begun(who, "1h", false));
            let case = extended(case, "2h", Outcome::NeedsApproval);
            line(&answered(bundle, &case)).starts_with("granted")
        }
        "revoke" => may_revoke(bundle, &mia, &human("sam"), &admin),
        "review" => may_review(bundle, &user(who), &human("sam"), &admin),
        "delegate" => may_delegate(bundle, &user(who), &user("sam")),
        other => panic!("what is `{other}`?"),
    }
}

const FURTHER: [&str; 5] = ["breakGlass", "extend", "revoke", "review", "delegate"];

const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

#[test]
fn a_forbid_that_errs_denies_each_further_action() {
    for action in FURTHER {
        let guard = format!(
            r#"{ALL} @id("guard") forbid (principal is User, action == Action::"{action}", resource) when {{ principal.level * 9223372036854775807 < 0 }};"#
        );
        let bundle = levelled(&guard);
        assert!(asked_of(&levelled(ALL), action, "mia"), "{action}");
        assert!(!asked_of(&bundle, action, "mia"), "{action}");
        assert!(asked_of(&bundle, action, "ada"), "{action}");
        // An erring permit is none.
        let permit = guard.replace(ALL, "").replace("forbid", "permit");
        assert!(!asked_of(&levelled(&permit), action, "mia"), "{action}");
    }
}

#[test]
fn what_the_schema_leaves_out_nobody_may_do() {
    for action in FURTHER {
        let mut files = shipped_files();
        files.0.retain(|file, _| !file.ends_with(".cedar"));
        let schema = files.0.get_mut("schema.cedarschema").unwrap();
        let start = schema.find(&format!("action {action} ")).unwrap();
        let end = start + schema[start..].find("\n};").unwrap() + 3;
        schema.replace_range(start..end, "");
        files
            .0
            .insert("directory.hcl".to_owned(), DIRECTORY.to_owned());
        // Even a permit that names every action.
        files.0.insert("access.cedar".to_owned(), ALL.to_owned());
        let without = load(&files);
        for other in FURTHER {
            assert_eq!(
                asked_of(&without, other, "mia"),
                other != action,
                "{other} without {action}"
            );
        }
    }
}

const SAYS: &str = r#"
@id("revoke.security") permit (principal in Group::"security", action == Action::"revoke", resource);
@id("revoke.owner") permit (principal, action == Action::"revoke", resource) when { principal in resource.owners };
@id("revoke.manager") permit (principal, action == Action::"revoke", resource)
when { context.requester has manager && context.requester.manager == principal };
@id("revoke.job") permit (principal == Workload::"payments-ci", action == Action::"revoke", resource == Scope::"payments-deploy")
when { context has workload };
"#;

#[test]
fn others_end_what_someone_has_as_the_policy_says_also_of_those_who_are_gone() {
    let bundle = with(&[SAYS]);
    let rows = [
        (human("ben"), human("sam"), "prod-admin", true),
        (human("ada"), human("sam"), "prod-admin", true),
        (human("mia"), human("sam"), "prod-admin", false),
        (human("sam"), human("sam"), "prod-admin", false),
        (human("stranger"), human("sam"), "prod-admin", false),
        (ci("main"), ci("main"), "payments-deploy", true),
        (ci("main"), human("sam"), "payments-deploy", false),
        (ci("main"), ci("main"), "prod-admin", false),
        // Whoever asked is gone from the directory, a person or a job that nobody answers for any more.
        (human("ben"), human("gone"), "prod-admin", true),
        (human("mia"), human("gone"), "prod-admin", false),
        (human("ben"), gone_job(), "prod-admin", true),
        (human("mia"), gone_job(), "prod-admin", false),
        // And so is the scope.
        (human("ben"), human("sam"), "no-such-scope", true),
    ];
    for (who, requester, name, expected) in rows {
        let may = may_revoke(&bundle, &who, &requester, &scope(name));
        assert_eq!(may, expected, "{} of {} on {name}", who.id, requester.id);
    }
}

fn gone_job() -> Principal {
    Principal::workload(WorkloadId::new("gone").unwrap(), BTreeMap::new())
}

#[test]
fn a_post_review_is_closed_by_whom_the_policy_names_and_never_by_the_person_behind() {
    // The policy itself forbids nobody anything.
    let bundle =
        with(&[r#"@id("review") permit (principal, action == Action::"review", resource);"#]);
    let security = with(&[
        r#"@id("review") permit (principal in Group::"security", action == Action::"review", resource);"#,
    ]);
    let rows = [
        (&bundle, "ben", human("sam"), true),
        (&bundle, "sam", human("sam"), false),
        (&bundle, "sam", ci("main"), true),
        // Mia answers for the job.
        (&bundle, "mia", ci("main"), false),
        (&bundle, "stranger", human("sam"), false),
        (&bundle, "gone", human("gone"), false),
        (&bundle, "ben", human("gone"), true),
        (&security, "ben", human("sam"), true),
        (&security, "ada", human("sam"), false),
        (&security, "ben", human("ben"), false),
    ];
    for (bundle, reviewer, requester, expected) in rows {
        let may = may_review(bundle, &user(reviewer), &requester, &scope("prod-admin"));
        assert_eq!(may, expected, "{reviewer} of {}", requester.id);
    }
}

#[test]
fn on_call_is_what_the_directory_says_and_the_policy_makes_of_it() {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    let schema = files.0.get_mut("schema.cedarschema").unwrap();
    *schema = schema.replacen(
        "manager?: User,",
        "manager?: User,\n  on_call?: Set<String>,\n  on_leave?: Bool,",
        1,
    );
    let policies = r#"
        @id("oncall") permit (principal is User, action == Action::"breakGlass", resource)
        when { principal has on_call && principal.on_call.contains(resource.environment) && context.open_reviews < 1 };
        @id("away") forbid (principal is User, action, resource) when { principal has on_leave && principal.on_leave };
    "#;
    files
        .0
        .insert("access.cedar".to_owned(), policies.to_owned());
    let rows = [
        ("", "denied unmet oncall"),
        (r#"attributes { on_call = ["prod"] }"#, "granted by oncall"),
        (
            r#"attributes { on_call = ["staging"] }"#,
            "denied unmet oncall",
        ),
        (
            "attributes {\n on_call = [\"prod\"]\n on_leave = false\n }",
            "granted by oncall",
        ),
        (
            "attributes {\n on_call = [\"prod\"]\n on_leave = true\n }",
            "denied forbidden by away",
        ),
    ];
    for (attributes, expected) in rows {
        let directory = DIRECTORY.replacen(
            "name = \"Mia\"",
            &format!("name = \"Mia\"\n{attributes}"),
            1,
        );
        files.0.insert("directory.hcl".to_owned(), directory);
        let wanted = wanted(human("mia"), "prod-admin", "1h");
        assert_eq!(
            broken(&load(&files), &wanted, NO_DEBT),
            expected,
            "{attributes}"
        );
    }
}

#[test]
fn what_can_be_broken_into_is_offered_to_whoever_may() {
    let bundle = with(&[GLASS]);
    let offered = |bundle: &Bundle, who: &str| {
        let offers = offers(bundle, &human(who), now());
        let line = |offer: &Offer| {
            let glass = offer.break_glass.as_ref().map(|it| it.duration.to_string());
            let plain = offer
                .without_ticket
                .as_ref()
                .map(|it| it.duration.to_string());
            format!("{} {plain:?} {glass:?}", offer.scope)
        };
        offers.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        offered(&bundle, "sam"),
        [
            "payments-deploy None Some(\"1h\")",
            "prod-admin None Some(\"1h\")"
        ]
    );
    let both = with(&[GLASS, OPEN]);
    let admin = "prod-admin Some(\"1h\") Some(\"1h\")".to_owned();
    assert!(offered(&both, "sam").contains(&admin));
    assert_eq!(offered(&both, "sam").len(), 4);
    // A scope without terms for an emergency is not there for whoever has nothing else of it.
    for (name, there) in [("prod-admin", true), ("prod-db-read", false)] {
        assert_eq!(may_see_scope(&bundle, &human("sam"), &scope(name)), there);
    }
}

/// Records a consent to less than was asked, or to all of it.
fn narrowed(
    case: &mut Case,
    who: &str,
    kinds: &[&str],
    to: Option<&str>,
) -> Result<(), crate::case::NoStory> {
    let shorter = to.map(duration);
    let digest = match shorter {
        Some(shorter) => match case.request().narrowed(shorter) {
            Some(narrowed) => narrowed.digest(),
            // As a record would have it that widens.
            None => Request {
                duration: shorter,
                ..case.request().clone()
            }
            .digest(),
        },
        None => case.request_digest(),
    };
    let fact = Fact::Approved {
        request: case.request().id.clone(),
        approval: Approval {
            approver: user(who),
            on_behalf_of: None,
            kinds: kinds.iter().map(|name| kind(name)).collect(),
            request_digest: digest,
            approved_at: now(),
        },
        narrowed_to: shorter,
        verdict: said(Outcome::NeedsApproval),
    };
    told(case, now(), fact)
}

/// Ada may consent as both kinds, Ben as security.
const TWO: &str = r#"
@id("two") permit (principal, action == Action::"activate", resource)
when { context.approvals.manager >= 1 && context.approvals.security >= 1 && context.window.duration <= duration("4h") };
@id("short") permit (principal, action == Action::"activate", resource)
when { context.approvals.manager >= 1 && context.window.duration <= duration("10m") };
@id("approve.manager") permit (principal, action == Action::"approveManager", resource)
when { context.requester has manager && context.requester.manager == principal };
@id("approve.security") permit (principal in Group::"security", action == Action::"approveSecurity", resource);
"#;

#[test]
fn who_consents_to_less_makes_it_another_request() {
    let bundle = with(&[TWO]);
    let decided = |case: &Case| line(&decide(&bundle, case, now()));
    let asked = wanted(human("mia"), "prod-admin", "4h").case(now());
    assert_eq!(decided(&asked), "needs manager=1 (ada) security=1 (ben)");

    // Ben consented to four hours. Ada gives one: nobody else has consented to that yet.
    let mut case = asked.clone();
    narrowed(&mut case, "ben", &["security"], None).unwrap();
    narrowed(&mut case, "ada", &["manager"], Some("1h")).unwrap();
    assert_ne!(case.request_digest(), asked.request_digest());
    assert_eq!(case.request().duration, duration("1h"));
    assert_eq!(case.asked_for(), duration("4h"));
    assert_eq!(decided(&case), "needs manager=1 security=1 (ben)");
    // He may consent again: it is another request.
    narrowed(&mut case, "ben", &["security"], None).unwrap();
    let grant = decide(&bundle, &case, now()).granted().unwrap();
    assert_eq!(grant.request_digest(), case.request_digest());
    assert_eq!(
        grant.window(),
        Window::opening(now(), duration("1h")).unwrap()
    );

    // The policy is asked again: for ten minutes a manager is enough.
    let mut case = asked.clone();
    narrowed(&mut case, "ada", &["manager"], Some("10m")).unwrap();
    assert_eq!(decided(&case), "granted by short");
}

#[test]
fn consent_never_widens() {
    let asked = wanted(human("mia"), "prod-admin", "1h").case(now());
    for (to, taken) in [
        ("59m59s", true),
        ("1h", false),
        ("1h1s", false),
        ("12h", false),
    ] {
        let mut case = asked.clone();
        let told = narrowed(&mut case, "ada", &["manager"], Some(to));
        assert_eq!(told.is_ok(), taken, "{to}");
        if !taken {
            assert_eq!(case, asked, "what is refused changes nothing");
        }
    }
    // Once it is less, it is not more again, also not as much as was asked.
    let mut case = asked;
    narrowed(&mut case, "ada", &["manager"], Some("30m")).unwrap();
    for to in ["30m", "1h"] {
        assert!(
            narrowed(&mut case, "ben", &["security"], Some(to)).is_err(),
            "{to}"
        );
    }
    narrowed(&mut case, "ben", &["security"], Some("10m")).unwrap();
    assert_eq!(case.request().duration, duration("10m"));
}

#[test]
fn an_open_window_is_not_made_shorter_by_consent() {
    let mut case = opened(begun("sam", "1h", false));
    let told = narrowed(&mut case, "ada", &["manager"], Some("30m"));
    assert!(told.is_err());
    // Nor is a longer one consented to in part.
    let case = extended(case, "3h", Outcome::NeedsApproval);
    let pending = case.extension_pending().unwrap().digest;
    let fact = |narrowed_to| Fact::Approved {
        request: case.request().id.clone(),
        approval: Approval {
            approver: user("ada"),
            on_behalf_of: None,
            kinds: BTreeSet::from([kind("manager")]),
            request_digest: pending,
            approved_at: now(),
        },
        narrowed_to,
        verdict: said(Outcome::NeedsApproval),
    };
    let part = told_of(&case, fact(Some(duration("2h"))));
    let whole = told_of(&case, fact(None));
    assert_eq!((part, whole), (false, true));
}

fn told_of(case: &Case, fact: Fact) -> bool {
    told(&mut case.clone(), now(), fact).is_ok()
}
