//! What the schema alone cannot say: names used twice, cells that overlap, pairs that exclude each
//! other, short numbers that hide emergency calls (DIALPLAN, sections 2 and 3).

use std::collections::{BTreeMap, BTreeSet};

use super::build::{dials, objects, user_of};
use super::holiday::Holidays;
use super::schedule::DayClass;
use crate::schema::{Capabilities, Checker, Names, ROOT, Type, scalar};
use crate::text::{Entry, Kind, Place, Report, Sources, Value};

/// Tables whose entries can be named elsewhere.
const NAMED: &[&str] = &[
    "device",
    "number",
    "schedule",
    "announcement",
    "voicemail_box",
    "fax_box",
    "group",
    "menu",
    "queue",
    "room",
    "trunk",
    "class",
];

pub(super) fn check(
    sources: &Sources,
    whole: &Value,
    capabilities: &Capabilities,
    report: &mut Report,
) {
    let names: Names<'_> = NAMED
        .iter()
        .map(|table| (*table, objects(whole, table).map(|entry| entry.name.as_str()).collect()))
        .collect();
    let mut checker = Checker { sources, names, capabilities, errors: Vec::new() };
    checker.check(whole, &Type::Table(ROOT));
    let mut rules = Rules { sources, report };
    rules.report.errors.append(&mut checker.errors);
    rules.tenant(whole);
    rules.unique(whole);
    rules.numbers(whole);
    for entry in objects(whole, "schedule") {
        rules.schedule(&entry.value);
    }
    rules.announcements(whole);
    rules.short_numbers(whole);
    rules.classes(whole);
    // A kind or class with a slip of the finger would be missed by every rate as well.
    if rules.report.errors.is_empty() {
        rules.tariff(whole);
    }
}

struct Rules<'r> {
    sources: &'r Sources,
    report: &'r mut Report,
}

impl Rules<'_> {
    fn error(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.report.errors.push(self.sources.at(place, message, hint));
    }

    fn tenant(&mut self, whole: &Value) {
        let Some(tenant) = whole.get("tenant") else { return };
        if let Some(zone) = tenant.get("timezone")
            && zone.text().is_some_and(|name| jiff::tz::TimeZone::get(name).is_err())
        {
            self.error(&zone.place, "unknown time zone", "expected a name like \"Asia/Tokyo\"");
        }
        if let Some(id) = tenant.get("id") {
            let plain = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            if id.text().is_some_and(|text| !plain(text)) {
                self.error(&id.place, "a tenant's id is letters, digits and _", "");
            }
        }
    }

    /// DIDs, extensions and SIP users stand once.
    fn unique(&mut self, whole: &Value) {
        let tenant = whole.get("tenant").and_then(|tenant| tenant.text_of("id")).unwrap_or("");
        let mut users: BTreeMap<String, Place> = BTreeMap::new();
        let mut seen: BTreeMap<(&str, String), Place> = BTreeMap::new();
        let mut once = |rules: &mut Self, what, text: String, place: &Place| match seen
            .get(&(what, text.clone()))
        {
            Some(first) => {
                let hint = format!("first used at {}", rules.sources.name(first));
                rules.error(place, format!("{what} \"{text}\" is used twice"), hint);
            }
            None => {
                seen.insert((what, text), place.clone());
            }
        };
        for entry in objects(whole, "number") {
            if let Some(did) = entry.value.get("did") {
                once(self, "number", did.text().unwrap_or_default().to_owned(), &did.place);
            }
        }
        for entry in objects(whole, "device") {
            if let Some(extension) = entry.value.get("ext") {
                let text = extension.text().unwrap_or_default().to_owned();
                once(self, "extension", text, &extension.place);
            }
        }
        // Users made of the extension are as unique as the extensions; those given come after them.
        let named = |entry: &&Entry| entry.value.get("user").is_some();
        let (given, made): (Vec<_>, Vec<_>) = objects(whole, "device").partition(named);
        for entry in made {
            if let Some(user) = user_of(tenant, &entry.value) {
                users.entry(user).or_insert_with(|| entry.place.clone());
            }
        }
        for (entry, user) in
            given.iter().filter_map(|entry| Some((entry, entry.value.get("user")?)))
        {
            let text = user.text().unwrap_or_default().to_owned();
            match users.get(&text) {
                Some(first) => {
                    let hint = format!("first used at {}", self.sources.name(first));
                    self.error(&user.place, format!("SIP user \"{text}\" is used twice"), hint);
                }
                None => drop(users.insert(text, entry.place.clone())),
            }
        }
        for entry in objects(whole, "extension").chain(objects(whole, "group")) {
            let Some(dial) = entry.value.get("dial") else { continue };
            for number in dials(dial).unwrap_or_default() {
                once(self, "extension", number.to_string(), &dial.place);
            }
        }
    }

    fn numbers(&mut self, whole: &Value) {
        let of_role = |role: &'static str| {
            objects(whole, "number").filter(move |entry| entry.value.text_of("role") == Some(role))
        };
        let devices = objects(whole, "device").count();
        // S-03: at most two, and never more than additional devices.
        let allowed = devices.saturating_sub(1).min(2);
        for entry in of_role("additional").skip(allowed) {
            let message = "too many additional numbers";
            let hint =
                format!("{devices} devices permit {allowed} (at most 2, one a further device)");
            self.error(&entry.place, message, hint);
        }
        for entry in of_role("contract").skip(1) {
            self.error(&entry.place, "a second contract number", "a tenant has one");
        }
        for entry in objects(whole, "number") {
            self.number(entry);
        }
        for entry in objects(whole, "device") {
            self.device(whole, entry);
        }
    }

    fn number(&mut self, entry: &Entry) {
        let value = &entry.value;
        let mode = value.text_of("mode");
        let toll_free = value.text_of("role") == Some("tollfree");
        if mode == Some("schedule") && value.get("schedule").is_none() {
            self.error(
                &entry.place,
                "mode \"schedule\" without a schedule",
                "add schedule = \"NAME\"",
            );
        }
        if mode == Some("forward") && value.get("forward_to").is_none() {
            self.error(&entry.place, "mode \"forward\" without forward_to", "");
        }
        if toll_free && value.get("target").is_none() {
            self.error(
                &entry.place,
                "a toll-free number without a target",
                "add target = \"NUMBER\"",
            );
        }
        if !toll_free && value.get("ring").is_none() && mode.unwrap_or("ring") == "ring" {
            self.error(
                &entry.place,
                "the number has no devices to ring",
                "add ring = { devices = [...] }",
            );
        }
        let busy = value.get("busy_announcement");
        if let Some(busy) = busy.filter(|busy| matches!(busy.kind, Kind::Boolean(true)))
            && value.get("voicemail").is_some()
        {
            // S-09.
            let message = "busy_announcement is not available on a number with voicemail";
            self.error(&busy.place, message, "drop one of the two");
        }
        if let Some(after) = value.get("voicemail").and_then(|table| table.get("after")) {
            let seconds = after.text().and_then(scalar::duration).map(|time| time.as_secs());
            let permitted = [5, 10, 15, 20, 25, 30];
            if seconds.is_some_and(|seconds| !permitted.contains(&seconds)) {
                // S-45.
                self.error(&after.place, "voicemail answers after 5, 10, 15, 20, 25 or 30 s", "");
            }
        }
        if let Some(ring) = value.get("ring") {
            self.ring(ring);
        }
    }

    fn ring(&mut self, ring: &Value) {
        let priority = ring.text_of("strategy") == Some("priority");
        if priority && ring.get("tiers").is_none() {
            self.error(&ring.place, "strategy \"priority\" without tiers", "");
        }
        let other = matches!(ring.text_of("strategy"), None | Some("all" | "sequence"));
        if let Some(tiers) = ring.get("tiers").filter(|_| other) {
            self.error(&tiers.place, "tiers have a meaning only with strategy \"priority\"", "");
        }
        let mut seen = BTreeSet::new();
        for device in ring.get("devices").into_iter().flat_map(Value::items) {
            if !seen.insert(device.text().unwrap_or_default()) {
                self.error(&device.place, "the device stands twice in the list", "");
            }
        }
    }

    fn device(&mut self, whole: &Value, entry: &Entry) {
        let value = &entry.value;
        let toll_free = |name: &str| {
            objects(whole, "number").any(|number| {
                number.name == name && number.value.text_of("role") == Some("tollfree")
            })
        };
        if let Some(caller_id) = value.get("caller_id")
            && caller_id.text().is_some_and(toll_free)
        {
            // S-98.
            let message = "a toll-free number cannot be shown as caller";
            self.error(&caller_id.place, message, "");
        }
        for option in value.get("options").into_iter().flat_map(Value::items) {
            // S-93.
            if option.text() == Some("free10") && value.text_of("kind") != Some("app") {
                self.error(&option.place, "free10 is for apps only", "");
            }
        }
    }

    fn schedule(&mut self, schedule: &Value) {
        for source in schedule.get("holidays").into_iter().flat_map(Value::items) {
            if source.text().is_some_and(|text| Holidays::parse(text).is_none()) {
                let hint = "expected \"calendar:jp\", \"2026-12-29..2027-01-03\" or \"yearly:08-13..08-15\"";
                self.error(&source.place, "unknown source of holidays", hint);
            }
        }
        for (_, key) in DayClass::ALL {
            let mut taken: [Option<&Place>; 48] = [None; 48];
            for cell in schedule.get(key).into_iter().flat_map(Value::items) {
                let time = |key| cell.text_of(key).and_then(scalar::cell).map(usize::from);
                let (Some(from), Some(to)) = (time("from"), time("to")) else { continue };
                if from >= to {
                    self.error(&cell.place, "the cell ends before it begins", "");
                    continue;
                }
                let Some(range) = taken.get_mut(from..to) else { continue };
                let other = range.iter().flatten().next().copied();
                range.fill(Some(&cell.place));
                if let Some(other) = other {
                    let hint = format!("with the one at {}", self.sources.name(other));
                    self.error(&cell.place, "the cells overlap", hint);
                }
            }
        }
    }

    fn announcements(&mut self, whole: &Value) {
        let mut files = 0usize;
        for entry in objects(whole, "announcement") {
            let kinds = ["template", "file", "prompt"];
            let given = kinds.iter().filter(|kind| entry.value.get(kind).is_some()).count();
            if given != 1 {
                self.error(&entry.place, "an announcement is one of template, file and prompt", "");
            }
            let Some(file) = entry.value.get("file") else { continue };
            files = files.saturating_add(1);
            if files > 10 {
                // S-25.
                self.error(&file.place, "more than 10 own audio files", "");
            }
            let path = file.text().unwrap_or_default();
            if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                self.error(&file.place, "the file must lie below the tenant's directory", "");
            }
        }
    }

    /// A short number must not hide a number of the network.
    fn short_numbers(&mut self, whole: &Value) {
        let exact: BTreeSet<&str> = objects(whole, "class")
            .flat_map(|entry| entry.value.items())
            .filter_map(|rule| rule.get("exact"))
            .flat_map(Value::items)
            .filter_map(Value::text)
            .collect();
        let extensions = objects(whole, "device").filter_map(|entry| entry.value.get("ext"));
        let dialled = objects(whole, "extension").filter_map(|entry| entry.value.get("dial"));
        for dial in extensions.chain(dialled) {
            for number in dials(dial).unwrap_or_default() {
                let service = number.len() == 3 && number.starts_with('1');
                if service || exact.contains(&*number) {
                    let message = format!("\"{number}\" hides a number of the network");
                    self.error(&dial.place, message, "numbers of the form 1XX stay free");
                }
            }
        }
    }

    /// Two classes must not claim the same number.
    fn classes(&mut self, whole: &Value) {
        let mut seen: BTreeMap<(String, Option<i64>), (&str, &Place)> = BTreeMap::new();
        for entry in objects(whole, "class") {
            for rule in entry.value.items() {
                for day in ["valid_from", "valid_until"] {
                    let Some(value) = rule.get(day) else { continue };
                    if value.text().is_some_and(|text| text.parse::<jiff::civil::Date>().is_err()) {
                        self.error(&value.place, "expected a day like \"2026-03-31\"", "");
                    }
                }
                let digits = rule.integer_of("digits");
                for (key, length) in [("exact", None), ("prefix", digits)] {
                    for value in rule.get(key).into_iter().flat_map(Value::items) {
                        let id = (format!("{key} {}", value.text().unwrap_or_default()), length);
                        if let Some((class, place)) = seen.get(&id) {
                            let at = self.sources.name(place);
                            let message = format!("class \"{class}\" claims the same numbers");
                            self.error(&value.place, message, format!("at {at}"));
                        } else {
                            seen.insert(id, (entry.name.as_str(), &value.place));
                        }
                    }
                }
            }
        }
    }

    /// Every pair of device kind and reachable class has a price: a missing one is no free call.
    fn tariff(&mut self, whole: &Value) {
        let Some(tariff) = whole.get("tariff") else { return };
        let rates = || tariff.get("rate").into_iter().flat_map(Value::items);
        let lists = |rate: &Value, key: &str, word: &str| {
            rate.get(key)
                .is_none_or(|list| list.items().iter().any(|item| item.text() == Some(word)))
        };
        let blocked: Vec<&str> = whole
            .get("outbound")
            .and_then(|outbound| outbound.get("block"))
            .into_iter()
            .flat_map(Value::items)
            .filter_map(Value::text)
            .collect();
        let kinds: BTreeSet<&str> =
            objects(whole, "device").filter_map(|entry| entry.value.text_of("kind")).collect();
        for class in objects(whole, "class").filter(|class| !blocked.contains(&class.name.as_str()))
        {
            for kind in &kinds {
                let priced = rates().any(|rate| {
                    rate.text_of("leg") == Some("out")
                        && lists(rate, "device", kind)
                        && lists(rate, "class", &class.name)
                });
                if !priced {
                    let message =
                        format!("no rate for calls from {kind} to class \"{}\"", class.name);
                    self.error(
                        &class.place,
                        message,
                        "a missing rate is an error, not a free call",
                    );
                }
            }
        }
        let toll_free: Vec<&Entry> = objects(whole, "number")
            .filter(|entry| entry.value.text_of("role") == Some("tollfree"))
            .collect();
        for caller in ["fixed", "mobile", "ip050", "payphone", "unknown"] {
            let priced = rates().any(|rate| {
                rate.text_of("leg") == Some("tollfree-in") && lists(rate, "caller", caller)
            });
            if let (false, Some(entry)) = (priced, toll_free.first()) {
                let message = format!("no rate for toll-free calls from {caller}");
                self.error(&entry.place, message, "a missing rate is an error, not a free call");
            }
        }
    }
}
