//! Literal HCL values, each with its place.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};

use super::Document;

/// A value and where it stands: a range of bytes of its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the document.
    pub span: Range<usize>,
}

impl<T> Placed<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Range<usize>) -> Placed<T> {
        Placed { value, span }
    }

    /// What `change` makes of the value, at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed::new(change(self.value), self.span)
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The members of an object, in order, each key once.
pub type Members = Vec<(Placed<String>, Placed<Value>)>;

/// A literal value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A quoted string.
    String(String),
    /// `[…]`.
    List(Vec<Placed<Value>>),
    /// `{…}` as a value.
    Object(Members),
}

impl Value {
    /// What it is, for messages: `a string`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "`true` or `false`",
            Value::Whole(_) => "a whole number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

/// The literal that `expression` is, or `None` after saying in the document what is wrong.
///
/// Recursion is bounded: the scan let nothing through that nests deeper than [`super::DEPTH_MAX`].
pub(super) fn literal(document: &Document, expression: &Expression) -> Option<Placed<Value>> {
    let span = expression.span().unwrap_or_default();
    let value = match expression {
        Expression::Bool(value) => Value::Bool(*value.value()),
        Expression::String(value) => Value::String(value.value().clone()),
        Expression::Number(number) => match number.value().as_i64() {
            Some(whole) => Value::Whole(whole),
            None => {
                document.error(span, "only whole numbers are taken", None);
                return None;
            }
        },
        Expression::Array(array) => {
            let items: Vec<_> = array.iter().map(|item| literal(document, item)).collect();
            Value::List(items.into_iter().collect::<Option<_>>()?)
        }
        Expression::Object(object) => {
            let mut members: Members = Vec::new();
            let mut seen = BTreeMap::<String, Range<usize>>::new();
            let mut whole = true;
            for (key, value) in object {
                let key = object_key(document, key);
                let value = literal(document, value.expr());
                let (Some(key), Some(value)) = (key, value) else {
                    whole = false;
                    continue;
                };
                // The scan compares keys as they are written; `"\u0061"` and `a` are the same only here.
                if let Some(first) = seen.insert(key.value.clone(), key.span.clone()) {
                    document.error_pair(
                        first,
                        key.span.clone(),
                        format!("`{}` is given twice", key.value),
                        None,
                    );
                    whole = false;
                    continue;
                }
                members.push((key, value));
            }
            if !whole {
                return None;
            }
            Value::Object(members)
        }
        Expression::Variable(name) => {
            let name = name.as_str();
            document.error(
                span,
                format!("`{name}` is a variable, and there are none"),
                Some(format!("a text goes into double quotes: `\"{name}\"`")),
            );
            return None;
        }
        Expression::Null(_) => {
            document.error(
                span,
                "`null` is no value",
                Some("leave the line out".to_owned()),
            );
            return None;
        }
        Expression::StringTemplate(_)
        | Expression::HeredocTemplate(_)
        | Expression::Parenthesis(_)
        | Expression::Conditional(_)
        | Expression::FuncCall(_)
        | Expression::Traversal(_)
        | Expression::UnaryOp(_)
        | Expression::BinaryOp(_)
        | Expression::ForExpr(_) => {
            document.error(
                span,
                "only literal values are taken, neither functions nor expressions",
                None,
            );
            return None;
        }
    };
    Some(Placed::new(value, span))
}

fn object_key(document: &Document, key: &ObjectKey) -> Option<Placed<String>> {
    let span = key.span().unwrap_or_default();
    match key {
        ObjectKey::Ident(name) => Some(Placed::new(name.as_str().to_owned(), span)),
        ObjectKey::Expression(Expression::String(name)) => {
            Some(Placed::new(name.value().clone(), span))
        }
        ObjectKey::Expression(_) => {
            document.error(span, "a key is a name or a quoted string", None);
            None
        }
    }
}
