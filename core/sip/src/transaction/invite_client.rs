//! INVITE client transaction (RFC 3261, 17.1.1, figure 5; RFC 6026, 7.2: Accepted and timer M).

use std::time::Duration;

use koukan_base::Time;

use super::{Receipt, Tick};
use crate::timer::{T1, TIMEOUT, TIMER_D};

#[derive(Debug)]
enum State {
    Calling {
        timer_a: Option<(Time, Duration)>,
        timer_b: Time,
    },
    /// `give_up` is set by a CANCEL: 64·T1 later the peer is deemed gone (RFC 3261, 9.1).
    Proceeding {
        give_up: Option<Time>,
    },
    Accepted {
        timer_m: Time,
    },
    Completed {
        timer_d: Time,
    },
    Terminated,
}

#[derive(Debug)]
pub(crate) struct InviteClient {
    reliable: bool,
    state: State,
}

impl InviteClient {
    /// The machine of an INVITE that has just been sent.
    pub(crate) fn new(now: Time, reliable: bool) -> Self {
        let timer_a = (!reliable).then(|| (now + T1, T1));
        Self { reliable, state: State::Calling { timer_a, timer_b: now + TIMEOUT } }
    }

    pub(crate) fn handle_response(&mut self, now: Time, status: u16) -> Receipt {
        match (&self.state, status) {
            (State::Calling { .. }, 100..=199) => {
                self.state = State::Proceeding { give_up: None };
                Receipt::Pass
            }
            (State::Proceeding { .. }, 100..=199) => Receipt::Pass,
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                self.state = State::Accepted { timer_m: now + TIMEOUT };
                Receipt::Pass
            }
            (State::Calling { .. } | State::Proceeding { .. }, _) => {
                let wait = if self.reliable { Duration::ZERO } else { TIMER_D };
                self.state = State::Completed { timer_d: now + wait };
                Receipt::PassAndAck
            }
            (State::Accepted { .. }, 200..=299) => Receipt::Pass,
            (State::Completed { .. }, 300..=699) => Receipt::Ack,
            (State::Accepted { .. } | State::Completed { .. } | State::Terminated, _) => {
                Receipt::Drop
            }
        }
    }

    /// A CANCEL was sent.
    pub(crate) fn cancelled(&mut self, now: Time) {
        if let State::Proceeding { give_up } = &mut self.state {
            *give_up = Some(now + TIMEOUT);
        }
    }

    /// Whether a provisional response came and no final one: a CANCEL may be sent.
    pub(crate) const fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether no final response came yet.
    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) -> Tick {
        match &mut self.state {
            State::Calling { timer_b, .. } if *timer_b <= now => {
                self.state = State::Terminated;
                Tick::TimedOut
            }
            State::Calling { timer_a: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2);
                *at = now + *interval;
                Tick::Retransmit
            }
            State::Proceeding { give_up: Some(at) } if *at <= now => {
                self.state = State::Terminated;
                Tick::TimedOut
            }
            State::Accepted { timer_m: at } | State::Completed { timer_d: at } if *at <= now => {
                self.state = State::Terminated;
                Tick::Terminated
            }
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => Tick::Nothing,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Calling { timer_a, timer_b } => {
                Some(timer_a.map_or(timer_b, |(at, _)| at.min(timer_b)))
            }
            State::Proceeding { give_up } => give_up,
            State::Accepted { timer_m: at } | State::Completed { timer_d: at } => Some(at),
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_millis(10_000);

    fn at(ms: u64) -> Time {
        START + Duration::from_millis(ms)
    }

    #[test]
    fn timer_a_doubles_until_timer_b_ends_the_transaction() {
        let mut machine = InviteClient::new(START, false);
        let mut sent = Vec::new();
        let ended = loop {
            let next = machine.poll_timeout().unwrap();
            match machine.handle_timeout(next) {
                Tick::Retransmit => sent.push(next.since(START).as_millis()),
                tick => break (tick, next.since(START).as_millis()),
            }
        };
        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(ended, (Tick::TimedOut, 32_000));
        assert_eq!(machine.poll_timeout(), None);
    }

    #[test]
    fn a_provisional_response_stops_both_timers() {
        let mut machine = InviteClient::new(START, false);
        assert_eq!(machine.handle_response(at(100), 180), Receipt::Pass);
        assert_eq!(machine.poll_timeout(), None);
        machine.cancelled(at(200));
        assert_eq!(machine.handle_timeout(at(32_199)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(at(32_200)), Tick::TimedOut);
    }

    #[test]
    fn a_refusal_is_acknowledged_again_for_32_seconds_on_datagrams() {
        let mut machine = InviteClient::new(START, false);
        assert_eq!(machine.handle_response(at(0), 486), Receipt::PassAndAck);
        assert_eq!(machine.handle_response(at(500), 486), Receipt::Ack);
        assert_eq!(machine.handle_response(at(600), 200), Receipt::Drop);
        assert_eq!(machine.handle_timeout(at(31_999)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(at(32_000)), Tick::Terminated);
    }

    #[test]
    fn accepted_passes_every_2xx_until_timer_m() {
        let mut machine = InviteClient::new(START, true);
        assert_eq!(machine.handle_response(at(0), 200), Receipt::Pass);
        assert_eq!(machine.handle_response(at(500), 200), Receipt::Pass);
        assert_eq!(machine.handle_response(at(500), 180), Receipt::Drop);
        assert_eq!(machine.handle_timeout(at(32_000)), Tick::Terminated);
    }

    #[test]
    fn on_a_stream_nothing_is_sent_again() {
        let mut machine = InviteClient::new(START, true);
        assert_eq!(machine.poll_timeout(), Some(at(32_000)));
        assert_eq!(machine.handle_response(at(1), 603), Receipt::PassAndAck);
        assert_eq!(machine.handle_timeout(at(1)), Tick::Terminated);
    }
}
