//! What is said of a leg's media in SDP (RFC 3264): our side of its audio, our answer or offer, the
//! peer's answer taken, and the responses that carry them.

use koukan_media::Codec;
use koukan_sip::sdp::{self, Agreed, AudioFormat, LocalAudio, Session};
use koukan_sip::{Body, Response};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::srtp::{self, LocalKeys};
use crate::leg::{Leg, LegState, LegStream};
use crate::switch::Switch;

/// Our payload type for `telephone-event` in offers, the one that everybody uses.
const TELEPHONE_EVENT: u8 = 101;

/// The packet time that we offer, in ms.
const PTIME_MS: u8 = 20;

impl Switch {
    /// Our side of a leg's audio in the answer to `offer`, or in an offer of ours. The other leg's
    /// codec comes first when it is known.
    pub(crate) fn local_audio(
        &self,
        leg: &Leg,
        first: Option<&str>,
        offer: Option<&Session>,
    ) -> Option<LocalAudio> {
        let LegStream::Open(_, bound) = leg.stream else { return None };
        let mut formats: Vec<AudioFormat> =
            self.config.codecs.iter().copied().map(format).collect();
        formats.sort_by_key(|format| Some(format.name.as_str()) != first);
        if leg.speaks_fax {
            formats = [Codec::Pcmu, Codec::Pcma].map(format).to_vec();
        }
        let tones = self.narrow_by_trunk(leg, &mut formats) || leg.speaks_fax;
        let keys = (!leg.speaks_fax).then(|| self.local_keys(leg, offer));
        let LocalKeys { crypto, secure } = keys.unwrap_or_default();
        Some(LocalAudio {
            address: self.shown_address(leg, bound),
            formats,
            telephone_event: (!tones).then_some(TELEPHONE_EVENT),
            ptime_ms: PTIME_MS,
            direction: sdp::Direction::SendRecv,
            crypto,
            secure,
        })
    }

    /// The description that goes with our next 18x or 200 to a peer that called us: the answer to
    /// its offer, or our offer when it sent none.
    pub(crate) fn description(
        &mut self,
        call: &mut Call,
        index: u16,
        first: Option<&str>,
    ) -> Option<Body> {
        let leg = call.leg(index)?;
        if let Some(answer) = &leg.answer {
            return Some(Body::sdp(answer.clone()));
        }
        let local = self.local_audio(leg, first, leg.offer.as_ref())?;
        let leg = call.leg_mut(index)?;
        let Some(offer) = leg.offer.take() else {
            let bytes = leg.session.offer(&local);
            leg.offered = Some(local);
            return Some(Body::sdp(bytes));
        };
        let answer = leg.session.answer(&offer, &local, first.is_some());
        match answer {
            Ok((bytes, agreed)) => {
                leg.answer = Some(bytes.clone());
                self.agree(call, index, agreed);
                Some(Body::sdp(bytes))
            }
            Err(refusal) => {
                self.explain(call.id, format!("the caller's offer cannot be taken: {refusal}"));
                None
            }
        }
    }

    /// The peer's answer to our offer.
    pub(crate) fn take_answer(&mut self, call: &mut Call, index: u16, body: &[u8]) -> bool {
        let Some(leg) = call.leg_mut(index) else { return false };
        let Some(local) = &leg.offered else { return true };
        let outcome = Session::parse(body)
            .map_err(|error| error.to_string())
            .and_then(|answer| sdp::agreed(local, &answer, false).map_err(|why| why.to_string()));
        match outcome {
            Ok(agreed) if !srtp::can_be_used(&agreed) => {
                self.explain(call.id, "the answer cannot be used: its keys of SRTP are not spoken");
                false
            }
            Ok(agreed) => {
                self.agree(call, index, agreed);
                true
            }
            Err(why) => {
                self.explain(call.id, format!("the answer cannot be used: {why}"));
                false
            }
        }
    }

    /// What a leg agreed on goes to its stream.
    pub(crate) fn agree(&mut self, call: &mut Call, index: u16, agreed: Agreed) {
        let Some(leg) = call.leg_mut(index) else { return };
        let party = leg.party.name();
        let secure = agreed.crypto.as_ref().map(|crypto| format!(", SRTP {}", crypto.suite));
        let line = format!(
            "{party}: {} at {}, {:?}{}",
            agreed.format.name,
            agreed.remote,
            agreed.direction,
            secure.unwrap_or_default()
        );
        leg.agreed = Some(agreed);
        self.explain(call.id, line);
        self.configure(call, index);
    }

    /// Answers the caller; true when it is answered now.
    pub(crate) fn answer_caller(&mut self, now: Now, call: &mut Call, first: Option<&str>) -> bool {
        let waits = matches!(call.leg(0).map(|leg| leg.state), Some(LegState::Incoming { .. }));
        if !waits {
            return true;
        }
        if !self.answer_leg(now, call, 0, first) {
            return false;
        }
        call.answered = Some(now.date);
        // The user agent's answer is taken over after this, so the journal has it first.
        self.write_record(now, call);
        true
    }

    /// Answers a party that called us; true when it is answered now.
    pub(crate) fn answer_leg(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        first: Option<&str>,
    ) -> bool {
        let Some(LegState::Incoming { tx, dialog }) = call.leg(index).map(|leg| leg.state) else {
            return false;
        };
        let early = call.leg(index).is_some_and(|leg| leg.offered_early);
        let body = if early { None } else { self.description(call, index, first) };
        if body.is_none() && !early {
            return false;
        }
        self.by_server.remove(&tx);
        let headers = match call.stage {
            Stage::Bridged { leg } if index == 0 => self.connected(call, 0, leg),
            _ if index != 0 => self.connected(call, index, 0),
            _ => Vec::new(),
        };
        let response = Response { body, headers, ..Response::new(200) };
        self.ua.respond(now.time, tx, response);
        if let Some(leg) = call.leg_mut(index) {
            leg.state = LegState::Up { dialog };
            leg.answered = Some(now.date);
            leg.status = 200;
        }
        self.configure(call, index);
        true
    }

    /// Opens early media towards the caller by 183, reliably when it takes that; false when it has
    /// made no offer and ours would not be acknowledged.
    pub(crate) fn early_media(&mut self, now: Now, call: &mut Call, first: Option<&str>) -> bool {
        let Some(leg) = call.leg(0) else { return false };
        let LegState::Incoming { tx, .. } = leg.state else { return true };
        if leg.answer.is_some() || leg.offered_early {
            return true;
        }
        let (ours, reliable) = (leg.offer.is_none(), leg.takes_reliable);
        if ours && !reliable {
            return false;
        }
        let Some(body) = self.description(call, 0, first) else { return false };
        if let Some(leg) = call.leg_mut(0) {
            leg.offered_early = ours;
        }
        let response = Response { body: Some(body), reliable, ..Response::new(183) };
        self.ua.respond(now.time, tx, response);
        true
    }
}

pub(super) fn format(codec: Codec) -> AudioFormat {
    AudioFormat {
        payload_type: codec.offered_payload_type(),
        name: codec.encoding_name().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: codec.channels(),
    }
}
