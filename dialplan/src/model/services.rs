//! What is dialled inside: `[extension.X]`, `[room.X]`, `[park]`, `[group.X]`, `[menu.X]`,
//! `[queue.X]`, `[feature_codes]`.

use std::sync::Arc;

use super::ring::Ring;
use crate::read::{Action, Context, Digits, Item, Kind, Table};
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

/// `[room.X]`.
pub(crate) fn read_room(table: &mut Table<'_>) -> Option<()> {
    table.opt("pin", Item::secret);
    table.opt("moderator_pin", Item::secret);
    table.opt("max_members", |item| item.whole(2, 1_000));
    table.opt("record", Item::flag);
    table.opt("announce", Item::flag);
    Some(())
}

#[derive(Debug)]
pub(crate) struct Park {
    /// The slots, each a code of its own.
    pub(crate) slots: At<Digits>,
}

impl Park {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("park", |table| {
            table.opt("return_after", |item| item.seconds(10, 3_600, 1));
            table.opt("return_to", |item| {
                if matches!(item.value(), crate::read::Value::Text(text) if text == "parker") {
                    return Some(());
                }
                item.name(Kind::Device).map(|_| ())
            });
            table.opt("hold_music", Item::path_inside);
            let slots = table.req("slots", |item| at(item, slots));
            Some(Self { slots: slots? })
        })
    }
}

fn slots(item: Item<'_>) -> Option<Digits> {
    item.table("park.slots", |table| {
        let first = table.req("first", |item| item.plain_digits(8));
        let count = table.req("count", |item| item.whole(1, 100));
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
}

impl Group {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let dial = table.opt("dial", |item| at(item, Item::digits));
        let no_answer = table.opt("no_answer", |item| item.action(Context::Other));
        table.opt("pickup", Item::flag);
        let ring = Ring::read_keys(table, "members");
        Some(Self { dial, ring: ring?, no_answer })
    }
}

#[derive(Debug)]
pub(crate) struct Menu {
    pub(crate) actions: Vec<Action>,
    pub(crate) announcements: Vec<Name>,
}

impl Menu {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let action = |key| table.opt(key, |item| item.action(Context::Other));
        let prompt = table.req("prompt", |item| item.name(Kind::Announcement));
        table.opt("language", language);
        let mut actions = table.req("digits", digits).unwrap_or_default();
        table.opt("direct_extensions", |item| item.names(Kind::Device));
        table.opt("timeout", |item| item.seconds(1, 60, 1));
        table.opt("retries", |item| item.whole(0, 10));
        let invalid = table.opt("invalid", |item| item.name(Kind::Announcement));
        actions.extend(action("on_timeout"));
        Some(Self { actions, announcements: prompt.into_iter().chain(invalid).collect() })
    }
}

fn digits(item: Item<'_>) -> Option<Vec<Action>> {
    item.table("menu.digits", |table| {
        let reader = table.reader;
        let (path, place) = (table.path().to_owned(), table.place);
        let keys = std::mem::replace(table, Table::new(reader, "", path, place, &[])).open();
        let mut actions = Vec::new();
        for (entry, item) in keys {
            if !matches!(entry.key.as_bytes(), [b'0'..=b'9' | b'*' | b'#']) {
                let message = format!("unknown menu key `{}`", entry.key);
                reader.error(entry.key_place, message, "known keys: 0 to 9, \"*\" and \"#\"");
            }
            actions.extend(item.action(Context::Other));
        }
        Some(actions)
    })
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) overflow: Option<Action>,
}

impl Queue {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        table.req("agents", |item| item.names(Kind::Device));
        table.opt("strategy", |item| {
            item.choice(&[("longest_idle", ()), ("round_robin", ()), ("all", ())])
        });
        table.opt("wrap_up", |item| item.seconds(0, 3_600, 1));
        table.opt("announce_position", Item::flag);
        table.opt("max_wait", Item::duration);
        table.opt("max_callers", |item| item.whole(1, 1_000));
        let overflow = table.opt("overflow", |item| item.action(Context::Other));
        Some(Self { overflow })
    }
}

/// What a feature code can be bound to.
const FEATURES: [&str; 9] = [
    "park",
    "pickup",
    "night",
    "forward_on",
    "forward_off",
    "dnd",
    "record",
    "show_number",
    "voicemail",
];

#[derive(Debug, Default)]
pub(crate) struct FeatureCodes {
    pub(crate) codes: Vec<(&'static str, At<Digits>)>,
}

impl FeatureCodes {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("feature_codes", |table| {
            let code = |name| {
                let code = table.opt(name, |item| at(item, Item::code))?;
                Some((name, At { value: Digits::one(code.value), place: code.place }))
            };
            Some(Self { codes: FEATURES.into_iter().filter_map(code).collect() })
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
