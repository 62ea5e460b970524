//! Non-INVITE client transaction (RFC 3261, 17.1.2, figure 6).

use std::time::Duration;

use koukan_base::Time;

use super::{Receipt, Tick};
use crate::timer::{T1, T2, T4, TIMEOUT};

#[derive(Debug)]
enum State {
    Trying { timer_e: Option<(Time, Duration)>, timer_f: Time },
    Proceeding { timer_e: Option<Time>, timer_f: Time },
    Completed { timer_k: Time },
    Terminated,
}

#[derive(Debug)]
pub(crate) struct NonInviteClient {
    reliable: bool,
    state: State,
}

impl NonInviteClient {
    /// The machine of a request that has just been sent.
    pub(crate) fn new(now: Time, reliable: bool) -> Self {
        let timer_e = (!reliable).then(|| (now + T1, T1));
        Self { reliable, state: State::Trying { timer_e, timer_f: now + TIMEOUT } }
    }

    pub(crate) fn handle_response(&mut self, now: Time, status: u16) -> Receipt {
        match (&self.state, status) {
            (State::Trying { timer_f, .. }, 100..=199) => {
                let timer_e = (!self.reliable).then(|| now + T2);
                self.state = State::Proceeding { timer_e, timer_f: *timer_f };
                Receipt::Pass
            }
            (State::Proceeding { .. }, 100..=199) => Receipt::Pass,
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                let wait = if self.reliable { Duration::ZERO } else { T4 };
                self.state = State::Completed { timer_k: now + wait };
                Receipt::Pass
            }
            (State::Completed { .. } | State::Terminated, _) => Receipt::Drop,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) -> Tick {
        match &mut self.state {
            State::Trying { timer_f, .. } | State::Proceeding { timer_f, .. }
                if *timer_f <= now =>
            {
                self.state = State::Terminated;
                Tick::TimedOut
            }
            State::Trying { timer_e: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2).min(T2);
                *at = now + *interval;
                Tick::Retransmit
            }
            State::Proceeding { timer_e: Some(at), .. } if *at <= now => {
                *at = now + T2;
                Tick::Retransmit
            }
            State::Completed { timer_k } if *timer_k <= now => {
                self.state = State::Terminated;
                Tick::Terminated
            }
            State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => Tick::Nothing,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Trying { timer_e, timer_f } => {
                Some(timer_e.map_or(timer_f, |(at, _)| at.min(timer_f)))
            }
            State::Proceeding { timer_e, timer_f } => {
                Some(timer_e.map_or(timer_f, |at| at.min(timer_f)))
            }
            State::Completed { timer_k } => Some(timer_k),
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f() {
        let mut machine = NonInviteClient::new(Time::ZERO, false);
        let mut sent = Vec::new();
        let ended = loop {
            let next = machine.poll_timeout().unwrap();
            match machine.handle_timeout(next) {
                Tick::Retransmit => sent.push(next.as_millis()),
                tick => break (tick, next.as_millis()),
            }
        };
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(ended, (Tick::TimedOut, 32_000));
    }

    #[test]
    fn timer_k_absorbs_retransmitted_responses_and_ends_the_transaction_after_t4() {
        let mut machine = NonInviteClient::new(Time::ZERO, false);
        assert_eq!(machine.handle_response(Time::ZERO, 200), Receipt::Pass);
        assert_eq!(machine.handle_response(Time::from_millis(10), 200), Receipt::Drop);
        assert_eq!(machine.handle_timeout(Time::from_millis(4_999)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(Time::from_millis(5_000)), Tick::Terminated);
    }

    #[test]
    fn a_provisional_response_slows_retransmission_to_t2() {
        let mut machine = NonInviteClient::new(Time::ZERO, false);
        assert_eq!(machine.handle_response(Time::from_millis(100), 100), Receipt::Pass);
        assert_eq!(machine.poll_timeout(), Some(Time::from_millis(4_100)));
        assert_eq!(machine.handle_timeout(Time::from_millis(4_100)), Tick::Retransmit);
    }
}
