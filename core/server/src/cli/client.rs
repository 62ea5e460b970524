//! The client of the HTTP API: HTTP/1.1 over the server's Unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::Failed;

/// Longer than the server itself waits for its control loop.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The greatest answer: ten thousand CDRs.
const ANSWER_BYTES: usize = 256 << 20;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` when there is none.
    pub(super) fn json(&self) -> Result<Value, Failed> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// One request to the server behind `socket`.
pub(super) fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Failed> {
    let text = body.map(ToString::to_string).unwrap_or_default();
    send(socket, method, path, (text.into(), "application/json"))
}

/// One request with a body of this type.
pub(super) fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: (Bytes, &'static str),
) -> Result<Answer, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match tokio::time::timeout(TIMEOUT, exchange(socket, method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    })
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    (body, kind): (Bytes, &'static str),
) -> Result<Answer, Failed> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "koukan")
        .header(hyper::header::CONTENT_TYPE, kind)
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| Failed(format!("the answer cannot be read: {error}")))?;
    drop(sender);
    connection.abort();
    Ok(Answer { status, body: body.to_bytes() })
}

fn unreachable(socket: &Path, error: &io::Error) -> Failed {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "is the server running? give its socket: --socket PATH, or set KOUKAN_SOCKET"
        }
        io::ErrorKind::ConnectionRefused => "the server that made this socket has ended",
        io::ErrorKind::PermissionDenied => "run this as the user that runs the server",
        _ => "is the server running?",
    };
    Failed(format!("the server cannot be reached at {}: {error}\n{hint}", socket.display()))
}
