//! Reliable provisional responses of ours (RFC 3262, section 3): numbered, sent again until their
//! PRACK comes, one at a time; a 2xx waits while a description is unacknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use koukan_base::Time;

use super::types::Response;
use crate::timer::{T1, TIMEOUT};
use crate::transaction::Tick;

/// What becomes of a response to an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It goes out.
    Send,
    /// It waits for a PRACK.
    Hold,
    /// Nobody can use it any more.
    Drop,
}

/// Responses that wait behind an unacknowledged one; a callee that makes more of them in one round
/// trip has nothing new to say.
const HELD: usize = 8;

/// A response that was sent and not acknowledged.
#[derive(Debug)]
struct Sent {
    rseq: u32,
    has_body: bool,
    bytes: Vec<u8>,
    interval: Duration,
    retransmit: Time,
    give_up: Time,
    /// A final response has gone out: it is not sent again, its PRACK is still welcome.
    over: bool,
}

/// The reliable provisional responses to one INVITE.
#[derive(Debug)]
pub(super) struct Provisional {
    next_rseq: u32,
    sent: Option<Sent>,
    held: VecDeque<Response>,
    /// A PRACK with an offer waits for our answer: what is held waits with it.
    blocked: Option<u64>,
}

impl Provisional {
    /// The first number is any from 1 to 2^31 − 1 (RFC 3262, 3).
    pub(super) const fn new(random: u32) -> Self {
        let first = random % 0x7fff_fffe + 1;
        Self { next_rseq: first, sent: None, held: VecDeque::new(), blocked: None }
    }

    /// What becomes of `response`; `reliable` says that it is a provisional one to be numbered.
    pub(super) fn gate(&mut self, response: &Response, reliable: bool) -> Gate {
        let waits = self.is_waiting();
        if self.held.back().is_some_and(|last| last.status >= 200) && response.status < 300 {
            return Gate::Drop;
        }
        match response.status {
            300.. => {
                self.stop();
                Gate::Send
            }
            200.. => {
                let described = self.sent.as_ref().is_some_and(|sent| sent.has_body && !sent.over)
                    || self.held.iter().any(|held| held.body.is_some());
                if described || self.blocked.is_some() {
                    return Gate::Hold;
                }
                self.stop();
                Gate::Send
            }
            _ if !waits || !reliable => Gate::Send,
            _ if self.held.len() >= HELD => Gate::Drop,
            _ => Gate::Hold,
        }
    }

    /// Keeps a response until what is before it is acknowledged.
    pub(super) fn hold(&mut self, response: Response) {
        self.held.push_back(response);
    }

    /// The next response that may go out now.
    pub(super) fn release(&mut self) -> Option<Response> {
        if self.is_waiting() {
            return None;
        }
        self.held.pop_front()
    }

    /// The number of the next reliable response.
    pub(super) const fn rseq(&self) -> u32 {
        self.next_rseq
    }

    /// A reliable response with [`Self::rseq`] goes out.
    pub(super) fn sent(&mut self, now: Time, has_body: bool, bytes: Vec<u8>) {
        self.sent = Some(Sent {
            rseq: self.next_rseq,
            has_body,
            bytes,
            interval: T1,
            retransmit: now + T1,
            give_up: now + TIMEOUT,
            over: false,
        });
        self.next_rseq = self.next_rseq.wrapping_add(1);
    }

    /// A PRACK with this number came: whether it acknowledges anything.
    pub(super) fn acknowledge(&mut self, rseq: u32) -> bool {
        self.sent.take_if(|sent| sent.rseq == rseq).is_some()
    }

    /// Whether a PRACK with this number would acknowledge anything.
    pub(super) fn awaits(&self, rseq: u32) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.rseq == rseq)
    }

    /// What is held waits for the answer to this PRACK's offer as well.
    pub(super) const fn block(&mut self, prack: u64) {
        self.blocked = Some(prack);
    }

    /// The PRACK got its final response: whether held responses waited for it.
    pub(super) fn unblock(&mut self, prack: u64) -> bool {
        self.blocked.take_if(|waiting| *waiting == prack).is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let sent = self.sent.as_ref().filter(|sent| !sent.over)?;
        Some(sent.retransmit.min(sent.give_up))
    }

    pub(super) fn handle_timeout(&mut self, now: Time) -> Tick {
        let Some(sent) = self.sent.as_mut().filter(|sent| !sent.over) else {
            return Tick::Nothing;
        };
        if sent.give_up <= now {
            self.stop();
            return Tick::TimedOut;
        }
        if sent.retransmit > now {
            return Tick::Nothing;
        }
        // RFC 3262, 3: doubled without the bound of T2.
        sent.interval = sent.interval.saturating_mul(2);
        sent.retransmit = now + sent.interval;
        Tick::Retransmit
    }

    /// The bytes to send again.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.sent.as_ref().map(|sent| sent.bytes.as_slice())
    }

    fn is_waiting(&self) -> bool {
        self.blocked.is_some() || self.sent.as_ref().is_some_and(|sent| !sent.over)
    }

    /// A final response goes out: nothing is sent again, nothing is held.
    fn stop(&mut self) {
        self.held.clear();
        self.blocked = None;
        if let Some(sent) = &mut self.sent {
            sent.over = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ua::Body;

    fn described(status: u16) -> Response {
        Response { body: Some(Body::sdp(b"v=0\r\n".to_vec())), ..Response::new(status) }
    }

    #[test]
    fn a_response_is_sent_again_with_doubled_intervals_for_64_t1() {
        let mut machine = Provisional::new(7);
        machine.sent(Time::ZERO, false, Vec::new());
        let mut sent = Vec::new();
        let ended = loop {
            let next = machine.poll_timeout().unwrap();
            match machine.handle_timeout(next) {
                Tick::Retransmit => sent.push(next.as_millis()),
                tick => break (tick, next.as_millis()),
            }
        };
        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(ended, (Tick::TimedOut, 32_000));
        assert_eq!(machine.poll_timeout(), None);
    }

    #[test]
    fn the_second_waits_for_the_first_and_a_2xx_for_a_description() {
        let mut machine = Provisional::new(1);
        assert_eq!(machine.gate(&described(183), true), Gate::Send);
        let first = machine.rseq();
        machine.sent(Time::ZERO, true, Vec::new());
        assert_eq!(machine.gate(&Response::new(180), true), Gate::Hold);
        machine.hold(Response::new(180));
        assert_eq!(machine.gate(&Response::new(200), false), Gate::Hold);
        machine.hold(Response::new(200));
        assert_eq!(machine.gate(&Response::new(200), false), Gate::Drop);
        assert_eq!(machine.release(), None);
        assert!(!machine.acknowledge(first + 1) && machine.acknowledge(first));
        assert_eq!(machine.release().map(|next| next.status), Some(180));
        machine.sent(Time::ZERO, false, Vec::new());
        assert_eq!(machine.release(), None);
        assert!(machine.acknowledge(first + 1));
        assert_eq!(machine.release().map(|next| next.status), Some(200));
    }

    #[test]
    fn a_2xx_does_not_wait_for_mere_ringing_and_a_refusal_for_nothing() {
        let mut machine = Provisional::new(u32::MAX);
        let rseq = machine.rseq();
        machine.sent(Time::ZERO, false, Vec::new());
        assert_eq!(machine.gate(&Response::new(200), false), Gate::Send);
        assert_eq!((machine.poll_timeout(), machine.awaits(rseq)), (None, true));
        let mut machine = Provisional::new(0);
        machine.sent(Time::ZERO, true, Vec::new());
        machine.hold(described(200));
        assert_eq!(machine.gate(&Response::new(486), false), Gate::Send);
        assert_eq!(machine.release(), None);
    }

    #[test]
    fn an_offer_in_a_prack_holds_what_follows_until_it_is_answered() {
        let mut machine = Provisional::new(5);
        let rseq = machine.rseq();
        machine.sent(Time::ZERO, true, Vec::new());
        machine.hold(Response::new(200));
        assert!(machine.acknowledge(rseq));
        machine.block(9);
        assert_eq!(machine.release(), None);
        assert!(!machine.unblock(8) && machine.unblock(9));
        assert_eq!(machine.release().map(|next| next.status), Some(200));
    }
}
