//! Sounds that modules order to be made fit for playing (`kk.audio/1`): an operation of the host's
//! own, done by a thread of its jobs, with its one result whatever becomes of the call meanwhile.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use koukan_abi::{Status, status};
use koukan_base::OpId;
use koukan_switch::{InstanceId, OpStatus};

use super::call::Caller;
use super::shelf::Of;
use crate::limits;
use crate::sounds;

/// What a module orders.
#[derive(Debug)]
pub(super) struct Sound {
    /// Whose objects; empty: the call's tenant.
    pub(super) tenant: Arc<str>,
    pub(super) from: Given,
    /// The usual extension of such a file, or empty.
    pub(super) kind: Arc<str>,
    /// What is made.
    pub(super) object: Arc<str>,
}

/// Where the sound is.
#[derive(Debug)]
pub(super) enum Given {
    Bytes(Vec<u8>),
    Object(Arc<str>),
}

impl Caller {
    /// Orders a sound; the operation.
    pub(super) fn make_prompt(&self, call: u64, sound: Sound) -> Result<u64, Status> {
        let Sound { tenant, from, kind, object } = sound;
        let own = || self.desk.tenant(self.module, call).ok_or(status::NOT_FOUND);
        let tenant = if tenant.is_empty() { own()? } else { tenant };
        let of = Of { module: &self.name, tenant: &tenant };
        let target = self.shelf.object(of, &object)?;
        let source = match from {
            Given::Bytes(bytes) => Source::Bytes(bytes),
            Given::Object(name) => Source::File(self.shelf.object(of, &name)?),
        };
        let op = self.desk.start_own(self.module, call)?;
        let desk = Arc::clone(&self.desk);
        let job = move || {
            let wanted = || desk.owes(call, op);
            let made = catch_unwind(AssertUnwindSafe(|| made(source, &kind, &target, wanted)));
            let (end, text) = match made {
                Ok(Ok(ms)) => (OpStatus::Ok, ms.to_string()),
                Ok(Err(why)) => (OpStatus::Failed, why),
                Err(_) => (OpStatus::Failed, "its decoder gave up".to_owned()),
            };
            desk.finish(InstanceId(call), OpId(op), end, &text);
        };
        let ordered = self.jobs.order(Box::new(job));
        if ordered.is_err() {
            self.desk.settle(InstanceId(call), OpId(op));
        }
        ordered.map(|()| op)
    }
}

enum Source {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Makes it; its length in ms. What nobody wants any more by then is not written.
fn made(
    source: Source,
    kind: &str,
    target: &Path,
    wanted: impl FnOnce() -> bool,
) -> Result<u64, String> {
    let bytes = match source {
        Source::Bytes(bytes) => bytes,
        Source::File(path) => read(&path)?,
    };
    let kind = Some(kind).filter(|kind| !kind.is_empty());
    let samples = sounds::converted(bytes, kind).map_err(|why| format!("the sound {why}"))?;
    let ms = u64::try_from(samples.len()).unwrap_or(u64::MAX) / 8;
    if wanted() {
        let written = sounds::write(target, &samples);
        written.map_err(|error| format!("the disk does not take it: {error}"))?;
    }
    Ok(ms)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error| format!("the object cannot be read: {error}");
    let file = File::open(path).map_err(unread)?;
    let mut bytes = Vec::new();
    let limit = limits::SOUND_FILE_BYTES;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unread)?;
    match u64::try_from(bytes.len()) {
        Ok(read) if read <= limit => Ok(bytes),
        _ => Err(format!("the object is larger than {} MB", limit / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use koukan_codecs::{WavEncoding, wav, wav_head};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("koukan-audio-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory.join(name)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a tone of a test")]
    fn tone(level: f64) -> Vec<u8> {
        let turn = |at: i32| std::f64::consts::TAU * 1_000.0 * f64::from(at) / 8_000.0;
        let sample = |at| (turn(at).sin() * level * 32_767.0) as i16;
        let data: Vec<u8> = (0..16_000).flat_map(|at| sample(at).to_le_bytes()).collect();
        let head = wav_head(WavEncoding::Linear16, 1, 8_000, data.len() as u64);
        [head.as_slice(), &data].concat()
    }

    #[test]
    fn a_quiet_sound_becomes_a_prompt_and_an_mp3_too() {
        let mp3 = include_bytes!("../../tests/data/tone.mp3").to_vec();
        for (name, bytes, kind) in [("wav.wav", tone(0.02), "wav"), ("mp3.wav", mp3, "mp3")] {
            let target = scratch(name);
            let ms = made(Source::Bytes(bytes), kind, &target, || true).unwrap();
            let samples = wav::read(&std::fs::read(&target).unwrap()).unwrap();
            assert!((1_900..2_200).contains(&ms) && samples.len() / 8 == ms as usize, "{ms}");
            let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((2_000..6_000).contains(&loudest), "{name}: {loudest}");
            std::fs::remove_file(target).unwrap();
        }
    }

    #[test]
    fn hostile_bytes_are_refused_with_a_reason_and_nothing_is_written() {
        let mut lies = tone(0.5);
        lies[4..8].fill(0xff);
        lies.splice(40..44, [0xff; 4]);
        let cut = tone(0.5)[..60].to_vec();
        let cases = [
            (Vec::new(), "the sound is no sound"),
            (b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec(), "the sound is no sound"),
            (vec![0xff; 100_000], "the sound "),
            (b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), "the sound is no sound"),
            (tone(0.0), "the sound is silent"),
            (cut, "the sound is shorter"),
        ];
        for (number, (bytes, why)) in cases.into_iter().enumerate() {
            let target = scratch(&format!("hostile-{number}.wav"));
            let refused = made(Source::Bytes(bytes), "", &target, || true).unwrap_err();
            assert!(refused.starts_with(why), "{number}: {refused}");
            assert!(!target.exists());
        }
        // A length that is a lie is the file's own fault, and the sound is there.
        let target = scratch("lies.wav");
        let _ = made(Source::Bytes(lies), "wav", &target, || true);
    }

    #[test]
    fn what_was_cancelled_meanwhile_is_not_written() {
        let target = scratch("cancelled.wav");
        assert_eq!(made(Source::Bytes(tone(0.2)), "wav", &target, || false), Ok(2_000));
        assert!(!target.exists());
        let missing = Source::File(scratch("missing.wav"));
        let refused = made(missing, "", &target, || true).unwrap_err();
        assert!(refused.starts_with("the object cannot be read"), "{refused}");
    }
}
