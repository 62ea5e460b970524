//! Calls that phones answer by themselves: the intercom, a call like any other but for what its
//! INVITE asks of the phone, and paging, where every phone that answers hears the caller in a room
//! of the media engine and is itself not heard.
//!
//! What is asked for stands in the three headers that phones of the field know: `Answer-Mode` (RFC
//! 5373), `Call-Info` with `answer-after`, and `Alert-Info` with `info=alert-autoanswer`.

use std::time::Duration;

use koukan_base::{BridgeId, StreamId, Time};
use koukan_dialplan::RingTarget;
use koukan_media::Prompt;
use koukan_sip::ExtraHeaders;

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::music::holds;
use crate::leg::{LegState, LegStream};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// A phone that does not answer by itself for so long is left alone.
const ANSWERS: Duration = Duration::from_secs(15);

/// A page under way.
#[derive(Debug)]
pub(crate) struct Paging {
    bridge: BridgeId,
    /// When phones that have not answered are left alone.
    pub(crate) until: Option<Time>,
    /// The streams that were brought together, and whether they are kept from the others.
    joined: Vec<(StreamId, bool)>,
    /// Somebody has answered, and the caller was told to speak.
    begun: bool,
}

/// What asks a phone to answer by itself.
pub(crate) fn answer_yourself(host: &str) -> ExtraHeaders {
    vec![
        ("Answer-Mode", b"Auto".to_vec()),
        ("Call-Info", format!("<sip:{host}>;answer-after=0").into_bytes()),
        ("Alert-Info", format!("<sip:{host}>;info=alert-autoanswer;delay=0").into_bytes()),
    ]
}

impl Switch {
    /// Begins a call that phones answer by themselves; `None` when the next step has its turn.
    pub(crate) fn start_page(
        &mut self,
        now: Now,
        call: &mut Call,
        targets: Vec<RingTarget>,
        talk: bool,
    ) -> Option<Fate> {
        call.auto_answer = true;
        if talk {
            let rings = self.start_ringing(now, call, targets, ANSWERS, None);
            if rings {
                self.wire(call);
            }
            return rings.then_some(Fate::Keep);
        }
        if !self.answer_caller(now, call, None) {
            return Some(Fate::End(CallCause::NotAnswered, 488));
        }
        self.transfer_done(now, call);
        let bridge = BridgeId(self.next_number());
        let until = Some(now.time + ANSWERS);
        call.stage = Stage::Paging(Paging { bridge, until, joined: Vec::new(), begun: false });
        self.stop_music(call, 0);
        for target in &targets {
            self.ring_target(now, call, target);
        }
        self.wire(call);
        self.page_on(call)
    }

    /// Brings who has answered together.
    pub(crate) fn wire_page(&mut self, call: &mut Call) {
        let Stage::Paging(paging) = &mut call.stage else { return };
        let (bridge, mut joined) = (paging.bridge, std::mem::take(&mut paging.joined));
        let mut wanted = Vec::new();
        for (index, leg) in call.legs.iter().enumerate() {
            if let (LegState::Up { .. }, LegStream::Open(stream, _)) = (leg.state, leg.stream) {
                wanted.push((stream, index != 0 || holds(Some(leg))));
            }
        }
        self.meet(call, bridge, &mut joined, &wanted);
        if let Stage::Paging(paging) = &mut call.stage {
            paging.joined = joined;
        }
    }

    /// A phone has answered by itself.
    pub(crate) fn page_answered(&mut self, call: &mut Call) -> Fate {
        self.wire(call);
        let Stage::Paging(paging) = &mut call.stage else { return Fate::Keep };
        if !std::mem::replace(&mut paging.begun, true) {
            let language = self.directory.plans.language(&call.tenant);
            let beep = Prompt::clip(language, "beep");
            let op = self.next_op();
            if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
                self.play(call.worker, stream, op, vec![beep], 1);
            }
        }
        Fate::Keep
    }

    /// Phones that have not answered by themselves are left alone.
    pub(crate) fn page_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        let Stage::Paging(paging) = &mut call.stage else { return Fate::Keep };
        paging.until = None;
        let ringing: Vec<u16> = call.rung().map(|(index, _)| index).collect();
        for index in ringing {
            self.end_leg(now, call, index, 487, None);
        }
        self.page_over(now, call)
    }

    /// A paged phone is gone: the page is over with the last one.
    pub(crate) fn page_over(&mut self, now: Now, call: &mut Call) -> Fate {
        match self.page_on(call) {
            Some(fate) => fate,
            None if matches!(&call.stage, Stage::Paging(paging) if paging.begun) => {
                Fate::End(CallCause::CalleeHungUp, 480)
            }
            None => self.next_step(now, call),
        }
    }

    /// Whether anybody is left who hears the page, or may yet.
    pub(crate) fn page_on(&mut self, call: &Call) -> Option<Fate> {
        let others = call.legs.iter().skip(1);
        let left = others.filter(|leg| !leg.is_over()).count();
        if left == 0 {
            self.explain(call.id, "nobody hears the page");
        }
        (left > 0).then_some(Fate::Keep)
    }
}
