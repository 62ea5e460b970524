//! An office's book of callers: a TOML file of numbers, as the office dials them or with their `+`.
//!
//! ```toml
//! "0455550001" = "Tanaka"                 # what phones show
//! "+1900*" = { refuse = "premium" }       # whoever begins so is refused
//! "0120*" = { name = "Free of charge" }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use koukan_sdk::Caller;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest book that is read, in bytes.
pub const LARGEST: u64 = 16 << 20;

/// What is known of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    exact: BTreeMap<String, Arc<Caller>>,
    /// By their beginnings.
    begins: BTreeMap<String, Arc<Caller>>,
}

/// What is wrong in a book, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The sentence.
    pub words: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}  {}", self.line, self.column, self.words)
    }
}

impl Book {
    /// Reads a book.
    ///
    /// # Errors
    /// Everything that is wrong in it, in its order.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        let fault = |span: std::ops::Range<usize>, words: String| place(text, span.start, words);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut faults: Vec<Fault> = errors
            .iter()
            .map(|error| fault(error.span().unwrap_or_default(), error.message().to_owned()))
            .collect();
        let mut book = Self::default();
        for (key, value) in table.get_ref() {
            let Some((number, is_beginning)) = number(key.get_ref()) else {
                let words =
                    format!("\"{}\" is no number: digits, a + before, a * behind", key.get_ref());
                faults.push(fault(key.span(), words));
                continue;
            };
            let caller = match caller(value) {
                Ok(caller) => Arc::new(caller),
                Err((span, words)) => {
                    faults.push(fault(span, words));
                    continue;
                }
            };
            let numbers = if is_beginning { &mut book.begins } else { &mut book.exact };
            numbers.insert(number, caller);
        }
        faults.sort_by_key(|fault| (fault.line, fault.column));
        if faults.is_empty() { Ok(book) } else { Err(faults) }
    }

    /// What is known of a caller, by its number in either form: the exact one, else the longest
    /// beginning.
    #[must_use]
    pub fn find(&self, number: &str, national: &str) -> Option<Caller> {
        let forms = [number, national];
        let exact = forms.iter().find_map(|form| self.exact.get(*form));
        let beginning = || {
            let longest = |form: &&str| {
                let ends = (1..=form.len()).rev();
                ends.filter_map(|end| form.get(..end))
                    .find_map(|begin| Some((begin.len(), self.begins.get(begin)?)))
            };
            let found = forms.iter().filter_map(longest).max_by_key(|(length, _)| *length);
            found.map(|(_, caller)| caller)
        };
        exact.or_else(beginning).map(|caller| (**caller).clone())
    }

    /// How many numbers and beginnings it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.begins.len())
    }

    /// Whether nothing stands in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Digits without what people put between them, and whether it is a beginning.
fn number(key: &str) -> Option<(String, bool)> {
    let (key, is_beginning) = match key.strip_suffix('*') {
        Some(begin) => (begin, true),
        None => (key, false),
    };
    let number: String = key.chars().filter(|c| !matches!(c, '-' | '(' | ')' | ' ')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let fits = !digits.is_empty() && digits.len() <= 32;
    (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some((number, is_beginning))
}

type Wrong = (std::ops::Range<usize>, String);

fn caller(value: &Spanned<DeValue<'_>>) -> Result<Caller, Wrong> {
    let wrong = |words: &str| (value.span(), words.to_owned());
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err((value.span(), "a text is wanted here".to_owned())),
    };
    let table = match value.get_ref() {
        DeValue::String(name) => {
            return Ok(Caller { name: Some(name.to_string()), refuse: None });
        }
        DeValue::Table(table) => table,
        _ => return Err(wrong("a name, or { name = \"...\", refuse = \"...\" }")),
    };
    let mut caller = Caller::default();
    for (key, value) in table {
        match &**key.get_ref() {
            "name" => caller.name = Some(text(value)?),
            "refuse" => caller.refuse = Some(text(value)?),
            other => {
                let words = format!("unknown key \"{other}\"; known: name, refuse");
                return Err((key.span(), words));
            }
        }
    }
    if caller == Caller::default() {
        return Err(wrong("neither `name` nor `refuse`"));
    }
    Ok(caller)
}

fn place(text: &str, at: usize, words: String) -> Fault {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    Fault { line, column, words }
}
