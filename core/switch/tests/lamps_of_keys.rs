//! Lamps of keys that are no device's: the night key's, pressed from a phone, follows on every
//! phone that watches it; a group's shows what its members do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use office::{Does, Office, TRUNK};

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

#[test]
fn a_groups_lamp_blinks_while_a_member_rings_and_is_lit_while_one_talks() {
    let mut office = Office::planned(|plan| {
        let group = "[group.desk]\ndial = \"650\"\nmembers = [\"B\", \"C\"]\n[extension.echo]";
        plan.replace("[extension.echo]", group)
    });
    let now = office.now;
    // By its digits, and by its name; E knows lists, and gets the members one by one.
    office.phone('A').lists = false;
    office.phone('D').lists = false;
    office.phone('A').subscribe(now, "650", "dialog", 600);
    office.phone('D').subscribe(now, "desk", "dialog", 600);
    office.phone('E').subscribe(now, "650", "dialog", 600);
    office.run(secs(1));
    let text = |office: &mut Office, name: char| {
        let notify = office.phone(name).notifies.last().cloned().unwrap();
        String::from_utf8_lossy(notify.body()).into_owned()
    };
    assert!(text(&mut office, 'E').matches("<resource ").count() == 2);
    let count = |office: &mut Office, state: &str| {
        let counts = ['A', 'D'].map(|name| {
            let text = text(office, name);
            assert!(text.contains("<dialog-info"), "{text}");
            text.matches(&format!("<state>{state}</state>")).count()
        });
        assert_eq!(counts[0], counts[1]);
        counts[0]
    };
    assert_eq!((count(&mut office, "early"), count(&mut office, "confirmed")), (0, 0));
    office.phone('C').does = Does::Answers(3_000);
    office.call('F', "650");
    office.run(secs(2));
    assert_eq!(count(&mut office, "early"), 2, "B and C ring");
    office.run(secs(2));
    assert_eq!((count(&mut office, "early"), count(&mut office, "confirmed")), (0, 1));
    // Of who is no member it shows nothing.
    office.call('A', "804");
    office.run(secs(1));
    assert_eq!((count(&mut office, "early"), count(&mut office, "confirmed")), (0, 1));
    office.give_up('A');
    office.hang_up('F');
    office.run(secs(1));
    assert_eq!((count(&mut office, "early"), count(&mut office, "confirmed")), (0, 0));
    // A group of the neighbour is none of this office's.
    office.phone('A').subscribe(now, "nobody", "dialog", 600);
    office.run(secs(1));
    assert!(office.phone('A').heard("response 404"), "{:?}", office.phone('A').log);
}
