//! Prompts: read or made, and encoded, once on the job thread, shared by every play.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use koukan_codecs::{g711, wav};
use koukan_media::tone::hold_music;
use koukan_media::{Codec, Prompt};

use crate::limits;

/// A prompt in every law that a stream may speak, one byte a sample at 8 kHz.
#[derive(Debug)]
pub(crate) struct Clip {
    ulaw: Box<[u8]>,
    alaw: Box<[u8]>,
}

impl Clip {
    /// In µ-law, or in A-law, from which every other codec is made.
    pub(crate) fn bytes(&self, codec: Codec) -> &[u8] {
        if codec == Codec::Pcmu { &self.ulaw } else { &self.alaw }
    }

    pub(crate) fn from_samples(samples: &[i16]) -> Self {
        let (mut ulaw, mut alaw) = (vec![0; samples.len()], vec![0; samples.len()]);
        g711::encode_ulaw(samples, &mut ulaw);
        g711::encode_alaw(samples, &mut alaw);
        Self { ulaw: ulaw.into(), alaw: alaw.into() }
    }
}

/// The prompts read so far. Owned by the job thread.
#[derive(Debug)]
pub(crate) struct Library {
    directory: PathBuf,
    clips: HashMap<Prompt, Arc<Clip>>,
}

impl Library {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, clips: HashMap::new() }
    }

    /// Every prompt of a play, or nothing when one of them is missing or unreadable.
    pub(crate) fn get(&mut self, prompts: &[Prompt]) -> Option<Arc<[Arc<Clip>]>> {
        prompts.iter().map(|prompt| self.clip(prompt)).collect()
    }

    fn clip(&mut self, prompt: &Prompt) -> Option<Arc<Clip>> {
        if let Some(clip) = self.clips.get(prompt) {
            return Some(clip.clone());
        }
        let samples = match prompt {
            Prompt::Clip { language, name } => self.read(language, name)?,
            Prompt::Tone { tone, ms } => tone.samples(*ms),
            Prompt::Music => hold_music(8_000),
            Prompt::Silence { ms } => vec![0; usize::try_from(*ms.min(&60_000)).ok()? * 8],
        };
        let clip = Arc::new(Clip::from_samples(&samples));
        // Files of tenants and recordings change and are many: they are read each time.
        if !matches!(prompt, Prompt::Clip { language, .. } if language.is_empty()) {
            self.clips.insert(prompt.clone(), clip.clone());
        }
        Some(clip)
    }

    fn read(&self, language: &str, name: &str) -> Option<Vec<i16>> {
        let path = self.path(language, name)?;
        let mut bytes = Vec::new();
        let file = fs::File::open(&path).ok()?;
        file.take(limits::PROMPT_BYTES).read_to_end(&mut bytes).ok()?;
        wav::read(&bytes).ok()
    }

    /// `DIRECTORY/LANGUAGE/NAME.wav`, or the path that a prompt without a language is. A name never
    /// leads out of the prompt directory.
    fn path(&self, language: &str, name: &str) -> Option<PathBuf> {
        if language.is_empty() {
            return Some(PathBuf::from(name));
        }
        let name = Path::new(language).join(format!("{name}.wav"));
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.directory.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_lead_out_of_the_directory() {
        let library = Library::new("/prompts".into());
        let path = |language, name| library.path(language, name);
        assert_eq!(path("ja", "lunch"), Some("/prompts/ja/lunch.wav".into()));
        assert_eq!(path("..", "lunch"), None);
        assert_eq!(path("ja", "../../etc/passwd"), None);
        assert_eq!(path("", "/tenant/x.wav"), Some("/tenant/x.wav".into()));
    }
}
