//! JSON as a token and a key set may have it: no key twice, not deep, nothing after it.
//!
//! Two readers that disagree on a doubled key disagree on who somebody is. The usual readers take the last one silently.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// The deepest nesting taken. A token's claims need two levels, Keycloak's role lists four.
pub const JSON_DEPTH_MAX: u8 = 8;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// A fraction, an exponent, or a number outside 64 bits: no claim we read may be one.
    OtherNumber,
    Text(String),
    List(Vec<Json>),
    Object(Object),
}

/// A JSON object.
pub(super) type Object = BTreeMap<String, Json>;

/// Reads an object, or says what is wrong with it.
pub(super) fn read_object(bytes: &[u8]) -> Result<Object, JsonError> {
    let fault = Cell::new(JsonError::NotAnObject);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Value {
        depth: 0,
        fault: &fault,
    }
    .deserialize(&mut reader)
    .map_err(|_| fault.get())?;
    reader.end().map_err(|_| JsonError::NotAnObject)?;
    match value {
        Json::Object(object) => Ok(object),
        Json::Null
        | Json::Bool(_)
        | Json::Integer(_)
        | Json::OtherNumber
        | Json::Text(_)
        | Json::List(_) => Err(JsonError::NotAnObject),
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    NotAnObject,
    DoubledKey,
    TooDeep,
}

#[derive(Clone, Copy)]
struct Value<'a> {
    depth: u8,
    /// Where the reader leaves the reason, since serde's errors carry only text.
    fault: &'a Cell<JsonError>,
}

impl Value<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth >= JSON_DEPTH_MAX {
            self.fault.set(JsonError::TooDeep);
            return Err(E::custom("too deep"));
        }
        Ok(Value {
            depth: self.depth + 1,
            fault: self.fault,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if object.insert(key, value).is_some() {
                self.fault.set(JsonError::DoubledKey);
                return Err(A::Error::custom("doubled key"));
            }
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_object_is_read() {
        let object =
            read_object(br#" {"a":1,"b":"x","c":[true,null],"d":{"a":-1},"e":1.5} "#).unwrap();
        assert_eq!(object.get("a"), Some(&Json::Integer(1)));
        assert_eq!(object.get("b"), Some(&Json::Text("x".to_owned())));
        assert_eq!(
            object.get("c"),
            Some(&Json::List(vec![Json::Bool(true), Json::Null]))
        );
        assert_eq!(
            object.get("d"),
            Some(&Json::Object([("a".to_owned(), Json::Integer(-1))].into()))
        );
        assert_eq!(object.get("e"), Some(&Json::OtherNumber));
    }

    #[test]
    fn anything_two_readers_could_read_differently_is_refused() {
        let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        assert!(read_object(deep(8).as_bytes()).is_ok());
        let cases: Vec<(Vec<u8>, JsonError)> = vec![
            (deep(9).into_bytes(), JsonError::TooDeep),
            (deep(100_000).into_bytes(), JsonError::TooDeep),
            (
                format!("{{\"a\":{}1{}}}", "[".repeat(8), "]".repeat(8)).into_bytes(),
                JsonError::TooDeep,
            ),
            (br#"{"a":1,"a":1}"#.to_vec(), JsonError::DoubledKey),
            (br#"{"a":1,"\u0061":2}"#.to_vec(), JsonError::DoubledKey),
            (br#"{"b":[{"a":1,"a":2}]}"#.to_vec(), JsonError::DoubledKey),
            (
                br#"{"b":{"c":{"a":1,"a":2}}}"#.to_vec(),
                JsonError::DoubledKey,
            ),
            (b"".to_vec(), JsonError::NotAnObject),
            (b"[]".to_vec(), JsonError::NotAnObject),
            (b"\"x\"".to_vec(), JsonError::NotAnObject),
            (br#"{"a":1}{"#.to_vec(), JsonError::NotAnObject),
            (br#"{"a":1} x"#.to_vec(), JsonError::NotAnObject),
            (br#"{"a":1,}"#.to_vec(), JsonError::NotAnObject),
            (br#"{'a':1}"#.to_vec(), JsonError::NotAnObject),
            (br#"{"a":01}"#.to_vec(), JsonError::NotAnObject),
            (br#"{"a":NaN}"#.to_vec(), JsonError::NotAnObject),
            (b"\xef\xbb\xbf{}".to_vec(), JsonError::NotAnObject),
            (b"{\"a\":\"\xff\"}".to_vec(), JsonError::NotAnObject),
            (br#"{"a":"\ud800"}"#.to_vec(), JsonError::NotAnObject),
            (b"{\"a\":\"\n\"}".to_vec(), JsonError::NotAnObject),
        ];
        for (text, fault) in cases {
            assert_eq!(
                read_object(&text),
                Err(fault),
                "{}",
                String::from_utf8_lossy(&text)
                    .chars()
                    .take(60)
                    .collect::<String>()
            );
        }
    }

    #[test]
    fn a_number_that_is_no_64_bit_integer_is_not_taken_for_one() {
        for text in ["1.0", "1e3", "9223372036854775808", "1e400", "-0.0"] {
            let read = read_object(format!("{{\"a\":{text}}}").as_bytes());
            if let Ok(object) = read {
                assert_eq!(object.get("a"), Some(&Json::OtherNumber), "{text}");
            }
        }
    }
}
