//! What a change of the files changes for calls: every DID x half hour x kind of caller, and every
//! device x what it can dial. Not changed lines: changed outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::decision::{Caller, Facts, Origin};
use crate::model::Plan;
use crate::model::objects::Object;
use crate::model::schedule::{DayClass, Schedule};
use crate::plans::Plans;
use crate::rating::{self, Account};
use crate::read::{Cell, cell_time};
use crate::state::Idle;

/// Calls that come to something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// Whose calls: a number or a device.
    pub what: String,
    /// Who calls, or what is dialled.
    pub who: String,
    /// When; empty: whenever.
    pub when: String,
    /// What they came to; `no such number` and the like when there was none.
    pub before: String,
    /// What they come to now.
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, what, who, when, before, after } = self;
        write!(f, "{tenant} {what}, {who}")?;
        if !when.is_empty() {
            write!(f, ", {when}")?;
        }
        write!(f, "\n    was  {before}\n    now  {after}")
    }
}

/// Days that are looked at from the moment of the question on.
const DAYS: usize = 366;
/// Half hours of a day.
const CELLS: Cell = 48;

/// Changed outcomes from one set of plans to another.
pub(crate) fn diff(old: &Plans, new: &Plans, now: Timestamp) -> Vec<Difference> {
    let changed = old.changed(new);
    changed.iter().flat_map(|id| diff_of(old, new, id, now)).collect()
}

/// The same of one tenant.
pub(crate) fn diff_of(old: &Plans, new: &Plans, id: &Arc<str>, now: Timestamp) -> Vec<Difference> {
    let mut found = Vec::new();
    let sides = [(old, old.plan(id)), (new, new.plan(id))];
    let tenant = Tenant { id, sides, now };
    tenant.inbound(&mut found);
    tenant.outbound(&mut found);
    found
}

/// One tenant on both sides.
struct Tenant<'p> {
    id: &'p Arc<str>,
    sides: [(&'p Plans, Option<&'p Plan>); 2],
    now: Timestamp,
}

/// A run of half hours on days of a kind, and what it came to before and comes to now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    days: String,
    from: Cell,
    to: Cell,
    before: String,
    after: String,
}

impl<'p> Tenant<'p> {
    fn plans(&self) -> impl Iterator<Item = &'p Plan> {
        self.sides.iter().filter_map(|(_, plan)| *plan)
    }

    /// The plan that tells the time and the classes: the new one, else the old.
    fn clock(&self) -> Option<&'p Plan> {
        let [(_, old), (_, new)] = self.sides;
        new.or(old)
    }

    fn inbound(&self, found: &mut Vec<Difference>) {
        let mut numbers: BTreeMap<Arc<str>, &Arc<str>> = BTreeMap::new();
        for plan in self.plans() {
            numbers.extend(plan.numbers.iter().map(|number| (plan.did(number), &number.name)));
        }
        let callers = self.callers();
        for (did, name) in numbers {
            let days = self.days(&did);
            let mut same: BTreeMap<Vec<Run>, Vec<&str>> = BTreeMap::new();
            for (who, caller) in &callers {
                let runs = self.runs(&did, caller, &days);
                if !runs.is_empty() {
                    same.entry(runs).or_default().push(who);
                }
            }
            for (runs, who) in same {
                let who = if who.len() == callers.len() {
                    String::from("whoever calls")
                } else {
                    format!("callers: {}", who.join(", "))
                };
                for ((before, after), runs) in by_change(runs) {
                    let when = when(&runs, days.len());
                    let (tenant, who) = (Arc::clone(self.id), who.clone());
                    let what = format!("number.{name} ({did})");
                    found.push(Difference { tenant, what, who, when, before, after });
                }
            }
        }
    }

    /// The kinds of callers that a plan can tell apart.
    fn callers(&self) -> Vec<(String, Caller)> {
        let mut callers = BTreeMap::new();
        let number = |digits: &str| Caller { number: Some(Arc::from(digits)), ..Caller::default() };
        for plan in self.plans() {
            let date = plan.tenant.timezone.to_datetime(self.now).date();
            for (class, sample) in plan.classes.samples(date) {
                if CALLING.contains(&&*class) {
                    callers.insert(class.to_string(), number(&sample));
                }
            }
            for blocked in plan.numbers.iter().flat_map(|number| &number.blocked) {
                callers.insert(blocked.to_string(), number(blocked));
            }
        }
        callers.insert(String::from("anonymous"), Caller { anonymous: true, ..Caller::default() });
        callers.into_iter().collect()
    }

    /// A day of each kind, as both sides see the next year: its label and its date.
    fn days(&self, did: &str) -> Vec<(String, Date)> {
        let Some(clock) = self.clock() else { return Vec::new() };
        let mut date = clock.tenant.timezone.to_datetime(self.now).date();
        let schedule = |plan: Option<&'p Plan>| {
            let plan = plan?;
            let number = plan.numbers.iter().find(|number| *plan.did(number) == *did)?;
            let target = number.target.as_ref().and_then(|to| plan.numbers.find(&to.value));
            plan.schedules.find(&target.unwrap_or(number).schedule.as_ref()?.value)
        };
        let [old, new] = self.sides.map(|(_, plan)| schedule(plan));
        let mut seen: BTreeMap<(Option<DayClass>, Option<DayClass>), (Date, u32)> = BTreeMap::new();
        for _ in 0..DAYS {
            let class = |found: Option<&Object<Schedule>>| found.map(|found| found.class_of(date));
            let days = seen.entry((class(old), class(new))).or_insert((date, 0));
            days.1 += 1;
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        let label = |(old, new): (Option<DayClass>, Option<DayClass>),
                     (date, count): (Date, u32)| {
            let word = |class: Option<DayClass>| class.map_or("any day", DayClass::as_str);
            match (old, new) {
                (Some(was), Some(is)) if was != is => {
                    let more =
                        if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                    format!("{date}{more} ({} until now)", word(Some(was)))
                }
                (old, new) => word(new.or(old)).to_owned(),
            }
        };
        seen.into_iter().map(|(classes, days)| (label(classes, days), days.0)).collect()
    }

    fn runs(&self, did: &str, caller: &Caller, days: &[(String, Date)]) -> Vec<Run> {
        let Some(clock) = self.clock() else { return Vec::new() };
        let mut runs: Vec<Run> = Vec::new();
        for (label, date) in days {
            for cell in 0..CELLS {
                let (hour, minute) = (cell / 2, cell % 2 * 30);
                let local = date.at(narrow(hour), narrow(minute), 0, 0);
                let Ok(at) = clock.tenant.timezone.to_timestamp(local) else { continue };
                let [before, after] = self.sides.map(|side| self.incoming(side, did, caller, at));
                if before == after {
                    continue;
                }
                match runs.last_mut() {
                    Some(last)
                        if last.days == *label
                            && last.to == cell
                            && last.before == before
                            && last.after == after =>
                    {
                        last.to = cell + 1;
                    }
                    _ => {
                        let (days, to) = (label.clone(), cell + 1);
                        runs.push(Run { days, from: cell, to, before, after });
                    }
                }
            }
        }
        runs
    }

    fn incoming(
        &self,
        (plans, plan): (&'p Plans, Option<&'p Plan>),
        did: &str,
        caller: &Caller,
        at: Timestamp,
    ) -> String {
        if plan.is_none() {
            return String::from("no such office");
        }
        let Some(origin) = plans.bringing_trunk(did) else {
            return String::from("no such number");
        };
        let facts = Facts { at, origin: &origin, caller, called: did, state: &Idle };
        plans.decide(&facts).outcome().to_string()
    }

    fn outbound(&self, found: &mut Vec<Difference>) {
        let mut devices: BTreeSet<&Arc<str>> = BTreeSet::new();
        let mut dialled: BTreeMap<String, String> = BTreeMap::new();
        for plan in self.plans() {
            devices.extend(plan.devices.iter().map(|device| &device.name));
            let date = plan.tenant.timezone.to_datetime(self.now).date();
            let classes = plan.classes.samples(date);
            dialled.extend(
                classes.into_iter().map(|(class, n)| (n.to_string(), format!("class {class}"))),
            );
            let codes = plan.short_codes();
            dialled.extend(
                codes.iter().map(|code| (code.digits.first.to_string(), code.owner.clone())),
            );
        }
        let mut same: BTreeMap<(String, String, String), Vec<&str>> = BTreeMap::new();
        for device in &devices {
            for (number, name) in &dialled {
                let [before, after] = self.sides.map(|side| self.outgoing(side, device, number));
                if before != after {
                    let who = format!("dials {number} ({name})");
                    same.entry((who, before, after)).or_default().push(device);
                }
            }
        }
        for ((who, before, after), names) in same {
            let what = if names.len() == devices.len() && names.len() > 1 {
                String::from("any device")
            } else {
                format!("device {}", names.join(", "))
            };
            let (tenant, when) = (Arc::clone(self.id), String::new());
            found.push(Difference { tenant, what, who, when, before, after });
        }
    }

    fn outgoing(
        &self,
        (plans, plan): (&'p Plans, Option<&'p Plan>),
        device: &Arc<str>,
        number: &str,
    ) -> String {
        let Some(plan) = plan else { return String::from("no such office") };
        if plan.devices.find(device).is_none() {
            return String::from("no such device");
        }
        let origin = Origin::Device { tenant: Arc::clone(self.id), device: Arc::clone(device) };
        let caller = Caller::default();
        let facts =
            Facts { at: self.now, origin: &origin, caller: &caller, called: number, state: &Idle };
        let decision = plans.decide(&facts);
        let mut text = decision.outcome().to_string();
        for (payer, leg) in rating::legs_of(&decision, &origin, &caller, self.now, MINUTE) {
            if payer == *self.id
                && let Ok(charge) = rating::rate(plan, &leg, &Account::default())
            {
                text.push_str(&format!(", {} yen a minute", charge.amount));
            }
        }
        text
    }
}

/// Runs by what they changed from and to.
fn by_change(runs: Vec<Run>) -> BTreeMap<(String, String), Vec<Run>> {
    let mut changes: BTreeMap<(String, String), Vec<Run>> = BTreeMap::new();
    for run in runs {
        changes.entry((run.before.clone(), run.after.clone())).or_default().push(run);
    }
    changes
}

/// Days of one run of hours together: `weekday, saturday 09:00 to 12:00; sunday all day`.
fn when(runs: &[Run], days: usize) -> String {
    let all_day = |run: &Run| run.from == 0 && run.to == CELLS;
    if runs.len() == days && runs.iter().all(all_day) {
        return String::from("at all times");
    }
    let mut hours: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for run in runs {
        let time = |cell| cell_time(cell).unwrap_or_default();
        let text = if all_day(run) {
            String::from("all day")
        } else {
            format!("{} to {}", time(run.from), time(run.to))
        };
        hours.entry(&run.days).or_default().push(text);
    }
    let mut same: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    for (day, hours) in hours {
        same.entry(hours).or_default().push(day);
    }
    let part = |(hours, days): (Vec<String>, Vec<&str>)| {
        format!("{} {}", days.join(", "), hours.join(" and "))
    };
    same.into_iter().map(part).collect::<Vec<_>>().join("; ")
}

fn narrow(small: Cell) -> i8 {
    i8::try_from(small).unwrap_or_default()
}

/// Classes of callers from outside.
const CALLING: [&str; 4] = ["fixed", "mobile", "ip050", "international"];
const MINUTE: Duration = Duration::from_secs(60);
