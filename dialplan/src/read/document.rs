//! The merged documents of one tenant: TOML values with their places, files joined table by table.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::source::Place;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

/// A TOML value. Integers that do not fit 64 bits are kept as [`Value::Other`].
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Flag(bool),
    /// A float, a date or an unreadable integer: its type and its text.
    Other(&'static str, String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

impl Value {
    /// The type's name in an error.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "an integer",
            Self::Flag(_) => "a boolean",
            Self::Other(name, _) => name,
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// All files of a tenant as one table.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) root: Vec<Entry>,
}

/// Something wrong with the text itself.
#[derive(Debug)]
pub(crate) enum TextError {
    /// Not TOML.
    Syntax { place: Place, message: String },
    /// A key that another file defines too.
    Twice { key: String, first: Place, second: Place },
}

impl Document {
    /// Reads one more file into the document, past errors as far as the text makes sense.
    pub(crate) fn add(&mut self, file: u16, text: &str) -> Vec<TextError> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut wrong: Vec<TextError> = errors
            .iter()
            .map(|error| TextError::Syntax {
                place: place(file, error.span().unwrap_or(text.len()..text.len())),
                message: error.message().replace('\n', " "),
            })
            .collect();
        let entries = entries(file, table.get_ref());
        merge(&mut self.root, entries, "", &mut wrong);
        wrong
    }
}

fn place(file: u16, span: Range<usize>) -> Place {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Place { file, start: offset(span.start), end: offset(span.end) }
}

fn entries(file: u16, table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: place(file, key.span()),
            node: node(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_place);
    entries
}

fn node(file: u16, value: &Spanned<DeValue<'_>>) -> Node {
    let kept = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or_else(|_| Value::Other("a huge integer", digits.to_string()), Value::Whole),
        DeValue::Float(text) => Value::Other("a float", text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Other("a date", date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(file, item)).collect()),
        DeValue::Table(table) => Value::Table(entries(file, table)),
    };
    Node { place: place(file, value.span()), value: kept }
}

/// Joins `added` into `into`: tables by key, the two lists that grow entry by entry, and nothing else.
fn merge(into: &mut Vec<Entry>, added: Vec<Entry>, path: &str, wrong: &mut Vec<TextError>) {
    for new in added {
        let Some(old) = into.iter_mut().find(|old| old.key == new.key) else {
            into.push(new);
            continue;
        };
        let path = if path.is_empty() { new.key.clone() } else { format!("{path}.{}", new.key) };
        match (&mut old.node.value, new.node.value) {
            (Value::Table(old), Value::Table(new)) => merge(old, new, &path, wrong),
            (Value::List(old), Value::List(new)) if GROWING_LISTS.contains(&path.as_str()) => {
                old.extend(new);
            }
            // Each file says which version of the language it is written in.
            (Value::Whole(old), Value::Whole(new)) if path == "schema" && *old == new => {}
            _ => wrong.push(TextError::Twice {
                key: path,
                first: old.key_place,
                second: new.key_place,
            }),
        }
    }
}

const GROWING_LISTS: [&str; 2] = ["expect", "tariff.rate"];
