//! `[[expect]]`: what the admin says that the plan does; proved by every check.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;

use crate::read::{Item, Kind, Money, Table, local_time};
use crate::source::{At, Name, Place};

/// One expectation: a call and what must come of it.
#[derive(Debug)]
pub(crate) struct Expect {
    pub(crate) place: Place,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) at: Option<DateTime>,
    /// Digits, or `anonymous`.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) from_device: Option<Name>,
    pub(crate) to: Arc<str>,
    pub(crate) talk: Option<Duration>,
    pub(crate) rings: Option<At<Vec<Name>>>,
    pub(crate) announces: Option<Name>,
    pub(crate) then: Option<At<Arc<str>>>,
    pub(crate) forwards: Option<At<Arc<str>>>,
    pub(crate) shown_caller: Option<At<Arc<str>>>,
    pub(crate) refused: Option<At<Arc<str>>>,
    pub(crate) charge: Option<At<Money>>,
}

impl Expect {
    pub(crate) fn read_all(root: &Table<'_>) -> Vec<Self> {
        root.or("expect", Vec::new(), |item| item.list(|item| item.table("expect", Self::read)))
    }

    fn read(table: &mut Table<'_>) -> Option<Self> {
        let to = table.req("to", dialled);
        let from = table.opt("from", |item| {
            item.parsed("a caller's number, or \"anonymous\"", |text| {
                (text == "anonymous" || is_dialled(text)).then(|| Arc::from(text))
            })
        });
        let from_device = table.opt("from_device", |item| item.name(Kind::Device));
        let names = |item: Item<'_>| item.names(Kind::Device);
        let expect = Self {
            place: table.place,
            name: table.opt("name", Item::text),
            at: table.opt("at", |item| {
                item.parsed("a date and time such as \"2026-07-01T10:00\"", local_time)
            }),
            from,
            from_device,
            to: to.clone().unwrap_or_else(|| Arc::from("")),
            talk: table.opt("talk", Item::duration),
            rings: table.at("rings", names),
            announces: table.opt("announces", |item| item.name(Kind::Announcement)),
            then: table.at("then", Item::text),
            forwards: table.at("forwards", Item::telephone),
            shown_caller: table.at("shown_caller", Item::telephone),
            refused: table.at("refused", Item::text),
            charge: table.at("charge", Item::money),
        };
        if table.has("from") == table.has("from_device") {
            table.reader.error(
                table.place,
                "an expectation needs `from` or `from_device`",
                "exactly one of them says who calls",
            );
            return None;
        }
        let claims =
            ["rings", "announces", "then", "forwards", "shown_caller", "refused", "charge"];
        if !claims.iter().any(|claim| table.has(claim)) {
            let hint = format!("add one of {}", claims.join(", "));
            table.reader.error(table.place, "an expectation that expects nothing", hint);
        }
        to.map(|_| expect)
    }
}

fn dialled(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("what is dialled: digits, `*`, `#`, a leading `+`", |text| {
        is_dialled(text).then(|| Arc::from(text))
    })
}

fn is_dialled(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#');
    (1..=32).contains(&digits.len()) && digits.bytes().all(plain)
}
