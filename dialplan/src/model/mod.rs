//! The checked model of one tenant: what its files say, as types.

pub(crate) mod announcement;
pub(crate) mod boxes;
pub(crate) mod caps;
pub(crate) mod class;
pub(crate) mod device;
pub(crate) mod expect;
pub(crate) mod forwarding;
pub(crate) mod lookup;
pub(crate) mod module;
pub(crate) mod number;
pub(crate) mod objects;
pub(crate) mod outside;
pub(crate) mod ring;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod sender;
pub(crate) mod services;
pub(crate) mod signalling;
pub(crate) mod tariff;
pub(crate) mod tenant;
pub(crate) mod week;

use std::collections::HashMap;
use std::sync::Arc;

use announcement::Announcement;
use boxes::{FaxBox, VoicemailBox};
use caps::Caps;
use class::Classes;
use device::Device;
use expect::Expect;
use lookup::Lookup;
use number::{Number, Role};
use objects::{Object, Objects};
use outside::{Outbound, Trunk};
use rules::Rules;
use schedule::Schedule;
use services::{Extension, FeatureCodes, Group, Menu, Park, Queue, ReturnTo, Room, ShortCode};
use tariff::Tariff;
use tenant::{Channels, Tenant};

use crate::plans::{DeviceInfo, TrunkInfo};
use crate::read::{Action, Digits, Table};
use crate::source::{Lines, Place};

/// One tenant's plan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The name of the directory that it was read from.
    pub(crate) directory: Arc<str>,
    pub(crate) tenant: Tenant,
    pub(crate) devices: Objects<Device>,
    pub(crate) numbers: Objects<Number>,
    pub(crate) schedules: Objects<Schedule>,
    pub(crate) announcements: Objects<Announcement>,
    pub(crate) extensions: Objects<Extension>,
    pub(crate) groups: Objects<Group>,
    pub(crate) menus: Objects<Arc<Menu>>,
    pub(crate) queues: Objects<Arc<Queue>>,
    pub(crate) rooms: Objects<Arc<Room>>,
    pub(crate) voicemail_boxes: Objects<Arc<VoicemailBox>>,
    pub(crate) fax_boxes: Objects<Arc<FaxBox>>,
    pub(crate) trunks: Objects<Trunk>,
    pub(crate) classes: Arc<Classes>,
    pub(crate) outbound: Outbound,
    pub(crate) caps: Caps,
    pub(crate) rules: Arc<Rules>,
    pub(crate) park: Option<Arc<Park>>,
    pub(crate) lookup: Option<Lookup>,
    pub(crate) feature_codes: FeatureCodes,
    pub(crate) tariff: Option<Arc<Tariff>>,
    pub(crate) expects: Vec<Expect>,
    /// Errors in `[class]`, `[outbound]` or `[tariff]`: what is missing there is no news.
    pub(crate) outside_is_faulty: bool,
    /// Fingerprint of the tenant's texts: equal texts, equal generation.
    pub(crate) generation: u64,
    pub(crate) inside: Inside,
    /// `office.toml:41` of every setting that a customer may flip, see [`crate::live::places`].
    pub(crate) places: Lines,
    pub(crate) device_infos: Vec<DeviceInfo>,
    pub(crate) trunk_infos: Vec<TrunkInfo>,
}

/// What a code that is dialled inside leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Device(Arc<str>),
    Extension(Arc<str>),
    Group(Arc<str>),
    Slot,
}

/// The codes of a tenant: single ones by hash, ranges one after the other.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    codes: HashMap<Arc<str>, Target>,
    ranges: Vec<(Digits, Target)>,
}

impl Inside {
    pub(crate) fn find(&self, dialled: &str) -> Option<&Target> {
        self.codes.get(dialled).or_else(|| {
            let found = self.ranges.iter().find(|(digits, _)| digits.contains(dialled));
            found.map(|(_, target)| target)
        })
    }

    fn add(&mut self, digits: &Digits, target: Target) {
        if digits.first == digits.last {
            self.codes.insert(Arc::clone(&digits.first), target);
        } else {
            self.ranges.push((digits.clone(), target));
        }
    }
}

impl Plan {
    /// Reads the root table; `None` when even the tenant cannot be read. What has errors is left
    /// out, and the errors stand in the reader.
    pub(crate) fn read(root: &Table<'_>, directory: &str, generation: u64) -> Option<Self> {
        root.req("schema", |item| item.whole(1, 1));
        let tenant = root.req("tenant", Tenant::read);
        let before = root.reader.faults();
        let country = root.reader.country();
        let classes = match root.has("class") {
            true => Arc::new(Classes::read(root)),
            false => Arc::clone(&country.classes),
        };
        let outbound = root.opt("outbound", Outbound::read).unwrap_or_default();
        let rules = root.reader.rules();
        let caps = root.opt("limits", |item| Caps::read(item, &rules.caps));
        let caps = caps.unwrap_or_else(|| rules.caps.clone());
        let tariff = root.opt("tariff", Tariff::read).map(Arc::new);
        let outside_is_faulty = root.reader.faults() > before;
        let mut plan = Self {
            directory: Arc::from(directory),
            devices: Objects::read(root, "device", Device::read),
            numbers: Objects::read(root, "number", Number::read),
            schedules: Objects::read(root, "schedule", Schedule::read),
            announcements: Objects::read(root, "announcement", Announcement::read),
            extensions: Objects::read(root, "extension", Extension::read),
            groups: Objects::read(root, "group", Group::read),
            menus: Objects::read(root, "menu", |table| Menu::read(table).map(Arc::new)),
            queues: Objects::read(root, "queue", Queue::read),
            rooms: Objects::read(root, "room", Room::read),
            voicemail_boxes: Objects::read(root, "voicemail_box", VoicemailBox::read),
            fax_boxes: Objects::read(root, "fax_box", FaxBox::read),
            trunks: Objects::read(root, "trunk", Trunk::read),
            classes,
            outbound,
            caps,
            rules,
            park: root.opt("park", Park::read),
            lookup: root.opt("lookup", Lookup::read),
            feature_codes: root.opt("feature_codes", FeatureCodes::read).unwrap_or_default(),
            tariff,
            expects: Expect::read_all(root),
            outside_is_faulty,
            generation,
            inside: Inside::default(),
            places: Lines::default(),
            device_infos: Vec::new(),
            trunk_infos: Vec::new(),
            tenant: {
                // A module's own options; their schema is the module's.
                root.opt("module", |item| item.entries().map(|_| ()));
                tenant?
            },
        };
        plan.index();
        Some(plan)
    }

    fn index(&mut self) {
        let mut inside = Inside::default();
        for device in self.devices.iter() {
            let code = Digits::one(Arc::clone(&device.ext.value));
            inside.add(&code, Target::Device(Arc::clone(&device.name)));
        }
        for extension in self.extensions.iter() {
            let target = Target::Extension(Arc::clone(&extension.name));
            inside.add(&extension.dial.value, target);
        }
        for group in self.groups.iter() {
            if let Some(dial) = &group.dial {
                inside.add(&dial.value, Target::Group(Arc::clone(&group.name)));
            }
        }
        if let Some(park) = &self.park {
            inside.add(&park.slots(), Target::Slot);
        }
        self.inside = inside;
        self.device_infos = self.devices.iter().map(|device| self.device_info(device)).collect();
        let id = &self.tenant.id.value;
        self.trunk_infos =
            self.trunks.iter().map(|trunk| TrunkInfo::new(Some(id), trunk)).collect();
        for menu in self.menus.iter_mut() {
            if let Some(menu) = Arc::get_mut(&mut menu.value) {
                menu.link(&self.tenant.language, &self.announcements, &self.devices);
            }
        }
    }

    fn device_info(&self, device: &Object<Device>) -> DeviceInfo {
        let tenant = Arc::clone(&self.tenant.id.value);
        let extension = Arc::clone(&device.ext.value);
        let user = match &device.user {
            Some(user) => Arc::clone(&user.value),
            None => Arc::from(format!("{tenant}-{extension}")),
        };
        DeviceInfo {
            tenant,
            device: Arc::clone(&device.name),
            user,
            extension,
            secret: Arc::clone(&device.secret.0),
            max_contacts: device.contacts,
            signalling: device.signalling,
        }
    }

    /// Every code that is dialled inside, with its owner.
    pub(crate) fn short_codes(&self) -> Vec<ShortCode> {
        let mut codes: Vec<ShortCode> = Vec::new();
        let mut add = |digits: Digits, place: Place, owner: String| {
            codes.push(ShortCode { digits, place, owner });
        };
        for device in self.devices.iter() {
            let code = Digits::one(Arc::clone(&device.ext.value));
            add(code, device.ext.place, format!("device.{}", device.name));
        }
        for extension in self.extensions.iter() {
            let dial = &extension.dial;
            add(dial.value.clone(), dial.place, format!("extension.{}", extension.name));
        }
        for group in self.groups.iter() {
            if let Some(dial) = &group.dial {
                add(dial.value.clone(), dial.place, format!("group.{}", group.name));
            }
        }
        if let Some(park) = &self.park {
            add(park.slots(), park.place, String::from("park"));
        }
        for (name, code) in &self.feature_codes.codes {
            add(code.value.clone(), code.place, format!("feature_codes.{}", name.as_str()));
        }
        codes
    }

    /// Every action of the plan, those on the way on from an error too.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        let numbers = self.numbers.iter().flat_map(|n| n.no_answer.iter().chain(&n.closed));
        let schedules = self.schedules.iter().flat_map(|schedule| schedule.actions());
        let extensions = self.extensions.iter().map(|extension| &extension.action);
        let groups = self.groups.iter().filter_map(|group| group.no_answer.as_ref());
        let menus = self.menus.iter().flat_map(|menu| menu.actions());
        let queues = self.queues.iter().filter_map(|queue| queue.overflow.as_ref());
        let park = self.park.iter().filter_map(|park| match &park.return_to {
            ReturnTo::Way(way) => Some(way),
            ReturnTo::Parker | ReturnTo::Device(_) => None,
        });
        let first = numbers.chain(schedules).chain(extensions).chain(groups).chain(menus);
        first.chain(queues.chain(park).map(|way| &*way.action)).flat_map(|action| {
            std::iter::successors(Some(action), |action: &&Action| action.on_error.as_deref())
        })
    }

    /// How many calls with outside the tenant may have.
    pub(crate) fn channels(&self) -> u32 {
        match self.tenant.channels {
            Channels::Count(count) => count,
            Channels::PerId => u32::try_from(self.devices.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether a device is an agent of a queue.
    pub(crate) fn is_agent(&self, device: &str) -> bool {
        self.queues.iter().any(|queue| queue.agents.iter().any(|agent| **agent == *device))
    }

    /// The number that stands for the office: the contract number, else the first that calls out.
    pub(crate) fn main_number(&self) -> Option<&Object<Number>> {
        let contract = self.numbers.iter().find(|number| number.role == Role::Contract);
        contract.or_else(|| self.numbers.iter().find(|number| number.role != Role::Tollfree))
    }

    /// A number's DID in the form that is the same in every country.
    pub(crate) fn global_did(&self, number: &Number) -> Arc<str> {
        Arc::from(&*self.tenant.country.e164(&self.did(number)))
    }

    /// A number's DID in the form that lookups use.
    pub(crate) fn did(&self, number: &Number) -> Arc<str> {
        match self.tenant.country.canonical(&number.did.value) {
            std::borrow::Cow::Borrowed(_) => Arc::clone(&number.did.value),
            std::borrow::Cow::Owned(did) => Arc::from(did),
        }
    }
}
