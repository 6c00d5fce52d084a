//! A request told to people: one line while waiting, one row of a list, or the whole of it.

pub(crate) mod emergency;
pub(crate) mod extension;
mod list;
pub(crate) mod revocation;

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::principal::Kind;
use writ_api::v1::request::State;
use writ_engine::{Moment, RequestId};

use crate::clock::{ahead, length, to_the_second};
use crate::document::state_name;
use crate::explain;
use crate::screen::{Paint, escape, names};
pub(crate) use list::list;

/// Characters of an id that people say to each other; a list shows more where two would look alike.
pub(crate) const SHORT_MIN: usize = 4;

/// The end of an id.
pub(crate) fn short(id: &str) -> String {
    tail(id, SHORT_MIN)
}

/// So many last characters of an id.
pub(crate) fn tail(id: &str, length: usize) -> String {
    let skip = id.chars().count().saturating_sub(length);
    escape(&id.chars().skip(skip).collect::<String>())
}

/// How many last characters of ids tell them apart.
pub(crate) fn telling_apart(ids: &[&str]) -> usize {
    (SHORT_MIN..=RequestId::LEN)
        .find(|length| {
            let mut tails: Vec<_> = ids.iter().map(|id| tail(id, *length)).collect();
            tails.sort();
            tails.windows(2).all(|pair| pair.first() != pair.last())
        })
        .unwrap_or(RequestId::LEN)
}

/// Who asks: `mia`, or `payments-ci (for mia)`.
pub(crate) fn who(principal: Option<&v1::Principal>) -> String {
    let Some(principal) = principal else {
        return "?".to_owned();
    };
    match &principal.kind {
        Some(Kind::User(name)) => name.clone(),
        Some(Kind::Workload(name)) => format!("{name} (for {})", principal.person),
        None => "?".to_owned(),
    }
}

fn colour(state: Option<&State>) -> fn(Paint, &str) -> String {
    match state {
        Some(State::Pending(_)) => Paint::waiting,
        Some(State::Approved(_) | State::Active(_)) => Paint::good,
        Some(State::Denied(_) | State::Revoked(_)) => Paint::bad,
        Some(State::Expired(_) | State::Withdrawn(_) | State::Lapsed(_) | State::Released(_))
        | None => Paint::faint,
    }
}

/// Where a request stands, in one line.
pub(crate) fn status(paint: Paint, request: &v1::Request) -> String {
    let id = short(&request.id);
    let name = colour(request.state.as_ref())(paint, state_name(request.state.as_ref()));
    let less = match extension::narrowed(request) {
        less if less.is_empty() => less,
        less => format!("for {}{less}; ", length(request.duration.as_ref())),
    };
    let rest = match &request.state {
        Some(State::Pending(pending)) => {
            let until = to_the_second(pending.decide_by.as_ref());
            let waits = waiting(pending.decision.as_ref());
            match outcome(pending.decision.as_ref()) {
                Some(Outcome::NeedsApproval(_)) => {
                    format!("{less}{waits}; lapses {until}; approve with `writ approve {id}`")
                }
                Some(Outcome::Denial(_) | Outcome::Allowed(_)) | None => {
                    format!("{less}{waits}; lapses {until}")
                }
            }
        }
        Some(State::Approved(approved)) => format!(
            "{less}the window opens at the first issue; activate by {} with `writ credentials {id}`",
            to_the_second(approved.activate_by.as_ref())
        ),
        Some(State::Active(active)) => format!(
            "the window closes {}{}",
            closes(&active.window),
            extension::in_status(request, &id)
        ),
        Some(State::Expired(expired)) => format!("the window closed {}", closes(&expired.window)),
        Some(State::Denied(denied)) => format!(
            "{} said no: {}",
            escape(&denied.approver),
            text_or_erased(&denied.reason)
        ),
        Some(State::Withdrawn(it)) => {
            format!("taken back {}", to_the_second(it.withdrawn_at.as_ref()))
        }
        Some(State::Lapsed(it)) => format!(
            "not decided or not activated in time, {}",
            to_the_second(it.lapsed_at.as_ref())
        ),
        Some(State::Released(it)) => {
            format!("given back {}", to_the_second(it.released_at.as_ref()))
        }
        Some(State::Revoked(it)) => format!(
            "{} ended it {}: {}",
            escape(&it.by),
            to_the_second(it.revoked_at.as_ref()),
            text_or_erased(&it.reason)
        ),
        None => "a state this client does not know; a newer `writ` may".to_owned(),
    };
    let mark = match &request.break_glass {
        Some(_) => format!(" {}", paint.bad(emergency::MARK)),
        None => String::new(),
    };
    format!(
        "{id} {name}{mark}: {rest}{}",
        emergency::in_status(request, &id)
    )
}

fn outcome(decision: Option<&v1::Decision>) -> Option<&Outcome> {
    decision.and_then(|decision| decision.outcome.as_ref())
}

/// What something that is undecided waits for.
fn waiting(decision: Option<&v1::Decision>) -> String {
    match outcome(decision) {
        Some(Outcome::NeedsApproval(needs)) => {
            let given = match needs.counted.is_empty() {
                true => String::new(),
                false => format!(" (given: {})", explain::counted(&needs.counted)),
            };
            format!("waiting for {}{given}", explain::ways(&needs.ways))
        }
        Some(Outcome::Denial(denial)) => format!(
            "cannot be approved under the bundle in force ({})",
            explain::why(denial.why())
        ),
        Some(Outcome::Allowed(_)) | None => "being decided".to_owned(),
    }
}

/// One person's consent: `lee as owner on behalf of pat, 2026-11-21T09:00:30Z`.
fn consent(approval: &v1::Approval) -> String {
    let lent = match &approval.on_behalf_of {
        Some(lender) => format!(" on behalf of {}", escape(lender)),
        None => String::new(),
    };
    format!(
        "{} as {}{lent}, {}",
        escape(&approval.approver),
        escape(&approval.kinds.join(" and ")),
        to_the_second(approval.approved_at.as_ref())
    )
}

fn closes(window: &Option<v1::Window>) -> String {
    to_the_second(window.as_ref().and_then(|window| window.closes_at.as_ref()))
}

fn text_or_erased(text: &str) -> String {
    match text.is_empty() {
        true => "(erased)".to_owned(),
        false => escape(text),
    }
}

/// The whole of it.
pub(crate) fn whole(paint: Paint, request: &v1::Request, now: Moment) -> String {
    let mut fields = vec![
        ("id", escape(&request.id)),
        ("scope", escape(&request.scope)),
        ("who", escape(&who(request.principal.as_ref()))),
        ("for", extension::lengths(request)),
        ("reason", text_or_erased(&request.reason)),
    ];
    if let Some(ticket) = &request.ticket {
        fields.push(("ticket", escape(ticket)));
    }
    fields.push(("asked", to_the_second(request.requested_at.as_ref())));
    if let Some(principal) = &request.principal {
        let mut claims: Vec<_> = principal.claims.iter().collect();
        claims.sort();
        for (name, value) in claims {
            fields.push(("claim", format!("{} = {}", escape(name), escape(value))));
        }
    }
    fields.extend(request.approvals.iter().map(|it| ("consent", consent(it))));
    if let Some(it) = &request.escalation {
        fields.push(("also", asked_next(it)));
    }
    if let Some(State::Active(active)) = &request.state {
        fields.push(("sessions", format!("{} live", active.live_sessions)));
    }
    if let Some((what, moment)) = next(request) {
        fields.push((what, format!("in {}", ahead(now, moment))));
    }
    fields.push(("digest", escape(&request.digest)));
    let mut text = format!("{}\n", status(paint, request));
    text.push_str(&lines(paint, 2, &fields));
    let mut block = |name: &str, fields: &[(&str, String)]| {
        text.push_str(&format!("  {}\n", paint.strong(name)));
        text.push_str(&lines(paint, 4, fields));
    };
    if let Some(it) = &request.extension {
        block("a longer window", &extension::fields(request, it));
    }
    if let Some(it) = &request.break_glass {
        block("break-glass", &emergency::fields(request, it, now));
    }
    if let Some(it) = &request.revocation {
        text.push_str(&lines(paint, 2, &[("at AWS", revocation::progress(it))]));
    }
    let undecided = match (&request.state, &request.extension) {
        (Some(State::Pending(pending)), _) => pending.decision.as_ref(),
        (_, Some(extension)) => extension.decision.as_ref(),
        (_, None) => None,
    };
    if let Some(Outcome::Denial(denial)) = outcome(undecided) {
        text.push_str(&explain::denial(paint, denial, None));
    }
    text
}

fn lines(paint: Paint, indent: usize, fields: &[(&str, String)]) -> String {
    let margin = " ".repeat(indent);
    fields
        .iter()
        .map(|(name, value)| format!("{margin}{} {value}\n", paint.faint(&format!("{name:<8}"))))
        .collect()
}

/// Whom the scope asks next: `asked next since 2026-11-21T10:30:00Z: platform-leads: ann, bob`.
fn asked_next(it: &v1::Escalation) -> String {
    let people = match it.people.is_empty() {
        true => "nobody of it may approve this".to_owned(),
        false => names(&it.people),
    };
    format!(
        "asked next since {}: {}: {people}",
        to_the_second(it.since.as_ref()),
        escape(&it.group)
    )
}

/// What happens to it next by itself, and when.
fn next(request: &v1::Request) -> Option<(&'static str, Option<&prost_types::Timestamp>)> {
    match request.state.as_ref()? {
        State::Pending(pending) => Some(("lapses", pending.decide_by.as_ref())),
        State::Approved(approved) => Some(("lapses", approved.activate_by.as_ref())),
        State::Active(active) => Some((
            "closes",
            active.window.as_ref().and_then(|it| it.closes_at.as_ref()),
        )),
        State::Expired(_)
        | State::Denied(_)
        | State::Withdrawn(_)
        | State::Lapsed(_)
        | State::Released(_)
        | State::Revoked(_) => None,
    }
}
