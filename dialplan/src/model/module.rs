//! What the applications of modules take. The modules say it themselves, in TOML: a table for each
//! application, in it one for each key. The keys that stand beside `module` in an action are held
//! against it, each at its place.
//!
//! ```toml
//! [greet]
//! prompt = { type = "prompt", required = true }
//! times = { type = "whole", min = 1, max = 9 }
//! language = { type = "text", one_of = ["ja", "en"] }
//!
//! ["kk.source/1"] # it answers lookups
//!
//! ["kk.config/1"] # its own options, which stand in the server's file
//! file = { type = "text", required = true }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::capability::Capabilities;
use crate::diagnostic::{Report, did_you_mean};
use crate::read::{Document, Item, Names, Reader, Table, Texts, Value};
use crate::source::{At, Files, ModuleSource, Place};

/// The modules that actions may name; none when nobody has said which there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    modules: Option<BTreeMap<String, Module>>,
}

/// What a module says of itself.
#[derive(Clone, Debug, Default)]
struct Module {
    /// What each application takes; none when the module does not say.
    applications: BTreeMap<String, Vec<Field>>,
    /// It answers lookups.
    is_source: bool,
    options: Option<Vec<Field>>,
}

/// The table by which a module says that it answers lookups.
const SOURCE: &str = "kk.source/1";
/// The table of its own options.
const OPTIONS: &str = "kk.config/1";

/// A key that a module takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// What its value must be.
    pub kind: Kind,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of these texts.
    Choice(Vec<Arc<str>>),
    /// A whole number between two.
    Whole(u32, u32),
    /// True or false.
    Flag,
    /// A file of the server's in a language, or of the tenant's.
    Prompt,
    /// A list of texts.
    Texts,
    /// A list of prompts.
    Prompts,
}

/// The options that a module takes in the server's own file, by what it says of itself; none when
/// it does not say, or says it wrongly.
#[must_use]
pub fn options(source: &ModuleSource) -> Option<Vec<Field>> {
    if source.schema.is_empty() {
        return None;
    }
    let mut report = Report::default();
    let module = read_module(source, &Capabilities::this_version(), &mut report);
    // A module that says something takes no options beyond what it says.
    let options = module.options.unwrap_or_default();
    report.diagnostics.is_empty().then_some(options)
}

/// The words for [`Kind`].
const KINDS: [(&str, u8); 6] =
    [("text", 0), ("whole", 1), ("flag", 2), ("prompt", 3), ("texts", 4), ("prompts", 5)];

impl Catalog {
    /// Reads what modules say; what is wrong with that is the module's fault.
    pub(crate) fn read(
        sources: Option<&[ModuleSource]>,
        capabilities: &Capabilities,
        report: &mut Report,
    ) -> Self {
        let modules = sources.map(|sources| {
            let module = |source: &ModuleSource| {
                (source.name.clone(), read_module(source, capabilities, report))
            };
            sources.iter().map(module).collect()
        });
        Self { modules }
    }

    /// The application that an action means, with its other keys held against it; what is wrong is
    /// reported at its place.
    pub(crate) fn check(
        &self,
        table: &mut Table<'_>,
        module: &At<Arc<str>>,
        app: Option<&At<Arc<str>>>,
    ) -> Option<Arc<str>> {
        let reader = table.reader;
        let own = || app.map_or_else(|| Arc::clone(&module.value), |app| Arc::clone(&app.value));
        let Some(modules) = &self.modules else { return Some(own()) };
        let applications = &find(modules, reader, module)?.applications;
        let words = || applications.keys().map(String::as_str);
        let name = match (app, applications.len()) {
            // It does not say what it takes: it will, when the call comes.
            (_, 0) => return Some(own()),
            (Some(app), _) => app,
            (None, 1) => &At { value: Arc::from(words().next()?), place: module.place },
            (None, _) => module,
        };
        let Some(fields) = applications.get(&*name.value) else {
            if app.is_none() {
                let message = format!("the module \"{}\" has several applications", module.value);
                let hint = format!("name one of them with `app`: {}", list(words()));
                reader.error(module.place, message, hint);
            } else {
                let message = format!(
                    "the module \"{}\" has no application \"{}\"",
                    module.value,
                    name.value.escape_debug()
                );
                let hint = did_you_mean(&name.value, words(), "its applications");
                reader.error(name.place, message, hint);
            }
            return None;
        };
        check_fields(table, fields).then(|| Arc::clone(&name.value))
    }

    /// Whether a module answers lookups, as far as it says; what is wrong is reported.
    pub(crate) fn check_source(&self, reader: &Reader<'_>, module: &At<Arc<str>>) -> bool {
        let Some(modules) = &self.modules else { return true };
        let Some(found) = find(modules, reader, module) else { return false };
        if found.is_source || found.applications.is_empty() {
            return true;
        }
        let message = format!("the module \"{}\" answers no lookups", module.value);
        let sources = modules.iter().filter(|(_, known)| known.is_source);
        let sources: Vec<&str> = sources.map(|(name, _)| name.as_str()).collect();
        let hint = match sources.as_slice() {
            [] => "none of the loaded modules does".to_owned(),
            names => format!("these do: {}", names.join(", ")),
        };
        reader.error(module.place, message, hint);
        false
    }
}

/// The module that is meant; that there is none is reported.
fn find<'m>(
    modules: &'m BTreeMap<String, Module>,
    reader: &Reader<'_>,
    module: &At<Arc<str>>,
) -> Option<&'m Module> {
    let found = modules.get(&*module.value);
    if found.is_none() {
        let names = modules.keys().map(String::as_str);
        let message = format!("unknown module \"{}\"", module.value.escape_debug());
        let hint = did_you_mean(&module.value, names, "loaded modules");
        reader.error(module.place, message, hint);
    }
    found
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Holds the keys that nobody has asked for against what the application takes.
fn check_fields(table: &mut Table<'_>, fields: &[Field]) -> bool {
    let reader = table.reader;
    let faults = reader.faults();
    let entries = table.rest();
    for entry in &entries {
        let Some(field) = fields.iter().find(|field| field.name == entry.key) else {
            let names = fields.iter().map(|field| field.name.as_str());
            let message = format!("unknown key `{}` in {}", entry.key, table.path());
            reader.error(entry.key_place, message, did_you_mean(&entry.key, names, "known keys"));
            continue;
        };
        let path = format!("{}.{}", table.path(), entry.key);
        field.kind.check(Item::new(reader, path, &entry.node));
    }
    for field in fields.iter().filter(|field| field.required) {
        if !entries.iter().any(|entry| entry.key == field.name) {
            let message = format!("{} has no `{}`", table.path(), field.name);
            reader.error(table.place, message, "the module requires it");
        }
    }
    reader.faults() == faults
}

impl Kind {
    fn check(&self, item: Item<'_>) {
        match self {
            Self::Text => drop(item.text()),
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| (&**word, ())).collect();
                item.choice(&words);
            }
            Self::Whole(min, max) => drop(item.whole(*min, *max)),
            Self::Flag => drop(item.flag()),
            Self::Prompt => drop(prompt(item)),
            Self::Texts => drop(item.list(Item::text)),
            Self::Prompts => drop(item.list(prompt)),
        }
    }
}

fn prompt(item: Item<'_>) -> Option<()> {
    if !matches!(item.value(), Value::Table(_)) {
        return item.wrong("a prompt such as { language = \"ja\", name = \"closed\" }");
    }
    item.table("prompt", |table| {
        table.opt("language", Item::text);
        table.req("name", Item::text).map(drop)
    })
}

fn read_module(source: &ModuleSource, capabilities: &Capabilities, report: &mut Report) -> Module {
    let mut files = Files::default();
    let mut document = Document::default();
    let mut texts = Texts::default();
    let path = format!("what the module {} says that it takes", source.name);
    let file = files.add(&path, &source.schema);
    texts.add(&mut document, file, &source.schema);
    let mut reader = Reader::new(files, Names::default(), capabilities);
    texts.report(&mut reader);
    let mut root = Table::new(&reader, "", String::new(), Place::default(), &document.root);
    let mut module = Module::default();
    for entry in root.rest() {
        if entry.key == SOURCE {
            module.is_source = true;
            continue;
        }
        let item = Item::new(&reader, entry.key.clone(), &entry.node);
        if entry.key == OPTIONS {
            module.options = item.table("options", |table| Some(read_fields(table)));
            continue;
        }
        let fields = item.table("application", |table| Some(read_fields(table)));
        module.applications.insert(entry.key.clone(), fields.unwrap_or_default());
    }
    drop(root);
    report.diagnostics.extend(reader.into_diagnostics(&Arc::from("")));
    module
}

fn read_fields(table: &mut Table<'_>) -> Vec<Field> {
    let (reader, path) = (table.reader, table.path().to_owned());
    let field = |entry: &crate::read::Entry| {
        let item = Item::new(reader, format!("{path}.{}", entry.key), &entry.node);
        item.table("field", |table| read_field(table, &entry.key))
    };
    table.rest().into_iter().filter_map(field).collect()
}

fn read_field(table: &mut Table<'_>, name: &str) -> Option<Field> {
    let required = table.or("required", false, Item::flag);
    let one_of = table.opt("one_of", |item| item.list(Item::text));
    let min = table.or("min", 0, |item| item.whole(0, u32::MAX));
    let max = table.or("max", u32::MAX, |item| item.whole(0, u32::MAX));
    let kind = match (table.req("type", |item| item.choice(&KINDS))?, one_of) {
        (0, Some(words)) => Kind::Choice(words),
        (0, None) => Kind::Text,
        (1, _) => Kind::Whole(min, max),
        (2, _) => Kind::Flag,
        (3, _) => Kind::Prompt,
        (4, _) => Kind::Texts,
        _ => Kind::Prompts,
    };
    Some(Field { name: name.to_owned(), required, kind })
}
