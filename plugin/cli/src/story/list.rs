//! Requests in a table.

use writ_api::v1;
use writ_engine::Moment;

use super::{colour, emergency, extension, next, revocation, tail, telling_apart, who};
use crate::clock::{ahead, length};
use crate::document::state_name;
use crate::screen::{Cell, Paint, table};

/// A list, in the order given.
pub(crate) fn list(paint: Paint, requests: &[v1::Request], now: Moment) -> String {
    let ids: Vec<&str> = requests.iter().map(|it| it.id.as_str()).collect();
    let length_of_id = telling_apart(&ids);
    let rows: Vec<Vec<Cell>> = requests
        .iter()
        .map(|request| {
            let state = state_name(request.state.as_ref());
            vec![
                Cell::new(&tail(&request.id, length_of_id)),
                match &request.break_glass {
                    Some(_) => Cell::painted(&format!("{state} {}", emergency::MARK), Paint::bad),
                    None => Cell::painted(state, colour(request.state.as_ref())),
                },
                Cell::new(&request.scope),
                Cell::new(&who(request.principal.as_ref())),
                Cell::new(&extension::in_short(request)),
                Cell::new(&coming(request, now)),
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

/// What is to come of it: by itself, by people, and at AWS.
fn coming(request: &v1::Request, now: Moment) -> String {
    let wish = request.extension.as_ref();
    let wish = wish.map(|it| format!("asks for {} in all", length(it.duration.as_ref())));
    let next = next(request).map(|(what, moment)| format!("{what} in {}", ahead(now, moment)));
    let ending = request.revocation.as_ref();
    let ending = ending.map(|it| revocation::in_short(it).to_owned());
    let review = emergency::in_short(request, now);
    let parts = [wish, next, ending, review].into_iter().flatten();
    parts.collect::<Vec<_>>().join("; ")
}
