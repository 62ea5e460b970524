//! The explain lines of the latest calls, for `koukan why CALL`. The log has all of them; here the
//! oldest line goes when a new one finds no room.
//!
//! One ring of bytes holds every text: thousands of small texts that live long would keep the
//! memory of everything short-lived around them.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use koukan_base::CallId;

use crate::api::{Why, WhyLine};

/// A bounded number of bytes, and of lines for each call.
#[derive(Debug)]
pub(crate) struct ExplainLog {
    max_bytes: usize,
    max_lines: usize,
    texts: VecDeque<u8>,
    /// What each piece of `texts` is, oldest first.
    lines: VecDeque<Line>,
    calls: HashMap<CallId, Kept>,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    call: CallId,
    at: Timestamp,
    bytes: usize,
}

/// Lines of one call: in the ring, and left out since it has too many.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    lines: usize,
    more: usize,
}

impl ExplainLog {
    /// An empty log with these bounds.
    #[must_use]
    pub(crate) fn new(max_bytes: usize, max_lines: usize) -> Self {
        Self {
            max_bytes,
            max_lines,
            texts: VecDeque::new(),
            lines: VecDeque::new(),
            calls: HashMap::new(),
            seen: 0,
        }
    }

    /// Adds a line to a call. A call that says too much keeps its first lines.
    pub(crate) fn add(&mut self, at: Timestamp, call: CallId, text: &str) {
        let text = text.get(..text.floor_char_boundary(self.max_bytes)).unwrap_or_default();
        if !self.calls.contains_key(&call) {
            self.seen = self.seen.saturating_add(1);
        }
        let kept = self.calls.entry(call).or_default();
        if kept.lines >= self.max_lines {
            kept.more = kept.more.saturating_add(1);
            return;
        }
        kept.lines += 1;
        while self.texts.len() + text.len() > self.max_bytes {
            self.forget_oldest();
        }
        self.texts.extend(text.as_bytes());
        self.lines.push_back(Line { call, at, bytes: text.len() });
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.lines.pop_front() else { return };
        self.texts.drain(..oldest.bytes);
        if let Some(kept) = self.calls.get_mut(&oldest.call) {
            kept.lines = kept.lines.saturating_sub(1);
            if kept.lines == 0 {
                self.calls.remove(&oldest.call);
            }
        }
    }

    /// Calls that were explained since the start: every call is.
    #[must_use]
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// What is kept of a call.
    #[must_use]
    pub(crate) fn why(&self, call: CallId) -> Option<Why> {
        let kept = self.calls.get(&call)?;
        let mut lines = Vec::with_capacity(kept.lines);
        let mut begin = 0;
        for line in &self.lines {
            let end = begin + line.bytes;
            if line.call == call {
                let text: Vec<u8> = self.texts.range(begin..end).copied().collect();
                let text = String::from_utf8_lossy(&text).into_owned();
                lines.push(WhyLine { at: line.at, text });
            }
            begin = end;
        }
        if kept.more > 0 {
            let at = lines.last().map_or(Timestamp::UNIX_EPOCH, |line| line.at);
            lines.push(WhyLine { at, text: format!("({} more lines are in the log)", kept.more) });
        }
        Some(Why { call: call.to_string(), lines })
    }
}

#[cfg(test)]
mod tests {
    use koukan_base::ShardId;

    use super::*;

    fn call(number: u64) -> CallId {
        CallId::new(ShardId(0), number)
    }

    #[test]
    fn the_oldest_lines_and_the_last_of_a_long_call_are_left_out() {
        // Room for six lines of six bytes.
        let mut log = ExplainLog::new(36, 3);
        for number in 0..3 {
            for line in 0..5 {
                log.add(Timestamp::UNIX_EPOCH, call(number), &format!("line {line}"));
            }
        }
        assert!(log.why(call(0)).is_none());
        let why = log.why(call(2)).unwrap();
        let texts: Vec<&str> = why.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["line 0", "line 1", "line 2", "(2 more lines are in the log)"]);
        assert_eq!((log.calls.len(), log.lines.len(), log.texts.len()), (2, 6, 36));
        assert_eq!(log.seen(), 3);
    }

    #[test]
    fn a_text_longer_than_everything_is_cut_between_letters() {
        let mut log = ExplainLog::new(4, 3);
        log.add(Timestamp::UNIX_EPOCH, call(0), "交換機");
        assert_eq!(log.why(call(0)).unwrap().lines[0].text, "交");
        log.add(Timestamp::UNIX_EPOCH, call(1), "");
        assert_eq!(log.why(call(1)).unwrap().lines.len(), 1);
    }
}
