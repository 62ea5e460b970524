//! Calls taken down in both directions (S-70 to S-75): what the first party says on the left, what
//! it hears on the right, in G.711 µ-law. Which calls those are, until when they are kept and who
//! may hear them is the switch's and the server's business; so are the file's head and key.

mod ulaw;

use koukan_sdk::{Batch, Encoding, Result, Tap, TapEnd, Tape, Tapped, export_module};
use serde::Deserialize;

/// It has no options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// One call's recording.
#[derive(Debug)]
pub struct Recording {
    tape: Tape,
    /// The sample of each channel that is written next.
    next: u64,
    channels: u64,
    bytes: Vec<u8>,
}

impl Tap for Recording {
    type Options = Options;

    fn open(_: Options, tapped: &Tapped<'_>, tape: Tape) -> Result<Self> {
        tape.begin(Encoding::Ulaw)?;
        let channels = u64::from(tapped.channels.max(1));
        Ok(Self { tape, next: tapped.first, channels, bytes: Vec::new() })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.bytes.clear();
        // Each sample has its place: what was not given stands as silence.
        let missing = batch.first.saturating_sub(self.next).saturating_mul(self.channels);
        self.bytes.resize(usize::try_from(missing).unwrap_or(0), ulaw::SILENCE);
        self.bytes.extend(batch.samples.iter().copied().map(ulaw::encode));
        self.tape.write(&self.bytes)?;
        let count = u64::try_from(batch.samples.len()).unwrap_or(0) / self.channels;
        self.next = batch.first.saturating_add(count);
        Ok(())
    }

    fn close(self, _: TapEnd) {
        // Whatever was said is written: the rest is the host's.
    }
}

export_module! {
    name: "recording",
    version: env!("CARGO_PKG_VERSION"),
    requires: ["kk.tape/1"],
    tap: Recording,
}
