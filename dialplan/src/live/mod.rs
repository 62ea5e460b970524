//! Live settings: what the customer flips by key, code or portal (mode, night key, forward target,
//! schedule cells, holidays, caller number of a device, do not disturb), laid over what the files
//! say, each with who and when (S-11, S-21 to S-23, S-56, S-60, S-61). The store keeps them as
//! [`Entry`]s.

mod change;
mod entry;
mod key;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

pub(crate) use change::Asker;
pub use change::{Change, ChangeError};
pub(crate) use entry::places;
pub use entry::{Effective, Entry, EntryError};
pub use settings::{Aside, Settings};

use crate::decision::DiversionCause;
use crate::model::number::Mode;
use crate::model::schedule::DayClass;
use crate::read::Cell;

/// A value with who set it, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// What it is now.
    pub value: T,
    /// Who: a device's user, an account of the portal, `ctl`.
    pub by: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// The live settings of one office.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub(crate) numbers: BTreeMap<Arc<str>, LiveNumber>,
    pub(crate) schedules: BTreeMap<Arc<str>, LiveSchedule>,
    pub(crate) devices: BTreeMap<Arc<str>, LiveDevice>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveNumber {
    pub(crate) mode: Option<Setting<Mode>>,
    pub(crate) closed: Option<Setting<bool>>,
    pub(crate) forward_to: Option<Setting<Arc<str>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveSchedule {
    pub(crate) cells: BTreeMap<(DayClass, Cell), Setting<CellValue>>,
    /// `true`: a closing day; `false`: open although the files call it a holiday.
    pub(crate) days: BTreeMap<Date, Setting<bool>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveDevice {
    pub(crate) caller_id: Option<Setting<Arc<str>>>,
    pub(crate) dnd: Option<Setting<bool>>,
    /// Whether its queues call it.
    pub(crate) agent: Option<Setting<bool>>,
    /// Where its calls go on, by [`DiversionCause`]; [`OFF`] where the files say otherwise.
    forward: [Option<Setting<Arc<str>>>; 4],
}

/// The target of a device's forwarding that is switched off.
pub(crate) const OFF: &str = "off";

impl LiveDevice {
    /// Where its calls go on for this reason.
    pub(crate) fn forward(&self, cause: DiversionCause) -> Option<&Setting<Arc<str>>> {
        self.forward.get(cause as usize)?.as_ref()
    }

    pub(crate) fn set_forward(&mut self, cause: DiversionCause, to: Option<Setting<Arc<str>>>) {
        if let Some(place) = self.forward.get_mut(cause as usize) {
            *place = to;
        }
    }
}

/// What a customer may put into a half hour (S-21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellValue {
    /// Ring.
    Ring,
    /// Play an announcement, by its name in the plan.
    Announce(Arc<str>),
    /// Forward.
    Forward,
}

impl Live {
    /// No settings: everything is as the files say.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let of_number = |live: &LiveNumber| {
            [live.mode.is_some(), live.closed.is_some(), live.forward_to.is_some()]
        };
        let of_device = |live: &LiveDevice| {
            [live.caller_id.is_some(), live.dnd.is_some(), live.agent.is_some()]
        };
        let numbers = self.numbers.values().flat_map(of_number).filter(|set| *set).count();
        let devices = self.devices.values().flat_map(of_device).filter(|set| *set).count();
        let schedules = self.schedules.values();
        let schedules = schedules.map(|live| live.cells.len().saturating_add(live.days.len()));
        schedules.fold(numbers.saturating_add(devices), usize::saturating_add)
    }

    /// Whether the night key of a number is on.
    #[must_use]
    pub fn is_closed(&self, number: &str) -> bool {
        let closed = self.number(number).and_then(|live| live.closed.as_ref());
        closed.is_some_and(|set| set.value)
    }

    pub(crate) fn number(&self, name: &str) -> Option<&LiveNumber> {
        self.numbers.get(name)
    }

    pub(crate) fn schedule(&self, name: &str) -> Option<&LiveSchedule> {
        self.schedules.get(name)
    }

    /// Whether a device does not want to be disturbed.
    pub(crate) fn dnd(&self, device: &str) -> Option<&Setting<bool>> {
        self.device(device)?.dnd.as_ref().filter(|set| set.value)
    }

    /// Whether a device has been set not to be disturbed.
    #[must_use]
    pub fn is_undisturbed(&self, device: &str) -> bool {
        self.dnd(device).is_some()
    }

    /// Whether an agent has gone: its queues do not call it.
    #[must_use]
    pub fn is_off_duty(&self, device: &str) -> bool {
        let agent = self.device(device).and_then(|live| live.agent.as_ref());
        agent.is_some_and(|set| !set.value)
    }

    pub(crate) fn device(&self, name: &str) -> Option<&LiveDevice> {
        self.devices.get(name)
    }
}

impl LiveSchedule {
    pub(crate) fn cell(&self, class: DayClass, cell: Cell) -> Option<&Setting<CellValue>> {
        self.cells.get(&(class, cell))
    }

    pub(crate) fn day(&self, date: Date) -> Option<bool> {
        self.days.get(&date).map(|setting| setting.value)
    }
}
