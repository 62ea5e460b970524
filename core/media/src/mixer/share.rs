//! What the parts of one room say to each other, once a frame: the sum of those who are heard, how
//! strong each talker is, and what somebody whispers to a member of another part.
//!
//! All parts mix at the same moments. What a part says in frame `n` is heard in the others in their
//! frame `n + 1`, exactly: a whole frame of time to arrive, and never more delay than that. What
//! does not come in time fades out, what comes again fades in, and what is too late is not heard.
//! Who among all talkers is summed, each part decides over its own members: for the length of a
//! frame two parts may see it differently, and one voice more or less be heard.

use super::ramp;

/// Whispers to other parts that leave a part in one frame; of more, the first are heard.
pub const MOST_WHISPERS: usize = 4;

/// Talkers whose strength is told; a room of several parts sums no more at once.
const MOST_TALKERS: usize = 16;

/// What one part says in one frame. Allocated once; goes round between two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    part: u16,
    number: u64,
    present: usize,
    frame: usize,
    sum: Box<[i32]>,
    talkers: [u64; MOST_TALKERS],
    talking: usize,
    /// Whom each whisper is for.
    to: [u64; MOST_WHISPERS],
    whispering: usize,
    whispered: Box<[i16]>,
}

impl Share {
    /// Silence, with room for frames of so many samples.
    #[must_use]
    pub fn new(most_samples: usize) -> Self {
        Self {
            part: 0,
            number: 0,
            present: 0,
            frame: 0,
            sum: vec![0; most_samples].into(),
            talkers: [0; MOST_TALKERS],
            talking: 0,
            to: [0; MOST_WHISPERS],
            whispering: 0,
            whispered: vec![0; most_samples * MOST_WHISPERS].into(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn part(&self) -> u16 {
        self.part
    }

    /// The number of its frame.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Members of the part.
    #[must_use]
    pub const fn present(&self) -> usize {
        self.present
    }

    /// How strong each of its talkers is.
    #[must_use]
    pub fn talkers(&self) -> &[u64] {
        self.talkers.get(..self.talking).unwrap_or_default()
    }

    /// What is said to all, in a room whose frames have so many samples; none when this one's had
    /// others.
    #[must_use]
    pub fn sum(&self, frame: usize) -> Option<&[i32]> {
        self.sum.get(..frame).filter(|_| frame == self.frame)
    }

    pub(super) const fn is_whispering(&self) -> bool {
        self.whispering > 0
    }

    /// Whom each whisper is for, and what is said.
    pub(super) fn whispers(&self, frame: usize) -> impl Iterator<Item = (u64, &[i16])> {
        let count = if frame == self.frame { self.whispering } else { 0 };
        self.to.iter().copied().zip(self.whispered.chunks_exact(frame.max(1))).take(count)
    }

    pub(super) fn begin(&mut self, (part, number): (u16, u64), present: usize, sum: &[i32]) {
        (self.part, self.number, self.present) = (part, number, present);
        (self.talking, self.whispering) = (0, 0);
        self.frame = sum.len();
        for (to, from) in self.sum.iter_mut().zip(sum) {
            *to = *from;
        }
    }

    pub(super) fn add_talker(&mut self, weight: u64) {
        if let Some(place) = self.talkers.get_mut(self.talking) {
            *place = weight;
            self.talking += 1;
        }
    }

    pub(super) fn add_whisper(&mut self, to: u64, said: &[i16]) {
        let start = self.whispering * self.frame;
        let room = self.whispered.get_mut(start..start + self.frame);
        let (Some(place), Some(room)) = (self.to.get_mut(self.whispering), room) else { return };
        *place = to;
        for (to, from) in room.iter_mut().zip(said) {
            *to = *from;
        }
        self.whispering += 1;
    }

    /// Nobody says anything; how many are there stays.
    fn silence(&mut self) {
        (self.talking, self.whispering, self.frame) = (0, 0, 0);
    }

    /// Turns it round in time: what follows on a frame without a step.
    fn reverse(&mut self) {
        if let Some(sum) = self.sum.get_mut(..self.frame) {
            sum.reverse();
        }
        let whispers = self.whispered.chunks_exact_mut(self.frame.max(1)).take(self.whispering);
        whispers.for_each(<[i16]>::reverse);
    }

    /// Up from nothing, or down to it.
    fn ramp(&mut self, up: bool) {
        let frame = i64::try_from(self.frame.max(1)).unwrap_or(i64::MAX);
        for (step, sample) in (1..).zip(self.sum.iter_mut().take(self.frame)) {
            let gain = if up { step } else { frame - step };
            *sample = i32::try_from(i64::from(*sample) * gain / frame).unwrap_or(0);
        }
        let whispers = self.whispered.chunks_exact_mut(self.frame.max(1)).take(self.whispering);
        whispers.for_each(|said| ramp(said, up));
    }
}

/// How another part is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not at all.
    Lost,
    /// For the last time, down to nothing.
    Fading,
    Heard,
}

/// Another part of the room, as it is heard in this one.
#[derive(Debug)]
pub struct Distant {
    current: Box<Share>,
    /// What came before its time.
    ahead: Option<Box<Share>>,
    state: State,
}

impl Distant {
    /// A part of which nothing has come; `share` is any, for the turns to begin with.
    #[must_use]
    pub fn new(mut share: Box<Share>) -> Self {
        share.silence();
        Self { current: share, ahead: None, state: State::Lost }
    }

    /// What it says in this frame.
    #[must_use]
    pub const fn share(&self) -> &Share {
        &self.current
    }

    /// A frame of our own of this number begins: takes what the part said in the one before from
    /// those that have come, in their order, and gives back those that are used up.
    pub fn turn(
        &mut self,
        number: u64,
        mut come: impl FnMut() -> Option<Box<Share>>,
        mut back: impl FnMut(Box<Share>),
    ) {
        while let Some(share) = self.ahead.take().or_else(&mut come) {
            let due = share.number.saturating_add(1);
            if due < number {
                back(share);
            } else if due > number {
                self.ahead = Some(share);
                break;
            } else {
                back(std::mem::replace(&mut self.current, share));
                if self.state != State::Heard {
                    self.current.ramp(true);
                }
                self.state = State::Heard;
                return;
            }
        }
        match self.state {
            State::Heard => {
                // Nothing has come: the last sound backwards, down to nothing.
                self.current.reverse();
                self.current.ramp(false);
                self.state = State::Fading;
            }
            State::Fading | State::Lost => {
                self.current.silence();
                self.state = State::Lost;
            }
        }
    }
}
