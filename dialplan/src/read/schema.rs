//! The schema for editors, taken down from the reading code itself: in a probe every table answers
//! each key that it is asked for with a value that only notes what it is read as. What the reader
//! knows and what the schema says are one thing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::action::json_string;
use super::{Entry, Item, Names, Node, Reader, Table, Value};
use crate::capability::Capabilities;
use crate::model::Plan;
use crate::source::{Files, Place};

/// What a value may be.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Any,
    /// A string, with what it has to look like.
    Text(String),
    Whole(u32, u32),
    Flag,
    /// One of a few words.
    Choice(Vec<String>),
    List(Probe),
    Table {
        keys: Vec<(&'static str, Probe)>,
        required: Vec<&'static str>,
        /// Keys of somebody else's choice.
        rest: Option<Probe>,
    },
    Either(Vec<Probe>),
    /// A definition that may hold itself.
    Defined(&'static str),
}

/// Where the shape of one value is noted.
pub(crate) type Probe = Arc<Noted>;

/// A shape that is being noted. A lock, since a reader may go from one thread to another.
#[derive(Debug)]
pub(crate) struct Noted(Mutex<Shape>);

impl Noted {
    pub(super) fn borrow(&self) -> MutexGuard<'_, Shape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn borrow_mut(&self) -> MutexGuard<'_, Shape> {
        self.borrow()
    }
}

/// Definitions by name.
pub(crate) type Definitions = RefCell<BTreeMap<&'static str, Probe>>;

/// What a probe reads is noted already.
pub(crate) fn noted<T>(_: T) {}

pub(crate) fn probe() -> Probe {
    Arc::new(Noted(Mutex::new(Shape::Any)))
}

/// The value that stands for every value of a probe.
pub(super) static NODE: Node =
    Node { place: Place { file: 0, start: 0, end: 0 }, value: Value::Text(String::new()) };

/// The key that stands for keys of somebody else's choice.
pub(super) static ENTRY: Entry = Entry {
    key: String::new(),
    key_place: Place { file: 0, start: 0, end: 0 },
    node: Node { place: Place { file: 0, start: 0, end: 0 }, value: Value::Text(String::new()) },
};

impl<'a> Item<'a> {
    /// Notes alternatives, when this is a probe.
    pub(crate) fn alternatives(&self, readers: &[&dyn Fn(Item<'a>)]) -> bool {
        let Some(place) = &self.probe else { return false };
        let note = |read: &&dyn Fn(Item<'a>)| {
            let own = probe();
            read(Item::probing(self.reader, Arc::clone(&own)));
            own
        };
        let shapes = readers.iter().map(note).collect();
        *place.borrow_mut() = Shape::Either(shapes);
        true
    }

    /// Notes a definition that may hold itself, when this is a probe; it is read once.
    pub(crate) fn defined(&self, name: &'static str, read: &dyn Fn(Item<'a>)) -> bool {
        let Some(place) = &self.probe else { return false };
        *place.borrow_mut() = Shape::Defined(name);
        let known = self.reader.definitions.borrow().contains_key(name);
        if !known {
            let own = probe();
            self.reader.definitions.borrow_mut().insert(name, Arc::clone(&own));
            read(Item::probing(self.reader, own));
        }
        true
    }

    /// Notes a table whose keys are names of somebody else's choice, when this is a probe.
    pub(crate) fn probe_objects(&self, read: &dyn Fn(Item<'a>)) -> bool {
        let Some(place) = &self.probe else { return false };
        for (_, item) in Table::probing(self.reader, Arc::clone(place)).open() {
            read(item);
        }
        true
    }

    /// Notes a shape, when this is a probe.
    pub(super) fn note(&self, shape: impl FnOnce() -> Shape) -> bool {
        let Some(place) = &self.probe else { return false };
        *place.borrow_mut() = shape();
        true
    }
}

/// The JSON Schema (draft 2020-12) of a tenant's files.
pub(crate) fn json_schema() -> String {
    let capabilities = Capabilities::all();
    let reader = Reader::new(Files::default(), Names::default(), &capabilities);
    let root = probe();
    let table = Table::probing(&reader, Arc::clone(&root));
    let _ = Plan::read(&table, "", 0);
    drop(table);
    let mut text =
        String::from("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n");
    text.push_str("  \"title\": \"A tenant of Koukan\",\n  \"$defs\": {");
    for (index, (name, shape)) in reader.definitions.borrow().iter().enumerate() {
        text.push_str(if index > 0 { ",\n    " } else { "\n    " });
        json_string(&mut text, name);
        text.push_str(": ");
        write(&mut text, shape, 2);
    }
    text.push_str("\n  },\n  ");
    let mut body = String::new();
    write(&mut body, &root, 1);
    // The root's own keys stand beside those above.
    text.push_str(body.trim_start_matches('{').trim_start());
    text.push('\n');
    text
}

fn write(out: &mut String, shape: &Probe, depth: usize) {
    match &*shape.borrow() {
        Shape::Any => out.push_str("true"),
        Shape::Text(what) => {
            out.push_str("{ \"type\": \"string\", \"description\": ");
            json_string(out, what);
            out.push_str(" }");
        }
        Shape::Whole(min, max) => {
            let _ =
                write!(out, "{{ \"type\": \"integer\", \"minimum\": {min}, \"maximum\": {max} }}");
        }
        Shape::Flag => out.push_str("{ \"type\": \"boolean\" }"),
        Shape::Choice(words) => {
            out.push_str("{ \"enum\": ");
            list(out, words.iter().map(String::as_str));
            out.push_str(" }");
        }
        Shape::List(items) => {
            out.push_str("{ \"type\": \"array\", \"items\": ");
            write(out, items, depth);
            out.push_str(" }");
        }
        Shape::Either(shapes) => {
            out.push_str("{ \"anyOf\": [");
            for (index, shape) in shapes.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(out, shape, depth);
            }
            out.push_str("] }");
        }
        Shape::Defined(name) => {
            let _ = write!(out, "{{ \"$ref\": \"#/$defs/{name}\" }}");
        }
        Shape::Table { keys, required, rest } => {
            write_table(out, (keys, required, rest.as_ref()), depth);
        }
    }
}

/// Keys, those that are needed, and the shape of keys of somebody else's choice.
type Keys<'k> = (&'k [(&'static str, Probe)], &'k [&'static str], Option<&'k Probe>);

fn write_table(out: &mut String, (keys, required, rest): Keys<'_>, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    out.push('{');
    line(out, depth + 1);
    out.push_str("\"type\": \"object\",");
    if !required.is_empty() {
        line(out, depth + 1);
        out.push_str("\"required\": ");
        list(out, required.iter().copied());
        out.push(',');
    }
    line(out, depth + 1);
    out.push_str("\"properties\": {");
    for (index, (key, shape)) in keys.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        line(out, depth + 2);
        json_string(out, key);
        out.push_str(": ");
        write(out, shape, depth + 2);
    }
    if !keys.is_empty() {
        line(out, depth + 1);
    }
    out.push_str("},");
    line(out, depth + 1);
    out.push_str("\"additionalProperties\": ");
    match rest {
        Some(shape) => write(out, shape, depth + 1),
        None => out.push_str("false"),
    }
    line(out, depth);
    out.push('}');
}

fn list<'w>(out: &mut String, words: impl Iterator<Item = &'w str>) {
    out.push('[');
    for (index, word) in words.enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        json_string(out, word);
    }
    out.push(']');
}
