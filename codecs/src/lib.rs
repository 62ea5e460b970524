//! Codecs: G.711 both laws by table and by wide arithmetic, G.722, Opus over libopus, L16; the
//! converter between sample rates; the WAV files that prompts are, and the head of those
//! that are written.
#![deny(unsafe_code)]

mod coder;
pub mod g711;
pub mod g722;
pub mod l16;
pub mod opus;
mod resample;
pub mod wav;
mod wav_header;

pub use coder::{Decoder, Encoder, OPUS_RATE, bytes_per_second, sample_rate};
pub use resample::Resampler;
pub use wav_header::{WAV_HEAD, WavEncoding, wav_head};
