//! `[tariff]`: what a finished leg costs (S-90 to S-98).

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use super::device::DeviceKind;
use super::objects::Objects;
use crate::decide::Asker;
use crate::diagnostic::did_you_mean;
use crate::read::{Item, Kind, Money, Table, noted};
use crate::source::{At, Place};

/// Which leg is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargedLeg {
    /// A call from a device to outside.
    Out,
    /// The leg to outside of a forwarded call.
    Forward,
    /// A fax sent.
    FaxOut,
    /// A call to a toll-free number, paid by the called office.
    TollfreeIn,
}

impl ChargedLeg {
    const WORDS: [(&'static str, Self); 4] = [
        ("out", Self::Out),
        ("forward", Self::Forward),
        ("fax-out", Self::FaxOut),
        ("tollfree-in", Self::TollfreeIn),
    ];

    /// What a leg to outside is charged as. What a device asked for is charged to its ID, also
    /// when a transfer or a redirection did; what no device asked for is a forwarded leg of the
    /// office.
    pub(crate) const fn asked(asker: Asker, by_device: bool) -> Self {
        match asker {
            Asker::Forward => Self::Forward,
            Asker::Fax => Self::FaxOut,
            Asker::Phone
            | Asker::Transfer
            | Asker::Redirect
            | Asker::Conference
            | Asker::CallBack
            | Asker::Module => {
                if by_device {
                    Self::Out
                } else {
                    Self::Forward
                }
            }
        }
    }

    /// The word in the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Forward => "forward",
            Self::FaxOut => "fax-out",
            Self::TollfreeIn => "tollfree-in",
        }
    }
}

/// What one price buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Call,
    Started(Duration),
}

#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) leg: ChargedLeg,
    /// Empty: any.
    pub(crate) devices: Vec<DeviceKind>,
    pub(crate) classes: Vec<Arc<str>>,
    pub(crate) callers: Vec<Arc<str>>,
    pub(crate) price: Money,
    pub(crate) per: Per,
    pub(crate) valid_from: Option<Date>,
    pub(crate) valid_until: Option<Date>,
    /// How many months after its own a leg is billed (S-98).
    pub(crate) billed_after: u32,
    pub(crate) place: Place,
}

/// An option that makes calls or pages free.
#[derive(Debug)]
pub(crate) struct TariffOption {
    /// Talk time free in every call.
    pub(crate) free_per_call: Option<Duration>,
    /// Pages free in every billing month.
    pub(crate) free_pages_per_month: Option<u32>,
    /// So many calls a day and it looks like telemarketing (S-95).
    pub(crate) suspect_calls_per_day: Option<u32>,
    pub(crate) legs: Vec<ChargedLeg>,
    pub(crate) devices: Vec<DeviceKind>,
    pub(crate) except: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Tariff {
    pub(crate) place: Place,
    /// 31: the last day of each month.
    pub(crate) close_day: i8,
    pub(crate) rates: Vec<Rate>,
    pub(crate) options: Objects<TariffOption>,
}

/// What a toll-free caller may be, besides a class: not known, or a payphone (S-97).
pub(crate) const CALLER_CLASSES: [&str; 2] = [UNKNOWN, PAYPHONE];
pub(crate) const UNKNOWN: &str = "unknown";
pub(crate) const PAYPHONE: &str = "payphone";

impl Tariff {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("tariff", |table| {
            table.req("currency", |item| item.choice(&[("JPY", ())]));
            let close_day = table.opt("close_day", |item| item.whole(1, 28));
            let rates = table.or("rate", Vec::new(), |item| item.list(Rate::read));
            let options = Objects::read(table, "option", TariffOption::read);
            let close_day = close_day.and_then(|day| i8::try_from(day).ok()).unwrap_or(31);
            Some(Self { place: table.place, close_day, rates, options })
        })
    }

    /// The rate of a leg on a day: of a device of a kind, to or from a class.
    pub(crate) fn rate_of(
        &self,
        leg: ChargedLeg,
        kind: Option<DeviceKind>,
        far: &str,
        day: Date,
    ) -> Option<&Rate> {
        self.rates.iter().find(|rate| rate.is_valid(day) && rate.covers(leg, kind, far))
    }
}

impl Rate {
    fn read(item: Item<'_>) -> Option<Self> {
        item.table("tariff.rate", |table| {
            let leg = table.req("leg", |item| item.choice(&ChargedLeg::WORDS));
            let devices = table.or("device", Vec::new(), kinds);
            let classes = table.or("class", Vec::new(), classes);
            let callers = table.or("caller", Vec::new(), |item| item.list(caller));
            let price = table.req("price", Item::money);
            let per = table.req("per", per);
            let valid_from = table.opt("valid_from", Item::date);
            let valid_until = table.opt("valid_until", Item::date);
            let billed_after = table.or("billed_after", 0, |item| item.whole(0, 12));
            Some(Self {
                leg: leg?,
                devices,
                classes,
                callers,
                price: price?,
                per: per?,
                valid_from,
                valid_until,
                billed_after,
                place: table.place,
            })
        })
    }

    pub(crate) fn is_valid(&self, day: Date) -> bool {
        self.valid_from.is_none_or(|from| from <= day)
            && self.valid_until.is_none_or(|until| day <= until)
    }

    /// What both rates would price on some day: a device kind and a class; empty: any.
    pub(crate) fn overlap(&self, other: &Self) -> Option<String> {
        let before = |until: Option<Date>, from: Option<Date>| match (until, from) {
            (Some(until), Some(from)) => until < from,
            _ => false,
        };
        if self.leg != other.leg
            || before(self.valid_until, other.valid_from)
            || before(other.valid_until, self.valid_from)
        {
            return None;
        }
        let kind = common(&self.devices, &other.devices)?;
        let class = if self.leg == ChargedLeg::TollfreeIn {
            common(&self.callers, &other.callers)?
        } else {
            common(&self.classes, &other.classes)?
        };
        let kind = kind.map_or("any device", |kind| kind.as_str());
        Some(format!("{} by {kind}, class {}", self.leg.as_str(), class.map_or("any", |c| c)))
    }

    /// Whether the rate speaks of such a leg; `far` is the class of the called or the caller.
    pub(crate) fn covers(&self, leg: ChargedLeg, device: Option<DeviceKind>, far: &str) -> bool {
        let here = |list: &[Arc<str>]| list.is_empty() || list.iter().any(|name| &**name == far);
        let device_fits =
            self.devices.is_empty() || device.is_some_and(|kind| self.devices.contains(&kind));
        self.leg == leg
            && device_fits
            && if leg == ChargedLeg::TollfreeIn { here(&self.callers) } else { here(&self.classes) }
    }
}

impl TariffOption {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let free = table.opt("free", Item::duration);
        let pages = table.opt("free_pages", |item| item.whole(1, 1_000_000));
        let suspect = table.opt("suspect_calls_per_day", |item| item.whole(1, 10_000));
        let per_call = table.req("per", |item| item.choice(&[("call", true), ("month", false)]));
        let legs = table.or("leg", Vec::new(), |i| i.list(|i| i.choice(&ChargedLeg::WORDS)));
        let devices = table.or("device", Vec::new(), kinds);
        let from = table.or("from", Vec::new(), kinds);
        let except = table.or("except", Vec::new(), classes);
        table.opt("monthly", Item::money);
        let per_call = per_call?;
        for (key, wrong) in [("free", free.is_some() && !per_call), ("free_pages", per_call)] {
            if wrong && table.has(key) {
                let per = if per_call { "call" } else { "month" };
                let message = format!("`{key}` with per = \"{per}\"");
                let hint = "free time is a call's, free pages are a month's";
                table.reader.error(table.key_place(key), message, hint);
            }
        }
        Some(Self {
            free_per_call: free.filter(|_| per_call),
            free_pages_per_month: pages.filter(|_| !per_call),
            suspect_calls_per_day: suspect,
            legs,
            devices: if devices.is_empty() { from } else { devices },
            except,
        })
    }
}

/// A member of both lists, an empty one meaning any; none when they are apart.
fn common<'l, T: PartialEq>(one: &'l [T], two: &'l [T]) -> Option<Option<&'l T>> {
    match (one, two) {
        ([], []) => Some(None),
        ([], [first, ..]) | ([first, ..], []) => Some(Some(first)),
        _ => one.iter().find(|entry| two.contains(entry)).map(Some),
    }
}

fn kinds(item: Item<'_>) -> Option<Vec<DeviceKind>> {
    item.list(|item| item.choice(&DeviceKind::WORDS))
}

fn classes(item: Item<'_>) -> Option<Vec<Arc<str>>> {
    item.names(Kind::Class).map(|names| names.into_iter().map(|At { value, .. }| value).collect())
}

fn caller(item: Item<'_>) -> Option<Arc<str>> {
    let (place, reader) = (item.place(), item.reader);
    let name = item.text()?;
    let known = CALLER_CLASSES.contains(&&*name) || reader.names.find(Kind::Class, &name).is_some();
    if !known {
        let names = CALLER_CLASSES.into_iter().chain(reader.names.of(Kind::Class));
        let message = format!("unknown caller class \"{}\"", name.escape_debug());
        reader.error(place, message, did_you_mean(&name, names, "known caller classes"));
    }
    Some(name)
}

fn per(item: Item<'_>) -> Option<Per> {
    let noted = item.alternatives(&[&|item| noted(item.choice(&[("call", ())])), &|item| {
        noted(item.seconds(1, 86_400, 1))
    }]);
    if noted {
        return None;
    }
    if matches!(item.value(), crate::read::Value::Text(text) if text == "call") {
        return Some(Per::Call);
    }
    let seconds = item.seconds(1, 86_400, 1)?;
    Some(Per::Started(seconds))
}
