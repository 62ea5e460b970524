//! `koukan ctl notices`: what an office's apps hear of.

use clap::Args;
use serde_json::Value;

use super::ctl::{Column, escaped, query};
use super::table;

#[derive(Clone, Debug, Args)]
pub(super) struct NoticesOrder {
    /// The tenant's id
    tenant: String,
    /// Behind this number, the last one that is known
    #[arg(long)]
    after: Option<u64>,
    /// Wait so many seconds for the next one when there is none
    #[arg(long)]
    wait: Option<u64>,
}

impl NoticesOrder {
    pub(super) fn path(&self) -> String {
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let query = query(&[("after", &text(self.after)), ("wait", &text(self.wait))]);
        format!("/v1/tenants/{}/notices?{query}", escaped(&self.tenant))
    }
}

const NOTICES: &[Column] = &[
    ("NUMBER", "/number"),
    ("AT", "/at"),
    ("EVENT", "/event"),
    ("BOX", "/box"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("PAGES", "/pages"),
    ("FAX", "/id"),
    ("RESULT", "/result"),
];

/// Those that there are, a line each.
pub(super) fn shown(notices: &Value) -> String {
    table::columns(notices, NOTICES, "there is nothing new")
}
