//! Codecs: G.711 both laws by table, the maps between them, and the WAV files that prompts are.
#![forbid(unsafe_code)]

pub mod g711;
pub mod wav;
