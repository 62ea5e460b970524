//! Codecs: G.711 both laws by table and by wide arithmetic, G.722, Opus over libopus, L16; the
//! converter between sample rates; and the WAV files that prompts are.
#![deny(unsafe_code)]

mod coder;
pub mod g711;
pub mod g722;
pub mod l16;
pub mod opus;
mod resample;
pub mod wav;

pub use coder::{Decoder, Encoder, OPUS_RATE, bytes_per_second, sample_rate};
pub use resample::Resampler;
