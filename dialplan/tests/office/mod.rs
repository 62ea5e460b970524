//! The sample office as text, and loading of one office.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod world;

use jiff::Timestamp;
use koukan_dialplan::{Capabilities, Loaded, Plans, TenantSource};

/// The whole sample.
pub(crate) fn sample() -> String {
    String::from(include_str!("../data/acme/office.toml"))
}

/// A moment for expectations that name none: Wednesday, 1 July 2026, 10:00 in Japan.
pub(crate) fn wednesday() -> Timestamp {
    "2026-07-01T10:00:00+09:00".parse().expect("a date")
}

/// Loads one office from one text.
pub(crate) fn load(text: &str, capabilities: &Capabilities) -> Loaded {
    load_files(&[("office.toml", text)], capabilities)
}

/// Loads one office from several texts.
pub(crate) fn load_files(files: &[(&str, &str)], capabilities: &Capabilities) -> Loaded {
    let files = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
    let tenant = TenantSource { name: String::from("acme"), files };
    Plans::load(&[tenant], &[], capabilities, wednesday())
}

/// A change that breaks the sample, and where the error must be reported.
pub(crate) struct Break {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// Text whose first character is the error's place, looked for from the change on, else from
    /// the start.
    pub(crate) at: &'static str,
}

impl Break {
    pub(crate) fn apply(&self, text: &str) -> String {
        assert!(text.contains(self.from), "the sample has no {}", self.from);
        text.replacen(self.from, self.to, 1)
    }

    /// Line and column of the place in the broken text.
    pub(crate) fn position(&self, text: &str) -> (u32, u32) {
        let change = text.find(self.to).expect("the change is in the text");
        let found = text[change..].find(self.at).map(|at| change + at);
        line_and_column(text, found.or_else(|| text.find(self.at)).expect("the place is there"))
    }
}

/// Line and column, from 1, in characters, of a byte of a text.
pub(crate) fn line_and_column(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).expect("small"), u32::try_from(column).expect("small"))
}
