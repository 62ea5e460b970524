//! Any bytes as a datagram, as a stream and through every header view (RFC 3261, section 7).
#![no_main]

#[path = "../../../core/sip/tests/support/walk.rs"]
mod walk;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = walk::walk(bytes);
});
