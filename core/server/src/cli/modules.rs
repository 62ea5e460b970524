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
            return table::columns(value, MODULES, "no module is loaded");
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
    ("RECORDINGS", "/recordings"),
    ("NOW", "/recording"),
    ("DROPPED", "/dropped"),
    ("SLOWEST US", "/slowest_us"),
    ("TOO LONG", "/too_long"),
];
