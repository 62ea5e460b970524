//! Live settings as the store keeps them: a key, a value, who and when; and what is in force.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use super::{CellValue, Live, Setting};
use crate::model::Plan;
use crate::model::number::Mode;
use crate::model::schedule::DayClass;
use crate::read::{cell_of, cell_time};

/// One live setting in text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `number.number1.mode`, `number.number1.closed`, `number.number1.forward_to`,
    /// `device.A.caller_id`, `schedule.office.weekday.09:30`, `schedule.office.2026-08-12`.
    pub key: Arc<str>,
    /// `forward`, `true`, digits, a name, `announce:lunch`, `closed`; `None`: deleted.
    pub value: Option<Arc<str>>,
    /// Who set it.
    pub by: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// An entry that is none of this language: the store is at fault, or a later version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no live setting: {key} = {value}")]
pub struct EntryError {
    /// Its key.
    pub key: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
}

/// A setting that is in force, and what the files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// As in [`Entry`].
    pub key: String,
    /// What is in force.
    pub value: String,
    /// What the files say, when somebody has changed it: with who and when.
    pub changed: Option<(String, Arc<str>, Timestamp)>,
}

impl Live {
    /// Every setting, in the order of the keys.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (name, number) in &self.numbers {
            let key = |what| format!("number.{name}.{what}");
            let word = |mode: &Mode| mode.as_str().to_owned();
            add(&mut entries, key("mode"), number.mode.as_ref(), word);
            add(&mut entries, key("closed"), number.closed.as_ref(), bool::to_string);
            add(&mut entries, key("forward_to"), number.forward_to.as_ref(), |to| to.to_string());
        }
        for (name, device) in &self.devices {
            let key = format!("device.{name}.caller_id");
            add(&mut entries, key, device.caller_id.as_ref(), |number| number.to_string());
        }
        for (name, schedule) in &self.schedules {
            for ((day, cell), setting) in &schedule.cells {
                let time = cell_time(*cell).unwrap_or_default();
                let key = format!("schedule.{name}.{}.{time}", day.as_str());
                add(&mut entries, key, Some(setting), cell_value);
            }
            for (date, setting) in &schedule.days {
                let word = |closed: &bool| day_word(*closed).to_owned();
                add(&mut entries, format!("schedule.{name}.{date}"), Some(setting), word);
            }
        }
        entries
    }

    /// The settings out of the store. What is no setting is answered beside them; the rest holds.
    #[must_use]
    pub fn restore(entries: impl IntoIterator<Item = Entry>) -> (Self, Vec<EntryError>) {
        let mut live = Self::default();
        let mut wrong = Vec::new();
        for Entry { key, value, by, at } in entries {
            let Some(value) = value else { continue };
            if live.take(&key, &Setting { value: Arc::clone(&value), by, at }).is_none() {
                wrong.push(EntryError { key, value });
            }
        }
        (live, wrong)
    }

    fn take(&mut self, key: &str, setting: &Setting<Arc<str>>) -> Option<()> {
        let (kind, rest) = key.split_once('.')?;
        let text = &*setting.value;
        match kind {
            "number" => {
                let (name, what) = rest.rsplit_once('.')?;
                let number = self.numbers.entry(Arc::from(name)).or_default();
                match what {
                    "mode" => number.mode = Some(with(setting, Mode::parse(text)?)),
                    "closed" => number.closed = Some(with(setting, text.parse().ok()?)),
                    "forward_to" => number.forward_to = Some(setting.clone()),
                    _ => return None,
                }
            }
            "device" => {
                let name = rest.strip_suffix(".caller_id")?;
                self.devices.entry(Arc::from(name)).or_default().caller_id = Some(setting.clone());
            }
            "schedule" => self.take_schedule(rest, setting)?,
            _ => return None,
        }
        Some(())
    }

    fn take_schedule(&mut self, rest: &str, setting: &Setting<Arc<str>>) -> Option<()> {
        let (front, last) = rest.rsplit_once('.')?;
        if let Some(cell) = cell_of(last) {
            let (name, day) = front.rsplit_once('.')?;
            let day = DayClass::parse(day)?;
            let value = match &*setting.value {
                "ring" => CellValue::Ring,
                "forward" => CellValue::Forward,
                other => CellValue::Announce(Arc::from(other.strip_prefix("announce:")?)),
            };
            let schedule = self.schedules.entry(Arc::from(name)).or_default();
            schedule.cells.insert((day, cell), with(setting, value));
            return Some(());
        }
        let date = last.parse().ok()?;
        let closed = match &*setting.value {
            "closed" => true,
            "open" => false,
            _ => return None,
        };
        let schedule = self.schedules.entry(Arc::from(front)).or_default();
        schedule.days.insert(date, with(setting, closed));
        Some(())
    }

    /// What is in force in an office: every mode, night key, target and caller number, and each
    /// half hour and day that was changed (`show --effective`).
    pub(crate) fn effective(&self, plan: &Plan) -> Vec<Effective> {
        let mut shown = Vec::new();
        let mut show =
            |key: String, default: String, live: Option<(String, &Arc<str>, Timestamp)>| {
                let (value, changed) = match live {
                    Some((value, by, at)) => (value, Some((default, Arc::clone(by), at))),
                    None => (default, None),
                };
                shown.push(Effective { key, value, changed });
            };
        for number in plan.numbers.iter() {
            let live = self.number(&number.name);
            let key = |what| format!("number.{}.{what}", number.name);
            let mode = live.and_then(|live| live.mode.as_ref());
            let mode = mode.map(|set| (set.value.as_str().to_owned(), &set.by, set.at));
            show(key("mode"), number.mode.as_str().to_owned(), mode);
            let closed = live.and_then(|live| live.closed.as_ref());
            let closed = closed.map(|set| (set.value.to_string(), &set.by, set.at));
            show(key("closed"), String::from("false"), closed);
            let to = number.forward_to.as_ref().map_or("-", |to| &to.value);
            let live_to = live.and_then(|live| live.forward_to.as_ref());
            let live_to = live_to.map(|set| (set.value.to_string(), &set.by, set.at));
            show(key("forward_to"), to.to_owned(), live_to);
        }
        for device in plan.devices.iter() {
            let default = device.caller_id.as_ref().map(|name| &name.value);
            let default = default.or_else(|| plan.main_number().map(|number| &number.name));
            let live = self.device(&device.name).and_then(|live| live.caller_id.as_ref());
            let live = live.map(|set| (set.value.to_string(), &set.by, set.at));
            let default = default.map_or("-", |name| name).to_owned();
            show(format!("device.{}.caller_id", device.name), default, live);
        }
        for entry in self.entries() {
            if let (true, Some(value)) = (entry.key.starts_with("schedule."), &entry.value) {
                let default = String::from("as in the files");
                show(
                    entry.key.to_string(),
                    default,
                    Some((value.to_string(), &entry.by, entry.at)),
                );
            }
        }
        shown
    }
}

fn add<T>(
    entries: &mut Vec<Entry>,
    key: String,
    setting: Option<&Setting<T>>,
    text: impl Fn(&T) -> String,
) {
    if let Some(Setting { value, by, at }) = setting {
        let value = Some(Arc::from(text(value)));
        entries.push(Entry { key: Arc::from(key), value, by: Arc::clone(by), at: *at });
    }
}

fn with<T>(setting: &Setting<Arc<str>>, value: T) -> Setting<T> {
    Setting { value, by: Arc::clone(&setting.by), at: setting.at }
}

fn cell_value(value: &CellValue) -> String {
    match value {
        CellValue::Ring => String::from("ring"),
        CellValue::Forward => String::from("forward"),
        CellValue::Announce(name) => {
            let mut text = String::from("announce:");
            let _ = write!(text, "{name}");
            text
        }
    }
}

const fn day_word(closed: bool) -> &'static str {
    if closed { "closed" } else { "open" }
}
