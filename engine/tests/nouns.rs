//! The small nouns: what each refuses, beside what it takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::Event;
use writ_engine::scope::RoleArn;
use writ_engine::window::{WINDOW_MAX_S, WindowError};
use writ_engine::{Duration, Kind, Moment, RequestId, UserId, Window};

fn at(text: &str) -> Moment {
    text.parse().expect("a moment")
}

#[test]
fn a_duration_is_read_as_people_write_it() {
    for (text, seconds) in [
        ("45m", 2_700),
        ("1h", 3_600),
        ("1h30m", 5_400),
        ("20s", 20),
        ("12h", 43_200),
        ("90m", 5_400),
    ] {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(duration.as_s(), seconds, "{text}");
        assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
    }
}

#[test]
fn a_duration_outside_a_window_is_refused() {
    for bad in [
        "",
        "0s",
        "12h1s",
        "13h",
        "-5m",
        "5",
        "m",
        "5m1h",
        "1h 30m",
        "1.5h",
        "5M",
        "1d",
        "99999999h",
        "１h",
    ] {
        assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
    }
    assert!(Duration::from_s(WINDOW_MAX_S).is_ok());
    assert!(Duration::from_s(WINDOW_MAX_S + 1).is_err());
}

#[test]
fn a_window_is_never_empty_backwards_or_longer_than_aws_allows() {
    let opens = at("2026-11-21T09:00:00Z");
    assert!(Window::new(opens, opens.plus_s(1)).is_ok());
    assert!(Window::new(opens, opens.plus_s(WINDOW_MAX_S)).is_ok());
    assert_eq!(Window::new(opens, opens), Err(WindowError::Empty));
    assert_eq!(Window::new(opens.plus_s(1), opens), Err(WindowError::Empty));
    assert!(Window::new(opens, opens.plus_s(WINDOW_MAX_S + 1)).is_err());
    assert_eq!(
        Window::new(at("2026-11-21T09:00:00.5Z"), opens.plus_s(9)),
        Err(WindowError::NotWholeSeconds)
    );
}

#[test]
fn a_window_holds_its_first_moment_and_not_its_last() {
    let window = Window::opening(at("2026-11-21T09:00:00.999Z"), "10m".parse().unwrap()).unwrap();
    assert_eq!(window.opens_at(), at("2026-11-21T09:00:00Z"));
    assert_eq!(window.closes_at(), at("2026-11-21T09:10:00Z"));
    assert!(window.contains(window.opens_at()));
    assert!(window.contains(at("2026-11-21T09:09:59.999Z")));
    assert!(!window.contains(window.closes_at()));
}

#[test]
fn a_window_read_from_the_record_is_checked_like_any_other() {
    assert!(serde_json::from_str::<Window>(r#"{"opens_at":1000,"closes_at":2000}"#).is_ok());
    for bad in [
        r#"{"opens_at":2000,"closes_at":1000}"#,
        r#"{"opens_at":1,"closes_at":2000}"#,
        r#"{"opens_at":-1000,"closes_at":2000}"#,
    ] {
        assert!(serde_json::from_str::<Window>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_request_id_sorts_by_time_and_has_one_spelling() {
    let early = RequestId::new(at("2026-11-21T09:00:00Z"), [255; 10]);
    let late = RequestId::new(at("2026-11-21T09:00:00.001Z"), [0; 10]);
    assert!(early < late);
    assert_eq!(early.as_str().parse::<RequestId>().unwrap(), early);
    assert_eq!(early.short().len(), 4);
    for bad in [
        "",
        "01J",
        &early.as_str().to_lowercase(),
        "81J00000000000000000000000",
        "01I00000000000000000000000",
    ] {
        assert!(bad.parse::<RequestId>().is_err(), "{bad}");
    }
}

#[test]
fn a_role_arn_is_parsed_not_believed() {
    assert_eq!(
        RoleArn::new("arn:aws:iam::123456789012:role/path/jit-read")
            .unwrap()
            .account(),
        "123456789012"
    );
    for bad in [
        "",
        "jit-read",
        "arn:aws:iam::12345678901:role/jit",
        "arn:aws:iam::123456789012:user/jit",
        "arn:aws:iam:eu-west-1:123456789012:role/jit",
        "arn:aws:sts::123456789012:role/jit",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role//jit",
        "arn:aws:iam::123456789012:role/jit read",
        "arn:evil:iam::123456789012:role/jit",
        " arn:aws:iam::123456789012:role/jit",
    ] {
        assert!(RoleArn::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_name_that_aws_would_refuse_is_refused_here() {
    for good in ["mia", "payments-ci", "a.b@c", "x+y=z,w_v"] {
        assert!(UserId::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "m",
        " mia",
        "mia ",
        "mi a",
        "m\u{456}a",
        "mia\u{200b}",
        "a/b",
        "a:b",
        "aws:mia",
        &"m".repeat(65),
    ] {
        assert!(UserId::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_approval_kind_and_its_action_name_each_other() {
    let kind = Kind::of_action("approveManager").unwrap();
    assert_eq!(
        (kind.as_str(), kind.action().as_str()),
        ("manager", "approveManager")
    );
    for bad in ["approve", "approvemanager", "activate", "approve2"] {
        assert_eq!(Kind::of_action(bad), None, "{bad}");
    }
}

#[test]
fn one_event_has_one_encoding() {
    let bytes =
        br#"{"at":1800000000000,"fact":{"withdrawn":{"request":"01KCJ5Y80064R38E1G70W3GE1R"}}}"#;
    assert!(Event::from_canonical(bytes).is_ok());
    let others: [&[u8]; 5] = [
        br#"{"fact":{"withdrawn":{"request":"01KCJ5Y80064R38E1G70W3GE1R"}},"at":1800000000000}"#,
        br#"{"at": 1800000000000,"fact":{"withdrawn":{"request":"01KCJ5Y80064R38E1G70W3GE1R"}}}"#,
        br#"{"at":1800000000000,"fact":{"withdrawn":{"request":"01KCJ5Y80064R38E1G70W3GE1R"}},"x":1}"#,
        br#"{"at":1800000000000,"at":1800000000000,"fact":{"withdrawn":{"request":"01KCJ5Y80064R38E1G70W3GE1R"}}}"#,
        br#"{"at":1800000000000,"fact":{"withdrawn":{"request":"\u003001KCJ5Y80064R38E1G70W3GE1R"}}}"#,
    ];
    for other in others {
        assert!(
            Event::from_canonical(other).is_err(),
            "{}",
            String::from_utf8_lossy(other)
        );
    }
}

#[test]
fn a_notice_on_record_says_of_what_and_to_whom() {
    let bytes = br#"{"at":1800000000000,"fact":{"notified":{"request":"01KCJ5Y80064R38E1G70W3GE1R","notice":"consent_wanted","people":["mia","pat"]}}}"#;
    let event = Event::from_canonical(bytes).unwrap();
    assert_eq!(event.fact.name(), "notified");
    assert!(event.fact.request().is_some());
    let unknown = String::from_utf8(bytes.to_vec())
        .unwrap()
        .replace("consent_wanted", "consent-wanted");
    assert!(Event::from_canonical(unknown.as_bytes()).is_err());
}

#[test]
fn the_same_text_under_another_salt_has_another_commitment() {
    let one = SaltedText {
        salt: [1; 16],
        text: "INC-42".into(),
    };
    let two = SaltedText {
        salt: [2; 16],
        text: "INC-42".into(),
    };
    assert_eq!(one.commitment(), one.clone().commitment());
    assert_ne!(one.commitment(), two.commitment());
    assert!(
        Digest::of("a", b"b")
            .to_string()
            .to_uppercase()
            .parse::<Digest>()
            .is_err()
    );
}
