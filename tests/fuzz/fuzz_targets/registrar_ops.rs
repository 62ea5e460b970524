//! Operations on one registrar in any order (RFC 3261, section 10; RFC 5626): bindings end in their
//! time and leave nothing. The first byte chooses the keep-alives.
#![no_main]

#[path = "../../../core/sip/tests/support/registrar_ops.rs"]
mod registrar_ops;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((seed, script)) = bytes.split_first() {
        registrar_ops::RegistrarOps::new(*seed).run(script);
    }
});
