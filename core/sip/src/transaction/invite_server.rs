//! INVITE server transaction (RFC 3261, 17.2.1, figure 7; RFC 6026, 7.1: Accepted and timer L).
//!
//! The 2xx itself is sent again by the user agent core until its ACK comes (RFC 3261, 13.3.1.4);
//! this machine only absorbs the INVITE's retransmissions meanwhile.

use std::time::Duration;

use koukan_base::Time;

use super::Tick;
use crate::timer::{T1, T2, T4, TIMEOUT, TRYING};

#[derive(Debug)]
enum State {
    /// `trying` until a response goes out.
    Proceeding {
        trying: Option<Time>,
    },
    Completed {
        timer_g: Option<(Time, Duration)>,
        timer_h: Time,
    },
    Confirmed {
        timer_i: Time,
    },
    Accepted {
        timer_l: Time,
    },
    Terminated,
}

#[derive(Debug)]
pub(crate) struct InviteServer {
    reliable: bool,
    state: State,
}

impl InviteServer {
    /// The machine of an INVITE that has just come.
    pub(crate) fn new(now: Time, reliable: bool) -> Self {
        Self { reliable, state: State::Proceeding { trying: Some(now + TRYING) } }
    }

    /// Whether no final response was given yet.
    pub(crate) const fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether a 2xx was given.
    pub(crate) const fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// The INVITE came again: whether the last response is sent again.
    pub(crate) const fn handle_retransmission(&self) -> bool {
        matches!(self.state, State::Proceeding { .. } | State::Completed { .. })
    }

    /// Our response goes out.
    pub(crate) fn respond(&mut self, now: Time, status: u16) {
        let State::Proceeding { trying } = &mut self.state else { return };
        *trying = None;
        if status < 200 {
            return;
        }
        self.state = if status < 300 {
            State::Accepted { timer_l: now + TIMEOUT }
        } else {
            let timer_g = (!self.reliable).then(|| (now + T1, T1));
            State::Completed { timer_g, timer_h: now + TIMEOUT }
        };
    }

    /// The ACK of a non-2xx came.
    pub(crate) fn handle_ack(&mut self, now: Time) {
        if matches!(self.state, State::Completed { .. }) {
            let wait = if self.reliable { Duration::ZERO } else { T4 };
            self.state = State::Confirmed { timer_i: now + wait };
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) -> Tick {
        match &mut self.state {
            State::Proceeding { trying } if trying.is_some_and(|at| at <= now) => {
                *trying = None;
                Tick::Trying
            }
            State::Completed { timer_h, .. } if *timer_h <= now => {
                self.state = State::Terminated;
                Tick::TimedOut
            }
            State::Completed { timer_g: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2).min(T2);
                *at = now + *interval;
                Tick::Retransmit
            }
            State::Confirmed { timer_i: at } | State::Accepted { timer_l: at } if *at <= now => {
                self.state = State::Terminated;
                Tick::Terminated
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => Tick::Nothing,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Proceeding { trying } => trying,
            State::Terminated => None,
            State::Completed { timer_g, timer_h } => {
                Some(timer_g.map_or(timer_h, |(at, _)| at.min(timer_h)))
            }
            State::Confirmed { timer_i: at } | State::Accepted { timer_l: at } => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_that_nobody_answers_at_once_gets_its_100_within_200_ms() {
        let mut machine = InviteServer::new(Time::ZERO, false);
        let due = machine.poll_timeout().unwrap();
        assert!(due <= Time::from_millis(200));
        assert_eq!(machine.handle_timeout(due), Tick::Trying);
        assert_eq!(machine.handle_timeout(due), Tick::Nothing);
        machine.respond(due, 100);
        assert_eq!(machine.poll_timeout(), None);

        let mut machine = InviteServer::new(Time::ZERO, false);
        machine.respond(Time::ZERO, 180);
        assert_eq!(machine.poll_timeout(), None, "the ringing tells as much");
    }

    #[test]
    fn a_refusal_is_sent_again_up_to_t2_until_timer_h() {
        let mut machine = InviteServer::new(Time::ZERO, false);
        machine.respond(Time::ZERO, 180);
        assert!(machine.is_proceeding());
        machine.respond(Time::ZERO, 486);
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
    fn the_ack_confirms_and_timer_i_ends_after_t4() {
        let mut machine = InviteServer::new(Time::ZERO, false);
        machine.respond(Time::ZERO, 404);
        machine.handle_ack(Time::from_millis(40));
        assert!(!machine.handle_retransmission());
        assert_eq!(machine.handle_timeout(Time::from_millis(5_039)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(Time::from_millis(5_040)), Tick::Terminated);
    }

    #[test]
    fn accepted_absorbs_retransmitted_invites_until_timer_l() {
        let mut machine = InviteServer::new(Time::ZERO, false);
        machine.respond(Time::ZERO, 200);
        assert!(!machine.handle_retransmission());
        assert_eq!(machine.handle_timeout(Time::from_millis(31_999)), Tick::Nothing);
        assert_eq!(machine.handle_timeout(Time::from_millis(32_000)), Tick::Terminated);
    }
}
