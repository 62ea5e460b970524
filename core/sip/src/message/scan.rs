//! The one pass over a message's bytes (RFC 3261, section 7 and 25): start line, header lines as
//! ranges, and where the body is. Nothing is copied and, with a reused [`Scanner`], nothing is
//! allocated; the bounds are checked before anything is remembered.

use std::ops::Range;

use memchr::memchr;
use thiserror::Error;

use super::{Header, Method};
use crate::limits;

/// A piece of the message's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Result<Self, ScanError> {
        let limit = || ScanError::TooLong { limit: limits::MESSAGE_BYTES.default };
        Ok(Self {
            start: u16::try_from(start).map_err(|_| limit())?,
            end: u16::try_from(end).map_err(|_| limit())?,
        })
    }

    /// The piece as indices.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The piece's bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// Which header it is.
    pub header: Header,
    /// Its name as it stands on the wire.
    pub name: Span,
    /// Its value without white space at both ends; a folded value keeps its line ends inside.
    pub value: Span,
}

/// The start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// A request.
    Request {
        /// The method.
        method: Method,
        /// The method's bytes.
        name: Span,
        /// The Request-URI.
        uri: Span,
    },
    /// A response.
    Response {
        /// 100–699.
        status: u16,
        /// The reason phrase, perhaps empty.
        reason: Span,
    },
}

/// Why bytes are no message; always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The empty line that ends the headers is not there (yet, on a stream).
    #[error("the headers do not end")]
    Incomplete,
    /// The message is longer than permitted.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The bound that was passed.
        limit: u64,
    },
    /// More header lines than permitted.
    #[error("more than {limit} header lines")]
    TooManyHeaders {
        /// The bound that was passed.
        limit: u64,
    },
    /// The first line is neither a request line nor a status line.
    #[error("the start line is no SIP start line")]
    StartLine,
    /// A SIP version other than 2.0: answered 505.
    #[error("the SIP version is not 2.0")]
    Version,
    /// A header line without a colon or without a name.
    #[error("a header line has no name")]
    HeaderName,
    /// Content-Length is not one plain number.
    #[error("Content-Length is not one plain number")]
    ContentLength,
    /// Content-Length promises more than the datagram holds.
    #[error("Content-Length is {promised}, but only {present} bytes follow")]
    BodyCutShort {
        /// What Content-Length says.
        promised: usize,
        /// What is there.
        present: usize,
    },
}

/// What one pass found; borrows the scanner's storage.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'s> {
    /// The start line.
    pub start: StartLine,
    /// Every header line, in order.
    pub headers: &'s [HeaderLine],
    /// The bytes after the empty line begin here.
    pub body_start: usize,
    /// Content-Length, when there is one.
    pub content_length: Option<usize>,
}

/// Reusable storage for the pass.
#[derive(Debug, Default)]
pub struct Scanner {
    headers: Vec<HeaderLine>,
    /// A message that was read far enough to be refused although something in it is wrong, and
    /// where its body would begin.
    damaged: Option<(StartLine, usize)>,
}

impl Scanner {
    /// A scanner with room for a usual message.
    #[must_use]
    pub fn new() -> Self {
        Self { headers: Vec::with_capacity(32), damaged: None }
    }

    /// Scans the start line and the headers of `bytes`, which may go on behind the message.
    ///
    /// # Errors
    /// `Incomplete` when the empty line is missing, else what is wrong with the message.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan<'_>, ScanError> {
        let header_limit = usize::try_from(limits::HEADER_BYTES.default).unwrap_or(usize::MAX);
        let window = bytes.get(..bytes.len().min(header_limit)).unwrap_or(bytes);
        let cut = window.len() < bytes.len();
        let too_long = ScanError::TooLong { limit: limits::HEADER_BYTES.default };
        self.forget();
        let (first, mut at) =
            line(window, 0).ok_or(if cut { too_long } else { ScanError::Incomplete })?;
        let (start, mut problem) = start_line(window, first)?;
        let mut content_length = None;
        loop {
            let Some((text, next)) = line(window, at) else {
                return Err(self.unended(start, at, cut));
            };
            if text.is_empty() {
                if let Some(problem) = problem {
                    self.damaged = Some((start, next));
                    return Err(problem);
                }
                return Ok(Scan {
                    start,
                    headers: &self.headers,
                    body_start: next,
                    content_length,
                });
            }
            let Some((text, next)) = unfold(window, text, next) else {
                return Err(self.unended(start, at, cut));
            };
            if self.headers.len() as u64 >= limits::HEADERS.default {
                self.damaged = Some((start, at));
                return Err(ScanError::TooManyHeaders { limit: limits::HEADERS.default });
            }
            at = next;
            let header = match header_line(window, text) {
                Ok(header) => header,
                Err(error) => {
                    problem = problem.or(Some(error));
                    continue;
                }
            };
            if header.header == Header::ContentLength {
                match plain_number(header.value.of(window)) {
                    Some(value) if content_length.is_none_or(|known| known == value) => {
                        content_length = Some(value);
                    }
                    Some(_) | None => problem = problem.or(Some(ScanError::ContentLength)),
                }
            }
            self.headers.push(header);
        }
    }
}

impl Scanner {
    /// The headers do not end within the bytes; where those are cut at the bound, what was read can
    /// still be refused.
    fn unended(&mut self, start: StartLine, at: usize, cut: bool) -> ScanError {
        if !cut {
            return ScanError::Incomplete;
        }
        self.damaged = Some((start, at));
        ScanError::TooLong { limit: limits::HEADER_BYTES.default }
    }

    /// Forgets the message before: its ranges mean nothing in other bytes.
    pub(super) fn forget(&mut self) {
        self.headers.clear();
        self.damaged = None;
    }

    /// Remembers that the message last scanned is to be refused for a reason outside its headers.
    pub(super) fn remember(&mut self, start: StartLine, body_start: usize) {
        self.damaged = Some((start, body_start));
    }

    /// After an error: the start line, headers and body start of a message that was readable to
    /// its empty line, so that a request can be refused instead of dropped.
    pub(super) fn damaged(&self) -> Option<Scan<'_>> {
        let (start, body_start) = self.damaged?;
        Some(Scan { start, headers: &self.headers, body_start, content_length: None })
    }
}

/// The line that begins at `at` without its end (CR LF or a bare LF), and where the next begins.
fn line(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let rest = bytes.get(at..)?;
    let length = memchr(b'\n', rest)?;
    let end = at.checked_add(length)?;
    let carriage_return = length > 0 && bytes.get(end.checked_sub(1)?) == Some(&b'\r');
    let text_end = if carriage_return { end.checked_sub(1)? } else { end };
    Some((at..text_end, end.checked_add(1)?))
}

/// Joins the lines that continue a header (RFC 3261, 7.3.1: they begin with white space).
fn unfold(bytes: &[u8], mut text: Range<usize>, mut next: usize) -> Option<(Range<usize>, usize)> {
    while matches!(bytes.get(next)?, b' ' | b'\t') {
        let (more, after) = line(bytes, next)?;
        text.end = more.end;
        next = after;
    }
    Some((text, next))
}

/// The start line, and what is wrong with it when it can be read all the same.
fn start_line(
    bytes: &[u8],
    text: Range<usize>,
) -> Result<(StartLine, Option<ScanError>), ScanError> {
    let whole = bytes.get(text.clone()).unwrap_or_default();
    if let Some(rest) = whole.strip_prefix(b"SIP/") {
        return status_line(rest, text).map(|start| (start, None));
    }
    let at = |offset: usize| text.start.saturating_add(offset);
    let space = memchr(b' ', whole).ok_or(ScanError::StartLine)?;
    let name = whole.get(..space).unwrap_or_default();
    let trimmed = whole.trim_ascii_end();
    let last = memchr::memrchr(b' ', trimmed).ok_or(ScanError::StartLine)?;
    let version = trimmed.get(last.saturating_add(1)..).unwrap_or_default();
    let is_sip = version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    if !is_sip || !is_token(name) {
        return Err(ScanError::StartLine);
    }
    // RFC 3261, 7.1: the parts are separated by exactly one space and hold none themselves. With
    // more of them it is still a request, and can be told so.
    let uri = whole.get(space.saturating_add(1)..last).unwrap_or_default();
    let spaced = uri.is_empty() || memchr(b' ', uri).is_some() || trimmed.len() < whole.len();
    let problem = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(ScanError::Version)
    } else {
        spaced.then_some(ScanError::StartLine)
    };
    let uri_start = at(space).saturating_add(1);
    let start = StartLine::Request {
        method: Method::from_name(name),
        name: Span::new(text.start, at(space))?,
        uri: Span::new(uri_start, at(last).max(uri_start))?,
    };
    Ok((start, problem))
}

fn status_line(rest: &[u8], text: Range<usize>) -> Result<StartLine, ScanError> {
    let rest = rest.strip_prefix(b"2.0 ").ok_or(ScanError::Version)?;
    let (digits, rest) = rest.split_first_chunk::<3>().ok_or(ScanError::StartLine)?;
    let status = digits.iter().try_fold(0u16, |sum, digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u16::from(digit.checked_sub(b'0')?)),
        _ => None,
    });
    let status = status.filter(|status| (100..700).contains(status)).ok_or(ScanError::StartLine)?;
    match rest.first() {
        None => Ok(StartLine::Response { status, reason: Span::new(text.end, text.end)? }),
        Some(b' ') => {
            let start = text.end.saturating_sub(rest.len()).saturating_add(1);
            Ok(StartLine::Response { status, reason: Span::new(start, text.end)? })
        }
        Some(_) => Err(ScanError::StartLine),
    }
}

fn header_line(bytes: &[u8], text: Range<usize>) -> Result<HeaderLine, ScanError> {
    let whole = bytes.get(text.clone()).unwrap_or_default();
    let colon = memchr(b':', whole).ok_or(ScanError::HeaderName)?;
    let (name, raw) = whole.split_at_checked(colon).ok_or(ScanError::HeaderName)?;
    // RFC 3261, 25.1: white space may stand before the colon.
    let name = name.trim_ascii_end();
    let header = Header::from_name(name);
    // The names that are known are tokens.
    if header == Header::Other && !is_token(name) {
        return Err(ScanError::HeaderName);
    }
    let raw = raw.get(1..).unwrap_or_default();
    let value = raw.trim_ascii_start();
    let start = text.end.saturating_sub(value.len());
    let value = value.trim_ascii_end();
    Ok(HeaderLine {
        header,
        name: Span::new(text.start, text.start.saturating_add(name.len()))?,
        value: Span::new(start, start.saturating_add(value.len()))?,
    })
}

/// A Content-Length: digits and nothing else.
fn plain_number(value: &[u8]) -> Option<usize> {
    if value.is_empty() || value.len() > 10 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// RFC 3261, 25.1: a token; never empty.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && token_length(text) == text.len()
}

/// How many characters of a token `text` begins with.
fn token_length(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| TOKEN.get(usize::from(byte)) == Some(&true)).count()
}

/// The characters of a token.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
        {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
                );
        }
        byte += 1;
    }
    table
};
