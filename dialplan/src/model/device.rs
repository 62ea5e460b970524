//! `[device.X]`: a phone, an app, a fax machine behind an adapter.

use std::sync::Arc;

use super::forwarding::DeviceForward;
use super::signalling::DeviceSignalling;
use crate::read::{Item, Kind, Secret, Table};
use crate::source::{At, Name};

/// What a device is; prices and ring tiers speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A desk phone.
    Desk,
    /// An analogue adapter.
    Ata,
    /// An app.
    App,
}

impl DeviceKind {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("desk", Self::Desk), ("ata", Self::Ata), ("app", Self::App)];

    /// The word in the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desk => "desk",
            Self::Ata => "ata",
            Self::App => "app",
        }
    }
}

/// Options of a device that are known without a tariff naming them.
const OPTIONS: [&str; 4] = ["free10", "phonebook", "cloudfax", "fax500"];

/// More phones than this behind one ID are a ring list, which names each of them.
const MAX_CONTACTS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) ext: At<Arc<str>>,
    pub(crate) user: Option<At<Arc<str>>>,
    pub(crate) kind: DeviceKind,
    pub(crate) secret: Secret,
    pub(crate) caller_id: Option<Name>,
    pub(crate) allow_caller_id: Vec<Name>,
    /// Whose calls it may listen to.
    pub(crate) supervises: Vec<Name>,
    pub(crate) options: Vec<At<Arc<str>>>,
    pub(crate) fax_machine: bool,
    pub(crate) area_code: Option<Arc<str>>,
    pub(crate) privacy: bool,
    /// One call at a time: not rung while it is in one.
    pub(crate) busy_one: bool,
    /// Phones that may be registered as this device at once.
    pub(crate) contacts: u32,
    pub(crate) forward: Option<DeviceForward>,
    pub(crate) signalling: DeviceSignalling,
}

impl Device {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let ext = table.req("ext", at_plain(8));
        let user = table.at("user", sip_user);
        let kind = table.req("kind", |item| item.choice(&DeviceKind::WORDS));
        let secret = table.req("secret", Item::secret);
        // Catalogue data: what provisioning will print, nothing for a call to execute.
        table.opt("model", Item::text);
        table.opt("mac", Item::mac);
        let caller_id = table.opt("caller_id", |item| item.name(Kind::Number));
        let allow_caller_id = table.or("allow_caller_id", Vec::new(), |i| i.names(Kind::Number));
        let supervises = table.or("supervises", Vec::new(), |item| item.names(Kind::Device));
        let options = table.or("options", Vec::new(), |item| {
            item.list(|item| {
                let place = item.place();
                item.text().map(|value| At { value, place })
            })
        });
        table.opt("keys", |item| item.list(read_key));
        let fax_machine = table.or("fax_machine", false, Item::flag);
        let busy = [("one", true), ("waiting", false)];
        let busy_one = table.or("busy", false, |item| item.choice(&busy));
        let area_code = table.opt("area_code", Item::area_code);
        let privacy = table.or("privacy", false, Item::flag);
        let contacts = table.or("contacts", 1, |item| item.whole(1, MAX_CONTACTS));
        let forward = table.opt("forward", DeviceForward::read);
        let signalling = DeviceSignalling::read(table);
        Some(Self {
            ext: ext?,
            user,
            kind: kind?,
            secret: secret?,
            caller_id,
            allow_caller_id,
            supervises,
            options,
            fax_machine,
            area_code,
            privacy,
            busy_one,
            contacts,
            forward,
            signalling,
        })
    }

    pub(crate) fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|subscribed| &*subscribed.value == option)
    }

    /// Options that need no tariff to be known.
    pub(crate) const fn known_options() -> &'static [&'static str] {
        &OPTIONS
    }
}

/// What a line key of a phone does; one purpose a key.
fn read_key(item: Item<'_>) -> Option<()> {
    item.table("device.keys", |table| {
        table.opt("line", Item::flag);
        table.opt("park", |item| item.whole(1, 99));
        table.opt("blf", |item| item.name(Kind::Device));
        table.opt("night_mode", |item| item.name(Kind::Number));
        table.opt("dial", Item::text);
        let purposes = ["line", "park", "blf", "night_mode", "dial"];
        if purposes.iter().filter(|key| table.has(key)).count() > 1 {
            table.reader.error(table.place, "two purposes on one key", "write one here");
        }
        Some(())
    })
}

/// Plain digits with their place.
fn at_plain<'a>(max: usize) -> impl FnOnce(Item<'a>) -> Option<At<Arc<str>>> {
    move |item| {
        let place = item.place();
        item.plain_digits(max).map(|value| At { value, place })
    }
}

fn sip_user(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("a SIP user: letters, digits, `-`, `_` and `.`, at most 64", |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| Arc::from(text))
    })
}
