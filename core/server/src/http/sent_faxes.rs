//! Faxes to be sent over the API (S-34 to S-37): a document is the body of a request, its number
//! and its sender are in the address; listed, shown, cancelled.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use koukan_dialplan::FaxSenderError;
use koukan_fax::Resolution;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::recordings::aside;
use super::routes::{Answer, Refused, Shared};
use crate::control::Request;
use crate::fax::sending::{SendError, SendOrder, SentView};
use crate::limits;

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

/// How long a document waits for its turn.
const PLACE: Duration = Duration::from_secs(60);

/// How long a client may take to say its document.
const SAID: Duration = Duration::from_secs(60);

/// Where documents are drawn, and wait for that.
static ROOM: Room = Room::new(limits::FAX_DRAWINGS, limits::FAX_WAITING_BYTES);

/// Places for drawings, and for the bytes of what is or will be drawn.
#[derive(Debug)]
struct Room {
    places: Semaphore,
    bytes: Semaphore,
}

impl Room {
    const fn new(places: usize, bytes: usize) -> Self {
        Self { places: Semaphore::const_new(places), bytes: Semaphore::const_new(bytes) }
    }

    /// Room for a document of so many bytes, when there is any.
    fn hold(&self, bytes: usize) -> Result<SemaphorePermit<'_>, SendError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes.try_acquire_many(bytes).map_err(|_| SendError::Busy)
    }

    /// Draws in the document's turn. Its place and its room are its own until the drawing has
    /// ended, whether or not somebody waits for that.
    async fn drawn<T: Send + 'static>(
        &'static self,
        room: SemaphorePermit<'static>,
        draw: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let place = tokio::time::timeout(PLACE, self.places.acquire()).await;
        let place = place.ok().and_then(Result::ok).ok_or(SendError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, room);
            draw()
        });
        let failed = |error: tokio::task::JoinError| {
            Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        };
        done.await.map_err(failed)
    }
}

/// What is said of a document beside it: one destination (S-37).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    to: String,
    from: Option<String>,
    /// The app that sends, by its device's name in the plan (S-43).
    app: Option<String>,
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
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<SentView>), Refused> {
    let Wish { to, from, app, resolution, header } = wish;
    let (name, who) = (tenant.as_str().into(), [from, app.clone()]);
    let office = service.control.ask(|reply| Request::FaxOffice(name, who, reply)).await??;
    let room = ROOM.hold(length(&headers)?)?;
    let document = read(body).await?;
    let order = SendOrder { tenant: tenant.clone(), office, to, app, resolution, header, document };
    let own = service.clone();
    let drawn = ROOM.drawn(room, move || own.tray.draw(order)).await??;
    // Whoever has gone away meanwhile has no id, and would hand it in again: it is not sent.
    let view = aside(service.clone(), move |s| s.tray.queue(drawn)).await??;
    // Whoever gets an id may rely on it.
    if !service.control.ask(Request::Commit).await? {
        let id = view.id.clone();
        let _ = aside(service, move |s| s.tray.cancel(&tenant, &id)).await?;
        let words = "the disk takes nothing: the fax is not sent";
        return Err(Refused(StatusCode::INSUFFICIENT_STORAGE, words.to_owned()));
    }
    Ok((StatusCode::CREATED, Json(view)))
}

/// The bytes that a document will have, so that they are counted before they are read; the most
/// that are taken when nothing is said.
fn length(headers: &HeaderMap) -> Result<usize, Refused> {
    let Some(said) = headers.get(CONTENT_LENGTH) else { return Ok(limits::FAX_BODY_BYTES) };
    let length = said.to_str().ok().and_then(|said| said.parse().ok());
    match length {
        Some(length) if length <= limits::FAX_BODY_BYTES => Ok(length),
        Some(_) | None => Err(too_long()),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Refused> {
    let read = tokio::time::timeout(SAID, to_bytes(body, limits::FAX_BODY_BYTES)).await;
    let slow = |_| Refused(StatusCode::REQUEST_TIMEOUT, "the document does not come".to_owned());
    let bytes = read.map_err(slow)?.map_err(|error| {
        match error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
            true => too_long(),
            false => Refused(StatusCode::BAD_REQUEST, error.to_string()),
        }
    })?;
    Ok(bytes.into())
}

fn too_long() -> Refused {
    let words = format!("a document has at most {} bytes", limits::FAX_BODY_BYTES);
    Refused(StatusCode::PAYLOAD_TOO_LARGE, words)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn room() -> &'static Room {
        Box::leak(Box::new(Room::new(1, 100)))
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(test);
    }

    #[test]
    fn a_document_that_is_drawn_keeps_its_place_when_its_client_goes_away() {
        run(async {
            let room = room();
            let (begun, is_begun) = mpsc::channel();
            let (end, ends) = mpsc::channel::<()>();
            let drawing = room.drawn(room.hold(60).unwrap(), move || {
                begun.send(()).unwrap();
                let _ = ends.recv();
            });
            let client = tokio::spawn(drawing);
            while is_begun.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            client.abort();
            assert!(client.await.unwrap_err().is_cancelled());
            assert_eq!((room.places.available_permits(), room.bytes.available_permits()), (0, 40));
            assert!(matches!(room.hold(41), Err(SendError::Busy)));
            let next = tokio::spawn(room.drawn(room.hold(40).unwrap(), || "drawn"));
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!next.is_finished(), "one at a time");
            end.send(()).unwrap();
            assert_eq!(next.await.unwrap().ok(), Some("drawn"));
            assert_eq!((room.places.available_permits(), room.bytes.available_permits()), (1, 100));
        });
    }

    #[test]
    fn who_goes_away_before_its_turn_leaves_no_place_and_no_bytes_held() {
        run(async {
            let room = room();
            let taken = room.places.acquire().await.unwrap();
            let client = tokio::spawn(room.drawn(room.hold(100).unwrap(), || ()));
            tokio::task::yield_now().await;
            assert!(matches!(room.hold(1), Err(SendError::Busy)));
            client.abort();
            let _ = client.await;
            assert_eq!(room.bytes.available_permits(), 100);
            drop(taken);
            assert_eq!(room.places.available_permits(), 1);
        });
    }

    #[test]
    fn bytes_are_counted_by_what_is_said_of_them_and_by_the_most_where_nothing_is() {
        let mut headers = HeaderMap::new();
        assert_eq!(length(&headers).ok(), Some(limits::FAX_BODY_BYTES));
        for (said, counted) in [("0", Some(0)), ("67108864", Some(67_108_864)), ("x", None)] {
            headers.insert(CONTENT_LENGTH, said.parse().unwrap());
            assert_eq!(length(&headers).ok(), counted, "{said}");
        }
        headers.insert(CONTENT_LENGTH, "67108865".parse().unwrap());
        assert_eq!(length(&headers).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_body_that_goes_on_behind_the_bound_is_refused() {
        run(async {
            let body = Body::from(vec![b' '; limits::FAX_BODY_BYTES + 1]);
            assert_eq!(read(body).await.unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(read(Body::from("%PDF")).await.unwrap(), b"%PDF");
        });
    }
}
