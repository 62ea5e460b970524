//! Changes of live settings, each checked against the plan before it is taken.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{CellValue, Entry, Live, Setting};
use crate::model::Plan;
use crate::model::number::{Mode, Number, Role};
use crate::model::objects::Object;
use crate::model::rules::Used;
use crate::model::schedule::DayClass;
use crate::read::{Cell, cell_time};

/// What a customer flips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
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
        to: Arc<str>,
    },
    /// The night key: closed whatever mode and cell say.
    Closed {
        /// The number's name in the plan.
        number: Arc<str>,
        /// Closed.
        closed: bool,
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
        /// What they say; `None`: again what the files say.
        value: Option<CellValue>,
    },
    /// A closing day, or a holiday that the office is open on.
    Day {
        /// The schedule's name in the plan.
        schedule: Arc<str>,
        /// The day.
        date: Date,
        /// Closed or open; `None`: again what the files say.
        closed: Option<bool>,
    },
    /// The caller number of a device (S-11).
    CallerId {
        /// The device's name in the plan.
        device: Arc<str>,
        /// The number's name in the plan; `None`: again what the files say.
        number: Option<Arc<str>>,
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
        /// `no number`, `of no class`, `blocked:CLASS`.
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
    /// S-98.
    #[error("toll-free number.{number} cannot be shown")]
    NotShown {
        /// The number's name.
        number: Arc<str>,
    },
}

/// Who asks for a change, and when.
struct Asker<'a> {
    by: &'a Arc<str>,
    at: Timestamp,
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
        by: &Arc<str>,
        at: Timestamp,
    ) -> Result<Vec<Entry>, ChangeError> {
        let asker = Asker { by, at };
        let before = self.entries();
        match change {
            Change::OffHours { number, on } => {
                self.walk(plan, number, Mode::Schedule, *on, &asker)?;
            }
            Change::Forwarding { number, on } => {
                self.walk(plan, number, Mode::Forward, *on, &asker)?;
            }
            Change::ForwardTo { number, to } => self.forward_to(plan, number, to, &asker)?,
            Change::Closed { number, closed } => {
                let number = find_number(plan, number)?;
                let live = self.numbers.entry(Arc::clone(&number.name)).or_default();
                live.closed = Some(asker.set(*closed));
            }
            Change::Cells { schedule, day, from, to, value } => {
                self.cells(plan, schedule, (*day, *from, *to), value.as_ref(), &asker)?;
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
            Change::CallerId { device, number } => self.caller_id(plan, device, number, &asker)?,
        }
        Ok(difference(&before, &self.entries(), by, at))
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
        allowed(plan, number, used)?;
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
        allowed(plan, number, Used::Forwarding)?;
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
        }
        let live = self.numbers.entry(Arc::clone(&number.name)).or_default();
        live.forward_to = Some(asker.set(Arc::clone(to)));
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
            allowed(plan, number, Used::OffHours)?;
            if value == Some(&CellValue::Forward) {
                allowed(plan, number, Used::Forwarding)?;
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
        number: &Option<Arc<str>>,
        asker: &Asker<'_>,
    ) -> Result<(), ChangeError> {
        let unknown = || ChangeError::Unknown { kind: "device", name: Arc::clone(device) };
        let device = plan.devices.find(device).ok_or_else(unknown)?;
        let shown = match number {
            Some(name) => Some(find_number(plan, name)?),
            None => None,
        };
        if let Some(number) = shown.filter(|number| !number.can_be_shown()) {
            return Err(ChangeError::NotShown { number: Arc::clone(&number.name) });
        }
        let live = self.devices.entry(Arc::clone(&device.name)).or_default();
        live.caller_id = shown.map(|number| asker.set(Arc::clone(&number.name)));
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
fn allowed(plan: &Plan, number: &Object<Number>, used: Used) -> Result<(), ChangeError> {
    if plan.rules.verified.contains(&used) && !plan.tenant.verified {
        return Err(ChangeError::NotVerified { what: used.word() });
    }
    if !number.subscribes(used.word()) {
        let number = Arc::clone(&number.name);
        return Err(ChangeError::NotSubscribed { number, option: used.word() });
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
fn difference(before: &[Entry], after: &[Entry], by: &Arc<str>, at: Timestamp) -> Vec<Entry> {
    let mut changed: Vec<Entry> =
        after.iter().filter(|entry| !before.contains(entry)).cloned().collect();
    let kept = |old: &&Entry| !after.iter().any(|entry| entry.key == old.key);
    changed.extend(before.iter().filter(kept).map(|old| Entry {
        key: Arc::clone(&old.key),
        value: None,
        by: Arc::clone(by),
        at,
    }));
    changed
}
