//! Trunks: how they are, and taking one out of service.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use koukan_switch::{TrunkKey, TrunkView};
use serde::Deserialize;

use super::routes::{Answer, Refused, Service, Shared};
use crate::control::{MaintenanceOrder, Request};
use crate::limits;

/// `GET /v1/trunks`.
pub(super) async fn list(State(service): Shared) -> Answer<Vec<TrunkView>> {
    Ok(Json(service.control.ask_all(Request::Trunks).await?))
}

/// The body of `PUT .../maintenance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Maintenance {
    on: bool,
    by: String,
}

/// `PUT /v1/trunks/{trunk}/maintenance`: of a trunk of the whole server.
pub(super) async fn maintenance(
    State(service): Shared,
    Path(trunk): Path<String>,
    Json(body): Json<Maintenance>,
) -> Answer<Vec<TrunkView>> {
    set(&service, (None, Arc::from(trunk)), body).await
}

/// `PUT /v1/tenants/{tenant}/trunks/{trunk}/maintenance`.
pub(super) async fn of_tenant(
    State(service): Shared,
    Path((tenant, trunk)): Path<(String, String)>,
    Json(body): Json<Maintenance>,
) -> Answer<Vec<TrunkView>> {
    set(&service, (Some(Arc::from(tenant)), Arc::from(trunk)), body).await
}

async fn set(service: &Service, trunk: TrunkKey, body: Maintenance) -> Answer<Vec<TrunkView>> {
    let Maintenance { on, by } = body;
    if by.is_empty() || by.chars().count() > limits::SETTER_CHARS {
        let words = format!("`by` has 1 to {} characters", limits::SETTER_CHARS);
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    let (tenant, name) = trunk.clone();
    let order = |reply| {
        let (trunk, by) = (trunk.clone(), by.clone());
        Request::Maintenance(MaintenanceOrder { trunk, by, on }, reply)
    };
    // A trunk of the server is everybody's.
    let said = match &tenant {
        Some(tenant) => vec![service.control.ask_home(tenant, order).await?],
        None => service.control.ask_each(order).await?,
    };
    let Some(safe) = said.into_iter().flatten().reduce(|one, other| one && other) else {
        let owner = tenant.map_or("of the server".to_owned(), |tenant| format!("of {tenant}"));
        let words = format!("there is no trunk \"{name}\" {owner}");
        return Err(Refused(StatusCode::NOT_FOUND, words));
    };
    if !safe {
        return Err(super::settings::not_stored());
    }
    let all = service.control.ask_all(Request::Trunks).await?;
    let same =
        |view: &TrunkView| view.tenant.as_deref() == tenant.as_deref() && *view.trunk == *name;
    Ok(Json(all.into_iter().filter(same).collect()))
}
