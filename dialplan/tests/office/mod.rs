//! The sample office as text, and loading of one office.
#![allow(dead_code, reason = "each test file uses its part")]

use jiff::Timestamp;
use koukan_dialplan::{Capabilities, Loaded, Plans, TenantSource};

/// The whole sample.
pub fn sample() -> String {
    String::from(include_str!("../data/acme/office.toml"))
}

/// A moment for expectations that name none: Wednesday, 1 July 2026, 10:00 in Japan.
pub fn wednesday() -> Timestamp {
    "2026-07-01T10:00:00+09:00".parse().expect("a date")
}

/// Loads one office from one text.
pub fn load(text: &str, capabilities: &Capabilities) -> Loaded {
    load_files(&[("office.toml", text)], capabilities)
}

/// Loads one office from several texts.
pub fn load_files(files: &[(&str, &str)], capabilities: &Capabilities) -> Loaded {
    let files = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
    let tenant = TenantSource { name: String::from("acme"), files };
    Plans::load(&[tenant], &[], capabilities, wednesday())
}
