//! Reading the dialplan again: the whole of it or one office, checked whole before anything
//! changes, one at a time; and the way back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::routes::{Answer, Refused, Service, Shared};
use crate::api::{CheckReport, GenerationInfo};
use crate::config;
use crate::generations::Generations;
use crate::plans::{self, Outcome};
use crate::sounds;
use crate::transport::Tls;

/// `POST /v1/check`: what a reload would find.
pub(super) async fn check(State(service): Shared) -> Answer<CheckReport> {
    let (outcome, _) = read_again(&service).await?;
    Ok(Json(outcome.report))
}

/// `POST /v1/reload`.
pub(super) async fn reload(State(service): Shared) -> Result<Response, Refused> {
    let mut generations = service.generations.lock().await;
    let (outcome, tls) = read_again(&service).await?;
    take(&service, &mut generations, outcome, tls, "reload".to_owned()).await
}

/// `POST /v1/reload/{tenant}`: every other office stands as it is.
pub(super) async fn reload_tenant(
    State(service): Shared,
    Path(tenant): Path<String>,
) -> Result<Response, Refused> {
    let mut generations = service.generations.lock().await;
    let current = Arc::clone(&generations.current().directory);
    let (shared, name) = (Arc::clone(&service), tenant.clone());
    let read = blocking(move || {
        let date = shared.clock.date();
        let mut outcome =
            plans::load_tenant(&shared.places.conf, &shared.realm, date, &current, &name)?;
        let plans = Arc::clone(&outcome.directory.plans);
        if let Some(id) = plans.id_in(plans.directory_of(&name).unwrap_or(&name)) {
            sounds::prepare(&mut outcome, Some(&shared.places.data), Some(id));
        }
        Some(outcome)
    });
    let Some(outcome) = read.await? else {
        let words = format!("there is no office \"{tenant}\", running or in conf/tenants");
        return Err(Refused(StatusCode::NOT_FOUND, words));
    };
    take(&service, &mut generations, outcome, None, format!("reload {tenant}")).await
}

/// `POST /v1/rollback`: the generation before is in force again.
pub(super) async fn rollback(State(service): Shared) -> Answer<CheckReport> {
    let mut generations = service.generations.lock().await;
    let Some(before) = generations.last_before() else {
        let words = "there is no generation before this one: nothing was reloaded since the start";
        return Err(Refused(StatusCode::CONFLICT, words.to_owned()));
    };
    let directory = Arc::clone(&before.directory);
    let mut report = CheckReport {
        tenants: directory.plans.tenants().count(),
        devices: directory.plans.devices().count(),
        ..CheckReport::default()
    };
    let (old, new) = (Arc::clone(&generations.current().directory), Arc::clone(&directory));
    let date = service.clock.date();
    report.changes = blocking(move || plans::changes(&old.plans, &new.plans, date)).await?;
    let aside = service.control.install(&directory, None).await?;
    report.aside = aside.iter().map(|(tenant, aside)| plans::aside_words(tenant, aside)).collect();
    generations.step_back(service.clock.date());
    service.plans_changed.notify_one();
    tracing::warn!(changes = report.changes.len(), "the plans of before are in force again");
    Ok(Json(report))
}

/// `GET /v1/generations`.
pub(super) async fn generations(State(service): Shared) -> Json<Vec<GenerationInfo>> {
    Json(service.generations.lock().await.list())
}

/// Puts what was read in force, unless something is wrong with it.
async fn take(
    service: &Service,
    generations: &mut Generations,
    outcome: Outcome,
    tls: Option<Tls>,
    what: String,
) -> Result<Response, Refused> {
    let Outcome { directory, mut report, .. } = outcome;
    if report.errors > 0 {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(report)).into_response());
    }
    let directory = Arc::new(directory);
    let (old, new) = (Arc::clone(&generations.current().directory), Arc::clone(&directory));
    let date = service.clock.date();
    report.changes = blocking(move || plans::changes(&old.plans, &new.plans, date)).await?;
    let aside = service.control.install(&directory, tls).await?;
    report.aside = aside.iter().map(|(tenant, aside)| plans::aside_words(tenant, aside)).collect();
    for words in &report.aside {
        tracing::warn!("{words}");
    }
    tracing::info!(what, tenants = report.tenants, changes = report.changes.len(), "plans taken");
    generations.push(directory, what, date);
    service.plans_changed.notify_one();
    Ok(Json(report).into_response())
}

/// The plans and the certificates. Of `koukan.toml` nothing else changes without a restart, but a
/// file that could not be started with is said to be so.
async fn read_again(service: &Arc<Service>) -> Result<(Outcome, Option<Tls>), Refused> {
    let shared = Arc::clone(service);
    let read = blocking(move || {
        let mut outcome = plans::load(&shared.places.conf, &shared.realm, shared.clock.date());
        sounds::prepare(&mut outcome, Some(&shared.places.data), None);
        (outcome, config::load(&shared.places.conf))
    });
    let (mut outcome, configuration) = read.await?;
    let report = &mut outcome.report;
    let tls = match configuration {
        Ok(config) => {
            report.warnings = report.warnings.saturating_add(config.warnings.len());
            report.findings.extend(config.warnings.iter().map(ToString::to_string));
            config.sip.tls
        }
        Err(error) => {
            report.errors = report.errors.saturating_add(error.findings.len());
            report.findings.extend(error.findings.iter().map(ToString::to_string));
            None
        }
    };
    Ok((outcome, tls))
}

/// Reading and checking a thousand offices takes its time, so it is not done on this thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
