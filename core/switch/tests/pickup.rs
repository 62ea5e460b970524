//! Pickup by code: a colleague's ringing call, one of a group, one of one's own group.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::CallCause;
use office::{Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn planned(code: &str) -> Office {
    Office::planned(|plan| {
        let more = format!(
            "[group.desk]\ndial = \"650\"\nmembers = [\"A\", \"D\"]\npickup = true\n\
             [group.other]\nmembers = [\"B\", \"D\"]\n\
             [feature_codes]\npickup = \"{code}\"\n[extension.echo]"
        );
        plan.replace("[extension.echo]", &more)
    })
}

/// The trunk's caller rings D and E.
fn ringing(code: &str) -> Office {
    let mut office = planned(code);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    office
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

#[test]
fn a_colleagues_call_is_taken_by_the_offices_own_code_and_the_caller_is_shown() {
    // The picker, what it dials: an extension, the group that D is in, its own group.
    for (code, name, dialled) in
        [("**", 'A', "**804"), ("*8", 'B', "*8805"), ("**", 'B', "**650"), ("**", 'A', "**")]
    {
        let mut office = ringing(code);
        office.call(name, dialled);
        office.run(secs(1));
        assert!(joined(&mut office, TRUNK, name), "{dialled}: {:?}", office.explained);
        assert!(office.phone(name).connected[0].contains("<sip:0455550001@"));
        for other in ['D', 'E'] {
            let log = office.phone(other).log.clone();
            assert!(log.iter().any(|line| line.starts_with("cancelled SIP;cause=200")), "{log:?}");
        }
        office.hang_up(name);
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CalleeHungUp, 200));
    }
}

#[test]
fn where_nothing_rings_the_phone_is_told_so() {
    for dialled in ["**802", "**999", "**"] {
        let mut office = ringing("**");
        office.call('C', dialled);
        office.run(secs(5));
        assert_eq!(office.media.played, ["ja/nobody-rings"], "{dialled}");
        assert!(office.phone('C').heard("failed 480"), "{:?}", office.phone('C').log);
        office.give_up(TRUNK);
        office.finish();
    }
}

#[test]
fn two_who_pick_up_one_call_one_talks_the_other_hears_why() {
    let mut office = ringing("**");
    office.call('A', "**804");
    office.call('B', "**804");
    office.run(secs(1));
    let (a, b) = (joined(&mut office, TRUNK, 'A'), joined(&mut office, TRUNK, 'B'));
    assert!(a != b, "{:?}", office.explained);
    office.run(secs(5));
    let loser = if a { 'B' } else { 'A' };
    assert!(office.phone(loser).log.iter().any(|line| line.starts_with("failed 4")));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn who_calls_does_not_answer_itself_and_an_answer_first_wins() {
    let mut office = planned("**");
    office.call('A', "804");
    office.run(secs(1));
    office.call('A', "**804");
    office.run(secs(1));
    assert_eq!(office.media.played, ["ja/nobody-rings"]);
    let dialog = office.phone('D').ringing.unwrap();
    office.call('B', "**804");
    office.answer('D', dialog);
    office.run(secs(5));
    assert!(joined(&mut office, 'A', 'D') || joined(&mut office, 'A', 'B'));
    office.hang_up('A');
    office.hang_up('B');
    office.hang_up('D');
    office.finish();
}
