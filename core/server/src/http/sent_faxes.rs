//! Faxes to be sent over the API (S-34 to S-37): a document is the body of a request, its number
//! and its sender are in the address; listed, shown, cancelled.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use koukan_dialplan::FaxSenderError;
use koukan_fax::Resolution;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::recordings::aside;
use super::routes::{Answer, Refused, Shared};
use crate::control::Request;
use crate::fax::sending::{SendError, SendOrder, SentView};

impl From<SendError> for Refused {
    fn from(error: SendError) -> Self {
        let status = match error {
            SendError::Number { .. } => StatusCode::BAD_REQUEST,
            SendError::Document { too_large: true, .. } => StatusCode::PAYLOAD_TOO_LARGE,
            SendError::Document { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            SendError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            SendError::None { .. } => StatusCode::NOT_FOUND,
            SendError::Over { .. } => StatusCode::CONFLICT,
            SendError::Drawing(_) => StatusCode::INTERNAL_SERVER_ERROR,
            SendError::Storage(_) => StatusCode::INSUFFICIENT_STORAGE,
            SendError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl From<FaxSenderError> for Refused {
    fn from(error: FaxSenderError) -> Self {
        let status = match error {
            // Without a box the number has not subscribed to faxes (S-41).
            FaxSenderError::NoBox { .. } | FaxSenderError::NoneHasABox { .. } => {
                StatusCode::FORBIDDEN
            }
            _ => StatusCode::NOT_FOUND,
        };
        Self(status, error.to_string())
    }
}

/// Documents that are drawn at the same time: each may take two gigabytes.
static DRAWN: Semaphore = Semaphore::const_new(2);
/// How long a document waits for its turn.
const PLACE: Duration = Duration::from_secs(60);

/// What is said of a document beside it: one destination (S-37).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    to: String,
    from: Option<String>,
    #[serde(default)]
    resolution: Resolution,
    #[serde(default = "yes")]
    header: bool,
}

const fn yes() -> bool {
    true
}

pub(super) async fn send(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(wish): Query<Wish>,
    document: Bytes,
) -> Result<(StatusCode, Json<SentView>), Refused> {
    let Wish { to, from, resolution, header } = wish;
    let name = tenant.as_str().into();
    let ask = |reply| Request::FaxOffice(name, from, reply);
    let office = service.control.ask_home(&tenant, ask).await??;
    let place = tokio::time::timeout(PLACE, DRAWN.acquire()).await;
    let _place = place.ok().and_then(Result::ok).ok_or(SendError::Busy)?;
    let document = document.to_vec();
    let order = SendOrder { tenant: tenant.clone(), office, to, resolution, header, document };
    let view = aside(service.clone(), move |s| s.tray.send(order)).await??;
    // Whoever gets an id may rely on it.
    if !service.control.ask_apps(Request::Commit).await? {
        let id = view.id.clone();
        let _ = aside(service, move |s| s.tray.cancel(&tenant, &id)).await?;
        let words = "the disk takes nothing: the fax is not sent";
        return Err(Refused(StatusCode::INSUFFICIENT_STORAGE, words.to_owned()));
    }
    Ok((StatusCode::CREATED, Json(view)))
}

pub(super) async fn list(
    State(service): Shared,
    Path(tenant): Path<String>,
) -> Answer<Vec<SentView>> {
    Ok(Json(aside(service, move |s| s.tray.list(&tenant)).await?))
}

pub(super) async fn show(
    State(service): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Answer<SentView> {
    Ok(Json(aside(service, move |s| s.tray.show(&tenant, &id)).await??))
}

pub(super) async fn cancel(
    State(service): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    aside(service, move |s| s.tray.cancel(&tenant, &id)).await??;
    Ok(StatusCode::NO_CONTENT)
}
