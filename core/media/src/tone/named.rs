//! Tones by their names, so that they can be ordered like recordings; what each country's network
//! sounds like stands as data beside it (ITU-T E.180, supplement 2).

use super::{GERMANY, JAPAN, NORTH_AMERICA, Progress, Tone, ToneGenerator, Tones};
use super::{UNITED_KINGDOM, key_tone};

/// Whose tones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Country {
    /// Japan.
    #[default]
    Japan,
    /// The United States and Canada.
    NorthAmerica,
    /// The United Kingdom.
    UnitedKingdom,
    /// Germany, and with it most of Europe.
    Germany,
}

impl Country {
    /// Its tones.
    #[must_use]
    pub const fn tones(self) -> &'static Tones {
        match self {
            Self::Japan => &JAPAN,
            Self::NorthAmerica => &NORTH_AMERICA,
            Self::UnitedKingdom => &UNITED_KINGDOM,
            Self::Germany => &GERMANY,
        }
    }
}

/// A tone that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedTone {
    /// What the network says.
    Progress(Country, Progress),
    /// A key's two frequencies (`0`–`9`, `*`, `#`, `A`–`D`); silence when it is none.
    Key(u8),
    /// The sign to speak: 1000 Hz.
    Beep,
}

/// The longest that is made at once, in ms.
const LONGEST_MS: u32 = 60_000;

impl NamedTone {
    fn tone(self) -> Option<Tone> {
        match self {
            Self::Progress(country, progress) => {
                let known = country.tones().iter().find(|(known, _)| *known == progress)?;
                Some(known.1)
            }
            Self::Key(key) => key_tone(key),
            Self::Beep => Some(Tone::new([1_000.0, 0.0], [1_000, 0, 0, 0])),
        }
    }

    /// The sound for so many ms, at most a minute, at 8 kHz. 0 ms is one round of the rhythm, or a
    /// second of a steady tone, which begins where it ends.
    #[must_use]
    pub fn samples(self, ms: u32) -> Vec<i16> {
        let count = |ms: u32| usize::try_from(ms.min(LONGEST_MS)).unwrap_or(0) * 8;
        let Some(tone) = self.tone() else { return vec![0; count(ms)] };
        let mut generator = ToneGenerator::new(&tone, 8_000);
        if ms > 0 {
            let mut samples = vec![0; count(ms)];
            generator.fill(&mut samples);
            return samples;
        }
        let round: u32 = tone.cadence.iter().map(|ms| u32::from(*ms)).sum();
        let mut samples = vec![0; count(round)];
        if tone.is_steady() {
            // The first round rises from nothing; frequencies are whole, so a second fits itself.
            generator.fill(&mut samples);
        }
        generator.fill(&mut samples);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{DtmfDetector, DtmfEvent, ProgressDetector};

    #[test]
    fn every_countrys_tones_are_recognised_when_one_round_is_repeated() {
        use Country::{Germany, Japan, NorthAmerica, UnitedKingdom};
        for country in [Japan, NorthAmerica, UnitedKingdom, Germany] {
            for progress in [Progress::Dial, Progress::Ringback, Progress::Busy, Progress::Reorder]
            {
                let round = NamedTone::Progress(country, progress).samples(0);
                let mut found = Vec::new();
                let mut detector = ProgressDetector::new(country.tones());
                for _ in 0..6 {
                    detector.listen(&round, |heard| found.push(heard));
                }
                assert_eq!(found, [progress], "{country:?}");
                let seam = i32::from(round[0]) - i32::from(round[round.len() - 1]);
                assert!(seam.abs() < 6_000, "{country:?} {progress:?}: {seam}");
            }
        }
    }

    #[test]
    fn keys_and_the_beep_last_as_long_as_they_shall() {
        let mut found = Vec::new();
        let mut detector = DtmfDetector::new();
        let tone = NamedTone::Key(b'#').samples(100);
        assert_eq!(tone.len(), 800);
        detector.listen(&[tone, vec![0; 800]].concat(), |event| found.push(event));
        assert!(matches!(found[..], [DtmfEvent::Pressed(b'#'), DtmfEvent::Released(b'#', _)]));
        assert_eq!(NamedTone::Beep.samples(u32::MAX).len(), 480_000);
        assert_eq!(NamedTone::Key(b'x').samples(20), vec![0; 160]);
    }
}
