//! Supervisors (`[device.X] supervises`): a phone that dials a code and a colleague's extension
//! joins the call that the colleague is in, listening, talking to the colleague alone, or talking
//! with both. The parties and the
//! supervisor meet in a room of the media engine; when it leaves they hear each other directly
//! again. A call that is transferred, parked or brought into a room goes there without it.

use koukan_base::{BridgeId, StreamId};
use koukan_dialplan::FeatureCode;
use koukan_media::Command;

use crate::action::Now;
use crate::call::Call;
use crate::leg::music::holds;
use crate::leg::{LegState, LegStream};
use crate::switch::{Fate, Switch};

/// Who supervises a call.
#[derive(Debug)]
pub(crate) struct Supervision {
    bridge: BridgeId,
    listeners: Vec<Listener>,
    /// The streams that were brought together, and whether they are kept from the others.
    joined: Vec<(StreamId, bool)>,
    /// Supervisors' streams, and those of the colleagues who alone hear them.
    whispers: Vec<(StreamId, StreamId)>,
}

/// A supervisor.
#[derive(Clone, Copy, Debug)]
struct Listener {
    /// Its leg, by its number.
    leg: u64,
    /// The colleague's leg, by its number.
    colleague: u64,
    says: Says,
}

/// Who hears a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    ToColleague,
    ToBoth,
}

impl Call {
    /// Whether a leg, by its number, is a supervisor's.
    pub(crate) fn is_supervisor(&self, number: u64) -> bool {
        let listeners = self.supervision.iter().flat_map(|supervision| &supervision.listeners);
        listeners.into_iter().any(|listener| listener.leg == number)
    }

    /// Whether the parties meet their supervisor in a room.
    pub(crate) fn is_supervised(&self) -> bool {
        self.supervision.as_ref().is_some_and(|supervision| !supervision.joined.is_empty())
    }
}

impl Switch {
    /// A supervisor's leg has come to a call; it is answered when its stream is open.
    pub(crate) fn add_supervisor(
        &mut self,
        call: &mut Call,
        (leg, at): (u64, u16),
        code: FeatureCode,
    ) {
        let Some(colleague) = call.leg(at).map(|leg| leg.number) else { return };
        let says = match code {
            FeatureCode::Barge => Says::ToBoth,
            FeatureCode::Whisper => Says::ToColleague,
            _ => Says::Nothing,
        };
        let bridge = BridgeId(self.next_number());
        let supervision = call.supervision.get_or_insert_with(|| {
            let (listeners, joined, whispers) = (Vec::new(), Vec::new(), Vec::new());
            Box::new(Supervision { bridge, listeners, joined, whispers })
        });
        supervision.listeners.push(Listener { leg, colleague, says });
    }

    /// The stream of a supervisor is open: it is answered, and hears the parties.
    pub(crate) fn supervise(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let codec = call.leg(0).and_then(|leg| leg.codec());
        if !self.answer_leg(now, call, index, codec.as_deref()) {
            self.end_leg(now, call, index, 488, None);
            self.supervisor_gone(call, index);
            return Fate::Keep;
        }
        self.wire(call);
        self.write_record(now, call);
        Fate::Keep
    }

    /// A leg is over: when it was a supervisor's, the parties hear each other without it.
    pub(crate) fn supervisor_gone(&mut self, call: &mut Call, index: u16) {
        let Some(number) = call.leg(index).map(|leg| leg.number) else { return };
        if !call.is_supervisor(number) {
            return;
        }
        if let Some(supervision) = &mut call.supervision {
            supervision.listeners.retain(|listener| listener.leg != number);
        }
        self.wire(call);
    }

    /// The call goes where no supervisor follows.
    pub(crate) fn release_supervisors(&mut self, now: Now, call: &mut Call) {
        let Some(supervision) = call.supervision.take() else { return };
        for listener in supervision.listeners {
            let found = (0u16..).zip(&call.legs).find(|(_, leg)| leg.number == listener.leg);
            if let Some((index, _)) = found.filter(|(_, leg)| !leg.is_over()) {
                self.end_leg(now, call, index, 487, None);
            }
        }
    }

    /// Has the parties of a bridge and their supervisors meet; false when none is there.
    pub(crate) fn wire_supervised(&mut self, call: &mut Call, other: u16) -> bool {
        let Some(mut supervision) = call.supervision.take() else { return false };
        let (mut wanted, mut whispers) = (Vec::new(), Vec::new());
        for leg in &call.legs {
            let listener = supervision.listeners.iter().find(|l| l.leg == leg.number);
            let (LegState::Up { .. }, LegStream::Open(stream, _), Some(listener)) =
                (leg.state, leg.stream, listener)
            else {
                continue;
            };
            let holding = holds(Some(leg));
            wanted.push((stream, listener.says != Says::ToBoth || holding));
            let colleague = call.legs.iter().find(|leg| leg.number == listener.colleague);
            if let (Some(LegStream::Open(to, _)), Says::ToColleague, false) =
                (colleague.map(|leg| leg.stream), listener.says, holding)
            {
                whispers.push((stream, to));
            }
        }
        if wanted.is_empty() {
            if !supervision.listeners.is_empty() {
                supervision.joined.clear();
                supervision.whispers.clear();
                call.supervision = Some(supervision);
            }
            return false;
        }
        for index in [0, other] {
            let leg = call.leg(index);
            if let Some(LegStream::Open(stream, _)) = leg.map(|leg| leg.stream) {
                wanted.push((stream, holds(leg)));
            }
        }
        self.meet(call, supervision.bridge, &mut supervision.joined, &wanted);
        let before = std::mem::replace(&mut supervision.whispers, whispers.clone());
        // Who has left whispers no more by leaving.
        let stays = |stream| wanted.iter().any(|(known, _)| *known == stream);
        let over = |pair: &&(StreamId, StreamId)| !whispers.contains(pair) && stays(pair.0);
        for &(stream, _) in before.iter().filter(over) {
            self.media(call.worker, Command::Whisper { stream, to: None });
        }
        for &(stream, to) in whispers.iter().filter(|pair| !before.contains(pair)) {
            self.media(call.worker, Command::Whisper { stream, to: Some(to) });
        }
        call.supervision = Some(supervision);
        for (index, opposite) in [(0, other), (other, 0)] {
            if holds(call.leg(opposite)) {
                self.start_music(call, index);
            } else {
                self.stop_music(call, index);
            }
        }
        true
    }

    /// Brings streams into a room, and keeps those from the others that are to be kept.
    pub(crate) fn meet(
        &mut self,
        call: &Call,
        room: BridgeId,
        joined: &mut Vec<(StreamId, bool)>,
        wanted: &[(StreamId, bool)],
    ) {
        joined.retain(|(stream, _)| wanted.iter().any(|(known, _)| known == stream));
        for &(stream, muted) in wanted {
            match joined.iter_mut().find(|(known, _)| *known == stream) {
                None => {
                    joined.push((stream, muted));
                    self.media(call.worker, Command::Join { stream, room, muted });
                }
                Some((_, known)) if *known != muted => {
                    *known = muted;
                    self.media(call.worker, Command::Mute { stream, muted });
                }
                Some(_) => {}
            }
        }
    }
}
