//! `writ doctor`: is AWS as the broker's configuration and bundle take it to be?

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use writ_broker::bundle::BundleSlot;
use writ_broker::clock::Clock;
use writ_broker::config::Config;
use writ_broker::doctor::{self, Finding, Fix, Severity, Subject};
use writ_engine::bundle::report::did_you_mean;
use writ_engine::{Bundle, Scope};

use crate::clock;
use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{Cell, Paint, escape_lines, table};

/// Check AWS against the bundle and the broker's configuration, each finding with its fix; changes nothing
#[derive(clap::Args)]
#[command(long_about = TEACH)]
pub(crate) struct Args {
    /// Only these scopes; all of the bundle's where none is named
    #[arg(value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The broker's configuration
    #[arg(long, value_name = "FILE", default_value = "writ.hcl")]
    config: PathBuf,
}

/// What `--help` says before the options.
const TEACH: &str = "\
Check AWS against the bundle and the broker's configuration, each finding with its fix; changes nothing

Run it where the broker runs: it calls AWS with the broker's own identities. It needs no running
broker and no journal. For each scope it asks:

  role      does it exist, give sessions of `max_session`, have a permissions boundary; can it
            edit itself
  trust     is it for the broker only, for AssumeRole, TagSession and SetSourceIdentity; does it
            ask for the external id and for the tag `writ:grant`
  denials   is the inline policy `writ-revoked` Writ's, alone of that name, with room for more
  revoker   may it write the role's denials; can it not assume the role
  session   is AssumeRole granted as the broker makes it; such a session is denied everything,
            and dropped

Of the broker itself: who the issuer (`aws.credentials`) and the revoker (`aws.revoker`) are,
whether they are two, and whether this machine's clock is AWS's (2 s apart is a warning, 5 s a
failure).

IAM is read by the revoker, by the issuer where there is none; what it may not read is `skipped`,
with the policy to give it. In a command, `policy.json` is the policy above it. CloudTrail shows
the sessions on trial, of the source identity `writ-doctor`; that the revoker's are refused is
right.

With --json:
  {\"schema_version\": 1, \"doctor\": {\"ok\": 9, \"warn\": 0, \"skipped\": 0, \"fail\": 1, \"findings\": [
    {\"check\": \"trust.broker\", \"scope\": \"prod-db-read\" (null: the broker), \"severity\": \"fail\",
     \"seen\": \"…\", \"fix\": {\"advice\": \"…\", \"policy\": {…}, \"command\": \"…\", \"config\": null}}]}}

Exit codes: 0 nothing worse than warnings, 1 something could not be checked, 2 something is wrong.";

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let coloured = context.err == Paint::Coloured;
    let config = Config::load(&args.config)
        .map_err(|report| Failure::drawn("configuration_refused", report.render(coloured)))?;
    let slot = BundleSlot::open(&config.bundle)
        .map_err(|refusal| Failure::drawn("bundle_refused", refusal.report.render(coloured)))?;
    let bundle = slot.current();
    let scopes = chosen(&bundle, &args.scopes)?;
    let subject = Subject {
        settings: &config.aws,
        bundle: &bundle,
        // Only the journal knows which grants should be denied, and this runs beside the broker that holds it.
        expected: &BTreeMap::new(),
    };
    let clock = Clock::starting_at(clock::now());
    let findings = doctor::examine(&subject, &scopes, &clock).await;
    match context.json() {
        true => context.print_json(&document("doctor", json(&findings)))?,
        false => context.print(&text(context.out, &findings))?,
    }
    Ok(exit(&findings))
}

/// The scopes of these names, or all.
fn chosen<'a>(bundle: &'a Bundle, names: &[String]) -> Result<Vec<&'a Scope>, Failure> {
    if names.is_empty() {
        return Ok(bundle.scopes().collect());
    }
    let known = |name: &String| bundle.scopes().find(|scope| scope.id.as_str() == name);
    names
        .iter()
        .map(|name| {
            known(name).ok_or_else(|| {
                let failure = Failure::error(format!("the bundle has no scope `{name}`"));
                match did_you_mean(name, bundle.scopes().map(|scope| scope.id.as_str())) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            })
        })
        .collect()
}

/// A failure weighs more than what could not be checked: it is certain.
fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|it| it.severity).max() {
        Some(Severity::Fail) => Exit::Findings,
        Some(Severity::Skipped) => Exit::Error,
        Some(Severity::Ok | Severity::Warn) | None => Exit::Done,
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|it| it.severity == severity).count()
}

/// For scripts.
pub(crate) fn json(findings: &[Finding]) -> Value {
    let each: Vec<Value> = findings
        .iter()
        .map(|it| {
            json!({
                "check": it.check.id(),
                "scope": it.scope,
                "severity": it.severity.as_str(),
                "seen": it.seen,
                "fix": it.fix.as_ref().map(|fix| json!({
                    "advice": fix.advice,
                    "policy": fix.policy,
                    "command": fix.command,
                    "config": fix.config,
                })),
            })
        })
        .collect();
    json!({
        "ok": count(findings, Severity::Ok),
        "warn": count(findings, Severity::Warn),
        "skipped": count(findings, Severity::Skipped),
        "fail": count(findings, Severity::Fail),
        "findings": each,
    })
}

/// For people: every finding in one table, then each fix once, with what it puts right.
pub(crate) fn text(paint: Paint, findings: &[Finding]) -> String {
    let rows: Vec<Vec<Cell>> = findings
        .chunk_by(are_one)
        .filter_map(|alike| {
            let it = alike.first()?;
            let check = match alike.len() {
                1 => it.check.id().to_owned(),
                many => format!("{many} checks"),
            };
            Some(vec![
                Cell::painted(it.severity.as_str(), colour(it.severity)),
                Cell::painted(about(it), Paint::strong),
                Cell::new(&check),
                Cell::new(&it.seen),
            ])
        })
        .collect();
    let mut text = table(paint, &["", "SCOPE", "CHECK", "SEEN"], &rows);
    for (fix, places) in fixes(findings) {
        text.push_str(&format!("\n{}\n", paint.strong(&places.join(", "))));
        text.push_str(&indented(&fix.advice));
        if let Some(policy) = &fix.policy {
            text.push_str(&indented(&format!("\n{policy:#}")));
        }
        if let Some(command) = &fix.command {
            text.push_str(&indented(&format!("\n{command}")));
        }
        if let Some(config) = &fix.config {
            text.push_str(&indented(&format!("\n{config}")));
        }
    }
    text.push_str(&format!(
        "\n{} ok, {} to think about, {} not checked, {} wrong\n",
        count(findings, Severity::Ok),
        count(findings, Severity::Warn),
        count(findings, Severity::Skipped),
        count(findings, Severity::Fail),
    ));
    text
}

/// Whether two findings are told in one line: of one scope, not checked, and for the same reason.
fn are_one(one: &Finding, other: &Finding) -> bool {
    one.severity == Severity::Skipped
        && (one.severity, &one.scope, &one.seen, &one.fix)
            == (other.severity, &other.scope, &other.seen, &other.fix)
}

fn colour(severity: Severity) -> fn(Paint, &str) -> String {
    match severity {
        Severity::Ok => Paint::good,
        Severity::Warn => Paint::waiting,
        Severity::Skipped => Paint::faint,
        Severity::Fail => Paint::bad,
    }
}

fn about(finding: &Finding) -> &str {
    finding
        .scope
        .as_ref()
        .map_or("(broker)", |scope| scope.as_str())
}

/// Each fix once, in the order of what it is for.
fn fixes(findings: &[Finding]) -> Vec<(&Fix, Vec<String>)> {
    let mut fixes: Vec<(&Fix, Vec<String>)> = Vec::new();
    for finding in findings {
        let Some(fix) = &finding.fix else {
            continue;
        };
        let place = format!("{} {}", about(finding), finding.check.id());
        match fixes.iter_mut().find(|(known, _)| *known == fix) {
            Some((_, places)) => places.push(place),
            None => fixes.push((fix, vec![place])),
        }
    }
    fixes
}

fn indented(text: &str) -> String {
    let mut lines = String::new();
    for line in escape_lines(text).lines() {
        match line.is_empty() {
            true => lines.push('\n'),
            false => lines.push_str(&format!("  {line}\n")),
        }
    }
    lines
}
