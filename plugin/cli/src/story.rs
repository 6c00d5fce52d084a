//! A request told to people: one line while waiting, one row of a list, or the whole of it.

use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::principal::Kind;
use writ_api::v1::request::State;
use writ_engine::Moment;

use crate::clock::{ahead, length, to_the_second};
use crate::document::state_name;
use crate::explain;
use crate::screen::{Cell, Paint, escape, table};

/// Characters of an id that people say to each other; a list shows more where two would look alike.
pub(crate) const SHORT_MIN: usize = 4;

/// The end of an id.
pub(crate) fn short(id: &str) -> String {
    tail(id, SHORT_MIN)
}

fn tail(id: &str, length: usize) -> String {
    let skip = id.chars().count().saturating_sub(length);
    escape(&id.chars().skip(skip).collect::<String>())
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
        Some(State::Denied(_)) => Paint::bad,
        Some(State::Expired(_) | State::Withdrawn(_) | State::Lapsed(_) | State::Released(_))
        | None => Paint::faint,
    }
}

/// Where a request stands, in one line.
pub(crate) fn status(paint: Paint, request: &v1::Request) -> String {
    let id = short(&request.id);
    let name = colour(request.state.as_ref())(paint, state_name(request.state.as_ref()));
    let rest = match &request.state {
        Some(State::Pending(pending)) => {
            let until = to_the_second(pending.decide_by.as_ref());
            match pending.decision.as_ref().and_then(|it| it.outcome.as_ref()) {
                Some(Outcome::NeedsApproval(needs)) => {
                    let given = match needs.counted.is_empty() {
                        true => String::new(),
                        false => format!(" (given: {})", explain::counted(&needs.counted)),
                    };
                    format!(
                        "waiting for {}{given}; lapses {until}; approve with `writ approve {id}`",
                        explain::ways(&needs.ways)
                    )
                }
                Some(Outcome::Denial(denial)) => format!(
                    "cannot be approved under the bundle in force ({}); lapses {until}",
                    explain::why(denial.why())
                ),
                Some(Outcome::Allowed(_)) | None => format!("being decided; lapses {until}"),
            }
        }
        Some(State::Approved(approved)) => format!(
            "the window opens at the first issue; activate by {} with `writ credentials {id}`",
            to_the_second(approved.activate_by.as_ref())
        ),
        Some(State::Active(active)) => format!("the window closes {}", closes(&active.window)),
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
        None => "a state this client does not know; a newer `writ` may".to_owned(),
    };
    format!("{id} {name}: {rest}")
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
        ("for", length(request.duration.as_ref())),
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
    for approval in &request.approvals {
        fields.push((
            "consent",
            format!(
                "{} as {}, {}",
                escape(&approval.approver),
                escape(&approval.kinds.join(" and ")),
                to_the_second(approval.approved_at.as_ref())
            ),
        ));
    }
    if let Some(State::Active(active)) = &request.state {
        fields.push(("sessions", format!("{} live", active.live_sessions)));
    }
    if let Some((what, moment)) = next(request) {
        fields.push((what, format!("in {}", ahead(now, moment))));
    }
    fields.push(("digest", escape(&request.digest)));
    let mut text = format!("{}\n", status(paint, request));
    for (name, value) in fields {
        text.push_str(&format!(
            "  {} {value}\n",
            paint.faint(&format!("{name:<8}"))
        ));
    }
    if let Some(State::Pending(pending)) = &request.state
        && let Some(Outcome::Denial(denial)) =
            pending.decision.as_ref().and_then(|it| it.outcome.as_ref())
    {
        text.push_str(&explain::denial(paint, denial, None));
    }
    text
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
        | State::Released(_) => None,
    }
}

/// A list, in the order given.
pub(crate) fn list(paint: Paint, requests: &[v1::Request], now: Moment) -> String {
    let length_of_id = (SHORT_MIN..=26)
        .find(|length| {
            let mut tails: Vec<_> = requests.iter().map(|it| tail(&it.id, *length)).collect();
            tails.sort();
            tails.windows(2).all(|pair| pair.first() != pair.last())
        })
        .unwrap_or(26);
    let rows: Vec<Vec<Cell>> = requests
        .iter()
        .map(|request| {
            let next = match next(request) {
                Some((what, moment)) => format!("{what} in {}", ahead(now, moment)),
                None => String::new(),
            };
            vec![
                Cell::new(&tail(&request.id, length_of_id)),
                Cell::painted(
                    state_name(request.state.as_ref()),
                    colour(request.state.as_ref()),
                ),
                Cell::new(&request.scope),
                Cell::new(&who(request.principal.as_ref())),
                Cell::new(&length(request.duration.as_ref())),
                Cell::new(&next),
                Cell::new(&match request.reason.is_empty() {
                    true => "(erased)".to_owned(),
                    false => request.reason.clone(),
                }),
            ]
        })
        .collect();
    table(
        paint,
        &["ID", "STATE", "SCOPE", "WHO", "FOR", "NEXT", "REASON"],
        &rows,
    )
}
