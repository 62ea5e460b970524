//! `koukan fax`: the faxes of an office, those that came and those that go, over the same calls of
//! the API as any other program. Ids of faxes that go begin with `s`.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::Value;

use super::client::{self, Answer};
use super::ctl::{Column, escaped, refusal};
use super::{Failed, Reach, table};

#[derive(Debug, Args)]
pub(super) struct FaxArguments {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Send a PDF, JPEG, PNG, TIFF or text, and say how far it is until it is over
    Send(SendArguments),
    /// The received faxes of a tenant, the newest first
    List {
        /// The tenant's id
        tenant: String,
        /// Those of one box alone, by its name in the plan
        #[arg(long = "box", conflicts_with = "sent")]
        mailbox: Option<String>,
        /// Those that are sent, or were, instead
        #[arg(long)]
        sent: bool,
    },
    /// What is known of one
    Show {
        /// The tenant's id
        tenant: String,
        /// Its id, as `list` prints it
        fax: String,
    },
    /// Send one no further; what of it is on the line is hung up
    Cancel {
        /// The tenant's id
        tenant: String,
        /// Its id, as `send` and `list --sent` print it
        fax: String,
    },
    /// Write a received one into a file: as PDF, or one page of it as JPEG
    Get {
        /// The tenant's id
        tenant: String,
        /// Its id, as `list` prints it
        fax: String,
        /// The file
        file: PathBuf,
        /// This page alone, counted from 1, as JPEG
        #[arg(long)]
        page: Option<usize>,
    },
    /// Delete a received one
    Delete {
        /// The tenant's id
        tenant: String,
        /// Its id, as `list` prints it
        fax: String,
    },
}

#[derive(Debug, Args)]
struct SendArguments {
    /// The tenant's id
    tenant: String,
    /// The document
    file: PathBuf,
    /// The number that it goes to
    #[arg(long)]
    to: String,
    /// The number that sends, by its digits or its name in the plan [default: the first with a box]
    #[arg(long)]
    from: Option<String>,
    /// The app that sends, by its device's name in the plan: its option may make pages free
    #[arg(long)]
    app: Option<String>,
    /// Lines a millimetre
    #[arg(long, value_enum, default_value = "fine")]
    resolution: Resolution,
    /// No line at the top of each page that says when, who, and which page it is
    #[arg(long)]
    no_header: bool,
    /// Print the id and end, without waiting for the result
    #[arg(long)]
    no_wait: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resolution {
    Standard,
    Fine,
    Superfine,
}

impl Resolution {
    const fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fine => "fine",
            Self::Superfine => "superfine",
        }
    }
}

const RECEIVED: &[Column] = &[
    ("FAX", "/id"),
    ("STARTED", "/started"),
    ("BOX", "/mailbox"),
    ("CALLER", "/caller"),
    ("STATION", "/station"),
    ("PAGES", "/pages"),
    ("RESULT", "/result"),
];

const SENT: &[Column] = &[
    ("FAX", "/id"),
    ("CREATED", "/created"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("STATE", "/state"),
    ("CONFIRMED", "/confirmed"),
    ("PAGES", "/pages"),
    ("RESULT", "/result"),
];

/// How often a fax is looked at while it is being sent.
const LOOKS: Duration = Duration::from_millis(500);

pub(super) fn fax(arguments: &FaxArguments) -> Result<(), Failed> {
    let FaxArguments { reach, order } = arguments;
    if let Order::Send(arguments) = order {
        return send(reach, arguments);
    }
    let (method, path) = request(order);
    let answer = asked(&reach.socket(), method, &path)?;
    let text = match order {
        Order::Get { file, .. } => {
            std::fs::write(file, &answer.body).map_err(|error| {
                Failed(format!("{} cannot be written: {error}", file.display()))
            })?;
            return Ok(());
        }
        Order::Delete { fax, .. } => format!("fax {fax} is deleted\n"),
        Order::Cancel { fax, .. } => format!("fax {fax} is cancelled\n"),
        _ if reach.json => format!("{}\n", answer.json()?),
        Order::List { sent: true, .. } => table::columns(&answer.json()?, SENT, "no fax was sent"),
        Order::List { .. } => table::columns(&answer.json()?, RECEIVED, "no fax was received"),
        Order::Show { .. } | Order::Send(_) => {
            let value = answer.json()?;
            let result = value["result"].as_str().unwrap_or_default();
            format!("{result}\n{}", table::lines(&value))
        }
    };
    table::print(&text);
    Ok(())
}

/// What the server answers, unless it refuses.
fn asked(socket: &Path, method: Method, path: &str) -> Result<Answer, Failed> {
    let answer = client::ask(socket, method, path, None)?;
    if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
}

fn request(order: &Order) -> (Method, String) {
    match order {
        Order::Send(arguments) => (Method::POST, of_sent(&arguments.tenant)),
        Order::List { tenant, sent: true, .. } => (Method::GET, of_sent(tenant)),
        Order::List { tenant, mailbox: None, .. } => (Method::GET, of_received(tenant)),
        Order::List { tenant, mailbox: Some(mailbox), .. } => {
            (Method::GET, format!("{}?box={}", of_received(tenant), escaped(mailbox)))
        }
        Order::Show { tenant, fax } => (Method::GET, one(tenant, fax)),
        Order::Cancel { tenant, fax } => {
            (Method::DELETE, format!("{}/{}", of_sent(tenant), escaped(fax)))
        }
        Order::Get { tenant, fax, page: None, .. } => {
            (Method::GET, format!("{}/pdf", one(tenant, fax)))
        }
        Order::Get { tenant, fax, page: Some(page), .. } => {
            (Method::GET, format!("{}/pages/{page}", one(tenant, fax)))
        }
        Order::Delete { tenant, fax } => {
            (Method::DELETE, format!("{}/{}", of_received(tenant), escaped(fax)))
        }
    }
}

fn of_received(tenant: &str) -> String {
    format!("/v1/tenants/{}/faxes", escaped(tenant))
}

fn of_sent(tenant: &str) -> String {
    format!("/v1/tenants/{}/sent-faxes", escaped(tenant))
}

fn one(tenant: &str, fax: &str) -> String {
    let of = if fax.starts_with('s') { of_sent(tenant) } else { of_received(tenant) };
    format!("{of}/{}", escaped(fax))
}

/// Hands a document in, and says how far it is until it is over.
fn send(reach: &Reach, arguments: &SendArguments) -> Result<(), Failed> {
    let SendArguments { tenant, file, to, from, app, resolution, no_header, no_wait } = arguments;
    let document = std::fs::read(file)
        .map_err(|error| Failed(format!("{} cannot be read: {error}", file.display())))?;
    let mut path = format!("{}?to={}", of_sent(tenant), escaped(to));
    if let Some(app) = app {
        path.push_str(&format!("&app={}", escaped(app)));
    }
    if let Some(from) = from {
        path.push_str(&format!("&from={}", escaped(from)));
    }
    path.push_str(&format!("&resolution={}&header={}", resolution.word(), !no_header));
    let socket = reach.socket();
    let body = (document.into(), "application/octet-stream");
    let answer = client::send(&socket, Method::POST, &path, body)?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    let mut view = answer.json()?;
    let id = view["id"].as_str().unwrap_or_default().to_owned();
    let told = |value: &Value| reach.json.then(|| table::print(&format!("{value}\n")));
    if *no_wait {
        told(&view).unwrap_or_else(|| table::print(&format!("{id}\n")));
        return Ok(());
    }
    let mut before = String::new();
    if !reach.json {
        let (pages, seconds) = (&view["pages"], &view["estimate_s"]);
        table::print(&format!("fax {id}: {pages} pages, about {seconds} s on the line\n"));
    }
    loop {
        let words = progress(&view);
        if words != before && !reach.json {
            table::print(&format!("{words}\n"));
        }
        before = words;
        match view["state"].as_str() {
            Some("done") => {
                told(&view);
                return Ok(());
            }
            Some("failed") => {
                told(&view);
                return Err(Failed(view["result"].as_str().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
        std::thread::sleep(LOOKS);
        view = asked(&socket, Method::GET, &one(tenant, &id))?.json()?;
    }
}

/// How far a fax is, in a line.
fn progress(view: &Value) -> String {
    let result = view["result"].as_str().unwrap_or_default();
    let (rate, medium) = (view["bit_rate"].as_u64().unwrap_or(0), &view["medium"]);
    match view["state"].as_str() {
        Some("sending") if rate > 0 => {
            let medium = if medium == "t38" { "T.38" } else { "G.711" };
            format!("{result} ({rate} bit/s over {medium})")
        }
        _ => result.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_which_way_its_fax_goes() {
        assert_eq!(one("acme", "s1-0"), "/v1/tenants/acme/sent-faxes/s1-0");
        assert_eq!(one("acme", "1-0"), "/v1/tenants/acme/faxes/1-0");
    }

    #[test]
    fn progress_names_pages_rate_and_medium() {
        let view = serde_json::json!({
            "state": "sending", "result": "1 of 3 pages are confirmed.", "bit_rate": 9600,
            "medium": "t38",
        });
        assert_eq!(progress(&view), "1 of 3 pages are confirmed. (9600 bit/s over T.38)");
    }
}
