//! `koukan ctl trace`: what was said on the wire, as text, as a ladder, or as a capture.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::ctl::{escaped, refusal};
use super::{Failed, Reach, client, table};

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// The call's id; without one, everything that is kept
    call: Option<String>,
    /// Draw who said what to whom
    #[arg(long)]
    ladder: bool,
    /// Write a capture for Wireshark into this file
    #[arg(long, value_name = "FILE", conflicts_with = "ladder")]
    pcapng: Option<PathBuf>,
}

pub(super) fn trace(reach: &Reach, order: &TraceArguments) -> Result<(), Failed> {
    let form = match (&order.pcapng, order.ladder) {
        (Some(_), _) => "pcapng",
        (None, true) => "ladder",
        (None, false) => "json",
    };
    let of = order.call.as_ref().map(|call| format!("/{}", escaped(call))).unwrap_or_default();
    let path = format!("/v1/trace{of}?form={form}");
    let answer = client::ask(&reach.socket(), Method::GET, &path, None)?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    if let Some(file) = &order.pcapng {
        return std::fs::write(file, &answer.body)
            .map_err(|error| Failed(format!("{} cannot be written: {error}", file.display())));
    }
    if order.ladder {
        table::print(&String::from_utf8_lossy(&answer.body));
        return Ok(());
    }
    let messages = answer.json()?;
    table::print(&if reach.json { format!("{messages}\n") } else { shown(&messages) });
    Ok(())
}

/// The messages as they went, each behind a line that says when, which way and between whom.
fn shown(messages: &Value) -> String {
    let mut text = String::new();
    for message in messages.as_array().into_iter().flatten() {
        let part = |name: &str| message[name].as_str().unwrap_or_default();
        let arrow = if part("way") == "out" { "->" } else { "<-" };
        let (at, transport) = (part("at"), part("transport"));
        text.push_str(&format!("{at} {transport} {} {arrow} {}\n", part("local"), part("remote")));
        for line in part("message").lines() {
            // What strangers send does not steer a terminal.
            let plain: String = line.chars().filter(|sign| !sign.is_control()).collect();
            text.push_str(&format!("    {plain}\n"));
        }
        text.push('\n');
    }
    if text.is_empty() { "nothing is kept of it\n".to_owned() } else { text }
}
