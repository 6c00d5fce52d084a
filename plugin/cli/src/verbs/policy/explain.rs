//! `writ policy explain`: one policy, and what it does.

use std::path::PathBuf;

use serde_json::json;
use writ_engine::access::explain::{Explained, explain};
use writ_engine::access::{AccessTable, WhoKind};

use super::load;
use super::table::{First, render};
use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{Paint, escape};

/// Explain one policy: what it says, whom and what its head lets through, and what it gives
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The policy's `@id`
    id: String,
    /// The bundle's folder
    #[arg(default_value = "policies")]
    folder: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (_, bundle) = load(context, &args.folder)?;
    let found = explain(&bundle, &args.id).ok_or_else(|| {
        Failure::error(format!("the bundle has no policy `{}`", args.id))
            .hint("use its `@id`; `writ policy who-can SCOPE` names the policies of a scope")
    })?;
    match context.json() {
        true => context.print_json(&document("policy", json!(found)))?,
        false => context.print(&text(context.out, &found))?,
    }
    Ok(Exit::Done)
}

/// How many people and scopes are named in a line.
const NAMES_MAX: usize = 20;

fn text(paint: Paint, of: &Explained) -> String {
    let place = format!("({}:{})", of.policy.file, of.policy.line);
    let mut text = format!(
        "{} {} {}\n",
        if of.forbids {
            paint.bad("forbid")
        } else {
            paint.good("permit")
        },
        paint.strong(&escape(&of.policy.id)),
        paint.faint(&escape(&place))
    );
    let people = of.principals.iter().map(|who| match who.kind {
        WhoKind::User => who.name.clone(),
        WhoKind::Workload => format!("workload {}", who.name),
    });
    let scopes = of.scopes.iter().map(|scope| scope.to_string());
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!(
                "  {}  {}\n",
                paint.faint(&format!("{name:<7}")),
                escape(value)
            ));
        }
    };
    line("says", of.description.as_deref().unwrap_or_default());
    line("advice", of.advice.as_deref().unwrap_or_default());
    line("about", &of.about.join(", "));
    line("who", &limited(people.collect()));
    line("what", &limited(scopes.collect()));
    for condition in &of.conditions {
        line("if", condition);
    }
    if !of.gives.is_empty() {
        let table = AccessTable {
            rows: of.gives.clone(),
            evaluations: 0,
        };
        text.push_str(&format!("\n{}", render(paint, &table, First::Principals)));
    }
    text
}

fn limited(names: Vec<String>) -> String {
    if names.is_empty() {
        return "nobody and nothing".to_owned();
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown: Vec<String> = names.into_iter().take(NAMES_MAX).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
