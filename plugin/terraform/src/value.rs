//! Values of Terraform's language, to and from the wire: MessagePack, or JSON where Terraform sends that.
//!
//! Decoded text is borrowed from the message, so that a secret in it is not copied around.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rmpv::{Integer, ValueRef};
use zeroize::Zeroize as _;

use crate::tfplugin6::DynamicValue;

/// A value, as far as this provider's schema needs it.
#[derive(Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// `null`, and what was not written at all.
    Null,
    /// Not known before apply.
    Unknown,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    String(Cow<'a, str>),
    /// A list, a set or a tuple.
    List(Vec<Value<'a>>),
    /// An object or a map.
    Object(Object<'a>),
}

/// The attributes of an object, by name.
pub(crate) type Object<'a> = BTreeMap<Cow<'a, str>, Value<'a>>;

impl<'a> Value<'a> {
    /// Text.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Value<'a> {
        Value::String(text.into())
    }

    /// A list of texts.
    pub(crate) fn texts<T: Into<Cow<'a, str>>>(texts: impl IntoIterator<Item = T>) -> Value<'a> {
        Value::List(texts.into_iter().map(Value::text).collect())
    }

    /// Text, or `null`.
    pub(crate) fn text_or_null<T: Into<Cow<'a, str>>>(text: Option<T>) -> Value<'a> {
        text.map_or(Value::Null, Value::text)
    }
}

/// An object of the attributes given.
pub(crate) fn object<'a, const N: usize>(attributes: [(&'static str, Value<'a>); N]) -> Value<'a> {
    Value::Object(
        attributes
            .into_iter()
            .map(|(name, value)| (Cow::Borrowed(name), value))
            .collect(),
    )
}

/// The object a block's configuration is.
pub(crate) fn decode_block(value: Option<&DynamicValue>) -> Result<Object<'_>, NotUnderstood> {
    match value.map(decode).transpose()? {
        Some(Value::Object(object)) => Ok(object),
        Some(Value::Null) | None => Ok(Object::new()),
        Some(
            Value::Unknown | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_),
        ) => Err(NotUnderstood("The block is not an object")),
    }
}

fn decode(value: &DynamicValue) -> Result<Value<'_>, NotUnderstood> {
    if value.msgpack.is_empty() {
        return match value.json.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&value.json)
                .map(from_json)
                .map_err(|_| NotUnderstood("It is not JSON")),
        };
    }
    let mut rest = value.msgpack.as_slice();
    let value = rmpv::decode::read_value_ref(&mut rest)
        .map_err(|_| NotUnderstood("It is not MessagePack"))?;
    match rest.is_empty() {
        true => from_msgpack(value),
        false => Err(NotUnderstood("There is more than one value")),
    }
}

fn from_msgpack(value: ValueRef<'_>) -> Result<Value<'_>, NotUnderstood> {
    Ok(match value {
        ValueRef::Nil => Value::Null,
        // Terraform writes what it does not know yet as an extension: 0 for nothing known of it, 12 for some limits of it.
        ValueRef::Ext(..) => Value::Unknown,
        ValueRef::Boolean(truth) => Value::Bool(truth),
        ValueRef::Integer(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        ValueRef::F32(number) => Value::Number(f64::from(number)),
        ValueRef::F64(number) => Value::Number(number),
        ValueRef::String(text) => Value::String(Cow::Borrowed(utf8(text)?)),
        ValueRef::Array(items) => Value::List(
            items
                .into_iter()
                .map(from_msgpack)
                .collect::<Result<_, _>>()?,
        ),
        ValueRef::Map(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(name, value)| match name {
                    ValueRef::String(name) => {
                        Ok((Cow::Borrowed(utf8(name)?), from_msgpack(value)?))
                    }
                    _ => Err(NotUnderstood("The name of an attribute is not text")),
                })
                .collect::<Result<_, _>>()?,
        ),
        // Only values of any type come like this, with their type beside them; no attribute of ours is one.
        ValueRef::Binary(_) => return Err(NotUnderstood("It holds bytes")),
    })
}

fn utf8(text: rmpv::Utf8StringRef<'_>) -> Result<&str, NotUnderstood> {
    text.into_str().ok_or(NotUnderstood("A text is not UTF-8"))
}

fn from_json(value: serde_json::Value) -> Value<'static> {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(Cow::Owned(text)),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name), from_json(value)))
                .collect(),
        ),
    }
}

/// As Terraform reads it.
pub(crate) fn encode(value: &Value<'_>) -> DynamicValue {
    let value = to_msgpack(value);
    // Its size is known before: growing would leave copies of a secret behind.
    let mut msgpack = Vec::with_capacity(size(&value));
    // Writing to memory does not fail.
    let _ = rmpv::encode::write_value_ref(&mut msgpack, &value);
    DynamicValue {
        msgpack,
        json: Vec::new(),
    }
}

fn to_msgpack<'v>(value: &'v Value<'_>) -> ValueRef<'v> {
    match value {
        Value::Null => ValueRef::Nil,
        Value::Unknown => ValueRef::Ext(0, &[0]),
        Value::Bool(truth) => ValueRef::Boolean(*truth),
        Value::Number(number) => match as_whole(*number) {
            Some(whole) => ValueRef::Integer(Integer::from(whole)),
            None => ValueRef::F64(*number),
        },
        Value::String(text) => ValueRef::from(text.as_ref()),
        Value::List(items) => ValueRef::Array(items.iter().map(to_msgpack).collect()),
        Value::Object(object) => ValueRef::Map(
            object
                .iter()
                .map(|(name, value)| (ValueRef::from(name.as_ref()), to_msgpack(value)))
                .collect(),
        ),
    }
}

/// A number without a fraction, where an integer holds it exactly.
fn as_whole(number: f64) -> Option<i32> {
    let fits =
        number.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    fits.then_some(number as i32)
}

/// The most bytes a value can take: each head has at most nine.
fn size(value: &ValueRef<'_>) -> usize {
    const HEAD_MAX: usize = 9;
    HEAD_MAX
        + match value {
            ValueRef::Nil
            | ValueRef::Boolean(_)
            | ValueRef::Integer(_)
            | ValueRef::F32(_)
            | ValueRef::F64(_) => 0,
            ValueRef::String(text) => text.as_bytes().len(),
            ValueRef::Binary(bytes) | ValueRef::Ext(_, bytes) => bytes.len(),
            ValueRef::Array(items) => items.iter().map(size).sum(),
            ValueRef::Map(entries) => entries.iter().map(|(k, v)| size(k) + size(v)).sum(),
        }
}

/// Bytes that are no value. It never repeats them: they may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUnderstood(pub(crate) &'static str);

/// Shows that there is a value, never which.
impl std::fmt::Debug for DynamicValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicValue").finish_non_exhaustive()
    }
}

/// Wiped when dropped, whichever way it travelled.
impl Drop for DynamicValue {
    fn drop(&mut self) {
        self.msgpack.zeroize();
        self.json.zeroize();
    }
}

#[cfg(test)]
mod tests;
