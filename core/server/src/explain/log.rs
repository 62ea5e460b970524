//! The explain lines of running calls.

use std::collections::HashMap;

use jiff::Timestamp;
use koukan_base::CallId;

use super::archive::Archive;
use crate::api::{Why, WhyLine};
use crate::limits;

/// Lines by call, bounded for each; the switch bounds the calls.
#[derive(Debug)]
pub(crate) struct ExplainLog {
    archive: Archive,
    max_lines: usize,
    calls: HashMap<CallId, Kept>,
    seen: u64,
}

/// Lines of one call, their texts in one piece.
#[derive(Debug, Default)]
struct Kept {
    texts: String,
    /// When, and where in `texts` the line ends.
    lines: Vec<(Timestamp, u32)>,
    /// Lines that were left out, since it has too many.
    more: usize,
}

impl Kept {
    fn add(&mut self, at: Timestamp, text: &str) {
        let text = text.get(..text.floor_char_boundary(limits::EXPLAIN_LINE)).unwrap_or_default();
        self.texts.push_str(text);
        // Bounded by lines times their length, far below the type's range.
        self.lines.push((at, u32::try_from(self.texts.len()).unwrap_or(u32::MAX)));
    }

    fn why(&self, call: CallId) -> Why {
        let mut begin = 0;
        let mut lines: Vec<WhyLine> = Vec::with_capacity(self.lines.len());
        for &(at, end) in &self.lines {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            lines.push(WhyLine { at, text: self.texts.get(begin..end).unwrap_or("").to_owned() });
            begin = end;
        }
        if self.more > 0 {
            let at = lines.last().map_or(Timestamp::UNIX_EPOCH, |line| line.at);
            lines.push(WhyLine { at, text: format!("({} more lines are in the log)", self.more) });
        }
        Why { call: call.to_string(), lines }
    }
}

impl ExplainLog {
    /// An empty log; what ends goes to `archive`.
    #[must_use]
    pub(crate) fn new(archive: Archive, max_lines: usize) -> Self {
        Self { archive, max_lines, calls: HashMap::new(), seen: 0 }
    }

    /// Adds a line to a call. A call that says too much keeps its first lines.
    pub(crate) fn add(&mut self, at: Timestamp, call: CallId, text: &str) {
        let seen = &mut self.seen;
        let kept = self.calls.entry(call).or_insert_with(|| {
            *seen = seen.saturating_add(1);
            Kept::default()
        });
        if kept.lines.len() >= self.max_lines {
            kept.more = kept.more.saturating_add(1);
        } else {
            kept.add(at, text);
        }
    }

    /// The call is over: its lines go to the archive.
    pub(crate) fn end(&mut self, call: CallId) {
        if let Some(kept) = self.calls.remove(&call) {
            self.archive.append(kept.why(call));
        }
    }

    /// Calls that a fault of ours has lost end here.
    pub(crate) fn end_lost(&mut self, known: impl Fn(CallId) -> bool) {
        let lost: Vec<CallId> = self.calls.keys().copied().filter(|id| !known(*id)).collect();
        for call in lost {
            self.end(call);
        }
    }

    /// Calls that were explained since the start: every call is.
    #[must_use]
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Ended calls whose lines did not reach the disk.
    #[must_use]
    pub(crate) fn lost(&self) -> u64 {
        self.archive.lost()
    }

    /// What is known of a call that runs.
    #[must_use]
    pub(crate) fn why(&self, call: CallId) -> Option<Why> {
        self.calls.get(&call).map(|kept| kept.why(call))
    }

    /// Gives back the room that a burst has taken.
    pub(crate) fn shrink(&mut self) {
        self.calls.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use koukan_base::ShardId;

    use super::*;
    use crate::explain::archive::tests::archive;

    fn texts(why: &Why) -> Vec<&str> {
        why.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_call_that_says_too_much_keeps_its_first_lines_and_ends_in_the_archive() {
        let (archive, reader, _directory) = archive("log", 1_000_000);
        let mut log = ExplainLog::new(archive, 3);
        let call = CallId::new(ShardId(0), 7);
        for line in 0..5 {
            log.add(Timestamp::UNIX_EPOCH, call, &format!("line {line}"));
        }
        let wanted = ["line 0", "line 1", "line 2", "(2 more lines are in the log)"];
        assert_eq!(texts(&log.why(call).unwrap()), wanted);
        log.end(call);
        assert!(log.why(call).is_none());
        assert_eq!(texts(&reader.find(call).unwrap()), wanted);
        assert_eq!(log.seen(), 1);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_letters() {
        let mut kept = Kept::default();
        kept.add(Timestamp::UNIX_EPOCH, &"交".repeat(limits::EXPLAIN_LINE));
        kept.add(Timestamp::UNIX_EPOCH, "next");
        let why = kept.why(CallId::new(ShardId(0), 1));
        assert_eq!(why.lines[0].text.len(), limits::EXPLAIN_LINE / 3 * 3);
        assert_eq!(why.lines[1].text, "next");
    }
}
