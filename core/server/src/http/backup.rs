//! Backups are made beside the server; it says where its state lies, once all of it can be read
//! there.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::routes::{Answer, Shared};
use crate::backup::Places;
use crate::control::Request;

/// `POST /v1/backup`.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    places: Places,
    /// The database holds everything that the journal does; else the copy of the journal has it.
    caught_up: bool,
    /// What waited for the disk is written: nothing that was promised is in memory alone.
    written: bool,
}

/// `POST /v1/backup`: what is in memory goes to the disk, and the answer says where that is.
pub(super) async fn prepare(State(service): Shared) -> Answer<Ready> {
    let written = service.control.ask_apps(Request::Commit).await?;
    let caught_up = service.cdrs.catch_up().await;
    Ok(Json(Ready { places: service.places.clone(), caught_up, written }))
}
