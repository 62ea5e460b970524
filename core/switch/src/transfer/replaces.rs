//! Replaces (RFC 3891): attended transfer (RFC 5589, section 7), pickup of a call that rings,
//! taking over of one that is up. All within one office.

use koukan_sip::header::Replaces;
use koukan_sip::{DialogId, Header, Message, Response, ServerTx};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::{Leg, LegState, LegStream, Party};
use crate::record::CallCause;
use crate::switch::{Fate, LegKey, Switch};
use crate::transfer::ring_back::RingBack;

/// What a phone whose call was taken over is told (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Switch {
    /// The leg whose dialog a Replaces header means; else the status that refuses it. `own`: in a
    /// REFER, which may mean a call that the referrer has begun and nobody has answered.
    pub(crate) fn replaced_leg(&self, value: &[u8], own: bool) -> Result<LegKey, u16> {
        let replaces = Replaces::parse(value).ok_or(400u16)?;
        let find = |replaces| match own {
            true => self.ua.find_own_dialog(replaces),
            false => self.ua.find_dialog(replaces),
        };
        // Who read the tags in dialog-info names them as the watched phone would.
        let Replaces { to_tag: from_tag, from_tag: to_tag, .. } = replaces;
        let turned = || find(Replaces { to_tag, from_tag, ..replaces });
        let (dialog, confirmed) = find(replaces).or_else(turned).ok_or(481u16)?;
        if replaces.early_only && confirmed {
            return Err(486);
        }
        self.by_dialog.get(&dialog).copied().ok_or(481)
    }

    /// Whether a party may put itself, or another, into the place of this leg: it belongs to the
    /// same office, or is a trunk that the plan lets do so.
    fn may_replace(&self, call: &Call, who: &Party) -> bool {
        match who {
            Party::Device { tenant, .. } => *tenant == call.tenant,
            Party::Trunk((tenant, name)) => {
                let trunk = self.directory.plans.trunk(tenant.as_deref(), name);
                trunk.is_some_and(|trunk| trunk.signalling.transfer)
                    && tenant.as_ref() == Some(&call.tenant)
            }
            Party::FaxBox { .. } => false,
        }
    }

    /// Attended transfer: the party that talks to the referrer takes the referrer's place in
    /// another call of the same office. The referrer leaves both.
    pub(crate) fn transfer_into(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        place: LegKey,
    ) -> Result<(), u16> {
        let Stage::Bridged { leg: other } = call.stage else { return Err(603) };
        let stays = if index == 0 { other } else { 0 };
        let (target, at) = place;
        if target == call.id {
            return Err(603);
        }
        let referrer = call.leg(index).map(|leg| leg.party.clone()).ok_or(481u16)?;
        let mut into = self.calls.remove(&target).ok_or(481u16)?;
        let outcome = match into.leg(at).map(|leg| leg.state) {
            _ if !self.may_replace(&into, &referrer) || into.tenant != call.tenant => Err(403),
            Some(LegState::Up { .. }) if into.transfer.is_some() || into.carries_fax() => Err(491),
            Some(LegState::Up { .. }) => Ok(()),
            Some(LegState::Incoming { .. }) if at == 0 => Ok(()),
            _ => Err(481),
        };
        if outcome.is_ok() {
            self.explain(call.id, format!("goes on in call {}", into.id));
            self.explain(into.id, format!("a party of call {} is put through", call.id));
            self.release_supervisors(now, call);
            self.release_supervisors(now, &mut into);
            self.move_leg(now, call, stays, &mut into, at);
            if at == 0 && into.is_under_way() {
                into.ring_back = RingBack::to(&referrer, &into.called);
            }
        }
        self.keep(into);
        outcome
    }

    /// Moves a leg into the place of another one in another call.
    fn move_leg(&mut self, now: Now, from: &mut Call, index: u16, into: &mut Call, at: u16) {
        let Some(place) = from.legs.get_mut(usize::from(index)) else { return };
        let gone = place.gone(now.date);
        let mut leg = std::mem::replace(place, gone);
        leg.put_through = true;
        let answered = leg.answered;
        let stream = leg.stream;
        let last = u16::try_from(into.legs.len()).unwrap_or(u16::MAX);
        into.legs.push(leg);
        self.end_leg(now, into, at, 487, None);
        self.swap_legs(into, at, last);
        self.member_replaced(now, into, (at, last));
        into.channels.append(&mut from.channels);
        // A party that was up already finds itself in this call from now on.
        into.answered = into.answered.or(answered.map(|_| now.date));
        if let Some(stream) = stream.live() {
            self.tape_moved(from, into, stream);
        }
        if from.worker != into.worker
            && let LegStream::Open(stream, address) = stream
        {
            if let Some(leg) = into.leg_mut(at) {
                leg.stream = LegStream::Moving(stream, address);
                // What it plays stops on the way.
                leg.music = None;
            }
            self.move_stream(from.worker, stream, into.worker);
        }
        if let Stage::Bridged { leg: other } = into.stage {
            let peer = if at == 0 { other } else { 0 };
            self.tell_connected(now, into, at, peer);
            self.tell_connected(now, into, peer, at);
            self.start_tape(now, into);
        }
        self.wire(into);
        self.write_record(now, into);
    }

    /// An INVITE with Replaces: the caller joins the call of the leg that it names.
    pub(crate) fn incoming_replacement(
        &mut self,
        now: Now,
        (tx, dialog): (ServerTx, DialogId),
        mut leg: Leg,
        message: &Message,
    ) {
        let value = message.header(Header::Replaces).unwrap_or_default();
        // Of a call that is over a dialog may still be known.
        let mut refusal = Some(481);
        match self.replaced_leg(value, false) {
            Err(status) => refusal = Some(status),
            Ok((id, at)) => self.with_call(now, id, |switch, call| {
                let free = match call.leg(at).map(|leg| leg.state) {
                    Some(LegState::Calling { .. }) => true,
                    Some(LegState::Up { .. }) => call.transfer.is_none() && !call.carries_fax(),
                    _ => false,
                };
                if !switch.may_replace(call, &leg.party) {
                    refusal = Some(403);
                } else if !free {
                    refusal = Some(481);
                } else {
                    refusal = None;
                    let line = format!("{} wants to take over", leg.party.name());
                    switch.explain(call.id, line);
                    let index = u16::try_from(call.legs.len()).unwrap_or(u16::MAX);
                    leg.replaces = call.leg(at).map(|leg| leg.number);
                    call.legs.push(leg);
                    switch.index_leg(call, index);
                    if !switch.open_stream(call, index) {
                        switch.end_leg(now, call, index, 488, None);
                    }
                }
                Fate::Keep
            }),
        }
        if let Some(status) = refusal {
            self.by_dialog.remove(&dialog);
            self.ua.respond(now.time, tx, Response::new(status));
        }
    }

    /// The stream of a leg that wants to replace another one is open: it is answered, and the
    /// other one leaves.
    pub(crate) fn take_over(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let wanted = call.leg(index).and_then(|leg| leg.replaces);
        let old = (0u16..)
            .zip(&call.legs)
            .find(|(_, leg)| Some(leg.number) == wanted)
            .map(|(at, leg)| (at, leg.state));
        let other = match (old, &call.stage) {
            (Some((_, LegState::Calling { .. })), _) => Some(0),
            (Some((0, LegState::Up { .. })), Stage::Bridged { leg }) => Some(*leg),
            (Some((0, LegState::Up { .. })), _) => None,
            (Some((at, LegState::Up { .. })), Stage::Bridged { leg }) if at == *leg => Some(0),
            _ => {
                self.end_leg(now, call, index, 481, None);
                return Fate::Keep;
            }
        };
        let Some((at, state)) = old else { return Fate::Keep };
        let codec = other.and_then(|other| call.leg(other)).and_then(|leg| leg.codec());
        if !self.answer_leg(now, call, index, codec.as_deref()) {
            self.end_leg(now, call, index, 488, None);
            return Fate::Keep;
        }
        if matches!(state, LegState::Calling { .. }) {
            return self.joined(now, call, index);
        }
        self.end_leg(now, call, at, 487, Some(ELSEWHERE));
        self.swap_legs(call, at, index);
        self.member_replaced(now, call, (at, index));
        if let Some(other) = other {
            self.tell_connected(now, call, other, at);
        }
        self.wire(call);
        self.write_record(now, call);
        Fate::Keep
    }

    /// Takes a leg's place in a call for another one of it.
    pub(crate) fn swap_legs(&mut self, call: &mut Call, a: u16, b: u16) {
        let count = call.legs.len();
        if a == b || usize::from(a) >= count || usize::from(b) >= count {
            return;
        }
        if a == 0 || b == 0 {
            self.leave_aside(call);
        }
        call.legs.swap(usize::from(a), usize::from(b));
        for at in [a, b] {
            self.index_leg(call, at);
        }
    }
}

/// The end of the call whose party was put through.
pub(crate) const PUT_THROUGH: Fate = Fate::End(CallCause::Transferred, 200);
