//! Settings by their names in text, as the control calls and the command line give them:
//! `number1.mode forward`, `A.caller_id number2`, `office.weekday.09:00-12:00 announce:lunch`.

use std::sync::Arc;

use jiff::civil::Date;

use super::entry::cell_key;
use super::{CellValue, Change, ChangeError};
use crate::decision::DiversionCause;
use crate::model::number::Mode;
use crate::model::schedule::DayClass;
use crate::read::{Cell, cell_of};

impl Change {
    /// Reads a setting's key and its new value; without a value the setting goes back to what the
    /// files say. The kind in front (`number.`, `device.`, `schedule.`) may be left out.
    ///
    /// # Errors
    /// There is no such setting, or it cannot have this value.
    pub fn parse(key: &str, value: Option<&str>) -> Result<Self, ChangeError> {
        let asked = Asked { key, value };
        let short = KINDS.iter().find_map(|kind| key.strip_prefix(kind)?.strip_prefix('.'));
        // A number may be called "number": `number.mode` is its mode.
        let short = short.filter(|rest| rest.contains('.')).unwrap_or(key);
        let (name, what) = short.rsplit_once('.').ok_or_else(|| asked.unknown())?;
        if name.is_empty() {
            return Err(asked.unknown());
        }
        let object: Arc<str> = Arc::from(name);
        Ok(match what {
            "mode" => Self::Mode { number: object, mode: asked.some(MODE, Mode::parse)? },
            "off_hours" => Self::OffHours { number: object, on: asked.need(ON, on_off)? },
            "forwarding" => Self::Forwarding { number: object, on: asked.need(ON, on_off)? },
            "forward_to" => Self::ForwardTo { number: object, to: value.map(Arc::from) },
            "closed" => Self::Closed { number: object, closed: asked.some(ON, on_off)? },
            "caller_id" => Self::CallerId { device: object, number: value.map(Arc::from) },
            "dnd" => Self::Dnd { device: object, on: asked.some(ON, on_off)? },
            "agent" => Self::Agent { device: object, on: asked.some(ON, on_off)? },
            other => match (forward_cause(other), other.parse::<Date>()) {
                (Some(cause), _) => {
                    Self::DeviceForward { device: object, cause, to: value.map(Arc::from) }
                }
                (None, Ok(date)) if other.len() == DATE_CHARS => {
                    Self::Day { schedule: object, date, closed: asked.some(DAY, day)? }
                }
                _ => asked.cells(name, other)?,
            },
        })
    }

    /// The change in a few words: `number1.forward_to=09011112222`.
    #[must_use]
    pub fn words(&self) -> String {
        let value = |value: Option<&str>| value.unwrap_or("-").to_owned();
        let on = |on: Option<bool>| on.map_or_else(|| value(None), |on| switch(&on));
        match self {
            Self::Mode { number, mode } => {
                format!("{number}.mode={}", value(mode.map(Mode::as_str)))
            }
            Self::OffHours { number, on: set } => format!("{number}.off_hours={}", on(Some(*set))),
            Self::Forwarding { number, on: set } => {
                format!("{number}.forwarding={}", on(Some(*set)))
            }
            Self::ForwardTo { number, to } => {
                format!("{number}.forward_to={}", value(to.as_deref()))
            }
            Self::Closed { number, closed } => format!("{number}.closed={}", on(*closed)),
            Self::Cells { schedule, day, from, to, value: set } => {
                let time = |cell| crate::read::cell_time(cell).unwrap_or_default();
                let set = set.as_ref().map(ToString::to_string);
                let (day, set) = (day.as_str(), value(set.as_deref()));
                format!("{schedule}.{day}.{}-{}={set}", time(*from), time(*to))
            }
            Self::Day { schedule, date, closed } => {
                let word = closed.map(|closed| if closed { "closed" } else { "open" });
                format!("{schedule}.{date}={}", value(word))
            }
            Self::CallerId { device, number } => {
                format!("{device}.caller_id={}", value(number.as_deref()))
            }
            Self::DeviceForward { device, cause, to } => {
                format!("{device}.{}={}", forward_key(*cause), value(to.as_deref()))
            }
            Self::Dnd { device, on: set } => format!("{device}.dnd={}", on(*set)),
            Self::Agent { device, on: set } => format!("{device}.agent={}", on(*set)),
        }
    }

    /// The keys that the change is about.
    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Mode { number, .. }
            | Self::OffHours { number, .. }
            | Self::Forwarding { number, .. } => vec![format!("number.{number}.mode")],
            Self::ForwardTo { number, .. } => vec![format!("number.{number}.forward_to")],
            Self::Closed { number, .. } => vec![format!("number.{number}.closed")],
            Self::CallerId { device, .. } => vec![format!("device.{device}.caller_id")],
            Self::DeviceForward { device, cause, .. } => {
                vec![format!("device.{device}.{}", forward_key(*cause))]
            }
            Self::Dnd { device, .. } => vec![format!("device.{device}.dnd")],
            Self::Agent { device, .. } => vec![format!("device.{device}.agent")],
            Self::Day { schedule, date, .. } => vec![format!("schedule.{schedule}.{date}")],
            Self::Cells { schedule, day, from, to, .. } => {
                (*from..*to).map(|cell| cell_key(schedule, *day, cell)).collect()
            }
        }
    }

    /// The keys that the change gives back to the files; none for a change that sets something.
    pub(super) fn given_back(&self) -> Vec<String> {
        let gives_back = match self {
            Self::Mode { mode, .. } => mode.is_none(),
            Self::OffHours { .. } | Self::Forwarding { .. } => false,
            Self::ForwardTo { to, .. } | Self::DeviceForward { to, .. } => to.is_none(),
            Self::Closed { closed, .. } | Self::Day { closed, .. } => closed.is_none(),
            Self::Cells { value, .. } => value.is_none(),
            Self::CallerId { number, .. } => number.is_none(),
            Self::Dnd { on, .. } | Self::Agent { on, .. } => on.is_none(),
        };
        if gives_back { self.keys() } else { Vec::new() }
    }
}

/// The key of a device's forwarding.
pub(super) fn forward_key(cause: DiversionCause) -> String {
    format!("forward_{}", cause.as_str())
}

/// The reason that such a key is about.
pub(super) fn forward_cause(key: &str) -> Option<DiversionCause> {
    let word = key.strip_prefix("forward_")?;
    DiversionCause::ALL.into_iter().find(|cause| cause.as_str() == word)
}

/// A key and a value as they were given.
struct Asked<'a> {
    key: &'a str,
    value: Option<&'a str>,
}

impl Asked<'_> {
    fn unknown(&self) -> ChangeError {
        ChangeError::Key { key: cut(self.key) }
    }

    fn wrong(&self, value: &str, expected: &'static str) -> ChangeError {
        ChangeError::Value { key: cut(self.key), value: cut(value), expected }
    }

    fn some<T>(
        &self,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ChangeError> {
        let read = |text| parse(text).ok_or_else(|| self.wrong(text, expected));
        self.value.map(read).transpose()
    }

    /// A key that is an order rather than a value: there is nothing to give back.
    fn need<T>(
        &self,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ChangeError> {
        self.some(expected, parse)?.ok_or_else(|| self.wrong("", expected))
    }

    /// `office.weekday` and `09:00` or `09:00-12:00`.
    fn cells(&self, name: &str, times: &str) -> Result<Change, ChangeError> {
        let parts = name.rsplit_once('.').filter(|(schedule, _)| !schedule.is_empty());
        let (schedule, day) = parts.ok_or_else(|| self.unknown())?;
        let day = DayClass::parse(day).ok_or_else(|| self.unknown())?;
        let (from, to) = half_hours(times).ok_or_else(|| self.unknown())?;
        let value = self.some(CELL, cell_value)?;
        Ok(Change::Cells { schedule: Arc::from(schedule), day, from, to, value })
    }
}

fn half_hours(times: &str) -> Option<(Cell, Cell)> {
    match times.split_once('-') {
        Some((from, to)) => Some((cell_of(from)?, cell_of(to)?)),
        None => cell_of(times).map(|from| (from, from + 1)),
    }
}

fn cell_value(text: &str) -> Option<CellValue> {
    match text {
        "ring" => Some(CellValue::Ring),
        "forward" => Some(CellValue::Forward),
        other => {
            let name = other.strip_prefix("announce:").filter(|name| !name.is_empty())?;
            Some(CellValue::Announce(Arc::from(name)))
        }
    }
}

/// What [`on_off`] reads.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "one of the writers of a setting's value")]
pub(super) fn switch(on: &bool) -> String {
    String::from(if *on { "on" } else { "off" })
}

pub(super) fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

fn day(text: &str) -> Option<bool> {
    match text {
        "closed" => Some(true),
        "open" => Some(false),
        _ => None,
    }
}

/// What is repeated in an error of a text that may be long.
fn cut(text: &str) -> Arc<str> {
    Arc::from(text.chars().take(ECHOED_CHARS).collect::<String>())
}

const KINDS: [&str; 3] = ["number", "device", "schedule"];
const MODE: &str = "ring, schedule or forward";
const ON: &str = "on or off";
const DAY: &str = "closed or open";
const CELL: &str = "ring, forward or announce:NAME";
const DATE_CHARS: usize = 10;
const ECHOED_CHARS: usize = 64;
