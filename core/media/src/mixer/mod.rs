//! The mixer of a room: each member hears the sum of the others, exact in 32 bits and saturated
//! once. It knows samples of one rate, and neither codecs nor packets.
//!
//! In big rooms only those who talk are summed; everybody else hears the same sum, which is encoded
//! once for each format ([`Mixer::common`]).
//!
//! A room may have several parts, each a mixer of its own: what the members of one say together
//! ([`Share`]) is added to what the others hear, a frame later ([`Distant`]).

mod share;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::pitch::{narrow, to_usize};

pub use share::{Distant, MOST_WHISPERS, Share};

/// Members of the largest room.
pub const MOST_MEMBERS: usize = 2_000;

/// How a room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixerConfig {
    /// Samples a second: the highest rate of its members' codecs.
    pub rate: u32,
    /// Samples of a frame.
    pub frame: usize,
    /// Places, at most [`MOST_MEMBERS`].
    pub members: usize,
    /// Who are summed at once; a room with no more members sums all of them.
    pub talkers: usize,
    /// Which part of its room it is.
    pub part: u16,
}

/// Level in squares of samples from which a member may be a talker: -50 dBov.
const SPEECH: u64 = 10_700;

/// A talker stays one for so long after it fell silent.
const HOLD: Duration = Duration::from_millis(400);

/// A newcomer must be so many times stronger than the weakest talker to take its place.
const STRONGER: u64 = 4;

/// What a place is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// Nobody is here.
    #[default]
    Free,
    /// Comes in with this frame: heard and hearing from nothing up.
    Joining,
    Here,
    /// Goes with this frame: down to nothing.
    Leaving,
}

/// One place.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    part: Part,
    /// What it is called in every part of the room.
    name: u64,
    /// It gave no frame this time.
    silent: bool,
    muted: bool,
    /// The name of the one who hears it all the same, while it is muted.
    whispers_to: Option<u64>,
    /// In the sum of this frame.
    summed: bool,
    talking: bool,
    /// Smoothed mean square.
    level: u64,
    /// Frames since it was loud.
    quiet_frames: u32,
}

impl Member {
    /// Whether one other hears what it says in this frame.
    const fn whispers(&self) -> bool {
        self.whispers_to.is_some() && self.muted && !self.silent
    }

    /// Who talks already is weighed more, so that places do not change with each word.
    const fn weight(&self) -> u64 {
        self.level.saturating_mul(if self.talking { STRONGER } else { 1 })
    }
}

/// A change of who talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TalkerEvent {
    /// The place.
    pub member: usize,
    /// Whether it talks now.
    pub talking: bool,
}

/// A room. Everything is allocated at construction.
#[derive(Debug)]
pub struct Mixer {
    config: MixerConfig,
    members: Box<[Member]>,
    inputs: Box<[i16]>,
    /// What this part says.
    own: Box<[i32]>,
    /// What all parts say.
    sum: Box<[i32]>,
    common: Box<[i16]>,
    present: usize,
    /// Somebody whispers in this frame: without, nobody is looked through for it.
    whispers: bool,
    hold_frames: u32,
    /// Places of this frame's talkers.
    talkers: Vec<usize>,
}

impl Mixer {
    /// An empty room.
    #[must_use]
    pub fn new(config: MixerConfig) -> Self {
        let members = config.members.min(MOST_MEMBERS);
        let frames_a_second = to_usize(config.rate) / config.frame.max(1);
        let hold = HOLD.as_millis() * u128::try_from(frames_a_second).unwrap_or(50) / 1_000;
        Self {
            config: MixerConfig { members, ..config },
            members: vec![Member::default(); members].into(),
            inputs: vec![0; members * config.frame].into(),
            own: vec![0; config.frame].into(),
            sum: vec![0; config.frame].into(),
            common: vec![0; config.frame].into(),
            present: 0,
            whispers: false,
            hold_frames: u32::try_from(hold).unwrap_or(u32::MAX),
            talkers: Vec::with_capacity(members),
        }
    }

    /// Members at the moment.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// Goes on where a smaller room of the same rate and frame ends: its members have the places
    /// that they had, in the middle of their words.
    pub fn take_over(&mut self, old: &Self) {
        for (to, from) in self.members.iter_mut().zip(&old.members) {
            *to = *from;
        }
        for (to, from) in self.inputs.iter_mut().zip(&old.inputs) {
            *to = *from;
        }
        self.present = self.members.iter().filter(|member| member.part != Part::Free).count();
    }

    /// Takes a place, heard from the next frame on; `None` when the room is full. The name is the
    /// newcomer's alone in all parts of the room.
    pub fn join(&mut self, name: u64) -> Option<usize> {
        let place = self.members.iter().position(|member| member.part == Part::Free)?;
        *self.members.get_mut(place)? =
            Member { part: Part::Joining, name, silent: true, ..Member::default() };
        self.present += 1;
        Some(place)
    }

    /// Gives a place up: the next frame is its last one and fades out.
    pub fn leave(&mut self, place: usize) {
        if let Some(member) = self.members.get_mut(place).filter(|m| m.part != Part::Free) {
            member.part = Part::Leaving;
        }
    }

    /// Whether the others hear a member.
    pub fn mute(&mut self, place: usize, muted: bool) {
        if let Some(member) = self.members.get_mut(place) {
            member.muted = muted;
        }
    }

    /// Lets one other member, by its name, hear a member that is muted for all; nobody again with
    /// `None`.
    pub fn whisper(&mut self, place: usize, to: Option<u64>) {
        if let Some(member) = self.members.get_mut(place).filter(|m| m.part != Part::Free) {
            member.whispers_to = to;
        }
    }

    /// Who is here under a name.
    fn has(&self, name: u64) -> bool {
        self.members.iter().any(|member| member.part != Part::Free && member.name == name)
    }

    /// Those who whisper in this frame, with whom they whisper to and what they say.
    fn whispering(&self) -> impl Iterator<Item = (u64, &[i16])> {
        let inputs = self.inputs.chunks_exact(self.config.frame);
        let all = self.members.iter().take(if self.whispers { usize::MAX } else { 0 }).zip(inputs);
        all.filter(|(member, _)| member.whispers())
            .filter_map(|(member, input)| Some((member.whispers_to?, input)))
    }

    /// What is said to one place alone, here and in other parts.
    fn whispered<'m>(
        &'m self,
        place: usize,
        others: &'m [Distant],
    ) -> impl Iterator<Item = &'m [i16]> {
        let name = self.members.get(place).filter(|m| m.part != Part::Free).map(|m| m.name);
        let frame = self.config.frame;
        let elsewhere = others.iter().take(if self.whispers { usize::MAX } else { 0 });
        let elsewhere = elsewhere.flat_map(move |other| other.share().whispers(frame));
        let all = self.whispering().chain(elsewhere);
        all.filter(move |(to, _)| Some(*to) == name).map(|(_, said)| said)
    }

    /// The frame that a member says next, to be filled whole before [`Mixer::mix`]. A member that
    /// is not asked for its frame is silent.
    pub fn input(&mut self, place: usize) -> Option<&mut [i16]> {
        let member = self.members.get_mut(place).filter(|member| member.part != Part::Free)?;
        member.silent = false;
        let frame = self.config.frame;
        self.inputs.get_mut(place * frame..(place + 1) * frame)
    }

    /// Sums the frame, with what the `others` of its room's parts say. Changes of who talks here
    /// are given to `changed`.
    pub fn mix(&mut self, others: &[Distant], mut changed: impl FnMut(TalkerEvent)) {
        let frame = self.config.frame;
        for (member, input) in self.members.iter_mut().zip(self.inputs.chunks_exact_mut(frame)) {
            match member.part {
                Part::Free => continue,
                Part::Joining if !member.silent => ramp(input, true),
                Part::Leaving if !member.silent => ramp(input, false),
                Part::Joining | Part::Here | Part::Leaving => {}
            }
            let now = if member.silent || member.muted { 0 } else { mean_square(input) };
            // Up at once, down by a quarter a frame.
            member.level = now.max(member.level - member.level / 4);
            let loud = now >= SPEECH;
            member.quiet_frames = if loud { 0 } else { member.quiet_frames.saturating_add(1) };
        }
        self.whispers = self.members.iter().any(Member::whispers)
            || others.iter().any(|other| other.share().is_whispering());
        self.choose(others, &mut changed);
        self.own.fill(0);
        for (member, input) in self.members.iter().zip(self.inputs.chunks_exact(frame)) {
            if member.summed {
                add(&mut self.own, input);
            }
        }
        self.sum.copy_from_slice(&self.own);
        for said in others.iter().filter_map(|other| other.share().sum(frame)) {
            for (sum, said) in self.sum.iter_mut().zip(said) {
                *sum = sum.saturating_add(*said);
            }
        }
        for (to, sum) in self.common.iter_mut().zip(&self.sum) {
            *to = narrow(*sum);
        }
    }

    /// Decides who is summed: everybody in a small room, the talkers in a big one. A part decides
    /// over its own members, against those who talked in the others a frame ago.
    fn choose(&mut self, others: &[Distant], changed: &mut impl FnMut(TalkerEvent)) {
        let hold = self.hold_frames;
        let elsewhere: usize = others.iter().map(|other| other.share().present()).sum();
        let all = self.present + elsewhere <= self.config.talkers;
        self.talkers.clear();
        for (place, member) in self.members.iter_mut().enumerate() {
            let heard = !member.silent && !member.muted && member.part != Part::Free;
            let lively = member.part != Part::Free && !member.muted && member.quiet_frames < hold;
            let keeps = member.talking && lively;
            let begins = heard && member.quiet_frames == 0;
            if keeps || begins {
                self.talkers.push(place);
            }
            member.summed = all && heard;
        }
        let rivals: usize = others.iter().map(|other| other.share().talkers().len()).sum();
        if self.talkers.len() + rivals > self.config.talkers {
            let (members, own, most) = (&self.members, self.config.part, self.config.talkers);
            let weight = |place: usize| members.get(place).map_or(0, Member::weight);
            self.talkers.sort_unstable_by_key(|place| std::cmp::Reverse((weight(*place), *place)));
            let before = |weight: u64| {
                let shares = others.iter().map(Distant::share);
                let stronger = shares.flat_map(|share| {
                    share.talkers().iter().filter(move |o| (**o, share.part()) > (weight, own))
                });
                stronger.count()
            };
            let ranked = self.talkers.iter().enumerate();
            let kept = ranked.take_while(|(at, place)| at + before(weight(**place)) < most).count();
            self.talkers.truncate(kept);
        }
        for place in 0..self.members.len() {
            let talks = self.talkers.contains(&place);
            let Some(member) = self.members.get_mut(place) else { break };
            if talks && !all {
                member.summed = !member.silent && !member.muted;
            }
            if member.talking != talks {
                member.talking = talks;
                changed(TalkerEvent { member: place, talking: talks });
            }
        }
    }

    /// What this part says in the frame that was mixed, for the others: its sum, who talks, and
    /// what is whispered to a member of another part.
    pub fn share(&self, number: u64, share: &mut Share) {
        share.begin((self.config.part, number), self.present, &self.own);
        for place in &self.talkers {
            share.add_talker(self.members.get(*place).map_or(0, Member::weight));
        }
        for (to, said) in self.whispering().filter(|(to, _)| !self.has(*to)) {
            share.add_whisper(to, said);
        }
    }

    /// What everybody hears who is not in the sum.
    #[must_use]
    pub fn common(&self) -> &[i16] {
        &self.common
    }

    /// Whether a member hears something of its own: it is in the sum, it comes or goes, or somebody
    /// whispers to it.
    #[must_use]
    pub fn hears_own(&self, place: usize, others: &[Distant]) -> bool {
        let own = self.members.get(place).is_some_and(|member| {
            member.summed || matches!(member.part, Part::Joining | Part::Leaving)
        });
        own || self.whispered(place, others).next().is_some()
    }

    /// What a member hears: the sum without its own.
    pub fn output(&self, place: usize, others: &[Distant], out: &mut [i16]) {
        let Some(member) = self.members.get(place) else { return };
        let frame = self.config.frame;
        match self.inputs.get(place * frame..(place + 1) * frame).filter(|_| member.summed) {
            Some(own) => without(&self.sum, own, out),
            None => {
                for (to, from) in out.iter_mut().zip(&self.common) {
                    *to = *from;
                }
            }
        }
        for said in self.whispered(place, others) {
            for (to, from) in out.iter_mut().zip(said) {
                *to = to.saturating_add(*from);
            }
        }
        match member.part {
            Part::Joining => ramp(out, true),
            Part::Leaving => ramp(out, false),
            Part::Free | Part::Here => {}
        }
    }

    /// Ends the frame: who came is here, who left is gone.
    pub fn finish(&mut self) {
        for place in 0..self.members.len() {
            let leaves = self.members.get(place).filter(|member| member.part == Part::Leaving);
            let Some(name) = leaves.map(|member| member.name) else { continue };
            // Who comes back is told nothing.
            for member in &mut self.members {
                member.whispers_to.take_if(|to| *to == name);
            }
        }
        for member in &mut self.members {
            match member.part {
                Part::Joining => member.part = Part::Here,
                Part::Leaving => {
                    *member = Member::default();
                    self.present -= 1;
                }
                Part::Free | Part::Here => {}
            }
            member.silent = true;
        }
    }
}

/// Adds samples to a sum.
fn add(sum: &mut [i32], samples: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum += i32::from(*sample);
    }
}

/// The sum without one's own part.
fn without(sum: &[i32], own: &[i16], out: &mut [i16]) {
    for ((to, sum), own) in out.iter_mut().zip(sum).zip(own) {
        *to = narrow(*sum - i32::from(*own));
    }
}

fn mean_square(samples: &[i16]) -> u64 {
    let square = |sample: &i16| u64::from(sample.unsigned_abs()) * u64::from(sample.unsigned_abs());
    let sum: u64 = samples.iter().map(square).sum();
    sum / u64::try_from(samples.len().max(1)).unwrap_or(1)
}

/// Up from nothing, or down to it.
pub(crate) fn ramp(samples: &mut [i16], up: bool) {
    let count = i32::try_from(samples.len()).unwrap_or(i32::MAX).max(1);
    for (step, sample) in (1..).zip(samples.iter_mut()) {
        let gain = if up { step } else { count - step };
        *sample = narrow(i32::from(*sample) * gain / count);
    }
}
