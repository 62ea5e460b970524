//! Sources that are banned, and lifting a ban.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use koukan_switch::BanView;

use super::routes::{Answer, Refused, Shared};
use crate::control::Request;

/// `GET /v1/bans`.
pub(super) async fn list(State(service): Shared) -> Answer<Vec<BanView>> {
    Ok(Json(service.control.ask_all(Request::Bans).await?))
}

/// `DELETE /v1/bans/{address}`.
pub(super) async fn lift(
    State(service): Shared,
    Path(address): Path<String>,
) -> Result<StatusCode, Refused> {
    let bare = address.split('/').next().unwrap_or_default();
    let Ok(ip) = bare.parse::<IpAddr>() else {
        let words = format!("\"{address}\" is no address");
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    };
    match service.control.ask_all(|reply| Request::LiftBan(ip, reply)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refused(StatusCode::NOT_FOUND, format!("{address} is not banned"))),
    }
}
