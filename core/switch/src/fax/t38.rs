//! T.38 in the place of the audio (ITU-T T.38, annex D): asked for by us a moment after the answer,
//! or by the other side at any time. A refusal leaves the audio as it is, without a gap, because
//! the process that speaks T.30 hears of nothing but agreements.

use std::time::Duration;

use koukan_dialplan::TrunkSignalling;
use koukan_media::{Codec, CodecParams, Command, Direction, StreamConfig};
use koukan_sip::sdp::{self, AgreedImage, LocalImage, Session};
use koukan_sip::{Body, ClientTx, Message, Method, Response};

use super::FaxOrder;
use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::leg::{LegState, LegStream, Party};
use crate::switch::{Fate, Switch};

/// The largest datagram that we say to take, in bytes.
const MAX_DATAGRAM: u16 = 400;

/// When T.38 is asked for again after an offer of ours that crossed one of the other side's: behind
/// every wait of RFC 3261, 14.1.
const AFTER_GLARE: Duration = Duration::from_secs(5);

impl Switch {
    /// Whether a leg's faxes may go over to T.38, by its trunk.
    pub(super) fn may_use_t38(&self, call: &Call, index: u16) -> bool {
        self.signalling_of(call, index).is_none_or(|signalling| signalling.t38)
    }

    /// How long after the answer T.38 is asked for there, when its trunk says so.
    pub(super) fn ask_after(&self, call: &Call, index: u16, usual: Duration) -> Duration {
        let said = self.signalling_of(call, index).and_then(|signalling| signalling.t38_ask);
        said.unwrap_or(usual)
    }

    fn signalling_of(&self, call: &Call, index: u16) -> Option<&TrunkSignalling> {
        let Party::Trunk((tenant, name)) = &call.leg(index)?.party else { return None };
        let trunk = self.directory.plans.trunk(tenant.as_deref(), name)?;
        Some(&trunk.signalling)
    }

    /// Our side of a leg's T.38.
    pub(super) fn local_image(&self, call: &Call, index: u16) -> Option<LocalImage> {
        let leg = call.leg(index)?;
        // One that is on its way keeps its port.
        let (LegStream::Open(_, bound) | LegStream::Moving(_, bound)) = leg.stream else {
            return None;
        };
        Some(LocalImage { address: self.shown_address(leg, bound), max_datagram: MAX_DATAGRAM })
    }

    /// Answers a caller that offers T.38 and no audio; `None` when it offers something else.
    pub(super) fn answer_with_image(&mut self, now: Now, call: &mut Call) -> Option<AgreedImage> {
        let local = self.local_image(call, 0)?;
        let worker = call.worker;
        let leg = call.leg_mut(0)?;
        let LegState::Incoming { tx, dialog } = leg.state else { return None };
        let stream = leg.stream.live()?;
        // One that cannot be taken stays, and is refused as every other.
        let fits = |offer: &mut Session| {
            offer.audio().is_none() && sdp::agreed_image(&local, offer).is_ok()
        };
        let offer = leg.offer.take_if(fits)?;
        let (bytes, agreed) = leg.session.answer_image(&offer, &local).ok()?;
        leg.answer = Some(bytes.clone());
        (leg.state, leg.answered, leg.status) = (LegState::Up { dialog }, Some(now.date), 200);
        self.by_server.remove(&tx);
        let body = Some(Body::sdp(bytes));
        self.ua.respond(now.time, tx, Response { body, ..Response::new(200) });
        call.answered = Some(now.date);
        self.write_record(now, call);
        // The stream is lent with an address; nothing is said on it before.
        let config = StreamConfig {
            remote: agreed.remote,
            remote_rtcp: None,
            codec: CodecParams {
                codec: Codec::Pcmu,
                payload_type: 0,
                receive_type: 0,
                ptime_ms: 20,
            },
            telephone_event: None,
            digit_tones: false,
            direction: Direction::Inactive,
            srtp: None,
            silent_after: None,
        };
        self.media(worker, Command::Configure { stream, config });
        Some(agreed)
    }

    /// It is time to ask for T.38.
    pub(crate) fn ask_for_t38(&mut self, now: Now, call: &mut Call) {
        let local = self.local_image(call, 0);
        let Stage::Fax(run) = &mut call.stage else { return };
        run.ask_at = None;
        let free = run.t38 && run.image.is_none() && run.asked.is_none();
        let (Some(local), true) = (local, free) else { return };
        let Some(leg) = call.leg_mut(0) else { return };
        let LegState::Up { dialog } = leg.state else { return };
        let before = Box::new(leg.session.clone());
        let body = Some(Body::sdp(leg.session.offer_image(&local)));
        match self.ua.request_in_dialog(now.time, dialog, Method::Invite, Vec::new(), body) {
            Some(tx) => {
                self.explain(call.id, "asks for T.38");
                self.fax_asks.insert(tx, call.id);
                if let Stage::Fax(run) = &mut call.stage {
                    run.asked = Some((tx, before));
                }
            }
            None => leg.session = *before,
        }
    }

    /// The 2xx to a re-INVITE of ours on a call that is a fax: true when it needs nothing more.
    pub(crate) fn fax_answered(&mut self, now: Now, call: &mut Call, message: &Message) -> bool {
        let local = self.local_image(call, 0);
        let Stage::Fax(run) = &mut call.stage else { return false };
        let Some((tx, before)) = run.asked.take() else {
            // A refresh: what was agreed on goes on.
            return run.image.is_some();
        };
        self.fax_asks.remove(&tx);
        let answer = Session::parse(message.sdp().unwrap_or_default());
        let agreed = answer
            .ok()
            .zip(local)
            .and_then(|(answer, local)| sdp::agreed_image(&local, &answer).ok());
        match agreed {
            Some(agreed) => self.go_over_to_t38(call, agreed),
            None => {
                self.explain(call.id, "T.38 is not taken; the fax stays in audio");
                if let Some(leg) = call.leg_mut(0) {
                    leg.session = *before;
                }
                // Its answer has ended the audio on paper: it is offered again as it was.
                self.repeat_offer(now, call, 0, Vec::new());
            }
        }
        true
    }

    /// Our offer of T.38 was refused.
    pub(crate) fn t38_refused(&mut self, now: Now, tx: ClientTx, status: u16) -> bool {
        let Some(id) = self.fax_asks.remove(&tx) else { return false };
        self.with_call(now, id, |switch, call| {
            switch.carried_refusal(now, call, tx, status);
            let Stage::Fax(run) = &mut call.stage else { return Fate::Keep };
            let Some((_, before)) = run.asked.take() else { return Fate::Keep };
            if status == 491 && run.image.is_none() {
                run.ask_at = Some(now.time + AFTER_GLARE);
            }
            if run.image.is_none()
                && let Some(leg) = call.leg_mut(0)
            {
                leg.session = *before;
            }
            switch.explain(call.id, format!("T.38: {status}; the fax stays in audio"));
            Fate::Keep
        });
        true
    }

    /// An offer of the other side on a call that is a fax: `None` when it is one like any other,
    /// `Some(None)` when it is refused.
    pub(crate) fn fax_offer(&mut self, call: &mut Call, offer: &Session) -> Option<Option<Body>> {
        let local = self.local_image(call, 0);
        let Stage::Fax(run) = &mut call.stage else { return None };
        if offer.image().is_none() {
            // Back to audio in the middle of T.38 would begin the fax anew: it goes on instead.
            return run.image.is_some().then_some(None);
        }
        run.ask_at = None;
        let Some(local) = local.filter(|_| run.t38) else { return Some(None) };
        let leg = call.leg_mut(0)?;
        match leg.session.answer_image(offer, &local) {
            Ok((bytes, agreed)) => {
                self.go_over_to_t38(call, agreed);
                Some(Some(Body::sdp(bytes)))
            }
            Err(refusal) => {
                self.explain(call.id, format!("the offer of T.38 cannot be taken: {refusal}"));
                Some(None)
            }
        }
    }

    /// T.38 is agreed on; a refresh of what is agreed on already changes nothing.
    fn go_over_to_t38(&mut self, call: &mut Call, agreed: AgreedImage) {
        let Stage::Fax(run) = &mut call.stage else { return };
        run.ask_at = None;
        if run.image.replace(agreed).is_some() {
            return;
        }
        let (fax, lent) = (run.fax, run.lent);
        self.explain_image(call, &agreed);
        if lent {
            self.actions.push_back(Action::Fax(FaxOrder::Switch { fax, image: agreed }));
        }
    }

    /// Says what was agreed on.
    pub(super) fn explain_image(&mut self, call: &Call, agreed: &AgreedImage) {
        let words = format!(
            "T.38 at {}, {} bytes a datagram, {:?}",
            agreed.remote, agreed.max_datagram, agreed.correction
        );
        self.explain(call.id, words);
    }
}
