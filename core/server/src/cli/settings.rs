//! `koukan ctl set|get|unset|history` and `koukan show`: the live settings of an office.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::ctl::{Column, Order, escaped, order};
use super::{Failed, Reach, table};

#[derive(Debug, Subcommand)]
pub(super) enum SettingOrder {
    /// Flip a live setting of an office: `number1.mode forward`, `number1.forward_to 09012345678`,
    /// `number1.closed on`, `A.caller_id number2`, `office.weekday.12:00-13:00 announce:lunch`,
    /// `office.2026-12-28 closed`
    Set {
        /// The tenant's id
        tenant: String,
        /// The setting
        key: String,
        /// Its new value
        value: String,
    },
    /// Show the live settings of an office that are in force, or one of them
    Get {
        /// The tenant's id
        tenant: String,
        /// The setting
        key: Option<String>,
    },
    /// Give a live setting back to what the files say
    Unset {
        /// The tenant's id
        tenant: String,
        /// The setting
        key: String,
    },
    /// Who changed which setting of an office, newest first
    History {
        /// The tenant's id
        tenant: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

impl SettingOrder {
    pub(super) fn request(&self) -> (Method, String, Option<Value>) {
        let at = |tenant: &str, key: &str| {
            format!("/v1/tenants/{}/settings/{}", escaped(tenant), escaped(key))
        };
        match self {
            Self::Set { tenant, key, value } => {
                (Method::PUT, at(tenant, key), Some(json!({ "value": value, "by": own_name() })))
            }
            Self::Unset { tenant, key } => {
                let path = format!("{}?by={}", at(tenant, key), escaped(&own_name()));
                (Method::DELETE, path, None)
            }
            Self::Get { tenant, key: Some(key) } => (Method::GET, at(tenant, key), None),
            Self::Get { tenant, key: None } => {
                (Method::GET, format!("/v1/tenants/{}/settings", escaped(tenant)), None)
            }
            Self::History { tenant, limit } => {
                let tenant = escaped(tenant);
                let path = format!("/v1/tenants/{tenant}/setting-history?limit={limit}");
                (Method::GET, path, None)
            }
        }
    }

    pub(super) fn shown(&self, value: &Value) -> String {
        match self {
            Self::Set { .. } | Self::Unset { .. } => {
                table::columns(value, CHANGES, "nothing changed: it was so already")
            }
            Self::History { .. } => table::columns(value, CHANGES, "nothing was changed yet"),
            Self::Get { key: Some(_), .. } => settings(&json!({ "settings": [value] })),
            Self::Get { key: None, .. } => settings(value),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    reach: Reach,
    /// Everything that is in force, and where it comes from; else what was flipped alone
    #[arg(long)]
    effective: bool,
    /// The tenant's id
    tenant: String,
}

pub(super) fn show(arguments: &ShowArguments) -> Result<(), Failed> {
    let ShowArguments { reach, effective, tenant } = arguments;
    if *effective {
        let get = SettingOrder::Get { tenant: tenant.clone(), key: None };
        return order(reach, &Order::Setting(get));
    }
    let history = SettingOrder::Get { tenant: tenant.clone(), key: None };
    super::ctl::order_shown(reach, &Order::Setting(history), |value| {
        let mut flipped = value.clone();
        if let Some(settings) = flipped["settings"].as_array_mut() {
            settings.retain(|setting| !setting["by"].is_null());
        }
        settings(&flipped)
    })
}

/// In force, with where it comes from; then what is kept aside.
fn settings(value: &Value) -> String {
    let source = |setting: &Value| match (setting["by"].as_str(), setting["place"].as_str()) {
        (Some(by), _) => {
            let at = setting["at"].as_str().unwrap_or_default();
            let default = setting["default"].as_str().unwrap_or("-");
            format!("set by {by} at {at}; the files: {default}")
        }
        (None, Some(place)) => place.to_owned(),
        (None, None) => "by default".to_owned(),
    };
    let rows = value["settings"].as_array().into_iter().flatten().map(|setting| {
        json!({ "key": setting["key"], "value": setting["value"], "source": source(setting) })
    });
    let rows: Value = rows.collect();
    let mut text = table::columns(&rows, IN_FORCE, "nothing was flipped");
    if value["aside"].as_array().is_some_and(|aside| !aside.is_empty()) {
        text.push_str("\nkept aside, not in force:\n");
        text.push_str(&table::columns(&value["aside"], ASIDE, ""));
    }
    text
}

/// Who asks, as the history will say.
fn own_name() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user: String = user.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let user: String = user.chars().take(USER_CHARS).collect();
    if user.is_empty() { "ctl".to_owned() } else { format!("ctl ({user})") }
}

const USER_CHARS: usize = 32;

const CHANGES: &[Column] =
    &[("SETTING", "/key"), ("VALUE", "/value"), ("BY", "/by"), ("AT", "/at")];

const IN_FORCE: &[Column] = &[("SETTING", "/key"), ("VALUE", "/value"), ("FROM", "/source")];

const ASIDE: &[Column] =
    &[("SETTING", "/key"), ("VALUE", "/value"), ("BY", "/by"), ("AT", "/at"), ("WHY", "/why")];
