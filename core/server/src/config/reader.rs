//! The spanned reader of `koukan.toml`: it walks the document, knows every key by being asked for
//! it, and collects what is wrong with its place instead of stopping at the first error.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use koukan_dialplan::masked_line;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong, where it stands and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file as the admin knows it.
    pub path: String,
    /// From 1; 0 when the whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to do; may be empty.
    pub hint: String,
    excerpt: String,
    underline: String,
}

impl Finding {
    /// A finding about a file as a whole.
    #[must_use]
    pub fn about_file(path: String, message: String, hint: String) -> Self {
        let (line, column) = (0, 0);
        Self { path, line, column, message, hint, excerpt: String::new(), underline: String::new() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, message, hint, excerpt, underline } = self;
        if *line == 0 {
            write!(f, "{path}  {message}")?;
            return if hint.is_empty() { Ok(()) } else { write!(f, "\n    {hint}") };
        }
        write!(f, "{path}:{line}:{column}  {message}\n    {excerpt}\n    {underline}")?;
        if hint.is_empty() { Ok(()) } else { write!(f, " {hint}") }
    }
}

/// One file under the eyes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    findings: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, findings: RefCell::default(), warnings: RefCell::default() }
    }

    /// The document, as much of it as can be read; syntax errors are noted.
    pub(super) fn parse(&self) -> Spanned<DeTable<'a>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.note(span, error.message().to_owned(), String::new());
        }
        document
    }

    /// What is wrong, and what only should be known, each in the order of the file.
    pub(super) fn into_findings(self) -> (Vec<Finding>, Vec<Finding>) {
        let sorted = |cell: RefCell<Vec<Finding>>| {
            let mut findings = cell.into_inner();
            findings.sort_by_key(|finding| (finding.line, finding.column));
            findings
        };
        (sorted(self.findings), sorted(self.warnings))
    }

    pub(super) fn note(&self, span: Range<usize>, message: String, hint: String) {
        let finding = self.finding(span, message, hint);
        self.findings.borrow_mut().push(finding);
    }

    fn finding(&self, span: Range<usize>, message: String, hint: String) -> Finding {
        let start = boundary(self.text, span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let lead = before.get(line_start..).unwrap_or_default();
        let rest = self.text.get(line_start..).unwrap_or_default();
        let excerpt = masked_line(rest.lines().next().unwrap_or_default()).into_owned();
        let under = self.text.get(start..boundary(self.text, span.end)).unwrap_or_default();
        let carets = under.lines().next().unwrap_or_default().chars().count().max(1);
        let blanks: String = lead.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Finding {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: lead.chars().count() + 1,
            message,
            hint,
            excerpt,
            underline: format!("{blanks}{}", "^".repeat(carets)),
        }
    }
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A table whose keys are known by being asked for; dropping it notes the others.
#[derive(Debug)]
pub(super) struct Table<'r> {
    reader: &'r Reader<'r>,
    path: String,
    table: Option<&'r DeTable<'r>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r> Table<'r> {
    pub(super) fn root(reader: &'r Reader<'r>, table: &'r DeTable<'r>) -> Self {
        Self { reader, path: String::new(), table: Some(table), asked: RefCell::default() }
    }

    fn find(&self, key: &'static str) -> Option<(Range<usize>, &'r Spanned<DeValue<'r>>)> {
        self.asked.borrow_mut().push(key);
        let table = self.table?;
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    /// The value of a key, when it is there.
    pub(super) fn item(&self, key: &'static str) -> Option<Item<'r>> {
        let (key_span, value) = self.find(key)?;
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Some(Item { reader: self.reader, path, key_span, value })
    }

    /// The table of a key; an empty one when it is missing.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let empty = || Self {
            reader: self.reader,
            path: key.to_owned(),
            table: None,
            asked: RefCell::default(),
        };
        self.item(key).and_then(|item| item.table()).unwrap_or_else(empty)
    }

    /// Every entry, for tables whose keys are names.
    pub(super) fn entries(&self) -> Vec<(&'r str, Item<'r>)> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        entries
            .map(|(name, value)| {
                let path = format!("{}.{}", self.path, name.get_ref());
                let item = Item { reader: self.reader, path, key_span: name.span(), value };
                (name.get_ref().as_ref(), item)
            })
            .collect()
    }

    /// Leaves the unknown keys alone.
    pub(super) fn open(mut self) {
        self.table = None;
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for (name, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            if asked.contains(&name.get_ref().as_ref()) {
                continue;
            }
            let place =
                if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) };
            let message = format!("unknown key \"{}\"{place}", name.get_ref());
            self.reader.note(name.span(), message, nearest(name.get_ref(), &asked));
        }
    }
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Item<'r> {
    reader: &'r Reader<'r>,
    pub(super) path: String,
    key_span: Range<usize>,
    value: &'r Spanned<DeValue<'r>>,
}

impl<'r> Item<'r> {
    /// Notes that the value is not what was expected.
    pub(super) fn wrong<T>(&self, expected: &str) -> Option<T> {
        let found = self.reader.text.get(self.value.span()).unwrap_or_default();
        let found = found.lines().next().unwrap_or_default();
        self.note(format!("`{}` cannot be {found}", self.path), format!("expected {expected}"))
    }

    /// Notes something about the value.
    pub(super) fn note<T>(&self, message: String, hint: String) -> Option<T> {
        self.reader.note(self.value.span(), message, hint);
        None
    }

    /// Notes something about the value that is no error.
    pub(super) fn warn(&self, message: String, hint: String) {
        let finding = self.reader.finding(self.value.span(), message, hint);
        self.reader.warnings.borrow_mut().push(finding);
    }

    /// Notes something about the key.
    pub(super) fn note_key(&self, message: String, hint: String) {
        self.reader.note(self.key_span.clone(), message, hint);
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    pub(super) fn table(&self) -> Option<Table<'r>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Table {
                reader: self.reader,
                path: self.path.clone(),
                table: Some(table),
                asked: RefCell::default(),
            }),
            _ => self.wrong("a table"),
        }
    }

    pub(super) fn text(&self) -> Option<&'r str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong("a text in quotes"),
        }
    }

    /// A text that `parse` reads.
    pub(super) fn parsed<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.value.get_ref() {
            DeValue::String(text) => parse(text).or_else(|| self.wrong(expected)),
            _ => self.wrong(expected),
        }
    }

    pub(super) fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let expected = || format!("a number from {} to {}", range.start(), range.end());
        match self.value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .ok()
                .and_then(|number| u64::try_from(number).ok())
                .filter(|number| range.contains(number))
                .or_else(|| self.wrong(&expected())),
            _ => self.wrong(&expected()),
        }
    }

    /// An integer, or a text that `parse` reads.
    pub(super) fn integer_or<T>(
        &self,
        range: std::ops::RangeInclusive<u64>,
        number: impl FnOnce(u64) -> T,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.value.get_ref() {
            DeValue::Integer(_) => self.integer(range).map(number),
            _ => self.parsed(expected, parse),
        }
    }

    /// The value as JSON, whatever it is: somebody else says what it may be.
    pub(super) fn json(&self) -> String {
        json(self.value.get_ref()).to_string()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong("true or false"),
        }
    }

    pub(super) fn list(&self) -> Option<Vec<Item<'r>>> {
        match self.value.get_ref() {
            DeValue::Array(values) => Some(
                values
                    .iter()
                    .map(|value| Item {
                        reader: self.reader,
                        path: self.path.clone(),
                        key_span: self.key_span.clone(),
                        value,
                    })
                    .collect(),
            ),
            _ => self.wrong("a list"),
        }
    }

    /// `20s`, `3m`, `2h`, `7d`, within bounds in seconds.
    pub(super) fn duration(&self, range: std::ops::RangeInclusive<u64>) -> Option<Duration> {
        let expected =
            format!("a duration such as \"20s\" or \"3m\", {}s to {}s", range.start(), range.end());
        self.parsed(&expected, |text| {
            let unit = text.chars().next_back()?;
            let factor: u64 = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return None,
            };
            let digits = text.strip_suffix(unit)?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let seconds = digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(factor)?;
            range.contains(&seconds).then(|| Duration::from_secs(seconds))
        })
    }
}

fn json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().into(), serde_json::Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or_else(|_| number.as_str().into(), serde_json::Value::from),
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}

/// The hint for an unknown name: the nearest one, then all.
pub(super) fn nearest(wrong: &str, known: &[&str]) -> String {
    let mut names = known.to_vec();
    names.sort_unstable();
    names.dedup();
    let near = names
        .iter()
        .map(|name| (distance(wrong.as_bytes(), name.as_bytes()), *name))
        .filter(|(distance, name)| *distance <= name.len().max(3) / 3)
        .min();
    let guess = near.map(|(_, name)| format!("did you mean \"{name}\"? ")).unwrap_or_default();
    format!("{guess}known: {}", names.join(", "))
}

/// Levenshtein's distance of the first 64 bytes.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let cut = |bytes: &'_ [u8]| bytes.iter().take(64).copied().collect::<Vec<u8>>();
    let (left, right) = (cut(left), cut(right));
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (b, pair) in right.iter().zip(last.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let side = current.last().copied().unwrap_or(0);
            current.push((diagonal + usize::from(a != b)).min(above + 1).min(side + 1));
        }
        last = current;
    }
    last.last().copied().unwrap_or(0)
}
