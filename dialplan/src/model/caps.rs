//! `[limits]`: caps against fraud, evaluated by the gate against the state that is handed in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;

use crate::plans::Plans;
use crate::read::{Cell, Item, Money};
use crate::state::Usage;

/// A cap of `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cap {
    /// `outside_yen_per_day`
    Spend,
    /// `outside_minutes_per_day`
    Minutes,
    /// `outside_concurrent`
    Concurrent,
    /// `night.outside_concurrent`
    Night,
    /// `forwards_per_number`, or the number's own `forwards_max`
    Forwards,
    /// `tollfree_yen_per_day`
    TollfreeSpend,
    /// `tollfree_concurrent`
    TollfreeConcurrent,
}

impl Cap {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Spend,
        Self::Minutes,
        Self::Concurrent,
        Self::Night,
        Self::Forwards,
        Self::TollfreeSpend,
        Self::TollfreeConcurrent,
    ];

    /// The word behind `cap:` in a release's cause.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spend => "spend",
            Self::Minutes => "minutes",
            Self::Concurrent => "concurrent",
            Self::Night => "night",
            Self::Forwards => "forwards",
            Self::TollfreeSpend => "tollfree-spend",
            Self::TollfreeConcurrent => "tollfree-concurrent",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a cap is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapLevel {
    /// Which.
    pub cap: Cap,
    /// In percent of it; more than a hundred where calls that were up went on.
    pub percent: u32,
    /// What is used, in words.
    pub used: String,
    /// The cap, in words.
    pub most: String,
}

/// Hours with a narrower cap; may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Night {
    pub(crate) from: Cell,
    pub(crate) to: Cell,
    pub(crate) concurrent: u32,
}

impl Night {
    pub(crate) fn holds(self, time: Time) -> bool {
        let half = u8::from(time.minute() >= 30);
        let cell = u8::try_from(time.hour()).unwrap_or_default() * 2 + half;
        if self.from <= self.to {
            self.from <= cell && cell < self.to
        } else {
            self.from <= cell || cell < self.to
        }
    }
}

/// The caps of an office; `None`: no cap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caps {
    pub(crate) spend: Option<Money>,
    pub(crate) talk: Option<Duration>,
    pub(crate) concurrent: Option<u32>,
    pub(crate) night: Option<Night>,
    pub(crate) forwards: Option<u32>,
    pub(crate) tollfree_spend: Option<Money>,
    pub(crate) tollfree_concurrent: Option<u32>,
    pub(crate) alert: Arc<[Arc<str>]>,
}

impl Caps {
    /// Whether any of them asks for what the office has used of the outside.
    pub(crate) fn count_outside(&self) -> bool {
        self.spend.is_some()
            || self.talk.is_some()
            || self.concurrent.is_some()
            || self.night.is_some()
    }

    /// Whether any asks for what toll-free callers cost.
    pub(crate) fn count_tollfree(&self) -> bool {
        self.tollfree_spend.is_some() || self.tollfree_concurrent.is_some()
    }

    /// How far each cap is used that has one number for the whole office.
    pub(crate) fn levels(&self, usage: &Usage) -> Vec<CapLevel> {
        let money = |cap, used: Money, most: Option<Money>| {
            let most = most?;
            let percent = used.percent_of(most);
            Some(CapLevel {
                cap,
                percent,
                used: format!("{used} yen"),
                most: format!("{most} yen"),
            })
        };
        let count = |cap, used: u64, most: Option<u64>, unit: &str| {
            let most = most?;
            let percent = used.saturating_mul(100).checked_div(most).unwrap_or(100);
            let percent = u32::try_from(percent).unwrap_or(u32::MAX);
            Some(CapLevel { cap, percent, used: format!("{used}{unit}"), most: most.to_string() })
        };
        let minutes = self.talk.map(|most| most.as_secs() / 60);
        [
            money(Cap::Spend, usage.spent, self.spend),
            count(Cap::Minutes, usage.talked.as_secs() / 60, minutes, " min"),
            count(Cap::Concurrent, usage.outside_legs.into(), self.concurrent.map(u64::from), ""),
            money(Cap::TollfreeSpend, usage.tollfree_spent, self.tollfree_spend),
            count(
                Cap::TollfreeConcurrent,
                usage.tollfree_legs.into(),
                self.tollfree_concurrent.map(u64::from),
                "",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// `[limits]` of an office, not wider than `most` of its plan.
    pub(crate) fn read(item: Item<'_>, most: &Self) -> Option<Self> {
        item.table("limits", |table| {
            let spend = table.opt("outside_yen_per_day", |item| yen(item, most.spend));
            let tollfree = |item| yen(item, most.tollfree_spend);
            let tollfree_spend = table.opt("tollfree_yen_per_day", tollfree);
            let whole = |key, most: Option<u32>, bound| {
                table.opt(key, |item| item.whole(1, most.unwrap_or(bound)))
            };
            let most_minutes = most.talk.and_then(|most| u32::try_from(most.as_secs() / 60).ok());
            let minutes = whole("outside_minutes_per_day", most_minutes, 1_000_000);
            let concurrent = whole("outside_concurrent", most.concurrent, 10_000);
            let forwards = whole("forwards_per_number", most.forwards, 100);
            let callers = whole("tollfree_concurrent", most.tollfree_concurrent, 10_000);
            let night = table.opt("night", |item| {
                item.table("limits.night", |table| {
                    let from = table.req("from", Item::cell);
                    let to = table.req("to", Item::cell);
                    let concurrent = table.or("outside_concurrent", 0, |i| i.whole(0, 10_000));
                    Some(Night { from: from?, to: to?, concurrent })
                })
            });
            let alert = table.or("alert", Vec::new(), |item| item.list(Item::mail));
            let talk = minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
            Some(Self {
                spend: spend.or(most.spend),
                talk: talk.or(most.talk),
                concurrent: concurrent.or(most.concurrent),
                night: night.or(most.night),
                forwards: forwards.or(most.forwards),
                tollfree_spend: tollfree_spend.or(most.tollfree_spend),
                tollfree_concurrent: callers.or(most.tollfree_concurrent),
                alert: alert.into(),
            })
        })
    }
}

impl Plans {
    /// Whether an office has caps that are used up by and by.
    #[must_use]
    pub fn has_caps(&self, tenant: &str) -> bool {
        let caps = self.plan(tenant).map(|plan| &plan.caps);
        caps.is_some_and(|caps| caps.count_outside() || caps.count_tollfree())
    }

    /// How far the caps of an office are used.
    #[must_use]
    pub fn cap_levels(&self, tenant: &str, usage: &Usage) -> Vec<CapLevel> {
        self.plan(tenant).map(|plan| plan.caps.levels(usage)).unwrap_or_default()
    }

    /// Who is told of an office's caps by mail.
    #[must_use]
    pub fn alert_receivers(&self, tenant: &str) -> Arc<[Arc<str>]> {
        self.plan(tenant).map(|plan| Arc::clone(&plan.caps.alert)).unwrap_or_default()
    }
}

/// Yen a day, not more than the plan's.
fn yen(item: Item<'_>, most: Option<Money>) -> Option<Money> {
    let (place, reader) = (item.place(), item.reader);
    let money = item.money()?;
    if let Some(most) = most.filter(|most| money > *most) {
        let message = format!("{money} yen a day is wider than the plan's {most}");
        reader.error(place, message, "an office may only tighten its plan");
    }
    Some(money)
}
