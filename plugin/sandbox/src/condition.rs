//! One line of a policy's `Condition`: an operator, a key and values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::policy::PolicyError;

/// What a key holds, and so which operators make sense for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Texts,
    Date,
}

/// Every condition key evaluated here, in lower case (IAM compares keys so). One that ends in `/` takes a tag's key after it.
const KEYS: [(&str, Holds); 13] = [
    ("aws:currenttime", Holds::Date),
    ("aws:tokenissuetime", Holds::Date),
    ("aws:principalarn", Holds::Text),
    ("aws:principaltag/", Holds::Text),
    ("aws:requestedregion", Holds::Text),
    ("aws:requesttag/", Holds::Text),
    ("aws:sourceidentity", Holds::Text),
    ("aws:tagkeys", Holds::Texts),
    ("aws:userid", Holds::Text),
    ("sts:externalid", Holds::Text),
    ("sts:rolesessionname", Holds::Text),
    ("sts:sourceidentity", Holds::Text),
    ("sts:transitivetagkeys", Holds::Texts),
];

/// What is known about a call: each key's values. A key that is absent is absent for the policy too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    texts: BTreeMap<String, Vec<String>>,
    dates: BTreeMap<String, Timestamp>,
}

impl Context {
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.texts(key, [value]);
    }

    pub(crate) fn texts<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a str>) {
        let values = values.into_iter().map(str::to_owned).collect();
        self.texts.insert(key.to_ascii_lowercase(), values);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        let lower = key.to_ascii_lowercase();
        self.texts.contains_key(&lower) || self.dates.contains_key(&lower)
    }

    /// Dates are judged to the second, as `aws:CurrentTime` is written.
    pub(crate) fn date(&mut self, key: &str, at: Timestamp) {
        let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
        self.dates.insert(key.to_ascii_lowercase(), whole);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// As the policy spells it.
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(Vec<String>),
    Like(Vec<String>),
    /// `ForAllValues`: each value of the call, of which there may be none, is among these.
    AllEqual(Vec<String>),
    AllLike(Vec<String>),
    Date(DateTest, Vec<Timestamp>),
}

#[derive(Debug, Clone, Copy)]
enum DateTest {
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Condition {
    /// Reads a whole `Condition` block.
    pub(crate) fn parse_block(block: &Value) -> Result<Vec<Condition>, PolicyError> {
        let block = block.as_object().ok_or(PolicyError::Syntax)?;
        let mut out = Vec::new();
        for (operator, keys) in block {
            for (key, values) in keys.as_object().ok_or(PolicyError::Syntax)? {
                out.push(Condition::parse(operator, key, values)?);
            }
        }
        Ok(out)
    }

    fn parse(operator: &str, key: &str, values: &Value) -> Result<Condition, PolicyError> {
        let holds =
            holds(key).ok_or_else(|| PolicyError::Unsupported(format!("condition key `{key}`")))?;
        let values = texts(values)?;
        let misfit =
            || PolicyError::Unsupported(format!("operator `{operator}` on condition key `{key}`"));
        let test = match (operator, holds) {
            ("StringEquals", Holds::Text) => Test::Equals(values),
            ("StringLike", Holds::Text) => Test::Like(values),
            ("ForAllValues:StringEquals", Holds::Texts | Holds::Text) => Test::AllEqual(values),
            ("ForAllValues:StringLike", Holds::Texts | Holds::Text) => Test::AllLike(values),
            (_, Holds::Date) => Test::Date(
                DateTest::parse(operator).ok_or_else(misfit)?,
                dates(&values)?,
            ),
            (_, Holds::Text | Holds::Texts) => return Err(misfit()),
        };
        Ok(Condition {
            key: key.to_owned(),
            test,
        })
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether the condition is met. A key the call does not have meets nothing but `ForAllValues`, which is vacuously true.
    pub(crate) fn met(&self, context: &Context) -> bool {
        let key = self.key.to_ascii_lowercase();
        let given = context
            .texts
            .get(&key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let equals = |values: &[String], one: &String| values.contains(one);
        let like =
            |values: &[String], one: &String| values.iter().any(|pattern| glob(pattern, one));
        match &self.test {
            Test::Equals(values) => given.iter().any(|one| equals(values, one)),
            Test::Like(values) => given.iter().any(|one| like(values, one)),
            Test::AllEqual(values) => given.iter().all(|one| equals(values, one)),
            Test::AllLike(values) => given.iter().all(|one| like(values, one)),
            Test::Date(test, limits) => context
                .dates
                .get(&key)
                .is_some_and(|at| limits.iter().any(|limit| test.holds(*at, *limit))),
        }
    }
}

/// What `key` holds; `None` if it is not evaluated here.
fn holds(key: &str) -> Option<Holds> {
    let lower = key.to_ascii_lowercase();
    KEYS.iter()
        .find(|(known, _)| match known.strip_suffix('/') {
            Some(_) => lower.strip_prefix(known).is_some_and(|tag| !tag.is_empty()),
            None => lower == *known,
        })
        .map(|(_, holds)| *holds)
}

/// Whether `key` holds a moment, so that a text given for it would be compared with nothing.
pub(crate) fn holds_date(key: &str) -> bool {
    holds(key) == Some(Holds::Date)
}

impl DateTest {
    fn parse(operator: &str) -> Option<DateTest> {
        match operator {
            "DateLessThan" => Some(DateTest::LessThan),
            "DateLessThanEquals" => Some(DateTest::LessThanEquals),
            "DateGreaterThan" => Some(DateTest::GreaterThan),
            "DateGreaterThanEquals" => Some(DateTest::GreaterThanEquals),
            _ => None,
        }
    }

    fn holds(self, at: Timestamp, limit: Timestamp) -> bool {
        match self {
            DateTest::LessThan => at < limit,
            DateTest::LessThanEquals => at <= limit,
            DateTest::GreaterThan => at > limit,
            DateTest::GreaterThanEquals => at >= limit,
        }
    }
}

/// A string or a list of strings, none with a policy variable, which is not substituted here.
pub(crate) fn texts(value: &Value) -> Result<Vec<String>, PolicyError> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if list.is_empty() {
        return Err(PolicyError::Syntax);
    }
    list.iter()
        .map(|one| match one.as_str() {
            Some(text) if text.contains("${") => Err(PolicyError::Unsupported(format!(
                "policy variable in `{text}`"
            ))),
            Some(text) => Ok(text.to_owned()),
            None => Err(PolicyError::Syntax),
        })
        .collect()
}

fn dates(values: &[String]) -> Result<Vec<Timestamp>, PolicyError> {
    values
        .iter()
        .map(|text| text.parse().map_err(|_| PolicyError::Date(text.clone())))
        .collect()
}

/// IAM's wildcards: `*` is any run of characters, `?` exactly one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    // `reach` holds, after each pattern letter, which prefixes of the text it can cover: no backtracking, so no blow-up.
    let text: Vec<char> = text.chars().collect();
    let mut reach = vec![false; text.len() + 1];
    if let Some(start) = reach.first_mut() {
        *start = true;
    }
    for letter in pattern.chars() {
        if letter == '*' {
            let mut seen = false;
            for here in &mut reach {
                seen |= *here;
                *here = seen;
            }
        } else {
            let step = reach
                .iter()
                .zip(&text)
                .map(|(here, one)| *here && (letter == '?' || letter == *one));
            reach = std::iter::once(false).chain(step).collect();
        }
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(block: Value) -> Result<Vec<Condition>, PolicyError> {
        Condition::parse_block(&block)
    }

    #[test]
    fn wildcards_are_iams() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?*", "", false),
            ("?*", "a", true),
            ("writ-*", "writ-1", true),
            ("writ-*", "not-writ-1", false),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXcYYb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
        assert!(!glob(&"*a".repeat(200), &"b".repeat(2_000)));
    }

    #[test]
    fn the_two_halves_of_a_window_meet_at_the_exact_second() {
        let end = "2026-01-01T10:00:00Z";
        let block = |operator: &str| json!({ operator: { "aws:CurrentTime": end } });
        for (at, less, less_equal, greater, greater_equal) in [
            ("2026-01-01T09:59:59Z", true, true, false, false),
            ("2026-01-01T09:59:59.999Z", true, true, false, false),
            ("2026-01-01T10:00:00Z", false, true, false, true),
            ("2026-01-01T10:00:00.999Z", false, true, false, true),
            ("2026-01-01T10:00:01Z", false, false, true, true),
        ] {
            let mut context = Context::default();
            context.date("aws:CurrentTime", at.parse().unwrap());
            for (operator, expected) in [
                ("DateLessThan", less),
                ("DateLessThanEquals", less_equal),
                ("DateGreaterThan", greater),
                ("DateGreaterThanEquals", greater_equal),
            ] {
                let met = parse(block(operator))
                    .unwrap()
                    .iter()
                    .all(|one| one.met(&context));
                assert_eq!(met, expected, "{operator} at {at}");
            }
        }
    }

    #[test]
    fn a_missing_key_meets_nothing_but_for_all_values() {
        let nothing = Context::default();
        for (block, expected) in [
            (json!({ "StringEquals": { "aws:userid": "x" } }), false),
            (json!({ "StringLike": { "aws:userid": "*" } }), false),
            (
                json!({ "DateGreaterThanEquals": { "aws:CurrentTime": "2000-01-01T00:00:00Z" } }),
                false,
            ),
            (
                json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["a"] } }),
                true,
            ),
        ] {
            let met = parse(block.clone())
                .unwrap()
                .iter()
                .all(|one| one.met(&nothing));
            assert_eq!(met, expected, "{block}");
        }
    }

    #[test]
    fn for_all_values_asks_each_value() {
        let parsed =
            parse(json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["a", "b"] } })).unwrap();
        for (given, expected) in [
            (vec!["a"], true),
            (vec!["a", "b"], true),
            (vec!["a", "c"], false),
        ] {
            let mut context = Context::default();
            context.texts("aws:TagKeys", given.iter().copied());
            assert_eq!(parsed[0].met(&context), expected, "{given:?}");
        }
    }

    #[test]
    fn keys_are_compared_without_case_and_values_with_it() {
        let parsed =
            parse(json!({ "StringEquals": { "AWS:principaltag/Team": "Payments" } })).unwrap();
        for (value, expected) in [("Payments", true), ("payments", false)] {
            let mut context = Context::default();
            context.text("aws:PrincipalTag/team", value);
            assert_eq!(parsed[0].met(&context), expected, "{value}");
        }
    }

    #[test]
    fn what_is_not_evaluated_is_refused() {
        for block in [
            json!({ "StringNotEquals": { "aws:userid": "x" } }),
            json!({ "StringEqualsIfExists": { "aws:userid": "x" } }),
            json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } }),
            json!({ "StringEquals": { "s3:prefix": "x" } }),
            json!({ "StringEquals": { "aws:PrincipalTag/": "x" } }),
            json!({ "StringEquals": { "aws:TagKeys": "x" } }),
            json!({ "StringEquals": { "aws:CurrentTime": "2026-01-01T00:00:00Z" } }),
            json!({ "DateLessThan": { "aws:userid": "2026-01-01T00:00:00Z" } }),
            json!({ "DateLessThan": { "aws:CurrentTime": "tomorrow" } }),
            json!({ "DateLessThan": { "aws:CurrentTime": "2026-01-01" } }),
            json!({ "StringEquals": { "aws:userid": "${aws:username}" } }),
            json!({ "StringEquals": { "aws:userid": [] } }),
            json!({ "StringEquals": { "aws:userid": 7 } }),
            json!({ "StringEquals": "aws:userid" }),
            json!([]),
        ] {
            assert!(parse(block.clone()).is_err(), "{block}");
        }
    }
}
