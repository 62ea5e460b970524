//! The night key's lamp: pressed from a phone it follows, on every phone that watches it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use office::{Office, TRUNK};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lit(office: &mut Office, name: char) -> bool {
    let notify = office.phone(name).notifies.last().cloned().unwrap();
    String::from_utf8_lossy(notify.body()).contains("<state>confirmed</state>")
}

#[test]
fn the_night_keys_lamp_follows_the_key_on_every_phone_and_the_next_call_differs() {
    let mut office = Office::planned(|plan| {
        let codes = "[feature_codes]\nnight = \"*28\"\n[extension.echo]";
        plan.replace("[extension.echo]", codes)
    });
    let now = office.now;
    office.phone('A').subscribe(now, "*28", "dialog", 600);
    office.phone('C').subscribe(now, "*28", "dialog", 600);
    office.run(secs(1));
    assert!(!lit(&mut office, 'A') && !lit(&mut office, 'C'));
    // A and B show number 1, C shows number 2: B's key is A's, not C's.
    office.call('B', "*28");
    office.run(secs(10));
    assert!(lit(&mut office, 'A') && !lit(&mut office, 'C'), "{:?}", office.explained);
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    assert!(!office.phone('A').heard("invite"), "closed: nobody rings");
    office.run(secs(10));
    office.call('A', "*28");
    office.run(secs(10));
    assert!(!lit(&mut office, 'A'));
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    assert!(office.phone('A').heard("invite"), "open again");
    office.give_up(TRUNK);
    office.run(secs(1));
}
