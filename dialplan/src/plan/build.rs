//! The typed plan out of values that have passed the check. What is missing takes its default;
//! `None` only when the check and this file disagree.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::class::ClassRule;
use super::holiday::Holidays;
use super::schedule::{DayClass, Schedule};
use super::{Device, DeviceKind, Expect, Mode, Number, Outbound, Plan, Ring, Strategy, Trunk};
use crate::decision::PromptRef;
use crate::schema::{action, scalar};
use crate::text::{Entry, Kind, Value};

/// A ring set rings for a minute unless the plan says otherwise.
const RING_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn build(whole: &Value) -> Option<Plan> {
    let tenant = whole.get("tenant")?;
    let id: Arc<str> = tenant.text_of("id")?.into();
    let language: Arc<str> = tenant.text_of("language").unwrap_or("ja").into();
    let devices: Vec<Device> =
        objects(whole, "device").map(|entry| device(&id, entry)).collect::<Option<_>>()?;
    let channels = match tenant.get("channels").map(|value| &value.kind) {
        Some(Kind::Integer(count)) => u32::try_from(*count).ok()?,
        _ => u32::try_from(devices.len()).ok()?,
    };
    let mut extensions = HashMap::new();
    for entry in objects(whole, "extension") {
        for dial in dials(entry.value.get("dial")?)? {
            extensions.insert(dial, action(entry.value.get("do")?)?);
        }
    }
    Some(Plan {
        generation: 1,
        domains: names(tenant.get("domains")),
        timezone: TimeZone::get(tenant.text_of("timezone").unwrap_or("Asia/Tokyo")).ok()?,
        channels,
        devices,
        numbers: objects(whole, "number").map(number).collect::<Option<_>>()?,
        schedules: objects(whole, "schedule")
            .map(|entry| Some((entry.name.as_str().into(), schedule(&entry.value)?)))
            .collect::<Option<_>>()?,
        announcements: objects(whole, "announcement")
            .map(|entry| (entry.name.as_str().into(), announcement(&entry.value, &language)))
            .collect(),
        extensions,
        classes: objects(whole, "class").flat_map(classes).collect(),
        outbound: whole.get("outbound").map(outbound).unwrap_or_default(),
        trunks: objects(whole, "trunk").map(trunk).collect::<Option<_>>()?,
        expects: whole
            .get("expect")
            .map(|list| list.items().iter().map(|value| Expect { value: value.clone() }).collect())
            .unwrap_or_default(),
        tenant: id,
        language,
    })
}

pub(super) fn objects<'v>(whole: &'v Value, table: &str) -> impl Iterator<Item = &'v Entry> {
    whole.get(table).into_iter().flat_map(Value::entries)
}

/// The texts of a list, or of one value.
pub(super) fn names(value: Option<&Value>) -> Vec<Arc<str>> {
    let items = value.into_iter().flat_map(Value::items);
    items.filter_map(Value::text).map(Arc::from).collect()
}

fn text(value: &Value, key: &str) -> Option<Arc<str>> {
    value.text_of(key).map(Arc::from)
}

fn duration(value: &Value, key: &str) -> Option<Duration> {
    value.text_of(key).and_then(scalar::duration)
}

/// The SIP user of a device.
pub(super) fn user_of(tenant: &str, device: &Value) -> Option<String> {
    let extension = device.text_of("ext")?;
    let user = device.text_of("user").map(str::to_owned);
    Some(user.unwrap_or_else(|| format!("{tenant}-{extension}")))
}

pub(super) fn kind(word: &str) -> DeviceKind {
    match word {
        "desk" => DeviceKind::Desk,
        "ata" => DeviceKind::Ata,
        _ => DeviceKind::App,
    }
}

fn device(tenant: &str, entry: &Entry) -> Option<Device> {
    let value = &entry.value;
    Some(Device {
        name: entry.name.as_str().into(),
        extension: text(value, "ext")?,
        user: user_of(tenant, value)?.into(),
        kind: kind(value.text_of("kind")?),
        secret: text(value, "secret")?,
        caller_id: text(value, "caller_id"),
        fax_machine: value.flag_of("fax_machine").unwrap_or(false),
        contacts: value.integer_of("contacts").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        area_code: text(value, "area_code"),
        private: value.text_of("privacy") == Some("id"),
    })
}

fn number(entry: &Entry) -> Option<Number> {
    let value = &entry.value;
    let voicemail = value.get("voicemail").map(|table| {
        let after = duration(table, "after").unwrap_or(Duration::from_secs(20));
        Some((text(table, "box")?, after))
    });
    let fax = value
        .get("fax")
        .map(|table| Some((text(table, "box")?, table.text_of("detect") == Some("only"))));
    Some(Number {
        name: entry.name.as_str().into(),
        did: text(value, "did")?,
        shown_name: text(value, "name"),
        ring: value.get("ring").map(ring),
        mode: match value.text_of("mode") {
            Some("schedule") => Mode::Schedule,
            Some("forward") => Mode::Forward,
            _ => Mode::Ring,
        },
        schedule: text(value, "schedule"),
        forward_to: text(value, "forward_to"),
        voicemail: voicemail.flatten(),
        busy_announcement: value.flag_of("busy_announcement").unwrap_or(false),
        fax: fax.flatten(),
        no_answer: value.get("no_answer").and_then(action),
        channels: value.integer_of("channels").and_then(|count| u32::try_from(count).ok()),
        blocked: names(value.get("blocked")),
        target: text(value, "target"),
    })
}

fn ring(value: &Value) -> Ring {
    let tiers = value.get("tiers").map(|tiers| {
        let tier = |tier: &Value| tier.items().iter().filter_map(Value::text).map(kind).collect();
        tiers.items().iter().map(tier).collect()
    });
    let strategy = match value.text_of("strategy") {
        Some("sequence") => Strategy::Sequence,
        Some("priority") => Strategy::Priority(tiers.unwrap_or_default()),
        _ => Strategy::All,
    };
    let default = match strategy {
        Strategy::Sequence => Duration::from_secs(15),
        Strategy::All | Strategy::Priority(_) => Duration::ZERO,
    };
    Ring {
        devices: names(value.get("devices")),
        strategy,
        step: match value.text_of("step") {
            Some("never") => None,
            _ => Some(duration(value, "step").unwrap_or(default)),
        },
        timeout: duration(value, "timeout").unwrap_or(RING_TIMEOUT),
    }
}

fn schedule(value: &Value) -> Option<Schedule> {
    let holidays = names(value.get("holidays"));
    let holidays = holidays.iter().filter_map(|text| Holidays::parse(text)).collect();
    let mut schedule = Schedule::new(action(value.get("default")?)?, holidays);
    for (class, key) in DayClass::ALL {
        for cell in value.get(key).into_iter().flat_map(Value::items) {
            let from = scalar::cell(cell.text_of("from")?)?;
            let to = scalar::cell(cell.text_of("to")?)?;
            schedule.set(class, from, to, action(cell.get("do")?)?);
        }
    }
    Some(schedule)
}

fn announcement(value: &Value, language: &Arc<str>) -> PromptRef {
    if let Some(file) = text(value, "file") {
        return PromptRef { language: "".into(), name: file };
    }
    let template = match value.integer_of("template") {
        Some(2) => "closed-2",
        Some(3) => "closed-3",
        _ => "closed",
    };
    let name = text(value, "prompt").unwrap_or_else(|| template.into());
    PromptRef { language: language.clone(), name }
}

/// The numbers that a `dial` names.
pub(super) fn dials(value: &Value) -> Option<Vec<Arc<str>>> {
    if let Some(dial) = value.text() {
        return Some(vec![dial.into()]);
    }
    let first = value.text_of("first")?;
    let width = first.len();
    let start: u64 = first.parse().ok()?;
    let count = u64::try_from(value.integer_of("count")?).ok()?;
    let numbers = start..start.checked_add(count)?;
    Some(numbers.map(|number| format!("{number:0width$}").into()).collect())
}

fn classes(entry: &Entry) -> Vec<ClassRule> {
    let day = |value: &Value, key| value.text_of(key).and_then(|text| text.parse().ok());
    let rule = |value: &Value| ClassRule {
        class: entry.name.as_str().into(),
        exact: names(value.get("exact")),
        prefix: names(value.get("prefix")),
        digits: value.integer_of("digits").and_then(|count| usize::try_from(count).ok()),
        valid_from: day(value, "valid_from"),
        valid_until: day(value, "valid_until"),
    };
    entry.value.items().iter().map(rule).collect()
}

fn outbound(value: &Value) -> Outbound {
    let lists = |key: &str| {
        let entries = value.get(key).into_iter().flat_map(Value::entries);
        entries.map(|entry| (entry.name.as_str().into(), names(Some(&entry.value)))).collect()
    };
    Outbound {
        block: names(value.get("block")),
        allow: lists("allow"),
        route: lists("route"),
        default_trunk: names(value.get("default_trunk")),
        outside_prefix: text(value, "outside_prefix"),
        area_code: text(value, "area_code"),
    }
}

fn trunk(entry: &Entry) -> Option<Trunk> {
    let value = &entry.value;
    let register =
        value.get("register").map(|table| Some((text(table, "user")?, text(table, "secret")?)));
    Some(Trunk {
        name: entry.name.as_str().into(),
        address: text(value, "address")?,
        profile: text(value, "profile").unwrap_or_else(|| "plain".into()),
        channels: value
            .integer_of("channels")
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(u32::MAX),
        register: register.flatten(),
        numbers: names(value.get("numbers")),
    })
}
