//! Actions: the values of `do`, of a schedule's cell, of a menu's key, of a time-out.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::schema::noted;
use super::{Item, Kind, Node, Table, Value};
use crate::capability::Feature;
use crate::diagnostic::did_you_mean;
use crate::source::{At, Name, Place};

/// What to do, where it is written, and the way on when a module fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) what: Do,
    pub(crate) on_error: Option<Arc<Action>>,
    pub(crate) place: Place,
}

impl Action {
    /// Whether who comes to it hears itself.
    pub(crate) const fn is_echo(&self) -> bool {
        matches!(self.what, Do::Echo)
    }

    /// An action that no text names.
    pub(crate) fn of(what: Do) -> Self {
        Self { what, on_error: None, place: Place::default() }
    }
}

/// The actions of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    Ring,
    Announce(Name),
    /// To the number given, else to the `forward_to` of the number that was called.
    Forward(Option<Arc<str>>),
    Voicemail(Name),
    VoicemailMenu,
    Group(Name),
    /// Everybody of a group hears the caller.
    Page(Name),
    Menu(Name),
    Queue(Name),
    Conference(Name),
    Fax(Name),
    Echo,
    Park,
    Reject(u16),
    Module {
        module: Arc<str>,
        application: Arc<str>,
        arguments: Arc<str>,
    },
}

/// Where an action stands: `ring` and a bare `forward` speak of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// A cell of a schedule, used by numbers.
    Number,
    /// Anywhere else.
    Other,
}

impl Do {
    /// What the server must be able to do for it.
    pub(crate) const fn feature(&self) -> Option<Feature> {
        match self {
            Self::Ring | Self::Announce(_) | Self::Echo | Self::Reject(_) => None,
            Self::Forward(_) => Some(Feature::Forwarding),
            Self::Voicemail(_) | Self::VoicemailMenu => Some(Feature::Voicemail),
            Self::Group(_) => Some(Feature::Groups),
            Self::Page(_) => Some(Feature::Paging),
            Self::Menu(_) => Some(Feature::Menus),
            Self::Queue(_) => Some(Feature::Queues),
            Self::Conference(_) => Some(Feature::Conferences),
            Self::Fax(_) => Some(Feature::Fax),
            Self::Park => Some(Feature::Park),
            Self::Module { .. } => Some(Feature::ModuleActions),
        }
    }
}

const WORDS: [&str; 5] = ["ring", "forward", "voicemail_menu", "echo", "park"];
const TABLES: &str = "announce, forward, voicemail, group, page, menu, queue, conference, fax, \
                      reject, module";

impl Item<'_> {
    /// An action.
    pub(crate) fn action(self, context: Context) -> Option<Action> {
        let noted = self.defined("action", &|item| {
            noted(item.alternatives(&[
                &|item| noted(item.choice(&WORDS.map(|word| (word, ())))),
                &|item| noted(item.table("action", |table| action_table(table, context))),
                &|item| noted(item.table("action", |table| module_table(table, context))),
            ]));
        });
        if noted {
            return None;
        }
        let (place, reader) = (self.place(), self.reader);
        let (what, on_error) = match self.value() {
            Value::Text(word) => (self.action_word(word)?, None),
            Value::Table(_) => self.table("action", |table| action_table(table, context))?,
            _ => return self.wrong(&format!("an action: {}, or a table", quoted(&WORDS))),
        };
        let needs_number = matches!(what, Do::Ring | Do::Forward(None));
        if needs_number && context != Context::Number {
            reader.error(
                place,
                "`ring` and a bare `forward` belong into a schedule",
                "they speak of the number that was called; here name a group, an extension's \
                 action, or { forward = \"NUMBER\" }",
            );
            return None;
        }
        if let Some(feature) = what.feature() {
            reader.require(feature, place, &format!("the action `{what}`"));
        }
        Some(Action { what, on_error, place })
    }

    fn action_word(&self, word: &str) -> Option<Do> {
        match word {
            "ring" => Some(Do::Ring),
            "forward" => Some(Do::Forward(None)),
            "voicemail_menu" => Some(Do::VoicemailMenu),
            "echo" => Some(Do::Echo),
            "park" => Some(Do::Park),
            _ => {
                let message = format!("unknown action \"{}\"", word.escape_debug());
                let hint = did_you_mean(word, WORDS, "known actions");
                let hint = format!("{hint}, or a table with {TABLES}");
                self.reader.error(self.place(), message, hint);
                None
            }
        }
    }
}

fn action_table(table: &mut Table<'_>, context: Context) -> Option<(Do, Option<Arc<Action>>)> {
    let on_error = table.opt("on_error", |item| item.action(context)).map(Arc::new);
    let mut found: Vec<Option<Do>> = Vec::new();
    let mut named = |key, kind, wrap: fn(Name) -> Do| {
        if table.has(key) {
            found.push(table.opt(key, |item| item.name(kind)).map(wrap));
        } else {
            // Asked for all the same, so that the key is among the known ones.
            table.opt(key, |_| Some(()));
        }
    };
    named("announce", Kind::Announcement, Do::Announce);
    named("voicemail", Kind::VoicemailBox, Do::Voicemail);
    named("group", Kind::Group, Do::Group);
    named("page", Kind::Group, Do::Page);
    named("menu", Kind::Menu, Do::Menu);
    named("queue", Kind::Queue, Do::Queue);
    named("conference", Kind::Room, Do::Conference);
    named("fax", Kind::FaxBox, Do::Fax);
    if table.has("forward") {
        found.push(table.opt("forward", Item::telephone).map(|to| Do::Forward(Some(to))));
    } else {
        table.opt("forward", |_| Some(()));
    }
    let reject = table.opt("reject", |item| item.whole(400, 699));
    if table.has("reject") {
        found.push(reject.and_then(|status| u16::try_from(status).ok()).map(Do::Reject));
    }
    if table.is_probe() {
        // The one with a module is a shape of its own: its other keys are the module's.
        return None;
    }
    let module = table.at("module", Item::text);
    if table.has("module") {
        let app = table.at("app", Item::text);
        found.push(module.and_then(|module| module_action(table, &module, app.as_ref())));
    }
    if found.len() > 1 {
        table.reader.error(table.place, "two actions in one", "write one action here");
        return None;
    }
    if found.is_empty() {
        table.reader.error(table.place, "no action here", format!("expected one of {TABLES}"));
    }
    found.pop().flatten().map(|what| (what, on_error))
}

/// The shape of an action that is a module's, for the schema.
fn module_table(table: &mut Table<'_>, context: Context) -> Option<()> {
    table.req("module", Item::text);
    table.opt("app", Item::text);
    table.opt("on_error", |item| item.action(context));
    noted(table.rest());
    None
}

/// An application of a module: the other keys are its own, held against what it takes.
fn module_action(
    table: &mut Table<'_>,
    module: &At<Arc<str>>,
    app: Option<&At<Arc<str>>>,
) -> Option<Do> {
    let arguments = module_arguments(table);
    let application = match table.reader.modules() {
        Some(modules) => modules.check(table, module, app)?,
        None => Arc::clone(app.map_or(&module.value, |app| &app.value)),
    };
    Some(Do::Module { module: Arc::clone(&module.value), application, arguments })
}

/// The module's own arguments as one JSON object.
fn module_arguments(table: &mut Table<'_>) -> Arc<str> {
    let mut text = String::from("{");
    for entry in table.rest() {
        if text.len() > 1 {
            text.push(',');
        }
        json_string(&mut text, &entry.key);
        text.push(':');
        json(&mut text, &entry.node);
    }
    text.push('}');
    Arc::from(text)
}

fn json(out: &mut String, node: &Node) {
    match &node.value {
        Value::Text(text) | Value::Other("a date", text) => json_string(out, text),
        Value::Whole(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Other(_, text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let _ = write!(out, "{number}");
            }
            _ => json_string(out, text),
        },
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(out, item);
            }
            out.push(']');
        }
        Value::Table(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json_string(out, &entry.key);
                out.push(':');
                json(out, &entry.node);
            }
            out.push('}');
        }
    }
}

pub(super) fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::Announce(name) => write!(f, "announce {}", name.value),
            Self::Forward(None) => f.write_str("forward"),
            Self::Forward(Some(to)) => write!(f, "forward to {to}"),
            Self::Voicemail(name) => write!(f, "voicemail {}", name.value),
            Self::VoicemailMenu => f.write_str("voicemail menu"),
            Self::Group(name) => write!(f, "group {}", name.value),
            Self::Page(name) => write!(f, "page {}", name.value),
            Self::Menu(name) => write!(f, "menu {}", name.value),
            Self::Queue(name) => write!(f, "queue {}", name.value),
            Self::Conference(name) => write!(f, "conference {}", name.value),
            Self::Fax(name) => write!(f, "fax {}", name.value),
            Self::Echo => f.write_str("echo"),
            Self::Park => f.write_str("park"),
            Self::Reject(status) => write!(f, "reject {status}"),
            Self::Module { module, .. } => write!(f, "module {module}"),
        }
    }
}
