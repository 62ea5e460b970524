//! Changes of live settings, each checked against the plan before it is taken.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{CellValue, Entry, Live, Setting};
use crate::capability::{Capabilities, Feature};
use crate::decision::DiversionCause;
use crate::limits;
use crate::model::Plan;
use crate::model::number::{Mode, Number, Role};
use crate::model::objects::Object;
use crate::model::rules::Used;
use crate::model::schedule::DayClass;
use crate::model::tariff::{ChargedLeg, Tariff};
use crate::read::{Cell, cell_time};

/// What a customer flips. A value that is `None` gives the setting back to the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What a number does.
    Mode {
        /// The number's name in the plan.
        number: Arc<str>,
        /// The one value that S-60 and S-61 follow from.
        mode: Option<Mode>,
    },
    /// Off-hours ON or OFF (S-23, S-60, S-61).
    OffHours {
        /// The number's name in the plan.
        number: Arc<str>,
        /// ON.
        on: bool,
    },
    /// Forwarding ON or OFF (S-56, S-60, S-61).
    Forwarding {
        /// The number's name in the plan.
        number: Arc<str>,
        /// ON.
        on: bool,
    },
    /// Where to.
    ForwardTo {
        /// The number's name in the plan.
        number: Arc<str>,
        /// The target's digits.
        to: Option<Arc<str>>,
    },
    /// The night key: closed whatever mode and cell say.
    Closed {
        /// The number's name in the plan.
        number: Arc<str>,
        /// Closed.
        closed: Option<bool>,
    },
    /// Half hours of a schedule, for every day of a class.
    Cells {
        /// The schedule's name in the plan.
        schedule: Arc<str>,
        /// Which days.
        day: DayClass,
        /// The first half hour, 0 to 47.
        from: u8,
        /// The end, 1 to 48, not included.
        to: u8,
        /// What they say.
        value: Option<CellValue>,
    },
    /// A closing day, or a holiday that the office is open on.
    Day {
        /// The schedule's name in the plan.
        schedule: Arc<str>,
        /// The day.
        date: Date,
        /// Closed or open.
        closed: Option<bool>,
    },
    /// The caller number of a device (S-11).
    CallerId {
        /// The device's name in the plan.
        device: Arc<str>,
        /// The number's name in the plan.
        number: Option<Arc<str>>,
    },
    /// Where the calls of a device go on.
    DeviceForward {
        /// The device's name in the plan.
        device: Arc<str>,
        /// When.
        cause: DiversionCause,
        /// An extension, a number, or `off`.
        to: Option<Arc<str>>,
    },
    /// Do not disturb: the device is not rung.
    Dnd {
        /// The device's name in the plan.
        device: Arc<str>,
        /// ON.
        on: Option<bool>,
    },
    /// Whether an agent's device is called by its queues.
    Agent {
        /// The device's name in the plan.
        device: Arc<str>,
        /// It is.
        on: Option<bool>,
    },
}

/// Why a change is not taken; the asker is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// No such object in the plan.
    #[error("there is no {kind} \"{name}\"")]
    Unknown {
        /// `number`, `schedule`, `device`, `announcement`.
        kind: &'static str,
        /// As it was given.
        name: Arc<str>,
    },
    /// S-27, S-65.
    #[error("{what} cannot be set before the office is verified")]
    NotVerified {
        /// `off_hours` or `forwarding`.
        what: &'static str,
    },
    /// The option is not subscribed (S-111).
    #[error("number.{number} has no option \"{option}\"")]
    NotSubscribed {
        /// The number's name.
        number: Arc<str>,
        /// The option's name.
        option: &'static str,
    },
    /// Off-hours without a schedule, forwarding without a target.
    #[error("number.{number} has no {what}")]
    Missing {
        /// The number's name.
        number: Arc<str>,
        /// `schedule` or `forward_to`.
        what: &'static str,
    },
    /// A target that no trunk would be asked for.
    #[error("{to} cannot be forwarded to: {why}")]
    Target {
        /// As it was given.
        to: Arc<str>,
        /// `no number`, `of no class`, `blocked:CLASS`, `no-rate:CLASS`.
        why: String,
    },
    /// Cells outside of a day.
    #[error("half hours {from} to {to} lie in no day")]
    Cells {
        /// As it was given.
        from: u8,
        /// As it was given.
        to: u8,
    },
    /// This version of the server cannot execute it.
    #[error("{what} is not supported by this version")]
    NotSupported {
        /// `forwarding`.
        what: &'static str,
    },
    /// Too many of them.
    #[error("the office has {most} settings, no more are kept")]
    TooMany {
        /// The bound.
        most: u64,
    },
    /// No such setting.
    #[error("there is no setting \"{key}\"; settings are {}", KEYS)]
    Key {
        /// As it was given.
        key: Arc<str>,
    },
    /// Not a value of this setting.
    #[error("{key} cannot be \"{value}\", expected {expected}")]
    Value {
        /// The setting.
        key: Arc<str>,
        /// As it was given.
        value: Arc<str>,
        /// What may stand there.
        expected: &'static str,
    },
    /// Only agents come and go.
    #[error("device.{device} is an agent of no queue")]
    NoAgent {
        /// The device's name.
        device: Arc<str>,
    },
    /// S-98.
    #[error("toll-free number.{number} cannot be shown")]
    NotShown {
        /// The number's name.
        number: Arc<str>,
    },
}

/// The settings, for whoever names none of them.
const KEYS: &str = "NUMBER.mode, NUMBER.off_hours, NUMBER.forwarding, NUMBER.forward_to, \
                    NUMBER.closed, DEVICE.caller_id, DEVICE.dnd, DEVICE.agent, \
                    DEVICE.forward_always, \
                    DEVICE.forward_busy, DEVICE.forward_no_answer, DEVICE.forward_unreachable, \
                    SCHEDULE.DAY.HH:MM-HH:MM, \
                    SCHEDULE.YYYY-MM-DD";

/// Who asks for a change, and when; and what the server can execute.
pub(crate) struct Asker<'a> {
    pub(crate) by: &'a Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) capabilities: Capabilities,
}

impl Asker<'_> {
    fn set<T>(&self, value: T) -> Setting<T> {
        Setting { value, by: Arc::clone(self.by), at: self.at }
    }
}

impl Live {
    /// Takes a change; what the store has to write (a missing value: to delete).
    pub(crate) fn change(
        &mut self,
        plan: &Plan,
        change: &Change,
        asker: &Asker<'_>,
    ) -> Result<Vec<Entry>, ChangeError> {
        let before = self.of_change(change);
        let most = limits::SETTINGS.default;
        let more = change.keys().len().saturating_sub(before.len());
        if self.len().saturating_add(more) as u64 > most && change.given_back().is_empty() {
            return Err(ChangeError::TooMany { most });
        }
        self.take_change(plan, change, asker)?;
        Ok(difference(&before, &self.of_change(change), asker))
    }

    pub(crate) fn take_change(
        &mut self,
        plan: &Plan,
        change: &Change,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        match change {
            Change::Mode { number, mode } => return self.mode(plan, number, *mode, asker),
            Change::OffHours { number, on } => {
                return self.walk(plan, number, Mode::Schedule, *on, asker);
            }
            Change::Forwarding { number, on } => {
                return self.walk(plan, number, Mode::Forward, *on, asker);
            }
            Change::ForwardTo { number, to: Some(to) } => {
                return self.forward_to(plan, number, to, asker);
            }
            Change::ForwardTo { number, to: None } => {
                self.of_number(plan, number)?.forward_to = None;
            }
            Change::Closed { number, closed } => {
                self.of_number(plan, number)?.closed = closed.map(|closed| asker.set(closed));
            }
            Change::Cells { schedule, day, from, to, value } => {
                return self.cells(plan, schedule, (*day, *from, *to), value.as_ref(), asker);
            }
            Change::Day { schedule, date, closed } => {
                let name = find_schedule(plan, schedule)?;
                let live = self.schedules.entry(name).or_default();
                match closed {
                    Some(closed) => {
                        live.days.insert(*date, asker.set(*closed));
                    }
                    None => {
                        live.days.remove(date);
                    }
                }
            }
            Change::CallerId { device, number } => {
                return self.caller_id(plan, device, number.as_ref(), asker);
            }
            Change::DeviceForward { device, cause, to } => {
                return self.device_forward(plan, device, (*cause, to.as_ref()), asker);
            }
            Change::Dnd { device, on } => {
                self.of_device(plan, device)?.dnd = on.map(|on| asker.set(on));
            }
            Change::Agent { device, on } => {
                if on.is_some() && !plan.is_agent(device) {
                    return Err(ChangeError::NoAgent { device: Arc::clone(device) });
                }
                self.of_device(plan, device)?.agent = on.map(|on| asker.set(on));
            }
        }
        Ok(())
    }

    fn of_number(
        &mut self,
        plan: &Plan,
        name: &Arc<str>,
    ) -> Result<&mut super::LiveNumber, ChangeError> {
        let number = find_number(plan, name)?;
        Ok(self.numbers.entry(Arc::clone(&number.name)).or_default())
    }

    fn of_device(
        &mut self,
        plan: &Plan,
        name: &Arc<str>,
    ) -> Result<&mut super::LiveDevice, ChangeError> {
        let unknown = || ChangeError::Unknown { kind: "device", name: Arc::clone(name) };
        let device = plan.devices.find(name).ok_or_else(unknown)?;
        Ok(self.devices.entry(Arc::clone(&device.name)).or_default())
    }

    /// A mode by its name: `ring` is OFF of whichever is ON.
    fn mode(
        &mut self,
        plan: &Plan,
        name: &Arc<str>,
        mode: Option<Mode>,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        match mode {
            Some(mode @ (Mode::Schedule | Mode::Forward)) => {
                self.walk(plan, name, mode, true, asker)
            }
            Some(Mode::Ring) => {
                let number = find_number(plan, name)?;
                // Whoever may have one of them on may have it off.
                let off_hours = allowed(plan, number, Used::OffHours, asker);
                off_hours.or_else(|_| allowed(plan, number, Used::Forwarding, asker))?;
                self.of_number(plan, name)?.mode = Some(asker.set(Mode::Ring));
                Ok(())
            }
            None => {
                self.of_number(plan, name)?.mode = None;
                Ok(())
            }
        }
    }

    /// The one value `mode`: ON of one writes it, OFF of the active one writes `ring`, OFF of the
    /// other changes nothing. That is S-60 and S-61.
    fn walk(
        &mut self,
        plan: &Plan,
        name: &Arc<str>,
        mode: Mode,
        on: bool,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        let number = find_number(plan, name)?;
        let used = if mode == Mode::Forward { Used::Forwarding } else { Used::OffHours };
        allowed(plan, number, used, asker)?;
        let live = self.numbers.entry(Arc::clone(&number.name)).or_default();
        let now = live.mode.as_ref().map_or(number.mode, |setting| setting.value);
        if on {
            let missing = |what| ChangeError::Missing { number: Arc::clone(name), what };
            let target = live.forward_to.is_some() || number.forward_to.is_some();
            match mode {
                Mode::Schedule if number.schedule.is_none() => return Err(missing("schedule")),
                Mode::Forward if !target => return Err(missing("forward_to")),
                Mode::Ring | Mode::Schedule | Mode::Forward => {}
            }
            live.mode = Some(asker.set(mode));
        } else if now == mode {
            live.mode = Some(asker.set(Mode::Ring));
        }
        Ok(())
    }

    fn forward_to(
        &mut self,
        plan: &Plan,
        name: &Arc<str>,
        to: &Arc<str>,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        let number = find_number(plan, name)?;
        allowed(plan, number, Used::Forwarding, asker)?;
        target(plan, to, asker)?;
        self.of_number(plan, name)?.forward_to = Some(asker.set(Arc::clone(to)));
        Ok(())
    }

    /// Where the calls of a device go on, inside or outside.
    fn device_forward(
        &mut self,
        plan: &Plan,
        device: &Arc<str>,
        (cause, to): (DiversionCause, Option<&Arc<str>>),
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        if let Some(to) = to.filter(|to| ***to != *super::OFF) {
            forwards(plan, asker)?;
            if plan.inside.find(to).is_none() {
                target(plan, to, asker)?;
            }
        }
        let to = to.map(|to| asker.set(Arc::clone(to)));
        self.of_device(plan, device)?.set_forward(cause, to);
        Ok(())
    }

    fn cells(
        &mut self,
        plan: &Plan,
        schedule: &Arc<str>,
        (day, from, to): (DayClass, Cell, Cell),
        value: Option<&CellValue>,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        let name = find_schedule(plan, schedule)?;
        if from >= to || cell_time(to).is_none() {
            return Err(ChangeError::Cells { from, to });
        }
        let users = || {
            let named = |n: &&Object<Number>| n.schedule.as_ref().is_some_and(|s| s.value == name);
            plan.numbers.iter().filter(named)
        };
        if let Some(CellValue::Announce(announcement)) = value
            && plan.announcements.find(announcement).is_none()
        {
            let name = Arc::clone(announcement);
            return Err(ChangeError::Unknown { kind: "announcement", name });
        }
        for number in users() {
            allowed(plan, number, Used::OffHours, asker)?;
            if value == Some(&CellValue::Forward) {
                allowed(plan, number, Used::Forwarding, asker)?;
            }
        }
        let live = self.schedules.entry(name).or_default();
        for cell in from..to {
            match value {
                Some(value) => {
                    live.cells.insert((day, cell), asker.set(value.clone()));
                }
                None => {
                    live.cells.remove(&(day, cell));
                }
            }
        }
        Ok(())
    }

    fn caller_id(
        &mut self,
        plan: &Plan,
        device: &Arc<str>,
        number: Option<&Arc<str>>,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        let shown = match number {
            Some(name) => Some(find_number(plan, name)?),
            None => None,
        };
        if let Some(number) = shown.filter(|number| !number.can_be_shown()) {
            return Err(ChangeError::NotShown { number: Arc::clone(&number.name) });
        }
        self.of_device(plan, device)?.caller_id =
            shown.map(|number| asker.set(Arc::clone(&number.name)));
        Ok(())
    }
}

impl Number {
    /// S-98: a toll-free number is shown only when its notification was bought.
    pub(crate) fn can_be_shown(&self) -> bool {
        self.role != Role::Tollfree || self.subscribes("number_notification")
    }
}

/// S-27, S-65, S-111.
fn allowed(
    plan: &Plan,
    number: &Object<Number>,
    used: Used,
    asker: &Asker<'_>,
) -> Result<(), ChangeError> {
    if used == Used::Forwarding && !asker.capabilities.has(Feature::Forwarding) {
        return Err(ChangeError::NotSupported { what: used.word() });
    }
    if plan.rules.verified.contains(&used) && !plan.tenant.verified {
        return Err(ChangeError::NotVerified { what: used.word() });
    }
    if !number.subscribes(used.word()) {
        let number = Arc::clone(&number.name);
        return Err(ChangeError::NotSubscribed { number, option: used.word() });
    }
    Ok(())
}

/// S-65 of a device, which has no options of its own.
fn forwards(plan: &Plan, asker: &Asker<'_>) -> Result<(), ChangeError> {
    let what = Used::Forwarding.word();
    if !asker.capabilities.has(Feature::Forwarding) {
        return Err(ChangeError::NotSupported { what });
    }
    if plan.rules.verified.contains(&Used::Forwarding) && !plan.tenant.verified {
        return Err(ChangeError::NotVerified { what });
    }
    Ok(())
}

/// A target that a trunk would be asked for, or that is a number of the office.
fn target(plan: &Plan, to: &Arc<str>, asker: &Asker<'_>) -> Result<(), ChangeError> {
    let wrong = |why: &str| ChangeError::Target { to: Arc::clone(to), why: why.to_owned() };
    let digits = to.strip_prefix('+').unwrap_or(to);
    if digits.len() < 3 || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("no number"));
    }
    let country = &plan.tenant.country;
    let called = country.canonical(to);
    let own = plan.numbers.iter().any(|own| *plan.did(own) == *called);
    if !own {
        let date = plan.tenant.timezone.to_datetime(asker.at).date();
        let Some(entry) = plan.classes.of(&called, date) else {
            return Err(wrong("of no class"));
        };
        if plan.outbound.block.iter().any(|class| class.value == entry.class) {
            return Err(wrong(&format!("blocked:{}", entry.class)));
        }
        let priced = |tariff: &Arc<Tariff>| {
            tariff.rate_of(ChargedLeg::Forward, None, &entry.class, date).is_some()
        };
        if !plan.tariff.as_ref().is_none_or(priced) {
            return Err(wrong(&format!("no-rate:{}", entry.class)));
        }
    }
    Ok(())
}

fn find_number<'p>(plan: &'p Plan, name: &Arc<str>) -> Result<&'p Object<Number>, ChangeError> {
    let unknown = || ChangeError::Unknown { kind: "number", name: Arc::clone(name) };
    plan.numbers.find(name).ok_or_else(unknown)
}

fn find_schedule(plan: &Plan, name: &Arc<str>) -> Result<Arc<str>, ChangeError> {
    let unknown = || ChangeError::Unknown { kind: "schedule", name: Arc::clone(name) };
    plan.schedules.find(name).map(|schedule| Arc::clone(&schedule.name)).ok_or_else(unknown)
}

/// What was written anew, and what is gone.
fn difference(before: &[Entry], after: &[Entry], asker: &Asker<'_>) -> Vec<Entry> {
    let mut changed: Vec<Entry> =
        after.iter().filter(|entry| !before.contains(entry)).cloned().collect();
    let kept = |old: &&Entry| !after.iter().any(|entry| entry.key == old.key);
    changed.extend(before.iter().filter(kept).map(|old| Entry {
        key: Arc::clone(&old.key),
        value: None,
        by: Arc::clone(asker.by),
        at: asker.at,
    }));
    changed
}
