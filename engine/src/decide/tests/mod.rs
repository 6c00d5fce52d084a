//! The decision's tests: bundles, people and cases to ask about.

mod closed;
mod consent;
mod laws;
mod lent;
mod life;
mod shipped;
mod slices;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::approval::Approval;
use crate::bundle::BundleFiles;
use crate::digest::SaltedText;
use crate::event::{Event, Fact, Outcome, Verdict};
use crate::principal::WorkloadId;
use crate::request::RequestId;

/// A Saturday morning well before the shipped bundle's freeze.
const NOW: &str = "2026-11-21T09:00:00Z";

fn now() -> Moment {
    moment(NOW)
}

fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

fn duration(text: &str) -> Duration {
    text.parse().unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn human(name: &str) -> Principal {
    Principal::user(user(name))
}

fn scope(name: &str) -> ScopeId {
    ScopeId::new(name).unwrap()
}

fn kind(name: &str) -> Kind {
    let capital = name[..1].to_uppercase();
    Kind::of_action(&format!("approve{capital}{}", &name[1..])).unwrap()
}

/// The job of `acme/payments` on a branch.
fn ci(branch: &str) -> Principal {
    let claims = [
        ("repository", "acme/payments"),
        ("repository_id", "4201"),
        ("repository_owner_id", "77"),
        ("ref", &format!("refs/heads/{branch}")),
        ("event_name", "push"),
        (
            "job_workflow_ref",
            "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
        ),
        ("run_id", "1"),
    ];
    let claims = claims.map(|(claim, value)| (claim.to_owned(), value.to_owned()));
    Principal::workload(WorkloadId::new("payments-ci").unwrap(), claims.into())
}

/// The bundle that Writ ships.
fn shipped_files() -> BundleFiles {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut files = BundleFiles::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.0.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

fn shipped() -> Bundle {
    load(&shipped_files())
}

fn load(files: &BundleFiles) -> Bundle {
    Bundle::load(files).unwrap_or_else(|report| panic!("{report}"))
}

/// The shipped schema and catalog, with these policies and this directory.
fn bundle(directory: &str, policies: &str) -> Bundle {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    files
        .0
        .insert("access.cedar".to_owned(), policies.to_owned());
    files
        .0
        .insert("directory.hcl".to_owned(), directory.to_owned());
    load(&files)
}

/// What someone asks for.
struct Wanted<'a> {
    who: Principal,
    scope: &'a str,
    duration: &'a str,
    ticket: Option<&'a str>,
}

fn wanted<'a>(who: Principal, scope: &'a str, duration: &'a str) -> Wanted<'a> {
    Wanted {
        who,
        scope,
        duration,
        ticket: None,
    }
}

impl<'a> Wanted<'a> {
    fn ticket(self, ticket: &'a str) -> Wanted<'a> {
        Wanted {
            ticket: Some(ticket),
            ..self
        }
    }

    fn check(&self, bundle: &Bundle, now: Moment) -> Decision<Allowed> {
        let scope = scope(self.scope);
        let draft = Draft {
            principal: &self.who,
            scope: &scope,
            duration: duration(self.duration),
            reason: "INC-42",
            ticket: self.ticket,
        };
        check(bundle, &draft, now)
    }

    /// The pending case of such a request, made at `now`.
    fn case(&self, now: Moment) -> Case {
        let reason = SaltedText {
            salt: [7; 16],
            text: "INC-42".to_owned(),
        };
        let bundle = crate::digest::Digest::of("test", b"");
        let request = Request {
            id: RequestId::new(now, [3; 10]),
            principal: self.who.clone(),
            scope: scope(self.scope),
            duration: duration(self.duration),
            reason: reason.commitment(),
            ticket: self.ticket.map(str::to_owned),
            requested_at: now,
            decide_by: now.plus_s(86_400),
            activation_ttl_s: 3_600,
            bundle,
            break_glass: None,
        };
        let verdict = Verdict {
            bundle,
            outcome: Outcome::NeedsApproval,
            policies: Vec::new(),
            approvals: BTreeMap::new(),
        };
        let fact = Fact::Requested {
            request,
            idempotency_key: None,
            run: None,
            keep_for_s: None,
            verdict,
        };
        Case::begin(&Event { at: now, fact }, Some(reason.text)).unwrap()
    }
}

/// Adds an approval as the journal would hold it, without asking any policy.
fn approved(case: Case, who: &str, kinds: &[&str]) -> Case {
    approved_for(case, who, None, kinds)
}

/// The same by a right that `lender` lent, if one did.
fn approved_for(mut case: Case, who: &str, lender: Option<&str>, kinds: &[&str]) -> Case {
    let at = case.request().requested_at;
    let approval = Approval {
        approver: user(who),
        on_behalf_of: lender.map(user),
        kinds: kinds.iter().map(|name| kind(name)).collect(),
        request_digest: case.request_digest(),
        approved_at: at,
    };
    let verdict = Verdict {
        bundle: case.request().bundle,
        outcome: Outcome::NeedsApproval,
        policies: Vec::new(),
        approvals: BTreeMap::new(),
    };
    let fact = Fact::Approved {
        request: case.request().id.clone(),
        approval,
        narrowed_to: None,
        verdict,
    };
    case.apply(&Event { at, fact }).unwrap();
    case
}

/// A decision in one line: `granted`, `needs manager=1 (pat)`, `denied unmet proddb.read.oncall; nearest 4h with ticket`.
fn line<G: AsRef<Allowed>>(decision: &Decision<G>) -> String {
    match decision {
        Decision::Granted(grant) => {
            let because: Vec<&str> = grant
                .as_ref()
                .because
                .iter()
                .map(|policy| policy.id.as_str())
                .collect();
            format!("granted by {}", because.join(" "))
        }
        Decision::NeedsApproval(needs) => format!("needs {}", ways_line(&needs.ways)),
        Decision::Denied(denied) => {
            let ids = |policies: &[Unmet]| {
                let ids: Vec<&str> = policies
                    .iter()
                    .map(|unmet| unmet.policy.id.as_str())
                    .collect();
                ids.join(" ")
            };
            let why = match &denied.why {
                Why::Ended(state) => format!("ended {state}"),
                Why::Unknown => "unknown".to_owned(),
                Why::Forbidden(forbids) => format!("forbidden by {}", ids(forbids)),
                Why::Errored(forbids) => format!("errored {}", forbids[0].id),
                Why::Unmet(permits) => format!("unmet {}", ids(permits)),
                Why::NoPolicy => "no policy".to_owned(),
            };
            let nearest = denied.nearest.as_ref().map(|nearest| {
                let ticket = if nearest.add_ticket {
                    " with ticket"
                } else {
                    ""
                };
                let ways = match nearest.ways.as_slice() {
                    [] => String::new(),
                    ways => format!(" needs {}", ways_line(ways)),
                };
                format!("; nearest {}{ticket}{ways}", nearest.duration)
            });
            format!("denied {why}{}", nearest.unwrap_or_default())
        }
    }
}

fn ways_line(ways: &[Way]) -> String {
    let ways: Vec<String> = ways
        .iter()
        .map(|way| {
            let needs: Vec<String> = way
                .needs
                .iter()
                .map(|(kind, count)| {
                    let who = way.who.get(kind).map(|eligible| {
                        let people: Vec<&str> =
                            eligible.people.iter().map(UserId::as_str).collect();
                        format!(" ({})", people.join(" "))
                    });
                    format!("{kind}={count}{}", who.unwrap_or_default())
                })
                .collect();
            let nobody = if way.feasible { "" } else { " NOBODY CAN" };
            format!("{}{nobody}", needs.join(" "))
        })
        .collect();
    ways.join(" or ")
}

fn kinds_line(kinds: &BTreeSet<Kind>) -> String {
    let kinds: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
    kinds.join(" ")
}
