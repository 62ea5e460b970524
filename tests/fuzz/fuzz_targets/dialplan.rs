//! Any text as a tenant's file: loading ends, every finding can be printed, and what was taken
//! decides calls without a panic.
#![no_main]

use std::sync::Arc;

use koukan_dialplan::{Caller, Capabilities, Facts, Idle, Origin, Plans, TenantSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // The first line is dialled, the rest is the plan.
    let (called, plan) = text.split_once('\n').unwrap_or(("0312340001", &text));
    let files = vec![(String::from("fuzz.toml"), plan.to_owned())];
    let source = TenantSource { name: String::from("fuzz"), files };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let loaded = Plans::load(&[source], &[], &Capabilities::all(), now);
    let _ = loaded.report.to_string();
    let caller = Caller { number: Some(Arc::from("0455550001")), anonymous: false };
    let devices = loaded.plans.devices().map(|device| Origin::Device {
        tenant: Arc::clone(&device.tenant),
        device: Arc::clone(&device.device),
    });
    let trunks = loaded.plans.trunks().map(|trunk| Origin::Trunk {
        tenant: trunk.tenant.clone(),
        trunk: Arc::clone(&trunk.name),
    });
    for origin in devices.chain(trunks).take(8) {
        let facts = Facts { at: now, origin: &origin, caller: &caller, called, state: &Idle };
        let _ = loaded.plans.decide(&facts).lines();
    }
});
