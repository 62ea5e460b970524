//! Operations on two user agents that call each other in any order (RFC 3261, 12–15; RFC 3262, 3311
//! and 4028): both end with empty tables. The first byte sets both up and the link between them.
#![no_main]

#[path = "../../../core/sip/tests/support/dialog_ops.rs"]
mod dialog_ops;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, script)) = bytes.split_first() {
        dialog_ops::Pair::new(*first).run(script);
    }
});
