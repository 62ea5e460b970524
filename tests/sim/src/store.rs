//! What survives the process, as the journal does: a record counts from the moment on when it is
//! written, and what a store that refuses takes later is lost when the process ends before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use koukan_switch::{Contact, Record, Watch};

use crate::settings::Planted;

/// User, URI and flow of a contact.
type ContactKey = (String, String, Option<u32>);

/// Of so many registrations a store that forgets keeps all but one.
const FORGOTTEN: u32 = 3;

/// What a start finds.
#[derive(Debug, Default)]
pub(crate) struct Store {
    contacts: BTreeMap<ContactKey, Contact>,
    watches: BTreeMap<String, Watch>,
    /// What the store did not take yet.
    waiting: Vec<Record>,
    /// It takes nothing.
    refuses: bool,
    /// What is wrong with it.
    planted: Option<Planted>,
    /// Registrations that it was handed.
    handed: u32,
}

impl Store {
    /// An empty one.
    pub(crate) fn new(planted: Option<Planted>) -> Self {
        Self { planted, ..Self::default() }
    }

    /// A record leaves the switch; whether it is safe.
    pub(crate) fn append(&mut self, record: Record) -> bool {
        if self.refuses {
            self.waiting.push(record);
        } else {
            self.take(record);
        }
        !self.refuses
    }

    /// It takes nothing from now on, or again everything.
    pub(crate) fn refuse(&mut self, refuses: bool) {
        self.refuses = refuses;
        if !refuses {
            for record in std::mem::take(&mut self.waiting) {
                self.take(record);
            }
        }
    }

    /// The process ends: what waited in its memory is gone, and the disk is well for the next.
    pub(crate) fn crash(&mut self) {
        self.waiting.clear();
        self.refuses = false;
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Registered(_) if self.forgets() => {}
            Record::Registered(contact) => {
                let key = (contact.user.clone(), contact.uri.clone(), contact.reg_id);
                self.contacts.insert(key, contact);
            }
            Record::Unregistered { user, uri, reg_id } => {
                self.contacts.remove(&(user, uri, reg_id));
            }
            Record::Watching(watch) => {
                self.watches.insert(watch.key.clone(), *watch);
            }
            Record::Unwatched { key } => {
                self.watches.remove(&key);
            }
            Record::Call(_) | Record::Setting(_) | Record::Note(_) => {}
        }
    }

    /// Whether this registration is said to be safe and is not kept.
    fn forgets(&mut self) -> bool {
        self.handed = self.handed.wrapping_add(1);
        self.planted == Some(Planted::Forgets) && self.handed.is_multiple_of(FORGOTTEN)
    }

    /// The contacts that are still bound.
    pub(crate) fn contacts(&self, now: Timestamp) -> impl Iterator<Item = &Contact> {
        self.contacts.values().filter(move |contact| contact.expires > now)
    }

    /// The subscriptions that have not ended.
    pub(crate) fn watches(&self, now: Timestamp) -> impl Iterator<Item = &Watch> {
        self.watches.values().filter(move |watch| watch.expires > now)
    }
}
