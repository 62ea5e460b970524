//! The routes of the HTTP API. The command line asks for nothing that is not here.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request as Asked, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use jiff::Timestamp;
use koukan_base::CallId;
use koukan_store::CdrReader;
use serde::Deserialize;

use super::{
    backup, bans, boxes, cdrs, drain, faxes, modules, recordings, reload, rooms, selftest,
    sent_faxes, settings, trace, trunks,
};
use crate::api::{self, ClockState, Failure};
use crate::backup::Places;
use crate::clock::Clock;
use crate::control::{ControlHandle, Request, Unavailable};
use crate::explain::ArchiveReader;
use crate::fax::Inbox;
use crate::fax::sending::Tray;
use crate::generations::Generations;
use crate::limits;
use crate::module::Loader;
use crate::recordings::Recordings;
use crate::simulation::{Question, QuestionError, Simulated};

/// What the routes need.
#[derive(Debug)]
pub struct Service {
    /// The control loop.
    pub control: ControlHandle,
    /// Where configuration and state lie.
    pub places: Places,
    /// The realm that devices' secrets are hashed for.
    pub realm: String,
    /// The one clock.
    pub clock: Clock,
    /// Whether the date may be moved.
    pub test_clock: bool,
    /// Where the explain lines of finished calls are.
    pub archive: ArchiveReader,
    /// Recorded calls.
    pub recordings: Recordings,
    /// What makes builds of modules.
    pub modules: Arc<Loader>,
    /// Received faxes.
    pub faxes: Inbox,
    /// Faxes to be sent.
    pub tray: Tray,
    /// Where finished calls are read from.
    pub cdrs: Arc<CdrReader>,
    /// What is in force and was before. Whoever reloads holds it: two must not overtake each other.
    pub generations: tokio::sync::Mutex<Generations>,
    /// Told when other plans are in force: their trunks may have other names.
    pub plans_changed: tokio::sync::Notify,
}

/// The API on `service`.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/calls", get(calls))
        .route("/v1/calls/{call}", delete(kill))
        .route("/v1/rooms", get(rooms::list))
        .route("/v1/queues", get(rooms::queues))
        .route("/v1/tenants/{tenant}/rooms/{room}", post(rooms::order))
        .route("/v1/selftest", post(selftest::run))
        .route("/v1/registrations", get(registrations))
        .route("/v1/bans", get(bans::list))
        .route("/v1/bans/{address}", delete(bans::lift))
        .route("/v1/trunks", get(trunks::list))
        .route("/v1/trunks/{trunk}/maintenance", put(trunks::maintenance))
        .route("/v1/tenants/{tenant}/trunks/{trunk}/maintenance", put(trunks::of_tenant))
        .route("/v1/backup", post(backup::prepare))
        .route("/v1/drain", get(drain::show).post(drain::begin).delete(drain::call_off))
        .route("/v1/why/{call}", get(why))
        .route("/v1/sim", post(sim))
        .route("/v1/check", post(reload::check))
        .route("/v1/reload", post(reload::reload))
        .route("/v1/reload/{tenant}", post(reload::reload_tenant))
        .route("/v1/rollback", post(reload::rollback))
        .route("/v1/generations", get(reload::generations))
        .route("/v1/tenants/{tenant}/settings", get(settings::list))
        .route(
            "/v1/tenants/{tenant}/settings/{key}",
            get(settings::one).put(settings::put).delete(settings::give_back),
        )
        .route("/v1/tenants/{tenant}/setting-history", get(settings::history))
        .route("/v1/tenants/{tenant}/recordings", get(recordings::list).delete(recordings::delete))
        .route("/v1/tenants/{tenant}/recordings.zip", get(recordings::zip))
        .route("/v1/tenants/{tenant}/audit", get(recordings::audit))
        .route("/v1/tenants/{tenant}/faxes", get(faxes::list))
        .route("/v1/tenants/{tenant}/faxes/{id}", get(faxes::show).delete(faxes::delete))
        .route("/v1/tenants/{tenant}/faxes/{id}/pdf", get(faxes::pdf))
        .route("/v1/tenants/{tenant}/faxes/{id}/pages/{page}", get(faxes::page))
        .route(
            "/v1/tenants/{tenant}/sent-faxes",
            get(sent_faxes::list)
                .merge(post(sent_faxes::send).layer(DefaultBodyLimit::max(limits::FAX_BODY_BYTES))),
        )
        .route(
            "/v1/tenants/{tenant}/sent-faxes/{id}",
            get(sent_faxes::show).delete(sent_faxes::cancel),
        )
        .route("/v1/clock", get(clock).post(set_clock))
        .route("/v1/modules", get(modules::list))
        .route("/v1/modules/{name}/load", post(modules::load))
        .route("/v1/modules/{name}/replace", post(modules::replace))
        .route("/v1/modules/{name}", delete(modules::unload))
        .route("/v1/cdrs", get(cdrs::list))
        .route("/v1/cdrs.csv", get(cdrs::csv))
        .route("/v1/cdrs.jsonl", get(cdrs::json_lines))
        .route("/v1/boxes", get(boxes::list))
        .route("/v1/faxes", get(boxes::faxes))
        .route("/v1/trace", get(trace::all))
        .route("/v1/trace/{call}", get(trace::of_call))
        .route("/metrics", get(metrics))
        .fallback(no_such_page)
        .layer(middleware::from_fn(no_browser))
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY_BYTES))
        .with_state(service)
}

/// No page of this server asks anything: a request that a browser makes comes from somebody else's
/// page, which may send many kinds without asking (the Fetch standard's simple requests) and would
/// have this machine place calls.
async fn no_browser(request: Asked, next: Next) -> Response {
    let from_page = ["origin", "sec-fetch-site"]
        .iter()
        .any(|name| request.headers().get(*name).is_some_and(|value| value.as_bytes() != b"none"));
    if from_page {
        let words = "no web page may ask this server for anything";
        return Refused(StatusCode::FORBIDDEN, words.to_owned()).into_response();
    }
    next.run(request).await
}

/// A refusal with its status.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

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

pub(super) type Answer<T> = Result<Json<T>, Refused>;
pub(super) type Shared = State<Arc<Service>>;

async fn status(State(service): Shared) -> Answer<api::Status> {
    Ok(Json(service.control.status().await?))
}

async fn calls(State(service): Shared) -> Answer<Vec<koukan_switch::CallView>> {
    Ok(Json(service.control.list(Request::Calls, |view| view.call.clone()).await?))
}

async fn kill(State(service): Shared, Path(call): Path<String>) -> Result<StatusCode, Refused> {
    let id = call_id(&call)?;
    match service.control.ask_call(id, |reply| Request::Kill(id, reply)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refused(StatusCode::NOT_FOUND, format!("no call {call} is under way"))),
    }
}

async fn registrations(State(service): Shared) -> Answer<Vec<koukan_switch::RegistrationView>> {
    Ok(Json(service.control.list(Request::Registrations, |view| view.user.clone()).await?))
}

async fn why(State(service): Shared, Path(call): Path<String>) -> Answer<api::Why> {
    let id = call_id(&call)?;
    let running = service.control.ask_call(id, |reply| Request::Why(id, reply)).await?;
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

async fn sim(State(service): Shared, Json(question): Json<Question>) -> Answer<Simulated> {
    let plans = Arc::clone(&service.generations.lock().await.current().directory.plans);
    let home = question.home(&plans).map_err(unprocessable)?;
    let ask = |reply| Request::Simulate(Box::new(question), reply);
    let answer = service.control.ask_home(&home, ask).await?;
    let answer = answer.map_err(unprocessable)?;
    Ok(Json(*answer))
}

fn unprocessable(error: QuestionError) -> Refused {
    Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

pub(super) fn call_id(text: &str) -> Result<CallId, Refused> {
    CallId::parse(text).ok_or_else(|| {
        let words = format!(
            "\"{text}\" is no call id: 16 hexadecimal digits, as `koukan ctl calls` prints"
        );
        Refused(StatusCode::BAD_REQUEST, words)
    })
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
    service.control.ask_apps(Request::ClockMoved).await?;
    service.control.ask_each(Request::ClockMoved).await?;
    let (date, moved) = (service.clock.date(), service.clock.is_moved());
    tracing::warn!(%date, moved, "test clock set");
    Ok(Json(clock_state(&service)))
}

async fn metrics(State(service): Shared) -> Result<Response, Refused> {
    let snapshot = service.control.metrics().await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, snapshot.to_text()).into_response())
}

async fn no_such_page() -> Refused {
    Refused(StatusCode::NOT_FOUND, "no such page; see /v1/status, /v1/calls, /metrics".to_owned())
}
