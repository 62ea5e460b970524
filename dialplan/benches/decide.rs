//! Decision time. Floor 20 µs, goal 2 µs; and the load of an office.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_dialplan::{Caller, Capabilities, Facts, Idle, Origin, Plans, TenantSource};

fn office() -> TenantSource {
    let text = String::from(include_str!("../tests/data/acme/office.toml"));
    TenantSource { name: String::from("acme"), files: vec![(String::from("office.toml"), text)] }
}

fn decide(c: &mut Criterion) {
    let now = "2026-07-01T10:00:00+09:00".parse().expect("a date");
    let loaded = Plans::load(&[office()], &[], &Capabilities::all(), now);
    assert!(loaded.report.is_ok(), "{}", loaded.report);
    let plans = loaded.plans;
    let tenant: Arc<str> = Arc::from("acme");
    let trunk = Origin::Trunk { tenant: Some(tenant.clone()), trunk: Arc::from("carrier") };
    let phone = Origin::Device { tenant, device: Arc::from("C") };
    let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
    let cases = [
        ("inbound, schedule, five devices", &trunk, "0312340001"),
        ("inbound, ring, three devices", &trunk, "0312340002"),
        ("unknown number", &trunk, "0399999999"),
        ("internal call", &phone, "801"),
        ("outside call", &phone, "0455550001"),
        ("blocked call", &phone, "119"),
    ];
    let mut group = c.benchmark_group("decide");
    for (name, origin, called) in cases {
        let facts = Facts { at: now, origin, caller: &caller, called, state: &Idle };
        group.bench_function(name, |b| b.iter(|| plans.decide(black_box(&facts))));
    }
    group.finish();
    let source = [office()];
    c.bench_function("load and check one office", |b| {
        b.iter(|| Plans::load(black_box(&source), &[], &Capabilities::all(), now));
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
