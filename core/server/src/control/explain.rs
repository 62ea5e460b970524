//! The explain lines of the latest calls, for `koukan why CALL`. The log has all of them; here the
//! oldest call goes when a new one comes.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use koukan_base::CallId;

use crate::api::{Why, WhyLine};

/// A bounded number of calls with a bounded number of lines each.
#[derive(Debug)]
pub(crate) struct ExplainLog {
    max_calls: usize,
    max_lines: usize,
    calls: HashMap<CallId, Lines>,
    order: VecDeque<CallId>,
    seen: u64,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<(Timestamp, String)>,
    more: usize,
}

impl ExplainLog {
    /// An empty log with these bounds.
    #[must_use]
    pub(crate) fn new(max_calls: usize, max_lines: usize) -> Self {
        Self { max_calls, max_lines, calls: HashMap::new(), order: VecDeque::new(), seen: 0 }
    }

    /// Adds a line to a call. A call that says too much keeps its first lines.
    pub(crate) fn add(&mut self, at: Timestamp, call: CallId, text: String) {
        if !self.calls.contains_key(&call) {
            while self.calls.len() >= self.max_calls {
                let Some(oldest) = self.order.pop_front() else { break };
                self.calls.remove(&oldest);
            }
            self.order.push_back(call);
            self.seen = self.seen.saturating_add(1);
        }
        let entry = self.calls.entry(call).or_default();
        if entry.lines.len() < self.max_lines {
            entry.lines.push((at, text));
        } else {
            entry.more = entry.more.saturating_add(1);
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
        let line = |(at, text): &(Timestamp, String)| WhyLine { at: *at, text: text.clone() };
        let mut lines: Vec<WhyLine> = kept.lines.iter().map(line).collect();
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

    #[test]
    fn the_oldest_call_and_the_last_lines_are_left_out() {
        let mut log = ExplainLog::new(2, 3);
        let call = |number| CallId::new(ShardId(0), number);
        for number in 0..3 {
            for line in 0..5 {
                log.add(Timestamp::UNIX_EPOCH, call(number), format!("line {line}"));
            }
        }
        assert!(log.why(call(0)).is_none());
        let why = log.why(call(2)).unwrap();
        assert_eq!(why.lines.len(), 4);
        assert!(why.lines.last().unwrap().text.contains("2 more"));
        assert_eq!((log.calls.len(), log.order.len()), (2, 2));
    }
}
