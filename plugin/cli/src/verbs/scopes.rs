//! `writ scopes`: what can be asked for.

use writ_api::v1;

use crate::clock;
use crate::context::{Context, answer};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::explain;
use crate::failure::Failure;
use crate::screen::{Cell, Paint, table};

/// List the scopes you could ask for, with the longest window and what it needs
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those whose name, description, system or environment has this text in it
    search: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let mut scopes = answer(client.scopes().list_scopes(v1::ListScopesRequest {}))
        .await?
        .scopes;
    if let Some(search) = &args.search {
        let wanted = search.to_lowercase();
        scopes.retain(|scope| {
            [
                &scope.name,
                &scope.description,
                &scope.system,
                &scope.environment,
            ]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
        });
    }
    if context.json() {
        context.print_json(&document(
            "scopes",
            scopes.iter().map(document::scope).collect(),
        ))?;
        return Ok(Exit::Done);
    }
    if scopes.is_empty() {
        context.say("no scopes");
    }
    context.print(&list(context.out, &scopes))?;
    Ok(Exit::Done)
}

/// One row for each way to have a scope: without a ticket, with one where that makes a difference, and in an emergency.
pub(crate) fn list(paint: Paint, scopes: &[v1::Scope]) -> String {
    let mut rows = Vec::new();
    for scope in scopes {
        let mut row = |longest: Option<&v1::Longest>, how: &str| {
            let (length, needs) = match longest {
                Some(longest) => (
                    clock::length(longest.duration.as_ref()),
                    match longest.ways.is_empty() {
                        true => "at once".to_owned(),
                        false => explain::ways(&longest.ways),
                    },
                ),
                None => ("-".to_owned(), "not available to you now".to_owned()),
            };
            rows.push(vec![
                Cell::painted(&scope.name, Paint::strong),
                Cell::new(&scope.environment),
                Cell::new(&length),
                Cell::new(&format!("{needs}{how}")),
                Cell::new(&scope.description),
            ]);
        };
        let ways = [
            (&scope.without_ticket, ""),
            (&scope.with_ticket, "; with a ticket"),
            (
                &scope.break_glass,
                "; only in an emergency, with --break-glass",
            ),
        ];
        if ways.iter().all(|(longest, _)| longest.is_none()) {
            row(None, "");
        }
        for (longest, how) in ways {
            if longest.is_some() {
                row(longest.as_ref(), how);
            }
        }
    }
    table(
        paint,
        &["SCOPE", "ENVIRONMENT", "LONGEST", "NEEDS", "DESCRIPTION"],
        &rows,
    )
}
