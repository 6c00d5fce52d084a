//! The reader of one block or object: every key is asked for by name and type, or reported as unknown.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use hcl_edit::Span;
use hcl_edit::structure::{Block, BlockLabel, Body};

use super::seconds::{seconds, spelled};
use super::value::literal;
use super::{Document, Members, Placed, Value};
use crate::bundle::report::nearest;

/// Reads a block, an object or a whole file. Each method that finds something wrong says so in the document and returns
/// `None`, so a caller asks for everything first and looks at the answers last.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a Document,
    what: String,
    header: Range<usize>,
    attributes: Vec<Attribute>,
    blocks: Vec<&'a Block>,
    asked_attributes: Vec<String>,
    asked_blocks: Vec<String>,
    missing: Vec<Missing>,
    finished: bool,
}

#[derive(Debug)]
struct Attribute {
    key: Placed<String>,
    /// `None` if it is no literal, which the document then says.
    value: Option<Placed<Value>>,
}

/// A required key that was not there; reported at the end, unless a misspelt one explains it.
#[derive(Debug)]
enum Missing {
    Attribute(String),
    Block(String),
}

impl Missing {
    fn key(&self) -> &str {
        match self {
            Missing::Attribute(key) | Missing::Block(key) => key,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn of_body(
        document: &'a Document,
        body: &'a Body,
        what: String,
        header: Range<usize>,
    ) -> Reader<'a> {
        let attributes = body.attributes().map(|attribute| Attribute {
            key: Placed::new(
                attribute.key.as_str().to_owned(),
                attribute.key.span().unwrap_or_default(),
            ),
            value: literal(document, &attribute.value),
        });
        Reader {
            document,
            what,
            header,
            attributes: attributes.collect(),
            blocks: body.blocks().collect(),
            asked_attributes: Vec::new(),
            asked_blocks: Vec::new(),
            missing: Vec::new(),
            finished: false,
        }
    }

    fn of_object(
        document: &'a Document,
        members: Members,
        what: String,
        header: Range<usize>,
    ) -> Reader<'a> {
        let attributes = members.into_iter().map(|(key, value)| Attribute {
            key,
            value: Some(value),
        });
        Reader {
            document,
            what,
            header,
            attributes: attributes.collect(),
            blocks: Vec::new(),
            asked_attributes: Vec::new(),
            asked_blocks: Vec::new(),
            missing: Vec::new(),
            finished: false,
        }
    }

    /// What is read, as messages name it: ``scope `prod-db-read` ``.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where it begins: the block's name and label.
    pub fn header(&self) -> Range<usize> {
        self.header.clone()
    }

    /// The document it is in.
    pub fn document(&self) -> &'a Document {
        self.document
    }

    /// Adds an error at `span`.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.document.error(span, message, help);
    }

    /// A string that is not empty.
    pub fn string(&mut self, key: &str) -> Option<Placed<String>> {
        let value = self.value(key)?;
        self.as_string(&format!("`{key}`"), value)
    }

    /// As [`Reader::string`]; an error if it is missing.
    pub fn required_string(&mut self, key: &str) -> Option<Placed<String>> {
        self.require(key);
        self.string(key)
    }

    /// What `parse` makes of a string; its error is the message.
    pub fn parsed<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Placed<T>> {
        let text = self.string(key)?;
        match parse(&text) {
            Ok(value) => Some(Placed::new(value, text.span)),
            Err(error) => {
                self.error(text.span, error.to_string(), None);
                None
            }
        }
    }

    /// As [`Reader::parsed`]; an error if it is missing.
    pub fn required_parsed<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Placed<T>> {
        self.require(key);
        self.parsed(key, parse)
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str) -> Option<Placed<bool>> {
        let value = self.value(key)?;
        match value.value {
            Value::Bool(truth) => Some(Placed::new(truth, value.span)),
            other => self.mismatch(&format!("`{key}`"), "`true` or `false`", &other, value.span),
        }
    }

    /// A whole number in `range`.
    pub fn u32(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<Placed<u32>> {
        let value = self.value(key)?;
        let whole = match value.value {
            Value::Whole(whole) => whole,
            other => {
                return self.mismatch(&format!("`{key}`"), "a whole number", &other, value.span);
            }
        };
        match u32::try_from(whole)
            .ok()
            .filter(|whole| range.contains(whole))
        {
            Some(whole) => Some(Placed::new(whole, value.span)),
            None => {
                let (least, most) = (range.start(), range.end());
                self.error(
                    value.span,
                    format!("`{key}` is out of range; it goes from {least} to {most}"),
                    None,
                );
                None
            }
        }
    }

    /// As [`Reader::u32`]; an error if it is missing.
    pub fn required_u32(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<Placed<u32>> {
        self.require(key);
        self.u32(key, range)
    }

    /// A duration such as `"8h"`, `"1h30m"` or `"30d"`, in whole seconds, within `range_s`.
    pub fn seconds(&mut self, key: &str, range_s: RangeInclusive<u32>) -> Option<Placed<u32>> {
        let text = self.string(key)?;
        match seconds(&text) {
            Some(duration) if range_s.contains(&duration) => {
                return Some(Placed::new(duration, text.span));
            }
            Some(_) => self.error(
                text.span,
                format!(
                    "`{}` is out of range; `{key}` goes from `{}` to `{}`",
                    text.value,
                    spelled(*range_s.start()),
                    spelled(*range_s.end())
                ),
                None,
            ),
            None => self.error(
                text.span,
                format!(
                    "`{}` is not a duration; write it like `45m`, `1h30m` or `7d`",
                    text.value
                ),
                None,
            ),
        }
        None
    }

    /// A list of strings, none empty.
    pub fn strings(&mut self, key: &str) -> Option<Placed<Vec<Placed<String>>>> {
        let value = self.value(key)?;
        match value.value {
            Value::List(items) => {
                let what = format!("each item of `{key}`");
                let strings: Vec<_> = items
                    .into_iter()
                    .map(|item| self.as_string(&what, item))
                    .collect();
                let strings = strings.into_iter().collect::<Option<_>>()?;
                Some(Placed::new(strings, value.span))
            }
            other => self.mismatch(&format!("`{key}`"), "a list of strings", &other, value.span),
        }
    }

    /// One string or a list of them, as IAM writes actions and resources.
    pub fn string_or_strings(&mut self, key: &str) -> Option<Placed<Vec<Placed<String>>>> {
        let one = self.attributes.iter().any(|attribute| {
            attribute.key.value == key
                && attribute
                    .value
                    .as_ref()
                    .is_some_and(|value| matches!(value.value, Value::String(_)))
        });
        if one {
            let string = self.string(key)?;
            let span = string.span.clone();
            return Some(Placed::new(vec![string], span));
        }
        self.strings(key)
    }

    /// An object, to be read like a block.
    pub fn object(&mut self, key: &str) -> Option<Reader<'a>> {
        let value = self.value(key)?;
        self.as_object(format!("`{key}`"), value)
    }

    /// A list of objects, each to be read like a block.
    pub fn objects(&mut self, key: &str) -> Option<Placed<Vec<Reader<'a>>>> {
        let value = self.value(key)?;
        match value.value {
            Value::List(items) => {
                let readers = items.into_iter().enumerate().filter_map(|(place, item)| {
                    self.as_object(format!("`{key}` number {}", place + 1), item)
                });
                Some(Placed::new(readers.collect(), value.span))
            }
            other => self.mismatch(&format!("`{key}`"), "a list of objects", &other, value.span),
        }
    }

    /// Any literal.
    pub fn value(&mut self, key: &str) -> Option<Placed<Value>> {
        if !self.asked_attributes.iter().any(|asked| asked == key) {
            self.asked_attributes.push(key.to_owned());
        }
        let place = self
            .attributes
            .iter()
            .position(|attribute| attribute.key.value == key)?;
        self.attributes.remove(place).value
    }

    /// Every attribute not yet asked for: where the keys are the author's own.
    pub fn rest(&mut self) -> Members {
        std::mem::take(&mut self.attributes)
            .into_iter()
            .filter_map(|attribute| Some((attribute.key, attribute.value?)))
            .collect()
    }

    /// Whether `key` is given and was not asked for yet.
    pub fn has(&self, key: &str) -> bool {
        self.attributes
            .iter()
            .any(|attribute| attribute.key.value == key)
    }

    /// An error unless `key` is given, as an attribute; for the methods that do not require it themselves.
    pub fn require(&mut self, key: &str) {
        let given = |attribute: &Attribute| attribute.key.value == key;
        let as_block = self.blocks.iter().any(|block| block.ident.as_str() == key);
        // A block of that name is reported when the reader is finished, with what to write instead.
        if !self.attributes.iter().any(given) && !as_block {
            self.missing.push(Missing::Attribute(key.to_owned()));
        }
    }

    /// The blocks of that name, which take no label.
    pub fn blocks(&mut self, name: &str) -> Vec<Reader<'a>> {
        let mut readers = Vec::new();
        for block in self.take_blocks(name) {
            if let Some(label) = block.labels.first() {
                let span = label.span().unwrap_or_default();
                self.error(span, format!("`{name}` takes no name"), None);
                continue;
            }
            let what = format!("`{name}` of {}", self.what);
            readers.push(Reader::of_body(
                self.document,
                &block.body,
                what,
                header(block),
            ));
        }
        readers
    }

    /// The one block of that name, which takes no label.
    pub fn block(&mut self, name: &str) -> Option<Reader<'a>> {
        let mut readers = self.blocks(name).into_iter();
        let first = readers.next();
        for mut again in readers {
            again.finished = true;
            if let Some(first) = &first {
                self.document.error_pair(
                    first.header(),
                    again.header(),
                    format!("{} has more than one `{name}` block", self.what),
                    Some("keep one of them".to_owned()),
                );
            }
        }
        first
    }

    /// As [`Reader::block`]; an error if it is missing.
    pub fn required_block(&mut self, name: &str) -> Option<Reader<'a>> {
        let as_attribute = |attribute: &Attribute| attribute.key.value == name;
        let given = self.blocks.iter().any(|block| block.ident.as_str() == name)
            || self.attributes.iter().any(as_attribute);
        if !given {
            self.missing.push(Missing::Block(name.to_owned()));
        }
        self.block(name)
    }

    /// The blocks of that name, each with the one label that no other of them has.
    pub fn labelled_blocks(&mut self, name: &str) -> Vec<(Placed<String>, Reader<'a>)> {
        let mut readers: Vec<(Placed<String>, Reader<'a>)> = Vec::new();
        let mut seen = std::collections::BTreeMap::<String, Range<usize>>::new();
        for block in self.take_blocks(name) {
            let [label] = block.labels.as_slice() else {
                self.error(
                    header(block),
                    format!("`{name}` takes exactly one name"),
                    Some(format!("write `{name} \"…\" {{`")),
                );
                continue;
            };
            let span = label.span().unwrap_or_default();
            let label = match label {
                BlockLabel::Ident(label) => label.as_str().to_owned(),
                BlockLabel::String(label) => label.value().clone(),
            };
            if let Some(first) = seen.get(&label) {
                self.document.error_pair(
                    first.clone(),
                    span,
                    format!("{name} `{label}` is given twice"),
                    Some("rename or remove one of them".to_owned()),
                );
                continue;
            }
            seen.insert(label.clone(), span.clone());
            let what = format!("{name} `{label}`");
            let reader = Reader::of_body(self.document, &block.body, what, header(block));
            readers.push((Placed::new(label, span), reader));
        }
        readers
    }

    fn take_blocks(&mut self, name: &str) -> Vec<&'a Block> {
        if !self.asked_blocks.iter().any(|asked| asked == name) {
            self.asked_blocks.push(name.to_owned());
        }
        let (taken, left) = std::mem::take(&mut self.blocks)
            .into_iter()
            .partition(|block| block.ident.as_str() == name);
        self.blocks = left;
        taken
    }

    /// Reports what is missing and what nobody asked for. A reader that is dropped without it makes the document invalid.
    pub fn finish(mut self) {
        self.finished = true;
        let keys = self.attributes.iter().map(|attribute| &attribute.key);
        let meant: Vec<&str> = keys
            .map(|key| self.unknown(key, false))
            .chain(self.blocks.iter().map(|block| {
                let span = block.ident.span().unwrap_or_default();
                self.unknown(&Placed::new(block.ident.as_str().to_owned(), span), true)
            }))
            .flatten()
            .collect();
        for missing in &self.missing {
            let key = missing.key();
            if meant.contains(&key) {
                continue;
            }
            let (message, help) = match missing {
                Missing::Attribute(_) => (
                    format!("{} lacks `{key}`", self.what),
                    format!("add `{key} = …`"),
                ),
                Missing::Block(_) => (
                    format!("{} lacks a block `{key}`", self.what),
                    format!("add `{key} {{ … }}`"),
                ),
            };
            self.error(self.header.clone(), message, Some(help));
        }
    }

    /// Leaves the rest unread, where an error was reported that the rest would only repeat.
    pub fn abandon(mut self) {
        self.finished = self.document.has_errors();
    }

    /// Reports a key nobody asked for, and returns the one that was probably meant.
    fn unknown(&self, key: &Placed<String>, is_block: bool) -> Option<&str> {
        let span = key.span.clone();
        let name = key.value.as_str();
        if is_block && self.asked_attributes.contains(&key.value) {
            let message = format!("`{name}` is an attribute: write `{name} = …`");
            self.error(span, message, None);
            return None;
        }
        if !is_block && self.asked_blocks.contains(&key.value) {
            let message = format!("`{name}` is a block: write `{name} {{ … }}`, without `=`");
            self.error(span, message, None);
            return None;
        }
        let known = || {
            let asked = self.asked_attributes.iter().chain(&self.asked_blocks);
            asked.map(String::as_str)
        };
        let listed: Vec<String> = known().map(|key| format!("`{key}`")).collect();
        let listed = format!("known here: {}", listed.join(", "));
        let meant = nearest(name, known());
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`? ({listed})"),
            None => listed,
        };
        let message = format!("{} takes no `{name}`", self.what);
        self.error(span, message, Some(help));
        meant
    }

    fn as_string(&self, what: &str, value: Placed<Value>) -> Option<Placed<String>> {
        match value.value {
            Value::String(text) if text.is_empty() => {
                self.error(value.span, format!("{what} is empty"), None);
                None
            }
            Value::String(text) => Some(Placed::new(text, value.span)),
            other => self.mismatch(what, "a string", &other, value.span),
        }
    }

    fn as_object(&self, what: String, value: Placed<Value>) -> Option<Reader<'a>> {
        match value.value {
            Value::Object(members) => Some(Reader::of_object(
                self.document,
                members,
                format!("{what} of {}", self.what),
                // An object can be long; its first brace is enough to point at.
                value.span.start..value.span.start + 1,
            )),
            other => self.mismatch(&what, "an object", &other, value.span),
        }
    }

    fn mismatch<T>(&self, what: &str, wanted: &str, got: &Value, span: Range<usize>) -> Option<T> {
        self.error(
            span,
            format!("{what} must be {wanted}, not {}", got.kind()),
            None,
        );
        None
    }
}

/// Nothing a file says may go unread, not even by a slip of ours.
impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.finished && !self.document.has_errors() {
            self.document.error(
                self.header.clone(),
                format!("{} was not read to its end", self.what),
                None,
            );
        }
    }
}

/// A block's name and labels.
fn header(block: &Block) -> Range<usize> {
    let start = block.ident.span().unwrap_or_default();
    let end = block.labels.last().and_then(Span::span);
    start.start..end.map_or(start.end, |label| label.end)
}
