//! Draining (N-08): what is refused while the server is to end, and what goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::CallCause;
use office::{Does, Office, SERVER, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn options(office: &mut Office) -> (u16, bool) {
    let at = office.strays.len();
    office.raw(
        "192.0.2.99:5060",
        &format!(
            "OPTIONS sip:{SERVER} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKo{at}\n\
             Max-Forwards: 70\nFrom: <sip:probe@192.0.2.99>;tag=p\nTo: <sip:{SERVER}>\n\
             Call-ID: probe{at}\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        ),
    );
    office.run(secs(1));
    let (_, answer) = &office.strays[at];
    (answer.status().unwrap(), answer.header_named("Retry-After").is_some())
}

#[test]
fn new_calls_come_again_later_while_calls_that_are_up_and_phones_go_on() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(100);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(!office.switch.is_drained());
    assert_eq!(options(&mut office), (200, false));
    office.switch.set_draining(true);
    office.call('A', "802");
    office.run(secs(2));
    assert!(office.phone('A').heard("failed 503"), "{:?}", office.phone('A').log);
    assert!(!office.phone('B').heard("invite"));
    assert_eq!(office.switch.refused_by_draining(), 1);
    assert_eq!(options(&mut office), (503, true));
    assert_eq!(office.switch.refused_by_draining(), 1, "a question is no call");
    office.register('B', &[]);
    office.run(secs(40));
    assert_eq!(office.switch.registrations(office.now()).len(), 6);
    let (trunk, device) = (office.phone(TRUNK).media, office.phone('D').media);
    assert!(office.media.joined(trunk, device));
    assert!(!office.switch.is_drained());
    office.hang_up(TRUNK);
    office.run(secs(2));
    assert!(office.switch.is_drained());
    office.switch.set_draining(false);
    office.phone('B').does = Does::Answers(100);
    office.call('A', "802");
    office.run(secs(2));
    assert!(office.phone('B').heard("invite"));
    office.hang_up('A');
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 2, "what was refused has no record");
    assert!(cdrs.iter().all(|cdr| ending(cdr) == (CallCause::CallerHungUp, 200)));
}

#[test]
fn a_call_that_is_parked_can_be_fetched_while_the_server_drains() {
    let mut office = Office::planned(|plan| {
        let park = "[park]\nslots = { first = \"8101\", count = 3 }\n[extension.echo]";
        plan.replace("[extension.echo]", park)
    });
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:8101@{SERVER}>"), &[]);
    office.run(secs(1));
    assert_eq!(office.switch.calls()[0].stage, "parked 8101");
    office.switch.set_draining(true);
    office.call('B', "8101");
    office.run(secs(1));
    let (trunk, device) = (office.phone(TRUNK).media, office.phone('B').media);
    assert!(office.media.joined(trunk, device), "{:?}", office.explained);
    office.hang_up('B');
    office.run(secs(2));
    only(office.finish());
}
