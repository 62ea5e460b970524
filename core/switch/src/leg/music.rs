//! Music for who waits: the party whose other side holds (RFC 3264, section 8.4), who is parked,
//! who is being put through. A file of the tenant, or the server's own.

use std::path::{Component, Path};

use koukan_base::{OpId, StreamId};
use koukan_media::tone::{Country, NamedTone, Progress};
use koukan_media::{Command, PlayEnd, Prompt};

use crate::call::{Call, Stage};
use crate::leg::{Leg, LegState};
use crate::switch::Switch;

/// A play without end on a leg's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Music {
    op: OpId,
    /// The server's own, not a file of the tenant.
    own: bool,
    /// It is no music: a phone rings for this party.
    rings: bool,
}

impl Switch {
    pub(crate) fn play(
        &mut self,
        worker: koukan_base::WorkerId,
        stream: StreamId,
        op: koukan_base::OpId,
        prompts: Vec<koukan_media::Prompt>,
        times: u32,
    ) {
        self.media(worker, Command::Play { stream, op, prompts: prompts.into(), times });
    }

    pub(crate) fn stop_play(
        &mut self,
        worker: koukan_base::WorkerId,
        stream: StreamId,
        op: koukan_base::OpId,
    ) {
        self.media(worker, Command::StopPlay { stream, op });
    }

    /// Has a leg's party hear music, unless it does already or takes no audio.
    pub(crate) fn start_music(&mut self, call: &mut Call, index: u16) {
        let (tenant, file) = match &call.stage {
            Stage::Parked(parked) => (&parked.tenant, parked.spec.hold_music.as_ref()),
            _ => (&call.tenant, None),
        };
        let file = file.or_else(|| self.directory.plans.hold_music(tenant));
        let file = file.map(|name| self.prompt(tenant, "", name));
        let own = file.is_none();
        let mut list = vec![file.unwrap_or(Prompt::Music)];
        if matches!(call.stage, Stage::Conference(_)) {
            // Who is alone in a room is told so, and again from time to time.
            let language = self.directory.plans.language(&call.tenant);
            list.insert(0, self.prompt(&call.tenant, language, "room-alone"));
            list.extend(vec![list.last().cloned().unwrap_or(Prompt::Music); 2]);
            return self.play_music(call, index, (list, false));
        }
        self.play_music(call, index, (list, own));
    }

    fn play_music(&mut self, call: &mut Call, index: u16, (list, own): (Vec<Prompt>, bool)) {
        let Some(leg) = call.leg(index).filter(|leg| leg.music.is_none() && hears(leg)) else {
            return;
        };
        let Some(stream) = leg.stream.live() else { return };
        let op = self.next_op();
        if let Some(leg) = call.leg_mut(index) {
            leg.music = Some(Music { op, own, rings: false });
        }
        self.play(call.worker, stream, op, list, 0);
    }

    /// Has a party that was put through to a phone that rings hear so, and music in its place when
    /// none rings any more.
    pub(crate) fn wait_with_ringback(&mut self, call: &mut Call, rings: bool) {
        let playing = call.leg(0).and_then(|leg| leg.music);
        if playing.is_some_and(|music| music.rings != rings) {
            self.stop_music(call, 0);
        }
        if rings {
            self.start_ringback(call);
        } else {
            self.start_music(call, 0);
        }
    }

    /// Has a caller in early media hear that it rings.
    pub(crate) fn start_ringback(&mut self, call: &mut Call) {
        let Some(leg) = call.leg(0).filter(|leg| leg.music.is_none() && leg.agreed.is_some())
        else {
            return;
        };
        let Some(stream) = leg.stream.live() else { return };
        let op = self.next_op();
        if let Some(leg) = call.leg_mut(0) {
            leg.music = Some(Music { op, own: true, rings: true });
        }
        let tone = NamedTone::Progress(Country::Japan, Progress::Ringback);
        self.play(call.worker, stream, op, vec![Prompt::Tone { tone, ms: 0 }], 0);
    }

    /// What the leg's stream is fed from is heard again, at once.
    pub(crate) fn stop_music(&mut self, call: &mut Call, index: u16) {
        let Some(leg) = call.leg_mut(index) else { return };
        let (music, stream) = (leg.music.take(), leg.stream.live());
        if let (Some(music), Some(stream)) = (music, stream) {
            self.stop_play(call.worker, stream, music.op);
        }
    }

    /// A play has ended; false when it was no music.
    pub(crate) fn music_ended(
        &mut self,
        call: &mut Call,
        index: u16,
        op: OpId,
        end: PlayEnd,
    ) -> bool {
        let Some(leg) = call.leg_mut(index) else { return false };
        let Some(music) = leg.music.take_if(|music| music.op == op) else { return false };
        if end == PlayEnd::Failed {
            self.explain(call.id, "the music on hold cannot be read");
            if !music.own {
                self.play_music(call, index, (vec![Prompt::Music], true));
            }
        }
        true
    }

    /// A prompt as the engine finds it: a file of a tenant by its path, which never leads out of
    /// the tenant's directory; an announcement of its own by what was made of it.
    pub(crate) fn prompt(&self, tenant: &str, language: &str, name: &str) -> Prompt {
        if !language.is_empty() {
            return Prompt::clip(language, name);
        }
        let own = self.directory.sounds.get(tenant).and_then(|sounds| sounds.get(name));
        if let Some(path) = own {
            return Prompt::clip("", path);
        }
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let home = self.directory.homes.get(tenant).filter(|_| inside);
        let path = home.map(|home| format!("{home}/{name}")).unwrap_or_default();
        Prompt::clip("", &path)
    }
}

/// Whether a leg's party takes audio.
fn hears(leg: &Leg) -> bool {
    let sends = leg.agreed.as_ref().is_some_and(|agreed| {
        matches!(
            agreed.direction,
            koukan_sip::sdp::Direction::SendRecv | koukan_sip::sdp::Direction::SendOnly
        )
    });
    sends && matches!(leg.state, LegState::Up { .. })
}

/// Whether a leg's party has put the other one on hold.
pub(crate) fn holds(leg: Option<&Leg>) -> bool {
    let direction = leg.and_then(|leg| leg.agreed.as_ref()).map(|agreed| agreed.direction);
    matches!(
        direction,
        Some(koukan_sip::sdp::Direction::RecvOnly | koukan_sip::sdp::Direction::Inactive)
    )
}
