//! Operations on one notifier in any order (RFC 6665): one NOTIFY at a time, numbers that only grow
//! over restarts, empty tables at the end.
#![no_main]

#[path = "../../../core/sip/tests/support/peer.rs"]
mod peer;
#[path = "../../../core/sip/tests/support/subscription_ops.rs"]
mod subscription_ops;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| subscription_ops::Ops::new().run(bytes));
