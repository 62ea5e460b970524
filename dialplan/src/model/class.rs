//! `[class]`: kinds of outside numbers, by longest prefix and count of digits.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;

use crate::read::{Item, Kind, Reader, Table, Value, noted};
use crate::source::{At, Place};

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) class: Arc<str>,
    pub(crate) pattern: Pattern,
    pub(crate) valid_from: Option<Date>,
    pub(crate) valid_until: Option<Date>,
    pub(crate) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The number and nothing else.
    Exact,
    /// Numbers that begin so, with so many digits in all when a count is given.
    Prefix { digits: Option<u32> },
}

/// All classes of a tenant, found by what a number begins with.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    by_start: HashMap<Arc<str>, Vec<Entry>>,
    longest: usize,
}

impl Entry {
    fn valid(&self, date: Date) -> bool {
        self.valid_from.is_none_or(|from| from <= date)
            && self.valid_until.is_none_or(|until| date <= until)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let same = match (&self.pattern, &other.pattern) {
            (Pattern::Exact, Pattern::Exact) => true,
            (Pattern::Prefix { digits: a }, Pattern::Prefix { digits: b }) => {
                a.is_none() || b.is_none() || a == b
            }
            (Pattern::Exact, Pattern::Prefix { .. }) | (Pattern::Prefix { .. }, Pattern::Exact) => {
                false
            }
        };
        let before = |until: Option<Date>, from: Option<Date>| match (until, from) {
            (Some(until), Some(from)) => until < from,
            _ => false,
        };
        same && !before(self.valid_until, other.valid_from)
            && !before(other.valid_until, self.valid_from)
    }
}

impl Classes {
    pub(crate) fn read(root: &Table<'_>) -> Self {
        let mut classes = Self::default();
        for (name, place, item) in root.objects("class") {
            let reader = item.reader;
            let name = reader.names.find(Kind::Class, &name).unwrap_or(name);
            let one = |item| noted(read(item, &name));
            if item.alternatives(&[&one, &|item| noted(item.list(|item| read(item, &name)))]) {
                continue;
            }
            let mut entries = Vec::new();
            if matches!(item.value(), Value::List(_)) {
                let read = item.list(|item| read(item, &name));
                entries.extend(read.unwrap_or_default().into_iter().flatten());
            } else {
                entries.extend(read(item, &name).unwrap_or_default());
            }
            if entries.is_empty() && !reader.has_errors() {
                reader.warn(place, format!("class.{name} has no number"), "it is never used");
            }
            for (start, entry) in entries {
                classes.add(reader, start, entry);
            }
        }
        classes
    }

    fn add(&mut self, reader: &Reader<'_>, start: At<Arc<str>>, entry: Entry) {
        self.longest = self.longest.max(start.value.len());
        let here = self.by_start.entry(Arc::clone(&start.value)).or_default();
        if let Some(other) = here.iter().find(|other| other.overlaps(&entry)) {
            reader.error(
                start.place,
                format!("class.{} overlaps class.{}", entry.class, other.class),
                format!(
                    "\"{}\" is taken at {}: a number can have one class only",
                    start.value,
                    reader.files.brief(other.place)
                ),
            );
        }
        here.push(entry);
    }

    /// The class of a number: exact, else by the longest prefix whose count of digits fits.
    pub(crate) fn of(&self, number: &str, date: Date) -> Option<&Entry> {
        self.longest_match(number, |entry| entry.valid(date))
    }

    /// The class of a number at whatever date.
    pub(crate) fn ever(&self, number: &str) -> Option<&Entry> {
        self.longest_match(number, |_| true)
    }

    fn longest_match(&self, number: &str, valid: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let fits = |entry: &&Entry, start: usize| {
            let matches = match entry.pattern {
                Pattern::Exact => start == number.len(),
                Pattern::Prefix { digits } => {
                    digits.is_none_or(|digits| usize::try_from(digits) == Ok(number.len()))
                }
            };
            matches && valid(entry)
        };
        (1..=number.len().min(self.longest)).rev().find_map(|length| {
            let entries = self.by_start.get(number.get(..length)?)?;
            // On equal length the exact number is the narrower rule.
            let exact = entries.iter().filter(|entry| entry.pattern == Pattern::Exact);
            let prefix = entries.iter().filter(|entry| entry.pattern != Pattern::Exact);
            exact.chain(prefix).find(|entry| fits(entry, length))
        })
    }

    /// Every entry with what it begins with.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.by_start.iter().flat_map(|(start, entries)| entries.iter().map(move |e| (start, e)))
    }

    /// A number of each class that can be called on a date, in the order of the names.
    pub(crate) fn samples(&self, date: Date) -> Vec<(Arc<str>, Arc<str>)> {
        let mut entries: Vec<(&Arc<str>, &Entry)> = self.iter().collect();
        entries.sort_by_key(|(start, entry)| (&entry.class, *start));
        let mut samples: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (start, entry) in entries {
            if samples.last().is_some_and(|(class, _)| *class == entry.class) {
                continue;
            }
            let digits = match entry.pattern {
                Pattern::Exact => start.len(),
                Pattern::Prefix { digits } => {
                    digits.and_then(|d| usize::try_from(d).ok()).unwrap_or(start.len() + UNBOUNDED)
                }
            };
            let number: String =
                start.chars().chain(std::iter::repeat('5')).take(digits.max(start.len())).collect();
            // A longer prefix may claim it, or its day may be over.
            if self.of(&number, date).is_some_and(|found| found.class == entry.class) {
                samples.push((Arc::clone(&entry.class), Arc::from(number)));
            }
        }
        samples
    }

    /// Whether a class has a number at some date from `date` on.
    pub(crate) fn is_alive(&self, class: &str, date: Date) -> bool {
        let mut entries = self.iter().filter(|(_, entry)| &*entry.class == class);
        entries.any(|(_, entry)| entry.valid_until.is_none_or(|until| date <= until))
    }
}

/// Digits behind a prefix without a count, in a sample.
const UNBOUNDED: usize = 8;

fn read(item: Item<'_>, class: &Arc<str>) -> Option<Vec<(At<Arc<str>>, Entry)>> {
    item.table("class", |table| {
        let valid_from = table.opt("valid_from", Item::date);
        let valid_until = table.opt("valid_until", Item::date);
        let digits = table.opt("digits", |item| item.whole(3, 20));
        let exact = table.or("exact", Vec::new(), |item| item.list(start));
        let prefix = table.or("prefix", Vec::new(), |item| item.list(start));
        if !table.has("exact") && !table.has("prefix") {
            let message = format!("{} has neither `exact` nor `prefix`", table.path());
            table.reader.error(table.place, message, "expected one of them");
        }
        let make = |start: At<Arc<str>>, pattern| {
            let place = start.place;
            let class = Arc::clone(class);
            (start, Entry { class, pattern, valid_from, valid_until, place })
        };
        let exact = exact.into_iter().map(|start| make(start, Pattern::Exact));
        let prefix = prefix.into_iter().map(|start| make(start, Pattern::Prefix { digits }));
        Some(exact.chain(prefix).collect())
    })
}

fn start(item: Item<'_>) -> Option<At<Arc<str>>> {
    let place = item.place();
    item.code().map(|value| At { value, place })
}
