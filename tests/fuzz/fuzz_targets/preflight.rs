//! Any bytes as a module's file, before it would be loaded (System V ABI, chapters 4 and 5).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = koukan::module::preflight::preflight(bytes);
});
