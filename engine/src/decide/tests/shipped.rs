//! What the shipped bundle answers.

use super::*;

#[test]
fn the_shipped_bundle_answers_as_it_says() {
    let before_the_freeze = "2026-12-23T22:17:00Z";
    let rows = [
        (
            wanted(ci("main"), "payments-deploy", "15m"),
            NOW,
            "granted by payments.deploy.ci",
        ),
        (
            wanted(ci("feature"), "payments-deploy", "15m"),
            NOW,
            "denied unmet payments.deploy.ci",
        ),
        (
            wanted(ci("main"), "payments-deploy", "1h"),
            NOW,
            "denied unmet payments.deploy.ci; nearest 20m",
        ),
        (
            wanted(ci("main"), "prod-db-read", "15m"),
            NOW,
            "denied no policy",
        ),
        (
            wanted(human("sam"), "prod-db-read", "1h"),
            NOW,
            "granted by proddb.read.oncall",
        ),
        (
            wanted(human("sam"), "prod-db-read", "2h").ticket("INC-42"),
            NOW,
            "needs manager=1 (pat) or owner=1 (lee pat)",
        ),
        (
            wanted(human("mia"), "prod-db-read", "45m"),
            NOW,
            "needs manager=1 (pat)",
        ),
        (
            wanted(human("mia"), "prod-db-read", "6h"),
            NOW,
            "denied unmet proddb.read.engineer proddb.read.engineer.long; nearest 6h with ticket needs owner=1 (lee pat)",
        ),
        (
            wanted(human("mia"), "prod-db-read", "10h"),
            NOW,
            "denied unmet proddb.read.engineer proddb.read.engineer.long; nearest 4h needs manager=1 (pat)",
        ),
        (
            wanted(human("mia"), "prod-db-read", "10h").ticket("INC-42"),
            NOW,
            "denied unmet proddb.read.engineer proddb.read.engineer.long; nearest 8h needs owner=1 (lee pat)",
        ),
        (
            wanted(human("pat"), "prod-db-read", "1h"),
            NOW,
            "needs manager=1 () NOBODY CAN",
        ),
        (
            wanted(human("dana"), "prod-db-read", "2h"),
            NOW,
            "denied forbidden by guard.contractors.short; nearest 30m needs manager=1 (pat)",
        ),
        (
            wanted(human("dana"), "prod-db-read", "30m"),
            NOW,
            "needs manager=1 (pat)",
        ),
        (
            wanted(human("mia"), "staging-admin", "4h"),
            NOW,
            "needs owner=1 (lee pat)",
        ),
        (
            wanted(human("lee"), "staging-admin", "4h"),
            NOW,
            "needs owner=1 (pat)",
        ),
        (
            wanted(human("mia"), "prod-admin", "1h"),
            NOW,
            "denied unmet prod.admin; nearest 1h with ticket needs owner=1 (pat) security=1 (kim zoe)",
        ),
        (
            wanted(human("mia"), "prod-admin", "1h").ticket("INC-42"),
            NOW,
            "needs owner=1 (pat) security=1 (kim zoe)",
        ),
        (
            wanted(human("pat"), "prod-admin", "1h").ticket("INC-42"),
            NOW,
            "needs owner=1 () security=1 (kim zoe) NOBODY CAN",
        ),
        (
            wanted(human("mia"), "prod-admin", "1h").ticket("INC-42"),
            "2026-12-23T23:13:00Z",
            "denied forbidden by guard.freeze.2026-12; nearest 47m needs owner=1 (pat) security=1 (kim zoe)",
        ),
        (
            wanted(ci("main"), "payments-deploy", "20m"),
            "2026-12-25T09:00:00Z",
            "denied forbidden by guard.freeze.2026-12",
        ),
        (
            wanted(human("mia"), "prod-db-read", "4h"),
            before_the_freeze,
            "needs manager=1 (pat)",
        ),
        (
            wanted(human("audrey"), "prod-db-read", "1h"),
            NOW,
            "denied no policy",
        ),
        (
            wanted(human("nobody"), "prod-db-read", "1h"),
            NOW,
            "denied unknown",
        ),
        (
            wanted(human("mia"), "no-such-scope", "1h"),
            NOW,
            "denied unknown",
        ),
    ];
    let bundle = shipped();
    for (wanted, at, expected) in rows {
        let what = format!(
            "{} {} {} {:?} at {at}",
            wanted.who.id, wanted.scope, wanted.duration, wanted.ticket
        );
        assert_eq!(line(&wanted.check(&bundle, moment(at))), expected, "{what}");
        // A case without approvals is answered as its dry run.
        let case = wanted.case(moment(at));
        assert_eq!(
            line(&decide(&bundle, &case, moment(at))),
            expected,
            "{what}"
        );
    }
}

#[test]
fn each_principal_is_offered_what_a_permit_names() {
    let bundle = shipped();
    let rows = [
        (ci("main"), NOW, "payments-deploy: 20m | -"),
        (ci("feature"), NOW, "payments-deploy: - | -"),
        (
            human("mia"),
            NOW,
            "prod-admin: - | 1h needs owner=1 (pat) security=1 (kim zoe); prod-db-read: 4h needs manager=1 (pat) | 8h needs owner=1 (lee pat); staging-admin: 4h needs owner=1 (lee pat) | -",
        ),
        (
            human("sam"),
            NOW,
            "payments-deploy: - | -; prod-admin: - | 1h needs owner=1 (pat) security=1 (kim zoe); prod-db-read: 4h needs manager=1 (pat) | 8h needs owner=1 (lee pat); staging-admin: 4h needs owner=1 (lee pat) | -",
        ),
        (
            human("dana"),
            NOW,
            "prod-admin: - | 30m needs owner=1 (pat) security=1 (kim zoe); prod-db-read: 30m needs manager=1 (pat) | 30m needs manager=1 (pat) or owner=1 (lee pat); staging-admin: 30m needs owner=1 (lee pat) | -",
        ),
        (
            human("mia"),
            "2026-12-23T23:13:00Z",
            "prod-admin: - | 47m needs owner=1 (pat) security=1 (kim zoe); prod-db-read: 4h needs manager=1 (pat) | 8h needs owner=1 (lee pat); staging-admin: 4h needs owner=1 (lee pat) | -",
        ),
        (human("audrey"), NOW, ""),
        (human("nobody"), NOW, ""),
    ];
    for (who, at, expected) in rows {
        let longest = |longest: &Option<Longest>| match longest {
            None => "-".to_owned(),
            Some(longest) if longest.ways.is_empty() => longest.duration.to_string(),
            Some(longest) => format!("{} needs {}", longest.duration, ways_line(&longest.ways)),
        };
        let offers: Vec<String> = offers(&bundle, &who, moment(at))
            .iter()
            .map(|offer| {
                assert!(may_see_scope(&bundle, &who, &offer.scope));
                format!(
                    "{}: {} | {}",
                    offer.scope,
                    longest(&offer.without_ticket),
                    longest(&offer.with_ticket)
                )
            })
            .collect();
        assert_eq!(offers.join("; "), expected, "{} at {at}", who.id);
    }
}

#[test]
fn a_scope_that_no_permit_names_does_not_exist() {
    let bundle = shipped();
    let rows = [
        (human("mia"), "prod-db-read", true),
        (human("mia"), "payments-deploy", false),
        (human("audrey"), "prod-db-read", false),
        (ci("main"), "payments-deploy", true),
        (ci("main"), "prod-db-read", false),
        (human("nobody"), "prod-db-read", false),
        (human("mia"), "no-such-scope", false),
    ];
    for (who, name, expected) in rows {
        assert_eq!(
            may_see_scope(&bundle, &who, &scope(name)),
            expected,
            "{} and {name}",
            who.id
        );
    }
}
