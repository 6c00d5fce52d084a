//! An IAM policy document, read strictly, and its verdict on one action.

use serde_json::{Map, Value};

use crate::condition::{Condition, Context, glob, texts};

/// Where a policy is attached, which decides what its statements must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A session or identity policy: it names resources, not principals.
    Permissions,
    /// A role's trust policy: it names principals, not resources.
    Trust,
    /// A resource's own policy: it names both.
    Resource,
}

/// Why a policy is not taken. What AWS would take but this sandbox does not evaluate is refused too, and says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or not an object.
    #[error("This policy contains invalid Json")]
    Json,
    /// JSON, but not a policy.
    #[error("Syntax errors in policy.")]
    Syntax,
    /// An action without its service.
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    Vendor,
    /// No `Resource` where there must be one.
    #[error("Policy statement must contain resources.")]
    NoResource,
    /// No `Action` where there must be one.
    #[error("Policy statement must contain actions.")]
    NoAction,
    /// A resource that is neither an ARN nor `*`.
    #[error("Resource {0} must be in ARN format or \"*\".")]
    NotArn(String),
    /// A `Sid` that IAM's own policies cannot have.
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    SidLetters,
    /// Two statements of one `Sid`.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    SidTwice,
    /// A date operator's value is not an instant.
    #[error("Syntax errors in policy. `{0}` is not an instant such as 2026-01-31T09:30:00Z")]
    Date(String),
    /// AWS may take this; here it would not be evaluated.
    #[error("the sandbox does not evaluate {0}")]
    Unsupported(String),
}

/// What a policy says about one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Denied,
    Allowed,
    Silent,
}

impl Verdict {
    /// The verdict of several policies that count as one: a Deny in any wins, else an Allow in any.
    pub(crate) fn of_all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts
            .into_iter()
            .fold(Verdict::Silent, |all, one| match (all, one) {
                (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
                (Verdict::Allowed, _) | (_, Verdict::Allowed) => Verdict::Allowed,
                (Verdict::Silent, Verdict::Silent) => Verdict::Silent,
            })
    }
}

/// By which of their names a policy names a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The exact ARN of the caller: of the session, if it is one.
    Exactly,
    /// The role whose session the caller is, or anyone.
    ByRole,
    /// The account, which only delegates to its own policies.
    ByAccount,
}

/// The principal of a call, by all its names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) arn: &'a str,
    pub(crate) role_arn: Option<&'a str>,
    pub(crate) account: &'a str,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allow: bool,
    principals: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

impl Policy {
    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Policy, PolicyError> {
        let document: Value = serde_json::from_str(text).map_err(|_| PolicyError::Json)?;
        let document = document.as_object().ok_or(PolicyError::Json)?;
        known(document, &["Version", "Id", "Statement"])?;
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2012-10-17" | "2008-10-17")) => {}
            Some(_) => return Err(PolicyError::Syntax),
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(list)) => list.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            _ => return Err(PolicyError::Syntax),
        };
        if statements.is_empty() {
            return Err(PolicyError::Syntax);
        }
        check_sids(statements, kind)?;
        let statements = statements
            .iter()
            .map(|one| Statement::parse(one, kind))
            .collect::<Result<_, _>>()?;
        Ok(Policy { statements })
    }

    /// The condition keys it asks for, as it spells them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.statements
            .iter()
            .flat_map(|one| &one.conditions)
            .map(Condition::key)
    }

    /// The verdict of a permissions policy.
    pub(crate) fn judge(&self, action: &str, resource: &str, context: &Context) -> Verdict {
        self.verdict(|statement| statement.covers(action, resource, context))
    }

    /// The verdict of a trust policy on `who`.
    pub(crate) fn judge_trust(&self, who: Who<'_>, action: &str, context: &Context) -> Verdict {
        self.verdict(|statement| {
            statement.names(who).is_some() && statement.covers(action, "", context)
        })
    }

    /// The verdict of a resource's policy on `who`, with the strongest name an Allow used.
    pub(crate) fn judge_resource(
        &self,
        who: Who<'_>,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> (Verdict, Option<Named>) {
        let applies = |statement: &Statement| {
            statement
                .names(who)
                .filter(|_| statement.covers(action, resource, context))
        };
        let verdict = self.verdict(|statement| applies(statement).is_some());
        let names: Vec<Named> = self
            .statements
            .iter()
            .filter(|one| one.allow)
            .filter_map(applies)
            .collect();
        let strongest = [Named::Exactly, Named::ByRole, Named::ByAccount]
            .into_iter()
            .find(|name| names.contains(name));
        (verdict, strongest)
    }

    /// An explicit Deny wins; else an Allow; else nothing was said.
    fn verdict(&self, applies: impl Fn(&Statement) -> bool) -> Verdict {
        let any = |allow: bool| {
            self.statements
                .iter()
                .any(|one| one.allow == allow && applies(one))
        };
        match (any(false), any(true)) {
            (true, _) => Verdict::Denied,
            (false, true) => Verdict::Allowed,
            (false, false) => Verdict::Silent,
        }
    }
}

impl Statement {
    fn parse(value: &Value, kind: Kind) -> Result<Statement, PolicyError> {
        let fields = value.as_object().ok_or(PolicyError::Syntax)?;
        known(
            fields,
            &[
                "Sid",
                "Effect",
                "Principal",
                "Action",
                "Resource",
                "Condition",
            ],
        )?;
        let allow = match fields.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(PolicyError::Syntax),
        };
        let actions = texts(fields.get("Action").ok_or(PolicyError::NoAction)?)?;
        let prefaced = |action: &String| {
            let named = action
                .split_once(':')
                .is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
            action == "*" || named
        };
        if !actions.iter().all(prefaced) {
            return Err(PolicyError::Vendor);
        }
        let resources = match (kind, fields.get("Resource")) {
            (Kind::Trust, Some(_)) => return Err(PolicyError::Syntax),
            (Kind::Trust, None) => vec!["*".to_owned()],
            (Kind::Permissions | Kind::Resource, None) => return Err(PolicyError::NoResource),
            (Kind::Permissions | Kind::Resource, Some(resources)) => texts(resources)?,
        };
        let is_arn = |text: &&String| {
            *text == "*" || text.starts_with("arn:") && text.split(':').count() >= 6
        };
        if let Some(wrong) = resources.iter().find(|text| !is_arn(text)) {
            return Err(PolicyError::NotArn(wrong.clone()));
        }
        let principals = match (kind, fields.get("Principal")) {
            (Kind::Permissions, Some(_)) | (Kind::Trust | Kind::Resource, None) => {
                return Err(PolicyError::Syntax);
            }
            (Kind::Permissions, None) => Vec::new(),
            (Kind::Trust | Kind::Resource, Some(principal)) => principals(principal)?,
        };
        let conditions = match fields.get("Condition") {
            Some(block) => Condition::parse_block(block)?,
            None => Vec::new(),
        };
        Ok(Statement {
            allow,
            principals,
            actions,
            resources,
            conditions,
        })
    }

    fn covers(&self, action: &str, resource: &str, context: &Context) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions
            .iter()
            .any(|pattern| glob(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| glob(pattern, resource))
            && self
                .conditions
                .iter()
                .all(|condition| condition.met(context))
    }

    fn names(&self, who: Who<'_>) -> Option<Named> {
        let root = format!("arn:aws:iam::{}:root", who.account);
        let by = |matches: &dyn Fn(&str) -> bool, name| {
            let found = self.principals.iter().any(|principal| matches(principal));
            found.then_some(name)
        };
        by(&|one| one == who.arn, Named::Exactly)
            .or_else(|| {
                by(
                    &|one| one == "*" || Some(one) == who.role_arn,
                    Named::ByRole,
                )
            })
            .or_else(|| by(&|one| one == who.account || one == root, Named::ByAccount))
    }
}

/// `"*"` or `{"AWS": …}`; wildcards inside an ARN are not allowed, as on AWS.
fn principals(value: &Value) -> Result<Vec<String>, PolicyError> {
    if value.as_str() == Some("*") {
        return Ok(vec!["*".to_owned()]);
    }
    let fields = value.as_object().ok_or(PolicyError::Syntax)?;
    if let Some(other) = fields.keys().find(|key| *key != "AWS") {
        return Err(PolicyError::Unsupported(format!(
            "principal of kind `{other}`"
        )));
    }
    let list = texts(fields.get("AWS").ok_or(PolicyError::Syntax)?)?;
    let account = |text: &str| text.len() == 12 && text.chars().all(|digit| digit.is_ascii_digit());
    let valid = |text: &String| {
        text == "*" || account(text) || text.starts_with("arn:aws:") && !text.contains('*')
    };
    if list.iter().all(valid) {
        Ok(list)
    } else {
        Err(PolicyError::Syntax)
    }
}

/// IAM's own policies have letters and digits in a `Sid`, and each once; of other services' the rules differ.
fn check_sids(statements: &[Value], kind: Kind) -> Result<(), PolicyError> {
    let mut seen: Vec<&str> = Vec::new();
    for sid in statements.iter().filter_map(|one| one.get("Sid")) {
        let sid = sid.as_str().ok_or(PolicyError::Syntax)?;
        let plain = sid.chars().all(|letter| letter.is_ascii_alphanumeric());
        match kind {
            Kind::Permissions | Kind::Trust if !plain => return Err(PolicyError::SidLetters),
            Kind::Permissions | Kind::Trust | Kind::Resource => {}
        }
        if !sid.is_empty() && seen.contains(&sid) {
            return Err(PolicyError::SidTwice);
        }
        seen.push(sid);
    }
    Ok(())
}

/// `NotAction`, `NotResource`, `NotPrincipal` and misspellings must not be skipped: skipping a line changes what is allowed.
fn known(fields: &Map<String, Value>, names: &[&str]) -> Result<(), PolicyError> {
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) if key.starts_with("Not") => Err(PolicyError::Unsupported(format!("`{key}`"))),
        Some(_) => Err(PolicyError::Syntax),
        None => Ok(()),
    }
}

/// The policy's length without the white space between its tokens.
pub(crate) fn minified_bytes(policy: &str) -> u64 {
    let mut count = 0;
    let (mut inside, mut escaped) = (false, false);
    for letter in policy.chars() {
        if inside || !letter.is_ascii_whitespace() {
            count += letter.len_utf8();
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            _ => {}
        }
    }
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn permissions(statements: Value) -> Result<Policy, PolicyError> {
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        Policy::parse(&text, Kind::Permissions)
    }

    fn judge(statements: Value, action: &str, resource: &str) -> Verdict {
        permissions(statements)
            .unwrap()
            .judge(action, resource, &Context::default())
    }

    #[test]
    fn an_explicit_deny_wins_over_any_allow() {
        let both = json!([
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "iam:*", "Resource": "*" },
        ]);
        assert_eq!(judge(both.clone(), "iam:PassRole", "*"), Verdict::Denied);
        assert_eq!(judge(both, "s3:GetObject", "*"), Verdict::Allowed);
    }

    #[test]
    fn a_deny_in_one_of_several_policies_is_a_deny() {
        use Verdict::{Allowed, Denied, Silent};
        for (several, expected) in [
            (vec![], Silent),
            (vec![Silent, Silent], Silent),
            (vec![Silent, Allowed], Allowed),
            (vec![Allowed, Silent], Allowed),
            (vec![Allowed, Denied], Denied),
            (vec![Denied, Allowed, Silent], Denied),
        ] {
            assert_eq!(Verdict::of_all(several.clone()), expected, "{several:?}");
        }
    }

    #[test]
    fn a_sid_is_given_to_one_statement() {
        let of =
            |sid: &str| json!({ "Sid": sid, "Effect": "Allow", "Action": "s3:*", "Resource": "*" });
        assert!(permissions(json!([of("a"), of("b"), of(""), of("")])).is_ok());
        assert_eq!(
            permissions(json!([of("a"), of("a")])).unwrap_err(),
            PolicyError::SidTwice
        );
    }

    #[test]
    fn actions_ignore_case_and_resources_do_not() {
        let one =
            json!({ "Effect": "Allow", "Action": "S3:Get*", "Resource": "arn:aws:s3:::Bucket/*" });
        assert_eq!(
            judge(one.clone(), "s3:getobject", "arn:aws:s3:::Bucket/a"),
            Verdict::Allowed
        );
        assert_eq!(
            judge(one.clone(), "s3:PutObject", "arn:aws:s3:::Bucket/a"),
            Verdict::Silent
        );
        assert_eq!(
            judge(one, "s3:GetObject", "arn:aws:s3:::bucket/a"),
            Verdict::Silent
        );
    }

    #[test]
    fn a_policy_with_anything_unknown_in_it_is_refused() {
        let allow = |more: Value| {
            let mut statement = json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" });
            for (key, value) in more.as_object().unwrap() {
                statement[key] = value.clone();
            }
            permissions(statement)
        };
        assert!(allow(json!({ "Sid": "ok" })).is_ok());
        for (more, why) in [
            (
                json!({ "NotAction": "s3:*" }),
                "the sandbox does not evaluate `NotAction`",
            ),
            (
                json!({ "NotResource": "*" }),
                "the sandbox does not evaluate `NotResource`",
            ),
            (json!({ "Actions": "s3:*" }), "Syntax errors in policy."),
            (
                json!({ "Sid": "not ok" }),
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                 [0-9A-Za-z]*",
            ),
            (json!({ "Sid": 7 }), "Syntax errors in policy."),
            (json!({ "Effect": "allow" }), "Syntax errors in policy."),
            (json!({ "Principal": "*" }), "Syntax errors in policy."),
            (
                json!({ "Action": "GetObject" }),
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (json!({ "Action": [] }), "Syntax errors in policy."),
            (
                json!({ "Resource": "bucket" }),
                "Resource bucket must be in ARN format or \"*\".",
            ),
            (
                json!({ "Condition": { "Bool": { "aws:SecureTransport": "true" } } }),
                "the sandbox does not evaluate condition key `aws:SecureTransport`",
            ),
        ] {
            assert_eq!(allow(more.clone()).unwrap_err().to_string(), why, "{more}");
        }
        for text in ["", "{", "[]", "\"x\""] {
            assert_eq!(
                Policy::parse(text, Kind::Permissions).unwrap_err(),
                PolicyError::Json,
                "{text}"
            );
        }
        for text in [
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Version":"2020-01-01","Statement":{}}"#,
            r#"{"statement":[]}"#,
        ] {
            assert_eq!(
                Policy::parse(text, Kind::Permissions).unwrap_err(),
                PolicyError::Syntax,
                "{text}"
            );
        }
    }

    #[test]
    fn a_trust_policy_names_whom_it_means() {
        let who = Who {
            arn: "arn:aws:sts::123456789012:assumed-role/broker/one",
            role_arn: Some("arn:aws:iam::123456789012:role/broker"),
            account: "123456789012",
        };
        for (principal, named) in [
            (json!({ "AWS": who.arn }), true),
            (json!({ "AWS": who.role_arn }), true),
            (json!({ "AWS": "123456789012" }), true),
            (json!({ "AWS": ["arn:aws:iam::123456789012:root"] }), true),
            (json!("*"), true),
            (
                json!({ "AWS": "arn:aws:iam::123456789012:role/other" }),
                false,
            ),
            (json!({ "AWS": "arn:aws:iam::999999999999:root" }), false),
        ] {
            let text = json!({ "Statement": { "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" } });
            let policy = Policy::parse(&text.to_string(), Kind::Trust).unwrap();
            let verdict = policy.judge_trust(who, "sts:AssumeRole", &Context::default());
            assert_eq!(verdict == Verdict::Allowed, named, "{principal}");
        }
        for principal in [
            json!({ "Federated": "x" }),
            json!({ "AWS": "arn:aws:iam::*:root" }),
            json!({}),
            json!("me"),
        ] {
            let text = json!({ "Statement": { "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" } });
            assert!(
                Policy::parse(&text.to_string(), Kind::Trust).is_err(),
                "{principal}"
            );
        }
    }

    #[test]
    fn white_space_between_tokens_weighs_nothing() {
        assert_eq!(
            minified_bytes("{ \"a b\" :\n\t[ 1 ] }"),
            minified_bytes("{\"a b\":[1]}")
        );
        assert_eq!(minified_bytes(r#"{"a\" b": 1}"#), 11);
    }
}
