//! What a recording takes down and when it ends: the order, its rules as a pure state machine that
//! sees the sound go by, and the report.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::keys::Digits;

/// The longest recording: at the greatest rate its file stays below the 4 GB that WAV can count.
pub const LONGEST_RECORDING: Duration = Duration::from_secs(12 * 3_600);

/// Mean square of a sample from which sound is no silence: -48 dBov, above a line's noise.
const SOUND: u64 = 17_000;

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recorded {
    /// What the stream's peer says; mono.
    #[default]
    Peer,
    /// What the peer says and what it hears, as one sum; mono.
    Mixed,
    /// What the peer says on the left, what it hears on the right.
    Stereo,
}

impl Recorded {
    /// Whether what the peer hears is part of it.
    #[must_use]
    pub const fn takes_both(self) -> bool {
        matches!(self, Self::Mixed | Self::Stereo)
    }

    /// Channels of the file.
    #[must_use]
    pub const fn channels(self) -> u16 {
        match self {
            Self::Peer | Self::Mixed => 1,
            Self::Stereo => 2,
        }
    }
}

/// How the file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// 16 bits at 8 kHz.
    #[default]
    Linear8k,
    /// 16 bits at 16 kHz.
    Linear16k,
    /// G.711 A-law at 8 kHz.
    Alaw,
    /// G.711 µ-law at 8 kHz.
    Ulaw,
}

impl RecordFormat {
    /// Samples a second.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Linear8k | Self::Alaw | Self::Ulaw => 8_000,
            Self::Linear16k => 16_000,
        }
    }
}

/// What is known of a call that is recorded, for whoever takes it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedCall {
    /// The call, as printed everywhere.
    pub call: String,
    /// Whose call it is.
    pub tenant: String,
    /// The number (its name in the plan) whose option it is; empty for a room.
    pub number: String,
    /// `inbound`, `outbound`; `conference` for what was said in a room.
    pub direction: String,
    /// Who called.
    pub caller: String,
    /// What was called; a room's name in the plan.
    pub called: String,
    /// When it began, in ms since 1970.
    pub began_ms: i64,
}

/// An order to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Where the file is to be. It is written beside it, as `PATH.part`, and renamed when it is
    /// whole and on the disk; what was there before is replaced. Its directory is made with the
    /// first file in it.
    pub path: Arc<Path>,
    /// Whether it is [sealed](crate::sealed) under the engine's key; without one it is refused.
    pub seal: bool,
    /// What is taken down.
    pub what: Recorded,
    /// How.
    pub format: RecordFormat,
    /// It ends after so long, at most [`LONGEST_RECORDING`].
    pub longest: Duration,
    /// It ends when the peer has said nothing for so long, also at its beginning.
    pub silence: Option<Duration>,
    /// It ends when the peer presses one of these.
    pub stop_digits: Option<Digits>,
    /// The call that it is of, where whoever takes down calls writes it, else the engine.
    pub call: Option<Arc<RecordedCall>>,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// It was stopped, or the stream ended.
    Stopped,
    /// It was as long as it may be.
    Longest,
    /// The peer said nothing for so long.
    Silence,
    /// The peer pressed this key.
    Digit(u8),
    /// The disk took no more: what it took before is the recording, if it took anything.
    DiskError,
    /// The stream is recorded already, or as many recordings run as may.
    Refused,
    /// Nobody is there to write it down, or not to its end: what was written is the recording.
    Unserved,
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordReport {
    /// How it ended.
    pub end: RecordEnd,
    /// Samples of each channel in the file; without any there is no file.
    pub samples: u64,
    /// How many of them are silence because the disk was too slow to take the sound, or the worker
    /// was behind.
    pub dropped: u64,
    /// Samples a second.
    pub sample_rate: u32,
}

/// The rules of a running recording.
#[derive(Clone, Debug)]
pub struct RecordRules {
    /// Samples that are left.
    left: u64,
    /// Samples of silence so far, and how many end it.
    silent: u64,
    most_silent: u64,
    stop_digits: Option<Digits>,
}

impl RecordRules {
    /// The rules of an order.
    #[must_use]
    pub fn new(order: &Recording) -> Self {
        let samples = |duration: Duration| {
            let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            ms.saturating_mul(u64::from(order.format.sample_rate() / 1_000))
        };
        Self {
            left: samples(order.longest.min(LONGEST_RECORDING)),
            silent: 0,
            most_silent: order.silence.map_or(u64::MAX, samples),
            stop_digits: order.stop_digits,
        }
    }

    /// How many of the next `wanted` samples may still be recorded.
    #[must_use]
    pub fn room(&self, wanted: usize) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).min(wanted)
    }

    /// Samples of the peer have been recorded; whether that ends it.
    pub fn note(&mut self, peer: &[i16]) -> Option<RecordEnd> {
        let count = u64::try_from(peer.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(count);
        let power = |sample: &i16| u64::from(sample.unsigned_abs()).pow(2);
        let sum: u64 = peer.iter().map(power).sum();
        let silent = sum < SOUND.saturating_mul(count);
        self.silent = if silent { self.silent.saturating_add(count) } else { 0 };
        if self.left == 0 {
            Some(RecordEnd::Longest)
        } else if self.silent >= self.most_silent {
            Some(RecordEnd::Silence)
        } else {
            None
        }
    }

    /// So many samples have been recorded that nobody knows the sound of; whether that ends it.
    pub fn pass_over(&mut self, count: u64) -> Option<RecordEnd> {
        self.left = self.left.saturating_sub(count);
        (self.left == 0).then_some(RecordEnd::Longest)
    }

    /// The peer has pressed a key; whether that ends it.
    #[must_use]
    pub fn digit(&self, digit: u8) -> Option<RecordEnd> {
        let stops = self.stop_digits.as_ref()?.as_bytes().contains(&digit);
        stops.then_some(RecordEnd::Digit(digit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Recording {
        Recording {
            path: Path::new("/x.wav").into(),
            seal: false,
            what: Recorded::Peer,
            format: RecordFormat::Linear8k,
            longest: Duration::from_secs(10),
            silence: Some(Duration::from_secs(3)),
            stop_digits: Digits::new(b"#*"),
            call: None,
        }
    }

    /// Seconds of 20 ms frames until it ends.
    fn ends(order: &Recording, frame: impl Fn(usize) -> i16) -> Option<(usize, RecordEnd)> {
        let mut rules = RecordRules::new(order);
        (0..2_000).find_map(|number| {
            let samples = [frame(number); 160];
            rules.note(&samples[..rules.room(160)]).map(|end| (number + 1, end))
        })
    }

    #[test]
    fn it_ends_at_its_length_or_when_nothing_is_said_for_long() {
        assert_eq!(ends(&order(), |_| 3_000), Some((500, RecordEnd::Longest)));
        assert_eq!(ends(&order(), |_| 0), Some((150, RecordEnd::Silence)));
        assert_eq!(ends(&order(), |_| 100), Some((150, RecordEnd::Silence)), "a line's noise");
        let word = |number| if number == 140 { 2_000 } else { 0 };
        assert_eq!(ends(&order(), word), Some((291, RecordEnd::Silence)));
        let patient = Recording { silence: None, ..order() };
        assert_eq!(ends(&patient, |_| 0), Some((500, RecordEnd::Longest)));
        let odd = Recording { longest: Duration::from_millis(33), ..patient };
        let mut rules = RecordRules::new(&odd);
        assert_eq!((rules.note(&[0; 160]), rules.room(160)), (None, 104));
        let endless = Recording { longest: Duration::MAX, ..order() };
        assert_eq!(RecordRules::new(&endless).left, 12 * 3_600 * 8_000);
    }

    #[test]
    fn only_the_keys_that_were_named_end_it() {
        let rules = RecordRules::new(&order());
        assert_eq!(rules.digit(b'#'), Some(RecordEnd::Digit(b'#')));
        assert_eq!(rules.digit(b'1'), None);
        let deaf = Recording { stop_digits: None, ..order() };
        assert_eq!(RecordRules::new(&deaf).digit(b'#'), None);
    }
}
