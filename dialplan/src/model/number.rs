//! `[number.X]`: a DID and what happens to calls to it.

use std::sync::Arc;
use std::time::Duration;

use super::ring::Ring;
use crate::capability::Feature;
use crate::read::{Action, Context, Item, Kind, Table};
use crate::source::{At, Name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Contract,
    Additional,
    Direct,
    Tollfree,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Ring,
    Schedule,
    Forward,
}

#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) did: At<Arc<str>>,
    pub(crate) role: Role,
    /// What phones show as the called name (S-10).
    pub(crate) title: Option<Arc<str>>,
    pub(crate) ring: Option<Ring>,
    pub(crate) mode: Mode,
    pub(crate) schedule: Option<Name>,
    pub(crate) forward_to: Option<At<Arc<str>>>,
    pub(crate) voicemail: Option<Voicemail>,
    pub(crate) busy_announcement: bool,
    pub(crate) options: Vec<At<&'static str>>,
    pub(crate) record: bool,
    pub(crate) fax: Option<Fax>,
    pub(crate) no_answer: Option<Action>,
    pub(crate) channels: Option<u32>,
    pub(crate) blocked: Vec<Arc<str>>,
    pub(crate) block_anonymous: bool,
    pub(crate) target: Option<Name>,
}

#[derive(Debug)]
pub(crate) struct Voicemail {
    pub(crate) mailbox: Name,
    pub(crate) after: At<Duration>,
}

#[derive(Debug)]
pub(crate) struct Fax {
    pub(crate) mailbox: Option<Name>,
    pub(crate) device: Option<Name>,
    pub(crate) only: bool,
}

/// What a number may subscribe to.
pub(crate) const OPTIONS: [&str; 6] =
    ["voicemail", "off_hours", "fax", "forwarding", "recording", "number_notification"];

impl Number {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let did = table.req("did", |item| {
            let place = item.place();
            item.telephone().map(|value| At { value, place })
        });
        let role = table.req("role", |item| {
            item.choice(&[
                ("contract", Role::Contract),
                ("additional", Role::Additional),
                ("direct", Role::Direct),
                ("tollfree", Role::Tollfree),
            ])
        });
        let mode = table.or("mode", Mode::Ring, mode);
        Some(Self {
            title: table.opt("name", Item::text),
            ring: table.opt("ring", Ring::read),
            mode,
            schedule: table.opt("schedule", |item| item.name(Kind::Schedule)),
            forward_to: table.at("forward_to", Item::telephone),
            voicemail: table.opt("voicemail", Voicemail::read),
            busy_announcement: table.or("busy_announcement", false, Item::flag),
            options: table.or("options", Vec::new(), |item| item.list(option)),
            record: table.or("record", false, record),
            fax: table.opt("fax", Fax::read),
            no_answer: table.opt("no_answer", |item| item.action(Context::Other)),
            channels: table.opt("channels", |item| item.whole(1, 10_000)),
            blocked: table.or("blocked", Vec::new(), |item| item.list(Item::telephone)),
            block_anonymous: table.or("block_anonymous", false, Item::flag),
            target: {
                table.opt("forwards_max", |item| item.whole(1, 100));
                table.opt("target", |item| item.name(Kind::Number))
            },
            did: did?,
            role: role?,
        })
    }

    pub(crate) fn subscribes(&self, option: &str) -> bool {
        self.options.iter().any(|subscribed| subscribed.value == option)
    }
}

fn mode(item: Item<'_>) -> Option<Mode> {
    let (place, reader) = (item.place(), item.reader);
    let words = [("ring", Mode::Ring), ("schedule", Mode::Schedule), ("forward", Mode::Forward)];
    let mode = item.choice(&words)?;
    if mode == Mode::Forward {
        reader.require(Feature::Forwarding, place, "`mode = \"forward\"`");
    }
    Some(mode)
}

fn option(item: Item<'_>) -> Option<At<&'static str>> {
    let place = item.place();
    item.choice(&OPTIONS.map(|word| (word, word))).map(|value| At { value, place })
}

fn record(item: Item<'_>) -> Option<bool> {
    item.table("number.record", |table| {
        table.opt("notice", |item| item.choice(&[("arrival", ()), ("answer", ()), ("off", ())]));
        table.req("enabled", Item::flag)
    })
}

impl Voicemail {
    fn read(item: Item<'_>) -> Option<Self> {
        item.table("number.voicemail", |table| {
            let mailbox = table.req("box", |item| item.name(Kind::VoicemailBox));
            // S-45: 5, 10, 15, 20, 25 or 30 seconds.
            let after = table.req("after", |item| {
                let place = item.place();
                item.seconds(5, 30, 5).map(|value| At { value, place })
            });
            Some(Self { mailbox: mailbox?, after: after? })
        })
    }
}

impl Fax {
    fn read(item: Item<'_>) -> Option<Self> {
        item.table("number.fax", |table| {
            let mailbox = table.opt("box", |item| item.name(Kind::FaxBox));
            let device = table.opt("device", |item| item.name(Kind::Device));
            let detect = [("auto", false), ("only", true), ("off", false)];
            let only = table.or("detect", false, |item| item.choice(&detect));
            table.opt("listen", |item| item.seconds(1, 60, 1));
            table.opt("after", |item| item.seconds(1, 120, 1));
            table.opt("answer_early", Item::flag);
            table.opt("deliver_to", |item| item.name(Kind::Device));
            if mailbox.is_none() && device.is_none() && !table.has("box") && !table.has("device") {
                let message = format!("{} has neither `box` nor `device`", table.path());
                table.reader.error(table.place, message, "one of them takes the fax");
            }
            Some(Self { mailbox, device, only })
        })
    }
}
