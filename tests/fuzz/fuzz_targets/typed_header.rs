//! Every typed header view on any bytes, and values built from parts that the input chooses, each
//! read back (RFC 3261, section 20, and the RFCs of each header).
#![no_main]

#[path = "../../../core/sip/tests/support/typed.rs"]
mod typed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    typed::look_at_line(bytes);
    typed::build(bytes);
});
