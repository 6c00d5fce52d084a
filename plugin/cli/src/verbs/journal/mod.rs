//! `writ journal`: the record, from the broker or offline from its file.

mod offline;

use std::pin::pin;

use tokio_stream::StreamExt as _;
use writ_api::v1;

use super::show;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::screen::{Paint, escape};
use crate::story;

pub(crate) use offline::{damaged, verifying_key};

/// Read and verify the record
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List the events you may see, oldest first
    List {
        /// Only those of one request: its id or its end
        #[arg(long, value_name = "ID")]
        request: Option<String>,
        /// Show no more than this many
        #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
        limit: usize,
    },
    /// List the events you may see, and each new one as it becomes durable
    Follow {
        /// Start at this sequence number
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
        from: u64,
    },
    /// Print the journal's signed head; keep it, it finds a truncation later
    Checkpoint,
    Verify(offline::VerifyArgs),
    Erase(offline::EraseArgs),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.verb {
        Verb::List { request, limit } => list(context, request, limit).await,
        Verb::Follow { from } => follow(context, from).await,
        Verb::Checkpoint => checkpoint(context).await,
        Verb::Verify(args) => offline::verify(context, &args),
        Verb::Erase(args) => offline::erase(context, &args).await,
    }
}

async fn list(context: &Context, request: Option<String>, limit: usize) -> Result<Exit, Failure> {
    // The broker wants the whole id here; people have the end of it.
    let request_id = match request {
        Some(id) => show::get(context, &id).await?.id,
        None => String::new(),
    };
    let client = context.connect().await?;
    let mut events = Vec::new();
    let mut page_token = String::new();
    while events.len() < limit {
        let call = v1::ListEventsRequest {
            page_size: 0,
            page_token,
            request_id: request_id.clone(),
        };
        let page = answer(client.journal().list_events(call)).await?;
        events.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let more = events.len() > limit || !page_token.is_empty();
    events.truncate(limit);
    if context.json() {
        let mut it = document("events", events.iter().map(document::event).collect());
        if let Some(fields) = it.as_object_mut() {
            fields.insert("more".to_owned(), more.into());
        }
        context.print_json(&it)?;
        return Ok(Exit::Done);
    }
    let text: String = events.iter().map(|it| line(context.out, it)).collect();
    context.print(&text)?;
    if more {
        context.say(&format!(
            "there are more than {limit}; see them with `--limit`"
        ));
    }
    Ok(Exit::Done)
}

async fn follow(context: &Context, mut from: u64) -> Result<Exit, Failure> {
    let mut patience = Patience::new();
    loop {
        let ended = follow_once(context, &mut from, &mut patience).await;
        patience.pause(context, ended).await?;
    }
}

async fn follow_once(
    context: &Context,
    from: &mut u64,
    patience: &mut Patience,
) -> Result<(), Failure> {
    let client = context.connect().await?;
    let call = v1::FollowEventsRequest {
        from_sequence: *from,
    };
    let events = answer(client.journal().follow_events(call)).await?;
    patience.heard(context);
    let mut events = pin!(events);
    while let Some(next) = events.next().await {
        let event = promised(next.map_err(Failure::from)?.event, "event")?;
        match context.json() {
            // One document a line, so that a reader need not wait for the end.
            true => context.print_json_line(&document("event", document::event(&event)))?,
            false => context.print(&line(context.out, &event))?,
        }
        *from = event.sequence.saturating_add(1);
    }
    Ok(())
}

async fn checkpoint(context: &Context) -> Result<Exit, Failure> {
    let client = context.connect().await?;
    let head = answer(client.journal().get_checkpoint(v1::GetCheckpointRequest {})).await?;
    if context.json() {
        context.print_json(&document(
            "checkpoint",
            serde_json::json!({ "note": head.note, "verifying_key": head.verifying_key }),
        ))?;
        return Ok(Exit::Done);
    }
    // The note is signed as it is, to the last line feed; it is data for `verify`, not a text for people.
    context.print(&head.note)?;
    context.say(&format!("verifying key: {}", escape(&head.verifying_key)));
    Ok(Exit::Done)
}

/// One event: its place, moment, kind, request, and what people wrote.
pub(crate) fn line(paint: Paint, event: &v1::Event) -> String {
    let mut text = format!(
        "{} {} {}",
        paint.faint(&format!("{:>6}", event.sequence)),
        clock::to_the_second(event.at.as_ref()),
        colour(paint, &event.kind)
    );
    if !event.request_id.is_empty() {
        text.push_str(&format!(" {}", story::short(&event.request_id)));
    }
    if let Some(who) = who(&event.canonical) {
        text.push_str(&format!(" {}", escape(&who)));
    }
    for it in &event.texts {
        text.push_str(&format!(" \"{}\"", escape(&it.text)));
    }
    text.push('\n');
    text
}

fn colour(paint: Paint, kind: &str) -> String {
    let padded = format!("{:<14}", escape(kind));
    match kind {
        "refused" | "denied" | "issue_failed" | "issue_unknown" => paint.bad(&padded),
        "approved" | "issued" => paint.good(&padded),
        "requested" => paint.waiting(&padded),
        _ => padded,
    }
}

/// Who did it and to what, as far as the canonical bytes say in words.
fn who(canonical: &[u8]) -> Option<String> {
    let event = writ_engine::event::Event::from_canonical(canonical).ok()?;
    use writ_engine::event::Fact;
    Some(match event.fact {
        Fact::BundleLoaded { bundle, commit } => match commit {
            Some(commit) => format!("{} of commit {}", bundle.short(), commit.short()),
            None => bundle.short(),
        },
        Fact::Requested { request, .. } => format!(
            "{} asks for {} for {}",
            request.principal.id.name(),
            request.scope,
            request.duration
        ),
        Fact::Refused {
            principal,
            scope,
            duration,
            verdict,
            ..
        } => format!(
            "{} asked for {scope} for {duration}{}",
            principal.id.name(),
            by(&verdict.policies)
        ),
        Fact::Approved { approval, .. } => {
            let kinds: Vec<_> = approval.kinds.iter().map(ToString::to_string).collect();
            format!("{} as {}", approval.approver, kinds.join(" and "))
        }
        Fact::Denied { approver, .. } => approver.to_string(),
        Fact::IssueIntended {
            session,
            window,
            verdict,
            ..
        } => format!(
            "session {session}, window {} to {}{}",
            window.opens_at(),
            window.closes_at(),
            by(&verdict.policies)
        ),
        Fact::Issued {
            session,
            access_key_id,
            expires_at,
            ..
        } => format!("session {session}, {access_key_id} until {expires_at}"),
        Fact::IssueFailed { session, code, .. } => format!("session {session}: {code}"),
        Fact::IssueUnknown { session, .. } => format!("session {session}"),
        Fact::Kept { keep_for_s, .. } => format!("for {keep_for_s} s after the last word"),
        Fact::Withdrawn { unheard, .. } | Fact::Released { unheard, .. } => match unheard {
            true => "nothing was heard of the requester any more".to_owned(),
            false => return None,
        },
    })
}

fn by(policies: &[String]) -> String {
    match policies.is_empty() {
        true => String::new(),
        false => format!(" (by {})", policies.join(", ")),
    }
}
