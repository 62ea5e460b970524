//! A fax between two parties of ours of which one goes over to T.38 (ITU-T T.38, annex D): what it
//! offers is answered on its own leg, and the other party is asked for the same. When that one
//! refuses, its sound is carried to and from T.38; when it takes it, datagrams pass between both.
//! Back to audio goes whoever offers that, and then both.

use std::time::Duration;

use koukan_base::{StreamId, Time};
use koukan_media::Command;
use koukan_sip::sdp::{AgreedImage, LocalSession, Session, agreed_image};
use koukan_sip::{Body, ClientTx, Message, Method};

use super::receive::leg_speaks_g711;
use super::{FaxId, FaxOrder};
use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::leg::{LegState, LegStream};
use crate::switch::Switch;

/// How long the carrying waits for what the other party says to T.38: an answer takes a round trip,
/// and a signal of T.30 that is lost meanwhile comes again after three seconds.
const OTHER_SAYS: Duration = Duration::from_secs(1);

/// A fax that is to be carried between the streams of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name in orders and reports.
    pub fax: FaxId,
    /// The streams that are lent, each with its T.38 when it speaks that; one does at least.
    pub sides: [(StreamId, Option<AgreedImage>); 2],
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// T.38, once that is agreed on.
    image: Option<AgreedImage>,
    /// Its stream is lent.
    lent: bool,
}

/// An offer of ours that waits for its answer.
#[derive(Debug)]
struct Asked {
    tx: ClientTx,
    side: usize,
    /// The description before it.
    before: Box<LocalSession>,
}

/// A fax that is carried.
#[derive(Debug)]
pub(crate) struct Carriage {
    fax: FaxId,
    /// The party that talks with the first one.
    with: u16,
    sides: [Side; 2],
    asked: Option<Asked>,
    /// When it begins at the latest; none once it has.
    pub(crate) begins: Option<Time>,
    /// When the streams were lent.
    since: Time,
}

impl Carriage {
    /// Which side a leg is.
    fn side_of(&self, index: u16) -> Option<usize> {
        match index {
            0 => Some(0),
            index if index == self.with => Some(1),
            _ => None,
        }
    }

    fn leg_of(&self, side: usize) -> u16 {
        if side == 0 { 0 } else { self.with }
    }

    fn side(&mut self, side: usize) -> &mut Side {
        let [first, second] = &mut self.sides;
        if side == 0 { first } else { second }
    }

    fn image(&self, side: usize) -> Option<AgreedImage> {
        self.sides.get(side).and_then(|side| side.image)
    }
}

impl Call {
    /// Whether its parties have gone over to T.38, or one of them.
    pub(crate) fn carries_fax(&self) -> bool {
        self.carriage.is_some()
    }

    /// Whether a leg's audio has given way to T.38 in a bridge.
    fn is_by_t38(&self, index: u16) -> bool {
        let carriage = self.carriage.as_ref();
        carriage.is_some_and(|carriage| {
            carriage.side_of(index).and_then(|side| carriage.image(side)).is_some()
        })
    }
}

impl Switch {
    /// An offer of T.38 by a party that talks with another one: `None` when it is an offer like any
    /// other, `Some(None)` when it is refused.
    pub(crate) fn carried_offer(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        offer: &Session,
    ) -> Option<Option<Body>> {
        let with = match call.stage {
            Stage::Bridged { leg } if index == 0 || index == leg => leg,
            _ => return None,
        };
        if offer.image().is_none() || offer.audio().is_some() {
            return None;
        }
        let local = self.local_image(call, index)?;
        let begins = call.carriage.is_none();
        if begins && !self.may_carry(now, call, index, with) {
            return None;
        }
        let answer = call.leg_mut(index)?.session.answer_image(offer, &local);
        let (bytes, agreed) = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                self.explain(call.id, format!("the offer of T.38 cannot be taken: {refusal}"));
                return Some(None);
            }
        };
        if begins {
            self.start_carriage(now, call, with);
        }
        self.side_takes_t38(now, call, index, agreed);
        Some(Some(Body::sdp(bytes)))
    }

    /// Whether a fax can be carried: sound in the clear and of G.711 on both sides, nobody else in
    /// the call, and no box that the caller is moved to instead.
    fn may_carry(&self, now: Now, call: &Call, index: u16, with: u16) -> bool {
        let free = call.transfer.is_none() && !call.is_supervised();
        let free = free && self.may_use_t38(call, index);
        let boxed = index == 0 && self.is_awaited(now, call);
        free && !boxed && [0, with].into_iter().all(|leg| leg_speaks_g711(call.leg(leg)))
    }

    fn start_carriage(&mut self, now: Now, call: &mut Call, with: u16) {
        let fax = FaxId(self.next_number());
        self.by_fax.insert(fax, call.id);
        let sides = [Side::default(); 2];
        let (asked, begins) = (None, Some(now.time + OTHER_SAYS));
        let carriage = Carriage { fax, with, sides, asked, begins, since: now.time };
        call.carriage = Some(Box::new(carriage));
        for index in [0, with] {
            self.stop_music(call, index);
            self.lend(call, index);
        }
    }

    /// A party speaks T.38 from now on; a refresh of what is agreed on already changes nothing.
    fn side_takes_t38(&mut self, now: Now, call: &mut Call, index: u16, agreed: AgreedImage) {
        let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
        let Some(carriage) = &mut call.carriage else { return };
        let Some(side) = carriage.side_of(index) else { return };
        let fresh = carriage.side(side).image.replace(agreed).is_none();
        let begun = carriage.begins.is_none();
        if fresh {
            self.explain(call.id, format!("{party} goes over to T.38"));
            self.explain_image(call, &agreed);
            if begun {
                self.carry(call);
            } else {
                self.begin_when_known(now, call);
            }
        }
    }

    /// A stream of the bridge has left its worker: with both gone, the other party is asked.
    pub(crate) fn carried_stream_lent(&mut self, now: Now, call: &mut Call, index: u16) {
        let Some(carriage) = &mut call.carriage else { return };
        let Some(side) = carriage.side_of(index) else { return };
        carriage.side(side).lent = true;
        if carriage.sides.iter().any(|side| !side.lent) {
            return;
        }
        if let Some(side) = (0..2).find(|side| carriage.image(*side).is_none()) {
            self.ask_other(now, call, side);
        }
        self.begin_when_known(now, call);
    }

    /// Asks the other party for T.38.
    fn ask_other(&mut self, now: Now, call: &mut Call, side: usize) {
        let Some(carriage) = &call.carriage else { return };
        let index = carriage.leg_of(side);
        if !self.may_use_t38(call, index) {
            return;
        }
        let Some(local) = self.local_image(call, index) else { return };
        let Some(leg) = call.leg_mut(index) else { return };
        let LegState::Up { dialog } = leg.state else { return };
        let party = leg.party.name();
        let before = Box::new(leg.session.clone());
        let body = Some(Body::sdp(leg.session.offer_image(&local)));
        match self.ua.request_in_dialog(now.time, dialog, Method::Invite, Vec::new(), body) {
            Some(tx) => {
                self.explain(call.id, format!("asks {party} for T.38"));
                self.fax_asks.insert(tx, call.id);
                if let Some(carriage) = &mut call.carriage {
                    carriage.asked = Some(Asked { tx, side, before });
                }
            }
            // Its own offer is under way, which says as much.
            None => leg.session = *before,
        }
    }

    /// The 2xx to a re-INVITE of ours in a bridge: true when it needs nothing more.
    pub(crate) fn carried_answer(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        message: &Message,
    ) -> bool {
        let local = self.local_image(call, index);
        let Some(carriage) = &mut call.carriage else { return false };
        let side = carriage.side_of(index);
        let Some(asked) = carriage.asked.take_if(|asked| Some(asked.side) == side) else {
            // A refresh: what was agreed on goes on.
            return call.is_by_t38(index);
        };
        self.fax_asks.remove(&asked.tx);
        let answer = Session::parse(message.sdp().unwrap_or_default());
        let agreed =
            answer.ok().zip(local).and_then(|(answer, local)| agreed_image(&local, &answer).ok());
        match agreed {
            Some(agreed) => self.side_takes_t38(now, call, index, agreed),
            None => {
                let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
                self.explain(call.id, format!("{party} does not take T.38"));
                if let Some(leg) = call.leg_mut(index) {
                    leg.session = *asked.before;
                }
                // Its answer has ended the audio on paper: it is offered again as it was.
                self.repeat_offer(now, call, index, Vec::new());
                self.begin_when_known(now, call);
            }
        }
        true
    }

    /// The other party refuses T.38: its sound is carried.
    pub(super) fn carried_refusal(&mut self, now: Now, call: &mut Call, tx: ClientTx, status: u16) {
        let Some(carriage) = &mut call.carriage else { return };
        let Some(asked) = carriage.asked.take_if(|asked| asked.tx == tx) else { return };
        let index = carriage.leg_of(asked.side);
        if !call.is_by_t38(index)
            && let Some(leg) = call.leg_mut(index)
        {
            leg.session = *asked.before;
        }
        let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
        self.explain(call.id, format!("T.38: {status}; {party} stays in audio"));
        self.begin_when_known(now, call);
    }

    /// Begins once both streams are lent and it is known what each party speaks.
    pub(crate) fn begin_when_known(&mut self, now: Now, call: &mut Call) {
        let Some(carriage) = &mut call.carriage else { return };
        let Some(latest) = carriage.begins else { return };
        let lent = carriage.sides.iter().all(|side| side.lent);
        if lent && (carriage.asked.is_none() || latest <= now.time) {
            carriage.begins = None;
            self.carry(call);
        } else if latest <= now.time {
            // The streams are on their way still.
            carriage.begins = Some(now.time + OTHER_SAYS);
        }
    }

    /// Has the fax carried between the sides as they are.
    fn carry(&mut self, call: &Call) {
        let Some(carriage) = &call.carriage else { return };
        let side = |side: usize| {
            let leg = call.leg(carriage.leg_of(side))?;
            Some((leg.stream.live()?, carriage.image(side)))
        };
        let (Some(first), Some(second)) = (side(0), side(1)) else { return };
        let how = match (first.1, second.1) {
            (Some(_), Some(_)) => "T.38 passes between both",
            _ => "a gateway carries the fax between T.38 and audio",
        };
        self.explain(call.id, how);
        let carried = Carried { fax: carriage.fax, sides: [first, second] };
        self.actions.push_back(Action::Fax(FaxOrder::Carry(Box::new(carried))));
    }

    /// A party that spoke T.38 is back in audio, by its own offer that has been answered.
    pub(crate) fn back_in_audio(&mut self, now: Now, call: &mut Call, index: u16) {
        if call.is_by_t38(index) {
            self.explain(call.id, "the fax is over: back to audio");
            self.end_carriage(now, call, Some(index));
        }
    }

    /// The fax is over, and the call goes on in audio; whoever is still in T.38 is asked back.
    pub(super) fn end_carriage(&mut self, now: Now, call: &mut Call, back: Option<u16>) {
        let by_t38 = |call: &Call, index: u16| call.is_by_t38(index) && back != Some(index);
        let Some(with) = call.carriage.as_ref().map(|carriage| carriage.with) else { return };
        let asks: Vec<u16> = [0, with].into_iter().filter(|leg| by_t38(call, *leg)).collect();
        for index in asks {
            self.ask_back(now, call, index);
        }
        let Some(carriage) = self.stop_carriage(call) else { return };
        for side in [0, 1] {
            if carriage.sides.get(side).is_some_and(|side| side.lent) {
                self.reclaim(now, call, carriage.leg_of(side), carriage.since);
            }
        }
    }

    /// Offers audio to a party that is in T.38.
    fn ask_back(&mut self, now: Now, call: &mut Call, index: u16) {
        let Some(leg) = call.leg(index) else { return };
        let LegState::Up { dialog } = leg.state else { return };
        let Some(local) = self.local_audio(leg, leg.codec().as_deref(), None) else { return };
        let Some(leg) = call.leg_mut(index) else { return };
        let body = Some(Body::sdp(leg.session.offer(&local)));
        leg.offered = Some(local);
        self.ua.request_in_dialog(now.time, dialog, Method::Invite, Vec::new(), body);
    }

    /// Nobody carries any more; what was.
    pub(super) fn stop_carriage(&mut self, call: &mut Call) -> Option<Box<Carriage>> {
        let carriage = call.carriage.take()?;
        if let Some(asked) = &carriage.asked {
            self.fax_asks.remove(&asked.tx);
        }
        if self.by_fax.remove(&carriage.fax).is_some() && carriage.begins.is_none() {
            self.actions.push_back(Action::Fax(FaxOrder::Stop { fax: carriage.fax }));
        }
        Some(carriage)
    }

    /// Takes a lent stream back to the call's worker.
    pub(crate) fn reclaim(&mut self, now: Now, call: &mut Call, index: u16, since: Time) {
        let (worker, tenant) = (call.worker, call.tenant.clone());
        let Some(leg) = call.leg_mut(index) else { return };
        let LegStream::Open(stream, address) = leg.stream else { return };
        leg.stream = LegStream::Moving(stream, address);
        let away = now.time.since(since);
        self.media(worker, Command::Reclaim { stream, tenant, away });
    }

    /// The description that answers a re-INVITE without an offer while a leg is in T.38: the one
    /// that stands.
    pub(crate) fn standing_image(&self, call: &Call, index: u16) -> Option<Body> {
        let boxed = matches!(&call.stage, Stage::Fax(run) if index == 0 && run.image.is_some());
        let standing = boxed || call.is_by_t38(index);
        let leg = call.leg(index).filter(|_| standing)?;
        leg.session.repeat().map(Body::sdp)
    }
}
