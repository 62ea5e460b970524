//! Received faxes over the API (S-30): listed, shown, fetched as PDF or page by page as JPEG,
//! deleted. Files are read and removed off the service thread.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::recordings::aside;
use super::routes::{Answer, Refused, Shared};
use crate::fax::{InboxError, Listed};

impl From<InboxError> for Refused {
    fn from(error: InboxError) -> Self {
        let status = match error {
            InboxError::None { .. } | InboxError::Page { .. } => StatusCode::NOT_FOUND,
            InboxError::File { .. } | InboxError::Damaged { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self(status, error.to_string())
    }
}

/// Which faxes are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(rename = "box")]
    mailbox: Option<String>,
}

pub(super) async fn list(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Listed>> {
    let list = aside(service, move |s| s.faxes.list(&tenant, wanted.mailbox.as_deref()));
    Ok(Json(list.await?))
}

pub(super) async fn show(
    State(service): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Answer<Listed> {
    Ok(Json(aside(service, move |s| s.faxes.show(&tenant, &id)).await??))
}

pub(super) async fn pdf(
    State(service): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let bytes = aside(service, move |s| s.faxes.pdf(&tenant, &id)).await??;
    Ok(([(header::CONTENT_TYPE, "application/pdf")], bytes).into_response())
}

/// How a page is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    #[serde(default)]
    small: bool,
}

pub(super) async fn page(
    State(service): Shared,
    Path((tenant, id, page)): Path<(String, String, usize)>,
    Query(shown): Query<Shown>,
) -> Result<Response, Refused> {
    let make = move |s: &super::routes::Service| s.faxes.jpeg(&tenant, &id, page, shown.small);
    let bytes = aside(service, make).await??;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response())
}

pub(super) async fn delete(
    State(service): Shared,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    aside(service, move |s| s.faxes.delete(&tenant, &id)).await??;
    Ok(StatusCode::NO_CONTENT)
}
