//! Recorded calls over the API: listed, downloaded as one ZIP file, deleted many at once. Files are
//! read and removed off the service thread.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::routes::{Answer, Refused, Service, Shared};
use crate::recordings::{AuditLine, Listed, RecordingsError, Wanted};

impl From<RecordingsError> for Refused {
    fn from(error: RecordingsError) -> Self {
        let status = match error {
            RecordingsError::None => StatusCode::NOT_FOUND,
            RecordingsError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            RecordingsError::Undeletable { .. }
            | RecordingsError::Sealed { .. }
            | RecordingsError::Unreadable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// Runs what touches files where it may take its time.
pub(super) async fn aside<T: Send + 'static>(
    service: Arc<Service>,
    work: impl FnOnce(&Service) -> T + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(move || work(&service)).await;
    done.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

pub(super) async fn list(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Listed>> {
    let now = service.clock.date();
    Ok(Json(aside(service, move |s| s.recordings.list(&tenant, &wanted, now)).await?))
}

pub(super) async fn zip(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let now = service.clock.date();
    let bytes = aside(service, move |s| s.recordings.zip(&tenant, &wanted, now)).await??;
    Ok(([(header::CONTENT_TYPE, "application/zip")], bytes).into_response())
}

/// Which recordings go, and by whose word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    ids: String,
    by: String,
}

pub(super) async fn delete(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(deletion): Query<Deletion>,
) -> Answer<Vec<String>> {
    let now = service.clock.date();
    let wanted = Wanted { ids: Some(deletion.ids), ..Wanted::default() };
    let by = deletion.by;
    let deleted = aside(service, move |s| s.recordings.delete(&tenant, &wanted, &by, now)).await?;
    Ok(Json(deleted?))
}

pub(super) async fn audit(
    State(service): Shared,
    Path(tenant): Path<String>,
) -> Answer<Vec<AuditLine>> {
    Ok(Json(aside(service, move |s| s.recordings.audit(&tenant)).await?))
}
