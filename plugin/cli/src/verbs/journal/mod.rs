//! `writ journal`: the record, from the broker or offline from its file.

mod offline;

use std::pin::pin;

use tokio_stream::StreamExt as _;
use writ_api::v1;
use writ_engine::event::Outcome;
use writ_engine::scope::RoleArn;
use writ_engine::{Moment, Notice, RequestId};

use super::show;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::screen::{Paint, escape, names};
use crate::story;

pub(crate) use offline::{damaged, verifying_key};

/// The most grants that one line names.
const NAMED_MAX: usize = 5;

/// The width of the longest kinds of event, `extension_requested` and `revocation_verified`.
const KIND_WIDTH: usize = 19;

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
    let padded = format!("{:<KIND_WIDTH$}", escape(kind));
    match kind {
        "refused" | "denied" | "extension_denied" | "revoked" | "issue_failed"
        | "issue_unknown" => paint.bad(&padded),
        "approved" | "issued" | "reviewed" | "revocation_verified" => paint.good(&padded),
        "requested" | "extension_requested" => paint.waiting(&padded),
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
            "{} asks for {} for {}{}",
            request.principal.id.name(),
            request.scope,
            request.duration,
            emergency(request.break_glass.is_some())
        ),
        Fact::Refused {
            principal,
            scope,
            duration,
            break_glass,
            verdict,
            ..
        } => format!(
            "{} asked for {scope} for {duration}{}{}",
            principal.id.name(),
            emergency(break_glass),
            by(&verdict.policies)
        ),
        Fact::Approved {
            approval,
            narrowed_to,
            ..
        } => {
            let kinds: Vec<_> = approval.kinds.iter().map(ToString::to_string).collect();
            let lent = approval
                .on_behalf_of
                .map(|it| format!(" on behalf of {it}"));
            let less = narrowed_to.map(|it| format!(", to {it} only"));
            format!(
                "{} as {}{}{}",
                approval.approver,
                kinds.join(" and "),
                lent.unwrap_or_default(),
                less.unwrap_or_default()
            )
        }
        Fact::ExtensionRequested {
            extension, verdict, ..
        } => format!(
            "asks for {} in all{}",
            extension.duration,
            match verdict.outcome {
                Outcome::Granted => by(&verdict.policies),
                Outcome::NeedsApproval => ", if people agree".to_owned(),
                Outcome::Denied => ", in vain".to_owned(),
            }
        ),
        Fact::ExtensionDenied { approver, .. } => {
            format!("{approver}, and the window there is goes on")
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
        Fact::Revoked { by, .. } => format!("{} ended it", by.name()),
        Fact::Reviewed { reviewer, .. } => format!("{reviewer} closed the post-review"),
        Fact::Notified { notice, people, .. } => {
            let people: Vec<_> = people.iter().map(ToString::to_string).collect();
            match people.is_empty() {
                true => format!("{}, naming nobody", heard(notice)),
                false => format!("{}, naming {}", heard(notice), names(&people)),
            }
        }
        Fact::RevocationWritten {
            role_arn,
            policy,
            grants,
            all_before,
        } => written(&role_arn, policy.is_some(), &grants, all_before),
        Fact::RevocationVerified { role_arn, .. } => {
            format!("{}: IAM was asked again, and denies", role_arn.as_str())
        }
        Fact::Delegated { delegation } => format!(
            "{} {} may approve on behalf of {} from {} until {}",
            story::short(delegation.id.as_str()),
            delegation.delegate,
            delegation.lender,
            delegation.opens_at.floor_s(),
            delegation.closes_at.floor_s()
        ),
        Fact::DelegationEnded { delegation } => {
            format!("{} was taken back", story::short(delegation.as_str()))
        }
        Fact::Kept { keep_for_s, .. } => format!("for {keep_for_s} s after the last word"),
        Fact::Withdrawn { unheard, .. } | Fact::Released { unheard, .. } => match unheard {
            true => "nothing was heard of the requester any more".to_owned(),
            false => return None,
        },
    })
}

/// Of what people were told.
fn heard(notice: Notice) -> &'static str {
    match notice {
        Notice::Emergency => "of the emergency",
        Notice::Escalated => "that nobody has decided for a while",
        Notice::ConsentWanted => "that consent is wanted",
        Notice::ReviewOverdue => "that the post-review is late",
    }
}

fn emergency(break_glass: bool) -> String {
    match break_glass {
        true => format!(" {}", story::emergency::MARK),
        false => String::new(),
    }
}

/// What IAM took: which role denies how many more, and whether all that was made before a moment had to be denied.
fn written(
    role: &RoleArn,
    is_there: bool,
    grants: &[RequestId],
    all_before: Option<Moment>,
) -> String {
    let role = role.as_str();
    if !is_there {
        return format!("{role}: nothing is left to be denied, and IAM removed the policy");
    }
    let ids: Vec<String> = grants
        .iter()
        .take(NAMED_MAX)
        .map(|id| story::short(id.as_str()))
        .collect();
    let more = match grants.len() > NAMED_MAX {
        true => ", …",
        false => "",
    };
    let denies = match grants.len() {
        0 => "denies no further grant".to_owned(),
        1 => format!("denies 1 more grant: {}", ids.join(", ")),
        count => format!("denies {count} more grants: {}{more}", ids.join(", ")),
    };
    let all = all_before.map(|moment| {
        format!("; there was no room for each, so every session made before {moment} is denied")
    });
    format!(
        "{role}: IAM took the policy that {denies}{}",
        all.unwrap_or_default()
    )
}

fn by(policies: &[String]) -> String {
    match policies.is_empty() {
        true => String::new(),
        false => format!(" (by {})", policies.join(", ")),
    }
}
