//! The journal's file without its broker: verified by anyone with the public key, erased from by its keeper.

use std::path::{Path, PathBuf};

use serde_json::json;
use writ_broker::config::Config;
use writ_broker::journal::verify::{Depth, verify as verify_file};
use writ_broker::journal::{Damage, Erasure, Journal, SigningKey, VerifyingKey};
use writ_engine::digest::{Commitment, Digest};
use writ_engine::request::RequestId;

use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Paint;

/// Verify a journal's file offline: edits, deletions, reordering, forgeries, and cuts since a kept checkpoint
#[derive(clap::Args)]
pub(crate) struct VerifyArgs {
    /// The journal's file, or a copy of it
    file: PathBuf,
    /// The verifying key as `writ journal checkpoint` prints it, or the file that holds it
    #[arg(long, value_name = "KEY|FILE")]
    key: String,
    /// A checkpoint kept earlier; without one, a journal cut back to an older checkpoint of its own passes
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Erase the texts people wrote about a request; every proof still holds. The broker must be stopped
#[derive(clap::Args)]
pub(crate) struct EraseArgs {
    /// The broker's configuration: which journal, and the key that signs it
    #[arg(long, value_name = "FILE", default_value = "writ.hcl")]
    config: PathBuf,
    /// A request's whole id, or one text's commitment
    #[arg(value_name = "ID|COMMITMENT")]
    what: String,
}

pub(crate) fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let key = verifying_key(&args.key)?;
    let kept = match &args.checkpoint {
        Some(path) => Some(read(path)?),
        None => None,
    };
    let verified = verify_file(&args.file, &key, kept.as_deref(), Depth::Meaning)
        .map_err(|damage| damaged(&args.file, &damage))?;
    if context.json() {
        context.print_json(&document(
            "verified",
            json!({
                "events": verified.events,
                "signed": verified.signed,
                "unsigned": verified.unsigned,
                "texts": verified.texts,
                "checkpoint": verified.checkpoint,
            }),
        ))?;
        return Ok(Exit::Done);
    }
    let kept = match args.checkpoint {
        Some(_) => "; it continues the checkpoint that was kept",
        None => "",
    };
    let head = context.err.good("verified");
    context.say(&format!(
        "{head}: {} events, {} of them under its newest checkpoint, {} texts{kept}",
        verified.events, verified.signed, verified.texts
    ));
    // The new one to keep: data, so that it can go straight into a file.
    context.print(&verified.checkpoint)?;
    Ok(Exit::Done)
}

/// A journal that is not as it was written.
pub(crate) fn damaged(file: &Path, damage: &Damage) -> Failure {
    let failure = Failure::new(
        Exit::Error,
        "journal_damaged",
        format!("`{}` does not verify: {damage}", file.display()),
    );
    match damage {
        Damage::NotAJournal => failure.hint(
            "a running broker's journal is three files; copy those that end in `-wal` and `-shm` too",
        ),
        _ => failure,
    }
}

/// A key, or the file it stands in.
pub(crate) fn verifying_key(text: &str) -> Result<VerifyingKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    read(Path::new(text))?
        .trim()
        .parse()
        .map_err(|error| Failure::usage(format!("`{text}` holds no verifying key: {error}")))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))
}

pub(crate) async fn erase(context: &Context, args: &EraseArgs) -> Result<Exit, Failure> {
    let erasure = match (args.what.parse::<RequestId>(), args.what.parse::<Digest>()) {
        (Ok(id), _) => Erasure::OfRequest(id),
        (_, Ok(digest)) => Erasure::OfCommitment(Commitment(digest)),
        (Err(_), Err(_)) => {
            return Err(Failure::usage(format!(
                "`{}` is neither a request's whole id nor a commitment",
                args.what
            ))
            .hint("`writ journal list --json` has both"));
        }
    };
    let config = Config::load(&args.config).map_err(|report| {
        let coloured = context.err == Paint::Coloured;
        Failure::drawn("configuration_refused", report.render(coloured))
    })?;
    let failed = |error: String| Failure::new(Exit::Error, "not_erased", error);
    let key = SigningKey::load(&config.store.signing_key_file)
        .map_err(|error| failed(error.to_string()))?;
    // Opening checks the whole journal first: nothing is erased from one that is not sound.
    let (journal, _) = Journal::open(
        &config.store.path,
        key,
        &config.store.origin,
        None,
        |_| Ok(()),
        Box::new(|_| {}),
    )
    .map_err(|error| failed(error.to_string()).hint("stop the broker first"))?;
    let erased = journal.erase(erasure).await;
    journal.close().await;
    let erased = erased.map_err(|error| failed(error.to_string()))?;
    match context.json() {
        true => context.print_json(&document("erased", json!({ "texts": erased.texts, "settled": erased.settled })))?,
        false => context.say(&format!(
            "erased {} texts; copies and backups are yours to see to{}",
            erased.texts,
            match erased.settled {
                true => "",
                false => "; another process reads the journal, so its log may hold them until it is emptied",
            }
        )),
    }
    Ok(Exit::Done)
}
