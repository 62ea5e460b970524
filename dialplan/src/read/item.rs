//! One value under the reader, read as the type that the schema wants.

use std::sync::Arc;

use super::schema::{self, Probe, Shape};
use super::{Entry, Kind, Node, Reader, Table, Value};
use crate::diagnostic::did_you_mean;
use crate::source::{At, Name, Place};

/// A value with its path, to be read as one type. Every reading method reports what is wrong and
/// answers `None` then.
pub(crate) struct Item<'a> {
    pub(crate) reader: &'a Reader<'a>,
    path: String,
    node: &'a Node,
    /// In a probe of the schema: where it notes what it is read as.
    pub(super) probe: Option<Probe>,
}

impl<'a> Item<'a> {
    pub(crate) fn new(reader: &'a Reader<'a>, path: String, node: &'a Node) -> Self {
        Self { reader, path, node, probe: None }
    }

    /// A value of a probe.
    pub(super) fn probing(reader: &'a Reader<'a>, probe: Probe) -> Self {
        Self { reader, path: String::new(), node: &schema::NODE, probe: Some(probe) }
    }

    pub(crate) fn place(&self) -> Place {
        self.node.place
    }

    pub(crate) fn value(&self) -> &'a Value {
        &self.node.value
    }

    /// Reports that the value is not what was `expected`.
    pub(crate) fn wrong<T>(&self, expected: &str) -> Option<T> {
        let got = match &self.node.value {
            Value::Text(text) => format!("\"{}\"", text.escape_debug()),
            other => other.type_name().to_owned(),
        };
        let message = format!("{} cannot be {got}", self.path);
        self.reader.error(self.place(), message, format!("expected {expected}"));
        None
    }

    /// Reads text by `parse`; its failure is that the text is not `expected`.
    pub(crate) fn parsed<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.note(|| Shape::Text(expected.to_owned())) {
            return None;
        }
        match &self.node.value {
            Value::Text(text) => parse(text).or_else(|| self.wrong(expected)),
            _ => self.wrong(expected),
        }
    }

    pub(crate) fn text(self) -> Option<Arc<str>> {
        self.parsed("a string", |text| (!text.is_empty()).then(|| Arc::from(text)))
    }

    pub(crate) fn flag(self) -> Option<bool> {
        if self.note(|| Shape::Flag) {
            return None;
        }
        match self.node.value {
            Value::Flag(flag) => Some(flag),
            _ => self.wrong("true or false"),
        }
    }

    /// A whole number between two bounds.
    pub(crate) fn whole(self, min: u32, max: u32) -> Option<u32> {
        if self.note(|| Shape::Whole(min, max)) {
            return None;
        }
        let Value::Whole(number) = self.node.value else {
            return self.wrong(&format!("a whole number from {min} to {max}"));
        };
        let fits = u32::try_from(number).ok().filter(|number| (min..=max).contains(number));
        if fits.is_none() {
            let message = format!("{} cannot be {number}", self.path);
            let hint = format!("expected a whole number from {min} to {max}");
            self.reader.error(self.place(), message, hint);
        }
        fits
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| (*word).to_owned()).collect();
        if self.note(|| Shape::Choice(words())) {
            return None;
        }
        let Value::Text(text) = &self.node.value else {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            return self.wrong(&format!("one of {}", words.join(", ")));
        };
        let found = choices.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("{} cannot be \"{}\"", self.path, text.escape_debug());
            let hint = did_you_mean(text, choices.iter().map(|(word, _)| *word), "known values");
            self.reader.error(self.place(), message, hint);
        }
        found
    }

    /// A word out of a list that is not the tenant's own.
    pub(crate) fn known(self, kind: &str, known: Vec<&str>, what: &str) -> Option<Arc<str>> {
        if self.note(|| Shape::Text(name_of(kind))) {
            return None;
        }
        let Value::Text(text) = &self.node.value else {
            return self.wrong(&name_of(kind));
        };
        if known.contains(&text.as_str()) {
            return Some(Arc::from(text.as_str()));
        }
        let message = format!("unknown {kind} \"{}\"", text.escape_debug());
        self.reader.error(self.place(), message, did_you_mean(text, known, what));
        None
    }

    /// The name of an object that must be defined.
    pub(crate) fn name(self, kind: Kind) -> Option<Name> {
        if self.note(|| Shape::Text(name_of(kind.word()))) {
            return None;
        }
        let place = self.place();
        let Value::Text(text) = &self.node.value else {
            return self.wrong(&name_of(kind.word()));
        };
        let found = self.reader.names.find(kind, text);
        if found.is_none() {
            let message = format!("unknown {} \"{}\"", kind.word(), text.escape_debug());
            let what = format!("defined in [{}]", kind.table());
            let hint = did_you_mean(text, self.reader.names.of(kind), &what);
            self.reader.error(place, message, hint);
        }
        found.map(|value| At { value, place })
    }

    /// A list, each item read by `read`; wrong items are reported and left out.
    pub(crate) fn list<T>(self, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.probe.is_some() {
            let items = schema::probe();
            self.note(|| Shape::List(Arc::clone(&items)));
            let _ = read(Item::probing(self.reader, items));
            return None;
        }
        let Value::List(items) = &self.node.value else {
            return self.wrong("an array");
        };
        let item = |(at, node)| Item::new(self.reader, format!("{}[{at}]", self.path), node);
        let mut list = Vec::with_capacity(items.len());
        list.extend(items.iter().enumerate().map(item).filter_map(read));
        Some(list)
    }

    /// A list of names of one kind, none of them twice.
    pub(crate) fn names(self, kind: Kind) -> Option<Vec<Name>> {
        let reader = self.reader;
        let names = self.list(|item| item.name(kind))?;
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier.value == name.value) {
                let message = format!("{} \"{}\" is named twice", kind.word(), name.value);
                reader.error(name.place, message, "name it once");
            }
        }
        Some(names)
    }

    /// A table of the kind `shape`, read by `read`.
    pub(crate) fn table<T>(
        self,
        shape: &'static str,
        read: impl FnOnce(&mut Table<'a>) -> Option<T>,
    ) -> Option<T> {
        let place = self.place();
        self.table_at(shape, place, read)
    }

    /// The same, with missing keys reported at `place` (an object's name in its header).
    pub(crate) fn table_at<T>(
        self,
        shape: &'static str,
        place: Place,
        read: impl FnOnce(&mut Table<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(probe) = self.probe {
            let _ = read(&mut Table::probing(self.reader, probe));
            return None;
        }
        let entries = self.entries()?;
        read(&mut Table::new(self.reader, shape, self.path, place, entries))
    }

    /// The keys of a table.
    pub(crate) fn entries(&self) -> Option<&'a [Entry]> {
        if self.note(|| Shape::Any) {
            return None;
        }
        match &self.node.value {
            Value::Table(entries) => Some(entries),
            _ => self.wrong("a table"),
        }
    }
}

/// What is expected where an object of a kind is named.
fn name_of(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("the name of {article} {kind}")
}
