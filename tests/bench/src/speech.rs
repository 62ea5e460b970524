//! Real speech: what Debian's packages `asterisk-core-sounds-en-wav` (8 kHz) and `…-g722` (16
//! kHz) have a speaker say, joined to one recording. What is said stands in no RFC.

use std::io;
use std::path::{Path, PathBuf};

use koukan_codecs::{g722, wav};

const SOUNDS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";

/// What is shorter is a word of a number, and what is in these has no words.
const LEAST_SECONDS: usize = 2;
const WORDLESS: [&str; 3] = ["silence", "tt-monkeys", "beep"];

/// The speech of all files of a rate (8000 or 16000 Hz), in the order of their names. With `whole`
/// also the shortest files.
pub(crate) fn read(rate: usize, whole: bool) -> io::Result<Vec<i16>> {
    let ending = if rate == 8_000 { "wav" } else { "g722" };
    let mut files = Vec::new();
    collect(Path::new(SOUNDS), ending, &mut files)?;
    files.sort();
    let mut speech = Vec::new();
    for file in files {
        let name = file.to_string_lossy().replace(SOUNDS, "");
        if WORDLESS.iter().any(|wordless| name.contains(wordless)) {
            continue;
        }
        let bytes = std::fs::read(&file)?;
        let samples = if rate == 8_000 {
            wav::read(&bytes).map_err(io::Error::other)?
        } else {
            let mut samples = vec![0; bytes.len() * 2];
            g722::Decoder::new().decode(&bytes, &mut samples);
            samples
        };
        if whole || samples.len() >= LEAST_SECONDS * rate {
            speech.extend(samples);
        }
    }
    if speech.is_empty() {
        return Err(io::Error::other(format!("no .{ending} files below {SOUNDS}")));
    }
    Ok(speech)
}

fn collect(directory: &Path, ending: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| io::Error::other(format!("{}: {error}", directory.display())))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, ending, files)?;
        } else if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    Ok(())
}
