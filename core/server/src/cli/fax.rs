//! `koukan fax list|show|get|delete`: the received faxes of an office, over the same calls of the
//! API as any other program.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;

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
    /// The received faxes of a tenant, the newest first
    List {
        /// The tenant's id
        tenant: String,
        /// Those of one box alone, by its name in the plan
        #[arg(long = "box")]
        mailbox: Option<String>,
    },
    /// What is known of one
    Show {
        /// The tenant's id
        tenant: String,
        /// Its id, as `list` prints it
        fax: String,
    },
    /// Write one into a file: as PDF, or one page of it as JPEG
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
    /// Delete one
    Delete {
        /// The tenant's id
        tenant: String,
        /// Its id, as `list` prints it
        fax: String,
    },
}

const FAXES: &[Column] = &[
    ("FAX", "/id"),
    ("STARTED", "/started"),
    ("BOX", "/mailbox"),
    ("CALLER", "/caller"),
    ("STATION", "/station"),
    ("PAGES", "/pages"),
    ("RESULT", "/result"),
];

pub(super) fn fax(arguments: &FaxArguments) -> Result<(), Failed> {
    let FaxArguments { reach, order } = arguments;
    let (method, path) = request(order);
    let answer: Answer = client::ask(&reach.socket(), method, &path, None)?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    let text = match order {
        Order::Get { file, .. } => {
            std::fs::write(file, &answer.body).map_err(|error| {
                Failed(format!("{} cannot be written: {error}", file.display()))
            })?;
            return Ok(());
        }
        Order::Delete { fax, .. } => format!("fax {fax} is deleted\n"),
        Order::List { .. } | Order::Show { .. } if reach.json => format!("{}\n", answer.json()?),
        Order::List { .. } => table::columns(&answer.json()?, FAXES, "no fax was received"),
        Order::Show { .. } => {
            let value = answer.json()?;
            let result = value["result"].as_str().unwrap_or_default();
            format!("{result}\n{}", table::lines(&value))
        }
    };
    table::print(&text);
    Ok(())
}

fn request(order: &Order) -> (Method, String) {
    let of = |tenant: &str| format!("/v1/tenants/{}/faxes", escaped(tenant));
    let one = |tenant: &str, fax: &str| format!("{}/{}", of(tenant), escaped(fax));
    match order {
        Order::List { tenant, mailbox: None } => (Method::GET, of(tenant)),
        Order::List { tenant, mailbox: Some(mailbox) } => {
            (Method::GET, format!("{}?box={}", of(tenant), escaped(mailbox)))
        }
        Order::Show { tenant, fax } => (Method::GET, one(tenant, fax)),
        Order::Get { tenant, fax, page: None, .. } => {
            (Method::GET, format!("{}/pdf", one(tenant, fax)))
        }
        Order::Get { tenant, fax, page: Some(page), .. } => {
            (Method::GET, format!("{}/pages/{page}", one(tenant, fax)))
        }
        Order::Delete { tenant, fax } => (Method::DELETE, one(tenant, fax)),
    }
}
