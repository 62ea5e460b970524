//! Records of calls: the latest as a list, and all of a time for other programs.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use koukan_store::Wanted;
use serde::Deserialize;

use super::routes::{Answer, Refused, Service, Shared};
use crate::cdr_export::{Form, export};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Latest {
    limit: Option<u32>,
}

const CDRS: u32 = 100;
const MAX_CDRS: u32 = 10_000;

fn unread(error: &koukan_store::DatabaseError) -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// `GET /v1/cdrs`: the latest first.
pub(super) async fn list(
    State(service): Shared,
    Query(query): Query<Latest>,
) -> Answer<Vec<koukan_switch::Cdr>> {
    let limit = query.limit.unwrap_or(CDRS).min(MAX_CDRS);
    let read = service.cdrs.latest(limit).await;
    read.map(Json).map_err(|error| unread(&error))
}

/// Which records are exported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    tenant: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<u32>,
}

/// `GET /v1/cdrs.csv`: the oldest first.
pub(super) async fn csv(
    State(service): Shared,
    Query(query): Query<Export>,
) -> Result<Response, Refused> {
    exported(&service, query, Form::Csv, "text/csv; charset=utf-8; header=present").await
}

/// `GET /v1/cdrs.jsonl`: the oldest first.
pub(super) async fn json_lines(
    State(service): Shared,
    Query(query): Query<Export>,
) -> Result<Response, Refused> {
    exported(&service, query, Form::JsonLines, "application/jsonl; charset=utf-8").await
}

async fn exported(
    service: &Service,
    query: Export,
    form: Form,
    kind: &'static str,
) -> Result<Response, Refused> {
    let Export { tenant, from, until, limit } = query;
    let limit = limit.unwrap_or(MAX_CDRS).min(MAX_CDRS);
    let wanted = Wanted { tenant, from, until };
    let read = service.cdrs.wanted(&wanted, limit).await.map_err(|error| unread(&error))?;
    let text = export(form, &read);
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
