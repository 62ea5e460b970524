//! Any text as a tenant's files: loading ends, every finding can be printed, what was taken decides
//! calls, prices them, and a formatted file stays as it is, all without a panic.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{Account, Caller, Capabilities, Facts, Idle, Origin, Plans, TenantSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // The first line is dialled, the rest is the plan, and behind a line of its own a calendar.
    let (called, plan) = text.split_once('\n').unwrap_or(("0312340001", &text));
    let (plan, calendar) = plan.split_once("\n%%\n").unwrap_or((plan, ""));
    let files = vec![
        (String::from("fuzz.toml"), plan.to_owned()),
        (String::from("fuzz.ics"), calendar.to_owned()),
    ];
    if let Ok(formatted) = koukan_dialplan::format(plan) {
        assert_eq!(koukan_dialplan::format(&formatted).as_ref(), Ok(&formatted));
    }
    let source = TenantSource { name: String::from("fuzz"), files };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let loaded = Plans::load(&[source], &[], &Capabilities::all(), now);
    let _ = loaded.report.to_string();
    let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
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
        let decision = loaded.plans.decide(&facts);
        let _ = decision.lines();
        for (payer, leg) in loaded.plans.charged_legs(&decision, &facts, Duration::from_secs(61)) {
            let _ = loaded.plans.rate(&payer, &leg, &Account::default());
        }
    }
});
