//! Large bundles: ten policies and ten people for each scope, a team for each scope.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use writ_engine::bundle::BundleFiles;

/// How many policies are about each scope, as many as there are people in its team.
const POLICIES_A_SCOPE: usize = 10;

/// A bundle of so many policies, with the limits of the first raised in so many scopes.
pub(crate) fn files(policies: usize, raised: usize) -> BundleFiles {
    let (scopes, people) = (policies / POLICIES_A_SCOPE, policies);
    let mut files = BTreeMap::new();
    files.insert(
        "schema.cedarschema".to_owned(),
        include_str!("../../policies/schema.cedarschema").to_owned(),
    );
    let (mut catalog, mut directory) = (String::new(), String::new());
    for scope in 0..scopes {
        let _ = writeln!(
            catalog,
            "scope \"s{scope}\" {{\ndescription = \"x\"\nsystem = \"sys\"\nenvironment = \"prod\"\nowners = \"t{scope}\"\naws {{\nrole_arn = \"arn:aws:iam::123456789012:role/r{scope}\"\nregion = \"eu-west-1\"\nsession_policy = {{ Statement = [{{ Effect = \"Allow\", Action = \"s3:GetObject\", Resource = \"*\" }}] }}\n}}\n}}"
        );
        let _ = writeln!(directory, "group \"t{scope}\" {{\ndescription = \"x\"\n}}");
    }
    for person in 0..people {
        let manager = if person == 0 {
            ""
        } else {
            "manager = \"u0\"\n"
        };
        let _ = writeln!(
            directory,
            "user \"u{person}\" {{\nname = \"x\"\n{manager}groups = [\"t{}\"]\n}}",
            person % scopes
        );
    }
    files.insert("scopes.hcl".to_owned(), catalog);
    files.insert("directory.hcl".to_owned(), directory);
    let texts: Vec<String> = (0..policies)
        .map(|number| policy(number, scopes, raised))
        .collect();
    // A bundle takes files of at most 1 MiB.
    for (number, texts) in texts.chunks(1_000).enumerate() {
        files.insert(format!("access-{number}.cedar"), texts.concat());
    }
    BundleFiles(files)
}

/// Ten for each scope: at once; longer with a manager; much longer with owners and a ticket; other teams' for a while. The
/// first scope's last three are about consent, and a freeze.
fn policy(number: usize, scopes: usize, raised: usize) -> String {
    let (scope, kind) = (number % scopes, number / scopes);
    let permit = |team: usize, condition: &str| {
        format!(
            "@id(\"p{number}\") permit (principal in Group::\"t{team}\", action == Action::\"activate\", resource == Scope::\"s{scope}\") when {{ {condition} }};\n"
        )
    };
    match kind {
        0 if scope < raised => permit(scope, "context.window.duration <= duration(\"2h\")"),
        0 => permit(scope, "context.window.duration <= duration(\"1h\")"),
        1 => permit(
            scope,
            "context.window.duration <= duration(\"4h\") && context.approvals.manager >= 1",
        ),
        2 => permit(
            scope,
            "context.window.duration <= duration(\"8h\") && context.approvals.owner >= 2 && context has ticket",
        ),
        7 if scope == 0 => format!(
            "@id(\"p{number}\") permit (principal, action == Action::\"approveManager\", resource) when {{ context.requester has manager && context.requester.manager == principal }};\n"
        ),
        8 if scope == 0 => format!(
            "@id(\"p{number}\") permit (principal, action == Action::\"approveOwner\", resource) when {{ principal in resource.owners }};\n"
        ),
        9 if scope == 0 => format!(
            "@id(\"p{number}\") forbid (principal, action == Action::\"activate\", resource) when {{ context.window.closes_at > datetime(\"2026-12-24\") && context.window.opens_at < datetime(\"2027-01-02\") }};\n"
        ),
        other => permit(
            (scope + other) % scopes,
            "context.window.duration <= duration(\"15m\")",
        ),
    }
}
