//! `forward` of a device: where the calls to its extension go instead of it, or behind it.

use std::sync::Arc;
use std::time::Duration;

use crate::decision::DiversionCause;
use crate::read::{Item, Table};
use crate::source::At;

/// What one phone's user has its calls do. It holds for calls to the device's own extension; a ring
/// list or a group that names the device rings the device itself.
#[derive(Debug)]
pub(crate) struct DeviceForward {
    /// Never rung.
    pub(crate) always: Option<At<Arc<str>>>,
    /// It refused as busy, or takes one call at a time and is in one.
    pub(crate) busy: Option<At<Arc<str>>>,
    /// It rang for `after`.
    pub(crate) no_answer: Option<At<Arc<str>>>,
    /// No phone is registered, or none shows life.
    pub(crate) unreachable: Option<At<Arc<str>>>,
    pub(crate) after: Duration,
}

impl DeviceForward {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("device.forward", |table| {
            Some(Self {
                always: target(table, "always"),
                busy: target(table, "busy"),
                no_answer: target(table, "no_answer"),
                unreachable: target(table, "unreachable"),
                after: table.or("after", AFTER, |item| item.seconds(1, 300, 1)),
            })
        })
    }

    /// The target for a reason.
    pub(crate) const fn target(&self, cause: DiversionCause) -> Option<&At<Arc<str>>> {
        match cause {
            DiversionCause::Unconditional => self.always.as_ref(),
            DiversionCause::Busy => self.busy.as_ref(),
            DiversionCause::NoAnswer => self.no_answer.as_ref(),
            DiversionCause::Unreachable => self.unreachable.as_ref(),
        }
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &At<Arc<str>>> {
        [&self.always, &self.busy, &self.no_answer, &self.unreachable].into_iter().flatten()
    }
}

/// An extension of the office, or a number as `forward_to` has it.
fn target(table: &Table<'_>, key: &'static str) -> Option<At<Arc<str>>> {
    table.at(key, |item| {
        item.parsed("an extension, or a telephone number", |text| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            (plain && (1..=16).contains(&digits.len())).then(|| Arc::from(text))
        })
    })
}

/// How long a phone rings before `no_answer`.
pub(crate) const AFTER: Duration = Duration::from_secs(20);
