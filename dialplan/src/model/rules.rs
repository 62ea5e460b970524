//! A plan file (`conf/plans/NAME.toml`): the limits and exclusions that an office may only tighten
//! (S-03, S-09, S-25 to S-36, S-45 to S-47, S-65, S-71, S-72, S-80).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::caps::Caps;
use crate::capability::Capabilities;
use crate::diagnostic::Report;
use crate::limits;
use crate::read::{Cell, Document, Item, Names, Reader, Table, Texts};
use crate::source::{Files, Place};

/// What a plan allows an office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) title: Arc<str>,
    pub(crate) numbers: NumberRules,
    pub(crate) own_files: u32,
    pub(crate) voicemail: VoicemailRules,
    pub(crate) fax: FaxRules,
    pub(crate) recording: RecordingRules,
    /// Addresses of one list of receivers.
    pub(crate) notify: u32,
    pub(crate) phone_book: u32,
    /// What only a verified office may use.
    pub(crate) verified: Vec<Used>,
    pub(crate) exclusions: Vec<Exclusion>,
    /// Classes that the office has to block.
    pub(crate) block: Vec<Arc<str>>,
    pub(crate) caps: Caps,
}

/// How many numbers an office may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberRules {
    pub(crate) additional: u32,
    pub(crate) per_id: PerId,
    /// Every device has a number of its own that rings nowhere else (S-06).
    pub(crate) direct_per_id: bool,
    /// A human may allow more (S-04).
    pub(crate) may_override: bool,
}

/// What additional numbers are counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PerId {
    /// The devices besides the first (S-03).
    Additional,
    /// All devices (S-04).
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VoicemailRules {
    /// Shortest, longest and step, in seconds.
    pub(crate) after: (u64, u64, u64),
    pub(crate) max_message: Duration,
    pub(crate) max_messages: u32,
    pub(crate) keep: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaxRules {
    pub(crate) receive_max_pages: u32,
    pub(crate) keep: u32,
    pub(crate) send_max_pages: u32,
    pub(crate) send_max_bytes: u64,
    pub(crate) retries: u32,
}

/// How recordings are kept and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordingRules {
    pub(crate) keep: Duration,
    pub(crate) visible_from: Cell,
}

/// What a number or an office can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Used {
    BusyAnnouncement,
    Voicemail,
    OffHours,
    Forwarding,
    Fax,
    Recording,
}

impl Used {
    pub(crate) const WORDS: [(&'static str, Self); 6] = [
        ("busy_announcement", Self::BusyAnnouncement),
        ("voicemail", Self::Voicemail),
        ("off_hours", Self::OffHours),
        ("forwarding", Self::Forwarding),
        ("fax", Self::Fax),
        ("recording", Self::Recording),
    ];

    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, used)| *used == self).map_or("", |(word, _)| word)
    }
}

/// Two things that cannot stand together, and what the admin is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exclusion {
    pub(crate) option: Used,
    pub(crate) forbids: Used,
    /// Anywhere in the office, not only on one number.
    pub(crate) whole_office: bool,
    pub(crate) sentence: Arc<str>,
}

/// The plans by name.
pub(crate) type RuleBook = BTreeMap<Arc<str>, Arc<Rules>>;

impl Rules {
    /// The plan of an office that names none.
    pub(crate) fn standard() -> Arc<Self> {
        static STANDARD: OnceLock<Arc<Rules>> = OnceLock::new();
        let read = || {
            let text = String::from(include_str!("../../plans/standard.toml"));
            let source = [(String::from("standard.toml"), text)];
            let mut report = Report::default();
            let book = read_book(&source, &Capabilities::all(), &mut report);
            // The text is compiled in; the test below reads it too.
            Arc::clone(book.get("standard").expect("the standard plan is in the text above"))
        };
        Arc::clone(STANDARD.get_or_init(read))
    }

    fn read(table: &Table<'_>) -> Option<Self> {
        table.req("schema", |item| item.whole(1, 1));
        let title = table.req("title", Item::text);
        let numbers = table.req("numbers", numbers);
        let own_files = table.req("announcements", |item| {
            item.table("plan.announcements", |t| t.req("own_files", |item| item.whole(0, 1_000)))
        });
        let voicemail = table.req("voicemail", voicemail);
        let fax = table.req("fax", fax);
        let recording = table.req("recording", |item| {
            item.table("plan.recording", |table| {
                let keep = table.req("keep", Item::duration);
                let visible_from = table.req("visible_from", Item::cell);
                Some(RecordingRules { keep: keep?, visible_from: visible_from? })
            })
        });
        let notify = table.req("notify", |item| {
            item.table("plan.notify", |t| t.req("addresses", |item| item.whole(0, 100)))
        });
        let phone_book = table.req("phone_book", |item| {
            item.table("plan.phone_book", |t| t.req("entries", |item| item.whole(0, 1_000_000)))
        });
        let used = |item: Item<'_>| item.choice(&Used::WORDS);
        let verified = table.or("verified", Vec::new(), |item| {
            item.table("plan.verified", |t| t.req("needed_for", |item| item.list(used)))
        });
        let block = table.or("block", Vec::new(), |item| item.list(Item::text));
        let exclusions =
            table.or("exclude", Vec::new(), |i| i.list(|i| i.table("plan.exclude", exclusion)));
        let none = Caps::default();
        let caps = table.or("limits", Caps::default(), |item| Caps::read(item, &none));
        Some(Self {
            title: title?,
            numbers: numbers?,
            own_files: own_files?,
            voicemail: voicemail?,
            fax: fax?,
            recording: recording?,
            notify: notify?,
            phone_book: phone_book?,
            verified,
            exclusions,
            block,
            caps,
        })
    }
}

fn numbers(item: Item<'_>) -> Option<NumberRules> {
    item.table("plan.numbers", |table| {
        let per_id = [("additional", PerId::Additional), ("all", PerId::All)];
        let additional = table.req("additional", |item| item.whole(0, 100));
        let per_id = table.req("per_id", |item| item.choice(&per_id));
        let direct_per_id = table.or("direct_per_id", false, Item::flag);
        let may_override = table.or("override", false, Item::flag);
        Some(NumberRules { additional: additional?, per_id: per_id?, direct_per_id, may_override })
    })
}

fn voicemail(item: Item<'_>) -> Option<VoicemailRules> {
    item.table("plan.voicemail", |table| {
        let after = table.req("after", |item| {
            item.table("plan.voicemail.after", |table| {
                let seconds = |key| table.req(key, |item| item.seconds(1, 600, 1));
                let (min, max, step) = (seconds("min"), seconds("max"), seconds("step"));
                Some((min?.as_secs(), max?.as_secs(), step?.as_secs()))
            })
        });
        let max_message = table.req("max_message", Item::duration);
        let max_messages = table.req("max_messages", |item| item.whole(1, 10_000));
        let keep = table.req("keep", Item::duration);
        Some(VoicemailRules {
            after: after?,
            max_message: max_message?,
            max_messages: max_messages?,
            keep: keep?,
        })
    })
}

fn fax(item: Item<'_>) -> Option<FaxRules> {
    item.table("plan.fax", |table| {
        let receive_max_pages = table.req("receive_max_pages", |item| item.whole(1, 10_000));
        let keep = table.req("keep", |item| item.whole(1, 1_000_000));
        let send = table.req("send", |item| {
            item.table("plan.fax.send", |table| {
                let pages = table.req("max_pages", |item| item.whole(1, 10_000));
                let bytes = table.req("max_bytes", |item| item.size(1_000_000_000));
                let retries = table.req("retries", |item| item.whole(0, 20));
                Some((pages?, bytes?, retries?))
            })
        });
        let (send_max_pages, send_max_bytes, retries) = send?;
        Some(FaxRules {
            receive_max_pages: receive_max_pages?,
            keep: keep?,
            send_max_pages,
            send_max_bytes,
            retries,
        })
    })
}

fn exclusion(table: &mut Table<'_>) -> Option<Exclusion> {
    let option = table.req("option", |item| item.choice(&Used::WORDS));
    let forbids = table.req("forbids", |item| item.choice(&Used::WORDS));
    let scopes = [("number", false), ("office", true)];
    let whole_office = table.or("scope", false, |item| item.choice(&scopes));
    let sentence = table.req("sentence", Item::text);
    Some(Exclusion { option: option?, forbids: forbids?, whole_office, sentence: sentence? })
}

/// Reads plan files: path and text. The plan's name is the file's.
pub(crate) fn read_book(
    sources: &[(String, String)],
    capabilities: &Capabilities,
    report: &mut Report,
) -> RuleBook {
    let mut book = RuleBook::new();
    for (path, text) in sources.iter().take(limit_of_files()) {
        let mut files = Files::default();
        let mut document = Document::default();
        let mut texts = Texts::default();
        let file = files.add(path, text);
        texts.add(&mut document, file, text);
        let mut reader = Reader::new(files, Names::default(), capabilities);
        texts.report(&mut reader);
        let root = Table::new(&reader, "plan", String::new(), Place::default(), &document.root);
        let rules = Rules::read(&root);
        drop(root);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let name = name.strip_suffix(".toml").unwrap_or(name);
        if let Some(rules) = rules.filter(|_| !reader.has_errors()) {
            book.insert(Arc::from(name), Arc::new(rules));
        }
        report.diagnostics.extend(reader.into_diagnostics(&Arc::from("")));
    }
    book
}

fn limit_of_files() -> usize {
    usize::try_from(limits::FILES.default).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_plan_is_in_order() {
        let source =
            [(String::from("standard.toml"), include_str!("../../plans/standard.toml").to_owned())];
        let mut report = Report::default();
        let book = read_book(&source, &Capabilities::all(), &mut report);
        assert_eq!(report.to_string(), "");
        assert_eq!(book.get("standard").map(|rules| rules.fax.keep), Some(200));
    }
}
