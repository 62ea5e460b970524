//! `koukan ctl …`: every call of the HTTP API as a command.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::backup::{self, BackupArguments};
use super::client::{self, Answer};
use super::drain::{self, DrainArguments};
use super::modules::ModuleOrder;
use super::notices::{self, NoticesOrder};
use super::recordings::{self, RecordingsOrder};
use super::rooms::RoomArguments;
use super::settings::SettingOrder;
use super::trace::{self, TraceArguments};
use super::{Failed, Reach, rooms, table};

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
    /// Take no new calls, say what is still up, and end the server when nothing is
    Drain(DrainArguments),
    /// Copy configuration, state, recordings, messages and faxes while the server runs
    Backup(BackupArguments),
    /// Who is in the conference rooms
    Rooms,
    /// Lock a conference room, mute a member, put one out, call one in
    Room(RoomArguments),
    /// Who waits in the queues, and what their agents do
    Queues,
    /// Place a call with sound through the server, and name the hop that fails
    Selftest {
        /// The tenant's id
        tenant: String,
        /// The device that calls; the office's first otherwise
        #[arg(long)]
        device: Option<String>,
        /// The extension that is an echo; the office's first otherwise
        #[arg(long)]
        number: Option<String>,
    },
    /// The phones that are registered
    Registrations,
    /// The trunks: whether they take calls, their hosts, our registrations there
    Trunks,
    /// Take a trunk out of service, or in again: no new calls, those that are up stay
    Maintenance {
        /// The trunk: TENANT/NAME, or NAME of one of the whole server
        trunk: String,
        /// Out of service, or in again
        #[arg(value_parser = ["on", "off"])]
        state: String,
        /// Who says so
        #[arg(long, default_value = "operator")]
        by: String,
    },
    /// Sources that are banned for guessing passwords or asking without end
    Bans {
        #[command(subcommand)]
        order: Option<BansOrder>,
    },
    /// The loaded modules (the same as `module list`)
    Modules,
    /// The loaded modules: list them, load, replace or unload one
    #[command(subcommand)]
    Module(ModuleOrder),
    /// The records of the latest calls, newest first
    Cdrs {
        /// How many at most
        #[arg(long)]
        limit: Option<u32>,
        /// For other programs, the oldest first: a line a call, or an object a line
        #[arg(long, value_parser = ["csv", "jsonl"])]
        format: Option<String>,
        /// Of this office alone
        #[arg(long, requires = "format")]
        tenant: Option<String>,
        /// Begun at or after this date: 2026-07-01T00:00:00+09:00
        #[arg(long, requires = "format")]
        from: Option<String>,
        /// Begun before this date
        #[arg(long, requires = "format")]
        until: Option<String>,
    },
    /// What was said on the wire: the SIP messages of a call
    Trace(TraceArguments),
    /// What lies in the voicemail boxes of all offices
    Boxes,
    /// The faxes of all offices, received and sent
    Faxes {
        /// Of this office alone
        #[arg(long)]
        tenant: Option<String>,
    },
    /// What an office's apps hear of: faxes that came or were sent, numbered
    Notices(NoticesOrder),
    /// Why a call went as it did
    Why {
        /// The call's id
        call: String,
    },
    /// Check the configuration directory that the server runs on, without taking it
    Check,
    /// Read the dialplan again; refused as a whole when anything is wrong
    Reload(Reload),
    /// The generations of the plans that are kept, the one in force first
    Generations,
    #[command(flatten)]
    Setting(SettingOrder),
    /// Show the date and time of the server, or move it (`[test] clock = true`)
    Clock {
        /// The date to set, with its offset: 2026-07-01T12:30:00+09:00
        date: Option<String>,
        /// Give the date back to the operating system
        #[arg(long, conflicts_with = "date")]
        system: bool,
    },
    /// The recorded calls of a tenant that may be seen, the newest first
    Recordings(RecordingsOrder),
    /// Delete recorded calls of a tenant; the auditor gets a line
    DeleteRecordings {
        /// The tenant's id
        tenant: String,
        /// Their ids, as `recordings` prints them
        #[arg(required = true)]
        ids: Vec<String>,
        /// Who says so
        #[arg(long, default_value = "operator")]
        by: String,
    },
    /// The lines for the auditor of a tenant
    Audit {
        /// The tenant's id
        tenant: String,
    },
    /// The metrics in Prometheus' text format
    Metrics,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum BansOrder {
    /// Lift a ban
    Lift {
        /// The address
        address: String,
    },
}

#[derive(Clone, Debug, Args)]
#[group(id = "reload")]
pub(super) struct Reload {
    /// One tenant alone, by its id or its directory; every other stands as it is
    #[arg(conflicts_with = "rollback")]
    tenant: Option<String>,
    /// Bring back what was in force before the last reload
    #[arg(long)]
    rollback: bool,
}

pub(super) fn ctl(arguments: &CtlArguments) -> Result<(), Failed> {
    match &arguments.order {
        Order::Drain(order) => drain::drain(&arguments.reach, order),
        Order::Backup(order) => backup::backup(&arguments.reach, order),
        Order::Trace(order) => trace::trace(&arguments.reach, order),
        other => order(&arguments.reach, other),
    }
}

pub(super) fn order(reach: &Reach, order: &Order) -> Result<(), Failed> {
    order_shown(reach, order, |value| shown(order, value))
}

/// The same, with the answer shown in another way.
pub(super) fn order_shown(
    reach: &Reach,
    order: &Order,
    shown: impl Fn(&Value) -> String,
) -> Result<(), Failed> {
    let (method, path, body) = request(order);
    let answer = client::ask(&socket(reach), method, &path, body.as_ref())?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    if matches!(order, Order::Metrics | Order::Cdrs { format: Some(_), .. }) {
        table::print(&String::from_utf8_lossy(&answer.body));
        return Ok(());
    }
    if let Order::Recordings(RecordingsOrder { zip: Some(file), .. }) = order {
        std::fs::write(file, &answer.body)
            .map_err(|error| Failed(format!("{} cannot be written: {error}", file.display())))?;
        return Ok(());
    }
    let value = answer.json()?;
    let text = if reach.json { format!("{value}\n") } else { shown(&value) };
    table::print(&text);
    if matches!(order, Order::Check) && value["errors"] != 0 {
        return Err(Failed(counted(&value)));
    }
    if let (Order::Selftest { .. }, Some(hop)) = (order, value["failed"].as_str()) {
        return Err(Failed(format!("{hop}: failed")));
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
        Order::Drain(_) => get("/v1/drain"),
        Order::Backup(_) => (Method::POST, "/v1/backup".to_owned(), None),
        Order::Rooms => get("/v1/rooms"),
        Order::Room(room) => room.request(),
        Order::Queues => get("/v1/queues"),
        Order::Selftest { tenant, device, number } => {
            let wanted = json!({ "tenant": tenant, "device": device, "number": number });
            (Method::POST, "/v1/selftest".to_owned(), Some(wanted))
        }
        Order::Registrations => get("/v1/registrations"),
        Order::Bans { order: None } => get("/v1/bans"),
        Order::Bans { order: Some(BansOrder::Lift { address }) } => {
            (Method::DELETE, format!("/v1/bans/{}", escaped(address)), None)
        }
        Order::Trunks => get("/v1/trunks"),
        Order::Maintenance { trunk, state, by } => {
            let path = match trunk.split_once('/') {
                Some((tenant, name)) => {
                    format!("/v1/tenants/{}/trunks/{}/maintenance", escaped(tenant), escaped(name))
                }
                None => format!("/v1/trunks/{}/maintenance", escaped(trunk)),
            };
            (Method::PUT, path, Some(json!({ "on": state == "on", "by": by })))
        }
        Order::Modules => get("/v1/modules"),
        Order::Module(order) => order.request(),
        Order::Cdrs { limit, format: None, .. } => {
            get(&format!("/v1/cdrs?limit={}", limit.unwrap_or(100)))
        }
        Order::Cdrs { limit, format: Some(format), tenant, from, until } => {
            let limit = limit.map(|limit| limit.to_string());
            let query =
                query(&[("limit", &limit), ("tenant", tenant), ("from", from), ("until", until)]);
            get(&format!("/v1/cdrs.{format}?{query}"))
        }
        Order::Trace(_) => get("/v1/trace"),
        Order::Boxes => get("/v1/boxes"),
        Order::Faxes { tenant } => get(&format!("/v1/faxes?{}", query(&[("tenant", tenant)]))),
        Order::Notices(order) => get(&order.path()),
        Order::Why { call } => get(&format!("/v1/why/{}", escaped(call))),
        Order::Recordings(order) => get(&order.path()),
        Order::DeleteRecordings { tenant, ids, by } => {
            let (tenant, ids, by) = (escaped(tenant), escaped(&ids.join(",")), escaped(by));
            let path = format!("/v1/tenants/{tenant}/recordings?ids={ids}&by={by}");
            (Method::DELETE, path, None)
        }
        Order::Audit { tenant } => get(&format!("/v1/tenants/{}/audit", escaped(tenant))),
        Order::Check => (Method::POST, "/v1/check".to_owned(), None),
        Order::Reload(Reload { rollback: true, .. }) => {
            (Method::POST, "/v1/rollback".to_owned(), None)
        }
        Order::Reload(Reload { tenant: Some(tenant), .. }) => {
            (Method::POST, format!("/v1/reload/{}", escaped(tenant)), None)
        }
        Order::Reload(_) => (Method::POST, "/v1/reload".to_owned(), None),
        Order::Generations => get("/v1/generations"),
        Order::Setting(order) => order.request(),
        Order::Clock { date: None, system: false } => get("/v1/clock"),
        Order::Clock { date, .. } => {
            (Method::POST, "/v1/clock".to_owned(), Some(json!({ "date": date })))
        }
        Order::Metrics => get("/metrics"),
    }
}

/// What of a query is there.
pub(super) fn query(parts: &[(&str, &Option<String>)]) -> String {
    let set = parts.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let parts: Vec<String> = set.map(|(key, value)| format!("{key}={}", escaped(value))).collect();
    parts.join("&")
}

/// What a user typed, as one segment of a path.
pub(super) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The words of a refusal: `error`, or the findings of a check.
pub(super) fn refusal(answer: &Answer) -> Failed {
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
pub(super) type Column = (&'static str, &'static str);

const CALLS: &[Column] = &[
    ("CALL", "/call"),
    ("TENANT", "/tenant"),
    ("DIRECTION", "/direction"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("ANSWERED", "/answered"),
    ("STAGE", "/stage"),
];

const HOPS: &[Column] = &[("HOP", "/hop"), ("OK", "/ok"), ("MS", "/ms"), ("SEEN", "/seen")];

const REGISTRATIONS: &[Column] = &[
    ("USER", "/user"),
    ("DEVICE", "/device"),
    ("FROM", "/flow"),
    ("HEALTH", "/health"),
    ("EXPIRES", "/expires_s"),
    ("PHONE", "/user_agent"),
    ("CONTACT", "/contact"),
];

const BANS: &[Column] = &[
    ("SOURCE", "/source"),
    ("SINCE", "/since"),
    ("UNTIL", "/until"),
    ("DROPPED", "/dropped"),
    ("WHY", "/why"),
];

const TRUNKS: &[Column] = &[
    ("TENANT", "/tenant"),
    ("TRUNK", "/trunk"),
    ("STATE", "/state"),
    ("REGISTRATION", "/registration"),
    ("UNTIL", "/registered_until"),
    ("HOST", "/hosts/0/address"),
    ("HEALTH", "/hosts/0/health"),
    ("CALLS", "/calls"),
    ("OF", "/channels"),
    ("BEGUN", "/begun"),
    ("FAILED", "/failed"),
    ("MAINTENANCE", "/maintenance_by"),
];

/// One line a host: those of a trunk with several.
fn trunks(value: &Value) -> String {
    let mut rows = Vec::new();
    for trunk in value.as_array().into_iter().flatten() {
        let hosts = trunk["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.push(trunk.clone());
        for host in hosts.iter().skip(1) {
            rows.push(json!({ "hosts": [host] }));
        }
    }
    table::columns(&Value::Array(rows), TRUNKS, "there is no trunk")
}

const GENERATIONS: &[Column] = &[
    ("GENERATION", "/number"),
    ("SINCE", "/since"),
    ("BROUGHT BY", "/what"),
    ("TENANTS", "/tenants"),
];

const CDRS: &[Column] = &[
    ("CALL", "/call"),
    ("STARTED", "/started"),
    ("ENDED", "/ended"),
    ("CALLER", "/caller"),
    ("CALLED", "/called"),
    ("STATUS", "/status"),
    ("CAUSE", "/cause"),
    ("PRICE", "/price"),
];

const BOXES: &[Column] =
    &[("TENANT", "/tenant"), ("BOX", "/box"), ("NEW", "/new"), ("OLD", "/old")];

const FAXES: &[Column] = &[
    ("TENANT", "/tenant"),
    ("WAY", "/way"),
    ("FAX", "/fax/id"),
    ("BOX", "/fax/box"),
    ("PAGES", "/fax/pages"),
    ("RESULT", "/fax/result"),
];

/// One line a fax.
fn faxes(offices: &Value) -> String {
    let mut rows = Vec::new();
    for office in offices.as_array().into_iter().flatten() {
        for way in ["received", "sent"] {
            for fax in office[way].as_array().into_iter().flatten() {
                rows.push(json!({ "tenant": office["tenant"], "way": way, "fax": fax }));
            }
        }
    }
    table::columns(&Value::Array(rows), FAXES, "no fax was received or sent")
}

const AUDIT: &[Column] = &[("AT", "/at"), ("BY", "/by"), ("WHAT", "/what"), ("RECORDINGS", "/ids")];

fn shown(order: &Order, value: &Value) -> String {
    match order {
        Order::Recordings(_) => recordings::shown(value),
        Order::DeleteRecordings { .. } => {
            format!("{} recordings are deleted\n", value.as_array().map_or(0, Vec::len))
        }
        Order::Audit { .. } => table::columns(value, AUDIT, "nothing was done"),
        Order::Status | Order::Clock { .. } => table::lines(value),
        Order::Calls => table::columns(value, CALLS, "no call is under way"),
        Order::Rooms => rooms::shown(value),
        Order::Queues => rooms::queues(value),
        Order::Selftest { .. } => table::columns(&value["hops"], HOPS, "nothing was tried"),
        Order::Room(_) => "done\n".to_owned(),
        Order::Registrations => table::columns(value, REGISTRATIONS, "no phone is registered"),
        Order::Bans { order: None } => table::columns(value, BANS, "nobody is banned"),
        Order::Bans { order: Some(BansOrder::Lift { address }) } => {
            format!("the ban of {address} is lifted\n")
        }
        Order::Trunks | Order::Maintenance { .. } => trunks(value),
        Order::Modules => ModuleOrder::List.shown(value),
        Order::Module(order) => order.shown(value),
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
        Order::Generations => table::columns(value, GENERATIONS, "none"),
        Order::Setting(order) => order.shown(value),
        Order::Check | Order::Reload(_) => {
            let findings = value["findings"].as_array().into_iter().flatten();
            let mut text: String =
                findings.filter_map(|finding| Some(format!("{}\n", finding.as_str()?))).collect();
            let told = |key: &str, mark: &str| -> String {
                let lines = value[key].as_array().into_iter().flatten();
                lines.filter_map(|line| Some(format!("{mark}{}\n", line.as_str()?))).collect()
            };
            text.push_str(&told("aside", "warning: "));
            text.push_str(&told("changes", ""));
            if matches!(order, Order::Reload(_)) {
                let count = value["changes"].as_array().map_or(0, Vec::len);
                text.push_str(&format!("{count} outcomes differ\n"));
            }
            text.push_str(&format!(
                "{} tenants, {} devices, {}\n",
                value["tenants"],
                value["devices"],
                counted(value)
            ));
            text
        }
        Order::Kill { call } => format!("call {call} is being ended\n"),
        Order::Boxes => table::columns(value, BOXES, "no box has had a message"),
        Order::Faxes { .. } => faxes(value),
        Order::Notices(_) => notices::shown(value),
        Order::Metrics | Order::Drain(_) | Order::Backup(_) | Order::Trace(_) => String::new(),
    }
}
