//! `[number.X]`: a DID and what happens to calls to it.

use std::sync::Arc;
use std::time::Duration;

use super::ring::Ring;
use crate::capability::Feature;
use crate::decision::{Notice, Recording};
use crate::read::{Action, Context, Item, Kind, Table};
use crate::source::{At, Name, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Contract,
    Additional,
    Direct,
    Tollfree,
}

/// What a number does: the one value that S-60 and S-61 follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Its devices ring.
    Ring,
    /// As its schedule says.
    Schedule,
    /// Every call is forwarded.
    Forward,
}

impl Mode {
    const WORDS: [(&'static str, Self); 3] =
        [("ring", Self::Ring), ("schedule", Self::Schedule), ("forward", Self::Forward)];

    /// The word in the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Schedule => "schedule",
            Self::Forward => "forward",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, mode)| *mode)
    }
}

#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) did: At<Arc<str>>,
    pub(crate) role: Role,
    /// What phones show as the called name (S-10).
    pub(crate) title: Option<Arc<str>>,
    pub(crate) ring: Option<Ring>,
    pub(crate) mode: Mode,
    pub(crate) mode_place: Place,
    pub(crate) schedule: Option<Name>,
    pub(crate) forward_to: Option<At<Arc<str>>>,
    pub(crate) voicemail: Option<Voicemail>,
    pub(crate) busy_announcement: bool,
    pub(crate) options: Vec<At<&'static str>>,
    pub(crate) record: Option<At<Recording>>,
    pub(crate) fax: Option<At<Fax>>,
    /// What callers get while the night key is on; none: what the schedule says by default.
    pub(crate) closed: Option<Action>,
    pub(crate) no_answer: Option<Action>,
    pub(crate) channels: Option<u32>,
    pub(crate) forwards_max: Option<u32>,
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
    pub(crate) detect: Detect,
    pub(crate) listen: Duration,
    pub(crate) after: Option<At<Duration>>,
    pub(crate) answer_early: bool,
    pub(crate) deliver_to: Option<Name>,
}

/// When a call to a number with fax is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detect {
    /// When the caller sends CNG.
    Auto,
    /// Always.
    Only,
    /// Never: the number sends only.
    Off,
}

/// How long CNG is listened for after an answer, unless the plan says otherwise.
const LISTEN: Duration = Duration::from_secs(10);

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
            mode_place: table.key_place("mode"),
            schedule: table.opt("schedule", |item| item.name(Kind::Schedule)),
            forward_to: table.at("forward_to", Item::telephone),
            voicemail: table.opt("voicemail", Voicemail::read),
            busy_announcement: table.or("busy_announcement", false, Item::flag),
            options: table.or("options", Vec::new(), |item| item.list(option)),
            record: table
                .at("record", record)
                .and_then(|record| record.value.map(|value| At { value, place: record.place })),
            fax: table.at("fax", Fax::read),
            closed: table.opt("closed", |item| item.action(Context::Number)),
            no_answer: table.opt("no_answer", |item| item.action(Context::Other)),
            channels: table.opt("channels", |item| item.whole(1, 10_000)),
            blocked: table.or("blocked", Vec::new(), |item| item.list(Item::telephone)),
            block_anonymous: table.or("block_anonymous", false, Item::flag),
            forwards_max: table.opt("forwards_max", |item| item.whole(1, 100)),
            target: table.opt("target", |item| item.name(Kind::Number)),
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
    let mode = item.choice(&Mode::WORDS)?;
    if mode == Mode::Forward {
        reader.require(Feature::Forwarding, place, "`mode = \"forward\"`");
    }
    Some(mode)
}

fn option(item: Item<'_>) -> Option<At<&'static str>> {
    let place = item.place();
    item.choice(&OPTIONS.map(|word| (word, word))).map(|value| At { value, place })
}

fn record(item: Item<'_>) -> Option<Option<Recording>> {
    item.table("number.record", |table| {
        let notices =
            [("arrival", Notice::Arrival), ("answer", Notice::Answer), ("off", Notice::Off)];
        let notice = table.or("notice", Notice::Off, |item| item.choice(&notices));
        let on_demand = table.or("on_demand", false, Item::flag);
        let enabled = table.req("enabled", Item::flag)?;
        // What is recorded in any case needs nobody to ask for it.
        let recording = Recording { notice, on_demand: !enabled };
        Some((enabled || on_demand).then_some(recording))
    })
}

impl Voicemail {
    fn read(item: Item<'_>) -> Option<Self> {
        item.table("number.voicemail", |table| {
            let mailbox = table.req("box", |item| item.name(Kind::VoicemailBox));
            // S-45: 5, 10, 15, 20, 25 or 30 seconds, unless the plan says otherwise.
            let (min, max, step) = table.reader.rules().voicemail.after;
            let after = table.req("after", |item| {
                let place = item.place();
                item.seconds(min, max, step).map(|value| At { value, place })
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
            let detect = [("auto", Detect::Auto), ("only", Detect::Only), ("off", Detect::Off)];
            let place = table.key_place("detect");
            let detect = table.or("detect", Detect::Auto, |item| item.choice(&detect));
            if detect == Detect::Auto {
                let what = "`detect = \"auto\"`";
                table.reader.require(Feature::FaxDetection, place, what);
            }
            let listen = table.or("listen", LISTEN, |item| item.seconds(1, 60, 1));
            let after = table.at("after", |item| item.seconds(1, 120, 1));
            let answer_early = table.or("answer_early", false, Item::flag);
            let deliver_to = table.opt("deliver_to", |item| item.name(Kind::Device));
            if mailbox.is_none() && device.is_none() && !table.has("box") && !table.has("device") {
                let message = format!("{} has neither `box` nor `device`", table.path());
                table.reader.error(table.place, message, "one of them takes the fax");
            }
            Some(Self { mailbox, device, detect, listen, after, answer_early, deliver_to })
        })
    }
}
