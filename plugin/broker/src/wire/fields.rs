//! What callers send, checked field by field; each refusal names the field and what would work.

use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_engine::delegation::DelegationId;
use writ_engine::digest::Digest;
use writ_engine::request::{KEEP_FOR_MAX_S, KEEP_FOR_MIN_S, REASON_MAX, TICKET_MAX};
use writ_engine::window::WINDOW_MAX_S;
use writ_engine::{Duration, Moment, RequestId, ScopeId, UserId};

use crate::desk::{Ask, Consent, Filter, Loan, Wish};
use crate::limits::{
    EVENTS_PAGE_DEFAULT, EVENTS_PAGE_MAX, IDEMPOTENCY_KEY_MAX, KINDS_MAX, REQUESTS_PAGE_DEFAULT,
    REQUESTS_PAGE_MAX, RUN_MAX,
};

/// The fewest characters of an id that stand for the whole.
const ID_SUFFIX_MIN: usize = 4;

/// Longest name of an approval kind, in bytes: Cedar action names are shorter.
const KIND_MAX: usize = 64;

/// The refusal of one field.
pub(crate) fn bad(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(Reason::InvalidArgument, format!("{field}: {why}"))
}

/// A new request.
pub(crate) fn ask(message: v1::CreateRequestRequest) -> Result<Ask, Problem> {
    let wish = Wish {
        scope: scope(message.scope)?,
        duration: duration(message.duration)?,
        reason: reason(message.reason)?,
        ticket: message.ticket.map(ticket).transpose()?,
        break_glass: message.break_glass,
    };
    let word = |field, given: Option<String>, max| {
        given.map(|given| printable(field, given, max)).transpose()
    };
    Ok(Ask {
        wish,
        idempotency_key: word(
            "idempotency_key",
            message.idempotency_key,
            IDEMPOTENCY_KEY_MAX,
        )?,
        run: word("run", message.run, RUN_MAX)?,
        keep_for_s: message
            .keep_for
            .map(|given| keep_for_s(Some(given)))
            .transpose()?,
    })
}

/// The wish of a dry run, which needs no reason.
pub(crate) fn dry_wish(message: v1::CheckAccessRequest) -> Result<Wish, Problem> {
    Ok(Wish {
        scope: scope(message.scope)?,
        duration: duration(message.duration)?,
        reason: text("reason", message.reason, 0, REASON_MAX)?,
        ticket: message.ticket.map(ticket).transpose()?,
        break_glass: message.break_glass,
    })
}

/// A consent, without the id.
pub(crate) fn consent(message: v1::ApproveRequestRequest) -> Result<Consent, Problem> {
    let shorter = message.duration.map(|given| duration(Some(given)));
    let lender = message
        .on_behalf_of
        .map(|name| person("on_behalf_of", name));
    Ok(Consent {
        kinds: kinds(message.kinds)?,
        digest: digest(message.digest.as_deref())?,
        shorter: shorter.transpose()?,
        on_behalf_of: lender.transpose()?.map(String::from),
    })
}

/// A right that is to be lent.
pub(crate) fn loan(message: v1::CreateDelegationRequest) -> Result<Loan, Problem> {
    let opens_at = message
        .opens_at
        .map(|given| moment("opens_at", Some(given)));
    Ok(Loan {
        delegate: String::from(person("delegate", message.delegate)?),
        opens_at: opens_at.transpose()?,
        closes_at: moment("closes_at", message.closes_at)?,
        reason: reason(message.reason)?,
    })
}

/// The name of a person, who need not be in the directory.
pub(crate) fn person(field: &str, name: String) -> Result<UserId, Problem> {
    // The name is not repeated: a name that is none may hold anything.
    UserId::new(name).map_err(|_| {
        bad(
            field,
            "a person's name is as in the directory: 2 to 64 of letters, digits and `_+=,.@-`",
        )
    })
}

fn moment(field: &str, given: Option<prost_types::Timestamp>) -> Result<Moment, Problem> {
    let ms = given.and_then(|given| {
        let ms = i64::from(given.nanos.div_euclid(1_000_000));
        given.seconds.checked_mul(1_000)?.checked_add(ms)
    });
    ms.and_then(Moment::from_ms)
        .ok_or_else(|| bad(field, "it is a moment from 1970 to 9999"))
}

/// The name of a delegation.
pub(crate) fn delegation(given: &str) -> Result<DelegationId, Problem> {
    given.parse().map_err(|_| {
        bad(
            "id",
            "a delegation's id is 26 digits and capital letters, as `writ delegations` prints it",
        )
    })
}

fn scope(name: String) -> Result<String, Problem> {
    match ScopeId::new(name) {
        Ok(id) => Ok(String::from(id)),
        // The name is not repeated: a name that is none may hold anything.
        Err(_) => Err(bad(
            "scope",
            "a scope's name has 2 to 64 of letters, digits and `_+=,.@-`; `writ scopes` lists yours",
        )),
    }
}

/// How long a window is to be.
pub(crate) fn duration(given: Option<prost_types::Duration>) -> Result<Duration, Problem> {
    let range = || {
        bad(
            "duration",
            "a window lasts a whole number of seconds, from `1s` to `12h`",
        )
    };
    let given = given.ok_or_else(range)?;
    if given.nanos != 0 || given.seconds > i64::from(WINDOW_MAX_S) {
        return Err(range());
    }
    let seconds = u32::try_from(given.seconds).map_err(|_| range())?;
    Duration::from_s(seconds).map_err(|_| range())
}

/// The words given with a request or a denial.
pub(crate) fn reason(given: String) -> Result<String, Problem> {
    text("reason", given, 1, REASON_MAX)
}

/// What a post-review found.
pub(crate) fn finding(given: String) -> Result<String, Problem> {
    text("finding", given, 1, REASON_MAX)
}

fn ticket(given: String) -> Result<String, Problem> {
    text("ticket", given, 1, TICKET_MAX)
}

/// How long a request outlives its requester's last word, in seconds.
pub(crate) fn keep_for_s(given: Option<prost_types::Duration>) -> Result<u32, Problem> {
    given
        .filter(|given| given.nanos == 0)
        .and_then(|given| u32::try_from(given.seconds).ok())
        .filter(|seconds| (KEEP_FOR_MIN_S..=KEEP_FOR_MAX_S).contains(seconds))
        .ok_or_else(|| {
            bad(
                "keep_for",
                "a request is kept for a whole number of seconds, from `30s` to `1h`",
            )
        })
}

fn printable(field: &str, given: String, max: usize) -> Result<String, Problem> {
    let fits =
        (1..=max).contains(&given.len()) && given.bytes().all(|b| (0x20..=0x7e).contains(&b));
    fits.then_some(given).ok_or_else(|| {
        bad(
            field,
            format!("it has 1 to {max} printable ASCII characters"),
        )
    })
}

/// Text that people will read: refused, not trimmed or cleaned, so that what is approved is what was written.
fn text(field: &str, given: String, min: usize, max: usize) -> Result<String, Problem> {
    if !(min..=max).contains(&given.len()) {
        return Err(bad(
            field,
            format!("it has {min} to {max} bytes, not {}", given.len()),
        ));
    }
    if let Some(c) = given.chars().find(|c| is_invisible(*c)) {
        return Err(bad(
            field,
            format!(
                "it holds the invisible character U+{:04X}; write plain text on one line",
                u32::from(c)
            ),
        ));
    }
    if min > 0 && given.chars().all(char::is_whitespace) {
        return Err(bad(field, "it is only white space; say it in words"));
    }
    Ok(given)
}

/// Whether a character steers a terminal or a line instead of being seen: control characters, line and paragraph
/// separators, and Unicode's invisible and direction-changing format characters (zero-width joiners are let through:
/// they are part of written Persian, Hindi and emoji).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A request's id, or its last four characters or more.
pub(crate) fn id(given: &str) -> Result<&str, Problem> {
    let fits = (ID_SUFFIX_MIN..=RequestId::LEN).contains(&given.len())
        && given
            .bytes()
            .all(|b| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b)));
    fits.then_some(given).ok_or_else(|| {
        bad(
            "id",
            "an id is 26 digits and capital letters, or its last four or more; `writ requests` prints it",
        )
    })
}

/// A whole id, where a part of one would be too vague.
pub(crate) fn whole_id(field: &str, given: &str) -> Result<RequestId, Problem> {
    given.parse().map_err(|error| bad(field, error))
}

/// The digest an approver looked at.
fn digest(given: Option<&str>) -> Result<Option<Digest>, Problem> {
    given
        .map(|text| text.parse().map_err(|error| bad("digest", error)))
        .transpose()
}

/// The kinds an approver consents as; which of them exist is for the policy to say.
fn kinds(given: Vec<String>) -> Result<Vec<String>, Problem> {
    if given.len() > KINDS_MAX {
        return Err(bad("kinds", format!("it names at most {KINDS_MAX}")));
    }
    let is_name = |kind: &String| {
        (1..=KIND_MAX).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match given.iter().all(is_name) {
        true => Ok(given),
        false => Err(bad(
            "kinds",
            "a kind is one word, such as `manager` or `owner`",
        )),
    }
}

/// Which requests to list.
pub(crate) fn filter(given: i32) -> Result<Filter, Problem> {
    match v1::RequestFilter::try_from(given) {
        Ok(v1::RequestFilter::Unspecified | v1::RequestFilter::All) => Ok(Filter::All),
        Ok(v1::RequestFilter::Mine) => Ok(Filter::Mine),
        Ok(v1::RequestFilter::ToApprove) => Ok(Filter::ToApprove),
        Ok(v1::RequestFilter::ToReview) => Ok(Filter::ToReview),
        Err(_) => Err(bad(
            "filter",
            "it is none of MINE, TO_APPROVE, TO_REVIEW and ALL; a newer broker may know it",
        )),
    }
}

/// How many requests on a page.
pub(crate) fn requests_page(given: i32) -> Result<usize, Problem> {
    page_size(given, REQUESTS_PAGE_DEFAULT, REQUESTS_PAGE_MAX)
}

/// How many events on a page.
pub(crate) fn events_page(given: i32) -> Result<usize, Problem> {
    page_size(given, EVENTS_PAGE_DEFAULT, EVENTS_PAGE_MAX)
}

fn page_size(given: i32, default: usize, max: usize) -> Result<usize, Problem> {
    match usize::try_from(given) {
        Ok(0) => Ok(default),
        Ok(size) if size <= max => Ok(size),
        _ => Err(bad(
            "page_size",
            format!("a page has 1 to {max}; 0 means {default}"),
        )),
    }
}

/// Where a page of requests starts.
pub(crate) fn request_token(given: &str) -> Result<Option<RequestId>, Problem> {
    match given {
        "" => Ok(None),
        token => token.parse().map(Some).map_err(|_| bad_token()),
    }
}

/// Where a page of events starts.
pub(crate) fn event_token(given: &str) -> Result<u64, Problem> {
    match given {
        "" => Ok(0),
        token if token.len() <= 20 && token.bytes().all(|b| b.is_ascii_digit()) => {
            token.parse().map_err(|_| bad_token())
        }
        _ => Err(bad_token()),
    }
}

fn bad_token() -> Problem {
    bad(
        "page_token",
        "it is not one that an earlier page gave; leave it empty to start again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create() -> v1::CreateRequestRequest {
        v1::CreateRequestRequest {
            scope: "prod-db-read".to_owned(),
            duration: Some(prost_types::Duration {
                seconds: 2_700,
                nanos: 0,
            }),
            reason: "INC-42: slow queries".to_owned(),
            ticket: Some("INC-42".to_owned()),
            idempotency_key: Some("run-7".to_owned()),
            run: Some("ci-7".to_owned()),
            keep_for: Some(prost_types::Duration {
                seconds: 90,
                nanos: 0,
            }),
            break_glass: false,
        }
    }

    #[test]
    fn a_whole_wish_is_taken_as_it_was_written() {
        let ask = ask(create()).unwrap();
        let wish = ask.wish;
        assert_eq!(wish.scope, "prod-db-read");
        assert_eq!(wish.duration.as_s(), 2_700);
        assert_eq!(wish.reason, "INC-42: slow queries");
        assert_eq!(wish.ticket.as_deref(), Some("INC-42"));
        assert_eq!(ask.idempotency_key.as_deref(), Some("run-7"));
        assert_eq!(ask.run.as_deref(), Some("ci-7"));
        assert_eq!(ask.keep_for_s, Some(90));
    }

    #[test]
    fn each_field_of_a_wish_is_refused_by_its_name() {
        type Spoil = fn(&mut v1::CreateRequestRequest);
        let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let durations = [
            None,
            span(0, 0),
            span(-1, 0),
            span(43_201, 0),
            span(i64::MAX, 0),
            span(i64::MIN, 0),
            span(60, 1),
            span(60, -1),
        ];
        for given in durations {
            let message = v1::CreateRequestRequest {
                duration: given,
                ..create()
            };
            refused_as("duration", message);
        }
        let spoils: [(&str, Spoil); 23] = [
            ("scope", |m| m.scope.clear()),
            ("scope", |m| m.scope = "x".repeat(65)),
            ("scope", |m| m.scope = "prod db".to_owned()),
            ("scope", |m| m.scope = "prod-db-re\u{430}d".to_owned()),
            ("reason", |m| m.reason.clear()),
            ("reason", |m| m.reason = "   ".to_owned()),
            ("reason", |m| m.reason = "x".repeat(1_025)),
            ("reason", |m| m.reason = "a\nb".to_owned()),
            ("reason", |m| m.reason = "a\u{1b}[2Jb".to_owned()),
            ("reason", |m| m.reason = "a\u{9b}2Jb".to_owned()),
            ("reason", |m| m.reason = "a\u{202e}b".to_owned()),
            ("reason", |m| m.reason = "a\u{2066}b".to_owned()),
            ("ticket", |m| m.ticket = Some(String::new())),
            ("ticket", |m| m.ticket = Some("x".repeat(65))),
            ("ticket", |m| m.ticket = Some("INC\u{200b}42".to_owned())),
            ("idempotency_key", |m| {
                m.idempotency_key = Some("x".repeat(129))
            }),
            ("idempotency_key", |m| {
                m.idempotency_key = Some("tab\there".to_owned())
            }),
            ("run", |m| m.run = Some(String::new())),
            ("run", |m| m.run = Some("x".repeat(129))),
            ("keep_for", |m| m.keep_for = kept(29, 0)),
            ("keep_for", |m| m.keep_for = kept(3_601, 0)),
            ("keep_for", |m| m.keep_for = kept(-90, 0)),
            ("keep_for", |m| m.keep_for = kept(90, 1)),
        ];
        for (field, spoil) in spoils {
            let mut message = create();
            spoil(&mut message);
            refused_as(field, message);
        }
    }

    fn kept(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos })
    }

    fn refused_as(field: &str, message: v1::CreateRequestRequest) {
        let problem = ask(message).unwrap_err();
        assert_eq!(problem.reason, Some(Reason::InvalidArgument));
        assert!(
            problem.message.starts_with(&format!("{field}: ")),
            "{}",
            problem.message
        );
        assert!(problem.message.is_ascii() || !problem.message.chars().any(is_invisible));
    }

    #[test]
    fn people_may_write_in_their_own_script() {
        for fine in ["größer", "日本語の理由", "می‌خواهم", "👩‍🚒 an incident"]
        {
            assert!(reason(fine.to_owned()).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_dry_run_needs_no_reason() {
        let message = v1::CheckAccessRequest {
            scope: "prod-db-read".to_owned(),
            duration: create().duration,
            ..v1::CheckAccessRequest::default()
        };
        assert!(dry_wish(message).is_ok());
    }

    #[test]
    fn an_id_is_whole_or_its_last_four_characters_or_more() {
        let whole = "01JD4Q7GZ8XK2M3N4P5Q6R7S8T";
        for good in [whole, "S8T9", "7F3K", "0000"] {
            assert_eq!(id(good).unwrap(), good);
        }
        let longer = format!("{whole}0");
        for bad in [
            "", "7F3", "7f3k", "7F3I", "7F3 ", "../..", "7F3K\n", &longer,
        ] {
            assert!(id(bad).is_err(), "{bad:?}");
        }
        assert!(whole_id("request_id", whole).is_ok());
        assert!(whole_id("request_id", "7F3K").is_err());
    }

    #[test]
    fn page_sizes_and_tokens_have_limits() {
        assert_eq!(requests_page(0).unwrap(), 50);
        assert_eq!(requests_page(100).unwrap(), 100);
        assert_eq!(events_page(500).unwrap(), 500);
        assert!(requests_page(101).is_err());
        assert!(requests_page(-1).is_err());
        assert!(events_page(501).is_err());
        assert_eq!(event_token("").unwrap(), 0);
        assert_eq!(event_token("18446744073709551615").unwrap(), u64::MAX);
        for bad in ["-1", "+1", "18446744073709551616", "x", "1 "] {
            assert!(event_token(bad).is_err(), "{bad}");
        }
        assert!(request_token("7F3K").is_err());
        assert_eq!(request_token("").unwrap(), None);
    }

    #[test]
    fn kinds_are_words_and_few() {
        assert!(kinds(vec!["manager".to_owned()]).is_ok());
        assert!(kinds(vec![]).is_ok());
        for bad in ["", "a b", "x\n"] {
            assert!(kinds(vec![bad.to_owned()]).is_err(), "{bad:?}");
        }
        assert!(kinds(vec!["k".to_owned(); 17]).is_err());
    }

    #[test]
    fn a_filter_from_the_future_is_refused() {
        assert_eq!(filter(0).unwrap(), Filter::All);
        assert_eq!(filter(1).unwrap(), Filter::Mine);
        assert!(filter(9).is_err());
    }

    #[test]
    fn a_digest_is_read_exactly() {
        assert!(digest(None).unwrap().is_none());
        assert!(digest(Some(&"a".repeat(64))).unwrap().is_some());
        for bad in ["", "abc", &"A".repeat(64), &"g".repeat(64)] {
            assert!(digest(Some(bad)).is_err(), "{bad}");
        }
    }
}
