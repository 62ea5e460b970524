//! The routes of the HTTP API. The command line asks for nothing that is not here.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use jiff::Timestamp;
use koukan_base::CallId;
use koukan_store::CdrReader;
use serde::Deserialize;

use crate::api::{self, ClockState, Failure};
use crate::clock::Clock;
use crate::config;
use crate::control::{ControlHandle, Request, Unavailable};
use crate::explain::ArchiveReader;
use crate::limits;
use crate::plans;
use crate::transport::Tls;

/// What the routes need.
#[derive(Debug)]
pub struct Service {
    /// The control loop.
    pub control: ControlHandle,
    /// The configuration directory, for check and reload.
    pub directory: PathBuf,
    /// The realm that devices' secrets are hashed for.
    pub realm: String,
    /// The one clock.
    pub clock: Clock,
    /// Whether the date may be moved.
    pub test_clock: bool,
    /// Where the explain lines of finished calls are.
    pub archive: ArchiveReader,
    /// Where finished calls are read from.
    pub cdrs: Arc<CdrReader>,
    /// One reload at a time: two must not overtake each other.
    pub reloading: tokio::sync::Mutex<()>,
}

/// The API on `service`.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/calls", get(calls))
        .route("/v1/calls/{call}", delete(kill))
        .route("/v1/registrations", get(registrations))
        .route("/v1/why/{call}", get(why))
        .route("/v1/check", post(check))
        .route("/v1/reload", post(reload))
        .route("/v1/clock", get(clock).post(set_clock))
        .route("/v1/modules", get(modules))
        .route("/v1/cdrs", get(cdrs))
        .route("/metrics", get(metrics))
        .fallback(no_such_page)
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY_BYTES))
        .with_state(service)
}

/// A refusal with its status.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Failure { error: self.1 })).into_response()
    }
}

impl From<Unavailable> for Refused {
    fn from(error: Unavailable) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

type Answer<T> = Result<Json<T>, Refused>;
type Shared = State<Arc<Service>>;

async fn status(State(service): Shared) -> Answer<api::Status> {
    Ok(Json(service.control.ask(Request::Status).await?))
}

async fn calls(State(service): Shared) -> Answer<Vec<koukan_switch::CallView>> {
    Ok(Json(service.control.ask(Request::Calls).await?))
}

async fn kill(State(service): Shared, Path(call): Path<String>) -> Result<StatusCode, Refused> {
    let id = call_id(&call)?;
    match service.control.ask(|reply| Request::Kill(id, reply)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refused(StatusCode::NOT_FOUND, format!("no call {call} is under way"))),
    }
}

async fn registrations(State(service): Shared) -> Answer<Vec<koukan_switch::RegistrationView>> {
    Ok(Json(service.control.ask(Request::Registrations).await?))
}

async fn why(State(service): Shared, Path(call): Path<String>) -> Answer<api::Why> {
    let id = call_id(&call)?;
    let running = service.control.ask(|reply| Request::Why(id, reply)).await?;
    let known = match running {
        Some(why) => Some(why),
        None => {
            let archive = service.archive.clone();
            let search = tokio::task::spawn_blocking(move || archive.find(id));
            search
                .await
                .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
        }
    };
    known.map(Json).ok_or_else(|| {
        let words =
            format!("nothing is kept of call {call}; the log may have its lines (call={call})");
        Refused(StatusCode::NOT_FOUND, words)
    })
}

fn call_id(text: &str) -> Result<CallId, Refused> {
    CallId::parse(text).ok_or_else(|| {
        let words = format!(
            "\"{text}\" is no call id: 16 hexadecimal digits, as `koukan ctl calls` prints"
        );
        Refused(StatusCode::BAD_REQUEST, words)
    })
}

async fn check(State(service): Shared) -> Answer<api::CheckReport> {
    let outcome = read_plans(&service).await?;
    Ok(Json(outcome.report))
}

async fn reload(State(service): Shared) -> Result<Response, Refused> {
    let _one_at_a_time = service.reloading.lock().await;
    let (outcome, tls) = read_again(&service).await?;
    if outcome.report.errors > 0 {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(outcome.report)).into_response());
    }
    let directory = Box::new(outcome.directory);
    service.control.ask(|reply| Request::Install(directory, tls, reply)).await?;
    tracing::info!(tenants = outcome.report.tenants, "plans reloaded");
    Ok(Json(outcome.report).into_response())
}

/// Reading and checking a thousand tenants takes its time, so it is not done on this thread.
async fn read_plans(service: &Arc<Service>) -> Result<plans::Outcome, Refused> {
    let shared = Arc::clone(service);
    tokio::task::spawn_blocking(move || {
        plans::load(&shared.directory, &shared.realm, shared.clock.date())
    })
    .await
    .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The plans and the certificates. Of `koukan.toml` nothing else changes without a restart, but a
/// file that could not be started with is said to be so.
async fn read_again(service: &Arc<Service>) -> Result<(plans::Outcome, Option<Tls>), Refused> {
    let mut outcome = read_plans(service).await?;
    let shared = Arc::clone(service);
    let read = tokio::task::spawn_blocking(move || config::load(&shared.directory)).await;
    let report = &mut outcome.report;
    let tls = match read {
        Ok(Ok(config)) => {
            report.warnings = report.warnings.saturating_add(config.warnings.len());
            report.findings.extend(config.warnings.iter().map(ToString::to_string));
            config.sip.tls
        }
        Ok(Err(error)) => {
            report.errors = report.errors.saturating_add(error.findings.len());
            report.findings.extend(error.findings.iter().map(ToString::to_string));
            None
        }
        Err(error) => return Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    };
    Ok((outcome, tls))
}

async fn clock(State(service): Shared) -> Json<ClockState> {
    Json(clock_state(&service))
}

fn clock_state(service: &Service) -> ClockState {
    ClockState { date: service.clock.date(), moved: service.clock.is_moved() }
}

/// The body of `POST /v1/clock`: without a date the system's comes back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    date: Option<Timestamp>,
}

async fn set_clock(State(service): Shared, Json(body): Json<SetClock>) -> Answer<ClockState> {
    if !service.test_clock {
        let words = "the date can only be moved with `[test] clock = true` in koukan.toml";
        return Err(Refused(StatusCode::FORBIDDEN, words.to_owned()));
    }
    service.clock.set_date(body.date);
    service.control.ask(Request::ClockMoved).await?;
    let (date, moved) = (service.clock.date(), service.clock.is_moved());
    tracing::warn!(%date, moved, "test clock set");
    Ok(Json(clock_state(&service)))
}

async fn modules(State(service): Shared) -> Answer<Vec<api::ModuleInfo>> {
    Ok(Json(service.control.ask(Request::Modules).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CdrQuery {
    limit: Option<u32>,
}

const CDRS: u32 = 100;
const MAX_CDRS: u32 = 10_000;

async fn cdrs(
    State(service): Shared,
    Query(query): Query<CdrQuery>,
) -> Answer<Vec<koukan_switch::Cdr>> {
    let limit = query.limit.unwrap_or(CDRS).min(MAX_CDRS);
    let read = service.cdrs.latest(limit).await;
    read.map(Json).map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn metrics(State(service): Shared) -> Result<Response, Refused> {
    let snapshot = service.control.ask(Request::Metrics).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, snapshot.to_text()).into_response())
}

async fn no_such_page() -> Refused {
    Refused(StatusCode::NOT_FOUND, "no such page; see /v1/status, /v1/calls, /metrics".to_owned())
}
