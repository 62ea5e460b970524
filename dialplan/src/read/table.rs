//! One table under the reader.

use std::cell::RefCell;
use std::sync::Arc;

use super::schema::{self, Probe, Shape};
use super::{Entry, Item, Reader};
use crate::capability;
use crate::diagnostic::{did_you_mean, is_near};
use crate::source::{At, Place};

/// A table whose keys are asked for one by one. Closed: on drop it reports what nobody asked for.
pub(crate) struct Table<'a> {
    pub(crate) reader: &'a Reader<'a>,
    /// The kind of table (`number.ring`), the same for every object; what capabilities speak of.
    shape: &'static str,
    /// Where it stands in the plan (`number.number1.ring`).
    path: String,
    /// Where a missing key is reported.
    pub(crate) place: Place,
    entries: &'a [Entry],
    asked: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<&'static str>>,
    open: bool,
    /// In a probe of the schema: where it notes its keys.
    probe: Option<Probe>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(
        reader: &'a Reader<'a>,
        shape: &'static str,
        path: String,
        place: Place,
        entries: &'a [Entry],
    ) -> Self {
        Self {
            reader,
            shape,
            path,
            place,
            entries,
            asked: RefCell::default(),
            missing: RefCell::default(),
            open: false,
            probe: None,
        }
    }

    /// A table of a probe: it has every key.
    pub(super) fn probing(reader: &'a Reader<'a>, probe: Probe) -> Self {
        let (keys, required) = (Vec::new(), Vec::new());
        *probe.borrow_mut() = Shape::Table { keys, required, rest: None };
        let mut table = Self::new(reader, "", String::new(), Place::default(), &[]);
        table.probe = Some(probe);
        table
    }

    /// Notes a key of a probe; its value.
    fn note(&self, key: &'static str, required: bool) -> Option<Item<'a>> {
        let Shape::Table { keys, required: needed, .. } = &mut *self.probe.as_ref()?.borrow_mut()
        else {
            return None;
        };
        let value = schema::probe();
        match keys.iter_mut().find(|(known, _)| *known == key) {
            // Asked for twice: what is noted last says more.
            Some((_, known)) => *known = Arc::clone(&value),
            None => keys.push((key, Arc::clone(&value))),
        }
        if required {
            needed.push(key);
        }
        Some(Item::probing(self.reader, value))
    }

    /// Notes that keys of somebody else's choice may stand here; their value.
    fn note_rest(&self) -> Option<Item<'a>> {
        let Shape::Table { rest, .. } = &mut *self.probe.as_ref()?.borrow_mut() else {
            return None;
        };
        let value = schema::probe();
        *rest = Some(Arc::clone(&value));
        Some(Item::probing(self.reader, value))
    }

    /// Whether it belongs to a probe of the schema.
    pub(super) const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Its place in the plan, in words.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// A key that may be missing. `None` too when the value is wrong, which is reported then.
    pub(crate) fn opt<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.probe.is_some() {
            let _ = read(self.note(key, false)?);
            return None;
        }
        self.asked.borrow_mut().push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        if let Some(feature) = capability::of_key(self.shape, key) {
            self.reader.require(feature, entry.key_place, &format!("`{key}`"));
        }
        read(self.item(entry))
    }

    /// A key that must be there.
    pub(crate) fn req<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.probe.is_some() {
            let _ = read(self.note(key, true)?);
            return None;
        }
        if !self.has(key) {
            self.missing.borrow_mut().push(key);
        }
        self.opt(key, read)
    }

    /// A key with a default.
    pub(crate) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> T {
        self.opt(key, read).unwrap_or(default)
    }

    /// A key whose value's place matters to later checks.
    pub(crate) fn at<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        self.opt(key, |item| {
            let place = item.place();
            read(item).map(|value| At { value, place })
        })
    }

    /// Whether the key is written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.probe.is_some() || self.entries.iter().any(|entry| entry.key == key)
    }

    /// The place of a key, else of the table.
    pub(crate) fn key_place(&self, key: &str) -> Place {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.map_or(self.place, |entry| entry.key_place)
    }

    /// Named objects under a key: each one's name and item.
    pub(crate) fn objects(&self, key: &'static str) -> Vec<(Arc<str>, Place, Item<'a>)> {
        if let Some(probe) = self.note(key, false).and_then(|item| item.probe) {
            let item = Table::probing(self.reader, probe).note_rest();
            return item.map(|item| (Arc::from(""), Place::default(), item)).into_iter().collect();
        }
        self.asked.borrow_mut().push(key);
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            return Vec::new();
        };
        let item = self.item(entry);
        let Some(objects) = item.entries() else { return Vec::new() };
        let feature = capability::of_key(self.shape, key);
        let read = |object: &'a Entry| {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{key}.{}", self.path, object.key);
            if let Some(feature) = feature {
                self.reader.require(feature, object.key_place, &format!("[{path}]"));
            }
            let item = Item::new(self.reader, path, &object.node);
            (self.reader.names.of_object(key, &object.key), object.key_place, item)
        };
        objects.iter().map(read).collect()
    }

    /// Every key of a table whose keys are names of somebody else's choice.
    pub(crate) fn open(mut self) -> Vec<(&'a Entry, Item<'a>)> {
        self.open = true;
        if let Some(item) = self.note_rest() {
            return vec![(&schema::ENTRY, item)];
        }
        self.entries.iter().map(|entry| (entry, self.item(entry))).collect()
    }

    /// The entries whose keys were not asked for, when those belong to somebody else (a module).
    pub(crate) fn rest(&mut self) -> Vec<&'a Entry> {
        self.open = true;
        let _ = self.note_rest();
        let asked = self.asked.borrow();
        self.entries.iter().filter(|entry| !asked.contains(&entry.key.as_str())).collect()
    }

    fn item(&self, entry: &'a Entry) -> Item<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Item::new(self.reader, format!("{}{dot}{}", self.path, entry.key), &entry.node)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        if self.probe.is_some() {
            return;
        }
        let asked = self.asked.borrow();
        let known = |entry: &&Entry| self.open || asked.contains(&entry.key.as_str());
        let unknown: Vec<&Entry> = self.entries.iter().filter(|entry| !known(entry)).collect();
        for entry in &unknown {
            let inside = match self.path.as_str() {
                "" => String::new(),
                path => format!(" in {path}"),
            };
            self.reader.error(
                entry.key_place,
                format!("unknown key `{}`{inside}", entry.key),
                did_you_mean(&entry.key, asked.iter().copied(), "known keys"),
            );
        }
        for key in self.missing.borrow().iter() {
            // A key that is only misspelt has been reported where it stands.
            if !unknown.iter().any(|entry| is_near(&entry.key, key)) {
                let owner = if self.path.is_empty() { "the plan" } else { &self.path };
                let message = format!("{owner} has no `{key}`");
                self.reader.error(self.place, message, "the key is required");
            }
        }
    }
}
