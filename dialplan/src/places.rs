//! Places of keys in an office's files, for what only whoever may read other files can find wrong:
//! a secret that is not there, or that others may read.

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::read::{Document, Entry, Value};
use crate::source::{Files, Place, is_calendar};

/// The files of one office, or of the server's trunks, read for the places of their keys alone.
pub struct KeyPlaces<'t> {
    tenant: Arc<str>,
    files: Files<'t>,
    document: Document,
}

impl<'t> KeyPlaces<'t> {
    /// Reads (path, text) pairs; `tenant` is the directory, empty for the server's own files.
    /// What is no TOML has no places.
    #[must_use]
    pub fn read(tenant: &str, texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let (mut files, mut document) = (Files::default(), Document::default());
        for (path, text) in texts.into_iter().filter(|(path, _)| !is_calendar(path)) {
            // What is wrong with the text itself is reported by the check.
            let _ = document.add(files.add(path, text), text);
        }
        Self { tenant: Arc::from(tenant), files, document }
    }

    /// An error at the value of a key, named by the way to it (`["device", "A", "secret"]`).
    /// `None`: no file has it.
    #[must_use]
    pub fn error(&self, way: &[&str], message: String) -> Option<Diagnostic> {
        let position = self.files.position(self.place(way)?);
        let tenant = Arc::clone(&self.tenant);
        Some(Diagnostic::new(Severity::Error, tenant, position, message, String::new()))
    }

    fn place(&self, way: &[&str]) -> Option<Place> {
        let (last, tables) = way.split_last()?;
        let mut entries: &[Entry] = &self.document.root;
        for name in tables {
            let table = entries.iter().find(|entry| entry.key == *name)?;
            entries = match &table.node.value {
                Value::Table(entries) => entries,
                Value::Text(_)
                | Value::Whole(_)
                | Value::Flag(_)
                | Value::Other(..)
                | Value::List(_) => return None,
            };
        }
        entries.iter().find(|entry| entry.key == *last).map(|entry| entry.node.place)
    }
}

impl fmt::Debug for KeyPlaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPlaces").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_at_the_value_of_its_key_in_whichever_file_has_it() {
        let phones = "[device.A]\next = \"801\"\nsecret = \"file:secrets/A\"\n";
        let more = "device.B.secret = \"file:secrets/B\"\n[device]\nC = 7\n[broken";
        let places = KeyPlaces::read("x", [("a.toml", phones), ("b.toml", more)]);
        let error = |way: &[&str]| places.error(way, "it is gone".to_owned());
        let found = error(&["device", "A", "secret"]).unwrap();
        assert_eq!((&*found.tenant, found.severity), ("x", Severity::Error));
        let text = "a.toml:3:10  it is gone\n    secret = \"file:secrets/A\"\n             \
                    ^^^^^^^^^^^^^^^^";
        assert_eq!(found.to_string(), text);
        let found = error(&["device", "B", "secret"]).unwrap();
        assert_eq!((&*found.path, found.line, found.column), ("b.toml", 1, 19));
        for way in [&["device", "D", "secret"][..], &["device", "C", "secret"], &["room"], &[]] {
            assert_eq!(error(way), None);
        }
    }
}
