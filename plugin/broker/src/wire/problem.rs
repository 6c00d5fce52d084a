//! The one place where a refusal gets its reason code, its words, and what would work.

use prost::Message as _;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_engine::decide::{Denied, Nearest, NeedsApproval, Unmet, Way, Why};

use super::decision;
use crate::desk::{Act, Refused};
use crate::limits::{ERROR_DETAILS_MAX, ERROR_MESSAGE_MAX};

/// The most people a sentence names; the details name more.
const NAMED_MAX: usize = 5;

/// What a refused call was about, as its caller named it and `fields` let it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A request, by its id or the end of it.
    Request(String),
    /// A scope.
    Scope(String),
    /// A right to approve that is lent.
    Delegation,
    /// The journal, or nothing in particular.
    Nothing,
}

/// Where it stands who else could.
const MAY_REVIEW: &str = "the bundle's `review` policies say who can";

/// The refusal as it travels.
pub(crate) fn problem(refused: Refused, about: &About) -> Problem {
    let id = match about {
        About::Request(id) => id.as_str(),
        About::Scope(_) | About::Delegation | About::Nothing => "ID",
    };
    let problem = match refused {
        Refused::NotFound => not_found(about),
        Refused::Field(field, why) => {
            Problem::new(Reason::InvalidArgument, format!("{field}: {why}"))
        }
        Refused::Policy(denied) => by_policy(&denied, about),
        Refused::NeedsApproval(needs) => Problem::new(
            Reason::NeedsApproval,
            format!("{} {}", subject(about), needs_words(&needs)),
        )
        .hint(format!(
            "ask one of those who can approve, then run `writ show {id}`"
        ))
        .needs_approval(decision::needs_approval(&needs)),
        Refused::NotPermitted(act) => not_permitted(act, about, id),
        Refused::SelfApproval => Problem::new(
            Reason::SelfApproval,
            "nobody approves their own request, whichever identity they use",
        )
        .hint(format!("`writ show {id}` names who else can approve it")),
        Refused::SelfReview => Problem::new(
            Reason::SelfApproval,
            "nobody closes the post-review of their own emergency, whichever identity they use",
        )
        .hint(MAY_REVIEW),
        Refused::OtherRun => Problem::new(
            Reason::NotPermitted,
            format!("{} was made by another run of this job", subject(about)),
        )
        .hint("each run makes a request of its own; `writ request` makes one for this run"),
        Refused::AlreadyApproved => Problem::new(
            Reason::AlreadyApproved,
            format!("you have approved {} already", subject(about)),
        )
        .hint(format!("`writ show {id}` says what is still missing")),
        Refused::WrongState(state) => Problem::new(
            Reason::WrongState,
            format!("{} is {state}, so this cannot be done", subject(about)),
        )
        .hint(after(state)),
        Refused::DigestMismatch => Problem::new(
            Reason::DigestMismatch,
            format!("the digest is not that of {}", subject(about)),
        )
        .hint(format!(
            "look at it again with `writ show {id}`, then approve what it shows"
        )),
        Refused::IdempotencyKeyReused => Problem::new(
            Reason::IdempotencyKeyReused,
            "idempotency_key: it was used for another wish",
        )
        .hint("use a new key for a new wish, and the old one only to repeat the old wish"),
        Refused::TooManyOpenRequests => Problem::new(
            Reason::TooManyOpenRequests,
            "you have as many open requests as one principal may have",
        )
        .hint("`writ requests --mine` lists them; `writ withdraw ID` takes one back"),
        Refused::TooManySessions => Problem::new(
            Reason::TooManySessions,
            format!(
                "{} has as many sessions as one grant may have",
                subject(about)
            ),
        )
        .hint("use the credentials given last, or wait until a session has ended"),
        Refused::TooManyExtensions => Problem::new(
            Reason::TooManyExtensions,
            format!(
                "{} was asked to be longer as often as a window may be",
                subject(about)
            ),
        )
        .hint("`writ request` asks for a new window"),
        Refused::TooManyDelegations => Problem::new(
            Reason::TooManyDelegations,
            "you have lent your right to as many people as one person may",
        )
        .hint("`writ delegations` lists them; `writ delegate --end ID` takes one back"),
        Refused::NothingToReview => Problem::new(
            Reason::WrongState,
            format!("{} owes no post-review", subject(about)),
        )
        .hint("`writ requests --to-review` lists those that do"),
        Refused::Journal => Problem::new(
            Reason::JournalUnavailable,
            "the journal cannot record now, and what is not recorded does not happen",
        )
        .hint("try again in a moment; if it lasts, tell whoever runs the broker"),
        Refused::StorageLow => Problem::new(
            Reason::StorageLow,
            "the journal's disk is nearly full, and what is left is kept for releases and denials",
        )
        .hint("tell whoever runs the broker to make room; nothing has to be restarted"),
        Refused::ClockBehind => Problem::new(
            Reason::ClockBehind,
            "the broker's clock cannot be trusted, so nothing is issued",
        )
        .hint("tell whoever runs the broker to set its clock right"),
        Refused::AwsRefused(code) => Problem::new(
            Reason::AwsRefused,
            format!("aws refused the session: `{code}`"),
        )
        .hint("whoever owns the scope can compare its role's trust policy with the broker's role")
        .aws_code(code),
        Refused::AwsUnavailable(code) => Problem::new(
            Reason::AwsUnavailable,
            format!("aws gave no session now: `{code}`"),
        )
        .hint("try again in a moment; your window has not been shortened by another's fault")
        .aws_code(code),
        Refused::ShuttingDown => shutting_down(),
    };
    bounded(problem)
}

/// The broker is going down.
pub(crate) fn shutting_down() -> Problem {
    Problem::new(
        Reason::ShuttingDown,
        "the broker is going down for a moment",
    )
    .hint("try again in a few seconds")
}

fn subject(about: &About) -> String {
    match about {
        About::Request(id) => format!("request `{id}`"),
        About::Scope(scope) => format!("`{scope}`"),
        About::Delegation => "the delegation".to_owned(),
        About::Nothing => "it".to_owned(),
    }
}

fn not_permitted(act: Act, about: &About, id: &str) -> Problem {
    let (said, hint) = match act {
        Act::Approve => (
            format!("the policy does not let you decide {}", subject(about)),
            format!("`writ show {id}` names who can approve it"),
        ),
        Act::GoOn => (
            format!("{} is somebody else's", subject(about)),
            "only who made a request goes on with it or gives it back; `writ revoke` ends what another has"
                .to_owned(),
        ),
        Act::Lend => (
            "the policy does not let you lend your right to approve to this person".to_owned(),
            "the bundle's `delegate` policies name the pairs it lets".to_owned(),
        ),
        Act::Review => (
            format!("the policy does not let you close the post-review of {}", subject(about)),
            MAY_REVIEW.to_owned(),
        ),
        Act::Revoke => (
            format!("the policy does not let you revoke {}", subject(about)),
            "the bundle's `revoke` policies say who can".to_owned(),
        ),
    };
    Problem::new(Reason::NotPermitted, said).hint(hint)
}

fn not_found(about: &About) -> Problem {
    match about {
        About::Request(id) => Problem::new(
            Reason::NotFound,
            format!("there is no request `{id}`, or you may not see it"),
        )
        .hint("`writ requests` lists those you may see; more characters of the id tell two apart"),
        About::Scope(scope) => Problem::new(
            Reason::NotFound,
            format!("there is no scope `{scope}`, or nothing gives it to you"),
        )
        .hint("`writ scopes` lists those you may ask for"),
        About::Delegation => Problem::new(
            Reason::NotFound,
            "there is no such delegation, or it is not yours",
        )
        .hint("`writ delegations` lists yours"),
        About::Nothing => Problem::new(
            Reason::NotFound,
            "there is no such thing, or you may not see it",
        ),
    }
}

/// What is left to do once a request is at a step.
fn after(state: &str) -> &'static str {
    match state {
        "PENDING" => "it has to be approved first; `writ show` says by whom",
        "APPROVED" => "`writ credentials` opens its window",
        "ACTIVE" => "its window is open; `writ release` gives the rest of it back",
        _ => "it has ended; `writ request` makes a new one",
    }
}

fn by_policy(denied: &Denied, about: &About) -> Problem {
    let what = subject(about);
    let message = match &denied.why {
        Why::Ended(state) => format!("{what} has ended: it is {state}"),
        Why::Unknown => {
            format!("{what} is refused: the bundle in force no longer has this scope or principal")
        }
        Why::Forbidden(unmet) => format!("{what} is forbidden by {}", findings(unmet, "where")),
        Why::Errored(_) => format!(
            "{what} is refused: a guardrail could not be evaluated, and then nobody gets in"
        ),
        Why::Unmet(unmet) => format!("{what} is refused: {}", findings(unmet, "asks for")),
        Why::NoPolicy => format!("{what} is refused: no policy gives it to you"),
    };
    let advice = match &denied.why {
        Why::Forbidden(unmet) | Why::Unmet(unmet) => {
            unmet.iter().find_map(|unmet| unmet.advice.clone())
        }
        Why::Errored(_) => {
            Some("tell the owners of the policies; the broker's log names the guardrail".to_owned())
        }
        Why::Ended(_) | Why::Unknown | Why::NoPolicy => None,
    };
    let nearest = denied.nearest.as_ref().map(nearest_words);
    let hint = [advice, nearest]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ");
    let problem = Problem::new(Reason::RefusedByPolicy, message).denial(decision::denial(denied));
    match hint.is_empty() {
        true => problem.hint("`writ scopes` lists what you may ask for"),
        false => problem.hint(hint),
    }
}

/// The first policy concerned with its first condition, and how many more there are.
fn findings(unmet: &[Unmet], verb: &str) -> String {
    let Some(first) = unmet.first() else {
        return "a policy that names nothing".to_owned();
    };
    let place = &first.policy;
    let mut words = format!("`{}` ({}:{})", place.id, place.file, place.line);
    if let Some(condition) = first.conditions.first() {
        words.push_str(&format!(" {verb} `{}`", condition.text));
        let values: Vec<String> = condition
            .values
            .iter()
            .map(|(path, value)| format!("{path} is {value}"))
            .collect();
        if !values.is_empty() {
            words.push_str(&format!(", but {}", values.join(", ")));
        }
    }
    match unmet.len() {
        0 | 1 => {}
        2 => words.push_str("; one more policy stands in the way"),
        more => words.push_str(&format!("; {} more policies stand in the way", more - 1)),
    }
    words
}

fn nearest_words(nearest: &Nearest) -> String {
    let mut words = format!("ask for {}", nearest.duration);
    if nearest.add_ticket {
        words.push_str(" with a ticket");
    }
    if let Some(way) = nearest.ways.first() {
        words.push_str(&format!("; that needs {}", way_words(way)));
    }
    words
}

fn needs_words(needs: &NeedsApproval) -> String {
    match needs.ways.first() {
        Some(way) => format!("needs {}", way_words(way)),
        None => "needs approvals that nobody can give".to_owned(),
    }
}

/// `1 manager (pat) and 2 security (kim, lee and others)`.
fn way_words(way: &Way) -> String {
    let needs: Vec<String> = way
        .needs
        .iter()
        .map(|(kind, count)| match way.who.get(kind) {
            None => format!("{count} {kind}"),
            Some(who) => {
                let mut people: Vec<&str> = who
                    .people
                    .iter()
                    .take(NAMED_MAX)
                    .map(|person| person.as_str())
                    .collect();
                if who.more || who.people.len() > NAMED_MAX {
                    people.push("others");
                }
                match people.is_empty() {
                    true => format!("{count} {kind} (nobody can)"),
                    false => format!("{count} {kind} ({})", people.join(", ")),
                }
            }
        })
        .collect();
    let words = needs.join(" and ");
    match way.feasible {
        true => words,
        false => format!("{words}, more people than there are"),
    }
}

/// Cuts what would not fit into the trailers, whole findings and whole ways at a time: an explanation that breaks the
/// connection explains nothing.
fn bounded(mut problem: Problem) -> Problem {
    truncate(&mut problem.message);
    if let Some(hint) = &mut problem.hint {
        truncate(hint);
    }
    if let Some(denial) = &mut problem.denial {
        cut_denial(denial);
    }
    if let Some(needs) = &mut problem.needs_approval {
        cut(&mut needs.ways, ERROR_DETAILS_MAX);
    }
    problem
}

fn truncate(text: &mut String) {
    if text.len() > ERROR_MESSAGE_MAX {
        let end = text.floor_char_boundary(ERROR_MESSAGE_MAX);
        text.truncate(end);
        text.push('…');
    }
}

fn cut_denial(denial: &mut v1::Denial) {
    if let Some(nearest) = &mut denial.nearest {
        cut(&mut nearest.ways, ERROR_DETAILS_MAX / 3);
    }
    let rest = denial.nearest.as_ref().map_or(0, |it| it.encoded_len());
    let mut left = ERROR_DETAILS_MAX.saturating_sub(rest);
    denial.findings.retain(|finding| {
        let size = finding.encoded_len() + 4;
        let fits = size <= left;
        left = if fits { left - size } else { 0 };
        fits
    });
}

/// Keeps the first ways that fit into `max` bytes, with fewer people named where a way is too long by itself.
fn cut(ways: &mut Vec<v1::Way>, max: usize) {
    let mut left = max;
    ways.retain_mut(|way| {
        if way.encoded_len() > left {
            for need in &mut way.needs {
                need.more |= need.people.len() > NAMED_MAX;
                need.people.truncate(NAMED_MAX);
            }
        }
        let size = way.encoded_len() + 4;
        let fits = size <= left;
        left = if fits { left - size } else { 0 };
        fits
    });
}

#[cfg(test)]
mod tests;
