//! What is dialled inside: `[extension.X]`, `[room.X]`, `[park]`, `[group.X]`, `[menu.X]`,
//! `[queue.X]`, `[feature_codes]`.

use std::sync::Arc;
use std::time::Duration;

use super::announcement::Announcement;
use super::device::Device;
use super::objects::Objects;
use super::ring::Ring;
use crate::decision::{DiversionCause, PromptRef, Way};
use crate::read::{Action, Context, Digits, Item, Kind, Table, Value, noted};
use crate::source::{At, Name, Place};

#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) dial: At<Digits>,
    pub(crate) action: Action,
}

impl Extension {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let dial = table.req("dial", |item| at(item, Item::digits));
        let action = table.req("do", |item| item.action(Context::Other));
        Some(Self { dial: dial?, action: action? })
    }
}

/// A conference room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Where the PIN is found, as written; none: no PIN.
    pub pin: Option<Arc<str>>,
    /// Where the moderator's PIN is found, as written.
    pub moderator_pin: Option<Arc<str>>,
    /// How many members it takes.
    pub max_members: u32,
    /// Whether it is recorded.
    pub record: bool,
    /// Whether coming and going is announced.
    pub announce: bool,
}

impl Room {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            pin: table.opt("pin", Item::secret).map(|secret| secret.0),
            moderator_pin: table.opt("moderator_pin", Item::secret).map(|secret| secret.0),
            max_members: table.or("max_members", ROOM_MEMBERS, |item| item.whole(2, 1_000)),
            record: table.or("record", false, Item::flag),
            announce: table.or("announce", false, Item::flag),
        }))
    }
}

/// Where a parked call goes when nobody takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnTo {
    /// To who parked it.
    Parker,
    /// To a device, by its name in the plan.
    Device(Arc<str>),
    /// By a way of the plan.
    Way(Way),
}

/// The park slots of an office (S-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Park {
    /// The first slot's digits.
    pub first: Arc<str>,
    /// The last slot's digits, as many of them.
    pub last: Arc<str>,
    /// How long a call waits.
    pub return_after: Duration,
    /// Where it goes then.
    pub return_to: ReturnTo,
    /// A call that a phone of the office holds for so long is parked; none: it is held.
    pub hold_after: Option<Duration>,
    /// A file below the tenant's directory; none: the server's own music.
    pub hold_music: Option<Arc<str>>,
    pub(crate) place: Place,
}

impl Park {
    pub(crate) fn read(item: Item<'_>) -> Option<Arc<Self>> {
        item.table("park", |table| {
            let return_after =
                table.or("return_after", PARK_RETURN, |item| item.seconds(10, 3_600, 1));
            let return_to = table.or("return_to", ReturnTo::Parker, return_to);
            let hold_after = table.opt("hold_after", |item| item.seconds(0, 600, 1));
            let hold_music = table.opt("hold_music", Item::path_inside);
            let slots = table.req("slots", |item| at(item, slots))?;
            let Digits { first, last } = slots.value;
            let place = slots.place;
            Some(Arc::new(Self {
                first,
                last,
                return_after,
                return_to,
                hold_after,
                hold_music,
                place,
            }))
        })
    }

    /// Every slot's digits, in order.
    pub fn numbers(&self) -> impl Iterator<Item = Arc<str>> {
        let width = self.first.len();
        let number = |digits: &str| digits.parse::<u32>().unwrap_or(0);
        let all = number(&self.first)..=number(&self.last);
        all.map(move |slot| Arc::from(format!("{slot:0width$}")))
    }

    /// Whether these digits are one of the slots.
    #[must_use]
    pub fn has(&self, digits: &str) -> bool {
        self.slots().contains(digits)
    }

    pub(crate) fn slots(&self) -> Digits {
        Digits { first: Arc::clone(&self.first), last: Arc::clone(&self.last) }
    }
}

/// `"parker"`, a device, or an action.
fn return_to(item: Item<'_>) -> Option<ReturnTo> {
    let noted = item.alternatives(&[
        &|item| noted(item.choice(&[("parker", ())])),
        &|item| noted(item.name(Kind::Device)),
        &|item| noted(item.action(Context::Other)),
    ]);
    if noted {
        return None;
    }
    match item.value() {
        Value::Text(text) if text == "parker" => Some(ReturnTo::Parker),
        Value::Text(_) => item.name(Kind::Device).map(|name| ReturnTo::Device(name.value)),
        _ => item.action(Context::Other).map(|action| ReturnTo::Way(Way::new(action))),
    }
}

fn slots(item: Item<'_>) -> Option<Digits> {
    item.table("park.slots", |table| {
        let first = table.req("first", |item| item.plain_digits(8));
        let count = table.req("count", |item| item.whole(1, PARK_SLOTS));
        let (first, count) = (first?, count?);
        let last = first.parse::<u32>().ok()?.saturating_add(count.saturating_sub(1));
        let last = format!("{last:0width$}", width = first.len());
        if last.len() != first.len() {
            table.reader.error(
                table.key_place("count"),
                format!("slot {last} is longer than slot {first}"),
                "all slots have equally many digits",
            );
            return None;
        }
        Some(Digits { first, last: Arc::from(last) })
    })
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) dial: Option<At<Digits>>,
    pub(crate) ring: Ring,
    pub(crate) no_answer: Option<Action>,
    /// Its members may take each other's ringing calls.
    pub(crate) pickup: bool,
}

impl Group {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let dial = table.opt("dial", |item| at(item, Item::digits));
        let no_answer = table.opt("no_answer", |item| item.action(Context::Other));
        let pickup = table.or("pickup", false, Item::flag);
        let ring = Ring::read_keys(table, "members");
        Some(Self { dial, ring: ring?, no_answer, pickup })
    }
}

/// A menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// What is played.
    pub prompt: PromptRef,
    /// What is played after a key that leads nowhere.
    pub invalid: Option<PromptRef>,
    /// Keys and where they lead.
    pub keys: Vec<(char, Way)>,
    /// The extensions that may be dialled at once, with their devices: a closed list.
    pub direct: Vec<(Arc<str>, Arc<str>)>,
    /// How long a key is waited for.
    pub timeout: Duration,
    /// How often the prompt is played again.
    pub retries: u32,
    /// The way on when no key came; none: the call is released.
    pub on_timeout: Option<Way>,
    pub(crate) announcements: Vec<Name>,
    pub(crate) direct_names: Vec<Name>,
    pub(crate) language: Option<Arc<str>>,
}

impl Menu {
    /// What is named is put in by [`link`](Self::link), when the whole plan has been read.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let prompt = table.req("prompt", |item| item.name(Kind::Announcement));
        let language = table.opt("language", language);
        let keys = table.req("digits", keys).unwrap_or_default();
        let direct_names =
            table.or("direct_extensions", Vec::new(), |item| item.names(Kind::Device));
        let timeout = table.or("timeout", MENU_TIMEOUT, |item| item.seconds(1, 60, 1));
        let retries = table.or("retries", 2, |item| item.whole(0, 10));
        let invalid = table.opt("invalid", |item| item.name(Kind::Announcement));
        let on_timeout = table.opt("on_timeout", |item| item.action(Context::Other)).map(Way::new);
        let nothing = PromptRef { language: Arc::from(""), name: Arc::from("") };
        Some(Self {
            prompt: nothing.clone(),
            invalid: invalid.as_ref().map(|_| nothing),
            keys,
            direct: Vec::new(),
            timeout,
            retries,
            on_timeout,
            announcements: prompt.into_iter().chain(invalid).collect(),
            direct_names,
            language,
        })
    }

    /// Puts in what the names stand for.
    pub(crate) fn link(
        &mut self,
        language: &Arc<str>,
        announcements: &Objects<Announcement>,
        devices: &Objects<Device>,
    ) {
        let language = self.language.as_ref().unwrap_or(language);
        let prompt = |name: &Name| announcements.find(&name.value).map(|a| a.prompt(language));
        let mut prompts = self.announcements.iter().filter_map(prompt);
        if let Some(first) = prompts.next() {
            self.prompt = first;
        }
        self.invalid = prompts.next();
        let direct = |name: &Name| {
            let device = devices.find(&name.value)?;
            Some((Arc::clone(&device.ext.value), Arc::clone(&device.name)))
        };
        self.direct = self.direct_names.iter().filter_map(direct).collect();
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        self.keys.iter().map(|(_, way)| way).chain(&self.on_timeout).map(|way| &*way.action)
    }
}

fn keys(item: Item<'_>) -> Option<Vec<(char, Way)>> {
    item.table("menu.digits", |table| {
        let reader = table.reader;
        let (path, place) = (table.path().to_owned(), table.place);
        let entries = std::mem::replace(table, Table::new(reader, "", path, place, &[])).open();
        let mut keys = Vec::new();
        for (entry, item) in entries {
            let action = item.action(Context::Other);
            let key = match entry.key.as_bytes() {
                [key @ (b'0'..=b'9' | b'*' | b'#')] => char::from(*key),
                _ => {
                    let message = format!("unknown menu key `{}`", entry.key);
                    reader.error(entry.key_place, message, "known keys: 0 to 9, \"*\" and \"#\"");
                    continue;
                }
            };
            keys.extend(action.map(|action| (key, Way::new(action))));
        }
        Some(keys)
    })
}

/// How a queue chooses among its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueStrategy {
    /// Who has been free for the longest time.
    LongestIdle,
    /// One after the other.
    RoundRobin,
    /// All at once.
    All,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The agents' devices, by their names in the plan.
    pub agents: Vec<Arc<str>>,
    /// How one is chosen.
    pub strategy: QueueStrategy,
    /// How long an agent is left alone after a call.
    pub wrap_up: Duration,
    /// Whether callers hear their place.
    pub announce_position: bool,
    /// How long a caller waits at most; none: without end.
    pub max_wait: Option<Duration>,
    /// How many callers may wait.
    pub max_callers: u32,
    /// The way on for who waited too long, or finds the queue full or without an agent.
    pub overflow: Option<Way>,
}

impl Queue {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Arc<Self>> {
        let agents = table.req("agents", |item| item.names(Kind::Device));
        let strategies = [
            ("longest_idle", QueueStrategy::LongestIdle),
            ("round_robin", QueueStrategy::RoundRobin),
            ("all", QueueStrategy::All),
        ];
        let strategy =
            table.or("strategy", QueueStrategy::LongestIdle, |item| item.choice(&strategies));
        let wrap_up = table.or("wrap_up", Duration::ZERO, |item| item.seconds(0, 3_600, 1));
        let announce_position = table.or("announce_position", false, Item::flag);
        let max_wait = table.opt("max_wait", Item::duration);
        let max_callers = table.or("max_callers", QUEUE_CALLERS, |item| item.whole(1, 1_000));
        let overflow = table.opt("overflow", |item| item.action(Context::Other)).map(Way::new);
        let agents = agents?.into_iter().map(|name| name.value).collect();
        Some(Arc::new(Self {
            agents,
            strategy,
            wrap_up,
            announce_position,
            max_wait,
            max_callers,
            overflow,
        }))
    }
}

/// What a feature code can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeatureCode {
    /// Park the call one is in, in the slot that follows or in a free one.
    Park,
    /// Bring the calls that one is in together.
    ThreeWay,
    /// Take a colleague's ringing call: the extension follows, or nothing for the group.
    Pickup,
    /// Call a colleague whose phone answers by itself, or page a group: its number follows.
    Intercom,
    /// Listen to the call of a colleague whom the device supervises: the extension follows.
    Monitor,
    /// The same, and talk to the colleague alone.
    Whisper,
    /// The same, and talk with both parties.
    Barge,
    /// The night key of the device's number.
    Night,
    /// Forwarding ON; a target may follow.
    ForwardOn,
    /// Forwarding OFF.
    ForwardOff,
    /// The phone's own calls go on for this reason to the target that follows; without one they
    /// do not any more.
    Divert(DiversionCause),
    /// Do not disturb, on or off.
    Dnd,
    /// An agent of queues goes, or comes back.
    Agent,
    /// Record the call one is in.
    Record,
    /// Another caller number for this call: the place in `allow_caller_id` and the number follow.
    ShowNumber,
    /// One's messages.
    Voicemail,
}

impl FeatureCode {
    /// All of them, with the words of the plan and the codes that `defaults = true` brings.
    const ALL: [(Self, &'static str, &'static str); 19] = [
        (Self::Park, "park", "*5"),
        (Self::ThreeWay, "three_way", "*3"),
        (Self::Pickup, "pickup", "**"),
        (Self::Intercom, "intercom", "*80"),
        (Self::Monitor, "monitor", "*81"),
        (Self::Whisper, "whisper", "*82"),
        (Self::Barge, "barge", "*83"),
        (Self::Night, "night", "*28"),
        (Self::ForwardOn, "forward_on", "*21"),
        (Self::ForwardOff, "forward_off", "#21"),
        (Self::Divert(DiversionCause::Unconditional), "divert_always", "*72"),
        (Self::Divert(DiversionCause::Busy), "divert_busy", "*73"),
        (Self::Divert(DiversionCause::NoAnswer), "divert_no_answer", "*74"),
        (Self::Divert(DiversionCause::Unreachable), "divert_unreachable", "*75"),
        (Self::Dnd, "dnd", "*78"),
        (Self::Agent, "agent", "*45"),
        (Self::Record, "record", "*1"),
        (Self::ShowNumber, "show_number", "*67"),
        (Self::Voicemail, "voicemail", "*97"),
    ];

    /// Whether something may be dialled behind it.
    pub(crate) const fn takes_argument(self) -> bool {
        match self {
            Self::Park
            | Self::Pickup
            | Self::Intercom
            | Self::Monitor
            | Self::Whisper
            | Self::Barge
            | Self::ForwardOn
            | Self::Divert(_)
            | Self::ShowNumber
            | Self::Voicemail => true,
            Self::ThreeWay
            | Self::Night
            | Self::ForwardOff
            | Self::Dnd
            | Self::Agent
            | Self::Record => false,
        }
    }

    /// The word in the plan.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(code, ..)| *code == self).map_or("", |(_, word, _)| word)
    }
}

#[derive(Debug, Default)]
pub(crate) struct FeatureCodes {
    pub(crate) codes: Vec<(FeatureCode, At<Digits>)>,
}

impl FeatureCodes {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        let place = item.place();
        item.table("feature_codes", |table| {
            let defaults = table.or("defaults", false, Item::flag);
            let code = |(feature, word, usual): (FeatureCode, &'static str, &str)| {
                let written = table.opt(word, |item| at(item, Item::code));
                // The usual codes of what this version executes.
                let needs = crate::capability::of_key("feature_codes", word);
                let done = needs.is_none_or(|needs| table.reader.capabilities.has(needs));
                let default = (defaults && done && !table.has(word))
                    .then(|| At { value: Arc::from(usual), place });
                let code = written.or(default)?;
                Some((feature, At { value: Digits::one(code.value), place: code.place }))
            };
            Some(Self { codes: FeatureCode::ALL.into_iter().filter_map(code).collect() })
        })
    }
}

/// What may be dialled inside a tenant, and by which object.
pub(crate) struct ShortCode {
    pub(crate) digits: Digits,
    pub(crate) place: Place,
    /// `device.A`.
    pub(crate) owner: String,
}

pub(crate) fn language(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("a language such as \"ja\" or \"en\"", |text| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase());
        plain.then(|| Arc::from(text))
    })
}

fn at<'a, T>(item: Item<'a>, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<At<T>> {
    let place = item.place();
    read(item).map(|value| At { value, place })
}

/// Members of a room whose plan does not say.
const ROOM_MEMBERS: u32 = 30;
/// So many slots a lot may have: more than any office has lines.
const PARK_SLOTS: u32 = 1_000;
/// How long a call waits in a slot whose plan does not say.
const PARK_RETURN: Duration = Duration::from_secs(90);
/// How long a menu waits for a key.
const MENU_TIMEOUT: Duration = Duration::from_secs(5);
/// Callers of a queue whose plan does not say.
const QUEUE_CALLERS: u32 = 50;
