//! What was said on the wire, of a call or of everybody.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use koukan_base::CallId;
use serde::Deserialize;

use super::recordings::aside;
use super::routes::{Refused, Shared, call_id};
use crate::control::Request;
use crate::trace::{Traced, TracedView, ladder, pcapng};

/// In which form.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// The messages.
    #[default]
    Json,
    /// A picture in text.
    Ladder,
    /// A capture for Wireshark.
    Pcapng,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[serde(default)]
    form: Form,
}

/// `GET /v1/trace`: everything that is kept.
pub(super) async fn all(state: Shared, Query(wish): Query<Wish>) -> Result<Response, Refused> {
    answer(state, None, wish.form).await
}

/// `GET /v1/trace/{call}`.
pub(super) async fn of_call(
    state: Shared,
    Path(call): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, Refused> {
    answer(state, Some(call_id(&call)?), wish.form).await
}

async fn answer(
    State(service): Shared,
    call: Option<CallId>,
    form: Form,
) -> Result<Response, Refused> {
    let kept = service.control.ask_all(|reply| Request::Trace(call, reply)).await?;
    let Some((messages, ids)) = kept else {
        let words = match call {
            Some(call) => format!("no message of call {call} is kept any more"),
            None => "no messages are kept: `[limits] trace_bytes` is 0".to_owned(),
        };
        return Err(Refused(StatusCode::NOT_FOUND, words));
    };
    // A ring of many megabytes is looked through, which the other requests do not wait for.
    aside(service, move |_| shown(messages, call.map(|_| ids), form)).await
}

fn shown(mut messages: Vec<Traced>, ids: Option<Vec<String>>, form: Form) -> Response {
    if let Some(ids) = ids {
        messages.retain(|message| message.is_of(&ids));
    }
    let text = |kind: &'static str, body: Vec<u8>| ([(header::CONTENT_TYPE, kind)], body);
    match form {
        Form::Json => {
            let views: Vec<TracedView> = messages.iter().map(Traced::view).collect();
            Json(views).into_response()
        }
        Form::Ladder => {
            text("text/plain; charset=utf-8", ladder(&messages).into_bytes()).into_response()
        }
        Form::Pcapng => text("application/x-pcapng", pcapng(&messages)).into_response(),
    }
}
