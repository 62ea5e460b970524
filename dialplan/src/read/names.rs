//! The names that a tenant defines, collected before anything is read, so that an object with an
//! error in it does not make every reference to it an error too.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Entry, Value};
use crate::source::Place;

/// What a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Device,
    Number,
    Schedule,
    Announcement,
    VoicemailBox,
    FaxBox,
    Extension,
    Room,
    Group,
    Menu,
    Queue,
    Trunk,
    Class,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::Device,
        Self::Number,
        Self::Schedule,
        Self::Announcement,
        Self::VoicemailBox,
        Self::FaxBox,
        Self::Extension,
        Self::Room,
        Self::Group,
        Self::Menu,
        Self::Queue,
        Self::Trunk,
        Self::Class,
    ];

    /// The table that defines names of this kind.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Number => "number",
            Self::Schedule => "schedule",
            Self::Announcement => "announcement",
            Self::VoicemailBox => "voicemail_box",
            Self::FaxBox => "fax_box",
            Self::Extension => "extension",
            Self::Room => "room",
            Self::Group => "group",
            Self::Menu => "menu",
            Self::Queue => "queue",
            Self::Trunk => "trunk",
            Self::Class => "class",
        }
    }

    /// The word in a sentence.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::VoicemailBox => "voicemail box",
            Self::FaxBox => "fax box",
            other => other.table(),
        }
    }
}

/// The names of a tenant, each with the place that defines it; trunks of the server have none.
#[derive(Debug, Default)]
pub(crate) struct Names {
    defined: HashMap<Kind, HashMap<Arc<str>, Option<Place>>>,
}

impl Names {
    /// Collects the names from the root table.
    pub(crate) fn collect(root: &[Entry]) -> Self {
        let mut names = Self::default();
        for kind in Kind::ALL {
            let tables = root.iter().filter(|entry| entry.key == kind.table());
            for entry in tables {
                if let Value::Table(objects) = &entry.node.value {
                    for object in objects {
                        names.add(kind, Arc::from(object.key.as_str()), Some(object.key_place));
                    }
                }
            }
        }
        names
    }

    pub(crate) fn add(&mut self, kind: Kind, name: Arc<str>, place: Option<Place>) {
        self.defined.entry(kind).or_default().entry(name).or_insert(place);
    }

    /// The one shared copy of a name, when it is defined.
    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<Arc<str>> {
        self.defined.get(&kind)?.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    /// The shared copy of the name of an object of a table.
    pub(crate) fn of_object(&self, table: &str, name: &str) -> Arc<str> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.table() == table);
        kind.and_then(|kind| self.find(kind, name)).unwrap_or_else(|| Arc::from(name))
    }

    /// Every name of a kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.defined.get(&kind).into_iter().flat_map(|names| names.keys().map(|name| &**name))
    }

    /// Where a name is defined.
    pub(crate) fn place(&self, kind: Kind, name: &str) -> Option<Place> {
        self.defined.get(&kind)?.get(name).copied().flatten()
    }
}
