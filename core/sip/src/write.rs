//! Messages that we send, written into one buffer (RFC 3261, section 7).

use crate::Flow;
use crate::header::Via;
use crate::message::{Header, Message};

/// A message being written.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A request's start line.
    pub(crate) fn request(method: &[u8], uri: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(method);
        bytes.push(b' ');
        let mut writer = Self(bytes);
        writer.clean(uri);
        writer.0.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// A status line; without a reason phrase the usual one of the status.
    pub(crate) fn response(status: u16, reason: Option<&str>) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(b"SIP/2.0 ");
        push_number(&mut bytes, u32::from(status));
        bytes.push(b' ');
        bytes.extend_from_slice(reason.unwrap_or_else(|| reason_phrase(status)).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Self(bytes)
    }

    /// One header line.
    pub(crate) fn line(&mut self, name: &str, parts: &[&[u8]]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        for part in parts {
            self.clean(part);
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// A header line with a number.
    pub(crate) fn number(&mut self, name: &str, value: u32, rest: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        push_number(&mut self.0, value);
        self.0.extend_from_slice(rest);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Content headers, the empty line and the body: the whole message.
    pub(crate) fn finish(mut self, body: Option<(&str, &[u8])>) -> Vec<u8> {
        let bytes = body.map_or(&[] as &[u8], |(_, bytes)| bytes);
        if let Some((content_type, _)) = body {
            self.line("Content-Type", &[content_type.as_bytes()]);
        }
        self.number("Content-Length", u32::try_from(bytes.len()).unwrap_or(u32::MAX), b"");
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(bytes);
        self.0
    }

    /// The Via lines of a request for its response, the topmost with `received` and `rport`
    /// (RFC 3261, 18.2.1; RFC 3581, 4).
    pub(crate) fn vias(&mut self, request: &Message, source: Flow) {
        let mut values = request.list(Header::Via);
        if let Some(top) = values.next() {
            self.top_via(top, source);
        }
        for value in values {
            self.line("Via", &[value]);
        }
    }

    fn top_via(&mut self, value: &[u8], source: Flow) {
        let Some(via) = Via::parse(value) else {
            self.line("Via", &[value]);
            return;
        };
        let head = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        self.0.extend_from_slice(b"Via: ");
        self.clean(value.get(..head).unwrap_or_default().trim_ascii_end());
        for part in via.params.parts() {
            let name = part.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
            let ours = [b"rport".as_slice(), b"received"];
            if part.is_empty() || ours.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            self.0.push(b';');
            self.clean(part);
        }
        let address = source.remote.ip();
        let wants_port = via.params.has(b"rport");
        let same_host = std::str::from_utf8(via.host).is_ok_and(|host| host.parse() == Ok(address));
        if wants_port || !same_host {
            self.display(format_args!(";received={address}"));
        }
        if wants_port {
            self.display(format_args!(";rport={}", source.remote.port()));
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// Text of ours.
    fn display(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a vector cannot fail.
        let _ = std::io::Write::write_fmt(&mut self.0, text);
    }

    /// Text of others: line ends inside it become spaces, so that nobody smuggles a header in.
    fn clean(&mut self, text: &[u8]) {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        if text.iter().any(is_end) {
            self.0.extend(text.iter().map(|byte| if is_end(byte) { b' ' } else { *byte }));
        } else {
            self.0.extend_from_slice(text);
        }
    }

    /// The value of a header of `message`, as it came, under its own name.
    pub(crate) fn copy(&mut self, message: &Message, header: Header) {
        for value in message.headers(header) {
            self.line(header.name(), &[value]);
        }
    }
}

fn push_number(bytes: &mut Vec<u8>, value: u32) {
    let mut digits = [0u8; 10];
    let mut rest = value;
    let mut at = digits.len();
    loop {
        at = at.saturating_sub(1);
        if let (Some(slot), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *slot = b'0'.saturating_add(digit);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// The reason phrase of a status (RFC 3261, section 21, and the RFCs of the later ones).
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        440 => "Max-Breadth Exceeded",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        485 => "Ambiguous",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match status / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Global Failure",
        },
    }
}
