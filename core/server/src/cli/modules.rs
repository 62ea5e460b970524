//! `koukan ctl module` and `koukan module`: the builds of modules in the process.

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::ctl::{Column, escaped};
use super::table;

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ModuleOrder {
    /// Every build in the process, with its calls and what it costs
    List,
    /// Put a module of koukan.toml in service that is not
    Load {
        /// Its name in koukan.toml
        name: String,
    },
    /// Load a module's file again: new calls go to the new build, the old one keeps its own
    Replace {
        /// Its name in koukan.toml
        name: String,
    },
    /// Take a module out of service; the calls that it has go on for a while
    Unload {
        /// Its name in koukan.toml
        name: String,
    },
}

impl ModuleOrder {
    pub(super) fn request(&self) -> (Method, String, Option<Value>) {
        match self {
            Self::List => (Method::GET, "/v1/modules".to_owned(), None),
            Self::Load { name } => {
                (Method::POST, format!("/v1/modules/{}/load", escaped(name)), None)
            }
            Self::Replace { name } => {
                (Method::POST, format!("/v1/modules/{}/replace", escaped(name)), None)
            }
            Self::Unload { name } => {
                (Method::DELETE, format!("/v1/modules/{}", escaped(name)), None)
            }
        }
    }

    pub(super) fn shown(&self, value: &Value) -> String {
        if matches!(self, Self::List) {
            return table::columns(value, MODULES, "no module is loaded") + &counted(value);
        }
        let module = value["module"].as_str().unwrap_or_default();
        let mut text = match value["build"].as_u64() {
            Some(build) => {
                let version = value["version"].as_str().unwrap_or_default();
                format!("module {module}: build {build} (version {version}) is in service\n")
            }
            None => format!("module {module} is out of service\n"),
        };
        if let Some(build) = value["drains"].as_u64() {
            text.push_str(&format!("build {build} drains, {} calls go on\n", value["calls"]));
        }
        text
    }
}

/// What the modules count themselves, a line each.
fn counted(value: &Value) -> String {
    let mut text = String::new();
    for module in value.as_array().into_iter().flatten() {
        let of = module["name"].as_str().unwrap_or_default();
        for metric in module["metrics"].as_array().into_iter().flatten() {
            let name = metric["name"].as_str().unwrap_or_default();
            text.push_str(&format!("{of} {}: {name} {}\n", module["build"], metric["value"]));
        }
    }
    text
}

const MODULES: &[Column] = &[
    ("MODULE", "/name"),
    ("BUILD", "/build"),
    ("VERSION", "/version"),
    ("ROLE", "/role"),
    ("STATE", "/state"),
    ("AGE S", "/age_s"),
    ("RUNNING", "/instances"),
    ("STARTS", "/starts"),
    ("EVENTS", "/events"),
    ("A SECOND", "/events_per_s"),
    ("FAILED", "/failures"),
    ("RECORDS", "/records"),
    ("QUESTIONS", "/questions"),
    ("LATE", "/late"),
    ("SLOWEST US", "/slowest_us"),
    ("TOO LONG", "/too_long"),
];
