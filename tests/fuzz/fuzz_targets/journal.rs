//! Any bytes as a journal: it is walked to its end, and every byte is a frame's or told as damage.
#![no_main]

// The files alone: the store around them would bring its database along.
#[path = "../../../core/store/src/frame.rs"]
mod frame;
#[path = "../../../core/store/src/limits.rs"]
#[allow(dead_code, reason = "a frame knows one of them")]
mod limits;

use frame::Found;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        let read = match frame::read(rest) {
            Found::Frame { payload, bytes } => {
                assert_eq!(payload.len() + frame::HEADER_BYTES, bytes);
                bytes
            }
            Found::Damage { bytes } | Found::Torn { bytes } => bytes,
            Found::End => break,
        };
        assert!(read > 0);
        rest = &rest[read..];
    }
    let mut written = Vec::new();
    if frame::write(bytes, &mut written) {
        assert!(matches!(frame::read(&written), Found::Frame { payload, .. } if payload == bytes));
    }
});
