//! The mixer of a room: each member hears the sum of the others, exact in 32 bits and saturated
//! once. It knows samples of one rate, and neither codecs nor packets.
//!
//! In big rooms only those who talk are summed; everybody else hears the same sum, which is encoded
//! once for each format ([`Mixer::common`]).

use std::time::Duration;

use crate::pitch::{narrow, to_usize};

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
    /// It gave no frame this time.
    silent: bool,
    muted: bool,
    /// The one who hears it all the same, while it is muted.
    whispers_to: Option<usize>,
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

    /// Takes a place, heard from the next frame on; `None` when the room is full.
    pub fn join(&mut self) -> Option<usize> {
        let place = self.members.iter().position(|member| member.part == Part::Free)?;
        *self.members.get_mut(place)? =
            Member { part: Part::Joining, silent: true, ..Member::default() };
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

    /// Lets one other member hear a member that is muted for all; nobody again with `None`.
    pub fn whisper(&mut self, place: usize, to: Option<usize>) {
        if let Some(member) = self.members.get_mut(place).filter(|m| m.part != Part::Free) {
            member.whispers_to = to;
        }
    }

    /// What is said to one place alone.
    fn whispered(&self, place: usize) -> impl Iterator<Item = &[i16]> {
        let inputs = self.inputs.chunks_exact(self.config.frame);
        let said = move |member: &Member| member.whispers_to == Some(place) && member.whispers();
        let all = self.members.iter().take(if self.whispers { usize::MAX } else { 0 }).zip(inputs);
        all.filter(move |(member, _)| said(member)).map(|(_, input)| input)
    }

    /// The frame that a member says next, to be filled whole before [`Mixer::mix`]. A member that
    /// is not asked for its frame is silent.
    pub fn input(&mut self, place: usize) -> Option<&mut [i16]> {
        let member = self.members.get_mut(place).filter(|member| member.part != Part::Free)?;
        member.silent = false;
        let frame = self.config.frame;
        self.inputs.get_mut(place * frame..(place + 1) * frame)
    }

    /// Sums the frame. Changes of who talks are given to `changed`.
    pub fn mix(&mut self, mut changed: impl FnMut(TalkerEvent)) {
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
        self.whispers = self.members.iter().any(Member::whispers);
        self.choose(&mut changed);
        self.sum.fill(0);
        for (member, input) in self.members.iter().zip(self.inputs.chunks_exact(frame)) {
            if member.summed {
                add(&mut self.sum, input);
            }
        }
        for (to, sum) in self.common.iter_mut().zip(&self.sum) {
            *to = narrow(*sum);
        }
    }

    /// Decides who is summed: everybody in a small room, the talkers in a big one.
    fn choose(&mut self, changed: &mut impl FnMut(TalkerEvent)) {
        let hold = self.hold_frames;
        let all = self.present <= self.config.talkers;
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
        if self.talkers.len() > self.config.talkers {
            let members = &self.members;
            // Who talks already is weighed more, so that places do not change with each word.
            let weight = |place: &usize| {
                let member = members.get(*place).copied().unwrap_or_default();
                member.level * if member.talking { STRONGER } else { 1 }
            };
            self.talkers.sort_unstable_by_key(|place| std::cmp::Reverse((weight(place), *place)));
            self.talkers.truncate(self.config.talkers);
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

    /// What everybody hears who is not in the sum.
    #[must_use]
    pub fn common(&self) -> &[i16] {
        &self.common
    }

    /// Whether a member hears something of its own: it is in the sum, it comes or goes, or somebody
    /// whispers to it.
    #[must_use]
    pub fn hears_own(&self, place: usize) -> bool {
        let own = self.members.get(place).is_some_and(|member| {
            member.summed || matches!(member.part, Part::Joining | Part::Leaving)
        });
        own || self.whispered(place).next().is_some()
    }

    /// What a member hears: the sum without its own.
    pub fn output(&self, place: usize, out: &mut [i16]) {
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
        for said in self.whispered(place) {
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
            let leaves = self.members.get(place).is_some_and(|m| m.part == Part::Leaving);
            // Whoever takes the place is told nothing.
            for member in self.members.iter_mut().filter(|_| leaves) {
                member.whispers_to.take_if(|to| *to == place);
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
fn ramp(samples: &mut [i16], up: bool) {
    let count = i32::try_from(samples.len()).unwrap_or(i32::MAX).max(1);
    for (step, sample) in (1..).zip(samples.iter_mut()) {
        let gain = if up { step } else { count - step };
        *sample = narrow(i32::from(*sample) * gain / count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(members: usize, talkers: usize) -> Mixer {
        let mut mixer = Mixer::new(MixerConfig { rate: 8_000, frame: 160, members, talkers });
        for _ in 0..members {
            mixer.join().unwrap();
        }
        turn(&mut mixer, |_| None);
        mixer
    }

    /// One frame; what each says, or nothing. Who began or ended to talk.
    fn turn(mixer: &mut Mixer, says: impl Fn(usize) -> Option<[i16; 160]>) -> Vec<TalkerEvent> {
        for place in 0..mixer.members.len() {
            if let Some(frame) = says(place) {
                mixer.input(place).unwrap().copy_from_slice(&frame);
            }
        }
        let mut events = Vec::new();
        mixer.mix(|event| events.push(event));
        mixer.finish();
        events
    }

    proptest! {
        #[test]
        fn everybody_hears_the_sum_of_the_others_saturated(
            frames in prop::collection::vec(
                prop::option::of(prop::collection::vec(any::<i16>(), 160)), 2..9),
        ) {
            let mut mixer = room(frames.len(), frames.len());
            for (place, frame) in frames.iter().enumerate() {
                if let Some(frame) = frame {
                    mixer.input(place).unwrap().copy_from_slice(frame);
                }
            }
            mixer.mix(|_| {});
            for place in 0..frames.len() {
                let mut heard = [0; 160];
                mixer.output(place, &mut heard);
                for (at, heard) in heard.iter().enumerate() {
                    let others = frames.iter().enumerate().filter(|(other, _)| *other != place);
                    let sum: i64 = others
                        .filter_map(|(_, frame)| Some(i64::from(frame.as_ref()?[at])))
                        .sum();
                    prop_assert_eq!(i64::from(*heard), sum.clamp(-32_768, 32_767));
                }
            }
        }
    }

    #[test]
    fn a_big_room_sums_the_talkers_and_gives_all_others_the_same() {
        let mut mixer = room(200, 3);
        let events = turn(&mut mixer, |place| match place {
            10 => Some([4_000; 160]),
            20 => Some([3_000; 160]),
            30 => Some([2_000; 160]),
            40 => Some([1_000; 160]),
            _ => Some([20; 160]),
        });
        let began: Vec<usize> = events.iter().map(|event| event.member).collect();
        assert_eq!(began, [10, 20, 30]);
        let mut heard = [0; 160];
        mixer.output(0, &mut heard);
        assert_eq!((heard[0], mixer.common()[0]), (9_000, 9_000));
        mixer.output(20, &mut heard);
        assert_eq!(heard[0], 6_000);
        assert!(mixer.hears_own(20) && !mixer.hears_own(40));
    }

    #[test]
    fn who_whispers_is_heard_by_one_alone_and_by_nobody_who_takes_its_place() {
        let mut mixer = room(4, 4);
        mixer.mute(3, true);
        mixer.whisper(3, Some(1));
        // What each place hears in the middle of a frame in which all speak.
        let frame = |mixer: &mut Mixer| {
            for place in 0..4 {
                let level = 100 * (i16::try_from(place).unwrap() + 1);
                mixer.input(place).unwrap().fill(level);
            }
            mixer.mix(|_| {});
            let heard = [0, 1, 2, 3].map(|place| {
                let mut heard = [0; 160];
                mixer.output(place, &mut heard);
                heard[80]
            });
            let own = (mixer.hears_own(1), mixer.hears_own(3));
            mixer.finish();
            (heard, own)
        };
        assert_eq!(frame(&mut mixer), ([500, 800, 300, 600], (true, false)));
        // It is heard by all when it is not muted any more.
        mixer.mute(3, false);
        assert_eq!(frame(&mut mixer).0, [900, 800, 700, 600]);
        mixer.mute(3, true);
        mixer.leave(1);
        frame(&mut mixer);
        assert_eq!(mixer.join(), Some(1));
        turn(&mut mixer, |_| None);
        assert_eq!(frame(&mut mixer).0[1], 400, "a newcomer is told nothing");
    }

    #[test]
    fn a_talker_keeps_its_place_against_one_as_loud_and_loses_it_to_silence() {
        let mut mixer = room(10, 1);
        let talk = |who: &'static [usize]| {
            move |place: usize| {
                who.contains(&place).then_some([3_000 + 100 * (place == 5) as i16; 160])
            }
        };
        assert_eq!(turn(&mut mixer, talk(&[2])), [TalkerEvent { member: 2, talking: true }]);
        for _ in 0..50 {
            assert_eq!(turn(&mut mixer, talk(&[2, 5])), [], "five is a little louder");
        }
        let mut changes = Vec::new();
        for frame in 0..40 {
            changes.extend(turn(&mut mixer, talk(&[5])).into_iter().map(|event| (frame, event)));
        }
        assert_eq!(changes.len(), 2);
        assert!(changes[0].0 <= 20 && changes.iter().any(|(_, e)| e.member == 5 && e.talking));
    }

    #[test]
    fn coming_and_going_do_not_click() {
        let mut mixer = Mixer::new(MixerConfig { rate: 8_000, frame: 160, members: 4, talkers: 4 });
        let listener = mixer.join().unwrap();
        turn(&mut mixer, |_| None);
        let mut heard: Vec<i16> = Vec::new();
        let guest = mixer.join().unwrap();
        for frame in 0..10 {
            if frame == 9 {
                mixer.leave(guest);
            }
            mixer.input(guest).unwrap().fill(10_000);
            mixer.mix(|_| {});
            let mut out = [0; 160];
            mixer.output(listener, &mut out);
            heard.extend(out);
            mixer.finish();
        }
        let first = heard[0];
        let steps = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
        assert!(steps <= 70 && first <= 70 && *heard.last().unwrap() <= 70, "{steps} {first}");
        assert_eq!((mixer.present(), mixer.input(guest)), (1, None));
    }

    #[test]
    fn the_muted_are_not_heard_and_a_full_room_takes_nobody() {
        let mut mixer = room(2, 2);
        assert_eq!(mixer.join(), None);
        mixer.mute(1, true);
        turn(&mut mixer, |_| Some([500; 160]));
        let mut heard = [1; 160];
        mixer.output(0, &mut heard);
        assert_eq!(heard, [0; 160]);
        mixer.output(9, &mut heard);
        mixer.leave(9);
        assert!(mixer.input(9).is_none());
        let most = MixerConfig { rate: 8_000, frame: 160, members: 9_999, talkers: 8 };
        assert_eq!(Mixer::new(most).members.len(), MOST_MEMBERS);
    }
}
