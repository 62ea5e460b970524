//! The thread that writes recordings, plain or sealed: it looks for full blocks ten times a second,
//! so that no worker ever has to wake it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use koukan_base::{OpId, StreamId};
use koukan_codecs::{WavEncoding, g711, wav_head};
use koukan_media::sealed::{self, SealKey, Sealer};
use koukan_media::{Event, RecordEnd, RecordFormat, RecordReport};

use super::ring::{Block, Ring};
use crate::control::Events;

/// How often it looks for what is to be written.
const LOOK: Duration = Duration::from_millis(100);

/// Samples of silence that are written in one go.
const SILENCE: usize = 4_000;

/// One recording.
pub(crate) struct Session {
    pub(crate) stream: StreamId,
    pub(crate) op: OpId,
    pub(crate) path: Arc<Path>,
    pub(crate) format: RecordFormat,
    pub(crate) channels: u16,
    /// The key that it is sealed under, and its own salt.
    pub(crate) seal: Option<(SealKey, [u8; 32])>,
    pub(crate) ring: Arc<Ring>,
}

/// The thread: until nobody orders any more and every recording has ended.
pub(crate) fn write_recordings(orders: &Receiver<Session>, events: &Events) {
    let mut running: Vec<Writing> = Vec::new();
    let mut open = true;
    while open || !running.is_empty() {
        let order = if running.is_empty() {
            orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            orders.recv_timeout(LOOK)
        };
        match order {
            Ok(session) => running.push(Writing::begin(session)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                open = false;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        running.retain_mut(|writing| {
            let Some(report) = writing.turn() else { return true };
            let (stream, op) = (writing.session.stream, writing.session.op);
            events.push(Event::Recorded { stream, op, report });
            false
        });
    }
}

/// A recording that runs.
struct Writing {
    session: Session,
    part: PathBuf,
    /// None when it could not be made.
    file: Option<File>,
    sealer: Option<Sealer>,
    /// It takes no more: what it took before is kept.
    is_broken: bool,
    /// Bytes that the file has for certain.
    written: u64,
    /// Samples of each channel in the file.
    samples: u64,
    bytes: Vec<u8>,
}

impl Writing {
    fn begin(session: Session) -> Self {
        let mut name = session.path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let sealer = session.seal.as_ref().map(|(key, salt)| {
            let channels = u8::try_from(session.channels).unwrap_or(0);
            Sealer::new(key, salt, session.format, channels)
        });
        let head = match &sealer {
            Some(sealer) => sealer.head().to_vec(),
            None => wav_head(encoding(session.format), session.channels, rate(&session), 0).into(),
        };
        let opened = create(&part).and_then(|mut file| file.write_all(&head).map(|()| file));
        if opened.is_err() {
            session.ring.fail();
        }
        let file = opened.ok();
        let written = u64::try_from(head.len()).unwrap_or(0);
        let (is_broken, bytes) = (false, Vec::new());
        Self { session, part, file, sealer, is_broken, written, samples: 0, bytes }
    }

    /// Writes what is there; the report when the recording has ended.
    fn turn(&mut self) -> Option<RecordReport> {
        // What was given before the end was set is seen behind it.
        let end = self.session.ring.end();
        while let Some(block) = self.session.ring.take() {
            if self.write(&block).is_err() {
                self.is_broken = true;
                self.session.ring.fail();
            }
            self.session.ring.give_back(block.samples);
        }
        let end = end?;
        let file = self.file.take().filter(|_| end != RecordEnd::Refused);
        let is_missing = file.is_none();
        let kept = file.is_some_and(|file| self.complete(file).is_ok());
        let end = match end {
            RecordEnd::Refused => end,
            _ if is_missing || self.is_broken || (self.samples > 0 && !kept) => {
                RecordEnd::DiskError
            }
            _ => end,
        };
        if !kept {
            // Nothing is left of what is no recording; without a file there is none to remove.
            let _ = fs::remove_file(&self.part);
        }
        Some(RecordReport {
            end,
            samples: if kept { self.samples } else { 0 },
            dropped: self.session.ring.dropped(),
            sample_rate: rate(&self.session),
        })
    }

    /// Writes sound that lies in `bytes`.
    fn put(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !self.is_broken) else { return Ok(()) };
        let mut chunks = Vec::new();
        let bytes = match &mut self.sealer {
            Some(sealer) => {
                sealer.push(&self.bytes, &mut chunks).map_err(io::Error::other)?;
                &chunks
            }
            None => &self.bytes,
        };
        file.write_all(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }

    fn write(&mut self, block: &Block) -> io::Result<()> {
        if self.is_broken || self.file.is_none() {
            return Ok(());
        }
        let channels = u64::from(self.session.channels);
        let mut gap = block.gap.saturating_mul(channels);
        while gap > 0 {
            let count = usize::try_from(gap).unwrap_or(SILENCE).min(SILENCE);
            let silence = [0; SILENCE];
            let silence = silence.get(..count).unwrap_or_default();
            encode(self.session.format, silence, &mut self.bytes);
            self.put()?;
            gap = gap.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
        let samples = block.samples.get(..block.filled).unwrap_or_default();
        encode(self.session.format, samples, &mut self.bytes);
        self.put()?;
        let filled = u64::try_from(samples.len()).unwrap_or(0) / channels.max(1);
        self.samples = self.samples.saturating_add(block.gap).saturating_add(filled);
        Ok(())
    }

    /// The end of it, everything on the disk, and its name.
    fn complete(&mut self, mut file: File) -> io::Result<()> {
        match self.sealer.take() {
            Some(sealer) => self.complete_sealed(&mut file, sealer)?,
            None => self.complete_plain(&mut file)?,
        }
        if self.samples == 0 {
            return Err(io::Error::other("nothing is in it"));
        }
        file.sync_all()?;
        fs::rename(&self.part, &self.session.path)?;
        if let Some(directory) = self.session.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    /// The last chunk. A disk that does not take it, or did not take one before it, keeps the
    /// chunks that it took: a file that is cut off, and says so when it is opened.
    fn complete_sealed(&mut self, file: &mut File, mut sealer: Sealer) -> io::Result<()> {
        let mut chunk = Vec::new();
        sealer.finish(&mut chunk).map_err(io::Error::other)?;
        if self.is_broken || file.write_all(&chunk).is_err() {
            self.is_broken = true;
            // A write that failed may have left a part of itself.
            self.written = sealed::whole_len(self.written);
            file.set_len(self.written)?;
            let bytes = u64::from(encoding(self.session.format).bytes());
            let frame = bytes.saturating_mul(u64::from(self.session.channels)).max(1);
            self.samples = sealed::sound_len(self.written) / frame;
        }
        Ok(())
    }

    /// The head's sizes.
    fn complete_plain(&self, file: &mut File) -> io::Result<()> {
        let (encoding, channels) = (encoding(self.session.format), self.session.channels);
        let bytes = self.samples * u64::from(encoding.bytes()) * u64::from(channels);
        let head = wav_head(encoding, channels, rate(&self.session), bytes);
        // A write that failed may have left a part of itself.
        let whole = u64::try_from(head.len()).unwrap_or(0).saturating_add(bytes);
        file.set_len(whole)?;
        // RIFF pads its chunks to an even length; a full disk takes no pad, and no player asks.
        if bytes % 2 == 1 && !self.is_broken {
            file.seek(SeekFrom::Start(whole))?;
            file.write_all(&[0])?;
        }
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&head)
    }
}

/// Makes a file, and its directory when that is the first in it.
fn create(path: &Path) -> io::Result<File> {
    match (File::create(path), path.parent()) {
        (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            File::create(path)
        }
        (created, _) => created,
    }
}

const fn encoding(format: RecordFormat) -> WavEncoding {
    match format {
        RecordFormat::Linear8k | RecordFormat::Linear16k => WavEncoding::Linear16,
        RecordFormat::Alaw => WavEncoding::Alaw,
        RecordFormat::Ulaw => WavEncoding::Ulaw,
    }
}

const fn rate(session: &Session) -> u32 {
    session.format.sample_rate()
}

/// Samples as the file has them.
fn encode(format: RecordFormat, samples: &[i16], bytes: &mut Vec<u8>) {
    bytes.clear();
    match format {
        RecordFormat::Linear8k | RecordFormat::Linear16k => {
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        RecordFormat::Alaw => {
            bytes.resize(samples.len(), 0);
            g711::encode_alaw(samples, bytes);
        }
        RecordFormat::Ulaw => {
            bytes.resize(samples.len(), 0);
            g711::encode_ulaw(samples, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(samples: usize) -> Block {
        Block { samples: vec![500; samples].into(), filled: samples, gap: 0 }
    }

    #[test]
    fn what_a_disk_took_before_it_was_full_is_kept() {
        let name = format!("koukan-writer-{}.wav", std::process::id());
        let path = std::env::temp_dir().join(name);
        let ring = Arc::new(Ring::new(8_000, 1));
        let mut writing = Writing::begin(Session {
            stream: StreamId(1),
            op: OpId(1),
            path: path.clone().into(),
            format: RecordFormat::Ulaw,
            channels: 1,
            seal: None,
            ring: Arc::clone(&ring),
        });
        ring.give(block(3_001));
        assert_eq!(writing.turn(), None);
        // A file that is open for reading alone takes nothing, like that of a full disk.
        let good = writing.file.replace(File::open(&writing.part).unwrap());
        ring.give(block(4_000));
        assert_eq!(writing.turn(), None);
        assert!(ring.has_failed());
        writing.file = good;
        // The half of a write that the disk still took.
        writing.file.as_mut().unwrap().write_all(&[1; 77]).unwrap();
        ring.finish(RecordEnd::DiskError);
        let report = writing.turn().unwrap();
        assert_eq!((report.end, report.samples), (RecordEnd::DiskError, 3_001));
        assert_eq!(fs::read(&path).unwrap().len(), 58 + 3_001);
        assert!(!writing.part.exists());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_sealed_recording_has_its_end_or_the_chunks_that_a_full_disk_took() {
        let key = SealKey::parse(&"5a".repeat(32)).unwrap();
        for is_full in [false, true] {
            let name = format!("koukan-writer-{}-{is_full}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            let path = directory.join("acme/call.sealed");
            let ring = Arc::new(Ring::new(8_000, 1));
            let mut writing = Writing::begin(Session {
                stream: StreamId(1),
                op: OpId(1),
                path: path.clone().into(),
                format: RecordFormat::Ulaw,
                channels: 1,
                seal: Some((key.clone(), [9; 32])),
                ring: Arc::clone(&ring),
            });
            for _ in 0..5 {
                ring.give(block(4_000));
                assert_eq!(writing.turn(), None);
            }
            if is_full {
                writing.file = Some(File::open(&writing.part).unwrap());
                ring.give(block(4_000));
                ring.give(block(4_000));
                assert_eq!(writing.turn(), None);
                assert!(ring.has_failed());
                let part = fs::OpenOptions::new().write(true).open(&writing.part).unwrap();
                writing.file = Some(part);
            }
            ring.finish(RecordEnd::Stopped);
            let report = writing.turn().unwrap();
            let opened = sealed::open(std::slice::from_ref(&key), &fs::read(&path).unwrap());
            let opened = opened.unwrap();
            assert_eq!(opened.sound.len() as u64, report.samples);
            let mut wanted = vec![0; opened.sound.len()];
            g711::encode_ulaw(&vec![500; opened.sound.len()], &mut wanted);
            assert_eq!(opened.sound, wanted);
            assert_eq!(opened.is_whole, !is_full);
            let end = if is_full { RecordEnd::DiskError } else { RecordEnd::Stopped };
            assert_eq!(report.end, end);
            assert_eq!(report.samples, if is_full { 2 * 8_192 } else { 20_000 });
            fs::remove_dir_all(directory).unwrap();
        }
    }
}
