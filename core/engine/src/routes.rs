//! What the control side knows of each stream: who sends what to whom, and thus who must hear
//! another codec than it speaks. Speakers and hearings are made here, where allocating is allowed.

use std::collections::HashMap;

use koukan_base::{OpId, StreamId};
use koukan_codecs::opus::OpusSettings;
use koukan_media::{Codec, CodecParams, Recorded, Source, SrtpKeys, StreamConfig};

use crate::ear::{Ear, Wanted};
use crate::record::Tracks;
use crate::secure::{self, Secure};
use crate::voice::{Hearing, Speaker};

/// One stream.
#[derive(Debug, Default)]
struct Known {
    codec: Option<CodecParams>,
    srtp: Option<SrtpKeys>,
    source: Option<Source>,
    /// From what to what its hearing translates.
    hearing: Option<(Codec, Codec)>,
    /// What is listened for in its peer's sound, and what its ear was made for.
    wanted: Wanted,
    ear: Option<(Codec, Wanted)>,
    /// What is recorded and at which rate, and the codec that its tracks are made for.
    recording: Option<(OpId, Recorded, u32)>,
    tracks: Option<Codec>,
    /// Who listens to it.
    listeners: Vec<StreamId>,
}

/// A change of a stream's hearing: a new one, or none.
pub(crate) type Change = (StreamId, Option<Box<Hearing>>);

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    streams: HashMap<StreamId, Known>,
    settings: OpusSettings,
}

impl Routes {
    pub(crate) fn new(settings: OpusSettings) -> Self {
        Self { streams: HashMap::new(), settings }
    }

    pub(crate) fn open(&mut self, stream: StreamId) {
        self.streams.insert(stream, Known::default());
    }

    /// A stream ends; whose hearing ends with it.
    pub(crate) fn close(&mut self, stream: StreamId) -> Vec<Change> {
        let changes = self.unwire(stream);
        self.streams.remove(&stream);
        changes
    }

    /// A stream goes to another worker: what it sends and who hears it is forgotten. Whose hearing
    /// ends with that; its own it leaves behind by itself.
    pub(crate) fn unwire(&mut self, stream: StreamId) -> Vec<Change> {
        self.unlisten(stream);
        let Some(known) = self.streams.get_mut(&stream) else { return Vec::new() };
        (known.source, known.hearing) = (None, None);
        let listeners = std::mem::take(&mut known.listeners);
        for listener in &listeners {
            if let Some(listener) = self.streams.get_mut(listener) {
                listener.source = Some(Source::Nothing);
            }
        }
        listeners.into_iter().filter_map(|listener| self.change(listener)).collect()
    }

    /// A stream has agreed on a codec: its speaker, when the codec is another than before.
    pub(crate) fn configure(
        &mut self,
        stream: StreamId,
        config: &StreamConfig,
    ) -> Option<Box<Speaker>> {
        let known = self.streams.get_mut(&stream)?;
        if known.codec == Some(config.codec) {
            return None;
        }
        known.codec = Some(config.codec);
        Speaker::new(config.codec, self.settings).ok().map(Box::new)
    }

    /// What a configuration means for a stream's SRTP.
    pub(crate) fn secure(&mut self, stream: StreamId, config: &StreamConfig) -> secure::Change {
        let Some(known) = self.streams.get_mut(&stream) else { return secure::Change::Keep };
        if known.srtp == config.srtp {
            return secure::Change::Keep;
        }
        known.srtp.clone_from(&config.srtp);
        match &config.srtp {
            Some(keys) => secure::Change::Keys(Box::new(Secure::new(keys))),
            None => secure::Change::Plain,
        }
    }

    /// The codec that a stream has agreed on.
    pub(crate) fn codec(&self, stream: StreamId) -> Option<Codec> {
        Some(self.streams.get(&stream)?.codec?.codec)
    }

    /// How Opus is spoken.
    pub(crate) const fn settings(&self) -> OpusSettings {
        self.settings
    }

    /// What is to be listened for in a stream.
    pub(crate) fn detect(&mut self, stream: StreamId, wanted: Wanted) {
        if let Some(known) = self.streams.get_mut(&stream) {
            known.wanted = wanted;
        }
    }

    /// The ear that a stream needs from now on, when that is another than it has.
    pub(crate) fn ear(&mut self, stream: StreamId) -> Option<Option<Box<Ear>>> {
        let known = self.streams.get_mut(&stream)?;
        let some = known.wanted != Wanted::default();
        let needed = known.codec.filter(|_| some).map(|params| (params.codec, known.wanted));
        if needed == known.ear {
            return None;
        }
        let ear = match needed {
            Some((codec, wanted)) => Some(Box::new(Ear::new(codec, wanted).ok()?)),
            None => None,
        };
        known.ear = needed;
        Some(ear)
    }

    /// A stream is to be recorded; false when there is none, or it is recorded already.
    pub(crate) fn record(&mut self, stream: StreamId, op: OpId, what: Recorded, rate: u32) -> bool {
        let known = self.streams.get_mut(&stream).filter(|known| known.recording.is_none());
        known.map(|known| known.recording = Some((op, what, rate))).is_some()
    }

    /// A recording has ended, or is to.
    pub(crate) fn recorded(&mut self, stream: StreamId, op: OpId) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        if known.recording.is_some_and(|(own, ..)| own == op) {
            (known.recording, known.tracks) = (None, None);
        }
    }

    /// The tracks that a stream's recording needs from now on, when those are others than it has.
    pub(crate) fn tracks(&mut self, stream: StreamId) -> Option<Box<Tracks>> {
        let known = self.streams.get_mut(&stream)?;
        let (codec, (_, what, rate)) = (known.codec?.codec, known.recording?);
        if known.tracks == Some(codec) {
            return None;
        }
        let tracks = Tracks::new(codec, what, rate).ok()?;
        known.tracks = Some(codec);
        Some(Box::new(tracks))
    }

    /// A stream is to send what a source gives.
    pub(crate) fn feed(&mut self, stream: StreamId, source: Source) {
        self.unlisten(stream);
        if let Some(known) = self.streams.get_mut(&stream) {
            known.source = Some(source);
        }
        if let Source::Stream(other) = source
            && let Some(other) = self.streams.get_mut(&other)
        {
            other.listeners.push(stream);
        }
    }

    fn unlisten(&mut self, stream: StreamId) {
        let known = self.streams.get(&stream).and_then(|known| known.source);
        if let Some(Source::Stream(other)) = known
            && let Some(other) = self.streams.get_mut(&other)
        {
            other.listeners.retain(|listener| *listener != stream);
        }
    }

    /// Whose hearing must change now that this stream's codec or source did: its own, and those of
    /// who listen to it.
    pub(crate) fn changes(&mut self, stream: StreamId) -> Vec<Change> {
        let listeners = self.streams.get(&stream).map(|known| known.listeners.clone());
        let affected = std::iter::once(stream).chain(listeners.unwrap_or_default());
        affected.filter_map(|stream| self.change(stream)).collect()
    }

    fn change(&mut self, stream: StreamId) -> Option<Change> {
        let known = self.streams.get(&stream)?;
        let to = known.codec.map(|params| params.codec);
        let from = match known.source {
            Some(Source::Stream(other)) => self.streams.get(&other)?.codec,
            Some(Source::Echo | Source::Silence | Source::Nothing | Source::Room(_)) | None => None,
        };
        let wanted =
            from.map(|params| params.codec).zip(to).filter(|(from, to)| !is_direct(*from, *to));
        if wanted == known.hearing {
            return None;
        }
        let hearing = match wanted {
            Some((from, to)) => Some(Box::new(Hearing::new(from, to).ok()?)),
            None => None,
        };
        self.streams.get_mut(&stream)?.hearing = wanted;
        Some((stream, hearing))
    }
}

/// Whether packets can be passed on, at most with their bytes mapped.
pub(crate) const fn is_direct(from: Codec, to: Codec) -> bool {
    matches!(
        (from, to),
        (Codec::Pcmu | Codec::Pcma, Codec::Pcmu | Codec::Pcma)
            | (Codec::G722, Codec::G722)
            | (Codec::Opus, Codec::Opus)
            | (Codec::L16, Codec::L16)
    )
}
