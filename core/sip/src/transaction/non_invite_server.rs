//! Non-INVITE server transaction (RFC 3261, 17.2.2, figure 8).

use std::time::Duration;

use koukan_base::Time;

use super::Tick;
use crate::timer::TIMEOUT;

#[derive(Debug)]
enum State {
    Trying,
    Proceeding,
    Completed { timer_j: Time },
    Terminated,
}

#[derive(Debug)]
pub(crate) struct NonInviteServer {
    reliable: bool,
    state: State,
}

impl NonInviteServer {
    /// The machine of a request that has just come.
    pub(crate) const fn new(reliable: bool) -> Self {
        Self { reliable, state: State::Trying }
    }

    /// Whether no final response was given yet.
    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// The request came again: whether the last response is sent again.
    pub(crate) const fn handle_retransmission(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed { .. })
    }

    /// Our response goes out.
    pub(crate) fn respond(&mut self, now: Time, status: u16) {
        if !self.is_pending() {
            return;
        }
        self.state = if status < 200 {
            State::Proceeding
        } else {
            let wait = if self.reliable { Duration::ZERO } else { TIMEOUT };
            State::Completed { timer_j: now + wait }
        };
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) -> Tick {
        match self.state {
            State::Completed { timer_j } if timer_j <= now => {
                self.state = State::Terminated;
                Tick::Terminated
            }
            State::Trying | State::Proceeding | State::Completed { .. } | State::Terminated => {
                Tick::Nothing
            }
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Completed { timer_j } => Some(timer_j),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_j_ends_the_transaction_and_not_earlier() {
        let mut machine = NonInviteServer::new(false);
        assert!(!machine.handle_retransmission());
        machine.respond(Time::ZERO, 200);
        assert!(machine.handle_retransmission());
        assert_eq!(machine.handle_timeout(Time::from_millis(31_999)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(Time::from_millis(32_000)), Tick::Terminated);
    }

    #[test]
    fn on_a_stream_the_transaction_ends_with_its_response() {
        let mut machine = NonInviteServer::new(true);
        machine.respond(Time::from_millis(7), 200);
        assert_eq!(machine.handle_timeout(Time::from_millis(7)), Tick::Terminated);
    }
}
