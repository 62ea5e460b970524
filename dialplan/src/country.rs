//! A country's numbering plan as data: how numbers are written and dialled (ITU-T E.164, 6.2), its
//! area codes, carrier prefixes and classes. Japan's is built in; another country is another file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::capability::Capabilities;
use crate::diagnostic::Report;
use crate::model::class::Classes;
use crate::read::{Document, Item, Kind, Names, Reader, Table, Texts};
use crate::source::{COUNTRY_FILE, Files, Place};

/// A country's numbering plan.
#[derive(Debug)]
pub(crate) struct Country {
    /// Its name in `tenant.country`.
    pub(crate) name: Arc<str>,
    /// The country code, without `+`.
    code: Arc<str>,
    /// What stands before a national number.
    national: Arc<str>,
    /// What stands before an international number.
    international: Arc<str>,
    /// Hides the caller number of one call.
    pub(crate) hide: Option<Arc<str>>,
    /// Shows the caller number of one call.
    pub(crate) show: Option<Arc<str>>,
    /// Local dialling; none where every call needs its area code.
    local: Option<Local>,
    area_codes: HashSet<Arc<str>>,
    carriers: HashSet<Arc<str>>,
    longest_carrier: usize,
    /// The classes of an office that has none of its own.
    pub(crate) classes: Arc<Classes>,
    /// The class names with their places, and the file that they stand in.
    class_names: Vec<Arc<str>>,
    pub(crate) path: Arc<str>,
    pub(crate) text: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
struct Local {
    /// Digits of a geographic number with its area code.
    digits: usize,
    first: (u8, u8),
}

impl Country {
    /// A number in the one form that lookups and classes use: national digits with the prefix,
    /// foreign numbers behind the international prefix.
    pub(crate) fn canonical<'n>(&self, number: &'n str) -> Cow<'n, str> {
        let Some(global) = number.strip_prefix('+') else { return Cow::Borrowed(number) };
        match global.strip_prefix(&*self.code) {
            Some(rest) => Cow::Owned(format!("{}{rest}", self.national)),
            None => Cow::Owned(format!("{}{global}", self.international)),
        }
    }

    /// The same number as E.164 with its `+`; short codes stay as they are.
    pub(crate) fn e164<'n>(&self, canonical: &'n str) -> Cow<'n, str> {
        if let Some(global) = canonical.strip_prefix(&*self.international) {
            return Cow::Owned(format!("+{global}"));
        }
        match canonical.strip_prefix(&*self.national) {
            Some(rest) => Cow::Owned(format!("+{}{rest}", self.code)),
            None => Cow::Borrowed(canonical),
        }
    }

    /// A local number with its area code, when it is one.
    pub(crate) fn with_area<'n>(&self, dialled: &'n str, area_code: Option<&str>) -> Cow<'n, str> {
        let (Some(area), Some(local)) = (area_code, self.local) else {
            return Cow::Borrowed(dialled);
        };
        let (from, to) = local.first;
        let first = dialled.as_bytes().first().is_some_and(|first| (from..=to).contains(first));
        let plain = first && dialled.bytes().all(|b| b.is_ascii_digit());
        if plain && area.len() + dialled.len() == local.digits {
            return Cow::Owned(format!("{area}{dialled}"));
        }
        Cow::Borrowed(dialled)
    }

    /// The number behind a carrier's access prefix.
    pub(crate) fn behind_carrier<'n>(&self, canonical: &'n str) -> Option<&'n str> {
        (1..=self.longest_carrier).rev().find_map(|length| {
            let rest = canonical.get(length..)?;
            self.carriers.contains(canonical.get(..length)?).then_some(rest)
        })
    }

    /// Whether it is an area code; a country without a list knows none to be wrong.
    pub(crate) fn has_area(&self, code: &str) -> bool {
        self.area_codes.is_empty() || self.area_codes.contains(code)
    }

    pub(crate) fn area_codes(&self) -> impl Iterator<Item = &str> {
        self.area_codes.iter().map(|code| &**code)
    }

    pub(crate) fn class_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.class_names.iter()
    }

    fn read(path: &str, text: &str, name: &str, report: &mut Report) -> Option<Self> {
        let mut files = Files::default();
        files.set_country(path, text);
        let mut document = Document::default();
        let mut texts = Texts::default();
        texts.add(&mut document, COUNTRY_FILE, text);
        let all = Capabilities::all();
        let names = Names::collect(&document.root);
        let mut reader = Reader::new(files, names, &all);
        texts.report(&mut reader);
        let root = Table::new(&reader, "country", String::new(), Place::default(), &document.root);
        let country = Self::read_keys(&root, path, text, name);
        drop(root);
        let good = !reader.has_errors();
        report.diagnostics.extend(reader.into_diagnostics(&Arc::from("")));
        country.filter(|_| good)
    }

    fn read_keys(root: &Table<'_>, path: &str, text: &str, name: &str) -> Option<Self> {
        root.req("schema", |item| item.whole(1, 1));
        root.req("title", Item::text);
        let code = root.req("code", |item| item.plain_digits(3));
        let national = root.or("national", Arc::from(""), |item| item.plain_digits(2));
        let international = root.req("international", |item| item.plain_digits(4));
        let hide = root.opt("hide", Item::code);
        let show = root.opt("show", Item::code);
        let local = root.opt("local", |item| {
            item.table("country.local", |table| {
                let digits = table.req("digits", |item| item.whole(3, 15));
                let first = table.req("first", |item| item.list(|item| item.plain_digits(1)));
                let first = first?;
                let digit =
                    |at: usize| first.get(at).and_then(|text| text.as_bytes().first().copied());
                let bounds = (digit(0)?, digit(first.len().saturating_sub(1))?);
                Some(Local { digits: usize::try_from(digits?).ok()?, first: bounds })
            })
        });
        let codes = |item: Item<'_>| item.list(|item| item.plain_digits(8));
        let carriers = root.opt("carriers", |item| {
            item.table("country.carriers", |table| table.req("prefixes", codes))
        });
        let areas =
            root.opt("area", |item| item.table("country.area", |table| table.req("codes", codes)));
        let classes = Classes::read(root);
        let carriers: HashSet<Arc<str>> = carriers.unwrap_or_default().into_iter().collect();
        let mut class_names: Vec<Arc<str>> =
            root.reader.names.of(Kind::Class).map(Arc::from).collect();
        class_names.sort_unstable();
        Some(Self {
            name: Arc::from(name),
            code: code?,
            national,
            international: international?,
            hide,
            show,
            local,
            area_codes: areas.unwrap_or_default().into_iter().collect(),
            longest_carrier: carriers.iter().map(|code| code.len()).max().unwrap_or(0),
            carriers,
            classes: Arc::new(classes),
            class_names,
            path: Arc::from(path),
            text: Arc::from(text),
        })
    }
}

/// The countries that are known, by name.
#[derive(Clone, Debug)]
pub(crate) struct Countries {
    known: BTreeMap<Arc<str>, Arc<Country>>,
}

impl Countries {
    /// Japan and the files that are handed in; a file of a known name takes its place.
    pub(crate) fn read(sources: &[(String, String)], report: &mut Report) -> Self {
        let mut known = BTreeMap::from([(Arc::clone(&japan().name), japan())]);
        for (path, text) in sources {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            let name = name.strip_suffix(".toml").unwrap_or(name);
            if let Some(country) = Country::read(path, text, name, report) {
                known.insert(Arc::from(name), Arc::new(country));
            }
        }
        Self { known }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(|name| &**name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Country>> {
        self.known.get(name)
    }
}

/// The numbering plan that is built in, and that of callers who are nobody's.
pub(crate) fn japan() -> Arc<Country> {
    static JAPAN: OnceLock<Arc<Country>> = OnceLock::new();
    let read = || {
        let mut report = Report::default();
        let text = include_str!("../countries/jp.toml");
        let country = Country::read("countries/jp.toml", text, "jp", &mut report);
        // The text is compiled in; the test below reads it too.
        Arc::new(country.expect("the numbering plan of Japan is in order"))
    };
    Arc::clone(JAPAN.get_or_init(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_to_the_national_form_and_back() {
        let japan = japan();
        assert_eq!(japan.canonical("+81312340001"), "0312340001");
        assert_eq!(japan.canonical("+14155550001"), "01014155550001");
        assert_eq!(japan.canonical("0312340001"), "0312340001");
        assert_eq!(japan.e164("0312340001"), "+81312340001");
        assert_eq!(japan.e164("01014155550001"), "+14155550001");
        assert_eq!(japan.e164("110"), "110");
    }

    #[test]
    fn a_local_number_gets_its_area_code() {
        let japan = japan();
        assert_eq!(japan.with_area("12345678", Some("03")), "12345678");
        assert_eq!(japan.with_area("52345678", Some("03")), "0352345678");
        assert_eq!(japan.with_area("5234567", Some("03")), "5234567");
        assert_eq!(japan.with_area("5550001", Some("045")), "0455550001");
        assert_eq!(japan.with_area("23456", Some("04992")), "0499223456");
        assert_eq!(japan.with_area("52345678", None), "52345678");
    }

    #[test]
    fn a_carriers_prefix_is_taken_off_and_the_longest_one_counts() {
        let japan = japan();
        assert_eq!(japan.behind_carrier("00330455550001"), Some("0455550001"));
        assert_eq!(japan.behind_carrier("0091200455550001"), Some("0455550001"));
        assert_eq!(japan.behind_carrier("0033010441"), Some("010441"));
        assert_eq!(japan.behind_carrier("0455550001"), None);
        assert_eq!(japan.behind_carrier("01044"), None);
    }

    #[test]
    fn the_classes_of_japan_follow_prefix_and_count_of_digits() {
        let japan = japan();
        let day = jiff::civil::date(2026, 7, 1);
        let class = |number: &str| japan.classes.of(number, day).map(|entry| &*entry.class);
        let cases = [
            ("110", Some("emergency")),
            ("#9110", Some("service")),
            ("104", None),
            ("0312340001", Some("fixed")),
            ("03123400012", None),
            ("09012345678", Some("mobile")),
            ("0901234567", None),
            ("05012345678", Some("ip050")),
            ("0120123456", Some("tollfree")),
            ("08001234567", Some("tollfree")),
            ("0570123456", Some("navi")),
            ("02012345678", Some("data")),
            ("02001234567890", Some("data")),
            ("01014155550001", Some("international")),
            ("0033", Some("carrier")),
            ("312340001", None),
        ];
        for (number, expected) in cases {
            assert_eq!(class(number), expected, "{number}");
        }
        assert!(japan.has_area("04992") && !japan.has_area("0100"));
        assert_eq!(japan.area_codes().count(), 396);
    }
}
