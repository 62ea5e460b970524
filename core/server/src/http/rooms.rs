//! Conference rooms: who is in them, and what an operator orders there. Queues: who waits in them
//! and what their agents do.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use koukan_switch::{QueueView, RoomError, RoomOrder, RoomView};

use super::routes::{Answer, Refused, Shared};
use crate::control::{InRoom, Request};

/// `GET /v1/rooms`.
pub(super) async fn list(State(service): Shared) -> Answer<Vec<RoomView>> {
    let key = |view: &RoomView| (view.tenant.clone(), view.room.clone());
    Ok(Json(service.control.list(Request::Rooms, key).await?))
}

/// `GET /v1/queues`.
pub(super) async fn queues(State(service): Shared) -> Answer<Vec<QueueView>> {
    let key = |view: &QueueView| (view.tenant.clone(), view.queue.clone());
    Ok(Json(service.control.list(Request::Queues, key).await?))
}

/// `POST /v1/tenants/{tenant}/rooms/{room}`: an order as `{"lock": true}`, `{"put_out": "CALL"}`.
pub(super) async fn order(
    State(service): Shared,
    Path((tenant, room)): Path<(String, String)>,
    Json(order): Json<RoomOrder>,
) -> Result<StatusCode, Refused> {
    let order = InRoom { tenant: tenant.clone(), room, order };
    let done = service.control.ask_home(&tenant, |reply| Request::InRoom(order, reply)).await?;
    done.map(|()| StatusCode::NO_CONTENT).map_err(|error| {
        let status = match &error {
            RoomError::Empty { .. } | RoomError::NoMember { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        Refused(status, error.to_string())
    })
}
