//! Draining: no new calls, the list of what is still up, the end of the process.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::routes::{Answer, Refused, Shared};
use crate::api;
use crate::control::{DrainOrder, Request};
use crate::limits;

/// `GET /v1/drain`: what is still up.
pub(super) async fn show(State(service): Shared) -> Answer<api::Drain> {
    Ok(Json(service.control.ask_all(Request::Drained).await?))
}

/// The body of `POST /v1/drain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    within_s: u64,
    by: String,
}

/// `POST /v1/drain`: take no new calls, and end when nothing is up or the time is over.
pub(super) async fn begin(
    State(service): Shared,
    Json(Order { within_s, by }): Json<Order>,
) -> Answer<api::Drain> {
    if within_s > limits::DRAIN_SECONDS {
        let words = format!("`within_s` is 0 to {}", limits::DRAIN_SECONDS);
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    if by.is_empty() || by.chars().count() > limits::SETTER_CHARS {
        let words = format!("`by` has 1 to {} characters", limits::SETTER_CHARS);
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    let order = DrainOrder { within: Duration::from_secs(within_s), by };
    Ok(Json(service.control.ask_all(|reply| Request::Drain(order.clone(), reply)).await?))
}

/// `DELETE /v1/drain`: take calls again.
pub(super) async fn call_off(State(service): Shared) -> Result<StatusCode, Refused> {
    match service.control.ask_all(Request::CallOffDrain).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refused(StatusCode::NOT_FOUND, "the server does not drain".to_owned())),
    }
}
