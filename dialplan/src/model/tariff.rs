//! `[tariff]`: what a finished leg costs (S-90 to S-98).

use std::sync::Arc;
use std::time::Duration;

use super::device::DeviceKind;
use super::objects::Objects;
use crate::diagnostic::did_you_mean;
use crate::read::{Item, Kind, Money, Table};
use crate::source::{At, Place};

/// Which leg is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChargedLeg {
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
}

/// An option that makes calls or pages free.
#[derive(Debug)]
pub(crate) struct TariffOption {
    /// Talk time free in every call.
    pub(crate) free_per_call: Option<Duration>,
    pub(crate) legs: Vec<ChargedLeg>,
    pub(crate) devices: Vec<DeviceKind>,
    pub(crate) except: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Tariff {
    pub(crate) place: Place,
    pub(crate) rates: Vec<Rate>,
    pub(crate) options: Objects<TariffOption>,
}

/// What a toll-free caller may be, besides a class: not known, or a payphone (S-97).
pub(crate) const CALLER_CLASSES: [&str; 2] = ["unknown", "payphone"];

impl Tariff {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("tariff", |table| {
            table.req("currency", |item| item.choice(&[("JPY", ())]));
            table.opt("close_day", |item| item.whole(1, 28));
            let rates = table.or("rate", Vec::new(), |item| item.list(Rate::read));
            let options = Objects::read(table, "option", TariffOption::read);
            Some(Self { place: table.place, rates, options })
        })
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
            Some(Self { leg: leg?, devices, classes, callers, price: price?, per: per? })
        })
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
        table.opt("free_pages", |item| item.whole(1, 1_000_000));
        let per_call = table.req("per", |item| item.choice(&[("call", true), ("month", false)]))?;
        let legs = table.or("leg", Vec::new(), |i| i.list(|i| i.choice(&ChargedLeg::WORDS)));
        let devices = table.or("device", Vec::new(), kinds);
        table.opt("from", kinds);
        let except = table.or("except", Vec::new(), classes);
        table.opt("monthly", Item::money);
        Some(Self { free_per_call: free.filter(|_| per_call), legs, devices, except })
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
    if matches!(item.value(), crate::read::Value::Text(text) if text == "call") {
        return Some(Per::Call);
    }
    let seconds = item.seconds(1, 86_400, 1)?;
    Some(Per::Started(seconds))
}
