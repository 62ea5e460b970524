//! Several files of one directory as one document: tables are joined, a key that stands twice is an
//! error that names both places.

use crate::text::{Diagnostic, Entry, Kind, Place, Sources, Table, Value};

/// Tables whose entries may come from several files.
const OPEN: &[&str] = &[
    "device",
    "number",
    "schedule",
    "announcement",
    "voicemail_box",
    "fax_box",
    "extension",
    "room",
    "group",
    "menu",
    "queue",
    "feature_codes",
    "trunk",
    "class",
    "module",
];

/// Joins the documents of every file.
pub(crate) fn merge(sources: &Sources, files: Vec<Table>, errors: &mut Vec<Diagnostic>) -> Value {
    let mut whole = Table::new();
    for entry in files.into_iter().flatten() {
        let Some(known) = whole.iter_mut().find(|known| known.name == entry.name) else {
            whole.push(entry);
            continue;
        };
        match (&mut known.value.kind, entry.value.kind) {
            (Kind::List(items), Kind::List(more)) if entry.name == "expect" => items.extend(more),
            (Kind::Table(entries), Kind::Table(more)) if OPEN.contains(&entry.name.as_str()) => {
                for inner in more {
                    add(sources, entries, inner, errors);
                }
            }
            // Every file may say which version of the language it is written in.
            (Kind::Integer(one), Kind::Integer(other))
                if entry.name == "schema" && *one == other => {}
            _ => errors.push(twice(sources, &entry.name, &entry.place, &known.place)),
        }
    }
    Value { place: Place::default(), kind: Kind::Table(whole) }
}

fn add(sources: &Sources, entries: &mut Table, entry: Entry, errors: &mut Vec<Diagnostic>) {
    match entries.iter().find(|known| known.name == entry.name) {
        Some(known) => errors.push(twice(sources, &entry.name, &entry.place, &known.place)),
        None => entries.push(entry),
    }
}

fn twice(sources: &Sources, name: &str, place: &Place, first: &Place) -> Diagnostic {
    let hint = format!("first defined at {}", sources.name(first));
    sources.at(place, format!("\"{name}\" is defined twice"), hint)
}
