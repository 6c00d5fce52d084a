use std::collections::BTreeMap;

use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::request::BreakGlass;
use writ_engine::scope::RoleArn;
use writ_engine::{Duration, Principal, Request, RequestId, ScopeId, Window, WorkloadId};

use super::*;

/// The example of the Standard Webhooks specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn in_a_file(text: &str, mode: u32) -> (tempfile::TempDir, NoticesSettings) {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("notices.secret");
    std::fs::write(&secret_file, text).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(mode)).unwrap();
    let settings = NoticesSettings {
        url: Address::parse("http://127.0.0.1:9/").unwrap(),
        secret_file,
        ca_cert_file: None,
    };
    (folder, settings)
}

fn receiver(text: &str, mode: u32) -> Result<Receiver, NoticesError> {
    let (_folder, settings) = in_a_file(text, mode);
    Receiver::new(&settings, "writ.example.com/journal")
}

#[test]
fn a_signature_is_the_one_that_the_specification_gives_as_its_example() {
    for text in [SECRET.to_owned(), format!("{SECRET}\n")] {
        let receiver = receiver(&text, 0o600).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = receiver.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}

#[test]
fn a_file_that_holds_no_secret_or_shows_it_to_others_is_refused_and_its_text_not_repeated() {
    let of_bytes = |count| format!("whsec_{}", STANDARD.encode(vec![7; count]));
    assert!(receiver(&of_bytes(24), 0o640).is_ok());
    assert!(receiver(&of_bytes(64), 0o400).is_ok());
    for (text, mode, expected) in [
        (SECRET.to_owned(), 0o644, "others can read it"),
        (String::new(), 0o600, "openssl rand"),
        ("canary".to_owned(), 0o600, "openssl rand"),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            0o600,
            "openssl rand",
        ),
        ("whsec_canary!".to_owned(), 0o600, "openssl rand"),
        (of_bytes(23), 0o600, "openssl rand"),
        (of_bytes(65), 0o600, "openssl rand"),
        (of_bytes(4_096), 0o600, "openssl rand"),
    ] {
        let error = receiver(&text, mode).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(
            !error.contains("canary") && !error.contains("MfKQ"),
            "{error}"
        );
    }
    let (_folder, mut settings) = in_a_file(SECRET, 0o600);
    settings.url = Address::parse("https://hooks.example.com/").unwrap();
    settings.ca_cert_file = Some(settings.secret_file.clone());
    let error = Receiver::new(&settings, "x").err().unwrap().to_string();
    assert!(error.contains("no certificate"), "{error}");
    settings.ca_cert_file = Some("/nowhere/ca.pem".into());
    let error = Receiver::new(&settings, "x").err().unwrap().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    settings.secret_file = "/nowhere/secret".into();
    let error = Receiver::new(&settings, "x").err().unwrap().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

fn at(s: u32) -> Moment {
    let noon: Moment = "2026-11-21T12:00:00Z".parse().unwrap();
    noon.plus_s(s)
}

fn case(principal: Principal, emergency: bool) -> Case {
    let reason = SaltedText {
        salt: [7; 16],
        text: "canary-reason".to_owned(),
    };
    let verdict = |outcome| Verdict {
        bundle: Digest::of("bundle", b""),
        outcome,
        policies: Vec::new(),
        approvals: BTreeMap::new(),
    };
    let request = Request {
        id: RequestId::new(at(0), [7; 10]),
        principal,
        scope: ScopeId::new("prod-db-read").unwrap(),
        duration: Duration::from_s(2_700).unwrap(),
        reason: reason.commitment(),
        ticket: Some("CANARY-42".to_owned()),
        requested_at: at(0),
        decide_by: at(86_400),
        activation_ttl_s: 3_600,
        bundle: Digest::of("bundle", b""),
        break_glass: emergency.then_some(BreakGlass {
            review_ttl_s: 7_200,
        }),
    };
    let window = Window::opening(at(60), request.duration).unwrap();
    let begin = Fact::Requested {
        request: request.clone(),
        idempotency_key: Some("canary-key".to_owned()),
        run: None,
        keep_for_s: None,
        verdict: verdict(match emergency {
            true => Outcome::Granted,
            false => Outcome::NeedsApproval,
        }),
    };
    let begin = Event {
        at: at(0),
        fact: begin,
    };
    let mut case = Case::begin(&begin, Some(reason.text)).unwrap();
    if emergency {
        let fact = Fact::IssueIntended {
            request: request.id.clone(),
            session: 1,
            request_digest: case.request_digest(),
            window,
            role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit").unwrap(),
            duration_s: 2_700,
            session_policy: Digest::of("policy", b""),
            chains: false,
            verdict: verdict(Outcome::Granted),
        };
        case.apply(&Event { at: at(60), fact }).unwrap();
    }
    case
}

/// The bodies are a contract: each is in `golden/`, and `WRIT_BLESS=1` writes them anew.
#[test]
fn each_notice_reads_as_the_golden_one_and_says_why_to_nobody() {
    let user = |name: &str| UserId::new(name).unwrap();
    let sam = || Principal::user(user("sam"));
    let claims = BTreeMap::from([("repository".to_owned(), "canary/claim".to_owned())]);
    let job = Principal::workload(WorkloadId::new("payments-ci").unwrap(), claims);
    for (notice, case, since, people) in [
        (
            Notice::Emergency,
            case(sam(), true),
            at(0),
            vec!["pat", "zoe"],
        ),
        (Notice::ConsentWanted, case(job, false), at(0), vec!["lee"]),
        (Notice::Escalated, case(sam(), false), at(600), vec!["pat"]),
        (Notice::ReviewOverdue, case(sam(), true), at(7_260), vec![]),
    ] {
        let people = people.into_iter().map(user).collect();
        let body = body(
            "writ.example.com/journal",
            &case,
            Due { notice, since },
            &people,
        );
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let text = format!("{value:#}\n");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/notices/golden");
        let golden = folder.join(format!("{}.json", notice.name()));
        if std::env::var_os("WRIT_BLESS").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap_or_default();
        assert_eq!(expected, value, "{golden:?}");
        assert!(!text.to_lowercase().contains("canary"), "{text}");
    }
}
