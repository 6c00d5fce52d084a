//! What a change gives to whom, for a terminal, a script, a code host or a CI system. One file a format.

mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

use writ_engine::diff::{Cause, CauseKind, Diff, Finding, Revision, Severity};
use writ_engine::digest::Digest;

use crate::screen::{Paint, escape};

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    Text,
    /// For scripts; the schema is `plugin/cli/schema/policy-diff.v1.json`
    Json,
    /// One comment on a pull request
    Markdown,
    /// Annotations of a GitHub Actions job, and its summary
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for CI systems that show tests
    Junit,
    /// GitLab's code quality report
    Gitlab,
}

/// A diff, and what it is of.
pub(super) struct Told<'a> {
    /// What was found.
    pub(super) diff: &'a Diff,
    /// The bundle's folder, as paths in the repository begin.
    pub(super) folder: &'a str,
    /// What the bundle was compared with.
    pub(super) compared_with: &'a str,
    /// From which severity on the command fails.
    pub(super) fail_on: Option<Severity>,
}

impl Told<'_> {
    pub(super) fn render(&self, format: Format, paint: Paint) -> String {
        match format {
            Format::Text => text::render(self, paint),
            Format::Json => json::render(self),
            Format::Markdown => markdown::render(self),
            Format::Github => github::render(self),
            Format::Sarif => sarif::render(self),
            Format::Junit => junit::render(self),
            Format::Gitlab => gitlab::render(self),
        }
    }

    /// Whether anything is grave enough to fail the command.
    pub(super) fn fails(&self) -> bool {
        self.diff
            .findings
            .iter()
            .any(|finding| self.is_failure(finding))
    }

    fn is_failure(&self, finding: &Finding) -> bool {
        self.fail_on.is_some_and(|least| finding.severity >= least)
    }

    /// Where a file of the bundle is in the repository.
    fn path(&self, file: &str) -> String {
        match self.folder.trim_end_matches('/') {
            "" | "." => file.to_owned(),
            folder => format!("{folder}/{file}"),
        }
    }

    /// Each severity and how many findings it has, the gravest first.
    fn counts(&self) -> Vec<(Severity, usize)> {
        let count = |severity: Severity| {
            let findings = self.diff.findings.iter();
            findings
                .filter(|finding| finding.severity == severity)
                .count()
        };
        Severity::ALL
            .into_iter()
            .rev()
            .map(|severity| (severity, count(severity)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// `2 findings: 1 critical, 1 high`, or that there is nothing.
    fn summary(&self) -> String {
        let counts: Vec<String> = self
            .counts()
            .into_iter()
            .map(|(severity, count)| format!("{count} {}", severity.as_str()))
            .collect();
        match self.diff.findings.len() {
            0 => "nobody's access changes".to_owned(),
            1 => format!("1 finding: {}", counts.join(", ")),
            count => format!("{count} findings: {}", counts.join(", ")),
        }
    }
}

/// How many names a line has at most; documents for scripts have all of them.
const NAMES_MAX: usize = 20;

/// Everyone a finding is of: `mia, sam, workload payments-ci`; empty for nobody in particular.
fn people(finding: &Finding) -> String {
    let named: Vec<String> = finding
        .principals
        .iter()
        .take(NAMES_MAX)
        .map(|who| match who.kind {
            writ_engine::access::WhoKind::User => who.name.clone(),
            writ_engine::access::WhoKind::Workload => format!("workload {}", who.name),
        })
        .collect();
    match finding.principals.len().saturating_sub(NAMES_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// `staging.admin.engineer (access.cedar:86)`, with what it is where it is no policy.
fn cause(cause: &Cause) -> String {
    let gone = match cause.revision {
        Revision::Before => ", as it was",
        Revision::After => "",
    };
    let kind = match cause.kind {
        CauseKind::Policy | CauseKind::File => String::new(),
        kind => format!("{} ", kind.as_str()),
    };
    format!("{kind}{} ({}:{}{gone})", cause.name, cause.file, cause.line)
}

/// How many causes a line names.
const CAUSES_MAX: usize = 8;

fn causes(finding: &Finding) -> String {
    let named: Vec<String> = finding.causes.iter().take(CAUSES_MAX).map(cause).collect();
    match finding.causes.len().saturating_sub(CAUSES_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The request that the two bundles decide differently, in one line.
fn example(finding: &Finding) -> Option<String> {
    let example = finding.example.as_ref()?;
    let duration = writ_engine::Duration::from_s(example.duration_s).ok()?;
    let mut words = format!("{} asks for {duration}", example.principal.name);
    for (claim, value) in &example.claims {
        words.push_str(&format!(", {claim} {value}"));
    }
    if let Some(ticket) = &example.ticket {
        words.push_str(&format!(", ticket {ticket}"));
    }
    words.push_str(&format!(
        ", at {}: {} → {}",
        example.opens_at, example.before, example.after
    ));
    Some(words)
}

/// A finding in one line, safe to print.
fn sentence(finding: &Finding) -> String {
    let mut words = finding.change.meaning().to_owned();
    if let Some(scope) = &finding.scope {
        words.push_str(&format!(": {scope}"));
    }
    let people = people(finding);
    if !people.is_empty() {
        words.push_str(&format!(" for {people}"));
    }
    if !finding.only.is_empty() {
        words.push_str(&format!(", {}", finding.only));
    }
    match (finding.before.as_str(), finding.after.as_str()) {
        ("", "") => {}
        ("", after) => words.push_str(&format!(": {after}")),
        (before, "") => words.push_str(&format!(": {before}")),
        (before, after) => words.push_str(&format!(": {before} → {after}")),
    }
    escape(&words)
}

/// The same finding has the same fingerprint in the next run, also when its policy moved to another line.
fn fingerprint(finding: &Finding) -> String {
    let names: Vec<&str> = finding
        .principals
        .iter()
        .map(|who| who.name.as_str())
        .collect();
    let scope = finding.scope.as_ref().map(|scope| scope.as_str());
    let causes: Vec<&str> = finding
        .causes
        .iter()
        .map(|cause| cause.name.as_str())
        .collect();
    let parts = [
        finding.change.id(),
        scope.unwrap_or_default(),
        &names.join(","),
        &finding.only,
        &finding.before,
        &finding.after,
        &causes.join(","),
    ];
    Digest::of("writ.v1.finding", parts.join("\n").as_bytes()).to_string()
}

/// The cause that a code host can show: what stands in the proposed bundle.
fn shown(finding: &Finding) -> Option<&Cause> {
    finding
        .causes
        .iter()
        .find(|cause| cause.revision == Revision::After)
}
