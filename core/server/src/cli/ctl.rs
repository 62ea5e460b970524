//! `koukan ctl …`: every call of the HTTP API as a command.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{self, Answer};
use super::{Failed, Reach, table};

#[derive(Debug, Args)]
pub(super) struct CtlArguments {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// How the server is
    Status,
    /// The calls under way
    Calls,
    /// End a call
    Kill {
        /// The call's id, as `calls` prints it
        call: String,
    },
    /// The phones that are registered
    Registrations,
    /// The loaded modules
    Modules,
    /// The records of the latest calls, newest first
    Cdrs {
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Why a call went as it did
    Why {
        /// The call's id
        call: String,
    },
    /// Check the configuration directory that the server runs on, without taking it
    Check,
    /// Read the dialplan again; refused as a whole when anything is wrong
    Reload,
    /// Show the date and time of the server, or move it (`[test] clock = true`)
    Clock {
        /// The date to set, with its offset: 2026-07-01T12:30:00+09:00
        date: Option<String>,
        /// Give the date back to the operating system
        #[arg(long, conflicts_with = "date")]
        system: bool,
    },
    /// The metrics in Prometheus' text format
    Metrics,
}

pub(super) fn ctl(arguments: &CtlArguments) -> Result<(), Failed> {
    order(&arguments.reach, &arguments.order)
}

pub(super) fn order(reach: &Reach, order: &Order) -> Result<(), Failed> {
    let (method, path, body) = request(order);
    let answer = client::ask(&socket(reach), method, &path, body.as_ref())?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    if matches!(order, Order::Metrics) {
        table::print(&String::from_utf8_lossy(&answer.body));
        return Ok(());
    }
    let value = answer.json()?;
    let text = if reach.json { format!("{value}\n") } else { shown(order, &value) };
    table::print(&text);
    if matches!(order, Order::Check) && value["errors"] != 0 {
        return Err(Failed(counted(&value)));
    }
    Ok(())
}

fn socket(reach: &Reach) -> PathBuf {
    reach.socket()
}

fn request(order: &Order) -> (Method, String, Option<Value>) {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    match order {
        Order::Status => get("/v1/status"),
        Order::Calls => get("/v1/calls"),
        Order::Kill { call } => (Method::DELETE, format!("/v1/calls/{}", escaped(call)), None),
        Order::Registrations => get("/v1/registrations"),
        Order::Modules => get("/v1/modules"),
        Order::Cdrs { limit } => get(&format!("/v1/cdrs?limit={limit}")),
        Order::Why { call } => get(&format!("/v1/why/{}", escaped(call))),
        Order::Check => (Method::POST, "/v1/check".to_owned(), None),
        Order::Reload => (Method::POST, "/v1/reload".to_owned(), None),
        Order::Clock { date: None, system: false } => get("/v1/clock"),
        Order::Clock { date, .. } => {
            (Method::POST, "/v1/clock".to_owned(), Some(json!({ "date": date })))
        }
        Order::Metrics => get("/metrics"),
    }
}

/// What a user typed, as one segment of a path.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The words of a refusal: `error`, or the findings of a check.
fn refusal(answer: &Answer) -> Failed {
    let value = answer.json().unwrap_or(Value::Null);
    if let Some(error) = value["error"].as_str() {
        return Failed(error.to_owned());
    }
    let findings: Vec<&str> =
        value["findings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if findings.is_empty() {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        return Failed(format!("the server refused with {}: {body}", answer.status));
    }
    Failed(format!("{}\nnothing was changed: {}", findings.join("\n"), counted(&value)))
}

fn counted(report: &Value) -> String {
    format!("{} errors, {} warnings", report["errors"], report["warnings"])
}

/// A column's title and where its value stands in a row.
type Column = (&'static str, &'static str);

const CALLS: &[Column] = &[
    ("CALL", "/call"),
    ("TENANT", "/tenant"),
    ("DIRECTION", "/direction"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("ANSWERED", "/answered"),
    ("STAGE", "/stage"),
];

const REGISTRATIONS: &[Column] = &[
    ("USER", "/user"),
    ("DEVICE", "/device"),
    ("FROM", "/flow"),
    ("HEALTH", "/health"),
    ("EXPIRES", "/expires_s"),
    ("PHONE", "/user_agent"),
    ("CONTACT", "/contact"),
];

const MODULES: &[Column] = &[
    ("MODULE", "/name"),
    ("VERSION", "/version"),
    ("ROLE", "/role"),
    ("STATE", "/state"),
    ("RUNNING", "/instances"),
];

const CDRS: &[Column] = &[
    ("CALL", "/call"),
    ("STARTED", "/started"),
    ("ENDED", "/ended"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("STATUS", "/status"),
    ("CAUSE", "/cause"),
];

fn shown(order: &Order, value: &Value) -> String {
    match order {
        Order::Status | Order::Clock { .. } => table::lines(value),
        Order::Calls => table::columns(value, CALLS, "no call is under way"),
        Order::Registrations => table::columns(value, REGISTRATIONS, "no phone is registered"),
        Order::Modules => table::columns(value, MODULES, "no module is loaded"),
        Order::Cdrs { .. } => table::columns(value, CDRS, "no call was made yet"),
        Order::Why { .. } => {
            let lines = value["lines"].as_array().into_iter().flatten();
            lines
                .map(|line| {
                    let part = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                    format!("{}  {}\n", part("at"), part("text"))
                })
                .collect()
        }
        Order::Check | Order::Reload => {
            let findings = value["findings"].as_array().into_iter().flatten();
            let mut text: String =
                findings.filter_map(|finding| Some(format!("{}\n", finding.as_str()?))).collect();
            text.push_str(&format!(
                "{} tenants, {} devices, {}\n",
                value["tenants"],
                value["devices"],
                counted(value)
            ));
            text
        }
        Order::Kill { call } => format!("call {call} is being ended\n"),
        Order::Metrics => String::new(),
    }
}
