//! The file of a recording, plain or sealed: begun as `PATH.part`, grown piece by piece, and given
//! its name when it is whole and on the disk.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use koukan_codecs::{WavEncoding, wav_head};
use koukan_media::RecordFormat;
use koukan_media::sealed::{self, SealKey, Sealer};

/// A file that grows. One that is dropped stays as a kill leaves it: the next start repairs it.
#[derive(Debug)]
pub struct SoundFile {
    path: Arc<Path>,
    pub(super) part: PathBuf,
    format: RecordFormat,
    channels: u16,
    pub(super) file: File,
    sealer: Option<Sealer>,
    /// It takes no more: what it took before is kept.
    is_broken: bool,
    /// Bytes that the file has for certain.
    written: u64,
    /// Samples of each channel in the file.
    samples: u64,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Samples of each channel in it; without any there is no file.
    pub samples: u64,
    /// Whether the disk took everything.
    pub is_whole: bool,
}

impl SoundFile {
    /// Begins a file, and its directory when it is the first in it.
    pub(super) fn create(
        path: Arc<Path>,
        format: RecordFormat,
        channels: u16,
        seal: Option<&(SealKey, [u8; 32])>,
    ) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let sealer = seal
            .map(|(key, salt)| Sealer::new(key, salt, format, u8::try_from(channels).unwrap_or(0)));
        let head = match &sealer {
            Some(sealer) => sealer.head().to_vec(),
            None => wav_head(encoding(format), channels, format.sample_rate(), 0).into(),
        };
        let mut file = create(&part)?;
        file.write_all(&head)?;
        let written = u64::try_from(head.len()).unwrap_or(0);
        let is_broken = false;
        Ok(Self { path, part, format, channels, file, sealer, is_broken, written, samples: 0 })
    }

    /// How its sound is coded.
    #[must_use]
    pub const fn format(&self) -> RecordFormat {
        self.format
    }

    /// Writes whole samples, coded as the file is, those of the channels beside each other.
    ///
    /// # Errors
    /// The disk takes no more, now or since before: what it took is kept.
    pub fn put(&mut self, sound: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("the disk took no more before"));
        }
        let put = self.try_put(sound);
        self.is_broken = put.is_err();
        put
    }

    fn try_put(&mut self, sound: &[u8]) -> io::Result<()> {
        let mut chunks = Vec::new();
        let bytes = match &mut self.sealer {
            Some(sealer) => {
                sealer.push(sound, &mut chunks).map_err(io::Error::other)?;
                chunks.as_slice()
            }
            None => sound,
        };
        self.file.write_all(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        let samples = u64::try_from(sound.len()).unwrap_or(0) / self.frame();
        self.samples = self.samples.saturating_add(samples);
        Ok(())
    }

    /// Bytes of a sample of all channels.
    fn frame(&self) -> u64 {
        let bytes = u64::from(encoding(self.format).bytes());
        bytes.saturating_mul(u64::from(self.channels)).max(1)
    }

    /// The end of it: everything on the disk, under its name. It blocks until that is so.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let kept = self.complete().is_ok();
        if !kept {
            // Nothing is left of what is no recording.
            let _ = fs::remove_file(&self.part);
        }
        let is_whole = !self.is_broken && (kept || self.samples == 0);
        Finished { samples: if kept { self.samples } else { 0 }, is_whole }
    }

    /// There is to be no recording.
    pub fn discard(self) {
        // What is gone already is what is wanted.
        let _ = fs::remove_file(&self.part);
    }

    fn complete(&mut self) -> io::Result<()> {
        match self.sealer.take() {
            Some(sealer) => self.complete_sealed(sealer)?,
            None => self.complete_plain()?,
        }
        if self.samples == 0 {
            return Err(io::Error::other("nothing is in it"));
        }
        self.file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    /// The last chunk. A disk that does not take it, or did not take one before it, keeps the
    /// chunks that it took: a file that is cut off, and says so when it is opened.
    fn complete_sealed(&mut self, mut sealer: Sealer) -> io::Result<()> {
        let mut chunk = Vec::new();
        sealer.finish(&mut chunk).map_err(io::Error::other)?;
        if self.is_broken || self.file.write_all(&chunk).is_err() {
            self.is_broken = true;
            // A write that failed may have left a part of itself.
            self.written = sealed::whole_len(self.written);
            self.file.set_len(self.written)?;
            self.samples = sealed::sound_len(self.written) / self.frame();
        }
        Ok(())
    }

    /// The head's sizes.
    fn complete_plain(&mut self) -> io::Result<()> {
        let bytes = self.samples.saturating_mul(self.frame());
        let rate = self.format.sample_rate();
        let head = wav_head(encoding(self.format), self.channels, rate, bytes);
        // A write that failed may have left a part of itself.
        let whole = u64::try_from(head.len()).unwrap_or(0).saturating_add(bytes);
        self.file.set_len(whole)?;
        // RIFF pads its chunks to an even length; a full disk takes no pad, and no player asks.
        if bytes % 2 == 1 && !self.is_broken {
            self.file.seek(SeekFrom::Start(whole))?;
            self.file.write_all(&[0])?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head)
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
