//! A received message (RFC 3261, section 7): its own bytes and the ranges that the scan found.
//! Values are bytes; nothing here assumes UTF-8.

mod framer;
mod header;
mod method;
mod scan;

pub use framer::{Framed, Framer};
pub use header::Header;
pub use method::Method;
pub(crate) use scan::is_token;
pub use scan::{HeaderLine, Scan, ScanError, Scanner, Span, StartLine};

use std::sync::Arc;

use crate::header::{
    CSeq, EventType, NameAddr, Privacy, Replaces, Uri, Via, has_option_tag, split_list,
};

/// An address that an ALG puts in place of another makes a description so much longer or shorter at
/// most: two lines of IPv6 for IPv4.
const REWRITTEN_BYTES: usize = 64;

/// Whether a body is a session description that is nearly as long as promised and ends where a line
/// ends, while the promised length does not: a NAT with an ALG changed addresses and forgot
/// Content-Length. Anything else is cut or refused as it says (RFC 3261, 18.3).
fn is_rewritten(body: &[u8], promised: usize) -> bool {
    let whole = body.starts_with(b"v=0") && body.ends_with(b"\n");
    let near = body.len() != promised && body.len().abs_diff(promised) <= REWRITTEN_BYTES;
    whole && near && body.get(..promised).is_none_or(|cut| !cut.ends_with(b"\n"))
}

/// A whole message with its bytes; a clone shares them. Accessors borrow and do not allocate,
/// except where they say so.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Arc<[u8]>,
    start: StartLine,
    headers: Arc<[HeaderLine]>,
    body: Span,
}

impl Message {
    /// The message of one datagram (RFC 3261, 18.3): bytes behind Content-Length are discarded.
    /// A session description whose addresses an ALG rewrote, without its length, is taken whole.
    ///
    /// # Errors
    /// What is wrong with it; `BodyCutShort` when the datagram ends before the body does.
    pub fn from_datagram(scanner: &mut Scanner, bytes: &[u8]) -> Result<Self, ScanError> {
        scanner.forget();
        let limit = limits_message();
        if bytes.len() > limit {
            let begun = scanner.scan(bytes.get(..limit).unwrap_or_default());
            if let Ok((start, body_start)) = begun.map(|scan| (scan.start, scan.body_start)) {
                scanner.remember(start, body_start);
            }
            return Err(ScanError::TooLong { limit: limit as u64 });
        }
        let scan = scanner.scan(bytes)?;
        let present = bytes.len().saturating_sub(scan.body_start);
        let body = bytes.get(scan.body_start..).unwrap_or_default();
        let promised = scan.content_length.unwrap_or(present);
        let length = if is_rewritten(body, promised) { present } else { promised };
        if length > present {
            let (start, body_start) = (scan.start, scan.body_start);
            scanner.remember(start, body_start);
            return Err(ScanError::BodyCutShort { promised: length, present });
        }
        Self::from_scan(scan, bytes, length)
    }

    /// After an error of the scanner: the message as far as it could be read, for its refusal.
    #[must_use]
    pub fn damaged(scanner: &Scanner, bytes: &[u8]) -> Option<Self> {
        Self::from_scan(scanner.damaged()?, bytes, 0).ok()
    }

    /// The message that `scan` found at the beginning of `bytes`, with a body of `length` bytes.
    fn from_scan(scan: Scan<'_>, bytes: &[u8], length: usize) -> Result<Self, ScanError> {
        let end = scan.body_start.saturating_add(length);
        let present = bytes.len().saturating_sub(scan.body_start);
        let whole =
            bytes.get(..end).ok_or(ScanError::BodyCutShort { promised: length, present })?;
        Ok(Self {
            body: Span::new(scan.body_start, end)?,
            bytes: whole.into(),
            start: scan.start,
            headers: scan.headers.into(),
        })
    }

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The method's name as it stands on the wire; empty for a response.
    #[must_use]
    pub fn method_name(&self) -> &[u8] {
        match self.start {
            StartLine::Request { name, .. } => name.of(&self.bytes),
            StartLine::Response { .. } => &[],
        }
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase; empty for a request.
    #[must_use]
    pub fn reason_phrase(&self) -> &[u8] {
        match self.start {
            StartLine::Request { .. } => &[],
            StartLine::Response { reason, .. } => reason.of(&self.bytes),
        }
    }

    /// The Request-URI; empty for a response.
    #[must_use]
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            StartLine::Request { uri, .. } => uri.of(&self.bytes),
            StartLine::Response { .. } => &[],
        }
    }

    /// The value of the first line of a header.
    #[must_use]
    pub fn header(&self, header: Header) -> Option<&[u8]> {
        self.headers(header).next()
    }

    /// The values of every line of a header, in order; a line may hold several values.
    pub fn headers(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |line| line.header == header)
            .map(|line| line.value.of(&self.bytes))
    }

    /// The value of the first line with this name, in any case.
    #[must_use]
    pub fn header_named(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|line| line.name.of(&self.bytes).eq_ignore_ascii_case(name.as_bytes()))
            .map(|line| line.value.of(&self.bytes))
    }

    /// Every value of a list header, across its lines and commas.
    pub fn list(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.headers(header).flat_map(split_list)
    }

    /// The Call-ID; empty when the message has none.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.header(Header::CallId).unwrap_or_default()
    }

    /// The CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        CSeq::parse(self.header(Header::CSeq)?)
    }

    /// The topmost Via.
    #[must_use]
    pub fn via(&self) -> Option<Via<'_>> {
        Via::parse(self.list(Header::Via).next()?)
    }

    /// The From header.
    #[must_use]
    pub fn from(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::From)?)
    }

    /// The To header.
    #[must_use]
    pub fn to(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::To)?)
    }

    /// The tag of the From header.
    #[must_use]
    pub fn from_tag(&self) -> Option<&[u8]> {
        self.from()?.tag()
    }

    /// The tag of the To header.
    #[must_use]
    pub fn to_tag(&self) -> Option<&[u8]> {
        self.to()?.tag()
    }

    /// Max-Forwards, when it is there and a number; above 255 counts as 255.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        self.number(Header::MaxForwards).map(|value| u8::try_from(value).unwrap_or(u8::MAX))
    }

    /// A header that is one number of seconds or the like.
    #[must_use]
    pub fn number(&self, header: Header) -> Option<u32> {
        let value = self.header(header)?;
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
    }

    /// Whether the sender says that it knows this extension: in Supported or Require.
    #[must_use]
    pub fn supports(&self, tag: &[u8]) -> bool {
        self.headers(Header::Supported).any(|line| has_option_tag(line, tag)) || self.requires(tag)
    }

    /// Whether the sender requires this extension.
    #[must_use]
    pub fn requires(&self, tag: &[u8]) -> bool {
        self.headers(Header::Require).any(|line| has_option_tag(line, tag))
    }

    /// Whether the sender's Allow lists this method; `None` without the header.
    #[must_use]
    pub fn allows(&self, method: Method) -> Option<bool> {
        self.header(Header::Allow)?;
        let name = method.name().as_bytes();
        Some(self.list(Header::Allow).any(|known| known == name))
    }

    /// The event package of SUBSCRIBE, NOTIFY or PUBLISH.
    #[must_use]
    pub fn event(&self) -> Option<EventType<'_>> {
        EventType::parse(self.header(Header::Event)?)
    }

    /// The dialog that an INVITE is to replace; `None` also for more than one (RFC 3891, 3: such
    /// an INVITE is refused with 400, see [`Self::header`]).
    #[must_use]
    pub fn replaces(&self) -> Option<Replaces<'_>> {
        let mut lines = self.headers(Header::Replaces);
        let first = lines.next()?;
        lines.next().is_none().then(|| Replaces::parse(first)).flatten()
    }

    /// What a Privacy header asks for; nothing without one.
    #[must_use]
    pub fn privacy(&self) -> Privacy {
        self.header(Header::Privacy).map(Privacy::parse).unwrap_or_default()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.of(&self.bytes)
    }

    /// The body when it is SDP: by its Content-Type, or without one.
    #[must_use]
    pub fn sdp(&self) -> Option<&[u8]> {
        let body = Some(self.body()).filter(|body| !body.is_empty())?;
        match self.header(Header::ContentType) {
            None => Some(body),
            Some(value) => {
                let kind = value.split(|&byte| byte == b';').next().unwrap_or_default();
                kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp").then_some(body)
            }
        }
    }

    /// The user part of the Request-URI, unescaped (allocates).
    #[must_use]
    pub fn request_user(&self) -> Option<Vec<u8>> {
        Uri::parse(self.request_uri())?.user_unescaped()
    }

    /// The user part of the From URI, unescaped (allocates).
    #[must_use]
    pub fn from_user(&self) -> Option<Vec<u8>> {
        self.from()?.uri()?.user_unescaped()
    }

    /// The user part of the To URI, unescaped (allocates).
    #[must_use]
    pub fn to_user(&self) -> Option<Vec<u8>> {
        self.to()?.uri()?.user_unescaped()
    }

    /// Every byte of the message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every header line's name and value, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|line| (line.name.of(&self.bytes), line.value.of(&self.bytes)))
    }
}

fn limits_message() -> usize {
    usize::try_from(crate::limits::MESSAGE_BYTES.default).unwrap_or(usize::MAX)
}
