//! IAM policy documents, read as far as the doctor's questions go.

use serde_json::{Map, Value};

/// A document's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) allows: bool,
    /// Of a trust policy; empty in others.
    pub(super) principals: Vec<Principal>,
    actions: Names,
    resources: Names,
    pub(super) conditions: Vec<Condition>,
}

/// Whom a statement of a trust policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// `*`, or everybody but some.
    Anyone,
    /// An ARN, an account, or the unique id of somebody who was deleted.
    Aws(String),
    /// A service or an identity provider, as `Service` or `Federated` name them.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// One comparison of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// `StringLike`, `ForAllValues:StringEquals` …
    pub(super) operator: String,
    /// In small letters: IAM compares keys without case.
    pub(super) key: String,
    pub(super) values: Vec<String>,
}

impl Document {
    /// `None` for what is no policy document.
    pub(super) fn parse(json: &str) -> Option<Document> {
        let value: Value = serde_json::from_str(json).ok()?;
        let statements = match value.get("Statement")? {
            Value::Array(many) => many.iter().map(statement).collect::<Option<Vec<_>>>()?,
            one => vec![statement(one)?],
        };
        Some(Document { statements })
    }
}

impl Statement {
    pub(super) fn covers_action(&self, action: &str) -> bool {
        let covers = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
        };
        self.actions.hold(covers)
    }

    pub(super) fn covers_resource(&self, arn: &str) -> bool {
        self.resources
            .hold(|patterns| patterns.iter().any(|pattern| matches(pattern, arn)))
    }

    /// Whether it is about every action and every resource there is.
    pub(super) fn is_about_everything(&self) -> bool {
        let everything = Names::Only(vec!["*".to_owned()]);
        self.actions == everything && self.resources == everything
    }
}

impl Names {
    fn hold(&self, covers: impl Fn(&[String]) -> bool) -> bool {
        match self {
            Names::Only(patterns) => covers(patterns),
            Names::AllBut(patterns) => !covers(patterns),
        }
    }
}

fn statement(value: &Value) -> Option<Statement> {
    let fields = value.as_object()?;
    let allows = match fields.get("Effect")?.as_str()? {
        "Allow" => true,
        "Deny" => false,
        _ => return None,
    };
    Some(Statement {
        allows,
        principals: principals(fields)?,
        actions: names(fields, "Action", "NotAction")?,
        // A trust policy has no resources: it is about its role.
        resources: names(fields, "Resource", "NotResource")
            .unwrap_or_else(|| Names::Only(vec!["*".to_owned()])),
        conditions: conditions(fields)?,
    })
}

fn names(fields: &Map<String, Value>, only: &str, all_but: &str) -> Option<Names> {
    match (fields.get(only), fields.get(all_but)) {
        (Some(value), None) => texts(value).map(Names::Only),
        (None, Some(value)) => texts(value).map(Names::AllBut),
        _ => None,
    }
}

fn principals(fields: &Map<String, Value>) -> Option<Vec<Principal>> {
    if fields.contains_key("NotPrincipal") {
        return Some(vec![Principal::Anyone]);
    }
    let kinds = match fields.get("Principal") {
        None => return Some(Vec::new()),
        Some(Value::String(all)) if all == "*" => return Some(vec![Principal::Anyone]),
        Some(Value::Object(kinds)) => kinds,
        Some(_) => return None,
    };
    let mut found = Vec::new();
    for (kind, value) in kinds {
        for name in texts(value)? {
            found.push(match (kind.as_str(), name.as_str()) {
                (_, "*") => Principal::Anyone,
                ("AWS", _) => Principal::Aws(name),
                _ => Principal::Other(name),
            });
        }
    }
    Some(found)
}

fn conditions(fields: &Map<String, Value>) -> Option<Vec<Condition>> {
    let Some(operators) = fields.get("Condition") else {
        return Some(Vec::new());
    };
    let mut found = Vec::new();
    for (operator, keys) in operators.as_object()? {
        for (key, values) in keys.as_object()? {
            found.push(Condition {
                operator: operator.clone(),
                key: key.to_ascii_lowercase(),
                values: texts(values)?,
            });
        }
    }
    Some(found)
}

/// One text or a list of them; IAM takes numbers and booleans in conditions too.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(many) => many.iter().map(text).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// IAM's wildcards: `*` is any text, `?` any one character.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_iams() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "iam:PutRolePolicy", true),
            ("iam:*", "iam:PutRolePolicy", true),
            ("iam:Put*Policy", "iam:PutRolePolicy", true),
            ("iam:Put*Policy", "iam:PutRolePolicies", false),
            ("iam:Put????Policy", "iam:PutRolePolicy", true),
            ("iam:Put???Policy", "iam:PutRolePolicy", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a**", "a", true),
            ("", "a", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn one(json: &str) -> Statement {
        let document = Document::parse(&format!(r#"{{"Statement":{json}}}"#)).unwrap();
        document.statements.into_iter().next().unwrap()
    }

    #[test]
    fn actions_are_compared_without_case_and_resources_with_it() {
        let it = one(
            r#"[{"Effect":"Allow","Action":["IAM:put*"],"Resource":"arn:aws:iam::1:role/A*"}]"#,
        );
        assert!(it.covers_action("iam:PutRolePolicy"));
        assert!(!it.covers_action("iam:GetRole"));
        assert!(it.covers_resource("arn:aws:iam::1:role/Ab"));
        assert!(!it.covers_resource("arn:aws:iam::1:role/ab"));
        let but = one(r#"{"Effect":"Allow","NotAction":"iam:*","NotResource":"arn:x"}"#);
        assert!(!but.covers_action("iam:GetRole") && but.covers_action("s3:GetObject"));
        assert!(!but.covers_resource("arn:x") && but.covers_resource("arn:y"));
    }

    #[test]
    fn principals_of_each_kind_are_told_apart() {
        for (json, expected) in [
            (r#""*""#, vec![Principal::Anyone]),
            (r#"{"AWS":"*"}"#, vec![Principal::Anyone]),
            (
                r#"{"AWS":["123456789012","arn:x"]}"#,
                vec![
                    Principal::Aws("123456789012".to_owned()),
                    Principal::Aws("arn:x".to_owned()),
                ],
            ),
            (
                r#"{"Service":"ec2.amazonaws.com"}"#,
                vec![Principal::Other("ec2.amazonaws.com".to_owned())],
            ),
        ] {
            let it = one(&format!(
                r#"{{"Effect":"Allow","Principal":{json},"Action":"sts:AssumeRole"}}"#
            ));
            assert_eq!(it.principals, expected, "{json}");
        }
        let all_but = r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:x"},"Action":"*"}"#;
        assert_eq!(one(all_but).principals, [Principal::Anyone]);
    }

    #[test]
    fn what_is_no_policy_is_not_taken_for_one() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[{"Effect":"allow","Action":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Allow"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":{}}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Principal":"x"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Condition":[]}]}"#,
            r#"{"Statement":["x"]}"#,
        ] {
            assert_eq!(Document::parse(json), None, "{json}");
        }
    }
}
