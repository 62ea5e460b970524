//! The closed schema: what may stand where. One walk over the values checks keys, notations and
//! names, and collects every error with its place.

mod action;
mod capability;
pub mod scalar;
mod tables;

use std::collections::BTreeMap;

pub use action::Action;
pub(crate) use action::action;
pub use capability::{Capabilities, Feature};
pub(crate) use tables::ROOT;

use crate::text::{Diagnostic, Entry, Kind, Sources, Value, nearest};

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Type {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count(i64, i64),
    /// `20s`.
    Duration,
    /// `10MB`.
    Size,
    /// `"17.5"`.
    Money,
    /// `file:…` or `env:…`.
    Secret,
    /// What can be dialled.
    Digits,
    /// `HH:MM` on the half hour.
    Cell,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of an object of this table.
    Name(&'static str),
    /// An action.
    Action,
    /// A list of these.
    List(&'static Self),
    /// One of these or a list of them.
    OneOrMany(&'static Self),
    /// Either of the two.
    Either(&'static Self, &'static Self),
    /// A table with these keys.
    Table(&'static [Field]),
    /// A table of named objects.
    Map(&'static Self),
    /// Whatever a module's own schema says.
    Free,
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) required: bool,
    /// What the server must be able to do for it.
    pub(crate) feature: Option<Feature>,
}

/// The names of every kind of object, for references.
pub(crate) type Names<'v> = BTreeMap<&'static str, Vec<&'v str>>;

/// The walk.
#[derive(Debug)]
pub(crate) struct Checker<'c> {
    pub(crate) sources: &'c Sources,
    pub(crate) names: Names<'c>,
    pub(crate) capabilities: &'c Capabilities,
    pub(crate) errors: Vec<Diagnostic>,
}

impl Checker<'_> {
    /// Notes an error at a value.
    pub(crate) fn error(&mut self, value: &Value, message: String, hint: impl Into<String>) {
        self.errors.push(self.sources.at(&value.place, message, hint));
    }

    pub(crate) fn check(&mut self, value: &Value, kind: &Type) {
        match kind {
            Type::Table(fields) => self.table(value, fields),
            Type::Map(kind) => {
                if self.is_table(value) {
                    value.entries().iter().for_each(|entry| self.check(&entry.value, kind));
                }
            }
            Type::List(kind) => match &value.kind {
                Kind::List(items) => items.iter().for_each(|item| self.check(item, kind)),
                _ => self.error(value, format!("expected a list, found {}", value.what()), ""),
            },
            Type::OneOrMany(kind) => value.items().iter().for_each(|item| self.check(item, kind)),
            Type::Either(first, second) => {
                let kind = if fits(value, first) { first } else { second };
                self.check(value, kind);
            }
            Type::Action => self.action(value),
            Type::Name(table) => self.name(value, table),
            Type::Word(words) => self.word(value, words),
            Type::Count(min, max) => match value.kind {
                Kind::Integer(number) if (*min..=*max).contains(&number) => {}
                _ => self.error(value, format!("expected a number from {min} to {max}"), ""),
            },
            Type::Flag => match value.kind {
                Kind::Boolean(_) => {}
                _ => {
                    self.error(value, format!("expected true or false, found {}", value.what()), "")
                }
            },
            Type::Text
            | Type::Duration
            | Type::Size
            | Type::Money
            | Type::Secret
            | Type::Digits
            | Type::Cell => self.notation(value, kind),
            Type::Free => {}
        }
    }

    fn is_table(&mut self, value: &Value) -> bool {
        let is = matches!(value.kind, Kind::Table(_));
        if !is {
            self.error(value, format!("expected a table, found {}", value.what()), "");
        }
        is
    }

    fn table(&mut self, value: &Value, fields: &'static [Field]) {
        if !self.is_table(value) {
            return;
        }
        for entry in value.entries() {
            match fields.iter().find(|field| field.name == entry.name) {
                Some(field) => self.field(entry, field),
                None => self.unknown_key(entry, fields),
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if value.get(field.name).is_none() {
                self.error(value, format!("the key \"{}\" is missing", field.name), "");
            }
        }
    }

    fn field(&mut self, entry: &Entry, field: &'static Field) {
        if let Some(feature) = field.feature.filter(|feature| !self.capabilities.has(*feature)) {
            let message = format!("\"{}\" is not supported by this version", entry.name);
            let hint = format!("({feature} comes with a later one)");
            self.errors.push(self.sources.at(&entry.place, message, hint));
        }
        self.check(&entry.value, &field.kind);
    }

    fn unknown_key(&mut self, entry: &Entry, fields: &[Field]) {
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let hint = hint(&entry.name, &known, "keys");
        self.errors.push(self.sources.at(
            &entry.place,
            format!("unknown key \"{}\"", entry.name),
            hint,
        ));
    }

    fn name(&mut self, value: &Value, table: &'static str) {
        let Some(text) = self.text(value, "a name") else { return };
        let known = self.names.get(table).cloned().unwrap_or_default();
        if !known.contains(&text) {
            let hint = hint(text, &known, &format!("{table}s"));
            self.error(value, format!("unknown {table} \"{text}\""), hint);
        }
    }

    fn word(&mut self, value: &Value, words: &[&str]) {
        let Some(text) = self.text(value, "a word") else { return };
        if !words.contains(&text) {
            self.error(value, format!("unknown word \"{text}\""), hint(text, words, "words"));
        }
    }

    fn text<'v>(&mut self, value: &'v Value, wanted: &str) -> Option<&'v str> {
        let text = value.text();
        if text.is_none() {
            self.error(value, format!("expected {wanted}, found {}", value.what()), "");
        }
        text
    }

    fn notation(&mut self, value: &Value, kind: &Type) {
        let (right, wanted) = match kind {
            Type::Duration => (
                value.text().is_some_and(|text| scalar::duration(text).is_some()),
                "a duration like \"20s\", \"3m\", \"7d\"",
            ),
            Type::Size => (
                value.text().is_some_and(|text| scalar::size(text).is_some()),
                "a size like \"10MB\"",
            ),
            Type::Money => (
                value.text().is_some_and(|text| scalar::money(text).is_some()),
                "an amount in quotes like \"17.5\"",
            ),
            Type::Secret => (
                value.text().is_some_and(is_secret),
                "\"file:PATH\" or \"env:NAME\" (a secret never stands in the plan itself)",
            ),
            Type::Digits => {
                (value.text().is_some_and(scalar::digits), "what can be dialled: digits, * and #")
            }
            Type::Cell => (
                value.text().is_some_and(|text| scalar::cell(text).is_some()),
                "a time on the half hour like \"09:00\" or \"17:30\"",
            ),
            _ => (value.text().is_some(), "text"),
        };
        if !right {
            let found =
                value.text().map_or_else(|| value.what().to_owned(), |text| format!("\"{text}\""));
            self.error(value, format!("expected {wanted}, found {found}"), "");
        }
    }
}

fn is_secret(text: &str) -> bool {
    ["file:", "env:"]
        .iter()
        .any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
}

/// Whether a value is of the shape that a type wants, for choosing between two.
fn fits(value: &Value, kind: &Type) -> bool {
    match kind {
        Type::Table(_) | Type::Map(_) => matches!(value.kind, Kind::Table(_)),
        Type::List(_) => matches!(value.kind, Kind::List(_)),
        Type::Count(..) => matches!(value.kind, Kind::Integer(_)),
        Type::Flag => matches!(value.kind, Kind::Boolean(_)),
        Type::Word(words) => value.text().is_some_and(|text| words.contains(&text)),
        _ => value.text().is_some(),
    }
}

/// "Did you mean", and what there is.
pub(crate) fn hint(written: &str, known: &[&str], what: &str) -> String {
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    match nearest(written, known.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"? {what}: {list}"),
        None => format!("{what}: {list}"),
    }
}
