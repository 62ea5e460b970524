//! The merged documents of one tenant: TOML values with their places, files joined table by table.

use std::collections::HashMap;
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
    Syntax { place: Place, message: String, hint: &'static str },
    /// A key that another file defines too.
    Twice { key: String, first: Place, second: Place },
}

/// Where a parsed text lies: its file, and how far into it.
#[derive(Clone, Copy)]
struct Origin {
    file: u16,
    base: usize,
}

impl Document {
    /// Reads one more file into the document, past errors as far as the text makes sense. The
    /// second value: the parts of the file that are no TOML, in which nothing can be trusted.
    pub(crate) fn add(&mut self, file: u16, text: &str) -> (Vec<TextError>, Vec<Place>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let origin = Origin { file, base: 0 };
        let mut wrong = Vec::new();
        if errors.is_empty() {
            merge(&mut self.root, origin.entries(table.get_ref()), "", &mut wrong);
            return (wrong, Vec::new());
        }
        let mut broken = Vec::new();
        let mut tables = Vec::new();
        for (base, part) in parts(text) {
            let origin = Origin { file, base };
            let (table, errors) = DeTable::parse_recoverable(part);
            if !errors.is_empty() {
                broken.push(origin.place(0..part.len()));
                wrong.extend(origin.syntax_errors(part, &errors));
            }
            tables.push(origin.entries(table.get_ref()));
        }
        merge(&mut self.root, joined(tables, &mut wrong), "", &mut wrong);
        if wrong.is_empty() {
            // Only the whole is wrong: a table that is opened twice.
            wrong.extend(origin.syntax_errors(text, &errors));
            broken.push(origin.place(0..text.len()));
        }
        (wrong, broken)
    }
}

/// A file cut before each table's header, so that a bracket that is not closed spoils its own table
/// and not everything behind it.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut cuts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let name = line.trim_start_matches('[');
        let header = line.starts_with('[') && line.len() - name.len() <= 2;
        if header && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            cuts.push(at);
        }
        at += line.len();
    }
    cuts.push(text.len());
    let part = |pair: &[usize]| match pair {
        [start, end] if start < end => text.get(*start..*end).map(|part| (*start, part)),
        _ => None,
    };
    cuts.windows(2).filter_map(part).collect()
}

impl Origin {
    fn place(self, span: Range<usize>) -> Place {
        let offset = |at: usize| u32::try_from(self.base.saturating_add(at)).unwrap_or(u32::MAX);
        Place { file: self.file, start: offset(span.start), end: offset(span.end) }
    }

    /// One error a line; of a bracket that is not closed the first alone, the rest follows from it.
    fn syntax_errors(self, text: &str, errors: &[toml::de::Error]) -> Vec<TextError> {
        let span = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
        let line = |error: &toml::de::Error| {
            let before = text.get(..span(error).start).unwrap_or_default();
            before.bytes().filter(|byte| *byte == b'\n').count()
        };
        let unclosed = errors.iter().any(|error| error.message().starts_with("unclosed"));
        let mut errors: Vec<&toml::de::Error> = errors.iter().collect();
        errors.sort_by_key(|error| span(error).start);
        errors.dedup_by_key(|error| line(error));
        let hint = if unclosed && errors.len() > 1 {
            errors.truncate(1);
            "a bracket that was opened before this is not closed"
        } else {
            ""
        };
        let report = |error: &toml::de::Error| TextError::Syntax {
            place: self.place(span(error)),
            message: error.message().replace('\n', " "),
            hint,
        };
        errors.into_iter().map(report).collect()
    }

    fn entries(self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_place: self.place(key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_place);
        entries
    }

    fn node(self, value: &Spanned<DeValue<'_>>) -> Node {
        let kept = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or_else(|_| Value::Other("a huge integer", digits.to_string()), Value::Whole),
            DeValue::Float(text) => Value::Other("a float", text.to_string()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(date) => Value::Other("a date", date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.entries(table)),
        };
        Node { place: self.place(value.span()), value: kept }
    }
}

/// Many tables as one: neighbours first, so that a long file of short parts takes no time that
/// grows with the square of its length.
fn joined(mut tables: Vec<Vec<Entry>>, wrong: &mut Vec<TextError>) -> Vec<Entry> {
    while tables.len() > 1 {
        let mut halves = tables.into_iter();
        tables = Vec::new();
        while let Some(mut first) = halves.next() {
            if let Some(second) = halves.next() {
                merge(&mut first, second, "", wrong);
            }
            tables.push(first);
        }
    }
    tables.pop().unwrap_or_default()
}

/// Joins `added` into `into`: tables by key, the two lists that grow entry by entry, and nothing
/// else.
fn merge(into: &mut Vec<Entry>, added: Vec<Entry>, path: &str, wrong: &mut Vec<TextError>) {
    // So few keys are looked through faster than a table of them is made.
    let mut known = (added.len() > 16).then(|| {
        let keys = into.iter().enumerate().map(|(at, old)| (old.key.clone(), at));
        keys.collect::<HashMap<String, usize>>()
    });
    for new in added {
        let at = match &known {
            Some(known) => known.get(&new.key).copied(),
            None => into.iter().position(|old| old.key == new.key),
        };
        let Some(old) = at.and_then(|at| into.get_mut(at)) else {
            if let Some(known) = &mut known {
                known.insert(new.key.clone(), into.len());
            }
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
