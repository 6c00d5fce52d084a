//! `writ delegations`: the rights to approve that are lent.

use writ_api::v1;
use writ_engine::{Moment, RequestId};

use super::show;
use crate::clock;
use crate::context::{Context, answer};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{Cell, Paint, escape, table};
use crate::story;

/// List the rights to approve that you have lent, and those that are lent to you
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _args: Args) -> Result<Exit, Failure> {
    let delegations = list(context).await?;
    if context.json() {
        let delegations = delegations.iter().map(document::delegation).collect();
        context.print_json(&document("delegations", delegations))?;
        return Ok(Exit::Done);
    }
    if delegations.is_empty() {
        context.say("no delegations");
    }
    context.print(&rows(context.out, &delegations, clock::now()))?;
    Ok(Exit::Done)
}

async fn list(context: &Context) -> Result<Vec<v1::Delegation>, Failure> {
    let client = context.connect().await?;
    let call = v1::ListDelegationsRequest {};
    Ok(answer(client.requests().list_delegations(call))
        .await?
        .delegations)
}

/// The whole id of one, which people have the end of.
pub(super) async fn find(context: &Context, id: &str) -> Result<String, Failure> {
    let id = show::whole(id);
    if id.len() >= RequestId::LEN {
        return Ok(id);
    }
    let known = list(context).await?;
    one(&known, &id)
}

fn one(known: &[v1::Delegation], end: &str) -> Result<String, Failure> {
    let mut ending = known.iter().filter(|it| it.id.ends_with(end));
    let hint = "`writ delegations` lists yours";
    match (ending.next(), ending.next()) {
        (Some(it), None) if end.len() >= story::SHORT_MIN => Ok(it.id.clone()),
        (Some(_), Some(_)) if end.len() >= story::SHORT_MIN => Err(Failure::usage(format!(
            "more than one delegation ends in `{}`; give more of it",
            escape(end)
        ))
        .hint(hint)),
        _ => Err(
            Failure::error(format!("there is no delegation `{}` of yours", escape(end))).hint(hint),
        ),
    }
}

/// In a table, in the order given.
pub(crate) fn rows(paint: Paint, delegations: &[v1::Delegation], now: Moment) -> String {
    let ids: Vec<&str> = delegations.iter().map(|it| it.id.as_str()).collect();
    let length = story::telling_apart(&ids);
    let rows: Vec<Vec<Cell>> = delegations
        .iter()
        .map(|it| {
            let begins = clock::moment(it.opens_at.as_ref()).is_none_or(|opens| opens > now);
            let next = match begins {
                true => format!("begins in {}", clock::ahead(now, it.opens_at.as_ref())),
                false => format!("ends in {}", clock::ahead(now, it.closes_at.as_ref())),
            };
            vec![
                Cell::new(&story::tail(&it.id, length)),
                Cell::new(&it.lender),
                Cell::new(&it.delegate),
                Cell::new(&clock::to_the_second(it.opens_at.as_ref())),
                Cell::new(&clock::to_the_second(it.closes_at.as_ref())),
                Cell::new(&next),
                Cell::new(match it.reason.is_empty() {
                    true => "(erased)",
                    false => &it.reason,
                }),
            ]
        })
        .collect();
    table(
        paint,
        &[
            "ID", "LENDER", "STAND-IN", "FROM", "UNTIL", "NEXT", "REASON",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegation_is_found_by_the_end_of_its_id_where_only_one_ends_so() {
        let known: Vec<_> = ["01KB7V3ZKQ8Y6T5R4E3W2Q7F3K", "01KB7V3ZKQ8Y6T5R4E3W2R7F3K"]
            .iter()
            .map(|id| v1::Delegation {
                id: (*id).to_owned(),
                ..v1::Delegation::default()
            })
            .collect();
        assert_eq!(one(&known, "R7F3K").unwrap(), "01KB7V3ZKQ8Y6T5R4E3W2R7F3K");
        for (end, code) in [("7F3K", 2), ("ZZZZ", 1), ("F3K", 1), ("", 1)] {
            assert_eq!(one(&known, end).unwrap_err().exit.code(), code, "{end}");
        }
    }
}
