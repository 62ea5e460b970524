//! A mailbox as it is kept: one record a message, written before its recording begins, so that no
//! end of the process leaves a message that nobody knows of.

use koukan_sdk::{Result, Store};
use serde::{Deserialize, Serialize};

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being recorded.
    Recording,
    /// Nobody has heard it.
    New,
    /// It was heard.
    Heard,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The object that holds it.
    pub object: String,
    /// Who left it; empty when the caller's number is not known.
    pub caller: String,
    /// When it began, in ms since 1970.
    pub date_ms: i64,
    /// How far the office's clocks were ahead of UTC then.
    pub utc_offset_s: i32,
    /// How long it is, in ms.
    pub length_ms: u64,
    /// Where it stands.
    pub state: State,
    /// When it is deleted, in ms since 1970.
    pub expires_ms: i64,
}

/// A mailbox of a tenant.
#[derive(Clone, Debug)]
pub struct Mailbox {
    store: Store,
    name: String,
}

/// A message with the key of its record.
pub(crate) type Entry = (String, Message);

/// The record that numbers messages.
const COUNTER: &str = "counter";
/// The keys of every message begin with it.
pub(crate) const MESSAGES: &str = "m/";

impl Mailbox {
    /// The mailbox of this name.
    #[must_use]
    pub fn new(store: Store, name: &str) -> Self {
        Self { store, name: name.to_owned() }
    }

    /// Its name in the plan.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every message, the oldest first, also those that are being recorded.
    ///
    /// # Errors
    /// The host does not keep records for this module.
    pub fn entries(&self) -> Result<Vec<(String, Message)>> {
        let mut entries = Vec::new();
        for key in self.store.keys(&format!("{MESSAGES}{}/", self.name))? {
            if let Some(message) = self.store.get::<Message>(&key)? {
                entries.push((key, message));
            }
        }
        Ok(entries)
    }

    /// A new message's key and object, which nothing else has or has had.
    pub(crate) fn number(&self) -> Result<(String, String)> {
        let number = self.store.get::<u64>(COUNTER)?.unwrap_or(0).saturating_add(1);
        self.store.put(COUNTER, &number)?;
        Ok((format!("{MESSAGES}{}/{number:012}", self.name), format!("m-{number}")))
    }

    /// Writes a message down.
    pub(crate) fn put(&self, key: &str, message: &Message) -> Result<()> {
        self.store.put(key, message)
    }

    /// Deletes a message; its record goes last, so that no recording is left that nobody knows of.
    pub(crate) fn delete(&self, (key, message): &Entry) -> Result<()> {
        self.store.remove_object(&message.object)?;
        self.store.remove(key)
    }

    /// Shows on its phones how many messages wait.
    pub(crate) fn show(&self) -> Result<()> {
        let entries = self.entries()?;
        let count = |state| {
            let of_state = entries.iter().filter(|(_, message)| message.state == state);
            u32::try_from(of_state.count()).unwrap_or(u32::MAX)
        };
        self.store.set_messages(&self.name, count(State::New), count(State::Heard))
    }
}

/// The mailbox that a record's key belongs to.
pub(crate) fn name_of(key: &str) -> Option<&str> {
    key.strip_prefix(MESSAGES)?.rsplit_once('/').map(|(name, _)| name)
}
