//! The live settings of an office: what is in force, changes, and who changed what before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use koukan_dialplan::{Aside, Change, ChangeError, Effective, Entry};
use serde::Deserialize;

use super::routes::{Answer, Refused, Service, Shared};
use crate::api::{self, SettingAside, SettingChange, SettingInfo};
use crate::control::{Request, SetDone, SetOrder};
use crate::limits;

/// `GET /v1/tenants/{tenant}/settings`.
pub(super) async fn list(
    State(service): Shared,
    Path(tenant): Path<String>,
) -> Answer<api::Settings> {
    settings(&service, &tenant).await.map(Json)
}

/// `GET /v1/tenants/{tenant}/settings/{key}`.
pub(super) async fn one(
    State(service): Shared,
    Path((tenant, key)): Path<(String, String)>,
) -> Answer<SettingInfo> {
    let known = settings(&service, &tenant).await?.settings;
    let named = |info: &SettingInfo| {
        let short = info.key.split_once('.').map(|(_, short)| short);
        info.key == key || short == Some(key.as_str())
    };
    let found = known.into_iter().find(named);
    found.map(Json).ok_or_else(|| {
        Refused(StatusCode::NOT_FOUND, ChangeError::Key { key: key.into() }.to_string())
    })
}

async fn settings(service: &Service, tenant: &str) -> Result<api::Settings, Refused> {
    let plans = Arc::clone(&service.generations.lock().await.current().directory.plans);
    let name: Arc<str> = Arc::from(tenant);
    let flipped = service.control.ask_home(tenant, |reply| Request::Settings(name, reply)).await?;
    let aside: Vec<SettingAside> = flipped.aside().iter().map(aside).collect();
    if !plans.tenants().any(|id| **id == *tenant) && aside.is_empty() {
        return Err(Refused(StatusCode::NOT_FOUND, format!("there is no tenant \"{tenant}\"")));
    }
    let in_force = plans.effective(tenant, flipped.live());
    let settings = in_force.into_iter().map(info).collect();
    Ok(api::Settings { tenant: tenant.to_owned(), settings, aside })
}

/// The body of `PUT /v1/tenants/{tenant}/settings/{key}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    value: String,
    by: Option<String>,
}

pub(super) async fn put(
    State(service): Shared,
    Path((tenant, key)): Path<(String, String)>,
    Json(Put { value, by }): Json<Put>,
) -> Answer<Vec<SettingChange>> {
    change(&service, &tenant, &key, Some(&value), by).await
}

/// Who gives a setting back to the files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct By {
    by: Option<String>,
}

/// `DELETE /v1/tenants/{tenant}/settings/{key}`.
pub(super) async fn give_back(
    State(service): Shared,
    Path((tenant, key)): Path<(String, String)>,
    Query(By { by }): Query<By>,
) -> Answer<Vec<SettingChange>> {
    change(&service, &tenant, &key, None, by).await
}

async fn change(
    service: &Service,
    tenant: &str,
    key: &str,
    value: Option<&str>,
    by: Option<String>,
) -> Answer<Vec<SettingChange>> {
    let change = Change::parse(key, value).map_err(refused)?;
    let by = by.unwrap_or_else(|| "api".to_owned());
    let length = by.chars().count();
    if length == 0 || length > limits::SETTER_CHARS || by.chars().any(char::is_control) {
        let words = format!("`by` says who asks, in 1 to {} characters", limits::SETTER_CHARS);
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    let order = SetOrder { tenant: Arc::from(tenant), change, by: Arc::from(by) };
    let SetDone { written, safe } = service
        .control
        .ask_home(tenant, |reply| Request::Set(order, reply))
        .await?
        .map_err(refused)?;
    for Entry { key, value, by, .. } in &written {
        tracing::info!(tenant, %key, value = value.as_deref().unwrap_or("-"), %by, "setting");
    }
    if !safe {
        return Err(not_stored());
    }
    let written = written.into_iter().map(|entry| SettingChange {
        key: entry.key.to_string(),
        value: entry.value.map(|value| value.to_string()),
        by: entry.by.to_string(),
        at: entry.at,
    });
    Ok(Json(written.collect()))
}

/// What was asked for has been done and a restart would forget it.
pub(super) fn not_stored() -> Refused {
    let words = "it is in force, but the data directory takes nothing; it is tried again";
    Refused(StatusCode::INSUFFICIENT_STORAGE, words.to_owned())
}

/// How many changes are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    limit: Option<u32>,
}

/// `GET /v1/tenants/{tenant}/setting-history`: the newest first.
pub(super) async fn history(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Answer<Vec<SettingChange>> {
    let limit = query.limit.unwrap_or(CHANGES).min(MAX_CHANGES);
    let read = service.cdrs.setting_history(&tenant, limit).await;
    let read = read.map_err(|e| Refused(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let change = |setting: koukan_switch::SettingRecord| SettingChange {
        key: setting.key,
        value: setting.value,
        by: setting.by,
        at: setting.at,
    };
    Ok(Json(read.into_iter().map(change).collect()))
}

const CHANGES: u32 = 100;
const MAX_CHANGES: u32 = 10_000;

fn info(effective: Effective) -> SettingInfo {
    let Effective { key, value, place, changed } = effective;
    let (default, by, at) = match changed {
        Some((default, by, at)) => (Some(default), Some(by.to_string()), Some(at)),
        None => (None, None, None),
    };
    SettingInfo { key, value, place: place.map(|place| place.to_string()), default, by, at }
}

fn aside(aside: &Aside) -> SettingAside {
    SettingAside {
        key: aside.entry.key.to_string(),
        value: aside.entry.value.as_deref().unwrap_or_default().to_owned(),
        by: aside.entry.by.to_string(),
        at: aside.entry.at,
        why: aside.why.to_string(),
    }
}

fn refused(error: ChangeError) -> Refused {
    let status = match error {
        ChangeError::Unknown { .. } | ChangeError::Key { .. } => StatusCode::NOT_FOUND,
        ChangeError::NotVerified { .. }
        | ChangeError::NotSubscribed { .. }
        | ChangeError::NotSupported { .. }
        | ChangeError::NoAgent { .. }
        | ChangeError::NotShown { .. } => StatusCode::FORBIDDEN,
        ChangeError::TooMany { .. } => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Refused(status, error.to_string())
}
