//! Recordings that were under way when the process was killed: what is in the file is a recording
//! of its length, once its head says so; a sealed one is what its whole chunks hold.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use koukan_media::sealed;

/// The head that recordings are begun with (`koukan_codecs::wav_head`).
const HEAD: u64 = 58;
/// Where its sizes stand: of the whole, of the samples, of the data.
const RIFF: u64 = 4;
const BLOCK: u64 = 32;
const FACT: u64 = 46;
const DATA: u64 = 54;

/// Completes every `NAME.wav.part` below a directory; gives how many there were.
pub(crate) fn repair(objects: &Path) -> usize {
    let mut count = 0;
    let mut left = vec![objects.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "part") {
                count += 1;
                if let Err(error) = complete(&path) {
                    tracing::warn!(path = %path.display(), %error, "a recording is lost");
                }
            }
        }
    }
    count
}

fn complete(part: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(part)?;
    let len = file.metadata()?.len();
    if part.with_extension("").extension().is_some_and(|kind| kind == "sealed") {
        let whole = sealed::whole_len(len);
        if sealed::sound_len(whole) == 0 {
            return fs::remove_file(part);
        }
        file.set_len(whole)?;
        file.sync_all()?;
        return fs::rename(part, part.with_extension(""));
    }
    if len <= HEAD {
        return fs::remove_file(part);
    }
    let mut block = [0; 2];
    file.seek(SeekFrom::Start(BLOCK))?;
    file.read_exact(&mut block)?;
    let block = u64::from(u16::from_le_bytes(block).max(1));
    let data = (len - HEAD) / block * block;
    // The file may end in the middle of a sample.
    file.set_len(HEAD + data)?;
    for (at, size) in [(RIFF, HEAD - 8 + data), (FACT, data / block), (DATA, data)] {
        put(&mut file, at, size)?;
    }
    file.sync_all()?;
    // `NAME.wav.part` without its last extension.
    fs::rename(part, part.with_extension(""))
}

fn put(file: &mut File, at: u64, size: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use koukan_codecs::{WavEncoding, wav, wav_head};

    #[test]
    fn a_recording_that_was_cut_off_is_one_and_what_has_no_sound_is_gone() {
        let directory = std::env::temp_dir().join(format!("koukan-repair-{}", std::process::id()));
        let own = directory.join("voicemail/acme");
        fs::create_dir_all(&own).unwrap();
        let head = wav_head(WavEncoding::Linear16, 1, 8_000, 0);
        let cut = [head.as_slice(), &[1, 0, 2, 0, 3]].concat();
        fs::write(own.join("m-1.wav.part"), cut).unwrap();
        fs::write(own.join("m-2.wav.part"), head).unwrap();
        fs::write(own.join("m-3.wav"), b"whole").unwrap();
        let key = sealed::SealKey::parse(&"17".repeat(32)).unwrap();
        let format = koukan_media::RecordFormat::Ulaw;
        let mut sealer = sealed::Sealer::new(&key, &[1; 32], format, 2);
        let mut cut = sealer.head().to_vec();
        sealer.push(&[7; 10_000], &mut cut).unwrap();
        cut.extend_from_slice(&[1, 2, 3]);
        fs::write(own.join("m-4.sealed.part"), cut).unwrap();
        fs::write(own.join("m-5.sealed.part"), sealer.head()).unwrap();
        assert_eq!(repair(&directory), 4);
        let opened = sealed::open(&[key], &fs::read(own.join("m-4.sealed")).unwrap()).unwrap();
        assert_eq!((opened.sound, opened.is_whole), (vec![7; sealed::CHUNK], false));
        fs::remove_file(own.join("m-4.sealed")).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["m-1.wav", "m-3.wav"]);
        let bytes = fs::read(own.join("m-1.wav")).unwrap();
        assert_eq!(
            bytes,
            [&wav_head(WavEncoding::Linear16, 1, 8_000, 4)[..], &[1, 0, 2, 0]].concat()
        );
        assert_eq!(wav::read(&bytes), Ok(vec![1, 2]));
        assert_eq!(repair(&directory), 0);
        fs::remove_dir_all(directory).unwrap();
    }
}
