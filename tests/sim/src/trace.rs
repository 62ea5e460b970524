//! The last things that happened, for who reads why a run failed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;

use koukan_base::Time;

/// So many lines are kept.
const LINES: usize = 400;

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Trace(VecDeque<Line>);

#[derive(Debug)]
enum Line {
    Message(Time, SocketAddr, SocketAddr, Vec<u8>),
    Words(Time, String),
}

impl Trace {
    fn add(&mut self, line: Line) {
        if self.0.len() >= LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(crate) fn message(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.add(Line::Message(now, from, to, bytes.to_vec()));
    }

    pub(crate) fn words(&mut self, now: Time, words: String) {
        self.add(Line::Words(now, words));
    }

    /// Everything that is kept; of a message its first line, Call-ID and CSeq.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            // Writing into a string cannot fail.
            let _ = match line {
                Line::Words(at, words) => writeln!(text, "{} {words}", seconds(*at)),
                Line::Message(at, from, to, bytes) => {
                    writeln!(text, "{} {from} > {to} {}", seconds(*at), summary(bytes))
                }
            };
        }
        text
    }
}

/// A time in seconds since the beginning.
pub(crate) fn seconds(time: Time) -> String {
    let ms = time.as_nanos() / 1_000_000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn summary(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let kept = |line: &&str| line.starts_with("CSeq:") || line.starts_with("Call-ID:");
    let rest: Vec<&str> = lines.filter(kept).collect();
    format!("{first} {}", rest.join(" "))
}
