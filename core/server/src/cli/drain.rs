//! `koukan ctl drain`: no new calls; says what is still up until the server has ended.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{self, Answer};
use super::ctl::{Column, refusal};
use super::{Failed, Reach, table};

#[derive(Debug, Args)]
pub(super) struct DrainArguments {
    /// End what is still up after so long: 90s, 10m, 2h
    #[arg(long, default_value = "10m", value_parser = seconds)]
    deadline: u64,
    /// Say what is up now and return; the server goes on draining
    #[arg(long)]
    no_wait: bool,
    /// Only say whether it drains and what is up
    #[arg(long, conflicts_with_all = ["deadline", "off"])]
    show: bool,
    /// Take calls again
    #[arg(long, conflicts_with = "deadline")]
    off: bool,
    /// Who says so
    #[arg(long, default_value = "operator")]
    by: String,
}

/// `90s`, `10m`, `2h`.
fn seconds(text: &str) -> Result<u64, String> {
    let words = || format!("\"{text}\" is no time: 90s, 10m or 2h");
    let number = text.trim_end_matches(['s', 'm', 'h']);
    let times = match text.strip_prefix(number) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        _ => return Err(words()),
    };
    let count: u64 = number.parse().map_err(|_| words())?;
    count.checked_mul(times).ok_or_else(words)
}

const CALLS: &[Column] = &[
    ("CALL", "/call"),
    ("TENANT", "/tenant"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("STARTED", "/started"),
    ("STAGE", "/stage"),
];

const GLANCE: Duration = Duration::from_millis(500);

/// How often what is left is told although nothing has changed.
const AGAIN: u32 = 60;

pub(super) fn drain(reach: &Reach, order: &DrainArguments) -> Result<(), Failed> {
    let path = "/v1/drain";
    let ask = |method, body: Option<&Value>| client::ask(&reach.socket(), method, path, body);
    if order.off {
        taken(&ask(Method::DELETE, None)?)?;
        table::print(if reach.json { "null\n" } else { "calls are taken again\n" });
        return Ok(());
    }
    let body = json!({ "within_s": order.deadline, "by": order.by });
    let first = match order.show {
        true => ask(Method::GET, None)?,
        false => ask(Method::POST, Some(&body))?,
    };
    taken(&first)?;
    let mut left = first.json()?;
    print(reach, &left);
    if order.show || order.no_wait {
        return Ok(());
    }
    for glance in 1_u32.. {
        std::thread::sleep(GLANCE);
        // Whoever drains is not there any more at the end: that is what was asked for.
        let Ok(answer) = ask(Method::GET, None) else { break };
        if !answer.status.is_success() {
            break;
        }
        let now = answer.json()?;
        if now["draining"] == false {
            return Err(Failed("somebody has called the draining off".to_owned()));
        }
        if names(&now) != names(&left) || glance % AGAIN == 0 {
            print(reach, &now);
        }
        left = now;
    }
    if !reach.json {
        let cut = left["calls"].as_array().map_or(0, Vec::len);
        let words = if cut == 0 { String::new() } else { format!("; last seen up: {cut} calls") };
        table::print(&format!("the server has ended{words}\n"));
    }
    Ok(())
}

fn taken(answer: &Answer) -> Result<(), Failed> {
    if answer.status.is_success() { Ok(()) } else { Err(refusal(answer)) }
}

/// Which calls are up, and how many faxes.
fn names(report: &Value) -> (Vec<&str>, u64) {
    let calls = report["calls"].as_array().into_iter().flatten();
    let names = calls.filter_map(|call| call["call"].as_str()).collect();
    (names, report["faxes"].as_u64().unwrap_or(0))
}

fn print(reach: &Reach, report: &Value) {
    table::print(&if reach.json { format!("{report}\n") } else { shown(report) });
}

fn shown(report: &Value) -> String {
    let deadline = report["deadline"].as_str().unwrap_or_default();
    let state = match (report["draining"].as_bool(), deadline) {
        (Some(true), "") => "the server ends".to_owned(),
        (Some(true), deadline) => format!("no new calls are taken; the end is at {deadline}"),
        _ => "the server does not drain".to_owned(),
    };
    let calls = report["calls"].as_array().map_or(0, Vec::len);
    format!(
        "{state}; up are {calls} calls, {} of them faxes; {} were refused\n{}",
        report["faxes"],
        report["refused"],
        if calls == 0 { String::new() } else { table::columns(&report["calls"], CALLS, "") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7_200));
        for wrong in ["", "10", "m", "-1s", "1d", "99999999999999999999h", "6148914691236517206m"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
