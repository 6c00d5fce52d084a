//! `scopes.hcl`: the catalog of what can be asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::hcl::{Document, Placed, Reader, Value};
use super::report::did_you_mean;
use crate::principal::{UserId, check_name};
use crate::scope::{
    ACTIVATION_TTL_DEFAULT_S, AwsTarget, Emergency, Escalation, REQUEST_TTL_DEFAULT_S,
    REVIEW_TTL_DEFAULT_S, RoleArn, Scope, ScopeId, Statement, TTL_MAX_S,
};
use crate::session::{DURATION_MIN_S, SESSION_POLICY_MAX, session_policy};
use crate::window::Moment;

/// A role's own limit where the catalog is silent: AWS's default `MaxSessionDuration`, which is also its least.
pub const MAX_SESSION_DEFAULT_S: u32 = 3_600;

/// The longest `MaxSessionDuration` IAM lets a role have.
pub const MAX_SESSION_MAX_S: u32 = 43_200;

/// The longest description, in characters: it is shown in lists.
pub const DESCRIPTION_MAX: usize = 300;

/// The one version of IAM's policy language that has policy variables; Writ writes it itself.
const POLICY_VERSION: &str = "2012-10-17";

/// The condition keys that say what time it is. They belong to the window.
const CLOCK_KEYS: [&str; 2] = ["aws:currenttime", "aws:epochtime"];

/// IAM's condition operators, without `ForAllValues:`, `ForAnyValue:` and `…IfExists`.
const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// The directory's groups, as far as they could be read.
#[derive(Clone, Copy)]
pub(super) struct Groups<'d> {
    /// Those there are.
    pub(super) known: &'d BTreeMap<String, super::directory::Group>,
    /// Who is in each; `None` where the directory has errors, which would make some look empty.
    pub(super) members: Option<&'d BTreeMap<String, BTreeSet<UserId>>>,
}

/// Reads the catalog, or `None` if its syntax is wrong; `groups` are the directory's, or `None` if it could not be read and owners cannot be checked.
///
/// A scope with an error still stands in the result, so that policies which name it are not refused for that as well;
/// the document has errors then, and whoever loads the bundle throws the result away.
pub(super) fn read(
    document: &Document,
    groups: Option<Groups<'_>>,
) -> Option<BTreeMap<ScopeId, Scope>> {
    let mut scopes = BTreeMap::new();
    let mut file = document.root()?;
    let blocks = file.labelled_blocks("scope");
    super::refuse_lookalikes(document, "scope", blocks.iter().map(|(name, _)| name));
    for (name, block) in blocks {
        let id = match ScopeId::new(name.value.as_str()) {
            // A session tag's value takes no comma, though other names at AWS do.
            Ok(_) if name.contains(',') => {
                let message = format!("the scope's name `{}` has a comma", name.value);
                document.error(
                    name.span,
                    message,
                    Some("AWS takes none in a tag".to_owned()),
                );
                None
            }
            Ok(id) => Some(id),
            Err(error) => {
                document.error(name.span, error.to_string(), None);
                None
            }
        };
        let scope = read_scope(block, groups);
        if let (Some(id), Some(mut scope)) = (id, scope) {
            scope.id = id.clone();
            scopes.insert(id, scope);
        }
    }
    file.finish();
    Some(scopes)
}

fn read_scope(mut block: Reader<'_>, groups: Option<Groups<'_>>) -> Option<Scope> {
    let description = block.required_string("description");
    if let Some(text) = &description
        && text.chars().count() > DESCRIPTION_MAX
    {
        block.error(
            text.span.clone(),
            format!("a description has at most {DESCRIPTION_MAX} characters"),
            None,
        );
    }
    let name = |text: &str| check_name(text).map(|()| text.to_owned());
    let system = block.required_parsed("system", name);
    let environment = block.required_parsed("environment", name);
    let owners = block.required_parsed("owners", name);
    let document = block.document();
    if let Some(owners) = &owners {
        known_group(document, owners, groups);
    }
    let request_ttl = block.seconds("request_ttl", 1..=TTL_MAX_S);
    let activation_ttl = block.seconds("activation_ttl", 1..=TTL_MAX_S);
    let break_glass = block.block("break_glass");
    let break_glass = break_glass.and_then(|block| read_emergency(block, groups));
    let escalation = block.block("escalation");
    let escalation = escalation.and_then(|block| read_escalation(block, groups));
    let aws = block.required_block("aws").and_then(read_aws);
    block.finish();
    let text = |placed: Option<Placed<String>>| placed.map(|text| text.value).unwrap_or_default();
    Some(Scope {
        id: ScopeId::new("unnamed").ok()?,
        description: text(description),
        system: text(system),
        environment: text(environment),
        owners: text(owners),
        request_ttl_s: request_ttl.map_or(REQUEST_TTL_DEFAULT_S, |ttl| ttl.value),
        activation_ttl_s: activation_ttl.map_or(ACTIVATION_TTL_DEFAULT_S, |ttl| ttl.value),
        break_glass,
        escalation,
        aws: aws.or_else(nowhere)?,
    })
}

/// Tells of a group that the directory does not have.
fn known_group(document: &Document, name: &Placed<String>, groups: Option<Groups<'_>>) {
    if let Some(groups) = groups
        && !groups.known.contains_key(&name.value)
    {
        document.error(
            name.span.clone(),
            format!("no group `{}` in directory.hcl", name.value),
            did_you_mean(name, groups.known.keys().map(String::as_str)),
        );
    }
}

/// Warns of groups that hold nobody between them, where somebody has to be told. No error: a bundle from which the last of
/// them leaves must come into force, or they would keep what they may.
fn somebody_in(
    document: &Document,
    place: &Range<usize>,
    names: &[&str],
    groups: Option<Groups<'_>>,
    then: &str,
) {
    let Some(Groups {
        known,
        members: Some(members),
    }) = groups
    else {
        return;
    };
    let empty = |name: &&str| members.get(*name).is_none_or(BTreeSet::is_empty);
    // A name that is none was told of already.
    let all_known = names.iter().all(|name| known.contains_key(*name));
    if !names.is_empty() && all_known && names.iter().all(empty) {
        let names = names.join("` and `");
        document.warn(
            place.clone(),
            format!("nobody is in `{names}`: {then}"),
            Some("name a group that somebody is in, or put somebody into this one".to_owned()),
        );
    }
}

fn read_emergency(mut block: Reader<'_>, groups: Option<Groups<'_>>) -> Option<Emergency> {
    block.require("announce");
    let announce = block.strings("announce");
    let review_ttl = block.seconds("review_ttl", 1..=TTL_MAX_S);
    let document = block.document();
    block.finish();
    let announce = announce?;
    if announce.value.is_empty() {
        let message = "`announce` is empty: nobody would be told of an emergency";
        document.error(announce.span.clone(), message, None);
    }
    for group in &announce.value {
        known_group(document, group, groups);
    }
    let names: Vec<&str> = announce.value.iter().map(|group| group.as_str()).collect();
    let then = "nobody would be told of an emergency";
    somebody_in(document, &announce.span, &names, groups, then);
    let names = announce.value.into_iter().map(|group| group.value);
    Some(Emergency {
        announce: names.collect::<BTreeSet<String>>(),
        review_ttl_s: review_ttl.map_or(REVIEW_TTL_DEFAULT_S, |ttl| ttl.value),
    })
}

fn read_escalation(mut block: Reader<'_>, groups: Option<Groups<'_>>) -> Option<Escalation> {
    block.require("after");
    let after = block.seconds("after", 1..=TTL_MAX_S);
    let to = block.required_string("to");
    let document = block.document();
    block.finish();
    let (after, to) = (after?, to?);
    known_group(document, &to, groups);
    let then = "nobody would be asked next";
    somebody_in(document, &to.span, &[to.as_str()], groups, then);
    Some(Escalation {
        after_s: after.value,
        to: to.value,
    })
}

/// Stands in for a target that was refused; see [`read`].
fn nowhere() -> Option<AwsTarget> {
    Some(AwsTarget {
        role_arn: RoleArn::new("arn:aws:iam::000000000000:role/refused").ok()?,
        region: String::new(),
        statements: Vec::new(),
        max_session_s: MAX_SESSION_DEFAULT_S,
        lease_s: None,
    })
}

fn read_aws(mut block: Reader<'_>) -> Option<AwsTarget> {
    let role_arn = block.required_parsed("role_arn", |arn| RoleArn::new(arn));
    let region = block.required_parsed("region", check_region);
    if let (Some(role), Some(region)) = (&role_arn, &region)
        && partition_of(region) != role.as_str().split(':').nth(1).unwrap_or_default()
    {
        block.error(
            region.span.clone(),
            format!(
                "`{}` is not in the partition of the role, whose ARN begins with `{}`",
                region.value,
                role.as_str().split(":iam").next().unwrap_or_default()
            ),
            None,
        );
    }
    let max_session = block.seconds("max_session", MAX_SESSION_DEFAULT_S..=MAX_SESSION_MAX_S);
    let max_session_s = max_session.map_or(MAX_SESSION_DEFAULT_S, |most| most.value);
    // A lease as long as the role's own limit, or longer, is none.
    let lease = block.seconds("lease", DURATION_MIN_S..=max_session_s);
    block.require("session_policy");
    let statements = block.object("session_policy").and_then(read_policy);
    block.finish();
    Some(AwsTarget {
        role_arn: role_arn?.value,
        region: region?.value,
        statements: statements?,
        max_session_s,
        lease_s: lease.map(|lease| lease.value),
    })
}

/// A region as AWS names them: `eu-west-1`, `us-gov-east-1`.
fn check_region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let (number, words) = parts.split_last().unwrap_or((&"", &[]));
    let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let fits = words.len() >= 2
        && text.len() <= 32
        && words.iter().all(word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is not a region; write it like `eu-west-1`"))
}

fn partition_of(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn read_policy(mut policy: Reader<'_>) -> Option<Vec<Statement>> {
    let header = policy.header();
    if let Some(version) = policy.string("Version")
        && version.value != POLICY_VERSION
    {
        policy.error(
            version.span,
            format!("`Version` must be `{POLICY_VERSION}`"),
            Some("or leave it out".to_owned()),
        );
    }
    policy.require("Statement");
    let statements = policy.objects("Statement")?;
    let (statements, span) = (statements.value, statements.span);
    if statements.is_empty() {
        policy.error(
            span,
            "`Statement` is empty: this scope would allow nothing",
            None,
        );
    }
    let document = policy.document();
    let read: Vec<Option<Statement>> = statements.into_iter().map(read_statement).collect();
    policy.finish();
    let statements: Vec<Statement> = read.into_iter().collect::<Option<_>>()?;
    // Any moment is as long as any other once written down, so the length found here is the one STS will see.
    let rendered = session_policy(&statements, Moment::MAX.floor_s());
    let length = rendered.chars().count();
    if length > SESSION_POLICY_MAX {
        document.error(
            header,
            format!(
                "the session policy has {length} characters with the window's conditions, {} more than the \
                 {SESSION_POLICY_MAX} STS takes",
                length - SESSION_POLICY_MAX
            ),
            Some("use fewer statements, or wildcards within one service".to_owned()),
        );
        return None;
    }
    Some(statements)
}

fn read_statement(mut statement: Reader<'_>) -> Option<Statement> {
    if let Some(effect) = statement.required_string("Effect")
        && effect.value != "Allow"
    {
        statement.error(
            effect.span,
            format!("`Effect` must be `Allow`, not `{}`", effect.value),
            Some(
                "what a session may not do is simply not named; the window's end is denied by Writ"
                    .to_owned(),
            ),
        );
    }
    statement.require("Action");
    let action = statement.string_or_strings("Action");
    statement.require("Resource");
    let resource = statement.string_or_strings("Resource");
    let condition = statement.object("Condition");
    let document = statement.document();
    statement.finish();
    for action in action.iter().flat_map(|actions| &actions.value) {
        if action.to_ascii_lowercase().starts_with("sts:assumerole") {
            document.warn(
                action.span.clone(),
                "a role assumed from this session outlives the window",
                Some("give people a scope of their own for that role".to_owned()),
            );
        }
    }
    let condition = match condition {
        Some(condition) => read_condition(condition),
        None => Map::new(),
    };
    // Both are looked at before either is missed.
    let action = action.map(|texts| checked_each(document, "Action", texts, check_action));
    let resource = resource.map(|texts| checked_each(document, "Resource", texts, check_resource));
    Some(Statement {
        action: action??,
        resource: resource??,
        condition,
    })
}

fn checked_each(
    document: &Document,
    key: &str,
    texts: Placed<Vec<Placed<String>>>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<Vec<String>> {
    if texts.value.is_empty() {
        document.error(texts.span, format!("`{key}` is empty"), None);
        return None;
    }
    let mut all = Some(Vec::new());
    for text in texts.value {
        let taken = check_characters(&text).and_then(|()| check(&text));
        match (taken, &mut all) {
            (Ok(()), Some(all)) => all.push(text.value),
            (Ok(()), None) => {}
            (Err(message), _) => {
                document.error(text.span, message, None);
                all = None;
            }
        }
    }
    all
}

/// STS takes tab, line feed, carriage return and U+0020 to U+00FF in a session policy.
fn check_characters(text: &str) -> Result<(), String> {
    let taken = |c: &char| matches!(c, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{ff}');
    match text.chars().find(|c| !taken(c)) {
        Some(c) => Err(format!(
            "STS takes no `{c}` (U+{:04X}) in a session policy",
            u32::from(c)
        )),
        None => Ok(()),
    }
}

/// `*`, or `service:Action` in which `*` and `?` may stand for anything.
fn check_action(text: &str) -> Result<(), String> {
    let service = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let name = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'*' || b == b'?')
    };
    let fits = text == "*"
        || text
            .split_once(':')
            .is_some_and(|(s, n)| service(s) && name(n));
    fits.then_some(()).ok_or_else(|| {
        format!("`{text}` is not an action; write it like `s3:GetObject` or `ecs:Describe*`")
    })
}

/// `*` or an ARN.
fn check_resource(text: &str) -> Result<(), String> {
    let fits = text == "*" || (text.starts_with("arn:") && text.split(':').count() >= 6);
    fits.then_some(()).ok_or_else(|| {
        format!("`{text}` is neither an ARN nor `*`; write it like `arn:aws:s3:::bucket/*`")
    })
}

fn read_condition(mut condition: Reader<'_>) -> Map<String, Json> {
    let document = condition.document();
    let operators = condition.rest();
    condition.finish();
    let mut whole = Map::new();
    for (operator, keys) in operators {
        check_operator(document, &operator);
        let Value::Object(keys) = keys.value else {
            document.error(
                keys.span,
                format!(
                    "`{}` must be an object: `{{ \"aws:RequestedRegion\" = \"eu-west-1\" }}`",
                    operator.value
                ),
                None,
            );
            continue;
        };
        let mut map = Map::new();
        for (key, value) in keys {
            if CLOCK_KEYS.contains(&key.to_ascii_lowercase().as_str()) {
                document.error(
                    key.span,
                    format!("`{}` belongs to the window", key.value),
                    Some(
                        "Writ adds when the session ends; say when it may begin in a Cedar policy"
                            .to_owned(),
                    ),
                );
                continue;
            }
            if let Err(message) = check_characters(&key) {
                document.error(key.span, message, None);
                continue;
            }
            let span = value.span.clone();
            match condition_value(value.value) {
                Ok(value) => {
                    map.insert(key.value, value);
                }
                Err(message) => document.error(span, message, None),
            }
        }
        whole.insert(operator.value, Json::Object(map));
    }
    whole
}

fn check_operator(document: &Document, operator: &Placed<String>) {
    let name = operator
        .strip_prefix("ForAllValues:")
        .or_else(|| operator.strip_prefix("ForAnyValue:"))
        .unwrap_or(operator);
    let name = name.strip_suffix("IfExists").unwrap_or(name);
    if !OPERATORS.contains(&name) {
        document.error(
            operator.span.clone(),
            format!("`{}` is not a condition operator of IAM", operator.value),
            did_you_mean(name, OPERATORS),
        );
    }
}

fn condition_value(value: Value) -> Result<Json, String> {
    let text = |text: String| check_characters(&text).map(|()| Json::String(text));
    let wrong = || {
        "a condition compares with a string, a number, `true`, `false` or a list of strings"
            .to_owned()
    };
    match value {
        Value::String(string) => text(string),
        Value::Bool(truth) => Ok(Json::Bool(truth)),
        Value::Whole(whole) => Ok(Json::from(whole)),
        Value::List(items) if !items.is_empty() => items
            .into_iter()
            .map(|item| match item.value {
                Value::String(string) => text(string),
                Value::Bool(_) | Value::Whole(_) | Value::List(_) | Value::Object(_) => {
                    Err(wrong())
                }
            })
            .collect::<Result<Vec<Json>, String>>()
            .map(Json::Array),
        Value::List(_) | Value::Object(_) => Err(wrong()),
    }
}
