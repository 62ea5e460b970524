//! The document as owned values with their places. Parsing goes on behind a syntax error, so that
//! everything wrong with a file is found in one run.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Place, Sources};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its place.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A TOML date or time.
    Date(String),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Table),
}

/// A table's entries, in the order of the file.
pub type Table = Vec<Entry>;

/// One key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub value: Value,
}

impl Value {
    /// What it is, for "expected … found …".
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "text",
            Kind::Integer(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Boolean(_) => "true or false",
            Kind::Date(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The list's values; a value that is no list stands for itself.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The table's entries; none when it is no table.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }

    /// The text of a key.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The number of a key.
    #[must_use]
    pub fn integer_of(&self, name: &str) -> Option<i64> {
        match self.get(name)?.kind {
            Kind::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The switch of a key.
    #[must_use]
    pub fn flag_of(&self, name: &str) -> Option<bool> {
        match self.get(name)?.kind {
            Kind::Boolean(flag) => Some(flag),
            _ => None,
        }
    }
}

/// Reads the `file`-th source; what could be read comes back beside the errors.
pub fn parse(sources: &Sources, file: usize, errors: &mut Vec<Diagnostic>) -> Table {
    let Some(source) = sources.0.get(file) else { return Table::new() };
    let (document, problems) = DeTable::parse_recoverable(&source.text);
    for problem in problems {
        let span = problem.span().unwrap_or(0..0);
        let message = problem.message().lines().next().unwrap_or_default();
        errors.push(sources.at(&Place { file, span }, format!("syntax error: {message}"), ""));
    }
    table(document.get_ref(), file)
}

fn table(table: &DeTable<'_>, file: usize) -> Table {
    let mut entries: Table = table
        .iter()
        .map(|(key, value)| Entry {
            name: key.get_ref().to_string(),
            place: Place { file, span: key.span() },
            value: owned(value, file),
        })
        .collect();
    entries.sort_by_key(|entry| entry.place.span.start);
    entries
}

fn owned(value: &Spanned<DeValue<'_>>, file: usize) -> Value {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            Kind::Integer(parsed.unwrap_or(i64::MAX))
        }
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Kind::Boolean(*flag),
        DeValue::Datetime(date) => Kind::Date(date.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| owned(item, file)).collect()),
        DeValue::Table(entries) => Kind::Table(table(entries, file)),
    };
    Value { place: Place { file, span: value.span() }, kind }
}
