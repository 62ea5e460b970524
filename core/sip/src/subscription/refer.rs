//! The implicit subscription of REFER (RFC 3515, 2.4; `Refer-Sub: false` of RFC 4488) in both
//! roles: telling how the referred call goes, and hearing how ours does. The body is one status
//! line, `message/sipfrag` (RFC 3420).

use std::time::Duration;

use koukan_base::Time;

use crate::header::{EventType, SubscriptionState, SubscriptionStatus, refer_sub};
use crate::write::reason_phrase;
use crate::{Body, ExtraHeaders, Header, Message, Method};

/// How long a referred call may take before its subscription ends by itself.
const LIFE: Duration = Duration::from_secs(180);

/// The status line of a NOTIFY's body.
#[must_use]
pub fn sipfrag(status: u16) -> Body {
    let line = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
    Body { content_type: "message/sipfrag;version=2.0", bytes: line.into_bytes() }
}

/// The status that such a body tells.
#[must_use]
pub fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let digits = body.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    let status = crate::header::number(digits).and_then(|status| u16::try_from(status).ok())?;
    (100..700).contains(&status).then_some(status)
}

/// Our reports about a call that a REFER of the peer asked for: one NOTIFY at a time, the newest
/// status behind it. The caller sends what is due within the dialog of the REFER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferReport {
    id: u32,
    /// The status to be told, until it is.
    news: Option<u16>,
    outstanding: bool,
    last: bool,
    end: Time,
}

impl ReferReport {
    /// For a REFER with this CSeq, just accepted: 100 is due at once.
    #[must_use]
    pub fn new(now: Time, cseq: u32) -> Self {
        Self { id: cseq, news: Some(100), outstanding: false, last: false, end: now + LIFE }
    }

    /// The referred call has come so far; 200 and above is its end.
    pub fn progress(&mut self, status: u16) {
        let over = self.last || self.news.is_some_and(|news| news >= 200);
        if !over && status > 100 {
            self.news = Some(status);
        }
    }

    /// The NOTIFY that is due: its headers and body.
    pub fn poll_notify(&mut self, now: Time) -> Option<(ExtraHeaders, Body)> {
        if self.outstanding || self.last {
            return None;
        }
        let status = match self.news.take() {
            Some(status) => status,
            None if self.end <= now => 408,
            None => return None,
        };
        self.outstanding = true;
        self.last = status >= 200;
        let state = if self.last {
            b"terminated;reason=noresource".to_vec()
        } else {
            let left = self.end.since(now).as_secs();
            format!("active;expires={left}").into_bytes()
        };
        let event = format!("refer;id={}", self.id).into_bytes();
        Some((vec![("Event", event), ("Subscription-State", state)], sipfrag(status)))
    }

    /// The outcome of a NOTIFY; false when the subscription is over.
    #[must_use]
    pub fn handle_outcome(&mut self, status: u16) -> bool {
        self.outstanding = false;
        self.last |= status >= 300;
        !self.last
    }

    /// When `poll_notify` gives 408 for want of anything else.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        (!self.outstanding && !self.last).then_some(self.end)
    }
}

/// What is heard about a REFER of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferralEvent {
    /// Nothing new.
    Nothing,
    /// The referred call has come so far (100–199).
    Progress(u16),
    /// It is over with this status: 200 says that it is answered.
    Over(u16),
    /// Nobody will tell: the peer keeps no subscription, or ended it without a final status.
    Unknown,
}

/// A REFER of ours, from its sending until its outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    cseq: u32,
    end: Time,
    over: bool,
}

impl Referral {
    /// A REFER with this CSeq that has just been sent.
    #[must_use]
    pub fn new(now: Time, cseq: u32) -> Self {
        Self { cseq, end: now + LIFE, over: false }
    }

    /// The final response to the REFER.
    pub fn handle_response(&mut self, status: u16, message: Option<&Message>) -> ReferralEvent {
        if self.over {
            return ReferralEvent::Nothing;
        }
        let told = message.and_then(|message| message.header(Header::ReferSub));
        match status {
            // RFC 4488, 4: no subscription was made.
            200..=299 if told.and_then(refer_sub) == Some(false) => self.finish(None),
            200..=299 => ReferralEvent::Nothing,
            _ => self.finish(Some(status)),
        }
    }

    /// A NOTIFY in the dialog: `None` when it belongs to another subscription.
    pub fn handle_notify(&mut self, message: &Message) -> Option<ReferralEvent> {
        message.event().filter(|event| self.is_ours(message.method(), event))?;
        if self.over {
            return Some(ReferralEvent::Nothing);
        }
        let state = message.header(Header::SubscriptionState).and_then(SubscriptionState::parse)?;
        let status = sipfrag_status(message.body());
        Some(match (status, state.status) {
            (Some(status @ 200..), _) => self.finish(Some(status)),
            (_, SubscriptionStatus::Terminated) => self.finish(None),
            (Some(status), _) => ReferralEvent::Progress(status),
            (None, _) => ReferralEvent::Nothing,
        })
    }

    /// RFC 3515, 2.4.6: the `id` is the REFER's CSeq; the first one may go without.
    fn is_ours(&self, method: Option<Method>, event: &EventType<'_>) -> bool {
        method == Some(Method::Notify)
            && event.package.eq_ignore_ascii_case(b"refer")
            && event.id.is_none_or(|id| crate::header::number(id) == Some(self.cseq))
    }

    /// Nobody told anything for so long: `Unknown`, once.
    pub fn handle_timeout(&mut self, now: Time) -> ReferralEvent {
        if self.over || self.end > now { ReferralEvent::Nothing } else { self.finish(None) }
    }

    /// When `handle_timeout` is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        (!self.over).then_some(self.end)
    }

    fn finish(&mut self, status: Option<u16>) -> ReferralEvent {
        self.over = true;
        status.map_or(ReferralEvent::Unknown, ReferralEvent::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;

    fn told(report: &mut ReferReport, now: Time) -> (String, String) {
        let (headers, body) = report.poll_notify(now).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let state = headers.into_iter().find(|(name, _)| *name == "Subscription-State").unwrap();
        (text(state.1), text(body.bytes))
    }

    #[test]
    fn a_report_tells_100_then_the_newest_and_the_end_once() {
        let mut report = ReferReport::new(Time::ZERO, 93_809_823);
        let (headers, body) = report.clone().poll_notify(Time::ZERO).unwrap();
        assert!(headers.contains(&("Event", b"refer;id=93809823".to_vec())));
        assert_eq!(body.bytes, b"SIP/2.0 100 Trying\r\n");
        assert_eq!(told(&mut report, Time::ZERO).0, "active;expires=180");
        for status in [180, 183, 180] {
            report.progress(status);
        }
        assert_eq!(report.poll_notify(Time::ZERO), None);
        assert!(report.handle_outcome(200));
        assert_eq!(told(&mut report, Time::ZERO).1, "SIP/2.0 180 Ringing\r\n");
        report.progress(486);
        report.progress(200);
        assert!(report.handle_outcome(200));
        let last = told(&mut report, Time::ZERO);
        assert_eq!(last.0, "terminated;reason=noresource");
        assert_eq!(last.1, "SIP/2.0 486 Busy Here\r\n");
        assert!(!report.handle_outcome(200));
        assert_eq!((report.poll_notify(Time::MAX), report.poll_timeout()), (None, None));
    }

    #[test]
    fn a_report_that_nobody_takes_or_that_lasts_too_long_ends() {
        let mut report = ReferReport::new(Time::ZERO, 1);
        let _ = report.poll_notify(Time::ZERO);
        assert!(!report.handle_outcome(481));
        let mut report = ReferReport::new(Time::ZERO, 1);
        let _ = report.poll_notify(Time::ZERO);
        assert!(report.handle_outcome(200));
        let end = report.poll_timeout().unwrap();
        assert_eq!(report.poll_notify(end - Duration::from_millis(1)), None);
        assert_eq!(told(&mut report, end).1, "SIP/2.0 408 Request Timeout\r\n");
    }

    fn notify(event: &str, state: &str, body: &str) -> Message {
        let text = format!(
            "NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\
             \r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 NOTIFY\r\nEvent: {event}\r\n\
             Subscription-State: {state}\r\n\r\n{body}"
        );
        Message::from_datagram(&mut Scanner::new(), text.as_bytes()).unwrap()
    }

    #[test]
    fn our_refer_is_followed_to_its_end() {
        let mut referral = Referral::new(Time::ZERO, 5);
        assert_eq!(referral.handle_response(202, None), ReferralEvent::Nothing);
        let other = notify("refer;id=4", "active", "SIP/2.0 180 x\r\n");
        assert_eq!(referral.handle_notify(&other), None);
        assert_eq!(referral.handle_notify(&notify("dialog", "active", "")), None);
        let rings = notify("refer;id=5", "active", "SIP/2.0 180 x\r\n");
        assert_eq!(referral.handle_notify(&rings), Some(ReferralEvent::Progress(180)));
        let answered = notify("refer", "terminated;reason=noresource", "SIP/2.0 200 OK\r\n");
        assert_eq!(referral.handle_notify(&answered), Some(ReferralEvent::Over(200)));
        assert_eq!(referral.handle_notify(&answered), Some(ReferralEvent::Nothing));
        assert_eq!(referral.poll_timeout(), None);
    }

    #[test]
    fn nobody_tells_or_the_refer_is_refused() {
        let mut refused = Referral::new(Time::ZERO, 5);
        assert_eq!(refused.handle_response(603, None), ReferralEvent::Over(603));
        let mut silent = Referral::new(Time::ZERO, 5);
        let end = silent.poll_timeout().unwrap();
        assert_eq!(silent.handle_timeout(Time::ZERO), ReferralEvent::Nothing);
        assert_eq!(silent.handle_timeout(end), ReferralEvent::Unknown);
        let mut without = Referral::new(Time::ZERO, 5);
        let mut answer = notify("refer", "active", "");
        assert_eq!(without.handle_response(200, Some(&answer)), ReferralEvent::Nothing);
        let text = String::from_utf8(answer.bytes().to_vec()).unwrap();
        let text = text.replace("Event:", "Refer-Sub: false\r\nEvent:");
        answer = Message::from_datagram(&mut Scanner::new(), text.as_bytes()).unwrap();
        assert_eq!(without.handle_response(200, Some(&answer)), ReferralEvent::Unknown);
        let mut cut = Referral::new(Time::ZERO, 5);
        let over = notify("refer", "terminated;reason=timeout", "");
        assert_eq!(cut.handle_notify(&over), Some(ReferralEvent::Unknown));
    }

    #[test]
    fn only_a_status_line_is_a_status() {
        assert_eq!(sipfrag_status(b"SIP/2.0 200 OK"), Some(200));
        for body in ["", "SIP/2.0 20", "SIP/2.0 abc", "SIP/2.0 999 x", "HTTP/1.1 200 OK"] {
            assert_eq!(sipfrag_status(body.as_bytes()), None, "{body}");
        }
    }
}
