//! Any bytes as a prompt: reading ends, with no more sound than the file can hold at 8 kHz.
#![no_main]

use koukan_codecs::wav;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(samples) = wav::read(bytes) {
        assert!(samples.len() <= bytes.len(), "more samples than bytes");
    }
});
