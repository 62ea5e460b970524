//! `[limits]`: caps against fraud, evaluated by the gate against the state that is handed in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;

use crate::read::{Cell, Item, Money};

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
}

impl Cap {
    /// The word behind `cap:` in a release's cause.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spend => "spend",
            Self::Minutes => "minutes",
            Self::Concurrent => "concurrent",
            Self::Night => "night",
            Self::Forwards => "forwards",
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

    /// `[limits]` of an office, not wider than `most` of its plan.
    pub(crate) fn read(item: Item<'_>, most: &Self) -> Option<Self> {
        item.table("limits", |table| {
            let spend = table.opt("outside_yen_per_day", |item| {
                let (place, reader) = (item.place(), item.reader);
                let money = item.money()?;
                let wide = most.spend.filter(|most| money > *most);
                if let Some(most) = wide {
                    let message = format!("{money} yen a day is wider than the plan's {most}");
                    reader.error(place, message, "an office may only tighten its plan");
                }
                Some(money)
            });
            let whole = |key, most: Option<u32>, bound| {
                table.opt(key, |item| item.whole(1, most.unwrap_or(bound)))
            };
            let most_minutes = most.talk.and_then(|most| u32::try_from(most.as_secs() / 60).ok());
            let minutes = whole("outside_minutes_per_day", most_minutes, 1_000_000);
            let concurrent = whole("outside_concurrent", most.concurrent, 10_000);
            let forwards = whole("forwards_per_number", most.forwards, 100);
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
                alert: alert.into(),
            })
        })
    }
}
