//! The HTTP API of the server under test over its Unix socket, for tests that ask a thousand times:
//! one connection a question, without a process of the command line.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Nothing on one machine takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The way to a server's API.
#[derive(Clone, Debug)]
pub struct Api {
    socket: PathBuf,
}

impl Api {
    /// The API behind this socket.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// One question (RFC 9112): the status and the body, `null` when there is none.
    ///
    /// # Errors
    /// Nobody answers, or not in JSON.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: koukan\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let wrong = || io::Error::other(format!("no answer of HTTP: {answer}"));
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(wrong)?;
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        Ok((status, serde_json::from_str(body).map_err(io::Error::other)?))
    }

    /// A question that must be answered with success.
    ///
    /// # Errors
    /// It is refused, or nobody answers.
    pub fn done(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        match self.ask(method, path, body)? {
            (200..=299, value) => Ok(value),
            (status, value) => {
                Err(io::Error::other(format!("{method} {path}: {status} {value}, sent {body:?}")))
            }
        }
    }

    /// Where a live setting stands.
    #[must_use]
    pub fn setting(tenant: &str, key: &str) -> String {
        let mut path = format!("/v1/tenants/{tenant}/settings/");
        for byte in key.bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' => {
                    path.push(char::from(byte));
                }
                other => path.push_str(&format!("%{other:02X}")),
            }
        }
        path
    }
}
