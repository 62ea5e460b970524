//! The thread that writes recordings, plain or sealed: it looks for full blocks ten times a second,
//! so that no worker ever has to wake it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use koukan_base::{OpId, StreamId};
use koukan_codecs::g711;
use koukan_media::sealed::SealKey;
use koukan_media::{Event, RecordEnd, RecordFormat, RecordReport};

use super::file::SoundFile;
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
    /// None when it could not be made.
    file: Option<SoundFile>,
    bytes: Vec<u8>,
}

impl Writing {
    fn begin(session: Session) -> Self {
        let Session { path, format, channels, seal, .. } = &session;
        let file = SoundFile::create(Arc::clone(path), *format, *channels, seal.as_ref()).ok();
        if file.is_none() {
            session.ring.fail();
        }
        Self { session, file, bytes: Vec::new() }
    }

    /// Writes what is there; the report when the recording has ended.
    fn turn(&mut self) -> Option<RecordReport> {
        // What was given before the end was set is seen behind it.
        let end = self.session.ring.end();
        while let Some(block) = self.session.ring.take() {
            if self.write(&block).is_err() {
                self.session.ring.fail();
            }
            self.session.ring.give_back(block.samples);
        }
        let end = end?;
        let finished = match (self.file.take(), end) {
            (Some(file), RecordEnd::Refused) => {
                file.discard();
                None
            }
            (file, _) => file.map(SoundFile::finish),
        };
        let is_whole = finished.is_some_and(|finished| finished.is_whole);
        Some(RecordReport {
            end: if is_whole || end == RecordEnd::Refused { end } else { RecordEnd::DiskError },
            samples: finished.map_or(0, |finished| finished.samples),
            dropped: self.session.ring.dropped(),
            sample_rate: self.session.format.sample_rate(),
        })
    }

    fn write(&mut self, block: &Block) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let (format, channels) = (self.session.format, u64::from(self.session.channels));
        let mut gap = block.gap.saturating_mul(channels);
        while gap > 0 {
            let count = usize::try_from(gap).unwrap_or(SILENCE).min(SILENCE);
            let silence = [0; SILENCE];
            let silence = silence.get(..count).unwrap_or_default();
            encode(format, silence, &mut self.bytes);
            file.put(&self.bytes)?;
            gap = gap.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
        encode(format, block.samples.get(..block.filled).unwrap_or_default(), &mut self.bytes);
        file.put(&self.bytes)
    }
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
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::mem;

    use koukan_media::sealed;

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
        let file = writing.file.as_mut().unwrap();
        let part = file.part.clone();
        let good = mem::replace(&mut file.file, File::open(&part).unwrap());
        ring.give(block(4_000));
        assert_eq!(writing.turn(), None);
        assert!(ring.has_failed());
        let file = writing.file.as_mut().unwrap();
        file.file = good;
        // The half of a write that the disk still took.
        file.file.write_all(&[1; 77]).unwrap();
        ring.finish(RecordEnd::DiskError);
        let report = writing.turn().unwrap();
        assert_eq!((report.end, report.samples), (RecordEnd::DiskError, 3_001));
        assert_eq!(fs::read(&path).unwrap().len(), 58 + 3_001);
        assert!(!part.exists());
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
                let file = writing.file.as_mut().unwrap();
                file.file = File::open(&file.part).unwrap();
                ring.give(block(4_000));
                ring.give(block(4_000));
                assert_eq!(writing.turn(), None);
                assert!(ring.has_failed());
                let file = writing.file.as_mut().unwrap();
                file.file = fs::OpenOptions::new().write(true).open(&file.part).unwrap();
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
