//! Operations on one user agent in any order: transactions and dialogs (RFC 3261, sections 12–17)
//! end and leave empty tables. The first byte chooses the transport.
#![no_main]

#[path = "../../../core/sip/tests/support/ops.rs"]
mod ops;
#[path = "../../../core/sip/tests/support/peer.rs"]
mod peer;

use koukan_sip::Transport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, script)) = bytes.split_first() {
        let transport = if first % 2 == 0 { Transport::Udp } else { Transport::Tcp };
        ops::Ops::new(transport).run(script);
    }
});
