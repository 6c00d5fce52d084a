//! A scope's role: that it exists, what it may do to itself, how long its sessions are, and that the broker gets them.

use std::collections::BTreeSet;

use writ_engine::scope::Scope;

use super::facts::{Found, Identity, RoleFacts, ScopeFacts, Seen, Unseen};
use super::policy::{Document, matches};
use super::{
    Check, Finding, Fix, REVOKER_NEEDS, SELF_EDITS, Ward, denials, fix, spoken, trust, unseen,
};

/// The questions that a role answers which can be read.
const OF_THE_ROLE: [Check; 6] = [
    Check::RoleMaxSession,
    Check::RoleBoundary,
    Check::RoleSelfEdit,
    Check::DenialsPolicy,
    Check::DenialsNames,
    Check::DenialsRoom,
];

/// AWS's code for a caller who may not.
const ACCESS_DENIED: &str = "AccessDenied";

pub(super) fn findings(ward: &Ward<'_>, seen: &ScopeFacts) -> Vec<Finding> {
    let mut findings = match &seen.role {
        Ok(Found::Here(role)) => of_role(ward, role),
        Ok(Found::Elsewhere(arn)) => unasked(elsewhere(ward, arn)),
        Ok(Found::Missing) => unasked(missing(ward)),
        Err(why) => unasked(unread(ward, why)),
    };
    findings.push(length(ward));
    findings.push(rehearsal(ward, &seen.rehearsal));
    if let Some(may) = &seen.revoker_may {
        findings.push(revoker_may(ward, may));
    }
    if let Some(assumes) = &seen.revoker_assumes {
        findings.push(revoker_assumes(ward, assumes));
    }
    findings
}

/// Why there is no role to look at, and the questions that it cannot answer.
fn unasked(exists: Finding) -> Vec<Finding> {
    let checks = OF_THE_ROLE.iter().chain(&trust::CHECKS);
    let skipped = checks.map(|check| Finding::skipped(*check, "the role was not read"));
    std::iter::once(exists).chain(skipped).collect()
}

fn of_role(ward: &Ward<'_>, role: &RoleFacts) -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok(Check::RoleExists, format!("`{}`", role.arn)),
        max_session(ward, role),
        boundary(ward, role),
        self_edit(ward, role),
    ];
    findings.extend(trust::findings(ward, &role.trust));
    findings.extend(denials::findings(ward, role));
    findings
}

fn missing(ward: &Ward<'_>) -> Finding {
    let arn = ward.role_arn();
    let path = arn
        .split_once(":role")
        .and_then(|(_, path)| path.strip_suffix(ward.role_name()))
        .unwrap_or("/");
    Finding::fail(
        Check::RoleExists,
        format!("there is no role `{arn}`"),
        Fix::say("make it, and give it a policy that allows what the scope's session policy does")
            .policy(fix::trust(ward))
            .command(format!(
                "aws iam create-role --role-name {} --path {path} --max-session-duration {} --assume-role-policy-document file://policy.json",
                ward.role_name(),
                ward.scope.aws.max_session_s
            )),
    )
}

/// IAM looked for the name in the account of whoever asked.
fn elsewhere(ward: &Ward<'_>, found: &str) -> Finding {
    let check = Check::RoleExists;
    let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
    if account(found) == ward.scope.aws.role_arn.account() {
        return Finding::fail(
            check,
            format!("the role of that name is `{found}`"),
            Fix::say("name it in `scopes.hcl`, or make the other one")
                .config(format!("aws {{\n  role_arn = \"{found}\"\n}}")),
        );
    }
    not_our_account(ward, &account(found))
}

fn not_our_account(ward: &Ward<'_>, ours: &str) -> Finding {
    Finding::skipped(
        Check::RoleExists,
        format!(
            "the role is of the account {}, and IAM is read in {ours}",
            ward.scope.aws.role_arn.account()
        ),
    )
}

fn unread(ward: &Ward<'_>, why: &Unseen) -> Finding {
    if let Ok(reader) = ward.reader
        && reader.account != ward.scope.aws.role_arn.account()
    {
        return not_our_account(ward, &reader.account);
    }
    let finding = Finding::skipped(Check::RoleExists, unseen(why));
    match why.refused {
        true => Finding {
            fix: Some(fix::let_read(ward)),
            ..finding
        },
        false => finding,
    }
}

fn max_session(ward: &Ward<'_>, role: &RoleFacts) -> Finding {
    let check = Check::RoleMaxSession;
    let wanted_s = ward.scope.aws.max_session_s;
    let seen = format!(
        "the role gives sessions of {}, the scope says {}",
        spoken(role.max_session_s),
        spoken(wanted_s)
    );
    if role.max_session_s >= wanted_s {
        return Finding::ok(check, seen);
    }
    Finding::fail(
        check,
        format!("{seen}: AWS refuses longer ones"),
        Fix::say("let the role give them, or lower `max_session` in `scopes.hcl`")
            .command(format!(
                "aws iam update-role --role-name {} --max-session-duration {wanted_s}",
                ward.role_name()
            ))
            .config(format!(
                "aws {{\n  max_session = \"{}\"\n}}",
                spoken(role.max_session_s)
            )),
    )
}

fn boundary(ward: &Ward<'_>, role: &RoleFacts) -> Finding {
    let check = Check::RoleBoundary;
    if let Some(arn) = &role.boundary {
        return Finding::ok(check, format!("`{arn}`"));
    }
    let aws = &ward.scope.aws;
    let partition = aws.role_arn.as_str().split(':').nth(1).unwrap_or("aws");
    let name = ward.role_name();
    Finding::warn(
        check,
        "it has no permissions boundary: whoever may write its policies may give it anything",
        Fix::say(
            "make a managed policy of this, narrowed to what the scope needs, and set it as the boundary",
        )
        .policy(fix::boundary())
        .command(format!(
            "aws iam create-policy --policy-name scope-boundary --policy-document file://policy.json && \
             aws iam put-role-permissions-boundary --role-name {name} --permissions-boundary arn:{partition}:iam::{}:policy/scope-boundary",
            aws.role_arn.account()
        )),
    )
}

/// By IAM's simulation where there is one, which knows boundaries and guardrails; else by the role's policies alone.
fn self_edit(ward: &Ward<'_>, role: &RoleFacts) -> Finding {
    let check = Check::RoleSelfEdit;
    let (edits, how) = match (&role.edits_itself, by_its_policies(role)) {
        (Ok(edits), _) => (edits.clone(), "as IAM simulates it"),
        (Err(_), Some(edits)) => (edits, "by its policies alone"),
        (Err(why), None) => {
            return Finding {
                fix: Some(fix::let_read(ward)),
                ..Finding::skipped(check, unseen(why))
            };
        }
    };
    if edits.is_empty() {
        return Finding::ok(check, format!("it cannot edit itself, {how}"));
    }
    let listed = edits.iter().map(String::as_str).collect::<Vec<_>>();
    let remedy = Fix::say("make a managed policy of this and attach it to the role")
        .policy(fix::no_self_edit(ward))
        .command(format!(
            "aws iam create-policy --policy-name no-self-edit --policy-document file://policy.json && \
             aws iam attach-role-policy --role-name {} --policy-arn ARN",
            ward.role_name()
        ));
    if sessions_may(ward.scope, &edits) {
        return Finding::fail(
            check,
            format!(
                "a session of this scope can undo its own denial: role and session policy allow `{}`",
                listed.join("`, `")
            ),
            remedy,
        );
    }
    Finding::warn(
        check,
        format!(
            "it may edit itself, {how} (`{}`); only the scope's session policy keeps Writ's sessions from it",
            listed.join("`, `")
        ),
        remedy,
    )
}

/// The edits of itself that some policy of the role allows and none denies, conditions and boundary apart; `None` where not
/// every policy was read.
fn by_its_policies(role: &RoleFacts) -> Option<BTreeSet<String>> {
    let mut statements = Vec::new();
    for document in role.inline.as_ref().ok()?.values() {
        statements.extend(Document::parse(document)?.statements);
    }
    for attached in role.attached.as_ref().ok()? {
        statements.extend(Document::parse(attached.document.as_deref()?)?.statements);
    }
    let may = |action: &str| {
        let about = |allows: bool| {
            statements.iter().any(|it| {
                it.allows == allows
                    && it.covers_action(action)
                    && it.covers_resource(&role.arn)
                    // A conditional denial may not hold; a conditional permission may.
                    && (allows || it.conditions.is_empty())
            })
        };
        about(true) && !about(false)
    };
    let edits = SELF_EDITS.into_iter().filter(|action| may(action));
    Some(edits.map(str::to_owned).collect())
}

/// Whether the scope's session policy allows one of these edits on the role: what a session can do is what both allow.
fn sessions_may(scope: &Scope, edits: &BTreeSet<String>) -> bool {
    scope.aws.statements.iter().any(|statement| {
        let about_role = statement
            .resource
            .iter()
            .any(|pattern| matches(pattern, scope.aws.role_arn.as_str()));
        let about_edit = statement.action.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            edits
                .iter()
                .any(|edit| matches(&pattern, &edit.to_ascii_lowercase()))
        });
        about_role && about_edit
    })
}

/// Whether the longest window that a policy gives is served by one session.
fn length(ward: &Ward<'_>) -> Finding {
    let check = Check::SessionLength;
    let (scope_s, cap_s) = (ward.scope.aws.max_session_s, ward.settings.cap_s());
    let session_s = scope_s.min(cap_s);
    let Some(longest_s) = ward.longest_s else {
        return Finding::ok(check, "no policy gives a window for it");
    };
    let seen = format!(
        "a window may last {}, one session {}",
        spoken(longest_s),
        spoken(session_s)
    );
    if longest_s <= session_s {
        return Finding::ok(check, seen);
    }
    let more = "longer windows take several sessions, one after the other";
    if scope_s < longest_s.min(cap_s) {
        let wanted_s = longest_s.min(cap_s);
        return Finding::warn(
            check,
            format!("{seen}: {more}"),
            Fix::say("let the role give longer ones, and say so in `scopes.hcl`")
                .command(format!(
                    "aws iam update-role --role-name {} --max-session-duration {}",
                    ward.role_name(),
                    // IAM's least.
                    wanted_s.max(3_600)
                ))
                .config(format!(
                    "aws {{\n  max_session = \"{}\"\n}}",
                    spoken(wanted_s.max(3_600))
                )),
        );
    }
    Finding::warn(
        check,
        format!("{seen}, since the broker's credentials are a role's session: {more}"),
        Fix::say(
            "use clients that renew (`writ exec`, `credential_process`), or let policies give an hour at most",
        ),
    )
}

/// The trial AssumeRole, with tags, source identity and session policy.
fn rehearsal(ward: &Ward<'_>, seen: &Seen<()>) -> Finding {
    let check = Check::SessionRehearsal;
    let why = match seen {
        Ok(()) => {
            return Finding::ok(
                check,
                "AssumeRole is granted (denied everything, and dropped)",
            );
        }
        Err(why) if why.refused => why,
        Err(why) => return Finding::skipped(check, unseen(why)),
    };
    let remedy = match why.code.as_str() {
        ACCESS_DENIED => Fix::say(
            "the role's trust policy and the broker's own policies must both allow it: look at `trust.broker`, and give the broker's identity this policy",
        )
        .policy(fix::let_issue(ward)),
        "RegionDisabledException" => Fix::say(format!(
            "activate STS in `{}` in the role's account, or name another region in `scopes.hcl`",
            ward.scope.aws.region
        )),
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "ExpiredToken" | "ExpiredTokenException" => {
            Fix::say("look at `issuer.identity` and `clock.skew`")
        }
        _ => Fix::say("look up AWS's code"),
    };
    Finding::fail(
        check,
        format!("AssumeRole is refused: {}", why.code),
        remedy,
    )
}

/// The revoker, or why there is nothing to say of it.
fn revoker<'a>(ward: &Ward<'a>) -> Result<&'a Identity, String> {
    match (ward.revoker, ward.issuer) {
        (Some(Ok(revoker)), Ok(issuer)) if revoker.is_same(issuer) => {
            Err("the revoker is the issuer: see `revoker.apart`".to_owned())
        }
        (Some(Ok(revoker)), _) => Ok(revoker),
        (Some(Err(why)), _) => Err(unseen(why)),
        (None, _) => Err("there is no revoker".to_owned()),
    }
}

fn revoker_may(ward: &Ward<'_>, seen: &Seen<BTreeSet<String>>) -> Finding {
    let check = Check::RevokerMay;
    let revoker = match revoker(ward) {
        Ok(revoker) => revoker,
        Err(because) => return Finding::skipped(check, because),
    };
    if revoker.account != ward.scope.aws.role_arn.account() {
        return Finding::fail(
            check,
            format!(
                "the revoker is of the account {}, and IAM writes in the caller's account only: nothing can be revoked in {}",
                revoker.account,
                ward.scope.aws.role_arn.account()
            ),
            Fix::say("serve the scopes of each account with a broker and a revoker of their own"),
        );
    }
    let principal = revoker.principal();
    let remedy = || {
        Fix::say(format!("give `{principal}` this policy"))
            .policy(fix::let_revoke(ward, &principal))
    };
    match seen {
        Ok(may) => {
            let lacks: Vec<&str> = REVOKER_NEEDS
                .into_iter()
                .filter(|action| !may.contains(*action))
                .collect();
            if lacks.is_empty() {
                return Finding::ok(check, "it may write and read the role's denials");
            }
            Finding::fail(
                check,
                format!("the revoker may not `{}`", lacks.join("`, `")),
                remedy(),
            )
        }
        Err(why) => Finding {
            fix: why.refused.then(remedy),
            ..Finding::skipped(check, unseen(why))
        },
    }
}

fn revoker_assumes(ward: &Ward<'_>, seen: &Seen<()>) -> Finding {
    let check = Check::RevokerAssume;
    if let Err(because) = revoker(ward) {
        return Finding::skipped(check, because);
    }
    match seen {
        Ok(()) => Finding::fail(
            check,
            "the revoker can assume the role: it may give it anything, and then use it",
            fix::set_trust(ward),
        ),
        Err(why) if why.refused && why.code == ACCESS_DENIED => {
            Finding::ok(check, "the revoker cannot assume it")
        }
        Err(why) => Finding::skipped(check, unseen(why)),
    }
}
