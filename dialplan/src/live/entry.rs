//! Live settings as the store keeps them: a key, a value, who and when; and what is in force.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::key::{forward_cause, forward_key, on_off, switch};
use super::{CellValue, Change, Live, LiveDevice, LiveNumber, Setting};
use crate::decision::DiversionCause;
use crate::model::Plan;
use crate::model::device::Device;
use crate::model::number::Mode;
use crate::model::objects::Object;
use crate::model::schedule::DayClass;
use crate::read::{Cell, cell_of, cell_time};
use crate::source::Place;

/// One live setting in text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `number.number1.mode`, `number.number1.closed`, `number.number1.forward_to`,
    /// `device.A.caller_id`, `device.A.dnd`, `device.A.agent`, `device.A.forward_busy`,
    /// `schedule.office.weekday.09:30`, `schedule.office.2026-08-12`.
    pub key: Arc<str>,
    /// `forward`, `on`, digits, a name, `announce:lunch`, `closed`; `None`: deleted.
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
    /// Where the files say so, `office.toml:41`: the key, else the object that lacks it.
    pub place: Option<Arc<str>>,
    /// What the files say, when somebody has changed it: with who and when.
    pub changed: Option<(String, Arc<str>, Timestamp)>,
}

impl Live {
    /// Every setting, in the order of the keys.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (name, number) in &self.numbers {
            number.entries(name, &mut entries);
        }
        for (name, device) in &self.devices {
            device.entries(name, &mut entries);
        }
        for (name, schedule) in &self.schedules {
            for ((day, cell), setting) in &schedule.cells {
                let key = cell_key(name, *day, *cell);
                add(&mut entries, key, Some(setting), CellValue::to_string);
            }
            for (date, setting) in &schedule.days {
                let word = |closed: &bool| day_word(*closed).to_owned();
                add(&mut entries, format!("schedule.{name}.{date}"), Some(setting), word);
            }
        }
        entries
    }

    /// Those that a change is about.
    pub(super) fn of_change(&self, change: &Change) -> Vec<Entry> {
        let mut entries = Vec::new();
        match change {
            Change::Mode { number, .. }
            | Change::OffHours { number, .. }
            | Change::Forwarding { number, .. }
            | Change::ForwardTo { number, .. }
            | Change::Closed { number, .. } => {
                if let Some(live) = self.number(number) {
                    live.entries(number, &mut entries);
                }
            }
            Change::CallerId { device, .. }
            | Change::DeviceForward { device, .. }
            | Change::Dnd { device, .. }
            | Change::Agent { device, .. } => {
                if let Some(live) = self.device(device) {
                    live.entries(device, &mut entries);
                }
            }
            Change::Cells { schedule, day, from, to, .. } => {
                let live = self.schedule(schedule);
                for cell in *from..*to {
                    let setting = live.and_then(|live| live.cell(*day, cell));
                    add(
                        &mut entries,
                        cell_key(schedule, *day, cell),
                        setting,
                        CellValue::to_string,
                    );
                }
            }
            Change::Day { schedule, date, .. } => {
                let setting = self.schedule(schedule).and_then(|live| live.days.get(date));
                let word = |closed: &bool| day_word(*closed).to_owned();
                add(&mut entries, format!("schedule.{schedule}.{date}"), setting, word);
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
                    "closed" => number.closed = Some(with(setting, on_off(text)?)),
                    "forward_to" => number.forward_to = Some(setting.clone()),
                    _ => return None,
                }
            }
            "device" => {
                let (name, what) = rest.rsplit_once('.')?;
                let device = self.devices.entry(Arc::from(name)).or_default();
                match what {
                    "caller_id" => device.caller_id = Some(setting.clone()),
                    "dnd" => device.dnd = Some(with(setting, on_off(text)?)),
                    "agent" => device.agent = Some(with(setting, on_off(text)?)),
                    other => device.set_forward(forward_cause(other)?, Some(setting.clone())),
                }
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

    /// What is in force in an office: every mode, night key, target and caller number, who does
    /// not want to be disturbed, and each half hour and day that was changed (`show --effective`).
    pub(crate) fn effective(&self, plan: &Plan) -> Vec<Effective> {
        let mut shown = Shown { places: plan.places.iter(), rows: Vec::new() };
        for number in plan.numbers.iter() {
            let live = self.number(&number.name);
            let key = |what| format!("number.{}.{what}", number.name);
            let mode = live.and_then(|live| live.mode.as_ref());
            let word = |mode: &Mode| mode.as_str().to_owned();
            shown.add(key("mode"), number.mode.as_str().to_owned(), mode, word);
            let to = number.forward_to.as_ref().map_or("-", |to| &to.value);
            let live_to = live.and_then(|live| live.forward_to.as_ref());
            shown.add(key("forward_to"), to.to_owned(), live_to, |to| to.to_string());
            let closed = live.and_then(|live| live.closed.as_ref());
            shown.without_place(key("closed"), switch(&false), closed, switch);
        }
        for device in plan.devices.iter() {
            let default = device.caller_id.as_ref().map(|name| &name.value);
            let default = default.or_else(|| plan.main_number().map(|number| &number.name));
            let default = default.map_or("-", |name| name).to_owned();
            let live = self.device(&device.name);
            let caller_id = live.and_then(|live| live.caller_id.as_ref());
            let key = |what: &str| format!("device.{}.{what}", device.name);
            shown.add(key("caller_id"), default, caller_id, |name| name.to_string());
            for cause in DiversionCause::ALL {
                let to = device.forward.as_ref().and_then(|forward| forward.target(cause));
                let to = to.map_or("-", |to| &to.value).to_owned();
                let live = live.and_then(|live| live.forward(cause));
                shown.without_place(key(&forward_key(cause)), to, live, |to| to.to_string());
            }
            let dnd = live.and_then(|live| live.dnd.as_ref());
            shown.without_place(key("dnd"), switch(&false), dnd, switch);
            if plan.is_agent(&device.name) {
                let agent = live.and_then(|live| live.agent.as_ref());
                shown.without_place(key("agent"), switch(&true), agent, switch);
            }
        }
        for Entry { key, value, by, at } in self.entries() {
            if let (true, Some(value)) = (key.starts_with("schedule."), value) {
                let default = String::from("as in the files");
                let setting = Setting { value, by, at };
                shown.without_place(key.to_string(), default, Some(&setting), |v| v.to_string());
            }
        }
        shown.rows
    }
}

/// Where the files say what [`Live::effective`] shows, in its order.
pub(crate) fn places(plan: &Plan) -> impl Iterator<Item = Place> {
    let numbers = plan.numbers.iter().flat_map(|number| {
        let to = number.forward_to.as_ref().map_or(number.place, |to| to.place);
        [number.mode_place, to]
    });
    let device =
        |device: &Object<Device>| device.caller_id.as_ref().map_or(device.place, |name| name.place);
    numbers.chain(plan.devices.iter().map(device))
}

/// What is in force, line by line, with the places in the same order.
struct Shown<P> {
    places: P,
    rows: Vec<Effective>,
}

impl<P: Iterator<Item = Arc<str>>> Shown<P> {
    /// A setting that the files know.
    fn add<T>(
        &mut self,
        key: String,
        default: String,
        live: Option<&Setting<T>>,
        text: impl Fn(&T) -> String,
    ) {
        let place = self.places.next();
        self.push(key, default, place, live, text);
    }

    /// A setting that no file has a key for.
    fn without_place<T>(
        &mut self,
        key: String,
        default: String,
        live: Option<&Setting<T>>,
        text: impl Fn(&T) -> String,
    ) {
        self.push(key, default, None, live, text);
    }

    fn push<T>(
        &mut self,
        key: String,
        default: String,
        place: Option<Arc<str>>,
        live: Option<&Setting<T>>,
        text: impl Fn(&T) -> String,
    ) {
        let (value, changed) = match live {
            Some(set) => (text(&set.value), Some((default, Arc::clone(&set.by), set.at))),
            None => (default, None),
        };
        self.rows.push(Effective { key, value, place, changed });
    }
}

impl LiveNumber {
    fn entries(&self, name: &str, entries: &mut Vec<Entry>) {
        let key = |what| format!("number.{name}.{what}");
        let word = |mode: &Mode| mode.as_str().to_owned();
        add(entries, key("mode"), self.mode.as_ref(), word);
        add(entries, key("closed"), self.closed.as_ref(), switch);
        add(entries, key("forward_to"), self.forward_to.as_ref(), |to| to.to_string());
    }
}

impl LiveDevice {
    fn entries(&self, name: &str, entries: &mut Vec<Entry>) {
        let key = |what: &str| format!("device.{name}.{what}");
        add(entries, key("caller_id"), self.caller_id.as_ref(), |number| number.to_string());
        add(entries, key("dnd"), self.dnd.as_ref(), switch);
        add(entries, key("agent"), self.agent.as_ref(), switch);
        for cause in DiversionCause::ALL {
            add(entries, key(&forward_key(cause)), self.forward(cause), |to| to.to_string());
        }
    }
}

/// `schedule.office.weekday.09:30`
pub(super) fn cell_key(schedule: &str, day: DayClass, cell: Cell) -> String {
    format!("schedule.{schedule}.{}.{}", day.as_str(), cell_time(cell).unwrap_or_default())
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

impl fmt::Display for CellValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::Forward => f.write_str("forward"),
            Self::Announce(name) => write!(f, "announce:{name}"),
        }
    }
}

const fn day_word(closed: bool) -> &'static str {
    if closed { "closed" } else { "open" }
}
