//! `koukan ctl recordings`: the recorded calls of a tenant.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::ctl::{Column, escaped, query};
use super::table;

#[derive(Clone, Debug, Args)]
pub(super) struct RecordingsOrder {
    /// The tenant's id
    tenant: String,
    /// Of this number alone, by its name in the plan
    #[arg(long)]
    number: Option<String>,
    /// Begun at or after this date: 2026-07-01T00:00:00+09:00
    #[arg(long)]
    from: Option<String>,
    /// Begun before this date
    #[arg(long)]
    until: Option<String>,
    /// Whose caller or called number holds these digits
    #[arg(long)]
    party: Option<String>,
    /// Download them into this ZIP file
    #[arg(long)]
    pub(super) zip: Option<PathBuf>,
}

impl RecordingsOrder {
    pub(super) fn path(&self) -> String {
        let query = query(&[
            ("number", &self.number),
            ("from", &self.from),
            ("until", &self.until),
            ("party", &self.party),
        ]);
        let form = if self.zip.is_some() { ".zip" } else { "" };
        let tenant = escaped(&self.tenant);
        format!("/v1/tenants/{tenant}/recordings{form}?{query}")
    }
}

const RECORDINGS: &[Column] = &[
    ("RECORDING", "/id"),
    ("STARTED", "/started"),
    ("NUMBER", "/number"),
    ("DIRECTION", "/direction"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("MS", "/length_ms"),
];

/// Those that may be seen, a line each.
pub(super) fn shown(recordings: &Value) -> String {
    table::columns(recordings, RECORDINGS, "no recording may be seen")
}
