//! An office's own announcements (S-25): whatever was recorded (WAV, AIFF, MP3, AAC in MP4, FLAC,
//! Ogg Vorbis) becomes 8 kHz mono at one loudness (EBU R 128), once, when the plans are loaded. A
//! file that is no sound is refused there with its reason, not when a caller should hear it.
//!
//! What was made is kept under the digest of what it was made from, so that a reload decodes new
//! files alone. The office's own file is never changed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebur128::{EbuR128, Mode};
use koukan_codecs::{WavEncoding, wav_head};
use sha2::{Digest, Sha256};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use crate::limits;
use crate::plans::Outcome;

/// How loud every announcement is, in LUFS: as loud as the server's own.
const LOUDNESS: f64 = -23.0;
/// The loudest sample, of 1: G.711 has no room above it.
const PEAK: f32 = 0.89;
/// What would have to be made louder than this many decibels is noise.
const MOST_GAIN: f64 = 30.0;
const RATE: u32 = 8_000;

/// Why a file cannot be an announcement: the admin's fault, but for the disk's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SoundError {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is larger than {} MB", limits::SOUND_FILE_BYTES / 1_000_000)]
    TooLarge,
    #[error("is no sound that can be read (WAV, AIFF, MP3, MP4, FLAC, Ogg Vorbis): {0}")]
    Unknown(String),
    #[error("has {0} Hz; 8,000 to 192,000 are read")]
    Rate(u32),
    #[error("is longer than {} s", limits::SOUND_SECONDS)]
    TooLong,
    #[error("is shorter than half a second")]
    TooShort,
    #[error("is silent")]
    Silent,
    #[error("cannot be kept in the data directory: {0}")]
    Unkept(io::Error),
}

/// Makes the announcements of an outcome's offices, of one alone or of all, and reports those that
/// cannot be any. Without a data directory nothing is kept: they are only looked at.
pub fn prepare(outcome: &mut Outcome, data: Option<&Path>, tenant: Option<&str>) {
    let directory = &mut outcome.directory;
    let plans = Arc::clone(&directory.plans);
    match tenant {
        Some(tenant) => drop(directory.sounds.remove(tenant)),
        None => directory.sounds.clear(),
    }
    let place = data.map(|data| data.join("sounds"));
    for (owner, name, file) in plans.own_files() {
        if tenant.is_some_and(|tenant| tenant != &**owner) {
            continue;
        }
        let Some(home) = directory.homes.get(owner) else { continue };
        let source = Path::new(&**home).join(&**file);
        match made(&source, place.as_deref()) {
            Ok(Some(path)) => {
                let own: &mut HashMap<Arc<str>, Arc<str>> =
                    directory.sounds.entry(Arc::clone(owner)).or_default();
                own.insert(Arc::clone(file), path);
            }
            Ok(None) => {}
            Err(why) => {
                let report = &mut outcome.report;
                report.errors = report.errors.saturating_add(1);
                let told = source.display();
                report.findings.push(format!("{told}  announcement.{name} of {owner} {why}"));
            }
        }
    }
}

/// Removes what no office uses any more. At a start alone: the generations of before may come back.
pub fn clean(outcome: &Outcome, data: &Path) {
    let used: HashSet<&str> =
        outcome.directory.sounds.values().flat_map(HashMap::values).map(|path| &**path).collect();
    for entry in fs::read_dir(data.join("sounds")).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_used = path.to_str().is_some_and(|path| used.contains(path));
        if !is_used && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old announcement stays behind");
        }
    }
}

/// The file that an announcement is played from, made when it is missing.
fn made(source: &Path, place: Option<&Path>) -> Result<Option<Arc<str>>, SoundError> {
    let bytes = read(source)?;
    // The digest names the way it was made too: another loudness makes another file.
    let digest = Sha256::new().chain_update(VERSION).chain_update(&bytes).finalize();
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let target = place.map(|place| place.join(format!("{name}.wav")));
    if target.as_ref().is_none_or(|target| !target.is_file()) {
        let extension = source.extension().and_then(|extension| extension.to_str());
        let samples = converted(bytes, extension)?;
        if let Some(target) = &target {
            write(target, &samples).map_err(SoundError::Unkept)?;
        }
    }
    Ok(target.as_deref().and_then(Path::to_str).map(Arc::from))
}

/// How files are made today.
const VERSION: &[u8] = b"1";

fn read(path: &Path) -> Result<Vec<u8>, SoundError> {
    let file = File::open(path).map_err(SoundError::Unreadable)?;
    let mut bytes = Vec::new();
    let limit = limits::SOUND_FILE_BYTES;
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.map_err(SoundError::Unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        return Ok(bytes);
    }
    Err(SoundError::TooLarge)
}

/// A file of our own is whole or not there.
pub(crate) fn write(target: &Path, samples: &[i16]) -> io::Result<()> {
    if let Some(place) = target.parent() {
        fs::create_dir_all(place)?;
    }
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    let head = wav_head(WavEncoding::Linear16, 1, RATE, length);
    let part: PathBuf = target.with_extension("part");
    fs::write(&part, [head.as_slice(), &data].concat())?;
    fs::rename(part, target)
}

/// A sound of any kind as samples at 8 kHz, as loud as they all are.
pub(crate) fn converted(bytes: Vec<u8>, extension: Option<&str>) -> Result<Vec<i16>, SoundError> {
    // Decoders of others over files that anybody may have sent: a fault refuses the file.
    let extension = extension.map(str::to_owned);
    let decoded = catch_unwind(move || decoded(bytes, extension.as_deref()));
    let crashed = |_| Err(SoundError::Unknown("its decoder gave up".to_owned()));
    levelled(decoded.unwrap_or_else(crashed)?)
}

fn unknown(error: &DecodeError) -> SoundError {
    SoundError::Unknown(error.to_string())
}

/// A sound as mono samples at 8 kHz.
fn decoded(bytes: Vec<u8>, extension: Option<&str>) -> Result<Vec<f32>, SoundError> {
    let options = MediaSourceStreamOptions::default();
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), options);
    let mut hint = Hint::new();
    if let Some(extension) = extension {
        hint.with_extension(extension);
    }
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let probe = symphonia::default::get_probe();
    let mut format =
        probe.probe(&hint, stream, format, metadata).map_err(|error| unknown(&error))?;
    let none = || SoundError::Unknown("there is no sound in it".to_owned());
    let track = format.default_track(TrackType::Audio).ok_or_else(none)?;
    let id = track.id;
    let parameters =
        track.codec_params.as_ref().and_then(|codec| codec.audio()).ok_or_else(none)?;
    let codecs = symphonia::default::get_codecs();
    let decoder = codecs.make_audio_decoder(parameters, &AudioDecoderOptions::default());
    let mut decoder = decoder.map_err(|error| unknown(&error))?;
    let mut converter: Option<Converter> = None;
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) if packet.track_id == id => packet,
            Ok(Some(_)) => continue,
            // A file that was cut off is as long as it is; a second stream in it is another sound.
            Ok(None) | Err(DecodeError::IoError(_) | DecodeError::ResetRequired) => break,
            Err(error) => return Err(unknown(&error)),
        };
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(DecodeError::DecodeError(_) | DecodeError::IoError(_)) => continue,
            Err(error) => return Err(unknown(&error)),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        let converter = match &mut converter {
            Some(converter) => converter,
            None => converter.insert(Converter::new(rate)?),
        };
        interleaved.clear();
        buffer.copy_to_vec_interleaved(&mut interleaved);
        converter.push(&interleaved, channels.max(1))?;
    }
    Ok(converter.map(Converter::finish).unwrap_or_default())
}

/// Samples of any rate to 8 kHz, by a windowed sinc that leaves nothing above 3.7 kHz to fold back.
struct Converter {
    rate: u32,
    /// Input on each side that an output is made from.
    half: usize,
    /// The input that is still needed.
    input: Vec<f32>,
    /// Where that begins.
    start: usize,
    output: Vec<f32>,
}

/// Zero crossings of the sinc on each side, at the rate of the output.
const CROSSINGS: usize = 12;
/// Hz.
const CUTOFF: f64 = 3_700.0;

impl Converter {
    fn new(rate: u32) -> Result<Self, SoundError> {
        if !(RATE..=192_000).contains(&rate) {
            return Err(SoundError::Rate(rate));
        }
        let half = usize::try_from(rate.div_ceil(RATE)).unwrap_or(1).saturating_mul(CROSSINGS);
        Ok(Self { rate, half, input: Vec::new(), start: 0, output: Vec::new() })
    }

    /// Takes frames in; the channels become one.
    fn push(&mut self, frames: &[f32], channels: usize) -> Result<(), SoundError> {
        let share = 1.0 / channels as f32;
        let mono = frames.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * share);
        if self.rate == RATE {
            self.output.extend(mono);
        } else {
            self.input.extend(mono);
            let known = self.start.saturating_add(self.input.len());
            self.convert(known.saturating_sub(self.half));
        }
        let most = usize::try_from(limits::SOUND_SECONDS * RATE).unwrap_or(usize::MAX);
        if self.output.len() > most { Err(SoundError::TooLong) } else { Ok(()) }
    }

    fn finish(mut self) -> Vec<f32> {
        let end = self.start.saturating_add(self.input.len());
        self.convert(end);
        self.output
    }

    /// Where the next output lies in the input.
    fn position(&self) -> f64 {
        self.output.len() as f64 * f64::from(self.rate) / f64::from(RATE)
    }

    /// Makes every output that lies before `end`.
    fn convert(&mut self, end: usize) {
        while self.position() < end as f64 {
            let position = self.position();
            // Not negative, and below `end`.
            #[expect(clippy::cast_possible_truncation, reason = "as said above")]
            #[expect(clippy::cast_sign_loss, reason = "as said above")]
            let middle = position as usize;
            let first = middle.saturating_sub(self.half).max(self.start);
            let window = self.input.get(first.saturating_sub(self.start)..).unwrap_or_default();
            let taken = window.iter().take(self.half.saturating_mul(2)).enumerate();
            let sum: f64 = taken
                .map(|(at, sample)| {
                    let distance = first.saturating_add(at) as f64 - position;
                    f64::from(*sample) * self.weight(distance)
                })
                .sum();
            #[expect(clippy::cast_possible_truncation, reason = "a sample's precision")]
            self.output.push(sum as f32);
        }
        #[expect(clippy::cast_possible_truncation, reason = "not negative, within the input")]
        #[expect(clippy::cast_sign_loss, reason = "as said beside it")]
        let needed = (self.position() as usize).saturating_sub(self.half);
        let gone = needed.saturating_sub(self.start).min(self.input.len());
        self.input.drain(..gone);
        self.start = self.start.saturating_add(gone);
    }

    /// The share of an input at a distance: a sinc under Hann's window.
    fn weight(&self, distance: f64) -> f64 {
        let width = self.half as f64;
        if distance.abs() >= width {
            return 0.0;
        }
        let turn = std::f64::consts::PI * distance;
        let pass = 2.0 * CUTOFF / f64::from(self.rate);
        let sinc = if distance == 0.0 { pass } else { (turn * pass).sin() / turn };
        sinc * 0.5 * (1.0 + (turn / width).cos())
    }
}

/// Samples at the loudness that all have, none above the peak.
fn levelled(samples: Vec<f32>) -> Result<Vec<i16>, SoundError> {
    if samples.len() < usize::try_from(RATE / 2).unwrap_or(0) {
        return Err(SoundError::TooShort);
    }
    let measured = EbuR128::new(1, RATE, Mode::I).and_then(|mut meter| {
        meter.add_frames_f32(&samples)?;
        meter.loudness_global()
    });
    let loudness = measured.map_err(|error| SoundError::Unknown(error.to_string()))?;
    let gain = LOUDNESS - loudness;
    // A file of silence has no loudness at all.
    if !gain.is_finite() || gain > MOST_GAIN {
        return Err(SoundError::Silent);
    }
    let highest = samples.iter().fold(0.0_f32, |highest, sample| highest.max(sample.abs()));
    #[expect(clippy::cast_possible_truncation, reason = "a factor near 1")]
    let factor = (10.0_f64.powf(gain / 20.0) as f32).min(PEAK / highest.max(f32::MIN_POSITIVE));
    let sample = |sample: f32| {
        // The peak keeps it within 16 bits.
        #[expect(clippy::cast_possible_truncation, reason = "as said above")]
        let sample = (sample * factor * 32_767.0).round() as i16;
        sample
    };
    Ok(samples.into_iter().map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV file of a tone: rate, channels, Hz, level of 1, seconds.
    #[expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]
    fn wav((rate, channels): (u32, u16), hz: f64, level: f64, seconds: f64) -> Vec<u8> {
        let frames = (f64::from(rate) * seconds) as usize;
        let mut data = Vec::new();
        for frame in 0..frames {
            let turn = std::f64::consts::TAU * hz * frame as f64 / f64::from(rate);
            let sample = (level * turn.sin() * 32_767.0) as i16;
            (0..channels).for_each(|_| data.extend(sample.to_le_bytes()));
        }
        let head = wav_head(WavEncoding::Linear16, channels, rate, data.len() as u64);
        [head.as_slice(), &data].concat()
    }

    /// The amplitude of a tone in samples at 8 kHz, of 1.
    fn tone(samples: &[i16], hz: f64) -> f64 {
        let (mut cosine, mut sine) = (0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let turn = std::f64::consts::TAU * hz * at as f64 / f64::from(RATE);
            cosine += f64::from(*sample) * turn.cos();
            sine += f64::from(*sample) * turn.sin();
        }
        2.0 * (cosine * cosine + sine * sine).sqrt() / samples.len() as f64 / 32_768.0
    }

    fn loudness(samples: &[i16]) -> f64 {
        let mut meter = EbuR128::new(1, RATE, Mode::I).unwrap();
        meter.add_frames_i16(samples).unwrap();
        meter.loudness_global().unwrap()
    }

    #[test]
    fn sounds_of_every_shape_and_level_come_out_equally_loud_and_long() {
        for (rate, channels) in [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1), (11_025, 1)] {
            for level in [0.01, 0.1, 0.7] {
                let file = wav((rate, channels), 1_000.0, level, 2.0);
                let made = converted(file, Some("wav")).unwrap();
                let (seconds, loud) = (made.len() as f64 / 8_000.0, loudness(&made));
                assert!((seconds - 2.0).abs() < 0.01, "{rate} Hz: {seconds} s");
                assert!((loud - LOUDNESS).abs() < 0.5, "{rate} Hz at {level}: {loud} LUFS");
            }
        }
    }

    #[test]
    fn what_the_telephone_cannot_carry_does_not_fold_back() {
        let low = converted(wav((44_100, 1), 1_000.0, 0.5, 2.0), None).unwrap();
        assert!(tone(&low, 1_000.0) > 0.05);
        // 7 kHz would come back as 1 kHz; alone it is silence here.
        let high = converted(wav((44_100, 1), 7_000.0, 0.5, 2.0), None);
        assert!(matches!(high, Err(SoundError::Silent)), "{high:?}");
    }

    #[test]
    fn an_mp3_of_a_tone_is_the_tone() {
        let file = include_bytes!("../tests/data/tone.mp3");
        let made = converted(file.to_vec(), Some("mp3")).unwrap();
        let seconds = made.len() as f64 / 8_000.0;
        assert!((1.9..2.2).contains(&seconds), "{seconds} s");
        let (wanted, other) = (tone(&made, 1_000.0), tone(&made, 1_700.0));
        assert!(wanted > 0.08 && other < wanted / 100.0, "{wanted} and {other}");
        assert!((loudness(&made) - LOUDNESS).abs() < 0.5);
    }

    #[test]
    fn what_is_no_announcement_is_refused_with_its_reason() {
        let refused = |bytes: Vec<u8>| converted(bytes, None).unwrap_err().to_string();
        assert!(refused(b"no sound at all".to_vec()).starts_with("is no sound that can be read"));
        assert!(refused(Vec::new()).starts_with("is no sound that can be read"));
        assert_eq!(refused(wav((8_000, 1), 1_000.0, 0.5, 0.3)), "is shorter than half a second");
        assert_eq!(refused(wav((8_000, 1), 1_000.0, 0.0, 2.0)), "is silent");
        assert_eq!(refused(wav((8_000, 1), 1_000.0, 0.5, 301.0)), "is longer than 300 s");
        assert!(refused(wav((6_000, 1), 1_000.0, 0.5, 2.0)).contains("6000 Hz"));
    }

    #[test]
    fn no_truncation_and_no_damage_of_a_file_is_a_panic() {
        let mp3 = include_bytes!("../tests/data/tone.mp3").to_vec();
        let files = [(mp3, "mp3"), (wav((8_000, 1), 1_000.0, 0.5, 0.6), "wav")];
        for (file, extension) in files {
            for cut in (0..file.len()).step_by(file.len() / 40) {
                let _ = decoded(file[..cut].to_vec(), Some(extension));
                let mut damaged = file.clone();
                damaged[cut..].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x5a);
                let _ = decoded(damaged, Some(extension));
            }
        }
    }
}
