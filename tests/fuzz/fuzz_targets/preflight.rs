//! Any bytes as a module's file, before it would be loaded (System V ABI, chapters 4 and 5).
#![no_main]

// The file alone: the server around it would bring its database and its web server along.
#[path = "../../../core/server/src/module/preflight.rs"]
mod preflight;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = preflight::preflight(bytes);
    let _ = preflight::schema(bytes);
});
