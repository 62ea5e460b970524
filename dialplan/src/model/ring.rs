//! Who rings, and when: `ring` of a number and the members of a group (S-12).

use std::sync::Arc;
use std::time::Duration;

use super::device::{Device, DeviceKind};
use super::objects::Objects;
use crate::diagnostic::did_you_mean;
use crate::read::{Item, Kind, Table, noted};
use crate::source::{At, Name, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    All,
    Sequence,
    Priority,
}

/// The delay between tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    For(Duration),
    /// The next tier rings only when the one before cannot be reached.
    Never,
}

/// What puts a device into a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Kind(DeviceKind),
    Device(Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) devices: Vec<Name>,
    pub(crate) strategy: Strategy,
    pub(crate) tiers: Vec<Vec<At<Member>>>,
    pub(crate) step: At<Wait>,
    pub(crate) timeout: At<Duration>,
}

const STRATEGIES: [(&str, Strategy); 3] =
    [("all", Strategy::All), ("sequence", Strategy::Sequence), ("priority", Strategy::Priority)];

/// How long a call rings when the plan does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_STEP: Duration = Duration::from_secs(10);

impl Ring {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("number.ring", |table| Self::read_keys(table, "devices"))
    }

    /// The keys, the ringing devices under the name `members`.
    pub(crate) fn read_keys(table: &Table<'_>, members: &'static str) -> Option<Self> {
        let faults = table.reader.faults();
        let strategy = table.or("strategy", Strategy::All, |item| item.choice(&STRATEGIES));
        // Of a strategy that is none nothing follows for the other keys.
        let is_known = table.reader.faults() == faults;
        let tiers = table.or("tiers", Vec::new(), |item| item.list(|tier| tier.list(member)));
        let step = table.at("step", step);
        let timeout = table.at("timeout", |item| item.seconds(1, 300, 1));
        let devices = table.req(members, |item| item.names(Kind::Device))?;
        if is_known {
            Self::fit(table, strategy);
        }
        Some(Self {
            devices,
            strategy,
            tiers,
            step: step.unwrap_or(At { value: Wait::For(DEFAULT_STEP), place: table.place }),
            timeout: timeout.unwrap_or(At { value: DEFAULT_TIMEOUT, place: table.place }),
        })
    }

    /// Which keys go with which strategy.
    fn fit(table: &Table<'_>, strategy: Strategy) {
        let at = |key| table.key_place(key);
        if strategy != Strategy::Priority && table.has("tiers") {
            table.reader.error(
                at("tiers"),
                "`tiers` without priority",
                "tiers ring one after the other with strategy = \"priority\" only",
            );
        }
        if strategy == Strategy::Priority && !table.has("tiers") {
            table.reader.error(
                at("strategy"),
                "strategy = \"priority\" without `tiers`",
                "for example tiers = [[\"desk\", \"ata\"], [\"app\"]]",
            );
        }
        if strategy == Strategy::All && table.has("step") {
            table.reader.error(
                at("step"),
                "`step` without an order",
                "with strategy = \"all\" every phone rings at once",
            );
        }
    }

    /// The devices with the tier each rings in; `None` in no tier at all.
    pub(crate) fn order<'r>(
        &'r self,
        devices: &'r Objects<Device>,
    ) -> impl Iterator<Item = (&'r Name, Option<u32>)> {
        self.devices.iter().enumerate().map(|(index, name)| {
            let tier = match self.strategy {
                Strategy::All => Some(0),
                Strategy::Sequence => u32::try_from(index).ok(),
                Strategy::Priority => {
                    let kind = devices.find(&name.value).map(|device| device.kind);
                    let here = |member: &At<Member>| match &member.value {
                        Member::Kind(tier) => Some(*tier) == kind,
                        Member::Device(tier) => *tier == name.value,
                    };
                    let found = self.tiers.iter().position(|tier| tier.iter().any(here));
                    found.and_then(|tier| u32::try_from(tier).ok())
                }
            };
            (name, tier)
        })
    }

    /// When the last tier begins, and where its delay is written.
    pub(crate) fn last_start(&self) -> (Duration, Place) {
        let tiers = match self.strategy {
            Strategy::All => 1,
            Strategy::Sequence => self.devices.len(),
            Strategy::Priority => self.tiers.len(),
        };
        let steps = u32::try_from(tiers.saturating_sub(1)).unwrap_or(u32::MAX);
        match self.step.value {
            Wait::For(step) => (step.saturating_mul(steps), self.step.place),
            Wait::Never => (Duration::ZERO, self.step.place),
        }
    }
}

fn step(item: Item<'_>) -> Option<Wait> {
    let noted = item.alternatives(&[&|item| noted(item.choice(&[("never", ())])), &|item| {
        noted(item.seconds(0, 120, 1))
    }]);
    if noted {
        return None;
    }
    if matches!(item.value(), crate::read::Value::Text(text) if text == "never") {
        return Some(Wait::Never);
    }
    item.seconds(0, 120, 1).map(Wait::For)
}

fn member(item: Item<'_>) -> Option<At<Member>> {
    let (place, reader) = (item.place(), item.reader);
    let text = item.text()?;
    let kind = DeviceKind::WORDS.iter().find(|(word, _)| *word == &*text);
    let member = match kind {
        Some((_, kind)) => Some(Member::Kind(*kind)),
        None => reader.names.find(Kind::Device, &text).map(Member::Device),
    };
    if member.is_none() {
        let kinds = DeviceKind::WORDS.iter().map(|(word, _)| *word);
        let known = kinds.chain(reader.names.of(Kind::Device));
        let hint = did_you_mean(&text, known, "device kinds and devices");
        let message = format!("unknown device kind or device \"{}\"", text.escape_debug());
        reader.error(place, message, hint);
    }
    member.map(|value| At { value, place })
}
