//! Builds of modules side by side: what is in the process, and loading, replacing and taking out.
//! The file and the grants are those of `koukan.toml` as it stands now; nobody names a path here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::routes::{Answer, Refused, Service, Shared};
use crate::api::{ModuleChanged, ModuleInfo};
use crate::config::{self, ModuleConfig};
use crate::control::Request;
use crate::module::LoadedModule;
use crate::modules::{ChangeRefused, Changed};

/// `GET /v1/modules`.
pub(super) async fn list(State(service): Shared) -> Answer<Vec<ModuleInfo>> {
    Ok(Json(service.control.ask_apps(Request::Modules).await?))
}

/// `POST /v1/modules/{name}/load`: a module that is not in service.
pub(super) async fn load(
    State(service): Shared,
    Path(name): Path<String>,
) -> Answer<ModuleChanged> {
    put_in_service(&service, name, true).await
}

/// `POST /v1/modules/{name}/replace`: new calls go to a new build, the old one drains.
pub(super) async fn replace(
    State(service): Shared,
    Path(name): Path<String>,
) -> Answer<ModuleChanged> {
    put_in_service(&service, name, false).await
}

/// `DELETE /v1/modules/{name}`.
pub(super) async fn unload(
    State(service): Shared,
    Path(name): Path<String>,
) -> Answer<ModuleChanged> {
    let wanted = name.clone();
    let done = service.control.ask_apps(|reply| Request::UnloadModule(wanted, reply)).await?;
    let changed = done.map_err(conflict)?;
    tracing::warn!(module = name, calls = changed.calls, "module taken out of service");
    Ok(Json(told(name, None, changed)))
}

async fn put_in_service(
    service: &Arc<Service>,
    name: String,
    is_new: bool,
) -> Answer<ModuleChanged> {
    let shared = Arc::clone(service);
    let wanted = name.clone();
    // Reading, copying and the module's `init` take their time, so they are not done here.
    let made = tokio::task::spawn_blocking(move || build(&shared, &wanted)).await;
    let failed = |error: tokio::task::JoinError| {
        Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let build = Box::new(made.map_err(failed)??);
    let version = build.version.clone();
    let install = |reply| Request::InstallModule(build, is_new, reply);
    let changed = service.control.ask_apps(install).await?.map_err(conflict)?;
    tracing::info!(
        module = name,
        version,
        build = changed.build,
        drains = changed.drains,
        calls = changed.calls,
        "module put in service"
    );
    Ok(Json(told(name, Some(version), changed)))
}

fn told(module: String, version: Option<String>, changed: Changed) -> ModuleChanged {
    let Changed { build, drains, calls } = changed;
    ModuleChanged { module, build, version, drains, calls }
}

fn conflict(refused: ChangeRefused) -> Refused {
    let status = match refused {
        ChangeRefused::NotLoaded(_) => StatusCode::NOT_FOUND,
        ChangeRefused::Loaded(_) | ChangeRefused::Role { .. } => StatusCode::CONFLICT,
    };
    Refused(status, refused.to_string())
}

/// Makes a build of what the configuration says now.
fn build(service: &Service, name: &str) -> Result<LoadedModule, Refused> {
    let refused = |words: String| Refused(StatusCode::UNPROCESSABLE_ENTITY, words);
    let config = config::load(&service.places.conf).map_err(|error| refused(error.to_string()))?;
    let Some(module) = config.modules.iter().find(|module| module.name == name) else {
        return Err(Refused(StatusCode::NOT_FOUND, hint(name, &config.modules)));
    };
    service
        .modules
        .load(module)
        .map_err(|error| refused(format!("module.{name}: {} {error}", module.path.display())))
}

fn hint(name: &str, known: &[ModuleConfig]) -> String {
    let names: Vec<&str> = known.iter().map(|module| module.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("koukan.toml has no [module.{name}]; it has: {known}")
}
