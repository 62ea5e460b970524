//! Live settings: a change holds for the next call and touches no running one; a feature code
//! changes what it stands for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{Change, ChangeError};
use koukan_switch::{Record, SettingRecord};
use office::{Did, Office, TRUNK, directory_of};

const LUNCH: &str = "2026-07-01T12:15:00+09:00";

fn set(office: &mut Office, key: &str, value: Option<&str>) -> Result<usize, ChangeError> {
    let change = Change::parse(key, value).unwrap();
    let now = office.now();
    let written = office.switch.set(now, "acme", &change, &Arc::from("tester"))?;
    office.run(Duration::from_millis(10));
    Ok(written.len())
}

fn records(office: &Office) -> Vec<SettingRecord> {
    let setting = |did: &Did| match did {
        Did::Record(Record::Setting(setting)) => Some(setting.clone()),
        _ => None,
    };
    office.did.iter().filter_map(setting).collect()
}

fn prompts(office: &Office) -> String {
    office.modules.started.join(" ")
}

#[test]
fn s_23_off_hours_off_rings_the_next_call_and_leaves_the_one_that_is_announced() {
    let mut office = Office::at(LUNCH);
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_secs(1));
    assert!(prompts(&office).contains("lunch"), "{}", prompts(&office));
    assert_eq!(set(&mut office, "number1.off_hours", Some("off")), Ok(1));
    assert_eq!(office.modules.started.len(), 1, "the running call is not touched");
    assert!(!office.phones[&'A'].heard("invite"));
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_secs(1));
    assert!(office.phones[&'A'].heard("invite"), "the next call rings");
    let kept = records(&office);
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].tenant.as_str(), kept[0].key.as_str()), ("acme", "number.number1.mode"));
    assert_eq!((kept[0].value.as_deref(), kept[0].by.as_str()), (Some("ring"), "tester"));
}

#[test]
fn what_was_kept_holds_after_a_restart() {
    let mut office = Office::at(LUNCH);
    set(&mut office, "number1.off_hours", Some("off")).unwrap();
    set(&mut office, "A.dnd", Some("on")).unwrap();
    let kept = records(&office);
    let mut office = Office::at(LUNCH);
    office.switch.restore_settings(kept);
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_secs(1));
    assert!(office.phones[&'B'].heard("invite"));
    assert!(!office.phones[&'A'].heard("invite"), "who is not to be disturbed is not rung");
}

#[test]
fn new_plans_fit_the_settings_anew_and_name_what_has_no_place() {
    let mut office = Office::open();
    set(&mut office, "number2.closed", Some("on")).unwrap();
    set(&mut office, "B.caller_id", Some("number2")).unwrap();
    let plan = include_str!("../../../conf/tenants/acme/office.toml");
    let plan = plan.split_once("\n[[expect]]").map_or(plan, |(plan, _)| plan);
    let without = plan.replace("number2", "number4");
    let date = office.now().date;
    office.install(directory_of(&[("acme", without)], date));
    let aside = office.switch.settings_aside();
    let keys: Vec<&str> = aside.iter().map(|(_, aside)| &*aside.entry.key).collect();
    assert_eq!(keys, ["device.B.caller_id", "number.number2.closed"]);
    office.install(directory_of(&[("acme", plan.to_owned())], date));
    assert!(office.switch.settings_aside().is_empty());
    assert_eq!(office.switch.settings("acme").unwrap().entries().count(), 2);
}

#[test]
fn a_feature_code_flips_its_setting_and_the_caller_hears_that_it_did() {
    let mut office = Office::changed(
        "[number.number1]",
        "[feature_codes]\nnight = \"*28\"\ndnd = \"*78\"\n[number.number1]",
    );
    office.call('A', "*28");
    office.run(Duration::from_secs(1));
    let kept = records(&office);
    assert_eq!(kept.len(), 1, "{:?}", office.explained);
    assert_eq!(
        (kept[0].key.as_str(), kept[0].value.as_deref()),
        ("number.number1.closed", Some("on"))
    );
    assert_eq!(kept[0].by, "acme-801 (feature code)");
    assert!(prompts(&office).contains("beep"), "{}", prompts(&office));
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_secs(1));
    assert!(prompts(&office).contains("closed"), "{}", prompts(&office));
    assert!(!office.phones[&'B'].heard("invite"));
}

#[test]
fn a_running_call_is_decided_to_its_end_by_the_plans_that_began_it() {
    let forwards = "[device.B]\nforward = { no_answer = \"0455550001\", after = \"5s\" }";
    let mut office = Office::changed("[device.B]", forwards);
    office.call('A', "802");
    office.run(Duration::from_secs(2));
    assert!(office.phones[&'B'].heard("invite"));
    // Reloaded meanwhile: the outside may not be called any more, and B forwards no more.
    let plan = include_str!("../../../conf/tenants/acme/office.toml");
    let plan = plan.split_once("\n[[expect]]").map_or(plan, |(plan, _)| plan);
    let closed = plan.replace("block = [", "block = [\"fixed\", ");
    let date = office.now().date;
    let directory = directory_of(&[("acme", closed)], date);
    assert_eq!(directory.plans.tenants().count(), 1);
    office.install(directory);
    office.run(Duration::from_secs(5));
    let invite = office.phones[&TRUNK].invite.as_ref().expect("it goes on as it was decided");
    assert_eq!(invite.request_user().as_deref(), Some(&b"0455550001"[..]));
    let calls = |office: &Office| {
        office.did.iter().filter(|did| {
        matches!(did, Did::Sent(line, to) if line.starts_with("INVITE") && to.port() == 5070)
    }).count()
    };
    let before = calls(&office);
    assert!(before > 0);
    office.call('C', "0455550001");
    office.run(Duration::from_secs(2));
    assert_eq!(calls(&office), before, "the next call is refused");
}
