//! The sample office of the language's description, and the one that the server ships.

mod office;

use koukan_dialplan::{Capabilities, Idle};
use office::{load, load_files, sample, wednesday};

const SHIPPED: [(&str, &str); 3] = [
    ("conf/tenants/acme/office.toml", include_str!("../../conf/tenants/acme/office.toml")),
    ("conf/tenants/acme/expect.toml", include_str!("../../conf/tenants/acme/expect.toml")),
    ("conf/tenants/acme/limits.toml", include_str!("../../conf/tenants/acme/limits.toml")),
];

#[test]
fn the_whole_sample_loads_and_all_its_expectations_hold() {
    let loaded = load(&sample(), &Capabilities::all());
    assert_eq!(loaded.report.to_string(), "");
    assert_eq!(loaded.plans.devices().count(), 6);
}

#[test]
fn the_shipped_office_is_one_that_this_version_executes() {
    let loaded = load_files(&SHIPPED, &Capabilities::this_version());
    assert_eq!(loaded.report.to_string(), "");
    assert_eq!(loaded.plans.tenants().count(), 1);
}

#[test]
fn the_shipped_office_has_caps_and_those_that_it_only_shows_are_in_order() {
    let [office, expect, (path, limits)] = SHIPPED;
    let loaded = load_files(&SHIPPED, &Capabilities::this_version());
    assert!(loaded.plans.has_caps("acme"));
    assert_eq!(loaded.plans.alert_receivers("acme").len(), 0);
    let shown = limits.replace("# night", "night").replace("# alert", "alert");
    assert_ne!(shown, limits);
    let loaded = load_files(&[office, expect, (path, &shown)], &Capabilities::this_version());
    assert_eq!(loaded.report.to_string(), "");
    assert_eq!(loaded.plans.alert_receivers("acme").len(), 1);
}

#[test]
fn simulation_prints_each_rule_the_steps_and_the_outcome() {
    let plans = load(&sample(), &Capabilities::all()).plans;
    let mut text = String::new();
    for (from, to, at) in [
        ("0455550001", "0312340001", "2026-07-01T10:00"),
        ("0455550001", "0120000001", "2026-07-01T18:30"),
        ("0455550001", "0312340001", "2026-07-20T10:00"),
        ("anonymous", "0399999999", "2026-07-01T10:00"),
        ("acme-803", "18455550001", "2026-07-01T10:00"),
        ("acme/A", "18690123456", "2026-07-01T10:00"),
        ("acme/A", "+818012345678", "2026-07-01T10:00"),
        ("acme-801", "0312340003", "2026-07-01T10:00"),
        ("acme-801", "119", "2026-07-01T10:00"),
        ("acme-801", "700", "2026-07-01T10:00"),
        ("acme-801", "8104", "2026-07-01T10:00"),
    ] {
        let simulation = plans.simulate(from, to, Some(at), wednesday(), &Idle);
        let lines = simulation.expect("a call that can be made").lines().join("\n");
        text.push_str(&format!("{from} calls {to} at {at}\n{lines}\n\n"));
    }
    insta::assert_snapshot!(text);
}
