//! `[tenant]`: the office itself.

use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::services::language;
use crate::country::Country;
use crate::diagnostic::did_you_mean;
use crate::read::{Item, Table, Value, noted};
use crate::source::{At, Place};

/// How many calls with outside an office may have at once (S-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channels {
    /// As many as it has IDs, that is devices.
    PerId,
    Count(u32),
}

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) place: Place,
    pub(crate) id: At<Arc<str>>,
    pub(crate) domains: Vec<At<Arc<str>>>,
    pub(crate) timezone: TimeZone,
    pub(crate) language: Arc<str>,
    pub(crate) verified: bool,
    pub(crate) channels: Channels,
    /// A human has allowed more numbers than the plan does, and why (S-04).
    pub(crate) more_numbers: Option<At<Arc<str>>>,
    /// A file below the tenant's directory that parties on hold hear; none: the server's own.
    pub(crate) hold_music: Option<Arc<str>>,
    /// The numbering plan of its country.
    pub(crate) country: Arc<Country>,
}

impl Tenant {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("tenant", |table| Self::read_keys(table))
    }

    fn read_keys(table: &mut Table<'_>) -> Option<Self> {
        let id = table.req("id", |item| {
            let place = item.place();
            let id =
                item.parsed("a tenant id: small letters, digits and `-`, at most 32", |text| {
                    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                    let fits = (1..=32).contains(&text.len()) && text.bytes().all(plain);
                    fits.then(|| Arc::from(text))
                });
            id.map(|value| At { value, place })
        });
        let domains = table.or("domains", Vec::new(), |item| {
            item.list(|item| {
                let place = item.place();
                item.parsed("a domain name", |text| {
                    let label = |part: &str| {
                        !part.is_empty()
                            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    };
                    let fits = text.len() <= 253 && text.split('.').all(label);
                    fits.then(|| Arc::from(text.to_ascii_lowercase()))
                })
                .map(|value| At { value, place })
            })
        });
        let timezone = table.req("timezone", timezone);
        let language = table.or("language", Arc::from("ja"), language);
        let verified = table.or("verified", false, Item::flag);
        let channels = table.or("channels", Channels::PerId, channels);
        let reader = table.reader;
        table.opt("plan", |item| item.known("plan", reader.plan_names(), "plans in conf/plans"));
        table.opt("country", |item| {
            item.known("country", reader.country_names(), "countries with a numbering plan")
        });
        let more_numbers = table.at("more_numbers", Item::text);
        let hold_music = table.opt("hold_music", Item::path_inside);
        Some(Self {
            place: table.place,
            id: id?,
            domains,
            timezone: timezone?,
            language,
            verified,
            channels,
            more_numbers,
            hold_music,
            country: reader.country(),
        })
    }
}

fn channels(item: Item<'_>) -> Option<Channels> {
    let noted = item.alternatives(&[&|item| noted(item.choice(&[("per-id", ())])), &|item| {
        noted(item.whole(1, 10_000))
    }]);
    if noted {
        return None;
    }
    match item.value() {
        Value::Text(text) if text == "per-id" => Some(Channels::PerId),
        Value::Whole(_) => item.whole(1, 10_000).map(Channels::Count),
        _ => item.wrong("\"per-id\" or a whole number from 1 to 10000"),
    }
}

/// From the time zones that are built in: the server's own files must not change a plan's meaning.
fn timezone(item: Item<'_>) -> Option<TimeZone> {
    let (place, reader) = (item.place(), item.reader);
    let name = item.text()?;
    let database = TimeZoneDatabase::bundled();
    let found = database.get(&name).ok();
    if found.is_none() {
        let known: Vec<String> = database.available().map(|name| name.to_string()).collect();
        let near = did_you_mean(&name, known.iter().map(String::as_str), "known time zones");
        let near = near.split_once("? ").map_or("a name such as \"Asia/Tokyo\"", |(near, _)| near);
        let hint = if near.starts_with("did") { format!("{near}?") } else { near.to_owned() };
        reader.error(place, format!("unknown time zone \"{}\"", name.escape_debug()), hint);
    }
    found
}
