//! Notices for apps over the API (S-33, S-40): what is behind a number, at once or as soon as there
//! is something.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::routes::{Answer, Refused, Shared};
use crate::control::Request;
use crate::limits;
use crate::notices::Notice;

/// Places to wait in; who finds none is answered at once.
static WAITING: Semaphore = Semaphore::const_new(limits::NOTICE_WAITS);

/// Which notices, and how long they may be waited for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The last one that the asker knows; 0: none.
    #[serde(default)]
    after: u64,
    /// Seconds.
    #[serde(default)]
    wait: u64,
    limit: Option<usize>,
}

/// `GET /v1/tenants/T/notices`: the oldest first, none when nothing has come in time.
pub(super) async fn list(
    State(service): Shared,
    Path(tenant): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Notice>> {
    let Wanted { after, wait, limit } = wanted;
    let most = limit.unwrap_or(limits::NOTICES_AT_ONCE).min(limits::NOTICES_AT_ONCE);
    let wait = Duration::from_secs(wait.min(limits::NOTICE_WAIT_S));
    let place = WAITING.try_acquire();
    let until = Instant::now() + if place.is_ok() { wait } else { Duration::ZERO };
    // What is told between the look and the wait ends the wait.
    let mut watched = service.faxes.notices().watched();
    let found = loop {
        let found = service.faxes.notices().behind(&tenant, after, most);
        if !found.is_empty() {
            break found;
        }
        let waited = tokio::time::timeout_at(until, watched.changed()).await;
        if !waited.unwrap_or(false) {
            break found;
        }
    };
    // Whoever has heard a number may rely on it: after a kill no other notice has it.
    if !found.is_empty() && !service.control.ask(Request::Commit).await? {
        let words = "the disk takes nothing: what there is to tell cannot be kept";
        return Err(Refused(StatusCode::INSUFFICIENT_STORAGE, words.to_owned()));
    }
    Ok(Json(found))
}
