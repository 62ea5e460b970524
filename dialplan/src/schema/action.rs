//! Actions: the values of `do`, of a schedule's cells, of a menu's keys, of time-outs.

use std::sync::Arc;

use super::{Checker, Feature, Type, hint};
use crate::text::{Kind, Value};

/// What can be done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ring the number's devices.
    Ring,
    /// Play an announcement.
    Announce(Arc<str>),
    /// Forward to the number's target, or to this number.
    Forward(Option<Arc<str>>),
    /// Leave a message in a box.
    Voicemail(Arc<str>),
    /// Ring a group.
    Group(Arc<str>),
    /// Play a menu.
    Menu(Arc<str>),
    /// Wait in a queue.
    Queue(Arc<str>),
    /// Join a room.
    Conference(Arc<str>),
    /// Receive a fax into a box.
    Fax(Arc<str>),
    /// Listen to one's messages.
    VoicemailMenu,
    /// Hear oneself.
    Echo,
    /// Park the call.
    Park,
    /// Refuse with a SIP status.
    Reject(u16),
    /// Run a module's application.
    Module(Arc<str>),
}

const WORDS: &[&str] = &["ring", "forward", "voicemail_menu", "echo", "park"];

/// An action with its argument: the key, what the argument is, and what the server must do for it.
const TABLES: &[(&str, Type, Option<Feature>)] = &[
    ("announce", Type::Name("announcement"), None),
    ("forward", Type::Digits, Some(Feature::Forwarding)),
    ("voicemail", Type::Name("voicemail_box"), Some(Feature::Voicemail)),
    ("group", Type::Name("group"), Some(Feature::Group)),
    ("menu", Type::Name("menu"), Some(Feature::Menu)),
    ("queue", Type::Name("queue"), Some(Feature::Queue)),
    ("conference", Type::Name("room"), Some(Feature::Conference)),
    ("fax", Type::Name("fax_box"), Some(Feature::Fax)),
    ("reject", Type::Count(400, 699), None),
    ("module", Type::Text, Some(Feature::ModuleAction)),
];

/// The action of a value that passed the check.
#[must_use]
pub(crate) fn action(value: &Value) -> Option<Action> {
    if let Some(word) = value.text() {
        return match word {
            "ring" => Some(Action::Ring),
            "forward" => Some(Action::Forward(None)),
            "voicemail_menu" => Some(Action::VoicemailMenu),
            "echo" => Some(Action::Echo),
            "park" => Some(Action::Park),
            _ => None,
        };
    }
    let (key, argument) = value.entries().iter().find_map(|entry| {
        let known = TABLES.iter().find(|(key, ..)| *key == entry.name)?;
        Some((known.0, &entry.value))
    })?;
    if key == "reject" {
        let Kind::Integer(status) = argument.kind else { return None };
        return u16::try_from(status).ok().map(Action::Reject);
    }
    let name: Arc<str> = argument.text()?.into();
    Some(match key {
        "announce" => Action::Announce(name),
        "forward" => Action::Forward(Some(name)),
        "voicemail" => Action::Voicemail(name),
        "group" => Action::Group(name),
        "menu" => Action::Menu(name),
        "queue" => Action::Queue(name),
        "conference" => Action::Conference(name),
        "fax" => Action::Fax(name),
        _ => Action::Module(name),
    })
}

impl Checker<'_> {
    pub(super) fn action(&mut self, value: &Value) {
        let known = || WORDS.iter().chain(TABLES.iter().map(|(key, ..)| key)).copied();
        match &value.kind {
            Kind::Text(word) => {
                let feature = match word.as_str() {
                    "forward" => Some(Feature::Forwarding),
                    "voicemail_menu" => Some(Feature::Voicemail),
                    "park" => Some(Feature::Park),
                    _ => None,
                };
                if WORDS.contains(&word.as_str()) {
                    self.needs(value, feature);
                } else {
                    let names: Vec<&str> = known().collect();
                    let hint = hint(word, &names, "actions");
                    self.error(value, format!("unknown action \"{word}\""), hint);
                }
            }
            Kind::Table(entries) => {
                let mut found = 0usize;
                for entry in entries {
                    match TABLES.iter().find(|(key, ..)| *key == entry.name) {
                        Some((_, kind, feature)) => {
                            found = found.saturating_add(1);
                            self.needs(value, *feature);
                            self.check(&entry.value, kind);
                        }
                        None if entry.name == "on_error" => self.action(&entry.value),
                        None if entries.iter().any(|entry| entry.name == "module") => {}
                        None => {
                            let names: Vec<&str> = known().collect();
                            let hint = hint(&entry.name, &names, "actions");
                            let message = format!("unknown action \"{}\"", entry.name);
                            self.errors.push(self.sources.at(&entry.place, message, hint));
                            return;
                        }
                    }
                }
                if found != 1 {
                    self.error(value, format!("expected one action, found {found}"), "");
                }
            }
            _ => self.error(value, format!("expected an action, found {}", value.what()), ""),
        }
    }

    fn needs(&mut self, value: &Value, feature: Option<Feature>) {
        if let Some(feature) = feature.filter(|feature| !self.capabilities.has(*feature)) {
            let hint = format!("({feature} comes with a later one)");
            self.error(value, "this action is not supported by this version".to_owned(), hint);
        }
    }
}
