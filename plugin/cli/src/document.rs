//! The `--json` documents: snake_case, RFC 3339 times, lengths in seconds, and a version.
//!
//! Fields are added within a version, never renamed or removed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use writ_api::v1;
use writ_api::v1::break_glass::Announcement;
use writ_api::v1::decision::Outcome;
use writ_api::v1::denial::Why;
use writ_api::v1::principal::Kind;
use writ_api::v1::request::State;
use writ_api::v1::revocation::State as Denying;

use crate::clock;
use crate::explain::{self, Asked};

/// The version of every document.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// A whole document: one named content beside the version.
pub(crate) fn document(name: &str, content: Value) -> Value {
    json!({ "schema_version": SCHEMA_VERSION, name: content })
}

fn time(timestamp: Option<&prost_types::Timestamp>) -> Value {
    clock::moment(timestamp).map_or(Value::Null, |moment| json!(moment.to_string()))
}

fn seconds(duration: Option<&prost_types::Duration>) -> Value {
    duration.map_or(Value::Null, |duration| json!(duration.seconds))
}

/// A request.
pub(crate) fn request(request: &v1::Request) -> Value {
    json!({
        "id": request.id,
        "principal": principal(request.principal.as_ref()),
        "scope": request.scope,
        "duration_s": seconds(request.duration.as_ref()),
        "asked_for_s": seconds(request.asked_for.as_ref()),
        "reason": request.reason,
        "ticket": request.ticket,
        "requested_at": time(request.requested_at.as_ref()),
        "digest": request.digest,
        "approvals": approvals(&request.approvals),
        "state": state(request.state.as_ref()),
        "break_glass": request.break_glass.as_ref().map(break_glass),
        "extension": request.extension.as_ref().map(extension),
        "revocation": request.revocation.as_ref().map(revocation),
        "escalation": request.escalation.as_ref().map(|it| json!({
            "since": time(it.since.as_ref()),
            "group": it.group,
            "people": it.people,
        })),
    })
}

fn approvals(approvals: &[v1::Approval]) -> Value {
    let approvals: Vec<_> = approvals
        .iter()
        .map(|approval| {
            json!({
                "approver": approval.approver,
                "kinds": approval.kinds,
                "approved_at": time(approval.approved_at.as_ref()),
                "on_behalf_of": approval.on_behalf_of,
            })
        })
        .collect();
    json!(approvals)
}

fn break_glass(it: &v1::BreakGlass) -> Value {
    let announcement = match it.announcement() {
        Announcement::Unspecified => "unspecified",
        Announcement::Waiting => "waiting",
        Announcement::Taken => "taken",
        Announcement::NotPossible => "not_possible",
    };
    json!({
        "announced_to": it.announced_to,
        "announcement": announcement,
        "announced_at": time(it.announced_at.as_ref()),
        "review_by": time(it.review_by.as_ref()),
        "reviewer": it.reviewer,
        "reviewed_at": time(it.reviewed_at.as_ref()),
        "review_overdue": it.review_overdue,
        "finding": it.finding,
    })
}

fn extension(it: &v1::Extension) -> Value {
    json!({
        "duration_s": seconds(it.duration.as_ref()),
        "reason": it.reason,
        "requested_at": time(it.requested_at.as_ref()),
        "digest": it.digest,
        "approvals": approvals(&it.approvals),
        "decision": decision(it.decision.as_ref(), None),
    })
}

fn revocation(it: &v1::Revocation) -> Value {
    let state = match it.state() {
        Denying::Unspecified => "unspecified",
        Denying::Requested => "requested",
        Denying::Written => "written",
        Denying::Verified => "verified",
        Denying::Ended => "ended",
        Denying::NotPossible => "not_possible",
    };
    json!({
        "state": state,
        "requested_at": time(it.requested_at.as_ref()),
        "written_at": time(it.written_at.as_ref()),
        "verified_at": time(it.verified_at.as_ref()),
        "sessions_end_at": time(it.sessions_end_at.as_ref()),
        "detail": it.detail,
    })
}

/// A right that is lent.
pub(crate) fn delegation(it: &v1::Delegation) -> Value {
    json!({
        "id": it.id,
        "lender": it.lender,
        "delegate": it.delegate,
        "opens_at": time(it.opens_at.as_ref()),
        "closes_at": time(it.closes_at.as_ref()),
        "reason": it.reason,
    })
}

fn principal(principal: Option<&v1::Principal>) -> Value {
    let Some(principal) = principal else {
        return Value::Null;
    };
    let (kind, name) = match &principal.kind {
        Some(Kind::User(name)) => ("user", name.as_str()),
        Some(Kind::Workload(name)) => ("workload", name.as_str()),
        None => ("unknown", ""),
    };
    let claims: BTreeMap<_, _> = principal.claims.iter().collect();
    json!({ "kind": kind, "name": name, "person": principal.person, "claims": claims })
}

/// The state's name, as people and scripts read it: `PENDING`.
pub(crate) fn state_name(state: Option<&State>) -> &'static str {
    match state {
        Some(State::Pending(_)) => "PENDING",
        Some(State::Approved(_)) => "APPROVED",
        Some(State::Active(_)) => "ACTIVE",
        Some(State::Expired(_)) => "EXPIRED",
        Some(State::Denied(_)) => "DENIED",
        Some(State::Withdrawn(_)) => "WITHDRAWN",
        Some(State::Lapsed(_)) => "LAPSED",
        Some(State::Released(_)) => "RELEASED",
        Some(State::Revoked(_)) => "REVOKED",
        None => "UNKNOWN",
    }
}

fn state(state: Option<&State>) -> Value {
    let mut fields = match state {
        Some(State::Pending(pending)) => json!({
            "decide_by": time(pending.decide_by.as_ref()),
            "decision": decision(pending.decision.as_ref(), None),
        }),
        Some(State::Approved(approved)) => json!({
            "approved_at": time(approved.approved_at.as_ref()),
            "activate_by": time(approved.activate_by.as_ref()),
        }),
        Some(State::Active(active)) => json!({
            "window": window(active.window.as_ref()),
            "live_sessions": active.live_sessions,
        }),
        Some(State::Expired(expired)) => json!({ "window": window(expired.window.as_ref()) }),
        Some(State::Denied(denied)) => json!({
            "approver": denied.approver,
            "reason": denied.reason,
            "denied_at": time(denied.denied_at.as_ref()),
        }),
        Some(State::Withdrawn(it)) => json!({ "withdrawn_at": time(it.withdrawn_at.as_ref()) }),
        Some(State::Lapsed(it)) => json!({ "lapsed_at": time(it.lapsed_at.as_ref()) }),
        Some(State::Released(it)) => json!({ "released_at": time(it.released_at.as_ref()) }),
        Some(State::Revoked(revoked)) => json!({
            "by": revoked.by,
            "reason": revoked.reason,
            "revoked_at": time(revoked.revoked_at.as_ref()),
        }),
        None => json!({}),
    };
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("name".to_owned(), json!(state_name(state)));
    }
    fields
}

fn window(window: Option<&v1::Window>) -> Value {
    window.map_or(Value::Null, |window| {
        json!({
            "opens_at": time(window.opens_at.as_ref()),
            "closes_at": time(window.closes_at.as_ref()),
        })
    })
}

/// A decision.
pub(crate) fn decision(decision: Option<&v1::Decision>, asked: Option<&Asked>) -> Value {
    match decision.and_then(|decision| decision.outcome.as_ref()) {
        Some(Outcome::Allowed(allowed)) => {
            let counted: BTreeMap<_, _> = allowed.counted.iter().collect();
            json!({
                "outcome": "allowed",
                "because": allowed.because.iter().map(policy).collect::<Vec<_>>(),
                "counted": counted,
            })
        }
        Some(Outcome::NeedsApproval(it)) => with(needs(it), "outcome", json!("needs_approval")),
        Some(Outcome::Denial(it)) => with(denial(it, asked), "outcome", json!("denied")),
        None => Value::Null,
    }
}

fn with(mut value: Value, name: &str, field: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(name.to_owned(), field);
    }
    value
}

fn policy(policy: &v1::PolicyRef) -> Value {
    json!({ "id": policy.id, "file": policy.file, "line": policy.line })
}

/// What is missing.
pub(crate) fn needs(needs: &v1::NeedsApproval) -> Value {
    let counted: BTreeMap<_, _> = needs.counted.iter().collect();
    json!({ "counted": counted, "ways": ways(&needs.ways) })
}

fn ways(ways: &[v1::Way]) -> Value {
    let ways: Vec<_> = ways
        .iter()
        .map(|way| {
            let needs: Vec<_> = way
                .needs
                .iter()
                .map(|need| {
                    json!({
                        "kind": need.kind,
                        "count": need.count,
                        "people": need.people,
                        "more": need.more,
                    })
                })
                .collect();
            json!({
                "needs": needs,
                "feasible": way.feasible,
                "because": way.because.iter().map(policy).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!(ways)
}

/// A denial, with the nearest request also as a command line where it is known what was asked.
pub(crate) fn denial(denial: &v1::Denial, asked: Option<&Asked>) -> Value {
    let why = match denial.why() {
        Why::Unspecified => "unspecified",
        Why::Ended => "ended",
        Why::Unknown => "unknown",
        Why::Forbidden => "forbidden",
        Why::Errored => "errored",
        Why::Unmet => "unmet",
        Why::NoPolicy => "no_policy",
    };
    let findings: Vec<_> = denial
        .findings
        .iter()
        .map(|finding| {
            let conditions: Vec<_> = finding
                .conditions
                .iter()
                .map(|condition| {
                    let values: BTreeMap<_, _> = condition.values.iter().collect();
                    json!({ "text": condition.text, "values": values })
                })
                .collect();
            json!({
                "policy": finding.policy.as_ref().map(policy),
                "advice": finding.advice,
                "conditions": conditions,
            })
        })
        .collect();
    let nearest = denial.nearest.as_ref().map(|nearest| {
        json!({
            "duration_s": seconds(nearest.duration.as_ref()),
            "add_ticket": nearest.add_ticket,
            "ways": ways(&nearest.ways),
            "command": asked.and_then(|asked| explain::command(nearest, asked)),
        })
    });
    json!({ "why": why, "findings": findings, "nearest": nearest })
}

/// A scope, as the caller may use it.
pub(crate) fn scope(scope: &v1::Scope) -> Value {
    let longest = |longest: Option<&v1::Longest>| {
        longest.map_or(Value::Null, |longest| {
            json!({ "duration_s": seconds(longest.duration.as_ref()), "ways": ways(&longest.ways) })
        })
    };
    json!({
        "name": scope.name,
        "description": scope.description,
        "system": scope.system,
        "environment": scope.environment,
        "owners": scope.owners,
        "without_ticket": longest(scope.without_ticket.as_ref()),
        "with_ticket": longest(scope.with_ticket.as_ref()),
        "break_glass": longest(scope.break_glass.as_ref()),
    })
}

/// Session credentials. The one document with secrets in it; only `credentials --format json` prints it.
pub(crate) fn credentials(
    credentials: &v1::Credentials,
    issued: &v1::IssueCredentialsResponse,
) -> Value {
    json!({
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "session_token": credentials.session_token,
        "expires_at": time(credentials.expires_at.as_ref()),
        "session": credentials.session,
        "role_arn": issued.role_arn,
        "region": issued.region,
        "request_id": issued.request.as_ref().map(|request| request.id.as_str()),
    })
}

/// An event.
pub(crate) fn event(event: &v1::Event) -> Value {
    let texts: Vec<_> = event
        .texts
        .iter()
        .map(|text| {
            json!({
                "commitment": text.commitment,
                "salt": hex::encode(&text.salt),
                "text": text.text,
            })
        })
        .collect();
    json!({
        "sequence": event.sequence,
        "at": time(event.at.as_ref()),
        "kind": event.kind,
        "request_id": match event.request_id.is_empty() {
            true => Value::Null,
            false => json!(event.request_id),
        },
        // As text, so that whoever hashes it hashes the bytes that the leaf does.
        "canonical": String::from_utf8_lossy(&event.canonical),
        "texts": texts,
    })
}
