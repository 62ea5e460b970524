//! Messages out of a byte stream (RFC 3261, section 18.3) and the keep-alive between them
//! (RFC 5626, section 4.4.1): a double CRLF is a ping that wants a single CRLF back.

use super::{Message, ScanError, Scanner};
use crate::limits;

/// What came out of the stream.
#[derive(Debug)]
pub enum Framed {
    /// A whole message.
    Message(Message),
    /// A keep-alive: send CRLF back.
    Ping,
    /// Not enough bytes yet.
    Nothing,
}

/// The bytes of one connection that are not a whole message yet. The buffer grows on demand up to
/// the bound of a message and is given back when it is empty.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// What was given out already.
    taken: usize,
    /// So many bytes behind `taken` hold no empty line: whoever sends byte by byte does not make us
    /// scan the same headers each time.
    searched: usize,
    /// The message behind `taken` is so long, once its headers are known.
    wanted: usize,
}

impl Framer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and is not whole: the driver limits how long that may last.
    ///
    /// Line ends alone begin no message: some phones keep a connection alive by a single one.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.unread().iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// What was pushed and not given out: after an error it begins with the message that is wrong,
    /// for `UserAgent::handle_bytes` to refuse it.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// The next thing in the stream; call until `Nothing`.
    ///
    /// # Errors
    /// The stream cannot be followed any further: answer 400 where that is possible, and close.
    pub fn next(&mut self, scanner: &mut Scanner) -> Result<Framed, ScanError> {
        loop {
            match between(self.unread()) {
                Between::Ping => {
                    self.taken = self.taken.saturating_add(4);
                    return Ok(Framed::Ping);
                }
                Between::Wait => return Ok(self.wait()),
                Between::LineEnd(count) => self.taken = self.taken.saturating_add(count),
                Between::Message => break,
            }
        }
        if self.unread().len() < self.wanted {
            return Ok(self.wait());
        }
        if !self.headers_may_end() {
            self.searched = self.unread().len();
            return Ok(self.wait());
        }
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let scan = match scanner.scan(rest) {
            Ok(scan) => scan,
            Err(ScanError::Incomplete) => {
                self.searched = rest.len();
                return Ok(self.wait());
            }
            Err(error) => return Err(error),
        };
        // RFC 3261, 20.14: on a stream a message without Content-Length has no end; a request
        // without a body is what every client means that leaves it out.
        let length = scan.content_length.unwrap_or(0);
        let end = scan.body_start.saturating_add(length);
        if end as u64 > limits::MESSAGE_BYTES.default {
            return Err(ScanError::TooLong { limit: limits::MESSAGE_BYTES.default });
        }
        if end > rest.len() {
            self.wanted = end;
            return Ok(self.wait());
        }
        let message = Message::from_scan(scan, rest, length)?;
        self.taken = self.taken.saturating_add(end);
        (self.searched, self.wanted) = (0, 0);
        Ok(Framed::Message(message))
    }

    /// Whether an empty line came since the last scan, or so much that the scan refuses it.
    fn headers_may_end(&self) -> bool {
        let unread = self.unread();
        let new = unread.get(self.searched.saturating_sub(3)..).unwrap_or_default();
        unread.len() as u64 > limits::HEADER_BYTES.default
            || memchr::memchr_iter(b'\n', new).any(|at| {
                matches!(new.get(at.saturating_add(1)..), Some([b'\n', ..] | [b'\r', b'\n', ..]))
            })
    }

    fn wait(&mut self) -> Framed {
        self.buffer.drain(..self.taken.min(self.buffer.len()));
        self.taken = 0;
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        Framed::Nothing
    }
}

/// What stands between two messages.
enum Between {
    Ping,
    Wait,
    LineEnd(usize),
    Message,
}

fn between(rest: &[u8]) -> Between {
    match rest {
        [b'\r', b'\n', b'\r', b'\n', ..] => Between::Ping,
        [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Between::Wait,
        // RFC 3261, 7.5: line ends before a start line are ignored.
        [b'\r', b'\n', ..] => Between::LineEnd(2),
        [b'\n', ..] => Between::LineEnd(1),
        _ => Between::Message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn messages_and_pings_come_out_whole_however_the_stream_is_cut() {
        let stream = [MESSAGE, b"\r\n\r\n", MESSAGE, b"\r\n", MESSAGE].concat();
        for step in 1..stream.len() {
            let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
            let (mut messages, mut pings) = (0, 0);
            for piece in stream.chunks(step) {
                framer.push(piece);
                loop {
                    match framer.next(&mut scanner).unwrap() {
                        Framed::Message(message) => {
                            assert_eq!(message.body(), b"abc");
                            messages += 1;
                        }
                        Framed::Ping => pings += 1,
                        Framed::Nothing => break,
                    }
                }
            }
            assert_eq!((messages, pings, framer.is_waiting()), (3, 1, false), "step {step}");
        }
    }

    #[test]
    fn a_single_line_end_begins_no_message() {
        let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
        for _ in 0..10 {
            framer.push(b"\r\n");
            let _ = framer.next(&mut scanner).unwrap();
            assert!(!framer.is_waiting());
        }
        framer.push(b"OPTIONS");
        assert!(matches!(framer.next(&mut scanner), Ok(Framed::Nothing)));
        assert!(framer.is_waiting());
    }

    #[test]
    fn headers_that_never_end_are_refused_at_the_bound_of_a_message() {
        let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
        let mut pushed = 0u64;
        framer.push(b"OPTIONS sip:a SIP/2.0\r\n");
        let error = loop {
            framer.push(b"X: y\r\n");
            pushed += 6;
            match framer.next(&mut scanner) {
                Ok(Framed::Nothing) => {}
                other => break other.map(|_| ()).unwrap_err(),
            }
        };
        assert!(pushed <= limits::HEADER_BYTES.default);
        assert!(matches!(error, ScanError::TooLong { .. } | ScanError::TooManyHeaders { .. }));
    }

    #[test]
    fn after_an_error_the_unread_bytes_begin_with_the_bad_message() {
        let bad = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: x\r\n\r\n";
        let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
        framer.push(&[MESSAGE, bad].concat());
        assert!(matches!(framer.next(&mut scanner), Ok(Framed::Message(_))));
        assert_eq!(framer.next(&mut scanner).unwrap_err(), ScanError::ContentLength);
        assert_eq!(framer.unread(), bad);
    }

    #[test]
    fn a_length_that_is_no_number_or_too_great_ends_the_stream() {
        for length in ["-1", "3, 3", "x", "99999999999", "70000"] {
            let text = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            let mut framer = Framer::default();
            framer.push(text.as_bytes());
            assert!(framer.next(&mut Scanner::new()).is_err(), "{length}");
        }
    }
}
